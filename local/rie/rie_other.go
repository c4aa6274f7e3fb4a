//go:build !linux || !(amd64 || arm64)

package rie

import (
	"context"
	"encoding/json"
	"testing"
)

// Function is a lambda.
type Function struct{}

// Start skips the test: there is no emulator for this machine.
func Start(t testing.TB, _ Config) *Function {
	t.Helper()
	t.Skip("SKIPPED: AWS's Lambda Runtime Interface Emulator is for Linux, on amd64 and arm64")
	return nil
}

// Need skips the test.
func Need(t testing.TB) { t.Helper(); Start(t, Config{}) }

// Invoke is never called.
func (*Function) Invoke(context.Context, []byte) (json.RawMessage, error) { return nil, nil }

// Log is never called.
func (*Function) Log() string { return "" }

// Said is never called.
func (*Function) Said(context.Context, func(string) bool) bool { return false }
