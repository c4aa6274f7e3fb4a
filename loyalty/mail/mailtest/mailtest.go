// Package mailtest is what every way of sending mail has to pass.
package mailtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/mail"
)

// World is a way of sending and the mail system behind it.
type World struct {
	Sender mail.Sender
	From   netmail.Address
	// Refused is an address that looks right and that the mail system refuses for good.
	Refused string
	// Arrived returns the mails that arrived for an address, as they came over the wire.
	Arrived func(t testing.TB, to string) [][]byte
	// Stall makes the mail system silent until the test ends.
	Stall func(t testing.TB)
}

const (
	text = "Grüße!\r\n.\r\n..two dots\r\nFrom here on\r\n=3D a=b \t\r\nสวัสดี مرحبا 🦉\r\n" + "https://portal.bank.example/reset?token=abc=def\r\n"
	html = "<!doctype html><p title=\"a='b'\">Grüße &amp; <b>สวัสดี</b></p>\r\n<p>" + "\r\n.</p>"
)

// Conform holds a way of sending to mail.Sender's promises; start makes a world of its own for each
// test.
func Conform(t *testing.T, start func(t *testing.T) World) {
	t.Run("what is sent arrives", func(t *testing.T) { arrives(t, start(t)) })
	t.Run("refused", func(t *testing.T) { refused(t, start(t)) })
	t.Run("ended", func(t *testing.T) { ends(t, start(t)) })
	t.Run("many at once", func(t *testing.T) { atOnce(t, start(t)) })
}

func arrives(t *testing.T, w World) {
	long := strings.Repeat("ข้าวมันไก่", 100) // of 10 characters
	for i, tc := range []struct{ name, person, subject, wantPerson, wantSubject string }{
		{"plain", "Ann Lee", "Your rewards", "", ""},
		{"no name", "", "Your rewards", "", ""},
		{"quotes and commas", `O"Neil\, Ann <ann@evil.example>`, `"Hi", said (he) <b>`, "", ""},
		{"a script", "<script>alert(1)</script>", "<script>alert(1)</script>", "", ""},
		{"a formula", `=HYPERLINK("http://evil.example")`, `=HYPERLINK("http://evil.example")`, "", ""},
		{"an encoded word of a stranger", "=?utf-8?q?Bank?=", "=?utf-8?q?=0D=0ABcc:_a@evil.example?=", "", ""},
		{"Thai", "สมชาย ใจดี", "รางวัลของคุณ", "", ""},
		{"Arabic", "محمد عبد الله", "مكافآتك", "", ""},
		{"an owl", "🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉🦉", "🦉", "", ""},
		{"1000 letters", strings.Repeat("a", 1000), strings.Repeat("b", 1000), "", ""},
		{"1000 characters in words", strings.Repeat("ab ", 333) + "c", strings.Repeat("de ", 333) + "f", "", ""},
		{"1000 Thai characters", long, long, "", ""},
		{"a header in a name", "Ann\r\nBcc: all@evil.example", "Hi\r\nBcc: all@evil.example\r\n\r\nbody", "Ann  Bcc: all@evil.example", "Hi  Bcc: all@evil.example    body"},
		{"a lone line feed and a null", "Ann\nX: y\x00", "Hi\x00\x1b[31m\rX: y", "Ann X: y", "Hi  [31m X: y"},
		{"bytes that are no UTF-8", "Ann\xff", "\xc3(", "Ann\uFFFD", "\uFFFD("},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.wantPerson == "" {
				tc.wantPerson = tc.person
			}
			if tc.wantSubject == "" {
				tc.wantSubject = tc.subject
			}
			m := mail.Message{
				ID: fmt.Sprintf("rewards.2026-11-24.%d@bank.example", i), To: netmail.Address{Name: tc.person, Address: fmt.Sprintf("user%d@cards.example", i)},
				Subject: tc.subject, Text: text, HTML: html,
				Headers: map[string]string{
					"List-Unsubscribe":      "<https://portal.bank.example/unsubscribe/" + strings.Repeat("t", 120) + ">, <mailto:stop@bank.example>",
					"List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
				},
			}
			if i%2 == 1 {
				m.HTML = ""
			}
			if err := w.Sender.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			all := w.Arrived(t, m.To.Address)
			if len(all) != 1 {
				t.Fatalf("%d mails", len(all))
			}
			got := Read(t, all[0])
			want := Mail{ID: m.ID, From: w.From, To: netmail.Address{Name: tc.wantPerson, Address: m.To.Address}, Subject: tc.wantSubject, Text: m.Text, HTML: m.HTML, Headers: m.Headers}
			for name, value := range want.Headers {
				if got.Headers[name] != value {
					t.Errorf("%s is %q, want %q", name, got.Headers[name], value)
				}
			}
			if got.ID != want.ID || got.From != want.From || got.To != want.To || got.Subject != want.Subject {
				t.Errorf("headers\n%+q\nwant\n%+q\n%s", []any{got.ID, got.From, got.To, got.Subject}, []any{want.ID, want.From, want.To, want.Subject}, all[0])
			}
			if strings.TrimSuffix(got.Text, "\r\n") != strings.TrimSuffix(want.Text, "\r\n") || got.HTML != want.HTML {
				t.Errorf("parts\n%q\n%q\nwant\n%q\n%q", got.Text, got.HTML, want.Text, want.HTML)
			}
			if got.Headers["Bcc"] != "" || got.Headers["X"] != "" {
				t.Errorf("a header was injected:\n%s", all[0])
			}
		})
	}
}

func refused(t *testing.T, w World) {
	good := mail.Message{ID: "a@bank.example", To: netmail.Address{Address: "a@cards.example"}, Subject: "s", Text: "first password: hunter22hunter"}
	for name, spoil := range map[string]func(m *mail.Message){
		"by the mail system":        func(m *mail.Message) { m.To.Address = w.Refused },
		"no address":                func(m *mail.Message) { m.To.Address = "" },
		"no host":                   func(m *mail.Message) { m.To.Address = "ann@" },
		"a line end in the address": func(m *mail.Message) { m.To.Address = "a@cards.example>\r\nRCPT TO:<b@evil.example" },
		"two addresses":             func(m *mail.Message) { m.To.Address = "a@cards.example,b@cards.example" },
		"a quoted address":          func(m *mail.Message) { m.To.Address = `"a b"@cards.example` },
		"an ID with a line end":     func(m *mail.Message) { m.ID = "a@b>\r\nBcc: <c@evil.example" },
		"no ID":                     func(m *mail.Message) { m.ID = "" },
		"no text":                   func(m *mail.Message) { m.Text = "" },
		"a further Bcc":             func(m *mail.Message) { m.Headers = map[string]string{"bcc": "c@evil.example"} },
		"a further Content-Type":    func(m *mail.Message) { m.Headers = map[string]string{"content-type": "text/html"} },
		"a header with a line end":  func(m *mail.Message) { m.Headers = map[string]string{"X-A": "b\r\nBcc: c@evil.example"} },
		"a name with a line end":    func(m *mail.Message) { m.Headers = map[string]string{"X-A: b\r\nBcc": "c@evil.example"} },
	} {
		m := good
		spoil(&m)
		err := w.Sender.Send(t.Context(), m)
		if !errors.Is(err, mail.ErrRefused) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, secret := range []string{"hunter22", "evil.example"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error has %q: %v", name, secret, err)
			}
		}
	}
	if err := w.Sender.Send(t.Context(), good); err != nil {
		t.Errorf("after refusals: %v", err)
	}
	if got := len(w.Arrived(t, good.To.Address)); got != 1 {
		t.Errorf("%d mails arrived", got)
	}
}

func ends(t *testing.T, w World) {
	m := mail.Message{ID: "a@bank.example", To: netmail.Address{Address: "a@cards.example"}, Subject: "s", Text: "t"}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Sender.Send(ended, m); !errors.Is(err, context.Canceled) || errors.Is(err, mail.ErrRefused) {
		t.Errorf("ended before: %v", err)
	}
	if err := w.Sender.Send(t.Context(), m); err != nil {
		t.Errorf("after one that was ended: %v", err)
	}
	w.Stall(t)
	soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := w.Sender.Send(soon, m)
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it returned %s after it began, with 200 ms to go", took)
	}
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, mail.ErrRefused) {
		t.Errorf("a silent mail system: %v", err)
	}
}

