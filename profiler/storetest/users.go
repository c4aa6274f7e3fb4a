package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/google/uuid"
)

// accounts are the tests of profiler.Accounts.
var accounts = []struct {
	name string
	test func(t *testing.T, s profiler.Store)
}{
	{"an account's life has a version and an entry of history for each change", userLife},
	{"an account comes back exactly", userExact},
	{"an id is used once, an address by one account at a time", userUnique},
	{"a change that is refused changes nothing", userRefused},
	{"a deleted account keeps nothing personal", userDeleted},
	{"accounts are listed, sorted, searched and paged", userLists},
	{"pages of accounts that are alike neither repeat nor lose one", userPages},
	{"the last admin stays", lastAdmin},
	{"an account with cards stays a cardholder's", hasCards},
	{"a card's life", cardLife},
	{"a card id belongs to one account for ever", cardTaken},
	{"who may not have a card", cardRefused},
	{"cards are listed and counted", cardLists},
	{"rows of a file are idempotent", rowsAgain},
	{"rows of a file: each that is bad is refused alone", rowsRefused},
	{"rows of a file pass addresses on", rowsPassOn},
	{"rows of a file say who has never had a password", rowsNew},
	{"one card id for two accounts at once: one gets it", cardRace},
	{"one address for many accounts at once: one gets it", emailRace},
	{"two admins who go at once: one stays", adminRace},
	{"batches at once that say the same", rowsRace},
	{"first admins at once: one is made", firstAdmins},
	{"a first admin whose password has expired gets another", firstAdminAgain},
}

func id(n int) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, "angelowl:test:", n))
}

func user(n int) profiler.User {
	return profiler.User{
		ID: id(n), FirstName: fmt.Sprint("First", n), LastName: "Last", Phone: "+6591234567", Email: fmt.Sprintf("u%d@example.com", n),
		Role: token.User, RewardEmails: true,
	}
}

func with(u profiler.User, change func(*profiler.User)) profiler.User {
	change(&u)
	return u
}

func enrol(t *testing.T, s profiler.Store, users ...profiler.User) {
	t.Helper()
	for _, u := range users {
		_, err := s.CreateUser(t.Context(), "ann", u, nil)
		check(t, err)
	}
}

func types(t *testing.T, s profiler.Store) {
	t.Helper()
	_, err := s.CardTypes().Create(t.Context(), "ann", cardType("gold"))
	check(t, err)
	_, err = s.CardTypes().Create(t.Context(), "ann", cardType("blue"))
	check(t, err)
}

func card(n int, owner uuid.UUID) profiler.Card {
	return profiler.Card{ID: id(1000 + n), UserID: owner, CardType: "gold"}
}

func number(n int) profiler.Number {
	return profiler.Number{Masked: fmt.Sprintf("************%04d", n), HMAC: fmt.Sprintf("hmac%d", n)}
}

func anyUser(profiler.User) error             { return nil }
func anyRole(token.Role) error                { return nil }
func anyCard(profiler.Card, token.Role) error { return nil }
func to(u profiler.User) change               { return func(profiler.User) (profiler.User, error) { return u, nil } }

type change = func(profiler.User) (profiler.User, error)

var whole = ruleapi.Page{Size: 1000, No: 1}

func said(events []ruleapi.Event) []string {
	var out []string
	for _, e := range events {
		out = append(out, fmt.Sprint(e.Version, " ", e.Action, " ", e.Who, " ", e.Before != nil, " ", e.After != nil))
	}
	return out
}

