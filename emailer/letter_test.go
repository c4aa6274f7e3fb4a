package emailer

import (
	"flag"
	"fmt"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/loyalty/mail/mailtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMails(t *testing.T) {
	samples, err := Samples()
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range samples {
		t.Run(name, func(t *testing.T) {
			raw, err := m.Encode(netmail.Address{Address: "rewards@bank.example"}, time.Date(2026, 11, 25, 0, 10, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			read := mailtest.Read(t, raw)
			got := fmt.Sprintf("To: %s\nSubject: %s\nMessage-ID: %s\nList-Unsubscribe: %s\nList-Unsubscribe-Post: %s\n\n%s\n==== HTML\n%s", read.To.String(), read.Subject, read.ID,
				read.Headers["List-Unsubscribe"], read.Headers["List-Unsubscribe-Post"], m.Text, m.HTML)
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("it is not %s; look, and say go test -update\n%s", path, got)
			}
			if read.Headers["Bcc"] != "" || strings.Contains(read.HTML, "<script") || strings.Contains(read.HTML, "<b>Eve") || strings.Contains(read.HTML, "<img") || strings.Contains(read.Text, "\nBcc") {
				t.Errorf("a stranger's text became more than text, or there is an image:\n%s", raw)
			}
		})
	}
}
