// Package storetest holds every signin.Store to its contract.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler/signin"
)

// Clock shows what it is told.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands.
func NewClock() *Clock { return &Clock{now: time.Date(2021, 9, 1, 12, 0, 0, 123e6, time.UTC)} }

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Go lets time pass.
func (c *Clock) Go(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// User is an account to begin with.
type User struct {
	ID, Email, First, Last string
	Role                   token.Role
	Hash                   string // of the password; "" for none
	New                    bool
	Locked                 bool
	Expires                time.Time // of the password
}

// Insert makes an account in the database as the users' part of profiler does, and returns its id.
func Insert(t testing.TB, db *gorm.DB, at time.Time, u User) string {
	t.Helper()
	if u.ID == "" {
		u.ID = uuid.NewString()
	}
	var key *string
	if u.Email != "" {
		k := signin.EmailKey(u.Email)
		key = &k
	}
	check(t, db.Exec(`INSERT INTO users (id, first_name, last_name, phone, email, email_key, role, is_new, locked, reward_emails, session_version, version, created_at, updated_at)
		VALUES (?, ?, ?, '', ?, ?, ?, ?, ?, ?, 1, 1, ?, ?)`, u.ID, u.First, u.Last, u.Email, key, string(u.Role), u.New, u.Locked, true, at, at).Error)
	if u.Hash != "" {
		var expires *time.Time
		if !u.Expires.IsZero() {
			expires = &u.Expires
		}
		check(t, db.Exec("INSERT INTO credentials (user_id, hash, first, expires_at, changed_at) VALUES (?, ?, ?, ?, ?)", u.ID, u.Hash, u.New, expires, at).Error)
	}
	return u.ID
}

// world is a store with its clock and its database.
type world struct {
	signin.Store
	clock *Clock
	db    *gorm.DB
}

// Run tests stores that open makes: an empty one for each test, with the database below it.
func Run(t *testing.T, open func(t *testing.T, clock func() time.Time) (signin.Store, *gorm.DB)) {
	for _, test := range []struct {
		name string
		test func(*testing.T, world)
	}{
		{"accounts are found by id and by email", accounts},
		{"a limit holds in any span of its length", limit},
		{"of several limits all count, or none", limitsTogether},
		{"a limit holds for many at once", limitAtOnce},
		{"a refresh token is good once", rotation},
		{"of two uses at once one ends the family", rotationAtOnce},
		{"a refresh token ends", refreshEnds},
		{"what ends sessions", sessionsEnd},
		{"a password is set whole or not at all", passwords},
		{"a first password waits for its mail", firstMails},
		{"two that claim a first mail at once", firstMailsAtOnce},
		{"a link is good once, until it ends", links},
		{"two that use a link at once", linksAtOnce},
		{"a second factor's life", factors},
		{"a code is good once", codes},
		{"two secrets", secrets},
		{"services' accounts", services},
		{"services by several instances at once", servicesAtOnce},
		{"limits come back exactly", limitsExact},
		{"a spend counts once", spends},
		{"spends at once do not pass the sum", spendsAtOnce},
		{"reward mails end", unsubscribes},
		{"what is swept", sweeps},
		{"a deleted account is not there", deleted},
		{"a cancelled context changes nothing", cancelled},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := NewClock()
			s, db := open(t, clock.Now)
			test.test(t, world{s, clock, db})
		})
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func is[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

func hash(s string) loyalty.Hash { return loyalty.HashOf([]byte(s)) }

func (w world) user(t testing.TB) string {
	t.Helper()
	id := uuid.NewString()
	return Insert(t, w.db, w.clock.Now(), User{ID: id, Email: id + "@example.com", First: "Ada", Last: "Lovelace", Role: token.User, Hash: "h1"})
}

func hours(n time.Duration) func(token.Role) time.Duration {
	return func(token.Role) time.Duration { return n * time.Hour }
}

func (w world) session(t testing.TB, id string) int64 {
	t.Helper()
	a, err := w.Account(t.Context(), id)
	check(t, err)
	return a.Session
}

func accounts(t *testing.T, w world) {
	ctx := t.Context()
	expires := w.clock.Now().Add(7 * 24 * time.Hour)
	id := Insert(t, w.db, w.clock.Now(), User{Email: "Ada.Lovelace@Example.com", First: "Ada", Last: "Lovelace", Role: token.Bank, Hash: "$x", New: true, Locked: true, Expires: expires})
	other := Insert(t, w.db, w.clock.Now(), User{Role: token.Merchant, First: "Shop"})
	for _, email := range []string{"ada.lovelace@example.com", " ADA.LOVELACE@EXAMPLE.COM "} {
		a, err := w.AccountByEmail(ctx, email)
		check(t, err)
		want := signin.Account{ID: id, Email: "Ada.Lovelace@Example.com", FirstName: "Ada", LastName: "Lovelace", Role: token.Bank, New: true, Locked: true, RewardEmails: true, Session: 1, Hash: "$x", First: true, Expires: expires}
		if a != want {
			t.Fatalf("%+v\nwant %+v", a, want)
		}
	}
	a, err := w.Account(ctx, other)
	check(t, err)
	if (a != signin.Account{ID: other, FirstName: "Shop", Role: token.Merchant, RewardEmails: true, Session: 1}) {
		t.Fatalf("%+v", a)
	}
	_, err = w.Account(ctx, uuid.NewString())
	wants(t, err, signin.ErrNotFound)
	for _, email := range []string{"", "bob@example.com", "ada.lovelace@example.com'--"} {
		_, err = w.AccountByEmail(ctx, email)
		wants(t, err, signin.ErrNotFound)
	}
}

func limit(t *testing.T, w world) {
	l := signin.Limit{Key: "k", Rate: signin.Rate{Max: 3, Per: time.Minute}}
	take := func(want time.Duration) {
		t.Helper()
		wait, err := w.Take(t.Context(), l)
		check(t, err)
		is(t, "wait", wait, want)
	}
	take(0)
	w.clock.Go(50 * time.Second)
	take(0)
	take(0)
	take(10 * time.Second)
	w.clock.Go(9999 * time.Millisecond)
	take(time.Millisecond)
	w.clock.Go(time.Millisecond)
	take(0) // the first has left the minute, the other two have not
	take(50 * time.Second)
	for range 1000 { // what is refused does not count
		wait, err := w.Take(t.Context(), l)
		check(t, err)
		is(t, "wait", wait, 50*time.Second)
	}
	w.clock.Go(time.Hour)
	take(0)
	w.clock.Go(-2 * time.Hour) // another instance's clock ran ahead
	take(0)
}

func limitsTogether(t *testing.T, w world) {
	ctx := t.Context()
	a, b := signin.Limit{Key: "a", Rate: signin.Rate{Max: 1, Per: time.Minute}}, signin.Limit{Key: "b", Rate: signin.Rate{Max: 2, Per: time.Hour}}
	for i, want := range []time.Duration{0, time.Minute, time.Minute} {
		wait, err := w.Take(ctx, b, a)
		check(t, err)
		is(t, fmt.Sprint("try ", i), wait, want)
	}
	wait, err := w.Take(ctx, b) // the tries that a refused did not count here
	check(t, err)
	is(t, "b alone", wait, 0)
	wait, err = w.Take(ctx, a, b)
	check(t, err)
	is(t, "the longer wait", wait, time.Hour)
}

func limitAtOnce(t *testing.T, w world) {
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				wait, err := w.Take(t.Context(), signin.Limit{Key: "k", Rate: signin.Rate{Max: 10, Per: time.Minute}})
				if err != nil {
					t.Error(err)
				} else if wait == 0 {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	is(t, "passed", passed.Load(), 10)
}

func rotation(t *testing.T, w world) {
	ctx, id := t.Context(), w.user(t)
	check(t, w.Begin(ctx, id, 1, hash("r1"), time.Hour, 24*time.Hour))
	check(t, w.Begin(ctx, id, 1, hash("other"), time.Hour, 24*time.Hour))
	_, err := w.Rotate(ctx, hash("nothing"), hash("x"), hours(1))
	wants(t, err, signin.ErrNotFound)
	_, err = w.RefreshAccount(ctx, hash("nothing"))
	wants(t, err, signin.ErrNotFound)
	a, err := w.RefreshAccount(ctx, hash("r1"))
	check(t, err)
	is(t, "account", a.ID, id)
	a, err = w.Rotate(ctx, hash("r1"), hash("r2"), hours(1))
	check(t, err)
	is(t, "account", a.ID, id)
	_, err = w.RefreshAccount(ctx, hash("r1"))
	wants(t, err, signin.ErrReused)
	_, err = w.Rotate(ctx, hash("r2"), hash("r3"), hours(1))
	check(t, err) // to look does not end the family
	a, err = w.Rotate(ctx, hash("r1"), hash("r4"), hours(1))
	wants(t, err, signin.ErrReused)
	is(t, "account of the reused one", a.ID, id)
	_, err = w.Rotate(ctx, hash("r3"), hash("r5"), hours(1))
	wants(t, err, signin.ErrNotFound) // the family has ended
	_, err = w.Rotate(ctx, hash("other"), hash("r6"), hours(1))
	check(t, err) // and no other
}

func rotationAtOnce(t *testing.T, w world) {
	ctx, id := t.Context(), w.user(t)
	check(t, w.Begin(ctx, id, 1, hash("r"), time.Hour, 24*time.Hour))
	var good, reused atomic.Int64
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			switch _, err := w.Rotate(ctx, hash("r"), hash(fmt.Sprint("next", i)), hours(1)); {
			case err == nil:
				good.Add(1)
			case errors.Is(err, signin.ErrReused):
				reused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	is(t, "good", good.Load(), 1)
	is(t, "reused", reused.Load(), 5)
	for i := range 6 {
		_, err := w.Rotate(ctx, hash(fmt.Sprint("next", i)), hash("x"), hours(1))
		wants(t, err, signin.ErrNotFound)
	}
}

func refreshEnds(t *testing.T, w world) {
	ctx, id := t.Context(), w.user(t)
	check(t, w.Begin(ctx, id, 1, hash("idle"), time.Hour, 24*time.Hour))
	check(t, w.Begin(ctx, id, 1, hash("r0"), time.Hour, 150*time.Minute))
	w.clock.Go(time.Hour - time.Millisecond)
	_, err := w.Rotate(ctx, hash("r0"), hash("r1"), hours(1))
	check(t, err)
	w.clock.Go(time.Millisecond)
	_, err = w.Rotate(ctx, hash("idle"), hash("x"), hours(1))
	wants(t, err, signin.ErrNotFound)
	w.clock.Go(58 * time.Minute)
	_, err = w.Rotate(ctx, hash("r1"), hash("r2"), hours(1))
	check(t, err)
	w.clock.Go(32*time.Minute - time.Millisecond) // the family has a millisecond left, the token more
	_, err = w.Rotate(ctx, hash("r2"), hash("r3"), hours(1))
	check(t, err)
	w.clock.Go(time.Millisecond)
	_, err = w.Rotate(ctx, hash("r3"), hash("r4"), hours(1))
	wants(t, err, signin.ErrNotFound)
}

func sessionsEnd(t *testing.T, w world) {
	ctx := t.Context()
	for name, end := range map[string]func(id string) error{
		"signing out everywhere": func(id string) error { return w.EndSessions(ctx, id) },
		"a password": func(id string) error {
			_, err := w.SetPassword(ctx, signin.PasswordChange{UserID: id, Hash: "h2"})
			return err
		},
		"a second factor confirmed": func(id string) error {
			if err := w.PutFactor(ctx, id, "s"); err != nil {
				return err
			}
			_, err := w.ConfirmFactor(ctx, id, "s", 5)
			return err
		},
		"the account is locked": func(id string) error { return w.db.Exec("UPDATE users SET locked = ? WHERE id = ?", true, id).Error },
		"somebody else raised the session version": func(id string) error {
			return w.db.Exec("UPDATE users SET session_version = session_version + 1 WHERE id = ?", id).Error
		},
	} {
		id := w.user(t)
		check(t, w.Begin(ctx, id, w.session(t, id), hash(name), time.Hour, 24*time.Hour))
		check(t, end(id))
		_, err := w.Rotate(ctx, hash(name), hash("x"), hours(1))
		if !errors.Is(err, signin.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
		if s := w.session(t, id); s != 2 && !strings.Contains(name, "locked") {
			t.Errorf("%s: session version %d", name, s)
		}
	}
	wants(t, w.EndSessions(ctx, uuid.NewString()), signin.ErrNotFound)

	id, other := w.user(t), w.user(t)
	check(t, w.Begin(ctx, id, 1, hash("a"), time.Hour, 24*time.Hour))
	check(t, w.Begin(ctx, id, 1, hash("b"), time.Hour, 24*time.Hour))
	check(t, w.EndFamily(ctx, other, hash("a"))) // not theirs
	_, err := w.Rotate(ctx, hash("a"), hash("a2"), hours(1))
	check(t, err)
	check(t, w.EndFamily(ctx, id, hash("a"))) // by a used one
	_, err = w.Rotate(ctx, hash("a2"), hash("a3"), hours(1))
	wants(t, err, signin.ErrNotFound)
	_, err = w.Rotate(ctx, hash("b"), hash("b2"), hours(1))
	check(t, err)
	check(t, w.EndFamily(ctx, id, hash("nothing")))
	check(t, w.Begin(ctx, id, 0, hash("old"), time.Hour, time.Hour)) // the session ended while somebody signed in
	_, err = w.Rotate(ctx, hash("old"), hash("x"), hours(1))
	wants(t, err, signin.ErrNotFound)
}

func passwords(t *testing.T, w world) {
	ctx, id := t.Context(), w.user(t)
	_, err := w.SetPassword(ctx, signin.PasswordChange{UserID: id, Was: "another", Hash: "h2"})
	wants(t, err, signin.ErrConflict)
	is(t, "session", w.session(t, id), 1)
	ends := w.clock.Now().Add(time.Hour)
	a, err := w.SetPassword(ctx, signin.PasswordChange{UserID: id, Was: "h1", Hash: "h2", First: true, Expires: ends})
	check(t, err)
	if a.Hash != "h2" || !a.First || !a.New || a.Session != 2 || !a.Expires.Equal(ends) {
		t.Fatalf("%+v", a)
	}
	check(t, w.Rehash(ctx, id, "h1", "x")) // is another meanwhile
	check(t, w.Rehash(ctx, id, "h2", "h3"))
	a, err = w.Account(ctx, id)
	check(t, err)
	if a.Hash != "h3" || a.Session != 2 || !a.First {
		t.Fatalf("%+v", a)
	}
	a, err = w.SetPassword(ctx, signin.PasswordChange{UserID: id, Hash: "h4"})
	check(t, err)
	if a.Hash != "h4" || a.First || a.New || a.Session != 3 || !a.Expires.IsZero() {
		t.Fatalf("%+v", a)
	}
	none := Insert(t, w.db, w.clock.Now(), User{Role: token.User, Email: "none@example.com"})
	a, err = w.SetPassword(ctx, signin.PasswordChange{UserID: none, Hash: "h"})
	check(t, err)
	is(t, "the first one", a.Hash, "h")
	_, err = w.SetPassword(ctx, signin.PasswordChange{UserID: uuid.NewString(), Hash: "h"})
	wants(t, err, signin.ErrNotFound)
}

// newUser is an account that has never had a password.
func (w world) newUser(t testing.TB, email string) string {
	t.Helper()
	return Insert(t, w.db, w.clock.Now(), User{Email: email, First: "Ada", Role: token.User, New: true})
}

func (w world) freshMail(n string, life time.Duration) *signin.FreshMail {
	return &signin.FreshMail{FirstMail: signin.FirstMail{Sealed: "sealed " + n, MessageID: n + "@angelowl", Expires: w.clock.Now().Add(life)}, Hash: "h" + n}
}

func firstMails(t *testing.T, w world) {
	ctx, id := t.Context(), w.newUser(t, "ada@example.com")
	claim := func(fresh *signin.FreshMail) (signin.Account, signin.FirstMail) {
		t.Helper()
		a, m, err := w.ClaimFirstMail(ctx, id, fresh, time.Minute)
		check(t, err)
		return a, m
	}
	_, m := claim(nil)
	is(t, "nothing to send yet", m, signin.FirstMail{})
	one := w.freshMail("1", time.Hour)
	a, m := claim(one)
	is(t, "the first", m, one.FirstMail)
	if a.Hash != "h1" || !a.First || !a.New || !a.Expires.Equal(one.Expires) || a.Session != 1 {
		t.Fatalf("%+v", a)
	}
	_, _, err := w.ClaimFirstMail(ctx, id, w.freshMail("2", time.Hour), time.Minute)
	wants(t, err, signin.ErrConflict) // another sends it
	w.clock.Go(time.Minute)
	_, m = claim(w.freshMail("2", time.Hour)) // who claimed it died: it is the same mail
	is(t, "again", m, one.FirstMail)
	check(t, w.EndFirstMail(ctx, id, "1@angelowl", false))
	a, m = claim(nil)
	is(t, "after a failure", m, one.FirstMail)
	is(t, "the hash", a.Hash, "h1")

	// To another address goes another password.
	check(t, w.EndFirstMail(ctx, id, "1@angelowl", false))
	check(t, w.db.Exec("UPDATE users SET email = 'b@example.com', email_key = 'b@example.com' WHERE id = ?", id).Error)
	_, m = claim(nil)
	is(t, "the address has moved", m, signin.FirstMail{})
	three := w.freshMail("3", time.Hour)
	a, m = claim(three)
	is(t, "the one for the new address", m, three.FirstMail)
	is(t, "the hash", a.Hash, "h3")
	is(t, "session", a.Session, 2)

	// And in place of one that has expired.
	w.clock.Go(2 * time.Hour)
	check(t, w.EndFirstMail(ctx, id, "1@angelowl", true)) // is another
	a, m = claim(w.freshMail("4", time.Hour))
	is(t, "message", m.MessageID, "4@angelowl")
	is(t, "the hash", a.Hash, "h4")
	check(t, w.EndFirstMail(ctx, id, "4@angelowl", true))
	_, _, err = w.ClaimFirstMail(ctx, id, w.freshMail("5", time.Hour), time.Minute)
	wants(t, err, signin.ErrHasPassword)

	// Who sets a password ends what waits.
	id = w.newUser(t, "c@example.com")
	claim(w.freshMail("6", time.Hour))
	_, err = w.SetPassword(ctx, signin.PasswordChange{UserID: id, Hash: "own"})
	check(t, err)
	check(t, w.EndFirstMail(ctx, id, "6@angelowl", false))
	_, _, err = w.ClaimFirstMail(ctx, id, nil, time.Minute)
	wants(t, err, signin.ErrHasPassword)
	_, _, err = w.ClaimFirstMail(ctx, uuid.NewString(), nil, time.Minute)
	wants(t, err, signin.ErrNotFound)
}

func firstMailsAtOnce(t *testing.T, w world) {
	id := w.newUser(t, "ada@example.com")
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, _, err := w.ClaimFirstMail(t.Context(), id, w.freshMail(fmt.Sprint(i), time.Hour), time.Minute)
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, signin.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	is(t, "claims", won.Load(), 1)
}

func links(t *testing.T, w world) {
	ctx, id, other := t.Context(), w.user(t), w.user(t)
	put := func(link string) { check(t, w.PutReset(ctx, id, hash(link), w.clock.Now().Add(30*time.Minute))) }
	use := func(id, link string) error {
		h := hash(link)
		_, err := w.SetPassword(ctx, signin.PasswordChange{UserID: id, Reset: &h, Hash: "by " + link})
		return err
	}
	put("l1")
	put("l2")
	_, err := w.ResetAccount(ctx, hash("l1")) // another took its place
	wants(t, err, signin.ErrNotFound)
	a, err := w.ResetAccount(ctx, hash("l2"))
	check(t, err)
	is(t, "account", a.ID, id)
	wants(t, use(other, "l2"), signin.ErrNotFound)
	wants(t, use(id, "l1"), signin.ErrNotFound)
	is(t, "session", w.session(t, id), 1)
	check(t, use(id, "l2"))
	wants(t, use(id, "l2"), signin.ErrNotFound)
	_, err = w.ResetAccount(ctx, hash("l2"))
	wants(t, err, signin.ErrNotFound)
	put("l3")
	w.clock.Go(30 * time.Minute)
	_, err = w.ResetAccount(ctx, hash("l3"))
	wants(t, err, signin.ErrNotFound)
	wants(t, use(id, "l3"), signin.ErrNotFound)
	put("l4")
	_, err = w.SetPassword(ctx, signin.PasswordChange{UserID: id, Hash: "changed"})
	check(t, err)
	wants(t, use(id, "l4"), signin.ErrNotFound) // any change ends links
	put("l5")
	check(t, w.db.Exec("UPDATE users SET locked = ? WHERE id = ?", true, id).Error)
	_, err = w.ResetAccount(ctx, hash("l5"))
	wants(t, err, signin.ErrNotFound)
	wants(t, w.PutReset(ctx, uuid.NewString(), hash("x"), w.clock.Now()), signin.ErrNotFound)
}

func linksAtOnce(t *testing.T, w world) {
	ctx, id := t.Context(), w.user(t)
	link := hash("l")
	check(t, w.PutReset(ctx, id, link, w.clock.Now().Add(time.Hour)))
	var good atomic.Int64
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			_, err := w.SetPassword(ctx, signin.PasswordChange{UserID: id, Reset: &link, Hash: fmt.Sprint(i)})
			if err == nil {
				good.Add(1)
			} else if !errors.Is(err, signin.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	is(t, "good", good.Load(), 1)
	is(t, "session", w.session(t, id), 2)
}

func factors(t *testing.T, w world) {
	ctx, id := t.Context(), w.user(t)
	_, err := w.ConfirmFactor(ctx, id, "s1", 7)
	wants(t, err, signin.ErrConflict)
	check(t, w.PutFactor(ctx, id, "s1"))
	wants(t, w.UseStep(ctx, id, 9), signin.ErrConflict) // it is not confirmed
	check(t, w.PutFactor(ctx, id, "s2"))
	_, err = w.ConfirmFactor(ctx, id, "s1", 7)
	wants(t, err, signin.ErrConflict)
	a, err := w.ConfirmFactor(ctx, id, "s2", 7)
	check(t, err)
	if a.Factor == nil || *a.Factor != (signin.Factor{Secret: "s2", Confirmed: true, LastStep: 7}) || a.Session != 2 {
		t.Fatalf("%+v", a)
	}
	_, err = w.ConfirmFactor(ctx, id, "s2", 8)
	wants(t, err, signin.ErrConflict)
	wants(t, w.PutFactor(ctx, id, "s3"), signin.ErrConflict)
	check(t, w.RemoveFactor(ctx, id))
	is(t, "session", w.session(t, id), 3)
	wants(t, w.RemoveFactor(ctx, id), signin.ErrNotFound)
	wants(t, w.RemoveFactor(ctx, uuid.NewString()), signin.ErrNotFound)
	wants(t, w.PutFactor(ctx, uuid.NewString(), "s"), signin.ErrNotFound)
	check(t, w.PutFactor(ctx, id, "s4"))
}

func codes(t *testing.T, w world) {
	ctx, id := t.Context(), w.user(t)
	check(t, w.PutFactor(ctx, id, "s"))
	_, err := w.ConfirmFactor(ctx, id, "s", 7)
	check(t, err)
	wants(t, w.UseStep(ctx, id, 7), signin.ErrConflict)
	check(t, w.UseStep(ctx, id, 9))
	wants(t, w.UseStep(ctx, id, 8), signin.ErrConflict)
	var good atomic.Int64
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if err := w.UseStep(ctx, id, 10); err == nil {
				good.Add(1)
			} else if !errors.Is(err, signin.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	is(t, "good", good.Load(), 1)
}

func secrets(t *testing.T, w world) {
	ctx := t.Context()
	id := Insert(t, w.db, w.clock.Now(), User{Role: token.Merchant, First: "Shop"})
	one, err := w.AddSecret(ctx, id, hash("one"), "ann")
	check(t, err)
	w.clock.Go(time.Second)
	two, err := w.AddSecret(ctx, id, hash("two"), "bob")
	check(t, err)
	_, err = w.AddSecret(ctx, id, hash("three"), "bob")
	wants(t, err, signin.ErrConflict)
	all, err := w.Secrets(ctx, id)
	check(t, err)
	if len(all) != 2 || all[0] != one || all[1] != two || one.CreatedBy != "ann" {
		t.Fatalf("%+v", all)
	}
	a, err := w.SecretAccount(ctx, id, hash("one"))
	check(t, err)
	is(t, "account", a.ID, id)
	_, err = w.SecretAccount(ctx, w.user(t), hash("one"))
	wants(t, err, signin.ErrNotFound)
	_, err = w.SecretAccount(ctx, id, hash("three"))
	wants(t, err, signin.ErrNotFound)
	wants(t, w.RevokeSecret(ctx, w.user(t), one.ID), signin.ErrNotFound)
	check(t, w.RevokeSecret(ctx, id, one.ID))
	is(t, "session", w.session(t, id), 2)
	wants(t, w.RevokeSecret(ctx, id, one.ID), signin.ErrNotFound)
	_, err = w.SecretAccount(ctx, id, hash("one"))
	wants(t, err, signin.ErrNotFound)
	_, err = w.AddSecret(ctx, id, hash("three"), "bob")
	check(t, err)
	_, err = w.AddSecret(ctx, uuid.NewString(), hash("x"), "bob")
	wants(t, err, signin.ErrNotFound)
}

func services(t *testing.T, w world) {
	ctx, id := t.Context(), signin.ServiceID("informer")
	for _, s := range []string{"s1", "s1", "s2", "s2", "s1"} { // an instance with the old setting starts again
		w.clock.Go(time.Second)
		check(t, w.EnsureService(ctx, id, "informer", hash(s)))
	}
	a, err := w.SecretAccount(ctx, id, hash("s1"))
	check(t, err)
	if a.Role != token.Service || a.FirstName != "informer" || a.Session != 1 {
		t.Fatalf("%+v", a)
	}
	w.clock.Go(time.Second)
	check(t, w.EnsureService(ctx, id, "informer", hash("s3")))
	_, err = w.SecretAccount(ctx, id, hash("s1"))
	wants(t, err, signin.ErrNotFound)
	for _, s := range []string{"s2", "s3"} {
		_, err = w.SecretAccount(ctx, id, hash(s))
		check(t, err)
	}
	wants(t, w.EnsureService(ctx, id, "informer", hash("s1")), signin.ErrConflict) // it was revoked
	wants(t, w.EnsureService(ctx, signin.ServiceID("x"), "x", hash("s3")), signin.ErrConflict)
	wants(t, w.EnsureService(ctx, w.user(t), "x", hash("s9")), signin.ErrConflict)
}

func servicesAtOnce(t *testing.T, w world) {
	ctx, id := t.Context(), signin.ServiceID("informer")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3 {
				if err := w.EnsureService(ctx, id, "informer", hash("s")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all, err := w.Secrets(ctx, id)
	check(t, err)
	is(t, "secrets", len(all), 1)
}

func limitsExact(t *testing.T, w world) {
	ctx, id := t.Context(), w.user(t)
	got, err := w.Limits(ctx, id)
	check(t, err)
	if got != nil {
		t.Fatalf("%+v", got)
	}
	for _, want := range []signin.Limits{
		{},
		{Merchants: []string{"Größe & <Söhne>"}, MCCs: []string{"5411", "3500-3999"}, Currencies: []string{"SGD", "JPY"}, DailySums: []signin.DailySum{
			{Money: loyalty.Money{Minor: 1_000_001, Currency: loyalty.MustCurrency("SGD")}}, {Money: loyalty.Money{Minor: math.MaxInt64, Currency: loyalty.MustCurrency("BHD")}},
		}},
	} {
		check(t, w.SetLimits(ctx, id, want, "ann"))
		got, err := w.Limits(ctx, id)
		check(t, err)
		is(t, "limits", fmt.Sprint(*got), fmt.Sprint(want))
	}
	wants(t, w.SetLimits(ctx, uuid.NewString(), signin.Limits{}, "ann"), signin.ErrNotFound)
}

var sgd, jpy = loyalty.MustCurrency("SGD"), loyalty.MustCurrency("JPY")

func (w world) spend(t testing.TB, merchant string, n byte, minor int64, c loyalty.Currency, day string) (signin.Tally, error) {
	t.Helper()
	d, err := loyalty.ParseDate(day)
	check(t, err)
	return w.Spend(t.Context(), signin.Spend{UserID: merchant, CardID: uuid.UUID{1}, Date: d, ID: uuid.UUID{n}, Amount: loyalty.Money{Minor: minor, Currency: c}, Day: d})
}

func spends(t *testing.T, w world) {
	merchant, other := w.user(t), w.user(t)
	limit := loyalty.Money{Minor: 1000, Currency: sgd}
	check(t, w.SetLimits(t.Context(), merchant, signin.Limits{DailySums: []signin.DailySum{{Money: limit}}}, "ann"))
	for _, test := range []struct {
		name     string
		merchant string
		n        byte
		minor    int64
		currency loyalty.Currency
		day      string
		err      error
		spent    int64
	}{
		{"the first", merchant, 1, 400, sgd, "2021-09-01", nil, 400},
		{"again", merchant, 1, 400, sgd, "2021-09-01", nil, 400},
		{"again, smaller", merchant, 1, 1, sgd, "2021-09-01", nil, 400},
		{"again, larger", merchant, 1, 450, sgd, "2021-09-01", nil, 450},
		{"again, too large", merchant, 1, 1001, sgd, "2021-09-01", signin.ErrOverLimit, 450},
		{"a refund counts", merchant, 2, -50, sgd, "2021-09-01", nil, 500},
		{"one too much", merchant, 3, 501, sgd, "2021-09-01", signin.ErrOverLimit, 500},
		{"exactly", merchant, 3, 500, sgd, "2021-09-01", nil, 1000},
		{"a cent more", merchant, 4, 1, sgd, "2021-09-01", signin.ErrOverLimit, 1000},
		{"nothing", merchant, 5, 0, sgd, "2021-09-01", nil, 1000},
		{"again when it is full", merchant, 3, 500, sgd, "2021-09-01", nil, 1000},
		{"another currency is another sum", merchant, 1, 1 << 60, jpy, "2021-09-01", nil, 1 << 60},
		{"more than can be counted", merchant, 6, math.MaxInt64, jpy, "2021-09-01", signin.ErrOverLimit, 1 << 60},
		{"less than can be counted", merchant, 6, math.MinInt64, jpy, "2021-09-01", signin.ErrOverLimit, 0},
		{"another day", merchant, 4, 1000, sgd, "2021-09-02", nil, 1000},
		{"another merchant", other, 1, 99999, sgd, "2021-09-01", nil, 99999},
	} {
		tally, err := w.spend(t, test.merchant, test.n, test.minor, test.currency, test.day)
		if !errors.Is(err, test.err) || err != nil && test.err == nil || tally.Spent.Minor != test.spent {
			t.Fatalf("%s: %+v, %v; want %d, %v", test.name, tally, err, test.spent, test.err)
		}
		if test.merchant == merchant && test.currency == sgd && (tally.Limit == nil || *tally.Limit != limit) {
			t.Fatalf("%s: limit %v", test.name, tally.Limit)
		}
	}
}

func spendsAtOnce(t *testing.T, w world) {
	merchant := w.user(t)
	check(t, w.SetLimits(t.Context(), merchant, signin.Limits{DailySums: []signin.DailySum{{Money: loyalty.Money{Minor: 1000, Currency: sgd}}}}, "ann"))
	var passed atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 4 {
				n := byte(i/2*4 + j) // each is sent by two
				if _, err := w.spend(t, merchant, n, 100, sgd, "2021-09-01"); err == nil {
					passed.Add(1)
				} else if !errors.Is(err, signin.ErrOverLimit) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	is(t, "passed", passed.Load(), 20) // ten, each twice
	tally, err := w.spend(t, merchant, 99, 0, sgd, "2021-09-01")
	check(t, err)
	is(t, "spent", tally.Spent.Minor, 1000)
}

func unsubscribes(t *testing.T, w world) {
	id := w.user(t)
	for range 2 {
		check(t, w.StopRewardEmails(t.Context(), id))
		a, err := w.Account(t.Context(), id)
		check(t, err)
		is(t, "mails", a.RewardEmails, false)
		is(t, "session", a.Session, 1)
	}
	wants(t, w.StopRewardEmails(t.Context(), uuid.NewString()), signin.ErrNotFound)
}

func sweeps(t *testing.T, w world) {
	ctx, id := t.Context(), w.user(t)
	check(t, w.Begin(ctx, id, 1, hash("short"), time.Hour, time.Hour))
	check(t, w.Begin(ctx, id, 1, hash("long"), 1000*time.Hour, 1000*time.Hour))
	check(t, w.PutReset(ctx, id, hash("l"), w.clock.Now().Add(time.Minute)))
	_, err := w.Take(ctx, signin.Limit{Key: "k", Rate: signin.Rate{Max: 1, Per: time.Hour}})
	check(t, err)
	_, err = w.spend(t, id, 1, 5, sgd, "2021-09-01")
	check(t, err)
	n, err := w.Sweep(ctx)
	check(t, err)
	is(t, "at once", n, 0)
	w.clock.Go(26 * time.Hour)
	n, err = w.Sweep(ctx)
	check(t, err)
	is(t, "a day later", n, 4) // the count, the link, the short session and its token
	_, err = w.Rotate(ctx, hash("long"), hash("long2"), hours(1000))
	check(t, err)
	w.clock.Go(101 * 24 * time.Hour)
	n, err = w.Sweep(ctx)
	check(t, err)
	is(t, "much later", n, 5) // the spend and the sum, the long session and its tokens
	n, err = w.Sweep(ctx)
	check(t, err)
	is(t, "again", n, 0)
}

func deleted(t *testing.T, w world) {
	ctx, id := t.Context(), w.user(t)
	check(t, w.Begin(ctx, id, 1, hash("r"), time.Hour, time.Hour))
	check(t, w.PutReset(ctx, id, hash("l"), w.clock.Now().Add(time.Minute)))
	_, err := w.AddSecret(ctx, id, hash("s"), "ann")
	check(t, err)
	check(t, w.db.Exec("UPDATE users SET deleted_at = ? WHERE id = ?", w.clock.Now(), id).Error)
	link := hash("l")
	for name, do := range map[string]func() error{
		"by id":    func() error { _, err := w.Account(ctx, id); return err },
		"by email": func() error { _, err := w.AccountByEmail(ctx, id+"@example.com"); return err },
		"refresh":  func() error { _, err := w.Rotate(ctx, hash("r"), hash("x"), hours(1)); return err },
		"link":     func() error { _, err := w.ResetAccount(ctx, link); return err },
		"password": func() error {
			_, err := w.SetPassword(ctx, signin.PasswordChange{UserID: id, Reset: &link, Hash: "x"})
			return err
		},
		"secret":       func() error { _, err := w.SecretAccount(ctx, id, hash("s")); return err },
		"a new secret": func() error { _, err := w.AddSecret(ctx, id, hash("s2"), "ann"); return err },
		"limits":       func() error { return w.SetLimits(ctx, id, signin.Limits{}, "ann") },
		"factor":       func() error { return w.PutFactor(ctx, id, "s") },
		"sessions":     func() error { return w.EndSessions(ctx, id) },
	} {
		if err := do(); !errors.Is(err, signin.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func cancelled(t *testing.T, w world) {
	id := w.user(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.SetPassword(ctx, signin.PasswordChange{UserID: id, Hash: "x"})
	wants(t, err, context.Canceled)
	_, err = w.Take(ctx, signin.Limit{Key: "k", Rate: signin.Rate{Max: 1, Per: time.Minute}})
	wants(t, err, context.Canceled)
	is(t, "session", w.session(t, id), 1)
	wait, err := w.Take(t.Context(), signin.Limit{Key: "k", Rate: signin.Rate{Max: 1, Per: time.Minute}})
	check(t, err)
	is(t, "wait", wait, 0)
}
