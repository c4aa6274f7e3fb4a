package poison_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/angelowl-loyalties/app/local/ops"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules/oracle"
	"github.com/angelowl-loyalties/app/rewarder"
	rewarderops "github.com/angelowl-loyalties/app/rewarder/ops"
)

const partitions = 6

// size is how many records are produced, and for how many cards.
func size() (records, cards int) {
	switch {
	case os.Getenv("ANGELOWL_LONG") == "1":
		return 1_000_000, 2_000
	case testing.Short():
		return 10_000, 50
	}
	return 100_000, 200
}

// place is where a record is in the log.
type place struct {
	partition int32
	offset    int64
}

// earned is a reward that there has to be: of the record with a number.
type earned struct {
	number int
	again  bool // it was sent again, at a time that the test does not know
}

// poisoned is a test that runs.
type poisoned struct {
	*world
	kafka  sarama.Client
	spend  *spend
	want   map[loyalty.Key]earned
	bad    map[place]int // the numbers of the bad records
	pans   pans
	oracle *oracle.Oracle
}

// Of a log in which one record in a hundred is bad, every good one is rewarded and the bad ones,
// they alone, are dead letters without a card number in them. Those that can be mended earn their
// reward once they are; the others stay.
func TestPoisonIsSetAside(t *testing.T) {
	seed := uint64(20190603)
	if s := os.Getenv("ANGELOWL_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	records, cards := size()
	t.Logf("seed %d (ANGELOWL_SEED sets another)", seed)
	p := &poisoned{
		world: start(t, "--rewarders", "3", "--partitions", strconv.Itoa(partitions), "--rules", rulesFile, "--fx", quotesFile),
		spend: newSpend(seed, cards, partitions),
		want:  map[loyalty.Key]earned{}, bad: map[place]int{}, pans: pans{},
	}
	p.readRules()
	var err error
	if p.kafka, err = stack.Connect(p.running().Kafka); err != nil {
		t.Fatal(err)
	}
	defer p.kafka.Close()
	await(t, "all rewarders are at work", func() bool {
		st := p.status()
		return st.Healthy && len(st.Rewarders) == 3 && !slices.ContainsFunc(st.Rewarders, func(r ops.Rewarder) bool { return r.State != "consuming" || len(r.Partitions) == 0 })
	})

	began := time.Now()
	p.produce(records)
	produced := time.Since(began)
	p.drained()
	took := time.Since(began)
	t.Logf("%d records, %d of them bad: produced in %v, all rewarded or set aside after %v, %.0f records/s",
		records, len(p.bad), produced.Round(time.Millisecond), took.Round(time.Millisecond), float64(records)/took.Seconds())

	byReason := p.deadLetters()
	p.counted(byReason, 0)
	p.rewarded()

	mended := p.mend()
	p.counted(byReason, len(mended))
	p.deadLetters() // as they were: a mark beside them, and none of them twice
	p.rewarded()
	p.unmended(len(mended))
	p.counted(byReason, len(mended))

	p.kafka.Close()
	p.stop()
	p.noCardNumbers()
}

// readRules makes the oracle from the files that the system was given.
func (p *poisoned) readRules(more ...func(*loyalty.RuleFile, []loyalty.DayQuotes)) {
	p.t.Helper()
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		p.t.Fatal(err)
	}
	file, err := loyalty.DecodeRuleFile(text)
	if err != nil {
		p.t.Fatal(err)
	}
	if text, err = os.ReadFile(quotesFile); err != nil {
		p.t.Fatal(err)
	}
	history, err := campaignex.ReadHistory(text)
	if err != nil {
		p.t.Fatal(err)
	}
	var days []loyalty.DayQuotes
	for _, d := range history.Days {
		days = append(days, d.DayQuotes)
	}
	for _, f := range more {
		f(&file, days)
	}
	p.oracle = oracle.New(home, file.CardTypes, file.Campaigns, file.Exclusions, []loyalty.YearQuotes{{Days: days}})
}

