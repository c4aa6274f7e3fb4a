package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/google/uuid"
	"gorm.io/gorm"
)

type cardRow struct {
	ID        string `gorm:"primaryKey"`
	UserID    string
	CardPAN   string `gorm:"column:card_pan"`
	PANHMAC   string `gorm:"column:pan_hmac"`
	CardType  string
	Version   int64
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt time.Time `gorm:"autoUpdateTime:false"`
	DeletedAt *time.Time
}

func (cardRow) TableName() string { return "cards" }

func (r *cardRow) card() profiler.Card {
	return profiler.Card{
		ID: uuid.MustParse(r.ID), UserID: uuid.MustParse(r.UserID), PAN: r.CardPAN, CardType: r.CardType, Version: r.Version,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}
}

// said is what the history of a card shows of it: never the HMAC.
func (r *cardRow) said() map[string]any {
	return map[string]any{"id": r.ID, "user_id": r.UserID, "card_pan": r.CardPAN, "card_type": r.CardType}
}

// renumbered is a card with a number as it came: one that is masked has to be the one that is known.
func (r cardRow) renumbered(n profiler.Number) (cardRow, error) {
	if n.HMAC != "" {
		r.CardPAN, r.PANHMAC = n.Masked, n.HMAC
	} else if r.PANHMAC == "" || r.CardPAN != n.Masked {
		return r, profiler.ErrMasked
	}
	return r, nil
}

// Cards is profiler.Accounts'.
func (s *Store) Cards(ctx context.Context, q profiler.CardQuery) (cards []profiler.Card, total int64, err error) {
	columns, ok := map[string][]string{
		"id": {"id"}, "card_type": {"card_type", "id"}, "created_at": {"created_at", "id"}, "updated_at": {"updated_at", "id"},
	}[q.Sort]
	if !ok {
		return nil, 0, fmt.Errorf("listing cards: cannot sort by %q", q.Sort)
	}
	err = s.Read(ctx, func(tx *gorm.DB) error {
		where := func() *gorm.DB {
			tx := tx.Model(&cardRow{}).Where("deleted_at IS NULL")
			if q.UserID != uuid.Nil {
				tx = tx.Where("user_id = ?", q.UserID.String())
			}
			if q.CardType != "" {
				tx = tx.Where("card_type = ?", q.CardType)
			}
			if q.OwnerRole != "" {
				tx = tx.Where("user_id IN (SELECT id FROM users WHERE role = ?)", string(q.OwnerRole))
			}
			return tx
		}
		if err := where().Count(&total).Error; err != nil {
			return err
		}
		var rows []cardRow
		if err := paged(where(), columns, q.Desc, q.Page).Find(&rows).Error; err != nil {
			return err
		}
		cards = make([]profiler.Card, len(rows))
		for i := range rows {
			cards[i] = rows[i].card()
		}
		return nil
	})
	return cards, total, failed("listing cards", err)
}

// EverOf are the ids of all cards that an account has or had, for whoever erases what they left elsewhere.
func (s *Store) EverOf(ctx context.Context, user uuid.UUID) (ids []uuid.UUID, err error) {
	err = s.Read(ctx, func(tx *gorm.DB) error {
		var rows []cardRow
		err := tx.Select("id").Where("user_id = ?", user.String()).Order("id").Find(&rows).Error
		for i := range rows {
			ids = append(ids, uuid.MustParse(rows[i].ID))
		}
		return err
	})
	return ids, failed("listing the cards that an account ever had", err)
}

// Card is profiler.Accounts'.
func (s *Store) Card(ctx context.Context, id uuid.UUID) (card profiler.Card, role token.Role, err error) {
	err = s.Read(ctx, func(tx *gorm.DB) error {
		row, err := one[cardRow](tx.Where("id = ? AND deleted_at IS NULL", id.String()))
		if err != nil {
			return err
		}
		if row == nil {
			return ruleapi.ErrNotFound
		}
		card = row.card()
		role, err = owner(tx, row.UserID)
		return err
	})
	return card, role, failed("reading a card", err)
}

// owner is the role of a card's owner, who has a row as long as the card has.
func owner(tx *gorm.DB, id string) (token.Role, error) {
	row, err := one[userRow](tx.Where("id = ?", id))
	if err != nil {
		return "", err
	}
	if row == nil {
		return "", errors.New("a card has an owner who never was")
	}
	return token.Role(row.Role), nil
}

