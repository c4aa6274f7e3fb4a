package publish_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/token"
	publish "github.com/angelowl-loyalties/app/publish-single"
	"github.com/angelowl-loyalties/app/publish-single/publishtest"
)

const (
	merchant = "8a3d1c2e-0000-4000-8000-000000000001"
	bank     = "8a3d1c2e-0000-4000-8000-000000000002"
	card     = "01eca9de-9ff3-4d16-be03-75f228fc207f"
	id       = "00000001-467d-48aa-96ab-d79394710a2b"
	pan      = "4462-0971-1327-7064"
	good     = `{"id":"` + id + `","card_id":"` + card + `","merchant":"Kaligo","mcc":5122,"currency":"SGD","amount":12.50,` +
		`"transaction_id":"ref-1","transaction_date":"2021-09-01","card_pan":"` + pan + `","card_type":"scis_premiummiles"}`
)

// world is publish-single without Kafka: what is tested here never gets there, or must not.
type world struct {
	*publishtest.Profiler
	t       *testing.T
	h       *publish.Handler
	log     bytes.Buffer
	connect int // how often Kafka was connected to
	counted bytes.Buffer
}

func start(t *testing.T, change ...func(*publish.Config)) *world {
	t.Helper()
	w := &world{Profiler: publishtest.Start(t), t: t}
	w.Merchant(merchant, "null")
	w.Session(bank, profile.Session{Role: token.Bank, Version: 1})
	cfg := publish.Config{Home: loyalty.MustCurrency("SGD")}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	w.h, err = publish.New(cfg, publish.Deps{
		Verifier: w.Verifier(), Profile: w.Client(),
		NewProducer: func(*sarama.Config) (sarama.SyncProducer, error) {
			w.connect++
			return nil, errors.New("there is no Kafka")
		},
		Log: slog.New(slog.NewTextHandler(&w.log, nil)), Clock: w.Now, Metrics: metrics.NewEmbedded(&w.counted, "publish-single", w.Now),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.h.Close(); err != nil {
			t.Error(err)
		}
		if strings.Contains(w.log.String(), "446209711327") || strings.Contains(w.log.String(), pan) {
			t.Errorf("the log has a card number: %s", w.log.String())
		}
	})
	return w
}

func (w *world) event(body string, headers ...string) events.APIGatewayProxyRequest {
	e := events.APIGatewayProxyRequest{
		HTTPMethod: "POST", Path: "/publish", Body: body,
		Headers:        map[string]string{"authorization": w.Bearer(merchant, token.Merchant, ""), "content-type": "application/json"},
		RequestContext: events.APIGatewayProxyRequestContext{RequestID: "request-1"},
	}
	for i := 0; i < len(headers); i += 2 {
		e.Headers[headers[i]] = headers[i+1]
		if headers[i+1] == "" {
			delete(e.Headers, headers[i])
		}
	}
	return e
}

// answer is what a caller sees.
type answer struct {
	Status int
	Error  string
	Code   string
	Fields map[string]string
	Data   struct {
		ID          string
		Valid       bool
		Transaction map[string]any
	}
}

func (w *world) send(e events.APIGatewayProxyRequest) answer {
	w.t.Helper()
	r, err := w.h.Handle(w.t.Context(), e)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{Status: r.StatusCode}
	if err := json.Unmarshal([]byte(r.Body), &a); err != nil {
		w.t.Fatalf("%d %q: %v", r.StatusCode, r.Body, err)
	}
	if (a.Status >= 400) == (a.Error == "" || a.Code == "") {
		w.t.Errorf("not our shape: %d %s", r.StatusCode, r.Body)
	}
	if strings.Contains(r.Body, "446209711327") || strings.Contains(r.Body, pan) {
		w.t.Errorf("the answer has a card number: %s", r.Body)
	}
	if r.Headers["X-Request-Id"] == "" || !strings.HasPrefix(r.Headers["Content-Type"], "application/json") || r.Headers["Cache-Control"] != "no-store" {
		w.t.Errorf("headers: %v", r.Headers)
	}
	if (a.Status == 503) != (r.Headers["Retry-After"] != "") {
		w.t.Errorf("%d with Retry-After %q", a.Status, r.Headers["Retry-After"])
	}
	return a
}