// produce puts the records into the log, in their order, and notes where each bad one is and what
// each good one has to earn.
func (p *poisoned) produce(records int) {
	t := p.t
	t.Helper()
	conf := sarama.NewConfig()
	conf.Version = sarama.V3_6_0_0
	conf.Net.MaxOpenRequests = 1
	conf.Producer.Idempotent = true // so the order of sending is that of the log
	conf.Producer.RequiredAcks = sarama.WaitForAll
	conf.Producer.Return.Successes = true
	conf.Producer.Partitioner = sarama.NewMurmur2Partitioner
	producer, err := sarama.NewAsyncProducer(p.running().Kafka, conf)
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range records {
			m := p.spend.record(i)
			if m.pan != "" {
				p.pans.add(m.pan)
			}
			headers := []sarama.RecordHeader{
				{Key: []byte(record.HeaderFormat), Value: []byte("1")},
				{Key: []byte(record.HeaderSource), Value: []byte("upload:" + upload.String())},
				{Key: []byte(record.HeaderLine), Value: strconv.AppendInt(nil, int64(i+2), 10)},
			}
			if m.marker {
				headers = append(headers, sarama.RecordHeader{Key: []byte(record.HeaderKind), Value: []byte(record.KindMarker)})
			}
			out := &sarama.ProducerMessage{Topic: record.Topic, Key: sarama.StringEncoder(m.key), Headers: headers, Timestamp: m.timestamp, Metadata: i}
			if m.value != nil {
				out.Value = sarama.ByteEncoder(m.value)
			}
			producer.Input() <- out
		}
		producer.AsyncClose()
	}()
	type at struct {
		number int
		place
	}
	all := make([]at, 0, records)
	successes, errs := producer.Successes(), producer.Errors()
	for successes != nil || errs != nil {
		select {
		case out, ok := <-successes:
			if !ok {
				successes = nil
				continue
			}
			all = append(all, at{out.Metadata.(int), place{out.Partition, out.Offset}})
		case err, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			t.Errorf("record %d: %v", err.Msg.Metadata, err.Err)
		}
	}
	<-sent
	// A card's records are in one partition, where their offsets are in the order of their numbers.
	slices.SortFunc(all, func(a, b at) int { return a.number - b.number })
	twice := 0
	kinds, last := map[string]int{}, map[int32]int64{}
	for _, r := range all {
		m := p.spend.record(r.number)
		if before, ok := last[r.partition]; ok && r.offset <= before {
			t.Fatalf("record %d of partition %d is at offset %d, behind %d", r.number, r.partition, r.offset, before)
		}
		last[r.partition] = r.offset
		_, there := p.want[m.tx.Key()]
		switch {
		case m.bad != nil:
			p.bad[r.place] = r.number
			kinds[m.bad.name]++
		case there:
			twice++
		default:
			p.want[m.tx.Key()] = earned{number: r.number}
		}
	}
	if len(all) != records || len(p.bad) != records/block || len(kinds) != len(ways) || twice < records/200 {
		t.Fatalf("%d records, %d of them bad in %d ways, %d there before; want %d", len(all), len(p.bad), len(kinds), twice, records)
	}
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		t.Logf("%5d × %s", kinds[k], k)
	}
}

// drained waits until the rewarders have committed all that is in the log.
func (p *poisoned) drained() {
	p.t.Helper()
	await(p.t, "everything is read", func() bool {
		lags, err := rewarder.Lag(p.t.Context(), p.kafka, stack.Group, record.Topic)
		if err != nil {
			p.t.Fatal(err)
		}
		left := int64(0)
		for _, l := range lags {
			left += l.Records()
		}
		return left == 0 && len(lags) == partitions
	})
}

