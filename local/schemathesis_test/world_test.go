//go:build unix

package schemathesis_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

// world is the running system, with sample users of each role, rules, and spend that was rewarded.
type world struct {
	*stack.Stack
	client *http.Client
	tokens map[token.Role]string
	made   int // things made for examples, so that no two are alike
}

// start runs body with the system, on embedded engines.
func start(t *testing.T, body func(*testing.T, context.Context, *world)) {
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	seed, err := stack.ReadSeed(filepath.Join(inputs, "rules.json"), filepath.Join(inputs, "quotes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(".") // the S3 server changes it
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	cfg := stack.Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Home: loyalty.MustCurrency("CAD"), Timezone: zone, Rewarders: 1, Partitions: 1, Throwaway: true,
		Portal: "http://127.0.0.1:3000", Samples: true,
	}
	var log bytes.Buffer
	err = stack.Run(t.Context(), cfg, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})), func(ctx context.Context, s *stack.Stack) error {
		w := &world{Stack: s, client: client, tokens: map[token.Role]string{}}
		if err := w.fill(ctx, seed, filepath.Join(inputs, "spend.csv")); err != nil {
			return err
		}
		t.Run("running", func(t *testing.T) { body(t, ctx, w) })
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if t.Failed() {
		t.Logf("the system's warnings:\n%s", last(log.String(), 20_000))
	}
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }

// fill gives the sample users something to see.
func (w *world) fill(ctx context.Context, seed stack.Seed, spend string) error {
	if err := w.Plant(ctx, seed); err != nil {
		return err
	}
	if _, err := w.AwaitRules(ctx); err != nil {
		return err
	}
	id := uuid.NewString()
	if err := w.Upload(ctx, id, spend); err != nil {
		return err
	}
	if _, err := w.AwaitReport(ctx, id); err != nil {
		return err
	}
	if err := w.AwaitRewarded(ctx, nil); err != nil {
		return err
	}
	if _, err := w.SampleUsers(ctx); err != nil {
		return err
	}
	if err := w.SampleCards(ctx); err != nil {
		return err
	}
	for _, role := range []token.Role{token.User, token.Merchant, token.Bank, token.Admin} {
		var err error
		if w.tokens[role], err = w.signIn(ctx, role); err != nil {
			return err
		}
	}
	return nil
}

// signIn returns a new access token of a sample user.
func (w *world) signIn(ctx context.Context, role token.Role) (string, error) {
	a, err := samples.Of(w.Data, role)
	if err != nil {
		return "", err
	}
	var out struct {
		Data struct {
			Token string `json:"token"`
		} `json:"data"`
		AccessToken string `json:"access_token"`
	}
	if role == token.Merchant {
		err = w.call(ctx, "", http.MethodPost, "/auth/token", map[string]any{"grant_type": "client_credentials", "client_id": a.ID, "client_secret": a.Secret}, &out)
		return out.AccessToken, err
	}
	err = w.call(ctx, "", http.MethodPost, "/auth/login", map[string]any{"email": a.Email, "password": a.Password}, &out)
	return out.Data.Token, err
}

// call sends a request and reads the answer, which must be of 200 to 299, into out.
func (w *world) call(ctx context.Context, as token.Role, method, path string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, w.URL+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if as != "" {
		req.Header.Set("Authorization", "Bearer "+w.tokens[as])
	}
	res, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s %s", method, path, res.Status, answer)
	}
	return json.Unmarshal(answer, out)
}

// object is a JSON object.
type object = map[string]any

