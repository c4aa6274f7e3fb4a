package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/angelowl-loyalties/app/profiler/signin"
	"gorm.io/gorm"
)

type firstMailRow struct {
	Sealed       string
	MessageID    string
	EmailKey     string
	ExpiresAt    time.Time
	ClaimedUntil time.Time
}

// forgetFirstMail is for an account whose password is another now.
func forgetFirstMail(tx *gorm.DB, userID string) error {
	_, err := exec(tx, "forgetting a mail", "DELETE FROM first_mails WHERE user_id = ?", userID)
	return err
}

func (s signIn) ClaimFirstMail(ctx context.Context, userID string, fresh *signin.FreshMail, lease time.Duration) (a signin.Account, m signin.FirstMail, err error) {
	err = s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		m = signin.FirstMail{}
		if err := lock(tx, userID); err != nil {
			return err
		}
		if a, err = account(tx, "u.id = ?", userID); err != nil {
			return err
		}
		var rows []firstMailRow
		if err := tx.Raw("SELECT sealed, message_id, email_key, expires_at, claimed_until FROM first_mails WHERE user_id = ?", userID).Scan(&rows).Error; err != nil {
			return fmt.Errorf("reading a mail that waits: %w", err)
		}
		switch {
		case len(rows) == 0 && a.Hash != "":
			return signin.ErrHasPassword
		case len(rows) > 0 && rows[0].ClaimedUntil.After(at):
			return signin.ErrConflict
		case len(rows) > 0 && rows[0].EmailKey == signin.EmailKey(a.Email) && rows[0].ExpiresAt.After(at):
			r := rows[0]
			m = signin.FirstMail{Sealed: r.Sealed, MessageID: r.MessageID, Expires: r.ExpiresAt.UTC()}
			_, err := exec(tx, "claiming a mail", "UPDATE first_mails SET claimed_until = ? WHERE user_id = ?", at.Add(lease), userID)
			return err
		case fresh == nil:
			return nil
		}
		m = fresh.FirstMail
		m.Expires = m.Expires.UTC()
		if _, err := exec(tx, "setting a first password", `INSERT INTO credentials (user_id, hash, first, expires_at, changed_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, first = excluded.first, expires_at = excluded.expires_at, changed_at = excluded.changed_at`,
			userID, fresh.Hash, true, m.Expires, at); err != nil {
			return err
		}
		if _, err := exec(tx, "setting a first password", "UPDATE users SET is_new = ? WHERE id = ?", true, userID); err != nil {
			return err
		}
		if len(rows) > 0 { // somebody may have got in by the password before
			if err := endSessions(tx, at, userID); err != nil {
				return err
			}
		}
		if _, err := exec(tx, "keeping a mail", `INSERT INTO first_mails (user_id, sealed, message_id, email_key, expires_at, claimed_until) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, message_id = excluded.message_id, email_key = excluded.email_key,
				expires_at = excluded.expires_at, claimed_until = excluded.claimed_until`,
			userID, m.Sealed, m.MessageID, signin.EmailKey(a.Email), m.Expires, at.Add(lease)); err != nil {
			return err
		}
		a, err = account(tx, "u.id = ?", userID)
		return err
	})
	if err != nil && !errors.Is(err, signin.ErrConflict) && !errors.Is(err, signin.ErrHasPassword) {
		a = signin.Account{}
	}
	return a, m, err
}

func (s signIn) EndFirstMail(ctx context.Context, userID, messageID string, taken bool) error {
	return s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		if taken {
			_, err := exec(tx, "ending a mail", "DELETE FROM first_mails WHERE user_id = ? AND message_id = ?", userID, messageID)
			return err
		}
		_, err := exec(tx, "releasing a mail", "UPDATE first_mails SET claimed_until = ? WHERE user_id = ? AND message_id = ?", at, userID, messageID)
		return err
	})
}
