package s3_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/local/s3"
)

// TestMain lets a test run a server in a process of its own, to kill it: it prints its address,
// then each event, and never finishes with one.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ANGELOWL_TEST_S3_DIR"); dir != "" {
		cfg := config(dir)
		cfg.Notify = []s3.Notification{{Bucket: "spend", Deliver: func(ctx context.Context, event []byte) error {
			fmt.Printf("%s\n", event)
			<-ctx.Done()
			return ctx.Err()
		}}}
		s, err := s3.Start(context.Background(), cfg)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_, err = s.Client().PutObject(context.Background(), &awss3.PutObjectInput{
			Bucket: aws.String("spend"), Key: aws.String("spend/a.csv"), Body: strings.NewReader("hello"),
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		select {}
	}
	// The HTTP server under the S3 server has one for the date, and looks every 10 s whether it was stopped.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

func config(dir string) s3.Config {
	return s3.Config{Dir: dir, AccessKey: "test", SecretKey: "secret-of-the-test", Buckets: []string{"reports"}}
}

func start(t *testing.T, cfg s3.Config) *s3.Server {
	t.Helper()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	s, err := s3.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if err := os.Chdir(wd); err != nil {
			t.Error(err)
		}
	})
	return s
}

func put(t *testing.T, s *s3.Server, bucket, key, body string) {
	t.Helper()
	_, err := s.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *s3.Server, bucket, key string) string {
	t.Helper()
	out, err := s.Client().GetObject(t.Context(), &awss3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func next(t *testing.T, told <-chan []byte) events.S3EventRecord {
	t.Helper()
	select {
	case payload := <-told:
		var e events.S3Event
		if err := json.Unmarshal(payload, &e); err != nil {
			t.Fatal(err)
		}
		if len(e.Records) != 1 {
			t.Fatalf("%d records in an event, want 1: %s", len(e.Records), payload)
		}
		return e.Records[0]
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was told")
		panic("unreachable")
	}
}

func TestObjectsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, config(dir))
	put(t, s, "reports", "a/b.json", "{}")
	s.Close()
	s.Close() // twice does nothing
	s = start(t, config(dir))
	if got := get(t, s, "reports", "a/b.json"); got != "{}" {
		t.Errorf("got %q", got)
	}
}

func TestOnlyOneServerRunsInAProcess(t *testing.T) {
	s := start(t, config(t.TempDir()))
	if _, err := s3.Start(t.Context(), config(t.TempDir())); err == nil {
		t.Error("a second server started")
	}
	put(t, s, "reports", "still-works", "yes")
}

func TestAPresignedURLTakesAFile(t *testing.T) {
	s := start(t, config(t.TempDir()))
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	for name, c := range map[string]struct {
		signed time.Duration // from now
		typ    string
		status int
	}{
		"in time":                   {0, "text/csv", http.StatusOK},
		"too late":                  {-2 * time.Minute, "text/csv", http.StatusForbidden},
		"with another content type": {0, "text/html", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.Endpoint()+"/reports/x.csv?X-Amz-Expires=60", strings.NewReader("a,b\n"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "text/csv")
			url, _, err := signer.PresignHTTP(t.Context(), aws.Credentials{AccessKeyID: "test", SecretAccessKey: "secret-of-the-test"},
				req, "UNSIGNED-PAYLOAD", "s3", s3.Region, time.Now().Add(c.signed))
			if err != nil {
				t.Fatal(err)
			}
			if req.URL, err = req.URL.Parse(url); err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", c.typ)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			if res.StatusCode != c.status {
				body, _ := io.ReadAll(res.Body)
				t.Errorf("status %d, want %d: %s", res.StatusCode, c.status, body)
			}
		})
	}
}

func TestAnObjectIsToldUntilItSucceeds(t *testing.T) {
	told := make(chan []byte, 10)
	tries := 0
	cfg := config(t.TempDir())
	cfg.Notify = []s3.Notification{{Bucket: "spend", Prefix: "spend/", Deliver: func(_ context.Context, event []byte) error {
		told <- bytes.Clone(event)
		if tries++; tries < 3 {
			return errors.New("Kafka is away")
		}
		return nil
	}}}
	s := start(t, cfg)
	put(t, s, "reports", "spend/not-this-bucket", "")
	put(t, s, "spend", "elsewhere/not-this-prefix", "")
	put(t, s, "spend", "spend/100 %+ü.csv", "hello")
	for range 3 {
		r := next(t, told)
		if r.S3.Bucket.Name != "spend" || r.S3.Object.URLDecodedKey != "spend/100 %+ü.csv" || r.S3.Object.Size != 5 ||
			r.S3.Object.ETag != "5d41402abc4b2a76b9719d911017c592" || r.EventName != "ObjectCreated:Put" {
			t.Errorf("told of %+v", r)
		}
	}
	s.Close()
	if len(told) != 0 {
		t.Errorf("told again after it had succeeded: %s", <-told)
	}
}

func TestALostEventIsFoundByListing(t *testing.T) {
	dir := t.TempDir()
	s := start(t, config(dir))
	_, err := s.Client().CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("spend")})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"spend/1.csv", "spend/2.csv", "spend/3.csv"} { // nobody is told of these
		put(t, s, "spend", key, "x")
	}
	s.Close()
	told := make(chan []byte, 10)
	cfg := config(dir)
	cfg.Notify = []s3.Notification{{
		Bucket:  "spend",
		Deliver: func(_ context.Context, event []byte) error { told <- bytes.Clone(event); return nil },
		Done:    func(_ context.Context, _, key string) (bool, error) { return key == "spend/2.csv", nil },
		Every:   time.Millisecond,
	}}
	s = start(t, cfg)
	got := next(t, told).S3.Object.URLDecodedKey + " " + next(t, told).S3.Object.URLDecodedKey
	if got != "spend/1.csv spend/3.csv" {
		t.Errorf("told of %s", got)
	}
	put(t, s, "spend", "spend/4.csv", "x")
	if key := next(t, told).S3.Object.URLDecodedKey; key != "spend/4.csv" {
		t.Errorf("told of %s, want spend/4.csv; what was told must not be told again", key)
	}
}

func TestAFileThatWasBeingReadWhenTheProcessWasKilledIsToldAgain(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ANGELOWL_TEST_S3_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(line, "a.csv") {
		t.Fatalf("the server printed %q, and nothing but events may be on stdout", line)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()

	told := make(chan []byte, 10)
	cfg := config(dir)
	cfg.Notify = []s3.Notification{{Bucket: "spend", Deliver: func(_ context.Context, event []byte) error {
		told <- bytes.Clone(event)
		return nil
	}}}
	s := start(t, cfg)
	r := next(t, told)
	if r.S3.Object.URLDecodedKey != "spend/a.csv" || r.S3.Object.Size != 5 {
		t.Errorf("told of %+v", r)
	}
	if got := get(t, s, "spend", "spend/a.csv"); got != "hello" {
		t.Errorf("the object is %q", got)
	}
}