// examples are what a run as a role begins with. What it may change, lock, reset and delete is its own:
// accounts and rules made for it, never the account whose session it is. What an operation deletes is
// not what others read.
func (w *world) examples(t *testing.T, ctx context.Context, role token.Role) map[string]example {
	t.Helper()
	create := func(path string, body any) string {
		t.Helper()
		var out struct {
			Data struct {
				ID string `json:"id"`
			} `json:"data"`
		}
		if err := w.call(ctx, token.Admin, http.MethodPost, path, body, &out); err != nil {
			t.Fatal(err)
		}
		return out.Data.ID
	}
	user := func() string { return create("/user", w.user(token.User)) }
	card := func(owner string) string { return create("/card", w.card(owner)) }
	cardType := func() string {
		body := w.cardType()
		create("/card/type", body)
		return body["card_type"].(string)
	}
	fxDay := func() string {
		w.made++
		day := time.Date(2021, 1, w.made, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
		var out object
		if err := w.call(ctx, token.Admin, http.MethodPut, "/fx/"+day, fx, &out); err != nil {
			t.Fatal(err)
		}
		return day
	}
	id := func(id string) example { return example{path: map[string]string{"id": id}} }
	with := func(e example, body any) example { e.body = body; return e }
	cards, err := w.Cards(ctx, sampleCards)
	if err != nil {
		t.Fatal(err)
	}
	ofCard := example{path: map[string]string{"cardId": cards[0]}}

	owner := user()
	out := map[string]example{
		"getUser":           id(owner),
		"putUser":           with(id(owner), object{"first_name": "Ann", "last_name": "Lee", "phone": "+6591234567", "email": fmt.Sprintf("ann-%s@example.com", role), "reward_emails": true}),
		"historyUser":       id(owner),
		"deleteUser":        id(user()),
		"sendFirstPassword": id(user()),
		"resetTOTP":         id(user()),
		"createUser":        {body: w.user(token.User)},
		"searchUsers":       {body: object{"card_pan": "4111 1111 1111 1111"}},
		"getCard":           id(card(owner)),
		"historyCard":       id(card(owner)),
		"deleteCard":        id(card(owner)),
		"createCard":        {body: w.card(owner)},
		"createCardType":    {body: w.cardType()},
		"createCampaign":    {body: campaign},
		"createExclusion":   {body: exclusion},
		"tryCampaigns":      {body: object{"transaction": w.transaction(cards[0]), "campaigns": []object{campaign}, "exclusions": []object{exclusion}}},
		"publish":           {body: w.transaction(cards[0])},
		"listRewards":       ofCard,
		"totalRewards":      ofCard,
		"summarizeRewards":  ofCard,
	}
	if role == token.User {
		a, err := samples.Of(w.Data, token.User)
		if err != nil {
			t.Fatal(err)
		}
		out["getUser"], out["getCard"] = id(a.ID), id(cards[0])
		out["putUser"] = with(id(a.ID), object{"first_name": "Uma", "last_name": "Sample", "phone": "+6591234567", "reward_emails": true})
	}
	merchant := create("/user", w.user(token.Merchant))
	secret := create("/user/"+merchant+"/secret", nil)
	for _, op := range []string{"listSecrets", "createSecret", "getLimits"} {
		out[op] = id(merchant)
	}
	out["putLimits"] = with(id(merchant), object{"merchants": []string{"Kaligo"}, "mccs": []string{"5122", "3000-3299"}, "currencies": []string{"SGD"},
		"daily_sums": []object{{"currency": "SGD", "amount": 1000}}})
	out["deleteSecret"] = example{path: map[string]string{"id": merchant, "secretId": secret}}
	for noun, body := range map[string]object{"Campaign": campaign, "Exclusion": exclusion} {
		path := "/" + strings.ToLower(noun)
		kept := create(path, body)
		out["get"+noun], out["put"+noun], out["history"+noun], out["delete"+noun] = id(kept), with(id(kept), body), id(kept), id(create(path, body))
	}
	typed := func(name string) example { return example{path: map[string]string{"card_type": name}} }
	kept := cardType()
	out["getCardType"], out["historyCardType"], out["deleteCardType"] = typed(kept), typed(kept), typed(cardType())
	out["putCardType"] = with(typed(kept), object{"card_type": kept, "name": "Another name", "reward_unit": "miles", "reward_program": "SCISMiles"})
	dated := func(day string) example { return example{path: map[string]string{"date": day}} }
	day := fxDay()
	out["getFxDay"], out["putFxDay"], out["historyFxDay"], out["deleteFxDay"] = dated(day), with(dated(day), fx), dated(day), dated(fxDay())
	out["getUpload"] = id(create("/upload", object{"kind": "spend", "filename": "spend.csv"}))
	var letters struct{ Data []struct{ ID string } }
	if err := w.call(ctx, token.Admin, http.MethodGet, "/ops/deadletters?reason=unknown_card_type", nil, &letters); err != nil {
		t.Fatal(err)
	}
	letter := example{path: map[string]string{"letter": letters.Data[0].ID}}
	out["getDeadLetter"] = letter
	out["resendDeadLetter"] = with(letter, object{"set": object{"card_type": "scis_platinummiles"}, "again": true})
	out["importFx"] = example{body: "Date,USD,CAD\n2021-06-01,1.2225,1.4724\n"}
	if role == "" {
		w.signInExamples(t, ctx, out)
	}
	return out
}

// signInExamples are of the account of a user whom nobody else signs in as.
func (w *world) signInExamples(t *testing.T, ctx context.Context, out map[string]example) {
	t.Helper()
	body := w.user(token.User)
	body["password"] = uuid.NewString()
	body["confirm_password"] = body["password"]
	var answer struct {
		Data struct {
			Refresh string `json:"refresh_token"`
		} `json:"data"`
	}
	if err := w.call(ctx, token.Admin, http.MethodPost, "/user", body, new(object)); err != nil {
		t.Fatal(err)
	}
	who := object{"email": body["email"], "password": body["password"]}
	if err := w.call(ctx, "", http.MethodPost, "/auth/login", who, &answer); err != nil {
		t.Fatal(err)
	}
	merchant, err := samples.Of(w.Data, token.Merchant)
	if err != nil {
		t.Fatal(err)
	}
	out["login"] = example{body: who}
	out["refresh"] = example{body: object{"refresh_token": answer.Data.Refresh}}
	out["forgotPassword"] = example{body: object{"email": body["email"]}}
	out["clientToken"] = example{body: object{"grant_type": "client_credentials", "client_id": merchant.ID, "client_secret": merchant.Secret}}
}

const sampleCards = 3

var (
	campaign = object{
		"name": "4 points per dollar on shopping", "reward_program": "scis_shopping", "reward_amount": 4, "min_spend": 0,
		"start_date": "2030-02-01T00:00:00Z", "end_date": "2030-12-31T00:00:00Z", "mcc": "5300-5311,5611", "merchant": "", "base_reward": false, "foreign_currency": false,
	}
	exclusion = object{"mcc": 6051, "valid_from": "2030-01-01T00:00:00Z"}
	fx        = object{"base": "EUR", "quotes": object{"USD": 1.1234, "CAD": 1.4598, "SGD": 1.5111}}
)

func (w *world) user(role token.Role) object {
	w.made++
	return object{"first_name": "Ann", "last_name": "Lee", "phone": "+6591234567", "email": fmt.Sprintf("made-%d@example.com", w.made), "Role": string(role)}
}

func (w *world) card(owner string) object {
	w.made++
	return object{"card_pan": pan(w.made), "user_id": owner, "card_type": "scis_shopping"}
}

func (w *world) cardType() object {
	w.made++
	return object{"card_type": fmt.Sprintf("made_%d", w.made), "name": "A card", "reward_unit": "miles", "reward_program": "SCISMiles"}
}

func (w *world) transaction(card string) object {
	return object{
		"id": uuid.NewString(), "card_id": card, "merchant": "Kaligo", "mcc": 5122, "currency": "CAD", "amount": 12.5, "transaction_id": "ref-1",
		"transaction_date": "2019-09-01", "card_pan": "4111111111111111", "card_type": "scis_shopping",
	}
}

// pan is the n-th number that ISO/IEC 7812's check digit fits.
func pan(n int) string {
	number := fmt.Sprintf("400000%09d", n)
	sum := 0
	for i := range number {
		d := int(number[len(number)-1-i] - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return fmt.Sprintf("%s%d", number, (10-sum%10)%10)
}
