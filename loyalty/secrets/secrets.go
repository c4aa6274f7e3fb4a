// Package secrets fetches what a lambda's settings only name. AWS Lambda mounts no files, and what stands in a
// function's configuration can be read by whoever may look at it; so of a secret only the name stands there,
//
//	BROKER_PASSWORD_ARN = arn:aws:secretsmanager:…:secret:NAME          the whole secret
//	BROKER_PASSWORD_ARN = arn:aws:secretsmanager:…:secret:NAME:key::    one value of a secret that is a JSON object
//	DB_CA_FILE_ARN      = arn:aws:secretsmanager:…:secret:NAME          its text, in a file that DB_CA_FILE then names
//
// and Fetch, called before the settings are read, puts BROKER_PASSWORD and DB_CA_FILE in their place. The ARNs are
// written as Amazon ECS writes them. A secret that was changed is read by the next instance that starts.
package secrets

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
)

const (
	suffix = "_ARN"
	// patience is for one secret. Lambda gives a program ten seconds to start.
	patience = 3 * time.Second
	// most is AWS's limit of a secret's size.
	most = 64 << 10
)

// Source gets a secret's text by its ARN.
type Source func(ctx context.Context, arn string) (string, error)

// Fetch fetches what the environment names and sets it there. It does nothing, and asks nobody, where nothing is
// named. Errors name the variable and the secret, never what is in it.
func Fetch(ctx context.Context) error {
	named := find(os.Environ())
	if len(named) == 0 {
		return nil
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("reading the AWS configuration: %w", err)
	}
	return fetch(ctx, named, from(cfg, &http.Client{Timeout: patience}), os.TempDir())
}

// find are the variables that name secrets: NAME by NAME_ARN's value.
func find(environ []string) map[string]string {
	out := map[string]string{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if variable, ok := strings.CutSuffix(name, suffix); ok && variable != "" && strings.Contains(value, ":secretsmanager:") {
			out[variable] = value
		}
	}
	return out
}

func fetch(ctx context.Context, named map[string]string, get Source, dir string) error {
	var errs []error
	have := map[string]string{} // a secret is asked for once
	for _, name := range sorted(named) {
		arn, key, err := split(named[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s%s: %w", name, suffix, err))
			continue
		}
		text, ok := have[arn]
		if !ok {
			if text, err = get(ctx, arn); err != nil {
				errs = append(errs, fmt.Errorf("%s%s: fetching %s: %w", name, suffix, arn, err))
				continue
			}
			have[arn] = text
		}
		if err := set(name, text, key, dir); err != nil {
			errs = append(errs, fmt.Errorf("%s%s: %w", name, suffix, err))
		}
	}
	return errors.Join(errs...)
}

func sorted(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// split takes the key off an ARN, arn:partition:secretsmanager:region:account:secret:name[:key:stage:version].
func split(named string) (arn, key string, err error) {
	parts := strings.Split(named, ":")
	switch {
	case len(parts) == 7:
		return named, "", nil
	case len(parts) == 10 && parts[8] == "" && parts[9] == "":
		return strings.Join(parts[:7], ":"), parts[7], nil
	}
	return "", "", errors.New("is no ARN of a secret: arn:aws:secretsmanager:region:account:secret:name, or that with :key:: behind it")
}

func set(name, text, key, dir string) error {
	if key != "" {
		var values map[string]any
		if err := json.Unmarshal([]byte(text), &values); err != nil {
			return errors.New("the secret is no JSON object, and a value of it is named")
		}
		value, ok := values[key].(string)
		if !ok {
			return fmt.Errorf("the secret has no text called %q", key)
		}
		text = value
	}
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return errors.New("the secret is empty; bin/secrets of .infra fills it")
	}
	if strings.HasSuffix(name, "_FILE") {
		f, err := os.CreateTemp(dir, "secret-*")
		if err != nil {
			return fmt.Errorf("making a file for it: %w", err)
		}
		_, err = io.WriteString(f, text+"\n")
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("writing its file: %w", err)
		}
		text = f.Name()
	}
	return errors.Join(os.Setenv(name, text), os.Unsetenv(name+suffix))
}

// from is AWS Secrets Manager: one call of its API, signed. Its SDK would add a megabyte to each lambda for it.
func from(cfg aws.Config, client *http.Client) Source {
	return func(ctx context.Context, arn string) (string, error) {
		region := cfg.Region
		if parts := strings.Split(arn, ":"); region == "" && len(parts) > 3 {
			region = parts[3]
		}
		endpoint := "https://secretsmanager." + region + ".amazonaws.com"
		if cfg.BaseEndpoint != nil {
			endpoint = *cfg.BaseEndpoint
		}
		body, err := json.Marshal(map[string]string{"SecretId": arn})
		if err != nil {
			return "", err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/", bytes.NewReader(body))
		if err != nil {
			return "", err
		}
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
		creds, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return "", fmt.Errorf("finding AWS credentials: %w", err)
		}
		sum := sha256.Sum256(body)
		if err := v4.NewSigner().SignHTTP(ctx, creds, req, hex.EncodeToString(sum[:]), "secretsmanager", region, time.Now()); err != nil {
			return "", err
		}
		res, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(res.Body, 2*most))
		if err != nil {
			return "", err
		}
		var said struct {
			SecretString *string
			Type         string `json:"__type"`
		}
		if err := json.Unmarshal(answer, &said); err != nil || res.StatusCode != http.StatusOK || said.SecretString == nil {
			return "", fmt.Errorf("AWS answers %d %s", res.StatusCode, said.Type)
		}
		return *said.SecretString, nil
	}
}
