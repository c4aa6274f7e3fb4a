package informer

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// params reads a request's parameters and keeps all that is wrong with them. Those that it is not
// asked for do not matter.
type params struct {
	values url.Values
	path   gin.Params
	errs   loyalty.FieldErrors
}

func paramsOf(c *gin.Context) *params { return &params{values: c.Request.URL.Query(), path: c.Params} }

func (p *params) fail(field, code, reason string) {
	p.errs = append(p.errs, &loyalty.FieldError{Field: field, Code: code, Reason: reason})
}

// add names an error of a parser.
func (p *params) add(field string, err error) {
	var f *loyalty.FieldError
	if errors.As(err, &f) {
		p.fail(field, f.Code, f.Reason)
	} else {
		p.errs.Add(field, err)
	}
}

func (p *params) card() uuid.UUID {
	id, err := loyalty.ParseUUID(p.path.ByName("cardId"))
	p.add("card_id", err)
	return id
}

// number reads a whole number from 1 to most.
func (p *params) number(field string, otherwise, most int) int {
	text := p.values.Get(field)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		p.fail(field, "out_of_range", "must be a whole number from 1 to "+strconv.Itoa(most))
		return otherwise
	}
	return n
}

func (p *params) date(field string) loyalty.Date {
	text := p.values.Get(field)
	if text == "" {
		return 0
	}
	d, err := loyalty.ParseDate(text)
	p.add(field, err)
	return d
}

func (p *params) dates() (from, to loyalty.Date) {
	from, to = p.date("from"), p.date("to")
	if from != 0 && to != 0 && to < from {
		p.fail("to", "before_from", "is before from")
	}
	return from, to
}

func (p *params) oneOf(field string, known ...string) string {
	text := p.values.Get(field)
	if text == "" {
		return ""
	}
	for _, k := range known {
		if text == k {
			return k
		}
	}
	p.fail(field, "unknown", "must be "+strings.Join(known, ", ")+", or nothing")
	return ""
}

func (p *params) text(field string) string {
	text := strings.TrimSpace(p.values.Get(field))
	switch {
	case !utf8.ValidString(text):
		p.fail(field, "not_utf8", "is not valid UTF-8")
	case strings.IndexByte(text, 0) >= 0:
		p.fail(field, "not_text", "has a NUL character")
	case utf8.RuneCountInString(text) > loyalty.MaxFieldRunes:
		p.fail(field, "too_long", "is longer than "+strconv.Itoa(loyalty.MaxFieldRunes)+" characters")
	}
	return text
}
