// Package rulesapitest tests campaignex and profiler with a real etcd. It stands here, and not in
// their modules, so that production builds do not depend on an embedded server.
package rulesapitest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/campaignex"
	campaigndb "github.com/angelowl-loyalties/app/campaignex/postgres"
	"github.com/angelowl-loyalties/app/local/sqlite"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web/webtest"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/angelowl-loyalties/app/profiler/password"
	profilerdb "github.com/angelowl-loyalties/app/profiler/postgres"
	"github.com/gin-gonic/gin"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// etcdServer can be stopped and started again, on its data or without.
type etcdServer struct {
	t       *testing.T
	dir     string
	address string
	known   bool // by clients
	server  *embed.Etcd
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func startEtcd(t *testing.T) *etcdServer {
	e := &etcdServer{t: t, dir: t.TempDir(), address: freeAddress(t)}
	e.start()
	t.Cleanup(e.stop)
	return e
}

func (e *etcdServer) config() *embed.Config {
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.UnsafeNoFsync = e.dir, "panic", true
	cfg.TickMs, cfg.ElectionMs = 10, 100 // one member need not wait to be elected
	client, peer := url.URL{Scheme: "http", Host: e.address}, url.URL{Scheme: "http", Host: freeAddress(e.t)}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	return cfg
}

func (e *etcdServer) start() {
	e.t.Helper()
	server, err := embed.StartEtcd(e.config())
	// A port that was free a moment ago may be another test's by now. Once clients know it, it has to be this one.
	for tries := 0; errors.Is(err, syscall.EADDRINUSE) && tries < 20; tries++ {
		if !e.known {
			e.address = freeAddress(e.t)
		}
		server, err = embed.StartEtcd(e.config())
	}
	if err != nil {
		e.t.Fatal(err)
	}
	e.known = true
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(30 * time.Second):
		e.t.Fatal("etcd does not get ready")
	}
	e.server = server
	e.others()
}

// others says of what the services that a test does not run would fill that it is filled.
func (e *etcdServer) others() {
	e.t.Helper()
	cli := e.client()
	for _, k := range rulebook.Kinds {
		if _, err := cli.Put(e.t.Context(), rulebook.FilledKey(k), "1"); err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *etcdServer) stop() {
	if e.server == nil {
		return
	}
	e.server.Close()
	<-e.server.Server.StopNotify()
	e.server = nil
}

func (e *etcdServer) client() *clientv3.Client {
	e.t.Helper()
	cli, err := clientv3.New(clientv3.Config{Endpoints: []string{e.address}, Logger: zap.NewNop()})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		if err := cli.Close(); err != nil && !errors.Is(err, context.Canceled) {
			e.t.Error(err)
		}
	})
	return cli
}

// value is what stands under a key.
func value(t *testing.T, cli *clientv3.Client, kind rulebook.Kind, id string) (rulebook.Value, bool) {
	t.Helper()
	r, err := cli.Get(t.Context(), rulebook.Key(kind, id))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Kvs) == 0 {
		return rulebook.Value{}, false
	}
	v, err := rulebook.DecodeValue(r.Kvs[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	return v, true
}

func put(t *testing.T, cli *clientv3.Client, kind rulebook.Kind, id string, v rulebook.Value) {
	t.Helper()
	b, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cli.Put(t.Context(), rulebook.Key(kind, id), string(b)); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("never: " + what)
		case <-tick.C:
		}
	}
}

// quick is an outbox that tests can wait for.
var quick = outbox.Config{Reconcile: 50 * time.Millisecond, Poll: 20 * time.Millisecond, Timeout: time.Second}

func campaignStore(t *testing.T, path string) *campaigndb.Store {
	t.Helper()
	db, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if pool, err := db.DB(); err != nil || pool.Close() != nil {
			t.Error("closing the database")
		}
	})
	s, err := campaigndb.Open(t.Context(), db, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// service is a running one.
type service struct {
	t    *testing.T
	url  string
	stop func() // drains
}

func running(t *testing.T, run func(ctx context.Context, l net.Listener) error) service {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, l) }()
	stop := sync.OnceFunc(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return service{t, "http://" + l.Addr().String(), stop}
}

