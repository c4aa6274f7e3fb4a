package rulesapitest

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

const spend = `{"merchant":"KALIGO.COM","mcc":7011,"currency":"USD","amount":100,"transaction_id":"T1","transaction_date":"2021-09-02","card_type":"scis_platinummiles"}`

func TestTry(t *testing.T) {
	cli := startEtcd(t).client()
	p := startProfiler(t, cli)
	s := startCampaignex(t, campaignStore(t, filepath.Join(t.TempDir(), "rules.db")), cli, silent)
	s.want(422, "POST", "/campaign/try", `{"transaction":`+spend+`}`).has(t, `"code":"unknown_card_type"`)
	p.want(201, "POST", "/card/type", miles)
	s.want(422, "POST", "/campaign/try", `{"transaction":`+spend+`}`).has(t, `"code":"no_quote"`)
	s.want(201, "PUT", "/fx/2021-09-02", quoteDay)
	s.want(201, "POST", "/campaign", kaligo(id, "Kaligo", "10"))

	tests := []struct{ name, drafts, outcome, units, promo string }{
		// 100 USD × 1.5921 ÷ 1.1846 = 134.40 SGD.
		{"the live rules", ``, "rewarded", "1344", "Kaligo"},
		{"a draft that replaces a live campaign", `,"campaigns":[` + kaligo(id, "Draft", "20") + `]`, "rewarded", "2688", "Draft"},
		{"a draft that was read from the API", `,"campaigns":[` + strings.Replace(kaligo(id, "Read", "5"), "{", `{"version":3,"published":true,"updated_at":"x",`, 1) + `]`, "rewarded", "672", "Read"},
		{"a better draft without an id", `,"campaigns":[` + strings.Replace(kaligo(id, "Better", "30"), `"id":"`+id+`",`, "", 1) + `]`, "rewarded", "4032", "Better"},
		{"an exclusion as a draft", `,"exclusions":[{"mcc":7011,"valid_from":"2021-09-02"}]`, "excluded", "0", ""},
		{"the live rules again: drafts leave no trace", ``, "rewarded", "1344", "Kaligo"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := s.want(200, "POST", "/campaign/try", `{"transaction":`+spend+test.drafts+`}`)
			var w struct {
				Data struct {
					Units   json.Number `json:"reward_amount"`
					PAN     string      `json:"card_pan"`
					Created *string     `json:"created_at"`
					Trace   struct {
						Outcome string
						Promo   struct{ Name string }
					}
				} `json:"data"`
			}
			if err := json.Unmarshal(got.body, &w); err != nil {
				t.Fatal(err)
			}
			if d := w.Data; string(d.Units) != test.units || d.Trace.Outcome != test.outcome || d.Trace.Promo.Name != test.promo || d.Created != nil || d.PAN != "************0000" {
				t.Errorf("%s", got.body)
			}
		})
	}
	s.want(200, "PUT", "/campaign/"+id, kaligo(id, "Edited", "1"))
	s.want(200, "POST", "/campaign/try", `{"transaction":`+spend+`}`).has(t, `"reward_amount":134`, `"name":"Edited"`)
	s.want(204, "DELETE", "/campaign/"+id, "")
	s.want(200, "POST", "/campaign/try", `{"transaction":`+spend+`}`).has(t, `"outcome":"no_campaign"`)
	s.want(200, "GET", "/campaign", "").has(t, `"total":0`)

	for field, body := range map[string]string{
		"transaction":                `{}`,
		"transaction.amount":         `{"transaction":` + strings.Replace(spend, "100", "1e400", 1) + `}`,
		"transaction.currency":       `{"transaction":` + strings.Replace(spend, "USD", "ABC", 1) + `}`,
		"campaigns[0].end_date":      `{"transaction":` + spend + `,"campaigns":[` + strings.Replace(kaligo(id, "x", "1"), "2021-12-31", "2020-12-31", 1) + `]}`,
		"campaigns[1].reward_amount": `{"transaction":` + spend + `,"campaigns":[` + kaligo(id, "x", "1") + `,` + kaligo(other, "x", "-1") + `]}`,
		"exclusions[0].mcc":          `{"transaction":` + spend + `,"exclusions":[{"mcc":0,"valid_from":"2021-09-02"}]}`,
	} {
		got := s.want(400, "POST", "/campaign/try", body)
		var f struct{ Fields map[string]string }
		if err := json.Unmarshal(got.body, &f); err != nil || f.Fields[field] == "" {
			t.Errorf("%s is not named: %s", field, got.body)
		}
	}
	s.want(400, "POST", "/campaign/try", `{"transactions":[]}`)
}

func TestACampaignOfAnUnknownCardTypeIsWarnedOf(t *testing.T) {
	cli := startEtcd(t).client()
	p := startProfiler(t, cli)
	s := startCampaignex(t, campaignStore(t, filepath.Join(t.TempDir(), "rules.db")), cli, silent)
	s.want(201, "POST", "/campaign", kaligo(id, "Kaligo", "10")).has(t, `"warnings":["there is no card type \"scis_platinummiles\"`)
	read := s.want(200, "GET", "/campaign/"+id, "")
	read.has(t, `"warnings":[`)
	p.want(201, "POST", "/card/type", miles)
	if got := s.want(200, "GET", "/campaign/"+id, ""); strings.Contains(string(got.body), "warnings") {
		t.Errorf("still warns: %s", got.body)
	}
	var w struct{ Data json.RawMessage }
	if err := json.Unmarshal(read.body, &w); err != nil {
		t.Fatal(err)
	}
	s.want(200, "PUT", "/campaign/"+id, string(w.Data)) // warnings can be sent back
}
