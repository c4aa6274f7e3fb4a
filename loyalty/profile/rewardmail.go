package profile

import (
	"context"
	"fmt"
	"net/http"
	netmail "net/mail"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
)

// RowKey names a reward in the ledger of reward mails. The same reward has the same.
type RowKey [16]byte

// MaxMailRows is of how many rewards one mail can tell, and one question can ask.
const MaxMailRows = 20_000

// RowKeyOf is a reward's.
func RowKeyOf(k loyalty.Key) RowKey {
	sum := loyalty.HashOf(fmt.Appendf(nil, "%s %s %s", k.CardID, k.Date, k.ID))
	return RowKey(sum[:16])
}

// CardRows are rewards of a card.
type CardRows struct {
	Card uuid.UUID
	User uuid.UUID // whose it is; not read in a question
	Rows []RowKey
}

// RewardMail is a mail of the ledger.
type RewardMail struct {
	Day       loyalty.Date
	MessageID string
	Rows      []RowKey
}

// Begun are an account's mails that are to be sent.
type Begun struct {
	To          netmail.Address
	Unsubscribe string // the token of the link
	Mails       []RewardMail
}

type cardRows struct {
	Card uuid.UUID  `json:"card_id"`
	User *uuid.UUID `json:"user_id,omitempty"`
	Rows []byte     `json:"rows"`
}

// Unmailed returns, of at most 1,000 cards with MaxMailRows rewards, those that no mail which was sent of
// since or later tells of, if the card's account gets reward mails.
func (c *Client) Unmailed(ctx context.Context, since loyalty.Date, cards []CardRows) ([]CardRows, error) {
	question := struct {
		Since loyalty.Date `json:"since"`
		Cards []cardRows   `json:"cards"`
	}{since, make([]cardRows, len(cards))}
	for i, card := range cards {
		question.Cards[i] = cardRows{Card: card.Card, Rows: join(card.Rows)}
	}
	var answer []cardRows
	if err := c.do(ctx, http.MethodPost, "/internal/reward-mails/unmailed", question, &answer); err != nil {
		return nil, err
	}
	out := make([]CardRows, len(answer))
	for i, a := range answer {
		rows, err := split(a.Rows)
		if err != nil || a.User == nil {
			return nil, fmt.Errorf("%w: its answer about card %s cannot be read", ErrUnavailable, a.Card)
		}
		out[i] = CardRows{a.Card, *a.User, rows}
	}
	return out, nil
}

// BeginMail enters an account's mail of a day, for those of the rewards that no mail of since or later
// tells of, and returns all its mails that are to be sent. The error is ErrNotFound for an account that
// is not there any more.
func (c *Client) BeginMail(ctx context.Context, user uuid.UUID, m RewardMail, since loyalty.Date) (Begun, error) {
	type mail struct {
		Day       loyalty.Date `json:"day"`
		MessageID string       `json:"message_id"`
		Rows      []byte       `json:"rows"`
	}
	question := struct {
		User  uuid.UUID    `json:"user_id"`
		Since loyalty.Date `json:"since"`
		mail
	}{user, since, mail{m.Day, m.MessageID, join(m.Rows)}}
	var answer struct {
		Name, Email, Unsubscribe string
		Mails                    []mail
	}
	if err := c.do(ctx, http.MethodPost, "/internal/reward-mails/begin", question, &answer); err != nil {
		return Begun{}, err
	}
	out := Begun{netmail.Address{Name: answer.Name, Address: answer.Email}, answer.Unsubscribe, make([]RewardMail, len(answer.Mails))}
	for i, a := range answer.Mails {
		rows, err := split(a.Rows)
		if err != nil {
			return Begun{}, fmt.Errorf("%w: its answer about the mail of %s cannot be read", ErrUnavailable, user)
		}
		out.Mails[i] = RewardMail{a.Day, a.MessageID, rows}
	}
	return out, nil
}

// EndMail says that the mail system took a mail, or refused it for good.
func (c *Client) EndMail(ctx context.Context, user uuid.UUID, day loyalty.Date, refused bool) error {
	return c.do(ctx, http.MethodPost, "/internal/reward-mails/end", struct {
		User    uuid.UUID    `json:"user_id"`
		Day     loyalty.Date `json:"day"`
		Refused bool         `json:"refused"`
	}{user, day, refused}, nil)
}

// DayMailed says whether EndMailDay was called for a day.
func (c *Client) DayMailed(ctx context.Context, day loyalty.Date) (bool, error) {
	var answer struct{ Mailed bool }
	err := c.do(ctx, http.MethodGet, "/internal/reward-mails/day/"+day.String(), nil, &answer)
	return answer.Mailed, err
}

// EndMailDay says that all mails of a day were sent.
func (c *Client) EndMailDay(ctx context.Context, day loyalty.Date) error {
	return c.do(ctx, http.MethodPost, "/internal/reward-mails/day/"+day.String(), nil, nil)
}

func join(rows []RowKey) []byte {
	out := make([]byte, 0, len(rows)*len(RowKey{}))
	for _, k := range rows {
		out = append(out, k[:]...)
	}
	return out
}

func split(b []byte) ([]RowKey, error) {
	const size = len(RowKey{})
	if len(b)%size != 0 {
		return nil, fmt.Errorf("%d bytes are no keys of %d", len(b), size)
	}
	rows := make([]RowKey, 0, len(b)/size)
	for ; len(b) > 0; b = b[size:] {
		rows = append(rows, RowKey(b[:size]))
	}
	return rows, nil
}