func startCampaignex(t *testing.T, store campaignex.Store, etcd *clientv3.Client, log *slog.Logger) service {
	return running(t, func(ctx context.Context, l net.Listener) error {
		cfg := campaignex.DefaultConfig()
		cfg.PublishWait, cfg.Outbox = 5*time.Second, quick
		return campaignex.Run(ctx, cfg, campaignex.Deps{Store: store, Etcd: etcd, Listener: l, Log: log, Clock: time.Now, Identify: webtest.As(token.Admin), Session: webtest.Sessions})
	})
}

func startProfiler(t *testing.T, etcd *clientv3.Client) service {
	t.Helper()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "profiler.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if pool, err := db.DB(); err != nil || pool.Close() != nil {
			t.Error("closing the database")
		}
	})
	store, err := profilerdb.Open(t.Context(), db, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return running(t, func(ctx context.Context, l net.Listener) error {
		cfg := profiler.DefaultConfig()
		cfg.PublishWait, cfg.Outbox = 5*time.Second, quick
		internal, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		key, err := profiler.ParseDataKey(base64.StdEncoding.EncodeToString(make([]byte, 32)))
		if err != nil {
			return err
		}
		return profiler.Run(ctx, cfg, profiler.Deps{
			Store: store, Etcd: etcd, Listener: l, Internal: internal, Log: slog.New(slog.DiscardHandler), Clock: time.Now,
			DataKey: key, Identify: webtest.As(token.Admin), SignIn: letIn{},
			Passwords: profiler.Passwords{Hash: password.Hash, CheckPassword: password.Check, Random: password.Random},
		})
	})
}

// letIn is a sign-in that has no routes, and lets everybody pass.
type letIn struct{}

func (letIn) Run(ctx context.Context)                            { <-ctx.Done() }
func (letIn) Routes(gin.IRouter)                                 {}
func (letIn) InternalRoutes(gin.IRouter)                         {}
func (letIn) Fresh() gin.HandlerFunc                             { return (*gin.Context).Next }
func (letIn) EmailChanged(context.Context, mail.Address, string) {}
func (letIn) UnsubscribeToken(string) (string, error)            { return "", nil }

func (letIn) SendFirstPassword(context.Context, mail.Address, string) error {
	return nil
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (s service) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, b}
}

func (s service) want(status int, method, path, body string, headers ...string) answer {
	s.t.Helper()
	got := s.do(method, path, body, headers...)
	if got.status != status {
		s.t.Fatalf("%s %s: %d, want %d: %s", method, path, got.status, status, got.body)
	}
	return got
}

func (r answer) has(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !bytes.Contains(r.body, []byte(text)) {
			t.Fatalf("%s is not in %s", text, r.body)
		}
	}
}

const (
	id       = "6a0ea1a5-7f1c-4a1b-9a4f-000000000001"
	other    = "6a0ea1a5-7f1c-4a1b-9a4f-000000000002"
	miles    = `{"card_type":"scis_platinummiles","name":"SCIS PlatinumMiles Card","reward_unit":"miles","reward_program":"SCISMiles","decimals":0}`
	quoteDay = `{"base":"EUR","quotes":{"SGD":1.5921,"USD":1.1846}}`
)

func kaligo(id, name, rate string) string {
	return `{"id":"` + id + `","name":"` + name + `","min_spend":0,"start_date":"2021-09-01T00:00:00Z","end_date":"2021-12-31T00:00:00Z","reward_program":"scis_platinummiles","reward_amount":` + rate + `,"mcc":"0","merchant":"Kaligo","base_reward":false,"foreign_currency":false}`
}

var silent = slog.New(slog.DiscardHandler)

// logs is a place to log to and to look into.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

