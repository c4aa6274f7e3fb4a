package loyalty

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Campaign gives units for spend. All of its conditions must fit.
type Campaign struct {
	ID        uuid.UUID
	Name      string
	MinSpend  Decimal // least spend in the home currency, as an absolute amount
	Start     Date    // included
	End       Date    // included
	Programme string  // the card type it is for, wire name reward_program
	Rate      Decimal // units for one unit of the home currency, wire name reward_amount
	MCC       MCCSet  // nil: any
	Merchant  string  // part of the merchant's name, without case; "": any
	Base      bool    // a base reward; else a promo
	Foreign   bool    // only spend that is not in the home currency
}

// Exclusion takes a merchant category out of all campaigns from a day on.
type Exclusion struct {
	ID        uuid.UUID
	MCC       MCC
	ValidFrom Date // included
}

// CardType names a kind of card and the unit in which it earns.
type CardType struct {
	CardType  string // its key, such as scis_shopping
	Name      string
	Unit      string // points, miles, cashback; wire name reward_unit
	Programme string // the programme's name; wire name reward_program
	Decimals  uint8  // of a unit, 0 to 4
}

type campaignJSON struct {
	ID        uuid.UUID       `json:"id"`
	Name      string          `json:"name"`
	MinSpend  json.RawMessage `json:"min_spend"`
	Start     string          `json:"start_date"`
	End       string          `json:"end_date"`
	Programme string          `json:"reward_program"`
	Rate      json.RawMessage `json:"reward_amount"`
	MCC       json.RawMessage `json:"mcc"`
	Merchant  string          `json:"merchant"`
	Base      bool            `json:"base_reward"`
	Foreign   bool            `json:"foreign_currency"`
}

// UnmarshalJSON reads and validates the wire form; unknown fields are refused, and FieldErrors
// name what is wrong. The id may be absent: the nil UUID.
func (c *Campaign) UnmarshalJSON(b []byte) error {
	var w struct {
		campaignJSON
		ID string `json:"id"`
	}
	if err := strict(b, &w, "campaign"); err != nil {
		return err
	}
	var errs FieldErrors
	out := Campaign{Base: w.Base, Foreign: w.Foreign}
	if w.ID != "" {
		out.ID = parseID(&errs, "id", w.ID)
	}
	out.Name = text(&errs, "name", w.Name, true)
	out.MinSpend = decimal(&errs, "min_spend", w.MinSpend, false)
	out.Start = ruleDay(&errs, "start_date", w.Start)
	out.End = ruleDay(&errs, "end_date", w.End)
	if out.End < out.Start && out.End != 0 {
		errs = append(errs, invalid("end_date", "before_start", "%s is before the start date %s", out.End, out.Start))
	}
	out.Programme = key(&errs, "reward_program", w.Programme)
	out.Rate = decimal(&errs, "reward_amount", w.Rate, true)
	set, err := ParseMCCSet(numberText(&errs, "mcc", w.MCC, true))
	errs.add("mcc", err)
	out.MCC = set
	out.Merchant = text(&errs, "merchant", w.Merchant, false)
	if err := errs.Err(); err != nil {
		return err
	}
	*c = out
	return nil
}

// MarshalJSON writes the wire form. Equal campaigns give equal bytes.
func (c Campaign) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		ID        uuid.UUID `json:"id"`
		Name      string    `json:"name"`
		MinSpend  Decimal   `json:"min_spend"`
		Start     ruleDate  `json:"start_date"`
		End       ruleDate  `json:"end_date"`
		Programme string    `json:"reward_program"`
		Rate      Decimal   `json:"reward_amount"`
		MCC       string    `json:"mcc"`
		Merchant  string    `json:"merchant"`
		Base      bool      `json:"base_reward"`
		Foreign   bool      `json:"foreign_currency"`
	}{c.ID, c.Name, c.MinSpend, ruleDate(c.Start), ruleDate(c.End), c.Programme, c.Rate, c.MCC.String(), c.Merchant, c.Base, c.Foreign})
}

