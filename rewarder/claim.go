package rewarder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// claim is the work on one partition while the group gives it to this rewarder.
//
// One goroutine reads the log and keeps what is in force; it alone marks offsets. Up to
// BatchesInFlight others evaluate and write batches of records. One more announces changes of the
// rules. All of them end with the claim.
type claim struct {
	r       *rewarder
	log     *slog.Logger
	session sarama.ConsumerGroupSession
	claim   sarama.ConsumerGroupClaim
	state   *partition

	topicID     string
	incarnation int64
	partition   int32
	partitions  int32

	over context.Context // ends when the partition is given back: read no more, wait no longer
	work context.Context // of calls of the store; outlives over by the time of a drain

	track tracker
	slots chan struct{}  // one for each batch under way
	done  chan *batch    // never blocks: as long as there are slots
	rules *rules.Rules   // in force where the reader stands
	force announced      // the marker of it
	group sync.WaitGroup // goroutines of the claim
}

// batch is what is written at once: transactions under one rule set, or a marker.
type batch struct {
	number   uint64
	messages []*sarama.ConsumerMessage
	rules    *rules.Rules

	isMarker bool
	marker   record.Marker // what is in force from the message on
	took     bool          // because of it
	fault    *rowFault     // the marker cannot be read
	err      error         // the batch is not durable
}

const badFormat = "its format is not a whole number above 0"

var errOver = errors.New("the partition was given back")

// ConsumeClaim works on a partition until the group takes it back or the rewarder stops.
func (r *rewarder) ConsumeClaim(session sarama.ConsumerGroupSession, part sarama.ConsumerGroupClaim) error {
	over, stop := context.WithCancel(session.Context())
	defer stop()
	work, cancel := context.WithCancel(context.WithoutCancel(over))
	c := &claim{
		r: r, session: session, claim: part, partition: part.Partition(),
		log:  r.log.With("partition", part.Partition()),
		over: over, work: work,
		slots: make(chan struct{}, r.cfg.BatchesInFlight),
		done:  make(chan *batch, r.cfg.BatchesInFlight),
		force: announced{changed: make(chan struct{}, 1)},
	}
	c.state = r.status.begin(c.partition)
	defer r.status.end(c.state)
	defer c.hide()
	defer cancel()
	r.claims.Add(1)
	defer func() {
		go func() { // whoever stays behind in a call that does not end cannot hold up the group
			c.group.Wait()
			r.claims.Done()
		}()
	}()

	err := c.begin()
	if err == nil {
		c.state.set(stateConsuming, "")
		c.group.Go(c.announce)
		err = c.read()
		stop()
		c.drain()
	}
	switch {
	case errors.Is(err, ErrTopicChanged) || errors.Is(err, ErrOffsetGone):
		r.fail(err)
	case errors.Is(err, errOver) || over.Err() != nil:
	case err != nil:
		c.log.Error("stopped working on a partition", "error", err)
	}
	return nil
}

// begin finds out what is in force at the first offset.
func (c *claim) begin() error {
	var info topicInfo
	err := c.try("opening the topic", func(ctx context.Context) (err error) {
		if info, err = c.r.topicInfo(); err != nil {
			return err
		}
		c.incarnation, err = c.r.store.OpenTopic(ctx, c.r.cfg.Topic, info.id, info.partitions)
		return err
	})
	if err != nil {
		return err
	}
	c.topicID, c.partitions = info.id, info.partitions
	c.r.opened.Store(&info)

	start := c.claim.InitialOffset()
	uncommitted := start < 0
	if uncommitted {
		err := c.try("finding the beginning of the partition", func(context.Context) (err error) {
			start, err = c.r.client.GetOffset(c.r.cfg.Topic, c.partition, sarama.OffsetOldest)
			return err
		})
		if err != nil {
			return err
		}
	}
	if uncommitted && start > 0 {
		if err := c.neverRead(start); err != nil {
			return err
		}
	}
	c.track.base = start
	c.state.durable.Store(start)

	m, at, err := c.before(start)
	if err != nil {
		return err
	}
	err = c.try("loading the rules in force", func(ctx context.Context) (err error) {
		c.rules, err = c.r.sets.get(ctx, m.Hash)
		return err
	})
	if err != nil {
		return err
	}
	c.force.set(m)
	c.tell(m, at)
	if uncommitted {
		// A partition without records has nothing to commit; without this the next rewarder could
		// not tell it from one whose offset is lost.
		c.session.MarkOffset(c.r.cfg.Topic, c.partition, start, "")
	}
	c.log.Info("working on a partition", "offset", start, "rules", m.Hash, "epoch", m.Epoch, "revision", m.Revision)
	return nil
}

