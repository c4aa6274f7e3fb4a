package ops

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/rewarder"
	rewarderops "github.com/angelowl-loyalties/app/rewarder/ops"
	"pgregory.net/rapid"
)

func TestOpenFindsOnlyWhatRuns(t *testing.T) {
	dir := t.TempDir()
	open := func() error {
		s, err := Open(t.Context(), dir)
		if err == nil {
			t.Error("it found something that does not run")
			_ = s.Close()
		}
		return err
	}
	if err := open(); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "angelowl up --data "+dir) {
		t.Errorf("without a file: %v", err)
	}

	// Another program has the port of one that was killed, or the same program runs elsewhere.
	answer := http.StatusNotFound
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/pid" || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("it asks for %s as %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		w.WriteHeader(answer)
		fmt.Fprint(w, `{"data": 2}`)
	}))
	left := stack.Running{PID: 1, Home: loyalty.MustCurrency("CAD"), Timezone: "UTC",
		Control: stack.Control{Address: srv.Listener.Addr().String(), Token: "secret"}}
	b, err := json.Marshal(left)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, stack.RunFile), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"another program at its address", "another process at its address", "nobody at its address"} {
		if err := open(); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "process 1 was") {
			t.Errorf("%s: %v", name, err)
		}
		if answer == http.StatusOK {
			srv.Close()
		}
		answer = http.StatusOK
	}
}

func TestParseFrom(t *testing.T) {
	for _, test := range []struct {
		text string
		want From
		err  string
	}{
		{"start", From{Start: true}, ""},
		{"0:123,1:0", From{Offsets: map[int32]int64{0: 123, 1: 0}}, ""},
		{"12:7", From{Offsets: map[int32]int64{12: 7}}, ""},
		{"2026-01-31T00:00:00+08:00", From{Time: time.Date(2026, 1, 30, 16, 0, 0, 0, time.UTC)}, ""},
		{"", From{}, "neither start, nor offsets"},
		{"0:1,", From{}, "neither start, nor offsets"},
		{"0:-1", From{}, "neither start, nor offsets"},
		{"2026-01-31", From{}, "a time such as"},
		{"0:1,0:2", From{}, "partition 0 is named twice"},
		{"4294967296:1", From{}, "no partition 4294967296"},
		{"0:99999999999999999999", From{}, "no offset 99999999999999999999"},
	} {
		t.Run(test.text, func(t *testing.T) {
			got, err := ParseFrom(test.text)
			if got.Start != test.want.Start || !maps.Equal(got.Offsets, test.want.Offsets) || !got.Time.Equal(test.want.Time) {
				t.Errorf("%+v, want %+v", got, test.want)
			}
			says(t, err, test.err)
		})
	}
}

func TestWhereAReplayBegins(t *testing.T) {
	// Partition 0 is read to 50 of 60, 1 not yet at all and begins at 10, 2 is empty.
	lags := []rewarder.PartitionLag{
		{Partition: 0, Start: 5, End: 60, Committed: 50}, {Partition: 1, Start: 10, End: 20, Committed: -1}, {Partition: 2, Committed: -1},
	}
	since := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name   string
		from   From
		byTime map[int32]int64
		want   map[int32]int64
		err    string
	}{
		{"the start", From{Start: true}, nil, map[int32]int64{0: 5}, ""},
		{"an offset", From{Offsets: map[int32]int64{0: 30}}, nil, map[int32]int64{0: 30}, ""},
		{"the first offset", From{Offsets: map[int32]int64{0: 5}}, nil, map[int32]int64{0: 5}, ""},
		{"where it is", From{Offsets: map[int32]int64{0: 50, 1: 10}}, nil, map[int32]int64{}, ""},
		{"forward", From{Offsets: map[int32]int64{0: 51}}, nil, nil, "would skip records"},
		{"forward in one that nobody has read", From{Offsets: map[int32]int64{0: 30, 1: 11}}, nil, nil, "partition 1 is read up to offset 10 and cannot go on at 11"},
		{"before the beginning", From{Offsets: map[int32]int64{0: 4}}, nil, nil, "partition 0 begins at offset 5"},
		{"a partition that is not there", From{Offsets: map[int32]int64{0: 30, 3: 0}}, nil, nil, "there is no partition 3; there are 3"},
		{"a time", From{Time: since}, map[int32]int64{0: 40, 1: 12, 2: -1}, map[int32]int64{0: 40}, ""},
		{"a time after what has been read", From{Time: since}, map[int32]int64{0: 55, 1: -1, 2: -1}, map[int32]int64{}, ""},
		{"a time before all", From{Time: since}, map[int32]int64{0: 0, 1: 0, 2: 0}, map[int32]int64{0: 5}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.from.offsets(lags, func(p int32, at time.Time) (int64, error) {
				if !at.Equal(since) {
					t.Errorf("it asks for %s", at)
				}
				return test.byTime[p], nil
			})
			if err == nil && !maps.Equal(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
			says(t, err, test.err)
		})
	}
	_, err := From{Offsets: map[int32]int64{0: 51}}.offsets(lags, nil)
	if !errors.Is(err, ErrForward) {
		t.Errorf("going forward is not ErrForward but %v", err)
	}
}

