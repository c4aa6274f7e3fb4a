package informer

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/google/uuid"
)

// days is a store of which the days alone are read, two rows a page.
type days map[loyalty.Date][]loyalty.Row

func (d days) Rewards(context.Context, Query) (Page, error) { return Page{}, errors.New("not asked") }

func (d days) Day(_ context.Context, q DayQuery) (Page, error) {
	rows := d[q.Day]
	from := 0
	if q.After != "" {
		from, _ = strconv.Atoi(q.After)
	}
	to := min(from+2, len(rows))
	p := Page{Rows: rows[from:to]}
	if to < len(rows) {
		p.Next = strconv.Itoa(to)
	}
	return p, nil
}

func TestSumCampaign(t *testing.T) {
	day := loyalty.DateOf(2026, 1, 31)
	bad, good := uuid.New(), uuid.New()
	one, two := uuid.New(), uuid.New()
	units := func(s string) loyalty.Number {
		n, err := loyalty.ParseNumber(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	row := func(card uuid.UUID, cardType string, decimals uint8, base uuid.UUID, gave string, promo uuid.UUID, more string) loyalty.Row {
		var r loyalty.Row
		r.ID, r.CardID, r.CardType = uuid.New(), card, cardType
		r.Trace.Unit, r.Trace.Decimals = "miles", decimals
		if base != uuid.Nil {
			r.Trace.Base = &loyalty.AppliedCampaign{ID: base, Units: units(gave)}
		}
		if promo != uuid.Nil {
			r.Trace.Promo = &loyalty.AppliedCampaign{ID: promo, Units: units(more)}
		}
		return r
	}
	s := days{
		day - 1: {row(one, "gold", 1, bad, "1000", uuid.Nil, "")}, // before the first day
		day: {
			row(one, "gold", 1, good, "1", bad, "0.1"),
			row(one, "gold", 1, good, "1", bad, "0.2"),
			row(two, "gold", 1, good, "5", uuid.Nil, ""),
			row(two, "blue", 0, bad, "9000000000000000000", uuid.Nil, ""),
			row(two, "blue", 0, bad, "9000000000000000000", uuid.Nil, ""), // together more than an int64 holds
		},
		day + 1: {row(one, "gold", 1, good, "1", bad, "-0.1"), row(one, "gold", 1, uuid.Nil, "", uuid.Nil, "")},
	}
	got, err := SumCampaign(t.Context(), s, CampaignQuery{bad, day, day + 1})
	want := []CampaignUnits{{"blue", "miles", 2, "18000000000000000000"}, {"gold", "miles", 3, "0.2"}}
	if err != nil || got.Read != 7 || got.Rewards != 5 || got.Cards != 2 || !slices.Equal(got.By, want) {
		t.Errorf("%+v, %v; want %v", got, err, want)
	}
	for name, q := range map[string]CampaignQuery{
		"no campaign": {uuid.Nil, day, day}, "turned": {bad, day, day - 1}, "a century": {bad, day, day + 36500},
	} {
		if _, err := SumCampaign(t.Context(), s, q); err == nil {
			t.Errorf("%s: it adds up", name)
		}
	}
}
