package loyalty

import (
	"errors"
	"strings"
	"testing"
)

// A number cannot be starred and stay a number, so one that looks like a card number is refused
// before it gets anywhere.
func TestACardNumberIsNoAmount(t *testing.T) {
	const pan = "4000007944096426"
	good := RawTransaction{
		ID: "c742b907-8ade-5ec4-aff6-9b9087a2c9e9", CardID: "737f3f92-58a1-55d8-ac97-140e87fa9bf2", Merchant: "SHELL", MCC: "5541",
		Currency: "USD", Amount: "121.01", TransactionDate: "2019-07-31", CardPAN: pan, CardType: "scis_freedom",
	}
	for name, tc := range map[string]struct {
		amount, given, field, code string
	}{
		"in amount":                         {pan, "", "amount", "looks_like_a_pan"},
		"in amount, negative with decimals": {"-" + pan + ".00", "", "amount", "looks_like_a_pan"},
		"in amount, behind zeros":           {"0000" + pan, "", "amount", "looks_like_a_pan"},
		"in sgd_amount":                     {"121.01", pan, "sgd_amount", "looks_like_a_pan"},
		"with a hyphen it is no decimal":    {"4000-0079-4409-6426", "", "amount", "looks_like_a_pan"},
		"large but no card number":          {"4000007944096427", "", "", ""},
		"twelve digits":                     {"400000794409", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			raw := good
			raw.Amount, raw.SGDAmount = tc.amount, tc.given
			_, err := raw.Parse(MustCurrency("SGD"))
			var f *FieldError
			switch {
			case tc.code == "":
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			case !errors.As(err, &f) || f.Field != tc.field || f.Code != tc.code:
				t.Fatalf("error %v, want %s: %s", err, tc.field, tc.code)
			}
			if strings.Contains(err.Error(), pan) || strings.Contains(err.Error(), "4000-0079") {
				t.Errorf("the error shows the number: %v", err)
			}
		})
	}
}

func TestStarPANsLeavesNothingToStar(t *testing.T) {
	// The plain digits of the first number and those behind it are a card number themselves.
	for tail := range 10000 {
		s := StarPANs("4000007944096426 " + strings.Repeat("0", 5) + FormatFixed(int64(tail)+100000, 0, 0))
		if again := StarPANs(s); again != s {
			t.Fatalf("%q is starred again: %q", s, again)
		}
	}
}