func TestBehindCountsOnlyWhatWasThere(t *testing.T) {
	then := []rewarder.PartitionLag{{Partition: 0, End: 10, Committed: 4}, {Partition: 1, Start: 2, End: 5, Committed: -1}}
	if n := behind(then, then); n != 9 {
		t.Errorf("%d records, want 6 and 3", n)
	}
	now := []rewarder.PartitionLag{{Partition: 0, End: 30, Committed: 12}, {Partition: 1, Start: 2, End: 5, Committed: 4}}
	if n := behind(now, then); n != 1 {
		t.Errorf("%d records are left, want 1: what came since does not count", n)
	}
}

func TestParseFields(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want []Field
		err  string
	}{
		{"none", nil, nil, ""},
		{"two, one blank", []string{"card_type=scis_shopping", "merchant="}, []Field{{Name: "card_type", Value: "scis_shopping"}, {Name: "merchant"}}, ""},
		{"an equals sign in the value", []string{"merchant=A=B"}, []Field{{Name: "merchant", Value: "A=B"}}, ""},
		{"no value", []string{"card_type"}, nil, "say it as field=value"},
		{"a field nobody knows", []string{"card=1"}, nil, `has no field "card"`},
		{"twice", []string{"mcc=1", "mcc=2"}, nil, "mcc is set twice"},
		{"a card number for a field", []string{"4111111111111111=x"}, nil, "************1111"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseFields(test.args)
			if !slices.Equal(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
			says(t, err, test.err)
			if err != nil && strings.Contains(err.Error(), "4111111111111111") {
				t.Errorf("the error shows a card number: %v", err)
			}
		})
	}
}

const good = `{"id":"0a1f5799-745a-5a12-a8f7-d8e18d1c06f1","card_id":"5f3377d6-488d-52f4-b114-73a7f7efb6a5","merchant":"A","mcc":5251,` +
	`"currency":"CAD","amount":83.3,"sgd_amount":0,"transaction_id":"r","transaction_date":"2019-01-16","card_pan":"************6362","card_type":"x"}`

// Whatever a dead letter has, what is shown of it cannot move the cursor.
func TestAnyLetterIsShownPlainly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{good, "\x1b[2J", "\u202e"}))
		l := Whole{Letter: Letter{Reason: text.Draw(t, "reason"), Detail: text.Draw(t, "detail")}, Key: text.Draw(t, "key")}
		l.Headers = []rewarderops.NamedHeader{{Name: text.Draw(t, "name"), Value: text.Draw(t, "header")}}
		var err error
		if l.Value, err = json.Marshal(text.Draw(t, "value")); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := (&System{Zone: time.UTC}).PrintLetter(&out, l); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if line = strings.TrimSuffix(line, "\n"); plain(line) != line {
				t.Fatalf("it is shown as %q", line)
			}
		}
	})
}

