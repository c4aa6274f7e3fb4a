package ingestor

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// What is said of an upload; see package upload.
type (
	Report        = upload.Report
	State         = upload.State
	Rows          = upload.Rows
	RefusedReason = upload.RefusedReason
	Totals        = upload.Totals
	Amounts       = upload.Amounts
)

// The states of a report.
const (
	Queued     = upload.Queued
	Failed     = upload.Failed
	Reconciled = upload.Reconciled
)

// sums adds up minor units by currency, without bounds.
type sums map[loyalty.Currency]*sum

type sum struct {
	small int64 // what has not been added to big yet
	big   big.Int
}

func (s sums) add(m loyalty.Money) {
	v := s[m.Currency]
	if v == nil {
		v = new(sum)
		s[m.Currency] = v
	}
	next := v.small + m.Minor
	if (next > v.small) != (m.Minor > 0) && m.Minor != 0 {
		v.big.Add(&v.big, big.NewInt(v.small))
		next = m.Minor
	}
	v.small = next
}

func (s sums) amounts() Amounts {
	out := Amounts{}
	for c, v := range s {
		out[c.String()] = json.Number(upload.FormatMinor(new(big.Int).Add(&v.big, big.NewInt(v.small)), c.Digits()))
	}
	return out
}

func merged(a, b sums) sums {
	out := sums{}
	for _, s := range []sums{a, b} {
		for c, v := range s {
			if out[c] == nil {
				out[c] = new(sum)
			}
			out[c].big.Add(&out[c].big, &v.big)
			out[c].big.Add(&out[c].big, big.NewInt(v.small))
		}
	}
	return out
}

// parse is amounts, undone.
func parse(a Amounts) (sums, error) {
	out := sums{}
	for code, text := range a {
		c, ok := loyalty.ParseCurrency(code)
		if !ok {
			return nil, fmt.Errorf("%q is no currency", code)
		}
		v, ok := upload.ParseMinor(text.String(), c.Digits())
		if !ok {
			return nil, fmt.Errorf("%q is no amount of %s", text, code)
		}
		out[c] = &sum{big: *v}
	}
	return out, nil
}

// tally counts the rows of one file.
type tally struct {
	accepted, refused           int64
	acceptedMoney, refusedMoney sums
	reasons                     map[reason]*reasonTally
}

type reason struct{ field, code string }

type reasonTally struct {
	rows  int64
	money sums
}

func newTally() *tally {
	return &tally{acceptedMoney: sums{}, refusedMoney: sums{}, reasons: map[reason]*reasonTally{}}
}

func (t *tally) accept(tx *loyalty.Transaction) {
	t.accepted++
	t.acceptedMoney.add(tx.Money())
}

// refuse counts a row that was refused for err, a *loyalty.FieldError or FieldErrors.
func (t *tally) refuse(raw *loyalty.RawTransaction, err error) {
	t.refused++
	first := reason{code: "invalid"}
	if f, ok := errors.AsType[*loyalty.FieldError](err); ok {
		first = reason{f.Field, f.Code}
	}
	r := t.reasons[first]
	if r == nil {
		r = &reasonTally{money: sums{}}
		t.reasons[first] = r
	}
	r.rows++
	if c, ok := loyalty.ParseCurrency(strings.TrimSpace(raw.Currency)); ok {
		// A card number in the wrong column is no money, and must not come into a report as a sum.
		n, err := loyalty.ParseAmount(strings.TrimSpace(raw.Amount))
		if err != nil {
			return
		}
		if m, err := n.Money(c); err == nil {
			t.refusedMoney.add(m)
			r.money.add(m)
		}
	}
}

// resume is fill, undone.
func (t *tally) resume(r *Report) (err error) {
	t.accepted, t.refused = r.Rows.Accepted, r.Rows.Refused
	if t.acceptedMoney, err = parse(r.Totals.Accepted); err != nil {
		return err
	}
	if t.refusedMoney, err = parse(r.Totals.Refused); err != nil {
		return err
	}
	for _, why := range r.RefusedByReason {
		money, err := parse(why.Money)
		if err != nil {
			return err
		}
		t.reasons[reason{why.Field, why.Code}] = &reasonTally{why.Rows, money}
	}
	return nil
}

func (t *tally) fill(r *Report) {
	r.Rows = Rows{Read: t.accepted + t.refused, Accepted: t.accepted, Refused: t.refused}
	r.Totals = Totals{
		Read:     merged(t.acceptedMoney, t.refusedMoney).amounts(),
		Accepted: t.acceptedMoney.amounts(), Refused: t.refusedMoney.amounts(),
	}
	r.RefusedByReason = []RefusedReason{}
	for k, v := range t.reasons {
		r.RefusedByReason = append(r.RefusedByReason, RefusedReason{Field: k.field, Code: k.code, Rows: v.rows, Money: v.money.amounts()})
	}
	slices.SortFunc(r.RefusedByReason, func(a, b RefusedReason) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Code, b.Code))
	})
}
