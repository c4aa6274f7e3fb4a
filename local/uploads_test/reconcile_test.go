package uploads_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/local/process"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

func reconciler(t *testing.T, s *stack.Stack) *ingestor.Reconciler {
	t.Helper()
	r, err := ingestor.NewReconciler(
		ingestor.ReconcilerConfig{ReportBucket: stack.ReportBucket, Group: stack.Group, Home: s.Home},
		ingestor.ReconcilerDeps{S3: s.S3.Client(), Rewards: s.Rewards,
			Connect: func() (sarama.Client, error) { return stack.Connect(s.Brokers) }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func examples(t *testing.T) (stack.Config, stack.Seed, string) {
	t.Helper()
	dir := filepath.Join(wd, "../../examples")
	seed, err := stack.ReadSeed(filepath.Join(dir, "rules.json"), filepath.Join(dir, "quotes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Fatal(err)
	}
	cfg := stack.Config{Home: loyalty.MustCurrency("CAD"), Timezone: zone, Rewarders: 2, Partitions: 4}
	return cfg, seed, filepath.Join(dir, "spend.csv")
}

// running calls f with the whole system, the example's rules in force. Nobody but f reconciles.
func running(t *testing.T, f func(ctx context.Context, s *stack.Stack)) {
	t.Helper()
	cfg, seed, _ := examples(t)
	cfg.Throwaway = true
	runningAs(t, cfg, seed, f)
}

func runningAs(t *testing.T, cfg stack.Config, seed stack.Seed, f func(ctx context.Context, s *stack.Stack)) {
	t.Helper()
	t.Cleanup(func() {
		if err := os.Chdir(wd); err != nil {
			t.Error(err)
		}
	})
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	err := stack.Run(t.Context(), cfg, slog.New(slog.NewTextHandler(io.Discard, nil)), func(ctx context.Context, s *stack.Stack) error {
		if err := s.Plant(ctx, seed); err != nil {
			return err
		}
		if _, err := s.AwaitRules(ctx); err != nil {
			return err
		}
		f(ctx, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func pendings(ctx context.Context, t *testing.T, s *stack.Stack) int {
	t.Helper()
	out, err := s.S3.Client().ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: aws.String(stack.ReportBucket), Prefix: aws.String(upload.PendingPrefix)})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Contents)
}

// send uploads a file and returns its report once all of it is rewarded and reconciled.
func send(ctx context.Context, t *testing.T, s *stack.Stack, path string) (string, *ingestor.Report) {
	t.Helper()
	id := uuid.NewString()
	if err := s.Upload(ctx, id, path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AwaitReport(ctx, id); err != nil {
		t.Fatal(err)
	}
	if err := s.AwaitRewarded(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if err := reconciler(t, s).Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	r, err := s.Report(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if r.State != upload.Reconciled || r.Outcome == nil {
		t.Fatalf("%s: %+v", r.State, r)
	}
	o := r.Outcome
	if n := o.Rewarded.Rows + o.NoCampaign.Rows + o.Excluded.Rows + o.DeadLetters.Rows + o.Duplicates.Rows + o.Conflicts.Rows + o.Missing.Rows; n != r.Rows.Accepted || o.Missing.Rows != 0 {
		t.Errorf("%d rows of %d are accounted for, %d are missing", n, r.Rows.Accepted, o.Missing.Rows)
	}
	if n := pendings(ctx, t, s); n != 0 {
		t.Errorf("%d reports still wait", n)
	}
	return id, r
}

// same says whether a tally is one of `angelowl process`.
func same(t *testing.T, what string, got upload.Tally, want process.Tally) {
	t.Helper()
	if got.Rows != want.Rows || len(got.Money) != len(want.Money) {
		t.Errorf("%s: %d rows in %d currencies, process has %d in %d", what, got.Rows, len(got.Money), want.Rows, len(want.Money))
	}
	for c, v := range want.Money {
		minor, ok := upload.ParseMinor(got.Money[c.String()].String(), c.Digits())
		if !ok || minor.Cmp(v) != 0 {
			t.Errorf("%s: %s %s, process has %s minor units", what, c, got.Money[c.String()], v)
		}
	}
}

// asProcessed holds a report against that of `angelowl process`.
func asProcessed(t *testing.T, r *ingestor.Report, want *process.Report) {
	t.Helper()
	o := r.Outcome
	same(t, "read", upload.Tally{Rows: r.Rows.Read, Money: r.Totals.Read}, want.Read)
	same(t, "rewarded", o.Rewarded, want.Rewarded)
	same(t, "no campaign", o.NoCampaign, want.NoCampaign)
	same(t, "excluded", o.Excluded.Tally, want.Excluded.Tally)
	for reason, tally := range want.Excluded.ByReason {
		same(t, "excluded, "+reason, o.Excluded.ByReason[reason], *tally)
	}
	same(t, "duplicates", o.Duplicates, want.Duplicates)
	if r.Rows.Refused+o.DeadLetters.Rows != want.Refused.Rows {
		t.Errorf("%d rows are refused and %d dead letters, process has %d", r.Rows.Refused, o.DeadLetters.Rows, want.Refused.Rows)
	}
	units := map[string]string{}
	for _, u := range want.Units {
		units[fmt.Sprint(u.CardType, u.Programme, u.Unit, u.Rows)] = u.Units.String()
	}
	for _, p := range o.Programmes {
		text := units[fmt.Sprint(p.CardType, p.Programme, p.Unit, p.Rows)]
		w, ok1 := new(big.Rat).SetString(text)
		g, ok2 := new(big.Rat).SetString(p.Units.String())
		if !ok1 || !ok2 || w.Cmp(g) != 0 {
			t.Errorf("%+v, process has %v", p, want.Units)
		}
	}
	if len(o.Programmes) != len(want.Units) || o.Rewarded.Rows == 0 {
		t.Errorf("%d programmes, process has %d", len(o.Programmes), len(want.Units))
	}
}

// The report of an upload says of each row what `angelowl process` says.
func TestAReportIsReconciled(t *testing.T) {
	cfg, seed, spend := examples(t)
	want, err := process.Run(t.Context(), process.Options{Stack: cfg, Seed: seed, Files: []string{spend}, Out: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	running(t, func(ctx context.Context, s *stack.Stack) {
		first, r := send(ctx, t, s, spend)
		asProcessed(t, r, want)

		// The same again: each row is a duplicate, and the report says where it came from.
		_, again := send(ctx, t, s, spend)
		if again.Outcome.Duplicates.Rows != again.Rows.Accepted-again.Outcome.DeadLetters.Rows || again.Repeats == nil || again.Repeats.Upload != first ||
			!strings.Contains(strings.Join(again.Warnings, " "), "the same content came before") {
			t.Errorf("the same file again: %+v", again)
		}

		// Another with one row of each kind.
		all, err := os.ReadFile(spend)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(string(all), "\n")
		fresh := func(n int) string {
			id := uuid.NewSHA1(uuid.Nil, []byte(fmt.Sprint("fresh ", n))).String()
			return `"` + id + lines[1][len(id)+1:]
		}
		mixed := lines[0] + lines[1] + // 2: a duplicate
			strings.Replace(lines[2], ",18.00,", ",19.00,", 1) + // 3: a conflict
			fresh(1) + fresh(1) + // 4 and 5: new, and its duplicate in the file itself
			strings.Replace(fresh(2), `"scis_shopping"`, `"no_such_card"`, 1) + // 6: a dead letter
			strings.Replace(fresh(3), "1.50", "-1.50", 1) + // 7: a refund
			strings.Replace(fresh(4), "1.50", "x", 1) // 8: refused
		path := filepath.Join(t.TempDir(), "mixed.csv")
		if err := os.WriteFile(path, []byte(mixed), 0o600); err != nil {
			t.Fatal(err)
		}
		id, m := send(ctx, t, s, path)
		o := m.Outcome
		if o.Duplicates.Rows != 2 || o.Conflicts.Rows != 1 || o.DeadLetters.Rows != 1 || o.Rewarded.Rows+o.NoCampaign.Rows+o.Excluded.Rows != 2 || m.Rows.Refused != 1 {
			t.Errorf("got %+v", o)
		}
		if len(o.Conflicts.Listed) != 1 || o.Conflicts.Listed[0].Line != 3 || o.Conflicts.Listed[0].First.Amount != 1800 || o.Conflicts.Listed[0].This.Amount != 1900 {
			t.Errorf("conflicts: %+v", o.Conflicts.Listed)
		}
		if len(o.DeadLetters.Listed) != 1 || o.DeadLetters.Listed[0].Line != 6 || o.DeadLetters.Listed[0].Reason != "unknown_card_type" || o.DeadLetters.Listed[0].ID == "" {
			t.Errorf("dead letters: %+v", o.DeadLetters.Listed)
		}
		if o.MoneyIn["CAD"] != "1.50" || o.MoneyOut["CAD"] != "-1.50" {
			t.Errorf("in %v, out %v", o.MoneyIn, o.MoneyOut)
		}

		// A row that is nowhere is missing, and shouted.
		again2, err := s.Report(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		again2.Rows.Accepted++
		b, err := json.Marshal(again2)
		if err != nil {
			t.Fatal(err)
		}
		for key, body := range map[string]string{upload.ReportKey(upload.Spend, id): string(b), upload.PendingKey(upload.Spend, id): ""} {
			if _, err := s.S3.Client().PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(stack.ReportBucket), Key: &key, Body: strings.NewReader(body)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := reconciler(t, s).Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		lost, err := s.Report(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if lost.Outcome.Missing.Rows != 1 || !strings.Contains(strings.Join(lost.Warnings, " "), "1 ROWS ARE NOT ACCOUNTED FOR") {
			t.Errorf("a row that is missing: %+v, %q", lost.Outcome.Missing, lost.Warnings)
		}
	})
}

// Rows that an attempt queued before it was killed are the file's own, not duplicates.
func TestAKilledAttemptsRowsAreTheFilesOwn(t *testing.T) {
	_, _, spend := examples(t)
	running(t, func(ctx context.Context, s *stack.Stack) {
		all, err := os.ReadFile(spend)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(string(all), "\n")[:40]
		path := filepath.Join(t.TempDir(), "short.csv")
		if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		_, once := send(ctx, t, s, path)
		// Under another id the same rows are duplicates; with what a killed attempt would have left in the
		// log before, some of other rows, they are its own.
		var copies []*sarama.ProducerMessage
		killed := uuid.NewString()
		err = s.Records(ctx, record.Topic, func(m *sarama.ConsumerMessage) error {
			if stack.Header(m, record.HeaderKind) != "" {
				return nil
			}
			tx, err := loyalty.DecodeTransaction(m.Value, s.Home)
			if err != nil {
				return err
			}
			tx.ID = uuid.NewSHA1(tx.ID, []byte("another"))
			p := &sarama.ProducerMessage{Topic: record.Topic, Key: sarama.ByteEncoder(m.Key), Value: sarama.ByteEncoder(tx.AppendJSON(nil))}
			for _, h := range m.Headers {
				if string(h.Key) == record.HeaderSource {
					h.Value = []byte(record.SourceUpload + killed)
				}
				p.Headers = append(p.Headers, *h)
			}
			copies = append(copies, p)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range lines[1:] {
			if len(line) < 40 {
				continue
			}
			id, err := uuid.Parse(line[1:37])
			if err != nil {
				t.Fatal(err)
			}
			lines[1+i] = `"` + uuid.NewSHA1(id, []byte("another")).String() + line[37:]
		}
		client, err := stack.Connect(s.Brokers)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		producer, err := sarama.NewSyncProducerFromClient(client)
		if err != nil {
			t.Fatal(err)
		}
		defer producer.Close() // before its client
		if err := producer.SendMessages(copies[:len(copies)/2]); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Upload(ctx, killed, path); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AwaitReport(ctx, killed); err != nil {
			t.Fatal(err)
		}
		if err := s.AwaitRewarded(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if err := reconciler(t, s).Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		r, err := s.Report(ctx, killed)
		if err != nil {
			t.Fatal(err)
		}
		a, b := *once.Outcome, *r.Outcome
		a.At, b.At = time.Time{}, time.Time{}
		if !reflect.DeepEqual(a, b) || !maps.Equal(once.Totals.Read, r.Totals.Read) {
			t.Errorf("read once:\n%+v\nkilled and read again:\n%+v", a, b)
		}
	})
}