func userLife(t *testing.T, s profiler.Store) {
	ctx, u := t.Context(), user(1)
	_, err := s.User(ctx, u.ID)
	wants(t, err, ruleapi.ErrNotFound)
	made, err := s.CreateUser(ctx, "ann", u, &profiler.FirstPassword{Hash: "h", Expires: Now.Add(time.Hour)})
	check(t, err)
	if made.Version != 1 || !made.IsNew || !made.CreatedAt.Equal(Now) {
		t.Fatalf("made: %+v", made)
	}
	before, after, err := s.ChangeUser(ctx, "bob", u.ID, func(u profiler.User) (profiler.User, error) {
		u.FirstName, u.Locked = "Other", true
		return u, nil
	})
	check(t, err)
	if before.FirstName != "First1" || after.FirstName != "Other" || after.Version != 2 || !after.Locked {
		t.Fatalf("changed from %+v to %+v", before, after)
	}
	_, again, err := s.ChangeUser(ctx, "bob", u.ID, to(after))
	check(t, err)
	if again.Version != 2 {
		t.Error("a change that changes nothing makes a version")
	}
	check(t, s.DeleteUser(ctx, "cem", u.ID, anyUser))
	_, err = s.User(ctx, u.ID)
	wants(t, err, ruleapi.ErrNotFound)
	wants(t, s.DeleteUser(ctx, "cem", u.ID, anyUser), ruleapi.ErrNotFound)
	_, _, err = s.ChangeUser(ctx, "cem", u.ID, to(u))
	wants(t, err, ruleapi.ErrNotFound)
	events, total, err := s.UserHistory(ctx, u.ID, whole, anyRole)
	check(t, err)
	same(t, said(events), []string{"3 deleted cem true false", "2 changed bob true true", "1 created ann false true"})
	if total != 3 || !events[0].When.Equal(Now) {
		t.Errorf("%d changes, %v", total, events[0].When)
	}
	same(t, events[1].After, map[string]any{
		"Role": "user", "email": "u1@example.com", "first_name": "Other", "id": u.ID, "last_name": "Last", "locked": true, "phone": "+6591234567", "reward_emails": true,
	})
	page, total, err := s.UserHistory(ctx, u.ID, ruleapi.Page{Size: 1, No: 2}, anyRole)
	if check(t, err); total != 3 || len(page) != 1 || page[0].Version != 2 {
		t.Errorf("a page of history: %v of %d", said(page), total)
	}
	_, _, err = s.UserHistory(ctx, id(2), whole, anyRole)
	wants(t, err, ruleapi.ErrNotFound)
	no := errors.New("no")
	_, _, err = s.UserHistory(ctx, u.ID, whole, func(r token.Role) error {
		if r != token.User {
			t.Errorf("asked about %q", r)
		}
		return no
	})
	wants(t, err, no)
}

func userExact(t *testing.T, s profiler.Store) {
	u := profiler.User{ID: id(1), FirstName: "ปาริชาติ <&> \\ % _ '\"", LastName: strings.Repeat("ß", 256), Email: "A.B+c@EXAMPLE.com", Role: token.Merchant, Locked: true}
	made, err := s.CreateUser(t.Context(), "ann", u, nil)
	check(t, err)
	got, err := s.User(t.Context(), u.ID)
	check(t, err)
	same(t, got, made)
	u.IsNew, u.Version, u.CreatedAt, u.UpdatedAt = true, 1, Now, Now
	same(t, got, u)
}

func userUnique(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	enrol(t, s, user(1), user(2))
	_, err := s.CreateUser(ctx, "ann", with(user(1), func(u *profiler.User) { u.Email = "other@example.com" }), nil)
	wants(t, err, ruleapi.ErrExists)
	taken := with(user(3), func(u *profiler.User) { u.Email = "U1@Example.COM" })
	_, err = s.CreateUser(ctx, "ann", taken, nil)
	wants(t, err, profiler.ErrEmailTaken)
	_, _, err = s.ChangeUser(ctx, "ann", id(2), to(with(user(2), func(u *profiler.User) { u.Email = "U1@example.com" })))
	wants(t, err, profiler.ErrEmailTaken)
	_, after, err := s.ChangeUser(ctx, "ann", id(1), to(with(user(1), func(u *profiler.User) { u.Email = "U1@example.com" })))
	if check(t, err); after.Email != "U1@example.com" {
		t.Error("an account's own address in another case:", after.Email)
	}
	check(t, s.DeleteUser(ctx, "ann", id(1), anyUser))
	_, err = s.CreateUser(ctx, "ann", user(1), nil)
	wants(t, err, ruleapi.ErrExists) // its tombstone
	_, err = s.CreateUser(ctx, "ann", taken, nil)
	check(t, err) // the address is free
}

func userRefused(t *testing.T, s profiler.Store) {
	ctx, no := t.Context(), errors.New("no")
	enrol(t, s, user(1))
	_, _, err := s.ChangeUser(ctx, "ann", id(1), func(u profiler.User) (profiler.User, error) {
		u.FirstName = "Other"
		return u, no
	})
	wants(t, err, no)
	wants(t, s.DeleteUser(ctx, "ann", id(1), func(profiler.User) error { return no }), no)
	got, err := s.User(ctx, id(1))
	if check(t, err); got.Version != 1 || got.FirstName != "First1" {
		t.Errorf("%+v", got)
	}
}

