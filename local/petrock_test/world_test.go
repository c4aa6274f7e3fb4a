// Package petrock_test holds pet-rock and passworder, through the lambdas' own entries, against a real
// S3 server, profiler as it is with its database, and a mail server.
package petrock_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/uuid"
	"go.uber.org/goleak"
	"gorm.io/gorm"

	"github.com/angelowl-loyalties/app/local/etcd"
	"github.com/angelowl-loyalties/app/local/mailbox"
	"github.com/angelowl-loyalties/app/local/passwords"
	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/angelowl-loyalties/app/local/sqlite"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/mail/mailer"
	"github.com/angelowl-loyalties/app/loyalty/mail/smtp"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/loyalty/upload"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/passworder"
	petrock "github.com/angelowl-loyalties/app/pet-rock"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/angelowl-loyalties/app/profiler/keys"
	"github.com/angelowl-loyalties/app/profiler/password"
	"github.com/angelowl-loyalties/app/profiler/password/passwordtest"
	profilerdb "github.com/angelowl-loyalties/app/profiler/postgres"
	"github.com/angelowl-loyalties/app/profiler/signin"
)

var home string // the working directory at the start: the S3 server changes it

func TestMain(m *testing.M) {
	var err error
	if home, err = os.Getwd(); err != nil {
		panic(err)
	}
	// The HTTP server under the S3 server has one for the date, and looks every 10 s whether it was
	// stopped; etcd's logger has one that lives on.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreTopFunction("go.etcd.io/etcd/client/pkg/v3/logutil.(*MergeLogger).outputLoop"))
}

const (
	bucket  = "users"
	reports = "reports"
	secret  = "0123456789abcdef0123456789abcdef"
)

// world is all that pet-rock and passworder work with.
type world struct {
	t        testing.TB
	s3       *s3.Server
	db       *gorm.DB
	box      *mailbox.Box
	public   string // profiler's addresses
	internal string
	http     *http.Client
	log      *lockedBuffer

	mu     sync.Mutex
	around func(next func() error) error // where it is set, it stands around each thing that pet-rock asks for
	faults func(m mail.Message, send func() error) error

	queue *passwords.Queue
	asked map[uuid.UUID]int // by users of whom the queue is not told
	quiet bool              // the queue is told of nobody
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Send is mail.Sender's: the mailbox, and what goes wrong on the way to it.
type sender struct {
	w    *world
	next mail.Sender
}

func (s sender) Send(ctx context.Context, m mail.Message) error {
	s.w.mu.Lock()
	faults := s.w.faults
	s.w.mu.Unlock()
	if faults == nil {
		return s.next.Send(ctx, m)
	}
	return faults(m, func() error { return s.next.Send(ctx, m) })
}

func start(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}, log: &lockedBuffer{}, asked: map[uuid.UUID]int{}}
	log := slog.New(slog.NewJSONHandler(w.log, nil))
	t.Cleanup(w.http.CloseIdleConnections)
	var err error
	w.s3, err = s3.Start(t.Context(), s3.Config{Dir: t.TempDir(), AccessKey: "test", SecretKey: "secret-of-the-test", Buckets: []string{bucket, reports}})
	check(t, err)
	t.Cleanup(func() {
		w.s3.Close()
		check(t, os.Chdir(home))
	})
	w.box, err = mailbox.Start(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler), mailbox.Keep(20_000))
	check(t, err)
	t.Cleanup(func() { check(t, w.box.Close()) })
	host, port, err := net.SplitHostPort(w.box.Addr())
	check(t, err)
	number, err := strconv.ParseUint(port, 10, 16)
	check(t, err)
	from := mailer.From{Address: netmail.Address{Name: "Bank", Address: "rewards@bank.example"}}
	smtpSender, err := mailer.Open(t.Context(), &mailer.Settings{From: from, Host: host, Port: config.Port(number), TLS: mailer.Mode(smtp.Plain), Timeout: 30 * time.Second, Connections: 4}, time.Now)
	check(t, err)
	t.Cleanup(func() { check(t, smtpSender.Close()) })
	w.startProfiler(sender{w, smtpSender}, log)
	w.queue, err = passwords.Open(t.TempDir(), log)
	check(t, err)
	p, err := passworder.New(passworder.Deps{Profiler: w.profile("passworder"), Log: log})
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.queue.Run(ctx, lambda.NewHandler(p.Handle), 4) }()
	t.Cleanup(func() {
		stop()
		check(t, <-ended)
	})
	return w
}

