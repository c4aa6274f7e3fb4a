package emailer

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	htmltemplate "html/template"
	netmail "net/mail"
	"slices"
	texttemplate "text/template"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/mail"
)

//go:embed templates
var files embed.FS

var (
	text = texttemplate.Must(texttemplate.ParseFS(files, "templates/rewards.txt"))
	page = htmltemplate.Must(htmltemplate.ParseFS(files, "templates/rewards.html"))
)

// mostListed is how many transactions a mail lists; all of them count in its totals.
const mostListed = 100

// letter is what the templates show.
type letter struct {
	Name   string
	Day    string
	Earned bool // more than 0 of some programme
	Totals []total
	Lines  []shown
	More   int // transactions that are not listed
	Portal string
	Stop   string // the page on which the reader ends these mails
	click  string // the same, for mail programs
}

// total is what a programme gave.
type total struct {
	Programme string
	Units     string // with the unit
	unit      string
	sum       loyalty.Units
}

type shown struct{ Date, Merchant, Amount, Card, Units, Programme, Reason string }

// letter is an account's of a day.
func (h *Handler) letter(day loyalty.Date, name, unsubscribe string, lines []line) (*letter, error) {
	l := &letter{
		Name: mail.OneLine(name), Day: long(day), Portal: h.cfg.Portal,
		Stop: h.cfg.Portal + "/unsubscribe/" + unsubscribe, click: h.cfg.API + "/unsubscribe/" + unsubscribe,
		More: max(0, len(lines)-mostListed),
	}
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(b.Date, a.Date) })
	for i, r := range lines {
		units := loyalty.Units{Value: r.Units, Digits: r.Decimals}
		at := slices.IndexFunc(l.Totals, func(t total) bool {
			return t.Programme == mail.OneLine(r.Programme) && t.unit == r.Unit && t.sum.Digits == r.Decimals
		})
		if at < 0 {
			at = len(l.Totals)
			l.Totals = append(l.Totals, total{Programme: mail.OneLine(r.Programme), unit: r.Unit, sum: loyalty.Units{Digits: r.Decimals}})
		}
		var err error
		if l.Totals[at].sum, err = l.Totals[at].sum.Add(units); err != nil {
			return nil, fmt.Errorf("adding rewards up: %w", err)
		}
		if i < mostListed {
			l.Lines = append(l.Lines, shown{
				Date: long(r.Date), Merchant: mail.OneLine(r.Merchant), Amount: r.Amount, Card: r.Card, Units: withUnit(units, r.Unit),
				Programme: mail.OneLine(r.Programme), Reason: mail.OneLine(r.Reason),
			})
		}
	}
	slices.SortFunc(l.Totals, func(a, b total) int {
		return cmp.Or(cmp.Compare(a.Programme, b.Programme), cmp.Compare(a.unit, b.unit), cmp.Compare(a.sum.Digits, b.sum.Digits))
	})
	for i := range l.Totals {
		t := &l.Totals[i]
		t.Units = withUnit(t.sum, t.unit)
		l.Earned = l.Earned || t.sum.Value > 0
	}
	return l, nil
}

func (l *letter) message(id string, to netmail.Address) (mail.Message, error) {
	var plain, html bytes.Buffer
	if err := text.Execute(&plain, l); err != nil {
		return mail.Message{}, fmt.Errorf("writing a mail: %w", err)
	}
	if err := page.Execute(&html, l); err != nil {
		return mail.Message{}, fmt.Errorf("writing a mail: %w", err)
	}
	return mail.Message{
		ID: id, To: to, Subject: l.subject(), Text: plain.String(), HTML: html.String(),
		Headers: map[string]string{"List-Unsubscribe": "<" + l.click + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}, // RFC 8058
	}, nil
}

func (l *letter) subject() string {
	if len(l.Totals) == 1 {
		return "You earned " + l.Totals[0].Units + " on " + l.Day
	}
	return "Your rewards of " + l.Day
}

func withUnit(u loyalty.Units, unit string) string { return u.String() + " " + mail.OneLine(unit) }

func long(d loyalty.Date) string { return d.Time().Format("2 January 2006") }
