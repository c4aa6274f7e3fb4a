package process

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/angelowl-loyalties/app/loyalty"
)

// Report says what became of every row: Read is the sum of the five outcomes, in rows and, as far
// as amounts could be read, in money by currency.
type Report struct {
	HomeCurrency loyalty.Currency `json:"home_currency"`
	RuleSet      loyalty.Hash     `json:"rule_set"` // the content hash of the rules
	Files        []File           `json:"files"`    // in the order in which they were read
	Read         Tally            `json:"read"`
	Rewarded     Tally            `json:"rewarded"`
	NoCampaign   Tally            `json:"no_campaign"`
	Excluded     Reasons          `json:"excluded"`
	Refused      Reasons          `json:"refused"` // dead letters among them
	Duplicates   Tally            `json:"duplicates"`
	Units        []Units          `json:"units"` // by card type, in the order of its key
}

// File is a file that was read.
type File struct {
	File     string `json:"file"`
	Rows     int64  `json:"rows"`
	Accepted int64  `json:"accepted"`
	Refused  int64  `json:"refused"`         // by the format; the rules' dead letters are not among them
	Error    string `json:"error,omitempty"` // why the file could not be read as a whole
}

// Tally counts rows and sums their money.
type Tally struct {
	Rows  int64 `json:"rows"`
	Money Money `json:"money"`
}

// Reasons is a Tally with its parts.
type Reasons struct {
	Tally
	ByReason map[string]*Tally `json:"by_reason"`
}

// Units are what the cards of a type earned.
type Units struct {
	CardType  string `json:"card_type"`
	Programme string `json:"programme"`
	Unit      string `json:"unit"`
	Rows      int64  `json:"rows"` // rewarded ones
	Units     Sum    `json:"units"`
}

// Money is a sum of minor units for each currency. It does not overflow.
type Money map[loyalty.Currency]*big.Int

// Sum is a decimal that does not overflow: Value × 10^-Digits.
type Sum struct {
	Value  *big.Int
	Digits int
}

// Add counts rows with an amount; a nil amount is one that could not be read.
func (t *Tally) Add(rows int64, c loyalty.Currency, minor *big.Int) {
	t.Rows += rows
	if minor == nil {
		return
	}
	if t.Money == nil {
		t.Money = Money{}
	}
	if t.Money[c] == nil {
		t.Money[c] = new(big.Int)
	}
	t.Money[c].Add(t.Money[c], minor)
}

// AddAll counts what another tally has counted, times 1 or -1.
func (t *Tally) AddAll(o Tally, times int64) {
	t.Rows += times * o.Rows
	for c, v := range o.Money {
		t.Add(0, c, new(big.Int).Mul(v, big.NewInt(times)))
	}
}

// Add counts under a reason and in all.
func (r *Reasons) Add(reason string, t Tally) {
	if r.ByReason == nil {
		r.ByReason = map[string]*Tally{}
	}
	if r.ByReason[reason] == nil {
		r.ByReason[reason] = &Tally{}
	}
	r.ByReason[reason].AddAll(t, 1)
	r.AddAll(t, 1)
}

// Unaccounted is what Read has and the outcomes do not: nothing, when every row is accounted for.
func (r *Report) Unaccounted() Tally {
	var left Tally
	left.AddAll(r.Read, 1)
	for _, t := range []Tally{r.Rewarded, r.NoCampaign, r.Excluded.Tally, r.Refused.Tally, r.Duplicates} {
		left.AddAll(t, -1)
	}
	for c, v := range left.Money {
		if v.Sign() == 0 {
			delete(left.Money, c)
		}
	}
	return left
}

// Accounted says whether every row of every file is accounted for.
func (r *Report) Accounted() bool {
	left := r.Unaccounted()
	return left.Rows == 0 && len(left.Money) == 0 &&
		!slices.ContainsFunc(r.Files, func(f File) bool { return f.Error != "" })
}

// MarshalJSON writes {"CAD": 12.5}, currencies in order.
func (m Money) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, c := range m.currencies() {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", c.String(), Sum{m[c], c.Digits()})
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (m Money) currencies() []loyalty.Currency {
	return slices.SortedFunc(maps.Keys(m), func(a, b loyalty.Currency) int { return strings.Compare(a.String(), b.String()) })
}

func (s Sum) String() string {
	if s.Value == nil {
		return "0"
	}
	digits := new(big.Int).Abs(s.Value).String()
	if len(digits) <= s.Digits {
		digits = strings.Repeat("0", s.Digits+1-len(digits)) + digits
	}
	text := digits[:len(digits)-s.Digits]
	if frac := strings.TrimRight(digits[len(digits)-s.Digits:], "0"); frac != "" {
		text += "." + frac
	}
	if s.Value.Sign() < 0 {
		text = "-" + text
	}
	return text
}

// MarshalJSON writes a JSON number.
func (s Sum) MarshalJSON() ([]byte, error) { return []byte(s.String()), nil }

// Encode writes the report as indented JSON.
func (r *Report) Encode(w io.Writer) error {
	out := *r
	for _, by := range []*map[string]*Tally{&out.Excluded.ByReason, &out.Refused.ByReason} {
		if *by == nil {
			*by = map[string]*Tally{}
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

// Print writes the totals for a person.
func (r *Report) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "EARNED\tunits\t\ttransactions")
	for _, u := range r.Units {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\n", u.CardType, Grouped(u.Units.String()), u.Unit, u.Rows)
	}
	fmt.Fprintln(tw, "\nROWS\trows\t\tmoney")
	line := func(name string, t Tally) {
		fmt.Fprintf(tw, "%s\t%s\t\t%s\n", name, Grouped(fmt.Sprint(t.Rows)), t.Money.text(r.HomeCurrency))
	}
	line("read", r.Read)
	line("rewarded", r.Rewarded)
	line("no campaign", r.NoCampaign)
	reasons := func(name string, t Reasons) {
		line(name, t.Tally)
		for _, reason := range slices.Sorted(maps.Keys(t.ByReason)) {
			line("  "+reason, *t.ByReason[reason])
		}
	}
	reasons("excluded", r.Excluded)
	reasons("refused", r.Refused)
	line("duplicates", r.Duplicates)
	if left := r.Unaccounted(); left.Rows != 0 || len(left.Money) > 0 {
		line("NOT ACCOUNTED FOR", left)
	}
	return tw.Flush()
}

// text lists the home currency and the first others, so that a line fits a terminal; the file has
// all of them.
func (m Money) text(home loyalty.Currency) string {
	const most = 4
	cs := m.currencies()
	slices.SortStableFunc(cs, func(a, b loyalty.Currency) int {
		switch home {
		case a:
			return -1
		case b:
			return 1
		}
		return 0
	})
	var parts []string
	for _, c := range cs[:min(most, len(cs))] {
		parts = append(parts, c.String()+" "+Grouped(Sum{m[c], c.Digits()}.String()))
	}
	if more := len(cs) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

// Grouped puts commas between thousands, for people only.
func Grouped(s string) string {
	whole, frac, point := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if point {
		whole += "." + frac
	}
	return sign + whole
}
