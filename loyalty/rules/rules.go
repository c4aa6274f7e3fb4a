// Package rules decides what a card transaction earns. A rule set (campaigns, exclusions, card
// types and quotes) is edited in a Book and compiled into Rules: immutable, indexed, named by the
// hash of its content. Evaluating a transaction is a pure function of the two; it reads no clock,
// does no I/O and calculates in whole numbers only.
package rules

import (
	"errors"
	"fmt"

	"github.com/angelowl-loyalties/app/loyalty"
)

// Errors of Evaluate and Reward, beside loyalty.ErrOverflow. Each is about the transaction and
// the rules, not about the system: the record becomes a dead letter. Match them with errors.Is.
var (
	ErrUnknownCardType = errors.New("the card type is unknown")
	ErrNoQuote         = errors.New("there is no exchange rate")
	ErrHomeAmount      = errors.New("the amount converted by the bank has more decimals than the home currency")
)

// Reason is the code under which a dead letter is counted: unknown_card_type, no_quote, overflow
// or bad_home_amount. It is "" for an error that is not one of Evaluate's.
func Reason(err error) string {
	switch {
	case errors.Is(err, ErrUnknownCardType):
		return "unknown_card_type"
	case errors.Is(err, ErrNoQuote):
		return "no_quote"
	case errors.Is(err, loyalty.ErrOverflow):
		return "overflow"
	case errors.Is(err, ErrHomeAmount):
		return "bad_home_amount"
	}
	return ""
}

// MaxQuoteAge is how many days before the transaction a quote may be.
const MaxQuoteAge = 10

// maxMCC is the highest merchant category code.
const maxMCC = 9999

// Rules is a compiled rule set. It is immutable and safe for concurrent use.
type Rules struct {
	hash  loyalty.Hash
	home  loyalty.Currency
	cards cardTable
	// exclusions holds for each MCC the one that is valid first, which is the one that counts.
	exclusions *[maxMCC + 1]*loyalty.Exclusion
	quotes     *quoteTable
}

// card is a card type with the campaigns of its programme.
type card struct {
	loyalty.CardType
	campaigns *table
}

// cardTable finds a card by its card type: a hash table with open addresses. Hashing and comparing
// three words that cover a key of 8 to 24 bytes takes a third of the time of a map.
type cardTable struct {
	slots []cardSlot // a power of two of them, half of them empty or more
}

type cardSlot struct {
	key  cardKey
	card *card // nil: empty
}

// cardKey is the length of a card type, and its first, middle and last eight bytes.
type cardKey struct {
	length              int
	first, middle, last uint64
}

func newCardKey(s string) cardKey {
	n := len(s)
	if n < 8 {
		k := cardKey{length: n}
		for i := range n {
			k.first |= uint64(s[i]) << (8 * i)
		}
		return k
	}
	return cardKey{n, word(s), word(s[n/2-4:]), word(s[n-8:])}
}

func (k *cardKey) hash() uint64 {
	const hashFactor = 0x9E3779B97F4A7C15 // 2⁶⁴ ÷ the golden ratio (Knuth, TAOCP 3, 6.4)
	h := (k.first ^ uint64(k.length)) * hashFactor
	h = (h ^ h>>32 ^ k.middle) * hashFactor
	h = (h ^ h>>32 ^ k.last) * hashFactor
	return h >> 32
}

func newCardTable(cards []*card) cardTable {
	size := 1
	for size < 2*len(cards)+1 {
		size *= 2
	}
	t := cardTable{make([]cardSlot, size)}
	for _, c := range cards {
		k := newCardKey(c.CardType.CardType)
		i := k.hash() & uint64(size-1)
		for t.slots[i].card != nil {
			i = (i + 1) & uint64(size-1)
		}
		t.slots[i] = cardSlot{k, c}
	}
	return t
}

func (t *cardTable) get(s string) *card {
	k := newCardKey(s)
	for i := k.hash(); ; i++ {
		slot := &t.slots[i&uint64(len(t.slots)-1)]
		if slot.card == nil || slot.key == k && (k.length <= 24 || slot.card.CardType.CardType == s) {
			return slot.card
		}
	}
}

// Hash is the name of the rule set: the hash of its root part.
func (r *Rules) Hash() loyalty.Hash { return r.hash }

// Home is the home currency.
func (r *Rules) Home() loyalty.Currency { return r.home }

// Result is what the rules say of a transaction. Its pointers lead into the Rules; what they
// point to must not be changed.
type Result struct {
	Outcome   loyalty.Outcome
	CardType  *loyalty.CardType
	Exclusion *loyalty.Exclusion // nil where excluded for want of an MCC

	Converted loyalty.Money // in the home currency; not set where excluded
	Source    loyalty.ConversionSource
	Rate      Rate // set when Source is loyalty.QuoteRate

	Base, Promo           *loyalty.Campaign // the best of each kind, or nil
	BaseUnits, PromoUnits loyalty.Units
	Units                 loyalty.Units // their sum
}