// deadLetters holds the dead letters against the bad records: none more, none less, the reason, the
// bytes. It returns how many there are of each reason.
func (p *poisoned) deadLetters() map[string]int64 {
	t := p.t
	t.Helper()
	byReason, seen := map[string]int64{}, map[place]bool{}
	wrong := 0
	say := func(format string, args ...any) {
		if wrong++; wrong <= 20 {
			t.Errorf(format, args...)
		}
	}
	err := rewarderops.Read(t.Context(), p.kafka, stack.DeadLetterTopic, func(d stack.DeadLetter) error {
		at := place{d.At.Partition, d.At.Offset}
		header := func(name string) string { return stack.Header(d.Message, name) }
		p.nothingIn(d.Message)
		number, ok := p.bad[at]
		if !ok {
			say("the record at %v is set aside, and is good: %s: %s\n%s", at, header(record.HeaderReason), header(record.HeaderDetail), d.Message.Value)
			return nil
		}
		m := p.spend.record(number)
		seen[at] = true
		byReason[m.bad.reason]++
		if got := header(record.HeaderReason); got != m.bad.reason || !strings.Contains(header(record.HeaderDetail), m.bad.detail) {
			say("%s: the reason is %s (%s), want %s (%s)", m.bad.name, got, header(record.HeaderDetail), m.bad.reason, m.bad.detail)
		}
		if !bytes.Equal(d.Message.Value, m.masked) {
			say("%s: the dead letter has\n%.1000s\nwant\n%.1000s", m.bad.name, d.Message.Value, m.masked)
		}
		if d.At.Incarnation != 1 || string(d.Message.Key) != m.shownKey() || header(record.HeaderSource) != "upload:"+upload.String() ||
			header(record.HeaderLine) != strconv.Itoa(m.number+2) || header(record.HeaderTimestamp) != strconv.FormatInt(m.timestamp.UnixMilli(), 10) {
			say("%s: the dead letter has key %s, source %s, line %s, time %s", m.bad.name, d.Message.Key, header(record.HeaderSource), header(record.HeaderLine), header(record.HeaderTimestamp))
		}
		return nil
	}, func(d stack.DeadLetter) error {
		p.nothingIn(d.Message)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for at, number := range p.bad {
		if !seen[at] {
			say("%s, at %v, has no dead letter", p.spend.record(number).bad.name, at)
		}
	}
	return byReason
}

// nothingIn holds that no byte of a record gives a card number away.
func (p *poisoned) nothingIn(m *sarama.ConsumerMessage) {
	p.t.Helper()
	what := fmt.Sprintf("the dead letter at offset %d", m.Offset)
	p.pans.notIn(p.t, what, m.Key)
	p.pans.notIn(p.t, what, m.Value)
	for _, h := range m.Headers {
		p.pans.notIn(p.t, what, h.Key)
		p.pans.notIn(p.t, what, h.Value)
	}
}

// counted holds that `angelowl status` counts the dead letters right.
func (p *poisoned) counted(byReason map[string]int64, resent int) {
	t := p.t
	t.Helper()
	st := p.status()
	if !st.Healthy || st.Lag != 0 {
		t.Errorf("healthy: %t, lag %d, problems %v", st.Healthy, st.Lag, st.Problems)
	}
	want := ops.DeadLetters{Letters: int64(len(p.bad)), Resent: int64(resent)}
	for reason, n := range byReason {
		r := ops.Reason{Reason: reason, Letters: n}
		if resent > 0 && slices.ContainsFunc(ways, func(k kind) bool { return k.reason == reason && k.mends }) {
			r.Resent = n
		}
		want.ByReason = append(want.ByReason, r)
	}
	byName := func(a, b ops.Reason) int { return strings.Compare(a.Reason, b.Reason) }
	slices.SortFunc(want.ByReason, byName)
	slices.SortFunc(st.DeadLetters.ByReason, byName)
	if got := st.DeadLetters; got.Letters != want.Letters || got.Resent != want.Resent || !slices.Equal(got.ByReason, want.ByReason) {
		t.Errorf("status counts %+v, want %+v", got, want)
	}
	if all := p.letters(); len(all.Letters) != len(p.bad) || all.Older != 0 {
		t.Errorf("%d dead letters are listed and %d are older, want %d", len(all.Letters), all.Older, len(p.bad))
	}
}

// reward is a reward as the front door answers it. Numbers stay what was written.
type reward struct {
	ID       string      `json:"id"`
	Merchant string      `json:"merchant"`
	Currency string      `json:"currency"`
	Amount   json.Number `json:"amount"`
	Ref      string      `json:"transaction_id"`
	Date     string      `json:"transaction_date"`
	PAN      string      `json:"card_pan"`
	CardType string      `json:"card_type"`
	Units    json.Number `json:"reward_amount"`
	Created  time.Time   `json:"created_at"`
	Trace    struct {
		Outcome string `json:"outcome"`
		Base    *struct{ ID string }
		Promo   *struct{ ID string }
	} `json:"trace"`
}

// rewarded holds every card's history, as the cardholder sees it, against what the oracle says of
// the first arrival of each of its transactions, and the card's total against their sum.
func (p *poisoned) rewarded() {
	t := p.t
	t.Helper()
	wrong, rows := 0, 0
	outcomes := map[string]int{}
	say := func(format string, args ...any) {
		if wrong++; wrong <= 20 {
			t.Errorf(format, args...)
		}
	}
	for _, c := range p.spend.cards {
		sums := map[string]*big.Rat{}
		for next := ""; ; {
			path := "/reward/" + c.id.String() + "?page_size=1000"
			if next != "" {
				path += "&cursor=" + next
			}
			body := p.call(200, "GET", path, nil)
			p.pans.notIn(t, "a card's history", body)
			var page struct {
				Data []reward `json:"data"`
				Next string   `json:"next"`
			}
			p.read(string(body), &page)
			for _, got := range page.Data {
				rows++
				outcomes[got.Trace.Outcome]++
				id, _ := loyalty.ParseUUID(got.ID)
				date, _ := loyalty.ParseDate(got.Date)
				want, ok := p.want[loyalty.Key{CardID: c.id, Date: date, ID: id}]
				if !ok {
					say("card %s has a reward that nobody gave it: %+v", c.id, got)
					continue
				}
				if sums[got.CardType] == nil {
					sums[got.CardType] = new(big.Rat)
				}
				sums[got.CardType].Add(sums[got.CardType], number(got.Units))
				if why := p.differs(got, want); why != "" {
					say("transaction %s, record %d: %s\n%+v", got.ID, want.number, why, got)
				}
			}
			if next = page.Next; next == "" {
				break
			}
		}
		var total struct {
			By []struct {
				CardType string `json:"card_type"`
				Units    json.Number
			} `json:"by_programme"`
		}
		p.read(string(p.call(200, "GET", "/reward/total/"+c.id.String(), nil)), &total)
		if len(total.By) != len(sums) {
			say("card %s has totals %+v, and rewards of %d card types", c.id, total.By, len(sums))
		}
		for _, by := range total.By {
			if sum := sums[by.CardType]; sum == nil || number(by.Units).Cmp(sum) != 0 {
				say("card %s has %s in all for %s, its rewards add up to %v", c.id, by.Units, by.CardType, sum)
			}
		}
	}
	if rows != len(p.want) {
		t.Errorf("%d rewards, want %d", rows, len(p.want))
	}
	if outcomes["rewarded"] < rows/2 || outcomes["excluded"] == 0 || outcomes["no_campaign"] == 0 {
		t.Errorf("the outcomes are %v: these records do not try much", outcomes)
	}
}

// differs says in what a reward is not what it has to be.
func (p *poisoned) differs(got reward, want earned) string {
	m := p.spend.record(want.number)
	tx := m.tx
	res := p.oracle.Reward(&tx)
	id := func(c *struct{ ID string }) string {
		if c == nil {
			return "00000000-0000-0000-0000-000000000000"
		}
		return c.ID
	}
	switch {
	case res.Reason != "":
		return "the oracle sets it aside: " + res.Reason
	case string(res.Outcome) != got.Trace.Outcome:
		return fmt.Sprintf("the oracle says %s", res.Outcome)
	case res.Units.Cmp(number(got.Units)) != 0:
		return fmt.Sprintf("the oracle says %s units", res.Units.FloatString(4))
	case id(got.Trace.Base) != res.Base.String() || id(got.Trace.Promo) != res.Promo.String():
		return fmt.Sprintf("the oracle takes the campaigns %s and %s", res.Base, res.Promo)
	case got.Merchant != tx.Merchant || got.Currency != tx.Currency.String() || got.Ref != tx.Reference || got.PAN != tx.CardPAN || got.CardType != tx.CardType:
		return "it is of another record"
	case number(got.Amount).Cmp(number(json.Number(tx.Money().Number().String()))) != 0:
		return "the amount is another one"
	case want.again != got.Created.After(m.timestamp) || got.Created.Before(m.timestamp):
		return "it is of a record that arrived at another time"
	}
	return ""
}

func number(n json.Number) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		panic("not a number: " + n.String())
	}
	return r
}

