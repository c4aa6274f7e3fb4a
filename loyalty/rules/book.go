package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
)

// format is the version of the stored form.
const format = 1

const (
	maxPart    = 1 << 20   // no part is larger
	splitAbove = 512 << 10 // a bucket or a year that is larger is split
)

// Part is an immutable piece of a stored rule set. Hash is the SHA-256 of Data, which has at most
// 1 MiB and must not be changed.
type Part struct {
	Hash loyalty.Hash
	Data []byte
}

// A rule set is stored as a tree. The leaves are lists of campaigns, exclusions and card types by
// bucket, and quotes by year; the root names them by their hashes. A bucket is the items whose
// key (id or card_type, as text) has a SHA-256 that begins with the hexadecimal digits of the
// bucket's name: two of them, or more where a bucket would be larger than splitAbove.

// root is the root part's JSON, the keys of maps in order.
type root struct {
	Format     int                     `json:"format"`
	Home       loyalty.Currency        `json:"home"`
	Campaigns  map[string]loyalty.Hash `json:"campaigns"`
	Exclusions map[string]loyalty.Hash `json:"exclusions"`
	CardTypes  map[string]loyalty.Hash `json:"card_types"`
	Quotes     map[string]loyalty.Hash `json:"quotes"`
}

// namedPart is a part with its name in the root: a bucket's digits, or a year or month.
type namedPart struct {
	name string
	Part
}

// Book is a rule set under edit. It is not safe for concurrent use. What is put into it must not
// be changed afterwards.
type Book struct {
	home       loyalty.Currency
	campaigns  shelf[*loyalty.Campaign]
	exclusions shelf[*loyalty.Exclusion]
	cardTypes  shelf[*loyalty.CardType]
	tables     map[string]*tableState // by programme
	quotes     map[int]*yearState

	// What the last Compile made, for the next to use where nothing changed; nil: changed.
	excluded *[maxMCC + 1]*loyalty.Exclusion
	rates    *quoteTable
	ratesOld bool
}

type tableState struct {
	members map[uuid.UUID]*loyalty.Campaign
	built   *table // nil: changed
}

func (t *tableState) build(homeDigits int) {
	var base, promo []*loyalty.Campaign
	for _, c := range t.members {
		if c.Base {
			base = append(base, c)
		} else {
			promo = append(promo, c)
		}
	}
	t.built = newTable(base, promo, homeDigits)
}

type yearState struct {
	quotes loyalty.YearQuotes
	table  *quoteYear
	parts  []namedPart // nil: changed
}

// NewBook returns an empty rule set with a home currency.
func NewBook(home loyalty.Currency) *Book {
	return &Book{
		home:       home,
		campaigns:  shelf[*loyalty.Campaign]{what: "campaign", check: checkCampaign},
		exclusions: shelf[*loyalty.Exclusion]{what: "exclusion", check: checkExclusion},
		cardTypes:  shelf[*loyalty.CardType]{what: "card type", check: checkCardType},
		tables:     map[string]*tableState{},
		quotes:     map[int]*yearState{},
	}
}

// PutCampaign adds a campaign or replaces the one with its id.
func (b *Book) PutCampaign(c loyalty.Campaign) {
	old, had := b.campaigns.put(c.ID.String(), &c)
	if had {
		b.leaveTable(old)
	}
	t := b.tables[c.Programme]
	if t == nil {
		t = &tableState{members: map[uuid.UUID]*loyalty.Campaign{}}
		b.tables[c.Programme] = t
	}
	t.members[c.ID] = &c
	t.built = nil
}

// DeleteCampaign removes a campaign if it is there.
func (b *Book) DeleteCampaign(id uuid.UUID) {
	if old, had := b.campaigns.delete(id.String()); had {
		b.leaveTable(old)
	}
}

func (b *Book) leaveTable(c *loyalty.Campaign) {
	t := b.tables[c.Programme]
	delete(t.members, c.ID)
	t.built = nil
	if len(t.members) == 0 {
		delete(b.tables, c.Programme)
	}
}