// UnmarshalJSON reads and validates the wire form.
func (e *Exclusion) UnmarshalJSON(b []byte) error {
	var w struct {
		ID        string          `json:"id"`
		MCC       json.RawMessage `json:"mcc"`
		ValidFrom string          `json:"valid_from"`
	}
	if err := strict(b, &w, "exclusion"); err != nil {
		return err
	}
	var (
		errs FieldErrors
		out  Exclusion
	)
	if w.ID != "" {
		out.ID = parseID(&errs, "id", w.ID)
	}
	mcc, err := ParseMCC(numberText(&errs, "mcc", w.MCC, true))
	if err == nil && mcc == 0 && len(errs) == 0 {
		err = invalid("mcc", "missing", "is missing; an exclusion is for one merchant category, 1 to 9999")
	}
	errs.add("mcc", err)
	out.MCC = mcc
	out.ValidFrom = ruleDay(&errs, "valid_from", w.ValidFrom)
	if err := errs.Err(); err != nil {
		return err
	}
	*e = out
	return nil
}

// MarshalJSON writes the wire form.
func (e Exclusion) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		ID        uuid.UUID `json:"id"`
		MCC       uint16    `json:"mcc"`
		ValidFrom ruleDate  `json:"valid_from"`
	}{e.ID, uint16(e.MCC), ruleDate(e.ValidFrom)})
}

// UnmarshalJSON reads and validates the wire form. Without decimals, points and miles have none
// and every other unit has two.
func (t *CardType) UnmarshalJSON(b []byte) error {
	var w struct {
		CardType  string `json:"card_type"`
		Name      string `json:"name"`
		Unit      string `json:"reward_unit"`
		Programme string `json:"reward_program"`
		Decimals  *int   `json:"decimals"`
	}
	if err := strict(b, &w, "card type"); err != nil {
		return err
	}
	var errs FieldErrors
	out := CardType{
		CardType:  key(&errs, "card_type", w.CardType),
		Name:      text(&errs, "name", w.Name, true),
		Unit:      text(&errs, "reward_unit", w.Unit, true),
		Programme: text(&errs, "reward_program", w.Programme, true),
	}
	switch {
	case w.Decimals == nil:
		if u := strings.ToLower(out.Unit); u != "points" && u != "miles" {
			out.Decimals = 2
		}
	case *w.Decimals < 0 || *w.Decimals > 4:
		errs = append(errs, invalid("decimals", "out_of_range", "must be 0 to 4, not %d", *w.Decimals))
	default:
		out.Decimals = uint8(*w.Decimals)
	}
	if err := errs.Err(); err != nil {
		return err
	}
	*t = out
	return nil
}

// MarshalJSON writes the wire form.
func (t CardType) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		CardType  string `json:"card_type"`
		Name      string `json:"name"`
		Unit      string `json:"reward_unit"`
		Programme string `json:"reward_program"`
		Decimals  uint8  `json:"decimals"`
	}{t.CardType, t.Name, t.Unit, t.Programme, t.Decimals})
}

// strict decodes one JSON object without unknown fields, or returns FieldErrors.
func strict(b []byte, into any, what string) error {
	if !utf8.Valid(b) {
		return FieldErrors{invalid("", "not_utf8", "the %s is not valid UTF-8", what)}
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return FieldErrors{invalid(named(strings.Trim(name, `"`)), "unknown_field", "is not a field of a %s", what)}
		}
		return FieldErrors{jsonError(err, what)}
	}
	if _, err := dec.Token(); err != io.EOF {
		return FieldErrors{invalid("", "not_json", "something follows the %s", what)}
	}
	return nil
}

func text(errs *FieldErrors, field, s string, needed bool) string {
	s = strings.TrimSpace(s)
	switch {
	case s == "" && needed:
		*errs = append(*errs, missing(field))
	case utf8.RuneCountInString(s) > MaxFieldRunes:
		*errs = append(*errs, invalid(field, "too_long", "is longer than %d characters", MaxFieldRunes))
	case strings.IndexByte(s, 0) >= 0:
		*errs = append(*errs, invalid(field, "not_text", "has a NUL character"))
	case StarPANs(s) != s:
		*errs = append(*errs, invalid(field, "looks_like_a_pan", "looks like it holds a card number, which may not be kept here"))
	}
	return s
}