// mend does what an admin does about what can be mended: it adds the card type, with a campaign,
// and the rate, and sends again what was set aside for want of them. It returns what was sent.
func (p *poisoned) mend() map[string]message {
	t := p.t
	t.Helper()
	before := p.status().Rules.Hash
	debit := loyalty.CardType{CardType: newCardType, Name: "SCIS Debit Card", Unit: "cashback", Programme: "SCIS Debit", Decimals: 3}
	campaign := loyalty.Campaign{
		ID: upload, Name: "0.7% on all spend", Start: firstDay, End: firstDay + 400, Programme: newCardType, Rate: loyalty.MustDecimal("0.007"), Base: true,
	}
	rate := loyalty.MustDecimal("4.1237")
	p.call(201, "POST", "/card/type", encode(t, debit))
	p.call(201, "POST", "/campaign", encode(t, campaign))
	var day struct {
		Data map[string]any `json:"data"`
	}
	dec := json.NewDecoder(bytes.NewReader(p.call(200, "GET", "/fx/"+unquotedDay.String(), nil)))
	dec.UseNumber()
	if err := dec.Decode(&day); err != nil {
		t.Fatal(err)
	}
	day.Data["quotes"].(map[string]any)[unquoted.String()] = rate
	p.call(200, "PUT", "/fx/"+unquotedDay.String(), encode(t, day.Data))
	p.readRules(func(f *loyalty.RuleFile, days []loyalty.DayQuotes) {
		f.CardTypes, f.Campaigns = append(f.CardTypes, debit), append(f.Campaigns, campaign)
		for _, d := range days {
			if d.Date == unquotedDay {
				d.Quotes[unquoted] = rate
			}
		}
	})
	await(t, "the new rules are in force", func() bool {
		st := p.status()
		waiting := slices.ContainsFunc(st.Outbox, func(b stack.Backlog) bool { return b.Waiting > 0 })
		return !waiting && st.Rules.Hash != before && !slices.ContainsFunc(st.Partitions, func(q ops.Partition) bool { return q.InForce == nil || !q.InForce.Live })
	})

	sent := map[string]message{} // by the dead letter's id
	for at, number := range p.bad {
		if m := p.spend.record(number); m.bad.mends {
			sent[record.LetterID(loyalty.Position{Incarnation: 1, Partition: at.partition, Offset: at.offset})] = m
		}
	}
	began := time.Now().Truncate(time.Second)
	ends := ends(p.status())
	for _, k := range ways {
		if !k.mends {
			continue
		}
		n := 0
		for _, m := range sent {
			if m.bad.reason == k.reason {
				n++
			}
		}
		said := p.must("deadletters", "resend", "--reason", k.reason)
		p.pans.notIn(t, "what resend says", []byte(said))
		if n == 0 || !strings.HasSuffix(said, fmt.Sprintf("\n%d sent again\n", n)) || strings.Count(said, " was sent again and is now at ") != n {
			t.Errorf("%s: want %d sent again: %s", k.name, n, said)
		}
		if said := p.must("deadletters", "resend", "--reason", k.reason); said != fmt.Sprintf("0 sent again, %d had been before\n", n) {
			t.Errorf("%s: a second time: %s", k.name, said)
		}
	}
	p.drained()

	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]bool{}
	for _, l := range p.letters().Letters {
		m, ok := sent[l.ID]
		if !ok {
			if len(l.Resent) > 0 {
				t.Errorf("dead letter %s (%s) is marked as sent again: %+v", l.ID, l.Reason, l.Resent)
			}
			continue
		}
		if len(l.Resent) != 1 || l.Resent[0].By != who.Username || l.Resent[0].At.Before(began) || len(l.Resent[0].Mended) != 0 {
			t.Errorf("dead letter %s (%s) has the marks %+v", l.ID, l.Reason, l.Resent)
			continue
		}
		to := l.Resent[0].To
		partition, offset, _ := strings.Cut(to, "/")
		n, err := strconv.ParseInt(offset, 10, 64)
		if err != nil || partition != strconv.Itoa(int(m.card.partition)) || n < ends[m.card.partition] || places[to] {
			t.Errorf("dead letter %s is said to be at %s now; its card is in partition %d, which ended at %d", l.ID, to, m.card.partition, ends[m.card.partition])
		}
		places[to] = true
		if _, there := p.want[m.tx.Key()]; !there { // else the bank sent a good one meanwhile, which counts
			p.want[m.tx.Key()] = earned{number: m.number, again: true}
		}
	}
	if len(places) != len(sent) {
		t.Errorf("%d dead letters are marked, want %d", len(places), len(sent))
	}
	return sent
}

