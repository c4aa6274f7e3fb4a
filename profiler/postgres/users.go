package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// chunk is how many rows one statement takes.
const chunk = 500

type userRow struct {
	ID             string `gorm:"primaryKey"`
	FirstName      string
	LastName       string
	Phone          string
	Email          string
	EmailKey       *string
	Search         string
	Role           string
	IsNew          bool
	Locked         bool
	RewardEmails   bool
	SessionVersion int64
	Version        int64
	CreatedAt      time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt      time.Time `gorm:"autoUpdateTime:false"`
	DeletedAt      *time.Time
}

func (userRow) TableName() string { return "users" }

// user is the account without its cards.
func (r *userRow) user() profiler.User {
	return profiler.User{
		ID: uuid.MustParse(r.ID), FirstName: r.FirstName, LastName: r.LastName, Phone: r.Phone, Email: r.Email,
		Role: token.Role(r.Role), IsNew: r.IsNew, Locked: r.Locked, RewardEmails: r.RewardEmails, Version: r.Version,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}
}

// set takes over what can be changed of an account.
func (r *userRow) set(u profiler.User) {
	key := ruledb.Fold(u.Email)
	r.FirstName, r.LastName, r.Phone, r.Email, r.EmailKey = u.FirstName, u.LastName, u.Phone, u.Email, &key
	r.Role, r.Locked, r.RewardEmails = string(u.Role), u.Locked, u.RewardEmails
	// People are looked for by either name first.
	r.Search = ruledb.Fold(u.FirstName + " " + u.LastName + " " + u.FirstName + "\n" + u.Email)
}

// newUser is the row of an account that begins.
func newUser(u profiler.User, at time.Time) userRow {
	r := userRow{ID: u.ID.String(), IsNew: true, SessionVersion: 1, Version: 1, CreatedAt: at, UpdatedAt: at}
	r.set(u)
	return r
}

type credentialRow struct {
	UserID    string `gorm:"primaryKey"`
	Hash      string
	First     bool
	ExpiresAt *time.Time
	ChangedAt time.Time
}

func (credentialRow) TableName() string { return "credentials" }

// versionRow is an entry of a history.
type versionRow struct {
	ID      string
	Version int64
	Action  string
	Who     string
	At      time.Time
	Before  *string
	After   *string
}

const (
	userVersions = "user_versions"
	cardVersions = "card_versions"
)

// said is what the history of an account shows of it.
func (r *userRow) said() map[string]any {
	return map[string]any{
		"id": r.ID, "first_name": r.FirstName, "last_name": r.LastName, "phone": r.Phone, "email": r.Email,
		"Role": r.Role, "locked": r.Locked, "reward_emails": r.RewardEmails,
	}
}

// entry is an entry of a history; before and after are nil where there is none.
func entry(id string, version int64, who string, at time.Time, before, after map[string]any) (versionRow, error) {
	v := versionRow{ID: id, Version: version, Who: who, At: at, Action: string(ruleapi.Changed)}
	switch {
	case before == nil:
		v.Action = string(ruleapi.Created)
	case after == nil:
		v.Action = string(ruleapi.Deleted)
	}
	for _, side := range []struct {
		from map[string]any
		to   **string
	}{{before, &v.Before}, {after, &v.After}} {
		if side.from == nil {
			continue
		}
		b, err := json.Marshal(side.from)
		if err != nil {
			return v, fmt.Errorf("encoding a version of %s: %w", id, err)
		}
		s := string(b)
		*side.to = &s
	}
	return v, nil
}

// enter writes one entry of a history.
func enter(tx *gorm.DB, table, id string, version int64, who string, at time.Time, before, after map[string]any) error {
	v, err := entry(id, version, who, at, before, after)
	if err != nil {
		return err
	}
	return tx.Table(table).Create(&v).Error
}

// locked makes a read lock its rows. (SQLite's transactions that write hold the whole database, and
// its dialect leaves this out.)
func locked(tx *gorm.DB) *gorm.DB { return tx.Clauses(clause.Locking{Strength: "UPDATE"}) }

