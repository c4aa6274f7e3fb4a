package spine_test

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
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/rewarder"
)

// Names that the program gives out to those who look inside.
const (
	spendBucket  = "angelowl-spend"
	reportBucket = "angelowl-reports"
	group        = "rewarder"
)

// stack is an `angelowl up` that runs.
type stack struct {
	t      *testing.T
	cmd    *exec.Cmd
	data   string
	ended  chan error // how it ended, once
	serves chan struct{}
	shaky  bool // engines go away below it: what fails is tried again
	stderr *bytes.Buffer

	mu     sync.Mutex
	stdout strings.Builder
	admin  *http.Client

	url, kafkaAddr, etcdAddr, s3URL string

	// Connections that are made when they are first needed, and end with it.
	etcdClient  *clientv3.Client
	kafkaClient sarama.Client
}

// address is a line of what up prints when all of it serves.
var address = regexp.MustCompile(`(?m)^(Open|Kafka|etcd|S3) +(\S+)`)

// up starts the whole system with Toronto's rules and waits until it serves.
func up(t *testing.T, data string, args ...string) *stack {
	t.Helper()
	s := launch(t, data, args...)
	select {
	case <-s.serves:
	case err := <-s.ended:
		t.Fatalf("angelowl up ended: %v\n%s%s", err, s.said(), s.stderr)
	case <-time.After(limit):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // what its goroutines wait for comes to stderr
		<-s.ended
		t.Fatal("angelowl up hangs")
	}
	for _, line := range address.FindAllStringSubmatch(s.said(), -1) {
		*map[string]*string{"Open": &s.url, "Kafka": &s.kafkaAddr, "etcd": &s.etcdAddr, "S3": &s.s3URL}[line[1]] = line[2]
	}
	s.s3URL = strings.TrimSuffix(s.s3URL, "/"+spendBucket)
	if s.url == "" || s.kafkaAddr == "" || s.etcdAddr == "" || s.s3URL == "" {
		t.Fatalf("not all addresses are in\n%s", s.said())
	}
	return s
}

// launch starts the whole system and does not wait for it.
func launch(t *testing.T, data string, args ...string) *stack {
	t.Helper()
	s := &stack{t: t, data: data, ended: make(chan error, 1), serves: make(chan struct{}), stderr: &bytes.Buffer{}}
	all := append([]string{"up", "--data", data, "--listen", "127.0.0.1:0", "--sample-users"}, toronto...)
	s.cmd = exec.Command(program, append(all, args...)...)
	s.cmd.Stderr = s.stderr
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		said := sync.OnceFunc(func() { close(s.serves) })
		for in := bufio.NewScanner(stdout); in.Scan(); {
			s.mu.Lock()
			s.stdout.WriteString(in.Text() + "\n")
			s.mu.Unlock()
			if strings.HasPrefix(in.Text(), "Ctrl-C stops it") {
				said()
			}
		}
		s.ended <- s.cmd.Wait()
	}()
	t.Cleanup(func() {
		runs := s.cmd.ProcessState == nil
		if runs {
			s.kill()
		}
		if said := s.stderr.String(); t.Failed() && (runs || said != "") {
			t.Logf("angelowl up said\n%s%s", s.said(), said)
		}
	})
	return s
}

func (s *stack) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stdout.String()
}

// kill ends it with SIGKILL.
func (s *stack) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	_ = s.over() // killed
}

// interrupt ends it as Ctrl-C does, and holds that it drains and has had nothing to complain of.
func (s *stack) interrupt() {
	s.t.Helper()
	s.drain()
	if text := complaints(s.stderr.String()); text != "" {
		s.t.Errorf("all is well, and yet it says %s", text)
	}
}

// drain ends it as Ctrl-C does.
func (s *stack) drain() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal(err)
	}
	if err := s.over(); err != nil {
		s.t.Fatalf("Ctrl-C ends it with %v\n%s", err, s.stderr)
	}
}

// await looks every few milliseconds until f says that it is so.
func (s *stack) await(what string, f func(context.Context) (bool, error)) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := f(ctx)
		if err != nil && !s.shaky {
			s.t.Fatalf("waiting for %s: %v\n%s", what, err, s.stderr)
		}
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("%s does not come about; the last error was: %v", what, err)
		}
	}
}

// call sends a request to the front door and returns the answer, whose status is the one expected.
func (s *stack) call(status int, method, path, body string, header ...string) (http.Header, []byte) {
	s.t.Helper()
	h, answer, err := s.try(s.t.Context(), status, method, path, body, header...)
	if err != nil {
		s.t.Fatal(err)
	}
	return h, answer
}

func (s *stack) try(ctx context.Context, status int, method, path, body string, header ...string) (http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := s.client().Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != status {
		err = fmt.Errorf("%s %s: %s, want %d: %s", method, path, res.Status, status, answer)
	}
	return res.Header, answer, err
}

