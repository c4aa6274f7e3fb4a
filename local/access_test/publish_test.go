package access_test

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/token"
	publish "github.com/angelowl-loyalties/app/publish-single"
	"github.com/angelowl-loyalties/app/publish-single/publishtest"
)

// recorded are the values of the records that requests have left in Kafka.
func recorded(t *testing.T, requests ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := w.Records(t.Context(), record.Topic, func(m *sarama.ConsumerMessage) error {
		if id := stack.Header(m, record.HeaderRequestID); slices.Contains(requests, id) {
			out[id] = stack.Header(m, "source") + " " + string(m.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// published sends a transaction by a token, with changes to it, and returns the request's id too.
func published(t *testing.T, status int, bearer, card string, change object, headers ...string) (answer, string) {
	t.Helper()
	body := object{}
	if err := json.Unmarshal([]byte(w.spend(card)), &body); err != nil {
		t.Fatal(err)
	}
	for name, value := range change {
		if body[name] = value; value == nil {
			delete(body, name)
		}
	}
	id := rand.Text() // no UUID, which may look like a card number and is replaced then
	return want(t, status, bearer, "POST", "/publish", body.String(), append(headers, "X-Request-Id: "+id)...), id
}

// earned is a card's page of rewards.
func earned(t *testing.T, bearer, card string) (ids []string, body string) {
	t.Helper()
	body = want(t, 200, bearer, "GET", "/reward/"+card, "").body
	var page struct{ Data []struct{ ID string } }
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatal(err)
	}
	for _, r := range page.Data {
		ids = append(ids, r.ID)
	}
	return ids, body
}

func TestATransactionThatIsSentThriceEarnsOnce(t *testing.T) {
	card := must[string](t)(w.newCard())
	key := "Idempotency-Key: " + uuid.NewString()
	var requests []string
	var first string
	for range 3 {
		a, request := published(t, 202, w.tokens[shop], card, object{"id": nil}, key)
		if requests = append(requests, request); first == "" {
			first = a.body
		}
		if a.body != first || a.header.Get("X-Request-Id") != request {
			t.Errorf("%s with the request id %s, not %s with %s", a, a.header.Get("X-Request-Id"), first, request)
		}
		if by := w.log.known(t, request, "gateway", "publish-single"); !slices.Contains(by, "gateway") || !slices.Contains(by, "publish-single") {
			t.Errorf("%v have logged the request", by)
		}
	}
	records := recorded(t, requests...)
	for _, request := range requests {
		if r := records[request]; !strings.HasPrefix(r, record.SourceAccount+w.samples[token.Merchant].ID+" ") || strings.Contains(r, "4111111111111111") {
			t.Errorf("the record of %s is %q", request, r)
		}
	}
	if err := w.AwaitRewarded(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, who := range []caller{own, admin} {
		ids, body := earned(t, w.tokens[who], card)
		if len(ids) != 1 || !strings.Contains(first, ids[0]) || !strings.Contains(body, `"outcome":"rewarded"`) {
			t.Errorf("%s sees %s", callers[who], body)
		}
	}
	want(t, 404, w.tokens[other], "GET", "/reward/"+card, "")
	want(t, 403, w.tokens[bank], "GET", "/reward/"+card, "")
	want(t, 403, w.tokens[shop], "GET", "/reward/"+card, "")
}

func TestARequestIDGoesThroughAllServices(t *testing.T) {
	for path, service := range map[string]string{"/user/" + w.userID: "profiler", "/campaign": "campaignex", "/reward/total/" + w.card: "informer"} {
		id := rand.Text() // no UUID, which may look like a card number and is replaced then
		a := want(t, 200, w.tokens[own], "GET", path, "", "X-Request-Id: "+id)
		if by := w.log.known(t, id, "gateway", service); a.header.Get("X-Request-Id") != id || !slices.Contains(by, "gateway") || !slices.Contains(by, service) {
			t.Errorf("%s: %v have logged it, and it has the id %s", a, by, a.header.Get("X-Request-Id"))
		}
	}
	// What a service asks of another goes by the id of the request that it asks for.
	id := rand.Text()
	want(t, 201, w.tokens[admin], "POST", "/campaign", campaignBody, "X-Request-Id: "+id)
	if by := w.log.known(t, id, "campaignex", "gateway", "profiler"); !slices.Equal(by, []string{"campaignex", "gateway", "profiler"}) {
		t.Errorf("%v have logged it", by)
	}
}

func TestADryRunWritesNothing(t *testing.T) {
	card := must[string](t)(w.newCard())
	a, dry := published(t, 200, w.tokens[shop], card, nil, "Dry-Run: true")
	if !strings.Contains(a.body, `"valid":true`) {
		t.Errorf("%s", a)
	}
	published(t, 400, w.tokens[shop], card, object{"currency": "XXQ"}, "Dry-Run: true")
	_, real := published(t, 202, w.tokens[bank], card, nil)
	if all := recorded(t, dry, real); all[dry] != "" || all[real] == "" {
		t.Errorf("Kafka has %v", all)
	}
	if err := w.AwaitRewarded(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if ids, body := earned(t, w.tokens[admin], card); len(ids) != 1 {
		t.Errorf("the card has %s", body)
	}
}

func TestAMerchantSendsNoMoreThanItMay(t *testing.T) {
	merchant := must[string](t)(w.newMerchant())
	want(t, 200, w.tokens[admin], "PUT", "/user/"+merchant+"/limits", `{"merchants":["Kaligo"],"mccs":["5122"],"currencies":["CAD"],"daily_sums":[{"currency":"CAD","amount":25}]}`)
	var secret struct {
		Data struct {
			Secret string `json:"client_secret"`
		}
	}
	if err := must[answer](t)(w.send(admin, "POST", "/user/"+merchant+"/secret", "")).read(201, &secret); err != nil {
		t.Fatal(err)
	}
	bearer := must[string](t)(w.clientToken(merchant, secret.Data.Secret))
	var refused []string
	for _, c := range []struct {
		name   string
		change object
		status int
	}{
		{"what it may", nil, 202},
		{"another merchant's", object{"merchant": "Expedia"}, 403},
		{"another code", object{"mcc": 5411}, 403},
		{"another currency", object{"currency": "USD"}, 403},
		{"a dry run of another merchant's", object{"merchant": "Expedia"}, 403},
		{"the second", nil, 202},
		{"more than the day's sum", nil, 403},
		{"what is left of it", object{"amount": 5}, 202},
		{"nothing is left", object{"amount": 0.01}, 403},
	} {
		var headers []string
		if strings.HasPrefix(c.name, "a dry run") {
			headers = append(headers, "Dry-Run: true")
		}
		a, id := published(t, c.status, bearer, w.card, c.change, headers...)
		if c.status == 403 {
			if refused = append(refused, id); a.code() != "not_your_merchant" {
				t.Errorf("%s: %s", c.name, a)
			}
		}
	}
	if all := recorded(t, refused...); len(all) > 0 {
		t.Errorf("Kafka has what was refused: %v", all)
	}
	want(t, 200, w.tokens[admin], "PUT", "/user/"+merchant, `{"locked":true}`)
	want(t, 401, "", "POST", "/auth/token", object{"grant_type": "client_credentials", "client_id": merchant, "client_secret": secret.Data.Secret}.String())
}

// While Kafka is away a sender is told to send the same again, through the front door too.
func TestATransactionWhileKafkaIsAway(t *testing.T) {
	p := publishtest.Start(t)
	merchant := uuid.NewString()
	p.Merchant(merchant, "null")
	h, err := publish.New(publish.Config{Home: loyalty.MustCurrency("CAD"), Wait: 2 * time.Second}, publish.Deps{
		Verifier: p.Verifier(), Profile: p.Client(), Clock: p.Now,
		NewProducer: func(c *sarama.Config) (sarama.SyncProducer, error) { return nil, sarama.ErrOutOfBrokers },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	srv := second(t, p.Verifier(), h.Handle, p.Now)
	a, err := through(srv.Client(), srv.URL, strings.TrimPrefix(p.Bearer(merchant, token.Merchant, ""), "Bearer "), "POST", "/publish", w.spend(w.card))
	if err != nil || a.status != 503 || a.code() != "log_unavailable" || a.header.Get("Retry-After") != "5" {
		t.Errorf("%s with Retry-After %q, %v", a, a.header.Get("Retry-After"), err)
	}
}
