package spine_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/local/kafka"
	"github.com/angelowl-loyalties/app/local/pebble"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/loyalty/rules/oracle"
)

// withStore opens the reward store that a process has left, in a copy: what it left is for the next
// one to find.
func withStore(t *testing.T, data string, f func(*pebble.Store)) {
	t.Helper()
	dir := t.TempDir()
	defer os.RemoveAll(dir) // a hundred of them would be much
	if err := os.CopyFS(filepath.Join(dir, "rewards"), os.DirFS(filepath.Join(data, "rewards"))); err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Fatal(err)
	}
	store, err := pebble.Open(filepath.Join(dir, "rewards"), pebble.Options{Zone: zone, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	f(store)
}

// storedRow is all that is in a row, and where its record stands.
type storedRow struct {
	text string // as the API answers it
	at   loyalty.Position
}

func (r storedRow) String() string { return r.text + " of " + record.LetterID(r.at) }

func storedRowOf(r *loyalty.Row) (storedRow, error) {
	b, err := r.AppendJSON(nil)
	return storedRow{string(b), r.Position}, err
}

// storedRows are all rows that a process has left.
func storedRows(t *testing.T, data string) map[loyalty.Key]storedRow {
	t.Helper()
	var rows map[loyalty.Key]storedRow
	withStore(t, data, func(store *pebble.Store) { rows = rowsOf(t, store) })
	return rows
}

func rowsOf(t *testing.T, store *pebble.Store) map[loyalty.Key]storedRow {
	t.Helper()
	rows := map[loyalty.Key]storedRow{}
	err := store.All(t.Context(), func(r loyalty.Row) error {
		if _, twice := rows[r.Key()]; twice {
			t.Errorf("transaction %s is stored twice", r.ID)
		}
		row, err := storedRowOf(&r)
		rows[r.Key()] = row
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// unchanged holds that rows are still there as they were, to the byte, and returns how many are
// new.
func unchanged(t *testing.T, before, after map[loyalty.Key]storedRow) (fresh int) {
	t.Helper()
	fresh, _ = settled(t, before, after, nil)
	return fresh
}

// settled does so for the rows below the offsets that were committed, by partition; nil: for all.
// A row above them may be of a second arrival that was stored while the first was under way: it
// gives way to the first, and to nothing else. gave is how many did.
func settled(t *testing.T, before, after map[loyalty.Key]storedRow, committed map[int32]int64) (fresh, gave int) {
	t.Helper()
	for key, was := range before {
		is := after[key]
		switch {
		case is == was:
		case committed != nil && was.at.Offset >= committed[was.at.Partition] &&
			is.at.Partition == was.at.Partition && is.at.Offset < was.at.Offset:
			gave++
		default:
			t.Fatalf("the row\n%s\nbecame\n%s", was, is)
		}
	}
	return len(after) - len(before), gave
}

// withBroker serves the log that a process has left.
func withBroker(t *testing.T, data string, f func(sarama.Client)) {
	t.Helper()
	broker, err := kafka.Start(t.Context(), kafka.Config{Dir: filepath.Join(data, "kafka"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	client := kafkaClient(t, broker.Addr())
	defer client.Close()
	f(client)
}

// readLog reads a topic from its beginning to its present end, partition by partition.
func readLog(t *testing.T, client sarama.Client, topic string) (all [][]*sarama.ConsumerMessage) {
	t.Helper()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	partitions, err := client.Partitions(topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range slices.Sorted(slices.Values(partitions)) {
		all = append(all, readPartition(t, client, consumer, topic, p))
	}
	return all
}

func readPartition(t *testing.T, client sarama.Client, consumer sarama.Consumer, topic string, p int32) (all []*sarama.ConsumerMessage) {
	t.Helper()
	end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
	if err != nil {
		t.Fatal(err)
	}
	if end == 0 {
		return nil
	}
	part, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	for at := int64(0); at < end; {
		select {
		case m := <-part.Messages():
			all = append(all, m)
			at = m.Offset + 1
		case err := <-part.Errors():
			t.Fatal(err)
		case <-time.After(limit):
			t.Fatalf("topic %s is not read to its end", topic)
		}
	}
	return all
}

func header(m *sarama.ConsumerMessage, key string) string {
	for _, h := range m.Headers {
		if string(h.Key) == key {
			return string(h.Value)
		}
	}
	return ""
}

// verdict is what the log says that the reward store has to hold.
type verdict struct {
	rows    map[loyalty.Key]storedRow
	letters map[string]bool // ids of dead letters
	dealt   map[string]bool // ids of the transactions that have the one or the other
	records int             // transactions in the log, the same one again and again included
	inside  int             // rule sets that came into force between rows, in some partition
	sets    int             // rule sets by which rows were evaluated
}

// judge holds what a stopped system has stored against the log: each transaction's first arrival
// has its row, which is what the oracle gives under the rule set that the store's markers name for
// the record's offset, and nothing else is there.
func judge(t *testing.T, data string, y *year, a *admin) verdict {
	t.Helper()
	v := verdict{rows: map[loyalty.Key]storedRow{}, letters: map[string]bool{}, dealt: map[string]bool{}}
	var log [][]*sarama.ConsumerMessage
	letters := map[string]bool{}
	withBroker(t, data, func(client sarama.Client) {
		log = readLog(t, client, record.Topic)
		for _, m := range slices.Concat(readLog(t, client, record.Topic+record.DeadLetterSuffix)...) {
			letters[header(m, record.HeaderIncarnation)+"."+header(m, record.HeaderPartition)+"."+header(m, record.HeaderOffset)] = true
		}
	})
	withStore(t, data, func(store *pebble.Store) {
		j := &judging{t: t, store: store, verdict: &v, year: y, admin: a, sets: map[loyalty.Hash]*judged{}, inside: map[loyalty.Hash]bool{}}
		for p, records := range log {
			j.partition(int32(p), records)
		}
		v.inside, v.sets = len(j.inside), len(j.used)
		stored := rowsOf(t, store)
		for key, want := range v.rows {
			if stored[key] != want {
				t.Fatalf("the row is\n%s\nwant\n%s", stored[key], want)
			}
		}
		if len(stored) != len(v.rows) {
			t.Errorf("%d rows are stored, want %d", len(stored), len(v.rows))
		}
	})
	for id := range v.letters {
		if !letters[id] {
			t.Errorf("the record at %s is no dead letter", id)
		}
	}
	for id := range letters {
		if !v.letters[id] {
			t.Errorf("the record at %s is a dead letter", id)
		}
	}
	return v
}

type judging struct {
	t     *testing.T
	store *pebble.Store
	*verdict
	year   *year
	admin  *admin
	sets   map[loyalty.Hash]*judged
	used   map[loyalty.Hash]bool
	inside map[loyalty.Hash]bool
}

// judged is a rule set and who evaluates by it.
type judged struct {
	ruleSet
	state  int // the edit after which the rules stood so
	oracle *oracle.Oracle
	rules  *rules.Rules // for the words alone
}

func (j *judging) set(hash loyalty.Hash) *judged {
	j.t.Helper()
	if s := j.sets[hash]; s != nil {
		return s
	}
	part := func(h loyalty.Hash) ([]byte, error) { return j.store.Part(j.t.Context(), h) }
	set, err := readRuleSet(hash, part)
	if err != nil {
		j.t.Fatal(err)
	}
	state, known := j.admin.states[ruleText(j.t, set.campaigns, set.exclusions)]
	if !known {
		j.t.Fatalf("rule set %s is none that the rules have ever been", hash)
	}
	loaded, err := rules.Load(hash, part)
	if err != nil {
		j.t.Fatal(err)
	}
	s := &judged{set, state, oracle.New(home, set.cardTypes, set.campaigns, set.exclusions, set.quotes), loaded}
	j.sets[hash] = s
	return s
}

// partition follows a partition from its beginning, as whoever reads it does.
func (j *judging) partition(p int32, records []*sarama.ConsumerMessage) {
	t := j.t
	t.Helper()
	const incarnation = 1 // a data folder has one topic for life
	before := func(offset int64) record.Marker {
		t.Helper()
		m, _, err := j.store.MarkerBefore(t.Context(), loyalty.Position{Incarnation: incarnation, Partition: p, Offset: offset})
		if err != nil {
			t.Fatalf("what is in force in partition %d at offset %d: %v", p, offset, err)
		}
		return m
	}
	if len(records) == 0 {
		return
	}
	force := before(0)
	var (
		state   = -1         // of the row before
		came    loyalty.Hash // into force since the row before; the zero Hash: nothing
		hasRows bool
	)
	for _, m := range records {
		if header(m, record.HeaderKind) == record.KindMarker {
			marker, err := record.DecodeMarker(m.Value)
			if err != nil {
				t.Fatalf("partition %d, offset %d: %v", p, m.Offset, err)
			}
			if marker.After(force) {
				force, came = marker, marker.Hash
			}
			continue
		}
		j.records++
		at := loyalty.Position{Incarnation: incarnation, Partition: p, Offset: m.Offset}
		if named := before(m.Offset); named.Hash != force.Hash {
			t.Fatalf("at %s the log has rule set %s in force, the store's markers name %s", record.LetterID(at), force.Hash, named.Hash)
		}
		set := j.set(force.Hash)
		if set.state < state {
			t.Errorf("at %s the rules are those after edit %d; those after edit %d were in force before", record.LetterID(at), set.state, state)
		}
		state = set.state
		want, reason := j.expect(set, m, at)
		if reason != "" {
			j.letters[record.LetterID(at)] = true
			continue
		}
		if _, there := j.rows[want.Key()]; there {
			continue // it has arrived before
		}
		row, err := storedRowOf(&want)
		if err != nil {
			t.Fatal(err)
		}
		j.rows[want.Key()] = row
		if j.used == nil {
			j.used = map[loyalty.Hash]bool{}
		}
		j.used[force.Hash] = true
		if hasRows && came != (loyalty.Hash{}) {
			j.inside[came] = true
		}
		hasRows, came = true, loyalty.Hash{}
	}
}

// expect is the row that a record has to make, or why it is a dead letter.
func (j *judging) expect(set *judged, m *sarama.ConsumerMessage, at loyalty.Position) (row loyalty.Row, reason string) {
	t := j.t
	t.Helper()
	var sent struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(m.Value, &sent); err != nil {
		t.Fatalf("the record at %s: %v", record.LetterID(at), err)
	}
	j.dealt[sent.ID] = true
	line := j.year.byID[sent.ID]
	if line == nil {
		t.Fatalf("the record at %s has the transaction %s, which nobody sent", record.LetterID(at), sent.ID)
	}
	tx, err := parse(line)
	if err != nil {
		t.Fatalf("the record at %s: %v", record.LetterID(at), err)
	}
	want := set.oracle.Reward(&tx)
	if want.Reason != "" {
		return row, want.Reason
	}
	told, err := set.rules.Reward(&tx)
	if err != nil {
		t.Fatalf("the record at %s: %v", record.LetterID(at), err)
	}
	row.Position = at
	row.Reward = set.reward(t, tx, want)
	row.Remarks = told.Remarks // the oracle has no words
	row.CreatedAt = m.Timestamp.UTC().Truncate(time.Millisecond)
	row.Trace.RuleSet = set.rules.Hash()
	return row, ""
}

// reward writes out what the oracle says.
func (s *judged) reward(t *testing.T, tx loyalty.Transaction, want oracle.Result) loyalty.Reward {
	t.Helper()
	card := s.cardTypes[slices.IndexFunc(s.cardTypes, func(c loyalty.CardType) bool { return c.CardType == tx.CardType })]
	r := loyalty.Reward{Transaction: tx, Units: loyalty.Units{Digits: card.Decimals}}
	scaled := new(big.Rat).Mul(want.Units, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(card.Decimals)), nil)))
	r.Units.Value = scaled.Num().Int64()
	r.Trace = loyalty.Trace{Outcome: want.Outcome, Programme: card.Programme, Unit: card.Unit, Decimals: card.Decimals}
	applied := func(id uuid.UUID, units *big.Rat) *loyalty.AppliedCampaign {
		i := slices.IndexFunc(s.campaigns, func(c loyalty.Campaign) bool { return c.ID == id })
		if i < 0 {
			return nil
		}
		c := s.campaigns[i]
		return &loyalty.AppliedCampaign{ID: id, Name: c.Name, Rate: c.Rate, Units: exact(t, units)}
	}
	r.Trace.Base, r.Trace.Promo = applied(want.Base, want.BaseUnits), applied(want.Promo, want.PromoUnits)
	switch {
	case want.Outcome == loyalty.Excluded && want.Exclusion == uuid.Nil:
		r.Trace.Exclusion = &loyalty.AppliedExclusion{Reason: loyalty.UnknownMCC}
	case want.Outcome == loyalty.Excluded:
		x := s.exclusions[slices.IndexFunc(s.exclusions, func(x loyalty.Exclusion) bool { return x.ID == want.Exclusion })]
		r.Trace.Exclusion = &loyalty.AppliedExclusion{Reason: loyalty.ExcludedMCC, ID: &x.ID, ValidFrom: &x.ValidFrom}
	default:
		c := &loyalty.Conversion{Amount: exact(t, want.Converted), Currency: home, Source: want.Source}
		if want.RateDate != 0 {
			q := s.quotesOf(t, want.RateDate)
			from, _ := q.Of(tx.Currency)
			to, _ := q.Of(home)
			c.RateDate, c.Base, c.FromQuote, c.ToQuote = &want.RateDate, q.Base.String(), &from, &to
		}
		r.Trace.Converted = c
	}
	return r
}

func (s *judged) quotesOf(t *testing.T, day loyalty.Date) *loyalty.DayQuotes {
	t.Helper()
	for _, y := range s.quotes {
		for i := range y.Days {
			if y.Days[i].Date == day {
				return &y.Days[i]
			}
		}
	}
	t.Fatalf("there are no quotes of %s", day)
	return nil
}

// exact is a number with as few decimals as it needs.
func exact(t *testing.T, x *big.Rat) loyalty.Number {
	t.Helper()
	n, err := loyalty.ParseNumber(strings.TrimSuffix(strings.TrimRight(x.FloatString(9), "0"), "."))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// queued is how many records the log has.
func queued(client sarama.Client) (n int64, err error) {
	partitions, err := client.Partitions(record.Topic)
	for _, p := range partitions {
		end, failed := client.GetOffset(record.Topic, p, sarama.OffsetNewest)
		err = errors.Join(err, failed)
		n += end
	}
	return n, err
}
