//go:build unix

package pyvenv

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestInstallSaysWhatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		name, python string
		want         string
	}{
		{"no Python", "", "python3 is missing; install it"},
		{"an old one", "#!/bin/sh\necho 3 9 /usr\n", "is Python 3.9, and it needs 3.10 or newer"},
		{"another one", "#!/bin/sh\necho 4 0 /usr\n", "is Python 4.0, and it needs 3.10 or newer"},
		{"none that tells", "#!/bin/sh\necho hello\n", "for its version"},
		{"no venv", "#!/bin/sh\n[ \"$2\" = -c ] && echo 3 12 /usr || { echo no ensurepip; exit 1; }\n", "apt-get install python3-venv"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("PATH", dir+":/usr/bin:/bin")
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			t.Setenv("HOME", t.TempDir())
			if tt.python == "" {
				t.Setenv("PATH", dir)
			} else if err := os.WriteFile(filepath.Join(dir, "python3"), []byte(tt.python), 0o755); err != nil {
				t.Fatal(err)
			}
			if python, err := install(t.Context(), "nothing", 10, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q %v", python, err)
			}
		})
	}
}

func TestWhoeverInstallsIsWaitedFor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "it.lock")
	first, err := lock(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lock(over, file); err == nil || !strings.Contains(err.Error(), "waiting for whoever installs") {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := lock(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}