func (w *world) want(what string, e events.APIGatewayProxyRequest, status int, code string) answer {
	w.t.Helper()
	a := w.send(e)
	if a.Status != status || a.Code != code {
		w.t.Errorf("%s: %d %s %q, want %d %s", what, a.Status, a.Code, a.Error, status, code)
	}
	return a
}

func TestADryRunSaysWhatWouldBeQueued(t *testing.T) {
	w := start(t)
	a := w.want("dry", w.event(good, "dry-run", "TRUE"), 200, "")
	if a.Data.ID != id || !a.Data.Valid || a.Data.Transaction["card_pan"] != "************7064" || a.Data.Transaction["amount"] != 12.5 {
		t.Errorf("%+v", a)
	}
	w.Merchant("m2", `{"daily_sums":[{"currency":"SGD","amount":1}]}`)
	w.Asked()
	w.want("dry, over the sum", w.event(good, "dry-run", "true", "authorization", w.Bearer("m2", token.Merchant, "")), 200, "")
	if got := w.Asked(); !slices.Equal(got, []string{"GET /internal/merchant/m2 request-1"}) {
		t.Errorf("a dry run asked %v", got)
	}
	if w.connect > 0 {
		t.Error("a dry run connected to Kafka")
	}
	w.want("no dry run, which there is no Kafka for", w.event(good, "dry-run", "false"), 503, "log_unavailable")
}

func TestWhoMayPublish(t *testing.T) {
	w := start(t)
	now := w.Now()
	sealed := func(c token.Claims) string { return "Bearer " + w.Signer.Sealed(t, c) }
	w.Session("admin", profile.Session{Role: token.Admin, Version: 1})
	w.Session("old", profile.Session{Role: token.Bank, Version: 2})
	w.Session("locked", profile.Session{Role: token.Bank, Version: 1, Locked: true})
	w.Session("demoted", profile.Session{Role: token.User, Version: 1})
	w.Account("locked", `{"role":"merchant","locked":true,"limits":null}`)
	w.Account("changed", `{"role":"user","locked":false,"limits":null}`)
	for _, tt := range []struct {
		name, authorization string
		status              int
		code                string
	}{
		{"a merchant", w.Bearer(merchant, token.Merchant, ""), 200, ""},
		{"bank", w.Bearer(bank, token.Bank, ""), 200, ""},
		{"admin", w.Bearer("admin", token.Admin, ""), 200, ""},
		{"a user", w.Bearer(merchant, token.User, ""), 403, "forbidden"},
		{"a service", w.Bearer(merchant, token.Service, ""), 403, "forbidden"},
		{"a first password", w.Bearer(bank, token.Bank, token.MustChangePassword), 403, "password_change_required"},
		{"no second factor", w.Bearer(bank, token.Bank, token.MustEnrolTOTP), 403, "totp_required"},
		{"nobody", "", 401, "no_token"},
		{"another scheme", "Basic eA==", 401, "invalid_token"},
		{"no token", "Bearer", 401, "invalid_token"},
		{"rubbish", "Bearer a.b.c", 401, "invalid_token"},
		{"expired", sealed(token.Claims{Subject: bank, Role: token.Bank, Session: 1, Issued: now.Add(-time.Hour), Expires: now.Add(-time.Minute)}), 401, "invalid_token"},
		{"bank of an earlier session", w.Bearer("old", token.Bank, ""), 401, "session_ended"},
		{"bank, locked", w.Bearer("locked", token.Bank, ""), 401, "session_ended"},
		{"bank, of another role now", w.Bearer("demoted", token.Bank, ""), 401, "session_ended"},
		{"bank, deleted", w.Bearer("gone", token.Bank, ""), 401, "session_ended"},
		{"a merchant, locked", w.Bearer("locked", token.Merchant, ""), 401, "session_ended"},
		{"a merchant, of another role now", w.Bearer("changed", token.Merchant, ""), 401, "session_ended"},
		{"a merchant, deleted", w.Bearer("gone", token.Merchant, ""), 401, "session_ended"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.want(tt.name, w.event(good, "authorization", tt.authorization, "dry-run", "true"), tt.status, tt.code)
		})
	}
	e := w.event(good, "dry-run", "true")
	e.MultiValueHeaders = map[string][]string{"Authorization": {e.Headers["authorization"], e.Headers["authorization"]}}
	w.want("two tokens", e, 401, "invalid_token")
	e = w.event(good)
	e.RequestContext.Authorizer = map[string]any{"id": bank, "role": "admin"}
	delete(e.Headers, "authorization")
	w.want("the authorizer's word alone", e, 401, "no_token")
	for _, m := range []string{"GET", "HEAD", "PUT", "DELETE", "TRACE", "post", ""} {
		e := w.event(good)
		e.HTTPMethod = m
		w.want(m, e, 405, "method_not_allowed")
	}
}

