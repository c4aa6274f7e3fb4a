//go:build unix

package postgres_test

import (
	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/google/uuid"
)

func date(s string) loyalty.Date {
	d, err := loyalty.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

func campaign() loyalty.Campaign {
	return loyalty.Campaign{
		ID: uuid.MustParse("6a0ea1a5-7f1c-4a1b-9a4f-000000000001"), Name: "Kaligo", Start: date("2021-09-01"), End: date("2021-12-31"),
		Programme: "scis_platinummiles", Rate: loyalty.MustDecimal("1.4"), Base: true, MCC: loyalty.MCCSet{{From: 3500, To: 3999}},
	}
}

func quotes() campaignex.Day {
	return campaignex.Day{DayQuotes: loyalty.DayQuotes{Date: date("2021-09-02"), Base: loyalty.MustCurrency("EUR"),
		Quotes: map[loyalty.Currency]loyalty.Decimal{loyalty.MustCurrency("SGD"): loyalty.MustDecimal("1.5364")}}}
}

func cardType() loyalty.CardType {
	return loyalty.CardType{CardType: "gold", Name: "Gold", Unit: "miles", Programme: "Miles", Decimals: 2}
}

func account() profiler.User {
	return profiler.User{ID: uuid.MustParse("6a0ea1a5-7f1c-4a1b-9a4f-000000000002"), FirstName: "Größe '2' \\ ;\n", Email: "ann@example.com", Role: token.User}
}

func card() profiler.Card {
	return profiler.Card{ID: uuid.MustParse("6a0ea1a5-7f1c-4a1b-9a4f-000000000003"), UserID: account().ID, CardType: "gold"}
}
