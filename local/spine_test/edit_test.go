package spine_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty/rulebook"
)

const (
	oneCard   = "d831d553-d549-53e2-8021-699aada82d4d"
	oneHeader = "id,card_id,merchant,mcc,currency,amount,sgd_amount,transaction_id,transaction_date,card_pan,card_type\n"
)

// spend is a transaction at a grocer's with a card that earns 1.4 miles per dollar.
type spend struct{ id, amount string }

func (x spend) csv() string {
	return x.id + "," + oneCard + ",LOBLAWS,5411,CAD," + x.amount + ",,,2019-09-03,4000-0080-9753-3793,scis_platinummiles\n"
}

func (x spend) json() string {
	return fmt.Sprintf(`{"id":"%s","card_id":"%s","merchant":"LOBLAWS","mcc":5411,"currency":"CAD","amount":%s,"transaction_date":"2019-09-03","card_pan":"4000-0080-9753-3793","card_type":"scis_platinummiles"}`,
		x.id, oneCard, x.amount)
}

// send uploads transactions, waits until they are dealt with, and returns the card's rows by id.
func (s *stack) send(rows ...spend) map[string]string {
	s.t.Helper()
	file := oneHeader
	for _, x := range rows {
		file += x.csv()
	}
	upload := uuid.NewString()
	s.put(upload, ".csv", []byte(file))
	s.rewarded(upload)
	return s.card()
}

// card are the rows of the one card by id.
func (s *stack) card() map[string]string {
	s.t.Helper()
	all, err := s.history(s.t.Context(), oneCard)
	if err != nil {
		s.t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range all {
		var tx struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(row), &tx); err != nil {
			s.t.Fatal(err)
		}
		if rows[tx.ID] != "" {
			s.t.Fatalf("transaction %s is there twice", tx.ID)
		}
		rows[tx.ID] = row
	}
	return rows
}

// campaign reads the campaign with a name, and its ETag.
func (s *stack) campaign(name string) (id, etag string, body map[string]any) {
	s.t.Helper()
	_, list := s.call(http.StatusOK, "GET", "/campaign?page_size=1000", "")
	var page struct {
		Data []map[string]any `json:"data"`
	}
	if err := json.Unmarshal(list, &page); err != nil {
		s.t.Fatal(err)
	}
	for _, c := range page.Data {
		if c["name"] != name {
			continue
		}
		id = c["id"].(string)
		h, one := s.call(http.StatusOK, "GET", "/campaign/"+id, "")
		var answer struct {
			Data map[string]any `json:"data"`
		}
		if err := json.Unmarshal(one, &answer); err != nil {
			s.t.Fatal(err)
		}
		return id, h.Get("ETag"), answer.Data
	}
	s.t.Fatalf("there is no campaign %q in %s", name, list)
	return "", "", nil
}

// setRate changes a campaign's rate as a user does, and waits until that is in force.
func (s *stack) setRate(name string, rate json.Number) {
	s.t.Helper()
	id, etag, body := s.campaign(name)
	body["reward_amount"] = rate
	b, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	_, answer := s.call(http.StatusOK, "PUT", "/campaign/"+id, string(b), "If-Match: "+etag)
	s.call(http.StatusPreconditionFailed, "PUT", "/campaign/"+id, string(b), "If-Match: "+etag)
	if !strings.Contains(string(answer), `"published":true`) {
		s.t.Errorf("the edit is not published: %s", answer)
	}
	s.inForce(rulebook.Campaigns, id)
}

const everyMile = "1.4 miles per dollar on all spend"

