// Package lambda_test runs the lambdas' programs as Lambda does, under AWS's Runtime Interface Emulator,
// against the whole system: each is built for Lambda, finds its settings in its environment and nothing
// else, and gets events as AWS's services send them.
package lambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/local/rie"
	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

var wd string // at the start: the S3 server changes it

func TestMain(m *testing.M) {
	var err error
	if wd, err = os.Getwd(); err != nil {
		panic(err)
	}
	// sarama's metrics have one for the whole process. The HTTP server under the S3 server has one for
	// the date, and looks every 10 s whether it was stopped.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// lambdas are all there are, by the package of their program.
var lambdas = map[string]string{
	"authorizer": "authorizer/cmd/authorizer", "publish-single": "publish-single/cmd/publish-single", "ingestor": "ingestor/cmd/ingestor",
	"uploads": "ingestor/cmd/uploads", "pet-rock": "pet-rock/cmd/pet-rock", "passworder": "passworder/cmd/passworder", "emailer": "emailer/cmd/emailer",
}

// The buckets are none of the system's own, of which it would read the files itself.
const spend, users, reports = "lambda-spend", "lambda-users", "lambda-reports"

const module = "github.com/angelowl-loyalties/app/"

// nowhere is an address at which nothing listens.
const nowhere = "127.0.0.1:1"

type world struct {
	t    *testing.T
	ctx  context.Context
	s    *stack.Stack
	bin  string // a folder of the lambdas' programs
	aws  map[string]string
	base *http.Transport

	profiler, internal, informer string // addresses of services
}

// running calls f with the system, its rules in force, and the lambdas' programs built.
func running(t *testing.T, f func(*world)) {
	t.Helper()
	rie.Need(t)
	t.Cleanup(func() {
		if err := os.Chdir(wd); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, bin: t.TempDir(), base: &http.Transport{}}
	t.Cleanup(w.base.CloseIdleConnections)
	args := []string{"build", "-tags", "lambda.norpc", "-o", w.bin + "/"}
	for _, pkg := range lambdas {
		args = append(args, module+pkg)
	}
	built := make(chan error, 1)
	go func() {
		out, err := exec.Command("go", args...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("building the lambdas: %w\n%s", err, out)
		}
		built <- err
	}()
	inputs := filepath.Join(wd, "../../examples")
	seed, err := stack.ReadSeed(filepath.Join(inputs, "rules.json"), filepath.Join(inputs, "quotes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Fatal(err)
	}
	cfg := stack.Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Home: loyalty.MustCurrency("CAD"), Timezone: zone, Rewarders: 1, Partitions: 2, Samples: true, Throwaway: true,
	}
	err = stack.Run(t.Context(), cfg, slog.New(slog.DiscardHandler), func(ctx context.Context, s *stack.Stack) error {
		w.ctx, w.s = ctx, s
		if err := s.Plant(ctx, seed); err != nil {
			return err
		}
		if _, err := s.AwaitRules(ctx); err != nil {
			return err
		}
		if _, err := s.SampleUsers(ctx); err != nil {
			return err
		}
		if err := w.open(); err != nil {
			return err
		}
		if err := <-built; err != nil {
			return err
		}
		f(w)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// open makes the services and S3 reachable as they are on AWS.
func (w *world) open() error {
	for name, at := range map[string]*string{"profiler": &w.profiler, "profiler-internal": &w.internal, "informer-internal": &w.informer} {
		srv := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: name}) },
			Transport: w.s.Services(),
		})
		w.t.Cleanup(srv.Close)
		*at = srv.URL
	}
	b, err := os.ReadFile(filepath.Join(w.s.Data, "bank.json"))
	if err != nil {
		return err
	}
	var key struct {
		Access string `json:"s3_access_key"`
		Secret string `json:"s3_secret_key"`
	}
	if err := json.Unmarshal(b, &key); err != nil {
		return err
	}
	w.aws = map[string]string{
		"AWS_REGION": s3.Region, "AWS_ACCESS_KEY_ID": key.Access, "AWS_SECRET_ACCESS_KEY": key.Secret, "AWS_ENDPOINT_URL_S3": w.s.S3.Endpoint(),
	}
	for _, bucket := range []string{spend, users, reports} {
		if _, err := w.s.S3.Client().CreateBucket(w.ctx, &awss3.CreateBucketInput{Bucket: &bucket}); err != nil {
			return err
		}
	}
	return nil
}

