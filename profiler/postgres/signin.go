package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler/signin"
	"github.com/google/uuid"
	"gorm.io/gorm"
)

// SignIn is the part of the store that lets people in.
func (s *Store) SignIn() signin.Store { return signIn{s.DB} }

// signIn is a signin.Store. Its transactions lock the account's row before anything else of the
// account, so that none waits for another in a circle.
type signIn struct{ db *ruledb.DB }

// forUpdate makes a SELECT lock its rows until the transaction ends. SQLite's transactions that may
// write lock the whole database when they begin.
func forUpdate(tx *gorm.DB) string {
	if tx.Name() == "postgres" {
		return " FOR UPDATE"
	}
	return ""
}

const selectAccount = `
	SELECT u.id, u.email, u.first_name, u.last_name, u.role, u.is_new, u.locked, u.reward_emails, u.session_version,
		c.hash, c.first, c.expires_at, f.secret, f.confirmed, f.last_step
	FROM users u LEFT JOIN credentials c ON c.user_id = u.id LEFT JOIN totp_factors f ON f.user_id = u.id
	WHERE u.deleted_at IS NULL AND `

// accountRow is what it selects.
type accountRow struct {
	ID, Email, FirstName, LastName, Role string
	IsNew, Locked, RewardEmails          bool
	SessionVersion                       int64
	Hash                                 *string
	First                                *bool
	ExpiresAt                            *time.Time
	Secret                               *string
	Confirmed                            *bool
	LastStep                             *int64
}

func account(tx *gorm.DB, where string, args ...any) (a signin.Account, err error) {
	var rows []accountRow
	if err := tx.Raw(selectAccount+where, args...).Scan(&rows).Error; err != nil {
		return a, fmt.Errorf("reading an account: %w", err)
	}
	if len(rows) != 1 {
		return a, signin.ErrNotFound
	}
	r := rows[0]
	a = signin.Account{
		ID: r.ID, Email: r.Email, FirstName: r.FirstName, LastName: r.LastName, Role: token.Role(r.Role),
		New: r.IsNew, Locked: r.Locked, RewardEmails: r.RewardEmails, Session: r.SessionVersion,
	}
	if r.Hash != nil {
		a.Hash, a.First = *r.Hash, r.First != nil && *r.First
		if r.ExpiresAt != nil {
			a.Expires = r.ExpiresAt.UTC()
		}
	}
	if r.Secret != nil && r.Confirmed != nil && r.LastStep != nil {
		a.Factor = &signin.Factor{Secret: *r.Secret, Confirmed: *r.Confirmed, LastStep: *r.LastStep}
	}
	return a, nil
}

// lock locks an account's row, so that its changes come one after another.
func lock(tx *gorm.DB, id string) error {
	var ids []string
	if err := tx.Raw("SELECT id FROM users WHERE id = ? AND deleted_at IS NULL"+forUpdate(tx), id).Scan(&ids).Error; err != nil {
		return fmt.Errorf("locking an account: %w", err)
	}
	if len(ids) == 0 {
		return signin.ErrNotFound
	}
	return nil
}

// endSessions raises the session version of a locked account and ends its families.
func endSessions(tx *gorm.DB, at time.Time, id string) error {
	if err := tx.Exec("UPDATE users SET session_version = session_version + 1 WHERE id = ?", id).Error; err != nil {
		return fmt.Errorf("ending sessions: %w", err)
	}
	if err := tx.Exec("UPDATE refresh_families SET ended_at = ? WHERE user_id = ? AND ended_at IS NULL", at, id).Error; err != nil {
		return fmt.Errorf("ending sessions: %w", err)
	}
	return nil
}

// exec runs a statement and returns how many rows it changed.
func exec(tx *gorm.DB, what, sql string, args ...any) (int64, error) {
	r := tx.Exec(sql, args...)
	if r.Error != nil {
		return 0, fmt.Errorf("%s: %w", what, r.Error)
	}
	return r.RowsAffected, nil
}

