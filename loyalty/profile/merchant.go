package profile

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

// Merchant is what there is to know of an account that sends transactions.
type Merchant struct {
	Role   token.Role `json:"role"`
	Locked bool       `json:"locked"`
	Limits *Limits    `json:"limits"` // nil: it has none
}

// Limits say what a merchant may send. An empty part limits nothing.
type Limits struct {
	Merchants  []string // names, compared trimmed, whole and without case
	MCCs       loyalty.MCCSet
	Currencies []loyalty.Currency
	DailySums  []DailySum
}

// DailySum is the most that may be spent in a currency on one of the bank's days.
type DailySum struct {
	Currency loyalty.Currency `json:"currency"`
	Amount   json.Number      `json:"amount"`
}

// UnmarshalJSON reads what profiler writes. What cannot be read is an error: a limit that is not
// understood must not be taken for none.
func (l *Limits) UnmarshalJSON(b []byte) error {
	var w struct {
		Merchants  []string           `json:"merchants"`
		MCCs       []string           `json:"mccs"`
		Currencies []loyalty.Currency `json:"currencies"`
		DailySums  []DailySum         `json:"daily_sums"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("reading a merchant's limits: %w", err)
	}
	*l = Limits{Merchants: w.Merchants, Currencies: w.Currencies, DailySums: w.DailySums}
	if len(w.MCCs) > 0 {
		var err error
		if l.MCCs, err = loyalty.ParseMCCSet(strings.Join(w.MCCs, ",")); err != nil {
			return fmt.Errorf("reading a merchant's limits: %w", err)
		}
	}
	return nil
}

// Merchant looks an account up. The error is ErrNotFound where there is none.
func (c *Client) Merchant(ctx context.Context, id string) (Merchant, error) {
	var m Merchant
	err := c.do(ctx, http.MethodGet, "/internal/merchant/"+url.PathEscape(id), nil, &m)
	return m, err
}

// Spend is a transaction that is to be counted against a merchant's daily sum.
type Spend struct {
	CardID   uuid.UUID        `json:"card_id"`
	Date     loyalty.Date     `json:"transaction_date"`
	ID       uuid.UUID        `json:"id"`
	Currency loyalty.Currency `json:"currency"`
	Amount   loyalty.Number   `json:"amount"`
}

// Spend reserves a transaction against a merchant's daily sum, once however often it is called for
// it. The error is a *Refused, not_your_merchant, where the sum does not reach.
func (c *Client) Spend(ctx context.Context, id string, s Spend) error {
	return c.do(ctx, http.MethodPost, "/internal/merchant/"+url.PathEscape(id)+"/spend", s, nil)
}
