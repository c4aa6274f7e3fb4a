//go:build unix

package cassandra_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	rewardertest "github.com/angelowl-loyalties/app/rewarder/storetest"
	"github.com/google/uuid"
)

// columns reads a row as an analyst does, with Cassandra's own idea of each column's type.
func columns(t *testing.T, cfg rewarddb.Config, s store) {
	row := rewardertest.Row(uuid.New(), 1234, loyalty.Position{Incarnation: 2, Partition: 3, Offset: 4})
	row.Units = loyalty.Units{Value: -12345, Digits: 2}
	if err := s.PutRewards(t.Context(), []loyalty.Row{row}); err != nil {
		t.Fatal(err)
	}
	var text string
	if err := session(t, cfg).Query("SELECT JSON * FROM rewards WHERE card_id = ?", rewarddb.UUID(row.CardID)).Scan(&text); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var got map[string]any
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	number := func(s string) any { return json.Number(s) }
	want := map[string]any{
		"card_id": row.CardID.String(), "transaction_date": "2021-09-03", "id": row.ID.String(),
		"format": number("1"), "log_incarnation": number("2"), "log_partition": number("3"), "log_offset": number("4"),
		"merchant": "Merchant 1234", "mcc": number("1235"), "currency": "USD", "amount": number("12.35"), "home_amount": number("1234.25"),
		"transaction_id": "ref 1234", "card_pan": "************1234", "card_type": "type_1234",
		"reward_amount": number("-123.45"), "remarks": "remarks 1234", "created_at": "2023-11-14 22:13:21.234Z",
		"rule_set": "0x" + row.Trace.RuleSet.String(), "outcome": "rewarded", "programme": "Programme 1234", "unit": "unit 1234", "decimals": number("4"),
		"base":  map[string]any{"id": row.Trace.Base.ID.String(), "name": "base 1234", "rate": number("0.000001234"), "units": number("1234")},
		"promo": nil,
		"converted": map[string]any{
			"amount": number("-1.12341"), "currency": "SGD", "source": "quote", "rate_date": "2021-09-02",
			"quote_base": "EUR", "from_quote": number("0.000001235"), "to_quote": number("0.000001236"),
		},
		"exclusion": nil,
	}
	for column, w := range want {
		g := got[column]
		if fields, ok := g.(map[string]any); ok && w == nil { // a type without fields
			for _, v := range fields {
				if v != nil {
					t.Errorf("%s is %v", column, g)
				}
			}
			g = nil
		}
		if n, ok := g.(json.Number); ok && strings.Contains(n.String(), "E") {
			t.Errorf("%s is written %s", column, n)
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("%s is %v, not %v", column, g, w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("there are %d columns, not %d", len(got), len(want))
	}
}

// formats has rows of another release, and rows that somebody touched.
func formats(t *testing.T, cfg rewarddb.Config, s store) {
	raw := session(t, cfg)
	day := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC) // each row its own, which no other test looks at
	for i, tt := range []struct {
		name, change string
		words        []string
	}{
		{"of a newer release", "UPDATE rewards SET format = 2", []string{"format 2", "up to 1", "update"}},
		{"without a format", "UPDATE rewards SET format = null", []string{"damaged"}},
		{"of no format", "UPDATE rewards SET format = 0", []string{"damaged"}},
		{"without a merchant", "UPDATE rewards SET merchant = null", []string{"damaged"}},
		{"without a campaign's place", "UPDATE rewards SET promo = null", []string{"damaged"}},
		{"with half a campaign", "UPDATE rewards SET base = {name: 'x'}", []string{"damaged"}},
		{"with a currency that is none", "UPDATE rewards SET currency = 'XXX'", []string{"damaged"}},
		{"with an amount of a thousandth of a cent", "UPDATE rewards SET amount = 1.00001", []string{"damaged"}},
		{"with an amount beyond all numbers", "UPDATE rewards SET amount = 123456789012345678901234567890", []string{"damaged"}},
		{"with a hash that is cut off", "UPDATE rewards SET rule_set = 0x01", []string{"damaged"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			row := rewardertest.Row(uuid.New(), 1, loyalty.Position{Incarnation: 1, Offset: 1})
			row.CreatedAt = day.AddDate(0, 0, i)
			good := rewardertest.Row(uuid.New(), 1, loyalty.Position{Incarnation: 1, Offset: 2})
			if err := s.PutRewards(t.Context(), []loyalty.Row{row, good}); err != nil {
				t.Fatal(err)
			}
			do(t, raw, tt.change+" WHERE card_id = ? AND transaction_date = ? AND id = ?", rewarddb.UUID(row.CardID), rewarddb.Date(row.Date), rewarddb.ID(row.ID))
			for of, read := range map[string]func() (informer.Page, error){
				"the card": func() (informer.Page, error) {
					return s.Rewards(t.Context(), informer.Query{Card: row.CardID, Limit: 10})
				},
				"the day": func() (informer.Page, error) {
					return s.Day(t.Context(), informer.DayQuery{Day: loyalty.DateOf(row.CreatedAt.Date()), Limit: 10})
				},
			} {
				page, err := read()
				for _, w := range append(tt.words, row.ID.String()) {
					if err == nil || !strings.Contains(err.Error(), w) {
						t.Errorf("%s: %d rows, %v", of, len(page.Rows), err)
					}
				}
			}
			has(t, s, good)
			if err := s.Erase(t.Context(), row.CardID); err != nil { // even of a row that cannot be read
				t.Error(err)
			}
		})
	}
	t.Run("an amount of before a currency lost its cents", func(t *testing.T) {
		row := rewardertest.Row(uuid.New(), 1, loyalty.Position{Incarnation: 1, Offset: 1})
		row.Amount = 1200
		if err := s.PutRewards(t.Context(), []loyalty.Row{row}); err != nil {
			t.Fatal(err)
		}
		do(t, raw, "UPDATE rewards SET amount = 12.0000 WHERE card_id = ? AND transaction_date = ? AND id = ?", rewarddb.UUID(row.CardID), rewarddb.Date(row.Date), rewarddb.ID(row.ID))
		has(t, s, row)
	})
}
