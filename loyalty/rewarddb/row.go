package rewarddb

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/google/uuid"
)

// Columns are the columns of a reward in the order of Values. What stands in `format` says how
// the others are read. A row is written whole: every column has a value, so none of a later
// record's can show through where this one's is absent, and none is a tombstone. What is absent is
// the empty text, or a user-defined type without fields, which cqlsh shows as null.
//
// A new field is a new column, a migration and a new format: the newest is written, all are read,
// and a reader ignores columns that came after the row's format.
var Columns = [...]string{
	"card_id", "transaction_date", "id",
	"format", "log_incarnation", "log_partition", "log_offset",
	"merchant", "mcc", "currency", "amount", "home_amount", "transaction_id", "card_pan", "card_type",
	"reward_amount", "remarks", "created_at",
	"rule_set", "outcome", "programme", "unit", "decimals", "base", "promo", "converted", "exclusion",
}

// RowFormat is the newest format that this program reads, and the one that it writes.
const RowFormat = 1

// EntryColumns are the columns of an entry of the index by day in the order of EntryValues.
var EntryColumns = [...]string{
	"day", "bucket", "card_id", "transaction_date", "id",
	"log_incarnation", "log_partition", "log_offset",
}

// Buckets is how many partitions a day of the index has, so that one node does not take all
// that arrives on it. It can never change.
const Buckets = 16

// Bucket is where a card's entries stand. UUIDs may begin alike, those by time do, so all bytes
// count (FNV-1a).
func Bucket(card uuid.UUID) int16 {
	h := uint32(2166136261)
	for _, b := range card {
		h = (h ^ uint32(b)) * 16777619
	}
	return int16((h ^ h>>16) % Buckets)
}

// Values are the cells of a reward.
type Values [len(Columns)]Cell

// EntryValues are the cells of an entry of the index.
type EntryValues [len(EntryColumns)]Cell

// Size is how many bytes the cells have.
func (v *Values) Size() int {
	n := 0
	for _, c := range v {
		n += len(c)
	}
	return n
}

// cut shares out what a writer wrote.
func cut(cells []Cell, b []byte, ends []int) {
	from := 0
	for i, end := range ends {
		cells[i] = b[from:end:end]
		from = end
	}
}

// Set makes the cells of a row. The error says, as a reason that people read, why no row can be
// stored.
func (v *Values) Set(r *loyalty.Row) error {
	w := writer{b: make([]byte, 0, 512)}
	var ends [len(Columns)]int
	i := 0
	end := func() { ends[i] = len(w.b); i++ }

	w.uuid(r.CardID)
	end()
	w.date(r.Date)
	end()
	w.id(r.ID)
	end()
	w.int16(RowFormat)
	end()
	w.int32(int32(r.Position.Incarnation))
	end()
	w.int32(r.Position.Partition)
	end()
	w.int64(r.Position.Offset)
	end()
	w.string(r.Merchant)
	end()
	w.int32(int32(r.MCC))
	end()
	w.string(r.Currency.String())
	end()
	w.decimal(r.Amount, r.Currency.Digits())
	end()
	w.number(r.HomeAmount)
	end()
	w.string(r.Reference)
	end()
	w.string(r.CardPAN)
	end()
	w.string(r.CardType)
	end()
	w.decimal(r.Units.Value, int(r.Units.Digits))
	end()
	w.string(r.Remarks)
	end()
	w.int64(r.CreatedAt.UnixMilli())
	end()

	t := &r.Trace
	w.b = append(w.b, t.RuleSet[:]...)
	end()
	w.string(string(t.Outcome))
	end()
	w.string(t.Programme)
	end()
	w.string(t.Unit)
	end()
	w.int16(int16(t.Decimals))
	end()
	w.applied(t.Base)
	end()
	w.applied(t.Promo)
	end()
	w.converted(t.Converted)
	end()
	w.excluded(t.Exclusion)
	end()
	cut(v[:], w.b, ends[:])
	if w.bad != "" {
		return errors.New(w.bad)
	}
	return nil
}

func (w *writer) applied(a *loyalty.AppliedCampaign) {
	if a == nil {
		return
	}
	w.field(func() { w.uuid(a.ID) })
	w.field(func() { w.string(a.Name) })
	w.field(func() { w.rate(a.Rate) })
	w.field(func() { w.number(a.Units) })
}

