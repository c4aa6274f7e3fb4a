// Package ruleapi serves rules over HTTP: list, read, create, change, delete and history, with
// versions as ETags and with what is known of their publication. campaignex and profiler serve
// all of their kinds of rules by it.
package ruleapi

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/outbox"
)

// Item is a rule as it stands.
type Item[T any] struct {
	Rule      T
	Version   int64 // counts the rule's changes, from 1, deletions too
	UpdatedAt time.Time
	Ref       outbox.Ref // under which it is published
	Published bool       // etcd is known to hold it
}

// Event is one change of a rule.
type Event struct {
	Version int64           `json:"version"`
	Action  Action          `json:"action"`
	Who     string          `json:"who"`
	When    time.Time       `json:"when"`
	Before  json.RawMessage `json:"before"` // null where there was none
	After   json.RawMessage `json:"after"`  // null where there is none any more
}

// Action is what was done to a rule.
type Action string

// The actions.
const (
	Created Action = "created"
	Changed Action = "changed"
	Deleted Action = "deleted"
)

// Page says which part of a list is asked for.
type Page struct {
	Size, No int // No counts from 1
}

// Query asks for a page of a list. F are the filters that a kind of rule has.
type Query[F any] struct {
	Page
	Sort   string // one of the names that the Resource allows
	Desc   bool
	Filter F
}

// Store keeps one kind of rule. Every change makes a version, an entry of the history and an entry
// in the outbox, all of them or none. A change that changes nothing makes no version. A deleted
// rule is not there for Get and List, but keeps its version and its history: one that is created
// again goes on counting. All methods may be called at once; changes of one rule happen one after
// another.
type Store[T, F any] interface {
	// List returns a page of the rules that fit, and how many there are in all.
	List(ctx context.Context, q Query[F]) ([]Item[T], int64, error)

	// Get returns a rule, or ErrNotFound.
	Get(ctx context.Context, id string) (Item[T], error)

	// Create enters a rule, or ErrExists.
	Create(ctx context.Context, who string, rule T) (Item[T], error)

	// Put changes a rule, or ErrNotFound; or, where it must fit, ErrConflict.
	Put(ctx context.Context, who string, rule T, fit Fit) (Item[T], error)

	// Delete deletes a rule, or ErrNotFound or ErrConflict.
	Delete(ctx context.Context, who, id string, fit Fit) error

	// History returns a page of a rule's changes, the newest first, and how many there are in all;
	// ErrNotFound for a rule that never was.
	History(ctx context.Context, id string, p Page) ([]Event, int64, error)
}

// Fit says whether a rule of that version is the one that the caller means; nil: any is.
type Fit func(version int64) bool

// Errors of a Store.
var (
	ErrNotFound = errors.New("there is no such rule")
	ErrExists   = errors.New("the rule exists already")
	ErrConflict = errors.New("the rule has changed since")
)
