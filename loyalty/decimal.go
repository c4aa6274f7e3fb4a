package loyalty

import (
	"errors"
	"math"
	"math/bits"
)

// ErrOverflow says that an exact result does not fit its type. Nothing is ever wrapped or cut.
var ErrOverflow = errors.New("the amount is too large to be calculated exactly")

// pow10 are the powers of ten that fit 64 bits.
var pow10 = [20]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

// Number is a decimal exactly as somebody wrote it, before it is known what it counts:
// coefficient × 10^-scale, without trailing zeros behind the point. The zero value is 0.
type Number struct {
	coef  int64
	scale uint8 // 0 to 18
}

// ParseNumber reads an optional sign, digits and an optional point with digits. It has no
// exponent, no thousands mark, no NaN and no infinity. -0 is 0.
func ParseNumber(s string) (Number, error) {
	code, reason := "", ""
	n, ok := parseNumber(s, &code, &reason)
	if !ok {
		return Number{}, &FieldError{Code: code, Reason: quote(s) + " " + reason}
	}
	return n, nil
}

func parseNumber(s string, code, reason *string) (Number, bool) {
	i, neg := 0, false
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	var (
		coef              uint64
		digits, frac      int
		zeros             int // zeros behind the point that nothing has followed yet
		point, overflowed bool
	)
	for ; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '.' && !point:
			point = true
		case '0' <= c && c <= '9':
			digits++
			if !point {
				overflowed = overflowed || !shift(&coef, 1, uint64(c-'0'))
				continue
			}
			if c == '0' {
				zeros++
				continue
			}
			overflowed = overflowed || frac+zeros+1 > 18 || !shift(&coef, zeros+1, uint64(c-'0'))
			frac += zeros + 1
			zeros = 0
		default:
			*code, *reason = "not_a_decimal", "is not a decimal number (digits and one point; no exponent, no thousands mark)"
			return Number{}, false
		}
	}
	if digits == 0 || s[len(s)-1] == '.' {
		*code, *reason = "not_a_decimal", "is not a decimal number"
		return Number{}, false
	}
	if overflowed || coef > math.MaxInt64 {
		*code, *reason = "too_large", "has too many digits"
		return Number{}, false
	}
	n := Number{coef: int64(coef), scale: uint8(frac)}
	if neg {
		n.coef = -n.coef
	}
	return n, true
}

// shift makes *v into *v × 10^by + digit, or says that it does not fit.
func shift(v *uint64, by int, digit uint64) bool {
	if by >= len(pow10) {
		if *v != 0 {
			return false
		}
		*v = digit
		return true
	}
	hi, lo := bits.Mul64(*v, pow10[by])
	sum, carry := bits.Add64(lo, digit, 0)
	*v = sum
	return hi == 0 && carry == 0
}

// IsZero says whether the number is 0.
func (n Number) IsZero() bool { return n.coef == 0 }

// Sign is -1, 0 or 1.
func (n Number) Sign() int {
	switch {
	case n.coef < 0:
		return -1
	case n.coef > 0:
		return 1
	}
	return 0
}

// Scaled returns the number × 10^digits as a whole number. It is false where that is not exact
// (fits says it was for want of room, else digits are left behind the point).
func (n Number) Scaled(digits int) (v int64, exact, fits bool) {
	if int(n.scale) > digits {
		return 0, false, true
	}
	hi, lo := bits.Mul64(magnitude(n.coef), pow10[digits-int(n.scale)])
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false, false
	}
	if n.coef < 0 {
		return -int64(lo), true, true
	}
	return int64(lo), true, true
}

// AppendText appends the shortest exact form, such as -12.5.
func (n Number) AppendText(b []byte) ([]byte, error) {
	return appendDecimal(b, n.coef, int(n.scale), 0), nil
}

func (n Number) String() string { return string(appendDecimal(nil, n.coef, int(n.scale), 0)) }

// MarshalJSON writes a JSON number.
func (n Number) MarshalJSON() ([]byte, error) { return n.AppendText(nil) }

// Decimal is a rate, a quote or a threshold: an exact decimal in billionths (scale 9).
type Decimal int64

// DecimalDigits is the scale of a Decimal.
const DecimalDigits = 9

// ParseDecimal reads what ParseNumber reads, as far as nine digits behind the point hold it.
func ParseDecimal(s string) (Decimal, error) {
	n, err := ParseNumber(s)
	if err != nil {
		return 0, err
	}
	v, exact, fits := n.Scaled(DecimalDigits)
	switch {
	case !fits:
		return 0, &FieldError{Code: "too_large", Reason: quote(s) + " is too large; the most is 9223372036.854775807"}
	case !exact:
		return 0, &FieldError{Code: "too_many_decimals", Reason: quote(s) + " has more than 9 decimals"}
	}
	return Decimal(v), nil
}

