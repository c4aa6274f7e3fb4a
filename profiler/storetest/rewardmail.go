package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler"
)

// rewardMails are the tests of profiler.RewardMails.
var rewardMails = []struct {
	name string
	test func(t *testing.T, s profiler.Store)
}{
	{"a reward mail tells of what no other has told of", mailsTellOnce},
	{"a reward mail that was cut off is sent again as it was", mailsAgain},
	{"reward mails are for those who want them", mailsWanted},
	{"one reward mail begun by many at once tells of the same", mailRace},
	{"a day of reward mails ends", mailDays},
}

var day = loyalty.DateOf(2021, 9, 1)

func key(n int) (k profiler.RowKey) {
	copy(k[:], fmt.Sprintf("row %012d", n))
	return k
}

func keysOf(ns ...int) []profiler.RowKey {
	keys := make([]profiler.RowKey, len(ns))
	for i, n := range ns {
		keys[i] = key(n)
	}
	return keys
}

func mailOf(user, at int, rows ...int) profiler.RewardMail {
	d := day + loyalty.Date(at)
	return profiler.RewardMail{User: id(user), Day: d, MessageID: fmt.Sprintf("rewards.%s.%d@bank.example", d, user), Rows: keysOf(rows...)}
}

// begun says which mails are to be sent.
func begun(t *testing.T, s profiler.Store, m profiler.RewardMail) string {
	t.Helper()
	_, mails, err := s.BeginMail(t.Context(), m, m.Day-6)
	check(t, err)
	var out string
	for _, m := range mails {
		out += fmt.Sprint(int(m.Day-day), " ", m.MessageID, ":")
		for _, k := range m.Rows {
			out += fmt.Sprintf(" %d", numberOf(k))
		}
		out += "; "
	}
	return out
}

func numberOf(k profiler.RowKey) (n int) {
	for _, c := range k[4:] {
		n = 10*n + int(c-'0')
	}
	return n
}

func holders(t *testing.T, s profiler.Store) {
	t.Helper()
	types(t, s)
	enrol(t, s, user(1), user(2))
	for n, owner := range map[int]int{1: 1, 2: 1, 3: 2} {
		_, err := s.CreateCard(t.Context(), "ann", card(n, id(owner)), number(n))
		check(t, err)
	}
}

