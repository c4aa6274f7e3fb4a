package rewarder

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

func TestTake(t *testing.T) {
	inForce := record.Marker{Hash: loyalty.Hash{1}, Epoch: 5, Revision: 10}
	tests := []struct {
		name            string
		epoch, revision int64
		takes           bool
	}{
		{"a later revision", 5, 11, true},
		{"the same again", 5, 10, false},
		{"an earlier revision", 5, 9, false},
		{"a rebuilt etcd begins at low revisions", 6, 1, true},
		{"the etcd of before, however far it got", 4, 99, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := record.Marker{Hash: loyalty.Hash{2}, Epoch: tt.epoch, Revision: tt.revision}
			got, took := take(inForce, m)
			want := inForce
			if tt.takes {
				want = m
			}
			if took != tt.takes || got != want {
				t.Errorf("take: %v %t, want %v %t", got, took, want, tt.takes)
			}
		})
	}
}

func TestDue(t *testing.T) {
	newest := record.Marker{Hash: loyalty.Hash{1}, Epoch: 5, Revision: 10}
	tests := []struct {
		name string
		live record.Marker
		want bool
	}{
		{"an edit", record.Marker{Hash: loyalty.Hash{2}, Epoch: 5, Revision: 11}, true},
		{"an edit that changed nothing", record.Marker{Hash: loyalty.Hash{1}, Epoch: 5, Revision: 11}, false},
		{"a mirror that lags behind the log", record.Marker{Hash: loyalty.Hash{2}, Epoch: 5, Revision: 9}, false},
		{"what is in force", newest, false},
		{"a rebuilt etcd", record.Marker{Hash: loyalty.Hash{2}, Epoch: 6, Revision: 3}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := due(tt.live, newest); got != tt.want {
				t.Errorf("due: %t, want %t", got, tt.want)
			}
		})
	}
}

// Works of any size, with gaps between them as Kafka may leave, are finished in any order: base
// is always the beginning of the first that is not.
func TestTrackerIsContiguous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(0, 1<<40).Draw(t, "start")
		tr := tracker{base: start}
		type span struct {
			number uint64
			next   int64
			done   bool
		}
		var all []span
		next := start
		want := func() int64 {
			base := start
			for _, s := range all {
				if !s.done {
					break
				}
				base = s.next
			}
			return base
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			var open []int
			for i, s := range all {
				if !s.done {
					open = append(open, i)
				}
			}
			if len(open) == 0 || rapid.Bool().Draw(t, "add") {
				next += rapid.Int64Range(1, 500).Draw(t, "records")
				all = append(all, span{number: tr.add(next), next: next})
				continue
			}
			i := rapid.SampledFrom(open).Draw(t, "finish")
			before := tr.base
			moved := tr.finish(all[i].number)
			all[i].done = true
			if tr.base != want() {
				t.Fatalf("base is %d, want %d", tr.base, want())
			}
			if moved != (tr.base != before) {
				t.Fatalf("finish says %t, base went from %d to %d", moved, before, tr.base)
			}
		}
	})
}

func TestTrackerKeepsNoFinishedWork(t *testing.T) {
	var tr tracker
	for i := range 1_000_000 {
		tr.finish(tr.add(int64(i) + 1))
	}
	if tr.base != 1_000_000 || len(tr.works) != 0 || cap(tr.works) > 8 {
		t.Errorf("base %d, %d works, room for %d", tr.base, len(tr.works), cap(tr.works))
	}
}
