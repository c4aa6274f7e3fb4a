package poison_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

var home = loyalty.MustCurrency("CAD")

// upload is where all the records say that they are from.
var upload = uuid.MustParse("6f6b7f4e-2d0c-4d52-9d5c-0d8d1f6a2f10")

// card is a cardholder's.
type card struct {
	id        uuid.UUID
	cardType  string
	partition int32
}

// spend makes the records, each a function of the seed and of its number: a bad one in each block
// of a hundred, the kinds in turn.
type spend struct {
	seed  uint64
	cards []card
	first time.Time // of record 0; each is a millisecond after the one before
}

const block = 100

func newSpend(seed uint64, cards int, partitions int32) *spend {
	s := &spend{seed: seed, first: time.Now().Add(-time.Hour).Truncate(time.Millisecond)}
	types := []string{"scis_shopping", "scis_premiummiles", "scis_platinummiles", "scis_freedom"}
	spread := sarama.NewMurmur2Partitioner(record.Topic)
	for i := range cards {
		c := card{id: lettered(uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "card %d of %d", i, seed))), cardType: types[i%len(types)]}
		var err error
		if c.partition, err = spread.Partition(&sarama.ProducerMessage{Key: sarama.StringEncoder(c.id.String())}, partitions); err != nil {
			panic(err) // the key is a text
		}
		s.cards = append(s.cards, c)
	}
	return s
}

// lettered is an id in which no digits are in a row that could pass for a card number where the
// record is not JSON.
func lettered(id uuid.UUID) uuid.UUID {
	id[4], id[8], id[12] = 0xab, 0xab, 0xab
	return id
}

// message is a record as a producer sends it.
type message struct {
	number    int
	key       string
	value     []byte
	marker    bool      // it says that it is a rule marker
	timestamp time.Time // its own
	pan       string    // in the clear somewhere in it, or ""

	// What ought to come of it: a reward for tx, or a dead letter of a kind with these bytes.
	tx     loyalty.Transaction
	card   card
	bad    *kind
	masked []byte // nil: the value as it is
}

// shownKey is the key as it may be shown.
func (m *message) shownKey() string {
	if m.pan != "" && m.key == m.pan {
		return masked(m.pan)
	}
	return m.key
}

func (s *spend) rand(i int) *rand.Rand { return rand.New(rand.NewPCG(s.seed, uint64(i))) }

// badIn is where the bad record of a block is and of what kind.
func (s *spend) badIn(b int) (at int, k *kind) {
	return b*block + s.rand(-b-1).IntN(block), &ways[b%len(ways)]
}

// record is the record with a number. One in fifty of the good ones has the id of an earlier one
// with another amount, which must not count.
func (s *spend) record(i int) message {
	m := message{number: i, timestamp: s.first.Add(time.Duration(i) * time.Millisecond)}
	at, k := s.badIn(i / block)
	r := s.rand(i)
	m.tx, m.card = s.transaction(i, r)
	if i == at {
		m.bad, m.pan = k, s.pan(i)
		k.make(s, r, &m)
		if m.key == "" {
			m.key = m.tx.CardID.String()
		}
		return m
	}
	if j := i - 1 - r.IntN(3*block); r.IntN(50) == 0 && j >= 0 {
		m.tx.ID, m.tx.Date = s.idOf(j)
		m.tx.CardID, m.tx.CardType, m.card = s.cardOf(j)
	}
	m.key = m.tx.CardID.String()
	pan := m.tx.CardPAN
	if r.IntN(20) == 0 { // a careless producer, whose records are good all the same
		m.pan = s.pan(i)
		pan = m.pan
		m.tx.CardPAN = masked(pan)
		if r.IntN(2) == 0 {
			m.tx.Merchant += " card " + masked(pan)
			m.value = text(&m.tx, "card_pan", strconv.Quote(pan), "merchant", strconv.Quote(strings.Replace(m.tx.Merchant, masked(pan), pan, 1)))
			return m
		}
	}
	m.value = text(&m.tx, "card_pan", strconv.Quote(pan))
	return m
}

func (s *spend) idOf(i int) (uuid.UUID, loyalty.Date) {
	tx, _ := s.transaction(i, s.rand(i))
	return tx.ID, tx.Date
}