// one returns the row that a query finds, or nil.
func one[R any](tx *gorm.DB) (*R, error) {
	var rows []R
	if err := tx.Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// failed says where an error that is the database's own came from; the contract's go as they are.
func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	for _, own := range []error{
		ruleapi.ErrNotFound, ruleapi.ErrExists, ruleapi.ErrConflict, profiler.ErrEmailTaken, profiler.ErrLastAdmin, profiler.ErrHasCards,
		profiler.ErrNoUser, profiler.ErrNotCardholder, profiler.ErrCardTaken, profiler.ErrNoCardType, profiler.ErrMasked,
	} {
		if errors.Is(err, own) {
			return err
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Users is profiler.Accounts'.
func (s *Store) Users(ctx context.Context, q profiler.UserQuery) (users []profiler.User, total int64, err error) {
	columns, ok := map[string][]string{
		"name": {"last_name", "first_name", "id"}, "email": {"email_key", "id"}, "created_at": {"created_at", "id"}, "updated_at": {"updated_at", "id"},
	}[q.Sort]
	if !ok {
		return nil, 0, fmt.Errorf("listing accounts: cannot sort by %q", q.Sort)
	}
	err = s.Read(ctx, func(tx *gorm.DB) error {
		where := func() *gorm.DB {
			tx := tx.Model(&userRow{}).Where("deleted_at IS NULL")
			if q.Role != "" {
				tx = tx.Where("role = ?", string(q.Role))
			}
			if q.Locked != nil {
				tx = tx.Where("locked = ?", *q.Locked)
			}
			if q.Search != "" {
				tx = tx.Where(`search LIKE ? ESCAPE '\'`, ruledb.Like(q.Search))
			}
			if q.HMAC != "" {
				tx = tx.Where("id IN (SELECT user_id FROM cards WHERE pan_hmac = ? AND deleted_at IS NULL)", q.HMAC)
			}
			return tx
		}
		if err := where().Count(&total).Error; err != nil {
			return err
		}
		var rows []userRow
		if err := paged(where(), columns, q.Desc, q.Page).Find(&rows).Error; err != nil {
			return err
		}
		users, err = withCards(tx, rows)
		return err
	})
	return users, total, failed("listing accounts", err)
}

func paged(tx *gorm.DB, columns []string, desc bool, p ruleapi.Page) *gorm.DB {
	order := make([]clause.OrderByColumn, len(columns))
	for i, c := range columns {
		order[i] = clause.OrderByColumn{Column: clause.Column{Name: c}, Desc: desc}
	}
	return tx.Order(clause.OrderBy{Columns: order}).Limit(p.Size).Offset((p.No - 1) * p.Size)
}

// withCards are the accounts of rows with their cards.
func withCards(tx *gorm.DB, rows []userRow) ([]profiler.User, error) {
	users := make([]profiler.User, len(rows))
	place := make(map[string]int, len(rows))
	ids := make([]string, len(rows))
	for i := range rows {
		users[i] = rows[i].user()
		ids[i], place[rows[i].ID] = rows[i].ID, i
	}
	for part := range slices.Chunk(ids, chunk) {
		var cards []cardRow
		if err := tx.Where("user_id IN ? AND deleted_at IS NULL", part).Order("id").Find(&cards).Error; err != nil {
			return nil, err
		}
		for i := range cards {
			u := &users[place[cards[i].UserID]]
			u.Cards = append(u.Cards, cards[i].card())
		}
	}
	return users, nil
}

// User is profiler.Accounts'.
func (s *Store) User(ctx context.Context, id uuid.UUID) (u profiler.User, err error) {
	err = s.Read(ctx, func(tx *gorm.DB) error {
		row, err := one[userRow](tx.Where("id = ? AND deleted_at IS NULL", id.String()))
		if err != nil {
			return err
		}
		if row == nil {
			return ruleapi.ErrNotFound
		}
		users, err := withCards(tx, []userRow{*row})
		if err == nil {
			u = users[0]
		}
		return err
	})
	return u, failed("reading an account", err)
}

// free says whether an address is nobody's but that account's.
func free(tx *gorm.DB, email, id string) error {
	row, err := one[userRow](tx.Select("id").Where("email_key = ? AND id <> ?", ruledb.Fold(email), id))
	if err == nil && row != nil {
		err = profiler.ErrEmailTaken
	}
	return err
}

// CreateUser is profiler.Accounts'.
func (s *Store) CreateUser(ctx context.Context, who string, u profiler.User, first *profiler.FirstPassword) (out profiler.User, err error) {
	err = s.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		out, err = createUser(tx, at, who, u, first)
		return err
	})
	return out, failed("entering an account", err)
}

func createUser(tx *gorm.DB, at time.Time, who string, u profiler.User, first *profiler.FirstPassword) (profiler.User, error) {
	row := newUser(u, at)
	there, err := one[userRow](tx.Select("id").Where("id = ?", row.ID))
	switch {
	case err != nil:
		return u, err
	case there != nil:
		return u, ruleapi.ErrExists
	}
	if err := free(tx, u.Email, row.ID); err != nil {
		return u, err
	}
	// Who is second with an id or an address at the same time fails here, begins anew and then sees it.
	if err := tx.Create(&row).Error; err != nil {
		return u, err
	}
	if err := enter(tx, userVersions, row.ID, 1, who, at, nil, row.said()); err != nil {
		return u, err
	}
	if first != nil {
		if err := tx.Create(credential(row.ID, at, *first)).Error; err != nil {
			return u, err
		}
	}
	return row.user(), nil
}

func credential(id string, at time.Time, first profiler.FirstPassword) *credentialRow {
	expires := first.Expires.UTC().Truncate(time.Millisecond)
	return &credentialRow{UserID: id, Hash: first.Hash, First: true, ExpiresAt: &expires, ChangedAt: at}
}

// ChangeUser is profiler.Accounts'.
func (s *Store) ChangeUser(ctx context.Context, who string, id uuid.UUID, change func(profiler.User) (profiler.User, error)) (before, after profiler.User, err error) {
	err = s.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		row, err := one[userRow](locked(tx).Where("id = ? AND deleted_at IS NULL", id.String()))
		if err != nil {
			return err
		}
		if row == nil {
			return ruleapi.ErrNotFound
		}
		users, err := withCards(tx, []userRow{*row})
		if err != nil {
			return err
		}
		before = users[0]
		if after, err = change(before); err != nil {
			return err
		}
		changed := *row
		changed.set(after)
		if changed.said()["email"] == row.Email && sameSaid(row, &changed) {
			after = before
			return nil
		}
		if err := mayChange(tx, before, after); err != nil {
			return err
		}
		if err := changeUser(tx, at, who, row, &changed, before.EndsSessions(after)); err != nil {
			return err
		}
		after = changed.user()
		after.Cards = before.Cards
		return nil
	})
	return before, after, failed("changing an account", err)
}

