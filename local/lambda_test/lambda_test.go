package lambda_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/ingestor/uploads"
	"github.com/angelowl-loyalties/app/local/mailbox"
	"github.com/angelowl-loyalties/app/local/rie"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/upload"
	petrock "github.com/angelowl-loyalties/app/pet-rock"
)

// An invocation's time: plenty, and so little that what is away has to be given up.
const plenty, little = time.Minute, 3 * time.Second

// Each lambda does what it is for, says what is wrong with a bad event, and answers by itself before its
// time is over.
func TestLambdas(t *testing.T) {
	running(t, func(w *world) {
		w.ingestor(t) // it brings the rewards of which mails tell
		// The others run beside one another. The group ends when all of them have.
		t.Run("at once", func(t *testing.T) {
			for name, test := range map[string]func(*testing.T){
				"authorizer": w.authorizer, "publish-single": w.publish, "uploads": w.uploads, "users": w.users, "emailer": w.emailer, "a file takes long": w.slowFile,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t)
				})
			}
		})
	})
}

func (w *world) ingestor(t *testing.T) {
	t.Run("ingestor", func(t *testing.T) {
		f := w.lambda(t, "ingestor", plenty)
		body, err := os.ReadFile(filepath.Join(wd, "../../examples/spend.csv"))
		if err != nil {
			t.Fatal(err)
		}
		const key = "spend/a file of the bank's.csv"
		w.put(t, spend, key, body)
		w.invoke(t, f, created(spend, key), nil)
		var r ingestor.Report
		if !w.report(t, ingestor.ReportKey(ingestor.UploadID(spend, key)), &r) || r.Rows != (upload.Rows{Read: 1173, Accepted: 1170, Refused: 3}) {
			t.Fatalf("%+v", r)
		}
		if err := w.s.AwaitRewarded(w.ctx, nil); err != nil {
			t.Fatal(err)
		}
		if cards, err := w.s.Cards(w.ctx, 1); err != nil || len(cards) != 1 {
			t.Fatalf("nothing is rewarded: %v", err)
		}
		w.refused(t, f, `{"Records":"all"}`, "cannot unmarshal string")
		w.refused(t, f, created(spend+"-no", "a.csv"), "a.csv")
		logged(t, f, "ingestor", `"request_id":"`)
		// Nobody was told of the object by S3, and the schedule finds it.
		w.put(t, spend, "spend/lost.csv", body[:strings.LastIndexByte(string(body[:4000]), '\n')+1])
		ago := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(w.s.Data, "s3", "objects", spend, "spend", "lost.csv"), ago, ago); err != nil {
			t.Fatal(err)
		}
		w.invoke(t, f, `{"source":"aws.events","detail-type":"Scheduled Event"}`, nil)
		if !w.report(t, ingestor.ReportKey(ingestor.UploadID(spend, "spend/lost.csv")), &r) || r.State != upload.Queued || r.Rows.Accepted == 0 {
			t.Errorf("a file whose event was lost: %+v", r)
		}
	})
}

// slowFile is a file that takes longer than an invocation has: it is read on by the next one.
func (w *world) slowFile(t *testing.T) {
	const rows = 15_000
	body := []byte("id,transaction_id,merchant,mcc,currency,amount,transaction_date,card_id,card_pan,card_type\n")
	for i := range rows {
		body = fmt.Appendf(body, "%s,slow-%d,Shop,5999,CAD,1.00,2019-09-03,%s,************1234,scis_freedom\n", uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i)), i, uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, i%50)))
	}
	const key = "spend/long.csv"
	w.put(t, spend, key, body)
	// It stops after two thirds of its time, with a note of how far it came. A machine that is too busy for
	// that ends it, which does no harm either.
	f := w.lambda(t, "ingestor", 3*little, map[string]string{"AWS_ENDPOINT_URL_S3": w.slowly(t, 16<<10, 80*time.Millisecond)})
	id := ingestor.UploadID(spend, key)
	var r ingestor.Report
	runs, paused, last := 0, 0, int64(0)
	for ; !w.report(t, ingestor.ReportKey(id), &r); runs++ {
		if runs == 10 {
			t.Fatalf("it comes to no end\n%s", f.Log())
		}
		_, err := f.Invoke(w.ctx, raw(t, created(spend, key)))
		var c ingestor.Checkpoint
		if w.report(t, upload.CheckpointKey(upload.Spend, id), &c) {
			if c.Paused && c.Offset > last && (err == nil || !strings.Contains(err.Error(), "timed out")) {
				paused++
			}
			last = c.Offset
		}
	}
	if paused == 0 || r.Rows != (upload.Rows{Read: rows, Accepted: rows}) {
		t.Errorf("of %d runs %d ended by themselves with a part of the file read; %+v\n%s", runs, paused, r.Rows, f.Log())
	}
}

