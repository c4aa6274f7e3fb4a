package rewarder

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
)

// announced is the marker that is in force where the reader stands, and what has been told of it.
type announced struct {
	changed chan struct{} // holds a token when there is a new marker

	mu     sync.Mutex
	marker record.Marker
	told   rulebook.InForce
	hidden bool
}

func (a *announced) get() record.Marker {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.marker
}

func (a *announced) set(m record.Marker) {
	a.mu.Lock()
	a.marker = m
	a.mu.Unlock()
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// announce sends a marker into the partition whenever the live rules are not those in force or on
// their way. One is under way at a time; changes that wait for it become one. A marker takes
// effect where the reader finds it in the log, and nowhere else.
func (c *claim) announce() {
	var sent record.Marker
	wait := c.r.cfg.RetryMin
	for {
		snap, changed := c.r.live.get()
		newest := c.force.get()
		if sent.After(newest) {
			newest = sent
		}
		var again <-chan time.Time
		if snap != nil && due(snap.Marker(), newest) {
			err := c.sendMarker(snap)
			if err == nil {
				sent, wait = snap.Marker(), c.r.cfg.RetryMin
				c.state.setRuleChange("")
				continue
			}
			if c.over.Err() != nil {
				return
			}
			c.r.count.errors.Add(1)
			why := loyalty.StarPANs(err.Error())
			c.state.setRuleChange(why)
			c.log.Error("a rule change could not be announced", "error", why, "again_in", wait)
			again = time.After(wait)
			wait = min(2*wait, c.r.cfg.RetryMax)
		}
		c.retell()
		if again != nil {
			changed = nil // the pause holds for newer changes too
		}
		select {
		case <-changed:
		case <-c.force.changed:
		case <-again:
		case <-c.over.Done():
			return
		}
	}
}

// sendMarker stores a rule set, then sends its marker.
func (c *claim) sendMarker(snap *rulebook.Snapshot) error {
	ctx, cancel := context.WithTimeout(c.over, c.r.cfg.StoreTimeout)
	defer cancel()
	if err := c.r.sets.save(ctx, snap); err != nil {
		return err
	}
	m := snap.Marker()
	_, err := c.r.send(ctx, []*sarama.ProducerMessage{{
		Topic:     c.r.cfg.Topic,
		Partition: c.partition,
		Headers: []sarama.RecordHeader{
			{Key: []byte(record.HeaderKind), Value: []byte(record.KindMarker)},
			{Key: []byte(record.HeaderFormat), Value: []byte(strconv.Itoa(record.Format))},
		},
		Value: sarama.ByteEncoder(m.Encode()),
	}})
	if err != nil {
		return fmt.Errorf("sending a rule marker: %w", err)
	}
	c.r.count.markersSent.Add(1)
	c.log.Info("announced a rule change", "rules", m.Hash, "epoch", m.Epoch, "revision", m.Revision)
	return nil
}

// tell shows what is in force from a marker's offset on, once its row is durable.
func (c *claim) tell(m record.Marker, at int64) {
	c.force.mu.Lock()
	defer c.force.mu.Unlock()
	if c.force.told.Rewarder != "" && at < c.force.told.Offset {
		return // writes end in any order
	}
	c.force.told = rulebook.InForce{
		Rewarder: c.r.cfg.Name, Hash: m.Hash, Epoch: m.Epoch, Revision: m.Revision,
		Offset: at, Since: c.r.clock().UTC(),
	}
	c.show()
}

// retell shows what is in force again, where the live rules changed back to it or changed without
// a difference: they are in force as they stand.
func (c *claim) retell() {
	c.force.mu.Lock()
	defer c.force.mu.Unlock()
	c.show()
}

// hide takes away what was told.
func (c *claim) hide() {
	c.force.mu.Lock()
	defer c.force.mu.Unlock()
	c.force.hidden = true
	c.r.board.remove(c.partition)
}

func (c *claim) show() {
	if c.force.hidden {
		return
	}
	told := &c.force.told
	if snap, _ := c.r.live.get(); snap != nil {
		m := record.Marker{Hash: told.Hash, Epoch: told.Epoch, Revision: told.Revision}
		if s := snap.Marker(); s.Hash == m.Hash && s.After(m) {
			told.Epoch, told.Revision = s.Epoch, s.Revision
		}
	}
	c.r.board.put(c.partition, *told)
	c.state.show(*told)
}