func TestAnEditChangesTheNextTransaction(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: it starts the whole system")
	}
	t.Parallel()
	s := up(t, filepath.Join(t.TempDir(), "data"), "--rules", rulesFile, "--fx", quotesFile, "--rewarders", "2")
	next := 0
	spent := func() spend {
		next++
		return spend{fmt.Sprintf("5f0c3a52-6b1c-4e0e-9c55-0d6a64b0a%03d", next), "100"}
	}
	var before map[string]string
	// earns sends a transaction and holds that it earns what /campaign/try said it would, to the
	// byte, that what was there has not changed, and that its line has certain words.
	earns := func(x spend, outcome string, units string, says string) {
		t.Helper()
		_, tried := s.call(http.StatusOK, "POST", "/campaign/try", `{"transaction":`+x.json()+`}`)
		rows := s.send(x)
		row := rows[x.id]
		var answer struct {
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(tried, &answer); err != nil {
			t.Fatal(err)
		}
		bare := createdAt.ReplaceAllString(row, "")
		if string(answer.Data) != bare {
			t.Errorf("/campaign/try said\n%s\nit became\n%s", answer.Data, bare)
		}
		got := decodeReward(t, bare)
		if got.Trace.Outcome != outcome || got.Units.String() != units || !strings.Contains(row, says) {
			t.Errorf("%s, %s units, want %s, %s and %q in\n%s", got.Trace.Outcome, got.Units, outcome, units, says, row)
		}
		if len(rows) != len(before)+1 {
			t.Errorf("the card has %d rows, want %d", len(rows), len(before)+1)
		}
		for id, was := range before {
			if rows[id] != was {
				t.Errorf("the row\n%s\nbecame\n%s", was, rows[id])
			}
		}
		before = rows
	}

	first := spent()
	earns(first, "rewarded", "140", everyMile)
	s.setRate(everyMile, "2.5")
	earns(spent(), "rewarded", "250", `"rate":2.5`)

	// The first one again, alone and beside a new one, with its amount and with another.
	again := first
	again.amount = "9999"
	fresh := spent()
	rows := s.send(first, again, fresh)
	for id, was := range before {
		if rows[id] != was {
			t.Errorf("sent again, the row\n%s\nbecame\n%s", was, rows[id])
		}
	}
	if got := decodeReward(t, createdAt.ReplaceAllString(rows[fresh.id], "")); len(rows) != len(before)+1 || got.Units != "250" {
		t.Errorf("%d rows, want one more than %d; the new one has %s units", len(rows), len(before), got.Units)
	}
	before = rows

	// A new campaign, as a draft, then live, then gone.
	promo := `{"name":"5 miles per dollar at Loblaws","reward_program":"scis_platinummiles","reward_amount":5,"min_spend":100,
		"start_date":"2019-09-03T23:59:59+08:00","end_date":"2019-09-03T00:00:00Z","mcc":"5411","merchant":"lobLAWS","base_reward":false,"foreign_currency":false}`
	_, draft := s.call(http.StatusOK, "POST", "/campaign/try", `{"transaction":`+spent().json()+`,"campaigns":[`+promo+`]}`)
	if !strings.Contains(string(draft), `"reward_amount":750,`) {
		t.Errorf("with the draft it would earn %s", draft)
	}
	earns(spent(), "rewarded", "250", everyMile) // drafts change nothing
	_, made := s.call(http.StatusCreated, "POST", "/campaign", promo)
	var campaign struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(made, &campaign); err != nil {
		t.Fatal(err)
	}
	s.inForce(rulebook.Campaigns, campaign.Data.ID)
	earns(spent(), "rewarded", "750", campaign.Data.ID)
	small := spent()
	small.amount = "99.99"
	earns(small, "rewarded", "250", everyMile) // 249.975
	s.call(http.StatusNoContent, "DELETE", "/campaign/"+campaign.Data.ID, "")
	s.call(http.StatusNotFound, "GET", "/campaign/"+campaign.Data.ID, "")
	s.inForce(rulebook.Campaigns, campaign.Data.ID)
	earns(spent(), "rewarded", "250", everyMile)

	// Its base campaign goes too: then the foreign one is left, which does not fit.
	id, etag, _ := s.campaign(everyMile)
	s.call(http.StatusNoContent, "DELETE", "/campaign/"+id, "", "If-Match: "+etag)
	s.inForce(rulebook.Campaigns, id)
	earns(spent(), "no_campaign", "0", `"reward_amount":0,`)

	// An exclusion, which comes before everything else.
	_, made = s.call(http.StatusCreated, "POST", "/exclusion", `{"mcc":5411,"valid_from":"2019-09-03T00:00:00Z"}`)
	if err := json.Unmarshal(made, &campaign); err != nil {
		t.Fatal(err)
	}
	s.inForce(rulebook.Exclusions, campaign.Data.ID)
	earns(spent(), "excluded", "0", campaign.Data.ID)

	_, total := s.call(http.StatusOK, "GET", "/reward/total/"+oneCard, "")
	if want := fmt.Sprintf(`{"data":%d,`, 140+250+250+250+750+250+250); !strings.HasPrefix(string(total), want) {
		t.Errorf("the total is %s, want %s…", total, want)
	}
	s.interrupt()
}

