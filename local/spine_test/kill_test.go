package spine_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/rewarder"
)

// seeded is the source of what a test does at random. A test that fails has said its seed; with
// ANGELOWL_SEED it does the same again, as far as the machine is as fast.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ANGELOWL_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("ANGELOWL_SEED: %v", err)
		}
	}
	t.Logf("ANGELOWL_SEED=%d does this again", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// muchSpend is Toronto's year, or as many rows made of the example's where it is not there.
func muchSpend(t *testing.T) (file []string) {
	t.Helper()
	if _, err := os.Stat(yearFile); err == nil {
		file = lines(gunzipped(t, read(t, yearFile)))
	} else {
		t.Log("the year of real spend is not on this machine, the example serves instead:", yearFile)
		all := lines(read(t, spendFile))
		file = append(file, all[0])
		for i := range 20_000 {
			// Another id makes another transaction.
			row := all[1+i%1169]
			id := uuid.NewSHA1(uuid.Nil, []byte(strconv.Itoa(i))).String()
			file = append(file, `"`+id+row[len(id)+1:])
		}
	}
	return file
}

// The whole system is killed with SIGKILL again and again while the year of spend comes in and the
// rules are edited. Then the log is read three times more, with edits between. A reward is a
// function of the log: each row is what the oracle makes of its record by the rules in force
// there, and nothing that happens later changes a byte of it.
//
// The year comes in parts, two for each kill and one more, so that there is always something under
// way to be killed in and edits stand between the rows. With each part come rows that have been
// sent before, as from a bank that is not sure, and a part that a kill interrupts is read again
// from its beginning.
func TestKillAndReplay(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: killing the whole system takes its time")
	}
	t.Parallel()
	kills, again := 5, 1000
	if os.Getenv("ANGELOWL_LONG") != "" {
		kills, again = 100, 2000
	}
	rnd := seeded(t)
	file := muchSpend(t)
	y := newYear(t, file, 2*kills+1, again, rnd)
	a := newAdmin(t, rnd)
	data := filepath.Join(t.TempDir(), "data")
	start := func() *stack {
		t.Helper()
		return up(t, data, "--rules", rulesFile, "--fx", quotesFile, "--rewarders", "3")
	}

	s := start()
	members := s.members(nil)
	rows, committed := map[loyalty.Key]storedRow{}, map[int32]int64{}
	hits, lost := 0, 0
	for k := range kills {
		// Two of three times rewarders are at work when it is killed, the third time hardly. What is
		// waited for is a row's reward, or no more than its record in the log.
		early, inTheLog := k%3 == 2, k%3 != 0
		what := a.edit(s)
		if !early {
			a.await(s)
		}
		y.send(s, 2*k)
		s.reach(y, 2*k, rnd.Float64(), inTheLog)
		what += ", " + a.edit(s)
		y.send(s, 2*k+1)
		if rnd.IntN(2) == 0 {
			what += ", " + a.edit(s)
		}
		final := s.committed()
		s.reach(y, 2*k+1, 0.8*rnd.Float64(), inTheLog)
		s.kill()
		after := storedRows(t, data)
		fresh, gave := settled(t, rows, after, committed)
		rows, committed = after, final
		left := y.sent - len(rows)
		t.Logf("kill %d of %d: %d rows were sent, %d are rewarded, %d are open, %d since the kill before, when %d were of a second arrival; edits: %s", k+1, kills, y.sent, len(rows), left, fresh, gave, what)
		if left >= 10 { // one or two may have become dead letters
			hits++
			lost += left
		}
		s = start()
		if rnd.IntN(2) == 0 {
			a.edit(s) // while it catches up
		}
		members = s.members(members)
	}
	if hits < kills/2 || lost < 1000 {
		t.Errorf("%d of %d kills hit while there was work under way, for %d rows in all: too few to show anything", hits, kills, lost)
	}
	a.edit(s)
	y.send(s, 2*kills)
	for _, upload := range y.uploads {
		s.rewarded(upload)
	}
	a.await(s)
	s.drain()
	after := storedRows(t, data)
	settled(t, rows, after, committed)
	rows = after
	v := judge(t, data, y, a)
	t.Logf("%d rows and %d dead letters of %d records, by %d rule sets; %d edits were made, %d times other rules came into force between the rows",
		len(v.rows), len(v.letters), v.records, v.sets, len(a.states)-1, v.inside)
	if v.inside < 5 {
		t.Errorf("%d edits came into force between the rows of the file, want 5 at least", v.inside)
	}
	for id := range y.byID {
		if !v.dealt[id] {
			t.Errorf("transaction %s was sent and is not in the log", id)
		}
	}

	// The log is read again, by each of the ways there are.
	var inAPI map[uuid.UUID][]string
	for i, replay := range []struct {
		name string
		do   func()
	}{
		{"by angelowl replay", func() {
			s = start()
			a.edit(s)
			a.await(s)
			n := s.queued() // markers come to it
			got := angelowl(t, "replay", "--data", data, "--from", "start")
			if got.code != 0 || !strings.Contains(got.stdout, fmt.Sprintf("%d records were read again", n)) || n < 1000 {
				t.Errorf("exit code %d, want %d records read again\n%s%s", got.code, n, got.stdout, got.stderr)
			}
		}},
		{"by offsets that are set back, and killed over it", func() {
			withBroker(t, data, func(client sarama.Client) { setBack(t, client) })
			s = start()
			all := s.queued()
			a.edit(s)
			s.await("some of it being read again", func(ctx context.Context) (bool, error) {
				left, err := lag(ctx, s.kafka())
				return left < all*3/4, err
			})
			s.kill()
			withBroker(t, data, func(client sarama.Client) {
				if left, err := lag(t.Context(), client); left < 1000 || err != nil {
					t.Errorf("killed when %d records were still to be read again, want 1000 at least: %v", left, err)
				}
			})
			s = start()
		}},
		{"by a group that is deleted, as one that was away for too long", func() {
			withBroker(t, data, func(client sarama.Client) { deleteGroup(t, client) })
			s = start()
		}},
	} {
		replay.do()
		members = s.members(members)
		what := a.edit(s) + ", " + a.edit(s)
		a.await(s)
		// What comes now is rewarded by the rules of now.
		later := spend{fmt.Sprintf("5f0c3a52-6b1c-4e0e-9c55-0d6a64b0a%03d", i), "100"}
		y.add(t, later)
		s.send(later)
		if i == 2 {
			inAPI = s.histories(rows)
		}
		s.drain()
		after := storedRows(t, data)
		if fresh := unchanged(t, rows, after); fresh != 1 {
			t.Errorf("%s: %d rows are new, want 1", replay.name, fresh)
		}
		rows = after
		t.Logf("read again %s: %d rows are as they were; edits: %s", replay.name, len(rows)-1, what)
	}
	sameInTheAPI(t, inAPI, rows)
	if last := judge(t, data, y, a); len(last.rows) != len(v.rows)+3 || last.sets <= v.sets {
		t.Errorf("%d rows by %d rule sets, want %d by more than %d", len(last.rows), last.sets, len(v.rows)+3, v.sets)
	}
}

