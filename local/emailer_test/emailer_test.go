package emailer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/profiler"
)

func TestEachWhoEarnedHearsOnceOfAllCards(t *testing.T) {
	w := start(t)
	ann, zero, out, locked, refunded, nobody := w.person("Ann", 2), w.person("Zero", 1),
		w.person("Out", 1, func(u *profiler.User) { u.RewardEmails = false }),
		w.person("Locked", 1, func(u *profiler.User) { u.Locked = true }), w.person("Refunded", 1), w.person("Nobody", 1)
	thai, arabic, eve := w.person("สมชาย", 1), w.person("محمد", 1), w.person("<b>Eve</b>\r\nBcc: all@evil.example", 1)
	w.reward(ann.cards[0], w.day, 200, func(r *loyalty.Row) { r.Merchant = "<script>alert(1)</script>" })
	w.reward(ann.cards[1], w.day, 75, func(r *loyalty.Row) {
		r.Merchant, r.Currency, r.Amount = `=HYPERLINK("http://evil.example")`, loyalty.MustCurrency("BHD"), 10125
		r.Units, r.Trace.Unit, r.Trace.Programme, r.Trace.Decimals = loyalty.Units{Value: 75, Digits: 2}, "cashback", "Freedom", 2
		r.Remarks = "1% on all spend"
	})
	w.reward(ann.cards[0], w.day, 0, func(r *loyalty.Row) { r.Merchant = "Nothing for this" })
	w.reward(zero.cards[0], w.day, 0)
	w.reward(refunded.cards[0], w.day, 5)
	w.reward(refunded.cards[0], w.day, -5)
	for _, p := range []person{out, locked, thai, arabic, eve} {
		w.reward(p.cards[0], w.day, 10)
	}
	w.run(w.day, 4)
	m := w.one(ann)
	if want := fmt.Sprintf("rewards.%s.%s@bank.example", w.day, ann.id); m.ID != want || m.Subject != "Your rewards of "+w.day.Time().Format("2 January 2006") {
		t.Errorf("%s %q", m.ID, m.Subject)
	}
	for _, part := range []string{"200 miles (Miles)", "0.75 cashback (Freedom)", "<script>alert(1)</script>", "=HYPERLINK", "SGD 100.50", "BHD 10.125", "2 miles per dollar", "1% on all spend",
		"card ending in 1234", (w.day - 1).Time().Format("2 January 2006")} {
		if !strings.Contains(m.Text, part) {
			t.Errorf("the text lacks %q:\n%s", part, m.Text)
		}
	}
	for _, part := range []string{"<script", "<img", "Nothing for this"} {
		if strings.Contains(m.HTML, part) {
			t.Errorf("the HTML has %q:\n%s", part, m.HTML)
		}
	}
	for name, p := range map[string]person{"สมชาย Test": thai, "محمد Test": arabic, "<b>Eve</b>  Bcc: all@evil.example Test": eve} {
		if got := w.one(p); got.To.Name != name || !strings.Contains(got.Text, "Hello "+name) || strings.Contains(got.HTML, "<b>Eve") || got.Headers["Bcc"] != "" || strings.Contains(got.Text, "\nBcc") {
			t.Errorf("%q: %+v", name, got)
		}
	}
	for _, p := range []person{zero, out, locked, refunded, nobody} {
		if got := w.mails(p); len(got) > 0 {
			t.Errorf("%s has %v", p.email, got)
		}
	}

	// The link of a mail program ends the mails, and only those of its reader (RFC 8058).
	link := strings.Trim(m.Headers["List-Unsubscribe"], "<>")
	if m.Headers["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click" {
		t.Error(m.Headers)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(link, "application/x-www-form-urlencoded", strings.NewReader("List-Unsubscribe=One-Click"))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
	w.reward(ann.cards[0], w.day+1, 9)
	w.reward(thai.cards[0], w.day+1, 9)
	w.run(w.day+1, 1)
	if len(w.mails(ann)) != 1 || len(w.mails(thai)) != 2 {
		t.Error("the next day's mails")
	}
	if text := w.mails(thai)[1].Text; strings.Contains(text, "10 miles") || !strings.Contains(text, "9 miles") {
		t.Errorf("the second mail tells of the first day:\n%s", text)
	}
	w.run(w.day+1, 0)
	if r, err := w.handler(w.night(w.day+1)).Handle(t.Context(), emailer.Event{Again: true}); err != nil || r.Sent != 0 || r.State != emailer.Done {
		t.Errorf("again: %+v %v", r, err)
	}
}

// The rewarder is down over midnight: who can be told is told after two hours, and of what comes late on
// the next night.
func TestTheRewarderIsDownOverMidnight(t *testing.T) {
	w := start(t)
	ann, bob := w.person("Ann", 2), w.person("Bob", 1)
	w.produce(w.at(w.day, 10*time.Hour))
	w.produce(w.at(w.day, 20*time.Hour))
	w.produce(w.at(w.day+1, time.Minute))
	w.reward(ann.cards[0], w.day, 100)
	wait := func(since time.Duration, state string, late bool, sent int) {
		t.Helper()
		r, err := w.handler(w.at(w.day+1, since)).Handle(t.Context(), emailer.Event{})
		if err != nil || r.State != state || r.Late != late || r.Sent != sent {
			t.Errorf("%s after midnight: %+v %v", since, r, err)
		}
	}
	wait(time.Minute, emailer.Waiting, false, 0) // nobody has committed anything
	w.commit(2, 2, 1)
	wait(10*time.Minute, emailer.Waiting, false, 0)
	wait(2*time.Hour-time.Second, emailer.Waiting, false, 0)
	w.broker.Close()
	if r, err := w.handler(w.at(w.day+1, time.Hour)).Handle(t.Context(), emailer.Event{}); err == nil || r.State != emailer.Waiting {
		t.Errorf("without Kafka: %+v %v", r, err)
	}
	var log bytes.Buffer
	w.log = slog.NewJSONHandler(&log, nil)
	wait(2*time.Hour, emailer.Done, true, 1)
	if n := strings.Count(log.String(), `"level":"ERROR"`); n != 1 || !strings.Contains(log.String(), `"alarm":"rewards_late"`) {
		t.Errorf("%d errors, and the alarm is one of them:\n%s", n, log.String())
	}
	log.Reset()
	wait(3*time.Hour, emailer.Done, false, 0)
	if strings.Contains(log.String(), `"alarm"`) {
		t.Errorf("it alarms again:\n%s", log.String())
	}
	w.log = nil

	// The rewarder is back: its rows are of the day before.
	w.reward(ann.cards[1], w.day, 11)
	w.reward(bob.cards[0], w.day, 22)
	w.reward(ann.cards[0], w.day+1, 33)
	past := func(_ *emailer.Config, d *emailer.Deps) {
		d.Past = func(context.Context, time.Time) (bool, error) { return true, nil }
	}
	w.run(w.day+1, 2, past)
	told := w.mails(ann)
	if len(told) != 2 || told[0].ID == told[1].ID || !strings.Contains(told[0].Text, "100 miles") || strings.Contains(told[1].Text, "100 miles") || !strings.Contains(told[1].Text, "44 miles") {
		t.Errorf("Ann: %+v", told)
	}
	if text := w.one(bob).Text; !strings.Contains(text, "22 miles") {
		t.Error(text)
	}
	// Seven days later it is not looked at any more.
	w.reward(bob.cards[0], w.day, 44)
	w.run(w.day+7, 0, past)
	w.run(w.day+6, 1, past)
}

func TestItBeginsWhenAllPartitionsArePastTheDay(t *testing.T) {
	w := start(t)
	past := func(want bool) {
		t.Helper()
		got, err := emailer.Kafka{Brokers: []string{w.broker.Addr()}, Topic: "transaction", Group: "rewarder"}.Past(t.Context(), w.at(w.day+1, 0))
		if err != nil || got != want {
			t.Errorf("%v %v, want %v", got, err, want)
		}
	}
	past(true) // an empty topic
	w.produce(w.at(w.day, 23*time.Hour))
	past(false)
	w.commit(1, 1, 0)
	past(false)
	w.commit(1, 1, 1)
	past(true)
	w.produce(w.at(w.day+1, 0))
	past(true) // of the next day
	w.produce(w.at(w.day+1, time.Hour))
	past(true)
}

// flaky is a mail system that refuses some and fails for others.
type flaky struct {
	mail.Sender
	mu     sync.Mutex
	refuse string
	fail   map[string]bool
	tried  int
}

func (f *flaky) Send(ctx context.Context, m mail.Message) error {
	f.mu.Lock()
	f.tried++
	refuse, fail := m.To.Address == f.refuse, f.fail[m.To.Address] || f.fail["*"]
	f.mu.Unlock()
	switch {
	case refuse:
		return fmt.Errorf("%w: no such mailbox", mail.ErrRefused)
	case fail:
		// It has taken it, and the answer was lost.
		return errors.Join(errors.New("the connection broke"), f.Sender.Send(ctx, m))
	}
	return f.Sender.Send(ctx, m)
}

func TestMailsThatAreRefusedOrFail(t *testing.T) {
	w := start(t)
	var people []person
	for range 30 {
		p := w.person("Ann", 1)
		w.reward(p.cards[0], w.day, 10)
		people = append(people, p)
	}
	f := &flaky{Sender: w.sender, refuse: people[0].email, fail: map[string]bool{people[1].email: true}}
	use := func(_ *emailer.Config, d *emailer.Deps) { d.Mail = f }
	r, err := w.handler(w.night(w.day), use).Handle(t.Context(), emailer.Event{})
	if err == nil || r.State != emailer.Unfinished || r.Sent != 28 || r.Refused != 1 || r.Failed != 1 {
		t.Errorf("%+v %v", r, err)
	}
	// In between comes something new, which the same mail does not tell of.
	w.reward(people[1].cards[0], w.day, 7)
	f.fail = map[string]bool{}
	if r := w.run(w.day, 1, use); r.Refused != 0 {
		t.Errorf("%+v", r)
	}
	twice := w.mails(people[1])
	if len(twice) != 2 || twice[0].ID != twice[1].ID || twice[0].Text != twice[1].Text {
		t.Errorf("%+v", twice)
	}
	w.run(w.day+1, 1, use)
	if third := w.mails(people[1]); len(third) != 3 || third[2].ID == third[0].ID || !strings.Contains(third[2].Text, "7 miles") {
		t.Errorf("%+v", third)
	}

	// A mail system that is away ends the run soon.
	for _, p := range people {
		w.reward(p.cards[0], w.day+2, 10)
	}
	f.fail, f.tried = map[string]bool{"*": true}, 0
	if r, err := w.handler(w.night(w.day+2), use).Handle(t.Context(), emailer.Event{}); err == nil || r.State != emailer.Unfinished || f.tried > 24 {
		t.Errorf("%+v %v after %d mails", r, err, f.tried)
	}
}

func TestTimeRunsOut(t *testing.T) {
	w := start(t)
	p := w.person("Ann", 1)
	w.reward(p.cards[0], w.day, 10)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	r, err := w.handler(w.night(w.day), func(c *emailer.Config, _ *emailer.Deps) { c.Margin = 2 * time.Hour }).Handle(ctx, emailer.Event{})
	if err != nil || r.State != emailer.Unfinished || r.Sent != 0 {
		t.Errorf("%+v %v", r, err)
	}
	w.run(w.day, 1)
	w.one(p)
}

// A mail before the day has ended tells what there is; the rest is told on the next day.
func TestEarly(t *testing.T) {
	w := start(t)
	p := w.person("Ann", 1)
	w.reward(p.cards[0], w.day, 10)
	noon := w.at(w.day, 13*time.Hour)
	if r, err := w.handler(noon).Handle(t.Context(), emailer.Event{Day: &w.day}); err != nil || r.State != emailer.Waiting {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := w.handler(noon).Handle(t.Context(), emailer.Event{Day: &w.day, Early: true}); err != nil || r.State != emailer.Done || r.Sent != 1 {
		t.Errorf("%+v %v", r, err)
	}
	w.reward(p.cards[0], w.day, 20)
	w.run(w.day, 0)
	w.run(w.day+1, 1)
	if all := w.mails(p); len(all) != 2 || !strings.Contains(all[1].Text, "20 miles") || strings.Contains(all[1].Text, "10 miles") {
		t.Errorf("%+v", all)
	}
}
