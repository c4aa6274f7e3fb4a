package signin

import (
	"context"
	"errors"
	netmail "net/mail"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/google/uuid"
)

var (
	// ErrNotFound says that there is no such account, token or secret, or none any more.
	ErrNotFound = errors.New("it is not there")
	// ErrConflict says that it is not as it was when the caller looked, or not such that it can be done.
	ErrConflict = errors.New("it is another now")
	// ErrReused says that a refresh token was used before. Its family has ended.
	ErrReused = errors.New("the refresh token was used before")
	// ErrOverLimit says that a spend does not fit into the merchant's daily sum. Nothing was counted.
	ErrOverLimit = errors.New("it is more than the daily sum allows")
	// ErrHasPassword says that an account has had a password, and no mail waits that brings it.
	ErrHasPassword = errors.New("the account has a password")
)

// Account is an account as sign-in sees it.
type Account struct {
	ID           string
	Email        string
	FirstName    string
	LastName     string
	Role         token.Role
	New          bool // its password is the first one
	Locked       bool
	RewardEmails bool
	Session      int64 // goes up by one with each change that ends sessions

	Hash    string    // of the password; "" for none
	First   bool      // others have seen the password
	Expires time.Time // of the password; zero for never

	Factor *Factor // nil for none
}

// Name is the person's.
func (a Account) Name() string {
	switch {
	case a.FirstName == "":
		return a.LastName
	case a.LastName == "":
		return a.FirstName
	}
	return a.FirstName + " " + a.LastName
}

// Address is where the person reads mail.
func (a Account) Address() netmail.Address {
	return netmail.Address{Name: a.Name(), Address: a.Email}
}

// Factor is a second factor.
type Factor struct {
	Secret    string // encrypted
	Confirmed bool   // it has shown a code once
	LastStep  int64
}

// Limit is how often something may be tried.
type Limit struct {
	Key  string // what is limited; at most 200 bytes
	Rate Rate
}

// Rate is so many in any span of a length.
type Rate struct {
	Max int
	Per time.Duration
}

// PasswordChange gives an account another password and ends its sessions.
type PasswordChange struct {
	UserID  string
	Was     string        // the hash that it must still have; "" for any
	Reset   *loyalty.Hash // of the link that it uses up; nil for none
	Hash    string
	First   bool      // others have seen the new one
	Expires time.Time // zero for never
}

// FirstMail is a first password that waits to be mailed.
type FirstMail struct {
	Sealed    string // the password, encrypted
	MessageID string
	Expires   time.Time // of the password
}

// FreshMail is a first password that nobody has yet.
type FreshMail struct {
	FirstMail
	Hash string
}

// Secret is one of a client's, which itself is not kept.
type Secret struct {
	ID        string
	CreatedAt time.Time
	CreatedBy string
}

// MaxSecrets is how many live secrets a client may have: one in use, and one that takes its place.
const MaxSecrets = 2

// Spend is a transaction that counts against a merchant's daily sum.
type Spend struct {
	UserID string
	CardID uuid.UUID
	Date   loyalty.Date
	ID     uuid.UUID
	Amount loyalty.Money // a refund counts as what it is worth, too
	Day    loyalty.Date  // the bank's, today
}

// Tally is what a merchant has spent in a currency on a day.
type Tally struct {
	Spent loyalty.Money
	Limit *loyalty.Money // nil for none
}

