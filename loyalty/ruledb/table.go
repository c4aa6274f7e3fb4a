package ruledb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Head are the columns that every rule's row has; a model embeds it.
type Head struct {
	ID        string `gorm:"primaryKey"`
	Version   int64
	Deleted   bool
	UpdatedAt time.Time `gorm:"autoUpdateTime:false"`
	UpdatedBy string
}

// Meta is the head itself.
func (h *Head) Meta() *Head { return h }

// Row is a model: a pointer to a struct R that embeds Head and has the columns of a rule T.
type Row[T, R any] interface {
	*R
	Meta() *Head
	Set(rule T) error
	Rule() (T, error)
}

// Spec says how a Table keeps one kind of rule.
type Spec[T, F any] struct {
	Kind    rulebook.Kind
	Rows    string // the table of rows, one a rule; a deleted one stays as a tombstone
	Changes string // the table of history: columns id, version, action, who, at, before, after
	ID      func(T) string
	// Sorts are the names that a list may be sorted by and their columns.
	Sorts map[string]string
	// Where applies a list's filters.
	Where func(tx *gorm.DB, filter F) *gorm.DB
	// Ref is what a rule is published under; nil: itself. What differs has a Source of its own,
	// and Touch makes its versions in the transaction of the change.
	Ref   func(id string) outbox.Ref
	Touch func(tx *gorm.DB, at time.Time, refs []outbox.Ref) ([]outbox.Rule, error)
}

// Table keeps one kind of rule. It is a ruleapi.Store, and the Source of its kind where rules are
// published one by one.
type Table[T, F, R any, P Row[T, R]] struct {
	db *DB
	Spec[T, F]
}

// NewTable returns a table of db.
func NewTable[T, F, R any, P Row[T, R]](db *DB, spec Spec[T, F]) *Table[T, F, R, P] {
	return &Table[T, F, R, P]{db, spec}
}

type versionRow struct {
	ID      string
	Version int64
	Action  string
	Who     string
	At      time.Time
	Before  *string
	After   *string
}

// change is what becomes of a rule; before is nil for one that is not there, after for a deletion.
type change[T, P any] struct {
	row    P // as it stands, or nil
	before *T
	after  *T
}

// errRace says that somebody else created a rule between our reading and our writing.
var errRace = errors.New("created by somebody else meanwhile")

// load returns the rows of ids, locked, tombstones too.
func (t *Table[T, F, R, P]) load(tx *gorm.DB, ids []string) (map[string]P, error) {
	out := make(map[string]P, len(ids))
	for part := range slices.Chunk(ids, chunk) {
		var rows []R
		if err := t.db.dialect.locking(tx.Table(t.Rows)).Where("id IN ?", part).Order("id").Find(&rows).Error; err != nil {
			return nil, fmt.Errorf("reading %s: %w", t.Rows, err)
		}
		for i := range rows {
			p := P(&rows[i])
			out[p.Meta().ID] = p
		}
	}
	return out, nil
}