// PutExclusion adds an exclusion or replaces the one with its id.
func (b *Book) PutExclusion(x loyalty.Exclusion) {
	b.exclusions.put(x.ID.String(), &x)
	b.excluded = nil
}

// DeleteExclusion removes an exclusion if it is there.
func (b *Book) DeleteExclusion(id uuid.UUID) {
	b.exclusions.delete(id.String())
	b.excluded = nil
}

// PutCardType adds a card type or replaces the one with its key.
func (b *Book) PutCardType(t loyalty.CardType) { b.cardTypes.put(t.CardType, &t) }

// DeleteCardType removes a card type if it is there.
func (b *Book) DeleteCardType(key string) { b.cardTypes.delete(key) }

// PutQuotes sets the quotes of a year; a year without days is no quotes.
func (b *Book) PutQuotes(y loyalty.YearQuotes) {
	b.ratesOld = true
	if len(y.Days) == 0 {
		delete(b.quotes, y.Year)
		return
	}
	b.quotes[y.Year] = &yearState{quotes: y}
}

// DeleteQuotes removes the quotes of a year.
func (b *Book) DeleteQuotes(year int) {
	b.ratesOld = true
	delete(b.quotes, year)
}

// Compile makes the rules of what the book holds, and all parts of its stored form: Store and
// Index in one.
func (b *Book) Compile() (*Rules, []Part, error) {
	parts, err := b.Store()
	if err != nil {
		return nil, nil, err
	}
	return b.Index(parts), parts, nil
}

// Store makes all parts of the stored form of what the book holds, the root last. Equal content
// gives equal parts, whatever the order of the edits. What has not changed since the last Store
// is used again. An error names what could not be read back.
func (b *Book) Store() ([]Part, error) {
	if b.home == 0 {
		return nil, errors.New("compiling the rules: there is no home currency")
	}
	data := fmt.Appendf(nil, `{"format":%d,"home":"%s"`, format, b.home)
	var parts []Part
	add := func(kind string, stored []namedPart, err error) error {
		if err != nil {
			return fmt.Errorf("compiling the rules: %w", err)
		}
		data = append(data, `,"`+kind+`":{`...)
		for i, p := range stored {
			if i > 0 {
				data = append(data, ',')
			}
			data = append(append(append(data, '"'), p.name...), `":"`...)
			data = hex.AppendEncode(data, p.Hash[:])
			data = append(data, '"')
			parts = append(parts, p.Part)
		}
		data = append(data, '}')
		return nil
	}
	campaigns, err := b.campaigns.store()
	if err := add("campaigns", campaigns, err); err != nil {
		return nil, err
	}
	exclusions, err := b.exclusions.store()
	if err := add("exclusions", exclusions, err); err != nil {
		return nil, err
	}
	cardTypes, err := b.cardTypes.store()
	if err := add("card_types", cardTypes, err); err != nil {
		return nil, err
	}
	quotes, err := b.storeQuotes()
	if err := add("quotes", quotes, err); err != nil {
		return nil, err
	}
	data = append(data, '}')
	if len(data) > maxPart {
		return nil, fmt.Errorf("compiling the rules: a root of %d bytes is more than a part may have", len(data))
	}
	return append(parts, Part{loyalty.HashOf(data), data}), nil
}

