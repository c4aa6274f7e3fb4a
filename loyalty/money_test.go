package loyalty

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// bigMulDiv is MulDiv with math/big: a × b × 10^up ÷ (den × 10^down), half away from zero.
func bigMulDiv(a, b, den int64, up, down int) (int64, bool) {
	ten := func(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }
	x := new(big.Rat).SetFrac(
		new(big.Int).Mul(new(big.Int).Mul(big.NewInt(a), big.NewInt(b)), ten(up)),
		new(big.Int).Mul(big.NewInt(den), ten(down)))
	half := big.NewRat(1, 2)
	sum := new(big.Rat).Add(new(big.Rat).Abs(x), half)
	n := new(big.Int).Quo(sum.Num(), sum.Denom())
	if x.Sign() < 0 {
		n.Neg(n)
	}
	return n.Int64(), n.IsInt64()
}

// wide draws numbers of every length, not mostly long or short ones.
func wide(from int64) *rapid.Generator[int64] {
	return rapid.Custom(func(t *rapid.T) int64 {
		if rapid.IntRange(0, 9).Draw(t, "edge") == 0 {
			return max(from, rapid.SampledFrom([]int64{0, 1, -1, 5, 10, 1e9, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, 1 << 62}).Draw(t, "at"))
		}
		v := rapid.Int64().Draw(t, "v") >> rapid.IntRange(0, 63).Draw(t, "shift")
		if from >= 0 && v < 0 {
			v = -(v + 1)
		}
		return max(from, v)
	})
}

func TestMulDivEqualsBigRat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range 50 {
			a, b, den := wide(math.MinInt64).Draw(t, "a"), wide(0).Draw(t, "b"), wide(1).Draw(t, "den")
			up, down := rapid.IntRange(0, 19).Draw(t, "up"), rapid.IntRange(0, 19).Draw(t, "down")
			got, err := MulDiv(a, b, den, up, down)
			want, fits := bigMulDiv(a, b, den, up, down)
			if fits != (err == nil) || err != nil && !errors.Is(err, ErrOverflow) || fits && got != want {
				t.Fatalf("MulDiv(%d, %d, %d, %d, %d) = %d, %v; want %d, fits: %t", a, b, den, up, down, got, err, want, fits)
			}
		}
	})
}

func TestMulDiv(t *testing.T) {
	for _, tt := range []struct {
		name      string
		a, b, den int64
		up, down  int
		want      int64
		overflow  bool
	}{
		{name: "zero", a: 0, b: 5, den: 3, want: 0},
		{name: "exact", a: 6, b: 5, den: 3, want: 10},
		{name: "a third", a: 1, b: 1, den: 3, want: 0},
		{name: "two thirds", a: 2, b: 1, den: 3, want: 1},
		{name: "half", a: 1, b: 1, den: 2, want: 1},
		{name: "half below zero", a: -1, b: 1, den: 2, want: -1},
		{name: "just below half", a: 499_999_999, b: 1, den: 1_000_000_000, want: 0},
		{name: "three halves below zero", a: -3, b: 1, den: 2, want: -2},
		{name: "powers up", a: 3, b: 1, den: 7, up: 19, want: 4285714285714285714},
		{name: "powers down", a: 5, b: 1, den: 1, down: 1, want: 1},
		{name: "the largest", a: math.MaxInt64, b: 1, den: 1, want: math.MaxInt64},
		{name: "the smallest", a: math.MinInt64, b: 1, den: 1, want: math.MinInt64},
		{name: "the largest through 190 bits", a: math.MaxInt64, b: math.MaxInt64, den: math.MaxInt64, up: 19, down: 19, want: math.MaxInt64},
		{name: "the smallest through 190 bits", a: math.MinInt64, b: math.MaxInt64, den: math.MaxInt64, up: 19, down: 19, want: math.MinInt64},
		{name: "one too large", a: 1 << 62, b: 2, den: 1, overflow: true},
		{name: "the smallest by rounding", a: math.MinInt64, b: 3, den: 3, want: math.MinInt64},
		{name: "too large by rounding", a: math.MaxInt64, b: 21, den: 20, down: 0, overflow: true},
		{name: "much too large", a: math.MaxInt64, b: math.MaxInt64, den: 1, up: 19, overflow: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := MulDiv(tt.a, tt.b, tt.den, tt.up, tt.down)
			if tt.overflow != errors.Is(err, ErrOverflow) || !tt.overflow && (err != nil || got != tt.want) {
				t.Errorf("%d, %v; want %d, overflow %t", got, err, tt.want, tt.overflow)
			}
		})
	}
	for _, bad := range [][5]int64{{1, -1, 1, 0, 0}, {1, 1, 0, 0, 0}, {1, 1, -1, 0, 0}, {1, 1, 1, 20, 0}, {1, 1, 1, 0, 20}, {1, 1, 1, -1, 0}, {1, 1, 1, 0, -1}} {
		if _, err := MulDiv(bad[0], bad[1], bad[2], int(bad[3]), int(bad[4])); err == nil || errors.Is(err, ErrOverflow) {
			t.Errorf("MulDiv(%v): error %v, want one that is not an overflow", bad, err)
		}
	}
}

func TestUnitsAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := wide(math.MinInt64).Draw(t, "a"), wide(math.MinInt64).Draw(t, "b")
		got, err := Units{a, 2}.Add(Units{b, 2})
		want := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		if want.IsInt64() != (err == nil) || err == nil && (got.Value != want.Int64() || got.Digits != 2) {
			t.Fatalf("%d + %d = %v, %v", a, b, got, err)
		}
	})
}

func TestConvertAndEarn(t *testing.T) {
	sgd, jpy, bhd := MustCurrency("SGD"), MustCurrency("JPY"), MustCurrency("BHD")
	for _, tt := range []struct {
		name     string
		m        Money
		from, to string
		c        Currency
		want     string
	}{
		{"to fewer decimals", Money{13450, sgd}, "1.345", "100", jpy, "JPY 10000"},
		{"to more decimals", Money{1000, jpy}, "100", "1.345", sgd, "SGD 13.45"},
		{"three decimals to two", Money{1234, bhd}, "0.4", "1.345", sgd, "SGD 4.15"},
		{"half a yen", Money{5, sgd}, "1", "10", jpy, "JPY 1"},
		{"half a yen back", Money{-5, sgd}, "1", "10", jpy, "JPY -1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.m.Convert(MustDecimal(tt.from), MustDecimal(tt.to), tt.c)
			if err != nil || got.String() != tt.want {
				t.Errorf("%s, %v; want %s", got, err, tt.want)
			}
		})
	}
	if u, err := Earn(MustDecimal("0.005"), Money{12345, sgd}, 2); err != nil || u.String() != "0.62" { // 0.61725
		t.Errorf("%s, %v; want 0.62", u, err)
	}
	if _, err := Earn(MaxDecimal, Money{math.MaxInt64, sgd}, 4); !errors.Is(err, ErrOverflow) {
		t.Errorf("error %v, want an overflow", err)
	}
}

// MaxDecimal is the largest rate.
const MaxDecimal = Decimal(math.MaxInt64)

func TestCalculatingAllocatesNothing(t *testing.T) {
	sgd, usd := MustCurrency("SGD"), MustCurrency("USD")
	for name, f := range map[string]func(){
		"MulDiv":  func() { _, _ = MulDiv(math.MinInt64, 1<<62, 1<<62, 19, 19) },
		"Convert": func() { _, _ = Money{10000, usd}.Convert(1e9, 1_345_000_000, sgd) },
		"Earn":    func() { _, _ = Earn(1_400_000_000, Money{13450, sgd}, 0) },
		"Add":     func() { _, _ = Units{1, 0}.Add(Units{2, 0}) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestParseNumber(t *testing.T) {
	for _, tt := range []struct{ in, want, code string }{
		{"0", "0", ""}, {"-0", "0", ""}, {"-0.00", "0", ""}, {"+1", "1", ""}, {"1.50", "1.5", ""}, {"-1.05", "-1.05", ""},
		{".5", "0.5", ""}, {"-.5", "-0.5", ""}, {"007", "7", ""}, {"100", "100", ""}, {"1.000000000000000000000000", "1", ""},
		{"0.000000000000000001", "0.000000000000000001", ""}, {"9223372036854775807", "9223372036854775807", ""},
		{"-9223372036854775807", "-9223372036854775807", ""}, {"0.9223372036854775807", "", "too_large"},
		{"00000000000000000000000000000001", "1", ""},
		{"", "", "not_a_decimal"}, {"-", "", "not_a_decimal"}, {".", "", "not_a_decimal"}, {"1.", "", "not_a_decimal"},
		{"+-1", "", "not_a_decimal"}, {"1e400", "", "not_a_decimal"}, {"1E2", "", "not_a_decimal"}, {"NaN", "", "not_a_decimal"},
		{"Inf", "", "not_a_decimal"}, {"-Infinity", "", "not_a_decimal"}, {"1,234.50", "", "not_a_decimal"}, {"1 234", "", "not_a_decimal"},
		{"1.2.3", "", "not_a_decimal"}, {"0x10", "", "not_a_decimal"}, {"१", "", "not_a_decimal"}, {" 1", "", "not_a_decimal"}, {"1_000", "", "not_a_decimal"},
		{"9223372036854775808", "", "too_large"}, {"0.0000000000000000001", "", "too_large"}, {"99999999999999999999999999", "", "too_large"},
	} {
		n, err := ParseNumber(tt.in)
		if got := code(err); got != tt.code || err == nil && n.String() != tt.want {
			t.Errorf("%q: %s, %v; want %s, %s", tt.in, n, err, tt.want, tt.code)
		}
	}
}

// code is the code of the first FieldError, or "" without an error.
func code(err error) string {
	var f *FieldError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &f):
		return f.Code
	}
	return "another error: " + err.Error()
}

func TestParseDecimal(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Decimal
		code string
	}{
		{"0", 0, ""}, {"1.4", 1_400_000_000, ""}, {"-0.005", -5_000_000, ""}, {"0.000000001", 1, ""}, {"0.0000000010", 1, ""},
		{"9223372036.854775807", math.MaxInt64, ""}, {"9223372036.854775808", 0, "too_large"}, {"0.0000000001", 0, "too_many_decimals"},
		{"1e9", 0, "not_a_decimal"},
	} {
		d, err := ParseDecimal(tt.in)
		if got := code(err); got != tt.code || d != tt.want {
			t.Errorf("%q: %d, %v; want %d, %s", tt.in, d, err, tt.want, tt.code)
		}
	}
}