func (w *writer) converted(c *loyalty.Conversion) {
	if c == nil {
		return
	}
	w.field(func() { w.number(c.Amount) })
	w.field(func() { w.string(c.Currency.String()) })
	w.field(func() { w.string(string(c.Source)) })
	w.optionalDate(c.RateDate)
	w.field(func() { w.string(c.Base) })
	w.optionalRate(c.FromQuote)
	w.optionalRate(c.ToQuote)
}

func (w *writer) excluded(e *loyalty.AppliedExclusion) {
	if e == nil {
		return
	}
	w.field(func() { w.string(string(e.Reason)) })
	if e.ID != nil {
		w.field(func() { w.uuid(*e.ID) })
	} else {
		w.null()
	}
	w.optionalDate(e.ValidFrom)
}

func (w *writer) optionalDate(d *loyalty.Date) {
	if d == nil {
		w.null()
		return
	}
	w.field(func() { w.date(*d) })
}

func (w *writer) optionalRate(d *loyalty.Decimal) {
	if d == nil {
		w.null()
		return
	}
	w.field(func() { w.rate(*d) })
}

// Row reads the cells of a row.
func (v *Values) Row() (loyalty.Row, error) {
	var (
		row loyalty.Row
		r   reader
		i   = -1
	)
	next := func() []byte { i++; return v[i] }

	row.CardID = r.uuid(next())
	row.Date = r.date(next())
	row.ID = r.id(next())
	switch format := r.int16(next()); {
	case r.damaged || format < 1:
		return loyalty.Row{}, damaged(&row)
	case format > RowFormat:
		return loyalty.Row{}, fmt.Errorf("the reward %s has format %d, and this program reads up to %d: a newer release wrote it; update this one", describe(&row), format, RowFormat)
	}
	row.Position.Incarnation = int64(r.int32(next()))
	row.Position.Partition = r.int32(next())
	row.Position.Offset = r.int64(next())
	row.Merchant = r.string(next())
	row.MCC = loyalty.MCC(r.int32(next()))
	row.Currency = r.currency(next())
	row.Amount = r.scaled(next(), row.Currency.Digits())
	row.HomeAmount = r.number(next())
	row.Reference = r.string(next())
	row.CardPAN = r.string(next())
	row.CardType = r.string(next())
	units, digits := r.decimal(next())
	row.Units = loyalty.Units{Value: units, Digits: uint8(digits)}
	row.Remarks = r.string(next())
	row.CreatedAt = time.UnixMilli(r.int64(next())).UTC()

	t := &row.Trace
	copy(t.RuleSet[:], r.sized(next(), len(t.RuleSet)))
	t.Outcome = outcome(r.string(next()))
	t.Programme = r.string(next())
	t.Unit = r.string(next())
	t.Decimals = uint8(r.int16(next()))
	t.Base = r.applied(next())
	t.Promo = r.applied(next())
	t.Converted = r.converted(next())
	t.Exclusion = r.excluded(next())
	if r.damaged {
		return loyalty.Row{}, damaged(&row)
	}
	return row, nil
}

func damaged(r *loyalty.Row) error {
	return fmt.Errorf("the reward %s is damaged: a column of it is missing or not what was written", describe(r))
}

func describe(r *loyalty.Row) string {
	return fmt.Sprintf("%s of card %s on %s", r.ID, r.CardID, r.Date)
}

// outcome shares the three texts there are.
func outcome(s string) loyalty.Outcome {
	for _, o := range [...]loyalty.Outcome{loyalty.Rewarded, loyalty.NoCampaign, loyalty.Excluded} {
		if s == string(o) {
			return o
		}
	}
	return loyalty.Outcome(s)
}

// fields says whether a user-defined type is there. A cell that is null was never written.
func (r *reader) fields(c []byte) (fields, bool) {
	r.damaged = r.damaged || c == nil
	return fields{c, r}, len(c) > 0
}

