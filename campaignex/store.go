package campaignex

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
)

// Store keeps campaigns, exclusions and quotes. Package storetest holds every store to this.
//
// What is said of ruleapi.Store and outbox.Store goes for each of the parts. Quotes are kept,
// changed and remembered by day, and published by year: a change of a day is a new version of its
// year in the outbox, and a year without days is a tombstone.
type Store interface {
	outbox.Store

	Campaigns() ruleapi.Store[loyalty.Campaign, CampaignFilter]
	Exclusions() ruleapi.Store[loyalty.Exclusion, ExclusionFilter]
	Quotes() ruleapi.Store[Day, DayFilter]

	// Import makes all of these stand as given, in one transaction, and returns how many of them
	// that changed. What is as it was makes no version. What is not named stays as it is. Each id
	// is there once.
	Import(ctx context.Context, who string, rules Rules) (changed int, err error)
}

// Rules are what Import takes.
type Rules struct {
	Campaigns  []loyalty.Campaign
	Exclusions []loyalty.Exclusion
	Days       []Day
}

// CampaignFilter narrows a list of campaigns. Zero values narrow nothing.
type CampaignFilter struct {
	Programme string
	State     State
	Today     loyalty.Date // of the bank; needed with State
	Base      *bool
	Search    string // part of the name or the merchant, without case
}

// State says where a campaign stands in time.
type State string

// The states of a campaign.
const (
	Live      State = "live"
	Scheduled State = "scheduled"
	Ended     State = "ended"
)

// ExclusionFilter narrows a list of exclusions.
type ExclusionFilter struct {
	MCC loyalty.MCC // 0: any
}

// DayFilter narrows a list of days.
type DayFilter struct {
	From, To loyalty.Date // included; 0: open
}

// Day are the quotes of a day with the date in their wire form.
type Day struct{ loyalty.DayQuotes }

// ID is the date.
func (d Day) ID() string { return d.Date.String() }

// MarshalJSON writes {"date": …, "base": …, "quotes": …}.
func (d Day) MarshalJSON() ([]byte, error) {
	quotes, err := d.DayQuotes.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return append([]byte(`{"date":"`+d.ID()+`",`), bytes.TrimPrefix(quotes, []byte("{"))...), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (d *Day) UnmarshalJSON(b []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil || fields == nil {
		return d.DayQuotes.UnmarshalJSON(b) // says what is wrong
	}
	var day Day
	if err := json.Unmarshal(fields["date"], &day.Date); err != nil {
		return loyalty.FieldErrors{{Field: "date", Code: "not_a_date", Reason: "must be a date, YYYY-MM-DD"}}
	}
	delete(fields, "date")
	rest, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	if err := day.DayQuotes.UnmarshalJSON(rest); err != nil {
		return err
	}
	*d = day
	return nil
}
