package uploads_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/local/lambdatest"
	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// seeded is the source of what a test does at random. A test that fails has said its seed; with
// ANGELOWL_SEED it does the same again, as far as the machine is as fast.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ANGELOWL_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("ANGELOWL_SEED: %v", err)
		}
	}
	t.Logf("ANGELOWL_SEED=%d does this again", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// point is where a lambda is killed: at a byte of the file that it reads, or at an object that it writes.
type point struct {
	at     int64  // the byte
	object string // how the object's key ends; "" is the file
	after  bool   // S3 has the object, and the lambda has not heard of it
}

func (p point) String() string {
	switch {
	case p.object == "":
		return fmt.Sprintf("at byte %d", p.at)
	case p.after:
		return "when S3 has " + p.object
	}
	return "before " + p.object
}

// killer kills a lambda at a point, as S3's proxy sees it.
type killer struct {
	file   string // the path of the file begins with it
	point  atomic.Pointer[point]
	kill   func()
	struck atomic.Bool
}

// of says whether a request writes the object.
func (p point) of(r *http.Request) bool {
	return p.object != "" && r.Method == http.MethodPut && strings.Contains(r.URL.Path, p.object)
}

func (k *killer) before(r *http.Request) bool {
	p := k.point.Load()
	if p == nil || p.after || !p.of(r) {
		return false
	}
	k.strike()
	return true
}

func (k *killer) after(r *http.Response) bool {
	p := k.point.Load()
	switch path := r.Request.URL.Path; {
	case p == nil:
	case p.object == "" && r.Request.Method == http.MethodGet && strings.HasPrefix(path, k.file) && !strings.HasSuffix(path, upload.ControlSuffix):
		r.Body = &cut{r.Body, p.at, k.strike}
	case p.after && p.of(r.Request):
		k.strike()
		return true
	}
	return false
}

func (k *killer) strike() {
	if k.struck.CompareAndSwap(false, true) {
		k.kill()
	}
}

// cut is a body that kills whoever reads it.
type cut struct {
	io.ReadCloser
	left   int64
	strike func()
}

func (c *cut) Read(b []byte) (int, error) {
	if c.left == 0 {
		c.strike()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ReadCloser.Read(b[:min(int64(len(b)), c.left, 16<<10)])
	c.left -= int64(n)
	return n, err
}

// several is a file of so many rows made of the example's: some are refused, some become dead letters,
// some come twice and some twice with another amount. All ids begin with n; without it, the files of all
// n are the same.
func several(t *testing.T, example string, rows int, n uint32) []byte {
	t.Helper()
	all, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSpace(string(all))+"\n", "\n")
	var b bytes.Buffer
	b.WriteString(lines[0])
	for i := range rows {
		id := uuid.NewSHA1(uuid.Nil, []byte(strconv.Itoa(i))).String()
		row := `"` + prefix(n) + id[8:] + lines[1+i%(len(lines)-2)][1+len(id):]
		switch {
		case i%17 == 3:
			row = strings.Replace(row, `,"CAD",`, `,"CAD",x`, 1)
		case i%31 == 5:
			row = row[:strings.LastIndex(row, ",")] + `,"no_such_card"` + "\n"
		}
		b.WriteString(row)
		switch {
		case i%23 == 7:
			b.WriteString(row)
		case i%29 == 11:
			b.WriteString(strings.Replace(row, `,"CAD",`, `,"CAD",9`, 1))
		}
	}
	return b.Bytes()
}

func prefix(n uint32) string { return fmt.Sprintf("%08x", 0xa0000000+n) }

// The ingestor's process is killed at random points of a file, some of them twice, and then runs again.
// What its report says in the end, and what is rewarded, is as if it had run once.
func TestTheIngestorIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: it kills processes")
	}
	const (
		bucket   = "killed" // nobody else reads it
		patience = time.Minute
	)
	kills, rows := 5, 3000
	if os.Getenv("ANGELOWL_LONG") != "" {
		kills, rows = 20, 4000
	}
	rnd := seeded(t)
	program := lambdatest.Build(t, wd, "ingestor/cmd/ingestor")
	_, _, example := examples(t)
	running(t, func(ctx context.Context, s *stack.Stack) {
		client := s.S3.Client()
		if _, err := client.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
			t.Fatal(err)
		}
		credentials, err := client.Options().Credentials.Retrieve(ctx)
		if err != nil {
			t.Fatal(err)
		}
		between, proxy := &killer{file: "/" + bucket + "/"}, lambdatest.NewProxy(t, s.S3.Endpoint())
		proxy.Before, proxy.After = between.before, between.after
		// invoke has a new process read a file. It returns what Invoke does.
		invoke := func(key string, at *point) error {
			t.Helper()
			p := lambdatest.Start(t, program,
				"BROKER_HOST="+strings.Join(s.Brokers, ","), "HOME_CURRENCY=CAD", "REPORT_BUCKET="+stack.ReportBucket, "CHECKPOINT_EVERY=10ms",
				"AWS_REGION="+s3.Region, "AWS_ENDPOINT_URL_S3="+proxy.URL, "AWS_ACCESS_KEY_ID="+credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+credentials.SecretAccessKey)
			defer p.Kill()
			between.kill = p.Kill
			between.struck.Store(false)
			between.point.Store(at)
			event, err := json.Marshal(map[string]any{"Records": []any{map[string]any{
				"eventName": "ObjectCreated:Put", "s3": map[string]any{"bucket": map[string]any{"name": bucket}, "object": map[string]any{"key": key}},
			}}})
			if err != nil {
				t.Fatal(err)
			}
			within, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			_, err = p.Invoke(within, event, patience)
			if err != nil && !errors.Is(err, lambdatest.ErrEnded) {
				t.Fatalf("%v\n%s", err, p.Log())
			}
			return err
		}
		// read has a file read, whose process is killed at the points first.
		read := func(n uint32, points ...point) string {
			t.Helper()
			key := fmt.Sprintf("%d.csv", n)
			body := several(t, example, rows, n)
			if _, err := client.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(body)}); err != nil {
				t.Fatal(err)
			}
			id := ingestor.UploadID(bucket, key)
			for i := range points {
				if err := invoke(key, &points[i]); !errors.Is(err, lambdatest.ErrEnded) || !between.struck.Load() {
					t.Fatalf("file %d was not killed %s: %v", n, points[i], err)
				}
				if _, err := s.Report(ctx, id); !errors.Is(err, stack.ErrNoReport) {
					t.Fatalf("file %d was killed %s when it was done: %v", n, points[i], err)
				}
				t.Logf("file %d is killed %s of %d, when %d rows are queued and the checkpoint is at %d", n, points[i], len(body), queued(ctx, t, s)[id], noted(ctx, t, s, id))
			}
			if err := invoke(key, nil); err != nil {
				t.Fatal(err)
			}
			return id
		}
		once := read(0)
		end := []point{{object: "refused.csv"}, {object: "refused.csv", after: true}, {object: "/pending/"}, {object: "/pending/", after: true}, {object: "/content/"}, {object: "/content/", after: true}, {object: "report.json"}}
		size := int64(len(several(t, example, rows, 0)))
		ids := []string{once}
		for n := range kills {
			var points []point
			if n%5 != 4 { // at a byte of the file; every fifth at its end
				points = append(points, point{at: size/10 + rnd.Int64N(size-size/10)})
			}
			if n%5 == 4 || rnd.IntN(3) == 0 {
				points = append(points, end[rnd.IntN(len(end))])
			}
			ids = append(ids, read(uint32(n+1), points...))
		}
		if err := s.AwaitRewarded(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if err := reconciler(t, s).Sweep(ctx); err != nil {
			t.Fatal(err)
		}

		rewards := rewardsByFile(ctx, t, s)
		want, wantRefused := told(ctx, t, s, once, 0)
		if o := want.Outcome; want.Rows.Refused == 0 || o == nil || o.DeadLetters.Rows == 0 || o.Duplicates.Rows == 0 || o.Conflicts.Rows == 0 || o.Missing.Rows != 0 || len(rewards[prefix(0)]) < rows/2 {
			t.Fatalf("the file that was read once: %+v, %d rewards", o, len(rewards[prefix(0)]))
		}
		inTopic := queued(ctx, t, s)
		var records, accepted int
		for n, id := range ids {
			got, refused := told(ctx, t, s, id, uint32(n))
			if !reflect.DeepEqual(got, want) {
				t.Errorf("read once:\n%s\nfile %d, killed and read again:\n%s", indented(t, want), n, indented(t, got))
			}
			if refused != wantRefused {
				t.Errorf("file %d has other refused rows: %d bytes, want %d", n, len(refused), len(wantRefused))
			}
			if !reflect.DeepEqual(rewards[prefix(uint32(n))], rewards[prefix(0)]) {
				t.Errorf("file %d has %d rewards that are not the %d of the file that was read once", n, len(rewards[prefix(uint32(n))]), len(rewards[prefix(0)]))
			}
			records += inTopic[id]
			accepted += int(got.Rows.Accepted)
		}
		t.Logf("the topic has %d records of %d rows", records, accepted)
		if records <= accepted {
			t.Error("no row was queued twice: the kills have shown nothing")
		}
		if n := pendings(ctx, t, s); n != 0 {
			t.Errorf("%d reports still wait", n)
		}
	})
}