func TestASecondUpKeepsTheData(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: it starts the whole system")
	}
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	// The rules are of a copy, so that it can change.
	text := string(read(t, rulesFile))
	rules := write(t, "rules.json", []byte(text))
	args := []string{"--rules", rules, "--fx", quotesFile, spendFile}
	s := up(t, data, args...)
	if !strings.Contains(s.said(), "1173 rows read, 1170 accepted, 3 refused") || !strings.Contains(s.said(), "1097 rewarded") {
		t.Errorf("the first up says\n%s", s.said())
	}
	s.setRate(everyMile, "7")
	bought := spend{"5f0c3a52-6b1c-4e0e-9c55-0d6a64b0a001", "100"}
	before := s.send(bought)
	if !strings.Contains(before[bought.id], `"reward_amount":700,`) {
		t.Errorf("the reward is %s", before[bought.id])
	}

	t.Run("another up on the same folder", func(t *testing.T) {
		got := angelowl(t, append([]string{"up", "--data", data, "--listen", "127.0.0.1:0"}, toronto...)...)
		if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, "another angelowl is using this folder: "+data) {
			t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
		s.call(http.StatusOK, "GET", "/campaign?page_size=1", "") // the first serves on
	})
	t.Run("another up on the same address", func(t *testing.T) {
		addr := strings.TrimPrefix(s.url, "http://")
		got := angelowl(t, "up", "--data", filepath.Join(t.TempDir(), "other"), "--listen", addr)
		if got.code != 1 || !strings.Contains(got.stderr, addr) || !strings.Contains(got.stderr, "--listen") {
			t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
	})
	s.interrupt()
	for name, flags := range map[string][]string{
		"another home currency": {"--home", "SGD", "--timezone", "America/Toronto"},
		"another time zone":     {"--home", "CAD", "--timezone", "America/Vancouver"},
	} {
		t.Run(name, func(t *testing.T) {
			got := angelowl(t, append([]string{"up", "--data", data, "--listen", "127.0.0.1:0"}, flags...)...)
			if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, "--home CAD --timezone America/Toronto") {
				t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
			}
		})
	}
	t.Run("another number of partitions", func(t *testing.T) {
		got := angelowl(t, append([]string{"up", "--data", data, "--listen", "127.0.0.1:0", "--partitions", "7"}, toronto...)...)
		if got.code != 1 || !strings.Contains(got.stderr, "4 partitions, not 7") {
			t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
	})

	s = up(t, data, args...)
	if strings.Contains(s.said(), "rows read") {
		t.Errorf("a file that was read is read again:\n%s", s.said())
	}
	if _, _, campaign := s.campaign(everyMile); fmt.Sprint(campaign["reward_amount"]) != "7" {
		t.Errorf("the edit through the API is lost: %v", campaign)
	}
	after := s.card()
	if len(after) != len(before) {
		t.Errorf("the card has %d rows, had %d", len(after), len(before))
	}
	for id, was := range before {
		if after[id] != was {
			t.Errorf("the row\n%s\nbecame\n%s", was, after[id])
		}
	}
	later := spend{"5f0c3a52-6b1c-4e0e-9c55-0d6a64b0a002", "100"}
	if row := s.send(later)[later.id]; !strings.Contains(row, `"reward_amount":700,`) {
		t.Errorf("the reward after the restart is %s", row)
	}
	s.interrupt()

	// Rules that have changed in the file are loaded: that is what the user now wants.
	changed := strings.Replace(text, `"reward_program": "scis_platinummiles", "reward_amount": 1.4`, `"reward_program": "scis_platinummiles", "reward_amount": 9`, 1)
	if changed == text {
		t.Fatal("the rate of the example is not where this test takes it to be")
	}
	s = up(t, data, "--rules", write(t, "rules.json", []byte(changed)), "--fx", quotesFile)
	last := spend{"5f0c3a52-6b1c-4e0e-9c55-0d6a64b0a003", "100"}
	if row := s.send(last)[last.id]; !strings.Contains(row, `"reward_amount":900,`) {
		t.Errorf("the reward by the new rules file is %s", row)
	}
	s.interrupt()
}
