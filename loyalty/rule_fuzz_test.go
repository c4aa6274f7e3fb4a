package loyalty

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
)

// FuzzRuleJSON holds what is sent to the API as a rule, and what stands in etcd as one: whatever
// is taken is written in one form that is taken again as the same, and what is refused is refused
// in plain words.
func FuzzRuleJSON(f *testing.F) {
	for _, s := range []string{
		goodCampaign, `{"id":"3d1b6d6b-9b57-4f44-8b3d-8e3d3a1f7a11","mcc":6051,"valid_from":"2019-01-01T00:00:00+08:00"}`,
		`{"card_type":"scis_freedom","name":"SCIS Freedom Card","reward_unit":"cashback","reward_program":"SCIS Cashback"}`,
		`{"base":"eur","quotes":{"SGD":1.5364,"usd":1.1834,"EUR":1}}`,
		`{"year":2019,"days":{"2019-01-02":{"base":"EUR","quotes":{"SGD":1.5}}}}`,
		`{"mcc":"1,2-3, 4 ","min_spend":-0,"MCC":7}`, `null`, `[]`, `{"id":1}`, `{} {}`, `{"decimals":4}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sameRule(t, data, func(c *Campaign) *uuid.UUID { return &c.ID })
		sameRule(t, data, func(e *Exclusion) *uuid.UUID { return &e.ID })
		sameRule(t, data, func(*CardType) *uuid.UUID { return nil })
		sameRule(t, data, func(*DayQuotes) *uuid.UUID { return nil })
		sameRule(t, data, func(*YearQuotes) *uuid.UUID { return nil })
	})
}

// sameRule reads a T, writes it and reads that. A rule that has no id gets one, as everywhere
// before it is written.
func sameRule[T any](t *testing.T, data []byte, id func(*T) *uuid.UUID) {
	t.Helper()
	var v T
	if err := any(&v).(json.Unmarshaler).UnmarshalJSON(data); err != nil {
		inWords(t, err)
		return
	}
	if p := id(&v); p != nil && *p == uuid.Nil {
		*p = uuid.UUID{1}
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%q is read as %+v and cannot be written: %v", data, v, err)
	}
	var back T
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, v) {
		t.Fatalf("%q is read as %+v, written %s and that read as %+v, %v", data, v, b, back, err)
	}
	if again, err := json.Marshal(back); err != nil || !bytes.Equal(again, b) {
		t.Errorf("%s is written %s the next time, %v", b, again, err)
	}
}

// inWords holds that an error names what is wrong, in text without card numbers.
func inWords(t *testing.T, err error) {
	t.Helper()
	var errs FieldErrors
	if !errors.As(err, &errs) || len(errs) == 0 {
		t.Fatalf("an error that names no field: %v", err)
	}
	for _, e := range errs {
		if e.Code == "" || e.Reason == "" || !utf8.ValidString(e.Error()) {
			t.Errorf("it says %q (%s)", e.Error(), e.Code)
		}
	}
}

// FuzzRuleFile holds that of a rules file that is taken every rule has an id of its own, the same
// each time, and is written in one form.
func FuzzRuleFile(f *testing.F) {
	example, err := os.ReadFile("../examples/rules.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	for _, s := range []string{`{}`, `{"campaigns":[` + goodCampaign + `]}`, `{"card_types":[null]}`, `{"exclusions":[{"mcc":1,"valid_from":"2019-01-01"},{"mcc":1,"valid_from":"01-01-19"}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := DecodeRuleFile(data)
		if err != nil {
			inWords(t, err)
			return
		}
		ids := map[string]bool{}
		for _, c := range file.Campaigns {
			ids[c.ID.String()] = true
			written(t, c)
		}
		for _, e := range file.Exclusions {
			ids[e.ID.String()] = true
			written(t, e)
		}
		for _, c := range file.CardTypes {
			ids[c.CardType] = true
			written(t, c)
		}
		if len(ids) != len(file.Campaigns)+len(file.Exclusions)+len(file.CardTypes) || ids[uuid.Nil.String()] {
			t.Errorf("%q has %d ids for %+v", data, len(ids), file)
		}
		if again, err := DecodeRuleFile(data); err != nil || !reflect.DeepEqual(again, file) {
			t.Errorf("%q is read as %+v, and then as %+v, %v", data, file, again, err)
		}
	})
}

func written[T any](t *testing.T, v T) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back T
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, v) {
		t.Errorf("%s is read as %+v, %v", b, back, err)
	}
}

// FuzzRewardJSON holds that a reward that is read is written in one form that is read as the same.
func FuzzRewardJSON(f *testing.F) {
	f.Add([]byte(`{"id":"3d1b6d6b-9b57-4f44-8b3d-8e3d3a1f7a11","card_id":"7f8f4a3c-6d4e-4b57-9d5a-4f2a6a9b1c22","merchant":"Kaligo","mcc":7011,"currency":"USD","amount":100.5,` +
		`"sgd_amount":0,"transaction_id":"r","transaction_date":"2021-09-02","card_pan":"************9669","card_type":"scis_premiummiles","reward_amount":148.5,"remarks":"1.1 miles",` +
		`"created_at":"2021-09-03T01:02:03.004Z","trace":{"rule_set":"` + HashOf(nil).String() + `","outcome":"rewarded","programme":"p","unit":"miles","decimals":1,` +
		`"base":{"id":"3d1b6d6b-9b57-4f44-8b3d-8e3d3a1f7a11","name":"n","rate":1.1,"units":148.5},` +
		`"converted":{"amount":135,"currency":"SGD","source":"quote","rate_date":"2021-09-02","quote_base":"EUR","from_quote":1.18,"to_quote":1.59}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Reward
		if err := json.Unmarshal(data, &r); err != nil {
			return
		}
		b, err := json.Marshal(r)
		if err != nil {
			if y := r.CreatedAt.UTC().Year(); y >= 0 && y <= 9999 {
				t.Fatalf("%q cannot be written: %v", data, err)
			}
			return
		}
		var back Reward
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%q is written %s, which cannot be read: %v", data, b, err)
		}
		if again, err := json.Marshal(back); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s is written %s the next time, %v", b, again, err)
		}
	})
}
