// Package emailer_test runs the emailer, in this process and as the lambda's program, against profiler on
// SQLite, informer on Pebble, a Kafka broker and a mailbox.
package emailer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	netmail "net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/local/kafka"
	"github.com/angelowl-loyalties/app/local/mailbox"
	"github.com/angelowl-loyalties/app/local/pebble"
	"github.com/angelowl-loyalties/app/local/sqlite"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/mail/mailer"
	"github.com/angelowl-loyalties/app/loyalty/mail/mailtest"
	"github.com/angelowl-loyalties/app/loyalty/mail/smtp"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/angelowl-loyalties/app/profiler/keys"
	"github.com/angelowl-loyalties/app/profiler/password"
	"github.com/angelowl-loyalties/app/profiler/postgres"
	"github.com/angelowl-loyalties/app/profiler/signin"
)

// sarama's metrics have one for the whole process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

const (
	partitions = 3
	secret     = "a secret of the emailer's, which is long enough"
)

func long() bool { return os.Getenv("ANGELOWL_LONG") != "" }

// program is the lambda's, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "emailer-test-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "emailer"), "github.com/angelowl-loyalties/app/emailer/cmd/emailer").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the emailer: %w: %s", err, out)
	}
	return filepath.Join(dir, "emailer"), nil
})

type world struct {
	t        *testing.T
	zone     *time.Location
	day      loyalty.Date // the bank's, yesterday
	store    *postgres.Store
	rewards  *pebble.Store
	broker   *kafka.Broker
	box      *mailbox.Box
	sender   mail.Sender
	public   string // profiler's
	internal string
	informer string
	offset   int64
	users    int
	log      slog.Handler
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	var err error
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.zone, err = time.LoadLocation("Asia/Singapore")
	must(err)
	w.day = loyalty.DateOf(time.Now().In(w.zone).Date()) - 1
	log := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		stop()
		running.Wait()
	})

	w.box, err = mailbox.Start(ctx, filepath.Join(dir, "mail"), nil, mailbox.Keep(1<<20))
	must(err)
	t.Cleanup(func() { must(w.box.Close()) })
	host, port, err := net.SplitHostPort(w.box.Addr())
	must(err)
	var number config.Port
	_, err = fmt.Sscan(port, &number)
	must(err)
	sender, err := mailer.Open(ctx, &mailer.Settings{
		From: mailer.From{Address: netmail.Address{Name: "Bank", Address: "rewards@bank.example"}},
		Host: host, Port: number, TLS: mailer.Mode(smtp.Plain), Timeout: 30 * time.Second, Connections: 4,
	}, time.Now)
	must(err)
	t.Cleanup(func() { must(sender.Close()) })
	w.sender = sender

	w.broker, err = kafka.Start(ctx, kafka.Config{Partitions: partitions})
	must(err)
	t.Cleanup(w.broker.Close)

	db, err := sqlite.Open(filepath.Join(dir, "profiler.db"))
	must(err)
	must(db.Exec("PRAGMA synchronous = OFF").Error)
	w.store, err = postgres.Open(ctx, db, time.Now)
	must(err)
	ring, err := keys.File(filepath.Join(dir, "keys.pem"))
	must(err)
	cfg := signin.DefaultConfig()
	cfg.PortalOrigin, cfg.Subkey, cfg.Zone = "https://portal.bank.example", make([]byte, 32), w.zone
	signIn, err := signin.New(cfg, signin.Deps{Store: w.store.SignIn(), Keys: ring, Mail: sender, Log: log, Clock: time.Now})
	must(err)
	must(signIn.EnsureServices(ctx, map[string]config.Secret{"emailer": config.NewSecret(secret)}))
	key, err := profiler.ParseDataKey("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	must(err)
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{"127.0.0.1:1"}, Logger: zap.NewNop()})
	must(err)
	listen := func(at *string) net.Listener {
		t.Helper()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(err)
		*at = "http://" + l.Addr().String()
		return l
	}
	pc := profiler.DefaultConfig()
	pc.PublishWait, pc.Outbox = time.Millisecond, outbox.Config{Reconcile: time.Hour, Poll: time.Hour, Timeout: 20 * time.Millisecond}
	pd := profiler.Deps{
		Store: w.store, Etcd: etcd, Listener: listen(&w.public), Internal: listen(&w.internal), Log: log, Clock: time.Now, DataKey: key,
		Identify: web.Bearer(signIn.Verifier()), SignIn: signIn, Public: signin.PublicRoutes,
		Passwords: profiler.Passwords{Hash: password.Hash, CheckPassword: password.Check, Random: password.Random},
	}
	running.Go(func() {
		if err := profiler.Run(ctx, pc, pd); err != nil {
			t.Error(err)
		}
		if err := etcd.Close(); err != nil {
			t.Error(err)
		}
		if pool, err := db.DB(); err != nil || pool.Close() != nil {
			t.Error("closing the database")
		}
	})

	w.rewards, err = pebble.Open(filepath.Join(dir, "rewards"), pebble.Options{Zone: w.zone, NoSync: true})
	must(err)
	var public string
	verifier := &token.Verifier{Party: token.DefaultParty, Clock: time.Now, Keys: token.NewRemote(w.internal+"/.well-known/jwks.json", client, time.Now)}
	id := informer.Deps{
		Store: w.rewards, Log: log, Clock: time.Now, Listener: listen(&public), Internal: listen(&w.informer), Identify: web.Bearer(verifier),
		Owner: func(context.Context, uuid.UUID) (string, error) { return "", nil },
	}
	running.Go(func() {
		if err := informer.Run(ctx, informer.Config{Home: loyalty.MustCurrency("SGD"), Timezone: w.zone}, id); err != nil {
			t.Error(err)
		}
		if err := w.rewards.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := w.store.CardTypes().Create(ctx, "test", loyalty.CardType{CardType: "gold", Name: "Gold", Unit: "miles", Programme: "Miles"}); err != nil {
		t.Fatal(err)
	}
	return w
}

// person is a cardholder of a test.
type person struct {
	id    uuid.UUID
	email string
	cards []uuid.UUID
}

func (w *world) person(first string, cards int, change ...func(*profiler.User)) person {
	w.t.Helper()
	w.users++
	p := person{id: uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, "user", w.users)), email: fmt.Sprintf("u%d@cards.example", w.users)}
	u := profiler.User{ID: p.id, FirstName: first, LastName: "Test", Email: p.email, Role: token.User, RewardEmails: true}
	for _, c := range change {
		c(&u)
	}
	if _, err := w.store.CreateUser(w.t.Context(), "test", u, nil); err != nil {
		w.t.Fatal(err)
	}
	for i := range cards {
		id := uuid.NewSHA1(p.id, []byte{byte(i)})
		if _, err := w.store.CreateCard(w.t.Context(), "test", profiler.Card{ID: id, UserID: p.id, CardType: "gold"}, profiler.Number{Masked: "************1234", HMAC: "h"}); err != nil {
			w.t.Fatal(err)
		}
		p.cards = append(p.cards, id)
	}
	return p
}