// Index makes the rules of what the book holds. parts are what Store made of it; nothing was
// edited since.
func (b *Book) Index(parts []Part) *Rules {
	hash := parts[len(parts)-1].Hash
	if b.excluded == nil {
		b.excluded = new([maxMCC + 1]*loyalty.Exclusion)
		for x := range b.exclusions.all() {
			if best := b.excluded[x.MCC]; best == nil || x.ValidFrom < best.ValidFrom ||
				x.ValidFrom == best.ValidFrom && slices.Compare(x.ID[:], best.ID[:]) < 0 {
				b.excluded[x.MCC] = x
			}
		}
	}
	if b.ratesOld {
		years := make(map[int]*quoteYear, len(b.quotes))
		for year, y := range b.quotes {
			years[year] = y.table
		}
		b.rates, b.ratesOld = newQuoteTable(years), false
	}
	for _, t := range b.tables {
		if t.built == nil {
			t.build(b.home.Digits())
		}
	}
	var cards []*card
	for t := range b.cardTypes.all() {
		c := &card{CardType: *t}
		if s := b.tables[t.CardType]; s != nil {
			c.campaigns = s.built
		}
		cards = append(cards, c)
	}
	return &Rules{hash: hash, home: b.home, cards: newCardTable(cards), exclusions: b.excluded, quotes: b.rates}
}

// storeQuotes returns the parts of the quotes in order, a year each, or a month each of a large
// year.
func (b *Book) storeQuotes() ([]namedPart, error) {
	var parts []namedPart
	for _, year := range slices.Sorted(maps.Keys(b.quotes)) {
		y := b.quotes[year]
		if y.parts == nil {
			table, err := newQuoteYear(y.quotes)
			if err != nil {
				return nil, err
			}
			stored, err := encodeYear(y.quotes)
			if err != nil {
				return nil, err
			}
			y.table, y.parts = table, stored
		}
		parts = append(parts, y.parts...)
	}
	return parts, nil
}

func encodeYear(y loyalty.YearQuotes) ([]namedPart, error) {
	data, err := y.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("quotes of %d: %w", y.Year, err)
	}
	if len(data) <= splitAbove {
		return []namedPart{{fmt.Sprintf("%04d", y.Year), Part{loyalty.HashOf(data), data}}}, nil
	}
	var parts []namedPart
	for from := 0; from < len(y.Days); {
		month, to := y.Days[from].Date.String()[:7], from+1
		for to < len(y.Days) && strings.HasPrefix(y.Days[to].Date.String(), month) {
			to++
		}
		data, err := loyalty.YearQuotes{Year: y.Year, Days: y.Days[from:to]}.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("quotes of %s: %w", month, err)
		}
		if len(data) > maxPart {
			return nil, fmt.Errorf("quotes of %s: %d bytes are more than a part may have", month, len(data))
		}
		parts = append(parts, namedPart{month, Part{loyalty.HashOf(data), data}})
		from = to
	}
	return parts, nil
}

// shelf holds the items of one kind by bucket.
type shelf[T json.Marshaler] struct {
	what    string
	check   func(T) error
	buckets [256]*bucket[T]
}

type bucket[T any] struct {
	items map[string]T
	parts []namedPart // nil: changed
}

func (s *shelf[T]) put(key string, item T) (old T, had bool) {
	sum := sha256.Sum256([]byte(key))
	b := s.buckets[sum[0]]
	if b == nil {
		b = &bucket[T]{items: map[string]T{}}
		s.buckets[sum[0]] = b
	}
	old, had = b.items[key]
	b.items[key] = item
	b.parts = nil
	return old, had
}

func (s *shelf[T]) delete(key string) (old T, had bool) {
	sum := sha256.Sum256([]byte(key))
	b := s.buckets[sum[0]]
	if b == nil {
		return old, false
	}
	if old, had = b.items[key]; had {
		delete(b.items, key)
		b.parts = nil
		if len(b.items) == 0 {
			s.buckets[sum[0]] = nil
		}
	}
	return old, had
}

// all are the items in no order.
func (s *shelf[T]) all() func(yield func(T) bool) {
	return func(yield func(T) bool) {
		for _, b := range s.buckets {
			if b == nil {
				continue
			}
			for _, item := range b.items {
				if !yield(item) {
					return
				}
			}
		}
	}
}

