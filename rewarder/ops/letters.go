package ops

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/rewarder"
)

// Letter is a dead letter.
type Letter struct {
	ID     string    `json:"id"` // incarnation.partition.offset of the record
	At     time.Time `json:"at"` // when it was set aside first
	Reason string    `json:"reason"`
	Detail string    `json:"detail"`
	Source string    `json:"source,omitempty"`
	Line   int64     `json:"line,omitempty"` // of the upload; 0: unknown
	Resent []Resent  `json:"resent"`         // each time that it was sent again

	position loyalty.Position
	kept     place // where it is in the dead letters' topic
}

// place is where a record is.
type place struct {
	partition int32
	offset    int64
}

// Resent is a mark: that a dead letter was sent again.
type Resent struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	To     string    `json:"to"`     // partition/offset of the new record
	Mended []string  `json:"mended"` // the fields that were set
}

// Filter says which dead letters are meant. The zero value means all.
type Filter struct {
	Reason string
	Resent *bool  // only those that were sent again, or that were not
	Before string // only those older than the dead letter with this id, or than a page by its Next
	Limit  int    // the newest so many; 0: all
}

// Page is dead letters, the newest first.
type Page struct {
	Letters     []Letter
	Total       int    // that the filter lets through, Before and Limit aside
	Older       int    // of them, older than these
	Next        string // for Before; "": there are no older ones
	NotLookedAt int64  // records of the dead letters' topic that are too old to be looked at
}

// ErrNoLetter says that there is no dead letter with an id.
var ErrNoLetter = errors.New("there is no such dead letter")

// ErrID says that a text is no id of a dead letter.
var ErrID = errors.New("it is not the id of a dead letter, incarnation.partition.offset")

func parseID(id string) (loyalty.Position, error) {
	at, err := record.ParseLetterID(id)
	if err != nil {
		return at, fmt.Errorf("%s: %w", strconv.Quote(loyalty.StarPANs(id)), ErrID)
	}
	return at, nil
}

// order is that in which dead letters were set aside. Several rewarders set aside at once, and the
// topic may have several partitions.
type order struct {
	at       time.Time
	position loyalty.Position
}

func (l Letter) order() order { return order{l.At, l.position} }

func (a order) compare(b order) int {
	p, q := a.position, b.position
	return cmp.Or(a.at.Compare(b.at), cmp.Compare(p.Incarnation, q.Incarnation), cmp.Compare(p.Partition, q.Partition), cmp.Compare(p.Offset, q.Offset))
}

// cursor is an order as a text. It holds good when its letter is gone.
func (a order) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(a.at.UnixMilli(), 10) + "," + record.LetterID(a.position)))
}

func parseCursor(s string) (o order, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return o, false
	}
	at, id, _ := strings.Cut(string(b), ",")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return o, false
	}
	if o.position, err = record.ParseLetterID(id); err != nil {
		return o, false
	}
	o.at = time.UnixMilli(ms).UTC()
	return o, true
}

// Letters returns a page of dead letters.
func (d *Desk) Letters(ctx context.Context, f Filter) (Page, error) {
	var before order
	byID := false
	if f.Before != "" {
		var ok bool
		if before, ok = parseCursor(f.Before); !ok {
			at, err := parseID(f.Before)
			if err != nil {
				return Page{}, err
			}
			before.position, byID = at, true
		}
	}
	if err := d.take(ctx); err != nil {
		return Page{}, err
	}
	defer d.give()
	if err := d.refresh(ctx); err != nil {
		return Page{}, err
	}
	if byID {
		l, ok := d.index.letters[before.position]
		if !ok {
			return Page{}, fmt.Errorf("%s: %w", f.Before, ErrNoLetter)
		}
		before.at = l.At
	}
	p := Page{NotLookedAt: d.index.notLookedAt, Letters: []Letter{}}
	for _, l := range d.index.letters {
		l.Resent = d.index.marks[l.position]
		if f.Reason != "" && l.Reason != f.Reason || f.Resent != nil && *f.Resent != (len(l.Resent) > 0) {
			continue
		}
		p.Total++
		if f.Before == "" || l.order().compare(before) < 0 {
			p.Letters = append(p.Letters, l)
		}
	}
	slices.SortFunc(p.Letters, func(a, b Letter) int { return b.order().compare(a.order()) })
	if f.Limit > 0 && len(p.Letters) > f.Limit {
		p.Older = len(p.Letters) - f.Limit
		p.Letters = p.Letters[:f.Limit]
		p.Next = p.Letters[f.Limit-1].order().cursor()
	}
	for i := range p.Letters {
		p.Letters[i].Resent = append([]Resent{}, p.Letters[i].Resent...)
	}
	return p, nil
}

// Letter returns one dead letter with all that is known of it.
func (d *Desk) Letter(ctx context.Context, id string) (Whole, error) {
	at, err := parseID(id)
	if err != nil {
		return Whole{}, err
	}
	if err := d.take(ctx); err != nil {
		return Whole{}, err
	}
	defer d.give()
	if err := d.refresh(ctx); err != nil {
		return Whole{}, err
	}
	return d.whole(ctx, at)
}

