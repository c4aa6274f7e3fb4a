package emailer

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/profile"
)

const (
	// sortBytes are how many bytes of items are sorted in memory, and then written as a run.
	sortBytes = 1 << 20
	// mostRuns are merged at once.
	mostRuns = 32
	// bufferBytes are for reading or writing one run.
	bufferBytes = 16 << 10
)

// item is a reward, as much of it as a mail needs.
type item struct {
	place [52]byte // what it is sorted by: account, card, date from the newest on, id
	key   profile.RowKey
	line
}

// line is what a mail says of a reward.
type line struct {
	Date      loyalty.Date
	Merchant  string
	Amount    string // with its currency
	Card      string // the last digits
	Programme string
	Units     int64
	Unit      string
	Decimals  uint8
	Reason    string
}

func itemOf(user uuid.UUID, key profile.RowKey, r *loyalty.Reward) item {
	it := item{key: key, line: line{
		Date: r.Date, Merchant: r.Merchant, Amount: r.Money().String(), Card: r.CardPAN[max(0, len(r.CardPAN)-4):],
		Programme: r.Trace.Programme, Units: r.Units.Value, Unit: r.Trace.Unit, Decimals: r.Units.Digits, Reason: r.Remarks,
	}}
	copy(it.place[:], user[:])
	copy(it.place[16:], r.CardID[:])
	binary.BigEndian.PutUint32(it.place[32:], ^(uint32(r.Date) ^ 1<<31))
	copy(it.place[36:], r.ID[:])
	return it
}

func (it *item) user() uuid.UUID { return uuid.UUID(it.place[:16]) }

// sorter sorts items on disk, in memory that does not grow with them.
type sorter struct {
	dir  string
	buf  []byte   // encoded items
	ends []int    // where each ends
	runs []string // files of sorted items
	made int
}

func newSorter(dir string) (*sorter, error) {
	own, err := os.MkdirTemp(dir, "emailer-")
	if err != nil {
		return nil, fmt.Errorf("making room to sort rewards: %w", err)
	}
	return &sorter{dir: own}, nil
}

// close removes the files.
func (s *sorter) close() error { return os.RemoveAll(s.dir) }

// An encoded item is its place, its key, the length of its line as 4 bytes, and the line in JSON.
const fixed = 52 + 16 + 4

func (s *sorter) add(it item) error {
	text, err := json.Marshal(it.line)
	if err != nil {
		return fmt.Errorf("sorting rewards: %w", err)
	}
	if len(s.buf)+fixed+len(text) > sortBytes && len(s.ends) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.buf = append(append(s.buf, it.place[:]...), it.key[:]...)
	s.buf = append(binary.BigEndian.AppendUint32(s.buf, uint32(len(text))), text...)
	s.ends = append(s.ends, len(s.buf))
	return nil
}

// spill writes a run of what is in memory.
func (s *sorter) spill() error {
	items := make([][]byte, len(s.ends))
	begin := 0
	for i, end := range s.ends {
		items[i], begin = s.buf[begin:end], end
	}
	slices.SortFunc(items, func(a, b []byte) int { return bytes.Compare(a[:52], b[:52]) })
	err := s.write(func(w io.Writer) error {
		for _, it := range items {
			if _, err := w.Write(it); err != nil {
				return err
			}
		}
		return nil
	})
	s.buf, s.ends = s.buf[:0], s.ends[:0]
	if err != nil || len(s.runs) < mostRuns {
		return err
	}
	old := s.runs
	s.runs = nil
	err = s.write(func(w io.Writer) error {
		return merge(old, func(raw []byte) error {
			_, err := w.Write(raw)
			return err
		})
	})
	for _, name := range old {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

func (s *sorter) write(fill func(io.Writer) error) (err error) {
	s.made++
	name := filepath.Join(s.dir, fmt.Sprint(s.made))
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("sorting rewards: %w", err)
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			err = fmt.Errorf("sorting rewards: %w", err)
		}
	}()
	w := bufio.NewWriterSize(f, bufferBytes)
	if err := fill(w); err != nil {
		return err
	}
	s.runs = append(s.runs, name)
	return w.Flush()
}

// sorted calls f for all items in order, once. What f returns ends it.
func (s *sorter) sorted(f func(item) error) error {
	if len(s.ends) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	return merge(s.runs, func(raw []byte) error {
		var it item
		copy(it.place[:], raw)
		copy(it.key[:], raw[52:])
		if err := json.Unmarshal(raw[fixed:], &it.line); err != nil {
			return fmt.Errorf("sorting rewards: %w", err)
		}
		return f(it)
	})
}

// run is a file that is read.
type run struct {
	file *os.File
	r    *bufio.Reader
	raw  []byte // the item that it stands at
}

// next reads an item, or returns io.EOF.
func (r *run) next() error {
	r.raw = slices.Grow(r.raw[:0], fixed)[:fixed]
	if _, err := io.ReadFull(r.r, r.raw); err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint32(r.raw[fixed-4:]))
	r.raw = slices.Grow(r.raw, n)[:fixed+n]
	if _, err := io.ReadFull(r.r, r.raw[fixed:]); err != nil {
		return fmt.Errorf("a run ends in an item: %w", err)
	}
	return nil
}

type runs []*run

func (h runs) Len() int           { return len(h) }
func (h runs) Less(i, j int) bool { return bytes.Compare(h[i].raw[:52], h[j].raw[:52]) < 0 }
func (h runs) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runs) Push(x any)        { *h = append(*h, x.(*run)) }
func (h *runs) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// merge calls f for the items of all files in order; the bytes are f's until it returns.
func merge(names []string, f func([]byte) error) (err error) {
	var h runs
	var files []*os.File
	defer func() {
		for _, file := range files {
			err = errors.Join(err, file.Close())
		}
	}()
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("sorting rewards: %w", err)
		}
		files = append(files, file)
		r := &run{file: file, r: bufio.NewReaderSize(file, bufferBytes)}
		if err := r.next(); err != nil {
			return fmt.Errorf("sorting rewards: %w", err)
		}
		h = append(h, r)
	}
	heap.Init(&h)
	for len(h) > 0 {
		if err := f(h[0].raw); err != nil {
			return err
		}
		switch err := h[0].next(); {
		case err == nil:
			heap.Fix(&h, 0)
		case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			heap.Pop(&h)
		default:
			return fmt.Errorf("sorting rewards: %w", err)
		}
	}
	return nil
}
