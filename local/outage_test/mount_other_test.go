//go:build !linux

package outage_test

import "testing"

func inOwnMounts() (code int, ran bool) { return 0, false }

func smallDisk(t *testing.T, _ int) string {
	t.Helper()
	t.Skip("SKIPPED: only Linux lets a test have a small disk to fill")
	return ""
}

func freeBytes(*testing.T, string) int64 { return 0 }

func fill(*testing.T, string) (empty func()) { return func() {} }
