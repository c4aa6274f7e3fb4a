package emailer

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/profile"
)

// Items of many runs, merged more than once, come in order, whole and once, and leave no file.
func TestSort(t *testing.T) {
	dir := t.TempDir()
	s, err := newSorter(dir)
	if err != nil {
		t.Fatal(err)
	}
	var want [][]byte
	const items = 3000
	for i := range items {
		user := uuid.NewSHA1(uuid.NameSpaceURL, []byte{byte(i % 97)})
		r := loyalty.Reward{Remarks: strings.Repeat("why ", 6000)}
		r.ID, r.CardID, r.Date = uuid.NewSHA1(uuid.NameSpaceDNS, []byte{byte(i), byte(i >> 8)}), user, loyalty.DateOf(1990, 1, 1)+loyalty.Date(i%30_000)
		r.Currency, r.Amount, r.CardPAN = loyalty.MustCurrency("SGD"), int64(i), "************1234"
		r.Units = loyalty.Units{Value: int64(i) - 5, Digits: 2}
		it := itemOf(user, profile.RowKeyOf(r.Key()), &r)
		want = append(want, bytes.Clone(it.place[:]))
		if err := s.add(it); err != nil {
			t.Fatal(err)
		}
	}
	if s.made <= mostRuns+1 {
		t.Fatalf("only %d runs: they were not merged on the way", s.made)
	}
	slices.SortFunc(want, bytes.Compare)
	n, users := 0, map[uuid.UUID]bool{}
	var last item
	err = s.sorted(func(it item) error {
		if !bytes.Equal(it.place[:], want[n]) || len(it.Reason) != 24000 || it.Amount == "" || it.Card != "1234" || it.Decimals != 2 {
			t.Fatalf("item %d: %+v", n, it.line)
		}
		if it.user() == last.user() && it.Date > last.Date {
			t.Errorf("item %d: %s is after %s", n, it.Date, last.Date)
		}
		if it.user() != last.user() && users[it.user()] {
			t.Errorf("%s comes again", it.user())
		}
		users[it.user()], last = true, it
		n++
		return nil
	})
	if err != nil || n != items || len(users) != 97 {
		t.Error(n, len(users), err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}
