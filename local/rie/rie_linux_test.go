//go:build linux && (amd64 || arm64)

package rie

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestInstalled is what make runs first, so that nothing is fetched in the middle of other tests.
func TestInstalled(t *testing.T) { Emulator(t) }

const program = `package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	fmt.Fprintln(os.Stderr, "hello from", os.Getenv("WHO"), os.Getenv("HOME"))
	lambda.Start(func(ctx context.Context, do string) (string, error) {
		switch do {
		case "fail":
			return "", errors.New("it failed")
		case "hang":
			select {}
		}
		end, _ := ctx.Deadline()
		return fmt.Sprintf("%s has %.0f s", do, time.Until(end).Seconds()), nil
	})
}
`

func TestStart(t *testing.T) {
	Need(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "bootstrap")
	if out, err := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", name, filepath.Join(dir, "main.go")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var ended *Function
	t.Run("answers", func(t *testing.T) {
		f := Start(t, Config{Program: name, Timeout: 2 * time.Second, Env: map[string]string{"WHO": "us"}})
		ended = f
		for range 2 {
			got, err := f.Invoke(t.Context(), []byte(`"it"`))
			if err != nil || string(got) != `"it has 2 s"` {
				t.Errorf("%s %v", got, err)
			}
		}
		for event, want := range map[string]string{`"fail"`: "it failed", `{}`: "cannot unmarshal", `"hang"`: "timed out"} {
			var failed *Failed
			if got, err := f.Invoke(t.Context(), []byte(event)); !errors.As(err, &failed) || !strings.Contains(failed.Message, want) {
				t.Errorf("%s: %s %v, want %q", event, got, err, want)
			}
		}
		// After one that was ended it goes on.
		if got, err := f.Invoke(t.Context(), []byte(`"again"`)); err != nil || string(got) != `"again has 2 s"` {
			t.Errorf("%s %v", got, err)
		}
		if !f.Said(t.Context(), func(line string) bool { return line == "hello from us \n" }) {
			t.Errorf("it said\n%s", f.Log())
		}
		none, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if f.Said(none, func(string) bool { return false }) {
			t.Error("what does not match is said")
		}
	})
	if _, err := ended.Invoke(t.Context(), []byte(`"it"`)); err == nil {
		t.Error("it answers after its test has ended")
	}
}
