package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler"
	"gorm.io/gorm"
)

// batch is what the rows of a file are about, as it stands: first in the database, then, row by row,
// as it will be.
type batch struct {
	users  map[string]*subject[userRow] // by id
	cards  map[string]*subject[cardRow] // by id
	emails map[string]string            // ids by email_key, of all accounts that have one of the file's
	types  map[string]bool              // the card types that there are
}

// subject is an account or a card.
type subject[R any] struct {
	was *R // as the database has it, nil if it has not
	now R
}

// PutRows is profiler.Accounts'.
func (s *Store) PutRows(ctx context.Context, who string, rows []profiler.Row) (out []profiler.Outcome, err error) {
	err = s.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		b, err := load(tx, rows)
		if err != nil {
			return err
		}
		out = make([]profiler.Outcome, len(rows))
		for i, r := range rows {
			out[i] = b.put(at, r)
		}
		if err := b.save(tx, at, who); err != nil {
			return err
		}
		return fresh(tx, rows, out)
	})
	return out, failed("entering rows", err)
}

// load reads and locks what rows are about; everybody locks accounts before cards, each in one order.
func load(tx *gorm.DB, rows []profiler.Row) (*batch, error) {
	b := &batch{users: map[string]*subject[userRow]{}, cards: map[string]*subject[cardRow]{}, emails: map[string]string{}, types: map[string]bool{}}
	var users, cards, emails, types []string
	for _, r := range rows {
		users = append(users, r.User.ID.String())
		emails = append(emails, ruledb.Fold(r.User.Email))
		if r.Card != nil {
			cards = append(cards, r.Card.ID.String())
			types = append(types, r.Card.CardType)
		}
	}
	for part := range parts(users) {
		var found []userRow
		if err := locked(tx).Where("id IN ?", part).Order("id").Find(&found).Error; err != nil {
			return nil, err
		}
		for i := range found {
			b.users[found[i].ID] = &subject[userRow]{&found[i], found[i]}
		}
	}
	for part := range parts(emails) {
		var found []userRow
		if err := tx.Select("id", "email_key").Where("email_key IN ?", part).Find(&found).Error; err != nil {
			return nil, err
		}
		for _, u := range found {
			b.emails[*u.EmailKey] = u.ID
		}
	}
	for part := range parts(cards) {
		var found []cardRow
		if err := locked(tx).Where("id IN ?", part).Order("id").Find(&found).Error; err != nil {
			return nil, err
		}
		for i := range found {
			b.cards[found[i].ID] = &subject[cardRow]{&found[i], found[i]}
		}
	}
	for part := range parts(types) {
		var found []string
		if err := tx.Table("card_types").Where("id IN ? AND NOT deleted", part).Pluck("id", &found).Error; err != nil {
			return nil, err
		}
		for _, t := range found {
			b.types[t] = true
		}
	}
	return b, nil
}

// parts are the different keys, in order, as many at once as a statement takes.
func parts(keys []string) func(func([]string) bool) {
	slices.Sort(keys)
	return slices.Chunk(slices.Compact(keys), chunk)
}

// put decides what becomes of a row, and remembers it.
func (b *batch) put(at time.Time, r profiler.Row) profiler.Outcome {
	user, moved, err := b.user(at, r)
	if err != nil {
		return profiler.Outcome{Result: profiler.RowRefused, Err: err}
	}
	card, err := b.card(at, r)
	if err != nil {
		return profiler.Outcome{Result: profiler.RowRefused, Err: err}
	}
	// The row is good: only now anything of it counts.
	result := profiler.RowUnchanged
	if s := b.users[user.ID]; s == nil {
		b.users[user.ID], result = &subject[userRow]{now: user}, profiler.RowCreated
	} else if !sameSaid(&s.now, &user) {
		delete(b.emails, *s.now.EmailKey)
		s.now, result = user, profiler.RowChanged
	}
	b.emails[*user.EmailKey] = user.ID
	if card != nil {
		switch s := b.cards[card.ID]; {
		case s == nil:
			b.cards[card.ID], result = &subject[cardRow]{now: *card}, profiler.RowCreated
		case s.now.DeletedAt != nil:
			s.now, result = *card, profiler.RowCreated
		case s.now != *card:
			s.now = *card
			if result == profiler.RowUnchanged {
				result = profiler.RowChanged
			}
		}
	}
	return profiler.Outcome{Result: result, Moved: moved}
}

