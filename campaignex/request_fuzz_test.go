package campaignex

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/google/uuid"
)

// inWords holds that an error is one that the caller is shown.
func inWords(t *testing.T, err error) {
	t.Helper()
	var fields loyalty.FieldErrors
	var field *loyalty.FieldError
	var said *web.Error
	if err != nil && !errors.As(err, &fields) && !errors.As(err, &field) && !errors.As(err, &said) {
		t.Errorf("an error that is not in plain words: %v", err)
	}
}

// FuzzFilters reads what narrows a list, and the ids that stand in an address.
func FuzzFilters(f *testing.F) {
	for _, s := range [][2]string{
		{"programme=scis_freedom&state=live&base_reward=true&q=Shell", "89fee31b-1e88-51d5-b81f-f47a7af65b88"}, {"mcc=0742", "2019-01-02"}, {"mcc=5411-5412&state=x&base_reward=1", "02-01-19"},
		{"from=2019-01-01&to=31-12-2019", "%2e%2e"}, {"q=%00&programme=%ff", "00000000-0000-0000-0000-000000000000"}, {"from=;&to=%zz", "{89fee31b-1e88-51d5-b81f-f47a7af65b88}"},
	} {
		f.Add(s[0], s[1])
	}
	s := &service{cfg: Config{Location: time.UTC}, clock: func() time.Time { return time.Unix(1_700_000_000, 0) }}
	f.Fuzz(func(t *testing.T, query, id string) {
		params, _ := url.ParseQuery(query) // as net/http does: what can be read is
		campaigns, err := s.campaignFilter(params)
		if inWords(t, err); err == nil && (!utf8.ValidString(campaigns.Programme) || !utf8.ValidString(campaigns.Search)) {
			t.Errorf("%q asks for %+v", query, campaigns)
		}
		exclusions, err := exclusionFilter(params)
		if inWords(t, err); err == nil && exclusions.MCC > 9999 {
			t.Errorf("%q asks for %+v", query, exclusions)
		}
		days, err := dayFilter(params)
		if inWords(t, err); err == nil && (days.From != 0 && days.From < loyalty.MinDate || days.To > loyalty.MaxDate) {
			t.Errorf("%q asks for %+v", query, days)
		}
		for _, parse := range []func(string) (string, error){parseID, parseDay} {
			got, err := parse(id)
			inWords(t, err)
			if again, errAgain := parse(got); err == nil && (errAgain != nil || again != got) {
				t.Errorf("%q is read as %q, and that as %q, %v", id, got, again, errAgain)
			}
		}
	})
}

// FuzzDayJSON holds that a day that is taken is written in one form, which is taken as the same.
func FuzzDayJSON(f *testing.F) {
	for _, s := range []string{`{"date":"2021-09-02","base":"EUR","quotes":{"SGD":1.5942}}`, `{"date":"02-09-21","quotes":{"usd":1},"base":"sgd"}`, `{"Date":"2021-09-02"}`, `[]`, `{}`, `{"date":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var d Day
		if err := json.Unmarshal(body, &d); err != nil {
			return
		}
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatalf("%q is read as %+v and cannot be written: %v", body, d, err)
		}
		var back Day
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, d) {
			t.Fatalf("%q is read as %+v, written %s and that read as %+v, %v", body, d, b, back, err)
		}
		if again, err := json.Marshal(back); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s is written %s the next time, %v", b, again, err)
		}
	})
}

// FuzzTryBody reads what a transaction is tried with.
func FuzzTryBody(f *testing.F) {
	for _, s := range []string{
		`{"transaction":{"merchant":"Kaligo","mcc":7011,"currency":"USD","amount":100,"transaction_date":"2021-09-02","card_type":"a"},"campaigns":[{"name":"n","start_date":"2021-01-01","end_date":"2021-12-31","reward_program":"a","reward_amount":1,"mcc":"0"}],"exclusions":[{"mcc":6051,"valid_from":"2021-01-01"}]}`,
		`{"transaction":null}`, `{"transaction":[],"campaigns":[null,7],"exclusions":[{}]}`, `{"transactions":{}}`, `null`, `[]`,
	} {
		f.Add([]byte(s))
	}
	home := loyalty.MustCurrency("SGD")
	f.Fuzz(func(t *testing.T, body []byte) {
		var sent tried
		if json.Unmarshal(body, &sent) != nil {
			return // web.Bind says what is wrong
		}
		tx, drafts, err := sent.read(home)
		if inWords(t, err); err != nil {
			return
		}
		if back, err := loyalty.DecodeTransaction(tx.AppendJSON(nil), home); err != nil || back != tx {
			t.Errorf("%q is read as %+v, and that as %+v, %v", body, tx, back, err)
		}
		for _, c := range drafts.campaigns {
			if c.ID == uuid.Nil || c.End < c.Start || c.Rate < 0 {
				t.Errorf("%q has the draft %+v", body, c)
			}
		}
		for _, e := range drafts.exclusions {
			if e.ID == uuid.Nil || e.MCC < 1 || e.MCC > 9999 {
				t.Errorf("%q has the draft %+v", body, e)
			}
		}
	})
}
