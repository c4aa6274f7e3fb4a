package poison_test

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// pans are card numbers of 16 digits that may not be found anywhere.
type pans map[uint64]bool

const panDigits = 16

func (p pans) add(pan string) {
	n, err := strconv.ParseUint(pan, 10, 64)
	if err != nil || len(pan) != panDigits {
		panic("not a card number of 16 digits: " + pan)
	}
	p[n] = true
}

// find returns the first of them that bytes have, digit by digit with at most one byte between two
// that is a space, a hyphen or NUL.
func (p pans) find(b []byte) (pan uint64, found bool) {
	const most = 1e16
	var n uint64
	digits, gap := 0, 0
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			n = (n*10 + uint64(c-'0')) % most
			gap = 0
			if digits++; digits >= panDigits && p[n] {
				return n, true
			}
		case digits > 0 && gap == 0 && (c == ' ' || c == '-' || c == 0):
			gap = 1
		default:
			n, digits, gap = 0, 0, 0
		}
	}
	return 0, false
}

func (p pans) notIn(t *testing.T, what string, b []byte) {
	t.Helper()
	if pan, found := p.find(b); found {
		t.Errorf("%s has the card number %d", what, pan)
	}
}

// inFiles counts the files below a folder that have any of them.
func (p pans) inFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if _, found := p.find(b); found {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// notInStore looks at every key and every operand of the reward store, whose files are compressed.
func (p pans) notInStore(t *testing.T, dir string) (keys, bytes int) {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{
		ReadOnly: true, FormatMajorVersion: pebble.FormatNewest, Logger: quiet{},
		// Of the name that the store has, so that it opens; but it keeps what loses too.
		Merger: &pebble.Merger{Name: "angelowl.earliest.v1", Merge: func(_, value []byte) (pebble.ValueMerger, error) {
			return &everything{append([]byte(nil), value...)}, nil
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.First(); rows.Valid(); rows.Next() {
		value, err := rows.ValueAndErr()
		if err != nil {
			t.Fatal(err)
		}
		keys++
		bytes += len(rows.Key()) + len(value)
		p.notIn(t, "a key of the reward store", rows.Key())
		p.notIn(t, "a row of the reward store", value)
	}
	if err := rows.Error(); err != nil {
		t.Fatal(err)
	}
	return keys, bytes
}

// everything merges operands by keeping all of them.
type everything struct{ all []byte }

func (e *everything) MergeNewer(value []byte) error { return e.MergeOlder(value) }
func (e *everything) MergeOlder(value []byte) error {
	e.all = append(append(e.all, 'x'), value...)
	return nil
}
func (e *everything) Finish(bool) ([]byte, io.Closer, error) { return e.all, nil, nil }

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic("the reward store cannot be read: " + format)
}
