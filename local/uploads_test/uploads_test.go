// Package uploads_test holds the lambda behind /upload against a real S3 server and a Kafka broker: files
// go in as a bank's staff send them, by HTTP to the URL that they were given.
package uploads_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/ingestor/uploads"
	"github.com/angelowl-loyalties/app/local/kafka"
	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/token/tokentest"
	"github.com/angelowl-loyalties/app/loyalty/upload"
	petrock "github.com/angelowl-loyalties/app/pet-rock"
)

var wd string // at the start: the S3 server changes it

func TestMain(m *testing.M) {
	var err error
	if wd, err = os.Getwd(); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

const (
	card1  = "01eca9de-9ff3-4d16-be03-75f228fc207f"
	card2  = "17cc3eca-c920-4e83-83fd-e1bb9f89ca75"
	header = "id,card_id,merchant,mcc,currency,amount,sgd_amount,transaction_id,transaction_date,card_pan,card_type\n"
	staff  = "5a1c5a56-7a3f-4a0c-9b63-0b1a0f1d6c11"
	other  = "5a1c5a56-7a3f-4a0c-9b63-0b1a0f1d6c12" // of the staff, too
)

// line is a good row of a file.
func line(n int, card, amount string) string {
	return fmt.Sprintf("%08x-467d-48aa-96ab-d79394710a2b,%s,Kaligo,5122,SGD,%s,,ref-%d,2021-09-01,4462-0971-1327-7064,scis_premiummiles\n", n+1, card, amount, n)
}

var home = loyalty.MustCurrency("SGD")

// system is both lambdas with what they work on.
type system struct {
	t         *testing.T
	s3        *s3.Server
	broker    *kafka.Broker
	ingestor  *ingestor.Handler
	api       lambda.Handler
	signer    *tokentest.Signer
	session   profile.Session
	committed map[int32]int64
	now       func() time.Time
	log       bytes.Buffer
	http      *http.Client
}

func start(t *testing.T) *system { return startWith(t, uploads.Config{}) }

// startWith is start with other sizes of files and parts.
func startWith(t *testing.T, cfg uploads.Config) *system {
	t.Helper()
	y := &system{t: t, signer: tokentest.NewSigner(t), session: profile.Session{Role: token.Bank, Version: 1}, now: time.Now,
		http: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(y.http.CloseIdleConnections)
	var err error
	if y.broker, err = kafka.Start(t.Context(), kafka.Config{Dir: t.TempDir(), Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(y.broker.Close)
	y.s3, err = s3.Start(t.Context(), s3.Config{
		Dir: t.TempDir(), AccessKey: "test", SecretKey: "secret-of-the-test", Buckets: []string{"spend", "users", "reports"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		y.s3.Close()
		if err := os.Chdir(wd); err != nil {
			t.Error(err)
		}
	})
	clock := func() time.Time { return y.now() }
	y.ingestor, err = ingestor.New(
		ingestor.Config{Home: home, ReportBucket: "reports"},
		ingestor.Deps{S3: y.s3.Client(), Clock: clock, NewProducer: func(c *sarama.Config) (sarama.AsyncProducer, error) {
			return sarama.NewAsyncProducer([]string{y.broker.Addr()}, c)
		}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.SpendBucket, cfg.UserBucket, cfg.ReportBucket, cfg.Portal = "spend", "users", "reports", "https://portal.example"
	h, err := uploads.New(
		cfg,
		uploads.Deps{
			S3: y.s3.Client(), Verifier: y.signer.Verifier(), Sessions: y, Clock: clock,
			Committed: func(context.Context) (map[int32]int64, error) { return y.committed, nil },
			Log:       slog.New(slog.NewTextHandler(&y.log, nil)),
		})
	if err != nil {
		t.Fatal(err)
	}
	y.api = lambda.NewHandler(h.Handle)
	return y
}

// Session implements uploads.Sessions.
func (y *system) Session(_ context.Context, id string) (profile.Session, error) {
	if id != staff && id != other {
		return profile.Session{}, profile.ErrNotFound
	}
	return y.session, nil
}

// ask sends a request as the gateway does, as bank staff.
func (y *system) ask(method, path, body string) events.APIGatewayProxyResponse {
	y.t.Helper()
	return y.askAs(y.signer.Token(y.t, staff, token.Bank), method, path, body)
}

func (y *system) askAs(bearer, method, path, body string) events.APIGatewayProxyResponse {
	y.t.Helper()
	path, query, _ := strings.Cut(path, "?")
	params := map[string]string{}
	values, err := url.ParseQuery(query)
	if err != nil {
		y.t.Fatal(err)
	}
	for k := range values {
		params[k] = values.Get(k)
	}
	e := events.APIGatewayProxyRequest{HTTPMethod: method, Path: path, Body: body, QueryStringParameters: params, Headers: map[string]string{}}
	if bearer != "" {
		e.Headers["authorization"] = "Bearer " + bearer
	}
	payload, err := json.Marshal(e)
	if err != nil {
		y.t.Fatal(err)
	}
	out, err := y.api.Invoke(y.t.Context(), payload)
	if err != nil {
		y.t.Fatal(err)
	}
	var r events.APIGatewayProxyResponse
	if err := json.Unmarshal(out, &r); err != nil {
		y.t.Fatal(err)
	}
	return r
}

// want is an answer of a status, its data decoded into v.
func want(t *testing.T, r events.APIGatewayProxyResponse, status int, v any) {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("%d %s, want %d", r.StatusCode, r.Body, status)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal([]byte(r.Body), &struct {
		Data any `json:"data"`
	}{v}); err != nil {
		t.Fatal(err)
	}
}

// put sends a file to a URL.
func (y *system) put(url, contentType, body string) (int, string, http.Header) {
	y.t.Helper()
	req, err := http.NewRequestWithContext(y.t.Context(), http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		y.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := y.http.Do(req)
	if err != nil {
		y.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		y.t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

// ingest tells the ingestor of an object.
func (y *system) ingest(id string) {
	y.t.Helper()
	err := y.ingestor.Handle(y.t.Context(), events.S3Event{Records: []events.S3EventRecord{{
		EventName: "ObjectCreated:Put",
		S3:        events.S3Entity{Bucket: events.S3Bucket{Name: "spend"}, Object: events.S3Object{Key: upload.Key(upload.Spend, id)}},
	}}})
	if err != nil {
		y.t.Fatal(err)
	}
}

func (y *system) status(id string) uploads.Status {
	y.t.Helper()
	var s uploads.Status
	want(y.t, y.ask("GET", "/upload/"+id, ""), 200, &s)
	return s
}

func TestAFileGoesInAndItsReportComesOut(t *testing.T) {
	y := start(t)
	body := header + line(0, card1, "1.10") + line(1, card2, "2.20") + line(2, card1, "x")
	var c uploads.Created
	r := y.ask("POST", "/upload", fmt.Sprintf(`{"kind":"spend","filename":"C:\\Bank\\4000-0079-4409-6426 Sept.csv","size":%d,"control":{"rows":3,"totals":{"SGD":"3.30"}}}`, len(body)))
	want(t, r, 201, &c)
	if c.ID != r.Headers["X-Upload-Id"] || c.Headers["Content-Type"] != "text/csv" || time.Until(c.ExpiresAt) > 15*time.Minute || time.Until(c.ExpiresAt) < 14*time.Minute {
		t.Errorf("got %+v, headers %v", c, r.Headers)
	}
	if s := y.status(c.ID); s.State != upload.Waiting || s.Received || s.RequestedBy != staff || s.File != "************6426 Sept.csv" && !strings.HasSuffix(s.File, "6426 Sept.csv") || strings.Contains(s.File, "4000") {
		t.Errorf("before the file: %+v", s)
	}
	if status, answer, _ := y.put(c.URL, "text/html", body); status != 403 {
		t.Errorf("another content type: %d %s", status, answer)
	}
	if status, answer, _ := y.put(c.URL, "text/csv", body+line(3, card1, "1")); status != 403 {
		t.Errorf("another size: %d %s", status, answer)
	}
	if status, answer, _ := y.put(c.URL, "text/csv", body); status != 200 {
		t.Fatalf("the file: %d %s", status, answer)
	}
	if s := y.status(c.ID); s.State != upload.Waiting || !s.Received || s.ExpiresAt != nil {
		t.Errorf("before it is read: %+v", s)
	}
	y.ingest(c.ID)
	s := y.status(c.ID)
	if s.State != upload.Queued || s.Rows != (upload.Rows{Read: 3, Accepted: 2, Refused: 1}) || s.RequestedBy != staff || s.Control == nil || !s.Control.Agrees || s.Percent != nil {
		t.Errorf("read: %+v", s)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.RefusedURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := y.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	refused, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 200 || !strings.Contains(string(refused), "is not a decimal") && !strings.Contains(string(refused), ",4,amount,") {
		t.Errorf("the refused rows: %d %s", res.StatusCode, refused)
	}
	y.committed = map[int32]int64{s.Ranges[0].Partition: s.Ranges[0].Last + 1}
	if s := y.status(c.ID); s.State != upload.Rewarded || s.Percent == nil || *s.Percent == 0 {
		t.Errorf("rewarded: %s %v", s.State, s.Percent)
	}
	if strings.Contains(y.log.String(), "4000") && strings.Contains(y.log.String(), "6426") {
		t.Errorf("there is a PAN in the log: %s", y.log.String())
	}
}

func TestPresignedAnswersTheBareURL(t *testing.T) {
	y := start(t)
	for path, kind := range map[string]upload.Kind{"/publish/presigned": upload.Spend, "/user/presigned": upload.Users} {
		r := y.ask("GET", path, "")
		var url string
		if err := json.Unmarshal([]byte(r.Body), &url); err != nil || r.StatusCode != 200 {
			t.Fatalf("%s answers %d %s", path, r.StatusCode, r.Body)
		}
		id := r.Headers["X-Upload-Id"]
		if _, err := uuid.Parse(id); err != nil || r.Headers["Access-Control-Expose-Headers"] == "" {
			t.Errorf("headers %v", r.Headers)
		}
		if status, answer, _ := y.put(url, "text/csv", header); status != 200 {
			t.Errorf("PUT: %d %s", status, answer)
		}
		if s := y.status(id); s.Kind != kind || !s.Received || s.State != upload.Waiting {
			t.Errorf("got %+v", s)
		}
		if other := y.ask("GET", path, "").Headers["X-Upload-Id"]; other == id {
			t.Error("two uploads have one id")
		}
	}
}

func TestAURLExpires(t *testing.T) {
	y := start(t)
	var c uploads.Created
	want(t, y.ask("POST", "/upload", `{"kind":"users","filename":"users.csv"}`), 201, &c)
	y.now = func() time.Time { return time.Now().Add(16 * time.Minute) }
	if s := y.status(c.ID); !strings.Contains(s.Hint, "expired") {
		t.Errorf("got %+v", s)
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Query().Get("X-Amz-Expires") != "900" {
		t.Errorf("the URL is good for %s s (%v)", u.Query().Get("X-Amz-Expires"), err)
	}
}

func TestWhoMayUpload(t *testing.T) {
	y := start(t)
	for name, c := range map[string]struct {
		bearer string
		status int
		code   string
	}{
		"nobody":        {"", 401, "no_token"},
		"a forged one":  {tokentest.NewSigner(t).Token(t, staff, token.Bank), 401, "invalid_token"},
		"a cardholder":  {y.signer.Token(t, staff, token.User), 403, "forbidden"},
		"a merchant":    {y.signer.Token(t, staff, token.Merchant), 403, "forbidden"},
		"who is gone":   {y.signer.Token(t, uuid.NewString(), token.Bank), 401, "session_ended"},
		"another role":  {y.signer.Token(t, staff, token.Admin), 401, "session_ended"},
		"bank staff":    {y.signer.Token(t, staff, token.Bank), 200, ""},
		"a new account": {y.signer.Sealed(t, token.Claims{Subject: staff, Role: token.Bank, Must: token.MustChangePassword, Session: 1, Issued: time.Now(), Expires: time.Now().Add(time.Minute)}), 403, "password_change_required"},
	} {
		t.Run(name, func(t *testing.T) {
			r := y.askAs(c.bearer, "GET", "/publish/presigned", "")
			if r.StatusCode != c.status || c.code != "" && !strings.Contains(r.Body, `"code":"`+c.code+`"`) {
				t.Errorf("%d %s", r.StatusCode, r.Body)
			}
		})
	}
}

func TestBadRequests(t *testing.T) {
	y := start(t)
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		says               string
	}{
		"no body":           {"POST", "/upload", "", 400, "no_body"},
		"no JSON":           {"POST", "/upload", "{", 400, "not_json"},
		"no kind":           {"POST", "/upload", `{"filename":"a"}`, 400, `"kind"`},
		"no name":           {"POST", "/upload", `{"kind":"spend"}`, 400, `"filename"`},
		"size 0":            {"POST", "/upload", `{"kind":"spend","filename":"a","size":0}`, 400, `"size"`},
		"size as a text":    {"POST", "/upload", `{"kind":"spend","filename":"a","size":"1"}`, 400, `"size"`},
		"a bad control":     {"POST", "/upload", `{"kind":"spend","filename":"a","control":{"totals":{"X":1}}}`, 400, `"control.totals"`},
		"money of users":    {"POST", "/upload", `{"kind":"users","filename":"a","control":{"totals":{"SGD":1}}}`, 400, `"control.totals"`},
		"an unknown upload": {"GET", "/upload/" + uuid.NewString(), "", 404, "not_found"},
		"no id":             {"GET", "/upload/..", "", 404, "not_found"},
		"another method":    {"DELETE", "/upload", "", 405, "method_not_allowed"},
		"another route":     {"GET", "/uploads", "", 404, "not_found"},
		"page 0":            {"GET", "/upload?page_no=0", "", 400, `"page_no"`},
		"a page too large":  {"GET", "/upload?page_size=101", "", 400, `"page_size"`},
	} {
		t.Run(name, func(t *testing.T) {
			if r := y.ask(c.method, c.path, c.body); r.StatusCode != c.status || !strings.Contains(r.Body, c.says) {
				t.Errorf("%d %s", r.StatusCode, r.Body)
			}
		})
	}
}

func TestUploadsAreListedNewestFirst(t *testing.T) {
	y := start(t)
	if r := y.ask("GET", "/upload", ""); r.Body != `{"page_no":1,"page_size":20,"total":0,"data":[]}`+"\n" {
		t.Errorf("none: %s", r.Body)
	}
	var ids []string
	for i := range 5 {
		kind := "spend"
		if i == 2 {
			kind = "users"
		}
		var c uploads.Created
		want(t, y.ask("POST", "/upload", fmt.Sprintf(`{"kind":%q,"filename":"%d.csv"}`, kind, i)), 201, &c)
		ids = append([]string{c.ID}, ids...)
	}
	for query, wanted := range map[string][]string{
		"":                         ids,
		"?page_size=2&page_no=2":   ids[2:4],
		"?page_size=100&page_no=2": {},
		"?kind=users":              {ids[2]},
	} {
		var list []uploads.Summary
		want(t, y.ask("GET", "/upload"+query, ""), 200, &list)
		got := []string{}
		for _, s := range list {
			got = append(got, s.ID)
		}
		if fmt.Sprint(got) != fmt.Sprint(wanted) {
			t.Errorf("%s: got %v, want %v", query, got, wanted)
		}
	}
	// One is dropped into the bucket, with a name of its own.
	if _, err := y.s3.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String("spend"), Key: aws.String("by hand.csv"), Body: strings.NewReader(header)}); err != nil {
		t.Fatal(err)
	}
	var list []uploads.Summary
	want(t, y.ask("GET", "/upload", ""), 200, &list)
	byHand := upload.ID(upload.Spend, "spend", "by hand.csv")
	if len(list) != 6 || !slices.ContainsFunc(list, func(s uploads.Summary) bool {
		return s.ID == byHand && s.File == "by hand.csv" && s.State == upload.Waiting
	}) {
		t.Errorf("the list does not have the file that was dropped: %+v", list)
	}
}

func TestThePortalMayUpload(t *testing.T) {
	y := start(t)
	if err := uploads.AllowPortal(t.Context(), y.s3.Client(), "spend", "https://portal.example"); err != nil {
		t.Fatal(err)
	}
	for origin, allowed := range map[string]string{"https://portal.example": "https://portal.example", "https://evil.example": ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, y.s3.Endpoint()+"/spend/spend/x.csv", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "PUT")
		req.Header.Set("Access-Control-Request-Headers", "content-type")
		res, err := y.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("Access-Control-Allow-Origin"); got != allowed {
			t.Errorf("%s: %d, allowed is %q", origin, res.StatusCode, got)
		}
	}
}

// While a file of either kind is read, its checkpoint says how far that is.
func TestAFileIsBeingRead(t *testing.T) {
	y := start(t)
	for kind, note := range map[upload.Kind]any{
		upload.Spend: ingestor.Checkpoint{Read: 250, Size: 1000, Offset: 200, Rows: upload.Rows{Read: 7, Accepted: 5, Refused: 2},
			Totals: upload.Totals{Read: upload.Amounts{"SGD": "7.00"}, Accepted: upload.Amounts{"SGD": "5.00"}, Refused: upload.Amounts{"SGD": "2.00"}}},
		upload.Users: petrock.Checkpoint{Read: 250, Size: 1000, Offset: 200, Rows: upload.Rows{Read: 7, Accepted: 5, Refused: 2},
			Totals: upload.Totals{Read: upload.Amounts{}, Accepted: upload.Amounts{}, Refused: upload.Amounts{}}},
	} {
		t.Run(string(kind), func(t *testing.T) {
			var c uploads.Created
			want(t, y.ask("POST", "/upload", fmt.Sprintf(`{"kind":%q,"filename":"a.csv"}`, kind)), 201, &c)
			b, err := json.Marshal(note)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := y.s3.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String("reports"), Key: aws.String(upload.CheckpointKey(kind, c.ID)), Body: bytes.NewReader(b)}); err != nil {
				t.Fatal(err)
			}
			s := y.status(c.ID)
			if s.State != upload.Reading || s.Percent == nil || *s.Percent != 25 || s.Rows != (upload.Rows{Read: 7, Accepted: 5, Refused: 2}) || !s.Received || s.ExpiresAt != nil || s.File != "a.csv" {
				t.Errorf("got %+v", s)
			}
			var list []uploads.Summary
			want(t, y.ask("GET", "/upload?kind="+string(kind), ""), 200, &list)
			if len(list) != 1 || list[0].State != upload.Reading || list[0].Percent == nil || *list[0].Percent != 25 {
				t.Errorf("the list has %+v", list)
			}
		})
	}
}

// A file that is bad as a whole says so, and what to do, in its status and in the list.
func TestABadFilesStatus(t *testing.T) {
	y := start(t)
	var c uploads.Created
	want(t, y.ask("POST", "/upload", `{"kind":"spend","filename":"sheet.csv"}`), 201, &c)
	if status, answer, _ := y.put(c.URL, "text/csv", "PK\x03\x04 and so on"); status != 200 {
		t.Fatalf("the file: %d %s", status, answer)
	}
	y.ingest(c.ID)
	if s := y.status(c.ID); s.State != upload.Failed || s.Code != "zip_file" || !strings.Contains(s.Error, "save the sheet as CSV UTF-8") || s.RefusedURL != "" {
		t.Errorf("got %+v", s)
	}
	var list []uploads.Summary
	want(t, y.ask("GET", "/upload", ""), 200, &list)
	if len(list) != 1 || list[0].State != upload.Failed || !strings.Contains(list[0].Error, "save the sheet as CSV UTF-8") {
		t.Errorf("the list has %+v", list)
	}
}
