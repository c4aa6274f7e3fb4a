//go:build unix

package spine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/angelowl-loyalties/app/local/engines"
	runs "github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/rewarder"
)

// onRealEngines is a data folder whose engines are real ones that this test started, so that it may
// kill each and start it again under a system that runs.
type onRealEngines struct {
	t       *testing.T
	data    string
	engines map[engines.Kind]*engines.Engine
}

func startEngines(t *testing.T) *onRealEngines {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED by -short: the real engines take their time to start")
	}
	if os.Getenv("ANGELOWL_ENGINES") == "none" {
		t.Skip("SKIPPED: it needs the real engines, and ANGELOWL_ENGINES=none")
	}
	dir, remove, err := engines.Temp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &onRealEngines{t: t, data: dir, engines: map[engines.Kind]*engines.Engine{}}
	t.Cleanup(func() {
		for _, e := range r.engines {
			if err := e.Kill(); err != nil {
				t.Error(err)
			}
		}
		if err := remove(); err != nil {
			t.Error(err)
		}
	})
	var mu sync.Mutex
	var g errgroup.Group
	for _, k := range engines.Kinds {
		g.Go(func() error {
			e, err := engines.Start(t.Context(), filepath.Join(dir, runs.EnginesDir), k, engines.Options{})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				r.engines[k] = e
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatalf("This test needs the real engines. %v", err)
	}
	return r
}

var onReal = []string{"--engines", "real", "--rules", rulesFile, "--fx", quotesFile, "--rewarders", "3"}

func (r *onRealEngines) up() *stack {
	r.t.Helper()
	s := up(r.t, r.data, onReal...)
	s.shaky = true
	return s
}

func (r *onRealEngines) kill(k engines.Kind) {
	r.t.Helper()
	if err := r.engines[k].Kill(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *onRealEngines) start(k engines.Kind) {
	r.t.Helper()
	if err := r.engines[k].Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *onRealEngines) kafka() sarama.Client {
	r.t.Helper()
	return kafkaClient(r.t, r.engines[engines.Kafka].Addr())
}

// stop ends a system that may have complained: engines were away.
func (s *stack) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal(err)
	}
	if err := s.over(); err != nil {
		s.t.Errorf("Ctrl-C ends it with %v\n%s", err, s.stderr)
	}
}

// ends waits until it has ended by itself, and holds what it says then.
func (s *stack) ends(says string) {
	s.t.Helper()
	if err := s.over(); err == nil || !strings.Contains(s.stderr.String(), says) {
		s.t.Errorf("it ends with %v and the words\n%s\nwant %q among them", err, s.stderr, says)
	}
}

// rewarders are what the rewarders answer to GET of a path.
func (s *stack) rewarders(ctx context.Context, path string) (answers []string, err error) {
	var r runs.Running
	b, err := os.ReadFile(filepath.Join(s.data, runs.RunFile))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	for _, at := range r.Rewarders {
		if err != nil {
			return nil, err
		}
		var answer []byte
		_, answer, err = (&stack{t: s.t, url: "http://" + at.Address}).try(ctx, http.StatusOK, "GET", path, "")
		answers = append(answers, string(answer))
	}
	return answers, err
}

// paused waits until a rewarder says in its health that it waits for a system, and in its metrics
// that it does.
func (s *stack) paused(words ...string) {
	s.t.Helper()
	s.await("a rewarder that says it waits for "+words[0], func(ctx context.Context) (bool, error) {
		answers, err := s.rewarders(ctx, "/health")
		for _, answer := range answers {
			var h rewarder.Status
			if err := json.Unmarshal([]byte(answer), &h); err != nil {
				return false, err
			}
			for _, word := range words {
				if h.State == "paused" && strings.Contains(strings.ToLower(h.Reason), word) {
					return true, err
				}
			}
		}
		return false, errors.Join(err, fmt.Errorf("they say %s", answers))
	})
	s.await("metrics that say a rewarder is paused", func(ctx context.Context) (bool, error) {
		answers, err := s.rewarders(ctx, "/metrics")
		return strings.Contains(strings.Join(answers, ""), "angelowl_rewarder_state{state=\"paused\"} 1\n"), err
	})
}

