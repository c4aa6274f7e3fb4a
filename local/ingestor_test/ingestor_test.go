// Package ingestor_test holds the ingestor against a real S3 server and a Kafka broker, through
// the lambda's own entry: the JSON of an S3 event.
package ingestor_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"

	"github.com/IBM/sarama"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/local/kafka"
	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/angelowl-loyalties/app/loyalty"
)

var (
	update = flag.Bool("update", false, "write the golden files")
	home   string // the working directory at the start: the S3 server changes it
)

func TestMain(m *testing.M) {
	var err error
	if home, err = os.Getwd(); err != nil {
		panic(err)
	}
	// sarama's metrics have one for the whole process, and a producer whose broker is away one that
	// sleeps for 10 s and then ends. The HTTP server under the S3 server has one for
	// the date, and looks every 10 s whether it was stopped.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

const (
	upload = "11111111-2222-4333-8444-555555555555"
	key    = "spend/" + upload + ".csv"
	card1  = "01eca9de-9ff3-4d16-be03-75f228fc207f"
	card2  = "17cc3eca-c920-4e83-83fd-e1bb9f89ca75"
	header = "id,card_id,merchant,mcc,currency,amount,sgd_amount,transaction_id,transaction_date,card_pan,card_type\n"
)

// line is a good row of a file.
func line(n int, card, amount string) string {
	return fmt.Sprintf("%08x-467d-48aa-96ab-d79394710a2b,%s,Kaligo,5122,SGD,%s,,ref-%d,2021-09-01,4462-0971-1327-7064,scis_premiummiles\n", n+1, card, amount, n)
}

// system is the ingestor with what it works on.
type system struct {
	t       testing.TB
	s3      *s3.Server
	broker  *kafka.Broker
	addr    atomic.Value // of Kafka, a string
	log     bytes.Buffer
	lambda  lambda.Handler
	handler *ingestor.Handler
	clock   time.Time
	// connected, when it is set, is called when the ingestor has connected to Kafka.
	connected func()
	// transport, when it is set, stands between the ingestor and S3.
	transport http.RoundTripper
	// progress is called as the ingestor calls it.
	progress func(upload string, read, size int64)
}

func start(t testing.TB, currency string) *system {
	t.Helper()
	y := &system{t: t, clock: time.Date(2021, 9, 2, 3, 4, 5, 0, time.UTC)}
	var err error
	if y.broker, err = kafka.Start(t.Context(), kafka.Config{Dir: t.TempDir(), Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(y.broker.Close)
	y.addr.Store(y.broker.Addr())
	y.s3, err = s3.Start(t.Context(), s3.Config{
		Dir: t.TempDir(), AccessKey: "test", SecretKey: "secret-of-the-test", Buckets: []string{"uploads", "reports"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		y.s3.Close()
		if err := os.Chdir(home); err != nil {
			t.Error(err)
		}
	})
	h, err := ingestor.New(
		ingestor.Config{Home: loyalty.MustCurrency(currency), ReportBucket: "reports"},
		ingestor.Deps{
			S3: awss3.New(y.s3.Client().Options(), func(o *awss3.Options) { o.HTTPClient = &http.Client{Transport: y} }),
			NewProducer: func(c *sarama.Config) (sarama.AsyncProducer, error) {
				c.Producer.Retry.Max = 2 // tests do not wait for long
				c.Metadata.Retry.Max = 1
				p, err := sarama.NewAsyncProducer([]string{y.addr.Load().(string)}, c)
				if y.connected != nil {
					y.connected()
				}
				return p, err
			},
			Log:   slog.New(slog.NewTextHandler(&y.log, nil)),
			Clock: func() time.Time { return y.clock },
			Progress: func(upload string, read, size int64) {
				if y.progress != nil {
					y.progress(upload, read, size)
				}
			},
		})
	if err != nil {
		t.Fatal(err)
	}
	y.handler, y.lambda = h, lambda.NewHandler(h.Handle)
	return y
}

// RoundTrip implements http.RoundTripper.
func (y *system) RoundTrip(r *http.Request) (*http.Response, error) {
	if y.transport != nil {
		return y.transport.RoundTrip(r)
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (y *system) put(key string, body []byte, metadata map[string]string) {
	y.t.Helper()
	_, err := y.s3.Client().PutObject(y.t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String("uploads"), Key: &key, Body: bytes.NewReader(body), Metadata: metadata,
	})
	if err != nil {
		y.t.Fatal(err)
	}
}

// tell invokes the lambda with an event of new objects, each bucket/key as S3 encodes it.
func (y *system) tell(objects ...string) error {
	y.t.Helper()
	ctx := lambdacontext.NewContext(y.t.Context(), &lambdacontext.LambdaContext{AwsRequestID: invocation})
	_, err := y.lambda.Invoke(ctx, event(objects...))
	return err
}

// invocation is the id that AWS gives each.
const invocation = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

// event is S3's event of new objects.
func event(objects ...string) []byte {
	var records []any
	for _, o := range objects {
		bucket, key, _ := strings.Cut(o, "/")
		records = append(records, map[string]any{
			"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
			"eventTime": "2021-09-02T03:04:05.000Z", "eventName": "ObjectCreated:Put",
			"s3": map[string]any{"bucket": map[string]any{"name": bucket}, "object": map[string]any{"key": key, "size": 1}},
		})
	}
	payload, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		panic(err) // texts and a number
	}
	return payload
}

// object is an object of the reports' bucket, or nil.
func (y *system) object(key string) []byte {
	y.t.Helper()
	out, err := y.s3.Client().GetObject(y.t.Context(), &awss3.GetObjectInput{Bucket: aws.String("reports"), Key: &key})
	var none *types.NoSuchKey
	if errors.As(err, &none) {
		return nil
	}
	if err != nil {
		y.t.Fatal(err)
	}
	b, err := io.ReadAll(out.Body)
	if err != nil {
		y.t.Fatal(err)
	}
	return b
}

func (y *system) report(upload string) ingestor.Report {
	y.t.Helper()
	b := y.object(ingestor.ReportKey(upload))
	if b == nil {
		y.t.Fatalf("there is no report of %s", upload)
	}
	var r ingestor.Report
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		y.t.Fatal(err)
	}
	if r.Rows.Read != r.Rows.Accepted+r.Rows.Refused {
		y.t.Errorf("the rows do not add up: %+v", r.Rows)
	}
	return r
}

// queued reads all that the topic has, partition by partition.
func (y *system) queued() []*sarama.ConsumerMessage {
	y.t.Helper()
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	client, err := sarama.NewClient([]string{y.addr.Load().(string)}, c)
	if err != nil {
		y.t.Fatal(err)
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		y.t.Fatal(err)
	}
	defer func() { _ = consumer.Close(); _ = client.Close() }()
	var all []*sarama.ConsumerMessage
	for p := range int32(3) {
		end, err := client.GetOffset("transaction", p, sarama.OffsetNewest)
		if err != nil {
			y.t.Fatal(err)
		}
		pc, err := consumer.ConsumePartition("transaction", p, sarama.OffsetOldest)
		if err != nil {
			y.t.Fatal(err)
		}
		for range end {
			all = append(all, <-pc.Messages())
		}
		_ = pc.Close()
	}
	return all
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join(home, "testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it):\n%s", name, got)
	}
}

// file has rows of two cards, good and bad ones of several kinds, and PANs where they must not be.
var file = header +
	line(0, card1, "1.10") +
	line(1, card2, "2.20") +
	line(2, card1, "-0.30") +
	strings.Replace(line(3, card2, "9.99"), "4462-0971-1327-7064", "123", 1) +
	strings.Replace(line(4, card2, "1.005"), "Kaligo", "=Kaligo 4000-0079-4409-6426", 1) +
	"a,b\n" +
	strings.Replace(line(5, card1, "5.55"), "Kaligo", `"Kaligo`, 1) +
	strings.Replace(line(6, card1, "7.00"), "Kaligo", "\"Say \"\"hi\"\",\nKaligo 4000-0079-4409-6426\"", 1) +
	strings.Replace(line(7, card1, "1e400"), "SGD", "ZZZ", 1) +
	strings.Replace(line(8, card2, "1000"), "SGD", "jpy", 1)

func TestAFileIsQueuedAndReported(t *testing.T) {
	y := start(t, "SGD")
	y.put(key, []byte(file), map[string]string{"filename": "September%202021.csv"})
	if err := y.tell("uploads/" + url.QueryEscape(key)); err != nil {
		t.Fatal(err)
	}

	got := map[string][]string{} // by card, in the order of its partition
	partition := map[string]int32{}
	for _, m := range y.queued() {
		tx, err := loyalty.DecodeTransaction(m.Value, loyalty.MustCurrency("SGD"))
		if err != nil {
			t.Fatal(err)
		}
		headers := map[string]string{}
		for _, h := range m.Headers {
			headers[string(h.Key)] = string(h.Value)
		}
		card := tx.CardID.String()
		if string(m.Key) != card || headers["source"] != "upload:"+upload || headers["format"] != "1" || headers["request_id"] != invocation || len(headers) != 4 {
			t.Errorf("key %s, headers %v of card %s", m.Key, headers, card)
		}
		if p, ok := partition[card]; ok && p != m.Partition {
			t.Errorf("the card %s is in partitions %d and %d", card, p, m.Partition)
		}
		partition[card] = m.Partition
		// As Kafka's own clients partition: other producers of the topic must agree.
		if want := kgo.StickyKeyPartitioner(nil).ForTopic("").Partition(&kgo.Record{Key: m.Key}, 3); int(m.Partition) != want {
			t.Errorf("the card %s is in partition %d, other clients put it into %d", card, m.Partition, want)
		}
		got[card] = append(got[card], fmt.Sprintf("%s:%s %s", headers["line"], tx.Money(), tx.Reference))
		if tx.CardPAN != "************7064" {
			t.Errorf("the PAN is %s", tx.CardPAN)
		}
	}
	for card, want := range map[string]string{
		card1: "[2:SGD 1.10 ref-0 4:SGD -0.30 ref-2 9:SGD 7.00 ref-6]",
		card2: "[3:SGD 2.20 ref-1 12:JPY 1000 ref-8]",
	} {
		if fmt.Sprint(got[card]) != want {
			t.Errorf("card %s: got %v, want %v", card, got[card], want)
		}
	}
	golden(t, "report.json", y.object(ingestor.ReportKey(upload)))
	golden(t, "refused.csv", y.object(ingestor.RefusedKey(upload)))
	if !strings.Contains(y.log.String(), "request_id="+invocation) {
		t.Errorf("the log does not name the invocation: %s", &y.log)
	}
}

func TestNoPANGoesAnywhere(t *testing.T) {
	y := start(t, "SGD")
	y.put(key, []byte(file), map[string]string{"filename": "4000-0079-4409-6426.csv"})
	y.put("spend/4000007944096426.csv", []byte("4000007944096426,4462097113277064\n"), nil)
	if err := y.tell("uploads/"+key, "uploads/spend/4000007944096426.csv"); err != nil {
		t.Fatal(err)
	}
	if err := y.tell("nowhere/4000007944096426.csv"); err == nil {
		t.Fatal("a bucket that is not there is no error")
	} else {
		y.log.WriteString(err.Error())
	}
	all := y.log.Bytes()
	for _, m := range y.queued() {
		all = append(append(all, m.Key...), m.Value...)
		for _, h := range m.Headers {
			all = append(append(append(all, h.Key...), h.Value...), ' ')
		}
	}
	objects, err := y.s3.Client().ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("reports")})
	if err != nil {
		t.Fatal(err)
	}
	if len(objects.Contents) != 5 { // two reports; and of the file that was read its refused rows, its content and what is pending
		t.Errorf("%d objects in the reports' bucket, want 5", len(objects.Contents))
	}
	for _, o := range objects.Contents {
		all = append(append(all, y.object(*o.Key)...), *o.Key...)
	}
	text := strings.NewReplacer("-", "", " ", "").Replace(string(all))
	for _, pan := range []string{"4462097113277064", "4000007944096426"} {
		if i := strings.Index(text, pan); i >= 0 {
			t.Errorf("there is a PAN: …%s", text[max(0, i-80):i+16])
		}
	}
}