func (w *world) startProfiler(s mail.Sender, log *slog.Logger) {
	t := w.t
	server, err := etcd.Start(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	check(t, err)
	t.Cleanup(server.Close)
	client, err := server.Client()
	check(t, err)
	t.Cleanup(func() { check(t, client.Close()) })
	w.db, err = sqlite.Open(filepath.Join(t.TempDir(), "profiler.db"))
	check(t, err)
	t.Cleanup(func() { check(t, ruledb.Close(w.db)) })
	check(t, w.db.Exec("PRAGMA synchronous=OFF").Error)
	store, err := profilerdb.Open(t.Context(), w.db, time.Now)
	check(t, err)
	_, err = store.Import(t.Context(), "test", []loyalty.CardType{{CardType: "gold", Name: "Gold", Unit: "points", Programme: "Points"}})
	check(t, err)
	key, err := profiler.ParseDataKey(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)))
	check(t, err)
	ring, err := keys.File(filepath.Join(t.TempDir(), "keys.pem"))
	check(t, err)
	cfg := signin.DefaultConfig()
	cfg.PortalOrigin, cfg.Subkey, cfg.Zone = "https://portal.example.com", key.Subkey("totp"), time.UTC
	signIn, err := signin.New(cfg, signin.Deps{Store: store.SignIn(), Keys: ring, Mail: s, Log: log, Clock: time.Now, Hasher: passwordtest.Cheap(t)})
	check(t, err)
	check(t, signIn.EnsureServices(t.Context(), map[string]config.Secret{"pet-rock": config.NewSecret(secret + "1"), "passworder": config.NewSecret(secret + "2")}))
	deps := profiler.Deps{
		Store: store, Etcd: client, Log: log, Clock: time.Now, DataKey: key,
		Identify: web.Bearer(signIn.Verifier()), SignIn: signIn, Public: signin.PublicRoutes,
		Passwords: profiler.Passwords{Hash: password.Hash, CheckPassword: password.Check, Random: password.Random},
	}
	for _, l := range []struct {
		listener *net.Listener
		address  *string
	}{{&deps.Listener, &w.public}, {&deps.Internal, &w.internal}} {
		*l.listener, err = net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		*l.address = "http://" + (*l.listener).Addr().String()
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	pc := profiler.DefaultConfig()
	pc.Settle = 0
	go func() { ended <- profiler.Run(ctx, pc, deps) }()
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		stop()
		check(t, <-ended)
	})
}

func (w *world) secret(service string) string {
	if service == "pet-rock" {
		return secret + "1"
	}
	return secret + "2"
}

func (w *world) profile(service string) *profile.Client {
	s := profile.Settings{Endpoint: w.public, Internal: w.internal, ClientSecret: config.NewSecret(w.secret(service))}
	return s.Client(service, w.http, time.Now)
}

// wrapped stands around what pet-rock asks for.
type wrapped struct {
	w *world
	p *profile.Client
}

func (r wrapped) do(f func() error) error {
	r.w.mu.Lock()
	around := r.w.around
	r.w.mu.Unlock()
	if around != nil {
		return around(f)
	}
	return f()
}

func (r wrapped) PutUsers(ctx context.Context, source string, rows []profile.UserRow) (out profile.UserOutcomes, err error) {
	err = r.do(func() error {
		out, err = r.p.PutUsers(ctx, source, rows)
		return err
	})
	return out, err
}

func (r wrapped) Ask(ctx context.Context, user uuid.UUID) error {
	return r.do(func() error {
		r.w.mu.Lock()
		r.w.asked[user]++
		quiet := r.w.quiet
		r.w.mu.Unlock()
		if quiet {
			return nil
		}
		return r.w.queue.Ask(ctx, user)
	})
}

// put uploads a file of users and returns its key. The digits of its id pass for those of a card number,
// as those of one UUID in some hundreds do.
func (w *world) put(name string, body []byte) string {
	w.t.Helper()
	key := "users/aaaa4112-1119-4111-8111" + uuid.NewString()[23:] + ".csv"
	_, err := w.s3.Client().PutObject(w.t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(body), Metadata: map[string]string{"filename": name},
	})
	check(w.t, err)
	return key
}

// tell invokes pet-rock as S3 does.
func (w *world) tell(ctx context.Context, key string, batch int) error {
	w.t.Helper()
	_, err := lambda.NewHandler(w.handler(batch, time.Now).Handle).Invoke(ctx, event(key))
	return err
}

func (w *world) handler(batch int, clock func() time.Time) *petrock.Handler {
	w.t.Helper()
	asker := wrapped{w, w.profile("pet-rock")}
	h, err := petrock.New(petrock.Config{ReportBucket: reports, BatchRows: batch}, petrock.Deps{
		S3: w.s3.Client(), Profiler: asker, Passwords: asker, Log: slog.New(slog.NewJSONHandler(w.log, nil)), Clock: clock,
	})
	check(w.t, err)
	return h
}

// enter is put and tell, and returns the report and the refused rows.
func (w *world) enter(name string, body []byte) (upload.Report, string) {
	w.t.Helper()
	key := w.put(name, body)
	check(w.t, w.tell(w.t.Context(), key, 0))
	return w.report(key)
}

