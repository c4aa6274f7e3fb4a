package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/google/uuid"
)

// The value of a reward, format 1: the operand's header, then the partition and the fields in the
// order of appendRow, whole numbers as varints, texts with their length before them. Card, date
// and id are in the key. Currencies are their codes and decimals their text, since the numbers
// that stand for them in memory are a program's own. A new field is a new format: the newest is
// written, and all are read.

var errDamaged = errors.New("a row of the reward store is damaged")

// unknown is the error of a value whose format byte is not the one that belongs there.
func unknown(format byte) error {
	if format > formatNewest {
		return fmt.Errorf("a row of the reward store has format %d, and this program reads up to %d: it was written by a newer release; update this one", format, formatNewest)
	}
	return errDamaged
}

func appendRow(b []byte, r *loyalty.Row) []byte {
	b = appendHeader(b, formatRow, r.Position)
	b = binary.AppendUvarint(b, uint64(r.Position.Partition))
	b = appendText(b, r.Merchant)
	b = binary.AppendUvarint(b, uint64(r.MCC))
	b = appendText(b, r.Currency.String())
	b = binary.AppendVarint(b, r.Amount)
	b = appendNumber(b, r.HomeAmount)
	b = appendText(b, r.Reference)
	b = appendText(b, r.CardPAN)
	b = appendText(b, r.CardType)
	b = binary.AppendVarint(b, r.Units.Value)
	b = append(b, r.Units.Digits)
	b = appendText(b, r.Remarks)
	b = appendFlag(b, !r.CreatedAt.IsZero())
	if !r.CreatedAt.IsZero() {
		b = binary.AppendVarint(b, r.CreatedAt.UnixMilli())
	}

	t := &r.Trace
	b = append(b, t.RuleSet[:]...)
	b = appendText(b, string(t.Outcome))
	b = appendText(b, t.Programme)
	b = appendText(b, t.Unit)
	b = append(b, t.Decimals)
	b = appendApplied(b, t.Base)
	b = appendApplied(b, t.Promo)
	b = appendFlag(b, t.Converted != nil)
	if c := t.Converted; c != nil {
		b = appendNumber(b, c.Amount)
		b = appendText(b, c.Currency.String())
		b = appendText(b, string(c.Source))
		b = appendFlag(b, c.RateDate != nil)
		if c.RateDate != nil {
			b = binary.AppendVarint(b, int64(*c.RateDate))
		}
		b = appendText(b, c.Base)
		b = appendDecimal(b, c.FromQuote)
		b = appendDecimal(b, c.ToQuote)
	}
	b = appendFlag(b, t.Exclusion != nil)
	if e := t.Exclusion; e != nil {
		b = appendText(b, string(e.Reason))
		b = appendFlag(b, e.ID != nil)
		if e.ID != nil {
			b = append(b, e.ID[:]...)
		}
		b = appendFlag(b, e.ValidFrom != nil)
		if e.ValidFrom != nil {
			b = binary.AppendVarint(b, int64(*e.ValidFrom))
		}
	}
	return b
}

func appendApplied(b []byte, a *loyalty.AppliedCampaign) []byte {
	b = appendFlag(b, a != nil)
	if a == nil {
		return b
	}
	b = append(b, a.ID[:]...)
	b = appendText(b, a.Name)
	b = binary.AppendVarint(b, int64(a.Rate))
	return appendNumber(b, a.Units)
}

