package rewarddb

import (
	"math"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// fill sets every field, at any depth, to something that is not its zero, so that a field that
// somebody adds and the columns do not have fails TestColumnsHaveEveryField.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch x := v.Addr().Interface().(type) {
	case *loyalty.Number:
		n, err := loyalty.ParseNumber("-123456789.012345678")
		if err != nil {
			t.Fatal(err)
		}
		*x = n
		return
	case *time.Time:
		*x = time.UnixMilli(1_700_000_000_123).UTC()
		return
	case *loyalty.Currency:
		*x = loyalty.MustCurrency("BHD")
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.String:
		v.SetString("text of " + v.Type().Name())
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(3)
	case reflect.Int32, reflect.Int64:
		v.SetInt(5)
	default:
		t.Fatalf("the columns have not met a %s", v.Type())
	}
}

func filled(t *testing.T) (row loyalty.Row) {
	fill(t, reflect.ValueOf(&row).Elem())
	return row
}

func TestColumnsHaveEveryField(t *testing.T) {
	row := filled(t)
	var v Values
	if err := v.Set(&row); err != nil {
		t.Fatal(err)
	}
	got, err := v.Row()
	if err != nil || !reflect.DeepEqual(got, row) {
		t.Errorf("%v\n%+v\nnot\n%+v", err, got, row)
	}
	var e EntryValues
	e.Set(7, &row)
	if got, err := e.Entry(); err != nil || got != (Entry{row.Key(), row.Position}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestEveryColumnHasAValue(t *testing.T) {
	full := filled(t)
	for name, row := range map[string]*loyalty.Row{"full": &full, "bare": {}} {
		var v Values
		if err := v.Set(row); err != nil {
			t.Fatal(err)
		}
		var e EntryValues
		e.Set(0, row)
		for i, c := range v {
			if c == nil {
				t.Errorf("%s: %s is null, and an earlier record's cell would show through", name, Columns[i])
			}
		}
		for i, c := range e {
			if c == nil {
				t.Errorf("%s: %s of the index is null", name, EntryColumns[i])
			}
		}
		if got, err := v.Row(); err != nil || !reflect.DeepEqual(got, *row) {
			t.Errorf("%s: %v\n%+v\nnot\n%+v", name, err, got, *row)
		}
	}
}

func TestDamagedCells(t *testing.T) {
	row := filled(t)
	for i, column := range Columns {
		var good Values
		if err := good.Set(&row); err != nil {
			t.Fatal(err)
		}
		for name, cell := range map[string]Cell{"null": nil, "longer": append(append(Cell{}, good[i]...), 1)} {
			v := good
			v[i] = cell
			got, err := v.Row()
			if err == nil && name == "null" {
				t.Errorf("%s: a row without it was read", column)
			}
			if err == nil && reflect.DeepEqual(got, row) {
				t.Errorf("%s: a row whose cell is %s was read as if nothing were", column, name)
			}
		}
	}
}

func TestRowsThatAreNone(t *testing.T) {
	for name, edit := range map[string]func(*loyalty.Row){
		"a text that is not UTF-8":          func(r *loyalty.Row) { r.Merchant = "\xff" },
		"a campaign's name that is not":     func(r *loyalty.Row) { r.Trace.Base = &loyalty.AppliedCampaign{Name: "\xff"} },
		"units with more decimals than fit": func(r *loyalty.Row) { r.Units.Digits = 19 },
	} {
		var row loyalty.Row
		edit(&row)
		var v Values
		if err := v.Set(&row); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}

// TestDecimals reads what is written with math/big, as Cassandra's own decimal is defined.
func TestDecimals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		coef := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-300, 300), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, -128, 127, 128, -129})).Draw(t, "coefficient")
		scale := rapid.IntRange(0, 18).Draw(t, "scale")
		var w writer
		w.decimal(coef, scale)
		unscaled := new(big.Int).SetBytes(w.b[4:])
		if w.b[4]&0x80 != 0 {
			unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(8*len(w.b[4:]))))
		}
		if !unscaled.IsInt64() || unscaled.Int64() != coef || int(w.b[3]) != scale {
			t.Fatalf("%d × 10^-%d is written %x", coef, scale, w.b)
		}
		magnitude := unscaled
		if coef < 0 {
			magnitude = new(big.Int).Not(unscaled)
		}
		if short := magnitude.BitLen()/8 + 1; len(w.b)-4 != short { // as java.math.BigInteger.toByteArray
			t.Fatalf("%d has %d bytes, not %d", coef, len(w.b)-4, short)
		}
		var r reader
		if c, s := r.decimal(w.b); c != coef || s != scale || r.damaged {
			t.Fatalf("%d × 10^-%d is read as %d × 10^-%d", coef, scale, c, s)
		}
	})
}

// TestBucket holds buckets to what they were: entries stay where they are.
func TestBucket(t *testing.T) {
	for id, want := range map[string]int16{
		"00000000-0000-0000-0000-000000000000": 12,
		"ffffffff-ffff-ffff-ffff-ffffffffffff": 2,
		"d6c8f2a5-52ac-5ef0-9f0c-54b8fd5a4b3e": 14,
	} {
		if got := Bucket(uuid.MustParse(id)); got != want {
			t.Errorf("%s is in bucket %d, not %d", id, got, want)
		}
	}
	// UUIDs that begin alike, as those by time do, are spread.
	var n [Buckets]int
	id := uuid.MustParse("018f3a5e-7c00-7000-8000-000000000000")
	for i := range 16000 {
		id[14], id[15] = byte(i>>8), byte(i)
		n[Bucket(id)]++
	}
	for b, n := range n {
		if n < 800 || n > 1200 {
			t.Errorf("bucket %d has %d of 16000 cards", b, n)
		}
	}
}

func FuzzRow(f *testing.F) {
	var row loyalty.Row
	row.Trace.Exclusion = &loyalty.AppliedExclusion{Reason: loyalty.UnknownMCC}
	row.Trace.Converted = &loyalty.Conversion{}
	row.Trace.Base = &loyalty.AppliedCampaign{}
	var v Values
	if err := v.Set(&row); err != nil {
		f.Fatal(err)
	}
	for i := range v {
		f.Add(uint8(i), []byte(v[i]))
	}
	f.Fuzz(func(t *testing.T, column uint8, cell []byte) {
		v := v
		v[int(column)%len(v)] = cell
		r, err := v.Row()
		if err != nil {
			return
		}
		var w Values
		if w.Set(&r) != nil {
			return // a text that Cassandra would not have sent
		}
		if again, err := w.Row(); err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%v\n%+v\nbecame\n%+v", err, r, again)
		}
	})
}

func BenchmarkValues(b *testing.B) {
	row := loyalty.Row{}
	row.Merchant, row.Amount, row.Currency = "Kaligo Travel", 12345, loyalty.MustCurrency("USD")
	row.Trace.Base = &loyalty.AppliedCampaign{Name: "base"}
	row.Trace.Converted = &loyalty.Conversion{}
	var v Values
	b.Run("set", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := v.Set(&row); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("row", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Row(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