// Account is signin.Store's, as the others are.
func (s signIn) Account(ctx context.Context, id string) (a signin.Account, err error) {
	err = s.db.Read(ctx, func(tx *gorm.DB) error {
		a, err = account(tx, "u.id = ?", id)
		return err
	})
	return a, err
}

// AccountByEmail looks by the key that users keep.
func (s signIn) AccountByEmail(ctx context.Context, email string) (a signin.Account, err error) {
	err = s.db.Read(ctx, func(tx *gorm.DB) error {
		a, err = account(tx, "u.email_key = ?", signin.EmailKey(email))
		return err
	})
	return a, err
}

// errFull rolls the counting of a try back.
var errFull = errors.New("too many tries")

// Take keeps the times of the last tries in one row, which it locks: so the limit holds in any span, not
// only in those that begin with a minute, and for all instances.
func (s signIn) Take(ctx context.Context, limits ...signin.Limit) (wait time.Duration, err error) {
	// Everybody locks in the same order.
	limits = slices.Clone(limits)
	buckets := map[string]signin.Rate{}
	for i, l := range limits {
		limits[i].Key = loyalty.HashOf([]byte(l.Key)).String()
		buckets[limits[i].Key] = l.Rate
	}
	slices.SortFunc(limits, func(a, b signin.Limit) int { return strings.Compare(a.Key, b.Key) })
	err = s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		wait = 0
		now := at.UnixMilli()
		for _, l := range limits {
			var recent string
			err := tx.Raw(`INSERT INTO rate_limits (bucket, recent, until_ms) VALUES (?, '', ?)
				ON CONFLICT (bucket) DO UPDATE SET bucket = excluded.bucket RETURNING recent`, l.Key, now).Scan(&recent).Error
			if err != nil {
				return fmt.Errorf("counting a try: %w", err)
			}
			var tries []int64
			for text := range strings.FieldsSeq(recent) {
				// (a clock that ran ahead must not lock anybody out)
				if t, err := strconv.ParseInt(text, 10, 64); err == nil && t > now-l.Rate.Per.Milliseconds() && t <= now+l.Rate.Per.Milliseconds() {
					tries = append(tries, t)
				}
			}
			slices.Sort(tries)
			if n := len(tries) - l.Rate.Max; n >= 0 {
				wait = max(wait, time.Duration(tries[n]+l.Rate.Per.Milliseconds()-now)*time.Millisecond, time.Millisecond)
				continue
			}
			var b strings.Builder
			for _, t := range tries {
				b.WriteString(strconv.FormatInt(t, 10) + " ")
			}
			b.WriteString(strconv.FormatInt(now, 10))
			if _, err := exec(tx, "counting a try", "UPDATE rate_limits SET recent = ?, until_ms = ? WHERE bucket = ?",
				b.String(), now+2*l.Rate.Per.Milliseconds(), l.Key); err != nil {
				return err
			}
		}
		if wait > 0 {
			return errFull
		}
		return nil
	})
	if errors.Is(err, errFull) {
		return wait, nil
	}
	return 0, err
}

func (s signIn) Begin(ctx context.Context, userID string, session int64, hash loyalty.Hash, idle, life time.Duration) error {
	return s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		family := uuid.NewString()
		if _, err := exec(tx, "beginning a session", "INSERT INTO refresh_families (id, user_id, session_version, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
			family, userID, session, at, at.Add(life)); err != nil {
			return err
		}
		return putToken(tx, family, hash, at.Add(min(idle, life)))
	})
}

func putToken(tx *gorm.DB, family string, hash loyalty.Hash, expires time.Time) error {
	_, err := exec(tx, "keeping a refresh token", "INSERT INTO refresh_tokens (hash, family_id, expires_at) VALUES (?, ?, ?)", hash.String(), family, expires)
	return err
}

