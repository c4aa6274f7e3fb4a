package ops_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/local/ops"
	"github.com/angelowl-loyalties/app/local/stack"
	rewarderops "github.com/angelowl-loyalties/app/rewarder/ops"
)

// mended is the example's row with a card type that nobody has.
const (
	mendedCard = "5f3377d6-488d-52f4-b114-73a7f7efb6a5"
	mendedID   = "0a1f5799-745a-5a12-a8f7-d8e18d1c06f1"
)

func TestLookingAfterTheExample(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t, "--rewarders", "2", "--rules", rulesFile, "--fx", quotesFile, spendFile)

	var id string // of the dead letter that can be mended
	t.Run("status", func(t *testing.T) {
		info, err := os.Stat(filepath.Join(w.data, stack.RunFile))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("run.json has the token and may be read by its owner only: %v %v", info, err)
		}
		var st *ops.Status
		await(t, "both rewarders have joined and read to the end", func() bool {
			st = status(t, w)
			return st.Healthy && st.Lag == 0 && len(st.Rewarders) == 2 && st.Rewarders[0].State == "consuming" && st.Rewarders[1].State == "consuming"
		})
		if !st.Healthy || len(st.Problems) != 0 || st.Lag != 0 {
			t.Errorf("healthy: %t, problems %v, lag %d", st.Healthy, st.Problems, st.Lag)
		}
		if len(st.Partitions) != 4 {
			t.Fatalf("%d partitions", len(st.Partitions))
		}
		var records int64
		for i, p := range st.Partitions {
			if p.Partition != int32(i) || p.Start != 0 || p.Committed != p.End || p.Lag != 0 {
				t.Errorf("partition %d: %+v", i, p)
			}
			if f := p.InForce; f == nil || !f.Live || f.Hash != st.Rules.Hash || f.Epoch != st.Rules.Epoch || f.Rewarder == "" || f.Since.IsZero() {
				t.Errorf("partition %d has in force %+v, and live is %+v", i, p.InForce, st.Rules)
			}
			records += p.End
		}
		// The rows that the file's format lets through, and beside them nothing but rule markers.
		if records < 1170 || records > 1170+20 {
			t.Errorf("%d records in the log", records)
		}
		if len(st.Rewarders) != 2 || st.Rewarders[0].Name != "rewarder-0" || st.Rewarders[1].Name != "rewarder-1" {
			t.Fatalf("rewarders: %+v", st.Rewarders)
		}
		works := 0
		for _, r := range st.Rewarders {
			if r.State != "consuming" || r.Reason != "" {
				t.Errorf("%s is %s: %s", r.Name, r.State, r.Reason)
			}
			works += len(r.Partitions)
		}
		if works != 4 {
			t.Errorf("the rewarders work on %d partitions", works)
		}
		letters(t, st, ops.DeadLetters{Letters: 8, ByReason: []ops.Reason{{Reason: "no_quote", Letters: 7}, {Reason: "unknown_card_type", Letters: 1}}})
		if want := []stack.Backlog{{Service: "campaignex"}, {Service: "profiler"}}; !slices.Equal(st.Outbox, want) {
			t.Errorf("the outbox: %+v", st.Outbox)
		}
		if len(st.Uploads) != 1 {
			t.Fatalf("uploads: %+v", st.Uploads)
		}
		if u := st.Uploads[0]; u.File != "spend.csv" || !slices.Contains([]ingestor.State{ingestor.Queued, ingestor.Reconciled}, u.State) || u.Error != "" || u.FinishedAt.IsZero() ||
			u.Rows.Read != 1173 || u.Rows.Accepted != 1170 || u.Rows.Refused != 3 {
			t.Errorf("the upload: %+v", u)
		}
		text := w.must(t, "status")
		for _, part := range []string{"Everything works.", st.Rules.Hash.String()[:8] + " (live)", "unknown_card_type", "spend.csv"} {
			if !strings.Contains(text, part) {
				t.Errorf("status does not say %q:\n%s", part, text)
			}
		}
	})

	t.Run("list and show", func(t *testing.T) {
		all := list(t, w)
		if len(all.Letters) != 8 || all.Older != 0 {
			t.Fatalf("%d letters, %d older", len(all.Letters), all.Older)
		}
		if !slices.IsSortedFunc(all.Letters, func(a, b ops.Letter) int { return a.At.Compare(b.At) }) {
			t.Error("the newest is not the last")
		}
		page := list(t, w, "--limit", "3")
		if len(page.Letters) != 3 || page.Older != 5 || page.Letters[2].ID != all.Letters[7].ID {
			t.Errorf("the newest three: %+v", page)
		}
		page = list(t, w, "--limit", "3", "--before", page.Letters[0].ID)
		if len(page.Letters) != 3 || page.Older != 2 || page.Letters[2].ID != all.Letters[4].ID {
			t.Errorf("the three before them: %+v", page)
		}
		one := list(t, w, "--reason", "unknown_card_type")
		if len(one.Letters) != 1 {
			t.Fatalf("unknown card types: %+v", one)
		}
		l := one.Letters[0]
		if l.Line != 1174 || !strings.HasPrefix(l.Source, "upload:") || !strings.Contains(l.Detail, "scis_platinum") || len(l.Resent) != 0 {
			t.Errorf("%+v", l)
		}
		id = l.ID
		text := w.must(t, "deadletters", "show", id)
		for _, part := range []string{"unknown_card_type", `"card_pan": "************6362"`, `"card_type": "scis_platinum"`, "dead-offset"} {
			if !strings.Contains(text, part) {
				t.Errorf("show does not say %q:\n%s", part, text)
			}
		}
		w.fails(t, 1, "there is no such dead letter", "deadletters", "show", "1.0.999999")
		w.fails(t, 1, "is not the id of a dead letter", "deadletters", "show", "12")
	})

	before := pages(t, w)
	t.Run("resend", func(t *testing.T) {
		ends := status(t, w)
		w.fails(t, 1, "it would be set aside again: the card type is unknown", "deadletters", "resend", id)
		w.fails(t, 1, "transaction_date:", "deadletters", "resend", id, "--set", "card_type=scis_platinummiles", "--set", "transaction_date=2019-02-30")
		w.fails(t, 2, `has no field "type"`, "deadletters", "resend", id, "--set", "type=x")
		w.fails(t, 2, "which ones?", "deadletters", "resend")
		w.fails(t, 1, "is one transaction's own", "deadletters", "resend", "--all", "--set", "id="+mendedID)
		if now := status(t, w); now.DeadLetters.Resent != 0 || end(now) != end(ends) {
			t.Fatalf("what was refused was sent: %d records, before %d", end(now), end(ends))
		}

		text := w.must(t, "deadletters", "resend", id, "--set", "card_type=scis_platinummiles")
		to := regexp.MustCompile(`is now at (\d+)/(\d+)\n`).FindStringSubmatch(text)
		if to == nil {
			t.Fatalf("it does not say where it is now: %s", text)
		}
		var row reward
		await(t, "the mended row has its reward", func() bool {
			i := slices.IndexFunc(rewards(t, w, mendedCard), func(r reward) bool { return r.ID == mendedID })
			if i >= 0 {
				row = rewards(t, w, mendedCard)[i]
			}
			return i >= 0
		})
		if row.CardType != "scis_platinummiles" || row.Amount.String() != "83.3" || row.CardPAN != "************6362" {
			t.Errorf("the reward: %+v", row)
		}
		// It went to where the card's other records are.
		if partition := strings.Split(id, ".")[1]; to[1] != partition {
			t.Errorf("it is in partition %s and was in %s", to[1], partition)
		}

		l := list(t, w, "--reason", "unknown_card_type").Letters[0]
		me, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Resent) != 1 || l.Resent[0].By != me.Username || l.Resent[0].To != to[1]+"/"+to[2] ||
			!slices.Equal(l.Resent[0].Mended, []string{"card_type"}) || time.Since(l.Resent[0].At) > limit {
			t.Errorf("the mark: %+v", l.Resent)
		}
		if text := w.must(t, "deadletters", "show", id); !strings.Contains(text, "by "+me.Username) {
			t.Errorf("show does not say who sent it again:\n%s", text)
		}
		// The mark is no dead letter.
		letters(t, status(t, w), ops.DeadLetters{Letters: 8, Resent: 1, ByReason: []ops.Reason{
			{Reason: "no_quote", Letters: 7}, {Reason: "unknown_card_type", Letters: 1, Resent: 1}}})

		w.fails(t, 1, "say --again", "deadletters", "resend", id, "--set", "card_type=scis_platinummiles")
		if text := w.must(t, "deadletters", "resend", "--reason", "unknown_card_type", "--set", "card_type=scis_platinummiles"); !strings.Contains(text, "0 sent again, 1 had been before") {
			t.Error(text)
		}
		was := pages(t, w)
		w.must(t, "deadletters", "resend", id, "--again", "--set", "card_type=scis_shopping")
		await(t, "the second one is read", func() bool { return status(t, w).Lag == 0 })
		same(t, "sending it once more", was, pages(t, w))
		if l := list(t, w, "--reason", "unknown_card_type").Letters[0]; len(l.Resent) != 2 {
			t.Errorf("after --again it has the marks %+v", l.Resent)
		}
		for card, text := range pages(t, w) {
			if card != mendedCard && text != before[card] {
				t.Errorf("card %s has changed", card)
			}
		}
	})

	t.Run("replay", func(t *testing.T) {
		was, st := pages(t, w), status(t, w)
		records := end(st)
		text := w.must(t, "replay", "--from", "start")
		if !strings.Contains(text, fmt.Sprintf("%d records were read again", records)) {
			t.Errorf("want %d records:\n%s", records, text)
		}
		// The rewarders began anew with the replay, so their counters are its own. What is under way
		// when the group is shared out is read twice.
		if read := readSinceStart(t, w); read < records {
			t.Errorf("the rewarders read %d records, want %d", read, records)
		}
		var now *ops.Status
		await(t, "everything is read", func() bool { now = status(t, w); return now.Lag == 0 })
		// A rewarder that is back at older rules may announce the live ones again, once a partition:
		// a marker that changes nothing.
		if end(now) < records || end(now) > records+4 {
			t.Errorf("%d records, before %d", end(now), records)
		}
		letters(t, now, st.DeadLetters) // set aside twice, they count once
		same(t, "a replay", was, pages(t, w))

		// From an offset, only that partition, and only from there.
		p := now.Partitions[1]
		w.must(t, "replay", "--from", fmt.Sprintf("1:%d", p.End-10))
		if read := readSinceStart(t, w); read < 10 || read > 40 {
			t.Errorf("the rewarders read %d records, want 10", read)
		}
		// From a time: everything is younger than this test.
		w.must(t, "replay", "--from", time.Now().Add(-time.Hour).Format(time.RFC3339))
		if read := readSinceStart(t, w); read < records {
			t.Errorf("since an hour ago the rewarders read %d records, want %d", read, records)
		}
		text = w.must(t, "replay", "--from", time.Now().Add(time.Hour).Format(time.RFC3339))
		if !strings.Contains(text, "nothing to be read again") {
			t.Errorf("since the future:\n%s", text)
		}
		w.fails(t, 1, "would skip records", "replay", "--from", fmt.Sprintf("0:%d", now.Partitions[0].End+1000))
		w.fails(t, 1, "there is no partition 4", "replay", "--from", "4:0")
		w.fails(t, 2, "neither start, nor offsets", "replay", "--from", "yesterday")
		w.fails(t, 2, "--from is missing", "replay")
		same(t, "more replays", was, pages(t, w))
		await(t, "all is well again", func() bool { return status(t, w).Healthy })
	})

	t.Run("over HTTP", func(t *testing.T) { overHTTP(t, w, id) })

	t.Run("nightly", func(t *testing.T) {
		text := w.must(t, "nightly")
		// The sample cardholder, who has three of the cards.
		if want := "1 mail was sent; it is at " + w.running(t).URL + "/mail/\n"; text != want {
			t.Errorf("it says %q, want %q", text, want)
		}
		var box struct {
			Data []struct {
				To      []string
				Subject string
			}
		}
		if err := json.Unmarshal([]byte(get(t, w.running(t).URL+"/mail/mail.json")), &box); err != nil {
			t.Fatal(err)
		}
		if n := len(box.Data); n != 1 || !slices.Equal(box.Data[0].To, []string{"user@sample.example"}) || !strings.HasPrefix(box.Data[0].Subject, "You") {
			t.Errorf("the mailbox: %+v", box)
		}
		if text := w.must(t, "nightly"); !strings.HasPrefix(text, "No mail was sent") {
			t.Errorf("again: %s", text)
		}
		if text := w.must(t, "nightly", "--day", "2019-09-03"); !strings.HasPrefix(text, "No mail was sent: by 2019-09-03") {
			t.Errorf("long ago: %s", text)
		}
		w.fails(t, 1, "2090-01-01 is still to come", "nightly", "--day", "2090-01-01")
		w.fails(t, 2, "is not a day; say one such as", "nightly", "--day", "yesterday")
		w.fails(t, 2, "is not a day; say one such as", "nightly", "--day", "")
	})

	t.Run("nobody without the token", func(t *testing.T) {
		control := w.running(t).Control.Address
		for _, path := range []string{"/pid", "/outbox"} {
			res, err := http.Get("http://" + control + path)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s answers %s", path, res.Status)
			}
		}
		for path, body := range map[string]string{"/replay": `{"to":{"0":0}}`, "/nightly": `{"day":"2026-11-25","early":true}`} {
			res, err := http.Post("http://"+control+path, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s answers %s", path, res.Status)
			}
		}
	})

	w.stop(t)
	if _, err := os.Stat(filepath.Join(w.data, stack.RunFile)); !os.IsNotExist(err) {
		t.Errorf("it has stopped, and run.json is there: %v", err)
	}
	w.fails(t, 1, "no angelowl is running", "replay", "--from", "start")
}