func (w *world) authorizer(t *testing.T) {
	const arn = "arn:aws:execute-api:ap-southeast-1:123456789012:abcdef/prod/GET/campaign"
	event := func(arn, authorization string) any {
		return map[string]string{"type": "TOKEN", "methodArn": arn, "authorizationToken": authorization}
	}
	f := w.lambda(t, "authorizer", plenty)
	bearer := "Bearer " + w.token(t, token.User)
	var a events.APIGatewayCustomAuthorizerResponse
	w.invoke(t, f, event(arn, bearer), &a)
	allowed := fmt.Sprint(a.PolicyDocument)
	if a.PrincipalID == "" || a.Context["role"] != string(token.User) || !strings.Contains(allowed, "Allow") || !strings.Contains(allowed, "prod/GET/campaign") || strings.Contains(allowed, "prod/POST/campaign") || strings.Contains(allowed, "/upload") {
		t.Errorf("%+v", a)
	}
	w.refused(t, f, event(arn, "Bearer x"), "Unauthorized")
	w.refused(t, f, event("campaign", bearer), "the ARN of the method is not arn:aws:execute-api:")
	w.refused(t, f, `[]`, "cannot unmarshal array")
	logged(t, f, "authorizer", "a token was refused")
	// profiler does not say its keys.
	late := w.lambda(t, "authorizer", little-time.Second, map[string]string{"JWKS_URL": hanging(t)})
	w.refused(t, late, event(arn, bearer), "keys unavailable")
}

func (w *world) publish(t *testing.T) {
	f := w.lambda(t, "publish-single", plenty)
	bearer := w.token(t, token.Bank)
	id, card := uuid.NewSHA1(uuid.NameSpaceOID, []byte("published")), uuid.NewSHA1(uuid.NameSpaceOID, []byte("a card"))
	body := fmt.Sprintf(`{"id":%q,"card_id":%q,"merchant":"Shop","mcc":5999,"currency":"CAD","amount":100,"transaction_date":"2019-09-03","card_pan":"************1234","card_type":"scis_freedom"}`, id, card)
	var a response
	w.invoke(t, f, request(http.MethodPost, "/publish", bearer, body), &a)
	if a.StatusCode != http.StatusAccepted || !strings.Contains(a.Body, id.String()) || a.Headers["X-Request-Id"] != "the-gateways-id" {
		t.Fatalf("%+v", a)
	}
	if err := w.s.AwaitRewarded(w.ctx, nil); err != nil {
		t.Fatal(err)
	}
	page, err := w.s.Rewards.Rewards(w.ctx, informer.Query{Card: card, Limit: 10})
	if err != nil || len(page.Rows) != 1 || page.Rows[0].ID != id || page.Rows[0].Trace.Outcome != loyalty.Rewarded {
		t.Errorf("%+v %v", page, err)
	}
	says(t, w, f, request(http.MethodPost, "/publish", bearer, strings.Replace(body, `"CAD"`, `"XXY"`, 1)), http.StatusBadRequest, `"fields":{"currency":"`)
	says(t, w, f, `{}`, http.StatusMethodNotAllowed, "method_not_allowed")
	w.refused(t, f, `"publish"`, "cannot unmarshal string")
	logged(t, f, "publish-single", `"request_id":"the-gateways-id"`)
	// Kafka does not answer.
	late := w.lambda(t, "publish-single", little, map[string]string{"BROKER_HOST": silent(t)})
	says(t, w, late, request(http.MethodPost, "/publish", bearer, body), http.StatusServiceUnavailable, "log_unavailable")
}