// key is a text that stands in addresses and in keys of stores.
func key(errs *FieldErrors, field, s string) string {
	s = text(errs, field, s, true)
	for _, r := range s {
		if !(r == '_' || r == '-' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			*errs = append(*errs, invalid(field, "not_a_key", "%s may only have letters, digits, _, - and .", quote(s)))
			break
		}
	}
	return s
}

func decimal(errs *FieldErrors, field string, raw json.RawMessage, needed bool) Decimal {
	before := len(*errs)
	s := numberText(errs, field, raw, false)
	if len(*errs) > before {
		return 0
	}
	if s == "" {
		if needed {
			*errs = append(*errs, missing(field))
		}
		return 0
	}
	d, err := ParseDecimal(s)
	if err == nil && d < 0 {
		err = invalid(field, "negative", "%s is below 0", d)
	}
	errs.add(field, err)
	return d
}

func ruleDay(errs *FieldErrors, field, s string) Date {
	if s = strings.TrimSpace(s); s == "" {
		*errs = append(*errs, missing(field))
		return 0
	}
	d, err := ParseRuleDate(s)
	errs.add(field, err)
	return d
}

// DayQuotes are the quotes of one day: units of each currency for one of the base.
type DayQuotes struct {
	Date   Date
	Base   Currency
	Quotes map[Currency]Decimal // above 0; the base itself is not in it
}

type dayQuotesJSON struct {
	Base   Currency           `json:"base"`
	Quotes map[string]Decimal `json:"quotes"` // encoding/json writes keys in order
}

// MarshalJSON writes {"base": "EUR", "quotes": {"SGD": 1.5364}}; the date is not in it.
func (q DayQuotes) MarshalJSON() ([]byte, error) {
	w := dayQuotesJSON{q.Base, make(map[string]Decimal, len(q.Quotes))}
	for c, d := range q.Quotes {
		w.Quotes[c.String()] = d
	}
	return marshal(w)
}

// UnmarshalJSON reads and validates what MarshalJSON writes; the date is left as it is.
func (q *DayQuotes) UnmarshalJSON(b []byte) error {
	var w struct {
		Base   string                     `json:"base"`
		Quotes map[string]json.RawMessage `json:"quotes"`
	}
	if err := strict(b, &w, "day's quotes"); err != nil {
		return err
	}
	var errs FieldErrors
	base, ok := ParseCurrency(strings.TrimSpace(w.Base))
	if !ok {
		errs = append(errs, invalid("base", "unknown_currency", "%s is not an ISO 4217 currency with a minor unit", quote(w.Base)))
	}
	if len(w.Quotes) == 0 {
		errs = append(errs, missing("quotes"))
	}
	quotes := make(map[Currency]Decimal, len(w.Quotes))
	for _, code := range sortedKeys(w.Quotes) {
		field := "quotes." + named(code)
		c, ok := ParseCurrency(code)
		if !ok {
			errs = append(errs, invalid(field, "unknown_currency", "%s is not an ISO 4217 currency with a minor unit", quote(code)))
			continue
		}
		before := len(errs)
		d := decimal(&errs, field, w.Quotes[code], true)
		switch {
		case len(errs) > before:
		case d == 0:
			errs = append(errs, invalid(field, "not_positive", "must be above 0"))
		case c == base && d != 1e9:
			errs = append(errs, invalid(field, "not_one", "is the base; its quote is 1"))
		case c != base:
			if _, twice := quotes[c]; twice {
				errs = append(errs, invalid(field, "twice", "is there twice"))
			}
			quotes[c] = d
		}
	}
	if len(errs) == 0 && len(quotes) == 0 { // written, it would have no quotes, and nobody could read it
		errs = append(errs, invalid("quotes", "missing", "has no currency but the base"))
	}
	if err := errs.Err(); err != nil {
		return err
	}
	q.Base, q.Quotes = base, quotes
	return nil
}

// Of is the quote of a currency on the day; the base's is 1.
func (q *DayQuotes) Of(c Currency) (Decimal, bool) {
	if c == q.Base {
		return 1e9, true
	}
	d, ok := q.Quotes[c]
	return d, ok
}