// reward enters what a card earned at noon of a day.
func (w *world) reward(card uuid.UUID, day loyalty.Date, units int64, change ...func(*loyalty.Row)) {
	w.t.Helper()
	w.offset++
	r := loyalty.Row{Position: loyalty.Position{Incarnation: 1, Offset: w.offset}}
	r.Transaction = loyalty.Transaction{
		ID: uuid.NewSHA1(card, fmt.Append(nil, w.offset)), CardID: card, Merchant: fmt.Sprint("Shop ", w.offset), MCC: 4722, Currency: loyalty.MustCurrency("SGD"),
		Amount: 10050, Reference: fmt.Sprint("ref", w.offset), Date: day - 1, CardPAN: "************1234", CardType: "gold",
	}
	r.Units, r.Remarks = loyalty.Units{Value: units}, "2 miles per dollar"
	r.CreatedAt = w.at(day, 12*time.Hour)
	r.Trace = loyalty.Trace{Outcome: loyalty.Rewarded, Programme: "Miles", Unit: "miles", Converted: &loyalty.Conversion{Amount: r.Money().Number(), Currency: r.Currency, Source: loyalty.HomeSpend}}
	for _, c := range change {
		c(&r)
	}
	if err := w.rewards.PutRewards(w.t.Context(), []loyalty.Row{r}); err != nil {
		w.t.Fatal(err)
	}
}

// at is a time of one of the bank's days.
func (w *world) at(day loyalty.Date, since time.Duration) time.Time {
	y, m, d := day.Time().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, w.zone).Add(since)
}

// produce sends a record of a time to each partition.
func (w *world) produce(at time.Time) {
	w.t.Helper()
	c := sarama.NewConfig()
	c.Version, c.Producer.Return.Successes, c.Producer.Partitioner = sarama.V3_6_0_0, true, sarama.NewManualPartitioner
	p, err := sarama.NewSyncProducer([]string{w.broker.Addr()}, c)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range int32(partitions) {
		if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: record.Topic, Partition: i, Value: sarama.StringEncoder("x"), Timestamp: at}); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// commit commits an offset of each partition, as the rewarders do.
