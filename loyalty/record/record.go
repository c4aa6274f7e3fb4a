// Package record is the wire format of the log: the topics' names, the headers of a record, and
// the two kinds of record in the topic of transactions, a transaction and a rule marker.
package record

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/angelowl-loyalties/app/loyalty"
)

// Topics. A deployment may name them otherwise (TOPIC); the dead letters' topic is TOPIC.dlq.
const (
	Topic            = "transaction"
	DeadLetterSuffix = ".dlq"
)

// Header names. Values are text.
const (
	HeaderFormat = "format" // the version of the value's format; see Format
	HeaderKind   = "kind"   // absent for a transaction, KindMarker for a rule marker
	HeaderSource = "source" // who sent it: "upload:<id>" or "account:<id>"
	HeaderLine   = "line"   // the line of the upload, 1 being the header row

	// Of a dead letter, beside the headers that the record had:
	HeaderReason      = "dead-reason"      // a snake_case code
	HeaderDetail      = "dead-detail"      // plain words
	HeaderTopicID     = "dead-topic-id"    // the topic's id
	HeaderIncarnation = "dead-incarnation" // decimal, as are the next two
	HeaderPartition   = "dead-partition"
	HeaderOffset      = "dead-offset"
	HeaderTimestamp   = "dead-timestamp" // the record's own, milliseconds
)

// Format is the version of the formats that this program writes, and the newest that it reads.
const Format = 1

// KindMarker is the kind of a rule marker.
const KindMarker = "rule-marker"

// Marker says that a rule set is in force for what follows it in its partition.
type Marker struct {
	Hash     loyalty.Hash `json:"hash"`
	Epoch    int64        `json:"epoch"`    // of the rules' home in etcd; a rebuilt one has a higher one
	Revision int64        `json:"revision"` // etcd's, of the rules' last change
}

// After says whether the marker takes over from one in force.
func (m Marker) After(inForce Marker) bool {
	if m.Epoch != inForce.Epoch {
		return m.Epoch > inForce.Epoch
	}
	return m.Revision > inForce.Revision
}

// Encode writes the marker's value.
func (m Marker) Encode() []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // a struct of a text and two numbers
	}
	return b
}

// DecodeMarker reads the marker's value.
func DecodeMarker(b []byte) (Marker, error) {
	var m Marker
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("reading a rule marker: %w", err)
	}
	if m.Hash == (loyalty.Hash{}) || m.Epoch < 1 || m.Revision < 1 {
		return m, errors.New("reading a rule marker: it has no hash, epoch or revision")
	}
	return m, nil
}