// tokenRow is a refresh token with its family.
type tokenRow struct {
	FamilyID       string
	UserID         string
	SessionVersion int64
	TokenEnds      time.Time
	UsedAt         *time.Time
	FamilyEnds     time.Time
	EndedAt        *time.Time
}

func refreshToken(tx *gorm.DB, hash loyalty.Hash) (*tokenRow, error) {
	lock := forUpdate(tx)
	if lock != "" {
		lock += " OF t"
	}
	var rows []tokenRow
	err := tx.Raw(`SELECT t.family_id, f.user_id, f.session_version, t.expires_at AS token_ends, t.used_at, f.expires_at AS family_ends, f.ended_at
		FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id WHERE t.hash = ?`+lock, hash.String()).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reading a refresh token: %w", err)
	}
	if len(rows) == 0 {
		return nil, signin.ErrNotFound
	}
	return &rows[0], nil
}

// refuses says why a token is not good, or nil.
func (t *tokenRow) refuses(a signin.Account, at time.Time) error {
	switch {
	case t.UsedAt != nil:
		return signin.ErrReused
	case t.EndedAt != nil, !at.Before(t.TokenEnds), !at.Before(t.FamilyEnds), t.SessionVersion != a.Session, a.Locked:
		return signin.ErrNotFound
	}
	return nil
}

func (s signIn) RefreshAccount(ctx context.Context, hash loyalty.Hash) (a signin.Account, err error) {
	// A transaction that may write has the clock.
	err = s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		t, err := refreshToken(tx, hash)
		if err != nil {
			return err
		}
		if a, err = account(tx, "u.id = ?", t.UserID); err != nil {
			return err
		}
		return t.refuses(a, at)
	})
	return a, err
}

func endFamily(tx *gorm.DB, at time.Time, family string) error {
	_, err := exec(tx, "ending a session", "UPDATE refresh_families SET ended_at = ? WHERE id = ? AND ended_at IS NULL", at, family)
	return err
}

func (s signIn) Rotate(ctx context.Context, used, next loyalty.Hash, idle func(token.Role) time.Duration) (a signin.Account, err error) {
	var refused error // which is no reason to roll back the end of a family
	err = s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		a, refused = signin.Account{}, nil
		t, err := refreshToken(tx, used)
		if err != nil {
			return err
		}
		if a, err = account(tx, "u.id = ?", t.UserID); err != nil {
			return err
		}
		switch refused = t.refuses(a, at); {
		case errors.Is(refused, signin.ErrReused):
			return endFamily(tx, at, t.FamilyID)
		case refused != nil:
			return nil
		}
		if _, err := exec(tx, "using a refresh token", "UPDATE refresh_tokens SET used_at = ? WHERE hash = ?", at, used.String()); err != nil {
			return err
		}
		ends := at.Add(idle(a.Role))
		if ends.After(t.FamilyEnds) {
			ends = t.FamilyEnds
		}
		return putToken(tx, t.FamilyID, next, ends.UTC())
	})
	if err == nil {
		err = refused
	}
	return a, err
}

func (s signIn) EndFamily(ctx context.Context, userID string, hash loyalty.Hash) error {
	return s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		t, err := refreshToken(tx, hash)
		if errors.Is(err, signin.ErrNotFound) || err == nil && t.UserID != userID {
			return nil
		}
		if err != nil {
			return err
		}
		return endFamily(tx, at, t.FamilyID)
	})
}

func (s signIn) EndSessions(ctx context.Context, userID string) error {
	return s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		if err := lock(tx, userID); err != nil {
			return err
		}
		return endSessions(tx, at, userID)
	})
}

