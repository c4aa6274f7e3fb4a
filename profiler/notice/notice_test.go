package notice_test

import (
	"flag"
	"fmt"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/mail/mailtest"
	"github.com/angelowl-loyalties/app/profiler/notice"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMails(t *testing.T) {
	samples, err := notice.Samples()
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range samples {
		t.Run(name, func(t *testing.T) {
			if m.ID == "" || m.To.Address != "ada@example.com" {
				t.Errorf("%+v", m)
			}
			raw, err := m.Encode(netmail.Address{Address: "bank@example.com"}, time.Unix(0, 0))
			if err != nil {
				t.Fatalf("it cannot be sent: %v", err)
			}
			read := mailtest.Read(t, raw)
			got := fmt.Sprintf("To: %s\nSubject: %s\n\n%s\n==== HTML\n%s", read.To.String(), read.Subject, m.Text, m.HTML)
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
			if read.Headers["Bcc"] != "" || strings.Contains(m.HTML, "<script") || strings.Contains(m.HTML, "<img") || strings.Contains(m.Text, "\nBcc") {
				t.Errorf("a name became more than a name, or there is an image:\n%s", raw)
			}
		})
	}
}