// env is a lambda's environment, as a deployment sets it; changes come last.
func (w *world) env(name string, changes ...map[string]string) map[string]string {
	mail, _, _ := strings.Cut(w.s.MailAddress(), ":")
	_, port, _ := strings.Cut(w.s.MailAddress(), ":")
	profile := map[string]string{
		"PROFILER_ENDPOINT": w.profiler, "PROFILER_INTERNAL_ENDPOINT": w.internal, "CLIENT_SECRET": w.s.Secret(name).Reveal(),
	}
	jwks := map[string]string{"JWKS_URL": w.profiler + "/.well-known/jwks.json"}
	kafka := map[string]string{"BROKER_HOST": strings.Join(w.s.Brokers, ","), "TOPIC": "transaction"}
	home := map[string]string{"HOME_CURRENCY": w.s.Home.String()}
	parts := map[string][]map[string]string{
		"authorizer":     {jwks},
		"publish-single": {jwks, profile, kafka, home},
		"ingestor":       {w.aws, kafka, home, {"REPORT_BUCKET": reports, "SPEND_BUCKET": spend}},
		"uploads": {w.aws, jwks, profile, kafka, home, {
			"REPORT_BUCKET": reports, "SPEND_BUCKET": spend, "USER_BUCKET": users, "CONSUMER_GROUP": stack.Group, "DB_CONN_STRING": nowhere, "DB_KEYSPACE": "angelowl",
		}},
		"pet-rock":   {w.aws, profile, {"REPORT_BUCKET": reports, "PASSWORDER_FUNCTION": "bank-passworder"}},
		"passworder": {profile},
		"emailer": {profile, kafka, {
			"BANK_TIMEZONE": w.s.Timezone.String(), "PORTAL_ORIGIN": "https://portal.bank.example", "API_ORIGIN": w.s.URL, "INFORMER_INTERNAL_ENDPOINT": w.informer,
			"MAIL_FROM": "Example Bank <rewards@bank.example>", "SMTP_HOST": mail, "SMTP_PORT": port, "SMTP_TLS": "none", "SEND_RATE": "100",
		}},
	}
	out := map[string]string{}
	for _, part := range append(parts[name], changes...) {
		for k, v := range part {
			out[k] = v
		}
	}
	return out
}

// lambda starts one of the lambdas for a test.
func (w *world) lambda(t *testing.T, name string, timeout time.Duration, changes ...map[string]string) *rie.Function {
	t.Helper()
	return rie.Start(t, rie.Config{Program: filepath.Join(w.bin, filepath.Base(lambdas[name])), Timeout: timeout, Env: w.env(name, changes...)})
}

// invoke wants an answer, and reads it into v if that is not nil.
func (w *world) invoke(t *testing.T, f *rie.Function, event, v any) {
	t.Helper()
	got, err := f.Invoke(w.ctx, raw(t, event))
	if err != nil {
		t.Fatalf("%v\n%s", err, f.Log())
	}
	if v != nil {
		if err := json.Unmarshal(got, v); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
	}
}

// refused wants an error that says something, from the lambda itself: it was not ended.
func (w *world) refused(t *testing.T, f *rie.Function, event any, says string) {
	t.Helper()
	got, err := f.Invoke(w.ctx, raw(t, event))
	var failed *rie.Failed
	if !errors.As(err, &failed) || !strings.Contains(failed.Message, says) {
		t.Errorf("%s: %s %v, want an error with %q", raw(t, event), got, err, says)
	}
}

// logged fails unless the lambda logs in JSON, and something of it.
func logged(t *testing.T, f *rie.Function, name, part string) {
	t.Helper()
	if !f.Said(t.Context(), func(line string) bool {
		var said struct{ Service, Msg, Level string }
		return json.Unmarshal([]byte(line), &said) == nil && said.Service == name && said.Level != "" && strings.Contains(line, part)
	}) {
		t.Errorf("it has logged nothing with %q as %s\n%s", part, name, f.Log())
	}
}

