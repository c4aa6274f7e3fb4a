package upload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty"
)

// Control is the bank's own count of a file, by which both sides see that all of it arrived:
//
//	{"rows": 1169, "totals": {"SGD": "123.45", "JPY": 1000}}
//
// Rows are those below the header, blank lines aside; totals are the sums of amount by currency, refunds
// below 0, refused rows included. Either may be left out, and so may currencies: what is not there is
// not checked. It comes with POST /upload, or as an object beside the file, <key>.control.json.
//
// There is no trailer row: a spend file stays CSV with one kind of row, which any spreadsheet writes.
type Control struct {
	Rows   *int64  `json:"rows,omitempty"`
	Totals Amounts `json:"totals,omitempty"`
}

// MaxControl is the most bytes that a side-car may have.
const MaxControl = 64 << 10

// ParseControl reads a Control. The error is a loyalty.FieldErrors.
func ParseControl(b []byte) (*Control, error) {
	if len(b) > MaxControl {
		return nil, wrong("", "too_large", "has more than %d bytes", MaxControl)
	}
	var w struct {
		Rows   *int64                     `json:"rows"`
		Totals map[string]json.RawMessage `json:"totals"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(&w)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more behind it")
		}
	}
	if name, ok := UnknownField(err); ok {
		return nil, wrong(name, "unknown_field", "is not known here; there are rows and totals")
	}
	if typed := (*json.UnmarshalTypeError)(nil); errors.As(err, &typed) && typed.Field != "" {
		return nil, wrong(typed.Field, "wrong_type", `cannot be a JSON %s; it is as {"rows": 10, "totals": {"SGD": "123.45"}}`, typed.Value)
	}
	if err != nil {
		return nil, wrong("", "not_json", `must be JSON as {"rows": 10, "totals": {"SGD": "123.45"}}: %s`, loyalty.StarPANs(err.Error()))
	}
	if w.Rows == nil && len(w.Totals) == 0 {
		return nil, wrong("", "empty", "has neither rows nor totals")
	}
	if w.Rows != nil && *w.Rows < 0 {
		return nil, wrong("rows", "negative", "is below 0")
	}
	if w.Rows != nil && *w.Rows > maxRows {
		return nil, wrong("rows", "too_many", "is more than any file has")
	}
	c := &Control{Rows: w.Rows}
	for _, name := range slices.Sorted(maps.Keys(w.Totals)) {
		currency, ok := loyalty.ParseCurrency(strings.TrimSpace(name))
		if !ok {
			return nil, wrong("totals", "unknown_currency", "has %q, which is not an ISO 4217 currency", cut(name))
		}
		var text string
		if json.Unmarshal(w.Totals[name], &text) != nil {
			text = string(w.Totals[name])
		}
		field := "totals." + cut(name)
		if loyalty.StarPANs(text) != text {
			return nil, wrong(field, "looks_like_a_pan", "looks like a card number, not like an amount")
		}
		minor, ok := ParseMinor(strings.TrimSpace(text), currency.Digits())
		if !ok {
			return nil, wrong(field, "not_an_amount", "has %q, which is not a decimal with at most %d digits behind the point", cut(text), currency.Digits())
		}
		if _, twice := c.Totals[currency.String()]; twice {
			return nil, wrong("totals", "twice", "has %s twice", currency)
		}
		if c.Totals == nil {
			c.Totals = Amounts{}
		}
		c.Totals[currency.String()] = json.Number(FormatMinor(minor, currency.Digits()))
	}
	return c, nil
}

// UnmarshalJSON is ParseControl.
func (c *Control) UnmarshalJSON(b []byte) error {
	p, err := ParseControl(b)
	if err == nil {
		*c = *p
	}
	return err
}

// maxRows is more than any file has, and no card number.
const maxRows = 100_000_000_000

// UnknownField is the field that a strict decoder of encoding/json did not know.
func UnknownField(err error) (name string, ok bool) {
	if err == nil {
		return "", false
	}
	quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field ")
	if !ok {
		return "", false
	}
	if name, err = strconv.Unquote(quoted); err != nil {
		name = quoted
	}
	return cut(name), true
}

func wrong(field, code, format string, args ...any) loyalty.FieldErrors {
	return loyalty.FieldErrors{{Field: field, Code: code, Reason: fmt.Sprintf(format, args...)}}
}

func cut(s string) string {
	s = loyalty.StarPANs(strings.ToValidUTF8(s, "�"))
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// maxTotal is how long a total may be. No file has sums of 100 digits.
const maxTotal = 100

// ParseMinor reads a decimal of any size as minor units: an optional sign, digits, and at most so many
// of them behind a point.
func ParseMinor(s string, digits int) (*big.Int, bool) {
	if len(s) > maxTotal {
		return nil, false
	}
	body := strings.TrimLeft(s, "+-")
	whole, frac, point := strings.Cut(body, ".")
	if len(s)-len(body) > 1 || whole == "" || point && frac == "" || len(frac) > digits ||
		strings.Trim(whole, "0123456789") != "" || strings.Trim(frac, "0123456789") != "" {
		return nil, false
	}
	v, ok := new(big.Int).SetString(whole+frac+strings.Repeat("0", digits-len(frac)), 10)
	if ok && s[0] == '-' {
		v.Neg(v)
	}
	return v, ok
}

// FormatMinor writes v × 10^-digits with all of its digits.
func FormatMinor(v *big.Int, digits int) string {
	if digits == 0 {
		return v.String()
	}
	text := new(big.Int).Abs(v).String()
	if missing := digits + 1 - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	text = text[:len(text)-digits] + "." + text[len(text)-digits:]
	if v.Sign() < 0 {
		text = "-" + text
	}
	return text
}

// Checked is a Control against what was read.
type Checked struct {
	Given       *Control `json:"given,omitempty"`
	Agrees      bool     `json:"agrees"`
	Differences []string `json:"differences"` // plain words, both figures
}

// Check holds what was read against the bank's own figures.
func (c *Control) Check(rows int64, totals Amounts) *Checked {
	out := &Checked{Given: c, Differences: []string{}}
	if c.Rows != nil && *c.Rows != rows {
		out.Differences = append(out.Differences, fmt.Sprintf("rows: the bank says %d, the file has %d", *c.Rows, rows))
	}
	for _, code := range slices.Sorted(maps.Keys(c.Totals)) {
		currency, ok := loyalty.ParseCurrency(code)
		if !ok {
			continue // none that ParseControl makes
		}
		want, _ := ParseMinor(c.Totals[code].String(), currency.Digits())
		got := new(big.Int)
		if text, ok := totals[code]; ok {
			if v, ok := ParseMinor(text.String(), currency.Digits()); ok {
				got = v
			}
		}
		if want == nil || want.Cmp(got) != 0 {
			out.Differences = append(out.Differences, fmt.Sprintf("%s: the bank says %s, the rows whose amounts could be read sum to %s", code, c.Totals[code], FormatMinor(got, currency.Digits())))
		}
	}
	out.Agrees = len(out.Differences) == 0
	return out
}
