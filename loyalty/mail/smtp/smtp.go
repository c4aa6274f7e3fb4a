// Package smtp sends mail through an SMTP server.
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"
	wire "github.com/wneessen/go-mail/smtp"

	"github.com/angelowl-loyalties/app/loyalty/config"
	loyaltymail "github.com/angelowl-loyalties/app/loyalty/mail"
)

// Mode is how a connection is encrypted.
type Mode string

// The modes.
const (
	StartTLS Mode = "starttls" // from plain on, and not without; port 587
	TLS      Mode = "tls"      // from the first byte on; port 465
	Plain    Mode = "none"     // not at all: for a server on this machine
)

// Config says which server, and how.
type Config struct {
	From        mail.Address
	Host        string
	Port        int
	Mode        Mode
	TLS         *tls.Config   // nil: the machine's authorities
	Username    string        // "": without signing in
	Password    config.Secret //
	Timeout     time.Duration // of connecting, and of each mail
	Connections int           // at once, at most; further mails wait
	Clock       func() time.Time
}

// Sender is a mail.Sender. It keeps connections for further mails.
type Sender struct {
	cfg    Config
	dialer *gomail.Client
	slots  chan struct{}

	mu     sync.Mutex
	idle   []*conn // the one used last is at the end
	closed bool
}

// keep is how long an idle connection is used again: less than servers and what is between wait.
const keep = 30 * time.Second

// New returns a sender; it does not connect yet.
func New(cfg Config) (*Sender, error) {
	switch {
	case cfg.Mode == Plain && !Loopback(cfg.Host):
		return nil, errors.New("mail without encryption goes to a server on this machine alone")
	case cfg.Mode != Plain && cfg.Mode != TLS && cfg.Mode != StartTLS:
		return nil, fmt.Errorf("%q is no way to encrypt a connection to a mail server", cfg.Mode)
	case cfg.Timeout <= 0 || cfg.Connections <= 0 || cfg.Clock == nil:
		return nil, errors.New("sending mail by SMTP needs a timeout, a number of connections and a clock")
	case !loyaltymail.Addressable(cfg.From.Address):
		return nil, errors.New("the sender of mail has no address")
	}
	if cfg.TLS == nil {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	cfg.TLS = cfg.TLS.Clone()
	cfg.TLS.ServerName = cfg.Host
	policy := gomail.TLSMandatory
	if cfg.Mode != StartTLS {
		policy = gomail.NoTLS // TLS from the first byte on is connect's
	}
	dialer, err := gomail.NewClient(cfg.Host, gomail.WithPort(cfg.Port), gomail.WithTimeout(cfg.Timeout), gomail.WithTLSConfig(cfg.TLS),
		gomail.WithTLSPolicy(policy), gomail.WithDialContextFunc(connect(cfg)))
	if err != nil {
		return nil, fmt.Errorf("preparing to send mail through %s: %w", cfg.Host, err)
	}
	return &Sender{cfg: cfg, dialer: dialer, slots: make(chan struct{}, cfg.Connections)}, nil
}

// Loopback says whether a host is this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// conn is a connection that is ready for a mail.
type conn struct {
	client *wire.Client
	net    net.Conn
	used   time.Time // when it became idle
}

type connKey struct{}

// connect opens the connection that go-mail asks for and keeps it in the context's holder, so that
// the end of a context can close it.
func connect(cfg Config) gomail.DialContextFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d interface {
			DialContext(ctx context.Context, network, addr string) (net.Conn, error)
		} = &net.Dialer{}
		if cfg.Mode == TLS {
			d = &tls.Dialer{Config: cfg.TLS}
		}
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		ctx.Value(connKey{}).(*holder).set(c)
		return c, nil
	}
}

// holder closes a connection that is opened now or later.
type holder struct {
	mu     sync.Mutex
	conn   net.Conn
	closed bool
}

func (h *holder) set(c net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conn = c
	if h.closed {
		_ = c.Close()
	}
}

func (h *holder) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.conn != nil {
		_ = h.conn.Close()
	}
}

// dial connects and signs in.
func (s *Sender) dial(ctx context.Context) (*conn, error) {
	h := &holder{}
	stop := context.AfterFunc(ctx, h.close)
	client, err := s.dialer.DialToSMTPClientWithContext(context.WithValue(ctx, connKey{}, h))
	if err != nil {
		stop()
		h.close()
		return nil, fmt.Errorf("connecting to the mail server %s: %w", s.dialer.ServerAddr(), err)
	}
	if err = s.signIn(client); err != nil || !stop() {
		h.close()
		return nil, errors.Join(err, ctx.Err())
	}
	return &conn{client: client, net: h.conn}, nil
}

// signIn says who we are. What the server says to that is not repeated: it may hold what we said.
func (s *Sender) signIn(client *wire.Client) error {
	if s.cfg.Username == "" {
		return nil
	}
	_, listed := client.Extension("AUTH")
	offered := strings.Fields(listed)
	name, password, plainToo := s.cfg.Username, s.cfg.Password.Reveal(), s.cfg.Mode == Plain
	var auth wire.Auth
	switch {
	case slices.Contains(offered, "PLAIN"):
		auth = wire.PlainAuth("", name, password, s.cfg.Host, plainToo)
	case slices.Contains(offered, "LOGIN"):
		auth = wire.LoginAuth(name, password, s.cfg.Host, plainToo)
	case slices.Contains(offered, "CRAM-MD5"):
		auth = wire.CRAMMD5Auth(name, password)
	default:
		return errors.New("the mail server offers no way to sign in that we know (PLAIN, LOGIN, CRAM-MD5); without a user there is no signing in")
	}
	if err := client.Auth(auth); err != nil {
		return answer("signing in; are the user and the password right?", err)
	}
	return nil
}

