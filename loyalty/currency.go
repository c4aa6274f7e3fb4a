package loyalty

import "sort"

// Currency is an ISO 4217 currency. The zero value is no currency. The number is an index
// into this program's table and must not be stored; the code is what travels.
type Currency uint8

// ParseCurrency reads a three-letter code in any case. Codes without a minor unit, such as
// XAU or XXX, are not money that a card can be charged in and are not known.
func ParseCurrency(s string) (Currency, bool) {
	if len(s) != 3 {
		return 0, false
	}
	var code [3]byte
	for i := range code {
		c := s[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		code[i] = c
	}
	i := sort.Search(len(currencies), func(i int) bool { return currencies[i].code >= string(code[:]) })
	if i == len(currencies) || currencies[i].code != string(code[:]) {
		return 0, false
	}
	return Currency(i), true
}

// MustCurrency is ParseCurrency for codes written in the source; it panics on an unknown one.
func MustCurrency(code string) Currency {
	c, ok := ParseCurrency(code)
	if !ok {
		panic("loyalty: unknown currency " + code)
	}
	return c
}

// String returns the ISO code, or "" for no currency.
func (c Currency) String() string { return currencies[c].code }

// Digits returns how many decimals the minor unit has: 2 for SGD, 0 for JPY, 3 for BHD.
func (c Currency) Digits() int { return int(currencies[c].digits) }

// MarshalText writes the ISO code.
func (c Currency) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a code in any case; blank is no currency.
func (c *Currency) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*c = 0
		return nil
	}
	v, ok := ParseCurrency(string(b))
	if !ok {
		return invalid("currency", "unknown_currency", "%s is not an ISO 4217 currency with a minor unit", quote(string(b)))
	}
	*c = v
	return nil
}
