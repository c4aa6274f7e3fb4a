package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/angelowl-loyalties/app/profiler/keys"
	"github.com/angelowl-loyalties/app/profiler/signin"
	"github.com/angelowl-loyalties/app/rewarder"
)

// settle is how long an instance that ends answers on while it says that it is not ready: longer than the balancer
// takes to hear of it, on a machine that is busy, too.
const settle = 2 * time.Second

// instance is one of two that do the same.
type instance struct {
	name string
	run  func(ctx context.Context, l net.Listener) error
	in   atomic.Pointer[string] // its address while the balancer sends it requests

	stop  context.CancelFunc
	ended chan error
}

// rolling is a system with two of each service, behind a balancer as Kubernetes has one.
type rolling struct {
	t        *testing.T
	ctx      context.Context
	s        *Stack
	client   *http.Client // one that keeps connections, as load balancers do
	services map[string][]*instance
	turn     atomic.Int64
}

func (r *rolling) start(i *instance) {
	r.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(r.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	at := l.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.ctx))
	i.stop, i.ended = cancel, make(chan error, 1)
	go func() { i.ended <- i.run(ctx, l) }()
	r.until(i.name+" is ready", func() bool { return r.ready(at) })
	i.in.Store(&at)
}

// restart ends an instance in good order, and starts it again.
func (r *rolling) restart(i *instance) {
	r.t.Helper()
	i.stop()
	at := *i.in.Load()
	r.until(i.name+" says that it is not ready", func() bool { return !r.ready(at) })
	i.in.Store(nil)
	if err := <-i.ended; err != nil {
		r.t.Errorf("%s ended with %v", i.name, err)
	}
	r.start(i)
}

func (r *rolling) ready(at string) bool {
	res, err := r.client.Get("http://" + at + "/health")
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode == http.StatusOK
}

func (r *rolling) until(what string, f func() bool) {
	r.t.Helper()
	end := time.NewTimer(2 * time.Minute)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-end.C:
			r.t.Fatalf("after two minutes it is not so that %s", what)
		case <-tick.C:
		}
	}
}

// ask sends a request to one of a service's instances.
func (r *rolling) ask(service, method, path, bearer string) error {
	all := r.services[service]
	i := all[int(r.turn.Add(1))%len(all)]
	at := i.in.Load()
	for at == nil {
		i = all[int(r.turn.Add(1))%len(all)]
		at = i.in.Load()
	}
	req, err := http.NewRequestWithContext(r.ctx, method, "http://"+*at+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	res, err := r.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", i.name, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s of %s: %d %s %w", method, path, i.name, res.StatusCode, body, err)
	}
	return nil
}

