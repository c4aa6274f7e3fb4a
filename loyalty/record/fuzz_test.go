package record_test

import (
	"bytes"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

func FuzzDecodeMarker(f *testing.F) {
	f.Add(record.Marker{Hash: loyalty.HashOf([]byte("rules")), Epoch: 1_700_000_000_000, Revision: 7}.Encode())
	for _, s := range []string{"", "{}", "null", `{"hash":"00","epoch":1,"revision":1}`, `{"hash":"` + loyalty.HashOf(nil).String() + `","epoch":1.5,"revision":-1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := record.DecodeMarker(data)
		if err != nil {
			return
		}
		text := m.Encode()
		if back, err := record.DecodeMarker(text); err != nil || back != m || !bytes.Equal(back.Encode(), text) {
			t.Errorf("%q is read as %+v, written %s and that read as %+v, %v", data, m, text, back, err)
		}
		if m.After(m) || !m.After(record.Marker{}) {
			t.Errorf("%+v takes over from itself, or not from what has never been", m)
		}
	})
}

func FuzzParseLetterID(f *testing.F) {
	for _, s := range []string{"1/0/0", "1.0.0", "1.0/0", "1..0", "2/11/1099511627776", "1/-1/0", "01/+2/3", "9223372036854775808/0/0", "1/2147483648/0", "1/0/0/", "１/0/0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := record.ParseLetterID(s)
		if err != nil {
			return
		}
		id := record.LetterID(p)
		if back, err := record.ParseLetterID(id); err != nil || back != p || record.LetterID(back) != id {
			t.Errorf("%q is read as %+v, written %s and that read as %+v, %v", s, p, id, back, err)
		}
	})
}
