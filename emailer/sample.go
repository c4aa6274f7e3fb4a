package emailer

import (
	netmail "net/mail"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/mail"
)

// Samples are mails of made-up people, by name: for looking at what the templates make.
func Samples() (map[string]mail.Message, error) {
	h := &Handler{cfg: Config{Portal: "https://portal.bank.example", API: "https://api.bank.example"}}
	day := loyalty.DateOf(2026, 11, 24)
	miles := line{
		Date: day, Merchant: "Kaligo", Amount: "SGD 120.50", Card: "1234", Programme: "PremiumMiles", Units: 723, Unit: "miles",
		Reason: "4 miles per dollar at Kaligo, 2 miles per dollar on all spend",
	}
	cashback := line{
		Date: day - 1, Merchant: "NTUC FairPrice", Amount: "SGD 48.20", Card: "8888", Programme: "Freedom", Units: 48, Unit: "cashback", Decimals: 2,
		Reason: "1% on all spend",
	}
	dinar := miles
	dinar.Date, dinar.Merchant, dinar.Amount, dinar.Units, dinar.Reason = day-2, "فندق الخليج", "BHD 10.125", -12, "refund: 2 miles per dollar on all spend"
	yen := miles
	yen.Merchant, yen.Amount, yen.Units = "ร้านอาหารไทย", "JPY 4200", 96
	hostile := miles
	hostile.Merchant, hostile.Programme, hostile.Reason = "<script>alert(1)</script>", `=HYPERLINK("http://evil.example")`, "first\r\nBcc: all@evil.example\u202egnp"
	many := make([]line, mostListed+23)
	for i := range many {
		many[i] = miles
		many[i].Date = day - loyalty.Date(i%3)
	}
	out := map[string]mail.Message{}
	for _, s := range []struct {
		name  string
		to    netmail.Address
		lines []line
	}{
		{"one", netmail.Address{Name: "Ada Lovelace", Address: "ada@cards.example"}, []line{miles}},
		{"programmes", netmail.Address{Name: "สมชาย ใจดี", Address: "somchai@cards.example"}, []line{miles, cashback, dinar, yen}},
		{"no_name", netmail.Address{Address: "nobody@cards.example"}, []line{cashback}},
		{"many", netmail.Address{Name: "محمد عبد الله", Address: "muhammad@cards.example"}, many},
		{"hostile", netmail.Address{Name: "<b>Eve</b>\r\nBcc: all@evil.example", Address: "eve@cards.example"}, []line{hostile}},
	} {
		l, err := h.letter(day, s.to.Name, "c2FtcGxl", s.lines)
		if err != nil {
			return nil, err
		}
		if out[s.name], err = l.message("rewards."+day.String()+"."+s.name+"@bank.example", s.to); err != nil {
			return nil, err
		}
	}
	return out, nil
}
