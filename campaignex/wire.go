package campaignex

// The types of this file describe the API to people and to generators; a test holds them true to
// what is written and read. Decimals are JSON numbers, written exactly.

// CampaignBody is a campaign as it is sent.
type CampaignBody struct {
	ID              string  `json:"id,omitempty" format:"uuid"`
	Name            string  `json:"name" example:"10 miles per dollar at Kaligo"`
	MinSpend        float64 `json:"min_spend" example:"0"`                       // least spend in the home currency
	StartDate       string  `json:"start_date" example:"2021-09-01T00:00:00Z"`   // included; the date that is written counts
	EndDate         string  `json:"end_date" example:"2021-12-31T00:00:00Z"`     // included
	RewardProgram   string  `json:"reward_program" example:"scis_platinummiles"` // a card type
	RewardAmount    float64 `json:"reward_amount" example:"10"`                  // units for one unit of home currency
	MCC             string  `json:"mcc" example:"0"`                             // "0": any; else codes and ranges: "5411,3500-3999"
	Merchant        string  `json:"merchant" example:"Kaligo"`                   // part of the merchant's name; "": any
	BaseReward      bool    `json:"base_reward" example:"false"`                 // else a promo
	ForeignCurrency bool    `json:"foreign_currency" example:"false"`            // only spend that is not in the home currency
}

// Meta is what answers add to a rule. Sent back, it is ignored.
type Meta struct {
	Version   int64    `json:"version" example:"3"`
	Published bool     `json:"published" example:"true"` // rewarders can see this version
	UpdatedAt string   `json:"updated_at" format:"date-time"`
	Warnings  []string `json:"warnings,omitempty"`
}

// CampaignItem is a campaign as it is answered.
type CampaignItem struct {
	CampaignBody
	Meta
}

// CampaignAnswer is one campaign.
type CampaignAnswer struct {
	Data CampaignItem `json:"data"`
}

// Paging is what lists add.
type Paging struct {
	PageNo   int   `json:"page_no" example:"1"`
	PageSize int   `json:"page_size" example:"100"`
	Total    int64 `json:"total" example:"42"`
}

// CampaignPage is a list of campaigns.
type CampaignPage struct {
	Paging
	Data []CampaignItem `json:"data"`
}

// ExclusionBody is an exclusion as it is sent.
type ExclusionBody struct {
	ID        string `json:"id,omitempty" format:"uuid"`
	MCC       int    `json:"mcc" example:"6051"`
	ValidFrom string `json:"valid_from" example:"2021-09-01T00:00:00Z"` // included
}

// ExclusionItem is an exclusion as it is answered.
type ExclusionItem struct {
	ExclusionBody
	Meta
}

// ExclusionAnswer is one exclusion.
type ExclusionAnswer struct {
	Data ExclusionItem `json:"data"`
}

// ExclusionPage is a list of exclusions.
type ExclusionPage struct {
	Paging
	Data []ExclusionItem `json:"data"`
}

// DayBody are the quotes of a day as they are sent.
type DayBody struct {
	Base   string             `json:"base" example:"EUR"`
	Quotes map[string]float64 `json:"quotes" example:"SGD:1.5364,USD:1.1834"` // units for one of the base
}

// DayItem are the quotes of a day as they are answered.
type DayItem struct {
	Date string `json:"date" format:"date" example:"2021-09-02"`
	DayBody
	Meta
}

// DayAnswer is one day.
type DayAnswer struct {
	Data DayItem `json:"data"`
}

// DayPage is a list of days.
type DayPage struct {
	Paging
	Data []DayItem `json:"data"`
}

// ImportAnswer is what POST /fx answers.
type ImportAnswer struct {
	Data ImportResult `json:"data"`
}

// HistoryItem is one change of a rule.
type HistoryItem struct {
	Version int64  `json:"version" example:"3"`
	Action  string `json:"action" enums:"created,changed,deleted"`
	Who     string `json:"who"`
	When    string `json:"when" format:"date-time"`
	Before  any    `json:"before" swaggertype:"object"` // null where there was none
	After   any    `json:"after" swaggertype:"object"`  // null where there is none any more
}

// HistoryPage is a page of a rule's history.
type HistoryPage struct {
	Paging
	Data []HistoryItem `json:"data"`
}

// TryTransaction is a transaction to try.
type TryTransaction struct {
	ID              string  `json:"id,omitempty" format:"uuid"`
	CardID          string  `json:"card_id,omitempty" format:"uuid"`
	Merchant        string  `json:"merchant" example:"Kaligo.com"`
	MCC             int     `json:"mcc" example:"7011"`
	Currency        string  `json:"currency" example:"USD"`
	Amount          float64 `json:"amount" example:"100"`
	SGDAmount       float64 `json:"sgd_amount,omitempty" example:"0"`
	TransactionID   string  `json:"transaction_id,omitempty"`
	TransactionDate string  `json:"transaction_date" format:"date" example:"2021-09-02"`
	CardPAN         string  `json:"card_pan,omitempty"`
	CardType        string  `json:"card_type" example:"scis_platinummiles"`
}

// TryBody is what POST /campaign/try takes.
type TryBody struct {
	Transaction TryTransaction  `json:"transaction"`
	Campaigns   []CampaignBody  `json:"campaigns"`
	Exclusions  []ExclusionBody `json:"exclusions"`
}

// TryReward is what a transaction would earn.
type TryReward struct {
	TryTransaction
	RewardAmount float64        `json:"reward_amount" example:"1533.3"`
	Remarks      string         `json:"remarks"`
	Trace        map[string]any `json:"trace" swaggertype:"object"` // the whole calculation
}

// TryAnswer is what POST /campaign/try answers.
type TryAnswer struct {
	Data TryReward `json:"data"`
}

// Code is a merchant category code.
type Code struct {
	MCC         int    `json:"mcc" minimum:"1" maximum:"9999"`
	Description string `json:"description"`
	Group       string `json:"group"` // as in GET /reward/summary
}

// CodeList is the answer with merchant category codes.
type CodeList struct {
	Data []Code `json:"data"`
}

// ErrorBody is an answer that is an error.
type ErrorBody struct {
	Error  string            `json:"error" example:"end_date 2021-01-01 is before the start date 2021-09-01"`
	Code   string            `json:"code" example:"invalid"`
	Fields map[string]string `json:"fields,omitempty"` // what is wrong with each field
}