// staleRules waits until the metrics say that etcd has not confirmed the rules for so many seconds.
func (s *stack) staleRules(seconds float64) {
	s.t.Helper()
	age := regexp.MustCompile(`(?m)^angelowl_rewarder_rules_age_seconds ([0-9.]+)$`)
	s.await("an age of the rules that rises", func(ctx context.Context) (bool, error) {
		answers, err := s.rewarders(ctx, "/metrics")
		for _, answer := range answers {
			m := age.FindStringSubmatch(answer)
			if m == nil {
				return false, fmt.Errorf("the metrics have no age of the rules: %s", answer)
			}
			if n, err := strconv.ParseFloat(m[1], 64); err != nil || n < seconds {
				return false, err
			}
		}
		return len(answers) > 0, err
	})
}

// done waits until all that is in the log is dealt with, and the uploads have been read to their
// ends.
func (r *onRealEngines) done(s *stack, y *year) {
	r.t.Helper()
	for _, upload := range y.uploads {
		s.reported(upload)
	}
	client := r.kafka()
	defer client.Close()
	s.await("the rewards", func(ctx context.Context) (bool, error) {
		left, err := lag(ctx, client)
		return left == 0, err
	})
}

// rows are all rows of some cards, as the API answers them, by transaction.
func (s *stack) rows(cards map[string]bool) map[string]string {
	s.t.Helper()
	var mu sync.Mutex
	rows := map[string]string{}
	var g errgroup.Group
	g.SetLimit(8)
	for card := range cards {
		g.Go(func() error {
			got, err := s.history(s.t.Context(), card)
			mu.Lock()
			defer mu.Unlock()
			for _, row := range got {
				id, _ := idsOf(s.t, row)
				if rows[id] != "" {
					s.t.Errorf("transaction %s is there twice", id)
				}
				rows[id] = row
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// asEmbedded holds that the system has answered what process wrote on the embedded engines, to the
// byte, and returns the rows. Of records that arrived again only the first counts.
func (s *stack) asEmbedded(want results) map[string]string {
	s.t.Helper()
	cards, bare := map[string]bool{}, map[string]string{}
	for _, line := range lines(want.rewards) {
		id, card := idsOf(s.t, line)
		cards[card] = true
		bare[id] = strings.TrimSuffix(line, "\n")
	}
	rows := s.rows(cards)
	for id, line := range bare {
		if got := createdAt.ReplaceAllString(rows[id], ""); got != line {
			s.t.Fatalf("the row is\n%s\nand on the embedded engines\n%s", got, line)
		}
	}
	if len(rows) != len(bare) {
		s.t.Errorf("%d rows, %d on the embedded engines", len(rows), len(bare))
	}
	s.totals(want, 50)
	letters, refused := s.deadLetters(), map[string]bool{}
	for _, row := range records(s.t, want.refused) {
		refused[row["id"]] = true
		if !letters[row["id"]] {
			s.t.Errorf("transaction %s is no dead letter, process refused it: %s", row["id"], row["reason"])
		}
	}
	if len(letters) != len(refused) {
		s.t.Errorf("%d transactions are dead letters, process refused %d", len(letters), len(refused))
	}
	return rows
}

// totals holds that the units of some cards are the sums of what process wrote.
func (s *stack) totals(want results, most int) {
	s.t.Helper()
	units := map[string]*big.Rat{}
	for _, line := range lines(want.rewards) {
		r := decodeReward(s.t, line)
		if units[r.CardID] == nil {
			units[r.CardID] = new(big.Rat)
		}
		units[r.CardID].Add(units[r.CardID], number(s.t, r.Units.String()))
	}
	cards := slices.Sorted(maps.Keys(units))
	for _, card := range cards[:min(most, len(cards))] {
		_, body := s.call(http.StatusOK, "GET", "/reward/total/"+card, "")
		var total struct{ Data json.Number }
		if err := json.Unmarshal(body, &total); err != nil {
			s.t.Fatal(err)
		}
		if number(s.t, total.Data.String()).Cmp(units[card]) != 0 {
			s.t.Errorf("card %s has %s in all, on the embedded engines %s", card, total.Data, units[card].FloatString(9))
		}
	}
}

// deadLetters are the ids of the transactions that were set aside.
func (s *stack) deadLetters() map[string]bool {
	s.t.Helper()
	ids := map[string]bool{}
	for _, m := range slices.Concat(readLog(s.t, s.kafka(), record.Topic+record.DeadLetterSuffix)...) {
		var tx struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(m.Value, &tx); err != nil {
			s.t.Fatal(err)
		}
		ids[tx.ID] = true
	}
	return ids
}

// idsOf are the transaction and the card that a row is of.
func idsOf(t *testing.T, row string) (transaction, card string) {
	t.Helper()
	var ids struct {
		ID     string `json:"id"`
		CardID string `json:"card_id"`
	}
	if err := json.Unmarshal([]byte(row), &ids); err != nil {
		t.Error(err)
	}
	return ids.ID, ids.CardID
}

func sameRows(t *testing.T, before, after map[string]string) {
	t.Helper()
	for id, was := range before {
		if after[id] != was {
			t.Fatalf("the row\n%s\nbecame\n%s", was, after[id])
		}
	}
	if len(after) != len(before) {
		t.Errorf("there were %d rows and are %d", len(before), len(after))
	}
}

func cardsOf(t *testing.T, rows map[string]string) map[string]bool {
	t.Helper()
	cards := map[string]bool{}
	for _, row := range rows {
		_, card := idsOf(t, row)
		cards[card] = true
	}
	return cards
}

// The year of spend on PostgreSQL, etcd, Apache Kafka and Apache Cassandra gives the bytes that it
// gives on the embedded engines, while each of them is killed in the middle of it and is away for
// a while; and a replay by Kafka's own offsets, after edits, changes none of them.
func TestTheYearOnRealEngines(t *testing.T) {
	r := startEngines(t)
	file := muchSpend(t)
	want := process(t, quotesFile, write(t, "much.csv", []byte(strings.Join(file, "")))).must(t)
	faults := []struct {
		kind engines.Kind
		says []string // what a rewarder gives as the reason of its pause; nil: it does not pause
	}{
		{engines.Cassandra, []string{"reward store"}},
		{engines.Kafka, []string{"kafka", "broker", "connect", "group"}},
		{engines.Etcd, nil},
		{engines.Postgres, nil},
	}
	y := newYear(t, file, 2*len(faults), 500, seeded(t))
	s := r.up()
	for i, fault := range faults {
		y.send(s, 2*i)
		s.reach(y, 2*i, 0.3, false)
		watch := s.watch()
		before := s.total("errors_total")
		var there int64 // records when it was killed
		if fault.kind != engines.Kafka {
			there = s.queued()
		}
		r.kill(fault.kind)
		away := time.Now()
		if fault.kind != engines.Kafka {
			y.send(s, 2*i+1)
		}
		if fault.says != nil {
			s.paused(fault.says...)
		} else {
			r.done(s, y) // all goes on
			t.Logf("without %s: longest standstill of the rewards %.1f s", fault.kind, watch().Seconds())
		}
		if fault.kind == engines.Postgres {
			s.await("that rules cannot be read", func(ctx context.Context) (bool, error) {
				_, _, err := s.try(ctx, http.StatusServiceUnavailable, "GET", "/campaign", "")
				return err == nil, err
			})
		}
		if fault.kind == engines.Etcd {
			s.staleRules(12)
		}
		if fault.kind == engines.Cassandra {
			r.lags(s, 1000)
		}
		select { // 10 s are a node that is replaced, not a connection that is lost
		case <-time.After(10*time.Second - time.Since(away)):
		case <-t.Context().Done():
		}
		if fault.kind == engines.Cassandra {
			s.await("the age of the oldest unread record", func(ctx context.Context) (bool, error) {
				answers, err := s.rewarders(ctx, "/metrics")
				return oldest.MatchString(strings.Join(answers, "")), err
			})
		}
		if fault.kind != engines.Kafka {
			if n := s.queued() - there; n < 1000 {
				t.Errorf("%d records arrived while %s was away, want 1000 at least", n, fault.kind)
			}
		}
		if fault.says != nil {
			if n := s.total("errors_total") - before; n <= 0 {
				t.Errorf("the rewarders have counted %d errors while %s was away", n, fault.kind)
			}
		}
		r.start(fault.kind)
		back := time.Now()
		if fault.kind == engines.Kafka {
			s.await("Kafka's leaders", func(context.Context) (bool, error) {
				_, err := queued(s.kafka())
				return err == nil, errors.Join(err, s.kafka().RefreshMetadata(record.Topic))
			})
			y.send(s, 2*i+1)
			r.lags(s, 1000)
		}
		s.reach(y, 2*i+1, 0.5, false)
		if fault.says != nil {
			t.Logf("without %s: longest standstill of the rewards %.1f s", fault.kind, watch().Seconds())
		}
		t.Logf("%s was away for %.1f s, its start included; %.1f s after its return a row in the middle of the next part is rewarded",
			fault.kind, back.Sub(away).Seconds(), time.Since(back).Seconds())
		r.done(s, y)
	}
	rows := s.asEmbedded(want)

	rnd := seeded(t)
	a := newAdmin(t, rnd)
	a.edit(s)
	a.edit(s)
	a.await(s)
	s.stop()
	client := r.kafka()
	setBack(t, client)
	client.Close()
	s = r.up()
	a.edit(s)
	r.done(s, y)
	a.await(s)
	sameRows(t, rows, s.rows(cardsOf(t, rows)))

	// The commands work as they do on the embedded engines.
	var status struct {
		Healthy  bool
		Problems []string
		Lag      int64
		Lags     []struct{}
	}
	got := angelowl(t, "status", "--json", "--data", r.data)
	if err := json.Unmarshal([]byte(got.stdout), &status); err != nil || got.code != 0 || !status.Healthy || status.Lag != 0 {
		t.Errorf("angelowl status ends with %d, %v\n%s%s", got.code, err, got.stdout, got.stderr)
	}
	n := s.queued()
	began := time.Now()
	got = angelowl(t, "replay", "--data", r.data, "--from", "start")
	if got.code != 0 || !strings.Contains(got.stdout, fmt.Sprintf("%d records were read again", n)) || n < 1000 {
		t.Errorf("angelowl replay ends with %d, want %d records read again\n%s%s", got.code, n, got.stdout, got.stderr)
	}
	t.Logf("angelowl replay read %d records again in %.1f s", n, time.Since(began).Seconds())
	sameRows(t, rows, s.rows(cardsOf(t, rows)))
	s.interrupt()
}

// oldest is an age of the oldest unread record that is not 0.
var oldest = regexp.MustCompile(`(?m)^angelowl_rewarder_oldest_unread_seconds\{partition="\d+"\} [1-9]\d*$`)

// total is the sum of a counter over the rewarders.
func (s *stack) total(name string) int64 {
	s.t.Helper()
	var n int64
	s.await("the rewarders' metrics", func(ctx context.Context) (bool, error) {
		answers, err := s.rewarders(ctx, "/metrics")
		n = sum64(answers, name)
		return err == nil && len(answers) > 0, err
	})
	return n
}

func sum64(metrics []string, name string) (n int64) {
	for _, text := range metrics {
		for line := range strings.Lines(text) {
			if value, ok := strings.CutPrefix(line, "angelowl_rewarder_"+name+" "); ok {
				v, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
				n += v
			}
		}
	}
	return n
}

// watch looks at the rewarders' rows until the function that it returns is called, which says for how
// long at most none was added.
func (s *stack) watch() (longest func() time.Duration) {
	ctx, stop := context.WithCancel(s.t.Context())
	ended := make(chan time.Duration, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		var most time.Duration
		rows, at := int64(-1), time.Now()
		for {
			select {
			case <-ctx.Done():
				ended <- max(most, time.Since(at))
				return
			case <-tick.C:
			}
			answers, err := s.rewarders(ctx, "/metrics")
			if n := sum64(answers, "rows_total"); err == nil && n != rows {
				most = max(most, time.Since(at))
				rows, at = n, time.Now()
			}
		}
	}()
	return func() time.Duration {
		stop()
		return <-ended
	}
}

// lags waits until as many records are to be rewarded.
func (r *onRealEngines) lags(s *stack, n int64) {
	r.t.Helper()
	client := r.kafka()
	defer client.Close()
	s.await(fmt.Sprintf("a lag of %d records", n), func(ctx context.Context) (bool, error) {
		left, err := lag(ctx, client)
		return left >= n, err
	})
}

// An edit that could not be published goes live when the engines are back, whichever comes first;
// an etcd that is lost is filled again from PostgreSQL, under a higher epoch, below the feet of
// rewarders at work.
func TestEditsWhileRealEnginesAreAway(t *testing.T) {
	r := startEngines(t)
	s := r.up()
	id, _, _ := s.campaign(everyMile)
	next := 0
	earns := func(units string) {
		t.Helper()
		next++
		x := spend{fmt.Sprintf("5f0c3a52-6b1c-4e0e-9c55-0d6a64b0b%03d", next), "100"}
		if row := s.send(x)[x.id]; !strings.Contains(row, `"reward_amount":`+units+`,`) {
			t.Errorf("the reward is not %s: %s", units, row)
		}
	}
	setRate := func(rate string) (published bool) {
		t.Helper()
		_, etag, body := s.campaign(everyMile)
		body["reward_amount"] = json.Number(rate)
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		_, answer := s.call(http.StatusOK, "PUT", "/campaign/"+id, string(b), "If-Match: "+etag)
		return strings.Contains(string(answer), `"published":true`)
	}
	client := func() *clientv3.Client {
		t.Helper()
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{r.engines[engines.Etcd].Addr()}, DialTimeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	epoch := func() string {
		t.Helper()
		c := client()
		defer c.Close()
		got, err := c.Get(t.Context(), rulebook.EpochKey)
		if err != nil || len(got.Kvs) != 1 {
			t.Fatalf("there is no epoch: %v", err)
		}
		return string(got.Kvs[0].Value)
	}
	setRate("2")
	s.inForce(rulebook.Campaigns, id)
	earns("200")

	// PostgreSQL dies between the commit and the publication.
	r.kill(engines.Etcd)
	if setRate("3") {
		t.Error("an edit is published although etcd is away")
	}
	earns("200")
	r.kill(engines.Postgres)
	if _, body := s.call(http.StatusServiceUnavailable, "GET", "/campaign/"+id, ""); strings.Contains(string(body), "dial") {
		t.Errorf("the answer shows the inside of an error: %s", body)
	}
	r.start(engines.Etcd)
	earns("200")
	r.start(engines.Postgres)
	back := time.Now()
	s.await("the edit in force", func(ctx context.Context) (bool, error) { return s.hasRate(ctx, id, "3") })
	s.inForce(rulebook.Campaigns, id)
	live, reconcile := time.Since(back), outbox.DefaultConfig().Reconcile
	t.Logf("the edit went live %.1f s after PostgreSQL was back", live.Seconds())
	if live > reconcile {
		t.Errorf("that is more than the %s between two reconciliations", reconcile)
	}
	earns("300")

	// etcd is lost.
	was := epoch()
	r.kill(engines.Etcd)
	lost, err := filepath.Glob(filepath.Join(r.data, runs.EnginesDir, "etcd", "n*", "data"))
	if err != nil || len(lost) != 1 {
		t.Fatalf("etcd's data are not where they were: %q %v", lost, err)
	}
	if err := os.RemoveAll(lost[0]); err != nil {
		t.Fatal(err)
	}
	r.start(engines.Etcd)
	back = time.Now()
	s.await("the rules in the new etcd", func(ctx context.Context) (bool, error) { return s.hasRate(ctx, id, "3") })
	earns("300")
	if now := epoch(); now <= was {
		t.Errorf("the epoch was %s and is %s", was, now)
	}
	if !setRate("4") {
		t.Error("an edit is not published")
	}
	s.inForce(rulebook.Campaigns, id)
	t.Logf("an edit was in force again %.1f s after an empty etcd was there", time.Since(back).Seconds())
	earns("400")
	s.stop()

	// Its history is compacted away while no rewarder is there.
	s = r.up()
	setRate("5")
	s.stop()
	c := client()
	now, err := c.Get(t.Context(), rulebook.EpochKey)
	if err == nil {
		_, err = c.Compact(t.Context(), now.Header.Revision, clientv3.WithCompactPhysical())
	}
	if err := errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
	s = r.up()
	s.inForce(rulebook.Campaigns, id)
	earns("500")
	s.interrupt()
}

// hasRate says whether etcd holds a campaign with a rate.
func (s *stack) hasRate(ctx context.Context, id, rate string) (bool, error) {
	got, err := s.etcd().Get(ctx, rulebook.Key(rulebook.Campaigns, id))
	return err == nil && len(got.Kvs) == 1 && strings.Contains(string(got.Kvs[0].Value), `"reward_amount":`+rate+`,`), err
}

// A rewarder does not go on by itself on a log that is not the one it knew.
func TestALogThatIsNotTheOneOnRealEngines(t *testing.T) {
	r := startEngines(t)
	s := r.up()
	upload := uuid.NewString()
	s.put(upload, ".csv", read(t, spendFile))
	s.rewarded(upload)
	s.interrupt()
	client := r.kafka()
	defer client.Close()
	admin, err := sarama.NewClusterAdminFromClient(client) // not closed: that would close the client
	if err != nil {
		t.Fatal(err)
	}

	// Records are deleted that the group has not read.
	setBack(t, client)
	end, err := client.GetOffset(record.Topic, 0, sarama.OffsetNewest)
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.DeleteRecords(record.Topic, map[int32]int64{0: end - 1}); err != nil {
		t.Fatal(err)
	}
	s = launch(t, r.data, onReal...)
	s.ends("docs/runbooks/offset-gone.md")

	// As that page says, the offset is moved to where the partition begins now.
	offsets, err := sarama.NewOffsetManagerFromClient(group, client)
	if err != nil {
		t.Fatal(err)
	}
	of, err := offsets.ManagePartition(record.Topic, 0)
	if err != nil {
		t.Fatal(err)
	}
	of.MarkOffset(end-1, "")
	if err := errors.Join(of.Close(), offsets.Close()); err != nil {
		t.Fatal(err)
	}
	s = r.up()
	s.await("the rest of the log", func(ctx context.Context) (bool, error) {
		left, err := lag(ctx, client)
		return left == 0, err
	})

	// Partitions are added below a rewarder at work.
	if err := admin.CreatePartitions(record.Topic, 7, nil, false); err != nil {
		t.Fatal(err)
	}
	s.ends("docs/runbooks/topic-made-again.md")

	// The topic is made again, with as many partitions as it had.
	if err := admin.DeleteTopic(record.Topic); err != nil {
		t.Fatal(err)
	}
	s.await("a new topic", func(context.Context) (bool, error) {
		err := admin.CreateTopic(record.Topic, &sarama.TopicDetail{NumPartitions: 4, ReplicationFactor: 1}, false)
		return err == nil, err
	})
	s = launch(t, r.data, onReal...)
	s.ends("docs/runbooks/topic-made-again.md")
}