func TestAChangeIsPublishedWhenItIsAnswered(t *testing.T) {
	etcd := startEtcd(t)
	cli := etcd.client()
	store := campaignStore(t, filepath.Join(t.TempDir(), "rules.db"))
	began := time.Now().UnixMilli()
	s := startCampaignex(t, store, cli, silent)

	s.want(201, "POST", "/campaign", kaligo(id, "A & B <C>", "10")).has(t, `"version":1,"published":true`)
	v, ok := value(t, cli, rulebook.Campaigns, id)
	var c loyalty.Campaign
	if err := json.Unmarshal(v.Data, &c); !ok || err != nil || v.Version != 1 || c.Name != "A & B <C>" {
		t.Fatalf("in etcd: %+v, %v", v, err)
	}
	s.want(200, "PUT", "/campaign/"+id, kaligo(id, "Kaligo", "10")).has(t, `"version":2,"published":true`)
	if v, _ := value(t, cli, rulebook.Campaigns, id); v.Version != 2 {
		t.Fatalf("in etcd: %+v", v)
	}
	s.want(204, "DELETE", "/campaign/"+id, "")
	if v, _ := value(t, cli, rulebook.Campaigns, id); v.Version != 3 || !v.Deleted {
		t.Fatalf("in etcd: %+v", v)
	}
	s.want(201, "POST", "/campaign", kaligo(id, "Kaligo", "10")).has(t, `"version":4,"published":true`)
	s.want(201, "POST", "/exclusion", `{"id":"`+id+`","mcc":6051,"valid_from":"2021-09-01"}`).has(t, `"published":true`)
	if v, _ := value(t, cli, rulebook.Exclusions, id); v.Version != 1 {
		t.Fatalf("in etcd: %+v", v)
	}
	s.want(201, "PUT", "/fx/2021-09-02", quoteDay).has(t, `"published":true`)
	s.want(201, "PUT", "/fx/2021-09-03", quoteDay).has(t, `"published":true`)
	if v, _ := value(t, cli, rulebook.Quotes, "2021"); v.Version != 2 || strings.Count(string(v.Data), "USD") != 2 {
		t.Fatalf("in etcd: %+v", v)
	}
	s.want(200, "GET", "/campaign", "").has(t, `"published":true`)
	s.want(200, "GET", "/fx/2021-09-02", "").has(t, `"published":true`)

	r, err := cli.Get(t.Context(), rulebook.EpochKey)
	if err != nil || len(r.Kvs) != 1 || r.Kvs[0].Version != 1 {
		t.Fatalf("the epoch: %v, %v", r, err)
	}
	if epoch, err := strconv.ParseInt(string(r.Kvs[0].Value), 10, 64); err != nil || epoch < began || epoch > time.Now().UnixMilli() {
		t.Errorf("the epoch is %s", r.Kvs[0].Value)
	}
}

func TestWhatEtcdMissedIsPublishedWhenItIsBack(t *testing.T) {
	etcd := startEtcd(t)
	cli := etcd.client()
	store := campaignStore(t, filepath.Join(t.TempDir(), "rules.db"))
	s := running(t, func(ctx context.Context, l net.Listener) error {
		cfg := campaignex.DefaultConfig() // its own waits
		cfg.Outbox = outbox.Config{Reconcile: time.Hour, Poll: 20 * time.Millisecond, Timeout: 200 * time.Millisecond}
		return campaignex.Run(ctx, cfg, campaignex.Deps{Store: store, Etcd: cli, Listener: l, Log: silent, Clock: time.Now, Identify: webtest.As(token.Admin), Session: webtest.Sessions})
	})
	s.want(201, "POST", "/campaign", kaligo(id, "one", "10")).has(t, `"published":true`)
	etcd.stop()
	began := time.Now()
	s.want(200, "PUT", "/campaign/"+id, kaligo(id, "two", "10")).has(t, `"version":2,"published":false`)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the answer took %v", took)
	}
	s.want(200, "GET", "/campaign/"+id, "").has(t, `"version":2,"published":false`)
	s.want(200, "PUT", "/campaign/"+id, kaligo(id, "three", "10")).has(t, `"version":3,"published":false`)
	s.want(201, "POST", "/campaign", kaligo(other, "other", "10"))
	etcd.start()
	eventually(t, "published again", func() bool {
		return bytes.Count(s.want(200, "GET", "/campaign", "").body, []byte(`"published":true`)) == 2
	})
	if v, _ := value(t, cli, rulebook.Campaigns, id); v.Version != 3 {
		t.Errorf("in etcd: %+v", v)
	}
}