func TestBadInputIsNamed(t *testing.T) {
	w := start(t)
	with := func(field, value string) string {
		m := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(good), &m); err != nil {
			t.Fatal(err)
		}
		if delete(m, field); value != "" {
			m[field] = json.RawMessage(value)
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	long := `"` + strings.Repeat("x", 257) + `"`
	type test struct {
		name, body string
		headers    []string
		status     int
		code       string
		field      string
	}
	tests := []test{
		{"nothing", "", nil, 400, "no_body", ""},
		{"spaces", " \n", nil, 400, "no_body", ""},
		{"no JSON", "hello", nil, 400, "not_json", ""},
		{"half", good[:40], nil, 400, "not_json", ""},
		{"something behind", good + "x", nil, 400, "not_json", ""},
		{"a list", "[" + good + "]", nil, 400, "not_json", ""},
		{"a text", `"x"`, nil, 400, "not_json", ""},
		{"null", "null", nil, 400, "invalid", "card_id"},
		{"an empty object", "{}", nil, 400, "invalid", "amount"},
		{"not UTF-8", strings.Replace(good, "Kaligo", "\xff", 1), nil, 400, "not_json", ""},
		{"a NUL byte in the JSON", strings.Replace(good, "Kaligo", "Ka\x00", 1), nil, 400, "not_json", ""},
		{"a NUL character", strings.Replace(good, "Kaligo", `Ka\u0000`, 1), nil, 400, "invalid", "merchant"},
		{"nested deeply", strings.Repeat("[", 30_000), nil, 400, "not_json", ""},
		{"nested deeply in a field", with("merchant", strings.Repeat("[", 9_000)+strings.Repeat("]", 9_000)), nil, 400, "invalid", "merchant"},
		{"65 KB", with("merchant", `"`+strings.Repeat("x", 65<<10)+`"`), nil, 413, "too_large", ""},
		{"10 MB", strings.Repeat("x", 10<<20), nil, 413, "too_large", ""},
		{"an unknown field", with("sgd_ammount", "1"), nil, 400, "invalid", "sgd_ammount"},
		{"a field in capitals", with("Merchant", `"x"`), nil, 400, "invalid", "Merchant"},
		{"a card number for a name", with("4462097113277064", `"x"`), nil, 400, "invalid", "************7064"},
		{"a field that is there twice", strings.Replace(good, "{", `{"amount":1,`, 1), nil, 400, "invalid", "amount"},
		{"and once escaped", strings.Replace(good, "{", `{"amoun\u0074":1,`, 1), nil, 400, "invalid", "amount"},
		{"no id and no reference", strings.Replace(with("id", ""), "ref-1", "", 1), nil, 400, "invalid", "id"},
		{"the nil id", with("id", `"00000000-0000-0000-0000-000000000000"`), nil, 400, "invalid", "id"},
		{"a card number as an amount", with("amount", "4462097113277064"), nil, 400, "invalid", "amount"},
		{"too many decimals", with("amount", "1.001"), nil, 400, "invalid", "amount"},
		{"an exponent", with("amount", "1e2"), nil, 400, "invalid", "amount"},
		{"a text as an amount", with("amount", `"1.00"`), nil, 400, "invalid", "amount"},
		{"a huge amount", with("amount", strings.Repeat("9", 5000)), nil, 400, "invalid", "amount"},
		{"the other sign", with("sgd_amount", "-1"), nil, 202, "", ""}, // it is not read for spend at home
		{"an MCC that is none", with("mcc", "10000"), nil, 400, "invalid", "mcc"},
		{"a currency that is none", with("currency", `"XXQ"`), nil, 400, "invalid", "currency"},
		{"a day that is none", with("transaction_date", `"2021-02-30"`), nil, 400, "invalid", "transaction_date"},
		{"a card number that is none", with("card_pan", `"123"`), nil, 400, "invalid", "card_pan"},
		{"dry or not", good, []string{"dry-run", "maybe"}, 400, "invalid", "Dry-Run"},
		{"a key with a space", good, []string{"idempotency-key", "a b"}, 400, "invalid", "Idempotency-Key"},
		{"a key that is no ASCII", good, []string{"idempotency-key", "schlüssel"}, 400, "invalid", "Idempotency-Key"},
		{"a long key", good, []string{"idempotency-key", strings.Repeat("k", 256)}, 400, "invalid", "Idempotency-Key"},
		{"a form", good, []string{"content-type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", ""},
		{"CSV", good, []string{"content-type", "text/csv"}, 415, "unsupported_media_type", ""},
		{"another charset", good, []string{"content-type", "application/json; charset=latin1"}, 415, "unsupported_media_type", ""},
		{"a type that is none", good, []string{"content-type", ";"}, 415, "unsupported_media_type", ""},
		{"compressed", good, []string{"content-encoding", "gzip"}, 415, "unsupported_media_type", ""},
		{"a key with a card that is none", strings.Replace(with("id", ""), card, "x", 1), []string{"idempotency-key", "k"}, 400, "invalid", "card_id"},
	}
	for _, f := range loyalty.Columns {
		tests = append(tests, test{f + ": a list", with(f, "[]"), nil, 400, "invalid", f}, test{f + ": a flag", with(f, "true"), nil, 400, "invalid", f},
			test{f + ": an object", with(f, "{}"), nil, 400, "invalid", f})
		if f != "amount" && f != "sgd_amount" {
			tests = append(tests, test{f + ": too long", with(f, long), nil, 400, "invalid", f})
		}
		if !slices.Contains([]string{"id", "merchant", "mcc", "sgd_amount", "transaction_id"}, f) {
			tests = append(tests, test{f + ": missing", with(f, ""), nil, 400, "invalid", f}, test{f + ": null", with(f, "null"), nil, 400, "invalid", f})
		}
		if slices.Contains([]string{"id", "card_id", "currency", "transaction_date", "card_pan"}, f) {
			tests = append(tests, test{f + ": rubbish", with(f, `"4462 0971 1327 7064 x"`), nil, 400, "invalid", f})
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			headers := tt.headers
			if tt.status == 202 {
				headers, tt.status = []string{"dry-run", "true"}, 200
			}
			a := w.want(tt.name, w.event(tt.body, headers...), tt.status, tt.code)
			if _, ok := a.Fields[tt.field]; tt.field != "" && !ok {
				t.Errorf("%s is not named: %+v", tt.field, a)
			}
		})
	}
	w.t = t
	if w.connect > 0 {
		t.Error("what is bad reached Kafka")
	}
}

func TestABodyInBase64(t *testing.T) {
	w := start(t)
	e := w.event(base64.StdEncoding.EncodeToString([]byte(good)), "dry-run", "true")
	e.IsBase64Encoded = true
	if a := w.want("encoded", e, 200, ""); a.Data.ID != id {
		t.Errorf("%+v", a)
	}
	e.Body = good
	w.want("not what it says", e, 400, "not_json")
	e.Body = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), 10<<20))
	w.want("too large", e, 413, "too_large")
	e.Body = ""
	w.want("empty", e, 400, "no_body")
}

