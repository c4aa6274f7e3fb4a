package profiler

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
)

// dataKeySize is the bytes of a DataKey.
const dataKeySize = 32

// DataKey is the key that protects what is in the database from whoever has only the database. It is a
// setting; nothing is ever encrypted or authenticated with it directly, only with subkeys. It cannot
// be changed later: cards would no longer be found by their numbers, nor second factors be read.
type DataKey struct{ key, cards []byte }

// ParseDataKey reads 32 bytes in base64. Its error does not show them.
func ParseDataKey(text string) (DataKey, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != dataKeySize {
		return DataKey{}, errors.New("must be 32 random bytes in base64, as openssl rand -base64 32 makes them")
	}
	k := DataKey{key: key}
	k.cards = k.Subkey("card hmac")
	return k, nil
}

// IsZero says that it is no key.
func (k DataKey) IsZero() bool { return len(k.key) == 0 }

// Subkey derives the 32 bytes for one purpose (HKDF-SHA256, RFC 5869).
func (k DataKey) Subkey(label string) []byte {
	sub, err := hkdf.Key(sha256.New, k.key, nil, label, dataKeySize)
	if err != nil {
		panic(fmt.Sprint("profiler: deriving a key: ", err)) // only a length beyond 255 hashes is an error
	}
	return sub
}

// CardHMAC is what a card is found by when its whole number is known: the HMAC-SHA256 of its digits,
// in hex. Marks between the digits do not matter.
func (k DataKey) CardHMAC(pan string) string {
	h := hmac.New(sha256.New, k.cards)
	h.Write([]byte(digitsOf(pan)))
	return hex.EncodeToString(h.Sum(nil))
}

// String hides the key, and so do the next ones.
func (k DataKey) String() string { return "(secret)" }

// GoString is fmt's.
func (k DataKey) GoString() string { return "(secret)" }

// LogValue is log/slog's.
func (k DataKey) LogValue() slog.Value { return slog.StringValue("(secret)") }

// MarshalText is encoding's.
func (k DataKey) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }
