package loyalty

import "strings"

// scan reads the shape in which nearly every transaction comes, the log's among them: one object
// with a transaction's fields and no others, their names as in Columns, texts without escapes,
// numbers without an exponent. It is false for all else, what is wrong included: encoding/json
// then says what it is, so that there is one definition of what is taken. S is valid UTF-8.
func (r *RawTransaction) scan(s string) bool {
	c := cursor{s: s}
	if !c.take('{') {
		return false
	}
	for {
		name, ok := c.text()
		if !ok || !c.take(':') {
			return false
		}
		var field *string
		text, number := true, false
		switch name {
		case "id":
			field = &r.ID
		case "card_id":
			field = &r.CardID
		case "merchant":
			field = &r.Merchant
		case "mcc":
			field, number = &r.MCC, true
		case "currency":
			field = &r.Currency
		case "amount":
			field, text, number = &r.Amount, false, true
		case "sgd_amount":
			field, text, number = &r.SGDAmount, false, true
		case "transaction_id":
			field = &r.TransactionID
		case "transaction_date":
			field = &r.TransactionDate
		case "card_pan":
			field = &r.CardPAN
		case "card_type":
			field = &r.CardType
		default:
			return false
		}
		if *field != "" { // there twice
			return false
		}
		ok = false
		if text {
			*field, ok = c.text()
		}
		if number && !ok {
			*field, ok = c.number()
		}
		switch {
		case !ok:
			return false
		case c.take(','):
		default:
			return c.take('}') && c.end()
		}
	}
}

// cursor reads JSON: what is before i is read. It does not move when it does not find what is
// asked for, but over space.
type cursor struct {
	s string
	i int
}

// at says whether the next byte after space is a mark, and goes to it.
func (c *cursor) at(mark byte) bool {
	c.space()
	return c.i < len(c.s) && c.s[c.i] == mark
}

func (c *cursor) space() {
	for c.i < len(c.s) && c.s[c.i] <= ' ' && (c.s[c.i] == ' ' || c.s[c.i] == '\t' || c.s[c.i] == '\r' || c.s[c.i] == '\n') {
		c.i++
	}
}

func (c *cursor) end() bool {
	c.space()
	return c.i == len(c.s)
}

func (c *cursor) take(mark byte) bool {
	if !c.at(mark) {
		return false
	}
	c.i++
	return true
}

// text reads a string that has no escapes.
func (c *cursor) text() (string, bool) {
	if !c.at('"') {
		return "", false
	}
	from := c.i + 1
	for i := from; i < len(c.s); i++ {
		switch b := c.s[i]; {
		case b == '"':
			c.i = i + 1
			return c.s[from:i], true
		case b < ' ' || b == '\\':
			return "", false
		}
	}
	return "", false
}

// number reads a number as far as its exponent (RFC 8259, section 6).
func (c *cursor) number() (string, bool) {
	c.space()
	s := c.s[c.i:]
	n := 0
	if strings.HasPrefix(s, "-") {
		n++
	}
	whole := digits(s[n:])
	if whole == 0 || whole > 1 && s[n] == '0' {
		return "", false
	}
	if n += whole; n < len(s) && s[n] == '.' {
		frac := digits(s[n+1:])
		if frac == 0 {
			return "", false
		}
		n += 1 + frac
	}
	c.i += n
	return s[:n], true
}

// digits is how many decimal digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

// detach puts the texts of a transaction into one string of their own: kept as parts of the
// record that they were read from, they would keep all of it alive, a plain PAN included.
func (t *Transaction) detach() {
	texts := [...]*string{&t.Merchant, &t.Reference, &t.CardPAN, &t.CardType}
	n := 0
	for _, s := range texts {
		n += len(*s)
	}
	var b strings.Builder
	b.Grow(n)
	for _, s := range texts {
		b.WriteString(*s)
	}
	all := b.String()
	for _, s := range texts {
		n = len(*s)
		*s, all = all[:n], all[n:]
	}
}
