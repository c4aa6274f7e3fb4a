package informer

import (
	"math/big"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty"
)

// exact is a sum of decimals, value × 10^-digits, of any size: sums of amounts that each fit 64
// bits need not.
type exact struct {
	value  big.Int
	digits int
}

// unitDigits is what the units of any card type fit.
const unitDigits = 4

// add adds v × 10^-digits; digits is at most e.digits.
func (e *exact) add(v int64, digits int) {
	var x big.Int
	x.SetInt64(v)
	for ; digits < e.digits; digits++ {
		x.Mul(&x, ten)
	}
	e.value.Add(&e.value, &x)
}

var ten = big.NewInt(10)

func (e *exact) addMoney(m loyalty.Money) { e.add(m.Minor, m.Currency.Digits()) }

// String is the shortest exact form.
func (e *exact) String() string {
	text := e.value.String()
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	if len(text) <= e.digits {
		text = strings.Repeat("0", e.digits-len(text)+1) + text
	}
	whole, fraction := text[:len(text)-e.digits], strings.TrimRight(text[len(text)-e.digits:], "0")
	if fraction == "" {
		return sign + whole
	}
	return sign + whole + "." + fraction
}

// MarshalJSON writes a JSON number.
func (e exact) MarshalJSON() ([]byte, error) { return []byte(e.String()), nil }