func TestWithoutARunningAngelOwl(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	commands := [][]string{{"status"}, {"status", "--json"}, {"deadletters", "list"}, {"deadletters", "resend", "--all"}, {"replay", "--from", "start"}, {"nightly"}}
	for _, c := range commands {
		if o := w.fails(t, 1, "start it with: angelowl up --data", c...); o.stdout != "" {
			t.Errorf("%v prints %q", c, o.stdout)
		}
	}
	w.start(t)
	st := status(t, w)
	if st.Healthy || st.Rules != nil || len(st.Uploads) != 0 || st.DeadLetters.Letters != 0 || !strings.Contains(strings.Join(st.Problems, "\n"), "there are no rules yet") {
		t.Errorf("without rules: %+v", st)
	}
	if text := w.must(t, "deadletters", "list"); !strings.Contains(text, "no such dead letters") {
		t.Error(text)
	}
	if text := w.must(t, "replay", "--from", "start"); !strings.Contains(text, "nothing to be read again") {
		t.Error(text)
	}
	if text := w.must(t, "nightly"); !strings.HasPrefix(text, "No mail was sent") {
		t.Error(text)
	}

	// One that is stopped is there, and does not answer.
	if err := w.up.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	w.fails(t, 1, "does not answer", "status")

	was := w.running(t).PID
	w.kill(t)
	for _, c := range commands {
		w.fails(t, 1, fmt.Sprintf("process %d was, and ended without stopping", was), c...)
	}
	w.start(t)
	if now := status(t, w).PID; now == was {
		t.Errorf("the next one is process %d, as the one before", now)
	}
	w.stop(t)
}

