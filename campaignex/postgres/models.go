package postgres

import (
	"encoding/json"
	"fmt"

	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/google/uuid"
)

type campaign struct {
	ruledb.Head            `gorm:"embedded"`
	Name                   string
	MinSpendBillionths     int64
	StartDate              string
	EndDate                string
	RewardProgram          string
	RewardAmountBillionths int64
	MCC                    string `gorm:"column:mcc"`
	Merchant               string
	BaseReward             bool
	ForeignCurrency        bool
	Search                 string
}

// Set takes over a campaign.
func (m *campaign) Set(c loyalty.Campaign) error {
	m.Name, m.MinSpendBillionths = c.Name, int64(c.MinSpend)
	m.StartDate, m.EndDate = c.Start.String(), c.End.String()
	m.RewardProgram, m.RewardAmountBillionths = c.Programme, int64(c.Rate)
	m.MCC, m.Merchant, m.BaseReward, m.ForeignCurrency = c.MCC.String(), c.Merchant, c.Base, c.Foreign
	m.Search = ruledb.Fold(c.Name + "\n" + c.Merchant)
	return nil
}

// Rule is the campaign.
func (m *campaign) Rule() (loyalty.Campaign, error) {
	c := loyalty.Campaign{
		Name: m.Name, MinSpend: loyalty.Decimal(m.MinSpendBillionths), Programme: m.RewardProgram,
		Rate: loyalty.Decimal(m.RewardAmountBillionths), Merchant: m.Merchant, Base: m.BaseReward, Foreign: m.ForeignCurrency,
	}
	var err error
	if c.ID, err = uuid.Parse(m.ID); err != nil {
		return c, err
	}
	if c.Start, err = loyalty.ParseDate(m.StartDate); err != nil {
		return c, err
	}
	if c.End, err = loyalty.ParseDate(m.EndDate); err != nil {
		return c, err
	}
	c.MCC, err = loyalty.ParseMCCSet(m.MCC)
	return c, err
}

type exclusion struct {
	ruledb.Head `gorm:"embedded"`
	MCC         int `gorm:"column:mcc"`
	ValidFrom   string
}

// Set takes over an exclusion.
func (m *exclusion) Set(e loyalty.Exclusion) error {
	m.MCC, m.ValidFrom = int(e.MCC), e.ValidFrom.String()
	return nil
}

// Rule is the exclusion.
func (m *exclusion) Rule() (loyalty.Exclusion, error) {
	e := loyalty.Exclusion{MCC: loyalty.MCC(m.MCC)}
	var err error
	if e.ID, err = uuid.Parse(m.ID); err != nil {
		return e, err
	}
	e.ValidFrom, err = loyalty.ParseDate(m.ValidFrom)
	return e, err
}

type quotes struct {
	ruledb.Head `gorm:"embedded"`
	Base        string
	Quotes      string
}

// Set takes over a day's quotes.
func (m *quotes) Set(d campaignex.Day) error {
	b, err := json.Marshal(d.Quotes) // encoding/json writes keys in order
	m.Base, m.Quotes = d.Base.String(), string(b)
	return err
}

// Rule are the day's quotes.
func (m *quotes) Rule() (campaignex.Day, error) {
	var (
		d   campaignex.Day
		err error
		ok  bool
	)
	if d.Date, err = loyalty.ParseDate(m.ID); err != nil {
		return d, err
	}
	if d.Base, ok = loyalty.ParseCurrency(m.Base); !ok {
		return d, fmt.Errorf("%q is no currency", m.Base)
	}
	return d, json.Unmarshal([]byte(m.Quotes), &d.Quotes)
}