// says wants an answer with a status that says something.
func says(t *testing.T, w *world, f *rie.Function, event any, status int, part string) {
	t.Helper()
	var a response
	w.invoke(t, f, event, &a)
	if a.StatusCode != status || !strings.Contains(a.Body, part) {
		t.Errorf("%+v, want %d with %q", a, status, part)
	}
}

func (w *world) uploads(t *testing.T) {
	f := w.lambda(t, "uploads", plenty)
	bearer := w.token(t, token.Bank)
	const body = "id,card_id,merchant,mcc,currency,amount,transaction_date,card_pan,card_type\n"
	var a response
	w.invoke(t, f, request(http.MethodPost, "/upload", bearer, fmt.Sprintf(`{"kind":"spend","filename":"september.csv","size":%d}`, len(body))), &a)
	var made struct{ Data uploads.Created }
	if err := json.Unmarshal([]byte(a.Body), &made); err != nil || a.StatusCode != http.StatusCreated {
		t.Fatalf("%+v %v", a, err)
	}
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPut, made.Data.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range made.Data.Headers {
		req.Header.Set(k, v)
	}
	res, err := (&http.Client{Transport: w.base}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	one := request(http.MethodGet, "/upload/"+made.Data.ID, bearer, "")
	says(t, w, f, one, http.StatusOK, `"received":true`)
	says(t, w, f, request(http.MethodPost, "/upload", bearer, `{"kind":"photos"}`), http.StatusBadRequest, `"fields":{`)
	says(t, w, f, request(http.MethodGet, "/upload", "x", ""), http.StatusUnauthorized, "invalid_token")
	w.refused(t, f, `"upload"`, "reading the event: json: cannot unmarshal string")
	logged(t, f, "uploads", `"request_id":"the-gateways-id"`)
	// S3 does not answer.
	late := w.lambda(t, "uploads", little, map[string]string{"AWS_ENDPOINT_URL_S3": hanging(t)})
	says(t, w, late, one, http.StatusServiceUnavailable, "cannot be answered in time")
	// The reward store is away when the schedule has files reconciled.
	w.refused(t, w.lambda(t, "uploads", little), `{}`, "opening the reward store at ")
}

// users go from a file by pet-rock to profiler, and by passworder to the mailbox.
func (w *world) users(t *testing.T) {
	mails := w.lambda(t, "passworder", plenty)
	q := newQueue(t, "bank-passworder", func(event []byte) error {
		_, err := mails.Invoke(w.ctx, event)
		return err
	})
	f := w.lambda(t, "pet-rock", plenty, map[string]string{"AWS_ENDPOINT_URL_LAMBDA": q.URL})
	const people = 2
	body := "id,first_name,last_name,phone,email,created_at,updated_at,card_id,card_pan,card_type\n"
	ids := make([]uuid.UUID, people)
	for i := range 2 * people { // two cards each
		ids[i%people] = uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, "user ", i%people))
		body += fmt.Sprintf("%s,Ann,Lee,,ann-%d@cards.example,,,%s,41%014d,scis_freedom\n", ids[i%people], i%people, uuid.NewSHA1(ids[i%people], []byte{byte(i)}), i)
	}
	const key = "users/november.csv"
	w.put(t, users, key, []byte(body))
	for range 2 { // S3 may tell twice
		w.invoke(t, f, created(users, key), nil)
	}
	var r upload.Report
	if !w.report(t, upload.ReportKey(upload.Users, petrock.UploadID(users, key)), &r) || r.State != upload.Reconciled || r.Rows != (upload.Rows{Read: 2 * people, Accepted: 2 * people}) {
		t.Fatalf("%+v", r)
	}
	for _, err := range q.drained() {
		if err != nil {
			t.Error(err)
		}
	}
	for i, id := range ids {
		got := w.mails(t, fmt.Sprintf("ann-%d@", i))
		if len(got) != 1 || !strings.Contains(got[0].Subject, "password") {
			t.Errorf("user %s has %+v", id, got)
		}
	}
	// Asked for again, there is no second one.
	w.invoke(t, mails, map[string]string{"user_id": ids[0].String()}, nil)
	if got := w.mails(t, "ann-0@"); len(got) != 1 {
		t.Errorf("%d mails", len(got))
	}
	w.refused(t, f, `{"Records":"all"}`, "cannot unmarshal string")
	w.refused(t, f, created(users+"-no", "a.csv"), "a.csv")
	w.refused(t, mails, `"a user"`, "cannot unmarshal string")
	w.invoke(t, mails, `{"user_id":"somebody"}`, nil) // no retry would mend that
	logged(t, mails, "passworder", "the event names no user")
	logged(t, f, "pet-rock", `"request_id":"`)

	// profiler is away.
	away := map[string]string{"PROFILER_ENDPOINT": "http://" + nowhere, "PROFILER_INTERNAL_ENDPOINT": "http://" + nowhere}
	w.put(t, users, "users/late.csv", []byte(body))
	w.refused(t, w.lambda(t, "pet-rock", little, away, map[string]string{"AWS_ENDPOINT_URL_LAMBDA": q.URL}), created(users, "users/late.csv"), "the time is over after")
	w.refused(t, w.lambda(t, "passworder", little, away), map[string]string{"user_id": ids[1].String()}, "tried ")
}