func status(t *testing.T, w *world) *ops.Status {
	t.Helper()
	var st ops.Status
	w.json(t, &st, "status", "--json")
	return &st
}

// end is how many records there have ever been in the log.
func end(st *ops.Status) (n int64) {
	for _, p := range st.Partitions {
		n += p.End
	}
	return n
}

func letters(t *testing.T, st *ops.Status, want ops.DeadLetters) {
	t.Helper()
	got := st.DeadLetters
	if got.Letters != want.Letters || got.Resent != want.Resent || !slices.Equal(got.ByReason, want.ByReason) {
		t.Errorf("dead letters: %+v, want %+v", got, want)
	}
}

type listed struct {
	Letters []ops.Letter
	Older   int
}

func list(t *testing.T, w *world, args ...string) (l listed) {
	t.Helper()
	w.json(t, &l, append([]string{"deadletters", "list", "--json"}, args...)...)
	return l
}

// reward is what a reward is looked at for.
type reward struct {
	ID       string      `json:"id"`
	CardType string      `json:"card_type"`
	CardPAN  string      `json:"card_pan"`
	Amount   json.Number `json:"amount"`
}

func rewards(t *testing.T, w *world, card string) []reward {
	t.Helper()
	var page struct{ Data []reward }
	if err := json.Unmarshal([]byte(w.api(t, "/reward/"+card+"?page_size=1000")), &page); err != nil {
		t.Fatal(err)
	}
	return page.Data
}