func zipped(t *testing.T, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFilesAsAWhole(t *testing.T) {
	y := start(t, "SGD")
	var utf16le []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + file)) {
		utf16le = append(utf16le, byte(u), byte(u>>8))
	}
	good := header + line(0, card1, "1") + line(1, card2, "2")
	many := header
	for i := range 2000 {
		many += line(i, card1, "1")
	}
	whole := zipped(t, many)
	twice := append(zipped(t, good), zipped(t, line(2, card1, "3"))...)
	for name, c := range map[string]struct {
		body  []byte
		state ingestor.State
		code  string
		says  string
		rows  int64 // -1: some
	}{
		"good":                {[]byte(good), ingestor.Queued, "", "", 2},
		"BOM and CRLF":        {[]byte("\ufeff" + strings.ReplaceAll(good, "\n", "\r\n")), ingestor.Queued, "", "", 2},
		"only a header":       {[]byte(header), ingestor.Queued, "", "", 0},
		"gzip":                {zipped(t, good), ingestor.Queued, "", "", 2},
		"gzip of two members": {twice, ingestor.Queued, "", "", 3},
		"empty":               {nil, ingestor.Failed, "empty_file", "empty", 0},
		"one byte":            {[]byte("x"), ingestor.Failed, "bad_header", "not a header row", 0},
		"gzip of nothing":     {zipped(t, ""), ingestor.Failed, "empty_file", "empty", 0},
		"gzip of gzip":        {zipped(t, string(zipped(t, good))), ingestor.Failed, "gzip_file", "gzip", 0},
		"gzip cut off":        {whole[:len(whole)-20], ingestor.Failed, "bad_gzip", "damaged or cut off", -1},
		"gzip cut off early":  {whole[:5], ingestor.Failed, "bad_gzip", "damaged or cut off", 0},
		"xlsx":                {[]byte("PK\x03\x04......"), ingestor.Failed, "zip_file", "Excel", 0},
		"UTF-16":              {utf16le, ingestor.Failed, "utf_16", "UTF-16", 0},
		"header misspelt":     {[]byte(strings.Replace(good, "transaction_date", "transaction_dat", 1)), ingestor.Failed, "bad_header", "transaction_dat: did you mean transaction_date?", 0},
	} {
		t.Run(name, func(t *testing.T) {
			key := "spend/" + name
			y.put(key, c.body, nil)
			if err := y.tell("uploads/" + url.QueryEscape(key)); err != nil {
				t.Fatal(err)
			}
			id := ingestor.UploadID("uploads", key)
			r := y.report(id)
			if r.State != c.state || r.Code != c.code || !strings.Contains(r.Error, c.says) {
				t.Errorf("got %s %s: %s", r.State, r.Code, r.Error)
			}
			if r.Rows.Read != c.rows && (c.rows >= 0 || r.Rows.Read == 0 || r.Rows.Read > 2000) {
				t.Errorf("%d rows, want %d", r.Rows.Read, c.rows)
			}
			if r.Size != int64(len(c.body)) || r.File != key || r.Upload != id {
				t.Errorf("the report is of %s, %s, %d bytes", r.Upload, r.File, r.Size)
			}
			rows := y.object(ingestor.RefusedKey(id))
			if c.state == ingestor.Queued && !bytes.HasSuffix(bytes.TrimSpace(rows), []byte(",file,line,field,reason")) {
				t.Errorf("the refused rows are %q", rows)
			}
		})
	}
}