func appendFlag(b []byte, set bool) []byte {
	if set {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendNumber appends the text, which is 21 bytes at most.
func appendNumber(b []byte, n loyalty.Number) []byte {
	at := len(b)
	b, _ = n.AppendText(append(b, 0)) // never an error
	b[at] = byte(len(b) - at - 1)
	return b
}

func appendDecimal(b []byte, d *loyalty.Decimal) []byte {
	b = appendFlag(b, d != nil)
	if d != nil {
		b = binary.AppendVarint(b, int64(*d))
	}
	return b
}

// decodeRow reads a value of a reward whose key is k.
func decodeRow(k loyalty.Key, value []byte) (loyalty.Row, error) {
	var r loyalty.Row
	switch {
	case len(value) < operandHeader:
		return r, errDamaged
	case value[0] != formatRow:
		return r, unknown(value[0])
	}
	d := decoder{b: value[operandHeader:]}
	r.CardID, r.Date, r.ID = k.CardID, k.Date, k.ID
	r.Position = position(value, int32(d.uvarint()))
	r.Merchant = d.text()
	r.MCC = loyalty.MCC(d.uvarint())
	r.Currency = d.currency()
	r.Amount = d.varint()
	r.HomeAmount = d.number()
	r.Reference = d.text()
	r.CardPAN = d.text()
	r.CardType = d.text()
	r.Units = loyalty.Units{Value: d.varint(), Digits: d.byte()}
	r.Remarks = d.text()
	if d.flag() {
		r.CreatedAt = time.UnixMilli(d.varint()).UTC()
	}

	t := &r.Trace
	copy(t.RuleSet[:], d.bytes(len(t.RuleSet)))
	t.Outcome = d.outcome()
	t.Programme = d.text()
	t.Unit = d.text()
	t.Decimals = d.byte()
	t.Base = d.applied()
	t.Promo = d.applied()
	if d.flag() {
		t.Converted = &loyalty.Conversion{
			Amount: d.number(), Currency: d.currency(), Source: loyalty.ConversionSource(d.text()),
			RateDate: d.date(), Base: d.text(), FromQuote: d.decimal(), ToQuote: d.decimal(),
		}
	}
	if d.flag() {
		t.Exclusion = &loyalty.AppliedExclusion{Reason: loyalty.ExclusionReason(d.text())}
		if d.flag() {
			id := d.id()
			t.Exclusion.ID = &id
		}
		t.Exclusion.ValidFrom = d.date()
	}
	if d.damaged || len(d.b) > 0 {
		return loyalty.Row{}, errDamaged
	}
	return r, nil
}

// decoder takes fields off b; past a damage it yields zeros.
type decoder struct {
	b       []byte
	damaged bool
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.damaged, d.b = true, nil
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) flag() bool { return d.byte() == 1 }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bytes(-1)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bytes(-1)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) rawText() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		return d.bytes(-1)
	}
	return d.bytes(int(n))
}

func (d *decoder) text() string { return string(d.rawText()) }

// outcome does without a copy of the three texts there are.
func (d *decoder) outcome() loyalty.Outcome {
	b := d.rawText()
	for _, o := range [...]loyalty.Outcome{loyalty.Rewarded, loyalty.NoCampaign, loyalty.Excluded} {
		if string(b) == string(o) {
			return o
		}
	}
	return loyalty.Outcome(b)
}

func (d *decoder) currency() loyalty.Currency {
	b := d.rawText()
	if len(b) == 0 {
		return 0
	}
	c, ok := loyalty.ParseCurrency(string(b))
	d.damaged = d.damaged || !ok
	return c
}

func (d *decoder) number() loyalty.Number {
	b := d.bytes(int(d.byte()))
	if string(b) == "0" {
		return loyalty.Number{}
	}
	n, err := loyalty.ParseNumber(string(b))
	d.damaged = d.damaged || err != nil
	return n
}

func (d *decoder) date() *loyalty.Date {
	if !d.flag() {
		return nil
	}
	day := loyalty.Date(d.varint())
	return &day
}

func (d *decoder) decimal() *loyalty.Decimal {
	if !d.flag() {
		return nil
	}
	v := loyalty.Decimal(d.varint())
	return &v
}

func (d *decoder) id() (id uuid.UUID) {
	copy(id[:], d.bytes(len(id)))
	return id
}

func (d *decoder) applied() *loyalty.AppliedCampaign {
	if !d.flag() {
		return nil
	}
	return &loyalty.AppliedCampaign{ID: d.id(), Name: d.text(), Rate: loyalty.Decimal(d.varint()), Units: d.number()}
}