func sameSaid(a, b *userRow) bool {
	x, y := a.said(), b.said()
	for k := range x {
		if x[k] != y[k] {
			return false
		}
	}
	return true
}

// mayChange holds what has to be true of all accounts together.
func mayChange(tx *gorm.DB, before, after profiler.User) error {
	if ruledb.Fold(before.Email) != ruledb.Fold(after.Email) {
		if err := free(tx, after.Email, before.ID.String()); err != nil {
			return err
		}
	}
	if after.Role != token.User && len(before.Cards) > 0 {
		return profiler.ErrHasCards
	}
	if before.LosesAdmin(after) {
		return anotherAdmin(tx, before.ID.String())
	}
	return nil
}

// anotherAdmin says whether there is an admin beside that one, and keeps it from going until the
// transaction ends. Two who would both go meet in a deadlock, and one of them begins anew.
func anotherAdmin(tx *gorm.DB, id string) error {
	row, err := one[userRow](locked(tx).Where("role = ? AND NOT locked AND deleted_at IS NULL AND id <> ?", string(token.Admin), id).Order("id"))
	if err == nil && row == nil {
		err = profiler.ErrLastAdmin
	}
	return err
}

// changeUser writes a change. What signing in keeps in the row stays, but for sessions that end.
func changeUser(tx *gorm.DB, at time.Time, who string, before, after *userRow, end bool) error {
	after.Version, after.UpdatedAt = before.Version+1, at
	columns := []string{"first_name", "last_name", "phone", "email", "email_key", "search", "role", "locked", "reward_emails", "version", "updated_at"}
	if end {
		after.SessionVersion = before.SessionVersion + 1
		columns = append(columns, "session_version")
	}
	if err := tx.Model(&userRow{}).Where("id = ?", before.ID).Select(columns).Updates(after).Error; err != nil {
		return err
	}
	return enter(tx, userVersions, before.ID, after.Version, who, at, before.said(), after.said())
}