func TestEventsOfNothing(t *testing.T) {
	y := start(t, "SGD")
	for name, event := range map[string]string{
		"s3:TestEvent":     `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2021-09-02T03:04:05.000Z","Bucket":"uploads","RequestId":"x","HostId":"y"}`,
		"no records":       `{"Records":[]}`,
		"a deletion":       `{"Records":[{"eventName":"ObjectRemoved:Delete","s3":{"bucket":{"name":"uploads"},"object":{"key":"spend/x.csv"}}}]}`,
		"a report":         `{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"reports"},"object":{"key":"spend/x/refused.csv"}}}]}`,
		"without a bucket": `{"Records":[{"eventName":"ObjectCreated:Put","s3":{"object":{"key":"spend/x.csv"}}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := y.lambda.Invoke(t.Context(), []byte(event)); err != nil {
				t.Error(err)
			}
		})
	}
	out, err := y.s3.Client().ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("reports")})
	if err != nil || len(out.Contents) != 0 {
		t.Errorf("%d reports were written (%v)", len(out.Contents), err)
	}
}

func TestKeysAsS3AndOtherServersSendThem(t *testing.T) {
	y := start(t, "SGD")
	for _, key := range []string{"spend/plain.csv", "spend/a b.csv", "spend/c+d.csv", "spend/100%25.csv", "spend/é 100%.csv"} {
		y.put(key, []byte(header+line(0, card1, "1")), nil)
		for _, sent := range []string{key, url.QueryEscape(key)} {
			if _, err := url.QueryUnescape(sent); err != nil {
				continue // events.S3Event itself refuses it
			}
			t.Run(sent, func(t *testing.T) {
				if err := y.tell("uploads/" + sent); err != nil {
					t.Fatal(err)
				}
				if r := y.report(ingestor.UploadID("uploads", key)); r.Key != key || r.Rows.Accepted != 1 {
					t.Errorf("the report is of %q, %d rows", r.Key, r.Rows.Accepted)
				}
			})
		}
	}
}

func TestAFileThatIsGoneIsReported(t *testing.T) {
	y := start(t, "SGD")
	if err := y.tell("uploads/" + key); err != nil {
		t.Fatal(err)
	}
	if r := y.report(upload); r.State != ingestor.Failed || r.Code != "file_is_gone" {
		t.Errorf("got %s %s", r.State, r.Code)
	}
}

func TestAnEventThatComesTwiceCountsOnce(t *testing.T) {
	y := start(t, "SGD")
	y.put(key, []byte(header+line(0, card1, "1")), nil)
	for range 2 {
		if err := y.tell("uploads/"+key, "uploads/"+key); err != nil {
			t.Fatal(err)
		}
		y.clock = y.clock.Add(time.Hour)
	}
	if n := len(y.queued()); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
	if r := y.report(upload); !r.FinishedAt.Equal(y.clock.Add(-2 * time.Hour)) {
		t.Errorf("the report was written again at %s", r.FinishedAt)
	}
	y.put(key, []byte(header+line(0, card1, "1")+line(1, card1, "2")), nil)
	if err := y.tell("uploads/" + key); err != nil {
		t.Fatal(err)
	}
	if r := y.report(upload); r.Rows.Accepted != 2 {
		t.Errorf("another file under the same key has %d rows in its report, want 2", r.Rows.Accepted)
	}
}

func TestOneFileDoesNotStopTheOthersOfItsEvent(t *testing.T) {
	y := start(t, "SGD")
	y.put("spend/bad.csv", []byte("x,y\n"), nil)
	y.put("spend/good.csv", []byte(header+line(0, card1, "1")), nil)
	err := y.tell("uploads/spend/bad.csv", "no-such-bucket/spend/x.csv", "uploads/spend/good.csv")
	if err == nil || !strings.Contains(err.Error(), "no-such-bucket") {
		t.Errorf("the bucket that is not there: got %v", err)
	}
	if r := y.report(ingestor.UploadID("uploads", "spend/bad.csv")); r.State != ingestor.Failed {
		t.Errorf("the bad file is %s", r.State)
	}
	if r := y.report(ingestor.UploadID("uploads", "spend/good.csv")); r.State != ingestor.Queued || r.Rows.Accepted != 1 {
		t.Errorf("the good file is %s, %d rows", r.State, r.Rows.Accepted)
	}
}

func TestWithoutKafkaTheInvocationFailsAndTheNextOneSucceeds(t *testing.T) {
	y := start(t, "SGD")
	var body bytes.Buffer
	body.WriteString(header)
	const rows = 30_000
	for i := range rows {
		body.WriteString(line(i, card1, "1.01"))
	}
	y.put(key, body.Bytes(), nil)

	t.Run("away from the start", func(t *testing.T) {
		y.addr.Store("127.0.0.1:1")
		if err := y.tell("uploads/" + key); err == nil || !strings.Contains(err.Error(), "Kafka") {
			t.Errorf("got %v, want an error about Kafka", err)
		}
		if y.object(ingestor.ReportKey(upload)) != nil {
			t.Error("there is a report")
		}
		y.addr.Store(y.broker.Addr())
	})
	t.Run("goes away in the middle", func(t *testing.T) {
		y.progress = func(_ string, read, size int64) {
			if read > size/2 {
				y.broker.Close()
			}
		}
		if err := y.tell("uploads/" + key); err == nil || !strings.Contains(err.Error(), "Kafka") {
			t.Errorf("got %v, want an error about Kafka", err)
		}
		if y.object(ingestor.ReportKey(upload)) != nil {
			t.Error("there is a report")
		}
		y.progress = nil
	})
	t.Run("goes away before the last row is acknowledged", func(t *testing.T) {
		b, err := kafka.Start(t.Context(), kafka.Config{Dir: t.TempDir(), Partitions: 3})
		if err != nil {
			t.Fatal(err)
		}
		y.addr.Store(b.Addr())
		y.connected = b.Close
		y.put("spend/small.csv", []byte(header+line(0, card1, "1")), nil)
		if err := y.tell("uploads/spend/small.csv"); err == nil || !strings.Contains(err.Error(), "Kafka") {
			t.Errorf("got %v, want an error about Kafka", err)
		}
		if y.object(ingestor.ReportKey(ingestor.UploadID("uploads", "spend/small.csv"))) != nil {
			t.Error("there is a report")
		}
		y.connected = nil
	})
	t.Run("is back", func(t *testing.T) {
		b, err := kafka.Start(t.Context(), kafka.Config{Dir: t.TempDir(), Partitions: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		y.addr.Store(b.Addr())
		if err := y.tell("uploads/" + key); err != nil {
			t.Fatal(err)
		}
		if r := y.report(upload); r.Rows.Accepted != rows || r.Totals.Accepted["SGD"] != "30300.00" {
			t.Errorf("%d rows, SGD %s", r.Rows.Accepted, r.Totals.Accepted["SGD"])
		}
		if n := len(y.queued()); n != rows {
			t.Errorf("%d records, want %d", n, rows)
		}
	})
}

func TestWithoutS3TheInvocationFails(t *testing.T) {
	y := start(t, "SGD")
	y.put(key, []byte(file), nil)
	y.s3.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	payload, err := json.Marshal(events.S3Event{Records: []events.S3EventRecord{{
		EventName: "ObjectCreated:Put",
		S3:        events.S3Entity{Bucket: events.S3Bucket{Name: "uploads"}, Object: events.S3Object{Key: key}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := y.lambda.Invoke(ctx, payload); err == nil {
		t.Error("it succeeded")
	}
	if n := len(y.queued()); n != 0 {
		t.Errorf("%d records", n)
	}
}

// cutter breaks off what it passes on of uploads after some bytes.
type cutter struct{ after int64 }

func (c cutter) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/uploads/") {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(res.Body, c.after), iotest.ErrReader(io.ErrUnexpectedEOF)), res.Body}
	}
	return res, err
}

func TestAnObjectThatBreaksOffIsNoBadFile(t *testing.T) {
	y := start(t, "SGD")
	var body strings.Builder
	body.WriteString(header)
	for i := range 5000 {
		body.WriteString(line(i, card1, "1"))
	}
	packed := zipped(t, body.String())
	for name, c := range map[string]struct {
		body  []byte
		after int64
	}{
		"before the first byte":     {[]byte(body.String()), 0},
		"in the header":             {[]byte(body.String()), 20},
		"in the middle":             {[]byte(body.String()), 500_000},
		"compressed, in the header": {packed, 5},
		"compressed, in the middle": {packed, int64(len(packed) / 2)},
		"compressed, at the end":    {packed, int64(len(packed))},
	} {
		t.Run(name, func(t *testing.T) {
			key := "spend/" + name
			y.put(key, c.body, nil)
			y.transport = cutter{c.after}
			err := y.tell("uploads/" + url.QueryEscape(key))
			y.transport = nil
			if err == nil || !strings.Contains(err.Error(), "unexpected EOF") {
				t.Errorf("got %v, want the connection's error", err)
			}
			id := ingestor.UploadID("uploads", key)
			if y.object(ingestor.ReportKey(id)) != nil {
				t.Error("there is a report")
			}
			if err := y.tell("uploads/" + url.QueryEscape(key)); err != nil {
				t.Fatal(err)
			}
			if r := y.report(id); r.State != ingestor.Queued || r.Rows.Accepted != 5000 {
				t.Errorf("afterwards: %s, %+v", r.State, r.Rows)
			}
		})
	}
}

// The whole way: an upload, the server's own event, the lambda, the report.
func TestAnUploadIsIngestedWithoutBeingAskedFor(t *testing.T) {
	y := start(t, "SGD")
	y.s3.Close()
	server, err := s3.Start(t.Context(), s3.Config{
		Dir: t.TempDir(), AccessKey: "test", SecretKey: "secret-of-the-test", Addr: y.s3.Addr(), Buckets: []string{"reports"},
		Notify: []s3.Notification{{Bucket: "uploads", Prefix: "spend/", Deliver: func(ctx context.Context, event []byte) error {
			_, err := y.lambda.Invoke(ctx, event)
			return err
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	y.s3 = server
	y.put("spend/100 %+ü.csv", []byte(header+line(0, card1, "1")), nil)
	id := ingestor.UploadID("uploads", "spend/100 %+ü.csv")
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for y.object(ingestor.ReportKey(id)) == nil {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("there is no report after 20 s")
		}
	}
	if r := y.report(id); r.Rows.Accepted != 1 {
		t.Errorf("%d rows", r.Rows.Accepted)
	}
}

func TestTheRealFileOf2019(t *testing.T) {
	packed, err := os.ReadFile(filepath.Join(home, "../../../shared/data/spend_format_2019.csv.gz"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the file is not on this machine")
	}
	if err != nil {
		t.Fatal(err)
	}
	// An independent count of the file.
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]*big.Rat{}
	var currency, amount int
	for i, name := range all[0] {
		switch name {
		case "currency":
			currency = i
		case "amount":
			amount = i
		}
	}
	for _, row := range all[1:] {
		v, ok := new(big.Rat).SetString(row[amount])
		if !ok {
			t.Fatalf("amount %q", row[amount])
		}
		if want[row[currency]] == nil {
			want[row[currency]] = new(big.Rat)
		}
		want[row[currency]].Add(want[row[currency]], v)
	}

	y := start(t, "CAD")
	y.put("spend/2019.csv.gz", packed, nil)
	began := time.Now()
	if err := y.tell("uploads/spend/2019.csv.gz"); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows in %s", len(all)-1, time.Since(began))
	r := y.report(ingestor.UploadID("uploads", "spend/2019.csv.gz"))
	if r.State != ingestor.Queued || r.Rows.Read != int64(len(all)-1) || r.Rows.Refused != 0 {
		t.Errorf("%s, %+v, %+v", r.State, r.Rows, r.RefusedByReason)
	}
	if len(r.Totals.Read) != len(want) {
		t.Errorf("totals in %d currencies, want %d", len(r.Totals.Read), len(want))
	}
	for c, sum := range want {
		got, ok := new(big.Rat).SetString(string(r.Totals.Accepted[c]))
		if !ok || got.Cmp(sum) != 0 {
			t.Errorf("%s: %s, want %s", c, r.Totals.Accepted[c], sum.FloatString(3))
		}
	}
	if n := len(y.queued()); n != len(all)-1 {
		t.Errorf("%d records, want %d", n, len(all)-1)
	}
}

// BenchmarkIngest reads rows from S3 and queues them on the broker in this process.
func BenchmarkIngest(b *testing.B) {
	y := start(b, "SGD")
	var body bytes.Buffer
	body.WriteString(header)
	for i := range b.N {
		body.WriteString(line(i, card1, "1.01"))
	}
	y.put(key, body.Bytes(), nil)
	b.SetBytes(int64(body.Len() / b.N))
	b.ResetTimer()
	if err := y.tell("uploads/" + key); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	if r := y.report(upload); r.Rows.Accepted != int64(b.N) {
		b.Errorf("%+v", r.Rows)
	}
}