// client is the sample admin; of what has no front door nobody is.
func (s *stack) client() *http.Client {
	if s.data == "" {
		return http.DefaultClient
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.admin == nil {
		s.admin = &http.Client{Transport: &samples.Transport{Data: s.data, Role: token.Admin, Base: http.DefaultTransport}}
	}
	return s.admin
}

// createdAt is what rows have beyond rewards.jsonl.
var createdAt = regexp.MustCompile(`"created_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",`)

// history is all that a card has, oldest first, as the API answers it.
func (s *stack) history(ctx context.Context, card string) ([]string, error) {
	var rows []string
	for next := ""; ; {
		path := "/reward/" + card + "?page_size=1000"
		if next != "" {
			path += "&cursor=" + next
		}
		_, body, err := s.try(ctx, http.StatusOK, "GET", path, "")
		if err != nil {
			return nil, err
		}
		var page struct {
			Data []json.RawMessage `json:"data"`
			Next string            `json:"next"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, err
		}
		for _, row := range page.Data {
			rows = append(rows, string(row))
		}
		if next = page.Next; next == "" {
			return rows, nil
		}
	}
}

// s3 is a client with the keys that the data folder holds.
func (s *stack) s3() *s3.Client {
	s.t.Helper()
	var bank struct {
		AccessKey string `json:"s3_access_key"`
		SecretKey string `json:"s3_secret_key"`
	}
	if err := json.Unmarshal(read(s.t, filepath.Join(s.data, "bank.json")), &bank); err != nil {
		s.t.Fatal(err)
	}
	return s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.s3URL), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(bank.AccessKey, bank.SecretKey, ""),
	})
}

// put uploads a file.
func (s *stack) put(upload, suffix string, file []byte) {
	s.t.Helper()
	key := "spend/" + upload + suffix
	_, err := s.s3().PutObject(s.t.Context(), &s3.PutObjectInput{Bucket: aws.String(spendBucket), Key: &key, Body: bytes.NewReader(file)})
	if err != nil {
		s.t.Fatal(err)
	}
}

// reported waits until a file has been read to its end.
func (s *stack) reported(upload string) {
	s.t.Helper()
	client := s.s3()
	s.await("the report of the upload", func(ctx context.Context) (bool, error) {
		out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(reportBucket), Key: aws.String("spend/" + upload + "/report.json")})
		var none *types.NoSuchKey
		if errors.As(err, &none) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		return true, out.Body.Close()
	})
}

// rewarded waits until a file has been read to its end and all that was queued is dealt with.
func (s *stack) rewarded(upload string) {
	s.t.Helper()
	s.reported(upload)
	s.await("the rewards", func(ctx context.Context) (bool, error) {
		left, err := lag(ctx, s.kafka())
		return left == 0, err
	})
}

// lag is how many records are still to be rewarded.
func lag(ctx context.Context, kafka sarama.Client) (left int64, err error) {
	lags, err := rewarder.Lag(ctx, kafka, group, record.Topic)
	if err == nil && len(lags) == 0 {
		err = errors.New("the topic has no partitions")
	}
	for _, l := range lags {
		left += l.Records()
	}
	return left, err
}

func (s *stack) kafka() sarama.Client {
	s.t.Helper()
	if s.kafkaClient == nil {
		s.kafkaClient = kafkaClient(s.t, s.kafkaAddr)
	}
	return s.kafkaClient
}

func kafkaClient(t *testing.T, addr string) sarama.Client {
	t.Helper()
	conf := sarama.NewConfig()
	conf.Version = sarama.V3_6_0_0
	conf.Consumer.Return.Errors = true
	conf.Consumer.MaxWaitTime = 10 * time.Millisecond
	client, err := sarama.NewClient([]string{addr}, conf)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (s *stack) etcd() *clientv3.Client {
	s.t.Helper()
	if s.etcdClient == nil {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{s.etcdAddr}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
		if err != nil {
			s.t.Fatal(err)
		}
		s.etcdClient = client
	}
	return s.etcdClient
}

// over waits for its end, and lets go of what would look for it for ever.
func (s *stack) over() error {
	if s.etcdClient != nil {
		_ = s.etcdClient.Close()
	}
	if s.kafkaClient != nil {
		_ = s.kafkaClient.Close()
	}
	select {
	case err := <-s.ended:
		return err
	case <-time.After(limit):
		return errors.New("it does not end")
	}
}

// inForce waits until what stands under a rule's key is in force in every partition.
func (s *stack) inForce(kind rulebook.Kind, id string) {
	s.t.Helper()
	rule, err := s.etcd().Get(s.t.Context(), rulebook.Key(kind, id))
	if err != nil || len(rule.Kvs) != 1 {
		s.t.Fatalf("the %s %s is not in etcd: %v", kind, id, err)
	}
	s.everywhere(rule.Kvs[0].ModRevision)
}

// everywhere waits until the rules of a revision of etcd are in force in every partition.
func (s *stack) everywhere(revision int64) {
	s.t.Helper()
	partitions, err := s.kafka().Partitions(record.Topic)
	if err != nil {
		s.t.Fatal(err)
	}
	// Revisions of an etcd that was lost may be higher.
	epoch, err := s.etcd().Get(s.t.Context(), rulebook.EpochKey)
	if err != nil || len(epoch.Kvs) != 1 {
		s.t.Fatalf("etcd has no epoch: %v", err)
	}
	s.await("the rules to be in force", func(ctx context.Context) (bool, error) {
		for _, p := range partitions {
			got, err := s.etcd().Get(ctx, rulebook.InForceKey(record.Topic, p))
			if err != nil || len(got.Kvs) == 0 {
				return false, err
			}
			var f rulebook.InForce
			if err := json.Unmarshal(got.Kvs[0].Value, &f); err != nil {
				return false, err
			}
			if f.Revision < revision || strconv.FormatInt(f.Epoch, 10) != string(epoch.Kvs[0].Value) {
				return false, nil
			}
		}
		return true, nil
	})
}