func TestTheIDOfATransaction(t *testing.T) {
	w := start(t)
	cardID := uuid.MustParse(card)
	noID := strings.Replace(good, `"id":"`+id+`",`, "", 1)
	nothing := strings.Replace(noID, `"transaction_id":"ref-1",`, "", 1)
	byKey := uuid.NewSHA1(cardID, []byte(merchant+"\nkey-1")).String()
	for _, tt := range []struct {
		name, body, key, want string
	}{
		{"its own", good, "", id},
		{"its own, with a key", good, "key-1", id},
		{"of the reference", noID, "", uuid.NewSHA1(cardID, []byte("ref-1")).String()},
		{"of the key, with a reference", noID, "key-1", byKey},
		{"of the key", nothing, "key-1", byKey},
		{"of the key, with a blank id", strings.Replace(good, id, " ", 1), "key-1", byKey},
		{"of the longest key", nothing, strings.Repeat("~", 255), uuid.NewSHA1(cardID, []byte(merchant+"\n"+strings.Repeat("~", 255))).String()},
	} {
		headers := []string{"dry-run", "true"}
		if tt.key != "" {
			headers = append(headers, "idempotency-key", tt.key)
		}
		if a := w.want(tt.name, w.event(tt.body, headers...), 200, ""); a.Data.ID != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, a.Data.ID, tt.want)
		}
	}
	a := w.want("another account's same key", w.event(nothing, "dry-run", "true", "idempotency-key", "key-1", "authorization", w.Bearer(bank, token.Bank, "")), 200, "")
	if a.Data.ID == byKey {
		t.Error("two accounts share an id")
	}
	w.want("no key", w.event(nothing, "dry-run", "true"), 400, "invalid")
}

