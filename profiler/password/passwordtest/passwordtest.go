// Package passwordtest is for tests that need thousands of passwords.
package passwordtest

import (
	"testing"

	"github.com/angelowl-loyalties/app/profiler/password"
)

// Cheap returns a hasher whose hashes cost next to nothing: ten thousand of those of today take minutes.
func Cheap(testing.TB) *password.Hasher {
	return password.NewHasherOf(password.Cost{MemoryKiB: 64, Passes: 1}, password.Parallel(), 256)
}