func (s signIn) SetPassword(ctx context.Context, change signin.PasswordChange) (a signin.Account, err error) {
	err = s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		if err := lock(tx, change.UserID); err != nil {
			return err
		}
		if change.Reset != nil {
			n, err := exec(tx, "using a link", "DELETE FROM password_resets WHERE hash = ? AND user_id = ? AND expires_at > ?", change.Reset.String(), change.UserID, at)
			if err != nil {
				return err
			}
			if n != 1 {
				return signin.ErrNotFound
			}
		}
		var expires *time.Time
		if !change.Expires.IsZero() {
			utc := change.Expires.UTC()
			expires = &utc
		}
		if change.Was != "" {
			n, err := exec(tx, "setting a password", "UPDATE credentials SET hash = ?, first = ?, expires_at = ?, changed_at = ? WHERE user_id = ? AND hash = ?",
				change.Hash, change.First, expires, at, change.UserID, change.Was)
			if err != nil {
				return err
			}
			if n != 1 {
				return signin.ErrConflict
			}
		} else if _, err := exec(tx, "setting a password", `INSERT INTO credentials (user_id, hash, first, expires_at, changed_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, first = excluded.first, expires_at = excluded.expires_at, changed_at = excluded.changed_at`,
			change.UserID, change.Hash, change.First, expires, at); err != nil {
			return err
		}
		if _, err := exec(tx, "setting a password", "UPDATE users SET is_new = ? WHERE id = ?", change.First, change.UserID); err != nil {
			return err
		}
		if _, err := exec(tx, "ending links", "DELETE FROM password_resets WHERE user_id = ?", change.UserID); err != nil {
			return err
		}
		if err := forgetFirstMail(tx, change.UserID); err != nil {
			return err
		}
		if err := endSessions(tx, at, change.UserID); err != nil {
			return err
		}
		a, err = account(tx, "u.id = ?", change.UserID)
		return err
	})
	return a, err
}

func (s signIn) Rehash(ctx context.Context, userID, was, hash string) error {
	return s.db.Change(ctx, func(tx *gorm.DB, _ time.Time) error {
		_, err := exec(tx, "making a hash anew", "UPDATE credentials SET hash = ? WHERE user_id = ? AND hash = ?", hash, userID, was)
		return err
	})
}

func (s signIn) PutReset(ctx context.Context, userID string, link loyalty.Hash, expires time.Time) error {
	return s.db.Change(ctx, func(tx *gorm.DB, _ time.Time) error {
		if err := lock(tx, userID); err != nil {
			return err
		}
		_, err := exec(tx, "keeping a link", `INSERT INTO password_resets (user_id, hash, expires_at) VALUES (?, ?, ?)
			ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at`, userID, link.String(), expires.UTC())
		return err
	})
}

func (s signIn) ResetAccount(ctx context.Context, link loyalty.Hash) (a signin.Account, err error) {
	// A transaction that may write has the clock.
	err = s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		a, err = account(tx, "NOT u.locked AND u.id = (SELECT user_id FROM password_resets WHERE hash = ? AND expires_at > ?)", link.String(), at)
		return err
	})
	return a, err
}

func (s signIn) PutFactor(ctx context.Context, userID, secret string) error {
	return s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		if err := lock(tx, userID); err != nil {
			return err
		}
		n, err := exec(tx, "keeping a second factor", `INSERT INTO totp_factors (user_id, secret, confirmed, last_step, created_at) VALUES (?, ?, ?, 0, ?)
			ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, last_step = 0, created_at = excluded.created_at WHERE NOT totp_factors.confirmed`,
			userID, secret, false, at)
		if err == nil && n == 0 {
			return signin.ErrConflict
		}
		return err
	})
}

func (s signIn) ConfirmFactor(ctx context.Context, userID, secret string, step int64) (a signin.Account, err error) {
	err = s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		if err := lock(tx, userID); err != nil {
			return err
		}
		n, err := exec(tx, "confirming a second factor", "UPDATE totp_factors SET confirmed = ?, last_step = ? WHERE user_id = ? AND secret = ? AND NOT confirmed", true, step, userID, secret)
		if err != nil {
			return err
		}
		if n == 0 {
			return signin.ErrConflict
		}
		if err := endSessions(tx, at, userID); err != nil {
			return err
		}
		a, err = account(tx, "u.id = ?", userID)
		return err
	})
	return a, err
}

