package profiler

import (
	"context"
	"errors"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/google/uuid"
)

// Store keeps card types, accounts and cards; what is said of ruleapi.Store and outbox.Store goes for
// its parts that are theirs.
type Store interface {
	outbox.Store
	Accounts
	RewardMails

	CardTypes() ruleapi.Store[loyalty.CardType, CardTypeFilter]

	// Import makes all of these stand as given, in one transaction, and returns how many of them
	// that changed. What is as it was makes no version. What is not named stays as it is. Each key
	// is there once.
	Import(ctx context.Context, who string, cardTypes []loyalty.CardType) (changed int, err error)
}

// CardTypeFilter narrows a list of card types: not at all, so far.
type CardTypeFilter struct{}

// Accounts keeps accounts and cards. Every change makes a version and an entry of the history, with
// who made it, or nothing at all; a change that changes nothing makes none. All methods may be called
// at once; changes of one account and its cards happen one after another.
//
// What is deleted is not there for anything but its history. It leaves a tombstone: an account's id is
// never used again, and a card's id belongs to one account for ever. The tombstone of an account has
// nothing personal; its history has what it was, and who changed it, as long as the bank keeps that.
//
// What callers pass as change or may is called in the transaction, perhaps more than once; its error
// ends it and is returned.
type Accounts interface {
	// Users returns a page of accounts with their cards, and how many there are in all. Accounts that
	// are alike in what they are sorted by are in the order of their ids.
	Users(ctx context.Context, q UserQuery) ([]User, int64, error)

	// User returns an account, or ruleapi.ErrNotFound.
	User(ctx context.Context, id uuid.UUID) (User, error)

	// CreateUser enters an account, and its first password if that is not nil. Version, times and cards
	// are not read. It returns ruleapi.ErrExists for an id that was ever used, and ErrEmailTaken.
	CreateUser(ctx context.Context, who string, u User, first *FirstPassword) (User, error)

	// ChangeUser makes of an account what change makes of it (but for id, IsNew, version, times and
	// cards), and returns it as it was and as it is. Where User.EndsSessions says so, sessions end.
	// It returns ruleapi.ErrNotFound, ErrEmailTaken, ErrLastAdmin and ErrHasCards.
	ChangeUser(ctx context.Context, who string, id uuid.UUID, change func(User) (User, error)) (before, after User, err error)

	// DeleteUser deletes an account, its cards and what it signs in with, and ends its sessions. It
	// returns ruleapi.ErrNotFound and ErrLastAdmin.
	DeleteUser(ctx context.Context, who string, id uuid.UUID, may func(User) error) error

	// UserHistory returns a page of an account's changes, the newest first, and how many there are in
	// all; ruleapi.ErrNotFound for one that never was. may is asked about the account's role, the last
	// one for a deleted account.
	UserHistory(ctx context.Context, id uuid.UUID, p ruleapi.Page, may func(token.Role) error) ([]ruleapi.Event, int64, error)

	// Cards returns a page of cards, and how many there are in all.
	Cards(ctx context.Context, q CardQuery) ([]Card, int64, error)

	// Card returns a card and the role of its owner, or ruleapi.ErrNotFound.
	Card(ctx context.Context, id uuid.UUID) (Card, token.Role, error)

	// CreateCard enters a card; Version and times are not read. A deleted card may be entered again for
	// the account that had it. It returns ErrNoUser for an owner who is not there, ErrNotCardholder for
	// one whose role is not user, ErrCardTaken for an id that is or was another account's,
	// ruleapi.ErrExists for one that the account has, ErrNoCardType, and ErrMasked where the number is
	// masked and not the one that the card had.
	CreateCard(ctx context.Context, who string, c Card, n Number) (Card, error)

	// DeleteCard deletes a card, or ruleapi.ErrNotFound. may is asked about it and its owner's role.
	DeleteCard(ctx context.Context, who string, id uuid.UUID, may func(Card, token.Role) error) error

	// CardHistory is UserHistory of a card; may is asked about its owner's role.
	CardHistory(ctx context.Context, id uuid.UUID, p ruleapi.Page, may func(token.Role) error) ([]ruleapi.Event, int64, error)

	// CardsOfType counts the cards of a type.
	CardsOfType(ctx context.Context, cardType string) (int64, error)

	// PutRows makes the rows of a file stand as given, one after another, all of them in one
	// transaction, and returns what became of each. A row is taken whole or refused whole. The error is
	// about the system; then there is no outcome, and the same rows may be sent again: what they have
	// changed already is Unchanged then.
	PutRows(ctx context.Context, who string, rows []Row) ([]Outcome, error)

	// FirstAdmin enters an admin with a first password if there is none at all. If there are only ones
	// who have never signed in and whose first passwords have expired, and u's email is one's, that
	// one gets first. made says whether first is a password now. It returns ErrEmailTaken if the email
	// is that of an account which is no admin. Of several callers at once, one makes it.
	FirstAdmin(ctx context.Context, who string, u User, first FirstPassword) (made bool, err error)

	// HasAdmin says whether FirstAdmin would find an admin and change nothing.
	HasAdmin(ctx context.Context, email string) (bool, error)
}

// Errors of Accounts, beside ruleapi's.
var (
	ErrEmailTaken    = errors.New("another account has that email address")
	ErrLastAdmin     = errors.New("nobody would be left who can administrate")
	ErrHasCards      = errors.New("the account has cards")
	ErrNoUser        = errors.New("there is no such account")
	ErrNotCardholder = errors.New("the account is not a cardholder's")
	ErrCardTaken     = errors.New("the card id is another account's")
	ErrNoCardType    = errors.New("there is no such card type")
	ErrMasked        = errors.New("the card's number is masked and not known")
	ErrUserDeleted   = errors.New("the account has been deleted")
)

// UserQuery asks for a page of accounts.
type UserQuery struct {
	ruleapi.Page
	Sort   string // one of UserSorts
	Desc   bool
	Search string     // part of the name or of the email address, in any case; "": any
	Role   token.Role // "": any
	Locked *bool      // nil: either
	HMAC   string     // of the number of one of its cards; "": any
}

// CardQuery asks for a page of cards.
type CardQuery struct {
	ruleapi.Page
	Sort      string // one of CardSorts
	Desc      bool
	UserID    uuid.UUID  // the zero one: any
	CardType  string     // "": any
	OwnerRole token.Role // "": any
}

// What lists may be sorted by, the first without being asked.
var (
	UserSorts = []string{"name", "email", "created_at", "updated_at"}
	CardSorts = []string{"id", "card_type", "created_at", "updated_at"}
)

// Row is a row of a file of users: a cardholder and perhaps one of the cards.
type Row struct {
	User  User      // id, names, phone, email
	Since time.Time // when the bank first had the account; the zero time: now
	Card  *Card     // id and card type, or nil
	Number
}

// Outcome is what became of a Row.
type Outcome struct {
	Result Result
	// New says that the account has never had a password, or that the mail with its first one waits.
	New bool
	// Moved is the address that the account had before the row changed it, or "".
	Moved string
	Err   error // of a row that was refused: one of the errors above
}

// Result is an outcome in a word.
type Result string

// The results.
const (
	RowCreated   Result = "created" // the account, the card, or both
	RowChanged   Result = "changed"
	RowUnchanged Result = "unchanged"
	RowRefused   Result = "refused"
)