// store returns the parts of all buckets in the order of their names.
func (s *shelf[T]) store() ([]namedPart, error) {
	var parts []namedPart
	for i, b := range s.buckets {
		if b == nil {
			continue
		}
		if b.parts == nil {
			items := make([]encoded, 0, len(b.items))
			for _, key := range slices.Sorted(maps.Keys(b.items)) {
				item := b.items[key]
				if err := s.check(item); err != nil {
					return nil, fmt.Errorf("%s %s: %w", s.what, key, err)
				}
				data, err := item.MarshalJSON()
				if err != nil {
					return nil, fmt.Errorf("%s %s: %w", s.what, key, err)
				}
				if len(data)+2 > maxPart {
					return nil, fmt.Errorf("%s %s: %d bytes are more than a part may have", s.what, key, len(data))
				}
				sum := sha256.Sum256([]byte(key))
				items = append(items, encoded{hex.EncodeToString(sum[:]), data})
			}
			b.parts = split(hex.EncodeToString([]byte{byte(i)}), items)
		}
		parts = append(parts, b.parts...)
	}
	return parts, nil
}

// encoded is an item of a bucket with the SHA-256 of its key in hexadecimal digits.
type encoded struct {
	sum  string
	data []byte
}

// split makes the part of a bucket, or those of its sub-buckets where it is too large.
func split(name string, items []encoded) []namedPart {
	size := 2
	for _, item := range items {
		size += len(item.data) + 1
	}
	if size > splitAbove && len(items) > 1 {
		var parts []namedPart
		for _, digit := range "0123456789abcdef" {
			sub := name + string(digit)
			var inside []encoded
			for _, item := range items {
				if strings.HasPrefix(item.sum, sub) {
					inside = append(inside, item)
				}
			}
			if len(inside) > 0 {
				parts = append(parts, split(sub, inside)...)
			}
		}
		return parts
	}
	data := make([]byte, 0, size)
	data = append(data, '[')
	for i, item := range items {
		if i > 0 {
			data = append(data, ',')
		}
		data = append(data, item.data...)
	}
	data = append(data, ']')
	return []namedPart{{name, Part{loyalty.HashOf(data), data}}}
}

// Load reads a stored rule set: the opposite of Compile. part returns the data of a part by its
// hash; each is verified. The rules have the hash that was asked for.
func Load(hash loyalty.Hash, part func(loyalty.Hash) ([]byte, error)) (*Rules, error) {
	b, err := load(hash, part)
	if err != nil {
		return nil, fmt.Errorf("loading rule set %s: %w", hash, err)
	}
	r, _, err := b.Compile()
	if err != nil {
		return nil, fmt.Errorf("loading rule set %s: %w", hash, err)
	}
	if r.hash != hash {
		return nil, fmt.Errorf("loading rule set %s: its parts are not in canonical form; they make %s", hash, r.hash)
	}
	return r, nil
}

func load(hash loyalty.Hash, part func(loyalty.Hash) ([]byte, error)) (*Book, error) {
	var r root
	if err := loadPart(hash, part, &r); err != nil {
		return nil, fmt.Errorf("the root: %w", err)
	}
	if r.Format != format {
		return nil, fmt.Errorf("the root: format %d is not known; this program reads %d", r.Format, format)
	}
	b := NewBook(r.Home)
	if err := loadBuckets(r.Campaigns, part, b.PutCampaign); err != nil {
		return nil, fmt.Errorf("campaigns: %w", err)
	}
	if err := loadBuckets(r.Exclusions, part, b.PutExclusion); err != nil {
		return nil, fmt.Errorf("exclusions: %w", err)
	}
	if err := loadBuckets(r.CardTypes, part, b.PutCardType); err != nil {
		return nil, fmt.Errorf("card types: %w", err)
	}
	years := map[int]loyalty.YearQuotes{}
	for _, name := range slices.Sorted(maps.Keys(r.Quotes)) { // months of a year in order
		var y loyalty.YearQuotes
		if err := loadPart(r.Quotes[name], part, &y); err != nil {
			return nil, fmt.Errorf("quotes %s: %w", name, err)
		}
		if !strings.HasPrefix(name, strconv.Itoa(y.Year)) {
			return nil, fmt.Errorf("quotes %s: they are of %d", name, y.Year)
		}
		years[y.Year] = loyalty.YearQuotes{Year: y.Year, Days: append(years[y.Year].Days, y.Days...)}
	}
	for _, y := range years {
		b.PutQuotes(y)
	}
	return b, nil
}

