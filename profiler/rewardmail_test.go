package profiler_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/profiler"
)

func rewards(keys ...string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Join(keys, "")))
}

func TestTheLedgerOfRewardMails(t *testing.T) {
	b := open(t)
	owner := b.ids["user"]
	card := b.want(201, "bank", "POST", "/card", cardBody(owner, "")).id(t)
	one, two := "the first reward", "the other reward"
	unmailed := fmt.Sprintf(`{"since":"2021-08-26","cards":[{"card_id":%q,"rows":%q}]}`, card, rewards(one, two))
	found := func(keys ...string) string {
		return fmt.Sprintf(`{"data":[{"card_id":%q,"user_id":%q,"rows":%q}]}`, card, owner, rewards(keys...))
	}
	begin := func(id string, keys ...string) string {
		return fmt.Sprintf(`{"user_id":%q,"day":"2021-09-01","since":"2021-08-26","message_id":"rewards.2021-09-01.00000000-0000-4000-8000-4111111111111111@bank.example","rows":%q}`, id, rewards(keys...))
	}
	b.want(200, "service", "POST", "/internal/reward-mails/unmailed", unmailed).has(t, found(one, two))
	mail := fmt.Sprintf(`{"data":{"name":"user Test","email":"user@example.com","unsubscribe":"token-of-%s","mails":[{"day":"2021-09-01","message_id":"rewards.2021-09-01.00000000-0000-4000-8000-4111111111111111@bank.example","rows":%q}]}}`, owner, rewards(one))
	b.want(200, "service", "POST", "/internal/reward-mails/begin", begin(owner, one)).has(t, mail)
	b.want(200, "service", "POST", "/internal/reward-mails/begin", begin(owner, one, two)).has(t, mail)
	end := fmt.Sprintf(`{"user_id":%q,"day":"2021-09-01","refused":true}`, owner)
	b.want(200, "service", "POST", "/internal/reward-mails/end", end)
	b.want(200, "service", "POST", "/internal/reward-mails/begin", begin(owner, one, two)).has(t, `"mails":[]`)
	b.want(200, "service", "POST", "/internal/reward-mails/unmailed", unmailed).has(t, found(two))
	b.want(404, "service", "POST", "/internal/reward-mails/begin", begin(card, one)).failure(t)

	b.want(200, "service", "GET", "/internal/reward-mails/day/2021-09-01", "").has(t, `{"mailed":false}`)
	b.want(200, "service", "POST", "/internal/reward-mails/day/2021-09-01", "")
	b.want(200, "service", "GET", "/internal/reward-mails/day/2021-09-01", "").has(t, `{"mailed":true}`)

	for _, bad := range []struct{ path, body, field string }{
		{"unmailed", `{"since":"yesterday","cards":[]}`, "since"},
		{"unmailed", fmt.Sprintf(`{"since":"2021-09-01","cards":[{"card_id":"x","rows":%q}]}`, rewards(one)), "card_id"},
		{"unmailed", fmt.Sprintf(`{"since":"2021-09-01","cards":[{"card_id":%q,"rows":%q}]}`, card, rewards("short")), "rows"},
		{"unmailed", `{"since":"2021-09-01","cards":[` + strings.Repeat(`{},`, 1000) + `{}]}`, "cards"},
		{"begin", begin(owner), "rows"},
		{"begin", begin(owner, strings.Repeat(one, profiler.MaxMailRows+1)), "rows"},
		{"begin", strings.Replace(begin(owner, one), "rewards.2021-09-01.00000000-0000-4000-8000-4111111111111111@bank.example", "", 1), "message_id"},
		{"end", `{"day":"2021-09-01"}`, "user_id"},
	} {
		if f := b.want(400, "service", "POST", "/internal/reward-mails/"+bad.path, bad.body).failure(t); f.Fields[bad.field] == "" {
			t.Errorf("%s %.60s: %v", bad.path, bad.body, f)
		}
	}
	b.want(400, "service", "GET", "/internal/reward-mails/day/x", "").failure(t)
}