func (s signIn) UseStep(ctx context.Context, userID string, step int64) error {
	return s.db.Change(ctx, func(tx *gorm.DB, _ time.Time) error {
		n, err := exec(tx, "using a code", "UPDATE totp_factors SET last_step = ? WHERE user_id = ? AND confirmed AND last_step < ?", step, userID, step)
		if err == nil && n == 0 {
			return signin.ErrConflict
		}
		return err
	})
}

func (s signIn) RemoveFactor(ctx context.Context, userID string) error {
	return s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		if err := lock(tx, userID); err != nil {
			return err
		}
		n, err := exec(tx, "removing a second factor", "DELETE FROM totp_factors WHERE user_id = ?", userID)
		if err != nil {
			return err
		}
		if n == 0 {
			return signin.ErrNotFound
		}
		return endSessions(tx, at, userID)
	})
}

// secretRow is a live secret.
type secretRow struct {
	ID        string
	CreatedAt time.Time
	CreatedBy string
}

func secrets(tx *gorm.DB, userID string) (rows []secretRow, err error) {
	err = tx.Raw("SELECT id, created_at, created_by FROM client_secrets WHERE user_id = ? AND revoked_at IS NULL ORDER BY created_at, id", userID).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reading secrets: %w", err)
	}
	return rows, nil
}

func (s signIn) Secrets(ctx context.Context, userID string) (out []signin.Secret, err error) {
	err = s.db.Read(ctx, func(tx *gorm.DB) error {
		rows, err := secrets(tx, userID)
		out = nil
		for _, r := range rows {
			out = append(out, signin.Secret{ID: r.ID, CreatedAt: r.CreatedAt.UTC(), CreatedBy: r.CreatedBy})
		}
		return err
	})
	return out, err
}

func putSecret(tx *gorm.DB, at time.Time, userID string, hash loyalty.Hash, by string) (signin.Secret, error) {
	out := signin.Secret{ID: uuid.NewString(), CreatedAt: at, CreatedBy: by}
	_, err := exec(tx, "keeping a secret", "INSERT INTO client_secrets (id, user_id, hash, created_at, created_by) VALUES (?, ?, ?, ?, ?)",
		out.ID, userID, hash.String(), at, by)
	return out, err
}

func (s signIn) AddSecret(ctx context.Context, userID string, hash loyalty.Hash, by string) (out signin.Secret, err error) {
	err = s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		if err := lock(tx, userID); err != nil {
			return err
		}
		live, err := secrets(tx, userID)
		if err != nil {
			return err
		}
		if len(live) >= signin.MaxSecrets {
			return signin.ErrConflict
		}
		out, err = putSecret(tx, at, userID, hash, by)
		return err
	})
	return out, err
}

func revoke(tx *gorm.DB, at time.Time, userID, secretID string) (int64, error) {
	return exec(tx, "revoking a secret", "UPDATE client_secrets SET revoked_at = ? WHERE id = ? AND user_id = ? AND revoked_at IS NULL", at, secretID, userID)
}

func (s signIn) RevokeSecret(ctx context.Context, userID, secretID string) error {
	return s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		if err := lock(tx, userID); err != nil {
			return err
		}
		n, err := revoke(tx, at, userID, secretID)
		if err != nil {
			return err
		}
		if n == 0 {
			return signin.ErrNotFound
		}
		return endSessions(tx, at, userID)
	})
}

func (s signIn) SecretAccount(ctx context.Context, userID string, hash loyalty.Hash) (a signin.Account, err error) {
	err = s.db.Read(ctx, func(tx *gorm.DB) error {
		a, err = account(tx, "u.id = ? AND EXISTS (SELECT 1 FROM client_secrets s WHERE s.user_id = u.id AND s.hash = ? AND s.revoked_at IS NULL)", userID, hash.String())
		return err
	})
	return a, err
}

