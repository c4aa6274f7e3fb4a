// Package signin lets people and programs in: passwords, second factors, access and refresh tokens,
// clients' secrets, and what merchants may send.
//
// What it promises:
//   - Whether an account exists cannot be told from an answer or from the work that is done for it. Only
//     who knows the password learns that it has expired, or that a code is needed too.
//   - Tries are counted before a password is hashed, in the database, so the limits hold for all
//     instances together. In no span of a minute are there more than ten tries on one account; tries
//     beyond count for nothing, so the owner waits a minute at most when they stop. Codes of a second
//     factor are thirty a day, since whoever gets to try one knows the password, and a code is short.
//   - Refresh tokens are good once. The second use of one ends its family, without any allowance for
//     answers that were lost: such a client signs in again.
//   - Whatever changes a password, a role, a lock or a second factor raises the account's session
//     version. Refresh tokens of an older one are dead at once, and so are access tokens for whoever
//     asks Fresh; for others they are good until they expire.
package signin

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-jose/go-jose/v4"

	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler/password"
)

// Config says how it behaves. Begin with DefaultConfig.
type Config struct {
	Party        token.Party
	PortalOrigin string         // of links in mails, such as https://portal.example.com
	RequireMFA   bool           // accounts of bank and admin need a second factor
	Subkey       []byte         // 32 bytes of the data key, under which second factors are encrypted
	Zone         *time.Location // in which the bank's days begin
	Rates        Rates
	Lives        Lives
}

// Rates limit tries. Each is counted in the database, for all instances together.
type Rates struct {
	Account       Rate // passwords of one account
	Codes         Rate // codes of one account's second factor, which only who knows the password can try
	Address       Rate // sign-ins from one address
	Refresh       Rate // refresh tokens from one address
	Client        Rate // tokens for one client
	ClientAddress Rate // tokens for clients at one address
	Forgot        Rate // mails to one address for a forgotten password
}

// Lives are how long refresh tokens are good. Staff, who see other people's data, sign in each day
// (SP 800-63B-4, 2.2.3).
type Lives struct {
	Idle, Whole           time.Duration // of cardholders: unused, and in all
	StaffIdle, StaffWhole time.Duration // of bank and admin
}

// DefaultConfig is what suits most. PortalOrigin and Subkey are missing in it.
func DefaultConfig() Config {
	return Config{
		Party: token.DefaultParty,
		Zone:  time.UTC,
		Rates: Rates{
			Account: Rate{10, time.Minute}, Codes: Rate{30, 24 * time.Hour}, Address: Rate{60, time.Minute}, Refresh: Rate{120, time.Minute},
			Client: Rate{30, time.Minute}, ClientAddress: Rate{120, time.Minute}, Forgot: Rate{3, 15 * time.Minute},
		},
		Lives: Lives{Idle: 12 * time.Hour, Whole: 30 * 24 * time.Hour, StaffIdle: time.Hour, StaffWhole: 12 * time.Hour},
	}
}

// Validate says everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	origin, err := url.Parse(c.PortalOrigin)
	if err != nil || origin.Scheme != "http" && origin.Scheme != "https" || origin.Host == "" || strings.TrimSuffix(origin.Path, "/") != "" {
		errs = append(errs, errors.New("the portal's origin must be like https://portal.example.com"))
	}
	if len(c.Subkey) != 32 {
		errs = append(errs, errors.New("the key of second factors must have 32 bytes"))
	}
	if c.Zone == nil {
		errs = append(errs, errors.New("the bank's time zone is missing"))
	}
	for _, r := range []Rate{c.Rates.Account, c.Rates.Codes, c.Rates.Address, c.Rates.Refresh, c.Rates.Client, c.Rates.ClientAddress, c.Rates.Forgot} {
		if r.Max < 1 || r.Max > 10_000 || r.Per < time.Second || r.Per > 24*time.Hour {
			errs = append(errs, errors.New("a rate must be 1 to 10,000 in a second to a day"))
			break
		}
	}
	for _, d := range []time.Duration{c.Lives.Idle, c.Lives.Whole, c.Lives.StaffIdle, c.Lives.StaffWhole} {
		if d < time.Minute {
			errs = append(errs, errors.New("a refresh token must live a minute or longer"))
			break
		}
	}
	return errors.Join(errs...)
}

// Keys sign tokens and say what they are verified with. A *keys.Ring is one.
type Keys interface {
	token.Signer
	// Public are the public halves of all keys whose tokens are good, the signer's among them.
	Public() []jose.JSONWebKey
}

