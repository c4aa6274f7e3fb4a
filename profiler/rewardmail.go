package profiler

import (
	"context"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/google/uuid"
)

// RowKey names a reward in the ledger of mails. It is the emailer's to choose; the same reward has the
// same.
type RowKey [16]byte

// MaxMailRows is of how many rewards one mail can tell.
const MaxMailRows = 20_000

// RewardMails is the ledger of the nightly mails. A mail is one account's of one of the bank's days, begun
// before it is sent and ended when the mail system has taken it or refused it for good. What a mail tells
// of never changes, so that one whose sending was cut off can be sent again as it was.
type RewardMails interface {
	// Unmailed returns, of rewards of cards, those that no mail that has ended tells of, among the mails
	// of since and later days. Cards that are not there, and those of accounts that get no mails, are
	// left out, and so are cards with no such reward.
	Unmailed(ctx context.Context, since loyalty.Date, cards []CardRows) ([]CardRows, error)

	// BeginMail enters the mail of a day for those of the rewards that no mail of since or later tells
	// of, if there are any and the account has no mail of that day yet. It returns the account as it is
	// now and all of its mails that have not ended, oldest first, with those of the given rewards that
	// each tells of. For an account that gets no mails it enters and returns none. It returns ErrNoUser.
	BeginMail(ctx context.Context, m RewardMail, since loyalty.Date) (User, []RewardMail, error)

	// EndMail ends a mail. One that has ended stays as it is.
	EndMail(ctx context.Context, user uuid.UUID, day loyalty.Date, refused bool) error

	// DayMailed says whether EndMailDay was called for a day.
	DayMailed(ctx context.Context, day loyalty.Date) (bool, error)

	// EndMailDay says that all mails of a day were sent, and forgets those of KeepMails days before.
	EndMailDay(ctx context.Context, day loyalty.Date) error
}

// KeepMails is for how many days mails are remembered.
const KeepMails = 90

// CardRows are rewards of a card.
type CardRows struct {
	Card uuid.UUID
	User uuid.UUID // whose it is; not read
	Rows []RowKey
}

// RewardMail is a mail of the ledger.
type RewardMail struct {
	User      uuid.UUID
	Day       loyalty.Date
	MessageID string
	Rows      []RowKey
}

// GetsRewardMails says whether the account wants them and may have them.
func (u User) GetsRewardMails() bool { return u.Role == token.User && u.RewardEmails && !u.Locked }
