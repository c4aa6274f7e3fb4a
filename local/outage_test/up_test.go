package outage_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/angelowl-loyalties/app/local/pebble"
	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/rewarder"
)

// limit is how long anything may take before it counts as something that hangs.
const limit = 3 * time.Minute

var toronto = []string{"--home", "CAD", "--timezone", "America/Toronto", "--rules", rulesFile, "--fx", quotesFile}

// angelowl runs a command to its end.
func angelowl(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal("building angelowl: ", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("angelowl %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// system is an `angelowl up` that runs.
type system struct {
	t    *testing.T
	cmd  *exec.Cmd
	data string
	done chan struct{} // closed when it has ended

	mu             sync.Mutex
	stdout, stderr strings.Builder

	url, kafka, etcd, s3URL string
	admin                   *http.Client
}

var address = regexp.MustCompile(`(?m)^(Open|Kafka|etcd|S3) +(\S+)`)

// up starts the system, and waits until it serves.
func up(t *testing.T, data string) *system {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal("building angelowl: ", err)
	}
	s := &system{t: t, data: data, done: make(chan struct{})}
	s.cmd = exec.Command(path, append([]string{"up", "--data", data, "--listen", "127.0.0.1:0", "--sample-users"}, toronto...)...)
	stdout, err1 := s.cmd.StdoutPipe()
	stderr, err2 := s.cmd.StderrPipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	serves := make(chan struct{})
	var reads sync.WaitGroup
	reads.Go(func() {
		said := sync.OnceFunc(func() { close(serves) })
		for in := bufio.NewScanner(stdout); in.Scan(); {
			s.note(&s.stdout, in.Text())
			if strings.HasPrefix(in.Text(), "Ctrl-C stops it") {
				said()
			}
		}
	})
	reads.Go(func() {
		for in := bufio.NewScanner(stderr); in.Scan(); {
			s.note(&s.stderr, in.Text())
		}
	})
	go func() {
		defer close(s.done)
		reads.Wait()
		_ = s.cmd.Wait() // what became of it is in ProcessState
	}()
	t.Cleanup(func() {
		select {
		case <-s.done:
		default:
			s.kill()
		}
		if t.Failed() {
			t.Logf("angelowl up said\n%s%s", s.said(&s.stdout), s.said(&s.stderr))
		}
	})
	select {
	case <-serves:
	case <-s.done:
		t.Fatalf("angelowl up ended\n%s", s.said(&s.stderr))
	case <-time.After(limit):
		t.Fatalf("angelowl up hangs\n%s", s.said(&s.stderr))
	}
	for _, line := range address.FindAllStringSubmatch(s.said(&s.stdout), -1) {
		*map[string]*string{"Open": &s.url, "Kafka": &s.kafka, "etcd": &s.etcd, "S3": &s.s3URL}[line[1]] = line[2]
	}
	s.s3URL = strings.TrimSuffix(s.s3URL, "/"+spendBucket)
	// Signed in now: on a disk that is full nobody can.
	s.admin = &http.Client{Transport: &samples.Transport{Data: data, Role: token.Admin, Base: fresh.Transport}}
	if status, answer := s.call("GET", s.url+"/campaign?page_size=1", nil); status != 200 {
		t.Fatalf("the front door answers %d %s", status, answer)
	}
	return s
}

func (s *system) note(b *strings.Builder, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.WriteString(line + "\n")
}

func (s *system) said(b *strings.Builder) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return b.String()
}

func (s *system) errors() string { return s.said(&s.stderr) }

// kill ends it with SIGKILL.
func (s *system) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// end waits until it has ended, and returns its exit code.
func (s *system) end() int {
	s.t.Helper()
	select {
	case <-s.done:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // where it hangs
		<-s.done
		s.t.Fatal("it does not end")
		return 0
	}
}

func (s *system) interrupt() int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal(err)
	}
	return s.end()
}