func (s *spend) cardOf(i int) (uuid.UUID, string, card) {
	tx, c := s.transaction(i, s.rand(i))
	return tx.CardID, tx.CardType, c
}

var (
	merchants  = []string{"Uber Eats", "UBER TRIP", "Expedia Hotels", "SHELL C01234", "The Home Depot #7042", "LONGO'S # 18", "Straße Café", "\u212aelvin & Söhne \"Zürich\"", "TIM HORTONS <1>"}
	categories = []int{5411, 5814, 5541, 5542, 7011, 3500, 3999, 5311, 5399, 5815, 6051, 9399, 4111, 0, 742}
	currencies = []loyalty.Currency{home, home, home, home, home, loyalty.MustCurrency("USD"), loyalty.MustCurrency("EUR"), loyalty.MustCurrency("JPY")}
	firstDay   = loyalty.DateOf(2019, time.January, 2)
)

func (s *spend) transaction(i int, r *rand.Rand) (loyalty.Transaction, card) {
	c := s.cards[r.IntN(len(s.cards))]
	tx := loyalty.Transaction{
		ID: lettered(uuid.NewSHA1(c.id, fmt.Appendf(nil, "%d %d", s.seed, i))), CardID: c.id,
		Merchant: merchants[r.IntN(len(merchants))], MCC: loyalty.MCC(categories[r.IntN(len(categories))]),
		Currency: currencies[r.IntN(len(currencies))], Amount: 1 + r.Int64N(60_000),
		Reference: fmt.Sprintf("ref-%d", i), Date: firstDay + loyalty.Date(r.IntN(362)), CardPAN: fmt.Sprintf("************%04d", i%10_000), CardType: c.cardType,
	}
	if r.IntN(20) == 0 {
		tx.Amount = -tx.Amount // a refund
	}
	return tx, c
}

// pan is a card number of 16 digits that passes the Luhn check, another one for each record.
func (s *spend) pan(i int) string {
	digits := fmt.Sprintf("4%08d%06d", rand.New(rand.NewPCG(s.seed, 1<<40+uint64(i))).IntN(1e8), i)
	sum := 0
	for j := range digits {
		d := int(digits[j] - '0')
		if (len(digits)-j)%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return digits + strconv.Itoa((10-sum%10)%10)
}

// masked is a card number as it may be shown.
func masked(pan string) string { return strings.Repeat("*", len(pan)-4) + pan[len(pan)-4:] }

// spaced is a card number as it stands on the card.
func spaced(pan, mark string) string { return strings.Join(slices.Collect(chunks(pan, 4)), mark) }

func chunks(s string, n int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for ; s != ""; s = s[min(n, len(s)):] {
			if !yield(s[:min(n, len(s))]) {
				return
			}
		}
	}
}

// text is a transaction as a producer of somebody else writes it: other spaces, another order, a
// field more. Set are names and the JSON that they have instead; "" leaves the field out.
func text(tx *loyalty.Transaction, set ...string) []byte {
	amount := loyalty.FormatFixed(tx.Amount, tx.Currency.Digits(), tx.Currency.Digits())
	fields := []string{
		"card_id", strconv.Quote(tx.CardID.String()), "card_pan", strconv.Quote(tx.CardPAN), "id", strconv.Quote(tx.ID.String()),
		"merchant", `"` + strings.ReplaceAll(tx.Merchant, `"`, `\"`) + `"`, "mcc", strconv.Itoa(int(tx.MCC)), "currency", strconv.Quote(tx.Currency.String()),
		"amount", amount, "sgd_amount", "0", "transaction_id", strconv.Quote(tx.Reference), "transaction_date", strconv.Quote(tx.Date.String()),
		"card_type", strconv.Quote(tx.CardType), "terminal", `{"id": [7, null]}`,
	}
	b := []byte("{")
	for i := 0; i < len(fields); i += 2 {
		value := fields[i+1]
		if j := slices.Index(set, fields[i]); j >= 0 && j%2 == 0 {
			value = set[j+1]
		}
		if value == "" {
			continue
		}
		if len(b) > 1 {
			b = append(b, ", "...)
		}
		b = append(b, `"`+fields[i]+`": `+value...)
	}
	return append(b, '}')
}