func atOnce(t *testing.T, w World) {
	const mails = 60
	var wg sync.WaitGroup
	for i := range mails {
		wg.Go(func() {
			to := fmt.Sprintf("u%d@cards.example", i)
			m := mail.Message{ID: fmt.Sprintf("%d@bank.example", i), To: netmail.Address{Address: to}, Subject: to, Text: to, HTML: to}
			if err := w.Sender.Send(t.Context(), m); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range mails {
		to := fmt.Sprintf("u%d@cards.example", i)
		all := w.Arrived(t, to)
		if len(all) != 1 {
			t.Fatalf("%d mails for %s", len(all), to)
		}
		if got := Read(t, all[0]); got.Subject != to || strings.TrimSpace(got.Text) != to || got.HTML != to || got.ID != fmt.Sprintf("%d@bank.example", i) {
			t.Errorf("%s got %+v", to, got)
		}
	}
}

// Mail is what a person's mail program makes of a mail.
type Mail struct {
	ID         string
	From, To   netmail.Address
	Subject    string
	Text, HTML string
	Headers    map[string]string // the first of each
}

// Read reads a mail, and fails where it is not as RFC 5322 and RFC 2047 want it.
func Read(t testing.TB, raw []byte) Mail {
	t.Helper()
	head, body, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok {
		t.Fatalf("a mail without an end of its headers:\n%s", raw)
	}
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") || slices.ContainsFunc(line, func(b byte) bool { return b > '~' }) {
			t.Errorf("a line of %d bytes is not as mail wants it: %.200q", len(line), line)
		}
	}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if bytes.Contains(line, []byte("=?")) && len(line) > 76 || len(bytes.TrimSpace(line)) == 0 {
			t.Errorf("a header's line is not as RFC 2047 wants it: %q", line)
		}
	}
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	out := Mail{Headers: map[string]string{}}
	for name := range maps.Keys(m.Header) {
		out.Headers[name] = m.Header.Get(name)
	}
	for _, once := range []string{"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type"} {
		if n := len(m.Header[once]); n != 1 {
			t.Errorf("%d headers %s", n, once)
		}
	}
	for name, to := range map[string]*netmail.Address{"From": &out.From, "To": &out.To} {
		list, err := m.Header.AddressList(name)
		if err != nil || len(list) != 1 {
			t.Fatalf("%s is %q: %v, %v", name, m.Header.Get(name), list, err)
		}
		*to = *list[0]
	}
	if out.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		t.Errorf("the subject %q: %v", m.Header.Get("Subject"), err)
	}
	if _, err := m.Header.Date(); err != nil {
		t.Errorf("the date: %v", err)
	}
	out.ID = strings.Trim(m.Header.Get("Message-ID"), "<>")
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "multipart/alternative" {
		out.Text = read(t, kind, params, m.Header.Get("Content-Transfer-Encoding"), bytes.NewReader(body))
		return out
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for i, want := range []string{"text/plain", "text/html"} {
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatalf("part %d: %v\n%s", i, err, raw)
		}
		kind, params, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil || kind != want {
			t.Fatalf("part %d is %s, want %s: %v", i, kind, want, err)
		}
		is := read(t, kind, params, p.Header.Get("Content-Transfer-Encoding"), p)
		if i == 0 {
			out.Text = is
		} else {
			out.HTML = is
		}
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		t.Errorf("after the parts: %v", err)
	}
	return out
}

func read(t testing.TB, kind string, params map[string]string, encoding string, r io.Reader) string {
	t.Helper()
	if params["charset"] != "utf-8" || encoding != "quoted-printable" {
		t.Errorf("%s is in %q, %q", kind, params["charset"], encoding)
	}
	b, err := io.ReadAll(quotedprintable.NewReader(r))
	if err != nil {
		t.Errorf("%s: %v", kind, err)
	}
	return string(b)
}
