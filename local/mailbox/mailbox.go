// Package mailbox is a mail server for a laptop and for tests: it takes every mail, keeps the newest
// as .eml files, shows them on a page and passes none on.
package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	keepDefault = 1000
	// MaxSize is how many bytes a mail may have.
	MaxSize = 10 << 20
	most    = 100 // recipients of one mail
)

// Option is one of Start's.
type Option func(*Box)

// Keep says how many mails are kept; without it the newest 1,000.
func Keep(mails int) Option { return func(b *Box) { b.keep = mails } }

// Listen says where to listen; without it on a free port of 127.0.0.1. Whoever reaches the port can
// send, and whoever sees the page can read first passwords: it must be of this machine alone.
func Listen(addr string) Option { return func(b *Box) { b.listen = addr } }

// Box is a running mail server.
type Box struct {
	dir, listen string
	keep        int
	log         *slog.Logger
	addr        net.Addr
	srv         *smtp.Server
	served      chan error
	once        sync.Once
	failed      error

	mu    sync.Mutex
	last  int64
	mails []Mail // the oldest first
}

// Mail is what the list says of a mail.
type Mail struct {
	ID        int64     `json:"id"`
	To        []string  `json:"to"` // as it was delivered
	From      string    `json:"from"`
	Subject   string    `json:"subject"`
	MessageID string    `json:"message_id"`
	At        time.Time `json:"at"`
	Size      int64     `json:"size"`
}

// ErrGone is a mail that is not there, or not any more.
var ErrGone = errors.New("there is no such mail")

// Start serves the mails of dir, which it makes, until Close.
func Start(ctx context.Context, dir string, log *slog.Logger, options ...Option) (*Box, error) {
	b := &Box{dir: dir, listen: "127.0.0.1:0", keep: keepDefault, log: log, served: make(chan error, 1)}
	for _, o := range options {
		o(b)
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if err := b.load(); err != nil {
		return nil, fmt.Errorf("opening the mailbox %s: %w", dir, err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", b.listen)
	if err != nil {
		return nil, fmt.Errorf("listening for mail: %w", err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return nil, errors.Join(fmt.Errorf("the mailbox listens on this machine alone, and %s is beyond it", l.Addr()), l.Close())
	}
	b.addr = l.Addr()
	b.srv = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{box: b}, nil }))
	b.srv.Domain, b.srv.ErrorLog = "localhost", logger{b.log}
	b.srv.MaxMessageBytes, b.srv.MaxRecipients = MaxSize, most
	b.srv.ReadTimeout, b.srv.WriteTimeout = 2*time.Minute, time.Minute
	go func() { b.served <- b.srv.Serve(l) }()
	return b, nil
}

// Addr is host:port of the SMTP server: no encryption, no signing in.
func (b *Box) Addr() string { return b.addr.String() }

// Close stops taking mail. The files stay.
func (b *Box) Close() error {
	b.once.Do(func() {
		err := b.srv.Close()
		if s := <-b.served; !errors.Is(s, smtp.ErrServerClosed) {
			err = errors.Join(err, s)
		}
		b.failed = err
	})
	return b.failed
}

// Mails returns those to recipients that contain a text, in any case, the newest first; "" is all.
func (b *Box) Mails(to string) []Mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	to = strings.ToLower(strings.TrimSpace(to))
	out := make([]Mail, 0, len(b.mails))
	for _, m := range slices.Backward(b.mails) {
		if slices.ContainsFunc(m.To, func(addr string) bool { return strings.Contains(strings.ToLower(addr), to) }) {
			out = append(out, m)
		}
	}
	return out
}

// Source returns a mail with the headers of its delivery, as its file holds it.
func (b *Box) Source(id int64) ([]byte, error) {
	raw, err := os.ReadFile(b.file(id))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrGone
	}
	return raw, err
}

func (b *Box) file(id int64) string { return filepath.Join(b.dir, fmt.Sprintf("%012d.eml", id)) }

// load reads what an earlier run has left.
func (b *Box) load() error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	files, err := os.ReadDir(b.dir) // sorted, so the oldest first
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".new") { // of a run that ended meanwhile
			if err := os.Remove(filepath.Join(b.dir, f.Name())); err != nil {
				return err
			}
		}
		id, err := strconv.ParseInt(strings.TrimSuffix(f.Name(), ".eml"), 10, 64)
		if err != nil || id <= 0 || f.Name() != filepath.Base(b.file(id)) {
			continue
		}
		m, err := b.summary(id)
		if err != nil {
			return err
		}
		b.mails, b.last = append(b.mails, m), id
	}
	return b.trim()
}

// summary reads the headers of a file.
func (b *Box) summary(id int64) (Mail, error) {
	f, err := os.Open(b.file(id))
	if err != nil {
		return Mail{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Mail{}, err
	}
	m := summarise(f)
	m.ID, m.Size = id, info.Size()
	if m.At.IsZero() {
		m.At = info.ModTime().UTC()
	}
	return m, nil
}

// trim removes the oldest mails that are too many. The lock is held, or nobody else is there yet.
func (b *Box) trim() error {
	for len(b.mails) > b.keep {
		if err := os.Remove(b.file(b.mails[0].ID)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		b.mails = b.mails[1:]
	}
	return nil
}

// put keeps a mail. It is there whole when put returns, or not at all.
func (b *Box) put(from string, to []string, raw []byte) error {
	var head bytes.Buffer
	at := time.Now().UTC()
	fmt.Fprintf(&head, "Return-Path: <%s>\r\n", from)
	for _, addr := range to {
		fmt.Fprintf(&head, "Delivered-To: %s\r\n", addr)
	}
	fmt.Fprintf(&head, "Received: by localhost with ESMTP; %s\r\n", at.Format(time.RFC1123Z))
	b.mu.Lock()
	defer b.mu.Unlock()
	id := b.last + 1
	file := b.file(id)
	tmp := file + ".new"
	whole := append(head.Bytes(), raw...)
	if err := os.WriteFile(tmp, whole, 0o600); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, file); err != nil {
		return err
	}
	b.last = id
	m := summarise(bytes.NewReader(whole))
	m.ID, m.Size = id, int64(len(whole))
	b.mails = append(b.mails, m)
	b.log.Debug("a mail came", "id", id, "bytes", len(raw), "recipients", len(to))
	return b.trim()
}

// session is one conversation of SMTP.
type session struct {
	box  *Box
	from string
	to   []string
}

func (s *session) Reset()        { s.from, s.to = "", nil }
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

// Rcpt takes every address but those of .invalid, a domain that never exists (RFC 6761, 6.4).
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.ContainsFunc(to, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.HasSuffix(strings.ToLower(to), ".invalid") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 2}, Message: "no such domain"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.box.put(s.from, s.to, raw); err != nil {
		s.box.log.Error("a mail could not be kept", "error", err)
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "it could not be kept; try again"}
	}
	return nil
}

// logger is go-smtp's. What it says of a mail is not repeated.
type logger struct{ log *slog.Logger }

func (l logger) Printf(string, ...any) { l.log.Debug("a conversation of SMTP went wrong") }
func (l logger) Println(...any)        { l.log.Debug("a conversation of SMTP went wrong") }
