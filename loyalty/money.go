package loyalty

// Money is an amount in the minor units of a currency: {13450, SGD} is SGD 134.50.
type Money struct {
	Minor    int64
	Currency Currency
}

// ParseMoney reads a decimal in a currency. Digits beyond the minor unit may only be zeros.
func ParseMoney(s string, c Currency) (Money, error) {
	n, err := ParseNumber(s)
	if err != nil {
		return Money{}, err
	}
	return n.Money(c)
}

// Money returns the number as money of a currency; digits beyond its minor unit are refused.
func (n Number) Money(c Currency) (Money, error) {
	v, exact, fits := n.Scaled(c.Digits())
	switch {
	case !fits:
		return Money{}, invalid("", "too_large", "%s is too large", StarPANs(n.String()))
	case !exact:
		return Money{}, invalid("", "too_many_decimals", "%s has more decimals than %s has (%d)", StarPANs(n.String()), c, c.Digits())
	}
	return Money{v, c}, nil
}

// Number returns the amount as a decimal.
func (m Money) Number() Number {
	n := Number{m.Minor, uint8(m.Currency.Digits())}
	for n.scale > 0 && n.coef%10 == 0 {
		n.coef /= 10
		n.scale--
	}
	return n
}

// String is the code and the amount with all of its decimals: "SGD 134.50".
func (m Money) String() string { return m.Currency.String() + " " + m.Amount() }

// Amount is the amount with all of its decimals: "134.50".
func (m Money) Amount() string { return FormatFixed(m.Minor, m.Currency.Digits(), m.Currency.Digits()) }

// Convert returns the amount in another currency at the exact quotient to ÷ from of two quotes of
// the same base, rounded once to the minor unit, half away from zero. Quotes are above zero.
func (m Money) Convert(from, to Decimal, c Currency) (Money, error) {
	up, down := c.Digits()-m.Currency.Digits(), 0
	if up < 0 {
		up, down = 0, -up
	}
	v, err := MulDiv(m.Minor, int64(to), int64(from), up, down)
	return Money{v, c}, err
}

// Units are points, miles or cashback: Value × 10^-Digits. They are money's equal in exactness.
type Units struct {
	Value  int64
	Digits uint8 // the card type's decimals, 0 to 4
}

// Earn returns rate × amount in units of the given decimals, rounded once, half away from zero.
func Earn(rate Decimal, amount Money, digits uint8) (Units, error) {
	v, err := MulDiv(amount.Minor, int64(rate), 1, int(digits), DecimalDigits+amount.Currency.Digits())
	return Units{v, digits}, err
}

// Add returns the sum of units of the same decimals.
func (u Units) Add(o Units) (Units, error) {
	sum := u.Value + o.Value
	if (sum > u.Value) != (o.Value > 0) && o.Value != 0 {
		return Units{}, ErrOverflow
	}
	return Units{sum, u.Digits}, nil
}

// String is the shortest exact form.
func (u Units) String() string { return FormatFixed(u.Value, int(u.Digits), 0) }

// MarshalJSON writes a JSON number.
func (u Units) MarshalJSON() ([]byte, error) { return []byte(u.String()), nil }
