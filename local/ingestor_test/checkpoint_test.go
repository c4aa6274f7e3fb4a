package ingestor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/angelowl-loyalties/app/ingestor"
	uploads "github.com/angelowl-loyalties/app/loyalty/upload"
)

// long is a file of so many rows, every seventh of which is refused, with a row of several lines, blank
// lines and a quote that is never closed.
func long(rows int) string {
	var b strings.Builder
	b.WriteString("\ufeff" + header)
	for i := range rows {
		card, amount := card1, "1.01"
		if i%2 == 0 {
			card = card2
		}
		if i%7 == 0 {
			amount = "refuse me"
		}
		row := line(i, card, amount)
		switch {
		case i%1000 == 1:
			row = strings.Replace(row, "Kaligo", "\"Kaligo\nof\nmany lines\"", 1)
		case i%1000 == 2:
			row = "\n\r\n" + row
		case i%1000 == 3:
			row = strings.Replace(row, "Kaligo", `"Kaligo`, 1)
		}
		b.WriteString(row)
	}
	return b.String()
}

// lines are the lines of a file's rows in the topic, each once.
func (y *system) lines(id string) (distinct map[string]string, records int) {
	y.t.Helper()
	distinct = map[string]string{}
	for _, m := range y.queued() {
		h := headers(m)
		if h["source"] != "upload:"+id {
			continue
		}
		records++
		if before, ok := distinct[h["line"]]; ok && before != string(m.Value) {
			y.t.Fatalf("line %s is %s and %s", h["line"], before, m.Value)
		}
		distinct[h["line"]] = string(m.Value)
	}
	return distinct, records
}

func headers(m *sarama.ConsumerMessage) map[string]string {
	out := map[string]string{}
	for _, h := range m.Headers {
		out[string(h.Key)] = string(h.Value)
	}
	return out
}

// figures are what a report says of the file and not of the reading.
func figures(r ingestor.Report) ingestor.Report {
	r.Upload, r.Key, r.File, r.StartedAt, r.FinishedAt, r.Ranges, r.Repeats, r.Warnings = "", "", "", time.Time{}, time.Time{}, nil, nil, nil
	return r
}

// A file that takes longer than an invocation has ends up read exactly as by one that had the time.
func TestAFileThatIsTooLongForOneInvocation(t *testing.T) {
	y := start(t, "SGD")
	body := []byte(long(60_000))
	for name, c := range map[string][]byte{"plain": body, "compressed": zipped(t, string(body))} {
		t.Run(name, func(t *testing.T) {
			whole, parts := "spend/"+name+"-whole", "spend/"+name+"-parts"
			y.put(whole, c, nil)
			y.put(parts, c, nil)
			if err := y.tell("uploads/" + whole); err != nil {
				t.Fatal(err)
			}
			id := ingestor.UploadID("uploads", parts)
			runs, last := 0, int64(-1)
			for ; y.object(ingestor.ReportKey(id)) == nil; runs++ {
				if runs == 100 {
					t.Fatal("it comes to no end")
				}
				// The first ends at its first look at the clock; the others have longer and longer.
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(60+20*runs)*time.Millisecond)
				_, err := y.lambda.Invoke(ctx, event("uploads/"+url.QueryEscape(parts)))
				cancel()
				if err != nil {
					continue // it did not even connect
				}
				var c ingestor.Checkpoint
				if b := y.object(uploads.CheckpointKey(uploads.Spend, id)); b != nil {
					decode(t, b, &c)
					if !c.Paused || c.Offset < last || c.Rows.Read != c.Rows.Accepted+c.Rows.Refused {
						t.Errorf("run %d: paused %t at %d, rows %+v", runs, c.Paused, c.Offset, c.Rows)
					}
					last = c.Offset
				}
			}
			if runs < 3 || last <= 0 {
				t.Fatalf("%d runs are too few to show anything", runs)
			}
			a, b := y.report(ingestor.UploadID("uploads", whole)), y.report(id)
			if !reflect.DeepEqual(figures(a), figures(b)) {
				t.Errorf("in one run:\n%+v\nin %d:\n%+v", figures(a), runs, figures(b))
			}
			one := bytes.ReplaceAll(y.object(ingestor.RefusedKey(a.Upload)), []byte(whole), []byte("FILE"))
			many := bytes.ReplaceAll(y.object(ingestor.RefusedKey(id)), []byte(parts), []byte("FILE"))
			if !bytes.Equal(one, many) {
				t.Errorf("the refused rows differ: %d bytes in one run, %d in %d", len(one), len(many), runs)
			}
			want, _ := y.lines(a.Upload)
			got, records := y.lines(id)
			if !reflect.DeepEqual(got, want) || int64(len(got)) != a.Rows.Accepted {
				t.Errorf("%d lines are queued, want %d", len(got), len(want))
			}
			t.Logf("%d runs, %d records of %d rows", runs, records, len(got))
			if y.object(uploads.CheckpointKey(uploads.Spend, id)) != nil {
				t.Error("the checkpoint is still there")
			}
			if b.Repeats == nil || b.Repeats.Upload != a.Upload {
				t.Errorf("that the content came before is not said: %+v", b.Repeats)
			}
		})
	}
}