// save writes changes, their history and their outbox entries, and returns the new rows.
func (t *Table[T, F, R, P]) save(tx *gorm.DB, at time.Time, who string, changes []change[T, P]) ([]P, error) {
	var (
		created  []R
		rows     = make([]P, len(changes))
		versions = make([]versionRow, len(changes))
		rules    = make([]outbox.Rule, len(changes))
	)
	for i, c := range changes {
		row := P(new(R))
		action, rule := ruleapi.Changed, c.after
		switch {
		case c.after == nil:
			action, rule = ruleapi.Deleted, c.before
		case c.before == nil:
			action = ruleapi.Created
		}
		if err := row.Set(*rule); err != nil {
			return nil, err
		}
		version := int64(1)
		if c.row != nil {
			version = c.row.Meta().Version + 1
		}
		*row.Meta() = Head{ID: t.ID(*rule), Version: version, Deleted: c.after == nil, UpdatedAt: at, UpdatedBy: who}
		before, errB := encode(c.before)
		after, errA := encode(c.after)
		if err := errors.Join(errB, errA); err != nil {
			return nil, fmt.Errorf("encoding a version of %s %s: %w", t.Rows, row.Meta().ID, err)
		}
		versions[i] = versionRow{row.Meta().ID, version, string(action), who, at, before, after}
		rules[i] = outbox.Rule{Ref: t.ref(row.Meta().ID), Version: version}
		rows[i] = row
		if c.row == nil {
			created = append(created, *row)
			continue
		}
		res := tx.Table(t.Rows).Where("id = ? AND version = ?", row.Meta().ID, version-1).Select("*").Updates(row)
		if res.Error != nil || res.RowsAffected != 1 {
			return nil, fmt.Errorf("changing %s %s: %d rows: %w", t.Rows, row.Meta().ID, res.RowsAffected, errors.Join(res.Error, errRace))
		}
	}
	if len(created) > 0 {
		// The place of a row that is not there cannot be locked; whoever comes second starts anew.
		res := tx.Table(t.Rows).Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(created, chunk)
		if res.Error != nil {
			return nil, fmt.Errorf("creating %d of %s: %w", len(created), t.Rows, res.Error)
		}
		if res.RowsAffected != int64(len(created)) {
			return nil, errRace
		}
	}
	if err := tx.Table(t.Changes).CreateInBatches(versions, chunk).Error; err != nil {
		return nil, fmt.Errorf("writing %s: %w", t.Changes, err)
	}
	if t.Touch != nil {
		var refs []outbox.Ref
		for _, r := range rules {
			if !slices.Contains(refs, r.Ref) {
				refs = append(refs, r.Ref)
			}
		}
		var err error
		if rules, err = t.Touch(tx, at, refs); err != nil {
			return nil, err
		}
	}
	return rows, t.db.enter(tx, at, false, rules)
}

func encode[T any](rule *T) (*string, error) {
	if rule == nil {
		return nil, nil
	}
	b, err := json.Marshal(rule)
	s := string(b)
	return &s, err
}

func (t *Table[T, F, R, P]) ref(id string) outbox.Ref {
	if t.Spec.Ref != nil {
		return t.Spec.Ref(id)
	}
	return outbox.Ref{Kind: t.Spec.Kind, ID: id}
}

// live returns the rule of a row, or nil for none and for a tombstone.
func (t *Table[T, F, R, P]) live(row P) (*T, error) {
	if row == nil || row.Meta().Deleted {
		return nil, nil
	}
	rule, err := row.Rule()
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", t.Rows, row.Meta().ID, err)
	}
	return &rule, nil
}

func (t *Table[T, F, R, P]) items(tx *gorm.DB, rows []P) ([]ruleapi.Item[T], error) {
	items := make([]ruleapi.Item[T], len(rows))
	ids := make(map[rulebook.Kind][]string)
	for i, row := range rows {
		rule, err := row.Rule()
		if err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", t.Rows, row.Meta().ID, err)
		}
		ref := t.ref(row.Meta().ID)
		ids[ref.Kind] = append(ids[ref.Kind], ref.ID)
		items[i] = ruleapi.Item[T]{Rule: rule, Version: row.Meta().Version, UpdatedAt: row.Meta().UpdatedAt.UTC(), Ref: ref}
	}
	for kind, ids := range ids {
		waits, err := waiting(tx, kind, ids)
		if err != nil {
			return nil, err
		}
		for i := range items {
			if items[i].Ref.Kind == kind {
				items[i].Published = !waits[items[i].Ref.ID]
			}
		}
	}
	return items, nil
}