func (s signIn) EnsureService(ctx context.Context, id, name string, hash loyalty.Hash) error {
	return s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		if _, err := exec(tx, "making a service's account", `INSERT INTO users (id, first_name, last_name, phone, email, role, is_new, locked, reward_emails, session_version, version, created_at, updated_at)
			VALUES (?, ?, '', '', '', ?, ?, ?, ?, 1, 1, ?, ?) ON CONFLICT (id) DO NOTHING`, id, name, string(token.Service), false, false, false, at, at); err != nil {
			return err
		}
		if err := lock(tx, id); err != nil {
			return err
		}
		a, err := account(tx, "u.id = ?", id)
		if err != nil {
			return err
		}
		if a.Role != token.Service {
			return signin.ErrConflict
		}
		var known []struct {
			UserID    string
			RevokedAt *time.Time
		}
		if err := tx.Raw("SELECT user_id, revoked_at FROM client_secrets WHERE hash = ?", hash.String()).Scan(&known).Error; err != nil {
			return fmt.Errorf("reading secrets: %w", err)
		}
		if len(known) > 0 {
			if known[0].UserID != id || known[0].RevokedAt != nil {
				return signin.ErrConflict
			}
			return nil
		}
		if _, err := putSecret(tx, at, id, hash, "SERVICE_SECRETS"); err != nil {
			return err
		}
		live, err := secrets(tx, id)
		if err != nil {
			return err
		}
		for len(live) > signin.MaxSecrets {
			// The one that came now may have the time of another, and is not the one to go.
			if _, err := revoke(tx, at, id, live[0].ID); err != nil {
				return err
			}
			live = live[1:]
		}
		return nil
	})
}

