package spine_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/angelowl-loyalties/app/local/pebble"
)

// muchSpend is Toronto's year, or as many rows made of the example's where it is not there.
func muchSpend(t *testing.T) (file []byte, path, suffix string) {
	t.Helper()
	if _, err := os.Stat(yearFile); err == nil {
		return read(t, yearFile), yearFile, ".csv.gz"
	}
	all := lines(read(t, spendFile))
	var b strings.Builder
	b.WriteString(all[0])
	for i := range 20_000 {
		// Another id makes another transaction.
		row := all[1+i%1169]
		id := uuid.NewSHA1(uuid.Nil, []byte(strconv.Itoa(i))).String()
		b.WriteString(`"` + id + row[len(id)+1:])
	}
	file = []byte(b.String())
	return file, write(t, "much.csv", file), ".csv"
}

func TestUpSurvivesSIGKILL(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: killing the whole system takes its time")
	}
	t.Parallel()
	file, path, suffix := muchSpend(t)
	want := process(t, quotesFile, path).must(t)
	all := len(lines(want.rewards))

	data := filepath.Join(t.TempDir(), "data")
	args := []string{"--rules", rulesFile, "--fx", quotesFile}
	upload := uuid.NewString()
	report := filepath.Join(data, "s3", "objects", reportBucket, "spend", upload, "report.json")
	order := inFileOrder(t, path, want)
	s := up(t, data, args...)
	s.put(upload, suffix, file)
	before := 0
	for _, percent := range []int{10, 55} {
		// A row this far down the file has its reward: there and then it is killed.
		row := order[len(order)*percent/100]
		s.await("a row in the middle of the file", func(ctx context.Context) (bool, error) {
			_, body, err := s.try(ctx, 200, "GET", "/reward/"+row.CardID+"?page_size=1000&from="+row.TransactionDate+"&to="+row.TransactionDate, "")
			return strings.Contains(string(body), row.ID), err
		})
		s.kill()
		rows := storedRows(t, data)
		_, err := os.Stat(report)
		t.Logf("killed with %d of %d rows rewarded; the file was still being read: %t", rows, all, errors.Is(err, fs.ErrNotExist))
		if rows <= before || rows >= all {
			t.Errorf("the kill has not hit the middle: %d rows before, %d now, %d in all", before, rows, all)
		}
		before = rows
		s = up(t, data, args...)
	}
	s.rewarded(upload)
	sameAsProcess(t, s, want)
	s.interrupt()
	if rows := storedRows(t, data); rows != all {
		t.Errorf("%d rows are stored, want %d", rows, all)
	}
}

// inFileOrder are the rewards in the order of the file that they are of.
func inFileOrder(t *testing.T, path string, r results) []reward {
	t.Helper()
	text := read(t, path)
	if strings.HasSuffix(path, ".gz") {
		text = gunzipped(t, text)
	}
	byID := map[string]reward{}
	for _, line := range lines(r.rewards) {
		got := decodeReward(t, line)
		byID[got.ID] = got
	}
	var out []reward
	for _, row := range records(t, text) {
		if got, ok := byID[row["id"]]; ok {
			out = append(out, got)
		}
	}
	return out
}

// storedRows counts the rows that a dead process has left, in a copy: what it left is for the next
// one to find.
func storedRows(t *testing.T, data string) int {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "rewards")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(data, "rewards"))); err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Fatal(err)
	}
	store, err := pebble.Open(dir, pebble.Options{Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	n, err := store.Count(t.Context())
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// sameAsProcess holds that the API answers, card by card, exactly the rows that process wrote, and
// that the same rows were set aside.
func sameAsProcess(t *testing.T, s *stack, want results) {
	t.Helper()
	var cards []string
	rows := map[string][]string{}
	for _, line := range lines(want.rewards) {
		card := decodeReward(t, line).CardID
		if rows[card] == nil {
			cards = append(cards, card)
		}
		rows[card] = append(rows[card], strings.TrimSuffix(line, "\n"))
	}
	var g errgroup.Group
	g.SetLimit(8)
	for _, card := range cards {
		g.Go(func() error {
			got, err := s.history(t.Context(), card)
			if err != nil {
				return err
			}
			if len(got) != len(rows[card]) {
				t.Errorf("card %s has %d rows, want %d", card, len(got), len(rows[card]))
			}
			left := map[string]bool{}
			for _, row := range rows[card] {
				left[row] = true
			}
			for _, row := range got {
				bare := createdAt.ReplaceAllString(row, "")
				if bare == row {
					t.Errorf("a row has no created_at: %s", row)
				}
				if !left[bare] {
					t.Errorf("card %s has the row\n%s\nwhich process has not, or only once", card, bare)
				}
				delete(left, bare)
			}
			if t.Failed() {
				return errors.New("the rest is not compared")
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	letters := s.deadLetters()
	refused := map[string]bool{}
	for _, row := range records(t, want.refused) {
		refused[row["id"]] = true
		if !letters[row["id"]] {
			t.Errorf("transaction %s is no dead letter, process refused it: %s", row["id"], row["reason"])
		}
	}
	if len(letters) != len(refused) {
		t.Errorf("%d transactions are dead letters, process refused %d", len(letters), len(refused))
	}
}
