//go:build unix

package promtool

import (
	"os/exec"
	"strings"
	"testing"
)

// TestInstalled is what make runs first, so that nothing is fetched in the middle of other tests.
func TestInstalled(t *testing.T) {
	said, err := exec.CommandContext(t.Context(), For(t), "--version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(said), "promtool, version ") {
		t.Errorf("%v\n%s", err, said)
	}
}
