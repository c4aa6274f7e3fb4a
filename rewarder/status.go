package rewarder

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
)

// States of a rewarder and of its partitions.
const (
	stateStarting  = "starting"
	stateWaiting   = "waiting for rules"
	stateConsuming = "consuming"
	statePaused    = "paused"
	stateDraining  = "draining"
)

// StatePaused is the state of a rewarder that waits for another system.
const StatePaused = statePaused

var states = []string{stateStarting, stateWaiting, stateConsuming, statePaused, stateDraining}

// Status is what GET /health answers.
type Status struct {
	Status       string            `json:"status"` // OK: the process works; what it works on is its state
	State        string            `json:"state"`  // the worst of its partitions'
	Reason       string            `json:"reason,omitempty"`
	Rewarder     string            `json:"rewarder"`
	Topic        string            `json:"topic"`
	Rules        *LiveRules        `json:"rules"`                   // the newest in etcd; null until there are some
	RulesProblem string            `json:"rules_problem,omitempty"` // why they are not the newest
	Partitions   []PartitionStatus `json:"partitions"`
}

// LiveRules names a rule set in etcd.
type LiveRules struct {
	Hash     loyalty.Hash `json:"hash"`
	Epoch    int64        `json:"epoch"`
	Revision int64        `json:"revision"`
}

// PartitionStatus is the work on one partition.
type PartitionStatus struct {
	Partition  int32             `json:"partition"`
	State      string            `json:"state"`
	Reason     string            `json:"reason,omitempty"`
	RuleChange string            `json:"rule_change,omitempty"` // why a change cannot be announced
	InForce    *rulebook.InForce `json:"in_force"`
	Read       int64             `json:"read"`    // the next offset to read
	Durable    int64             `json:"durable"` // everything below is stored or set aside
	end        int64
	oldest     int64
	rate       *float64
}

// status is what the rewarder knows of itself.
type status struct {
	joined    atomic.Bool  // whether it has been in the group since it began
	retention atomic.Int64 // how long the topic keeps a record, in ms; 0: for good, or not known
	confirmed atomic.Int64 // when etcd last said that the rules are the newest, in ms; 0: never

	mu         sync.Mutex
	state      string
	reason     string
	problem    string
	partitions map[int32]*partition
}

func newStatus() *status {
	return &status{state: stateStarting, partitions: map[int32]*partition{}}
}

// set says how the rewarder as a whole is.
func (s *status) set(state, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.reason = state, reason
}

func (s *status) setProblem(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem = ""; err != nil {
		s.problem = err.Error()
	}
}

func (s *status) begin(number int32) *partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &partition{number: number, state: stateStarting}
	s.partitions[number] = p
	return p
}

func (s *status) end(p *partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.partitions[p.number] == p {
		delete(s.partitions, p.number)
	}
}

func (s *status) get() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Status{Status: "OK", State: s.state, Reason: s.reason, RulesProblem: s.problem, Partitions: []PartitionStatus{}}
	for _, p := range s.partitions {
		out.Partitions = append(out.Partitions, p.status())
	}
	slices.SortFunc(out.Partitions, func(a, b PartitionStatus) int { return int(a.Partition - b.Partition) })
	for _, state := range []string{stateWaiting, statePaused} {
		for _, p := range out.Partitions {
			if p.State == state {
				out.State, out.Reason = state, fmt.Sprintf("partition %d: %s", p.Partition, p.Reason)
			}
		}
	}
	return out
}

// working are the partitions that the rewarder has.
func (s *status) working() []*partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.partitions))
}

// partition is the state of a claim.
type partition struct {
	number  int32
	read    atomic.Int64
	durable atomic.Int64
	end     atomic.Int64 // of the partition, as it was at the last look
	oldest  atomic.Int64 // when the record at durable was written, at that look, in ms; 0: there was none

	mu         sync.Mutex
	state      string
	reason     string
	paused     int // how many writers cannot go on
	why        string
	ruleChange string
	inForce    *rulebook.InForce
	looked     time.Time // when the rate was counted last
	then       int64     // durable at that time
	rate       *float64  // records made durable a second, between the last two looks; nil: there were not two
}