func ends(st ops.Status) map[int32]int64 {
	out := map[int32]int64{}
	for _, p := range st.Partitions {
		out[p.Partition] = p.End
	}
	return out
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unmended holds that what cannot be mended is not sent, and stays.
func (p *poisoned) unmended(mended int) {
	t := p.t
	t.Helper()
	before := ends(p.status())
	code, stdout, stderr := p.run("deadletters", "resend", "--all")
	p.pans.notIn(t, "what resend says", []byte(stdout+stderr))
	stay := len(p.bad) - mended
	if want := fmt.Sprintf("0 sent again, %d not, %d had been before\n", stay, mended); code != 1 || stdout != want || strings.Count(stderr, "\n") != stay {
		t.Errorf("exit code %d, want 1, and %q:\n%s%.4000s", code, want, stdout, stderr)
	}
	if after := ends(p.status()); !maps.Equal(before, after) {
		t.Errorf("the partitions end at %v, and ended at %v", after, before)
	}
}

// noCardNumbers holds that no card number is in what the process has said nor in what it keeps:
// every file but those of the log, into which the test has put them itself, and every operand that
// the reward store has.
func (p *poisoned) noCardNumbers() {
	t := p.t
	t.Helper()
	said, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	if len(said) == 0 {
		t.Error("up has said nothing, at the level debug")
	}
	p.pans.notIn(t, "what up said", said)
	files := 0
	err = filepath.WalkDir(p.data, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path == filepath.Join(p.data, "kafka"):
			// It is there, or this test looks for nothing.
			if n := p.pans.inFiles(t, path); n == 0 {
				t.Error("the log of transactions holds none of the card numbers that were put into it")
			}
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		files++
		p.pans.notIn(t, path, b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, n := p.pans.notInStore(t, filepath.Join(p.data, "rewards"))
	if rows < len(p.want) {
		t.Errorf("the reward store has %d keys, and there are %d rewards", rows, len(p.want))
	}
	t.Logf("looked for %d card numbers in %d files and %d bytes of the reward store", len(p.pans), files, n)
}