// Rate is an exchange rate: the exact quotient To ÷ From of two quotes of one day.
type Rate struct {
	Date     loyalty.Date
	Base     loyalty.Currency // of the quotes
	From, To loyalty.Decimal  // of the spend's currency and of the home currency
}

// Evaluate applies the rules to a transaction. It allocates nothing unless it returns an error.
func (r *Rules) Evaluate(tx *loyalty.Transaction) (res Result, err error) {
	// 1. The card type must be known.
	c := r.cards.get(tx.CardType)
	if c == nil {
		return Result{}, fmt.Errorf("%w: %q", ErrUnknownCardType, tx.CardType)
	}
	res.CardType = &c.CardType
	res.Units.Digits = c.Decimals
	// 2. Excluded: no rate is needed.
	if tx.MCC == 0 {
		res.Outcome = loyalty.Excluded
		return res, nil
	}
	if tx.MCC <= maxMCC {
		if x := r.exclusions[tx.MCC]; x != nil && x.ValidFrom <= tx.Date {
			res.Outcome = loyalty.Excluded
			res.Exclusion = x
			return res, nil
		}
	}
	// 3. Convert to the home currency.
	if err := r.convert(&res, tx); err != nil {
		return Result{}, err
	}
	// 4. The best base and the best promo campaign.
	q := r.query(&res, tx)
	res.Base, res.Promo = c.campaigns.find(&q, tx.Merchant)
	if res.Base == nil && res.Promo == nil {
		res.Outcome = loyalty.NoCampaign
		return res, nil
	}
	// 5. The units of each, rounded on their own, and their sum.
	res.Outcome = loyalty.Rewarded
	if res.BaseUnits, err = earn(res.Base, res.Converted, c.Decimals); err != nil {
		return Result{}, err
	}
	if res.PromoUnits, err = earn(res.Promo, res.Converted, c.Decimals); err != nil {
		return Result{}, err
	}
	if res.Units, err = res.BaseUnits.Add(res.PromoUnits); err != nil {
		return Result{}, fmt.Errorf("adding the units: %w", err)
	}
	return res, nil
}

// convert sets the amount in the home currency and how it came about.
func (r *Rules) convert(res *Result, tx *loyalty.Transaction) error {
	if tx.Currency == r.home {
		res.Converted = tx.Money()
		res.Source = loyalty.HomeSpend
		return nil
	}
	if !tx.HomeAmount.IsZero() {
		v, exact, fits := tx.HomeAmount.Scaled(r.home.Digits())
		switch {
		case !fits:
			return fmt.Errorf("reading the amount converted by the bank: %w", loyalty.ErrOverflow)
		case !exact:
			return fmt.Errorf("%w: %s has %d", ErrHomeAmount, r.home, r.home.Digits())
		}
		res.Converted = loyalty.Money{Minor: v, Currency: r.home}
		res.Source = loyalty.GivenHome
		return nil
	}
	rate, ok := r.quotes.rate(tx.Date, tx.Currency, r.home)
	if !ok {
		return fmt.Errorf("%w from %s to %s of %s or the %d days before", ErrNoQuote, tx.Currency, r.home, tx.Date, MaxQuoteAge)
	}
	m, err := tx.Money().Convert(rate.From, rate.To, r.home)
	if err != nil {
		return fmt.Errorf("converting %s to %s: %w", tx.Currency, r.home, err)
	}
	res.Converted, res.Rate = m, rate
	res.Source = loyalty.QuoteRate
	return nil
}

// query is what a campaign is matched by, beside the merchant.
type query struct {
	day     int32
	mcc     uint16
	foreign bool
	amount  uint64 // |converted amount| in minor units
}

func (r *Rules) query(res *Result, tx *loyalty.Transaction) query {
	q := query{day: int32(tx.Date), mcc: uint16(tx.MCC), foreign: tx.Currency != r.home}
	if q.amount = uint64(res.Converted.Minor); res.Converted.Minor < 0 {
		q.amount = -q.amount
	}
	return q
}

func earn(c *loyalty.Campaign, m loyalty.Money, digits uint8) (loyalty.Units, error) {
	if c == nil {
		return loyalty.Units{Digits: digits}, nil
	}
	u, err := loyalty.Earn(c.Rate, m, digits)
	if err != nil {
		return u, fmt.Errorf("calculating the units of campaign %s: %w", c.ID, err)
	}
	return u, nil
}
