package rewarder_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

// An edit stores one bucket of campaigns and the root that names all buckets, whatever the
// number of partitions, and moves its own value and the status keys to and from etcd.
func TestAnEditMovesOnlyWhatChanged(t *testing.T) {
	campaigns, stored := 3_000, int64(32<<10) // a bucket has 12 campaigns, the root 256 names
	if os.Getenv("ANGELOWL_LONG") != "" {
		campaigns, stored = 100_000, 256<<10
	}
	w := newWorld(t, 4)
	w.rules()
	w.campaigns(campaigns)
	direct := w.etcd
	var moved *atomic.Int64
	w.etcd, moved = w.metered()
	r := w.start("a")
	w.etcd = direct
	w.everywhere(w.campaign(2, "2"))
	if all := w.store.parts.Load(); all < 10*stored {
		t.Fatalf("%d bytes of rules: too few for the test to say anything", all)
	}
	const edits = 10
	parts, bytes := w.store.parts.Load(), moved.Load()
	for i := range edits {
		w.everywhere(w.campaign(int64(i+3), fmt.Sprintf("2.%d", i+1)))
	}
	parts, bytes = (w.store.parts.Load()-parts)/edits, (moved.Load()-bytes)/edits
	t.Logf("an edit of one in %d campaigns stores %d bytes and moves %d to and from etcd", campaigns, parts, bytes)
	if parts == 0 || parts > stored {
		t.Errorf("an edit stores %d bytes, want %d at most", parts, stored)
	}
	if bytes == 0 || bytes > 8<<10 {
		t.Errorf("an edit moves %d bytes to and from etcd, want 8 KiB at most", bytes)
	}
	r.stop()
}

// metered is a client of etcd whose bytes are counted.
func (w *world) metered() (*clientv3.Client, *atomic.Int64) {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	var (
		moved   atomic.Int64
		working sync.WaitGroup
		to      = w.etcd.Endpoints()[0]
	)
	pass := func(from, to net.Conn) {
		_, _ = io.Copy(io.MultiWriter(to, counter{&moved}), from)
		_ = from.Close()
		_ = to.Close()
	}
	working.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			working.Go(func() { pass(in, out) })
			working.Go(func() { pass(out, in) })
		}
	})
	cli, err := clientv3.New(clientv3.Config{Endpoints: []string{l.Addr().String()}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	w.must(err)
	w.t.Cleanup(func() {
		w.must(cli.Close())
		w.must(l.Close())
		working.Wait()
	})
	return cli, &moved
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// BenchmarkEdit edits one of many campaigns, and the next when the rewarder is at rest again. The
// clock runs from the call that writes the edit into etcd (p50-ms, p99-ms), or from its answer
// (answered-…), until the last of four partitions has its marker acknowledged by the broker;
// durable-… goes on until all have read it back, with the new rules compiled, and stored its row.
func BenchmarkEdit(b *testing.B) {
	for _, campaigns := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(campaigns), func(b *testing.B) { benchmarkEdit(b, campaigns) })
	}
}

func benchmarkEdit(b *testing.B, campaigns int) {
	w := newWorld(b, 4)
	w.rules()
	w.campaigns(campaigns)
	acks := &acks{seen: map[int64][]time.Time{}, more: make(chan struct{}, 1)}
	w.log = slog.New(acks)
	r := w.start("a")
	version := int64(2)
	w.everywhere(w.campaign(version, "2"))
	var called, answered, durable []time.Duration
	stored := w.store.parts.Load()
	rest := time.NewTicker(150 * time.Millisecond) // etcd writes its tables every 100 ms
	defer rest.Stop()
	for b.Loop() {
		<-rest.C
		version++
		began := time.Now()
		revision := w.campaign(version, fmt.Sprintf("2.%d", version))
		answer := time.Now()
		acked := acks.wait(b, revision, w.broker.Partitions())
		called, answered = append(called, acked.Sub(began)), append(answered, acked.Sub(answer))
		w.everywhereFast(revision)
		last := began
		for _, f := range w.inForce() {
			if f.Since.After(last) {
				last = f.Since
			}
		}
		durable = append(durable, last.Sub(began))
	}
	percentiles(b, "", called)
	percentiles(b, "answered-", answered)
	percentiles(b, "durable-", durable)
	b.ReportMetric(float64(w.store.parts.Load()-stored)/float64(b.N), "stored-B/op")
	b.ReportMetric(0, "ns/op")
	r.stop()
}