// YearQuotes are the quotes of a year, the unit in which they are published and stored.
type YearQuotes struct {
	Year int
	Days []DayQuotes // by date, each date once
}

type yearQuotesJSON struct {
	Year int                  `json:"year"`
	Days map[string]DayQuotes `json:"days"`
}

// MarshalJSON writes {"year": 2019, "days": {"2019-01-02": {"base", "quotes"}}}, days in order.
func (y YearQuotes) MarshalJSON() ([]byte, error) {
	w := yearQuotesJSON{y.Year, make(map[string]DayQuotes, len(y.Days))}
	for _, d := range y.Days {
		w.Days[d.Date.String()] = d
	}
	return marshal(w)
}

// UnmarshalJSON reads and validates what MarshalJSON writes.
func (y *YearQuotes) UnmarshalJSON(b []byte) error {
	var w yearQuotesJSON
	if err := strict(b, &w, "year's quotes"); err != nil {
		return err
	}
	days := make([]DayQuotes, 0, len(w.Days))
	for _, text := range sortedKeys(w.Days) {
		date, err := ParseDate(text)
		if err != nil || date.Year() != w.Year || date.String() != text {
			return FieldErrors{invalid("days", "not_a_date", "%s is not a day of %d", quote(text), w.Year)}
		}
		d := w.Days[text]
		d.Date = date
		days = append(days, d)
	}
	y.Year, y.Days = w.Year, days
	return nil
}

// RuleSetSource names the parts of a rules file: what angelowl reads with --rules.
type RuleFile struct {
	CardTypes  []CardType
	Campaigns  []Campaign
	Exclusions []Exclusion
}

// DecodeRuleFile reads {"card_types": […], "campaigns": […], "exclusions": […]}. A campaign
// without an id gets the UUIDv5 of its programme (namespace: the nil UUID) and name, an
// exclusion that of its MCC and day. Errors name the item: "campaigns[3].end_date".
func DecodeRuleFile(data []byte) (RuleFile, error) {
	var w struct {
		CardTypes  []json.RawMessage `json:"card_types"`
		Campaigns  []json.RawMessage `json:"campaigns"`
		Exclusions []json.RawMessage `json:"exclusions"`
	}
	if err := strict(data, &w, "rules file"); err != nil {
		return RuleFile{}, err
	}
	var errs FieldErrors
	f := RuleFile{
		CardTypes:  items[CardType](&errs, "card_types", w.CardTypes),
		Campaigns:  items[Campaign](&errs, "campaigns", w.Campaigns),
		Exclusions: items[Exclusion](&errs, "exclusions", w.Exclusions),
	}
	seen := map[string]string{}
	once := func(field, id string) {
		if first, twice := seen[id]; twice {
			errs = append(errs, invalid(field, "twice", "is the same as %s", first))
		}
		seen[id] = field
	}
	for i, t := range f.CardTypes {
		once(fmt.Sprintf("card_types[%d].card_type", i), t.CardType)
	}
	for i := range f.Campaigns {
		c := &f.Campaigns[i]
		if c.ID == uuid.Nil {
			c.ID = uuid.NewSHA1(uuid.NewSHA1(uuid.Nil, []byte(c.Programme)), []byte(c.Name))
		}
		once(fmt.Sprintf("campaigns[%d].id", i), c.ID.String())
	}
	for i := range f.Exclusions {
		e := &f.Exclusions[i]
		if e.ID == uuid.Nil {
			e.ID = uuid.NewSHA1(uuid.Nil, []byte(e.MCC.String()+" "+e.ValidFrom.String()))
		}
		once(fmt.Sprintf("exclusions[%d].id", i), e.ID.String())
	}
	return f, errs.Err()
}

func items[T any](errs *FieldErrors, name string, raw []json.RawMessage) []T {
	out := make([]T, len(raw))
	for i := range raw {
		var item FieldErrors
		item.Add("", json.Unmarshal(raw[i], &out[i]))
		for _, f := range item {
			named := *f
			if named.Field = fmt.Sprintf("%s[%d]", name, i); f.Field != "" {
				named.Field += "." + f.Field
			}
			*errs = append(*errs, &named)
		}
	}
	return out
}
