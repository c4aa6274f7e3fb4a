package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// Resend says what to send again.
type Resend struct {
	IDs    []string // or
	Reason string   // all with this reason, or
	All    bool
	Set    []Field // mends each of them
	Again  bool    // those too that were sent again before
	By     string  // who sends them
}

// Field is a new value of a transaction's field.
type Field struct{ Name, Value string }

// ErrSet is a mistake in what is to be set.
var ErrSet = errors.New("a field cannot be set")

// CheckFields says what is wrong with the names of fields that are to be set. What they are set to
// may be a card number: errors do not show it.
func CheckFields(set []Field) error {
	for i, f := range set {
		switch {
		case !slices.Contains(loyalty.Columns, f.Name):
			return fmt.Errorf("%w: a transaction has no field %s; it has %s", ErrSet, loyalty.StarPANs(strconv.Quote(f.Name)), strings.Join(loyalty.Columns, ", "))
		case slices.ContainsFunc(set[:i], func(o Field) bool { return o.Name == f.Name }):
			return fmt.Errorf("%w: %s is set twice", ErrSet, f.Name)
		}
	}
	return nil
}

// own are the fields that no two transactions share.
var own = []string{"id", "transaction_id"}

// Sent is what became of one dead letter.
type Sent struct {
	ID  string
	To  string // partition/offset of the new record; "" when it was not sent
	Err error  // why it was not
}

// BeforeError says that a dead letter was sent again before.
type BeforeError struct{ Last Resent }

func (e *BeforeError) Error() string {
	return fmt.Sprintf("was sent again by %s at %s", e.Last.By, e.Last.At.Format(time.RFC3339))
}

// Errors of one dead letter, beside a BeforeError and a loyalty.FieldError.
var (
	ErrKind     = errors.New("it is no transaction")
	ErrAsBefore = errors.New("it would be set aside again")
	ErrUnmarked = errors.New("it was sent, but could not be marked as sent again")
)

// Resend sends dead letters again, each on its own: what is wrong with one does not hold up the
// others, and done is told of each. It returns how many were left out because they had been sent
// again before; of those that are named, done is told.
//
// The record is sent first and marked then. Should this end between the two, the dead letter may
// be sent a second time, which changes nothing: of equal transactions the first counts.
func (d *Desk) Resend(ctx context.Context, r Resend, done func(Sent)) (before int, err error) {
	if err := CheckFields(r.Set); err != nil {
		return 0, err
	}
	if err := d.take(ctx); err != nil {
		return 0, err
	}
	defer d.give()
	if err := d.refresh(ctx); err != nil {
		return 0, err
	}
	letters, err := d.named(r)
	if err != nil {
		return 0, err
	}
	if i := slices.IndexFunc(r.Set, func(f Field) bool { return slices.Contains(own, f.Name) }); i >= 0 && len(letters) > 1 {
		return 0, fmt.Errorf("%w: %s is one transaction's own, and here are %d; mend them one at a time", ErrSet, r.Set[i].Name, len(letters))
	}
	var live *rules.Rules
	switch snap, err := rulebook.Load(ctx, d.etcd, d.cfg.Home); {
	case err == nil:
		live = snap.Rules
	case !errors.Is(err, rulebook.ErrEmpty):
		return 0, fmt.Errorf("%w: reading the rules: %w", ErrAway, err)
	}
	client, err := d.kafka()
	if err != nil {
		return 0, err
	}
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		return 0, fmt.Errorf("%w: sending to Kafka: %w", ErrAway, err)
	}
	defer producer.Close()
	for _, l := range letters {
		if err := ctx.Err(); err != nil {
			return before, err
		}
		if marks := d.index.marks[l.position]; len(marks) > 0 && !r.Again {
			if len(r.IDs) == 0 {
				before++
			} else {
				done(Sent{ID: l.ID, Err: &BeforeError{marks[len(marks)-1]}})
			}
			continue
		}
		sent := Sent{ID: l.ID}
		if w, err := d.whole(ctx, l.position); err != nil {
			sent.Err = err
		} else {
			sent.To, sent.Err = d.sendAgain(producer, w, r, live)
		}
		done(sent)
	}
	return before, nil
}

// named are the letters that are meant: in the order of the ids, each once, or the oldest first.
func (d *Desk) named(r Resend) (letters []Letter, err error) {
	if len(r.IDs) > 0 {
		seen := map[loyalty.Position]bool{}
		for _, id := range r.IDs {
			at, err := parseID(id)
			if err != nil {
				return nil, err
			}
			l, ok := d.index.letters[at]
			if !ok {
				return nil, fmt.Errorf("%s: %w", record.LetterID(at), ErrNoLetter)
			}
			if !seen[at] {
				seen[at] = true
				letters = append(letters, l)
			}
		}
		return letters, nil
	}
	for _, l := range d.index.letters {
		if r.Reason == "" || l.Reason == r.Reason {
			letters = append(letters, l)
		}
	}
	slices.SortFunc(letters, func(a, b Letter) int { return a.order().compare(b.order()) })
	return letters, nil
}

