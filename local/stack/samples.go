package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/angelowl-loyalties/app/profiler/password"
	"github.com/angelowl-loyalties/app/profiler/signin"
)

// sampler is who makes sample users, in their history.
const sampler = "sample users"

// sampled are the roles that sample users have, and what they are called.
var sampled = []struct {
	role        token.Role
	first, last string
}{
	{token.Admin, "Ada", "Sample"},
	{token.Bank, "Ben", "Sample"},
	{token.Merchant, "Sample Merchant", ""},
	{token.User, "Uma", "Sample"},
}

// SampleUsers makes the sample users that are not there yet, and returns all of them.
func (s *Stack) SampleUsers(ctx context.Context) ([]samples.Account, error) {
	all, err := samples.Load(s.Data)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, role := range sampled {
		if has(all, role.role) {
			continue
		}
		a := samples.Account{Role: role.role, ID: uuid.NewString(), Email: string(role.role) + "@sample.example", Password: password.Random()}
		if role.role == token.Merchant {
			a.Secret, a.Password = password.Random()+password.Random(), "" // merchants have no password
		}
		// Written first: nobody could sign in as one whose password was lost.
		all = append(all, a)
	}
	if err := writeJSON(filepath.Join(s.Data, samples.File), all); err != nil {
		return nil, err
	}
	for i, a := range all {
		if err := s.makeSample(ctx, a, sampled[i].first, sampled[i].last); err != nil {
			return nil, fmt.Errorf("making the sample user of role %s: %w", a.Role, err)
		}
	}
	return all, nil
}

func has(all []samples.Account, role token.Role) bool {
	for _, a := range all {
		if a.Role == role {
			return true
		}
	}
	return false
}

// makeSample makes one, who need not change the password, unless it is there.
func (s *Stack) makeSample(ctx context.Context, a samples.Account, first, last string) error {
	id, err := uuid.Parse(a.ID)
	if err != nil {
		return err
	}
	_, err = s.accounts.CreateUser(ctx, sampler, profiler.User{ID: id, FirstName: first, LastName: last, Email: a.Email, Role: a.Role, RewardEmails: true}, nil)
	made := err == nil
	if errors.Is(err, ruleapi.ErrExists) {
		err = nil
	}
	if err != nil {
		return err
	}
	signIn := s.accounts.SignIn()
	account, err := signIn.Account(ctx, a.ID)
	if errors.Is(err, signin.ErrNotFound) {
		return nil // somebody has deleted it
	}
	if err != nil {
		return err
	}
	switch {
	case a.Secret != "" && made:
		_, err = signIn.AddSecret(ctx, a.ID, loyalty.HashOf([]byte(a.Secret)), sampler)
		return err
	case a.Password == "" || account.Hash != "":
		return nil
	}
	hash, err := password.Hash(ctx, a.Password)
	if err != nil {
		return err
	}
	_, err = signIn.SetPassword(ctx, signin.PasswordChange{UserID: a.ID, Hash: hash})
	return err
}

// sampleCards is how many cards the sample cardholder has.
const sampleCards = 3

// SampleCards gives the sample cardholder the cards that have the most rewards.
func (s *Stack) SampleCards(ctx context.Context) error {
	account, err := samples.Of(s.Data, token.User)
	if err != nil {
		return err
	}
	id, err := uuid.Parse(account.ID)
	if err != nil {
		return err
	}
	user, err := s.accounts.User(ctx, id)
	if errors.Is(err, ruleapi.ErrNotFound) || err == nil && len(user.Cards) >= sampleCards {
		return nil
	}
	if err != nil {
		return err
	}
	cards, err := s.Cards(ctx, sampleCards)
	if err != nil {
		return err
	}
	for _, card := range cards {
		if err := s.giveCard(ctx, id, card); err != nil {
			return fmt.Errorf("giving the sample user a card: %w", err)
		}
	}
	return nil
}

func (s *Stack) giveCard(ctx context.Context, owner uuid.UUID, card string) error {
	id, err := uuid.Parse(card)
	if err != nil {
		return err
	}
	page, err := s.Rewards.Rewards(ctx, informer.Query{Card: id, Limit: 1})
	if err != nil || len(page.Rows) == 0 {
		return err
	}
	row := page.Rows[0]
	// The number behind the mask is nobody's to know; what stands for it is found by no search.
	number := profiler.Number{Masked: row.CardPAN, HMAC: s.dataKey.CardHMAC(uuid.NewString())}
	_, err = s.accounts.CreateCard(ctx, sampler, profiler.Card{ID: id, UserID: owner, PAN: row.CardPAN, CardType: row.CardType}, number)
	if errors.Is(err, ruleapi.ErrExists) || errors.Is(err, profiler.ErrCardTaken) || errors.Is(err, profiler.ErrNoCardType) {
		return nil
	}
	return err
}

// samplesFitListen refuses to let others than this machine in while sample users are there: their
// passwords are in a file and on a screen.
func (s *Stack) samplesFitListen(ctx context.Context) error {
	if s.loopback() {
		return nil
	}
	refuse := fmt.Errorf("%s can be reached from other machines, and there are sample users, whose passwords stand in %s: listen on 127.0.0.1, or delete them (DELETE /user/{id}) first",
		s.Listen, filepath.Join(s.Data, samples.File))
	if s.Samples {
		return refuse
	}
	all, err := samples.Load(s.Data)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, a := range all {
		id, err := uuid.Parse(a.ID)
		if err != nil {
			return err
		}
		switch _, err := s.accounts.User(ctx, id); {
		case err == nil:
			return refuse
		case !errors.Is(err, ruleapi.ErrNotFound):
			return err
		}
	}
	return nil
}
