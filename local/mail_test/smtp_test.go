package mail_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	netmail "net/mail"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/angelowl-loyalties/app/local/mailbox"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/config/tlstest"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/mail/mailer"
	"github.com/angelowl-loyalties/app/loyalty/mail/mailtest"
	"github.com/angelowl-loyalties/app/loyalty/mail/smtp"
)

var from = netmail.Address{Name: "Example Bank", Address: "rewards@bank.example"}

func open(t *testing.T, s mailer.Settings) mailer.Sender {
	t.Helper()
	s.From = mailer.From{Address: from}
	if s.Timeout == 0 {
		s.Timeout = 30 * time.Second
	}
	s.Connections = 3
	if problems := append(s.Files.Check(), s.Check()...); len(problems) > 0 {
		t.Fatal(problems)
	}
	sender, err := mailer.Open(t.Context(), &s, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sender.Close(); err != nil {
			t.Error(err)
		}
	})
	return sender
}

func hostPort(t *testing.T, addr string) (string, config.Port) {
	t.Helper()
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return host, config.Port(port)
}

// TestMailbox is the way of `make up`: without encryption, to the mailbox.
func TestMailbox(t *testing.T) {
	mailtest.Conform(t, func(t *testing.T) mailtest.World {
		box, err := mailbox.Start(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { box.Close() })
		line := newLine(t, box.Addr())
		host, port := hostPort(t, line.Addr())
		return mailtest.World{
			Sender: open(t, mailer.Settings{Host: host, Port: port, TLS: mailer.Mode(smtp.Plain)}), From: from, Refused: "nobody@bank.invalid",
			Arrived: func(t testing.TB, to string) (all [][]byte) {
				for _, m := range box.Mails(to) {
					if m.To[0] != to {
						continue
					}
					raw, err := box.Source(m.ID)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, raw)
				}
				return all
			},
			Stall: func(testing.TB) { line.stalled.Store(true) },
		}
	})
}

// TestEncrypted is a bank's way: signing in over STARTTLS, or over TLS from the first byte on.
func TestEncrypted(t *testing.T) {
	for _, mode := range []smtp.Mode{smtp.StartTLS, smtp.TLS} {
		t.Run(string(mode), func(t *testing.T) {
			mailtest.Conform(t, func(t *testing.T) mailtest.World {
				s := newServer(t, mode)
				line := newLine(t, s.addr)
				host, port := hostPort(t, line.Addr())
				return mailtest.World{
					Sender: open(t, mailer.Settings{Host: host, Port: port, TLS: mailer.Mode(mode), Files: config.TLS{CA: s.ca}, Username: "user", Password: config.NewSecret("pass-phrase")}),
					From:   from, Refused: "550@cards.example", Arrived: s.arrived,
					Stall: func(testing.TB) { line.stalled.Store(true) },
				}
			})
		})
	}
}

// TestAnswers says what becomes of each answer of a server.
func TestAnswers(t *testing.T) {
	s := newServer(t, smtp.StartTLS)
	host, port := hostPort(t, s.addr)
	settings := mailer.Settings{Host: host, Port: port, TLS: mailer.Mode(smtp.StartTLS), Files: config.TLS{CA: s.ca}, Username: "user", Password: config.NewSecret("pass-phrase")}
	sender := open(t, settings)
	for _, tc := range []struct {
		to      string
		refused bool
		words   string
	}{
		{"550@cards.example", true, "550 5.1.1"}, {"551@cards.example", true, "551 5.1.1"}, {"530@cards.example", false, "530 5.1.1"},
		{"450@cards.example", false, "450 4.1.1"}, {"421@cards.example", false, "421 4.1.1"},
		{"data554@cards.example", true, "554 5.1.1"}, {"data451@cards.example", false, "451 4.1.1"}, {"ok@cards.example", false, ""},
	} {
		m := mail.Message{ID: "1@bank.example", To: netmail.Address{Address: tc.to}, Subject: "s", Text: "hunter22hunter"}
		err := sender.Send(t.Context(), m)
		if (err == nil) != (tc.words == "") || errors.Is(err, mail.ErrRefused) != tc.refused {
			t.Errorf("%s: %v", tc.to, err)
			continue
		}
		if err != nil && (!strings.Contains(err.Error(), tc.words) || strings.Contains(err.Error(), "hunter22")) {
			t.Errorf("%s: %v", tc.to, err)
		}
	}

	wrong := settings
	wrong.Password = config.NewSecret("wrong-pass-phrase")
	m := mail.Message{ID: "1@bank.example", To: netmail.Address{Address: "ok@cards.example"}, Subject: "s", Text: "t"}
	if err := open(t, wrong).Send(t.Context(), m); err == nil || errors.Is(err, mail.ErrRefused) || strings.Contains(err.Error(), "phrase") || !strings.Contains(err.Error(), "535") {
		t.Errorf("a wrong password: %v", err)
	}
	stranger := settings
	stranger.Files = config.TLS{}
	if err := open(t, stranger).Send(t.Context(), m); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody that we know: %v", err)
	}

	box, err := mailbox.Start(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	host, port = hostPort(t, box.Addr())
	if err := open(t, mailer.Settings{Host: host, Port: port, TLS: mailer.Mode(smtp.StartTLS)}).Send(t.Context(), m); err == nil || !strings.Contains(err.Error(), "STARTTLS") || len(box.Mails("")) > 0 {
		t.Errorf("a server without STARTTLS: %v", err)
	}
}

