package petrock_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/local/lambdatest"
	"github.com/angelowl-loyalties/app/loyalty/upload"
	petrock "github.com/angelowl-loyalties/app/pet-rock"
)

// seeded is the source of what a test does at random. A test that fails has said its seed; with
// ANGELOWL_SEED it does the same again, as far as the machine is as fast.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ANGELOWL_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		check(t, err)
	}
	t.Logf("ANGELOWL_SEED=%d does this again", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// spoilt is a file with a row that is refused behind every fifth, whose names are of several lines; it
// says how many those are.
func spoilt(body []byte) ([]byte, int) {
	lines := strings.SplitAfter(strings.TrimSuffix(string(body), "\n"), "\n")
	var b strings.Builder
	bad := 0
	for i, line := range lines {
		b.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		if i%5 == 1 {
			id := uuid.NewSHA1(uuid.Nil, []byte(strconv.Itoa(i))).String()
			fmt.Fprintf(&b, "%s,\"Ann\nof many\nlines\",Lee,call me,bad-%d@example.com,,,%s,%s,gold\n\n", id, i, id, pan(id))
			bad++
		}
	}
	return []byte(b.String()), bad
}

// note is the checkpoint of a file; nil: there is none.
func (w *world) note(key string) *petrock.Checkpoint {
	w.t.Helper()
	b := w.object(upload.CheckpointKey(upload.Users, petrock.UploadID(bucket, key)))
	if b == nil {
		return nil
	}
	var c petrock.Checkpoint
	check(w.t, json.Unmarshal(b, &c))
	return &c
}

// same fails unless the refused rows of two files are the same but for the files' names.
func (w *world) same(key, other string) {
	w.t.Helper()
	text := func(key string) string {
		_, refused := w.report(key)
		return strings.ReplaceAll(refused, key, "")
	}
	if a, b := text(key), text(other); a != b || strings.Count(a, "\n") < 2 {
		w.t.Fatalf("the refused rows are not those of a file that was read at once:\n%s\nwant\n%s", b, a)
	}
}

// putPlain uploads a file that has its key for a name.
func (w *world) putPlain(key string, body []byte) {
	w.t.Helper()
	_, err := w.s3.Client().PutObject(w.t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(string(body))})
	check(w.t, err)
}

// TestAFileThatIsTooLongForOneInvocation holds that a file whose reading takes longer than an invocation
// has ends up entered, and reported, as one that was read at once. Profiler takes longer than it has here:
// each invocation has time for some batches.
func TestAFileThatIsTooLongForOneInvocation(t *testing.T) {
	w := start(t)
	w.quiet = true
	all := people(41, 120, 170)
	body, bad := spoilt(file(41, all))
	for name, body := range map[string][]byte{"plain": body, "compressed": zipped(t, body)} {
		t.Run(name, func(t *testing.T) {
			parts, whole := name+"-parts.csv", name+"-whole.csv"
			w.putPlain(parts, body)
			w.putPlain(whole, body)
			id := petrock.UploadID(bucket, parts)
			limit := time.Second
			runs, paused, last := 0, 0, int64(0)
			for w.object(upload.ReportKey(upload.Users, id)) == nil {
				if runs++; runs == 100 {
					t.Fatal("it comes to no end")
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				var batches atomic.Int64
				over, done := context.WithTimeout(ctx, limit*2/3+10*time.Millisecond) // it sends no more rows then
				w.mu.Lock()
				w.around = func(next func() error) error {
					err := next()
					if batches.Add(1) == 40 { // batches of rows, and new users asked for
						<-over.Done()
					}
					return err
				}
				w.mu.Unlock()
				err := w.tell(ctx, parts, 10)
				done()
				cancel()
				w.mu.Lock()
				w.around = nil
				w.mu.Unlock()
				if err != nil {
					limit *= 2 // the machine is too slow
					continue
				}
				if c := w.note(parts); c != nil {
					if !c.Paused || c.Offset <= last || c.Rows.Read != c.Rows.Accepted+c.Rows.Refused {
						t.Fatalf("run %d: paused %t at %d after %d, rows %+v", runs, c.Paused, c.Offset, last, c.Rows)
					}
					last = c.Offset
					paused++
				}
			}
			if name == "plain" && paused < 2 {
				t.Fatalf("it was paused %d times, which is too few to show anything", paused)
			}
			t.Logf("%d runs, %d of which were paused", runs, paused)
			w.stands(all...)
			r, _ := w.report(parts)
			sum := sha256.Sum256(body)
			if r.State != upload.Reconciled || r.Rows != (upload.Rows{Read: int64(170 + bad), Accepted: 170, Refused: int64(bad)}) || r.SHA256 != hex.EncodeToString(sum[:]) ||
				r.Users.Created+r.Users.Changed+r.Users.Unchanged != 170 || len(r.RefusedByReason) != 1 || r.RefusedByReason[0].Rows != int64(bad) {
				t.Errorf("%+v %+v", r, r.Users)
			}
			check(t, w.tell(t.Context(), whole, 10))
			w.same(whole, parts)
			if again, _ := w.report(whole); again.Users.Unchanged != 170 || again.Repeats == nil || again.Repeats.Upload != r.Upload {
				t.Errorf("%+v %+v", again, again.Users)
			}
			left, err := w.s3.Client().ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(reports), Prefix: aws.String("users/" + id + "/")})
			if check(t, err); len(left.Contents) != 2 {
				t.Errorf("beside the report and the refused rows something is left: %d objects", len(left.Contents))
			}
		})
	}
	for _, p := range all {
		if w.asked[uuid.MustParse(p.id)] == 0 {
			t.Errorf("nobody asked for the first password of %s", p.email)
		}
	}
}