// sendAgain sends one, unless it would come back.
func (d *Desk) sendAgain(producer sarama.SyncProducer, w Whole, r Resend, live *rules.Rules) (to string, err error) {
	tx, err := mend(w.message, r.Set, d.cfg.Home)
	if err != nil {
		return "", err
	}
	if live != nil {
		if _, wrong := live.Evaluate(&tx); wrong != nil {
			return "", fmt.Errorf("%w: %w", ErrAsBefore, wrong)
		}
	}
	return d.send(producer, w, tx, r.Set, r.By)
}

// mend is the transaction of a dead letter with fields set, valid. A value that is no JSON object
// has no fields; each has to be set then.
//
// What was said to be something else than a transaction is not sent as one, however much it looks
// like one: a record of a kind to come may take back what a transaction of those fields would give.
func mend(m *sarama.ConsumerMessage, set []Field, home loyalty.Currency) (loyalty.Transaction, error) {
	if kind := Header(m, record.HeaderKind); kind != "" {
		return loyalty.Transaction{}, fmt.Errorf("%w but a record of kind %s", ErrKind, strconv.QuoteToASCII(kind))
	}
	value := m.Value
	if len(set) > 0 {
		var fields map[string]json.RawMessage
		if json.Unmarshal(value, &fields) != nil || fields == nil {
			fields = map[string]json.RawMessage{}
		}
		for _, f := range set {
			for name := range fields {
				if strings.EqualFold(name, f.Name) { // as it is read
					delete(fields, name)
				}
			}
			fields[f.Name] = jsonValue(f)
		}
		var err error
		if value, err = json.Marshal(fields); err != nil {
			return loyalty.Transaction{}, fmt.Errorf("mending it: %w", err)
		}
	}
	return loyalty.DecodeTransaction(value, home)
}

// jsonValue is a number where the field is one and the text reads as one, null for nothing, else
// a text.
func jsonValue(f Field) json.RawMessage {
	if slices.Contains([]string{"mcc", "amount", "sgd_amount"}, f.Name) {
		v := strings.TrimSpace(f.Value)
		var n json.Number
		switch {
		case v == "":
			return json.RawMessage("null")
		case json.Unmarshal([]byte(v), &n) == nil && v[0] != '"' && v != "null":
			return json.RawMessage(v)
		}
	}
	b, _ := json.Marshal(f.Value) // of a text there is always JSON
	return b
}

// send sends the record and marks its dead letter.
func (d *Desk) send(producer sarama.SyncProducer, w Whole, tx loyalty.Transaction, set []Field, who string) (to string, err error) {
	value, err := tx.MarshalJSON()
	if err != nil {
		return "", fmt.Errorf("encoding it: %w", err)
	}
	at := d.clock().UTC().Format(time.RFC3339)
	of := headers(record.HeaderResentOf, w.ID, record.HeaderResentBy, who, record.HeaderResentAt, at)
	m := &sarama.ProducerMessage{
		Topic: d.cfg.Topic, Key: sarama.StringEncoder(tx.CardID.String()), Value: sarama.ByteEncoder(value),
		Headers: append(kept(w.message), of...),
	}
	partition, offset, err := producer.SendMessage(m)
	if err != nil {
		return "", fmt.Errorf("%w: sending it: %w", ErrAway, err)
	}
	to = fmt.Sprintf("%d/%d", partition, offset)
	names := make([]string, len(set))
	for i, f := range set {
		names[i] = f.Name
	}
	mark := headers(record.HeaderFormat, strconv.Itoa(record.Format), record.HeaderKind, record.KindResent,
		record.HeaderResentTo, to, record.HeaderMended, strings.Join(names, ","))
	_, _, err = producer.SendMessage(&sarama.ProducerMessage{
		Topic: d.deadLetterTopic(), Key: sarama.StringEncoder(w.ID), Headers: append(mark, of...),
	})
	if err != nil {
		return to, fmt.Errorf("%w (it is now at %s): %w", ErrUnmarked, to, err)
	}
	return to, nil
}

// kept are the headers that the record had and keeps: where it is from, and what strangers added.
// Its format is this program's, for the value is.
func kept(m *sarama.ConsumerMessage) []sarama.RecordHeader {
	out := headers(record.HeaderFormat, strconv.Itoa(record.Format))
	for _, h := range m.Headers {
		if h == nil {
			continue
		}
		switch name := string(h.Key); {
		case name == record.HeaderFormat || name == record.HeaderKind:
		case strings.HasPrefix(name, "dead-") || strings.HasPrefix(name, "resent-"):
		default:
			out = append(out, *h)
		}
	}
	return out
}

func headers(pairs ...string) []sarama.RecordHeader {
	var out []sarama.RecordHeader
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, sarama.RecordHeader{Key: []byte(pairs[i]), Value: []byte(pairs[i+1])})
	}
	return out
}
