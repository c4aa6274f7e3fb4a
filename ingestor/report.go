package ingestor

import (
	"cmp"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
)

// Report is what became of an uploaded file. Rows.Read = Rows.Accepted + Rows.Refused, and
// likewise for the totals of each currency.
type Report struct {
	Upload     string    `json:"upload"` // its id
	Bucket     string    `json:"bucket"`
	Key        string    `json:"key"`              // PANs in it are starred
	File       string    `json:"file"`             // the name that the sender gave it, else the key
	Size       int64     `json:"size"`             // bytes, as stored
	ETag       string    `json:"etag"`             // S3's, without quotes
	SHA256     string    `json:"sha256,omitempty"` // of the bytes as stored, when all were read
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at"`
	State      State     `json:"state"`
	Code       string    `json:"code,omitempty"`  // of Error, snake_case
	Error      string    `json:"error,omitempty"` // what is wrong with the file, in plain words

	Rows            Rows            `json:"rows"`
	RefusedByReason []RefusedReason `json:"refused_by_reason"` // the most frequent first
	Totals          Totals          `json:"totals"`            // control totals
}

// State says how far an upload came.
type State string

const (
	// Queued: every row was read, and the accepted ones are acknowledged by Kafka.
	Queued State = "queued"
	// Failed: the file as a whole, or its rest, cannot be read. Rows counts what was dealt with
	// before that; sending the file again, mended and whole, counts none of them twice.
	Failed State = "failed"
)

// Rows counts rows; the header and blank lines are none.
type Rows struct {
	Read     int64 `json:"read"`
	Accepted int64 `json:"accepted"`
	Refused  int64 `json:"refused"`
}

// RefusedReason counts the rows refused for one reason. A row with several counts for the first.
type RefusedReason struct {
	Field string  `json:"field"` // "" when the fields could not be told apart
	Code  string  `json:"code"`
	Rows  int64   `json:"rows"`
	Money Amounts `json:"money"`
}

// Totals are sums of amounts. A refused row counts where its amount and currency could be read.
type Totals struct {
	Read     Amounts `json:"read"`
	Accepted Amounts `json:"accepted"`
	Refused  Amounts `json:"refused"`
}

// Amounts are exact decimals by currency code.
type Amounts map[string]json.Number

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
		out[c.String()] = json.Number(decimal(new(big.Int).Add(&v.big, big.NewInt(v.small)), c.Digits()))
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

// decimal writes v × 10^-digits with all of its digits.
func decimal(v *big.Int, digits int) string {
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
		if m, err := loyalty.ParseMoney(strings.TrimSpace(raw.Amount), c); err == nil {
			t.refusedMoney.add(m)
			r.money.add(m)
		}
	}
}

func (t *tally) fill(r *Report) {
	r.Rows = Rows{Read: t.accepted + t.refused, Accepted: t.accepted, Refused: t.refused}
	r.Totals = Totals{
		Read:     merged(t.acceptedMoney, t.refusedMoney).amounts(),
		Accepted: t.acceptedMoney.amounts(), Refused: t.refusedMoney.amounts(),
	}
	r.RefusedByReason = []RefusedReason{}
	for k, v := range t.reasons {
		r.RefusedByReason = append(r.RefusedByReason, RefusedReason{k.field, k.code, v.rows, v.money.amounts()})
	}
	slices.SortFunc(r.RefusedByReason, func(a, b RefusedReason) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Code, b.Code))
	})
}
