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

	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/profiler/notice"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMails(t *testing.T) {
	ada := netmail.Address{Name: "Ada Lovelace", Address: "ada@example.com"}
	const portal = "https://portal.example.com"
	for name, write := range map[string]func() (mail.Message, error){
		"reset": func() (mail.Message, error) { return notice.Reset(ada, portal+"/reset?token=abc-_1", 30*time.Minute) },
		"reset_no_name": func() (mail.Message, error) {
			return notice.Reset(netmail.Address{Address: "ada@example.com"}, portal+"/reset?token=abc-_1", 30*time.Minute)
		},
		"password_changed": func() (mail.Message, error) { return notice.PasswordChanged(ada, portal) },
		"email_changed":    func() (mail.Message, error) { return notice.EmailChanged(ada, "countess@example.org") },
		"first_password": func() (mail.Message, error) {
			return notice.FirstPassword(ada, "abcde-fghjk-mnpqr-stuvw", portal, time.Date(2021, 9, 8, 20, 0, 0, 0, time.FixedZone("+08", 8*3600)))
		},
		"hostile_name": func() (mail.Message, error) {
			return notice.PasswordChanged(netmail.Address{Name: `<script>alert("1")</script>`, Address: "ada@example.com"}, portal)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := write()
			if err != nil {
				t.Fatal(err)
			}
			if m.ID == "" || m.To.Address != "ada@example.com" {
				t.Errorf("%+v", m)
			}
			got := fmt.Sprintf("To: %s\nSubject: %s\n\n%s\n==== HTML\n%s", m.To.String(), m.Subject, m.Text, m.HTML)
			if _, err := m.Encode(netmail.Address{Address: "bank@example.com"}, time.Unix(0, 0)); err != nil {
				t.Errorf("it cannot be sent: %v", err)
			}
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
			if strings.Contains(m.HTML, "<script>") {
				t.Error("a name became HTML")
			}
		})
	}
}
