package informer

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/google/uuid"
)

// CampaignQuery asks what a campaign has given for records that arrived on some days of the bank.
type CampaignQuery struct {
	Campaign uuid.UUID    `json:"campaign"`
	From     loyalty.Date `json:"from"` // included
	To       loyalty.Date `json:"to"`   // included
}

// maxCampaignDays is the most days that are looked at: the index has to be read day by day.
const maxCampaignDays = 3660

// CampaignSum is what it has given.
type CampaignSum struct {
	Campaign uuid.UUID       `json:"campaign"`
	From     loyalty.Date    `json:"from"`
	To       loyalty.Date    `json:"to"`
	Read     int64           `json:"read"`    // rewards that were looked at, of all campaigns
	Rewards  int64           `json:"rewards"` // to which it gave something, or took
	Cards    int64           `json:"cards"`   // that have one of them
	By       []CampaignUnits `json:"by"`
}

// CampaignUnits are those of a programme.
type CampaignUnits struct {
	CardType string `json:"card_type"`
	Unit     string `json:"unit"`
	Rewards  int64  `json:"rewards"`
	Units    string `json:"units"` // exact; refunds are negative
}

// SumCampaign adds up what a campaign gave, by the traces of the rewards themselves, whatever has
// become of the campaign since. It reads all rewards of those days.
func SumCampaign(ctx context.Context, store Store, q CampaignQuery) (CampaignSum, error) {
	sum := CampaignSum{Campaign: q.Campaign, From: q.From, To: q.To, By: []CampaignUnits{}}
	if q.Campaign == uuid.Nil || q.From == 0 || q.To < q.From || q.To-q.From >= maxCampaignDays {
		return sum, errors.New("say a campaign, and days of which the first is not after the last, ten years at most")
	}
	type programme struct{ cardType, unit string }
	type amount struct {
		rewards  int64
		units    big.Rat
		decimals int
	}
	by := map[programme]*amount{}
	cards := map[uuid.UUID]struct{}{}
	for day := q.From; day <= q.To; day++ {
		for d := (DayQuery{Day: day, Limit: 1000}); ; {
			page, err := store.Day(ctx, d)
			if err != nil {
				return sum, err
			}
			for _, r := range page.Rows {
				sum.Read++
				gave := false
				p := programme{r.CardType, r.Trace.Unit}
				for _, c := range []*loyalty.AppliedCampaign{r.Trace.Base, r.Trace.Promo} {
					if c == nil || c.ID != q.Campaign {
						continue
					}
					units, ok := new(big.Rat).SetString(c.Units.String())
					if !ok {
						return sum, fmt.Errorf("reward %s of card %s: %s units cannot be added", r.ID, r.CardID, c.Units)
					}
					if by[p] == nil {
						by[p] = &amount{}
					}
					a := by[p]
					a.units.Add(&a.units, units)
					a.decimals = max(a.decimals, int(r.Trace.Decimals))
					gave = true
				}
				if gave {
					by[p].rewards++
					sum.Rewards++
					cards[r.CardID] = struct{}{}
				}
			}
			if d.After = page.Next; d.After == "" {
				break
			}
		}
	}
	sum.Cards = int64(len(cards))
	for p, a := range by {
		// Campaigns give what the programme has decimals for, and rounding was theirs: nothing is cut off here.
		sum.By = append(sum.By, CampaignUnits{p.cardType, p.unit, a.rewards, a.units.FloatString(a.decimals)})
	}
	slices.SortFunc(sum.By, func(a, b CampaignUnits) int {
		return strings.Compare(a.CardType+"\x00"+a.Unit, b.CardType+"\x00"+b.Unit)
	})
	return sum, nil
}
