package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/angelowl-loyalties/app/profiler/keys"
)

// clients sign in at profiler with a secret.
var clients = []string{"campaignex", "emailer", "informer", "passworder", "pet-rock", "publish-single", "rewarder", "uploads"}

// makeSecrets makes each secret that is not in a folder yet. None is in the repository, and no two machines
// have the same.
func makeSecrets(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the secrets: %w", err)
	}
	names := []string{"postgres-password", "campaignex-db-password", "profiler-db-password", "portal-session-secret"}
	for _, c := range clients {
		names = append(names, "client-secret-"+c)
	}
	for _, name := range names {
		if _, err := once(dir, name, rand.Text()+rand.Text()); err != nil {
			return err
		}
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	if _, err := once(dir, "data-key", base64.StdEncoding.EncodeToString(key)); err != nil {
		return err
	}
	credentials := "[default]\naws_access_key_id = " + rand.Text() + "\naws_secret_access_key = " + rand.Text() + rand.Text() + "\n"
	if _, err := once(dir, "aws-credentials", credentials); err != nil {
		return err
	}
	// The same secrets as profiler is told them.
	var all []string
	for _, c := range clients {
		secret, err := os.ReadFile(filepath.Join(dir, "client-secret-"+c))
		if err != nil {
			return fmt.Errorf("making the secrets: %w", err)
		}
		all = append(all, c+"="+string(secret))
	}
	slices.Sort(all)
	if err := same(dir, "service-secrets", strings.Join(all, ",")); err != nil {
		return err
	}
	if _, err := keys.File(filepath.Join(dir, "token-keys.pem")); err != nil {
		return err
	}
	return nil
}

// same writes a file that is made of others, unless it is what it should be.
func same(dir, name, content string) error {
	path := filepath.Join(dir, name)
	if was, err := os.ReadFile(path); err == nil && string(was) == content {
		return nil
	}
	next := path + ".next"
	err := os.WriteFile(next, []byte(content), 0o600)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return fmt.Errorf("making the secret %s: %w", name, err)
	}
	return nil
}

// once writes a file for nobody else to read, unless it is there.
func once(dir, name, content string) (made bool, err error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err == nil {
		_, err = f.WriteString(content)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return false, fmt.Errorf("making the secret %s: %w", name, err)
	}
	return true, nil
}
