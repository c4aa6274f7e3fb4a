package ops

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/rewarder"
)

// From says from where the log is read again: from its start, from an offset of each partition
// that is named, or from a time.
type From struct {
	Start   bool
	Offsets map[int32]int64
	Time    time.Time
}

var offsetsForm = regexp.MustCompile(`^\d+:\d+(,\d+:\d+)*$`)

// ParseFrom reads "start", "PARTITION:OFFSET,…" or a time by RFC 3339.
func ParseFrom(text string) (From, error) {
	switch {
	case text == "start":
		return From{Start: true}, nil
	case offsetsForm.MatchString(text):
		f := From{Offsets: map[int32]int64{}}
		for part := range strings.SplitSeq(text, ",") {
			p, o, _ := strings.Cut(part, ":")
			partition, err := strconv.ParseInt(p, 10, 32)
			if err != nil {
				return From{}, fmt.Errorf("there is no partition %s", p)
			}
			offset, err := strconv.ParseInt(o, 10, 64)
			if err != nil {
				return From{}, fmt.Errorf("there is no offset %s", o)
			}
			if _, twice := f.Offsets[int32(partition)]; twice {
				return From{}, fmt.Errorf("partition %d is named twice", partition)
			}
			f.Offsets[int32(partition)] = offset
		}
		return f, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return From{}, fmt.Errorf("%q is neither start, nor offsets such as 0:123,1:0, nor a time such as 2026-01-31T00:00:00+08:00", text)
	}
	return From{Time: t}, nil
}

// ErrForward says that a replay would skip records.
var ErrForward = errors.New("a replay only goes back: going forward would skip records, and they would never be rewarded")

// offsets is where each partition is to be read again from. Partitions that have nothing to be
// read again are left out. ByTime finds the first record of a partition from a time on, -1: none.
func (f From) offsets(lags []rewarder.PartitionLag, byTime func(partition int32, t time.Time) (int64, error)) (map[int32]int64, error) {
	to := map[int32]int64{}
	known := map[int32]bool{}
	for _, l := range lags {
		known[l.Partition] = true
		read := max(l.Committed, l.Start)
		from := l.Start
		switch {
		case f.Start:
		case f.Offsets != nil:
			offset, named := f.Offsets[l.Partition]
			switch {
			case !named:
				continue
			case offset > read:
				return nil, fmt.Errorf("partition %d is read up to offset %d and cannot go on at %d: %w", l.Partition, read, offset, ErrForward)
			case offset < l.Start:
				return nil, fmt.Errorf("partition %d begins at offset %d: what was before is not there any more", l.Partition, l.Start)
			}
			from = offset
		default:
			offset, err := byTime(l.Partition, f.Time)
			if err != nil {
				return nil, fmt.Errorf("finding the offset of %s in partition %d: %w", f.Time.Format(time.RFC3339), l.Partition, err)
			}
			if offset < 0 {
				continue
			}
			from = max(offset, l.Start)
		}
		if from < read {
			to[l.Partition] = from
		}
	}
	for p := range f.Offsets {
		if !known[p] {
			return nil, fmt.Errorf("there is no partition %d; there are %d", p, len(lags))
		}
	}
	return to, nil
}

// Replayed says what a replay did.
type Replayed struct {
	From    map[int32]int64 // by partition; empty: there was nothing to read again
	Records int64           // read again
}

// Partitions are those that were read again.
func (r Replayed) Partitions() []int32 { return slices.Sorted(maps.Keys(r.From)) }

// Replay makes the rewarders read records again, and waits until all that was in the log has been
// read. Progress is told how many of how many records are done.
func (s *System) Replay(ctx context.Context, f From, progress func(done, all int64)) (Replayed, error) {
	r := Replayed{}
	lags, err := rewarder.Lag(ctx, s.kafka, stack.Group, record.Topic)
	if err != nil {
		return r, err
	}
	r.From, err = f.offsets(lags, func(p int32, t time.Time) (int64, error) {
		return s.kafka.GetOffset(record.Topic, p, t.UnixMilli())
	})
	if err != nil || len(r.From) == 0 {
		return r, err
	}
	var after stack.Replayed
	if err := s.control(ctx, http.MethodPost, "/replay", stack.Replay{To: r.From}, &after); err != nil {
		return r, fmt.Errorf("having the log read again: %w", err)
	}
	r.Records = behind(after.Lag, after.Lag)
	return r, s.until(ctx, func() (bool, error) {
		now, err := rewarder.Lag(ctx, s.kafka, stack.Group, record.Topic)
		if err != nil {
			return false, err
		}
		left := behind(now, after.Lag)
		progress(r.Records-left, r.Records)
		return left == 0, nil
	})
}

// behind is how many records are still to be read up to where the log ended at some time.
func behind(now, then []rewarder.PartitionLag) (n int64) {
	ends := map[int32]int64{}
	for _, l := range then {
		ends[l.Partition] = l.End
	}
	for _, l := range now {
		n += max(ends[l.Partition]-max(l.Committed, l.Start), 0)
	}
	return n
}

// until calls f until it is done, fails or ctx ends. A system that has gone meanwhile is not
// waited for.
func (s *System) until(ctx context.Context, f func() (bool, error)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := f()
		if err != nil {
			if gone := s.alive(ctx); gone != nil {
				return fmt.Errorf("it was stopped meanwhile; what is left is read after the next start: %w", gone)
			}
			return err
		}
		if done {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
