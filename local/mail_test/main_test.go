// Package mail_test sends mail by SMTP and by Amazon SES's API to servers on loopback.
package mail_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