func event(key string) []byte {
	b, err := json.Marshal(map[string]any{"Records": []any{map[string]any{
		"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventTime": "2021-09-02T03:04:05.000Z", "eventName": "ObjectCreated:Put",
		"s3": map[string]any{"bucket": map[string]any{"name": bucket}, "object": map[string]any{"key": key, "size": 1}},
	}}})
	if err != nil {
		panic(err) // texts and a number
	}
	return b
}

func (w *world) report(key string) (r upload.Report, refused string) {
	w.t.Helper()
	id := petrock.UploadID(bucket, key)
	b := w.object(upload.ReportKey(upload.Users, id))
	if b == nil {
		w.t.Fatal("there is no report")
	}
	check(w.t, json.Unmarshal(b, &r))
	if r.Kind != upload.Users || r.Rows.Read != r.Rows.Accepted+r.Rows.Refused {
		w.t.Fatalf("%+v", r)
	}
	return r, string(w.object(upload.RefusedKey(upload.Users, id)))
}

func (w *world) object(key string) []byte {
	w.t.Helper()
	out, err := w.s3.Client().GetObject(w.t.Context(), &awss3.GetObjectInput{Bucket: aws.String(reports), Key: &key})
	if none := (*types.NoSuchKey)(nil); errors.As(err, &none) {
		return nil
	}
	check(w.t, err)
	b, err := io.ReadAll(out.Body)
	check(w.t, errors.Join(err, out.Body.Close()))
	return b
}

// drained waits until so many mails have come and nobody waits for one.
func (w *world) drained(mails int) {
	w.t.Helper()
	deadline := time.Now().Add(15 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if w.count("SELECT count(*) FROM users u WHERE role = 'user' AND (NOT EXISTS (SELECT 1 FROM credentials c WHERE c.user_id = u.id) OR EXISTS (SELECT 1 FROM first_mails m WHERE m.user_id = u.id))") == 0 &&
			w.queue.Waiting() == 0 {
			break
		}
		if time.Now().After(deadline) {
			log := w.log.String()
			w.t.Fatalf("the first passwords are not all mailed after 15 minutes: %d mails, %d wait\n%s", len(w.box.Mails("")), w.queue.Waiting(), log[max(0, len(log)-4000):])
		}
		<-tick.C
	}
	if got := len(w.firstMails()); got != mails {
		w.t.Fatalf("%d mails came, want %d", got, mails)
	}
}

// firstMails are those that bring first passwords.
func (w *world) firstMails() []mailbox.Mail {
	return slices.DeleteFunc(w.box.Mails(""), func(m mailbox.Mail) bool { return m.Subject != "Your first AngelOwl password" })
}

func (w *world) count(sql string, args ...any) (n int) {
	w.t.Helper()
	check(w.t, w.db.Raw(sql, args...).Scan(&n).Error)
	return n
}

// person is a user of a file, with the cards.
type person struct {
	id, first, last, phone, email string
	cards                         []string
}

const header = "id,first_name,last_name,phone,email,created_at,updated_at,card_id,card_pan,card_type\n"

// people makes users of a file, with so many cards in all.
func people(seed uint64, users, cards int) []person {
	r := rand.New(rand.NewPCG(seed, 20210901))
	id := func() string {
		var u uuid.UUID
		for i := range u {
			u[i] = byte(r.Uint32())
		}
		u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
		return u.String()
	}
	names := []string{"Ann", "สมชาย", "عائشة", "José", "O'Neill, Jr.", `Jo "J" Lee`}
	out := make([]person, users)
	for i := range out {
		out[i] = person{id: id(), first: names[r.IntN(len(names))], last: names[r.IntN(len(names))], phone: fmt.Sprintf("+659%07d", i), email: fmt.Sprintf("user-%d-%d@example.com", seed, i), cards: []string{id()}}
	}
	for range cards - users {
		p := &out[r.IntN(users)]
		p.cards = append(p.cards, id())
	}
	return out
}

// file is the users' file: a row a card, those of a user here and there.
func file(seed uint64, all []person) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	quote := func(s string) string {
		if strings.ContainsAny(s, `",`) {
			return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
		}
		return s
	}
	var rows []string
	for _, p := range all {
		for _, c := range p.cards {
			rows = append(rows, fmt.Sprintf("%s,%s,%s,%s,%s,2021-09-01 10:11:12,2021-09-02T10:11:12Z,%s,%s,gold\n",
				p.id, quote(p.first), quote(p.last), p.phone, p.email, c, pan(c)))
		}
	}
	r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return []byte(header + strings.Join(rows, ""))
}

// pan is a card's number.
func pan(card string) string {
	n := uint64(0)
	for _, c := range []byte(card) {
		n = n*131 + uint64(c)
	}
	return fmt.Sprintf("4%015d", n%1e15)
}