// TestACommitThatWasNotPublishedIsPublishedByTheNextInstance is a kill between the two: the change
// is in the database, and nothing has been done about it.
func TestACommitThatWasNotPublishedIsPublishedByTheNextInstance(t *testing.T) {
	cli := startEtcd(t).client()
	path := filepath.Join(t.TempDir(), "rules.db")
	rule := campaign(t, kaligo(id, "Kaligo", "10"))
	if _, err := campaignStore(t, path).Campaigns().Create(t.Context(), "ann", rule); err != nil {
		t.Fatal(err)
	}
	if _, there := value(t, cli, rulebook.Campaigns, id); there {
		t.Fatal("published already")
	}
	s := startCampaignex(t, campaignStore(t, path), cli, silent)
	eventually(t, "published", func() bool { _, there := value(t, cli, rulebook.Campaigns, id); return there })
	eventually(t, "known to be", func() bool {
		return bytes.Contains(s.want(200, "GET", "/campaign/"+id, "").body, []byte(`"published":true`))
	})
}

// TestAKillBetweenPublishingAndClearing leaves a rule in the outbox that etcd has already.
func TestAKillBetweenPublishingAndClearing(t *testing.T) {
	cli := startEtcd(t).client()
	store := campaignStore(t, filepath.Join(t.TempDir(), "rules.db"))
	rule := campaign(t, kaligo(id, "Kaligo", "10"))
	item, err := store.Campaigns().Create(t.Context(), "ann", rule)
	if err != nil {
		t.Fatal(err)
	}
	p := outbox.New(store, cli, quick, silent, time.Now)
	revisions := map[int64]bool{}
	for range 3 {
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if state, err := store.State(t.Context(), item.Ref); err != nil || state != outbox.Published {
			t.Fatalf("state %d, %v", state, err)
		}
		r, err := cli.Get(t.Context(), item.Ref.Key())
		if err != nil {
			t.Fatal(err)
		}
		revisions[r.Kvs[0].ModRevision] = true
		if err := store.Enter(t.Context(), []outbox.Ref{item.Ref}); err != nil { // as if it had not been cleared
			t.Fatal(err)
		}
	}
	if len(revisions) != 1 {
		t.Errorf("the same version was written %d times", len(revisions))
	}
}

func campaign(t *testing.T, text string) (c loyalty.Campaign) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// stale is a store that has read the outbox and then stood still.
type stale struct {
	campaignex.Store
	read []outbox.Rule
}

func (s *stale) Waiting(context.Context, int) ([]outbox.Rule, error) {
	read := s.read
	s.read = nil
	return read, nil
}