func TestAMerchantsLimits(t *testing.T) {
	w := start(t)
	for i, tt := range []struct {
		name, limits, field string
	}{
		{"none", `null`, ""},
		{"empty ones", `{"merchants":[],"mccs":[],"currencies":[],"daily_sums":[]}`, ""},
		{"all of them", `{"merchants":[" KALIGO "],"mccs":["5122"],"currencies":["SGD","USD"]}`, ""},
		{"a range", `{"mccs":["5000-5999"]}`, ""},
		{"another merchant", `{"merchants":["Kaligo Pte","Kalig"]}`, "merchant"},
		{"another MCC", `{"mccs":["5411","3500-3999"]}`, "mcc"},
		{"another currency", `{"currencies":["USD"]}`, "currency"},
	} {
		account := fmt.Sprint("m", i)
		w.Merchant(account, tt.limits)
		status, code := 200, ""
		if tt.field != "" {
			status, code = 403, "not_your_merchant"
		}
		a := w.want(tt.name, w.event(good, "dry-run", "true", "authorization", w.Bearer(account, token.Merchant, "")), status, code)
		if tt.field != "" && (a.Fields[tt.field] == "" || len(a.Fields) != 1) {
			t.Errorf("%s: %+v", tt.name, a)
		}
	}
	w.Merchant("folded", `{"merchants":["STRASSE"]}`)
	w.want("ß", w.event(strings.Replace(good, "Kaligo", "Straße", 1), "dry-run", "true", "authorization", w.Bearer("folded", token.Merchant, "")), 200, "")
	w.Merchant("mcc", `{"mccs":["5122"]}`)
	w.want("an unknown MCC", w.event(strings.Replace(good, "5122", "0", 1), "dry-run", "true", "authorization", w.Bearer("mcc", token.Merchant, "")), 403, "not_your_merchant")
}

func TestLimitsMayBeRequired(t *testing.T) {
	w := start(t, func(c *publish.Config) { c.RequireLimits = true })
	w.Merchant("empty", `{"merchants":[],"mccs":[],"currencies":[],"daily_sums":[]}`)
	w.Merchant("some", `{"currencies":["SGD"]}`)
	w.want("none", w.event(good, "dry-run", "true"), 403, "not_your_merchant")
	w.want("empty", w.event(good, "dry-run", "true", "authorization", w.Bearer("empty", token.Merchant, "")), 403, "not_your_merchant")
	w.want("some", w.event(good, "dry-run", "true", "authorization", w.Bearer("some", token.Merchant, "")), 200, "")
	w.want("the bank has none", w.event(good, "dry-run", "true", "authorization", w.Bearer(bank, token.Bank, "")), 200, "")
}

func TestLimitsAreRememberedForAMinute(t *testing.T) {
	w := start(t)
	dry := func() events.APIGatewayProxyRequest { return w.event(good, "dry-run", "true") }
	w.want("asked", dry(), 200, "")
	w.Merchant(merchant, `{"currencies":["USD"]}`)
	w.Asked()
	w.Move(59 * time.Second)
	w.want("remembered", dry(), 200, "")
	if got := w.Asked(); len(got) > 0 {
		t.Errorf("asked %v", got)
	}
	w.Move(time.Second)
	w.want("asked again", dry(), 403, "not_your_merchant")
	w.Account(merchant, "")
	w.Move(time.Minute)
	w.want("deleted", dry(), 401, "session_ended")
}

