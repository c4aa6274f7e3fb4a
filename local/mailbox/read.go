package mailbox

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // what is not in UTF-8
	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-message/textproto"
)

// summarise reads the headers of a mail, as far as they are any.
func summarise(r io.Reader) Mail {
	raw, err := textproto.ReadHeader(bufio.NewReader(r))
	h := mail.Header{Header: message.Header{Header: raw}}
	m := Mail{To: []string{}}
	for f := h.FieldsByKey("Delivered-To"); f.Next(); {
		m.To = append(m.To, f.Value())
	}
	if err != nil {
		m.Subject = "(headers that cannot be read)"
		return m
	}
	text := func(key string) string {
		t, err := h.Text(key)
		if err != nil {
			return h.Get(key)
		}
		return t
	}
	m.Subject, m.From = text("Subject"), text("From")
	m.MessageID = strings.Trim(h.Get("Message-ID"), "<> ")
	_, at, _ := strings.Cut(h.Get("Received"), ";")
	if t, err := time.Parse(time.RFC1123Z, strings.TrimSpace(at)); err == nil {
		m.At = t.UTC()
	}
	return m
}

// Content is a mail's parts, in UTF-8.
type Content struct {
	Text    string              `json:"text"`
	HTML    string              `json:"html"`
	Headers map[string][]string `json:"headers"`
	Problem string              `json:"problem,omitempty"` // why not all of it could be read
}

// parts reads a mail: its first plain and its first HTML text.
func parts(r io.Reader) Content {
	c := Content{Headers: map[string][]string{}}
	e, err := message.Read(r)
	if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		c.Problem = "the mail cannot be read: " + err.Error()
		return c
	}
	for f := e.Header.Fields(); f.Next(); {
		value, err := f.Text()
		if err != nil {
			value = f.Value()
		}
		c.Headers[f.Key()] = append(c.Headers[f.Key()], value)
	}
	err = e.Walk(func(_ []int, part *message.Entity, err error) error {
		if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
			return err
		}
		kind, _, typeErr := part.Header.ContentType()
		if typeErr != nil {
			kind = "text/plain"
		}
		var to *string
		switch {
		case kind == "text/plain" && c.Text == "":
			to = &c.Text
		case kind == "text/html" && c.HTML == "":
			to = &c.HTML
		default:
			return nil
		}
		b, readErr := io.ReadAll(io.LimitReader(part.Body, MaxSize))
		*to = strings.ToValidUTF8(string(b), "\uFFFD")
		return readErr
	})
	if err != nil {
		c.Problem = fmt.Sprint("a part cannot be read: ", err)
	}
	return c
}
