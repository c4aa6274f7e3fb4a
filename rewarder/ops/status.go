package ops

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/rewarder"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Status is how the system is. Its JSON is for programs: fields are added, never changed.
type Status struct {
	Healthy      bool                `json:"healthy"`  // every part does its work
	Problems     []string            `json:"problems"` // what does not, in plain words
	At           time.Time           `json:"at"`
	Lag          int64               `json:"lag"`                   // records to be read, all partitions together
	Rate         float64             `json:"rate"`                  // records read a second, all partitions together
	OldestUnread int64               `json:"oldest_unread_seconds"` // the highest of the partitions'
	Rules        *rewarder.LiveRules `json:"rules"`                 // as published; null until there are some
	Partitions   []Partition         `json:"partitions"`
	Rewarders    []Rewarder          `json:"rewarders"` // that are alive, by name
	DeadLetters  DeadLetters         `json:"dead_letters"`
}

// Partition is a partition of the log of transactions.
type Partition struct {
	rewarder.PartitionLag
	Lag          int64    `json:"lag"`
	Rate         *float64 `json:"rate"`                  // records read a second, as its rewarder last counted; null: not known yet
	OldestUnread *int64   `json:"oldest_unread_seconds"` // age of the oldest record to be read; null: not known yet
	InForce      *InForce `json:"in_force"`              // null: no rewarder works on it
}

// InForce is the rule set that a partition has in force.
type InForce struct {
	rulebook.InForce
	Live bool `json:"live"` // it is the one that is published
}

// Rewarder is a rewarder as it says of itself in etcd.
type Rewarder struct {
	Name         string  `json:"name"`
	State        string  `json:"state"`
	Reason       string  `json:"reason"`
	RulesProblem string  `json:"rules_problem"`
	Partitions   []int32 `json:"partitions"` // that it works on
}

// DeadLetters counts dead letters, each once however often it was set aside.
type DeadLetters struct {
	Letters     int64    `json:"letters"`
	Resent      int64    `json:"resent"` // of them: sent again
	ByReason    []Reason `json:"by_reason"`
	NotLookedAt int64    `json:"not_looked_at"` // older records of their topic, which are not counted
}

// Reason counts the dead letters of one reason.
type Reason struct {
	Reason  string `json:"reason"`
	Letters int64  `json:"letters"`
	Resent  int64  `json:"resent"`
}

// Problem adds one.
func (st *Status) Problem(format string, args ...any) {
	st.Problems = append(st.Problems, fmt.Sprintf(format, args...))
}

// Status looks at everything. An error says that it could not be read.
func (d *Desk) Status(ctx context.Context) (*Status, error) {
	st, said, err := d.log(ctx)
	if err != nil {
		return nil, err
	}
	st.JudgeLog()
	for _, s := range said {
		st.say(s)
	}
	st.Healthy = len(st.Problems) == 0
	return st, nil
}

// Log looks at everything but the rewarders. Whoever asks for it knows them, and judges.
func (d *Desk) Log(ctx context.Context) (*Status, error) {
	st, _, err := d.log(ctx)
	return st, err
}

func (d *Desk) log(ctx context.Context) (*Status, []rewarder.Said, error) {
	st := &Status{Problems: []string{}, At: d.clock().UTC(), Partitions: []Partition{}, Rewarders: []Rewarder{}}
	if err := d.rules(ctx, st); err != nil {
		return nil, nil, err
	}
	said, err := d.said(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := d.partitions(ctx, st, said); err != nil {
		return nil, nil, err
	}
	return st, said, d.count(ctx, st)
}

func (d *Desk) rules(ctx context.Context, st *Status) error {
	snap, err := rulebook.Load(ctx, d.etcd, d.cfg.Home)
	switch {
	case errors.Is(err, rulebook.ErrEmpty):
		st.Problem("there are no rules yet: nothing is rewarded until there are")
		return nil
	case err != nil:
		if ctx.Err() != nil {
			return fmt.Errorf("%w: reading the rules: %w", ErrAway, context.Cause(ctx))
		}
		st.Problem("the published rules cannot be read: %v", err)
		return nil
	}
	st.Rules = &rewarder.LiveRules{Hash: snap.Rules.Hash(), Epoch: snap.Epoch, Revision: snap.Revision}
	return nil
}

// InForceOf is what rewarders say in etcd of each partition of a topic.
func InForceOf(ctx context.Context, cli *clientv3.Client, topic string) (map[int32]rulebook.InForce, error) {
	prefix := rulebook.InForcePrefix + topic + "/"
	got, err := cli.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("%w: reading what is in force: %w", ErrAway, err)
	}
	out := make(map[int32]rulebook.InForce, len(got.Kvs))
	for _, kv := range got.Kvs {
		p, err := strconv.ParseInt(string(kv.Key[len(prefix):]), 10, 32)
		if err != nil {
			continue
		}
		var f rulebook.InForce
		if err := json.Unmarshal(kv.Value, &f); err != nil {
			return nil, fmt.Errorf("reading what partition %d has in force: %w", p, err)
		}
		out[int32(p)] = f
	}
	return out, nil
}

