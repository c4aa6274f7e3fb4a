package ingestor_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/local/lambdatest"
	"github.com/angelowl-loyalties/app/local/s3"
)

// The lambda as it is deployed, a process of its own for each file, needs as much memory for a
// file of millions of rows as for one of a hundred thousand. The long form reads 10 million.
func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it reads a million rows")
	}
	rows := 1_000_000
	if os.Getenv("ANGELOWL_LONG") != "" {
		rows = 10_000_000
	}
	program := lambdatest.Build(t, home, "ingestor/cmd/ingestor")
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
	began := time.Now()
	most := y.process(program, y.s3.Endpoint(), key)
	took := time.Since(began)
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

// process has a new process read a file, from this address of S3, and returns the most resident memory that
// it had, in KiB.
func (y *system) process(program, address, key string) int {
	y.t.Helper()
	p := lambdatest.Start(y.t, program, "BROKER_HOST="+y.broker.Addr(), "HOME_CURRENCY=SGD", "REPORT_BUCKET=reports",
		"AWS_REGION="+s3.Region, "AWS_ENDPOINT_URL_S3="+address, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=secret-of-the-test")
	defer p.Kill()
	if _, err := p.Invoke(y.t.Context(), event("uploads/"+key), 15*time.Minute); err != nil {
		y.t.Fatalf("%v\n%s", err, p.Log())
	}
	return p.Peak()
}

// A line of a gigabyte, as the header or below it, takes no more memory than any other file, and the
// report says what to do. Nobody stores the gigabyte: it is made as it is read.
func TestALineOfAGigabyte(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: it reads a gigabyte")
	}
	const most = 100 << 10 // KiB; the smallest lambda has 128 MB
	program := lambdatest.Build(t, home, "ingestor/cmd/ingestor")
	y := start(t, "SGD")
	for name, c := range map[string]struct {
		before, after string
		report        ingestor.Report
		says          string
	}{
		"the header": {"", "", ingestor.Report{State: ingestor.Failed, Code: "bad_header"}, "save the file with a header row and one line for each transaction"},
		"a row": {header + line(0, card1, "1"), "\n" + line(1, card1, "2"),
			ingestor.Report{State: ingestor.Queued, Rows: ingestor.Rows{Read: 3, Accepted: 2, Refused: 1}}, "see whether the line ends are missing"},
	} {
		t.Run(name, func(t *testing.T) {
			key := "spend/" + strings.ReplaceAll(name, " ", "-")
			y.put(key, []byte("x"), nil)
			proxy := lambdatest.NewProxy(t, y.s3.Endpoint())
			proxy.After = lambdatest.Instead("/uploads/"+key, func() io.Reader {
				return io.MultiReader(strings.NewReader(c.before), io.LimitReader(endless{}, 1<<30), strings.NewReader(c.after))
			}, int64(len(c.before)+1<<30+len(c.after)))
			if peak := y.process(program, proxy.URL, key); peak > most {
				t.Errorf("it took %d KiB, want %d at most", peak, most)
			}
			r := y.report(ingestor.UploadID("uploads", key))
			said := r.Error + string(y.object(ingestor.RefusedKey(r.Upload)))
			if r.State != c.report.State || r.Code != c.report.Code || r.Rows != c.report.Rows || !strings.Contains(said, c.says) {
				t.Errorf("%s %s %+v: %s", r.State, r.Code, r.Rows, said)
			}
		})
	}
}
