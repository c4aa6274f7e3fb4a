package mailbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, dir string, options ...Option) (*Box, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	b, err := Start(t.Context(), dir, slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if strings.Contains(said.String(), "hunter22") {
			t.Errorf("the log has a password: %s", said.String())
		}
	})
	return b, &said
}

func send(t *testing.T, b *Box, to, mail string) {
	t.Helper()
	if err := smtp.SendMail(b.Addr(), nil, "bank@bank.example", []string{to}, []byte(strings.ReplaceAll(mail, "\n", "\r\n"))); err != nil {
		t.Fatal(err)
	}
}

const two = "From: Bank <bank@bank.example>\nTo: a@cards.example\nSubject: =?utf-8?b?4Liq4Lin4Lix4Liq4LiU4Li1?= <script>alert(1)</script>\nMessage-ID: <1@bank.example>\nContent-Type: multipart/alternative; boundary=x\n\n" +
	"--x\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe hunter22 <b> https://portal.example/reset?a=3D1&b=3D2.\n" +
	"--x\nContent-Type: text/html; charset=utf-8\n\n<script>alert(2)</script><p>Hi</p>\n--x--\n"

func TestPages(t *testing.T) {
	b, _ := start(t, t.TempDir())
	send(t, b, "a@cards.example", two)
	send(t, b, "B@cards.example", "Subject: second\n\nplain\n")
	send(t, b, "c@cards.example", "Content-Type: multipart/mixed; boundary=y\n\n--y\nContent-Type: text/plain\n\ncut")
	if err := smtp.SendMail(b.Addr(), nil, "bank@bank.example", []string{"a@bank.invalid"}, []byte("x")); err == nil || !strings.HasPrefix(err.Error(), "550") {
		t.Errorf("an address of .invalid: %v", err)
	}
	outer := http.NewServeMux()
	outer.Handle("/mail/", http.StripPrefix("/mail", b.Handler()))
	srv := httptest.NewServer(outer)
	defer srv.Close()
	defer http.DefaultClient.CloseIdleConnections()
	for _, tc := range []struct {
		name, path, accept, host string
		status                   int
		has, not                 []string
	}{
		{"the list", "/mail/", "", "", 200, []string{"1 to 3 of 3", "สวัสดี &lt;script&gt;", `href="1"`, "B@cards.example"}, []string{"<script>", "hunter22"}},
		{"a page of it", "/mail/?page_size=1&page_no=2", "", "", 200, []string{"2 to 2 of 3", "second", "Newer", "Older"}, []string{"alert"}},
		{"after the last page", "/mail/?page_no=9", "", "", 200, []string{"This page has no mails"}, nil},
		{"a search", "/mail/?to=b%40CARDS", "", "", 200, []string{"1 to 1 of 1", "second"}, []string{"alert"}},
		{"a search that finds nothing", `/mail/?to="><script>`, "", "", 200, []string{"No mail to such", "&lt;script&gt;"}, []string{"<script>"}},
		{"JSON", "/mail/mail.json?to=a@cards.example", "", "", 200, []string{`"total":1`, `"page_size":50`, `"to":["a@cards.example"]`, `"message_id":"1@bank.example"`}, nil},
		{"JSON by Accept", "/mail/", "application/json", "", 200, []string{`"total":3`}, nil},
		{"JSON of none", "/mail/mail.json?to=zzz", "", "", 200, []string{`"data":[]`}, nil},
		{"a mail", "/mail/1", "", "", 200, []string{"Grüße hunter22 &lt;b&gt;", `href="https://portal.example/reset?a=1&amp;b=2"`, `src="1/html" sandbox=""`}, []string{"<script>"}},
		{"a mail as JSON", "/mail/1", "application/json", "", 200, []string{`"text":"Grüße hunter22`, `"html":"\u003cscript`}, nil},
		{"a mail that is cut", "/mail/3", "", "", 200, []string{"(no subject)", "cut"}, nil},
		{"its HTML", "/mail/1/html", "", "", 200, []string{"<p>Hi</p>"}, nil},
		{"its source", "/mail/1/source", "", "", 200, []string{"Delivered-To: a@cards.example\r\n", "Gr=FC=DFe"}, nil},
		{"no such mail", "/mail/99", "", "", 404, []string{`"code":"not_found"`}, nil},
		{"no number", "/mail/..%2f1", "", "", 404, nil, nil},
		{"a number spelt otherwise", "/mail/01", "", "", 404, nil, nil},
		{"a bad page", "/mail/?page_no=0", "", "", 400, []string{`"fields":{"page_no":`}, nil},
		{"a page too large", "/mail/?page_size=1000000000", "", "", 400, []string{`"page_size"`}, nil},
		{"a name that was pointed here", "/mail/", "", "evil.example", 403, []string{"wrong_host"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.URL, err = r.URL.Parse(strings.NewReplacer(`"`, "%22", "<", "%3C", ">", "%3E").Replace(tc.path)); err != nil {
				t.Fatal(err)
			}
			r.Host = tc.host
			if tc.accept != "" {
				r.Header.Set("Accept", tc.accept)
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tc.status {
				t.Errorf("%d, want %d: %s", res.StatusCode, tc.status, body)
			}
			for _, w := range tc.has {
				if !strings.Contains(string(body), w) {
					t.Errorf("it has no %q:\n%s", w, body)
				}
			}
			for _, w := range tc.not {
				if strings.Contains(string(body), w) {
					t.Errorf("it has %q:\n%s", w, body)
				}
			}
			if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.HasSuffix(tc.path, "/html") != strings.HasPrefix(csp, "sandbox; default-src 'none'; style-src") {
				t.Errorf("policy %q", csp)
			}
		})
	}
}

func TestKeptOverRestartsAndBounded(t *testing.T) {
	dir := t.TempDir()
	b, _ := start(t, dir, Keep(3))
	for i := range 5 {
		send(t, b, "a@cards.example", fmt.Sprintf("Subject: %d\n\n.\nx\n", i))
	}
	before := b.Mails("")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "000000000009.eml.new"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, _ = start(t, dir, Keep(3))
	after := b.Mails("")
	if len(after) != 3 || after[0].Subject != "4" || after[2].Subject != "2" {
		t.Errorf("%+v", after)
	}
	for i := range after {
		before[i].At = after[i].At // kept in seconds
		x, _ := json.Marshal(before[i])
		if y, _ := json.Marshal(after[i]); string(x) != string(y) {
			t.Errorf("%s was %s", y, x)
		}
	}
	send(t, b, "a@cards.example", "Subject: 5\n\nx\n")
	if now := b.Mails(""); now[0].ID != 6 || len(now) != 3 {
		t.Errorf("%+v", now)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 3 {
		t.Errorf("%v %v", files, err)
	}
	big := "Subject: big\n\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", MaxSize/70)
	if err := smtp.SendMail(b.Addr(), nil, "bank@bank.example", []string{"a@cards.example"}, []byte(big)); err == nil {
		t.Error("a mail that is too long was taken")
	}
}

func TestBeyondThisMachine(t *testing.T) {
	if b, err := Start(t.Context(), t.TempDir(), nil, Listen("0.0.0.0:0")); err == nil {
		b.Close()
		t.Error("it listens to all")
	}
}
