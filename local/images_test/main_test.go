//go:build unix

package images_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"
)

const goos, goarch = runtime.GOOS, runtime.GOARCH

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range temporary {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "cleaning up:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}