// whole reads a dead letter that the index has.
func (d *Desk) whole(ctx context.Context, at loyalty.Position) (Whole, error) {
	l, ok := d.index.letters[at]
	if !ok {
		return Whole{}, fmt.Errorf("%s: %w", record.LetterID(at), ErrNoLetter)
	}
	l.Resent = append([]Resent{}, d.index.marks[at]...)
	client, err := d.kafka()
	if err != nil {
		return Whole{}, err
	}
	var found *sarama.ConsumerMessage
	err = read(ctx, client, d.deadLetterTopic(), l.kept.partition, l.kept.offset, l.kept.offset+1, func(m *sarama.ConsumerMessage) error {
		found = m
		return nil
	})
	switch {
	case errors.Is(err, sarama.ErrOffsetOutOfRange) || err == nil && found == nil: // retention took it just now
		return Whole{}, fmt.Errorf("%s: %w", l.ID, ErrNoLetter)
	case err != nil:
		return Whole{}, fmt.Errorf("%w: reading a dead letter: %w", ErrAway, err)
	}
	return wholeOf(l, found), nil
}

// NamedHeader is a header of a record.
type NamedHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Whole is a dead letter with its headers and its value. No full card number is in what it shows.
type Whole struct {
	Letter
	Key     string          `json:"key"`
	Headers []NamedHeader   `json:"headers"`                    // the record's, and those that say why it is a dead letter
	Value   json.RawMessage `json:"value" swaggertype:"object"` // the value where it is JSON, else a text of it
	IsText  bool            `json:"-"`

	message *sarama.ConsumerMessage
}

func wholeOf(l Letter, m *sarama.ConsumerMessage) Whole {
	w := Whole{Letter: l, Key: rewarder.Star(string(m.Key)), Headers: []NamedHeader{}, Value: rewarder.StarValue(m.Value), message: m}
	for _, h := range m.Headers {
		if h != nil {
			w.Headers = append(w.Headers, NamedHeader{rewarder.Star(string(h.Key)), rewarder.Star(string(h.Value))})
		}
	}
	if !json.Valid(w.Value) || !utf8.Valid(w.Value) {
		w.IsText = true
		w.Value, _ = json.Marshal(string(w.Value)) // of a text there is always JSON
	}
	return w
}

// index is what is known of the dead letters' topic: enough to list and to count, not the records.
type index struct {
	next        map[int32]int64 // by partition, where to read on
	letters     map[loyalty.Position]Letter
	marks       map[loyalty.Position][]Resent
	notLookedAt int64
	strange     int64 // records that are neither letters nor marks
}

func newIndex() index {
	return index{next: map[int32]int64{}, letters: map[loyalty.Position]Letter{}, marks: map[loyalty.Position][]Resent{}}
}

// refresh reads what is new in the dead letters' topic, and forgets what is gone or too old. What it
// has read it keeps when it fails.
func (d *Desk) refresh(ctx context.Context) error {
	client, err := d.kafka()
	if err != nil {
		return err
	}
	topic := d.deadLetterTopic()
	partitions, err := client.Partitions(topic)
	if err != nil {
		return fmt.Errorf("%w: reading the dead letters: %w", ErrAway, err)
	}
	notLookedAt := int64(0)
	first := map[int32]int64{}
	for _, p := range partitions {
		start, end, err := bounds(client, topic, p)
		if err != nil {
			return fmt.Errorf("%w: reading the dead letters: %w", ErrAway, err)
		}
		if d.index.next[p] > end { // another topic of that name
			d.index = newIndex()
		}
		first[p] = start
		if d.cfg.MaxRecords > 0 {
			first[p] = max(start, end-max(d.cfg.MaxRecords/int64(len(partitions)), 1))
		}
		notLookedAt += first[p] - start
		err = read(ctx, client, topic, p, max(d.index.next[p], first[p]), end, func(m *sarama.ConsumerMessage) error {
			d.index.add(m)
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: reading the dead letters: %w", ErrAway, err)
		}
	}
	d.index.forget(first)
	d.index.notLookedAt = notLookedAt
	return nil
}

func (x *index) add(m *sarama.ConsumerMessage) {
	x.next[m.Partition] = m.Offset + 1
	r, mark, err := parse(m)
	switch {
	case err != nil:
		x.strange++
	case mark:
		marks := append(x.marks[r.At], markOf(m))
		slices.SortStableFunc(marks, func(a, b Resent) int { return a.At.Compare(b.At) })
		x.marks[r.At] = marks
	default:
		if _, again := x.letters[r.At]; !again {
			x.letters[r.At] = letterOf(r)
		}
	}
}

// forget forgets what is before an offset of each partition, and marks of letters that are unknown.
func (x *index) forget(first map[int32]int64) {
	gone := false
	for at, l := range x.letters {
		if l.kept.offset < first[l.kept.partition] {
			delete(x.letters, at)
			gone = true
		}
	}
	if !gone {
		return
	}
	for at := range x.marks {
		if _, ok := x.letters[at]; !ok {
			delete(x.marks, at)
		}
	}
}

func letterOf(r Record) Letter {
	m := r.Message
	line, err := strconv.ParseInt(Header(m, record.HeaderLine), 10, 64)
	if err != nil {
		line = 0
	}
	show := func(name string) string { return strings.ToValidUTF8(rewarder.Star(Header(m, name)), "\uFFFD") }
	return Letter{
		ID: record.LetterID(r.At), At: m.Timestamp.UTC(), Reason: show(record.HeaderReason), Detail: show(record.HeaderDetail),
		Source: show(record.HeaderSource), Line: line, Resent: []Resent{},
		position: r.At, kept: place{m.Partition, m.Offset},
	}
}

func markOf(m *sarama.ConsumerMessage) Resent {
	r := Resent{By: rewarder.Star(Header(m, record.HeaderResentBy)), To: Header(m, record.HeaderResentTo), Mended: []string{}}
	if mended := Header(m, record.HeaderMended); mended != "" {
		r.Mended = strings.Split(mended, ",")
	}
	var err error
	if r.At, err = time.Parse(time.RFC3339, Header(m, record.HeaderResentAt)); err != nil {
		r.At = m.Timestamp.UTC()
	}
	return r
}