// told is what the report of file n says of the file and not of the reading, and its refused rows.
func told(ctx context.Context, t *testing.T, s *stack.Stack, id string, n uint32) (ingestor.Report, string) {
	t.Helper()
	r, err := s.Report(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if r.State != upload.Reconciled || r.Outcome == nil {
		t.Fatalf("file %d is %s", n, r.State)
	}
	name := r.File
	r.Upload, r.Key, r.File, r.ETag, r.SHA256, r.Ranges = "", "", "", "", "", nil
	r.StartedAt, r.FinishedAt, r.Outcome.At = time.Time{}, time.Time{}, time.Time{}
	for i := range r.Outcome.DeadLetters.Listed {
		r.Outcome.DeadLetters.Listed[i].ID = "" // where in the log it is
	}
	for i := range r.Outcome.Conflicts.Listed {
		c := &r.Outcome.Conflicts.Listed[i]
		clear(c.First.ID[:4])
		clear(c.This.ID[:4])
	}
	in, err := s.Refused(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(in)
	if err := errors.Join(err, in.Close()); err != nil {
		t.Fatal(err)
	}
	return *r, strings.NewReplacer("\n"+prefix(n), "\n", ","+name+",", ",").Replace(string(b))
}

// rewardsByFile is all that is rewarded, by the file and the row, without what hangs on where in the log
// the row came.
func rewardsByFile(ctx context.Context, t *testing.T, s *stack.Stack) map[string]map[string]loyalty.Row {
	t.Helper()
	all := map[string]map[string]loyalty.Row{}
	err := s.Rewards.All(ctx, func(r loyalty.Row) error {
		id := r.ID.String()
		if all[id[:8]] == nil {
			all[id[:8]] = map[string]loyalty.Row{}
		}
		r.ID, r.CreatedAt, r.Position = uuid.UUID{}, time.Time{}, loyalty.Position{}
		if _, twice := all[id[:8]][id[8:]]; twice {
			t.Errorf("there are two rewards of %s", id)
		}
		all[id[:8]][id[8:]] = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// queued is how many records of each upload the topic has.
func queued(ctx context.Context, t *testing.T, s *stack.Stack) map[string]int {
	t.Helper()
	n := map[string]int{}
	err := s.Records(ctx, record.Topic, func(m *sarama.ConsumerMessage) error {
		if id, ours := strings.CutPrefix(stack.Header(m, record.HeaderSource), record.SourceUpload); ours && stack.Header(m, record.HeaderKind) == "" {
			n[id]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// noted is up to which byte the checkpoint of an upload is; -1: there is none.
func noted(ctx context.Context, t *testing.T, s *stack.Stack, id string) int64 {
	t.Helper()
	out, err := s.S3.Client().GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(stack.ReportBucket), Key: aws.String(upload.CheckpointKey(upload.Spend, id))})
	if err != nil {
		return -1
	}
	defer out.Body.Close()
	var c ingestor.Checkpoint
	if err := json.NewDecoder(out.Body).Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c.Offset
}

func indented(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
