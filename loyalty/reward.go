package loyalty

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Hash names content: SHA-256 over its canonical form.
type Hash [sha256.Size]byte

// HashOf is the hash of bytes.
func HashOf(b []byte) Hash { return sha256.Sum256(b) }

// ParseHash reads 64 hexadecimal digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) {
		return h, fmt.Errorf("a hash has %d hexadecimal digits, not %d", 2*len(h), len(s))
	}
	_, err := hex.Decode(h[:], []byte(s))
	return h, err
}

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes 64 hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(b []byte) (err error) {
	*h, err = ParseHash(string(b))
	return err
}

// Outcome is what the rules said of a transaction.
type Outcome string

// The outcomes of a transaction that is not a dead letter.
const (
	Rewarded   Outcome = "rewarded"
	NoCampaign Outcome = "no_campaign"
	Excluded   Outcome = "excluded"
)

// Reward is what a transaction earned and why.
type Reward struct {
	Transaction
	Units     Units     // wire name reward_amount
	Remarks   string    // plain words: which campaigns applied, or why none
	CreatedAt time.Time // the record's time stamp, to the millisecond; zero is not written
	Trace     Trace
}

// Trace is the whole calculation: with the rule set it can be done again by hand.
type Trace struct {
	RuleSet   Hash              `json:"rule_set"`
	Outcome   Outcome           `json:"outcome"`
	Programme string            `json:"programme"` // the programme's name
	Unit      string            `json:"unit"`      // points, miles, cashback
	Decimals  uint8             `json:"decimals"`
	Base      *AppliedCampaign  `json:"base,omitempty"`
	Promo     *AppliedCampaign  `json:"promo,omitempty"`
	Converted *Conversion       `json:"converted,omitempty"` // absent where excluded
	Exclusion *AppliedExclusion `json:"exclusion,omitempty"`
}

// AppliedCampaign is a campaign that gave units.
type AppliedCampaign struct {
	ID    uuid.UUID `json:"id"`
	Name  string    `json:"name"`
	Rate  Decimal   `json:"rate"`
	Units Number    `json:"units"`
}

// ConversionSource says where the amount in the home currency is from.
type ConversionSource string

// The sources of a converted amount.
const (
	HomeSpend ConversionSource = "home"  // the spend is in the home currency
	GivenHome ConversionSource = "given" // the bank sent it
	QuoteRate ConversionSource = "quote" // amount × to_quote ÷ from_quote
)

// Conversion is the amount in the home currency and how it came about.
type Conversion struct {
	Amount    Number           `json:"amount"`
	Currency  Currency         `json:"currency"`
	Source    ConversionSource `json:"source"`
	RateDate  *Date            `json:"rate_date,omitempty"`
	Base      string           `json:"quote_base,omitempty"`
	FromQuote *Decimal         `json:"from_quote,omitempty"` // of the spend's currency
	ToQuote   *Decimal         `json:"to_quote,omitempty"`   // of the home currency
}

// AppliedExclusion says why a transaction was excluded.
type AppliedExclusion struct {
	Reason    ExclusionReason `json:"reason"`
	ID        *uuid.UUID      `json:"id,omitempty"`
	ValidFrom *Date           `json:"valid_from,omitempty"`
}

// ExclusionReason is why a transaction was excluded.
type ExclusionReason string

// The reasons of an exclusion.
const (
	UnknownMCC  ExclusionReason = "mcc_unknown"
	ExcludedMCC ExclusionReason = "mcc_excluded"
)

// MarshalJSON writes the wire form; a zero CreatedAt is left out.
func (r Reward) MarshalJSON() ([]byte, error) { return r.AppendJSON(make([]byte, 0, 1536)) }

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Reward) UnmarshalJSON(b []byte) error {
	t, err := DecodeTransaction(b, 0)
	if err != nil {
		return err
	}
	var w struct {
		Units     Number    `json:"reward_amount"`
		Remarks   string    `json:"remarks"`
		CreatedAt time.Time `json:"created_at"`
		Trace     Trace     `json:"trace"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("reading a reward: %w", err)
	}
	v, exact, fits := w.Units.Scaled(int(w.Trace.Decimals))
	if !exact || !fits {
		return fmt.Errorf("reading a reward: %s units do not have %d decimals", w.Units, w.Trace.Decimals)
	}
	*r = Reward{t, Units{v, w.Trace.Decimals}, w.Remarks, w.CreatedAt, w.Trace}
	return nil
}

// UnmarshalJSON reads a JSON number without an exponent.
func (n *Number) UnmarshalJSON(b []byte) (err error) {
	*n, err = ParseNumber(string(b))
	return err
}

// Number returns the units as a decimal.
func (u Units) Number() Number {
	n := Number{u.Value, u.Digits}
	for n.scale > 0 && n.coef%10 == 0 {
		n.coef /= 10
		n.scale--
	}
	return n
}

// Position is where a record stands in the log. Incarnation is the number of the topic's life in
// the reward store, from 1 on.
type Position struct {
	Incarnation int64
	Partition   int32
	Offset      int64
}

// WriteTime is the write timestamp of the row that a record makes: the earlier record has the
// higher one and so wins in a store where the last write wins, and every record of a partition
// has its own. It is negative, so a plain delete is later than all.
func (p Position) WriteTime() int64 { return -(p.Incarnation<<48 + p.Offset + 1) }

// Row is a reward as it is stored, with the record that it came from.
type Row struct {
	Reward
	Position Position
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