func userDeleted(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	types(t, s)
	enrol(t, s, user(1))
	_, err := s.CreateCard(ctx, "ann", card(1, id(1)), number(1))
	check(t, err)
	check(t, s.DeleteUser(ctx, "ann", id(1), anyUser))
	for _, q := range []profiler.UserQuery{{Search: "First1"}, {Search: "u1@"}, {HMAC: "hmac1"}, {}} {
		q.Page, q.Sort = whole, "name"
		users, total, err := s.Users(ctx, q)
		if check(t, err); len(users) != 0 || total != 0 {
			t.Errorf("%+v finds %+v", q, users)
		}
	}
	_, _, err = s.Card(ctx, card(1, id(1)).ID)
	wants(t, err, ruleapi.ErrNotFound)
	events, _, err := s.CardHistory(ctx, card(1, id(1)).ID, whole, anyRole)
	check(t, err)
	same(t, said(events), []string{"2 deleted ann true false", "1 created ann false true"})
	enrol(t, s, user(2))
	_, err = s.CreateCard(ctx, "ann", card(1, id(2)), number(1))
	wants(t, err, profiler.ErrCardTaken)
}

func names(users []profiler.User) string {
	var out []string
	for _, u := range users {
		out = append(out, u.FirstName)
	}
	return strings.Join(out, ",")
}

func userLists(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	types(t, s)
	yes, no := true, false
	enrol(t, s,
		with(user(1), func(u *profiler.User) { u.FirstName, u.LastName, u.Email = "Bea", "Alt", "zoe@example.com" }),
		with(user(2), func(u *profiler.User) { u.FirstName, u.LastName = "Ada", "Alt" }),
		with(user(3), func(u *profiler.User) { u.FirstName, u.LastName, u.Locked = "Émile", "Zola", true }),
		with(user(4), func(u *profiler.User) { u.FirstName, u.LastName, u.Role = "Bank", "Staff", token.Bank }),
		with(user(5), func(u *profiler.User) { u.FirstName, u.LastName = "100%", "Under_score" }),
	)
	for n, owner := range []uuid.UUID{id(1), id(2)} {
		_, err := s.CreateCard(ctx, "ann", card(n, owner), number(7))
		check(t, err)
	}
	for _, test := range []struct {
		name string
		q    profiler.UserQuery
		want string
		of   int64
	}{
		{"by name", profiler.UserQuery{Sort: "name"}, "Ada,Bea,Bank,100%,Émile", 5},
		{"by address, descending", profiler.UserQuery{Sort: "email", Desc: true}, "Bea,100%,Bank,Émile,Ada", 5},
		{"a role", profiler.UserQuery{Sort: "name", Role: token.Bank}, "Bank", 1},
		{"locked", profiler.UserQuery{Sort: "name", Locked: &yes}, "Émile", 1},
		{"not locked cardholders", profiler.UserQuery{Sort: "name", Locked: &no, Role: token.User}, "Ada,Bea,100%", 3},
		{"part of a name in another case", profiler.UserQuery{Sort: "name", Search: "éMIL"}, "Émile", 1},
		{"first and last name", profiler.UserQuery{Sort: "name", Search: "bea alt"}, "Bea", 1},
		{"last and first name", profiler.UserQuery{Sort: "name", Search: "alt bea"}, "Bea", 1},
		{"part of an address", profiler.UserQuery{Sort: "name", Search: "ZOE@"}, "Bea", 1},
		{"a percent sign is one", profiler.UserQuery{Sort: "name", Search: "0%"}, "100%", 1},
		{"an underscore is one", profiler.UserQuery{Sort: "name", Search: "r_s"}, "100%", 1},
		{"whose number", profiler.UserQuery{Sort: "name", HMAC: "hmac7"}, "Ada,Bea", 2},
		{"nobody's number", profiler.UserQuery{Sort: "name", HMAC: "hmac8"}, "", 0},
	} {
		test.q.Page = whole
		users, total, err := s.Users(ctx, test.q)
		if check(t, err); names(users) != test.want || total != test.of {
			t.Errorf("%s: %q of %d, want %q of %d", test.name, names(users), total, test.want, test.of)
		}
	}
	users, _, err := s.Users(ctx, profiler.UserQuery{Page: whole, Sort: "name", Search: "Bea"})
	if check(t, err); len(users[0].Cards) != 1 || users[0].Cards[0].PAN != "************0007" {
		t.Errorf("cards in a list: %+v", users[0].Cards)
	}
	if _, _, err := s.Users(ctx, profiler.UserQuery{Page: whole, Sort: "hash"}); err == nil {
		t.Error("sorts by anything")
	}
}