// Store keeps what sign-in needs. Each method is a transaction of its own, atomic also against other
// instances, and may be called by several goroutines at once; the time of a change is that of the
// store's clock. Ids are UUIDs as text. An account that was deleted is not there. An error that is
// none of those above is the database's, and for web.Fail.
type Store interface {
	// Account returns an account, or ErrNotFound.
	Account(ctx context.Context, id string) (Account, error)
	// AccountByEmail returns the account whose email is this one when case does not count (EmailKey),
	// or ErrNotFound.
	AccountByEmail(ctx context.Context, email string) (Account, error)

	// Take counts one try against each of the limits and returns 0; or, where one of them has had its
	// tries, counts none and returns how long it is until the next is free.
	Take(ctx context.Context, limits ...Limit) (wait time.Duration, err error)

	// Begin begins a family of refresh tokens under a session version. token is good for idle, the
	// family for life.
	Begin(ctx context.Context, userID string, session int64, token loyalty.Hash, idle, life time.Duration) error
	// Rotate uses up a refresh token and puts next in its place, good for what idle says of the
	// account's role and at most as long as the family. It returns the account. ErrReused when used
	// was used before; ErrNotFound when it never was, has expired, its family has ended or is of
	// another session version, or the account is locked. With both errors the account is there if
	// the token ever belonged to one.
	Rotate(ctx context.Context, used, next loyalty.Hash, idle func(token.Role) time.Duration) (Account, error)
	// RefreshAccount returns the account of a refresh token that Rotate would take, or the error that
	// Rotate would return, and changes nothing.
	RefreshAccount(ctx context.Context, token loyalty.Hash) (Account, error)
	// EndFamily ends the family of a refresh token of this account, used or not, if there is one.
	EndFamily(ctx context.Context, userID string, token loyalty.Hash) error
	// EndSessions raises the session version and ends all families. ErrNotFound without the account.
	EndSessions(ctx context.Context, userID string) error

	// SetPassword does as it says, all or nothing: the password, the session version up, families
	// and links ended. It returns the account after it. ErrNotFound when account or link are not
	// there, or the link is not this account's or has expired; ErrConflict when the hash is another.
	SetPassword(ctx context.Context, change PasswordChange) (Account, error)
	// ClaimFirstMail takes the mail with an account's first password upon the caller, for as long as
	// lease says. There is one until the mail system has taken it, or SetPassword has set another
	// password. Where it cannot be sent any more, because the password has expired or the account has
	// another address now, or there has never been a password, the one of fresh is set and its mail
	// waits; with a nil fresh, the mail that is returned is empty. ErrNotFound without the account,
	// ErrHasPassword when there is nothing to send, ErrConflict while another has claimed it.
	ClaimFirstMail(ctx context.Context, userID string, fresh *FreshMail, lease time.Duration) (Account, FirstMail, error)
	// EndFirstMail gives a claim back: taken, the mail waits no longer; else others may claim it. A mail
	// that waits no more is none.
	EndFirstMail(ctx context.Context, userID, messageID string, taken bool) error
	// Rehash replaces a hash by one of the same password; if it is another meanwhile, it does nothing.
	Rehash(ctx context.Context, userID, was, hash string) error
	// PutReset makes the account's link for a forgotten password, in place of the one before.
	PutReset(ctx context.Context, userID string, link loyalty.Hash, expires time.Time) error
	// ResetAccount returns the account of a link that is good. ErrNotFound for any other.
	ResetAccount(ctx context.Context, link loyalty.Hash) (Account, error)

	// PutFactor keeps an encrypted secret to be confirmed, in place of another such. ErrConflict when
	// one is confirmed.
	PutFactor(ctx context.Context, userID, secret string) error
	// ConfirmFactor confirms the factor that has this encrypted secret by a code of a step, raises
	// the session version and ends all families. It returns the account after it. ErrConflict when
	// the factor is another or confirmed.
	ConfirmFactor(ctx context.Context, userID, secret string, step int64) (Account, error)
	// UseStep takes a step of the confirmed factor and those before it: ErrConflict when it was taken.
	UseStep(ctx context.Context, userID string, step int64) error
	// RemoveFactor removes it, raises the session version and ends all families. ErrNotFound without
	// the account or a factor.
	RemoveFactor(ctx context.Context, userID string) error

	// Secrets are an account's live ones, the oldest first.
	Secrets(ctx context.Context, userID string) ([]Secret, error)
	// AddSecret keeps one more. ErrConflict when there are MaxSecrets, ErrNotFound without the account.
	AddSecret(ctx context.Context, userID string, secret loyalty.Hash, by string) (Secret, error)
	// RevokeSecret ends one, and raises the session version, since tokens were got by it. ErrNotFound
	// without it.
	RevokeSecret(ctx context.Context, userID, secretID string) error
	// SecretAccount returns the account if it has this live secret, or ErrNotFound.
	SecretAccount(ctx context.Context, userID string, secret loyalty.Hash) (Account, error)
	// EnsureService makes the account of a service if it is not there, and gives it the secret unless
	// it has it; then the newest MaxSecrets stay live. ErrConflict when that secret was revoked, or the
	// id is an account of another role.
	EnsureService(ctx context.Context, id, name string, secret loyalty.Hash) error

	// Limits are a merchant's; nil where none were ever set.
	Limits(ctx context.Context, userID string) (*Limits, error)
	// SetLimits replaces them. ErrNotFound without the account.
	SetLimits(ctx context.Context, userID string, limits Limits, by string) error
	// Spend counts a transaction against its merchant's daily sum of its currency, once however often
	// it is called for it: what comes again with a larger amount counts by what it is larger.
	// ErrOverLimit when that is more than the sum allows; the tally then is as it stays.
	Spend(ctx context.Context, spend Spend) (Tally, error)

	// StopRewardEmails is what the link in them asks for. ErrNotFound without the account.
	StopRewardEmails(ctx context.Context, userID string) error

	// Sweep removes what can be of no use any more, and returns how many rows that were.
	Sweep(ctx context.Context) (int64, error)
}
