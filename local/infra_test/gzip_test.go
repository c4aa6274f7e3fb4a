//go:build unix

package infra_test

import (
	"compress/gzip"
	"encoding/base64"
	"io"
	"strings"
	"testing"
)

// gunzip is what Terraform's base64gzip wrote.
func gunzip(t testing.TB, text string) string {
	t.Helper()
	r, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