func (w *world) commit(offsets ...int64) {
	w.t.Helper()
	c := sarama.NewConfig()
	c.Version, c.Consumer.Offsets.AutoCommit.Enable = sarama.V3_6_0_0, false
	client, err := sarama.NewClient([]string{w.broker.Addr()}, c)
	if err != nil {
		w.t.Fatal(err)
	}
	coordinator, err := client.Coordinator("rewarder")
	if err != nil {
		w.t.Fatal(err)
	}
	req := &sarama.OffsetCommitRequest{ConsumerGroup: "rewarder", ConsumerGroupGeneration: sarama.GroupGenerationUndefined, Version: 2, RetentionTime: -1}
	for p, offset := range offsets {
		req.AddBlock(record.Topic, int32(p), offset, 0, "")
	}
	resp, err := coordinator.CommitOffset(req)
	if err != nil {
		w.t.Fatal(err)
	}
	for p, code := range resp.Errors[record.Topic] {
		if code != sarama.ErrNoError {
			w.t.Fatalf("partition %d: %v", p, code)
		}
	}
	if err := client.Close(); err != nil {
		w.t.Error(err)
	}
}

// handler is an emailer at a time.
func (w *world) handler(now time.Time, change ...func(*emailer.Config, *emailer.Deps)) *emailer.Handler {
	w.t.Helper()
	client := new(profile.Settings).HTTPClient()
	w.t.Cleanup(client.CloseIdleConnections)
	s := profile.Settings{Endpoint: w.public, Internal: w.internal, ClientSecret: config.NewSecret(secret)}
	creds := s.Credentials("emailer", client, time.Now)
	cfg := emailer.Config{
		Zone: w.zone, From: netmail.Address{Address: "rewards@bank.example"}, Portal: "https://portal.bank.example", API: w.public, Rate: 10_000,
		Dir: w.t.TempDir(),
	}
	deps := emailer.Deps{
		Rewards: &emailer.Informer{Endpoint: w.informer, Tokens: creds, HTTP: client},
		Ledger:  profile.New(w.internal, creds, client),
		Past:    emailer.Kafka{Brokers: []string{w.broker.Addr()}, Topic: record.Topic, Group: "rewarder"}.Past,
		Mail:    w.sender, Clock: func() time.Time { return now },
	}
	if w.log != nil {
		deps.Log = slog.New(w.log)
	}
	for _, c := range change {
		c(&cfg, &deps)
	}
	h, err := emailer.New(cfg, deps)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if left, err := os.ReadDir(cfg.Dir); err != nil || len(left) > 0 {
			w.t.Errorf("it leaves %v %v", left, err)
		}
	})
	return h
}

// night is ten minutes after a day.
func (w *world) night(day loyalty.Date) time.Time { return w.at(day+1, 10*time.Minute) }

// run runs in the night after a day and wants so many mails.
func (w *world) run(day loyalty.Date, sent int, change ...func(*emailer.Config, *emailer.Deps)) emailer.Result {
	w.t.Helper()
	r, err := w.handler(w.night(day), change...).Handle(w.t.Context(), emailer.Event{})
	if err != nil || r.Day != day || r.State != emailer.Done || r.Sent != sent {
		w.t.Errorf("%+v %v, want %d mails", r, err, sent)
	}
	return r
}

// mails are those that came for a person, in the order in which they came.
func (w *world) mails(p person) (out []mailtest.Mail) {
	w.t.Helper()
	for _, m := range w.box.Mails(p.email) {
		raw, err := w.box.Source(m.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, mailtest.Read(w.t, raw))
	}
	slices.Reverse(out)
	return out
}

// one is the only one.
func (w *world) one(p person) mailtest.Mail {
	w.t.Helper()
	all := w.mails(p)
	if len(all) != 1 {
		w.t.Fatalf("%s has %d mails", p.email, len(all))
	}
	return all[0]
}

// invocation is what a lambda's program is asked, and answers.
type invocation struct {
	event  string
	answer chan string
}

// runtime is AWS Lambda's runtime API, as much of it as one invocation needs. The second one never comes.
func runtime(inv *invocation) http.Handler {
	mux := http.NewServeMux()
	var once sync.Once
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(rw http.ResponseWriter, r *http.Request) {
		first := false
		once.Do(func() { first = true })
		if !first {
			<-r.Context().Done()
			return
		}
		rw.Header().Set("Lambda-Runtime-Aws-Request-Id", "request-1")
		rw.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(15*time.Minute).UnixMilli()))
		_, _ = io.WriteString(rw, inv.event)
	})
	answered := func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		rw.WriteHeader(http.StatusAccepted)
		inv.answer <- string(body)
	}
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/request-1/response", answered)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/request-1/error", answered)
	return mux
}

func result(t *testing.T, answer string) (r emailer.Result) {
	t.Helper()
	if err := json.Unmarshal([]byte(answer), &r); err != nil || !strings.Contains(answer, `"state"`) {
		t.Fatalf("%s: %v", answer, err)
	}
	return r
}