func userPages(t *testing.T, s profiler.Store) {
	const all = 25
	for n := range all {
		enrol(t, s, with(user(n), func(u *profiler.User) { u.FirstName = "Same" }))
	}
	for _, sort := range profiler.UserSorts {
		for _, desc := range []bool{false, true} {
			seen := map[uuid.UUID]bool{}
			for no := 1; no <= 5; no++ {
				users, total, err := s.Users(t.Context(), profiler.UserQuery{Page: ruleapi.Page{Size: 7, No: no}, Sort: sort, Desc: desc})
				if check(t, err); total != all {
					t.Fatalf("%d in all", total)
				}
				for _, u := range users {
					if seen[u.ID] {
						t.Fatalf("by %s: %s twice", sort, u.ID)
					}
					seen[u.ID] = true
				}
			}
			if len(seen) != all {
				t.Errorf("by %s: %d accounts", sort, len(seen))
			}
		}
	}
}

func admin(n int) profiler.User {
	return with(user(n), func(u *profiler.User) { u.Role = token.Admin })
}

func lastAdmin(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	enrol(t, s, admin(1), user(2), with(admin(3), func(u *profiler.User) { u.Locked = true }))
	demote := func(u profiler.User) (profiler.User, error) { u.Role = token.Bank; return u, nil }
	lock := func(u profiler.User) (profiler.User, error) { u.Locked = true; return u, nil }
	for name, f := range map[string]func() error{
		"demoted": func() error { _, _, err := s.ChangeUser(ctx, "ann", id(1), demote); return err },
		"locked":  func() error { _, _, err := s.ChangeUser(ctx, "ann", id(1), lock); return err },
		"deleted": func() error { return s.DeleteUser(ctx, "ann", id(1), anyUser) },
	} {
		if err := f(); !errors.Is(err, profiler.ErrLastAdmin) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check(t, s.DeleteUser(ctx, "ann", id(3), anyUser)) // who could not get in anyway
	enrol(t, s, admin(4))
	_, _, err := s.ChangeUser(ctx, "ann", id(1), lock)
	check(t, err)
	wants(t, s.DeleteUser(ctx, "ann", id(4), anyUser), profiler.ErrLastAdmin)
}

func hasCards(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	types(t, s)
	enrol(t, s, user(1))
	_, err := s.CreateCard(ctx, "ann", card(1, id(1)), number(1))
	check(t, err)
	promote := to(with(user(1), func(u *profiler.User) { u.Role = token.Bank }))
	_, _, err = s.ChangeUser(ctx, "ann", id(1), promote)
	wants(t, err, profiler.ErrHasCards)
	check(t, s.DeleteCard(ctx, "ann", card(1, id(1)).ID, anyCard))
	_, _, err = s.ChangeUser(ctx, "ann", id(1), promote)
	check(t, err)
}

func cardLife(t *testing.T, s profiler.Store) {
	ctx, c := t.Context(), card(1, id(1))
	types(t, s)
	enrol(t, s, user(1))
	_, _, err := s.Card(ctx, c.ID)
	wants(t, err, ruleapi.ErrNotFound)
	wants(t, s.DeleteCard(ctx, "ann", c.ID, anyCard), ruleapi.ErrNotFound)
	made, err := s.CreateCard(ctx, "ann", c, number(1))
	check(t, err)
	got, role, err := s.Card(ctx, c.ID)
	check(t, err)
	same(t, got, made)
	if role != token.User || got.PAN != "************0001" || got.Version != 1 || got.UserID != id(1) || got.CardType != "gold" || !got.CreatedAt.Equal(Now) {
		t.Errorf("%+v %s", got, role)
	}
	u, err := s.User(ctx, id(1))
	check(t, err)
	same(t, u.Cards, []profiler.Card{made})
	_, err = s.CreateCard(ctx, "ann", c, number(1))
	wants(t, err, ruleapi.ErrExists)
	no := errors.New("no")
	wants(t, s.DeleteCard(ctx, "ann", c.ID, func(profiler.Card, token.Role) error { return no }), no)
	check(t, s.DeleteCard(ctx, "bob", c.ID, anyCard))
	wants(t, s.DeleteCard(ctx, "bob", c.ID, anyCard), ruleapi.ErrNotFound)
	u, err = s.User(ctx, id(1))
	if check(t, err); len(u.Cards) != 0 {
		t.Error("a deleted card is listed")
	}
	again := c
	again.CardType = "blue"
	_, err = s.CreateCard(ctx, "cem", again, profiler.Number{Masked: "************0002"})
	wants(t, err, profiler.ErrMasked)
	made, err = s.CreateCard(ctx, "cem", again, profiler.Number{Masked: "************0001"})
	if check(t, err); made.Version != 3 || made.CardType != "blue" {
		t.Errorf("again: %+v", made)
	}
	found, _, err := s.Users(ctx, profiler.UserQuery{Page: whole, Sort: "name", HMAC: "hmac1"})
	if check(t, err); len(found) != 1 {
		t.Error("the card that came back is not found by its number")
	}
	events, total, err := s.CardHistory(ctx, c.ID, whole, anyRole)
	check(t, err)
	same(t, said(events), []string{"3 created cem false true", "2 deleted bob true false", "1 created ann false true"})
	if total != 3 || strings.Contains(string(events[0].After), "hmac") || !strings.Contains(string(events[0].After), "************0001") {
		t.Errorf("history: %s of %d", events[0].After, total)
	}
	_, _, err = s.CardHistory(ctx, id(9), whole, anyRole)
	wants(t, err, ruleapi.ErrNotFound)
}

func cardTaken(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	types(t, s)
	enrol(t, s, user(1), user(2))
	_, err := s.CreateCard(ctx, "ann", card(1, id(1)), number(1))
	check(t, err)
	for _, state := range []string{"live", "deleted"} {
		_, err = s.CreateCard(ctx, "ann", card(1, id(2)), number(1))
		if !errors.Is(err, profiler.ErrCardTaken) {
			t.Errorf("%s: by hand: %v", state, err)
		}
		out, err := s.PutRows(ctx, "file", []profiler.Row{row(2, 1)})
		if check(t, err); !errors.Is(out[0].Err, profiler.ErrCardTaken) {
			t.Errorf("%s: by file: %+v", state, out[0])
		}
		if state == "live" {
			check(t, s.DeleteCard(ctx, "ann", card(1, id(1)).ID, anyCard))
		}
	}
}

func cardRefused(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	types(t, s)
	enrol(t, s, user(1), with(user(2), func(u *profiler.User) { u.Role = token.Bank }), user(3))
	check(t, s.DeleteUser(ctx, "ann", id(3), anyUser))
	for _, test := range []struct {
		name string
		card profiler.Card
		n    profiler.Number
		want error
	}{
		{"nobody", card(1, id(9)), number(1), profiler.ErrNoUser},
		{"a deleted account", card(1, id(3)), number(1), profiler.ErrNoUser},
		{"bank staff", card(1, id(2)), number(1), profiler.ErrNotCardholder},
		{"an unknown card type", profiler.Card{ID: id(1001), UserID: id(1), CardType: "none"}, number(1), profiler.ErrNoCardType},
		{"a masked number", card(1, id(1)), profiler.Number{Masked: "************0001"}, profiler.ErrMasked},
	} {
		if _, err := s.CreateCard(ctx, "ann", test.card, test.n); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	if _, total, err := s.Cards(ctx, profiler.CardQuery{Page: whole, Sort: "id"}); err != nil || total != 0 {
		t.Errorf("%d cards, %v", total, err)
	}
}

func cardLists(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	types(t, s)
	enrol(t, s, user(1), user(2))
	for n := range 6 {
		c := card(n, id(1+n%2))
		if n < 2 {
			c.CardType = "blue"
		}
		_, err := s.CreateCard(ctx, "ann", c, number(n))
		check(t, err)
	}
	check(t, s.DeleteCard(ctx, "ann", card(5, id(2)).ID, anyCard))
	for _, test := range []struct {
		name string
		q    profiler.CardQuery
		want int64
	}{
		{"all", profiler.CardQuery{}, 5}, {"one's", profiler.CardQuery{UserID: id(2)}, 2}, {"of a type", profiler.CardQuery{CardType: "blue"}, 2},
		{"cardholders'", profiler.CardQuery{OwnerRole: token.User}, 5}, {"the bank's", profiler.CardQuery{OwnerRole: token.Bank}, 0},
	} {
		for _, sort := range profiler.CardSorts {
			seen := map[uuid.UUID]bool{}
			for no := 1; no <= 3; no++ {
				test.q.Page, test.q.Sort = ruleapi.Page{Size: 2, No: no}, sort
				cards, total, err := s.Cards(ctx, test.q)
				if check(t, err); total != test.want {
					t.Errorf("%s: %d", test.name, total)
				}
				for _, c := range cards {
					seen[c.ID] = true
				}
			}
			if int64(len(seen)) != test.want {
				t.Errorf("%s by %s: %d on all pages", test.name, sort, len(seen))
			}
		}
	}
	n, err := s.CardsOfType(ctx, "gold")
	if check(t, err); n != 3 {
		t.Errorf("%d gold cards", n)
	}
}

// row is a row of a file: of user n with the card k.
func row(n, k int) profiler.Row {
	c := card(k, id(n))
	return profiler.Row{User: user(n), Since: Now.AddDate(-1, 0, 0), Card: &c, Number: number(k)}
}

func results(out []profiler.Outcome) string {
	var words []string
	for _, o := range out {
		words = append(words, string(o.Result))
	}
	return strings.Join(words, " ")
}

func rowsAgain(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	types(t, s)
	rows := []profiler.Row{row(1, 1), row(1, 2), row(2, 3), {User: user(3)}}
	for _, want := range []string{"created created created created", "unchanged unchanged unchanged unchanged"} {
		out, err := s.PutRows(ctx, "file", rows)
		if check(t, err); results(out) != want {
			t.Errorf("%s, want %s", results(out), want)
		}
	}
	u, err := s.User(ctx, id(1))
	if check(t, err); len(u.Cards) != 2 || u.Role != token.User || !u.IsNew || !u.RewardEmails || !u.CreatedAt.Equal(Now.AddDate(-1, 0, 0)) || u.Version != 1 {
		t.Errorf("%+v", u)
	}
	rows[0].User.Phone, rows[1].User.Phone = "+6598765432", "+6598765432"
	rows[2].Card.CardType = "blue"
	rows[2].Number = profiler.Number{Masked: "************0003"} // keeps what is known
	out, err := s.PutRows(ctx, "file", rows)
	if check(t, err); results(out) != "changed unchanged changed unchanged" {
		t.Error(results(out))
	}
	events, _, err := s.CardHistory(ctx, rows[2].Card.ID, whole, anyRole)
	check(t, err)
	same(t, said(events), []string{"2 changed file true true", "1 created file false true"})
	found, _, err := s.Users(ctx, profiler.UserQuery{Page: whole, Sort: "name", HMAC: "hmac3"})
	if check(t, err); len(found) != 1 || found[0].Cards[0].CardType != "blue" {
		t.Errorf("%+v", found)
	}
	check(t, s.DeleteCard(ctx, "ann", rows[2].Card.ID, anyCard))
	out, err = s.PutRows(ctx, "file", rows[2:3])
	if check(t, err); results(out) != "created" {
		t.Error("the own deleted card:", results(out))
	}
}

func rowsRefused(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	types(t, s)
	enrol(t, s, with(user(10), func(u *profiler.User) { u.Role = token.Bank }), user(11), user(12))
	check(t, s.DeleteUser(ctx, "ann", id(11), anyUser))
	_, err := s.CreateCard(ctx, "ann", card(12, id(12)), number(12))
	check(t, err)
	unknown, masked, other := row(4, 4), row(5, 5), row(12, 12)
	unknown.Card.CardType = "none"
	masked.Number.HMAC = ""
	other.Number = profiler.Number{Masked: "************9999"}
	email := row(6, 6)
	email.User.Email = "U12@example.com"
	twice := row(7, 7)
	twice.User.Email = "U1@example.com"
	rows := []profiler.Row{row(1, 1), row(10, 10), row(11, 11), row(3, 12), unknown, masked, other, email, twice, row(2, 1), row(2, 2)}
	out, err := s.PutRows(ctx, "file", rows)
	check(t, err)
	for i, want := range []error{
		nil, profiler.ErrNotCardholder, profiler.ErrUserDeleted, profiler.ErrCardTaken, profiler.ErrNoCardType, profiler.ErrMasked,
		profiler.ErrMasked, profiler.ErrEmailTaken, profiler.ErrEmailTaken, profiler.ErrCardTaken, nil,
	} {
		if !errors.Is(out[i].Err, want) || (want == nil) != (out[i].Result == profiler.RowCreated) {
			t.Errorf("row %d: %+v, want %v", i, out[i], want)
		}
	}
	for _, n := range []int{3, 4, 5, 6, 7} {
		if _, err := s.User(ctx, id(n)); !errors.Is(err, ruleapi.ErrNotFound) {
			t.Errorf("user %d of a refused row: %v", n, err)
		}
	}
}

func rowsPassOn(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	enrol(t, s, user(1), user(2), user(4))
	name := profiler.Row{User: with(user(1), func(u *profiler.User) { u.FirstName = "Other" })}
	free := profiler.Row{User: with(user(2), func(u *profiler.User) { u.Email = "new@example.com" })}
	take := profiler.Row{User: with(user(1), func(u *profiler.User) { u.FirstName, u.Email = "Other", "u2@example.com" })}
	made := profiler.Row{User: with(user(3), func(u *profiler.User) { u.Email = "u1@example.com" })}
	out, err := s.PutRows(ctx, "file", []profiler.Row{name, free, take, made})
	check(t, err)
	if results(out) != "changed changed changed created" || out[1].Moved != "u2@example.com" || out[2].Moved != "u1@example.com" || out[3].Moved != "" {
		t.Errorf("%+v", out)
	}
	for n, want := range map[int]string{1: "u2@example.com", 2: "new@example.com", 3: "u1@example.com"} {
		if u, err := s.User(ctx, id(n)); err != nil || u.Email != want {
			t.Errorf("user %d: %s, %v", n, u.Email, err)
		}
	}
	// The other way too: in which order rows are written is the store's to choose.
	free.User, take.User = with(take.User, func(u *profiler.User) { u.Email = "old@example.com" }), with(free.User, func(u *profiler.User) { u.Email = "u2@example.com" })
	out, err = s.PutRows(ctx, "file", []profiler.Row{{User: with(take.User, func(u *profiler.User) { u.Email, u.FirstName = "new@example.com", "Last" })}, free, take})
	if check(t, err); results(out) != "changed changed changed" {
		t.Errorf("%+v", out)
	}
}

func rowsNew(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	_, err := s.CreateUser(ctx, "ann", user(1), &profiler.FirstPassword{Hash: "h", Expires: Now})
	check(t, err)
	for range 2 { // who died before giving a password finds the account again
		out, err := s.PutRows(ctx, "file", []profiler.Row{{User: user(1)}, {User: user(2)}})
		if check(t, err); out[0].New || !out[1].New {
			t.Errorf("%+v", out)
		}
	}
}

// atOnce runs f n times at once and returns the errors.
func atOnce(n int, f func(i int) error) []error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errs
}

// oneOnly holds that all but one failed, as they should.
func oneOnly(t *testing.T, errs []error, want error) {
	t.Helper()
	good := 0
	for _, err := range errs {
		if err == nil {
			good++
		} else if !errors.Is(err, want) {
			t.Error(err)
		}
	}
	if good != 1 {
		t.Errorf("%d of %d succeeded", good, len(errs))
	}
}

func cardRace(t *testing.T, s profiler.Store) {
	types(t, s)
	enrol(t, s, user(0), user(1), user(2))
	for k := range 5 {
		oneOnly(t, atOnce(3, func(i int) error {
			if i == 2 {
				out, err := s.PutRows(t.Context(), "file", []profiler.Row{row(i, k)})
				if err != nil {
					return err
				}
				return out[0].Err
			}
			_, err := s.CreateCard(t.Context(), "ann", card(k, id(i)), number(k))
			return err
		}), profiler.ErrCardTaken)
	}
}

func emailRace(t *testing.T, s profiler.Store) {
	enrol(t, s, user(100))
	for k := range 5 {
		email := fmt.Sprintf("same%d@example.com", k)
		oneOnly(t, atOnce(4, func(i int) error {
			if i == 3 {
				_, _, err := s.ChangeUser(t.Context(), "ann", id(100), to(with(user(100), func(u *profiler.User) { u.Email = email })))
				return err
			}
			_, err := s.CreateUser(t.Context(), "ann", with(user(10*k+i), func(u *profiler.User) { u.Email = strings.ToUpper(email[:i]) + email[i:] }), nil)
			return err
		}), profiler.ErrEmailTaken)
	}
}

func adminRace(t *testing.T, s profiler.Store) {
	enrol(t, s, admin(0))
	for k := 1; k <= 5; k++ {
		enrol(t, s, admin(k))
		admins, _, err := s.Users(t.Context(), profiler.UserQuery{Page: whole, Sort: "name", Role: token.Admin})
		if check(t, err); len(admins) != 2 {
			t.Fatalf("%d admins", len(admins))
		}
		oneOnly(t, atOnce(2, func(i int) error { return s.DeleteUser(t.Context(), "ann", admins[i].ID, anyUser) }), profiler.ErrLastAdmin)
	}
}

func rowsRace(t *testing.T, s profiler.Store) {
	types(t, s)
	for i, err := range atOnce(3, func(i int) error {
		var rows []profiler.Row
		for k := range 50 {
			if i == 1 {
				k = 49 - k // whoever goes the other way meets the first in the middle
			}
			rows = append(rows, row(k/2, k))
		}
		out, err := s.PutRows(t.Context(), fmt.Sprint(i), rows)
		for _, o := range out {
			err = errors.Join(err, o.Err)
		}
		return err
	}) {
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	users, _, err := s.Users(t.Context(), profiler.UserQuery{Page: whole, Sort: "name"})
	check(t, err)
	if len(users) != 25 {
		t.Errorf("%d users", len(users))
	}
	for _, u := range users {
		if len(u.Cards) != 2 || u.Version != 1 || u.Cards[0].Version != 1 {
			t.Errorf("%+v", u)
		}
	}
}

func firstAdmins(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	enrol(t, s, with(user(50), func(u *profiler.User) { u.Email = "taken@example.com" }))
	first := profiler.FirstPassword{Hash: "h", Expires: Now.Add(time.Hour)}
	_, err := s.FirstAdmin(ctx, "start", with(admin(1), func(u *profiler.User) { u.Email = "TAKEN@example.com" }), first)
	wants(t, err, profiler.ErrEmailTaken)
	made := make([]bool, 4)
	for _, err := range atOnce(4, func(i int) (err error) {
		made[i], err = s.FirstAdmin(ctx, "start", admin(i), first)
		return err
	}) {
		check(t, err)
	}
	admins, total, err := s.Users(ctx, profiler.UserQuery{Page: whole, Sort: "name", Role: token.Admin})
	check(t, err)
	n := 0
	for i := range made {
		if made[i] {
			n++
			same(t, admins[0].ID, id(i))
		}
	}
	if total != 1 || n != 1 {
		t.Errorf("%d admins, %d made", total, n)
	}
}

func firstAdminAgain(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	expired, good := profiler.FirstPassword{Hash: "h", Expires: Now.Add(-time.Hour)}, profiler.FirstPassword{Hash: "i", Expires: Now.Add(time.Hour)}
	for i, step := range []struct {
		email string
		first profiler.FirstPassword
		made  bool
	}{
		{"u1@example.com", expired, true},
		{"other@example.com", good, false}, // another's address opens nothing
		{"U1@example.com", good, true},
		{"u1@example.com", good, false},
	} {
		has, err := s.HasAdmin(ctx, step.email)
		check(t, err)
		made, err := s.FirstAdmin(ctx, "start", with(admin(1), func(u *profiler.User) { u.Email = step.email }), step.first)
		check(t, err)
		if made != step.made || i > 1 && has == made {
			t.Errorf("step %d: made %t, has %t", i, made, has)
		}
	}
	_, total, err := s.Users(ctx, profiler.UserQuery{Page: whole, Sort: "name"})
	if check(t, err); total != 1 {
		t.Errorf("%d accounts", total)
	}
}