// Two may read one file at once: an event that came twice, or a sweep while Kafka is away for long. Neither
// spoils the checkpoint or the refused rows of the other.
func TestTwoReadOneFile(t *testing.T) {
	y := start(t, "SGD")
	body := []byte(long(20_000))
	y.put("spend/whole", body, nil)
	y.put("spend/twice", body, nil)
	if err := y.tell("uploads/spend/whole"); err != nil {
		t.Fatal(err)
	}
	a, id := y.report(ingestor.UploadID("uploads", "spend/whole")), ingestor.UploadID("uploads", "spend/twice")
	// The first is stopped by its time at a third of the file, and so is the second, which goes on there, at
	// two thirds; then the first goes on where it was.
	note := uploads.CheckpointKey(uploads.Spend, id)
	pause := func(before int64, upTo int) (c ingestor.Checkpoint, was []byte) {
		t.Helper()
		const limit = 1500 * time.Millisecond
		defer func() { y.progress = nil }()
		for {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			over, done := context.WithTimeout(ctx, limit*2/3+10*time.Millisecond) // it looks for no more rows then
			y.progress = func(_ string, read, _ int64) {
				if read > int64(upTo) {
					<-over.Done()
				}
			}
			_, err := y.lambda.Invoke(ctx, event("uploads/spend/twice"))
			done()
			cancel()
			if err != nil {
				continue // the machine is too slow
			}
			if was = y.object(note); was == nil {
				t.Fatal("it came to its end")
			}
			if decode(t, was, &c); c.Offset > before {
				return c, was
			}
		}
	}
	first, was := pause(0, len(body)/3)
	second, _ := pause(first.Offset, 2*len(body)/3)
	if len(second.Parts) <= len(first.Parts) {
		t.Fatalf("%d parts, and then %d", len(first.Parts), len(second.Parts))
	}
	if _, err := y.s3.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String("reports"), Key: &note, Body: bytes.NewReader(was)}); err != nil {
		t.Fatal(err)
	}
	third, _ := pause(first.Offset, 2*len(body)/3)
	for _, part := range third.Parts[len(first.Parts):] {
		for _, other := range second.Parts {
			if part == other {
				t.Fatalf("two have written the part %s", part)
			}
		}
	}
	if err := y.tell("uploads/spend/twice"); err != nil {
		t.Fatal(err)
	}
	if b := y.report(id); !reflect.DeepEqual(figures(a), figures(b)) {
		t.Errorf("in one run:\n%+v\nby two:\n%+v", figures(a), figures(b))
	}
	one := bytes.ReplaceAll(y.object(ingestor.RefusedKey(a.Upload)), []byte("spend/whole"), nil)
	two := bytes.ReplaceAll(y.object(ingestor.RefusedKey(id)), []byte("spend/twice"), nil)
	if !bytes.Equal(one, two) {
		t.Errorf("the refused rows differ: %d bytes by one, %d by two", len(one), len(two))
	}
	left, err := y.s3.Client().ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("reports"), Prefix: aws.String(ingestor.RefusedKey(id) + ".")})
	if err != nil || len(left.Contents) != 0 {
		t.Errorf("parts are left: %v %v", left, err)
	}
}

