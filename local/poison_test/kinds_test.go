package poison_test

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/angelowl-loyalties/app/loyalty"
)

// kind is a way in which a record is bad.
type kind struct {
	name   string
	reason string // the dead letter's
	detail string // the dead letter's has it
	mends  bool   // new rules, or sending it again, make it good
	// make makes a record bad: its value, what of it may be in the dead letter, and its key where
	// it is not the card's. Its tx becomes what the record means once it is mended.
	make func(s *spend, r *rand.Rand, m *message)
}

// What the admin has not told the system yet.
const newCardType = "scis_debit"

var (
	unquoted    = loyalty.MustCurrency("AED")
	unquotedDay = loyalty.DateOf(2019, time.June, 3)
)

// maxLetter is the most bytes of a record that its dead letter keeps.
const maxLetter = 512 << 10

// largest is nearly the largest record that the log takes.
const largest = 900_000

var ways = []kind{
	{name: "a line of CSV, under the card number", reason: "not_json", detail: "not valid JSON",
		make: func(_ *spend, _ *rand.Rand, m *message) {
			m.key = m.pan
			line := func(pan string) []byte {
				return []byte(m.tx.ID.String() + ",\"" + m.tx.Merchant + "\"," + pan + ";" + m.tx.CardType + "\n")
			}
			m.value, m.masked = line(spaced(m.pan, "-")), line(spaced(masked(m.pan), "-"))
		}},
	{name: "JSON cut short", reason: "not_json", detail: "not valid JSON",
		make: func(_ *spend, r *rand.Rand, m *message) {
			m.write("card_pan")
			n := bytes.Index(m.value, []byte(m.pan)) + len(m.pan)
			n += r.IntN(len(m.value) - n)
			for !utf8.RuneStart(m.value[n]) {
				n-- // what is left is UTF-8
			}
			m.value, m.masked = m.value[:n], m.masked[:n]
		}},
	{name: "an amount that is a text", reason: "wrong_type", detail: "amount",
		make: func(_ *spend, _ *rand.Rand, m *message) { m.write("card_pan", "amount", `"12.50"`) }},
	{name: "nothing", reason: "not_json", detail: "not valid JSON",
		make: func(_ *spend, _ *rand.Rand, m *message) { m.pan = "" }},
	{name: "no id", reason: "missing", detail: "id",
		make: func(_ *spend, _ *rand.Rand, m *message) { m.write("card_pan", "id", "", "transaction_id", "") }},
	{name: "a currency that is none", reason: "unknown_currency", detail: "XXX",
		make: func(_ *spend, _ *rand.Rand, m *message) { m.write("card_pan", "currency", `"XXX"`) }},
	{name: "a date of another century", reason: "date_out_of_range", detail: "1919-06-03",
		make: func(_ *spend, _ *rand.Rand, m *message) {
			m.write("merchant", "transaction_date", `"1919-06-03"`)
		}},
	{name: "a card type that nobody has", reason: "unknown_card_type", detail: newCardType, mends: true,
		make: func(_ *spend, _ *rand.Rand, m *message) {
			m.tx.CardType = newCardType
			m.write("card_pan")
		}},
	{name: "a currency without a rate", reason: "no_quote", detail: "AED", mends: true,
		make: func(_ *spend, r *rand.Rand, m *message) {
			m.tx.Currency, m.tx.Date = unquoted, unquotedDay+loyalty.Date(r.IntN(11))
			m.tx.MCC = 5411 // not an excluded one, for which no rate is needed
			m.write("card_pan")
		}},
	{name: "more money than there is", reason: "overflow", detail: "too large",
		make: func(_ *spend, _ *rand.Rand, m *message) {
			m.tx.Currency, m.tx.Amount, m.tx.MCC = loyalty.MustCurrency("GBP"), 9_223_372_036_854_775_807, 5411
			m.write("merchant")
		}},
	{name: "Latin 1", reason: "not_utf8", detail: "UTF-8",
		make: func(_ *spend, _ *rand.Rand, m *message) {
			m.tx.Merchant = "CAF\xc9"
			m.write("card_pan")
		}},
	{name: "under another card's key", reason: "wrong_partition", detail: "belongs into partition", mends: true,
		make: func(s *spend, r *rand.Rand, m *message) {
			other := m.card
			for other.partition == m.card.partition {
				other = s.cards[r.IntN(len(s.cards))]
			}
			m.key = other.id.String()
			m.write("card_pan")
		}},
	{name: "a rule marker that is none", reason: "bad_marker", detail: "rule marker",
		make: func(_ *spend, _ *rand.Rand, m *message) {
			m.marker = true
			m.write("card_pan")
		}},
	{name: "a card number for an amount", reason: "looks_like_a_pan", detail: "amount",
		make: func(_ *spend, _ *rand.Rand, m *message) {
			m.value, m.masked = text(&m.tx, "amount", m.pan), text(&m.tx, "amount", strconv.Quote(masked(m.pan)))
		}},
	{name: "a text that is too long", reason: "too_long", detail: "merchant",
		make: func(_ *spend, _ *rand.Rand, m *message) {
			m.tx.Merchant = strings.Repeat("LONG ", 60)
			m.write("merchant")
		}},
	{name: "a record that is nearly too large", reason: "too_long", detail: "is cut",
		make: func(_ *spend, _ *rand.Rand, m *message) {
			// One card number stands where the dead letter ends, another one behind that.
			filler := func(n int) string { return strings.Repeat("X", n) }
			large := func(pan string) []byte {
				return []byte(`{"merchant": "` + filler(maxLetter-24) + " " + pan + " " + filler(largest-maxLetter-100) + " " + pan + `"}`)
			}
			m.value, m.masked = large(m.pan), large(masked(m.pan))[:maxLetter]
		}},
}

// write makes the value, with the card number as it stands on the card in one field, and what may
// be shown of it.
func (m *message) write(in string, set ...string) {
	if in == "card_pan" && m.number%2 == 1 { // masked by its name, whether or not it passes the Luhn check
		m.pan = m.pan[:15] + string('0'+(m.pan[15]-'0'+1)%10)
	}
	as := func(shown, marked string) []byte {
		pan := m.tx.CardPAN
		merchant := strings.ReplaceAll(m.tx.Merchant, `"`, `\"`)
		if in == "merchant" {
			merchant += " card " + marked
		} else {
			pan = shown
		}
		return text(&m.tx, append([]string{"card_pan", strconv.Quote(pan), "merchant", `"` + merchant + `"`}, set...)...)
	}
	m.value = as(m.pan, spaced(m.pan, " "))
	m.masked = as(masked(m.pan), spaced(masked(m.pan), " "))
	if in == "card_pan" {
		m.tx.CardPAN = masked(m.pan)
	}
}
