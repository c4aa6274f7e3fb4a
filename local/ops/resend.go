package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/local/stack"
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
}

// Field is a new value of a transaction's field.
type Field struct{ Name, Value string }

// ErrSet is a mistake in what is to be set.
var ErrSet = errors.New("a field cannot be set")

// ParseFields reads field=value for each field that is set.
func ParseFields(args []string) ([]Field, error) {
	var out []Field
	for _, a := range args {
		// What stands behind = may be a card number: errors do not show it.
		name, value, ok := strings.Cut(a, "=")
		switch {
		case !ok:
			return nil, fmt.Errorf("%w: say it as field=value", ErrSet)
		case !slices.Contains(loyalty.Columns, name):
			return nil, fmt.Errorf("%w: a transaction has no field %s; it has %s", ErrSet, loyalty.StarPANs(strconv.Quote(name)), strings.Join(loyalty.Columns, ", "))
		case slices.ContainsFunc(out, func(f Field) bool { return f.Name == name }):
			return nil, fmt.Errorf("%w: %s is set twice", ErrSet, name)
		}
		out = append(out, Field{name, value})
	}
	return out, nil
}

// own are the fields that no two transactions share.
var own = []string{"id", "transaction_id"}

// Sent is what became of one dead letter.
type Sent struct {
	ID  string
	To  string // partition/offset of the new record; "" when it was not sent
	Err error  // why it was not
}

// Resend sends dead letters again, each on its own: what is wrong with one does not hold up the
// others, and done is told of each. It returns how many were left out because they had been sent
// again before.
//
// The record is sent first and marked then. Should this end between the two, the dead letter may
// be sent a second time, which changes nothing: of equal transactions the first counts.
func (s *System) Resend(ctx context.Context, r Resend, done func(Sent)) (before int, err error) {
	var letters []Letter
	if len(r.IDs) > 0 {
		letters, err = s.byID(ctx, r.IDs)
	} else {
		letters, _, err = s.Letters(ctx, Filter{Reason: r.Reason})
	}
	if err != nil {
		return 0, err
	}
	if i := slices.IndexFunc(r.Set, func(f Field) bool { return slices.Contains(own, f.Name) }); i >= 0 && len(letters) > 1 {
		return 0, fmt.Errorf("%w: %s is one transaction's own, and here are %d; mend them one at a time", ErrSet, r.Set[i].Name, len(letters))
	}
	var live *rules.Rules
	switch snap, err := rulebook.Load(ctx, s.etcd, s.Home); {
	case err == nil:
		live = snap.Rules
	case !errors.Is(err, rulebook.ErrEmpty):
		return 0, fmt.Errorf("reading the rules: %w", err)
	}
	producer, err := sarama.NewSyncProducerFromClient(s.kafka)
	if err != nil {
		return 0, fmt.Errorf("sending to Kafka: %w", err)
	}
	defer producer.Close()
	who := operator()
	for _, l := range letters {
		if err := ctx.Err(); err != nil {
			return before, err
		}
		if len(l.Resent) > 0 && !r.Again {
			if len(r.IDs) == 0 {
				before++
				continue
			}
			last := l.Resent[len(l.Resent)-1]
			done(Sent{ID: l.ID, Err: fmt.Errorf("was sent again by %s at %s; say --again if it has to be once more", last.By, s.when(last.At))})
			continue
		}
		tx, err := l.mend(r.Set, s.Home)
		if err == nil && live != nil {
			if _, wrong := live.Evaluate(&tx); wrong != nil {
				err = fmt.Errorf("it would be set aside again: %w", wrong)
			}
		}
		sent := Sent{ID: l.ID, Err: err}
		if err == nil {
			sent.To, sent.Err = s.send(producer, l, tx, r.Set, who)
		}
		done(sent)
	}
	return before, nil
}

// mend is the transaction of a dead letter with fields set, valid. A value that is no JSON object
// has no fields; each has to be set then.
//
// What was said to be something else than a transaction is not sent as one, however much it looks
// like one: a record of a kind to come may take back what a transaction of those fields would give.
func (l Letter) mend(set []Field, home loyalty.Currency) (loyalty.Transaction, error) {
	if kind := stack.Header(l.message, record.HeaderKind); kind != "" {
		return loyalty.Transaction{}, fmt.Errorf("it is no transaction but a record of kind %s", plain(strconv.Quote(kind)))
	}
	value := l.message.Value
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
func (s *System) send(producer sarama.SyncProducer, l Letter, tx loyalty.Transaction, set []Field, who string) (to string, err error) {
	value, err := tx.MarshalJSON()
	if err != nil {
		return "", fmt.Errorf("encoding it: %w", err)
	}
	at := s.Clock().UTC().Format(time.RFC3339)
	of := headers(record.HeaderResentOf, l.ID, record.HeaderResentBy, who, record.HeaderResentAt, at)
	m := &sarama.ProducerMessage{
		Topic: record.Topic, Key: sarama.StringEncoder(tx.CardID.String()), Value: sarama.ByteEncoder(value),
		Headers: append(kept(l), of...),
	}
	partition, offset, err := producer.SendMessage(m)
	if err != nil {
		return "", fmt.Errorf("sending it: %w", err)
	}
	to = fmt.Sprintf("%d/%d", partition, offset)
	names := make([]string, len(set))
	for i, f := range set {
		names[i] = f.Name
	}
	mark := headers(record.HeaderFormat, strconv.Itoa(record.Format), record.HeaderKind, record.KindResent,
		record.HeaderResentTo, to, record.HeaderMended, strings.Join(names, ","))
	_, _, err = producer.SendMessage(&sarama.ProducerMessage{
		Topic: stack.DeadLetterTopic, Key: sarama.StringEncoder(l.ID), Headers: append(mark, of...),
	})
	if err != nil {
		return to, fmt.Errorf("it was sent, now at %s, but not marked as sent again: %w", to, err)
	}
	return to, nil
}

// kept are the headers that the record had and keeps: where it is from, and what strangers added.
// Its format is this program's, for the value is.
func kept(l Letter) []sarama.RecordHeader {
	out := headers(record.HeaderFormat, strconv.Itoa(record.Format))
	for _, h := range l.message.Headers {
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

// operator is who runs this program.
func operator() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}