func TestWithProfilerAway(t *testing.T) {
	w := start(t)
	w.Away(true)
	w.want("no keys yet", w.event(good), 503, "keys_unavailable")
	w.Away(false)
	w.Move(2 * time.Minute)
	w.want("a merchant it knows", w.event(good, "dry-run", "true"), 200, "")
	w.Away(true)
	w.want("remembered", w.event(good, "dry-run", "true"), 200, "")
	w.want("bank, whose session is looked up each time", w.event(good, "authorization", w.Bearer(bank, token.Bank, "")), 503, "accounts_unavailable")
	w.Move(2 * time.Minute)
	w.want("a merchant, later", w.event(good), 503, "accounts_unavailable")
	w.want("a token of another key", w.event(good, "authorization", "Bearer "+publishtest.Start(t).Signer.Token(t, merchant, token.Merchant)), 401, "invalid_token")
	if w.connect > 0 {
		t.Error("something reached Kafka")
	}
}

func TestADailySumIsLookedAtBeforeKafkaIs(t *testing.T) {
	w := start(t)
	w.Merchant(merchant, `{"daily_sums":[{"currency":"SGD","amount":12.49}]}`)
	w.Sum(merchant, "12.49")
	a := w.want("too much", w.event(good), 403, "not_your_merchant")
	if a.Fields["amount"] == "" || w.connect > 0 || w.Spent(merchant) != 0 {
		t.Errorf("%+v, connected %d times, spent %d", a, w.connect, w.Spent(merchant))
	}
	// It is counted, and Kafka is away: sent again it is counted no second time.
	w.Sum(merchant, "12.50")
	for range 3 {
		w.want("enough", w.event(good), 503, "log_unavailable")
		if got := w.Spent(merchant); got != 1250 {
			t.Errorf("%d were counted", got)
		}
	}
	if w.connect != 3 {
		t.Errorf("connected %d times", w.connect)
	}
}

// Real sarama, and a port where nobody listens.
func TestWithKafkaAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	p := publishtest.Start(t)
	p.Merchant(merchant, "null")
	h, err := publish.New(publish.Config{Home: loyalty.MustCurrency("SGD"), Wait: 300 * time.Millisecond}, publish.Deps{
		Verifier: p.Verifier(), Profile: p.Client(), Clock: p.Now,
		NewProducer: func(c *sarama.Config) (sarama.SyncProducer, error) { return sarama.NewSyncProducer([]string{addr}, c) },
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Profiler: p, t: t, h: h}
	w.want("away", w.event(good), 503, "log_unavailable")
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(400*time.Millisecond)) // in the runtime's margin
	defer cancel()
	if r, err := h.Handle(ctx, w.event(good)); err != nil || r.StatusCode != 503 || ctx.Err() != nil {
		t.Errorf("%d, %v, %v", r.StatusCode, err, ctx.Err())
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	w.want("closed", w.event(good), 503, "log_unavailable")
}

// latecomer is a producer that must not be asked to send.
type latecomer struct {
	sarama.SyncProducer
	closed chan struct{}
}

func (l latecomer) Close() error {
	close(l.closed)
	return nil
}

func (latecomer) SendMessage(*sarama.ProducerMessage) (int32, int64, error) {
	panic("sent what nobody waits for")
}

