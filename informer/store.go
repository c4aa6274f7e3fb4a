package informer

import (
	"context"
	"errors"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/google/uuid"
)

// Query asks for rows of a card, newest first: by date descending, then by id ascending.
type Query struct {
	Card     uuid.UUID
	From, To loyalty.Date    // included; 0: open
	Merchant string          // part of the merchant's name, without case; "": any
	Outcome  loyalty.Outcome // "": any
	After    string          // the Next of an earlier page; "": from the newest
	Limit    int             // rows to return, 1 to 1000
}

// Page is an answer. It has fewer rows than the limit at the end, and where a filter had read
// MaxScan rows; only an empty Next is the end.
type Page struct {
	Rows []loyalty.Row
	Next string // opaque, safe in an address; it stays good while rows are written
}

// MaxScan is the most rows that a query with a filter reads. Rows that were erased count, and so do
// entries of the index by day that do not.
const MaxScan = 2000

// DayQuery asks for the rows whose record arrived on a day of the bank, by card, date and id.
type DayQuery struct {
	Day   loyalty.Date
	After string
	Limit int
}

// Store is the reward store as informer reads it. Every method may be called at once from many
// goroutines. Reads see every write that had returned before they began.
type Store interface {
	// Rewards returns a page of a card's rows; an unknown card has none. ErrCursor for an After
	// that no page gave.
	Rewards(ctx context.Context, q Query) (Page, error)

	// Day returns a page of a day's rows. What arrived again on another day is not among them: an
	// entry of the index counts only if the row it points to came from the same record.
	Day(ctx context.Context, q DayQuery) (Page, error)
}

// ErrCursor says that a cursor is not one of ours.
var ErrCursor = errors.New("the cursor is not one that a page gave")