// List is ruleapi.Store's.
func (t *Table[T, F, R, P]) List(ctx context.Context, q ruleapi.Query[F]) (items []ruleapi.Item[T], total int64, err error) {
	column, ok := t.Sorts[q.Sort]
	if !ok {
		return nil, 0, fmt.Errorf("listing %s: cannot sort by %q", t.Rows, q.Sort)
	}
	err = t.db.Read(ctx, func(tx *gorm.DB) error {
		where := func() *gorm.DB { return t.Where(tx.Table(t.Rows).Where("NOT deleted"), q.Filter) }
		if err := where().Count(&total).Error; err != nil {
			return err
		}
		var rows []R
		err := where().
			Order(clause.OrderBy{Columns: []clause.OrderByColumn{
				{Column: clause.Column{Name: column}, Desc: q.Desc},
				{Column: clause.Column{Name: "id"}, Desc: q.Desc},
			}}).
			Limit(q.Size).Offset((q.No - 1) * q.Size).Find(&rows).Error
		if err != nil {
			return err
		}
		items, err = t.items(tx, pointers[R, P](rows))
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("listing %s: %w", t.Rows, err)
	}
	return items, total, nil
}

func pointers[R any, P interface{ *R }](rows []R) []P {
	out := make([]P, len(rows))
	for i := range rows {
		out[i] = P(&rows[i])
	}
	return out
}

// Get is ruleapi.Store's.
func (t *Table[T, F, R, P]) Get(ctx context.Context, id string) (item ruleapi.Item[T], err error) {
	err = t.db.Read(ctx, func(tx *gorm.DB) error {
		var rows []R
		if err := tx.Table(t.Rows).Where("id = ? AND NOT deleted", id).Find(&rows).Error; err != nil {
			return fmt.Errorf("reading %s %s: %w", t.Rows, id, err)
		}
		if len(rows) == 0 {
			return ruleapi.ErrNotFound
		}
		items, err := t.items(tx, pointers[R, P](rows))
		if err == nil {
			item = items[0]
		}
		return err
	})
	return item, err
}

// Create is ruleapi.Store's.
func (t *Table[T, F, R, P]) Create(ctx context.Context, who string, rule T) (ruleapi.Item[T], error) {
	return t.write(ctx, who, rule, func(_ int64, found bool) error {
		if found {
			return ruleapi.ErrExists
		}
		return nil
	})
}

// Put is ruleapi.Store's.
func (t *Table[T, F, R, P]) Put(ctx context.Context, who string, rule T, fit ruleapi.Fit) (ruleapi.Item[T], error) {
	return t.write(ctx, who, rule, func(version int64, found bool) error { return check(version, found, fit) })
}

func check(version int64, found bool, fit ruleapi.Fit) error {
	switch {
	case !found:
		return ruleapi.ErrNotFound
	case fit != nil && !fit(version):
		return ruleapi.ErrConflict
	}
	return nil
}

// write makes rule what stands under its id, if may agrees with what stands there.
func (t *Table[T, F, R, P]) write(ctx context.Context, who string, rule T, may func(version int64, found bool) error) (item ruleapi.Item[T], err error) {
	id := t.ID(rule)
	err = t.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		rows, err := t.load(tx, []string{id})
		if err != nil {
			return err
		}
		row := rows[id]
		before, err := t.live(row)
		if err != nil {
			return err
		}
		var version int64
		if row != nil {
			version = row.Meta().Version
		}
		if err := may(version, before != nil); err != nil {
			return err
		}
		if before == nil || !same(*before, rule) {
			saved, err := t.save(tx, at, who, []change[T, P]{{row, before, &rule}})
			if err != nil {
				return err
			}
			row = saved[0]
		}
		items, err := t.items(tx, []P{row})
		if err == nil {
			item = items[0]
		}
		return err
	})
	return item, err
}

// same compares what is said; only the canonical form knows that, but what is alike to the last
// bit needs none.
func same[T any](a, b T) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

// Delete is ruleapi.Store's.
func (t *Table[T, F, R, P]) Delete(ctx context.Context, who, id string, fit ruleapi.Fit) error {
	return t.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		rows, err := t.load(tx, []string{id})
		if err != nil {
			return err
		}
		before, err := t.live(rows[id])
		if err != nil {
			return err
		}
		var version int64
		if before != nil {
			version = rows[id].Meta().Version
		}
		if err := check(version, before != nil, fit); err != nil {
			return err
		}
		_, err = t.save(tx, at, who, []change[T, P]{{rows[id], before, nil}})
		return err
	})
}