func TestParseMoney(t *testing.T) {
	for _, tt := range []struct {
		in, currency string
		want         string
		code         string
	}{
		{"134.5", "SGD", "SGD 134.50", ""}, {"-0", "SGD", "SGD 0.00", ""}, {"134.500", "SGD", "SGD 134.50", ""},
		{"134.505", "SGD", "", "too_many_decimals"}, {"1.5", "JPY", "", "too_many_decimals"}, {"1.0", "JPY", "JPY 1", ""},
		{"1.234", "BHD", "BHD 1.234", ""}, {"1.2345", "BHD", "", "too_many_decimals"}, {"0.0001", "CLF", "CLF 0.0001", ""},
		{"92233720368547758.07", "SGD", "SGD 92233720368547758.07", ""}, {"922337203685477580.7", "SGD", "", "too_large"},
		{"1,234.50", "SGD", "", "not_a_decimal"},
	} {
		m, err := ParseMoney(tt.in, MustCurrency(tt.currency))
		if got := code(err); got != tt.code || err == nil && m.String() != tt.want {
			t.Errorf("%q in %s: %s, %v; want %s, %s", tt.in, tt.currency, m, err, tt.want, tt.code)
		}
	}
}

func TestNumbersComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := wide(-math.MaxInt64).Draw(t, "v")
		m := Money{v, rapid.SampledFrom([]Currency{MustCurrency("SGD"), MustCurrency("JPY"), MustCurrency("BHD"), MustCurrency("CLF")}).Draw(t, "currency")}
		for _, text := range []string{m.Amount(), m.Number().String()} {
			if back, err := ParseMoney(text, m.Currency); err != nil || back != m {
				t.Fatalf("%s: %v, %v", text, back, err)
			}
		}
		d := Decimal(v)
		if back, err := ParseDecimal(d.String()); err != nil || back != d {
			t.Fatalf("%s: %v, %v", d, back, err)
		}
		scale := rapid.IntRange(0, 18).Draw(t, "scale")
		want := new(big.Rat).SetFrac(big.NewInt(v), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))
		if got, ok := new(big.Rat).SetString(FormatFixed(v, scale, rapid.IntRange(0, 18).Draw(t, "digits"))); !ok || got.Cmp(want) != 0 {
			t.Fatalf("%d at scale %d is written %s", v, scale, got)
		}
	})
}

// FuzzParseNumber holds all that reads a decimal: it is read as what it says, to the last digit, and
// what is written of it is read as the same and is plain text and JSON for every reader.
func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"0", "-0", "1.50", "1e400", "NaN", "1,234.50", "9223372036854775807", ".5", "5.", "-9223372036854775808", "0.0000000000000000001"} {
		f.Add(s)
	}
	same := func(t *testing.T, s, text string) {
		t.Helper()
		want, ok := new(big.Rat).SetString(s)
		got, ok2 := new(big.Rat).SetString(text)
		if !ok || !ok2 || want.Cmp(got) != 0 {
			t.Errorf("%q is read as %s", s, text)
		}
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			t.Error(err)
		}
		if !json.Valid([]byte(text)) {
			t.Errorf("%q is written %s, which is not JSON", s, text)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNumber(s)
		if d, err := ParseDecimal(s); err == nil {
			same(t, s, d.String())
			if again, err := ParseDecimal(d.String()); err != nil || again != d {
				t.Errorf("%s is read as %s, %v", d, again, err)
			}
			var fromJSON Decimal
			if b, err := json.Marshal(d); err != nil || string(b) != d.String() || json.Unmarshal(b, &fromJSON) != nil || fromJSON != d {
				t.Errorf("%s becomes the JSON %s, %v, and that %s", d, b, err, fromJSON)
			}
		}
		for _, c := range []Currency{MustCurrency("JPY"), MustCurrency("SGD"), MustCurrency("BHD"), MustCurrency("CLF")} {
			m, err := ParseMoney(s, c)
			if err != nil {
				continue
			}
			same(t, s, m.Amount())
			if again, err := ParseMoney(m.Amount(), c); err != nil || again != m {
				t.Errorf("%s is read as %s, %v", m, again, err)
			}
		}
		if err != nil {
			if _, err := ParseDecimal(s); err == nil {
				t.Errorf("%q is a decimal and no number", s)
			}
			return
		}
		text := n.String()
		same(t, s, text)
		if again, err := ParseNumber(text); err != nil || again != n || again.String() != text {
			t.Errorf("%s is read as %v, %v", text, again, err)
		}
	})
}
