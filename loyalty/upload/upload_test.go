package upload

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/google/uuid"
)

func TestTheIDOfAnUploadIsNeverStarred(t *testing.T) {
	card, good := uuid.MustParse("aaaa4112-1119-4111-8111-aaaaaaaaaaaa"), uuid.MustParse("019abcde-9e6b-7a43-8d6a-0d3c5b9f1a11")
	if s := card.String(); loyalty.StarPANs(s) == s {
		t.Fatal("this is no card number: the test tries nothing")
	}
	made := []uuid.UUID{card, card, good}
	if got, err := newID(func() (uuid.UUID, error) { id := made[0]; made = made[1:]; return id, nil }); got != good.String() || err != nil {
		t.Errorf("the id is %s, %v", got, err)
	}
	broken := errors.New("no random numbers")
	if got, err := newID(func() (uuid.UUID, error) { return uuid.UUID{}, broken }); got != "" || !errors.Is(err, broken) {
		t.Errorf("without random numbers the id is %q, %v", got, err)
	}
	first, err := NewID()
	second, err2 := NewID()
	if id, parseErr := uuid.Parse(first); err != nil || err2 != nil || parseErr != nil || id.Version() != 7 || first >= second {
		t.Errorf("%s, then %s: %v, %v, %v", first, second, err, err2, parseErr)
	}
}

func TestParseControl(t *testing.T) {
	for name, c := range map[string]struct{ in, want, wrong string }{
		"rows and totals":         {`{"rows": 3, "totals": {"SGD": "123.45", "JPY": 1000}}`, `{"rows":3,"totals":{"JPY":1000,"SGD":123.45}}`, ""},
		"rows alone":              {`{"rows": 0}`, `{"rows":0}`, ""},
		"a number":                {`{"totals": {"sgd": -1.5}}`, `{"totals":{"SGD":-1.50}}`, ""},
		"beyond 64 bits":          {`{"totals": {"SGD": "99999999999999999999.99"}}`, `{"totals":{"SGD":99999999999999999999.99}}`, ""},
		"nothing":                 {`{}`, "", "neither rows nor totals"},
		"null":                    {`null`, "", "neither rows nor totals"},
		"rows below 0":            {`{"rows": -1}`, "", "below 0"},
		"rows that are none":      {`{"rows": 1.5}`, "", "rows: cannot be a JSON number"},
		"a column nobody knows":   {`{"rows": 1, "sum": 3}`, "", "sum: is not known here"},
		"another currency":        {`{"totals": {"ZZZ": 1}}`, "", "ZZZ"},
		"an exponent":             {`{"totals": {"SGD": 1e2}}`, "", "not a decimal"},
		"too fine":                {`{"totals": {"JPY": "1.0"}}`, "", "not a decimal"},
		"twice":                   {`{"totals": {"SGD": 1, "sgd": 1}}`, "", "twice"},
		"more rows than any file": {`{"rows": 100000000001}`, "", "more than any file"},
		"a card number for a sum": {`{"totals": {"SGD": 4111111111111111}}`, "", "looks like a card number"},
		"two values":              {`{"rows": 1}{"rows": 2}`, "", "must be JSON"},
		"no JSON":                 {`rows,3`, "", "must be JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseControl([]byte(c.in))
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Fatalf("got %v, want something about %q", err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if b, _ := json.Marshal(got); string(b) != c.want {
				t.Errorf("got %s, want %s", b, c.want)
			}
		})
	}
}

func TestADifferenceIsSaid(t *testing.T) {
	c, err := ParseControl([]byte(`{"rows": 3, "totals": {"SGD": "10", "JPY": 5, "USD": 0}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Check(3, Amounts{"SGD": "10.00", "JPY": "5", "EUR": "1.00"}); !got.Agrees || len(got.Differences) > 0 {
		t.Errorf("it agrees, and yet %q", got.Differences)
	}
	got := c.Check(2, Amounts{"SGD": "10.01", "JPY": "5"})
	if got.Agrees || len(got.Differences) != 2 || !strings.Contains(got.Differences[0], "the bank says 3, the file has 2") ||
		!strings.Contains(got.Differences[1], "the bank says 10.00, the rows whose amounts could be read sum to 10.01") {
		t.Errorf("got %q", got.Differences)
	}
}

func FuzzParseControl(f *testing.F) {
	for _, s := range []string{`{"rows":3,"totals":{"SGD":"123.45","JPY":1000}}`, `{}`, `null`, `{"totals":{"SGD":"-0"}}`, `{"totals":{"bhd":"+1.001"}}`, `[]`, `{"rows":1} `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseControl(b)
		if err != nil {
			return
		}
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseControl(text)
		if err != nil {
			t.Fatalf("%q is read and written %s, which is not: %v", b, text, err)
		}
		if text2, _ := json.Marshal(again); !bytes.Equal(text, text2) {
			t.Errorf("%s becomes %s", text, text2)
		}
		rows := int64(7)
		if c.Rows != nil {
			rows = *c.Rows
		}
		if !c.Check(rows, c.Totals).Agrees {
			t.Errorf("%s does not agree with itself", text)
		}
	})
}

func TestMinor(t *testing.T) {
	for in, want := range map[string]string{"1": "1.00", "-0.05": "-0.05", "+3.5": "3.50", "0": "0.00", "-0": "0.00"} {
		v, ok := ParseMinor(in, 2)
		if !ok || FormatMinor(v, 2) != want {
			t.Errorf("%s is read as %v", in, v)
		}
	}
	for _, in := range []string{"", "-", "+-1", "1.", ".5", "1.234", "1,5", "١", strings.Repeat("9", 101)} {
		if v, ok := ParseMinor(in, 2); ok {
			t.Errorf("%q is read as %v", in, v)
		}
	}
	if got := FormatMinor(big.NewInt(-1), 3); got != "-0.001" {
		t.Error(got)
	}
}

func TestID(t *testing.T) {
	const id = "cfc76f33-467d-48aa-96ab-d79394710a2b"
	if got := ID(Users, "b", Key(Users, id)); got != id {
		t.Errorf("a key that was given out has the id %s", got)
	}
	if got := ID(Spend, "b", Key(Users, id)); got == id {
		t.Error("a file of users has the id of one of spend")
	}
}
