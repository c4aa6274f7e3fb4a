package signin

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

// Limits say what a merchant may send. What is absent limits nothing.
type Limits struct {
	Merchants  []string   // names, trimmed; compared whole and without case
	MCCs       []string   // codes and ranges, as a campaign's
	Currencies []string   // ISO 4217
	DailySums  []DailySum // at most one a currency
}

// DailySum is the most that may be spent in a currency on one of the bank's days.
type DailySum struct {
	loyalty.Money
}

// Of is the daily sum of a currency, or nil.
func (l *Limits) Of(c loyalty.Currency) *loyalty.Money {
	if l == nil {
		return nil
	}
	for _, d := range l.DailySums {
		if d.Currency == c {
			return &d.Money
		}
	}
	return nil
}

// limitsWire is the JSON of Limits.
type limitsWire struct {
	Merchants  []string       `json:"merchants,omitempty"`
	MCCs       []string       `json:"mccs,omitempty"`
	Currencies []string       `json:"currencies,omitempty"`
	DailySums  []dailySumWire `json:"daily_sums,omitempty"`
}

type dailySumWire struct {
	Currency string          `json:"currency"`
	Amount   json.RawMessage `json:"amount"` // a decimal, exactly
}

// MarshalJSON writes what is there.
func (l Limits) MarshalJSON() ([]byte, error) {
	w := limitsWire{Merchants: l.Merchants, MCCs: l.MCCs, Currencies: l.Currencies}
	for _, d := range l.DailySums {
		w.DailySums = append(w.DailySums, dailySumWire{d.Currency.String(), json.RawMessage(d.Amount())})
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote, or says what is wrong with its fields.
func (l *Limits) UnmarshalJSON(b []byte) error {
	var w limitsWire
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	limits, err := w.limits()
	if err != nil {
		return err
	}
	*l = limits
	return nil
}

// most is how many entries a list of limits may have.
const most = 200

func (w limitsWire) limits() (Limits, error) {
	var (
		out  Limits
		errs loyalty.FieldErrors
	)
	for _, list := range []struct {
		name string
		n    int
	}{{"merchants", len(w.Merchants)}, {"mccs", len(w.MCCs)}, {"currencies", len(w.Currencies)}, {"daily_sums", len(w.DailySums)}} {
		if list.n > most {
			errs.Add("", web.Invalid(list.name, "too_long", "has more than %d entries", most))
		}
	}
	if len(errs) > 0 {
		return out, errs
	}
	for _, m := range w.Merchants {
		m = strings.TrimSpace(m)
		n := len(errs)
		text(&errs, "merchants", m, 256)
		if loyalty.StarPANs(m) != m {
			errs.Add("", web.Invalid("merchants", "looks_like_a_pan", "has an entry that looks like it holds a card number, which may not be kept here"))
		}
		if len(errs) == n {
			out.Merchants = append(out.Merchants, m)
		}
	}
	for _, m := range w.MCCs {
		set, err := loyalty.ParseMCCSet(m)
		if err != nil || len(set) == 0 {
			errs.Add("", web.Invalid("mccs", "invalid", "has an entry that is not a code or a range such as 5411 or 3500-3999"))
			break
		}
		out.MCCs = append(out.MCCs, strings.TrimSpace(m))
	}
	for _, c := range w.Currencies {
		currency, ok := loyalty.ParseCurrency(c)
		if !ok {
			errs.Add("", web.Invalid("currencies", "unknown_currency", "has an entry that is not an ISO 4217 currency with a minor unit"))
			break
		}
		out.Currencies = append(out.Currencies, currency.String())
	}
	for _, d := range w.DailySums {
		currency, ok := loyalty.ParseCurrency(d.Currency)
		if !ok {
			errs.Add("", web.Invalid("daily_sums", "unknown_currency", "has a currency that is not an ISO 4217 currency with a minor unit"))
			break
		}
		var money loyalty.Money
		number, err := loyalty.ParseAmount(string(d.Amount))
		if err == nil {
			money, err = number.Money(currency)
		}
		switch {
		case len(d.Amount) == 0:
			err = errors.New("is missing")
		case err == nil && money.Minor <= 0:
			err = errors.New("must be above 0")
		}
		if err != nil {
			errs.Add("", web.Invalid("daily_sums", "invalid", "has an amount of %s that cannot be taken: %s", currency, err))
			break
		}
		if out.Of(currency) != nil {
			errs.Add("", web.Invalid("daily_sums", "twice", "has %s twice", currency))
			break
		}
		out.DailySums = append(out.DailySums, DailySum{money})
	}
	return out, errs.Err()
}

// LimitsBody are a merchant's limits as they are sent and answered. What is absent limits nothing.
type LimitsBody struct {
	Merchants  []string       `json:"merchants,omitempty" example:"Kaligo"` // compared whole, trimmed and without case
	MCCs       []string       `json:"mccs,omitempty" example:"5411,3500-3999"`
	Currencies []string       `json:"currencies,omitempty" example:"SGD"`
	DailySums  []DailySumBody `json:"daily_sums,omitempty"` // at most one a currency
}

// DailySumBody is the most that may be spent in a currency on one of the bank's days.
type DailySumBody struct {
	Currency string  `json:"currency" example:"SGD"`
	Amount   float64 `json:"amount" example:"10000"`
}

// LimitsAnswer are a merchant's limits; null where none were ever set.
type LimitsAnswer struct {
	Data *LimitsBody `json:"data"`
}

// getLimits answers a merchant's limits.
//
//	@Summary	What a merchant may send
//	@Tags		clients
//	@Produce	json
//	@Security	Bearer
//	@Param		id	path		string	true	"the account"	format(uuid)
//	@Success	200	{object}	LimitsAnswer
//	@Failure	400	{object}	ErrorBody
//	@Failure	404	{object}	ErrorBody
//	@Failure	409	{object}	ErrorBody	"it is not a merchant's account"
//	@Router		/user/{id}/limits [get]
func (s *Service) getLimits(c *gin.Context) {
	a, err := s.client(c, token.Merchant)
	var limits *Limits
	if err == nil {
		limits, err = s.store.Limits(c.Request.Context(), a.ID)
	}
	if err != nil {
		fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, limits)
}

// putLimits replaces a merchant's limits.
//
//	@Summary	Say what a merchant may send
//	@Tags		clients
//	@Accept		json
//	@Produce	json
//	@Security	Bearer
//	@Param		id		path		string		true	"the account"	format(uuid)
//	@Param		body	body		LimitsBody	true	"all limits; what is absent limits nothing"
//	@Success	200		{object}	LimitsAnswer
//	@Failure	400		{object}	ErrorBody
//	@Failure	404		{object}	ErrorBody
//	@Failure	409		{object}	ErrorBody	"it is not a merchant's account"
//	@Router		/user/{id}/limits [put]
func (s *Service) putLimits(c *gin.Context) {
	a, err := s.client(c, token.Merchant)
	var (
		body   limitsWire
		limits Limits
	)
	if err == nil {
		err = web.Bind(c, &body)
	}
	if err == nil {
		limits, err = body.limits()
	}
	ctx := c.Request.Context()
	if err == nil {
		err = gone(s.store.SetLimits(ctx, a.ID, limits, web.CallerOf(ctx).ID), errNoUser)
	}
	if err != nil {
		fail(c, err)
		return
	}
	web.SecurityEvent(ctx, "limits_changed", slog.String("account", a.ID))
	web.Data(c, http.StatusOK, limits)
}

// AccountState is what services need to know of an account.
type AccountState struct {
	Role    token.Role `json:"role" swaggertype:"string" enums:"user,bank,merchant,admin,service"`
	Session int64      `json:"session"` // the session version
	Locked  bool       `json:"locked"`
}

// AccountStateAnswer is it.
type AccountStateAnswer struct {
	Data AccountState `json:"data"`
}

// sessionOf answers an account's session version.
//
//	@Summary	The session version of an account
//	@Tags		internal
//	@Produce	json
//	@Security	Bearer
//	@Param		id	path		string	true	"the account"	format(uuid)
//	@Success	200	{object}	AccountStateAnswer
//	@Failure	404	{object}	ErrorBody
//	@Router		/internal/session/{id} [get]
func (s *Service) sessionOf(c *gin.Context) {
	id, err := pathID(c, "id")
	var a Account
	if err == nil {
		a, err = s.store.Account(c.Request.Context(), id)
		err = gone(err, errNoUser)
	}
	if err != nil {
		fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, AccountState{a.Role, a.Session, a.Locked})
}

// MerchantState is what publish-single needs to know of an account.
type MerchantState struct {
	Role    token.Role `json:"role" swaggertype:"string" enums:"user,bank,merchant,admin,service"`
	Session int64      `json:"session"`
	Locked  bool       `json:"locked"`
	Limits  *Limits    `json:"limits" swaggertype:"object"` // null where none were ever set
}

// MerchantStateAnswer is it.
type MerchantStateAnswer struct {
	Data MerchantState `json:"data"`
}

// merchant answers an account and its limits.
//
//	@Summary	What an account may send
//	@Tags		internal
//	@Produce	json
//	@Security	Bearer
//	@Param		id	path		string	true	"the account"	format(uuid)
//	@Success	200	{object}	MerchantStateAnswer
//	@Failure	404	{object}	ErrorBody
//	@Router		/internal/merchant/{id} [get]
func (s *Service) merchant(c *gin.Context) {
	id, err := pathID(c, "id")
	ctx := c.Request.Context()
	var (
		a      Account
		limits *Limits
	)
	if err == nil {
		a, err = s.store.Account(ctx, id)
		err = gone(err, errNoUser)
	}
	if err == nil {
		limits, err = s.store.Limits(ctx, id)
	}
	if err != nil {
		fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, MerchantState{a.Role, a.Session, a.Locked, limits})
}

// SpendBody is a transaction to be counted.
type SpendBody struct {
	CardID   string          `json:"card_id" format:"uuid"`
	Date     string          `json:"transaction_date" format:"date"`
	ID       string          `json:"id" format:"uuid"`
	Currency string          `json:"currency" example:"SGD"`
	Amount   json.RawMessage `json:"amount" swaggertype:"number"`
}

// SpendState is where the merchant's day stands.
type SpendState struct {
	Currency string          `json:"currency" example:"SGD"`
	Spent    json.RawMessage `json:"spent" swaggertype:"number"`
	Limit    json.RawMessage `json:"limit" swaggertype:"number"` // null for none
}

// SpendAnswer is it.
type SpendAnswer struct {
	Data SpendState `json:"data"`
}

// spend counts a transaction against a merchant's daily sum.
//
//	@Summary		Count a transaction against a merchant's daily sum
//	@Description	Once for a card, date and id, however often it is called; a larger amount counts by what it is larger. A refund counts as what it is worth, and gives nothing back. The day is the bank's.
//	@Tags			internal
//	@Accept			json
//	@Produce		json
//	@Security		Bearer
//	@Param			id		path		string		true	"the merchant's account"	format(uuid)
//	@Param			body	body		SpendBody	true	"the transaction"
//	@Success		200		{object}	SpendAnswer
//	@Failure		400		{object}	ErrorBody
//	@Failure		403		{object}	ErrorBody	"not_your_merchant: it does not fit"
//	@Failure		404		{object}	ErrorBody
//	@Router			/internal/merchant/{id}/spend [post]
func (s *Service) spend(c *gin.Context) {
	a, err := s.client(c, token.Merchant)
	var body SpendBody
	if err == nil {
		err = web.Bind(c, &body)
	}
	var what Spend
	if err == nil {
		what, err = body.spend()
	}
	if err != nil {
		fail(c, err)
		return
	}
	now := s.clock().In(s.cfg.Zone)
	what.UserID, what.Day = a.ID, loyalty.DateOf(now.Year(), now.Month(), now.Day())
	tally, err := s.store.Spend(c.Request.Context(), what)
	if errors.Is(err, ErrOverLimit) {
		err = &web.Error{Status: http.StatusForbidden, Code: "not_your_merchant",
			Message: fmt.Sprintf("the account may send %s on a day; %s are used, and this does not fit", tally.Limit, tally.Spent)}
	}
	if err != nil {
		fail(c, gone(err, errNoUser))
		return
	}
	state := SpendState{Currency: what.Amount.Currency.String(), Spent: json.RawMessage(tally.Spent.Amount()), Limit: json.RawMessage("null")}
	if tally.Limit != nil {
		state.Limit = json.RawMessage(tally.Limit.Amount())
	}
	web.Data(c, http.StatusOK, state)
}

func (b SpendBody) spend() (out Spend, err error) {
	var errs loyalty.FieldErrors
	id := func(field, value string) uuid.UUID {
		u, err := uuid.Parse(value)
		if err != nil || len(value) != 36 {
			errs.Add("", web.Invalid(field, "not_a_uuid", "must be a UUID"))
		}
		return u
	}
	out.CardID, out.ID = id("card_id", b.CardID), id("id", b.ID)
	if out.Date, err = loyalty.ParseDate(b.Date); err != nil {
		errs.Add("", web.Invalid("transaction_date", "invalid", "must be a date such as 2021-09-01"))
	}
	currency, ok := loyalty.ParseCurrency(b.Currency)
	if !ok {
		errs.Add("", web.Invalid("currency", "unknown_currency", "is not an ISO 4217 currency with a minor unit"))
		return out, errs.Err()
	}
	if len(b.Amount) == 0 {
		errs.Add("", web.Invalid("amount", "missing", "is missing"))
	} else if out.Amount, err = loyalty.ParseMoney(string(b.Amount), currency); err != nil {
		errs.Add("", web.Invalid("amount", "invalid", "cannot be taken: %s", err))
	}
	return out, errs.Err()
}
