package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/cockroachdb/pebble/v2"
)

// A value of a reward or of an index entry is an operand of a merge: a format byte, the write
// time in 8 bytes, big endian, and what else it holds. Merging keeps the operand with the highest
// write time, whole, so the earliest record of the log wins in whatever order they come and
// nothing is read before it is written. An erasure is the operand of one byte that wins over
// every other for good.
const (
	formatErased = 0
	formatRow    = 1 // see codec.go
	formatEntry  = 2 // an entry of the index by day: the partition, 4 bytes
	formatNewest = 2 // what is above is of a later release

	operandHeader = 9
)

var erased = []byte{formatErased}

// merger's name is written into the database, which opens with no other.
var merger = &pebble.Merger{
	Name: "angelowl.earliest.v1",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		m := &earliest{}
		return m, m.add(value)
	},
}

// earliest holds the operand that wins so far. Its operation is commutative, associative and
// idempotent, so older and newer do not matter.
type earliest struct{ best []byte }

func (m *earliest) MergeNewer(value []byte) error { return m.add(value) }
func (m *earliest) MergeOlder(value []byte) error { return m.add(value) }

func (m *earliest) add(value []byte) error {
	if len(value) == 0 || value[0] != formatErased && len(value) < operandHeader {
		return errors.New("a value of the reward store is damaged")
	}
	if m.best == nil || wins(value, m.best) {
		m.best = append(m.best[:0], value...)
	}
	return nil
}

func (m *earliest) Finish(bool) ([]byte, io.Closer, error) { return m.best, nil, nil }

// wins says whether a stays and b goes.
func wins(a, b []byte) bool {
	switch {
	case b[0] == formatErased:
		return false
	case a[0] == formatErased:
		return true
	}
	if ta, tb := writeTime(a), writeTime(b); ta != tb {
		return ta > tb
	}
	return bytes.Compare(a, b) > 0 // one record that was stored twice
}

func writeTime(value []byte) int64 { return int64(binary.BigEndian.Uint64(value[1:])) }

func appendHeader(b []byte, format byte, p loyalty.Position) []byte {
	return binary.BigEndian.AppendUint64(append(b, format), uint64(p.WriteTime()))
}

// maxOffset and maxIncarnation are what a write time holds.
const (
	maxOffset      = 1<<48 - 2
	maxIncarnation = 1<<15 - 1
)

func validPosition(p loyalty.Position) bool {
	return p.Incarnation >= 1 && p.Incarnation <= maxIncarnation && p.Offset >= 0 && p.Offset <= maxOffset && p.Partition >= 0
}

// position undoes Position.WriteTime.
func position(value []byte, partition int32) loyalty.Position {
	v := -(writeTime(value) + 1)
	return loyalty.Position{Incarnation: v >> 48, Offset: v & (1<<48 - 1), Partition: partition}
}