func hasType(tx *gorm.DB, cardType string) error {
	var n int64
	err := tx.Table("card_types").Where("id = ? AND NOT deleted", cardType).Count(&n).Error
	if err == nil && n == 0 {
		err = profiler.ErrNoCardType
	}
	return err
}

// CreateCard is profiler.Accounts'.
func (s *Store) CreateCard(ctx context.Context, who string, c profiler.Card, n profiler.Number) (out profiler.Card, err error) {
	err = s.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		user, err := one[userRow](locked(tx).Where("id = ? AND deleted_at IS NULL", c.UserID.String()))
		switch {
		case err != nil:
			return err
		case user == nil:
			return profiler.ErrNoUser
		case user.Role != string(token.User):
			return profiler.ErrNotCardholder
		}
		if err := hasType(tx, c.CardType); err != nil {
			return err
		}
		had, err := one[cardRow](locked(tx).Where("id = ?", c.ID.String()))
		if err != nil {
			return err
		}
		row := cardRow{ID: c.ID.String(), UserID: user.ID, CreatedAt: at}
		if had != nil {
			switch {
			case had.UserID != user.ID:
				return profiler.ErrCardTaken
			case had.DeletedAt == nil:
				return ruleapi.ErrExists
			}
			row = *had
		}
		if row, err = row.renumbered(n); err != nil {
			return err
		}
		row.CardType, row.Version, row.UpdatedAt, row.DeletedAt = c.CardType, row.Version+1, at, nil
		if had != nil {
			err = tx.Save(&row).Error
		} else {
			// Who is second with the id at the same time fails here, begins anew and then sees it.
			err = tx.Create(&row).Error
		}
		if err != nil {
			return err
		}
		out = row.card()
		return enter(tx, cardVersions, row.ID, row.Version, who, at, nil, row.said())
	})
	return out, failed("entering a card", err)
}

// DeleteCard is profiler.Accounts'.
func (s *Store) DeleteCard(ctx context.Context, who string, id uuid.UUID, may func(profiler.Card, token.Role) error) error {
	err := s.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		row, err := one[cardRow](tx.Where("id = ?", id.String()))
		if err != nil {
			return err
		}
		if row == nil {
			return ruleapi.ErrNotFound
		}
		// Everybody locks accounts before cards. A card never changes its owner.
		if _, err := one[userRow](locked(tx).Where("id = ?", row.UserID)); err != nil {
			return err
		}
		if row, err = one[cardRow](locked(tx).Where("id = ? AND deleted_at IS NULL", id.String())); err != nil {
			return err
		}
		if row == nil {
			return ruleapi.ErrNotFound
		}
		role, err := owner(tx, row.UserID)
		if err != nil {
			return err
		}
		if err := may(row.card(), role); err != nil {
			return err
		}
		return deleteCard(tx, at, who, row)
	})
	return failed("deleting a card", err)
}

func deleteCard(tx *gorm.DB, at time.Time, who string, row *cardRow) error {
	err := tx.Model(&cardRow{}).Where("id = ?", row.ID).Updates(map[string]any{"version": row.Version + 1, "updated_at": at, "deleted_at": at}).Error
	if err != nil {
		return err
	}
	return enter(tx, cardVersions, row.ID, row.Version+1, who, at, row.said(), nil)
}

// CardHistory is profiler.Accounts'.
func (s *Store) CardHistory(ctx context.Context, id uuid.UUID, p ruleapi.Page, may func(token.Role) error) (events []ruleapi.Event, total int64, err error) {
	err = s.Read(ctx, func(tx *gorm.DB) error {
		row, err := one[cardRow](tx.Where("id = ?", id.String()))
		if err != nil {
			return err
		}
		if row == nil {
			return ruleapi.ErrNotFound
		}
		role, err := owner(tx, row.UserID)
		if err != nil {
			return err
		}
		if err := may(role); err != nil {
			return err
		}
		events, total, err = history(tx, cardVersions, row.ID, p)
		return err
	})
	return events, total, failed("reading a card's history", err)
}

// CardsOfType is profiler.Accounts'.
func (s *Store) CardsOfType(ctx context.Context, cardType string) (n int64, err error) {
	err = s.Read(ctx, func(tx *gorm.DB) error {
		return tx.Model(&cardRow{}).Where("card_type = ? AND deleted_at IS NULL", cardType).Count(&n).Error
	})
	return n, failed("counting cards", err)
}