func (r *reader) applied(c []byte) *loyalty.AppliedCampaign {
	f, ok := r.fields(c)
	if !ok {
		return nil
	}
	a := &loyalty.AppliedCampaign{ID: r.uuid(f.next()), Name: r.string(f.next()), Rate: r.rate(f.next()), Units: r.number(f.next())}
	f.end()
	return a
}

func (r *reader) converted(c []byte) *loyalty.Conversion {
	f, ok := r.fields(c)
	if !ok {
		return nil
	}
	v := &loyalty.Conversion{
		Amount: r.number(f.next()), Currency: r.currency(f.next()), Source: loyalty.ConversionSource(r.string(f.next())),
		RateDate: r.optionalDate(f.next()), Base: r.string(f.next()), FromQuote: r.optionalRate(f.next()), ToQuote: r.optionalRate(f.next()),
	}
	f.end()
	return v
}

func (r *reader) excluded(c []byte) *loyalty.AppliedExclusion {
	f, ok := r.fields(c)
	if !ok {
		return nil
	}
	e := &loyalty.AppliedExclusion{Reason: loyalty.ExclusionReason(r.string(f.next()))}
	if c := f.next(); c != nil {
		id := r.uuid(c)
		e.ID = &id
	}
	e.ValidFrom = r.optionalDate(f.next())
	f.end()
	return e
}

func (r *reader) optionalDate(c []byte) *loyalty.Date {
	if c == nil {
		return nil
	}
	d := r.date(c)
	return &d
}

func (r *reader) optionalRate(c []byte) *loyalty.Decimal {
	if c == nil {
		return nil
	}
	d := r.rate(c)
	return &d
}

// Set makes the cells of the entry of a row.
func (v *EntryValues) Set(day loyalty.Date, r *loyalty.Row) {
	w := writer{b: make([]byte, 0, 106)}
	var ends [len(EntryColumns)]int
	i := 0
	end := func() { ends[i] = len(w.b); i++ }
	w.date(day)
	end()
	w.int16(Bucket(r.CardID))
	end()
	w.id(r.CardID)
	end()
	w.date(r.Date)
	end()
	w.id(r.ID)
	end()
	w.int32(int32(r.Position.Incarnation))
	end()
	w.int32(r.Position.Partition)
	end()
	w.int64(r.Position.Offset)
	end()
	cut(v[:], w.b, ends[:])
}

// Entry is an entry of the index: which row, and which record's.
type Entry struct {
	Key      loyalty.Key
	Position loyalty.Position
}

// Entry reads the cells of an entry.
func (v *EntryValues) Entry() (Entry, error) {
	var r reader
	e := Entry{
		Key:      loyalty.Key{CardID: r.id(v[2]), Date: r.date(v[3]), ID: r.id(v[4])},
		Position: loyalty.Position{Incarnation: int64(r.int32(v[5])), Partition: r.int32(v[6]), Offset: r.int64(v[7])},
	}
	if r.damaged {
		return Entry{}, errors.New("an entry of the index by day is damaged: a column of it is missing or not what was written")
	}
	return e, nil
}

// encodeID writes a UUID's text.
func encodeID(b []byte, id uuid.UUID) {
	hex.Encode(b, id[:4])
	b[8] = '-'
	hex.Encode(b[9:], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:], id[10:])
}

// Key cells, for the conditions of statements.

// UUID is a uuid's cell.
func UUID(id uuid.UUID) *Cell { return cell(func(w *writer) { w.uuid(id) }) }

// ID is the cell of a UUID that is kept as text.
func ID(id uuid.UUID) *Cell { return cell(func(w *writer) { w.id(id) }) }

// Date is a date's cell.
func Date(d loyalty.Date) *Cell { return cell(func(w *writer) { w.date(d) }) }

func cell(f func(*writer)) *Cell {
	var w writer
	f(&w)
	c := Cell(w.b)
	return &c
}

// Pointers are what a row is scanned into, or bound from.
func (v *Values) Pointers() []any { return pointers(v[:]) }

// Pointers are what an entry is scanned into, or bound from.
func (v *EntryValues) Pointers() []any { return pointers(v[:]) }

func pointers(cells []Cell) []any {
	out := make([]any, len(cells), len(cells)+1) // room for a write time
	for i := range cells {
		out[i] = &cells[i]
	}
	return out
}