// await looks again and again until f says that it is so.
func (s *system) await(what string, f func() bool) {
	s.t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-s.done:
			s.t.Fatalf("it ended while a test waited: %s", what)
		case <-deadline:
			s.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// fresh connects anew for each request: no goroutine stays behind.
var fresh = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (s *system) call(method, url string, body io.Reader) (status int, answer string) {
	s.t.Helper()
	client := fresh
	if strings.HasPrefix(url, s.url+"/") {
		client = s.admin
	}
	status, answer, err := send(s.t.Context(), client, method, url, body, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return status, answer
}

// send sends a request; the size of a body is 0 where it is known.
func send(ctx context.Context, client *http.Client, method, url string, body io.Reader, size int64) (status int, answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return 0, "", err
	}
	if size > 0 {
		req.ContentLength = size
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// objects is the folder of the buckets.
func objects(data string) string { return filepath.Join(data, "s3", "objects") }

const spendBucket, reportBucket = "angelowl-spend", "angelowl-reports"

// presigned is the URL to which the bank sends a file.
func (s *system) presigned(upload string) string {
	s.t.Helper()
	var bank struct {
		AccessKey string `json:"s3_access_key"`
		SecretKey string `json:"s3_secret_key"`
	}
	b, err := os.ReadFile(filepath.Join(s.data, "bank.json"))
	if err == nil {
		err = json.Unmarshal(b, &bank)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.s3URL), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(bank.AccessKey, bank.SecretKey, ""),
	})
	req, err := s3.NewPresignClient(client).PresignPutObject(s.t.Context(),
		&s3.PutObjectInput{Bucket: aws.String(spendBucket), Key: aws.String("spend/" + upload + ".csv")})
	if err != nil {
		s.t.Fatal(err)
	}
	return req.URL
}

// rewarders says how many rows the rewarders have stored since they started, and reasons why they pause.
func (s *system) rewarders() (rows int64, reasons []string) {
	s.t.Helper()
	var running struct {
		Rewarders []struct{ Address string }
	}
	b, err := os.ReadFile(filepath.Join(s.data, "run.json"))
	if err == nil {
		err = json.Unmarshal(b, &running)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range running.Rewarders {
		_, metrics := s.call("GET", "http://"+r.Address+"/metrics", nil)
		for line := range strings.Lines(metrics) {
			if text, ok := strings.CutPrefix(line, "angelowl_rewarder_rows_total "); ok {
				var n int64
				if err := json.Unmarshal([]byte(text), &n); err != nil {
					s.t.Fatal(err)
				}
				rows += n
			}
		}
		_, health := s.call("GET", "http://"+r.Address+"/health", nil)
		var status rewarder.Status
		if err := json.Unmarshal([]byte(health), &status); err != nil {
			s.t.Fatal(err)
		}
		if status.State == "paused" {
			reasons = append(reasons, status.Reason)
		}
	}
	return rows, reasons
}

// finish waits until a file was read to its end and every record is dealt with.
func (s *system) finish(uploads ...string) {
	s.t.Helper()
	for _, u := range uploads {
		s.await("the report of an upload", func() bool {
			_, err := os.Stat(filepath.Join(objects(s.data), reportBucket, "spend", u, "report.json"))
			return err == nil
		})
	}
	client := s.client()
	defer client.Close()
	s.await("the rewards", func() bool {
		lags, err := rewarder.Lag(s.t.Context(), client, "rewarder", record.Topic)
		if err != nil {
			s.t.Fatal(err)
		}
		var left int64
		for _, l := range lags {
			left += l.Records()
		}
		return left == 0
	})
}

func (s *system) client() sarama.Client {
	s.t.Helper()
	conf := sarama.NewConfig()
	conf.Version = sarama.V3_6_0_0
	conf.Consumer.MaxWaitTime = 10 * time.Millisecond
	client, err := sarama.NewClient([]string{s.kafka}, conf)
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}

// deadLetters are the ids of the transactions that were set aside.
func (s *system) deadLetters() map[string]bool {
	s.t.Helper()
	client := s.client()
	defer client.Close()
	const topic = record.Topic + record.DeadLetterSuffix
	end, err := client.GetOffset(topic, 0, sarama.OffsetNewest)
	if err != nil {
		s.t.Fatal(err)
	}
	ids := map[string]bool{}
	if end == 0 {
		return ids
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		s.t.Fatal(err)
	}
	defer consumer.Close()
	part, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		s.t.Fatal(err)
	}
	defer part.Close()
	for m := range part.Messages() {
		var tx struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(m.Value, &tx); err != nil {
			s.t.Fatal(err)
		}
		ids[tx.ID] = true
		if m.Offset+1 >= end {
			break
		}
	}
	return ids
}

// stored are the rewards that a system which has ended has left, as `angelowl process` writes them.
func stored(t *testing.T, data string) []byte {
	t.Helper()
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Fatal(err)
	}
	store, err := pebble.Open(filepath.Join(data, "rewards"), pebble.Options{Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	err = store.All(t.Context(), func(r loyalty.Row) error {
		if r.CreatedAt.IsZero() {
			return errors.New("a row was never created")
		}
		r.CreatedAt = time.Time{}
		var err error
		if out, err = r.Reward.AppendJSON(out); err == nil {
			out = append(out, '\n')
		}
		return err
	})
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	return out
}
