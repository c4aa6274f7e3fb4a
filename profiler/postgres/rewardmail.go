package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/google/uuid"
	"gorm.io/gorm"
)

type rewardMailRow struct {
	UserID    string `gorm:"primaryKey"`
	Day       string `gorm:"primaryKey"`
	MessageID string
	Rows      []byte
	BegunAt   time.Time
	EndedAt   *time.Time
	Refused   bool
}

func (rewardMailRow) TableName() string { return "reward_mails" }

// keys are those of a mail.
func (r *rewardMailRow) keys() (map[profiler.RowKey]bool, error) {
	const size = len(profiler.RowKey{})
	if len(r.Rows)%size != 0 {
		return nil, fmt.Errorf("the reward mail of %s on %s has %d bytes of rows", r.UserID, r.Day, len(r.Rows))
	}
	keys := make(map[profiler.RowKey]bool, len(r.Rows)/size)
	for rest := r.Rows; len(rest) > 0; rest = rest[size:] {
		keys[profiler.RowKey(rest[:size])] = true
	}
	return keys, nil
}

// Unmailed is profiler.RewardMails'.
func (s *Store) Unmailed(ctx context.Context, since loyalty.Date, cards []profiler.CardRows) (out []profiler.CardRows, err error) {
	err = s.Read(ctx, func(tx *gorm.DB) error {
		ids := make([]string, len(cards))
		for i, c := range cards {
			ids[i] = c.Card.String()
		}
		// By ids and by nothing else, so that no planner takes an index of all accounts for it.
		var owned []struct{ ID, UserID string }
		if err := tx.Raw("SELECT id, user_id FROM cards WHERE id IN ? AND deleted_at IS NULL", ids).Scan(&owned).Error; err != nil {
			return err
		}
		owners := make([]string, len(owned))
		for i, o := range owned {
			owners[i] = o.UserID
		}
		var found []userRow
		if err := tx.Where("id IN ?", owners).Find(&found).Error; err != nil {
			return err
		}
		wants, users := map[string]bool{}, make([]string, 0, len(found))
		for i := range found {
			if found[i].DeletedAt == nil && found[i].user().GetsRewardMails() {
				wants[found[i].ID] = true
				users = append(users, found[i].ID)
			}
		}
		owner := map[string]string{}
		for _, o := range owned {
			if wants[o.UserID] {
				owner[o.ID] = o.UserID
			}
		}
		var mails []rewardMailRow
		if len(users) > 0 {
			if err := tx.Where("user_id IN ? AND day >= ? AND ended_at IS NOT NULL", users, since.String()).Find(&mails).Error; err != nil {
				return err
			}
		}
		told := map[string]map[profiler.RowKey]bool{}
		for i := range mails {
			keys, err := mails[i].keys()
			if err != nil {
				return err
			}
			all := told[mails[i].UserID]
			if all == nil {
				told[mails[i].UserID] = keys
				continue
			}
			for k := range keys {
				all[k] = true
			}
		}
		out = nil
		for _, c := range cards {
			user, ok := owner[c.Card.String()]
			if !ok {
				continue
			}
			left := profiler.CardRows{Card: c.Card, User: uuid.MustParse(user)}
			for _, k := range c.Rows {
				if !told[user][k] {
					left.Rows = append(left.Rows, k)
				}
			}
			if len(left.Rows) > 0 {
				out = append(out, left)
			}
		}
		return nil
	})
	return out, failed("looking for rewards that no mail has told of", err)
}

// BeginMail is profiler.RewardMails'.
func (s *Store) BeginMail(ctx context.Context, m profiler.RewardMail, since loyalty.Date) (user profiler.User, out []profiler.RewardMail, err error) {
	err = s.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		user, out = profiler.User{}, nil
		row, err := one[userRow](locked(tx).Where("id = ? AND deleted_at IS NULL", m.User.String()))
		switch {
		case err != nil:
			return err
		case row == nil:
			return profiler.ErrNoUser
		}
		if user = row.user(); !user.GetsRewardMails() {
			return nil
		}
		var mails []rewardMailRow
		if err := tx.Where("user_id = ? AND day >= ?", row.ID, since.String()).Order("day").Find(&mails).Error; err != nil {
			return err
		}
		var (
			today bool // there is a mail of that day
			told  = map[profiler.RowKey]bool{}
		)
		for i := range mails {
			keys, err := mails[i].keys()
			if err != nil {
				return err
			}
			today = today || mails[i].Day == m.Day.String()
			var rows []profiler.RowKey
			for _, k := range m.Rows {
				if keys[k] {
					told[k] = true
					rows = append(rows, k)
				}
			}
			if mails[i].EndedAt != nil {
				continue
			}
			day, err := loyalty.ParseDate(mails[i].Day)
			if err != nil {
				return err
			}
			out = append(out, profiler.RewardMail{User: m.User, Day: day, MessageID: mails[i].MessageID, Rows: rows})
		}
		if today {
			return nil
		}
		fresh := profiler.RewardMail{User: m.User, Day: m.Day, MessageID: m.MessageID}
		var rows []byte
		for _, k := range m.Rows {
			if !told[k] {
				told[k] = true
				fresh.Rows = append(fresh.Rows, k)
				rows = append(rows, k[:]...)
			}
		}
		if len(rows) == 0 {
			return nil
		}
		out = append(out, fresh)
		return tx.Create(&rewardMailRow{UserID: row.ID, Day: m.Day.String(), MessageID: m.MessageID, Rows: rows, BegunAt: at}).Error
	})
	return user, out, failed("beginning a reward mail", err)
}

// EndMail is profiler.RewardMails'.
func (s *Store) EndMail(ctx context.Context, user uuid.UUID, day loyalty.Date, refused bool) error {
	err := s.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		return tx.Exec("UPDATE reward_mails SET ended_at = ?, refused = ? WHERE user_id = ? AND day = ? AND ended_at IS NULL",
			at, refused, user.String(), day.String()).Error
	})
	return failed("ending a reward mail", err)
}

// DayMailed is profiler.RewardMails'.
func (s *Store) DayMailed(ctx context.Context, day loyalty.Date) (mailed bool, err error) {
	err = s.Read(ctx, func(tx *gorm.DB) error {
		var n int64
		err := tx.Table("reward_mail_days").Where("day = ?", day.String()).Count(&n).Error
		mailed = n > 0
		return err
	})
	return mailed, failed("reading whether a day was mailed", err)
}

// EndMailDay is profiler.RewardMails'.
func (s *Store) EndMailDay(ctx context.Context, day loyalty.Date) error {
	err := s.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		err := tx.Exec("INSERT INTO reward_mail_days (day, ended_at) VALUES (?, ?) ON CONFLICT (day) DO NOTHING", day.String(), at).Error
		if err != nil {
			return err
		}
		old := (day - profiler.KeepMails).String()
		if err := tx.Exec("DELETE FROM reward_mails WHERE day < ?", old).Error; err != nil {
			return err
		}
		return tx.Exec("DELETE FROM reward_mail_days WHERE day < ?", old).Error
	})
	return failed("ending a day of reward mails", err)
}
