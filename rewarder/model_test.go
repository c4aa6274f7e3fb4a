package rewarder

import (
	"fmt"
	"math/bits"
	"os"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

// The model explores, exhaustively within its bounds, one partition and two members of the group
// that share nothing but the log, the store and the committed offset. Members stop at any point
// and go on later, also after the other one has the partition; they crash with work in hand;
// nothing fences their writes, markers or commits; offsets are reset; markers come late and
// doubled. What is in force, when a marker is due and which offset may be committed is decided by
// the very functions of inforce.go.
//
// In every state that can be reached:
//   - every write of a record's row carries one rule set,
//   - rule sets never go back along the log,
//   - every record below the committed offset has its row.

const maxLog = 6

// bounds limit what happens in a run.
type bounds struct {
	records, changes, starts, markers, resets int8
}

const (
	nothing     = 0
	transaction = -1 // an entry of the log; a rule marker is its revision
)

type state struct {
	log       [maxLog]int8
	end       int8
	live      int8 // the rules' revision in etcd; each has a rule set of its own
	committed int8
	first     int8         // the row at offset -1
	marks     [maxLog]int8 // marker rows: what is in force from the offset on
	rows      [maxLog]uint8
	members   [2]member
	starts    int8
	resets    int8
}

// member is a rewarder that has, or believes that it has, the partition.
type member struct {
	on      bool
	start   int8 // the committed offset that it began at
	pos     int8 // the next offset that it reads
	force   int8
	base    int8         // of its tracker
	writes  [maxLog]int8 // with which rules it writes an offset that it has read
	durable uint8        // offsets whose write has ended
	wants   int8         // the marker that it is about to send
}

// steps are the decisions that the mutations leave out.
type steps struct {
	take     func(member int, inForce, m record.Marker) (record.Marker, bool)
	row      func(inForce, m record.Marker) record.Marker // what a marker's row holds
	first    func(fixed, live int8) int8
	position func(m member) int8 // what a member commits
	early    bool                // a marker counts as durable once it is read
}

func rightSteps() steps {
	return steps{
		take:     func(_ int, inForce, m record.Marker) (record.Marker, bool) { return take(inForce, m) },
		row:      func(inForce, _ record.Marker) record.Marker { return inForce },
		first:    func(fixed, _ int8) int8 { return fixed },
		position: func(m member) int8 { return m.base },
	}
}

func marker(revision int8) record.Marker {
	return record.Marker{Hash: loyalty.Hash{byte(revision)}, Epoch: 1, Revision: int64(revision)}
}

// before is Store.MarkerBefore.
func (s *state) before(offset int8, s2 steps) int8 {
	for o := offset - 1; o >= 0; o-- {
		if s.marks[o] != nothing {
			return s.marks[o]
		}
	}
	return s2.first(s.first, s.live)
}

// finish ends the write of an offset in the member's tracker.
func (m *member) finish(offset int8) {
	m.durable |= 1 << offset
	t := tracker{base: int64(m.base)}
	for o := m.base; o < m.pos; o++ {
		number := t.add(int64(o) + 1)
		if o != offset && m.durable&(1<<o) != 0 {
			t.works[number].durable = true
		}
	}
	t.finish(uint64(offset - m.base))
	m.base = int8(t.base)
}

func (s *state) markers() (n int8) {
	for _, e := range s.log[:s.end] {
		if e != transaction {
			n++
		}
	}
	return n
}

// next calls f with every state that can follow.
func (s state) next(b bounds, st steps, f func(step string, s state)) {
	markers := s.markers()
	if s.end-markers < b.records {
		n := s
		n.log[n.end] = transaction
		n.end++
		f("arrive", n)
	}
	if s.live <= b.changes {
		n := s
		n.live++
		f("edit", n)
	}
	if s.resets < b.resets {
		for to := range s.committed {
			n := s
			n.committed = to
			n.resets++
			f("reset", n)
		}
	}
	for i, m := range s.members {
		with := func(step string, m member, change func(*state)) {
			n := s
			n.members[i] = m
			if change != nil {
				change(&n)
			}
			f(step+string(rune('A'+i)), n)
		}
		if s.starts < b.starts {
			n := s
			if n.first == nothing { // Store.FixFirst
				n.first = n.live
			}
			n.starts++
			n.members[i] = member{on: true, start: s.committed, pos: s.committed, base: s.committed, force: n.before(s.committed, st)}
			f("start"+string(rune('A'+i)), n)
		}
		if !m.on {
			continue
		}
		with("crash", member{}, nil)
		if m.wants == nothing && markers < b.markers && due(marker(s.live), marker(m.force)) {
			n := m
			n.wants = s.live
			with("decide", n, nil)
		}
		if m.wants != nothing && markers < b.markers {
			n := m
			n.wants = nothing
			with("send", n, func(s *state) {
				s.log[s.end] = m.wants
				s.end++
			})
		}
		if m.pos < s.end {
			n := m
			n.pos++
			if e := s.log[m.pos]; e == transaction {
				n.writes[m.pos] = m.force
			} else {
				inForce, _ := st.take(i, marker(m.force), marker(e))
				n.force = int8(inForce.Revision)
				n.writes[m.pos] = int8(st.row(inForce, marker(e)).Revision)
				if st.early {
					n.finish(m.pos)
				}
			}
			with("read", n, nil)
		}
		for o := m.start; o < m.pos; o++ {
			if m.writes[o] == nothing {
				continue
			}
			n := m
			n.writes[o] = nothing
			if n.durable&(1<<o) == 0 {
				n.finish(o)
			}
			with("write", n, func(s *state) {
				if s.log[o] == transaction {
					s.rows[o] |= 1 << m.writes[o]
				} else {
					s.marks[o] = m.writes[o]
				}
			})
		}
		if p := st.position(m); p > m.start && p != s.committed {
			with("commit", m, func(s *state) { s.committed = p })
		}
	}
}

// broken says which promise a state breaks.
func (s *state) broken() string {
	last := uint8(0)
	for o, rules := range s.rows[:s.end] {
		switch {
		case bits.OnesCount8(rules) > 1:
			return fmt.Sprintf("offset %d was written under two rule sets", o)
		case rules != 0 && rules < last:
			return fmt.Sprintf("offset %d was written under older rules than one before it", o)
		case rules == 0 && s.log[o] == transaction && int8(o) < s.committed:
			return fmt.Sprintf("offset %d is lost: it is committed and has no row", o)
		}
		last = max(last, rules)
	}
	return ""
}

// explore visits every state, breadth first, until one is broken. It returns what is broken, with
// the shortest way there.
func explore(b bounds, st steps) (states int, broken string) {
	type from struct {
		state state
		step  string
	}
	init := state{live: 1}
	seen := map[state]from{init: {}}
	queue := []state{init}
	for len(queue) > 0 && broken == "" {
		s := queue[0]
		queue = queue[1:]
		if why := s.broken(); why != "" {
			var path []string
			for at := s; at != init; at = seen[at].state {
				path = append([]string{seen[at].step}, path...)
			}
			return len(seen), why + " after " + strings.Join(path, " ")
		}
		s.next(b, st, func(step string, n state) {
			if _, ok := seen[n]; !ok {
				seen[n] = from{s, step}
				queue = append(queue, n)
			}
		})
	}
	return len(seen), ""
}

func TestModel(t *testing.T) {
	b, want := bounds{records: 1, changes: 2, starts: 3, markers: 2, resets: 1}, 544_579
	if os.Getenv("ANGELOWL_LONG") != "" { // a minute, 2 GB
		b.records, want = 2, 6_807_986
	}
	states, broken := explore(b, rightSteps())
	if broken != "" {
		t.Fatal(broken)
	}
	if states != want { // a model that cannot move breaks no promise
		t.Errorf("%d states were explored, not %d", states, want)
	}
}

func TestModelCatchesEveryStepThatIsLeftOut(t *testing.T) {
	always := func(_ int, _, m record.Marker) (record.Marker, bool) { return m, true }
	tests := []struct {
		name    string
		mutate  func(*steps)
		want    string
		records int8
	}{
		{"the revision check, in every member", func(s *steps) { s.take = always }, "older rules", 2},
		{"the revision check, in one member", func(s *steps) {
			s.take = func(i int, inForce, m record.Marker) (record.Marker, bool) {
				if i == 0 {
					return always(i, inForce, m)
				}
				return take(inForce, m)
			}
		}, "two rule sets", 1},
		{"the durable row of a marker", func(s *steps) { s.early = true }, "two rule sets", 1},
		{"the row of an ignored marker holds what is in force", func(s *steps) {
			s.row = func(_, m record.Marker) record.Marker { return m }
		}, "two rule sets", 1},
		{"the order of commits: past work that is under way", func(s *steps) {
			s.position = func(m member) int8 { return int8(bits.Len8(m.durable)) }
		}, "is lost", 2},
		{"the order of commits: past what was only read", func(s *steps) {
			s.position = func(m member) int8 { return m.pos }
		}, "is lost", 1},
		{"the fixed row at offset -1", func(s *steps) {
			s.first = func(_, live int8) int8 { return live }
		}, "two rule sets", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := rightSteps()
			tt.mutate(&st)
			states, broken := explore(bounds{records: tt.records, changes: 2, starts: 3, markers: 2, resets: 1}, st)
			if !strings.Contains(broken, tt.want) {
				t.Errorf("explored %d states and found %q, want %q", states, broken, tt.want)
			}
			t.Logf("%d states: %s", states, broken)
		})
	}
}