func limits(tx *gorm.DB, userID string) (*signin.Limits, error) {
	var rows []string
	if err := tx.Raw("SELECT CAST(limits AS TEXT) FROM merchant_limits WHERE user_id = ?", userID).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("reading a merchant's limits: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	out := &signin.Limits{}
	if err := json.Unmarshal([]byte(rows[0]), out); err != nil {
		return nil, fmt.Errorf("a merchant's limits in the database cannot be read: %s", err) // not for who called
	}
	return out, nil
}

func (s signIn) Limits(ctx context.Context, userID string) (out *signin.Limits, err error) {
	err = s.db.Read(ctx, func(tx *gorm.DB) error {
		out, err = limits(tx, userID)
		return err
	})
	return out, err
}

func (s signIn) SetLimits(ctx context.Context, userID string, l signin.Limits, by string) error {
	body, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("writing a merchant's limits: %w", err)
	}
	return s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		if err := lock(tx, userID); err != nil {
			return err
		}
		_, err := exec(tx, "writing a merchant's limits", `INSERT INTO merchant_limits (user_id, limits, updated_at, updated_by) VALUES (?, ?, ?, ?)
			ON CONFLICT (user_id) DO UPDATE SET limits = excluded.limits, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
			userID, string(body), at, by)
		return err
	})
}

func (s signIn) Spend(ctx context.Context, spend signin.Spend) (tally signin.Tally, err error) {
	currency := spend.Amount.Currency
	amount := spend.Amount.Minor
	if amount == math.MinInt64 {
		return tally, signin.ErrOverLimit
	}
	if amount < 0 {
		amount = -amount
	}
	err = s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		all, err := limits(tx, spend.UserID)
		if err != nil {
			return err
		}
		// The merchant's row of the day is locked first, so that what it sends is counted one by one.
		var spent int64
		err = tx.Raw(`INSERT INTO merchant_spend (user_id, day, currency, spent) VALUES (?, ?, ?, 0)
			ON CONFLICT (user_id, day, currency) DO UPDATE SET spent = merchant_spend.spent RETURNING spent`,
			spend.UserID, spend.Day.String(), currency.String()).Scan(&spent).Error
		if err != nil {
			return fmt.Errorf("counting a spend: %w", err)
		}
		tally = signin.Tally{Spent: loyalty.Money{Minor: spent, Currency: currency}, Limit: all.Of(currency)}
		const key = "user_id = ? AND card_id = ? AND transaction_date = ? AND transaction_id = ? AND currency = ?"
		of := []any{spend.UserID, spend.CardID.String(), spend.Date.String(), spend.ID.String(), currency.String()}
		var reserved []int64
		if err := tx.Raw("SELECT amount FROM merchant_reservations WHERE "+key+forUpdate(tx), of...).Scan(&reserved).Error; err != nil {
			return fmt.Errorf("counting a spend: %w", err)
		}
		more := amount
		if len(reserved) > 0 {
			if more -= reserved[0]; more <= 0 {
				return nil
			}
		}
		if spent > math.MaxInt64-more || tally.Limit != nil && spent+more > tally.Limit.Minor {
			return signin.ErrOverLimit
		}
		if len(reserved) > 0 {
			_, err = exec(tx, "counting a spend", "UPDATE merchant_reservations SET amount = ?, at = ? WHERE "+key, append([]any{amount, at}, of...)...)
		} else {
			_, err = exec(tx, "counting a spend", "INSERT INTO merchant_reservations (user_id, card_id, transaction_date, transaction_id, currency, amount, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
				append(of, amount, at)...)
		}
		if err != nil {
			return err
		}
		tally.Spent.Minor += more
		_, err = exec(tx, "counting a spend", "UPDATE merchant_spend SET spent = ? WHERE user_id = ? AND day = ? AND currency = ?",
			spent+more, spend.UserID, spend.Day.String(), currency.String())
		return err
	})
	return tally, err
}

func (s signIn) StopRewardEmails(ctx context.Context, userID string) error {
	return s.db.Change(ctx, func(tx *gorm.DB, _ time.Time) error {
		if err := lock(tx, userID); err != nil {
			return err
		}
		_, err := exec(tx, "ending reward mails", "UPDATE users SET reward_emails = ? WHERE id = ?", false, userID)
		return err
	})
}

const (
	// keepDead is how long an ended session stays, so that a second use of its tokens is told apart.
	keepDead = 24 * time.Hour
	// keepSpend is how long a transaction is remembered that may be sent again.
	keepSpend = 100 * 24 * time.Hour
)

// Sweep removes rows in steps of one statement each: what one of them finds, the next ones need not.
func (s signIn) Sweep(ctx context.Context) (swept int64, err error) {
	for _, statement := range []struct {
		sql  string
		args func(at time.Time) []any
	}{
		{"DELETE FROM rate_limits WHERE until_ms < ?", func(at time.Time) []any { return []any{at.UnixMilli()} }},
		{"DELETE FROM password_resets WHERE expires_at < ?", func(at time.Time) []any { return []any{at} }},
		{"DELETE FROM refresh_tokens WHERE family_id IN (SELECT id FROM refresh_families WHERE expires_at < ? OR ended_at < ?)",
			func(at time.Time) []any { return []any{at.Add(-keepDead), at.Add(-keepDead)} }},
		{"DELETE FROM refresh_families WHERE (expires_at < ? OR ended_at < ?) AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.family_id = refresh_families.id)",
			func(at time.Time) []any { return []any{at.Add(-keepDead), at.Add(-keepDead)} }},
		{"DELETE FROM merchant_reservations WHERE at < ?", func(at time.Time) []any { return []any{at.Add(-keepSpend)} }},
		{"DELETE FROM merchant_spend WHERE day < ?", func(at time.Time) []any { return []any{at.Add(-keepSpend).Format(time.DateOnly)} }},
	} {
		err := s.db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
			n, err := exec(tx, "sweeping", statement.sql, statement.args(at)...)
			swept += n
			return err
		})
		if err != nil {
			return swept, err
		}
	}
	return swept, nil
}
