// Package nightly_test runs the nightly mails about rewards in the whole system, from the bank's files to
// the mailbox, through the front door.
package nightly_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/local/ops"
	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/mail/mailtest"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

var wd string // at the start: the S3 server changes it

func TestMain(m *testing.M) {
	var err error
	if wd, err = os.Getwd(); err != nil {
		panic(err)
	}
	// sarama's metrics have one for the whole process. The HTTP server under the S3 server has one for
	// the date, and looks every 10 s whether it was stopped.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// world is the running system, and people with browsers before its front door.
type world struct {
	*testing.T
	ctx  context.Context
	s    *stack.Stack
	base *http.Transport
	as   map[token.Role]*http.Client
	ops  *ops.System
}

// ask asks the front door as a role, "" for nobody's, and reads the answer's data into v if it is not nil.
func (w *world) ask(role token.Role, method, path, contentType, body string, v any) http.Header {
	w.Helper()
	url := path
	if strings.HasPrefix(path, "/") {
		url = w.s.URL + path
	}
	req, err := http.NewRequestWithContext(w.ctx, method, url, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	client := w.as[role]
	if client == nil {
		client = &http.Client{Transport: w.base}
	}
	res, err := client.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode >= 300 {
		w.Fatalf("%s %s: %s %v\n%s", method, path, res.Status, err, b)
	}
	if v != nil {
		if err := json.Unmarshal(b, v); err != nil {
			w.Fatalf("%s %s: %v\n%s", method, path, err, b)
		}
	}
	return res.Header
}

// send has a file read, as the bank's staff do: by the URL that they were given.
func (w *world) send(presigned, body string, until upload.State) {
	w.Helper()
	var url string
	id := w.ask(token.Bank, http.MethodGet, presigned, "", "", &url).Get("X-Upload-Id")
	w.ask("", http.MethodPut, url, "text/csv", body, nil)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(2 * time.Minute); ; {
		var a struct {
			Data struct {
				State upload.State
				Error string
				Rows  upload.Rows
			}
		}
		w.ask(token.Bank, http.MethodGet, "/upload/"+id, "", "", &a)
		switch {
		case a.Data.State == until:
			return
		case a.Data.State == upload.Failed:
			w.Fatalf("%s: %+v", presigned, a.Data)
		}
		select {
		case <-tick.C:
		case <-end:
			w.Fatalf("%s: two minutes, and it is %+v", presigned, a.Data)
		}
	}
}

// told are the mails about rewards in the mailbox, by address, the oldest first.
func (w *world) told() map[string][]mailtest.Mail {
	w.Helper()
	out := map[string][]mailtest.Mail{}
	var list struct {
		Data []struct {
			ID        int64
			To        []string
			MessageID string `json:"message_id"`
		}
	}
	w.ask("", http.MethodGet, "/mail/mail.json?page_size=1000", "", "", &list)
	for _, m := range slices.Backward(list.Data) {
		if !strings.HasPrefix(m.MessageID, "rewards.") {
			continue
		}
		out[m.To[0]] = append(out[m.To[0]], mailtest.Read(w.T, w.source(m.ID)))
	}
	return out
}

// source is a mail as it came, without the headers of the mailbox.
func (w *world) source(id int64) []byte {
	w.Helper()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, fmt.Sprintf("%s/mail/%d/source", w.s.URL, id), nil)
	if err != nil {
		w.Fatal(err)
	}
	res, err := (&http.Client{Transport: w.base}).Do(req)
	if err != nil {
		w.Fatal(err)
	}
	raw, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusOK {
		w.Fatal(res.Status, err)
	}
	return raw
}

// nightly is the command of the same name at a time.
func (w *world) nightly(now time.Time, sent int) {
	w.Helper()
	w.ops.Clock = func() time.Time { return now }
	r, err := w.ops.Nightly(w.ctx, nil, func(int) {})
	if err != nil || r.State != emailer.Done || r.Sent != sent || r.Refused+r.Failed > 0 {
		w.Fatalf("%+v %v, want %d mails", r, err, sent)
	}
}

// person is a cardholder.
type person struct {
	id, email string
	cards     []uuid.UUID
}

// earned is what the store says that a person's cards have earned.
type earned struct {
	units   map[string]*big.Rat // by unit and programme
	reasons []string
	rows    int
}

// earnings are those of each card.
func (w *world) earnings() map[uuid.UUID]*earned {
	w.Helper()
	out := map[uuid.UUID]*earned{}
	err := w.s.Rewards.All(w.ctx, func(r loyalty.Row) error {
		e := out[r.CardID]
		if e == nil {
			e = &earned{units: map[string]*big.Rat{}}
			out[r.CardID] = e
		}
		if r.Units.Value != 0 {
			key := r.Trace.Unit + " (" + r.Trace.Programme + ")"
			if e.units[key] == nil {
				e.units[key] = new(big.Rat)
			}
			units, _ := new(big.Rat).SetString(r.Units.String())
			e.units[key].Add(e.units[key], units)
			e.rows++
			e.reasons = append(e.reasons, r.Remarks)
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return out
}

var totalLine = regexp.MustCompile(`(?m)^  (-?[0-9.]+) (\S+ \(.+\))\r?$`)

// tells fails unless the mail tells a person's totals of each programme and the reasons, and nothing else.
func (w *world) tells(m mailtest.Mail, p person, by map[uuid.UUID]*earned) {
	w.Helper()
	want := earned{units: map[string]*big.Rat{}}
	for _, card := range p.cards {
		for key, units := range by[card].units {
			if want.units[key] == nil {
				want.units[key] = new(big.Rat)
			}
			want.units[key].Add(want.units[key], units)
		}
		want.rows += by[card].rows
		want.reasons = append(want.reasons, by[card].reasons...)
	}
	head, list, _ := strings.Cut(m.Text, "The transactions that led to it:")
	got := totalLine.FindAllStringSubmatch(head, -1)
	if len(got) != len(want.units) {
		w.Errorf("%s: totals %v, want %v\n%s", p.email, got, want.units, m.Text)
	}
	for _, line := range got {
		units, _ := new(big.Rat).SetString(line[1])
		if want.units[line[2]] == nil || want.units[line[2]].Cmp(units) != 0 {
			w.Errorf("%s: it tells of %s %s, want %v", p.email, line[1], line[2], want.units[line[2]])
		}
	}
	if n := strings.Count(list, "\n- "); n != min(want.rows, 100) {
		w.Errorf("%s: %d transactions, want %d", p.email, n, want.rows)
	}
	if want.rows <= 100 {
		for _, reason := range want.reasons {
			if reason == "" || !strings.Contains(list, reason) || !strings.Contains(html.UnescapeString(m.HTML), reason) {
				w.Errorf("%s: the reason %q is missing\n%s", p.email, reason, list)
			}
		}
	}
}

func TestNightly(t *testing.T) {
	t.Cleanup(func() {
		if err := os.Chdir(wd); err != nil {
			t.Error(err)
		}
	})
	inputs := filepath.Join(wd, "../../examples")
	seed, err := stack.ReadSeed(filepath.Join(inputs, "rules.json"), filepath.Join(inputs, "quotes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	spend, err := os.ReadFile(filepath.Join(inputs, "spend.csv"))
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	cfg := stack.Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Home: loyalty.MustCurrency("CAD"), Timezone: zone, Rewarders: 2, Partitions: 3, Samples: true,
	}
	err = stack.Run(t.Context(), cfg, slog.New(slog.NewTextHandler(&lockedWriter{w: &logged}, nil)), func(ctx context.Context, s *stack.Stack) error {
		w := &world{T: t, ctx: ctx, s: s, base: &http.Transport{}, as: map[token.Role]*http.Client{}}
		defer w.base.CloseIdleConnections()
		for _, role := range []token.Role{token.Admin, token.Bank, token.User} {
			w.as[role] = &http.Client{Transport: &samples.Transport{Data: s.Data, Role: role, Base: w.base}}
		}
		if err := errors.Join(s.Plant(ctx, seed), func() error { _, err := s.AwaitRules(ctx); return err }(), func() error { _, err := s.SampleUsers(ctx); return err }()); err != nil {
			return err
		}
		if w.ops, err = ops.Open(ctx, s.Data); err != nil {
			return err
		}
		defer func() {
			if err := w.ops.Close(); err != nil {
				t.Error(err)
			}
		}()
		w.test(string(spend))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if text := logged.String(); strings.Contains(text, "service=emailer level=ERROR") || strings.Contains(text, "alarm=") {
		t.Error(text)
	}
}

// test is a day and the next one of a bank.
func (w *world) test(spend string) {
	w.send("/publish/presigned", spend, upload.Reconciled)
	if err := w.s.SampleCards(w.ctx); err != nil {
		w.Fatal(err)
	}
	uma := w.sampleUser()

	// More people, of the bank's file: they own cards of each kind, one of them several, and one a card
	// that has earned nothing.
	by := w.earnings()
	kinds := map[string][]uuid.UUID{} // cards by what they earn
	var cards []uuid.UUID
	for card := range by {
		if !slices.Contains(uma.cards, card) {
			cards = append(cards, card)
		}
	}
	slices.SortFunc(cards, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	for _, card := range cards {
		kind := ""
		for key, units := range by[card].units {
			if units.Sign() > 0 {
				kind = key
			}
		}
		kinds[kind] = append(kinds[kind], card)
	}
	take := func(kind string) uuid.UUID {
		w.Helper()
		for key, list := range kinds {
			if len(list) > 0 && (kind == "" && key == "" || kind != "" && strings.HasPrefix(key, kind)) {
				kinds[key] = list[1:]
				return list[0]
			}
		}
		w.Fatalf("no card earns %q", kind)
		return uuid.Nil
	}
	types := map[string]string{"miles": "scis_premiummiles", "points": "scis_shopping", "cashback": "scis_freedom", "": "scis_shopping"}
	users := "id,first_name,last_name,phone,email,created_at,updated_at,card_id,card_pan,card_type\n"
	enter := func(name string, kinds ...string) person {
		p := person{id: uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)).String(), email: name + "@cards.example"}
		for i, kind := range kinds {
			card := take(kind)
			p.cards = append(p.cards, card)
			users += fmt.Sprintf("%s,%s,Lee,,%s,,,%s,41%02d%02d%010d,%s\n", p.id, name, p.email, card, len(name), i, len(users), types[kind])
		}
		return p
	}
	ann, bob, carol, zed := enter("ann", "miles", "cashback", "points"), enter("bob", "miles"), enter("carolina", "cashback", "cashback"), enter("zedekiah", "")
	w.send("/user/presigned", users, upload.Reconciled)
	// Carol wants none. Zed's card has earned nothing.
	w.ask(token.Bank, http.MethodPut, "/user/"+carol.id, "application/json", `{"reward_emails":false}`, nil)

	today := time.Now()
	w.nightly(today, 3)
	told := w.told()
	for _, p := range []person{uma, ann, bob} {
		if len(told[p.email]) != 1 {
			w.Fatalf("%s has %d mails", p.email, len(told[p.email]))
		}
		w.tells(told[p.email][0], p, by)
	}
	if len(told) != 3 || len(told[carol.email])+len(told[zed.email]) > 0 {
		w.Errorf("mails went to %d people", len(told))
	}
	// Run again, also for a day that is over, it sends nobody the same once more.
	w.nightly(today, 0)
	yesterday := loyalty.DateOf(today.In(w.s.Timezone).Date()) - 1
	if r, err := w.ops.Nightly(w.ctx, &yesterday, func(int) {}); err != nil || r.State != emailer.Done || r.Sent != 0 {
		w.Errorf("yesterday: %+v %v", r, err)
	}
	coming := yesterday + 2
	if r, err := w.ops.Nightly(w.ctx, &coming, func(int) {}); err == nil || !strings.Contains(err.Error(), "is still to come") {
		w.Errorf("tomorrow: %+v %v", r, err)
	}

	// Bob's mail program ends his mails with one click (RFC 8058), through the gateway and signed in as
	// nobody. Uma turns hers off herself.
	link := told[bob.email][0].Headers["List-Unsubscribe"]
	if !strings.HasPrefix(link, "<"+w.s.URL+"/unsubscribe/") || told[bob.email][0].Headers["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click" {
		w.Fatalf("%q %q", link, told[bob.email][0].Headers["List-Unsubscribe-Post"])
	}
	w.ask("", http.MethodPost, strings.Trim(link, "<>"), "application/x-www-form-urlencoded", "List-Unsubscribe=One-Click", nil)
	w.ask(token.User, http.MethodPut, "/user/"+uma.id, "application/json", `{"reward_emails":false}`, nil)
	for _, p := range []person{bob, uma, carol} {
		var a struct {
			Data struct {
				RewardEmails *bool `json:"reward_emails"`
			}
		}
		w.ask(token.Admin, http.MethodGet, "/user/"+p.id, "", "", &a)
		if a.Data.RewardEmails == nil || *a.Data.RewardEmails {
			w.Errorf("%s still gets mails", p.email)
		}
	}

	// Everybody spends again, all of them on cards that earn. The next night only Ann hears of it, and of
	// nothing that she has heard of.
	more := "id,transaction_id,merchant,mcc,currency,amount,transaction_date,card_id,card_pan,card_type\n"
	for i, p := range []person{ann, bob, uma, carol} {
		for _, card := range p.cards {
			more += fmt.Sprintf("%s,again-%d,=SUM(1) <b>Shop</b>,5999,CAD,100.00,2019-09-03,%s,************1234,%s\n", uuid.NewSHA1(card, []byte("again")), i, card, w.cardType(card))
		}
	}
	w.send("/publish/presigned", more, upload.Reconciled)
	w.nightly(today, 0) // an account gets one mail a day
	w.nightly(today.Add(24*time.Hour), 1)
	told = w.told()
	if len(told[ann.email]) != 2 || len(told[bob.email]) != 1 || len(told[uma.email]) != 1 || len(told[carol.email]) != 0 {
		w.Errorf("the next night's mails: %d", len(told))
	}
	second := told[ann.email][1]
	w.tells(second, ann, since(w.earnings(), by))
	if !strings.Contains(second.Text, "=SUM(1) <b>Shop</b>") || strings.Contains(second.HTML, "<b>Shop") || second.ID == told[ann.email][0].ID {
		w.Errorf("%s\n%s", second.Text, second.HTML)
	}
}

// sampleUser is the sample cardholder.
func (w *world) sampleUser() person {
	w.Helper()
	account, err := samples.Of(w.s.Data, token.User)
	if err != nil {
		w.Fatal(err)
	}
	p := person{id: account.ID, email: account.Email}
	var a struct {
		Data struct {
			CreditCards []struct{ ID uuid.UUID }
		}
	}
	w.ask(token.User, http.MethodGet, "/user/"+account.ID, "", "", &a)
	for _, card := range a.Data.CreditCards {
		p.cards = append(p.cards, card.ID)
	}
	if len(p.cards) == 0 {
		w.Fatal("the sample user has no cards")
	}
	return p
}

// cardType is that of a card which somebody owns.
func (w *world) cardType(card uuid.UUID) string {
	w.Helper()
	var a struct {
		Data struct {
			CardType string `json:"card_type"`
		}
	}
	w.ask(token.Admin, http.MethodGet, "/card/"+card.String(), "", "", &a)
	return a.Data.CardType
}

// since is what cards have earned beyond what they had.
func since(now, was map[uuid.UUID]*earned) map[uuid.UUID]*earned {
	for card, e := range now {
		if was[card] == nil {
			continue
		}
		for key, units := range was[card].units {
			if e.units[key].Sub(e.units[key], units); e.units[key].Sign() == 0 {
				delete(e.units, key)
			}
		}
		e.rows -= was[card].rows
		e.reasons = nil
	}
	return now
}
