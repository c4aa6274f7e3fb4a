package ingestor_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/local/s3"
)

// The lambda as it is deployed, a process of its own for each file, needs as much memory for a
// file of millions of rows as for one of a hundred thousand. The long form reads 10 million.
func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it reads a million rows")
	}
	if _, err := os.Stat("/proc/self/status"); errors.Is(err, fs.ErrNotExist) {
		t.Skip("SKIPPED: the most memory that a process had is read from /proc")
	}
	rows := 1_000_000
	if os.Getenv("ANGELOWL_LONG") != "" {
		rows = 10_000_000
	}
	program := filepath.Join(t.TempDir(), "ingestor")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/angelowl-loyalties/app/ingestor/cmd/ingestor")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the lambda: %v\n%s", err, out)
	}
	y := start(t, "SGD")
	small := y.peak(program, "spend/small.csv", 100_000)
	large := y.peak(program, "spend/large.csv", rows)
	if large > small+small/10 {
		t.Errorf("%d KiB for %d rows, %d KiB for 100000: more than a tenth more", large, rows, small)
	}
}

// peak has a new process read a file of so many rows, a quarter of which are refused, and returns
// the most resident memory that the process had, in KiB.
func (y *system) peak(program, key string, rows int) int {
	y.t.Helper()
	y.putRows(key, rows)
	runtime := &runtimeAPI{events: make(chan []byte, 1), answers: make(chan string, 1)}
	api := httptest.NewServer(runtime)
	defer api.Close()
	var log bytes.Buffer
	cmd := exec.Command(program)
	cmd.Stderr = &log
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), "TMPDIR=" + y.t.TempDir(),
		"BROKER_HOST=" + y.broker.Addr(), "HOME_CURRENCY=SGD", "REPORT_BUCKET=reports",
		"AWS_REGION=" + s3.Region, "AWS_ENDPOINT_URL_S3=" + y.s3.Endpoint(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=secret-of-the-test",
	}
	if err := cmd.Start(); err != nil {
		y.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		_ = cmd.Process.Kill() // a lambda has no end of its own
		<-ended
	}()
	began := time.Now()
	runtime.events <- event("uploads/" + key)
	select {
	case answer := <-runtime.answers:
		if answer != "null" {
			y.t.Fatalf("the lambda answers %s\n%s", answer, log.Bytes())
		}
	case err := <-ended:
		ended <- err
		y.t.Fatalf("the lambda ended: %v\n%s", err, log.Bytes())
	}
	took := time.Since(began)
	most := highWater(y.t, cmd.Process.Pid)
	if r := y.report(ingestor.UploadID("uploads", key)); r.Rows.Read != int64(rows) || r.Rows.Refused != int64(rows/4) {
		y.t.Errorf("%s %s: %+v", r.State, r.Error, r.Rows)
	}
	y.t.Logf("%d rows: %d KiB at most, %.1f s", rows, most, took.Seconds())
	return most
}

// putRows uploads a file of so many rows.
func (y *system) putRows(key string, rows int) {
	y.t.Helper()
	f, err := os.CreateTemp(y.t.TempDir(), "")
	if err != nil {
		y.t.Fatal(err)
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	w := bufio.NewWriter(f)
	_, err = w.WriteString(header)
	for i := 0; i < rows && err == nil; i++ {
		card, amount := card1, "1.01"
		if i%2 == 0 {
			card = card2
		}
		if i%4 == 0 {
			amount = "refuse me"
		}
		_, err = w.WriteString(line(i, card, amount))
	}
	if err = errors.Join(err, w.Flush()); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		y.t.Fatal(err)
	}
	if _, err := y.s3.Client().PutObject(y.t.Context(), &awss3.PutObjectInput{Bucket: aws.String("uploads"), Key: &key, Body: f}); err != nil {
		y.t.Fatal(err)
	}
}

// highWater is the most resident memory that a process had, in KiB.
func highWater(t testing.TB, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	text, _, _ := strings.Cut(rest, " kB")
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatalf("reading VmHWM: %v", err)
	}
	return n
}

// runtimeAPI is AWS Lambda's runtime API as a lambda of one invocation sees it:
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type runtimeAPI struct {
	events  chan []byte
	answers chan string
}

func (a *runtimeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		select {
		case event := <-a.events:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(15*time.Minute).UnixMilli(), 10))
			_, _ = w.Write(event)
		case <-r.Context().Done():
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = []byte(err.Error())
	}
	w.WriteHeader(http.StatusAccepted)
	a.answers <- string(body)
}
