package informer

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/angelowl-loyalties/app/loyalty"
)

// A cursor is the key of the last row of a page (of a day, its card too) and a checksum over it
// and over what was asked, but for the limit: a cursor goes on with the question that it was
// given for and with no other. It is no secret and guards none; a cursor of another card would
// name a place in this one's rows, not that one's.
const (
	cursorFormat   = 1
	cursorKeyLen   = 16 + 4 + 16
	cursorCheckLen = 8
)

// FormatCursor is the cursor behind the row with key k. It is for the implementations of Store.
func FormatCursor(q Query, k loyalty.Key) string { return formatCursor(q.question(), k) }

// ParseCursor is the key of the row that q.After stands behind, or ErrCursor.
func ParseCursor(q Query) (loyalty.Key, error) {
	k, err := parseCursor(q.question(), q.After)
	if err == nil && k.CardID != q.Card {
		err = ErrCursor
	}
	return k, err
}

// FormatDayCursor is FormatCursor of a day.
func FormatDayCursor(q DayQuery, k loyalty.Key) string { return formatCursor(q.question(), k) }

// ParseDayCursor is ParseCursor of a day.
func ParseDayCursor(q DayQuery) (loyalty.Key, error) { return parseCursor(q.question(), q.After) }

func (q Query) question() string {
	return fmt.Sprintf("rewards %s %d %d %q %q", q.Card, q.From, q.To, q.Merchant, q.Outcome)
}

func (q DayQuery) question() string { return fmt.Sprintf("day %d", q.Day) }

func formatCursor(question string, k loyalty.Key) string {
	b := append(make([]byte, 0, 1+cursorKeyLen+cursorCheckLen), cursorFormat)
	b = append(b, k.CardID[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(k.Date))
	b = append(b, k.ID[:]...)
	return base64.RawURLEncoding.EncodeToString(append(b, cursorCheck(question, b)...))
}

func parseCursor(question, s string) (k loyalty.Key, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	// Strict or not, line ends are skipped: its length says that there are none.
	if err != nil || len(b) != 1+cursorKeyLen+cursorCheckLen || len(s) != base64.RawURLEncoding.EncodedLen(len(b)) || b[0] != cursorFormat {
		return k, ErrCursor
	}
	body, check := b[:1+cursorKeyLen], b[1+cursorKeyLen:]
	if string(check) != string(cursorCheck(question, body)) {
		return k, ErrCursor
	}
	copy(k.CardID[:], body[1:])
	k.Date = loyalty.Date(binary.BigEndian.Uint32(body[17:]))
	copy(k.ID[:], body[21:])
	return k, nil
}

func cursorCheck(question string, body []byte) []byte {
	h := sha256.New()
	h.Write([]byte(question))
	h.Write([]byte{0})
	h.Write(body)
	return h.Sum(nil)[:cursorCheckLen]
}