// pages are the rewards of every card of the example, to the byte.
func pages(t *testing.T, w *world) map[string]string {
	t.Helper()
	f, err := os.Open(spendFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := slices.Index(rows[0], "card_id")
	if column < 0 {
		t.Fatal("the example has no card_id")
	}
	out := map[string]string{}
	for _, row := range rows[1:] {
		if card := row[column]; out[card] == "" {
			out[card] = w.api(t, "/reward/"+card+"?page_size=1000")
		}
	}
	if len(out) < 10 {
		t.Fatalf("only %d cards", len(out))
	}
	return out
}

func same(t *testing.T, after string, was, now map[string]string) {
	t.Helper()
	for card, text := range was {
		if now[card] != text {
			t.Errorf("%s changed card %s:\n%s\nbefore:\n%s", after, card, now[card], text)
		}
	}
}

var counter = regexp.MustCompile(`(?m)^angelowl_rewarder_records_total (\d+)$`)

// readSinceStart is how many records the rewarders have read since they began.
func readSinceStart(t *testing.T, w *world) (n int64) {
	t.Helper()
	for _, r := range w.running(t).Rewarders {
		m := counter.FindStringSubmatch(get(t, "http://"+r.Address+"/metrics"))
		if m == nil {
			t.Fatalf("%s has no counter of records", r.Name)
		}
		read, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		n += read
	}
	return n
}

// overHTTP holds that an admin sees and does by the front door what the command line does. The dead
// letter was sent again before, with its card type mended.
func overHTTP(t *testing.T, w *world, id string) {
	var st struct {
		Data rewarderops.Status
	}
	read := func(path string, v any) {
		t.Helper()
		if err := json.Unmarshal([]byte(w.api(t, path)), v); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "both rewarders say how they are", func() bool {
		read("/ops/status", &st)
		return st.Data.Healthy && len(st.Data.Rewarders) == 2 && len(st.Data.Rewarders[0].Partitions)+len(st.Data.Rewarders[1].Partitions) == 4
	})
	local := status(t, w)
	letters(t, local, st.Data.DeadLetters)
	if st.Data.Lag != 0 || st.Data.OldestUnread != 0 || *st.Data.Rules != *local.Rules || len(st.Data.Partitions) != len(local.Partitions) {
		t.Errorf("%+v, and the command says %+v", st.Data, local)
	}
	for i, p := range st.Data.Partitions {
		if q := local.Partitions[i]; p.PartitionLag != q.PartitionLag || p.InForce == nil || p.InForce.Hash != q.InForce.Hash || !p.InForce.Live {
			t.Errorf("%+v, and the command says %+v", p, q)
		}
	}

	// By pages, the newest first: what the command lists, the newest last.
	var all []ops.Letter
	for cursor := ""; ; {
		var page rewarderops.LetterPage
		read("/ops/deadletters?page_size=3&cursor="+cursor, &page)
		if page.Total != 8 || page.NotLookedAt != 0 || len(page.Data) > 3 {
			t.Fatalf("a page: %+v", page)
		}
		all = append(all, page.Data...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	slices.Reverse(all)
	if want := list(t, w).Letters; !reflect.DeepEqual(all, want) {
		t.Errorf("%+v\nand the command lists %+v", all, want)
	}
	var page rewarderops.LetterPage
	read("/ops/deadletters?resent=false&reason=unknown_card_type", &page)
	if len(page.Data) != 0 || page.Total != 0 {
		t.Errorf("that were not sent again: %+v", page.Data)
	}

	text := w.api(t, "/ops/deadletters/"+id)
	for _, part := range []string{`"reason":"unknown_card_type"`, `"card_pan":"************6362"`, `"name":"dead-offset"`, `"mended":["card_type"]`} {
		if !strings.Contains(text, part) {
			t.Errorf("a dead letter does not say %s: %s", part, text)
		}
	}

	resent := strings.Count(text, `"mended"`)
	for _, c := range []struct {
		name, id, body string
		status         int
		says           string
	}{
		{"what was sent again before", id, `{"set":{"card_type":"scis_platinummiles"}}`, 409, `"code":"resent_before"`},
		{"what would come back", id, `{"again":true}`, 422, `"code":"would_be_set_aside"`},
		{"a value that is none", id, `{"again":true,"set":{"transaction_date":"2019-02-30"}}`, 400, `"set.transaction_date"`},
		{"a field that is none", id, `{"again":true,"set":{"type":"x"}}`, 400, `"type"`},
		{"a card number for a field", id, `{"again":true,"set":{"4111111111111111":"x"}}`, 400, `************1111`},
		{"no body", id, ``, 400, `"code":"no_body"`},
		{"no dead letter", "1.0.999999", `{}`, 404, `"code":"not_found"`},
		{"no id", "12", `{}`, 400, `"letter"`},
		{"once more", id, `{"again":true,"set":{"card_type":"scis_platinummiles"}}`, 200, `"mended":["card_type"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := w.admin.Post(w.running(t).URL+"/ops/deadletters/"+c.id+"/resend", "application/json", strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != c.status || !strings.Contains(string(b), c.says) || strings.Contains(string(b), "4111111111111111") {
				t.Errorf("%s %s, want %d and %s", res.Status, b, c.status, c.says)
			}
		})
	}
	marks := list(t, w, "--reason", "unknown_card_type").Letters[0].Resent
	if len(marks) != resent+1 || marks[len(marks)-1].By == marks[0].By {
		t.Errorf("the marks: %+v", marks)
	}
	await(t, "everything is read", func() bool { return status(t, w).Lag == 0 })
}
