package profiler

// The types of this file describe the API to people and to generators; a test holds them true to
// what is written and read.

// CardTypeBody is a card type as it is sent.
type CardTypeBody struct {
	CardType      string `json:"card_type" example:"scis_platinummiles"`
	Name          string `json:"name" example:"SCIS PlatinumMiles Card"`
	RewardUnit    string `json:"reward_unit" example:"miles"`
	RewardProgram string `json:"reward_program" example:"SCISMiles"` // the programme's name
	Decimals      int    `json:"decimals,omitempty" example:"0"`     // of a unit, 0 to 4; by default 0 for points and miles, else 2
}

// Meta is what answers add to a rule. Sent back, it is ignored.
type Meta struct {
	Version   int64  `json:"version" example:"3"`
	Published bool   `json:"published" example:"true"` // rewarders can see this version
	UpdatedAt string `json:"updated_at" format:"date-time"`
}

// CardTypeItem is a card type as it is answered.
type CardTypeItem struct {
	CardTypeBody
	Meta
}

// CardTypeAnswer is one card type.
type CardTypeAnswer struct {
	Data CardTypeItem `json:"data"`
}

// Paging is what lists add.
type Paging struct {
	PageNo   int   `json:"page_no" example:"1"`
	PageSize int   `json:"page_size" example:"100"`
	Total    int64 `json:"total" example:"4"`
}

// CardTypePage is a list of card types.
type CardTypePage struct {
	Paging
	Data []CardTypeItem `json:"data"`
}

// HistoryItem is one change of a card type.
type HistoryItem struct {
	Version int64  `json:"version" example:"3"`
	Action  string `json:"action" enums:"created,changed,deleted"`
	Who     string `json:"who"`
	When    string `json:"when" format:"date-time"`
	Before  any    `json:"before" swaggertype:"object"` // null where there was none
	After   any    `json:"after" swaggertype:"object"`  // null where there is none any more
}

// HistoryPage is a page of a card type's history.
type HistoryPage struct {
	Paging
	Data []HistoryItem `json:"data"`
}

// ErrorBody is an answer that is an error.
type ErrorBody struct {
	Error  string            `json:"error" example:"name is missing"`
	Code   string            `json:"code" example:"invalid"`
	Fields map[string]string `json:"fields,omitempty"` // what is wrong with each field
}