// TestConnections are used again, and made anew when the server has ended them.
func TestConnections(t *testing.T) {
	s := newServer(t, smtp.StartTLS)
	line := newLine(t, s.addr)
	host, port := hostPort(t, line.Addr())
	sender := open(t, mailer.Settings{Host: host, Port: port, TLS: mailer.Mode(smtp.StartTLS), Files: config.TLS{CA: s.ca}})
	send := func() {
		t.Helper()
		if err := sender.Send(t.Context(), mail.Message{ID: "1@bank.example", To: netmail.Address{Address: "a@cards.example"}, Subject: "s", Text: "t"}); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		send()
	}
	if n := line.made.Load(); n != 1 {
		t.Errorf("20 mails took %d connections", n)
	}
	line.cut()
	send()
	if n := line.made.Load(); n != 2 {
		t.Errorf("after the server had ended it: %d connections", n)
	}
	if n := len(s.arrived(t, "a@cards.example")); n != 21 {
		t.Errorf("%d mails arrived, want 21", n)
	}
}

// server is an SMTP server that signs in and encrypts; addresses that begin with a code get it.
type server struct {
	addr, ca string

	mu    sync.Mutex
	mails map[string][][]byte
}

func newServer(t *testing.T, mode smtp.Mode) *server {
	t.Helper()
	authority := tlstest.New(t)
	pair, err := tls.LoadX509KeyPair(authority.Issue("server", "127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{mails: map[string][][]byte{}, ca: authority.CA()}
	srv := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return &session{s: s}, nil }))
	srv.Domain, srv.ErrorLog = "localhost", silent{}
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	if mode == smtp.TLS {
		l = tls.NewListener(l, srv.TLSConfig)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return s
}

func (s *server) arrived(_ testing.TB, to string) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails[to]
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

type session struct {
	s  *server
	to string
}

func (*session) Reset()                                 {}
func (*session) Logout() error                          { return nil }
func (*session) Mail(string, *gosmtp.MailOptions) error { return nil }
func (*session) AuthMechanisms() []string               { return []string{sasl.Plain} }
func (*session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "user" || password != "pass-phrase" {
			return &gosmtp.SMTPError{Code: 535, EnhancedCode: gosmtp.EnhancedCode{5, 7, 8}, Message: "not " + password}
		}
		return nil
	}), nil
}

// code is the answer that an address asks for.
func code(to, prefix, words string) error {
	after, ok := strings.CutPrefix(to, prefix)
	n, err := strconv.Atoi(strings.SplitN(after, "@", 2)[0])
	if !ok || err != nil {
		return nil
	}
	return &gosmtp.SMTPError{Code: n, EnhancedCode: gosmtp.EnhancedCode{n / 100, 1, 1}, Message: words}
}

func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.to = to
	return code(to, "", "no "+to)
}

func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := code(s.to, "data", "I do not like "+string(b[len(b)-20:])); err != nil {
		return err
	}
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	s.s.mails[s.to] = append(s.s.mails[s.to], bytes.Clone(b))
	return nil
}

// line is a TCP connection's way to a server, which can be cut, and can fall silent.
type line struct {
	net.Listener
	stalled atomic.Bool
	made    atomic.Int32

	mu    sync.Mutex
	conns []net.Conn
	wg    sync.WaitGroup
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{Listener: l}
	n.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := new(net.Dialer).DialContext(context.Background(), "tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			n.made.Add(1)
			n.mu.Lock()
			n.conns = append(n.conns, in, out)
			n.mu.Unlock()
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				n.wg.Go(func() { n.pass(pair[0], pair[1]) })
			}
		}
	})
	t.Cleanup(func() { l.Close(); n.cut(); n.wg.Wait() })
	return n
}

func (n *line) Addr() string { return n.Listener.Addr().String() }

func (n *line) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 4096)
	for {
		k, err := from.Read(buf)
		if err != nil {
			return
		}
		if n.stalled.Load() {
			continue
		}
		if _, err := to.Write(buf[:k]); err != nil {
			return
		}
	}
}

// cut ends all connections.
func (n *line) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		c.Close()
	}
	n.conns = nil
}
