package pebble

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/loyalty"
	rewardertest "github.com/angelowl-loyalties/app/rewarder/storetest"
	"github.com/google/uuid"
)

// fill sets every field, at any depth, to something that is not its zero, so that a field that
// somebody adds and the codec does not know fails TestCodecKnowsEveryField.
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
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(3)
	case reflect.Int32, reflect.Int64:
		v.SetInt(5)
	default:
		t.Fatalf("the codec has not met a %s", v.Type())
	}
}

func TestCodecKnowsEveryField(t *testing.T) {
	var row loyalty.Row
	fill(t, reflect.ValueOf(&row).Elem())
	got, err := decodeRow(row.Key(), appendRow(nil, &row))
	if err != nil || !reflect.DeepEqual(got, row) {
		t.Errorf("%v\n%+v\nnot\n%+v", err, got, row)
	}
}

func TestDamagedRows(t *testing.T) {
	row := rewardertest.Row(uuid.New(), 1, loyalty.Position{Incarnation: 1})
	good := appendRow(nil, &row)
	for name, value := range map[string][]byte{
		"empty":            nil,
		"of another table": append([]byte{formatEntry}, good[1:]...),
		"with more":        append(append([]byte(nil), good...), 0),
		"of an endless text": append(append([]byte(nil), good[:operandHeader]...),
			0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
	} {
		if _, err := decodeRow(row.Key(), value); err == nil {
			t.Errorf("a row %s was read", name)
		}
	}
	for n := range good {
		if _, err := decodeRow(row.Key(), good[:n]); err == nil {
			t.Errorf("a row of %d bytes of %d was read", n, len(good))
		}
	}
}

// A release that is older than the one that wrote does not take what it cannot read for damage.
func TestRowsOfANewerRelease(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	row := rewardertest.Row(uuid.New(), 1, loyalty.Position{Incarnation: 1})
	if err := s.PutRewards(t.Context(), []loyalty.Row{row}); err != nil {
		t.Fatal(err)
	}
	says := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "has format 3, and this program reads up to 2: it was written by a newer release; update this one") {
			t.Errorf("%s: %v", what, err)
		}
	}
	newer := func(key []byte) {
		t.Helper()
		value, err := s.get(key)
		if err == nil {
			value[0] = formatNewest + 1
			err = s.set(t.Context(), key, value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	day := informer.DayQuery{Day: loyalty.DateOf(2023, 11, 14), Limit: 10}
	if page, err := s.Day(t.Context(), day); err != nil || len(page.Rows) != 1 {
		t.Fatalf("%d rows of the day, %v", len(page.Rows), err)
	}
	newer(appendRewardKey(nil, row.Key()))
	_, err := s.Get(t.Context(), row.Key())
	says("one row", err)
	_, err = s.Rewards(t.Context(), informer.Query{Card: row.CardID, Limit: 10})
	says("a card's rows", err)
	says("all rows", s.All(t.Context(), func(loyalty.Row) error { return nil }))
	_, err = s.Day(t.Context(), day)
	says("a day's rows", err)
	newer(appendDayKey(nil, day.Day, row.Key()))
	_, err = s.Day(t.Context(), day)
	says("an entry of the index", err)
}

// TestFormat1 holds the bytes that the first release has written: whatever comes later reads them.
func TestFormat1(t *testing.T) {
	row := rewardertest.Row(uuid.UUID{1}, 7, loyalty.Position{Incarnation: 1, Partition: 3, Offset: 42})
	text, err := os.ReadFile("testdata/row_format1.hex")
	if err != nil {
		t.Fatal(err)
	}
	value, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRow(row.Key(), value)
	if err != nil || !reflect.DeepEqual(got, row) {
		t.Errorf("%v\n%+v\nnot\n%+v", err, got, row)
	}
	if written := appendRow(nil, &row); written[0] == 1 && !bytes.Equal(written, value) {
		t.Errorf("format 1 is written otherwise: %x", written)
	}
}

func FuzzDecodeRow(f *testing.F) {
	row := rewardertest.Row(uuid.UUID{1}, 1, loyalty.Position{Incarnation: 1})
	f.Add(appendRow(nil, &row))
	row.Trace.Exclusion = &loyalty.AppliedExclusion{Reason: loyalty.UnknownMCC}
	row.Remarks = strings.Repeat("x", 300)
	f.Add(appendRow(nil, &row))
	f.Add([]byte{formatRow})
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := decodeRow(loyalty.Key{}, value)
		if err != nil {
			return
		}
		written := appendRow(nil, &r)
		again, err := decodeRow(loyalty.Key{}, written)
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%v\n%+v\nbecame\n%+v", err, r, again)
		}
		if twice := appendRow(nil, &again); !bytes.Equal(twice, written) {
			t.Errorf("%x is written %x the next time", written, twice)
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	row := rewardertest.Row(uuid.New(), 1, loyalty.Position{Incarnation: 1})
	value := appendRow(nil, &row)
	text, err := json.Marshal(row)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			value = appendRow(value[:0], &row)
		}
		b.ReportMetric(float64(len(value)), "bytes")
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeRow(row.Key(), value); err != nil {
				b.Fatal(err)
			}
		}
	})
	// What it is compared with.
	b.Run("encode JSON", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if text, err = json.Marshal(row); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(text)), "bytes")
	})
	b.Run("decode JSON", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var r loyalty.Reward
			if err := json.Unmarshal(text, &r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