func TestALatePublisherDoesNotBringADeletedRuleBack(t *testing.T) {
	cli := startEtcd(t).client()
	store := campaignStore(t, filepath.Join(t.TempDir(), "rules.db"))
	rule := campaign(t, kaligo(id, "Kaligo", "10"))
	if _, err := store.Campaigns().Create(t.Context(), "ann", rule); err != nil {
		t.Fatal(err)
	}
	read, err := store.Waiting(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Campaigns().Delete(t.Context(), "ann", id, nil); err != nil {
		t.Fatal(err)
	}
	if err := outbox.New(store, cli, quick, silent, time.Now).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	said := &logs{}
	late := outbox.New(&stale{store, read}, cli, quick, slog.New(slog.NewTextHandler(said, nil)), time.Now)
	if err := late.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, _ := value(t, cli, rulebook.Campaigns, id); !v.Deleted || v.Version != 2 {
		t.Errorf("in etcd: %+v", v)
	}
	if said.has("ALARM") {
		t.Error("to be late is no reason for an alarm")
	}
}

// pausing is a client's KV that stands still once, between reading and writing.
type pausing struct {
	clientv3.KV
	pause func()
}

func (k *pausing) Txn(ctx context.Context) clientv3.Txn { return &pausingTxn{k.KV.Txn(ctx), k} }

type pausingTxn struct {
	clientv3.Txn
	kv *pausing
}

// If is called when a publisher has read what etcd has.
func (t *pausingTxn) If(cs ...clientv3.Cmp) clientv3.Txn {
	pause := t.kv.pause
	t.kv.pause = func() {}
	pause()
	return t.Txn.If(cs...)
}

func TestAPublisherThatPausesBeforeItWritesOverwritesNothing(t *testing.T) {
	etcd := startEtcd(t)
	path := filepath.Join(t.TempDir(), "rules.db")
	store, another := campaignStore(t, path), campaignStore(t, path) // of two instances
	if _, err := store.Campaigns().Create(t.Context(), "ann", campaign(t, kaligo(id, "Kaligo", "10"))); err != nil {
		t.Fatal(err)
	}
	cli, slow := etcd.client(), etcd.client()
	if _, err := cli.Put(t.Context(), rulebook.EpochKey, "1"); err != nil { // what keeps the rule safe is its own revision
		t.Fatal(err)
	}
	fast := outbox.New(another, cli, quick, silent, time.Now)
	slow.KV = &pausing{slow.KV, func() {
		if err := errors.Join(fast.Flush(t.Context()), store.Campaigns().Delete(t.Context(), "ann", id, nil), fast.Flush(t.Context())); err != nil {
			t.Error(err)
		}
	}}
	if err := outbox.New(store, slow, quick, silent, time.Now).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, _ := value(t, cli, rulebook.Campaigns, id); !v.Deleted || v.Version != 2 {
		t.Errorf("in etcd: %+v", v)
	}
}

func TestTheEpochIsWrittenOnce(t *testing.T) {
	etcd := startEtcd(t)
	store := campaignStore(t, filepath.Join(t.TempDir(), "rules.db"))
	if _, err := store.Campaigns().Create(t.Context(), "ann", campaign(t, kaligo(id, "Kaligo", "10"))); err != nil {
		t.Fatal(err)
	}
	cli, slow := etcd.client(), etcd.client()
	slow.KV = &pausing{slow.KV, func() { // another service is faster
		if _, err := cli.Put(t.Context(), rulebook.EpochKey, "1"); err != nil {
			t.Error(err)
		}
	}}
	if err := outbox.New(store, slow, quick, silent, time.Now).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := cli.Get(t.Context(), rulebook.EpochKey)
	if err != nil || string(r.Kvs[0].Value) != "1" {
		t.Errorf("the epoch: %v, %v", r.Kvs, err)
	}
	if _, there := value(t, cli, rulebook.Campaigns, id); !there {
		t.Error("the rule was not published")
	}
}

func TestPublishersAtOnceAgree(t *testing.T) {
	etcd := startEtcd(t)
	cli := etcd.client()
	path := filepath.Join(t.TempDir(), "rules.db")
	one, two := startCampaignex(t, campaignStore(t, path), cli, silent), startCampaignex(t, campaignStore(t, path), etcd.client(), silent)
	one.want(201, "POST", "/campaign", kaligo(id, "0", "10"))
	const edits = 20
	var wg sync.WaitGroup
	for i, s := range []service{one, two} {
		wg.Go(func() {
			for n := range edits {
				s.do("PUT", "/campaign/"+id, kaligo(id, fmt.Sprintf("%d.%d", i, n), "10"))
			}
		})
	}
	wg.Wait()
	last := one.want(200, "GET", "/campaign/"+id, "")
	last.has(t, fmt.Sprintf(`"version":%d`, 2*edits+1))
	eventually(t, "the last version in etcd", func() bool {
		v, _ := value(t, cli, rulebook.Campaigns, id)
		return v.Version == 2*edits+1 && bytes.Contains(last.body, []byte(campaignName(t, v)))
	})
}

func campaignName(t *testing.T, v rulebook.Value) string {
	t.Helper()
	return `"name":"` + campaign(t, string(v.Data)).Name + `"`
}

func TestTheReconcilerRepairs(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, cli *clientv3.Client, was rulebook.Value)
	}{
		{"a missing key", func(t *testing.T, cli *clientv3.Client, _ rulebook.Value) {
			if _, err := cli.Delete(t.Context(), rulebook.Key(rulebook.Campaigns, id)); err != nil {
				t.Fatal(err)
			}
		}},
		{"an older version", func(t *testing.T, cli *clientv3.Client, was rulebook.Value) {
			put(t, cli, rulebook.Campaigns, id, rulebook.Value{Version: 1, Data: was.Data})
		}},
		{"an older tombstone", func(t *testing.T, cli *clientv3.Client, _ rulebook.Value) {
			put(t, cli, rulebook.Campaigns, id, rulebook.Value{Version: 1, Deleted: true})
		}},
		{"what cannot be read", func(t *testing.T, cli *clientv3.Client, _ rulebook.Value) {
			if _, err := cli.Put(t.Context(), rulebook.Key(rulebook.Campaigns, id), "{"); err != nil {
				t.Fatal(err)
			}
		}},
		{"another content, by hand, under a newer revision and an older version", func(t *testing.T, cli *clientv3.Client, was rulebook.Value) {
			put(t, cli, rulebook.Campaigns, id, rulebook.Value{Version: 1, Data: json.RawMessage(kaligo(id, "by hand", "99"))})
		}},
		{"a missing epoch", func(t *testing.T, cli *clientv3.Client, _ rulebook.Value) {
			if _, err := cli.Delete(t.Context(), rulebook.EpochKey); err != nil {
				t.Fatal(err)
			}
		}},
		{"everything gone", func(t *testing.T, cli *clientv3.Client, _ rulebook.Value) {
			if _, err := cli.Delete(t.Context(), rulebook.Prefix, clientv3.WithPrefix()); err != nil {
				t.Fatal(err)
			}
			if _, err := cli.Put(t.Context(), rulebook.FilledKey(rulebook.CardTypes), "1"); err != nil { // as profiler does
				t.Fatal(err)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cli := startEtcd(t).client()
			s := startCampaignex(t, campaignStore(t, filepath.Join(t.TempDir(), "rules.db")), cli, silent)
			s.want(201, "POST", "/campaign", kaligo(id, "one", "10"))
			s.want(200, "PUT", "/campaign/"+id, kaligo(id, "two", "10")).has(t, `"published":true`)
			want, _ := value(t, cli, rulebook.Campaigns, id)
			test.spoil(t, cli, want)
			eventually(t, "mended", func() bool {
				r, err := cli.Get(t.Context(), rulebook.Key(rulebook.Campaigns, id))
				if err != nil || len(r.Kvs) == 0 {
					return false
				}
				v, err := rulebook.DecodeValue(r.Kvs[0].Value)
				epoch, errEpoch := cli.Get(t.Context(), rulebook.EpochKey)
				return err == nil && v.Version == 2 && bytes.Equal(v.Data, want.Data) && errEpoch == nil && epoch.Count == 1
			})
		})
	}
}

