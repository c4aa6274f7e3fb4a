// Package rulebook is the rules as they stand in etcd: their keys and values, and the mirror of
// them that a service holds by a snapshot and a watch.
package rulebook

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Prefix is where the rules stand in etcd. Below it is a folder for each kind.
const Prefix = "angelowl/rules/"

// EpochKey holds the epoch, a whole number above zero. Without it the rules count for nothing: of an
// etcd that is being filled again from several databases, nobody must take a part for the whole. So
// it is written last and once (create only), by whoever finds rules and every kind's FilledKey: the
// time in milliseconds, so that a rebuilt etcd has a higher one.
const EpochKey = Prefix + "epoch"

// FilledKey is there once all rules of a kind that its service has ever published are in this etcd.
func FilledKey(k Kind) string { return filledPrefix + string(k) }

const filledPrefix = Prefix + "filled/"

// InForcePrefix is where rewarders say, under a lease, which rule set a partition has in force:
// angelowl/inforce/<topic>/<partition>.
const InForcePrefix = "angelowl/inforce/"

// RewarderPrefix is where rewarders say, under a lease, that they are alive and how they are:
// angelowl/rewarder/<topic>/<name>.
const RewarderPrefix = "angelowl/rewarder/"

// Kind is a kind of rule, the folder of its keys.
type Kind string

// The kinds of rules.
const (
	Campaigns  Kind = "campaign"  // key: id; data: loyalty.Campaign
	Exclusions Kind = "exclusion" // key: id; data: loyalty.Exclusion
	CardTypes  Kind = "cardtype"  // key: card_type; data: loyalty.CardType
	Quotes     Kind = "fx"        // key: year, four digits; data: loyalty.YearQuotes
)

// Kinds are all kinds of rules.
var Kinds = []Kind{Campaigns, Exclusions, CardTypes, Quotes}

// Key is the etcd key of a rule.
func Key(kind Kind, id string) string { return Prefix + string(kind) + "/" + id }

// SplitKey takes a key apart; ok is false for keys that are not a rule's.
func SplitKey(key string) (kind Kind, id string, ok bool) {
	rest, ok := strings.CutPrefix(key, Prefix)
	if !ok {
		return "", "", false
	}
	folder, id, ok := strings.Cut(rest, "/")
	switch k := Kind(folder); k {
	case Campaigns, Exclusions, CardTypes, Quotes:
		return k, id, ok && id != ""
	}
	return "", "", false
}

// Value is what stands under a rule's key. A deletion stays as a tombstone with its version, so
// that a publisher that is late cannot bring the rule back.
type Value struct {
	Version int64           `json:"version"` // counts the rule's changes, from 1
	Deleted bool            `json:"deleted,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Encode writes the value.
func (v Value) Encode() ([]byte, error) { return json.Marshal(v) }

// DecodeValue reads a value.
func DecodeValue(b []byte) (Value, error) {
	var v Value
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("reading a rule's value: %w", err)
	}
	if v.Version < 1 || v.Deleted == (len(v.Data) > 0) {
		return v, fmt.Errorf("reading a rule's value: version %d, deleted %t and %d bytes of data do not go together", v.Version, v.Deleted, len(v.Data))
	}
	return v, nil
}
