package rewarder

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// write makes a batch durable: its rows are stored and its dead letters acknowledged. It fails
// only when the claim is over.
func (c *claim) write(b *batch) (err error) {
	traced := c.trace(b)
	defer func() { traced.end(err) }()
	var (
		rows    []loyalty.Row
		letters []*sarama.ProducerMessage
	)
	if b.isMarker {
		msg := b.messages[0]
		if b.fault != nil {
			letters = append(letters, c.letter(msg, b.fault))
		}
		err = c.try("storing what is in force", func(ctx context.Context) error {
			return c.r.store.PutMarker(ctx, c.at(msg.Offset), b.marker)
		})
		if err != nil {
			return err
		}
	} else {
		rows, letters = c.evaluate(b)
	}
	if len(rows) > 0 {
		c.storing(traced)
	}
	refused, err := c.put(rows)
	traced.stored(err)
	if err != nil {
		return err
	}
	for _, e := range refused {
		i := slices.IndexFunc(b.messages, func(m *sarama.ConsumerMessage) bool { return m.Offset == e.Position.Offset })
		letters = append(letters, c.letter(b.messages[i], faultOf(e)))
	}
	if err := c.bury(letters); err != nil {
		return err
	}
	if len(refused) > 0 {
		rows = slices.DeleteFunc(slices.Clone(rows), func(r loyalty.Row) bool {
			return slices.ContainsFunc(refused, func(e *RowError) bool { return e.Position == r.Position })
		})
	}
	if len(rows) > 0 {
		c.r.count.stored(rows, b.rules.Home(), c.r.clock())
	}
	for _, m := range letters {
		reason, offset := reasonOf(m)
		c.r.count.buried(reason)
		traced.setAside(offset, reason)
	}
	return nil
}

// evaluate makes the rows of a batch, and dead letters of what has none.
func (c *claim) evaluate(b *batch) (rows []loyalty.Row, letters []*sarama.ProducerMessage) {
	rows = make([]loyalty.Row, len(b.messages))
	spread := newSpread(c.r.cfg.Topic, c.partitions)
	n := 0
	for _, msg := range b.messages {
		if fault := c.row(&rows[n], msg, b.rules, spread); fault != nil {
			letters = append(letters, c.letter(msg, fault))
			continue
		}
		n++
	}
	return rows[:n], letters
}

// spread says which partition a card belongs into.
type spread struct {
	partitioner sarama.Partitioner
	partitions  int32
	message     sarama.ProducerMessage
	key         cardKey
}

func newSpread(topic string, partitions int32) *spread {
	s := &spread{partitioner: sarama.NewMurmur2Partitioner(topic), partitions: partitions}
	s.message.Key = &s.key
	return s
}

func (s *spread) of(card uuid.UUID) (int32, error) {
	text, _ := card.MarshalText() // never an error
	copy(s.key[:], text)
	return s.partitioner.Partition(&s.message, s.partitions)
}

// cardKey is the key of a card's records, its id as text.
type cardKey [36]byte

func (k *cardKey) Encode() ([]byte, error) { return k[:], nil }
func (k *cardKey) Length() int             { return len(k) }

// row sets the whole row to what a record earns: a function of the record and the rules, of nothing else.
func (c *claim) row(row *loyalty.Row, msg *sarama.ConsumerMessage, set *rules.Rules, spread *spread) (fault *rowFault) {
	defer func() {
		if p := recover(); p != nil { // one record must not end the program again and again
			c.log.Error("a record made the rules panic", "offset", msg.Offset, "stack", string(debug.Stack()))
			fault = &rowFault{reasonUnexpected, "the program failed on it"}
		}
	}()
	switch kind, format := kindOf(msg); {
	case format < 1:
		return &rowFault{reasonFormat, badFormat}
	case kind != "":
		return &rowFault{reasonKind, fmt.Sprintf("a record of kind %q is not known in format %d", kind, format)}
	}
	tx, err := loyalty.DecodeTransaction(msg.Value, set.Home())
	if err != nil {
		return faultOf(err)
	}
	// First arrival wins only among the records of one partition.
	if p, err := spread.of(tx.CardID); err != nil || p != c.partition {
		return &rowFault{reasonPartition, fmt.Sprintf("its card belongs into partition %d", p)}
	}
	if row.Reward, err = set.Reward(&tx); err != nil {
		return faultOf(err)
	}
	row.CreatedAt = msg.Timestamp.UTC().Truncate(time.Millisecond)
	row.Position = c.at(msg.Offset)
	return nil
}

// put stores rows, and returns those that can never be stored.
func (c *claim) put(rows []loyalty.Row) (refused []*RowError, err error) {
	for len(rows) > 0 {
		err := c.try("storing rewards", func(ctx context.Context) error { return c.r.store.PutRewards(ctx, rows) })
		if err == nil {
			break
		}
		if !errors.Is(err, ErrRow) {
			return nil, err
		}
		bad := map[loyalty.Position]*RowError{}
		for _, e := range rowErrors(err) {
			bad[e.Position] = e
		}
		kept := rows[:0:0]
		for _, row := range rows {
			switch e := bad[row.Position]; {
			case e != nil:
				refused = append(refused, e)
			case len(rows) == 1: // the store did not say which
				refused = append(refused, &RowError{row.Position, err.Error()})
			default:
				kept = append(kept, row)
			}
		}
		if len(kept) == len(rows) { // none of ours was named: find it one by one
			for _, row := range rows {
				r, err := c.put([]loyalty.Row{row})
				if err != nil {
					return nil, err
				}
				refused = append(refused, r...)
			}
			return refused, nil
		}
		rows = kept // again, in case the store stopped at the first bad one
	}
	return refused, nil
}

// rowErrors finds all RowErrors in an error.
func rowErrors(err error) []*RowError {
	switch e := err.(type) {
	case *RowError:
		return []*RowError{e}
	case interface{ Unwrap() error }:
		return rowErrors(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*RowError
		for _, one := range e.Unwrap() {
			all = append(all, rowErrors(one)...)
		}
		return all
	}
	return nil
}

// bury sends dead letters until all are acknowledged.
func (c *claim) bury(letters []*sarama.ProducerMessage) error {
	if len(letters) == 0 {
		return nil
	}
	return c.try("setting aside dead letters", func(ctx context.Context) error {
		failed, err := c.r.send(ctx, letters)
		if len(failed) > 0 {
			letters = failed
		}
		return err
	})
}