// TestSweep holds that a file whose event was lost, and one that is paused, is read all the same, and
// one that is being read is left alone.
func TestSweep(t *testing.T) {
	w := start(t)
	w.quiet = true
	all := people(51, 6, 9)
	lost, paused, busy := w.put("lost.csv", file(51, all[:2])), w.put("paused.csv", file(52, all[2:4])), w.put("busy.csv", file(53, all[4:]))
	w.putPlain("lost.csv"+upload.ControlSuffix, []byte(`{"rows": 1}`))
	now := time.Now()
	h := w.handler(0, func() time.Time { return now })
	note := func(key string, c petrock.Checkpoint) {
		t.Helper()
		b, err := json.Marshal(c)
		check(t, err)
		_, err = w.s3.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(reports), Key: aws.String(upload.CheckpointKey(upload.Users, petrock.UploadID(bucket, key))), Body: strings.NewReader(string(b))})
		check(t, err)
	}
	sweep := func(want ...string) {
		t.Helper()
		check(t, h.Sweep(t.Context(), bucket))
		n := 0
		for _, key := range []string{lost, paused, busy} {
			if w.object(upload.ReportKey(upload.Users, petrock.UploadID(bucket, key))) == nil {
				continue
			}
			if n++; n > len(want) || want[n-1] != key {
				t.Fatalf("%s has a report", key)
			}
		}
		if n != len(want) {
			t.Fatalf("%d files have reports, want %d", n, len(want))
		}
	}
	note(busy, petrock.Checkpoint{At: now})
	sweep() // they have just come
	note(paused, petrock.Checkpoint{At: now, Paused: true})
	sweep(paused)
	now = now.Add(3 * time.Minute)
	note(busy, petrock.Checkpoint{At: now})
	sweep(lost, paused)
	w.stands(all[:4]...)
	now = now.Add(3 * time.Minute) // whoever read it is gone
	sweep(lost, paused, busy)
	w.stands(all...)
	sweep(lost, paused, busy)
	for _, p := range all {
		if n := w.asked[uuid.MustParse(p.id)]; n != 1 {
			t.Errorf("%d times a first password was asked for for %s", n, p.email)
		}
	}
}

// killer counts the steps of a lambda, of which every reading of a file has as many: before and after each
// thing that it asks others for.
type killer struct {
	mu     sync.Mutex
	left   int // steps until the kill
	seen   int
	kill   func()
	struck bool
	asked  map[uuid.UUID]bool
}

// step says whether the lambda is dead by now.
func (k *killer) step() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen++
	if k.left--; k.left == 0 {
		k.struck = true
		k.kill()
	}
	return k.struck
}

// told sets when the kill comes; 0: never.
func (k *killer) told(left int, kill func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left, k.seen, k.kill, k.struck, k.asked = left, 0, kill, false, map[uuid.UUID]bool{}
}

// first says whether a user is asked for for the first time: how often hangs on how soon mails go out.
func (k *killer) first(user uuid.UUID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.asked[user]
	k.asked[user] = true
	return !before
}