// PutAll makes all rules stand as given, in the caller's transaction, and returns how many of them
// that changed. Rules that are not among them stay. Each id is there once.
func (t *Table[T, F, R, P]) PutAll(tx *gorm.DB, at time.Time, who string, rules []T) (changed int, err error) {
	ids := make([]string, len(rules))
	for i, r := range rules {
		ids[i] = t.ID(r)
	}
	// Everybody locks rows in one order.
	slices.Sort(ids)
	if twice := len(ids) - len(slices.Compact(slices.Clone(ids))); twice > 0 {
		return 0, fmt.Errorf("writing %s: %d ids are there twice", t.Rows, twice)
	}
	rows, err := t.load(tx, ids)
	if err != nil {
		return 0, err
	}
	var changes []change[T, P]
	for i := range rules {
		row := rows[t.ID(rules[i])]
		before, err := t.live(row)
		if err != nil {
			return 0, err
		}
		if before == nil || !same(*before, rules[i]) {
			changes = append(changes, change[T, P]{row, before, &rules[i]})
		}
	}
	if len(changes) > 0 {
		_, err = t.save(tx, at, who, changes)
	}
	return len(changes), err
}

// History is ruleapi.Store's.
func (t *Table[T, F, R, P]) History(ctx context.Context, id string, p ruleapi.Page) (events []ruleapi.Event, total int64, err error) {
	err = t.db.Read(ctx, func(tx *gorm.DB) error {
		if err := tx.Table(t.Changes).Where("id = ?", id).Count(&total).Error; err != nil {
			return err
		}
		if total == 0 {
			return ruleapi.ErrNotFound
		}
		var rows []versionRow
		if err := tx.Table(t.Changes).Where("id = ?", id).Order("version DESC").Limit(p.Size).Offset((p.No - 1) * p.Size).Find(&rows).Error; err != nil {
			return err
		}
		for _, r := range rows {
			events = append(events, ruleapi.Event{
				Version: r.Version, Action: ruleapi.Action(r.Action), Who: r.Who, When: r.At.UTC(),
				Before: raw(r.Before), After: raw(r.After),
			})
		}
		return nil
	})
	if err != nil && !errors.Is(err, ruleapi.ErrNotFound) {
		err = fmt.Errorf("reading %s: %w", t.Changes, err)
	}
	return events, total, err
}

func raw(s *string) json.RawMessage {
	if s == nil {
		return nil
	}
	return json.RawMessage(*s)
}

// Kind is Source's.
func (t *Table[T, F, R, P]) Kind() rulebook.Kind { return t.Spec.Kind }

// Current is Source's.
func (t *Table[T, F, R, P]) Current(tx *gorm.DB, ids []string) ([]outbox.Rule, error) {
	var rows []R
	if err := tx.Table(t.Rows).Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("reading %s: %w", t.Rows, err)
	}
	out := make([]outbox.Rule, len(rows))
	for i, row := range pointers[R, P](rows) {
		out[i] = outbox.Rule{Ref: t.ref(row.Meta().ID), Version: row.Meta().Version, Deleted: row.Meta().Deleted}
		rule, err := t.live(row)
		if err != nil {
			return nil, err
		}
		if rule != nil {
			if out[i].Data, err = json.Marshal(rule); err != nil {
				return nil, fmt.Errorf("encoding %s %s: %w", t.Rows, row.Meta().ID, err)
			}
		}
	}
	return out, nil
}

// Versions is Source's.
func (t *Table[T, F, R, P]) Versions(tx *gorm.DB, after string, limit int) ([]outbox.Rule, error) {
	tx = tx.Table(t.Rows).Select("id", "version").Order("id").Limit(limit)
	if after != "" { // which is no UUID
		tx = tx.Where("id > ?", after)
	}
	var heads []Head
	if err := tx.Find(&heads).Error; err != nil {
		return nil, fmt.Errorf("reading %s: %w", t.Rows, err)
	}
	out := make([]outbox.Rule, len(heads))
	for i, h := range heads {
		out[i] = outbox.Rule{Ref: t.ref(h.ID), Version: h.Version}
	}
	return out, nil
}

// Like is a pattern for LIKE … ESCAPE '\' that finds text in a column that holds Fold of something.
func Like(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(Fold(text)) + "%"
}

// Fold makes texts alike that differ in case. Databases differ in how they do it; so it is done
// before the text gets there.
func Fold(text string) string { return strings.ToLower(text) }