// members waits until all rewarders are in the group, and none as a member of before: Kafka gives
// a member a new id when it joins, and the group then has a new generation.
func (s *stack) members(before map[string]bool) map[string]bool {
	s.t.Helper()
	admin, err := sarama.NewClusterAdminFromClient(s.kafka()) // not closed: that would close the client
	if err != nil {
		s.t.Fatal(err)
	}
	now := map[string]bool{}
	s.await("a new generation of the group", func(context.Context) (bool, error) {
		groups, err := admin.DescribeConsumerGroups([]string{group})
		if err != nil || len(groups) != 1 || groups[0].Err != sarama.ErrNoError {
			return false, nil // it is being looked for
		}
		clear(now)
		for id, m := range groups[0].Members {
			if a, err := m.GetMemberAssignment(); before[id] || err != nil || a == nil {
				return false, nil
			}
			now[id] = true
		}
		return groups[0].State == "Stable" && len(now) == 3, nil
	})
	return now
}

// setBack sets the group's offsets back to the beginning, as any tool may.
func setBack(t *testing.T, client sarama.Client) {
	t.Helper()
	partitions, err := client.Partitions(record.Topic)
	if err != nil {
		t.Fatal(err)
	}
	offsets, err := sarama.NewOffsetManagerFromClient(group, client)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range partitions {
		of, err := offsets.ManagePartition(record.Topic, p)
		if err != nil {
			t.Fatal(err)
		}
		of.ResetOffset(0, "")
		defer of.AsyncClose()
	}
	offsets.Commit()
	if err := offsets.Close(); err != nil {
		t.Fatal(err)
	}
	allToDo(t, client)
}

// deleteGroup makes the broker forget the group.
func deleteGroup(t *testing.T, client sarama.Client) {
	t.Helper()
	admin, err := sarama.NewClusterAdminFromClient(client) // not closed: that would close the client
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.DeleteConsumerGroup(group); err != nil {
		t.Fatal(err)
	}
	allToDo(t, client)
}