// dead says whether the lambda is.
func (k *killer) dead() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.struck
}

// counts says whether a request to S3 is one of those that every reading of a file has: how many
// checkpoints there are hangs on how long it takes.
func counts(r *http.Request) bool {
	return r.Method == http.MethodPut && (strings.HasSuffix(r.URL.Path, "/refused.csv") || strings.Contains(r.URL.Path, "/content/") || strings.HasSuffix(r.URL.Path, "/report.json"))
}

// TestKilled kills the lambda's process at points of chance, before and after it hears what it asked for,
// and then runs it again: exactly the users of the file are there, each row that was refused is said once,
// and each new user has one mail.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: it kills processes")
	}
	rnd := seeded(t)
	kills := 5
	if os.Getenv("ANGELOWL_LONG") != "" {
		kills = 20
	}
	w := start(t)
	program := lambdatest.Build(t, home, "pet-rock/cmd/pet-rock")
	k := &killer{}
	store, profiler := lambdatest.NewProxy(t, w.s3.Endpoint()), lambdatest.NewProxy(t, w.internal)
	store.Before = func(r *http.Request) bool { return counts(r) && k.step() }
	store.After = func(r *http.Response) bool { return counts(r.Request) && k.step() }
	users := func(r *http.Request) bool { return r.URL.Path == "/internal/users" }
	profiler.Before = func(r *http.Request) bool { return users(r) && k.step() }
	profiler.After = func(r *http.Response) bool { return users(r.Request) && k.step() }
	invoked := httptest.NewServer(invocations(t, func(r *http.Request, user uuid.UUID) {
		first := k.first(user)
		if first && k.step() || k.dead() {
			panic(http.ErrAbortHandler)
		}
		check(t, w.queue.Ask(t.Context(), user))
		if first && k.step() {
			panic(http.ErrAbortHandler)
		}
	}))
	defer invoked.Close()
	invoke := func(key string, left int) error {
		t.Helper()
		p := w.process(program, store.URL, w.public, profiler.URL, invoked.URL, "BATCH_ROWS=5", "CHECKPOINT_EVERY=10ms")
		defer p.Kill()
		k.told(left, p.Kill)
		_, err := p.Invoke(t.Context(), event(key), patience)
		if err != nil && !errors.Is(err, lambdatest.ErrEnded) {
			t.Fatalf("%v\n%s", err, p.Log())
		}
		return err
	}
	var (
		all   []person
		first string
		steps int // of a file that is read at once
	)
	for round := range kills + 1 {
		batch := people(uint64(500+round), 24, 34)
		all = append(all, batch...)
		body, bad := spoilt(file(uint64(round), batch))
		key := fmt.Sprintf("killed-%d.csv", round)
		w.putPlain(key, body)
		if round == 0 {
			check(t, invoke(key, 0))
			first, steps = key, k.seen
		} else {
			at := 1 + rnd.IntN(steps-1) // the last is when S3 has the report
			if err := invoke(key, at); !errors.Is(err, lambdatest.ErrEnded) || !k.struck {
				t.Fatalf("file %d was not killed at step %d of %d: %v", round, at, steps, err)
			}
			if w.object(upload.ReportKey(upload.Users, petrock.UploadID(bucket, key))) != nil {
				t.Fatalf("file %d was killed at step %d when it was done", round, at)
			}
			offset := int64(-1)
			if c := w.note(key); c != nil {
				offset = c.Offset
			}
			t.Logf("file %d is killed at step %d of %d, when the checkpoint is at byte %d of %d", round, at, steps, offset, len(body))
			check(t, invoke(key, 0))
		}
		w.stands(all...)
		r, refused := w.report(key)
		if r.State != upload.Reconciled || r.Rows != (upload.Rows{Read: int64(34 + bad), Accepted: 34, Refused: int64(bad)}) ||
			r.Users.Created+r.Users.Changed+r.Users.Unchanged != 34 || r.RefusedByReason[0].Rows != int64(bad) {
			t.Errorf("%+v %+v", r, r.Users)
		}
		if n := strings.Count(refused, "call me"); n != bad || bad == 0 {
			t.Errorf("%d rows are in the refused rows, want %d:\n%s", n, bad, refused)
		}
		w.same(first, key)
	}
	w.drained(len(all))
	w.oneMailEach(all...)
}

func zipped(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(body)
	check(t, errors.Join(err, z.Close()))
	return b.Bytes()
}
