package ops

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	rewarderops "github.com/angelowl-loyalties/app/rewarder/ops"
)

// What is sent again.
type (
	Resend = rewarderops.Resend
	Field  = rewarderops.Field
	Sent   = rewarderops.Sent
)

// ParseFields reads field=value for each field that is set.
func ParseFields(args []string) ([]Field, error) {
	var out []Field
	for _, a := range args {
		// What stands behind = may be a card number: errors do not show it.
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			return nil, fmt.Errorf("%w: say it as field=value", rewarderops.ErrSet)
		}
		out = append(out, Field{Name: name, Value: value})
	}
	if err := rewarderops.CheckFields(out); err != nil {
		return nil, err
	}
	return out, nil
}

// Resend sends dead letters again, each on its own, as whoever runs this program; done is told of
// each. It returns how many were left out because they had been sent again before.
func (s *System) Resend(ctx context.Context, r Resend, done func(Sent)) (before int, err error) {
	r.By = operator()
	return s.desk.Resend(ctx, r, func(one Sent) {
		var already *rewarderops.BeforeError
		if errors.As(one.Err, &already) {
			one.Err = fmt.Errorf("was sent again by %s at %s; say --again if it has to be once more", already.Last.By, s.when(already.Last.At))
		}
		done(one)
	})
}

// operator is who runs this program.
func operator() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}