// Deps are what it stands on. Whoever made them closes them.
type Deps struct {
	Store  Store
	Keys   Keys
	Mail   mail.Sender
	Log    *slog.Logger
	Clock  func() time.Time
	Hasher *password.Hasher // nil for the process's own
}

// Service answers requests. It may be used by several goroutines at once.
type Service struct {
	cfg         Config
	store       Store
	keys        Keys
	mail        mail.Sender
	log         *slog.Logger
	clock       func() time.Time
	hasher      *password.Hasher
	portal      string
	factors     cipher.AEAD
	unsubscribe []byte // the key of links that end mails
	later       chan func(context.Context)
}

// queued is how many mails may wait to be written.
const queued = 256

// New returns the service. While it is used, Run has to run.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	block, err := aes.NewCipher(cfg.Subkey)
	if err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	factors, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	unsubscribe, err := hkdf.Key(sha256.New, cfg.Subkey, nil, "unsubscribe", 32)
	if err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	s := &Service{
		cfg: cfg, store: deps.Store, keys: deps.Keys, mail: deps.Mail, log: deps.Log, clock: deps.Clock, hasher: deps.Hasher,
		portal: strings.TrimSuffix(cfg.PortalOrigin, "/"), factors: factors, unsubscribe: unsubscribe,
		later: make(chan func(context.Context), queued),
	}
	if s.hasher == nil {
		s.hasher = password.Shared()
	}
	return s, nil
}

// Verifier verifies tokens by the service's own keys.
func (s *Service) Verifier() *token.Verifier {
	return &token.Verifier{Party: s.cfg.Party, Keys: token.Fixed(s.keys.Public()), Clock: s.clock}
}

var errEnded = &web.Error{Status: http.StatusUnauthorized, Code: "session_ended", Message: "sign in again: the session has ended"}

// Fresh lets callers pass whose session has not ended since their token was made; it stands behind the
// check of the role. It reads the account.
func (s *Service) Fresh() gin.HandlerFunc {
	return func(c *gin.Context) {
		caller := web.CallerOf(c.Request.Context())
		a, err := s.store.Account(c.Request.Context(), caller.ID)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && (a.Locked || a.Session != caller.Session || a.Role != caller.Role):
			web.Fail(c, errEnded)
		case err != nil:
			web.Fail(c, err)
		default:
			c.Next()
		}
	}
}

// How mails go out behind answers.
const (
	writers     = 4
	sendTime    = 30 * time.Second
	sweepEvery  = 10 * time.Minute
	drainTime   = 5 * time.Second
	sendRetries = 3
)

// Run sends the mails that answers do not wait for, and removes what is of no use any more, until ctx
// ends; then it sends those that wait, for a short while.
func (s *Service) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for {
				select {
				case do := <-s.later:
					do(ctx)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if n, err := s.store.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("old tokens and counts could not be removed; it is tried again", "error", err)
		} else if n > 0 {
			s.log.Debug("removed old tokens and counts", "rows", n)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	wg.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	for {
		select {
		case do := <-s.later:
			do(last)
		default:
			return
		}
	}
}

var errQueue = &web.Error{Status: http.StatusServiceUnavailable, Code: "busy", Message: "too much is waiting to be sent; try again in a minute"}

// behind does something after the answer, whose request's id and logger it keeps.
func (s *Service) behind(ctx context.Context, do func(context.Context)) error {
	log, id := web.Log(ctx), web.RequestID(ctx)
	select {
	case s.later <- func(run context.Context) {
		defer func() {
			if r := recover(); r != nil {
				log.Error("panic behind an answer", "panic", fmt.Sprint(r), "request_id", id)
			}
		}()
		// The request is over, but what it was is for the log.
		ctx, cancel := context.WithTimeout(joined{context.WithoutCancel(ctx), run}, sendTime)
		defer cancel()
		do(ctx)
	}:
		return nil
	default:
		return errQueue
	}
}

// joined has the values of one context and the end of another.
type joined struct {
	context.Context
	end context.Context
}

func (j joined) Deadline() (time.Time, bool) { return j.end.Deadline() }
func (j joined) Done() <-chan struct{}       { return j.end.Done() }
func (j joined) Err() error                  { return j.end.Err() }

// tell sends a mail that nobody waits for.
func (s *Service) tell(ctx context.Context, what string, m mail.Message, err error) {
	pause := time.Second
	for try := 1; err == nil; try++ {
		if err = s.mail.Send(ctx, m); err == nil {
			return
		}
		if errors.Is(err, mail.ErrRefused) || try == sendRetries {
			break
		}
		select {
		case <-time.After(pause):
			err = nil
		case <-ctx.Done():
		}
		pause *= 4
	}
	web.Log(ctx).Error("a mail about an account could not be sent", "mail", what, "error", err)
}