// mails are those in the mailbox to who has a text in the address.
func (w *world) mails(t *testing.T, to string) []mailbox.Mail {
	t.Helper()
	res, err := (&http.Client{Transport: w.base}).Get(w.s.URL + "/mail/mail.json?to=" + to)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var list struct{ Data []mailbox.Mail }
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	return list.Data
}

func (w *world) emailer(t *testing.T) {
	if err := w.s.SampleCards(w.ctx); err != nil {
		t.Fatal(err)
	}
	today := loyalty.DateOf(time.Now().In(w.s.Timezone).Date())
	now := map[string]any{"version": "0", "source": "aws.scheduler", "day": today.String(), "early": true}
	// There is no time to begin a mail.
	late := w.lambda(t, "emailer", plenty/3) // it keeps 30 s
	var r emailer.Result
	w.invoke(t, late, now, &r)
	if r.State != emailer.Unfinished || r.Rewards == 0 || r.Sent != 0 || len(w.mails(t, "user@sample.example")) != 0 {
		t.Errorf("%+v", r)
	}
	f := w.lambda(t, "emailer", plenty)
	w.invoke(t, f, now, &r)
	got := w.mails(t, "user@sample.example")
	if r.State != emailer.Done || r.Sent != 1 || len(got) != 1 || !strings.HasPrefix(got[0].MessageID, "rewards."+today.String()) {
		t.Fatalf("%+v %+v", r, got)
	}
	w.invoke(t, f, now, &r)
	if r.State != emailer.Done || r.Sent != 0 || len(w.mails(t, "user@sample.example")) != 1 {
		t.Errorf("again: %+v", r)
	}
	// The event of a schedule: yesterday, of which there is nothing to tell.
	w.invoke(t, f, map[string]any{"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "time": time.Now().UTC().Format(time.RFC3339), "detail": map[string]any{}}, &r)
	if r.State != emailer.Done || r.Day != today-1 || r.Sent != 0 {
		t.Errorf("the schedule's event: %+v", r)
	}
	w.refused(t, f, `{"day":"yesterday"}`, "date")
	w.refused(t, f, `[]`, "cannot unmarshal array")
	logged(t, f, "emailer", `"sent":1`)
}
