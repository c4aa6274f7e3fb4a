package profiler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/google/uuid"
)

// AdminSettings are the admin who is made when there is none.
type AdminSettings struct {
	Email    string        `env:"ADMIN_EMAIL,optional" help:"email address of the admin who is made at the first start; there is none until it is set"`
	Password config.Secret `env:"ADMIN_PASSWORD,optional" help:"that admin's first password, which has to be changed at the first sign-in, within 7 days; default: a random one, printed once on standard output"`
}

// Check is config.Checker's.
func (s *AdminSettings) Check() []config.Problem {
	var out []config.Problem
	if s.Email != "" {
		var errs loyalty.FieldErrors
		if s.Email = parseEmail(&errs, s.Email); len(errs) > 0 {
			out = append(out, config.Problem{Name: "ADMIN_EMAIL", Reason: errs[0].Reason})
		}
	} else if s.Password.Reveal() != "" {
		out = append(out, config.Problem{Name: "ADMIN_PASSWORD", Reason: "is the password of nobody without ADMIN_EMAIL; set both"})
	}
	return out
}

// FirstAdmin makes the admin of the settings if there is no admin yet, or if there are only ones who
// have never got in and no longer can, since their first passwords have expired. It returns the
// password that it made up, which nobody can learn again, or "". Instances that start at once may all
// call it: one makes the admin. Without an email it does nothing.
func FirstAdmin(ctx context.Context, store Accounts, s AdminSettings, p Passwords, now time.Time) (generated string, made bool, err error) {
	if s.Email == "" {
		return "", false, nil
	}
	if has, err := store.HasAdmin(ctx, s.Email); err != nil || has {
		return "", false, err
	}
	plain := s.Password.Reveal()
	if plain == "" {
		generated = p.Random()
		plain = generated
	} else if err := p.CheckPassword(plain, s.Email); err != nil {
		var fields loyalty.FieldErrors
		if errors.As(err, &fields) && len(fields) > 0 {
			return "", false, config.Problems{{Name: "ADMIN_PASSWORD", Reason: fields[0].Reason}}
		}
		return "", false, err
	}
	hash, err := p.Hash(ctx, plain)
	if err != nil {
		return "", false, fmt.Errorf("hashing the first admin's password: %w", err)
	}
	u := User{ID: uuid.New(), FirstName: "Admin", Email: s.Email, Role: token.Admin}
	made, err = store.FirstAdmin(ctx, "first start", u, FirstPassword{Hash: hash, Expires: now.Add(FirstPasswordLife)})
	if errors.Is(err, ErrEmailTaken) {
		err = config.Problems{{Name: "ADMIN_EMAIL", Reason: "is the address of an account that is no admin; name another one"}}
	}
	if err != nil || !made {
		generated = ""
	}
	return generated, made, err
}
