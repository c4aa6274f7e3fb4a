// Package mail sends emails: the message, and what every way of sending promises. smtp and ses, beside
// it, are the ways.
package mail

import (
	"context"
	"errors"
	"net/mail"
	"strings"
	"unicode"
)

// Message is one email to one person. Its texts may come from strangers: whoever sends it encodes
// them, so that none can become a header.
type Message struct {
	ID      string       // the Message-ID without its angle brackets: the same message sent again has the same
	To      mail.Address // Name may be ""
	Subject string
	Text    string            // the plain part; never ""
	HTML    string            // the HTML part, or ""
	Headers map[string]string // further ones, such as List-Unsubscribe
}

// Sender sends. It may be called by several goroutines at once.
type Sender interface {
	// Send returns nil when the mail system has taken the message. An error that matches ErrRefused is
	// for good; after any other the message may have been sent, and is worth trying again under the
	// same ID. It returns soon after ctx ends.
	Send(ctx context.Context, m Message) error
}

// ErrRefused says that a message will not be taken, however often it is sent: its address is none, or
// the mail system says so.
var ErrRefused = errors.New("the mail was refused")

// OneLine makes of a stranger's text one line that turns the direction of nothing behind it.
func OneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || '\u2028' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}
