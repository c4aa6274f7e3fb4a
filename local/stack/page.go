package stack

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/angelowl-loyalties/app/local/frontdoor"
	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/google/uuid"
)

var errEnough = errors.New("enough")

// Cards returns up to n cards that have rewards, those with the most among the first thousand
// rows.
func (s *Stack) Cards(ctx context.Context, n int) ([]string, error) {
	counts, read := map[uuid.UUID]int{}, 0
	err := s.Rewards.All(ctx, func(r loyalty.Row) error {
		counts[r.CardID]++
		if read++; read == 1000 {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	cards := make([]uuid.UUID, 0, len(counts))
	for id := range counts {
		cards = append(cards, id)
	}
	slices.SortFunc(cards, func(a, b uuid.UUID) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a.String(), b.String()))
	})
	var out []string
	for _, id := range cards[:min(n, len(cards))] {
		out = append(out, id.String())
	}
	return out, nil
}

// page is what the front door shows.
func (s *Stack) page(ctx context.Context) frontdoor.Page {
	p := frontdoor.Page{Home: s.Home.String(), Addresses: s.Addresses()}
	if all, err := samples.Load(s.Data); err == nil {
		for _, a := range all {
			name := a.Email
			if a.Secret != "" {
				name = "client id " + a.ID
			}
			p.Samples = append(p.Samples, frontdoor.Account{Role: string(a.Role), Name: name})
		}
	}
	if cards, err := s.Cards(ctx, 3); err == nil {
		p.Cards = cards
	}
	return p
}

// Addresses are the engines', for a person who wants to look inside.
func (s *Stack) Addresses() []frontdoor.Address {
	a := []frontdoor.Address{
		{Name: "Kafka", Where: strings.Join(s.Brokers, ",")},
		{Name: "etcd", Where: strings.Join(s.Etcd.Endpoints(), ",")},
	}
	a = append(a, s.engines...)
	if s.S3 != nil {
		a = append(a, frontdoor.Address{Name: "S3", Where: s.S3.Endpoint() + "/" + SpendBucket +
			" (keys in " + filepath.Join(s.Data, "bank.json") + ")"})
	}
	if s.mail != nil {
		a = append(a, frontdoor.Address{Name: "SMTP", Where: s.mail.Addr() + " (what it takes is in the mailbox)"})
	}
	return append(a, frontdoor.Address{Name: "data", Where: s.Data})
}
