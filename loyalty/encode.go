package loyalty

import (
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Each transaction is encoded once for the log and each reward once for its file, and reflection
// was most of the work of both. These write, field by field and without allocating, the bytes that
// encoding/json would with SetEscapeHTML(false); encode_test.go holds them to it.

// AppendJSON appends the wire form. Equal transactions give equal bytes.
func (t *Transaction) AppendJSON(b []byte) []byte {
	return append(t.appendFields(append(b, '{')), '}')
}

func (t *Transaction) appendFields(b []byte) []byte {
	b = appendUUID(append(b, `"id":`...), t.ID)
	b = appendUUID(append(b, `,"card_id":`...), t.CardID)
	b = appendString(append(b, `,"merchant":`...), t.Merchant)
	b = strconv.AppendUint(append(b, `,"mcc":`...), uint64(t.MCC), 10)
	b = appendString(append(b, `,"currency":`...), t.Currency.String())
	b = appendDecimal(append(b, `,"amount":`...), t.Amount, t.Currency.Digits(), 0)
	b = appendNumber(append(b, `,"sgd_amount":`...), t.HomeAmount)
	b = appendString(append(b, `,"transaction_id":`...), t.Reference)
	b = appendDate(append(b, `,"transaction_date":`...), t.Date)
	b = appendString(append(b, `,"card_pan":`...), t.CardPAN)
	return appendString(append(b, `,"card_type":`...), t.CardType)
}

// AppendJSON appends the wire form; a zero CreatedAt is left out. The only error is that CreatedAt
// is after the year 9999 or before the year 0.
func (r *Reward) AppendJSON(b []byte) ([]byte, error) {
	b = r.appendFields(append(b, '{'))
	b = appendDecimal(append(b, `,"reward_amount":`...), r.Units.Value, int(r.Units.Digits), 0)
	b = appendString(append(b, `,"remarks":`...), r.Remarks)
	if !r.CreatedAt.IsZero() {
		var err error
		b = append(b, `,"created_at":"`...)
		if b, err = r.CreatedAt.UTC().Truncate(time.Millisecond).AppendText(b); err != nil {
			return nil, err
		}
		b = append(b, '"')
	}
	b = r.Trace.appendJSON(append(b, `,"trace":`...))
	return append(b, '}'), nil
}

func (t *Trace) appendJSON(b []byte) []byte {
	b = hex.AppendEncode(append(b, `{"rule_set":"`...), t.RuleSet[:])
	b = appendString(append(b, `","outcome":`...), string(t.Outcome))
	b = appendString(append(b, `,"programme":`...), t.Programme)
	b = appendString(append(b, `,"unit":`...), t.Unit)
	b = strconv.AppendUint(append(b, `,"decimals":`...), uint64(t.Decimals), 10)
	if t.Base != nil {
		b = t.Base.appendJSON(append(b, `,"base":`...))
	}
	if t.Promo != nil {
		b = t.Promo.appendJSON(append(b, `,"promo":`...))
	}
	if t.Converted != nil {
		b = t.Converted.appendJSON(append(b, `,"converted":`...))
	}
	if t.Exclusion != nil {
		b = t.Exclusion.appendJSON(append(b, `,"exclusion":`...))
	}
	return append(b, '}')
}

func (a *AppliedCampaign) appendJSON(b []byte) []byte {
	b = appendUUID(append(b, `{"id":`...), a.ID)
	b = appendString(append(b, `,"name":`...), a.Name)
	b = appendDecimal(append(b, `,"rate":`...), int64(a.Rate), DecimalDigits, 0)
	b = appendNumber(append(b, `,"units":`...), a.Units)
	return append(b, '}')
}

func (c *Conversion) appendJSON(b []byte) []byte {
	b = appendNumber(append(b, `{"amount":`...), c.Amount)
	b = appendString(append(b, `,"currency":`...), c.Currency.String())
	b = appendString(append(b, `,"source":`...), string(c.Source))
	if c.RateDate != nil {
		b = appendDate(append(b, `,"rate_date":`...), *c.RateDate)
	}
	if c.Base != "" {
		b = appendString(append(b, `,"quote_base":`...), c.Base)
	}
	if c.FromQuote != nil {
		b = appendDecimal(append(b, `,"from_quote":`...), int64(*c.FromQuote), DecimalDigits, 0)
	}
	if c.ToQuote != nil {
		b = appendDecimal(append(b, `,"to_quote":`...), int64(*c.ToQuote), DecimalDigits, 0)
	}
	return append(b, '}')
}

func (e *AppliedExclusion) appendJSON(b []byte) []byte {
	b = appendString(append(b, `{"reason":`...), string(e.Reason))
	if e.ID != nil {
		b = appendUUID(append(b, `,"id":`...), *e.ID)
	}
	if e.ValidFrom != nil {
		b = appendDate(append(b, `,"valid_from":`...), *e.ValidFrom)
	}
	return append(b, '}')
}

func appendNumber(b []byte, n Number) []byte { return appendDecimal(b, n.coef, int(n.scale), 0) }

func appendDate(b []byte, d Date) []byte {
	b, _ = d.AppendText(append(b, '"')) // never fails
	return append(b, '"')
}

func appendUUID(b []byte, u uuid.UUID) []byte {
	var text [36]byte
	hex.Encode(text[:], u[:4])
	hex.Encode(text[9:], u[4:6])
	hex.Encode(text[14:], u[6:8])
	hex.Encode(text[19:], u[8:10])
	hex.Encode(text[24:], u[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return append(append(append(b, '"'), text[:]...), '"')
}

// appendString appends a JSON string with what encoding/json escapes, and no more: quotation
// marks, backslashes and control characters, U+2028 and U+2029, which JavaScript takes for line
// ends, and each byte that is not UTF-8 as the replacement character.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	from := 0 // what is before it is in b
	for i := 0; i < len(s); {
		c, size := rune(s[i]), 1
		if ' ' <= c && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRuneInString(s[i:])
		}
		var short byte
		switch {
		case c == '"' || c == '\\':
			short = byte(c)
		case c == '\b':
			short = 'b'
		case c == '\f':
			short = 'f'
		case c == '\n':
			short = 'n'
		case c == '\r':
			short = 'r'
		case c == '\t':
			short = 't'
		case c < ' ' || c == '\u2028' || c == '\u2029' || c == utf8.RuneError && size == 1:
		default:
			i += size
			continue
		}
		b = append(append(b, s[from:i]...), '\\')
		if short != 0 {
			b = append(b, short)
		} else {
			b = append(b, 'u', digits[c>>12], digits[c>>8&15], digits[c>>4&15], digits[c&15])
		}
		i += size
		from = i
	}
	return append(append(b, s[from:]...), '"')
}
