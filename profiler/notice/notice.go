// Package notice writes the mails about accounts: what happened, what it means, and what to do.
package notice

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	netmail "net/mail"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty/mail"
)

//go:embed templates
var files embed.FS

var (
	texts = texttemplate.Must(texttemplate.ParseFS(files, "templates/*.txt"))
	pages = htmltemplate.Must(htmltemplate.ParseFS(files, "templates/*.html"))
)

// Reset is what whoever forgot a password gets: a link that is good once, for so many minutes.
func Reset(to netmail.Address, link string, valid time.Duration) (mail.Message, error) {
	return write("reset", to, "Choose a new AngelOwl password", map[string]any{"Link": link, "Minutes": int(valid.Minutes())})
}

// PasswordChanged tells the owner of an account that its password is another.
func PasswordChanged(to netmail.Address, portal string) (mail.Message, error) {
	return write("password_changed", to, "Your AngelOwl password was changed", map[string]any{"Portal": portal})
}

// EmailChanged tells the old address that an account has another now. Of the new one it shows as much
// as its owner needs to know it again.
func EmailChanged(old netmail.Address, now string) (mail.Message, error) {
	return write("email_changed", old, "Your AngelOwl email address was changed", map[string]any{"Now": hide(now)})
}

// FirstPassword brings a password that is good until a time, and for nothing but choosing another.
func FirstPassword(to netmail.Address, password, portal string, until time.Time) (mail.Message, error) {
	return write("first_password", to, "Your first AngelOwl password", map[string]any{
		"Email": to.Address, "Password": password, "Portal": portal, "Until": until.Format("Monday, 2 January 2006, 15:04 MST"),
	})
}

func write(name string, to netmail.Address, subject string, about map[string]any) (mail.Message, error) {
	about["Name"] = mail.OneLine(to.Name)
	var text, page bytes.Buffer
	if err := texts.ExecuteTemplate(&text, name+".txt", about); err != nil {
		return mail.Message{}, fmt.Errorf("writing the mail %s: %w", name, err)
	}
	if err := pages.ExecuteTemplate(&page, name+".html", about); err != nil {
		return mail.Message{}, fmt.Errorf("writing the mail %s: %w", name, err)
	}
	return mail.Message{
		ID: uuid.NewString() + "@angelowl", To: to, Subject: subject, Text: text.String(), HTML: page.String(),
	}, nil
}

// hide leaves the first letter of a mailbox.
func hide(address string) string {
	box, domain, ok := strings.Cut(address, "@")
	if !ok || box == "" {
		return "another address"
	}
	return string([]rune(box)[:1]) + "…@" + domain
}
