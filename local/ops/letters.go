package ops

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

// Letter is a dead letter.
type Letter struct {
	ID     string    `json:"id"` // incarnation/partition/offset of the record
	At     time.Time `json:"at"` // when it was set aside first
	Reason string    `json:"reason"`
	Detail string    `json:"detail"`
	Source string    `json:"source,omitempty"`
	Line   int64     `json:"line,omitempty"` // of the upload; 0: unknown
	Resent []Resent  `json:"resent"`         // each time that it was sent again

	position loyalty.Position
	message  *sarama.ConsumerMessage
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
	Before string // only those set aside before the dead letter with this id
	Limit  int    // the newest so many; 0: all
}

// ErrNoLetter says that there is no dead letter with an id.
var ErrNoLetter = errors.New("there is no such dead letter")

// Letters returns dead letters, the newest last, and how many there are before them.
func (s *System) Letters(ctx context.Context, f Filter) (letters []Letter, before int, err error) {
	if f.Before != "" {
		if _, err := record.ParseLetterID(f.Before); err != nil {
			return nil, 0, err
		}
	}
	marks, err := s.read(ctx, func(l Letter) error {
		if f.Reason == "" || l.Reason == f.Reason || l.ID == f.Before {
			letters = append(letters, l)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	// Several rewarders set aside at once, and the topic may have several partitions.
	slices.SortFunc(letters, func(a, b Letter) int {
		p, q := a.position, b.position
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(p.Incarnation, q.Incarnation), cmp.Compare(p.Partition, q.Partition), cmp.Compare(p.Offset, q.Offset))
	})
	if f.Before != "" {
		i := slices.IndexFunc(letters, func(l Letter) bool { return l.ID == f.Before })
		if i < 0 {
			return nil, 0, fmt.Errorf("%s: %w", f.Before, ErrNoLetter)
		}
		letters = letters[:i]
	}
	if f.Limit > 0 {
		before = max(len(letters)-f.Limit, 0)
		letters = letters[before:]
	}
	for i := range letters {
		letters[i].Resent = append(letters[i].Resent, marks[letters[i].position]...)
	}
	return letters, before, nil
}

// Letter returns one dead letter.
func (s *System) Letter(ctx context.Context, id string) (Letter, error) {
	found, err := s.byID(ctx, []string{id})
	if err != nil {
		return Letter{}, err
	}
	return found[0], nil
}

// byID returns dead letters in the order of ids, each once.
func (s *System) byID(ctx context.Context, ids []string) ([]Letter, error) {
	want := map[loyalty.Position]int{}
	var found []Letter
	for _, id := range ids {
		at, err := record.ParseLetterID(id)
		if err != nil {
			return nil, err
		}
		if _, again := want[at]; !again {
			want[at] = len(found)
			found = append(found, Letter{ID: record.LetterID(at)})
		}
	}
	marks, err := s.read(ctx, func(l Letter) error {
		if i, ok := want[l.position]; ok {
			found[i] = l
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range found {
		if found[i].message == nil {
			return nil, fmt.Errorf("%s: %w", found[i].ID, ErrNoLetter)
		}
		found[i].Resent = append(found[i].Resent, marks[found[i].position]...)
	}
	return found, nil
}

// read calls f with each dead letter, without its marks, and returns the marks.
func (s *System) read(ctx context.Context, f func(Letter) error) (map[loyalty.Position][]Resent, error) {
	marks := map[loyalty.Position][]Resent{}
	err := stack.ReadDeadLetters(ctx, s.kafka,
		func(d stack.DeadLetter) error { return f(letterOf(d)) },
		func(d stack.DeadLetter) error {
			marks[d.At] = append(marks[d.At], markOf(d.Message))
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("reading the dead letters: %w", err)
	}
	for _, m := range marks {
		slices.SortStableFunc(m, func(a, b Resent) int { return a.At.Compare(b.At) })
	}
	return marks, nil
}

func letterOf(d stack.DeadLetter) Letter {
	line, err := strconv.ParseInt(stack.Header(d.Message, record.HeaderLine), 10, 64)
	if err != nil {
		line = 0
	}
	return Letter{
		ID: record.LetterID(d.At), At: d.Message.Timestamp.UTC(),
		Reason: stack.Header(d.Message, record.HeaderReason), Detail: stack.Header(d.Message, record.HeaderDetail),
		Source: stack.Header(d.Message, record.HeaderSource), Line: line, Resent: []Resent{},
		position: d.At, message: d.Message,
	}
}

func markOf(m *sarama.ConsumerMessage) Resent {
	r := Resent{By: stack.Header(m, record.HeaderResentBy), To: stack.Header(m, record.HeaderResentTo), Mended: []string{}}
	if mended := stack.Header(m, record.HeaderMended); mended != "" {
		r.Mended = strings.Split(mended, ",")
	}
	var err error
	if r.At, err = time.Parse(time.RFC3339, stack.Header(m, record.HeaderResentAt)); err != nil {
		r.At = m.Timestamp.UTC()
	}
	return r
}

// PrintLetters writes dead letters as a table.
func (s *System) PrintLetters(w io.Writer, letters []Letter, before int) error {
	if len(letters) == 0 {
		_, err := fmt.Fprintln(w, "There are no such dead letters.")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tSET ASIDE\tREASON\tSOURCE\tLINE\tSENT AGAIN\tDETAIL")
	for _, l := range letters {
		line, again := "-", "-"
		if l.Line > 0 {
			line = strconv.FormatInt(l.Line, 10)
		}
		if n := len(l.Resent); n > 0 {
			again = s.when(l.Resent[n-1].At)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			l.ID, s.when(l.At), short(l.Reason, 30), short(cmp.Or(l.Source, "-"), 50), line, again, short(l.Detail, 60))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if before > 0 {
		fmt.Fprintf(w, "\n%d older ones: --before %s\n", before, letters[0].ID)
	}
	return nil
}

// PrintLetter writes all that is known of a dead letter.
func (s *System) PrintLetter(w io.Writer, l Letter) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "id\t%s\nset aside\t%s\nreason\t%s\ndetail\t%s\n", l.ID, s.when(l.At), plain(l.Reason), plain(l.Detail))
	for _, r := range l.Resent {
		mended := ""
		if len(r.Mended) > 0 {
			mended = ", mended: " + strings.Join(r.Mended, ", ")
		}
		fmt.Fprintf(tw, "sent again\t%s by %s, now at %s%s\n", s.when(r.At), plain(r.By), plain(r.To), plain(mended))
	}
	fmt.Fprintf(tw, "key\t%s\n", plain(string(l.message.Key)))
	for _, h := range l.Headers() {
		fmt.Fprintf(tw, "header %s\t%s\n", plain(h.Name), plain(h.Value))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, l.message.Value, "", "  "); err != nil {
		_, err := fmt.Fprintf(w, "\nthe value is not JSON: %s\n", plain(strconv.QuoteToGraphic(string(l.message.Value))))
		return err
	}
	fmt.Fprintln(w)
	for line := range strings.Lines(pretty.String()) {
		fmt.Fprintln(w, plain(strings.TrimSuffix(line, "\n")))
	}
	return nil
}

// LetterHeader is a header of a record.
type LetterHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Headers are all headers of the dead letter: the record's, and those that say why it is one.
func (l Letter) Headers() []LetterHeader {
	out := []LetterHeader{}
	for _, h := range l.message.Headers {
		if h != nil {
			out = append(out, LetterHeader{string(h.Key), string(h.Value)})
		}
	}
	return out
}

// Whole is a dead letter with its headers and its value, for programs.
type Whole struct {
	Letter
	Key     string          `json:"key"`
	Headers []LetterHeader  `json:"headers"`
	Value   json.RawMessage `json:"value"` // the value where it is JSON, else a text of it
}

// Whole returns the dead letter with all that is known of it.
func (l Letter) Whole() Whole {
	w := Whole{Letter: l, Key: string(l.message.Key), Headers: l.Headers(), Value: l.message.Value}
	if !json.Valid(w.Value) {
		w.Value, _ = json.Marshal(string(l.message.Value)) // of a text there is always JSON
	}
	return w
}