func (p *partition) set(state, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.reason = state, reason
}

// pause says that a writer cannot go on, and whether it is the only one.
func (p *partition) pause(why string) (only bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused++
	p.why = why
	return p.paused == 1
}

func (p *partition) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused--
}

func (p *partition) setRuleChange(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ruleChange = why
}

func (p *partition) show(f rulebook.InForce) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inForce = &f
}

// count counts the rate.
func (p *partition) count(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	durable := p.durable.Load()
	if took := now.Sub(p.looked); !p.looked.IsZero() && took > 0 {
		rate := math.Round(float64(max(durable-p.then, 0))/took.Seconds()*10) / 10
		p.rate = &rate
	}
	p.looked, p.then = now, durable
}

func (p *partition) status() PartitionStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := PartitionStatus{
		Partition: p.number, State: p.state, Reason: p.reason, RuleChange: p.ruleChange,
		InForce: p.inForce, Read: p.read.Load(), Durable: p.durable.Load(), end: p.end.Load(), oldest: p.oldest.Load(), rate: p.rate,
	}
	if p.paused > 0 {
		s.State, s.Reason = statePaused, p.why
	}
	return s
}

// Status is the rewarder's status now.
func (r *rewarder) Status() Status {
	s := r.status.get()
	s.Rewarder, s.Topic = r.cfg.Name, r.cfg.Topic
	if snap, _ := r.live.get(); snap != nil {
		s.Rules = &LiveRules{snap.Hash, snap.Epoch, snap.Revision}
	}
	return s
}

// Said is what a rewarder says of itself in etcd.
type Said struct {
	Name         string          `json:"name"`
	State        string          `json:"state"`
	Reason       string          `json:"reason,omitempty"`
	RulesProblem string          `json:"rules_problem,omitempty"`
	Partitions   []SaidPartition `json:"partitions"`
}

// SaidPartition is a partition that a rewarder works on, as of its last look (CheckEvery).
type SaidPartition struct {
	Partition    int32     `json:"partition"`
	RuleChange   string    `json:"rule_change,omitempty"`  // why a change cannot be announced
	Rate         *float64  `json:"rate"`                   // records made durable a second; null: not known yet
	OldestUnread time.Time `json:"oldest_unread,omitzero"` // when the oldest record that is not durable was written
}

// say is what the rewarder says of itself. It changes no more often than what it looks at.
func (r *rewarder) say() Said {
	s := r.status.get()
	out := Said{Name: r.cfg.Name, State: s.State, Reason: s.Reason, RulesProblem: s.RulesProblem, Partitions: []SaidPartition{}}
	for _, p := range s.Partitions {
		q := SaidPartition{Partition: p.Partition, RuleChange: p.RuleChange, Rate: p.rate}
		if p.oldest > 0 {
			q.OldestUnread = time.UnixMilli(p.oldest).UTC()
		}
		out.Partitions = append(out.Partitions, q)
	}
	return out
}

// handler serves GET /health, /readyz and /metrics, and, where there are some, the routes of ops. It is
// ready once it has been in the group: a restart of one rewarder after another waits for that. That a
// store is away is no reason to stop one.
func (r *rewarder) handler(ops http.Handler, more *metrics.Set) http.Handler {
	mux := http.NewServeMux()
	if ops != nil {
		mux.Handle("/ops/", ops)
		mux.Handle("/swagger/", ops)
	}
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(r.Status()) // whoever asked has gone
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		status := `{"status":"ready"}`
		if !r.status.joined.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			status = `{"status":"joining the consumer group"}`
		}
		_, _ = w.Write([]byte(status + "\n"))
	})
	mux.Handle("GET /metrics", metrics.Join(r.shown, more))
	return mux
}