// DeleteUser is profiler.Accounts'.
func (s *Store) DeleteUser(ctx context.Context, who string, id uuid.UUID, may func(profiler.User) error) error {
	err := s.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		row, err := one[userRow](locked(tx).Where("id = ? AND deleted_at IS NULL", id.String()))
		if err != nil {
			return err
		}
		if row == nil {
			return ruleapi.ErrNotFound
		}
		u := row.user()
		if err := may(u); err != nil {
			return err
		}
		if u.LosesAdmin(profiler.User{}) {
			if err := anotherAdmin(tx, row.ID); err != nil {
				return err
			}
		}
		var cards []cardRow
		if err := locked(tx).Where("user_id = ? AND deleted_at IS NULL", row.ID).Order("id").Find(&cards).Error; err != nil {
			return err
		}
		for i := range cards {
			if err := deleteCard(tx, at, who, &cards[i]); err != nil {
				return err
			}
		}
		err = tx.Model(&userRow{}).Where("id = ?", row.ID).Updates(map[string]any{
			"first_name": "", "last_name": "", "phone": "", "email": "", "email_key": nil, "search": "", "locked": true, "reward_emails": false,
			"session_version": row.SessionVersion + 1, "version": row.Version + 1, "updated_at": at, "deleted_at": at,
		}).Error
		if err != nil {
			return err
		}
		if err := tx.Model(&credentialRow{}).Where("user_id = ?", row.ID).Updates(map[string]any{"hash": "", "expires_at": at, "changed_at": at}).Error; err != nil {
			return err
		}
		if err := forgetFirstMail(tx, row.ID); err != nil {
			return err
		}
		return enter(tx, userVersions, row.ID, row.Version+1, who, at, row.said(), nil)
	})
	return failed("deleting an account", err)
}

// UserHistory is profiler.Accounts'.
func (s *Store) UserHistory(ctx context.Context, id uuid.UUID, p ruleapi.Page, may func(token.Role) error) (events []ruleapi.Event, total int64, err error) {
	err = s.Read(ctx, func(tx *gorm.DB) error {
		row, err := one[userRow](tx.Where("id = ?", id.String()))
		if err != nil {
			return err
		}
		if row == nil {
			return ruleapi.ErrNotFound
		}
		if err := may(token.Role(row.Role)); err != nil {
			return err
		}
		events, total, err = history(tx, userVersions, row.ID, p)
		return err
	})
	return events, total, failed("reading an account's history", err)
}

func history(tx *gorm.DB, table, id string, p ruleapi.Page) (events []ruleapi.Event, total int64, err error) {
	if err := tx.Table(table).Where("id = ?", id).Count(&total).Error; err != nil {
		return nil, 0, err
	}
	var rows []versionRow
	if err := tx.Table(table).Where("id = ?", id).Order("version DESC").Limit(p.Size).Offset((p.No - 1) * p.Size).Find(&rows).Error; err != nil {
		return nil, 0, err
	}
	raw := func(s *string) json.RawMessage {
		if s == nil {
			return nil
		}
		return json.RawMessage(*s)
	}
	for _, r := range rows {
		events = append(events, ruleapi.Event{
			Version: r.Version, Action: ruleapi.Action(r.Action), Who: r.Who, When: r.At.UTC(), Before: raw(r.Before), After: raw(r.After),
		})
	}
	return events, total, nil
}

// FirstAdmin is profiler.Accounts'.
func (s *Store) FirstAdmin(ctx context.Context, who string, u profiler.User, first profiler.FirstPassword) (made bool, err error) {
	err = s.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		made = false
		if tx.Name() == "postgres" {
			// There is no row yet that instances which start at once could meet at.
			if err := tx.Exec("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE").Error; err != nil {
				return err
			}
		}
		there, stuck, err := admins(tx, at, u.Email)
		switch {
		case err != nil || there && stuck == "":
			return err
		case stuck != "":
			made = true
			return tx.Save(credential(stuck, at, first)).Error
		}
		made = true
		_, err = createUser(tx, at, who, u, &first)
		return err
	})
	return made && err == nil, failed("making the first admin", err)
}

// HasAdmin is profiler.Accounts'.
func (s *Store) HasAdmin(ctx context.Context, email string) (has bool, err error) {
	err = s.Read(ctx, func(tx *gorm.DB) error {
		there, stuck, err := admins(tx, s.clock(), email)
		has = there && stuck == ""
		return err
	})
	return has, failed("looking for an admin", err)
}

// admins says whether there is one, and which one has that address while none of them has ever got in
// or still can.
func admins(tx *gorm.DB, at time.Time, email string) (there bool, stuck string, err error) {
	var rows []userRow
	if err := tx.Where("role = ? AND deleted_at IS NULL", string(token.Admin)).Order("id").Find(&rows).Error; err != nil {
		return false, "", err
	}
	for i := range rows {
		c, err := one[credentialRow](tx.Where("user_id = ?", rows[i].ID))
		if err != nil {
			return true, "", err
		}
		if !rows[i].IsNew || c != nil && (!c.First || c.ExpiresAt == nil || c.ExpiresAt.After(at)) {
			return true, "", nil
		}
		if ruledb.Fold(rows[i].Email) == ruledb.Fold(email) && !rows[i].Locked {
			stuck = rows[i].ID
		}
	}
	return len(rows) > 0, stuck, nil
}