func told(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// unmailed says which rewards of cards 1 to 3 no mail has told of: 10 to 12 are of card 1, and so on.
func unmailed(t *testing.T, s profiler.Store, since loyalty.Date) string {
	t.Helper()
	left, err := s.Unmailed(t.Context(), since, []profiler.CardRows{
		{Card: id(1001), Rows: keysOf(10, 11, 12)}, {Card: id(1002), Rows: keysOf(20)}, {Card: id(1003), Rows: keysOf(30)}, {Card: id(1099), Rows: keysOf(99)},
	})
	check(t, err)
	var out string
	for _, l := range left {
		if want := map[bool]int{true: 2, false: 1}[l.Card == id(1003)]; l.User != id(want) {
			t.Errorf("card %s is of %s", l.Card, l.User)
		}
		for _, k := range l.Rows {
			out += fmt.Sprint(numberOf(k), " ")
		}
	}
	return out
}

func mailsTellOnce(t *testing.T, s profiler.Store) {
	holders(t, s)
	ctx := t.Context()
	told(t, "before", unmailed(t, s, day-6), "10 11 12 20 30 ")
	told(t, "first", begun(t, s, mailOf(1, 0, 10, 20)), "0 rewards.2021-09-01.1@bank.example: 10 20; ")
	told(t, "begun is not told", unmailed(t, s, day-6), "10 11 12 20 30 ")
	check(t, s.EndMail(ctx, id(1), day, false))
	told(t, "told", unmailed(t, s, day-6), "11 12 30 ")
	told(t, "not looked at", unmailed(t, s, day+1), "10 11 12 20 30 ")
	told(t, "one a day", begun(t, s, mailOf(1, 0, 10, 11)), "")
	told(t, "the next", begun(t, s, mailOf(1, 1, 10, 11, 12)), "1 rewards.2021-09-02.1@bank.example: 11 12; ")
	check(t, s.EndMail(ctx, id(1), day+1, true))
	check(t, s.EndMail(ctx, id(1), day+1, false)) // it has ended
	told(t, "refused is told", unmailed(t, s, day-6), "30 ")
	told(t, "nothing new", begun(t, s, mailOf(1, 2, 10, 11, 12)), "")
	told(t, "another's", begun(t, s, mailOf(2, 0, 30)), "0 rewards.2021-09-01.2@bank.example: 30; ")
}

func mailsAgain(t *testing.T, s profiler.Store) {
	holders(t, s)
	first := "0 rewards.2021-09-01.1@bank.example: 10; "
	told(t, "first", begun(t, s, mailOf(1, 0, 10)), first)
	again := mailOf(1, 0, 10, 11)
	again.MessageID = "another@bank.example"
	told(t, "again, with one that came later", begun(t, s, again), first)
	told(t, "the day after", begun(t, s, mailOf(1, 1, 10, 11)), first+"1 rewards.2021-09-02.1@bank.example: 11; ")
	check(t, s.EndMail(t.Context(), id(1), day, false))
	told(t, "one ended", begun(t, s, mailOf(1, 1, 11)), "1 rewards.2021-09-02.1@bank.example: 11; ")
	told(t, "not offered", begun(t, s, mailOf(1, 1, 12)), "1 rewards.2021-09-02.1@bank.example:; ")
}

func mailsWanted(t *testing.T, s profiler.Store) {
	holders(t, s)
	for name, change := range map[string]func(*profiler.User){
		"locked": func(u *profiler.User) { u.Locked = true }, "opted out": func(u *profiler.User) { u.RewardEmails = false },
	} {
		_, _, err := s.ChangeUser(t.Context(), "ann", id(1), to(with(user(1), change)))
		check(t, err)
		told(t, name, unmailed(t, s, day-6), "30 ")
		told(t, name, begun(t, s, mailOf(1, 0, 10)), "")
	}
	_, _, err := s.ChangeUser(t.Context(), "ann", id(1), to(user(1)))
	check(t, err)
	told(t, "nothing was entered", begun(t, s, mailOf(1, 0, 10)), "0 rewards.2021-09-01.1@bank.example: 10; ")
	check(t, s.DeleteUser(t.Context(), "ann", id(2), anyUser))
	told(t, "deleted", unmailed(t, s, day-6), "10 11 12 20 ")
	_, _, err = s.BeginMail(t.Context(), mailOf(2, 0, 30), day-6)
	wants(t, err, profiler.ErrNoUser)
	_, err = s.CreateUser(t.Context(), "ann", with(user(3), func(u *profiler.User) { u.Role = token.Bank }), nil)
	check(t, err)
	told(t, "staff", begun(t, s, mailOf(3, 0, 30)), "")
}

func mailRace(t *testing.T, s profiler.Store) {
	holders(t, s)
	var (
		all sync.WaitGroup
		mu  sync.Mutex
		got []string
	)
	for i := range 8 {
		all.Go(func() {
			_, mails, err := s.BeginMail(t.Context(), mailOf(1, 0, 10+i), day-6)
			if err != nil || len(mails) != 1 {
				t.Error(mails, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, k := range mails[0].Rows {
				got = append(got, fmt.Sprint(numberOf(k)))
			}
		})
	}
	all.Wait()
	if len(got) != 1 {
		slices.Sort(got)
		t.Errorf("the mail tells of %v", got)
	}
}

func mailDays(t *testing.T, s profiler.Store) {
	holders(t, s)
	ctx := t.Context()
	mailed := func(d loyalty.Date) string {
		t.Helper()
		yes, err := s.DayMailed(ctx, d)
		check(t, err)
		return fmt.Sprint(yes)
	}
	told(t, "before", mailed(day), "false")
	check(t, s.EndMailDay(ctx, day))
	check(t, s.EndMailDay(ctx, day))
	told(t, "after", mailed(day)+mailed(day+1), "truefalse")
	begun(t, s, mailOf(1, 0, 10))
	check(t, s.EndMail(ctx, id(1), day, false))
	check(t, s.EndMailDay(ctx, day+profiler.KeepMails))
	told(t, "kept", mailed(day)+unmailed(t, s, day-6), "true11 12 20 30 ")
	check(t, s.EndMailDay(ctx, day+profiler.KeepMails+1))
	told(t, "forgotten", mailed(day)+unmailed(t, s, day-6), "false10 11 12 20 30 ")
}