// said are the rewarders that are alive, by name, as they say of themselves.
func (d *Desk) said(ctx context.Context) ([]rewarder.Said, error) {
	got, err := d.etcd.Get(ctx, rulebook.RewarderPrefix+d.cfg.Topic+"/", clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("%w: reading which rewarders are alive: %w", ErrAway, err)
	}
	var out []rewarder.Said
	for _, kv := range got.Kvs {
		var s rewarder.Said
		if err := json.Unmarshal(kv.Value, &s); err != nil {
			return nil, fmt.Errorf("reading what %s says: %w", kv.Key, err)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b rewarder.Said) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (d *Desk) partitions(ctx context.Context, st *Status, said []rewarder.Said) error {
	client, err := d.kafka()
	if err != nil {
		return err
	}
	lags, err := rewarder.Lag(ctx, client, d.cfg.Group, d.cfg.Topic)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	inForce, err := InForceOf(ctx, d.etcd, d.cfg.Topic)
	if err != nil {
		return err
	}
	for _, l := range lags {
		p := Partition{PartitionLag: l, Lag: l.Records()}
		f, worked := inForce[l.Partition]
		if worked {
			p.InForce = &InForce{f, st.Rules != nil && f.Hash == st.Rules.Hash}
		}
		if p.Lag == 0 {
			p.OldestUnread = new(int64)
		}
		for _, s := range said {
			i := slices.IndexFunc(s.Partitions, func(q rewarder.SaidPartition) bool { return q.Partition == l.Partition })
			if i < 0 || worked && f.Rewarder != s.Name { // it has just given it away
				continue
			}
			p.Rate = s.Partitions[i].Rate
			if at := s.Partitions[i].OldestUnread; p.Lag > 0 && !at.IsZero() {
				age := max(int64(st.At.Sub(at).Seconds()), 0)
				p.OldestUnread = &age
			}
		}
		st.Lag += p.Lag
		if p.Rate != nil {
			st.Rate += *p.Rate
		}
		if p.OldestUnread != nil {
			st.OldestUnread = max(st.OldestUnread, *p.OldestUnread)
		}
		st.Partitions = append(st.Partitions, p)
	}
	return nil
}

// JudgeLog says what is wrong with the work on the log. What waits for its turn is no problem: records
// to be read, rules on their way, dead letters and refused rows, which are work for a person.
func (st *Status) JudgeLog() {
	for _, p := range st.Partitions {
		if p.InForce == nil && st.Rules != nil {
			st.Problem("no rewarder works on partition %d", p.Partition)
		}
		if p.Committed >= 0 && p.Committed < p.Start {
			st.Problem("partition %d was read up to offset %d and begins at %d: records were deleted before they were read", p.Partition, p.Committed, p.Start)
		}
	}
}

// say takes over what a rewarder says.
func (st *Status) say(s rewarder.Said) {
	r := Rewarder{Name: s.Name, State: s.State, Reason: s.Reason, RulesProblem: s.RulesProblem, Partitions: []int32{}}
	for _, p := range s.Partitions {
		r.Partitions = append(r.Partitions, p.Partition)
	}
	st.Rewarders = append(st.Rewarders, r)
	st.Judge(s)
}

// Judge says what is wrong with a rewarder.
func (st *Status) Judge(s rewarder.Said) {
	if s.State == rewarder.StatePaused {
		st.Problem("%s pauses: %s", s.Name, s.Reason)
	}
	if s.RulesProblem != "" && st.Rules != nil {
		st.Problem("%s does not have the newest rules: %s", s.Name, s.RulesProblem)
	}
	for _, p := range s.Partitions {
		if p.RuleChange != "" {
			st.Problem("%s cannot announce a change of the rules in partition %d: %s", s.Name, p.Partition, p.RuleChange)
		}
	}
}

// count counts the dead letters.
func (d *Desk) count(ctx context.Context, st *Status) error {
	if err := d.take(ctx); err != nil {
		return err
	}
	defer d.give()
	if err := d.refresh(ctx); err != nil {
		return err
	}
	counts := map[string]Reason{}
	for at, l := range d.index.letters {
		r := counts[l.Reason]
		r.Reason = l.Reason
		r.Letters++
		st.DeadLetters.Letters++
		if len(d.index.marks[at]) > 0 {
			r.Resent++
			st.DeadLetters.Resent++
		}
		counts[l.Reason] = r
	}
	st.DeadLetters.NotLookedAt = d.index.notLookedAt
	st.DeadLetters.ByReason = []Reason{}
	for _, r := range counts {
		st.DeadLetters.ByReason = append(st.DeadLetters.ByReason, r)
	}
	slices.SortFunc(st.DeadLetters.ByReason, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), strings.Compare(a.Reason, b.Reason))
	})
	if d.index.strange > 0 {
		st.Problem("%d records of the dead letters' topic are neither dead letters nor marks of them: somebody else writes to it", d.index.strange)
	}
	return nil
}