func TestTheBanksOwnTotalsAreChecked(t *testing.T) {
	y := start(t, "SGD")
	body := []byte(header + line(0, card1, "1.10") + line(1, card1, "2.20") + line(2, card1, "x"))
	for name, c := range map[string]struct {
		control string
		says    []string
	}{
		"none":               {"", nil},
		"the same":           {`{"rows": 3, "totals": {"SGD": "3.30"}}`, nil},
		"a row is missing":   {`{"rows": 4}`, []string{"rows: the bank says 4, the file has 3"}},
		"another sum":        {`{"rows": 3, "totals": {"SGD": 3.31, "JPY": 5}}`, []string{"JPY: the bank says 5", "SGD: the bank says 3.31, the rows whose amounts could be read sum to 3.30"}},
		"it cannot be read":  {`rows,3`, []string{"could not be checked"}},
		"another's currency": {`{"totals": {"SG": 1}}`, []string{"not an ISO 4217 currency"}},
	} {
		t.Run(name, func(t *testing.T) {
			key := "spend/" + strings.ReplaceAll(name, "'", "")
			if c.control != "" {
				y.put(key+uploads.ControlSuffix, []byte(c.control), nil)
			}
			y.put(key, body, nil)
			if err := y.tell("uploads/"+url.QueryEscape(key), "uploads/"+url.QueryEscape(key+uploads.ControlSuffix)); err != nil {
				t.Fatal(err)
			}
			r := y.report(ingestor.UploadID("uploads", key))
			if (c.control != "") != (r.Control != nil) || r.Control != nil && r.Control.Agrees != (c.says == nil) {
				t.Fatalf("got %+v", r.Control)
			}
			said := strings.ToLower(strings.Join(r.Warnings, "\n"))
			for _, s := range c.says {
				if !strings.Contains(said, strings.ToLower(s)) {
					t.Errorf("%q is not said in %q", s, said)
				}
			}
			if c.says == nil && strings.Contains(said, "BANK SAYS") {
				t.Errorf("all is well, and yet %q", said)
			}
			if y.object(ingestor.ReportKey(ingestor.UploadID("uploads", key+uploads.ControlSuffix))) != nil {
				t.Error("the side-car has a report of its own")
			}
		})
	}
}

func TestSweepReadsWhatNobodyWasToldOf(t *testing.T) {
	y := start(t, "SGD")
	for i := range 3 {
		y.put(fmt.Sprintf("spend/%d.csv", i), []byte(header+line(i, card1, "1")), nil)
	}
	y.clock = time.Now()
	if err := y.handler.Sweep(t.Context(), "uploads"); err != nil {
		t.Fatal(err)
	}
	if n := len(y.queued()); n != 0 {
		t.Errorf("files that have just come were swept: %d rows", n)
	}
	if err := y.tell("uploads/spend/1.csv"); err != nil {
		t.Fatal(err)
	}
	y.clock = y.clock.Add(5 * time.Minute)
	for range 2 {
		if err := y.handler.Sweep(t.Context(), "uploads"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(y.queued()); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
}

// endless is a reader of one byte, again and again.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// Whatever is wrong with a file as a whole, its report says what to do.
func TestABadFilesReportSaysWhatToDo(t *testing.T) {
	y := start(t, "SGD")
	for name, c := range map[string]struct{ body, code, does string }{
		"zip":           {"PK\x03\x04....", "zip_file", "save the sheet as CSV UTF-8"},
		"0 bytes":       {"", "empty_file", "send one with a header row"},
		"UTF-16":        {"\xff\xfei\x00d\x00", "utf_16", "save it as UTF-8"},
		"only a header": {header, "", "export it again"},
	} {
		t.Run(name, func(t *testing.T) {
			key := "spend/bad " + name
			y.put(key, []byte(c.body), nil)
			if err := y.tell("uploads/" + url.QueryEscape(key)); err != nil {
				t.Fatal(err)
			}
			r := y.report(ingestor.UploadID("uploads", key))
			if said := r.Error + strings.Join(r.Warnings, " "); r.Code != c.code || !strings.Contains(said, c.does) {
				t.Errorf("%s: %s", r.Code, said)
			}
		})
	}
}

func decode(t *testing.T, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}
