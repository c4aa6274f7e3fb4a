// Package outbox brings rules from a service's database into etcd. A change enters the outbox in
// the transaction that makes it; the Publisher takes it from there to etcd as often as it needs
// to, and compares the two from time to time. campaignex and profiler publish by this same code.
package outbox

import (
	"context"
	"encoding/json"

	"github.com/angelowl-loyalties/app/loyalty/rulebook"
)

// Ref names a rule as it is published.
type Ref struct {
	Kind rulebook.Kind
	ID   string
}

// Key is the rule's key in etcd.
func (r Ref) Key() string { return rulebook.Key(r.Kind, r.ID) }

// Rule is a rule as the database has it.
type Rule struct {
	Ref
	Version int64
	Deleted bool
	Data    json.RawMessage // empty when deleted
}

// Store is the database with its outbox: a set of rules that wait to be published. A rule is in
// it once, however often it has changed; what is published is the rule as it stands. Every method
// may be called at once from many goroutines and instances.
type Store interface {
	// Kinds are the kinds of rules that this database has.
	Kinds() []rulebook.Kind

	// Exclusively runs f while no other instance runs its own, where the database can see to
	// that. Nothing may depend on it: it only saves two publishers doing the same.
	Exclusively(ctx context.Context, f func(context.Context) error) error

	// Waiting returns rules that wait and are not held, the longest waiting first, but those that
	// another call has in its hands just now: none is no sign that all is published, Backlog is.
	// Version and data belong together.
	Waiting(ctx context.Context, limit int) ([]Rule, error)

	// Backlog counts the rules that wait, whoever has them in hand, and those that are held.
	Backlog(ctx context.Context) (waiting, held int64, err error)

	// State says where a rule stands on its way to etcd.
	State(ctx context.Context, ref Ref) (State, error)

	// Done takes rules out of the outbox. One that has changed since stays in it.
	Done(ctx context.Context, rules []Rule) error

	// Enter puts rules into the outbox as they stand, as every change does with its own.
	Enter(ctx context.Context, refs []Ref) error

	// Hold keeps rules in the outbox, so that they do not count as published, but out of Waiting
	// until they change or are entered again. It returns those that it holds: rules that have
	// changed since are left as they are.
	Hold(ctx context.Context, rules []Rule) (held []Rule, err error)

	// Current returns rules as they stand, in the order of refs. Version and data belong together.
	Current(ctx context.Context, refs []Ref) ([]Rule, error)

	// Versions returns rules with nothing but their versions, tombstones too, in the order of kind and id, from
	// the one behind after on; the zero Ref is before all.
	Versions(ctx context.Context, after Ref, limit int) ([]Rule, error)
}

// State is where a rule stands on its way to etcd.
type State int

// The states of a rule.
const (
	Published State = iota // it is not in the outbox
	Waits
	Held
)