func raw(t *testing.T, event any) []byte {
	t.Helper()
	if text, ok := event.(string); ok {
		return []byte(text)
	}
	b, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// token is an access token of a sample user.
func (w *world) token(t *testing.T, role token.Role) string {
	t.Helper()
	account, err := samples.Of(w.s.Data, role)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: w.base}).Post(w.s.URL+"/auth/login", "application/json", bytes.NewReader(raw(t, map[string]string{"email": account.Email, "password": account.Password})))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var a struct{ Data struct{ Token string } }
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	return a.Data.Token
}

// put stores an object.
func (w *world) put(t *testing.T, bucket, key string, body []byte) {
	t.Helper()
	if _, err := w.s.S3.Client().PutObject(w.ctx, &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
}

// report reads an object of the bucket of reports, and says whether it is there.
func (w *world) report(t *testing.T, key string, v any) bool {
	t.Helper()
	out, err := w.s.S3.Client().GetObject(w.ctx, &awss3.GetObjectInput{Bucket: aws.String(reports), Key: &key})
	if none := (*types.NoSuchKey)(nil); errors.As(err, &none) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	if err := json.NewDecoder(out.Body).Decode(v); err != nil {
		t.Fatal(err)
	}
	return true
}

// created is S3's event of a new object.
func created(bucket, key string) any {
	return map[string]any{"Records": []any{map[string]any{
		"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": s3.Region, "eventName": "ObjectCreated:Put",
		"s3": map[string]any{"bucket": map[string]any{"name": bucket}, "object": map[string]any{"key": url.QueryEscape(key)}},
	}}}
}

// request is API Gateway's event of a request.
func request(method, path, bearer, body string) any {
	return map[string]any{
		"resource": path, "path": path, "httpMethod": method, "body": body, "isBase64Encoded": false,
		"headers": map[string]string{"Authorization": "Bearer " + bearer, "Content-Type": "application/json"}, "requestContext": map[string]any{"requestId": "the-gateways-id"},
	}
}

// response is what API Gateway is answered.
type response struct {
	StatusCode int
	Headers    map[string]string
	Body       string
}

// hanging is a server that answers nothing.
func hanging(t *testing.T) string {
	t.Helper()
	over := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-over:
		}
	}))
	t.Cleanup(func() {
		close(over)
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

// silent is a port that takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// slowly is S3 whose objects come a piece at a time, so many bytes at each tick.
func (w *world) slowly(t *testing.T, bytes int, each time.Duration) string {
	t.Helper()
	target, err := url.Parse(w.s.S3.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(&httputil.ReverseProxy{
		Transport: w.base,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		FlushInterval: -1,
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == http.MethodGet && strings.HasPrefix(r.Request.URL.Path, "/"+spend+"/") {
				r.Body = &drip{ReadCloser: r.Body, bytes: bytes, each: each, ctx: r.Request.Context()}
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {}, // it was hung up on
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	})
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

type drip struct {
	io.ReadCloser
	bytes int
	each  time.Duration
	ctx   context.Context
	tick  *time.Ticker
}

func (d *drip) Read(p []byte) (int, error) {
	if d.tick == nil {
		d.tick = time.NewTicker(d.each)
	}
	select {
	case <-d.tick.C:
		return d.ReadCloser.Read(p[:min(len(p), d.bytes)])
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

// queue is the part of Lambda's API that invokes functions asynchronously: it keeps the events, and hands
// them to a lambda.
type queue struct {
	URL  string
	to   func(event []byte) error
	mu   sync.Mutex
	done []error
	work sync.WaitGroup
}

func newQueue(t *testing.T, function string, to func(event []byte) error) *queue {
	t.Helper()
	q := &queue{to: to}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(r.Body)
		switch {
		case err != nil || r.Method != http.MethodPost || r.URL.Path != "/2015-03-31/functions/"+function+"/invocations":
			http.Error(rw, "no such function", http.StatusNotFound)
			return
		case r.Header.Get("X-Amz-Invocation-Type") != "Event" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "):
			http.Error(rw, "it is invoked asynchronously, and signed", http.StatusBadRequest)
			return
		}
		q.work.Go(func() {
			err := q.to(event)
			q.mu.Lock()
			defer q.mu.Unlock()
			q.done = append(q.done, err)
		})
		rw.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	q.URL = srv.URL
	return q
}

// drained waits for all that was asked for, and returns how each invocation ended.
func (q *queue) drained() []error {
	q.work.Wait()
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.done
}
