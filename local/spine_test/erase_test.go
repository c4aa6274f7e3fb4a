//go:build unix

package spine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/google/uuid"
)

// A person's rewards are exported, then erased, and neither the log nor the file brings them back.
func TestErasedStaysErased(t *testing.T) {
	t.Parallel()
	erased(t, up(t, t.TempDir(), "--rules", rulesFile, "--fx", quotesFile, "--rewarders", "2", spendFile))
}

// So it is in Cassandra, where an erased row is a tombstone that is later than every record.
func TestErasedStaysErasedInCassandra(t *testing.T) {
	s := up(t, startEngines(t).data, append(slices.Clone(onReal), spendFile)...)
	s.shaky = true
	erased(t, s)
}

func erased(t *testing.T, s *stack) {
	t.Helper()
	spend := read(t, spendFile)
	byCard := map[string]int{}
	for _, r := range records(t, spend) {
		byCard[r["card_id"]]++
	}
	history := func(card string) int {
		t.Helper()
		rows, err := s.history(t.Context(), card)
		if err != nil {
			t.Fatal(err)
		}
		return len(rows)
	}

	var page struct {
		Data []struct {
			ID     string `json:"id"`
			UserID string `json:"user_id"`
		} `json:"data"`
	}
	_, body := s.call(http.StatusOK, "GET", "/card?page_size=1000", "")
	if err := json.Unmarshal(body, &page); err != nil {
		t.Fatal(err)
	}
	owner, cards := "", map[string]int{}
	for _, c := range page.Data {
		if owner == "" {
			owner = c.UserID
		}
		if c.UserID == owner {
			cards[c.ID] = history(c.ID)
		}
	}
	total := 0
	for _, n := range cards {
		total += n
	}
	if len(cards) < 2 || total == 0 {
		t.Fatalf("the sample cardholder has the cards %v; there is nothing to erase", cards)
	}
	other := ""
	for card := range byCard {
		if _, mine := cards[card]; !mine && history(card) > 0 {
			other = card
		}
	}
	if other == "" {
		t.Fatal("there is no card of anybody else")
	}
	others := history(other)

	// The export has all of it.
	var p struct {
		Account struct {
			ID string `json:"id"`
		} `json:"account"`
		Cards []struct {
			Card    struct{ ID string }
			Rewards []json.RawMessage
		} `json:"cards"`
	}
	if err := json.Unmarshal(s.export(owner), &p); err != nil {
		t.Fatal(err)
	}
	if p.Account.ID != owner || len(p.Cards) != len(cards) {
		t.Fatalf("account %s with %d cards, want %s with %d", p.Account.ID, len(p.Cards), owner, len(cards))
	}
	for _, c := range p.Cards {
		if len(c.Rewards) != cards[c.Card.ID] {
			t.Errorf("card %s: %d rewards, want %d", c.Card.ID, len(c.Rewards), cards[c.Card.ID])
		}
	}

	got := angelowl(t, "erase", "--data", s.data, "--user", owner)
	if got.code != 0 || !strings.Contains(got.stdout, "account "+owner+" is deleted") || strings.Contains(got.stdout, "unread") {
		t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	for card, n := range cards {
		if !strings.Contains(got.stdout, fmt.Sprintf("card %s: %d rewards are erased", card, n)) {
			t.Errorf("it does not say that the %d rewards of card %s are erased\n%s", n, card, got.stdout)
		}
	}
	s.call(http.StatusNotFound, "GET", "/user/"+owner, "")

	// Nobody may ask for the rewards of a deleted card, so erasing again says how many there are.
	gone := func(after string) {
		t.Helper()
		got := angelowl(t, "erase", "--data", s.data, "--user", owner)
		if got.code != 0 {
			t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
		for card := range cards {
			if !strings.Contains(got.stdout, "card "+card+": 0 rewards are erased") {
				t.Errorf("after %s there are rewards of card %s\n%s", after, card, got.stdout)
			}
		}
		if n := history(other); n != others {
			t.Errorf("after %s another person's card has %d rewards, want %d", after, n, others)
		}
	}
	gone("the first")
	got = angelowl(t, "replay", "--data", s.data, "--from", "start")
	if got.code != 0 || !strings.Contains(got.stdout, "records were read again") {
		t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	gone("a replay")
	again := uuid.NewString()
	s.put(again, ".csv", spend)
	s.rewarded(again)
	gone("the same file")
	s.drain()
}

// export is what the command writes for an admin.
func (s *stack) export(user string) []byte {
	s.t.Helper()
	admin, err := samples.Of(s.data, token.Admin)
	if err != nil {
		s.t.Fatal(err)
	}
	_, body := s.call(http.StatusOK, "POST", "/auth/login", fmt.Sprintf(`{"email": %q, "password": %q}`, admin.Email, admin.Password), "Content-Type: application/json")
	var session struct {
		Data struct {
			Token string `json:"token"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &session); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), limit)
	defer cancel()
	export := exec.CommandContext(ctx, program, "export", "--api", s.url, "--user", user)
	export.Env = append(os.Environ(), "ANGELOWL_TOKEN="+session.Data.Token)
	var stderr bytes.Buffer
	export.Stderr = &stderr
	out, err := export.Output()
	if err != nil {
		s.t.Fatalf("exporting: %v\n%s", err, &stderr)
	}
	return out
}