// TestARollingRestartFailsNoRequest restarts each of two instances of every service while requests and transactions come.
func TestARollingRestartFailsNoRequest(t *testing.T) {
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	seed, err := ReadSeed(filepath.Join(examples, "rules.json"), filepath.Join(examples, "quotes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(".") // the S3 server changes it
	cfg := Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Home: loyalty.MustCurrency("CAD"), Timezone: zone, Rewarders: 1, Partitions: 4, Throwaway: true, Samples: true,
	}
	log := slog.New(slog.DiscardHandler)
	err = Run(t.Context(), cfg, log, func(ctx context.Context, s *Stack) error {
		if err := s.Plant(ctx, seed); err != nil {
			return err
		}
		if _, err := s.AwaitRules(ctx); err != nil {
			return err
		}
		if _, err := s.SampleUsers(ctx); err != nil {
			return err
		}
		// The stack's own rewarder is away meanwhile.
		return s.crew.without(ctx, func(ctx context.Context) error {
			t.Run("running", func(t *testing.T) {
				r := &rolling{t: t, ctx: ctx, s: s, services: map[string][]*instance{}, client: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}}
				defer r.client.CloseIdleConnections()
				r.roll(log)
			})
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
}

// two makes two instances of a service.
func (r *rolling) two(service string, run func(ctx context.Context, name string, l net.Listener) error) {
	for _, n := range []string{"a", "b"} {
		name := service + "-" + n
		r.services[service] = append(r.services[service], &instance{name: name, run: func(ctx context.Context, l net.Listener) error { return run(ctx, name, l) }})
	}
}

func (r *rolling) roll(log *slog.Logger) {
	s, t := r.s, r.t
	r.two("campaignex", func(ctx context.Context, _ string, l net.Listener) error {
		cfg := campaignex.DefaultConfig()
		cfg.Home, cfg.Location, cfg.Settle = s.Home, s.Timezone, settle
		return campaignex.Run(ctx, cfg, campaignex.Deps{
			Store: s.campaigns, Etcd: s.Etcd, Listener: l, Log: log, Clock: time.Now,
			Identify: s.identity.bearer(), Session: s.identity.profile("campaignex").Session,
		})
	})
	r.two("informer", func(ctx context.Context, _ string, l net.Listener) error {
		return informer.Run(ctx, informer.Config{Home: s.Home, Timezone: s.Timezone, Settle: settle}, informer.Deps{
			Store: s.Rewards, Listener: l, Log: log, Clock: time.Now,
			Identify: s.identity.bearer(), Owner: profile.NewOwners(s.identity.profile("informer").Card, time.Now).Owner,
		})
	})
	r.two("profiler", func(ctx context.Context, _ string, l net.Listener) error {
		ring, err := keys.File(filepath.Join(s.Data, "token-keys.pem"))
		if err != nil {
			return err
		}
		signConfig := signin.DefaultConfig()
		signConfig.PortalOrigin, signConfig.Subkey, signConfig.Zone = s.Portal, s.dataKey.Subkey("totp"), s.Timezone
		signIn, err := signin.New(signConfig, signin.Deps{Store: s.accounts.SignIn(), Keys: ring, Mail: s.sender, Log: log, Clock: time.Now})
		if err != nil {
			return err
		}
		internal, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		cfg := profiler.DefaultConfig()
		cfg.Portal, cfg.Settle = s.Portal, settle
		return profiler.Run(ctx, cfg, profiler.Deps{
			Store: s.accounts, Etcd: s.Etcd, Listener: l, Internal: internal, Log: log, Clock: time.Now, DataKey: s.dataKey,
			Identify: web.Bearer(signIn.Verifier()), SignIn: signIn, Public: signin.PublicRoutes, Passwords: passwords,
		})
	})
	r.two("rewarder", func(ctx context.Context, name string, l net.Listener) error {
		return rewarder.Run(ctx, rewarder.Config{Brokers: s.Brokers, Group: Group, Name: name, Home: s.Home, CommitInterval: 100 * time.Millisecond},
			rewarder.Deps{Store: s.Rewards, Etcd: s.Etcd, Listener: l, Log: log, Clock: time.Now})
	})
	order := []string{"profiler", "campaignex", "informer", "rewarder"}
	for _, service := range order {
		for _, i := range r.services[service] {
			r.start(i)
		}
	}

	admin := r.signIn()
	card := uuid.MustParse("0d1e2f3a-aaaa-4bbb-8ccc-ffffffffffff")
	var (
		load      sync.WaitGroup
		done      = make(chan struct{})
		asked     atomic.Int64
		published atomic.Int64
	)
	for service, path := range map[string]string{"profiler": "/user", "campaignex": "/campaign", "informer": "/reward/" + card.String()} {
		load.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := r.ask(service, http.MethodGet, path, admin); err != nil {
					t.Error(err)
					return
				}
				asked.Add(1)
			}
		})
	}
	load.Go(func() {
		producer, err := sarama.NewSyncProducer(s.Brokers, kafkaconn.Producer("rolling"))
		if err != nil {
			t.Error(err)
			return
		}
		defer producer.Close()
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			tx := transaction(n)
			m := kafkaconn.Transaction("transaction", &tx, []byte("account:rolling"))
			for range 2 { // each comes twice
				if _, _, err := producer.SendMessage(m); err != nil {
					t.Errorf("sending: %v", err)
					return
				}
				m = kafkaconn.Transaction("transaction", &tx, []byte("account:rolling"))
			}
			published.Add(1)
		}
	})
	for _, service := range order {
		for _, i := range r.services[service] {
			before, sent := asked.Load(), published.Load()
			r.restart(i)
			r.until("requests and transactions came after "+i.name+" was back", func() bool {
				return t.Failed() || asked.Load() > before && published.Load() > sent
			})
		}
	}
	close(done)
	load.Wait()
	if err := s.AwaitRewarded(r.ctx, nil); err != nil {
		t.Fatal(err)
	}
	r.check(int(published.Load()))
	t.Logf("%d requests were answered and %d transactions rewarded", asked.Load(), published.Load())
	for _, service := range order {
		for _, i := range r.services[service] {
			i.stop()
			if err := <-i.ended; err != nil {
				t.Errorf("%s ended with %v", i.name, err)
			}
		}
	}
}

// transaction is the nth of the load. A hundred cards take turns.
func transaction(n int) loyalty.Transaction {
	text := fmt.Sprintf(`{"id":"%s","card_id":"%s","merchant":"Grocer","mcc":5411,"currency":"CAD","amount":10,"sgd_amount":0,`+
		`"transaction_id":"t","transaction_date":"2026-01-15","card_pan":"************1881","card_type":"scis_platinummiles"}`, rollingID(n), rollingCard(n))
	tx, err := loyalty.DecodeTransaction([]byte(text), loyalty.MustCurrency("CAD"))
	if err != nil {
		panic(err)
	}
	return tx
}

func rollingID(n int) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "rolling %d", n))
}

func rollingCard(n int) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "card %d", n%100))
}

// check holds that each transaction has one reward.
func (r *rolling) check(n int) {
	r.t.Helper()
	seen := map[uuid.UUID]int{}
	if err := r.s.Rewards.All(r.ctx, func(row loyalty.Row) error { seen[row.ID]++; return nil }); err != nil {
		r.t.Fatal(err)
	}
	for i := range n {
		if got := seen[rollingID(i)]; got != 1 {
			r.t.Errorf("transaction %d has %d rewards", i, got)
			return
		}
	}
	if len(seen) != n {
		r.t.Errorf("%d rewards of %d transactions", len(seen), n)
	}
}

// signIn returns a token of the sample admin.
func (r *rolling) signIn() string {
	r.t.Helper()
	a, err := samples.Of(r.s.Data, token.Admin)
	if err != nil {
		r.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"email": a.Email, "password": a.Password})
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := r.client.Post(r.s.URL+"/auth/login", "application/json", strings.NewReader(string(body)))
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct {
		Data struct {
			Token string `json:"token"`
		} `json:"data"`
	}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || out.Data.Token == "" {
		r.t.Fatalf("signing in: %d %v", res.StatusCode, err)
	}
	return out.Data.Token
}