// MustDecimal is ParseDecimal for numbers written in the source; it panics on a bad one.
func MustDecimal(s string) Decimal {
	d, err := ParseDecimal(s)
	if err != nil {
		panic("loyalty: " + err.Error())
	}
	return d
}

// AppendText appends the shortest exact form.
func (d Decimal) AppendText(b []byte) ([]byte, error) {
	return appendDecimal(b, int64(d), DecimalDigits, 0), nil
}

func (d Decimal) String() string { return string(appendDecimal(nil, int64(d), DecimalDigits, 0)) }

// MarshalJSON writes a JSON number.
func (d Decimal) MarshalJSON() ([]byte, error) { return d.AppendText(nil) }

// UnmarshalJSON reads a JSON number without an exponent.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	v, err := ParseDecimal(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// FormatFixed writes v × 10^-scale with at least minDigits behind the point: "134.50".
func FormatFixed(v int64, scale, minDigits int) string {
	return string(appendDecimal(nil, v, scale, minDigits))
}

// appendDecimal writes v × 10^-scale, dropping zeros at the end but keeping minDigits of them.
func appendDecimal(b []byte, v int64, scale, minDigits int) []byte {
	m := magnitude(v)
	for scale > minDigits && m%10 == 0 {
		m /= 10
		scale--
	}
	if v < 0 {
		b = append(b, '-')
	}
	var buf [40]byte
	i := len(buf)
	for n := 0; n <= scale || m > 0; n++ {
		if n == scale && scale > 0 {
			i--
			buf[i] = '.'
		}
		i--
		buf[i] = byte('0' + m%10)
		m /= 10
	}
	b = append(b, buf[i:]...)
	for ; scale < minDigits; scale++ {
		if scale == 0 {
			b = append(b, '.')
		}
		b = append(b, '0')
	}
	return b
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return uint64(-(v + 1)) + 1
	}
	return uint64(v)
}

// MulDiv returns a × b × 10^up ÷ (den × 10^down), rounded once to the nearest whole number, half
// away from zero. It is exact for every input, whatever the size of the steps between; only a
// result outside int64 is ErrOverflow. b and den are rates or quotes: b ≥ 0, den > 0, and up and
// down are at most 19.
func MulDiv(a, b, den int64, up, down int) (int64, error) {
	if b < 0 || den <= 0 || up < 0 || up > 19 || down < 0 || down > 19 {
		return 0, errors.New("loyalty: MulDiv takes b ≥ 0, den > 0 and powers of 0 to 19")
	}
	if den == 1 && up <= down { // units of a rate: most fit the short way
		if h, l := bits.Mul64(magnitude(a), uint64(b)); h == 0 {
			return signed(divide(l, pow10[down-up]), a < 0)
		}
	}
	// The numerator, up to 190 bits: n2 n1 n0.
	h, l := bits.Mul64(magnitude(a), uint64(b))
	h0, n0 := bits.Mul64(l, pow10[up])
	h1, l1 := bits.Mul64(h, pow10[up])
	n1, carry := bits.Add64(l1, h0, 0)
	n2 := h1 + carry
	// Divide by den, then by 10^down: ⌊⌊n ÷ d⌋ ÷ e⌋ = ⌊n ÷ de⌋, and what is left over in all is
	// r2 × den + r1, which is below den × 10^down.
	d, e := uint64(den), pow10[down]
	dh, dl := bits.Mul64(d, e)
	if n2|n1|dh == 0 { // most amounts: one division does
		return signed(divide(n0, dl), a < 0)
	}
	q2, r := bits.Div64(0, n2, d)
	q1, r := bits.Div64(r, n1, d)
	q0, r1 := bits.Div64(r, n0, d)
	p2, r := bits.Div64(0, q2, e)
	p1, r := bits.Div64(r, q1, e)
	q, r2 := bits.Div64(r, q0, e)
	if p2 != 0 || p1 != 0 || q > 1<<63 {
		return 0, ErrOverflow
	}
	// Half away from zero: up when 2 × left over ≥ den × 10^down.
	lh, ll := bits.Mul64(r2, d)
	ll, carry = bits.Add64(ll, r1, 0)
	lh += carry
	th := lh<<1 | ll>>63
	tl := ll << 1
	if th > dh || th == dh && tl >= dl {
		q++
	}
	return signed(q, a < 0)
}

// divide is n ÷ d, rounded half up.
func divide(n, d uint64) uint64 {
	q, r := n/d, n%d
	if r >= d-r {
		q++
	}
	return q
}

// signed is q or -q where that fits.
func signed(q uint64, negative bool) (int64, error) {
	switch {
	case negative && q <= 1<<63:
		return -int64(q), nil // -int64(1<<63) is the smallest int64 itself
	case !negative && q <= math.MaxInt64:
		return int64(q), nil
	}
	return 0, ErrOverflow
}
