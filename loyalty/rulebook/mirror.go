package rulebook

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// ErrEmpty says that nobody has published rules yet: the epoch's key is not there.
var ErrEmpty = errors.New("etcd has no rules yet")

// Snapshot is a rule set as etcd has it at a revision.
type Snapshot struct {
	Hash     loyalty.Hash
	Parts    []rules.Part // all parts of the rule set, the root last
	Rules    *rules.Rules // nil until they are compiled; see Watcher.Stored
	Epoch    int64
	Revision int64 // etcd's, of the last change below Prefix
}

// Marker is the marker that puts the snapshot in force.
func (s *Snapshot) Marker() record.Marker {
	return record.Marker{Hash: s.Hash, Epoch: s.Epoch, Revision: s.Revision}
}

// mirror is what stands below Prefix, key by key.
type mirror struct {
	home     loyalty.Currency
	book     *rules.Book
	modified map[string]int64 // each key's ModRevision
	bad      map[string]error // keys whose value cannot be read
	epoch    int64
	revision int64 // the highest ModRevision seen, deletions included
}

func newMirror(home loyalty.Currency) *mirror {
	return &mirror{home: home, book: rules.NewBook(home), modified: map[string]int64{}, bad: map[string]error{}}
}

// put takes over a key's value. A value that cannot be read is remembered as such: there is no
// snapshot until it is mended, because a rule set without it would be one that nobody wrote.
func (m *mirror) put(kv *mvccpb.KeyValue) {
	key := string(kv.Key)
	if m.modified[key] == kv.ModRevision {
		return
	}
	m.modified[key] = kv.ModRevision
	m.revision = max(m.revision, kv.ModRevision)
	delete(m.bad, key)
	if err := m.decode(key, kv.Value); err != nil {
		m.bad[key] = errors.New(loyalty.StarPANs(err.Error()))
	}
}

// remove takes a key away that was deleted at a revision; 0 where that is not known.
func (m *mirror) remove(key string, revision int64) {
	m.revision = max(m.revision, revision)
	delete(m.modified, key)
	delete(m.bad, key)
	if key == EpochKey {
		m.epoch = 0
		return
	}
	if kind, id, ok := SplitKey(key); ok {
		m.drop(kind, id)
	}
}

// replace takes over a whole listing.
func (m *mirror) replace(kvs []*mvccpb.KeyValue) {
	listed := make(map[string]bool, len(kvs))
	for _, kv := range kvs {
		listed[string(kv.Key)] = true
		m.put(kv)
	}
	for key := range maps.Clone(m.modified) {
		if !listed[key] {
			m.remove(key, 0)
		}
	}
}

func (m *mirror) decode(key string, value []byte) error {
	if key == EpochKey {
		epoch, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || epoch < 1 {
			return errors.New("the epoch is not a whole number above 0")
		}
		m.epoch = epoch
		return nil
	}
	if strings.HasPrefix(key, filledPrefix) {
		return nil // for those who fill; the epoch tells the others
	}
	kind, id, ok := SplitKey(key)
	if !ok {
		return errors.New("it is not the key of a rule that this program knows")
	}
	v, err := DecodeValue(value)
	if err != nil {
		return err
	}
	if v.Deleted {
		return m.drop(kind, id)
	}
	return m.hold(kind, id, v.Data)
}

// hold puts a rule into the book.
func (m *mirror) hold(kind Kind, id string, data json.RawMessage) error {
	switch kind {
	case Campaigns:
		return hold(data, id, func(c *loyalty.Campaign) string { return c.ID.String() }, m.book.PutCampaign)
	case Exclusions:
		return hold(data, id, func(e *loyalty.Exclusion) string { return e.ID.String() }, m.book.PutExclusion)
	case CardTypes:
		return hold(data, id, func(t *loyalty.CardType) string { return t.CardType }, m.book.PutCardType)
	default:
		return hold(data, id, func(y *loyalty.YearQuotes) string { return yearID(y.Year) }, m.book.PutQuotes)
	}
}

func hold[T any](data []byte, id string, idOf func(*T) string, put func(T)) error {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("reading its data: %w", err)
	}
	if got := idOf(&v); got != id {
		return fmt.Errorf("its data is of %q", got)
	}
	put(v)
	return nil
}

// drop takes a rule out of the book.
func (m *mirror) drop(kind Kind, id string) error {
	switch kind {
	case Campaigns, Exclusions:
		parsed, err := uuid.Parse(id)
		if err != nil {
			return fmt.Errorf("reading its id: %w", err)
		}
		if kind == Campaigns {
			m.book.DeleteCampaign(parsed)
		} else {
			m.book.DeleteExclusion(parsed)
		}
	case CardTypes:
		m.book.DeleteCardType(id)
	default:
		year, err := strconv.Atoi(id)
		if err != nil {
			return fmt.Errorf("reading its year: %w", err)
		}
		m.book.DeleteQuotes(year)
	}
	return nil
}

func yearID(year int) string { return fmt.Sprintf("%04d", year) }

// problem says why there can be no snapshot, or nil.
func (m *mirror) problem() error {
	for _, key := range slices.Sorted(maps.Keys(m.bad)) {
		return fmt.Errorf("reading %s in etcd: %w", key, m.bad[key])
	}
	if m.epoch == 0 {
		return ErrEmpty
	}
	return nil
}

// store makes the snapshot of the rules but for the compiled ones.
func (m *mirror) store() (Snapshot, error) {
	if err := m.problem(); err != nil {
		return Snapshot{}, err
	}
	parts, err := m.book.Store()
	if err != nil {
		return Snapshot{}, fmt.Errorf("compiling the rules of revision %d: %w", m.revision, err)
	}
	return Snapshot{Hash: parts[len(parts)-1].Hash, Parts: parts, Epoch: m.epoch, Revision: m.revision}, nil
}

// compile adds the compiled rules to the snapshot that the mirror has just stored.
func (m *mirror) compile(s *Snapshot) { s.Rules = m.book.Index(s.Parts) }