// neverRead holds that nobody has read a partition that has no committed offset and does not begin
// at 0. Where somebody has, as the first rules that every rewarder fixes show, the group's offset
// is lost, and with it how much of what was deleted had been read.
func (c *claim) neverRead(start int64) error {
	var known bool
	err := c.try("finding out whether the partition was read before", func(ctx context.Context) error {
		_, _, err := c.r.store.MarkerBefore(ctx, c.at(start))
		known = err == nil
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if known {
		return fmt.Errorf("partition %d was read before, has no committed offset any more and begins at %d: %w", c.partition, start, ErrOffsetGone)
	}
	c.log.Warn("no offset is committed and the partition does not begin at 0: what was before is not there to be read", "offset", start)
	return nil
}

// before returns the marker in force at an offset. The first rewarder of a partition ever fixes
// the one for what comes before the first marker; it waits for rules to be there.
func (c *claim) before(offset int64) (m record.Marker, at int64, err error) {
	lookup := func(ctx context.Context) (err error) {
		m, at, err = c.r.store.MarkerBefore(ctx, c.at(offset))
		if errors.Is(err, ErrNotFound) {
			err = nil
			m = record.Marker{}
		}
		return err
	}
	if err := c.try("looking up the rules in force", lookup); err != nil || m != (record.Marker{}) {
		return m, at, err
	}
	snap, changed := c.r.live.get()
	for ; snap == nil; snap, changed = c.r.live.get() {
		c.state.set(stateWaiting, "no rules have been published yet")
		select {
		case <-changed:
		case <-c.over.Done():
			return m, at, errOver
		}
	}
	err = c.try("fixing the first rules of the partition", func(ctx context.Context) error {
		if err := c.r.sets.save(ctx, snap); err != nil {
			return err
		}
		if _, err := c.r.store.FixFirst(ctx, c.incarnation, c.partition, snap.Marker()); err != nil {
			return err
		}
		m, at, err = c.r.store.MarkerBefore(ctx, c.at(offset))
		return err
	})
	return m, at, err
}

func (c *claim) at(offset int64) loyalty.Position {
	return loyalty.Position{Incarnation: c.incarnation, Partition: c.partition, Offset: offset}
}

// read follows the log until the claim is over. Records go out in batches of what is there, at
// once; while all writers are busy the batch grows, and when it is full reading stops.
func (c *claim) read() error {
	var batched []*sarama.ConsumerMessage
	for {
		var next <-chan *sarama.ConsumerMessage
		if len(batched) < c.r.cfg.BatchRows {
			next = c.claim.Messages()
		}
		var slot chan struct{}
		if len(batched) > 0 {
			slot = c.slots
			select { // take what is there before a batch goes out
			case msg, ok := <-next:
				var err error
				if batched, err = c.next(batched, msg, ok); err != nil {
					return err
				}
				continue
			default:
			}
		}
		select {
		case <-c.over.Done():
			return errOver
		case b := <-c.done:
			c.settle(b)
		case msg, ok := <-next:
			var err error
			if batched, err = c.next(batched, msg, ok); err != nil {
				return err
			}
		case slot <- struct{}{}:
			c.start(&batch{messages: batched, rules: c.rules})
			batched = nil
		}
	}
}

// next takes a message: a transaction joins the batch, before anything else the batch goes out.
func (c *claim) next(batched []*sarama.ConsumerMessage, msg *sarama.ConsumerMessage, ok bool) ([]*sarama.ConsumerMessage, error) {
	if !ok {
		return batched, errOver
	}
	c.state.read.Store(msg.Offset + 1)
	c.r.count.records.Add(1)
	kind, format := kindOf(msg)
	if format <= record.Format && kind != record.KindMarker {
		return append(batched, msg), nil
	}
	if len(batched) > 0 {
		if err := c.dispatch(&batch{messages: batched, rules: c.rules}); err != nil {
			return nil, err
		}
	}
	if format > record.Format {
		return nil, c.stop(fmt.Sprintf("the record at offset %d has format %d, this program reads %d at most: run a newer one", msg.Offset, format, record.Format))
	}
	return nil, c.mark(msg, format)
}

// mark takes a rule marker. One that is well-formed names a rule set that the store has: if not,
// the store is at fault and the claim waits. One that cannot be read is nobody's rule change, to
// this program and to every later one that knows the format: it becomes a dead letter, what is in
// force stays, and the owner, who sees that the live rules are not in force, sends another.
func (c *claim) mark(msg *sarama.ConsumerMessage, format int) error {
	b := &batch{messages: []*sarama.ConsumerMessage{msg}, isMarker: true, marker: c.force.get()}
	m, err := record.DecodeMarker(msg.Value)
	if format < 1 {
		err = errors.New(badFormat)
	}
	if err != nil {
		b.fault = &rowFault{reasonMarker, err.Error()}
		c.log.Error("a rule marker cannot be read; it is set aside", "offset", msg.Offset, "error", loyalty.StarPANs(err.Error()))
	} else {
		b.marker, b.took = take(c.force.get(), m)
	}
	if b.took {
		err := c.try("loading the rules of a marker", func(ctx context.Context) (err error) {
			c.rules, err = c.r.sets.get(ctx, m.Hash)
			return err
		})
		if err != nil {
			return err
		}
		c.r.count.markersTaken.Add(1)
	} else {
		c.r.count.markersIgnored.Add(1)
	}
	if err := c.dispatch(b); err != nil {
		return err
	}
	if b.took {
		c.force.set(m)
	}
	return nil
}

// dispatch starts a batch when a writer is free.
func (c *claim) dispatch(b *batch) error {
	for {
		select {
		case c.slots <- struct{}{}:
			c.start(b)
			return nil
		case d := <-c.done:
			c.settle(d)
		case <-c.over.Done():
			return errOver
		}
	}
}

// start writes a batch; the caller has taken a slot.
func (c *claim) start(b *batch) {
	b.number = c.track.add(b.messages[len(b.messages)-1].Offset + 1)
	c.group.Go(func() {
		b.err = c.write(b)
		c.done <- b
	})
}

// settle takes a finished batch, and marks the offset up to which everything is durable.
func (c *claim) settle(b *batch) {
	<-c.slots
	if b.err != nil {
		return // the claim is over; whoever has the partition next reads it again
	}
	if b.took {
		c.tell(b.marker, b.messages[0].Offset)
	}
	if c.track.finish(b.number) {
		c.state.durable.Store(c.track.base)
		c.session.MarkOffset(c.r.cfg.Topic, c.partition, c.track.base, "")
	}
}

// drain waits for the batches under way, for a time: what is durable then is committed when the
// session is released. What is later is written for nothing, and does no harm.
func (c *claim) drain() {
	c.state.set(stateDraining, "")
	timer := time.NewTimer(c.r.cfg.DrainTimeout)
	defer timer.Stop()
	for len(c.slots) > 0 {
		select {
		case b := <-c.done:
			c.settle(b)
		case <-timer.C:
			c.log.Warn("writes were still under way when the partition was given back", "batches", len(c.slots))
			return
		}
	}
}

// stop says why the claim cannot go on, and waits until it is over.
func (c *claim) stop(why string) error {
	c.log.Error("a partition stands still", "reason", why)
	c.r.count.pauses.Add(1)
	c.state.pause(why)
	defer c.state.resume()
	for {
		select {
		case b := <-c.done:
			c.settle(b)
		case <-c.over.Done():
			return errOver
		}
	}
}

// try calls f until it does not fail for reasons of the system, with pauses that grow, while the
// claim lasts. An error about a row, or ErrTopicChanged, is returned at once.
func (c *claim) try(what string, f func(context.Context) error) error {
	wait := c.r.cfg.RetryMin
	paused := false
	defer func() {
		if paused {
			c.state.resume()
		}
	}()
	for {
		ctx, cancel := context.WithTimeout(c.work, c.r.cfg.StoreTimeout)
		err := f(ctx)
		cancel()
		if err == nil {
			if paused {
				c.log.Info("going on", "after", what)
			}
			return nil
		}
		if errors.Is(err, ErrRow) || errors.Is(err, ErrTopicChanged) {
			return err
		}
		c.r.count.errors.Add(1)
		if c.over.Err() != nil {
			return errOver
		}
		reason := what + ": " + loyalty.StarPANs(err.Error())
		again := paused
		if again {
			c.state.resume()
		} else {
			c.r.count.pauses.Add(1)
		}
		paused = true
		if c.state.pause(reason) && !again {
			c.log.Error("a partition pauses", "reason", reason)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-c.over.Done():
			timer.Stop()
			return errOver
		}
		wait = min(2*wait, c.r.cfg.RetryMax)
	}
}

// kindOf reads the headers that say what a record is. Without a format it is the first; one that
// is not a number is -1.
func kindOf(msg *sarama.ConsumerMessage) (kind string, format int) {
	format = 1
	for _, h := range msg.Headers {
		switch {
		case h == nil:
		case string(h.Key) == record.HeaderKind:
			kind = string(h.Value)
		case string(h.Key) == record.HeaderFormat:
			n, err := strconv.Atoi(string(h.Value))
			if err != nil || n < 1 {
				n = -1
			}
			format = n
		}
	}
	return kind, format
}
