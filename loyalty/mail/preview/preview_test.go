package preview

import (
	"bytes"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/mail/mailtest"
)

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mails")
	one := mail.Message{ID: "one@bank.example", To: netmail.Address{Address: "ann@cards.example"}, Subject: "Hello", Text: "text\n", HTML: "<p>page</p>\n"}
	two := one
	two.Subject = "Again"
	var said bytes.Buffer
	if err := Write(dir, map[string]mail.Message{"two": two, "one": one}, &said); err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "one.html") + "\n" + filepath.Join(dir, "two.html") + "\n"; said.String() != want {
		t.Errorf("it says %q, want %q", said.String(), want)
	}
	for name, want := range map[string]string{"one.txt": "text\n", "two.html": "<p>page</p>\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "two.eml"))
	if err != nil {
		t.Fatal(err)
	}
	if m := mailtest.Read(t, raw); m.Subject != "Again" || strings.TrimSpace(m.Text) != "text" || !strings.Contains(m.HTML, "page") {
		t.Errorf("%+v", m)
	}
	bad := one
	bad.To.Address = "nobody"
	if err := Write(dir, map[string]mail.Message{"bad": bad}, &said); err == nil {
		t.Error("a mail that cannot be sent is written")
	}
}
