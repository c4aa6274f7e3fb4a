// Package record is the wire format of the log: the topics' names, the headers of a record, and
// the two kinds of record in the topic of transactions, a transaction and a rule marker.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty"
)

// Topics. A deployment may name them otherwise (TOPIC); the dead letters' topic is TOPIC.dlq, that of the parts of
// rule sets, which markers name, TOPIC.rules.
const (
	Topic            = "transaction"
	DeadLetterSuffix = ".dlq"
	RulesSuffix      = ".rules"
)

// Header names. Values are text.
const (
	HeaderFormat    = "format"      // the version of the value's format; see Format
	HeaderKind      = "kind"        // absent for a transaction, KindMarker for a rule marker
	HeaderSource    = "source"      // who sent it: SourceUpload or SourceAccount and an id
	HeaderLine      = "line"        // the line of the upload, 1 being the header row
	HeaderRequestID = "request_id"  // of the request that brought it, as in the logs
	HeaderTrace     = "traceparent" // where its trace is recorded: of the span that sent it (W3C Trace Context)

	// Of a dead letter, beside the headers that the record had:
	HeaderReason      = "dead-reason"      // a snake_case code
	HeaderDetail      = "dead-detail"      // plain words
	HeaderTopicID     = "dead-topic-id"    // the topic's id
	HeaderIncarnation = "dead-incarnation" // decimal, as are the next two
	HeaderPartition   = "dead-partition"
	HeaderOffset      = "dead-offset"
	HeaderTimestamp   = "dead-timestamp" // the record's own, milliseconds

	// Of a dead letter's record that was sent again, and of the mark that says so:
	HeaderResentOf = "resent-of" // the dead letter's id; see LetterID
	HeaderResentBy = "resent-by" // who sent it
	HeaderResentAt = "resent-at" // RFC 3339

	// Of the mark alone:
	HeaderResentTo = "resent-to"     // where the record is now, partition/offset
	HeaderMended   = "resent-mended" // the fields that were set, by comma
)

// What stands before the id in HeaderSource.
const (
	SourceUpload  = "upload:"
	SourceAccount = "account:"
)

// Format is the version of the formats that this program writes, and the newest that it reads.
const Format = 1

// KindMarker is the kind of a rule marker.
const KindMarker = "rule-marker"

// KindResent is the kind of a mark in the dead letters' topic: that a dead letter was sent again.
// A mark has no HeaderReason; a dead letter has one, whatever kind its record was said to be.
const KindResent = "resent"

// LetterID is the id of a dead letter, incarnation.partition.offset of its record: fit for a path.
func LetterID(p loyalty.Position) string {
	return fmt.Sprintf("%d.%d.%d", p.Incarnation, p.Partition, p.Offset)
}

// ParseLetterID reads the id of a dead letter, one with slashes too, as they were at first.
func ParseLetterID(id string) (loyalty.Position, error) {
	var p loyalty.Position
	parts := strings.Split(strings.ReplaceAll(id, "/", "."), ".")
	if len(parts) != 3 {
		return p, fmt.Errorf("%q is not the id of a dead letter, incarnation.partition.offset", id)
	}
	incarnation, err1 := strconv.ParseInt(parts[0], 10, 64)
	partition, err2 := strconv.ParseInt(parts[1], 10, 32)
	offset, err3 := strconv.ParseInt(parts[2], 10, 64)
	if errors.Join(err1, err2, err3) != nil || incarnation < 0 || partition < 0 || offset < 0 {
		return p, fmt.Errorf("%q is not the id of a dead letter, incarnation.partition.offset", id)
	}
	return loyalty.Position{Incarnation: incarnation, Partition: int32(partition), Offset: offset}, nil
}

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