func TestAnEtcdThatIsRebuiltHasAHigherEpoch(t *testing.T) {
	etcd := startEtcd(t)
	s := startCampaignex(t, campaignStore(t, filepath.Join(t.TempDir(), "rules.db")), etcd.client(), silent)
	s.want(201, "POST", "/campaign", kaligo(id, "one", "10")).has(t, `"published":true`)
	epoch := func() int64 {
		r, err := etcd.client().Get(t.Context(), rulebook.EpochKey)
		if err != nil || len(r.Kvs) == 0 {
			return 0
		}
		n, err := strconv.ParseInt(string(r.Kvs[0].Value), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := epoch()
	etcd.stop()
	etcd.dir = t.TempDir()
	etcd.start()
	eventually(t, "a higher epoch", func() bool { return epoch() > first })
	cli := etcd.client()
	eventually(t, "the rule", func() bool { v, _ := value(t, cli, rulebook.Campaigns, id); return v.Version == 1 })
}

// Of an etcd that is filled again nobody takes a part for the whole: the epoch waits for every kind.
func TestTheEpochWaitsForAllKinds(t *testing.T) {
	etcd := startEtcd(t)
	cli := etcd.client()
	if _, err := cli.Delete(t.Context(), rulebook.Prefix, clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	store := campaignStore(t, filepath.Join(t.TempDir(), "rules.db"))
	if _, err := store.Campaigns().Create(t.Context(), "ann", campaign(t, kaligo(id, "Kaligo", "10"))); err != nil {
		t.Fatal(err)
	}
	campaigns := outbox.New(store, cli, quick, silent, time.Now)
	load := func() error {
		_, err := rulebook.Load(t.Context(), cli, loyalty.MustCurrency("SGD"))
		return err
	}
	if err := campaigns.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, there := value(t, cli, rulebook.Campaigns, id); !there {
		t.Error("the campaign is not in etcd")
	}
	if err := load(); !errors.Is(err, rulebook.ErrEmpty) {
		t.Errorf("with no card types yet, loading the rules gives %v", err)
	}
	if _, err := cli.Put(t.Context(), rulebook.FilledKey(rulebook.CardTypes), "1"); err != nil {
		t.Fatal(err)
	}
	if err := campaigns.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := load(); err != nil {
		t.Errorf("with all kinds there, loading the rules gives %v", err)
	}
}

func TestAnOlderDatabaseDoesNotOverwriteEtcd(t *testing.T) {
	tests := []struct {
		name string
		etcd rulebook.Value
		id   string
	}{
		{"a newer version", rulebook.Value{Version: 7, Data: json.RawMessage(kaligo(id, "newer", "12"))}, id},
		{"a newer tombstone", rulebook.Value{Version: 7, Deleted: true}, id},
		{"the same version with another content", rulebook.Value{Version: 2, Data: json.RawMessage(kaligo(id, "another", "12"))}, id},
		{"a rule that the database has never had", rulebook.Value{Version: 1, Data: json.RawMessage(kaligo(other, "unknown", "12"))}, other},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cli := startEtcd(t).client()
			store := campaignStore(t, filepath.Join(t.TempDir(), "rules.db"))
			c := campaign(t, kaligo(id, "one", "10"))
			if _, err := store.Campaigns().Create(t.Context(), "ann", c); err != nil {
				t.Fatal(err)
			}
			c.Name = "two"
			if _, err := store.Campaigns().Put(t.Context(), "ann", c, nil); err != nil {
				t.Fatal(err)
			}
			put(t, cli, rulebook.Campaigns, test.id, test.etcd)
			said := &logs{}
			s := startCampaignex(t, store, cli, slog.New(slog.NewTextHandler(said, nil)))
			eventually(t, "an alarm", func() bool { return said.has("level=ERROR") && said.has(rulebook.Key(rulebook.Campaigns, test.id)) })
			if v, _ := value(t, cli, rulebook.Campaigns, test.id); v.Version != test.etcd.Version || v.Deleted != test.etcd.Deleted {
				t.Errorf("overwritten: %+v", v)
			}
			if test.id != id {
				return
			}
			s.want(200, "GET", "/campaign/"+id, "").has(t, `"published":false`)
			for range 6 { // until the database is ahead
				s.do("PUT", "/campaign/"+id, kaligo(id, "n"+strconv.FormatInt(time.Now().UnixNano(), 36), "10"))
			}
			eventually(t, "the rule, changed again, in etcd", func() bool {
				v, _ := value(t, cli, rulebook.Campaigns, id)
				return v.Version == 8 && !v.Deleted
			})
			s.want(200, "GET", "/campaign/"+id, "").has(t, `"version":8,"published":true`)
		})
	}
}

// TestATamperedRuleIsNoticed changes a rule in etcd after it was found alike.
func TestATamperedRuleIsNoticed(t *testing.T) {
	cli := startEtcd(t).client()
	said := &logs{}
	s := startCampaignex(t, campaignStore(t, filepath.Join(t.TempDir(), "rules.db")), cli, slog.New(slog.NewTextHandler(said, nil)))
	s.want(201, "POST", "/campaign", kaligo(id, "one", "10")).has(t, `"published":true`)
	put(t, cli, rulebook.Campaigns, id, rulebook.Value{Version: 1, Data: json.RawMessage(kaligo(id, "one", "1000"))})
	eventually(t, "an alarm", func() bool { return said.has("ALARM") })
	s.want(200, "GET", "/campaign/"+id, "").has(t, `"published":false`)
	s.want(200, "PUT", "/campaign/"+id, kaligo(id, "two", "10")).has(t, `"published":true`)
}

func TestAnotherWayToSayTheSameIsNoConflict(t *testing.T) {
	cli := startEtcd(t).client()
	store := campaignStore(t, filepath.Join(t.TempDir(), "rules.db"))
	c := campaign(t, kaligo(id, "one", "10"))
	if _, err := store.Campaigns().Create(t.Context(), "ann", c); err != nil {
		t.Fatal(err)
	}
	put(t, cli, rulebook.Campaigns, id, rulebook.Value{Version: 1, Data: json.RawMessage(
		`{"id":"` + id + `","name":"one","start_date":"2021-09-01","end_date":"2021-12-31","reward_program":"scis_platinummiles","reward_amount":10.0,"mcc":"0","merchant":"Kaligo"}`)})
	said := &logs{}
	p := outbox.New(store, cli, quick, slog.New(slog.NewTextHandler(said, nil)), time.Now)
	if err := errors.Join(p.Flush(t.Context()), p.Reconcile(t.Context())); err != nil {
		t.Fatal(err)
	}
	if state, err := store.State(t.Context(), outbox.Ref{Kind: rulebook.Campaigns, ID: id}); err != nil || state != outbox.Published || said.has("ALARM") {
		t.Errorf("state %d, %v; logged: %s", state, err, said.b.String())
	}
}

func TestThousandsOfRulesArePublished(t *testing.T) {
	cli := startEtcd(t).client()
	store := campaignStore(t, filepath.Join(t.TempDir(), "rules.db"))
	var rules campaignex.Rules
	for i := range 2500 {
		c := campaign(t, kaligo(id, fmt.Sprint(i), "10"))
		c.ID[0], c.ID[1] = byte(i>>8), byte(i)
		rules.Campaigns = append(rules.Campaigns, c)
	}
	for d := loyalty.DateOf(1999, 1, 1); d < loyalty.DateOf(2026, 1, 1); d++ {
		rules.Days = append(rules.Days, campaignex.Day{DayQuotes: loyalty.DayQuotes{Date: d, Base: loyalty.MustCurrency("EUR"),
			Quotes: map[loyalty.Currency]loyalty.Decimal{loyalty.MustCurrency("USD"): loyalty.Decimal(d) * 1e6}}})
	}
	if _, err := store.Import(t.Context(), "ann", rules); err != nil {
		t.Fatal(err)
	}
	p := outbox.New(store, cli, quick, silent, time.Now)
	began := time.Now()
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("published in %v", time.Since(began))
	r, err := cli.Get(t.Context(), rulebook.Prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || int(r.Count) != 2500+27+1+len(rulebook.Kinds) {
		t.Errorf("%d keys, %v", r.Count, err)
	}
	for _, p := range []*outbox.Publisher{p, outbox.New(store, cli, quick, silent, time.Now)} { // one that has published them, one that has not
		began = time.Now()
		if err := p.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("compared in %v", time.Since(began))
	}
	if waiting, err := store.Waiting(t.Context(), 1); err != nil || len(waiting) > 0 {
		t.Errorf("the reconciler found %v, %v", waiting, err)
	}
}

func TestOnlyTheYearThatChangedIsPublished(t *testing.T) {
	cli := startEtcd(t).client()
	s := startCampaignex(t, campaignStore(t, filepath.Join(t.TempDir(), "rules.db")), cli, silent)
	file := "Date,USD,\n2021-09-02,1.1846,\n2020-12-31,1.2271,\n"
	s.want(200, "POST", "/fx", file, "Content-Type: text/csv")
	eventually(t, "both years", func() bool {
		return bytes.Count(s.want(200, "GET", "/fx", "").body, []byte(`"published":true`)) == 2
	})
	s.want(200, "POST", "/fx", strings.Replace(file, "1.1846", "1.19", 1), "Content-Type: text/csv").has(t, `"changed":1`)
	eventually(t, "the year", func() bool { v, _ := value(t, cli, rulebook.Quotes, "2021"); return v.Version == 2 })
	if v, _ := value(t, cli, rulebook.Quotes, "2020"); v.Version != 1 {
		t.Errorf("2020 has version %d", v.Version)
	}
}

func TestRunStopsCleanlyWithEtcdAway(t *testing.T) {
	etcd := startEtcd(t)
	s := startCampaignex(t, campaignStore(t, filepath.Join(t.TempDir(), "rules.db")), etcd.client(), silent)
	etcd.stop()
	began := time.Now()
	s.stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}
