package informer

// The types of this file are what the documentation shows; swag reads them and nothing else does.

// RewardBody is a reward.
type RewardBody struct {
	ID              string         `json:"id" format:"uuid"`
	CardID          string         `json:"card_id" format:"uuid"`
	Merchant        string         `json:"merchant" example:"Kaligo.com"`
	MCC             int            `json:"mcc" example:"7011"`
	Currency        string         `json:"currency" example:"USD"`
	Amount          float64        `json:"amount" example:"100"`
	SGDAmount       float64        `json:"sgd_amount" example:"0"` // in the home currency, where the bank converted it
	TransactionID   string         `json:"transaction_id"`
	TransactionDate string         `json:"transaction_date" format:"date" example:"2021-09-02"`
	CardPAN         string         `json:"card_pan" example:"************1234"`
	CardType        string         `json:"card_type" example:"scis_platinummiles"`
	RewardAmount    float64        `json:"reward_amount" example:"1533.3"`
	Remarks         string         `json:"remarks"` // which campaigns applied, or why none
	CreatedAt       string         `json:"created_at" format:"date-time"`
	Trace           map[string]any `json:"trace" swaggertype:"object"` // the whole calculation
}

// RewardsPage is a page of a card's history.
type RewardsPage struct {
	PageNo       int          `json:"page_no" example:"1"`
	TotalRewards *int         `json:"total_rewards" example:"250"` // of the query; null where a filter would have to read more than 5,000 rewards to know
	Data         []RewardBody `json:"data"`
	Next         string       `json:"next"` // send it back as cursor; empty at the end
}

// DayPage is a page of a day.
type DayPage struct {
	Day  string       `json:"day" format:"date" example:"2021-09-02"`
	Data []RewardBody `json:"data"`
	Next string       `json:"next"` // send it back as cursor; empty at the end
}

// ProgrammeTotalBody is what a card earned in a programme.
type ProgrammeTotalBody struct {
	CardType  string  `json:"card_type" example:"scis_platinummiles"`
	Programme string  `json:"programme" example:"SCIS PlatinumMiles"`
	Unit      string  `json:"unit" example:"miles"`
	Decimals  int     `json:"decimals" example:"0"`
	Units     float64 `json:"units" example:"1533"`
	Rewards   int     `json:"rewards" example:"12"`
}

// TotalAnswer is what a card earned in all.
type TotalAnswer struct {
	Data        float64              `json:"data" example:"1533"` // of the card's present programme, the first of by_programme
	ByProgramme []ProgrammeTotalBody `json:"by_programme"`
}

// UnitsBody are units of a kind.
type UnitsBody struct {
	CardType string  `json:"card_type" example:"scis_platinummiles"`
	Unit     string  `json:"unit" example:"miles"`
	Units    float64 `json:"units" example:"1533"`
}

// SpendBody is spend in a currency.
type SpendBody struct {
	Currency string  `json:"currency" example:"USD"`
	Amount   float64 `json:"amount" example:"100.5"`
}

// GroupBody is what was spent and earned with a kind of merchant.
type GroupBody struct {
	Group       string      `json:"group" example:"airlines"`
	Rewards     int         `json:"rewards" example:"3"`
	Units       []UnitsBody `json:"units"`
	Spend       []SpendBody `json:"spend"`
	SpendHome   float64     `json:"spend_home" example:"134.5"`
	Unconverted int         `json:"unconverted" example:"0"` // rewards that spend_home lacks
}

// MonthBody is a month.
type MonthBody struct {
	Month  string      `json:"month" example:"2021-09"`
	Groups []GroupBody `json:"groups"`
}

// SummaryBody is a card's summary.
type SummaryBody struct {
	HomeCurrency string      `json:"home_currency" example:"SGD"`
	Months       []MonthBody `json:"months"`
}

// SummaryAnswer is a card's summary.
type SummaryAnswer struct {
	Data SummaryBody `json:"data"`
}

// ErrorBody is an answer that is an error.
type ErrorBody struct {
	Error  string            `json:"error" example:"page_size must be a whole number from 1 to 1000"`
	Code   string            `json:"code" example:"invalid"`
	Fields map[string]string `json:"fields,omitempty" example:"page_size:must be a whole number from 1 to 1000"`
}