func TestWhatStrangersSentCannotMoveTheCursor(t *testing.T) {
	if got := plain("a\x1b[2Jb\nc\u009b1m\u202ed é漢"); got != "a\uFFFD[2Jb\uFFFDc\uFFFD1m\uFFFDd é漢" {
		t.Errorf("%q", got)
	}
	if got := short("éééé", 3); got != "éé…" {
		t.Errorf("%q", got)
	}
	if got := short("éé", 2); got != "éé" {
		t.Errorf("%q", got)
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// well is a status with nothing wrong.
func well() *Status {
	hash := loyalty.HashOf([]byte("rules"))
	return &Status{
		Status: rewarderops.Status{
			Problems: []string{}, Lag: 3,
			Rules: &rewarder.LiveRules{Hash: hash, Epoch: 4, Revision: 9},
			Partitions: []Partition{{
				PartitionLag: rewarder.PartitionLag{Partition: 0, Start: 1, End: 10, Committed: 7}, Lag: 3,
				InForce: &InForce{InForce: rulebook.InForce{Rewarder: "rewarder-0", Hash: hash, Epoch: 4, Revision: 9, Since: noon}, Live: true},
			}},
			DeadLetters: DeadLetters{Letters: 3, Resent: 1, ByReason: []Reason{{Reason: "no_quote", Letters: 2, Resent: 1}, {Reason: "invalid", Letters: 1}}},
		},
		PID: 7, URL: "http://127.0.0.1:8080", Data: "/d",
		Rewarders: []Rewarder{{Name: "rewarder-0", Address: "127.0.0.1:1", State: "consuming", Partitions: []rewarder.PartitionStatus{{State: "consuming"}}}},
		Outbox:    []stack.Backlog{{Service: "campaignex", Waiting: 2}},
		Uploads:   []Upload{{File: "a.csv", State: ingestor.Queued, Rows: ingestor.Rows{Read: 3, Accepted: 2, Refused: 1}, FinishedAt: noon}},
	}
}

func TestWhatIsAProblem(t *testing.T) {
	for _, test := range []struct {
		name string
		with func(*Status)
		want string // "": all is well
	}{
		{"work that waits is none", func(*Status) {}, ""},
		{"new rules on their way are none", func(s *Status) { s.Partitions[0].InForce.Live = false }, ""},
		{"an idle rewarder is none", func(s *Status) { s.Rewarders = append(s.Rewarders, Rewarder{State: "starting"}) }, ""},
		{"nobody on a partition", func(s *Status) { s.Partitions[0].InForce = nil }, "no rewarder works on partition 0"},
		{"records that are gone", func(s *Status) { s.Partitions[0].Committed = 0 }, "records were deleted before they were read"},
		{"a rewarder that is away", func(s *Status) { s.Rewarders[0].State, s.Rewarders[0].Reason = unreachable, "refused" }, "rewarder-0 does not answer: refused"},
		{"a rewarder that pauses", func(s *Status) {
			s.Rewarders[0].State, s.Rewarders[0].Reason = rewarder.StatePaused, "the disk is full"
		}, "rewarder-0 pauses: the disk is full"},
		{"rules that cannot be read", func(s *Status) { s.Rewarders[0].RulesProblem = "bad value" }, "does not have the newest rules: bad value"},
		{"a change that cannot be announced", func(s *Status) { s.Rewarders[0].Partitions[0].RuleChange = "no" }, "cannot announce a change"},
		{"rules held back", func(s *Status) { s.Outbox[0].Held = 1 }, "campaignex holds 1 rules back"},
	} {
		t.Run(test.name, func(t *testing.T) {
			st := well()
			test.with(st)
			st.judge()
			got := strings.Join(st.Problems, "\n")
			if st.Healthy != (test.want == "") || !strings.Contains(got, test.want) || test.want == "" && got != "" {
				t.Errorf("healthy: %t, problems: %q, want %q", st.Healthy, got, test.want)
			}
		})
	}
}

func TestStatusForAPerson(t *testing.T) {
	s := &System{Zone: time.FixedZone("bank", 8*3600)}
	st := well()
	st.Partitions = append(st.Partitions, Partition{PartitionLag: rewarder.PartitionLag{Partition: 1, Committed: -1}})
	st.Problems = []string{"no rewarder works on partition 1"}
	var b strings.Builder
	if err := s.PrintStatus(&b, st); err != nil {
		t.Fatal(err)
	}
	golden(t, "status.txt", b.String())
}

func TestLettersForAPerson(t *testing.T) {
	s := &System{Zone: time.FixedZone("bank", 8*3600)}
	letter := Whole{
		Letter: Letter{ID: "1.2.30", At: noon, Reason: "unknown_card_type", Detail: "the card type is \x1b[31m unknown", Source: "upload:1", Line: 7},
		Key:    "k", Value: json.RawMessage(good),
		Headers: []rewarderops.NamedHeader{
			{Name: "source", Value: "upload:1"}, {Name: "line", Value: "7"},
			{Name: record.HeaderReason, Value: "unknown_card_type"}, {Name: record.HeaderDetail, Value: "the card type is \x1b[31m unknown"},
		},
	}
	mended := letter
	mended.Resent = []Resent{{At: noon, By: "ana", To: "2/31", Mended: []string{"card_type", "mcc"}}}
	var b strings.Builder
	err := errors.Join(
		s.PrintLetters(&b, []Letter{letter.Letter, mended.Letter}, 4), s.PrintLetter(&b, mended), s.PrintLetters(&b, nil, 0))
	if err != nil {
		t.Fatal(err)
	}
	letter.Value, letter.IsText = json.RawMessage(`"\u0000 not JSON"`), true
	if err := s.PrintLetter(&b, letter); err != nil {
		t.Fatal(err)
	}
	golden(t, "letters.txt", b.String())
}

var update = flag.Bool("update", false, "write testdata anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
}

// says holds that an error says something; "" that there is none.
func says(t *testing.T, err error, what string) {
	t.Helper()
	switch {
	case what == "" && err != nil:
		t.Errorf("unexpected: %v", err)
	case what != "" && (err == nil || !strings.Contains(err.Error(), what)):
		t.Errorf("the error is %v; it should say %q", err, what)
	}
}