// Send is mail.Sender's.
func (s *Sender) Send(ctx context.Context, m loyaltymail.Message) error {
	b, err := m.Encode(s.cfg.From, s.cfg.Clock())
	if err != nil {
		return err
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return fmt.Errorf("waiting to send a mail: %w", ctx.Err())
	}
	for {
		c, err := s.take()
		if err != nil {
			return err
		}
		kept := c != nil
		if !kept {
			if c, err = s.dial(ctx); err != nil {
				return ended(ctx, err)
			}
		}
		again, err := s.deliver(ctx, c, m.To.Address, b)
		if again && kept && ctx.Err() == nil {
			continue // the server had ended it meanwhile, and has nothing of the mail
		}
		return ended(ctx, err)
	}
}

// ended is an error, or the context's where that is why.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !errors.Is(err, loyaltymail.ErrRefused) {
		return fmt.Errorf("sending a mail: %w", ctx.Err())
	}
	return err
}

// deliver sends one mail and gives the connection back, or closes it. again says that the
// connection was at its end before it took anything of the mail.
func (s *Sender) deliver(ctx context.Context, c *conn, to string, b []byte) (again bool, err error) {
	stop := context.AfterFunc(ctx, func() { _ = c.net.Close() })
	healthy := false
	defer func() {
		if stop() && healthy {
			s.give(c)
		} else {
			_ = c.net.Close()
		}
	}()
	if err := c.client.UpdateDeadline(s.cfg.Timeout); err != nil {
		return true, answer("beginning a mail", err)
	}
	if err := c.client.Mail("<" + s.cfg.From.Address + ">"); err != nil {
		return gone(err), answer("naming the sender", err)
	}
	if err := c.client.Rcpt("<" + to + ">"); err != nil {
		if final(err) {
			healthy = c.client.Reset() == nil
			return false, fmt.Errorf("%w: %w", loyaltymail.ErrRefused, answer("naming the recipient", err))
		}
		return gone(err), answer("naming the recipient", err)
	}
	w, err := c.client.Data()
	if err != nil {
		return gone(err), answer("beginning the text", err)
	}
	if _, err := w.Write(b); err != nil {
		return false, answer("sending the text", err)
	}
	if err := w.Close(); err != nil {
		if final(err) {
			healthy = c.client.Reset() == nil
			return false, fmt.Errorf("%w: %w", loyaltymail.ErrRefused, answer("ending the text", err))
		}
		return false, answer("ending the text", err)
	}
	healthy = true
	return false, nil
}

// final says whether the server's answer is for good, and about this mail rather than about us.
func final(err error) bool {
	var said *textproto.Error
	if !errors.As(err, &said) || said.Code < 500 {
		return false
	}
	switch said.Code {
	case 500, 502, 503, 504, 521, 530, 534, 535, 538: // a command, or signing in and TLS
		return false
	}
	return true
}

// gone says whether the server ended the connection (421), or the network did.
func gone(err error) bool {
	var said *textproto.Error
	return !errors.As(err, &said) || said.Code == 421
}

var enhanced = regexp.MustCompile(`(?m)^[245]\.\d{1,3}\.\d{1,3}\b`)

// answer is an error without the words of the server, which may repeat the mail or its address: the
// code (RFC 5321) and the one of RFC 3463 say what it is.
func answer(doing string, err error) error {
	var (
		said *textproto.Error
		net  net.Error
	)
	switch {
	case errors.As(err, &said):
		code := fmt.Sprint(said.Code)
		if e := enhanced.FindString(said.Msg); e != "" {
			code += " " + e
		}
		return fmt.Errorf("the mail server answered %s to %s", code, doing)
	case errors.As(err, &net), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: the mail server is gone: %w", doing, err)
	}
	return fmt.Errorf("%s: the mail server's answer makes no sense", doing)
}

// take returns an idle connection, or nil.
func (s *Sender) take() (*conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("sending of mail has been closed")
	}
	now := s.cfg.Clock()
	for len(s.idle) > 0 {
		last := len(s.idle) - 1
		c := s.idle[last]
		s.idle = s.idle[:last]
		if now.Sub(c.used) < keep {
			return c, nil
		}
		_ = c.net.Close()
	}
	return nil, nil
}

func (s *Sender) give(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = c.net.Close()
		return
	}
	c.used = s.cfg.Clock()
	s.idle = append(s.idle, c)
}

// Close ends the idle connections; those of mails that are being sent end with them.
func (s *Sender) Close() error {
	s.mu.Lock()
	idle := s.idle
	s.idle, s.closed = nil, true
	s.mu.Unlock()
	for _, c := range idle {
		// The server may have gone long ago: that is no failure.
		_ = c.client.UpdateDeadline(time.Second)
		_ = c.client.Quit()
		_ = c.net.Close()
	}
	return nil
}