func loadBuckets[T any](names map[string]loyalty.Hash, part func(loyalty.Hash) ([]byte, error), put func(T)) error {
	for _, name := range slices.Sorted(maps.Keys(names)) {
		var items []T
		if err := loadPart(names[name], part, &items); err != nil {
			return fmt.Errorf("bucket %s: %w", name, err)
		}
		for _, item := range items {
			put(item)
		}
	}
	return nil
}

func loadPart(hash loyalty.Hash, part func(loyalty.Hash) ([]byte, error), into any) error {
	data, err := part(hash)
	if err != nil {
		return fmt.Errorf("reading part %s: %w", hash, err)
	}
	if got := loyalty.HashOf(data); got != hash {
		return fmt.Errorf("part %s is damaged: its content has the hash %s", hash, got)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("decoding part %s: %w", hash, err)
	}
	return nil
}

// The checks refuse what could be stored but not be read back as it was. Items that were decoded
// pass them always.

func checkCampaign(c *loyalty.Campaign) error {
	switch {
	case c.ID == uuid.Nil:
		return errors.New("it has no id")
	case c.Rate < 0 || c.MinSpend < 0:
		return errors.New("its rate or its least spend is below 0")
	case c.Start < loyalty.MinDate || c.End > loyalty.MaxDate || c.End < c.Start:
		return fmt.Errorf("%s to %s is not a time that a campaign may run", c.Start, c.End)
	case c.MCC != nil && len(c.MCC) == 0:
		return errors.New("it is for no merchant category")
	}
	for _, r := range c.MCC {
		if r.From < 1 || r.To < r.From || r.To > maxMCC {
			return fmt.Errorf("%d-%d is not a range of merchant categories", r.From, r.To)
		}
	}
	if err := checkKey(c.Programme); err != nil {
		return err
	}
	return checkTexts(false, c.Name, c.Programme, c.Merchant)
}

func checkExclusion(x *loyalty.Exclusion) error {
	switch {
	case x.ID == uuid.Nil:
		return errors.New("it has no id")
	case x.MCC < 1 || x.MCC > maxMCC:
		return fmt.Errorf("%d is not a merchant category", x.MCC)
	case x.ValidFrom < loyalty.MinDate || x.ValidFrom > loyalty.MaxDate:
		return fmt.Errorf("%s is not a day from which an exclusion may be valid", x.ValidFrom)
	}
	return nil
}

func checkCardType(t *loyalty.CardType) error {
	if t.Decimals > 4 {
		return fmt.Errorf("%d decimals are more than 4", t.Decimals)
	}
	if err := checkKey(t.CardType); err != nil {
		return err
	}
	return checkTexts(true, t.CardType, t.Name, t.Unit, t.Programme)
}

func checkKey(s string) error {
	for _, c := range []byte(s) {
		if !(c == '_' || c == '-' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return fmt.Errorf("%q has more than letters, digits, _, - and dots", s)
		}
	}
	return nil
}

// checkTexts refuses what decoding refuses or trims. The last may be blank unless all are needed.
func checkTexts(all bool, texts ...string) error {
	for i, s := range texts {
		switch {
		case s == "" && (all || i < len(texts)-1):
			return errors.New("a text is missing")
		case !utf8.ValidString(s) || strings.TrimSpace(s) != s || strings.IndexByte(s, 0) >= 0 ||
			utf8.RuneCountInString(s) > loyalty.MaxFieldRunes:
			return fmt.Errorf("%q is not a text as it is stored", s)
		}
	}
	return nil
}
