package rewarder

import (
	"context"
	"errors"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// Store is the reward store as the rewarder writes it. Every method may be called at once from
// many goroutines, is idempotent, and returns only when its write is durable. An error that is
// none of those below is about the system: the caller pauses and tries again.
type Store interface {
	// OpenTopic returns the incarnation of a topic, from 1 on: the number under which the store
	// knows its id. The first topic of a name is entered; after that another id or another number
	// of partitions is ErrTopicChanged.
	OpenTopic(ctx context.Context, name, id string, partitions int32) (incarnation int64, err error)

	// PutParts keeps parts of rule sets under their hashes, for good.
	PutParts(ctx context.Context, parts []rules.Part) error

	// Part returns a part, or ErrNotFound.
	Part(ctx context.Context, hash loyalty.Hash) ([]byte, error)

	// FixFirst enters the marker for offset -1 of a partition if there is none yet, and returns
	// the one that is there: the same for all callers, ever.
	FixFirst(ctx context.Context, incarnation int64, partition int32, m record.Marker) (record.Marker, error)

	// PutMarker keeps what is in force from an offset on.
	PutMarker(ctx context.Context, at loyalty.Position, m record.Marker) error

	// MarkerBefore returns the marker with the highest offset below at.Offset, the one at -1
	// included, and its offset; ErrNotFound where there is none.
	MarkerBefore(ctx context.Context, at loyalty.Position) (m record.Marker, offset int64, err error)

	// PutRewards keeps rows, of any cards, with the index by bank day of CreatedAt. Of rows with
	// one key the one with the highest Position.WriteTime stays, whole, whatever the order of the
	// calls. A row that can never be stored is ErrRow (a *RowError names it); the others of the
	// call are stored then, and where there are several the error joins one for each.
	PutRewards(ctx context.Context, rows []loyalty.Row) error
}

// Errors of a Store.
var (
	ErrNotFound     = errors.New("not in the reward store")
	ErrTopicChanged = errors.New("the topic is not the one that the reward store knows; see docs/runbooks/topic-made-again.md")
	ErrRow          = errors.New("the row cannot be stored")
)

// isAnswer says whether an error is the store's answer, not a failure of it.
func isAnswer(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrTopicChanged) || errors.Is(err, ErrRow)
}

// RowError says which row cannot be stored, and why. It matches ErrRow.
type RowError struct {
	Position loyalty.Position
	Reason   string
}

func (e *RowError) Error() string { return ErrRow.Error() + ": " + e.Reason }

// Is matches ErrRow.
func (e *RowError) Is(target error) bool { return target == ErrRow }
