package profiler

import "time"

// The types of this file are the API as it is written and read, and describe it to people and to
// generators. Those of card types only describe; a test holds them true.

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

// HistoryItem is one change of a card type, an account or a card.
type HistoryItem struct {
	Version int64  `json:"version" example:"3"`
	Action  string `json:"action" enums:"created,changed,deleted"`
	Who     string `json:"who"`
	When    string `json:"when" format:"date-time"`
	Before  any    `json:"before" swaggertype:"object"` // null where there was none
	After   any    `json:"after" swaggertype:"object"`  // null where there is none any more
}

// HistoryPage is a page of a history.
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

// UserBody is an account as it is sent. What is not there, or null, stays as it is, or as it is by
// default. What an answer adds is ignored; other fields are refused.
type UserBody struct {
	ID              *string `json:"id,omitempty" format:"uuid"` // by default a new one
	FirstName       *string `json:"first_name" example:"Ann"`
	LastName        *string `json:"last_name" example:"Lee"`
	Phone           *string `json:"phone" example:"+6591234567"` // E.164
	Email           *string `json:"email" example:"ann@example.com"`
	Role            *string `json:"Role,omitempty" enums:"user,bank,merchant,admin" example:"user"` // by default user
	Locked          *bool   `json:"locked,omitempty"`
	RewardEmails    *bool   `json:"reward_emails,omitempty"`                      // wants the nightly email; by default true
	Password        *string `json:"password,omitempty" format:"password"`         // the first one; POST only
	ConfirmPassword *string `json:"confirm_password,omitempty" format:"password"` // the same again
}

// What answers add to what is sent. Sent back, it is ignored.
var (
	userAnswers = []string{"IsNew", "version", "CreatedAt", "UpdatedAt", "CreditCards", "warnings"}
	cardAnswers = []string{"version", "created_at", "updated_at"}
)

// UserItem is an account as it is answered.
type UserItem struct {
	ID           string     `json:"id" format:"uuid"`
	FirstName    string     `json:"first_name" example:"Ann"`
	LastName     string     `json:"last_name" example:"Lee"`
	Phone        string     `json:"phone" example:"+6591234567"`
	Email        string     `json:"email" example:"ann@example.com"`
	Role         string     `json:"Role" enums:"user,bank,merchant,admin,service" example:"user"`
	IsNew        bool       `json:"IsNew"` // the first password has not been changed yet
	Locked       bool       `json:"locked"`
	RewardEmails bool       `json:"reward_emails"`
	Version      int64      `json:"version" example:"3"`
	CreatedAt    time.Time  `json:"CreatedAt"`
	UpdatedAt    time.Time  `json:"UpdatedAt"`
	CreditCards  []CardItem `json:"CreditCards"`
	Warnings     []string   `json:"warnings,omitempty"` // what did not go as it should have, in words
}

// UserAnswer is one account.
type UserAnswer struct {
	Data UserItem `json:"data"`
}

// UserPage is a list of accounts.
type UserPage struct {
	Paging
	Data []UserItem `json:"data"`
}

// UserSearch asks for the accounts that have a card.
type UserSearch struct {
	CardPAN string `json:"card_pan" example:"4111 1111 1111 1111"`
}

// CardBody is a card as it is sent.
type CardBody struct {
	ID       string `json:"id,omitempty" format:"uuid"` // by default a new one
	CardPAN  string `json:"card_pan" example:"4111 1111 1111 1111"`
	UserID   string `json:"user_id" format:"uuid"`
	CardType string `json:"card_type" example:"scis_platinummiles"`
}

// CardItem is a card as it is answered.
type CardItem struct {
	ID        string    `json:"id" format:"uuid"`
	CardPAN   string    `json:"card_pan" example:"************1111"`
	UserID    string    `json:"user_id" format:"uuid"`
	CardType  string    `json:"card_type" example:"scis_platinummiles"`
	Version   int64     `json:"version" example:"1"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// CardAnswer is one card.
type CardAnswer struct {
	Data CardItem `json:"data"`
}

// CardPage is a list of cards.
type CardPage struct {
	Paging
	Data []CardItem `json:"data"`
}

// OwnerItem says whose a card is.
type OwnerItem struct {
	ID       string `json:"id" format:"uuid"`
	UserID   string `json:"user_id" format:"uuid"`
	CardType string `json:"card_type"`
}

// OwnerAnswer says whose a card is.
type OwnerAnswer struct {
	Data OwnerItem `json:"data"`
}

// IDsAnswer is a list of ids.
type IDsAnswer struct {
	Data []string `json:"data"`
}

// RowsBody is a batch of rows of a file of users.
type RowsBody struct {
	Source string    `json:"source" example:"users.csv of 2021-09-01"` // for the history: which file
	Rows   []RowBody `json:"rows"`
}

// RowBody is a row: a cardholder, and one card or none. Rows of one cardholder repeat the first fields.
type RowBody struct {
	ID        string `json:"id" format:"uuid"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Phone     string `json:"phone"`
	Email     string `json:"email"`
	CreatedAt string `json:"created_at"` // when the bank first had the account; read when it is made
	UpdatedAt string `json:"updated_at"` // not used
	CardID    string `json:"card_id" format:"uuid"`
	CardPAN   string `json:"card_pan"` // a masked one is only good for a card that is known
	CardType  string `json:"card_type"`
}

// RowOutcome is what became of a row.
type RowOutcome struct {
	UserID  string            `json:"user_id"` // as sent, or "" where that was none
	CardID  string            `json:"card_id"`
	Outcome string            `json:"outcome" enums:"created,changed,unchanged,refused"`
	New     bool              `json:"new"` // the account has never had a password, or none that was mailed
	Code    string            `json:"code,omitempty" example:"card_taken"`
	Error   string            `json:"error,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// RowsItem is what became of a batch.
type RowsItem struct {
	Rows     []RowOutcome `json:"rows"`
	NewUsers []string     `json:"new_users"` // accounts of the batch that are new
}

// RowsAnswer is what became of a batch.
type RowsAnswer struct {
	Data RowsItem `json:"data"`
}

func (u User) item() UserItem {
	item := UserItem{
		ID: u.ID.String(), FirstName: u.FirstName, LastName: u.LastName, Phone: u.Phone, Email: u.Email,
		Role: string(u.Role), IsNew: u.IsNew, Locked: u.Locked, RewardEmails: u.RewardEmails,
		Version: u.Version, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, CreditCards: make([]CardItem, len(u.Cards)),
	}
	for i, c := range u.Cards {
		item.CreditCards[i] = c.item()
	}
	return item
}

func (c Card) item() CardItem {
	return CardItem{
		ID: c.ID.String(), CardPAN: c.PAN, UserID: c.UserID.String(), CardType: c.CardType,
		Version: c.Version, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
}