func TestWhatNobodyWaitsForIsNotSent(t *testing.T) {
	p := publishtest.Start(t)
	p.Merchant(merchant, "null")
	up, producer := make(chan struct{}), latecomer{closed: make(chan struct{})}
	h, err := publish.New(publish.Config{Home: loyalty.MustCurrency("SGD"), Wait: 200 * time.Millisecond}, publish.Deps{
		Verifier: p.Verifier(), Profile: p.Client(), Clock: p.Now,
		NewProducer: func(*sarama.Config) (sarama.SyncProducer, error) {
			<-up
			return producer, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Profiler: p, t: t, h: h}
	w.want("connecting takes long", w.event(good), 503, "log_unavailable")
	close(up)
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	<-producer.closed
}

func TestARequestsID(t *testing.T) {
	w := start(t)
	for _, tt := range []struct{ gateway, header, want string }{
		{"gateway-1", "client-1", "gateway-1"},
		{"", "client-1", "client-1"},
		{"", "client 1\n", ""},
		{"", strings.Repeat("x", 65), ""},
		{"", "", ""},
	} {
		e := w.event(good, "dry-run", "true", "X-Request-ID", tt.header)
		e.RequestContext.RequestID = tt.gateway
		r, err := w.h.Handle(t.Context(), e)
		got := r.Headers["X-Request-Id"]
		if err != nil || r.StatusCode != 200 || tt.want != "" && got != tt.want || tt.want == "" && uuid.Validate(got) != nil {
			t.Errorf("%+v: %q, %v", tt, got, err)
		}
	}
}

// API Gateway passes on what a lambda answers as it is: a browser shows the portal nothing else.
func TestThePortalMayReadAnswers(t *testing.T) {
	for portal, want := range map[string]string{"https://portal.example.com": "X-Request-Id,Retry-After", "": ""} {
		w := start(t, func(c *publish.Config) { c.Portal = portal })
		for _, e := range []events.APIGatewayProxyRequest{w.event(good, "dry-run", "true"), w.event("x"), w.event(good, "authorization", "")} {
			r, err := w.h.Handle(t.Context(), e)
			if err != nil || r.Headers["Access-Control-Allow-Origin"] != portal || r.Headers["Access-Control-Expose-Headers"] != want {
				t.Errorf("%d: %v, %v", r.StatusCode, r.Headers, err)
			}
		}
	}
}

func TestTwoOfAHeader(t *testing.T) {
	w := start(t)
	for name, status := range map[string]int{"Content-Type": 415, "Idempotency-Key": 400, "Dry-Run": 400} {
		e := w.event(good, "dry-run", "true")
		e.MultiValueHeaders = map[string][]string{name: {"true", "true"}}
		for k, v := range e.Headers {
			if !strings.EqualFold(k, name) {
				e.MultiValueHeaders[k] = []string{v}
			}
		}
		if name == "Content-Type" {
			e.MultiValueHeaders[name] = []string{"application/json", "application/json"}
		}
		if a := w.send(e); a.Status != status {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestWhatIsMissing(t *testing.T) {
	p := publishtest.Start(t)
	whole := publish.Deps{Verifier: p.Verifier(), Profile: p.Client(), NewProducer: func(*sarama.Config) (sarama.SyncProducer, error) { return nil, nil }}
	home := loyalty.MustCurrency("SGD")
	for name, tt := range map[string]struct {
		cfg    publish.Config
		change func(*publish.Deps)
	}{
		"the home currency": {publish.Config{}, func(*publish.Deps) {}},
		"patience":          {publish.Config{Home: home, Wait: -1}, func(*publish.Deps) {}},
		"the verifier":      {publish.Config{Home: home}, func(d *publish.Deps) { d.Verifier = nil }},
		"profiler":          {publish.Config{Home: home}, func(d *publish.Deps) { d.Profile = nil }},
		"Kafka":             {publish.Config{Home: home}, func(d *publish.Deps) { d.NewProducer = nil }},
	} {
		d := whole
		tt.change(&d)
		if _, err := publish.New(tt.cfg, d); err == nil {
			t.Errorf("%s is missing, and it starts", name)
		}
	}
	if _, err := publish.New(publish.Config{Home: home}, whole); err != nil {
		t.Error(err)
	}
}

func TestRequestsAreCounted(t *testing.T) {
	w := start(t)
	w.send(w.event(good))      // 503, there is no Kafka
	w.send(w.event("no JSON")) // 400
	var got []string
	for line := range strings.Lines(w.counted.String()) {
		var m struct {
			Service  string `json:"service"`
			Status   string `json:"status"`
			Requests int
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, fmt.Sprint(m.Service, " ", m.Status, " ", m.Requests))
	}
	if want := []string{"publish-single 5xx 1", "publish-single 4xx 1"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