// user is the account of a row as the row would have it, and the address that it would no longer have.
func (b *batch) user(at time.Time, r profiler.Row) (row userRow, moved string, err error) {
	if id, taken := b.emails[ruledb.Fold(r.User.Email)]; taken && id != r.User.ID.String() {
		return row, "", profiler.ErrEmailTaken
	}
	s := b.users[r.User.ID.String()]
	if s == nil {
		u := r.User
		u.Role, u.RewardEmails = token.User, true
		row = newUser(u, at)
		if !r.Since.IsZero() {
			row.CreatedAt = r.Since.UTC().Truncate(time.Millisecond)
		}
		return row, "", nil
	}
	switch {
	case s.now.DeletedAt != nil:
		return row, "", profiler.ErrUserDeleted
	case s.now.Role != string(token.User):
		return row, "", profiler.ErrNotCardholder
	}
	row = s.now
	u := row.user()
	u.FirstName, u.LastName, u.Phone, u.Email = r.User.FirstName, r.User.LastName, r.User.Phone, r.User.Email
	row.set(u)
	if s.was != nil && *s.was.EmailKey == *s.now.EmailKey && *row.EmailKey != *s.was.EmailKey {
		moved = s.now.Email
	}
	return row, moved, nil
}

// card is the card of a row as the row would have it, or nil for a row without one.
func (b *batch) card(at time.Time, r profiler.Row) (*cardRow, error) {
	if r.Card == nil {
		return nil, nil
	}
	if !b.types[r.Card.CardType] {
		return nil, profiler.ErrNoCardType
	}
	row := cardRow{ID: r.Card.ID.String(), UserID: r.User.ID.String(), Version: 1, CreatedAt: at, UpdatedAt: at}
	if s := b.cards[row.ID]; s != nil {
		if s.now.UserID != row.UserID {
			return nil, profiler.ErrCardTaken
		}
		row = s.now
	}
	row, err := row.renumbered(r.Number)
	if err != nil {
		return nil, err
	}
	row.CardType, row.DeletedAt = r.Card.CardType, nil
	return &row, nil
}

// save writes what has become of accounts and cards.
func (b *batch) save(tx *gorm.DB, at time.Time, who string) error {
	var (
		newUsers         []userRow
		newCards         []cardRow
		userLog, cardLog []versionRow
		changed          []*subject[userRow]
		moving           []string
	)
	for _, id := range sortedKeys(b.users) {
		s := b.users[id]
		switch {
		case s.was == nil:
			v, err := entry(id, 1, who, at, nil, s.now.said())
			if err != nil {
				return err
			}
			newUsers, userLog = append(newUsers, s.now), append(userLog, v)
		case !sameSaid(s.was, &s.now):
			changed = append(changed, s)
			if s.was.EmailKey != nil && *s.was.EmailKey != *s.now.EmailKey {
				moving = append(moving, id)
			}
		}
	}
	// An address may go from one account to another in the same file.
	for part := range parts(moving) {
		if err := tx.Model(&userRow{}).Where("id IN ?", part).Updates(map[string]any{"email_key": nil}).Error; err != nil {
			return err
		}
	}
	for _, s := range changed {
		if err := changeUser(tx, at, who, s.was, &s.now, false); err != nil {
			return err
		}
	}
	if err := create(tx, "", newUsers); err != nil {
		return err
	}
	if err := create(tx, userVersions, userLog); err != nil {
		return err
	}
	for _, id := range sortedKeys(b.cards) {
		s := b.cards[id]
		var before map[string]any
		switch {
		case s.was == nil:
			newCards = append(newCards, s.now)
		case s.was.DeletedAt == s.now.DeletedAt && s.was.CardPAN == s.now.CardPAN && s.was.PANHMAC == s.now.PANHMAC && s.was.CardType == s.now.CardType:
			continue
		default:
			if s.was.DeletedAt == nil {
				before = s.was.said()
			}
			s.now.Version, s.now.UpdatedAt = s.was.Version+1, at
			if err := tx.Save(&s.now).Error; err != nil {
				return err
			}
		}
		v, err := entry(id, s.now.Version, who, at, before, s.now.said())
		if err != nil {
			return err
		}
		cardLog = append(cardLog, v)
	}
	if err := create(tx, "", newCards); err != nil {
		return err
	}
	return create(tx, cardVersions, cardLog)
}

func create[R any](tx *gorm.DB, table string, rows []R) error {
	if len(rows) == 0 {
		return nil
	}
	if table != "" {
		tx = tx.Table(table)
	}
	return tx.CreateInBatches(rows, chunk).Error
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// fresh says which of the accounts have never had a password, or have a first one whose mail still
// waits. A caller that died before it had them mailed finds them again so.
func fresh(tx *gorm.DB, rows []profiler.Row, out []profiler.Outcome) error {
	var ids []string
	for i := range rows {
		if out[i].Result != profiler.RowRefused {
			ids = append(ids, rows[i].User.ID.String())
		}
	}
	has := map[string]bool{}
	for part := range parts(ids) {
		var found []string
		if err := tx.Model(&credentialRow{}).Where("user_id IN ? AND NOT EXISTS (SELECT 1 FROM first_mails m WHERE m.user_id = credentials.user_id)", part).Pluck("user_id", &found).Error; err != nil {
			return fmt.Errorf("reading who has a password: %w", err)
		}
		for _, id := range found {
			has[id] = true
		}
	}
	for i := range rows {
		out[i].New = out[i].Result != profiler.RowRefused && !has[rows[i].User.ID.String()]
	}
	return nil
}
