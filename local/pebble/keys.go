package pebble

import (
	"encoding/binary"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/google/uuid"
)

// Keys begin with the table that they are of. Numbers are big endian, so keys stand in the order
// of their parts.
const (
	tableDays    = 'd' // day, card, date, id → operand formatEntry
	tableMarkers = 'm' // incarnation, partition, offset + 1 → the marker
	tableParts   = 'p' // hash → the part
	tableRewards = 'r' // card, date inverted, id → operand formatRow; so a card's newest are first
	tableTopics  = 't' // name → JSON
	tableMeta    = 'z' // name → text
)

const (
	rewardKeyLen = 1 + 16 + 4 + 16
	dayKeyLen    = 1 + 4 + 16 + 4 + 16
)

// sortable is a date in the order of the calendar.
func sortable(d loyalty.Date) uint32 { return uint32(d) ^ 1<<31 }

func unsortable(v uint32) loyalty.Date { return loyalty.Date(v ^ 1<<31) }

func appendCard(b []byte, card uuid.UUID) []byte {
	return append(append(b, tableRewards), card[:]...)
}

func appendCardDate(b []byte, card uuid.UUID, d loyalty.Date) []byte {
	return binary.BigEndian.AppendUint32(appendCard(b, card), ^sortable(d))
}

func appendRewardKey(b []byte, k loyalty.Key) []byte {
	return append(appendCardDate(b, k.CardID, k.Date), k.ID[:]...)
}

func parseRewardKey(b []byte) (k loyalty.Key, ok bool) {
	if len(b) != rewardKeyLen {
		return k, false
	}
	copy(k.CardID[:], b[1:])
	k.Date = unsortable(^binary.BigEndian.Uint32(b[17:]))
	copy(k.ID[:], b[21:])
	return k, true
}

func appendDay(b []byte, day loyalty.Date) []byte {
	return binary.BigEndian.AppendUint32(append(b, tableDays), sortable(day))
}

func appendDayKey(b []byte, day loyalty.Date, k loyalty.Key) []byte {
	b = append(appendDay(b, day), k.CardID[:]...)
	b = binary.BigEndian.AppendUint32(b, sortable(k.Date))
	return append(b, k.ID[:]...)
}

func parseDayKey(b []byte) (k loyalty.Key, ok bool) {
	if len(b) != dayKeyLen {
		return k, false
	}
	copy(k.CardID[:], b[5:])
	k.Date = unsortable(binary.BigEndian.Uint32(b[21:]))
	copy(k.ID[:], b[25:])
	return k, true
}

func markerKey(incarnation int64, partition int32, offset int64) []byte {
	b := binary.BigEndian.AppendUint64([]byte{tableMarkers}, uint64(incarnation))
	b = binary.BigEndian.AppendUint32(b, uint32(partition))
	return binary.BigEndian.AppendUint64(b, uint64(offset+1))
}

func partKey(h loyalty.Hash) []byte { return append([]byte{tableParts}, h[:]...) }

// after is the first key that does not begin with prefix.
func after(prefix []byte) []byte {
	b := append([]byte(nil), prefix...)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil
}

func markerOffset(key []byte) int64 { return int64(binary.BigEndian.Uint64(key[13:])) - 1 }