// allToDo holds that the whole log is to be read again.
func allToDo(t *testing.T, client sarama.Client) {
	t.Helper()
	left, err := lag(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	all, err := queued(client)
	if err != nil {
		t.Fatal(err)
	}
	if left != all || all < 1000 {
		t.Fatalf("%d of %d records are to be read again, want all and 1000 at least", left, all)
	}
}

// committed is how far the group has committed, by partition.
func (s *stack) committed() map[int32]int64 {
	s.t.Helper()
	lags, err := rewarder.Lag(s.t.Context(), s.kafka(), group, record.Topic)
	if err != nil {
		s.t.Fatal(err)
	}
	committed := map[int32]int64{}
	for _, l := range lags {
		committed[l.Partition] = l.Committed
	}
	return committed
}

func (s *stack) queued() int64 {
	s.t.Helper()
	n, err := queued(s.kafka())
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// year is a file of spend that comes in parts.
type year struct {
	parts   []part
	byID    map[string]map[string]string // the rows that can be read
	dead    map[string]bool              // ids of those that the rules as they are at first cannot reward
	uploads []string
	queued  int64 // records that the log had before the last part
	sent    int   // rows that can be rewarded
}

type part struct {
	file []byte
	all  int                 // its rows
	rows []map[string]string // those that have not been sent before
}

// newYear cuts a file into parts that are about equally long, and mixes as many rows into each that
// have come before.
func newYear(t *testing.T, file []string, parts, again int, rnd *rand.Rand) *year {
	t.Helper()
	y := &year{byID: map[string]map[string]string{}, dead: map[string]bool{}}
	all := records(t, []byte(strings.Join(file, "")))
	slow := newOracle(t, quotesFile)
	for _, row := range all {
		tx, err := parse(row)
		if err != nil {
			continue
		}
		if y.byID[row["id"]] != nil {
			t.Fatalf("transaction %s is in the file twice: this test takes each to be there once", row["id"])
		}
		y.byID[row["id"]] = row
		y.dead[row["id"]] = slow.Reward(&tx).Reason != ""
	}
	size := len(all) / parts
	for n, from := 0, 0; n < parts; n++ {
		to := size*(n+1) + rnd.IntN(size/4+1)
		if n == parts-1 {
			to = len(all)
		}
		var text strings.Builder
		text.WriteString(file[0])
		rows := 0
		for old, fresh := max(0, from-again), from; fresh < to; rows++ {
			if rnd.IntN(to-fresh+from-old) < from-old {
				text.WriteString(file[1+old])
				old++
			} else {
				text.WriteString(file[1+fresh])
				fresh++
			}
		}
		y.parts = append(y.parts, part{[]byte(text.String()), rows, all[from:to]})
		from = to
	}
	return y
}

// send uploads a part.
func (y *year) send(s *stack, n int) {
	s.t.Helper()
	y.queued = s.queued()
	upload := uuid.NewString()
	y.uploads = append(y.uploads, upload)
	s.put(upload, ".csv", y.parts[n].file)
	for _, row := range y.parts[n].rows {
		if id := row["id"]; y.byID[id] != nil && !y.dead[id] {
			y.sent++
		}
	}
}

// reach waits until a place in a part has been reached: until as many records have come into the
// log as stand before it, or until a row that stands there has its reward.
func (s *stack) reach(y *year, n int, place float64, inTheLog bool) {
	s.t.Helper()
	p := y.parts[n]
	if inTheLog {
		want := y.queued + int64(place*float64(p.all))
		s.await("a record in the middle of the file", func(context.Context) (bool, error) {
			n, err := queued(s.kafka())
			return n > want, err
		})
		return
	}
	at := int(place * float64(len(p.rows)))
	for ; y.byID[p.rows[at]["id"]] == nil || y.dead[p.rows[at]["id"]] || p.rows[at]["currency"] != home.String(); at++ {
	}
	row := p.rows[at]
	s.await("a row in the middle of the file", func(ctx context.Context) (bool, error) {
		_, body, err := s.try(ctx, 200, "GET", "/reward/"+row["card_id"]+"?page_size=1000&"+
			url.Values{"from": {row["transaction_date"]}, "to": {row["transaction_date"]}}.Encode(), "")
		return strings.Contains(string(body), row["id"]), err
	})
}

// add adds a transaction that was sent by itself.
func (y *year) add(t *testing.T, x spend) {
	t.Helper()
	y.byID[x.id] = records(t, []byte(oneHeader+x.csv()))[0]
}

// histories are all rows of the cards that have some, as the API answers them.
func (s *stack) histories(rows map[loyalty.Key]storedRow) map[uuid.UUID][]string {
	s.t.Helper()
	var (
		all = map[uuid.UUID][]string{}
		mu  sync.Mutex
		g   errgroup.Group
	)
	for key := range rows {
		all[key.CardID] = nil
	}
	g.SetLimit(8)
	for _, card := range slices.Collect(maps.Keys(all)) {
		g.Go(func() error {
			got, err := s.history(s.t.Context(), card.String())
			mu.Lock()
			defer mu.Unlock()
			all[card] = got
			return err
		})
	}
	if err := g.Wait(); err != nil {
		s.t.Fatal(err)
	}
	return all
}

// sameInTheAPI holds that the API has answered, card by card, the rows that are stored, and no
// others.
func sameInTheAPI(t *testing.T, answered map[uuid.UUID][]string, rows map[loyalty.Key]storedRow) {
	t.Helper()
	stored := map[uuid.UUID]map[string]bool{}
	for key, row := range rows {
		if stored[key.CardID] == nil {
			stored[key.CardID] = map[string]bool{}
		}
		stored[key.CardID][row.text] = true
	}
	for card, want := range stored {
		if len(answered[card]) != len(want) {
			t.Fatalf("card %s has %d rows, want %d", card, len(answered[card]), len(want))
		}
		for _, row := range answered[card] {
			if !want[row] {
				t.Fatalf("card %s has the row\n%s\nwhich is not stored", card, row)
			}
		}
	}
}
