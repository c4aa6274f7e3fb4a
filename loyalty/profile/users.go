package profile

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/uuid"
)

// What a batch of PutUsers may have.
const (
	MaxUserRows = 1000
	// MaxUserBytes is how long the rows may be as JSON, all together.
	MaxUserBytes = 3 << 20
)

// UserRow is a row of a file of users, as the file has it: a cardholder and one card, or none. Rows of
// one cardholder repeat the first fields.
type UserRow struct {
	ID        string `json:"id"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Phone     string `json:"phone"`
	Email     string `json:"email"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
	CardID    string `json:"card_id"`
	CardPAN   string `json:"card_pan"`
	CardType  string `json:"card_type"`
}

// The outcomes of rows.
const (
	UserCreated   = "created"
	UserChanged   = "changed"
	UserUnchanged = "unchanged"
	UserRefused   = "refused"
)

// UserOutcome is what became of a row.
type UserOutcome struct {
	Outcome string            `json:"outcome"`
	Code    string            `json:"code"`   // of a refused row
	Error   string            `json:"error"`  // in plain words
	Fields  map[string]string `json:"fields"` // what is wrong with each field
}

// UserOutcomes are what became of a batch.
type UserOutcomes struct {
	Rows     []UserOutcome `json:"rows"`      // in the order of the batch
	NewUsers []string      `json:"new_users"` // accounts that have never had a password mailed: ask for their first ones
}

// PutUsers makes rows of a file of users stand as given. Source says for the history which file that is.
// The same rows may be sent again, also after an error.
func (c *Client) PutUsers(ctx context.Context, source string, rows []UserRow) (UserOutcomes, error) {
	var out UserOutcomes
	err := c.do(ctx, http.MethodPost, "/internal/users", struct {
		Source string    `json:"source"`
		Rows   []UserRow `json:"rows"`
	}{source, rows}, &out)
	if err == nil && len(out.Rows) != len(rows) {
		return UserOutcomes{}, fmt.Errorf("%w: its answer is of %d rows, not of %d", ErrUnavailable, len(out.Rows), len(rows))
	}
	return out, err
}

// MailFirstPassword has profiler mail a new account its first password, and says whether a mail went
// out now; none does to an account that has its password already. It may be asked for again, also
// after an error: every mail until one is taken brings the same password. The error is ErrNotFound
// where there is no such account, and a *Refused where trying again will not help.
func (c *Client) MailFirstPassword(ctx context.Context, id uuid.UUID) (sent bool, err error) {
	var out struct {
		Sent bool `json:"sent"`
	}
	err = c.do(ctx, http.MethodPost, "/internal/user/"+id.String()+"/first-password", nil, &out)
	return out.Sent, err
}
