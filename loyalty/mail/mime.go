package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Lines of a header that holds encoded words have 76 characters at most (RFC 2047, 2). A text that
// fits into short goes as it is where it can.
const lineLength, short = 76, 60

var (
	// RFC 5322's dot-atom before the @, without the quoted forms that mail systems refuse anyway, and
	// a host's name after it (RFC 5321, 2.3.5 and 4.5.3.1).
	address = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~` + "`" + `-]+(\.[A-Za-z0-9!#$%&'*+/=?^_{|}~` + "`" + `-]+)*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)
	token   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,59}$`)
	value   = regexp.MustCompile(`^[ -~]{1,900}$`)

	// ours are the headers that Encode writes, besides all that begin with Content-.
	ours = []string{"from", "to", "cc", "bcc", "sender", "subject", "date", "message-id", "original-message-id",
		"mime-version", "auto-submitted", "return-path", "received", "delivered-to", "dkim-signature"}
)

// Addressable says whether mail can be sent to an address.
func Addressable(addr string) bool {
	local, _, _ := strings.Cut(addr, "@")
	return len(addr) <= 254 && len(local) <= 64 && address.MatchString(addr)
}

// Encode writes the message as it goes over the wire (RFC 5322, RFC 2045 to 2047): of 7-bit lines
// ended by CRLF, the names and the subject without control characters, a text and an HTML part in
// multipart/alternative. The same message from the same sender at the same time is the same bytes.
// What cannot be a mail is an ErrRefused whose words hold nothing of the message.
func (m Message) Encode(from mail.Address, at time.Time) ([]byte, error) {
	refuse := func(format string, args ...any) ([]byte, error) {
		return nil, fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
	}
	switch {
	case !Addressable(m.To.Address):
		return refuse("the address is not one that mail can be sent to")
	case !Addressable(from.Address):
		return refuse("the sender's address is not one that mail can be sent from")
	case !Addressable(m.ID):
		return refuse("its ID is not name@host")
	case m.Text == "":
		return refuse("it has no text")
	}
	var b bytes.Buffer
	header(&b, "From", append(phrase(from.Name), "<"+from.Address+">")...)
	header(&b, "To", append(phrase(m.To.Name), "<"+m.To.Address+">")...)
	header(&b, "Subject", unstructured(m.Subject)...)
	header(&b, "Date", at.Format(time.RFC1123Z))
	header(&b, "Message-ID", "<"+m.ID+">")
	// Amazon SES writes a Message-ID of its own; here the one that we know stays.
	header(&b, "Original-Message-ID", "<"+m.ID+">")
	header(&b, "Auto-Submitted", "auto-generated") // no answers from people who are away (RFC 3834)
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		lower := strings.ToLower(name)
		switch {
		case !token.MatchString(name) || slices.Contains(ours, lower) || strings.HasPrefix(lower, "content-"):
			return refuse("a further header has a name that it cannot have")
		case !value.MatchString(m.Headers[name]):
			return refuse("the header %s is not 1 to 900 printable characters of ASCII", name)
		}
		header(&b, name, strings.Fields(m.Headers[name])...)
	}
	header(&b, "MIME-Version", "1.0")
	if m.HTML == "" {
		part(&b, "text/plain", m.Text)
		return b.Bytes(), nil
	}
	// "=_" stands in no quoted-printable text, so the boundary cannot come from a part.
	sum := sha256.Sum256([]byte(m.ID))
	boundary := "=_" + hex.EncodeToString(sum[:12])
	header(&b, "Content-Type", "multipart/alternative;", `boundary="`+boundary+`"`)
	for _, p := range []struct{ kind, text string }{{"text/plain", m.Text}, {"text/html", m.HTML}} {
		b.WriteString("\r\n--" + boundary + "\r\n")
		part(&b, p.kind, p.text)
	}
	b.WriteString("\r\n--" + boundary + "--\r\n")
	return b.Bytes(), nil
}

// part writes headers and the text of a part.
func part(b *bytes.Buffer, kind, text string) {
	header(b, "Content-Type", kind+";", "charset=utf-8")
	header(b, "Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(b)
	// A buffer takes all.
	_, _ = w.Write([]byte(strings.ToValidUTF8(text, "\uFFFD")))
	_ = w.Close()
}

// header writes one header of words with a space between, and begins a new line where one would be
// too long.
func header(b *bytes.Buffer, name string, words ...string) {
	b.WriteString(name + ":")
	at := len(name) + 1
	for i, word := range words {
		if at+1+len(word) > lineLength && (i > 0 || strings.HasPrefix(word, "=?")) {
			b.WriteString("\r\n")
			at = 0
		}
		b.WriteString(" " + word)
		at += 1 + len(word)
	}
	b.WriteString("\r\n")
}

// phrase is a person's name before an address (RFC 5322, 3.2.5).
func phrase(name string) []string {
	name = clean(name)
	if name == "" {
		return nil
	}
	if !plain(name) {
		return encoded(name)
	}
	return []string{`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`}
}

// unstructured is a subject.
func unstructured(text string) []string {
	if text = clean(text); !plain(text) {
		return encoded(text)
	}
	return []string{text}
}

// clean makes one line of a text.
func clean(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD")))
}

// plain says whether a clean text may stand in a header as it is.
func plain(text string) bool {
	return len(text) <= short && !strings.Contains(text, "=?") && !strings.ContainsFunc(text, func(r rune) bool { return r > '~' })
}

// encoded is a text in encoded words (RFC 2047, 2), each of whole characters.
func encoded(text string) []string {
	const most = 39 // bytes of a word: 64 characters when it is encoded
	var words []string
	for len(text) > 0 {
		n := min(most, len(text))
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n--
		}
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(text[:n]))+"?=")
		text = text[n:]
	}
	return words
}