// BenchmarkEditOverHTTP is BenchmarkEdit with the whole system in one process: the clock runs from
// the PUT of a campaign, through its row in the database, or from the answer to it.
func BenchmarkEditOverHTTP(b *testing.B) {
	const campaigns = 1000
	var file bytes.Buffer
	file.WriteString(`{"card_types": [{"card_type": "gold", "name": "Gold", "reward_unit": "points", "reward_program": "Gold"}], "exclusions": [], "campaigns": [`)
	campaign := func(i, rate int) string {
		return fmt.Sprintf(`{"id": "%08d-1111-4111-8111-111111111111", "name": "C%d", "min_spend": 0, "start_date": "2000-01-01", "end_date": "2090-12-31",
			"reward_program": "gold", "reward_amount": %d.5, "mcc": "%d", "merchant": "m%d", "base_reward": false, "foreign_currency": false}`, i, i, rate, i%9999+1, i)
	}
	for i := range campaigns {
		if i > 0 {
			file.WriteByte(',')
		}
		file.WriteString(campaign(i, 1))
	}
	file.WriteString(`]}`)
	path := filepath.Join(b.TempDir(), "rules.json")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	seed, err := stack.ReadSeed(path, "")
	if err != nil {
		b.Fatal(err)
	}
	acks := &acks{seen: map[int64][]time.Time{}, more: make(chan struct{}, 1)}
	cfg := stack.Config{Data: b.TempDir(), Listen: "127.0.0.1:0", Home: home, Timezone: time.UTC, Rewarders: 1, Partitions: 4}
	err = stack.Run(b.Context(), cfg, slog.New(acks), func(ctx context.Context, s *stack.Stack) error {
		if err := s.Plant(ctx, seed); err != nil {
			return err
		}
		if _, err := s.AwaitRules(ctx); err != nil {
			return err
		}
		if _, err := s.SampleUsers(ctx); err != nil {
			return err
		}
		admin := http.Client{Transport: &samples.Transport{Data: s.Data, Role: token.Admin, Base: http.DefaultTransport}}
		var called, answered []time.Duration
		rest := time.NewTicker(150 * time.Millisecond)
		defer rest.Stop()
		for rate := 2; b.Loop(); rate++ {
			<-rest.C
			began := time.Now()
			id := fmt.Sprintf("%08d-1111-4111-8111-111111111111", 7)
			if err := put(ctx, &admin, s.URL+"/campaign/"+id, campaign(7, rate)); err != nil {
				return err
			}
			answer := time.Now()
			r, err := s.Etcd.Get(ctx, rulebook.Key(rulebook.Campaigns, id))
			if err != nil {
				return err
			}
			acked := acks.wait(b, r.Kvs[0].ModRevision, cfg.Partitions)
			called, answered = append(called, acked.Sub(began)), append(answered, acked.Sub(answer))
			if _, err := s.AwaitRules(ctx); err != nil {
				return err
			}
		}
		percentiles(b, "", called)
		percentiles(b, "answered-", answered)
		b.ReportMetric(0, "ns/op")
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func put(ctx context.Context, client *http.Client, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(`"published":true`))) {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return err
}

func percentiles(b *testing.B, name string, d []time.Duration) {
	slices.Sort(d)
	at := func(p int) float64 { return float64(d[(len(d)-1)*p/100]) / 1e6 }
	b.ReportMetric(at(50), name+"p50-ms")
	b.ReportMetric(at(99), name+"p99-ms")
}

// acks is a log that hears when the broker has acknowledged a rule marker.
type acks struct {
	mu   sync.Mutex
	seen map[int64][]time.Time // by revision
	more chan struct{}
}

func (a *acks) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (a *acks) WithAttrs([]slog.Attr) slog.Handler           { return a }
func (a *acks) WithGroup(string) slog.Handler                { return a }

func (a *acks) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "announced a rule change" {
		return nil
	}
	r.Attrs(func(at slog.Attr) bool {
		if at.Key == "revision" {
			a.mu.Lock()
			a.seen[at.Value.Int64()] = append(a.seen[at.Value.Int64()], r.Time)
			a.mu.Unlock()
		}
		return true
	})
	select {
	case a.more <- struct{}{}:
	default:
	}
	return nil
}

// wait returns when the last partition had the marker of a revision acknowledged.
func (a *acks) wait(t testing.TB, revision int64, partitions int) time.Time {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		a.mu.Lock()
		times := a.seen[revision]
		a.mu.Unlock()
		if len(times) >= partitions {
			return slices.MaxFunc(times[:partitions], time.Time.Compare)
		}
		select {
		case <-a.more:
		case <-deadline:
			t.Fatalf("revision %d: %d of %d partitions have its marker", revision, len(times), partitions)
		}
	}
}

// everywhereFast is everywhere without the pauses of polling.
func (w *world) everywhereFast(revision int64) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	watch := w.etcd.Watch(ctx, rulebook.InForcePrefix, clientv3.WithPrefix())
	for {
		ok := true
		all := w.inForce()
		for p := range w.broker.Partitions() {
			ok = ok && all[int32(p)].Revision >= revision
		}
		if ok {
			return
		}
		if _, open := <-watch; !open {
			w.t.Fatalf("revision %d does not come into force", revision)
		}
	}
}
