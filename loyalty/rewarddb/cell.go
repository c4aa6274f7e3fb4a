package rewarddb

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/angelowl-loyalties/app/loyalty"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/google/uuid"
)

// Cell is a value as it stands on the wire (section 6 of the protocol's specification, "Data Type
// Serialization Formats"), so that rows cost no reflection and a row's values are one allocation.
type Cell []byte

// MarshalCQL implements gocql.Marshaler.
func (c *Cell) MarshalCQL(gocql.TypeInfo) ([]byte, error) { return *c, nil }

// UnmarshalCQL implements gocql.Unmarshaler. The cell is good until the next row is read.
func (c *Cell) UnmarshalCQL(_ gocql.TypeInfo, data []byte) error {
	*c = data
	return nil
}

// writer writes cells one behind the other.
type writer struct {
	b   []byte
	bad string // what cannot be written, "" for nothing
}

func (w *writer) int16(v int16) { w.b = binary.BigEndian.AppendUint16(w.b, uint16(v)) }
func (w *writer) int32(v int32) { w.b = binary.BigEndian.AppendUint32(w.b, uint32(v)) }
func (w *writer) int64(v int64) { w.b = binary.BigEndian.AppendUint64(w.b, uint64(v)) }

// date: days, of which 1970-01-01 is 2^31.
func (w *writer) date(d loyalty.Date) { w.b = binary.BigEndian.AppendUint32(w.b, uint32(d)^1<<31) }

func (w *writer) uuid(id uuid.UUID) { w.b = append(w.b, id[:]...) }

// id: a UUID's text; see migrations/0001_rewards.cql for why.
func (w *writer) id(id uuid.UUID) {
	at := len(w.b)
	w.b = append(w.b, make([]byte, 36)...)
	encodeID(w.b[at:], id)
}

func (w *writer) string(s string) {
	if !utf8.ValidString(s) && w.bad == "" {
		w.bad = "a text of it is not valid UTF-8"
	}
	w.b = append(w.b, s...)
}

// maxScale is the most digits behind the point that a number has; see loyalty.Number.
const maxScale = 18

// decimal: the scale, then the coefficient in as few bytes of two's complement as hold it.
func (w *writer) decimal(coef int64, scale int) {
	if scale > maxScale && w.bad == "" {
		w.bad = fmt.Sprintf("a number of it has more than %d decimals", maxScale)
	}
	w.int32(int32(scale))
	n := 1
	for ; n < 8; n++ {
		if rest := coef >> (8*n - 1); rest == 0 || rest == -1 {
			break
		}
	}
	for n--; n >= 0; n-- {
		w.b = append(w.b, byte(coef>>(8*n)))
	}
}

func (w *writer) number(n loyalty.Number) {
	var buf [24]byte
	text, _ := n.AppendText(buf[:0]) // never an error
	var coef uint64
	negative, scale, point := false, 0, false
	for _, c := range text {
		switch c {
		case '-':
			negative = true
		case '.':
			point = true
		default:
			coef = coef*10 + uint64(c-'0')
			if point {
				scale++
			}
		}
	}
	v := int64(coef)
	if negative {
		v = -v
	}
	w.decimal(v, scale)
}

// rate is a decimal without zeros at its end.
func (w *writer) rate(d loyalty.Decimal) {
	v, scale := int64(d), loyalty.DecimalDigits
	for scale > 0 && v%10 == 0 {
		v /= 10
		scale--
	}
	w.decimal(v, scale)
}

// field writes a field of a user-defined type: its length, then what f writes.
func (w *writer) field(f func()) {
	at := len(w.b)
	w.int32(0)
	f()
	binary.BigEndian.PutUint32(w.b[at:], uint32(len(w.b)-at-4))
}

func (w *writer) null() { w.int32(-1) }

// reader reads cells; past a damage it yields zeros.
type reader struct{ damaged bool }

func (r *reader) sized(c []byte, n int) []byte {
	if len(c) != n {
		r.damaged = true
		return make([]byte, n)
	}
	return c
}

func (r *reader) int16(c []byte) int16 { return int16(binary.BigEndian.Uint16(r.sized(c, 2))) }
func (r *reader) int32(c []byte) int32 { return int32(binary.BigEndian.Uint32(r.sized(c, 4))) }
func (r *reader) int64(c []byte) int64 { return int64(binary.BigEndian.Uint64(r.sized(c, 8))) }

func (r *reader) date(c []byte) loyalty.Date {
	return loyalty.Date(binary.BigEndian.Uint32(r.sized(c, 4)) ^ 1<<31)
}

func (r *reader) uuid(c []byte) (id uuid.UUID) {
	copy(id[:], r.sized(c, 16))
	return id
}

func (r *reader) id(c []byte) uuid.UUID {
	if len(c) == 36 {
		if id, err := uuid.ParseBytes(c); err == nil {
			return id
		}
	}
	r.damaged = true
	return uuid.UUID{}
}

// string is the text of a cell that must be there.
func (r *reader) string(c []byte) string {
	r.damaged = r.damaged || c == nil
	return string(c)
}

func (r *reader) currency(c []byte) loyalty.Currency {
	if c != nil && len(c) == 0 {
		return 0
	}
	v, ok := loyalty.ParseCurrency(string(c))
	r.damaged = r.damaged || !ok
	return v
}

// decimal is the coefficient of a decimal and its scale.
func (r *reader) decimal(c []byte) (coef int64, scale int) {
	if len(c) < 5 || len(c) > 12 {
		r.damaged = true
		return 0, 0
	}
	scale = int(int32(binary.BigEndian.Uint32(c)))
	coef = int64(int8(c[4]))
	for _, b := range c[5:] {
		coef = coef<<8 | int64(b)
	}
	if scale < 0 || scale > maxScale {
		r.damaged = true
		return 0, 0
	}
	return coef, scale
}

// scaled is a decimal's coefficient at a scale, where that is exact. The scales differ where the
// digits of a currency have changed since.
func (r *reader) scaled(c []byte, to int) int64 {
	coef, scale := r.decimal(c)
	for ; scale > to && coef%10 == 0; scale-- {
		coef /= 10
	}
	for ; scale < to; scale++ {
		if coef > math.MaxInt64/10 || coef < math.MinInt64/10 {
			break
		}
		coef *= 10
	}
	r.damaged = r.damaged || scale != to
	return coef
}

func (r *reader) rate(c []byte) loyalty.Decimal {
	return loyalty.Decimal(r.scaled(c, loyalty.DecimalDigits))
}

func (r *reader) number(c []byte) loyalty.Number {
	coef, scale := r.decimal(c)
	if coef == 0 {
		return loyalty.Number{}
	}
	n, err := loyalty.ParseNumber(loyalty.FormatFixed(coef, scale, 0))
	r.damaged = r.damaged || err != nil
	return n
}

// fields takes the fields of a user-defined type off a cell; of one that is null or was not
// written it is nil.
type fields struct {
	b []byte
	r *reader
}

func (f *fields) next() []byte {
	if len(f.b) == 0 {
		return nil
	}
	if len(f.b) < 4 {
		f.r.damaged, f.b = true, nil
		return nil
	}
	n := int32(binary.BigEndian.Uint32(f.b))
	f.b = f.b[4:]
	switch {
	case n < 0:
		return nil
	case int(n) > len(f.b):
		f.r.damaged, f.b = true, nil
		return nil
	}
	c := f.b[:n:n]
	f.b = f.b[n:]
	return c
}

// end checks that nothing is left.
func (f *fields) end() { f.r.damaged = f.r.damaged || len(f.b) > 0 }
