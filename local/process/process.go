// Package process is `angelowl process`: the whole system on a temporary directory, for as long as
// it takes to reward some files.
package process

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/spendcsv"
	"github.com/google/uuid"
)

// Options say what to process. The stack's Data, Listen, Throwaway and Progress are set by Run.
type Options struct {
	Stack stack.Config
	Seed  stack.Seed
	Files []string // read in this order
	Out   string   // a folder, made if need be
	Log   *slog.Logger
	// Status is told what is going on, and how much of it is done where that is known (all > 0);
	// nil: nobody is.
	Status func(what string, done, all int64, unit string)
}

// Run processes the files and writes rewards.jsonl, refused.csv and report.json into Out. Whether
// every row is accounted for is for the caller to see in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Status == nil {
		o.Status = func(string, int64, int64, string) {}
	}
	o.Files = slices.Clone(o.Files)
	var err error
	for i, name := range o.Files {
		if err := stack.CheckFile(name); err != nil {
			return nil, err
		}
		if o.Files[i], err = filepath.Abs(name); err != nil { // the stack changes the working directory
			return nil, fmt.Errorf("finding %s: %w", name, err)
		}
	}
	if o.Out, err = filepath.Abs(o.Out); err != nil {
		return nil, fmt.Errorf("finding the folder for the results: %w", err)
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder for the results: %w", err)
	}
	dir, err := os.MkdirTemp("", "angelowl-process-")
	if err != nil {
		return nil, fmt.Errorf("making a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	home, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("finding the working directory: %w", err)
	}
	defer func() { _ = os.Chdir(home) }()

	o.Stack.Data, o.Stack.Listen, o.Stack.Throwaway = dir, "127.0.0.1:0", true
	o.Stack.Progress = func(_ string, read, size int64) {
		o.Status("reading", read>>10, size>>10, "KiB")
	}
	r := &run{Options: o, known: map[int32]*bits{}, report: &Report{HomeCurrency: o.Stack.Home, Files: []File{}, Units: []Units{}}}
	o.Status("starting", 0, 0, "")
	if err := stack.Run(ctx, o.Stack, o.Log, r.body); err != nil {
		return nil, err
	}
	return r.report, nil
}

// run is one run.
type run struct {
	Options
	report *Report
	files  []file
	known  map[int32]*bits // by partition, the offsets of the records that are rewards or dead letters
}

// file is a file that was read.
type file struct{ id, name string }

// mark notes that a record is known, and says whether it was before.
func (r *run) mark(partition int32, offset int64) (before bool) {
	if r.known[partition] == nil {
		r.known[partition] = &bits{}
	}
	before = r.known[partition].has(offset)
	r.known[partition].add(offset)
	return before
}

func (r *run) body(ctx context.Context, s *stack.Stack) error {
	r.Status("loading the rules", 0, 0, "")
	if err := s.Plant(ctx, r.Seed); err != nil {
		return err
	}
	var err error
	if r.report.RuleSet, err = s.AwaitRules(ctx); err != nil {
		return err
	}
	for i, path := range r.Files {
		// The id says nothing of the content: the same file twice is two files, whose second is
		// all duplicates.
		id := uuid.NewSHA1(uuid.NameSpaceOID, []byte("angelowl process file "+strconv.Itoa(i))).String()
		if err := s.Upload(ctx, id, path); err != nil {
			return err
		}
		report, err := s.AwaitReport(ctx, id)
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		if err := r.countFile(report); err != nil {
			return err
		}
	}
	all := r.report.Read.Rows - r.report.Refused.Rows
	err = s.AwaitRewarded(ctx, func(left int64) { r.Status("rewarding", max(all-left, 0), all, "rows") })
	if err != nil {
		return err
	}
	r.Status("writing the results", 0, 0, "")
	// What became of each row is counted from where it is: refused ones from the reports of the
	// files, rewards from the reward store, dead letters from their topic, and duplicates from the
	// log. So a row that is in none of them is missed.
	if err := r.writeRewards(ctx, s); err != nil {
		return err
	}
	letters, err := r.deadLetters(ctx, s)
	if err != nil {
		return err
	}
	if err := r.duplicates(ctx, s); err != nil {
		return err
	}
	if err := r.writeRefused(ctx, s, letters); err != nil {
		return err
	}
	return writeFile(filepath.Join(r.Out, "report.json"), r.report.Encode)
}

// countFile counts the rows of a file that has been read.
func (r *run) countFile(f *ingestor.Report) error {
	r.files = append(r.files, file{f.Upload, f.File})
	r.report.Files = append(r.report.Files, File{
		File: f.File, Rows: f.Rows.Read, Accepted: f.Rows.Accepted, Refused: f.Rows.Refused, Error: f.Error,
	})
	read, err := tally(f.Rows.Read, f.Totals.Read)
	if err != nil {
		return err
	}
	r.report.Read.AddAll(read, 1)
	for _, why := range f.RefusedByReason {
		t, err := tally(why.Rows, why.Money)
		if err != nil {
			return err
		}
		reason := why.Code
		if why.Field != "" {
			reason = why.Field + ": " + why.Code
		}
		r.report.Refused.Add(reason, t)
	}
	return nil
}

func tally(rows int64, money ingestor.Amounts) (Tally, error) {
	t := Tally{Rows: rows}
	for code, text := range money {
		c, ok := loyalty.ParseCurrency(code)
		whole, frac, _ := strings.Cut(text.String(), ".")
		minor, fine := new(big.Int).SetString(whole+frac, 10)
		if !ok || !fine || len(frac) != c.Digits() {
			return t, fmt.Errorf("the report of a file has an amount of %s %s", code, text)
		}
		t.Add(0, c, minor)
	}
	return t, nil
}

// writeRewards writes rewards.jsonl and counts what is in it.
func (r *run) writeRewards(ctx context.Context, s *stack.Stack) error {
	units := map[string]*Units{}
	err := writeFile(filepath.Join(r.Out, "rewards.jsonl"), func(w io.Writer) error {
		var line []byte
		return s.Rewards.All(ctx, func(row loyalty.Row) error {
			r.mark(row.Position.Partition, row.Position.Offset)
			one := Tally{}
			one.Add(1, row.Currency, big.NewInt(row.Amount))
			switch row.Trace.Outcome {
			case loyalty.Rewarded:
				r.report.Rewarded.AddAll(one, 1)
				u := units[row.CardType]
				if u == nil {
					u = &Units{CardType: row.CardType, Programme: row.Trace.Programme, Unit: row.Trace.Unit,
						Units: Sum{new(big.Int), int(row.Trace.Decimals)}}
					units[row.CardType] = u
				}
				u.Rows++
				u.Units.Value.Add(u.Units.Value, big.NewInt(row.Units.Value))
			case loyalty.NoCampaign:
				r.report.NoCampaign.AddAll(one, 1)
			case loyalty.Excluded:
				reason := string(row.Trace.Exclusion.Reason)
				if row.MCC != 0 {
					reason += " " + row.MCC.String()
				}
				r.report.Excluded.Add(reason, one)
			default:
				return fmt.Errorf("a reward has the outcome %q", row.Trace.Outcome)
			}
			row.CreatedAt = time.Time{} // a function of the inputs alone
			var err error
			if line, err = row.Reward.AppendJSON(line[:0]); err != nil {
				return err
			}
			line = append(line, '\n')
			_, err = w.Write(line)
			return err
		})
	})
	for _, key := range slices.Sorted(maps.Keys(units)) {
		r.report.Units = append(r.report.Units, *units[key])
	}
	return err
}

// letter is a dead letter as a refused row.
type letter struct {
	upload, line int
	raw          loyalty.RawTransaction
	why          *loyalty.FieldError
	err          *loyalty.FieldError // why the fields cannot be shown, or nil
}

// fields are those that a dead letter is about.
var fields = map[string]string{
	"unknown_card_type": "card_type", "no_quote": "currency", "overflow": "amount", "bad_home_amount": "sgd_amount",
}

// deadLetters counts the dead letters and returns them in the order of files and lines.
func (r *run) deadLetters(ctx context.Context, s *stack.Stack) ([]letter, error) {
	var letters []letter
	seen := map[[2]int]bool{}
	err := s.DeadLetters(ctx, func(d stack.DeadLetter) error {
		r.mark(d.At.Partition, d.At.Offset)
		l, err := r.letter(d.Message)
		if err != nil {
			return err
		}
		// A line that was sent twice, since S3 told of its file twice, is one row.
		at := [2]int{l.upload, l.line}
		if seen[at] {
			return nil
		}
		seen[at] = true
		letters = append(letters, l)
		one := Tally{Rows: 1}
		if c, ok := loyalty.ParseCurrency(l.raw.Currency); ok {
			if m, err := loyalty.ParseMoney(l.raw.Amount, c); err == nil {
				one.Add(0, c, big.NewInt(m.Minor))
			}
		}
		r.report.Refused.Add(l.why.Field+": "+l.why.Code, one)
		return nil
	})
	slices.SortFunc(letters, func(a, b letter) int {
		return cmp.Or(cmp.Compare(a.upload, b.upload), cmp.Compare(a.line, b.line))
	})
	return letters, err
}

func (r *run) letter(m *sarama.ConsumerMessage) (letter, error) {
	reason := stack.Header(m, record.HeaderReason)
	l := letter{why: &loyalty.FieldError{Field: fields[reason], Code: reason, Reason: stack.Header(m, record.HeaderDetail)}}
	var err error
	if l.upload, l.line, err = r.source(m); err != nil {
		return l, err
	}
	tx, err := loyalty.DecodeTransaction(m.Value, 0)
	if err != nil { // it is told by its line alone
		l.err = l.why
		return l, nil
	}
	l.raw = loyalty.RawTransaction{
		ID: tx.ID.String(), CardID: tx.CardID.String(), Merchant: tx.Merchant, MCC: tx.MCC.String(),
		Currency: tx.Currency.String(), Amount: tx.Money().Amount(), TransactionID: tx.Reference,
		TransactionDate: tx.Date.String(), CardPAN: tx.CardPAN, CardType: tx.CardType,
	}
	if !tx.HomeAmount.IsZero() {
		l.raw.SGDAmount = tx.HomeAmount.String()
	}
	return l, nil
}

// source is the file and the line that a record is from.
func (r *run) source(m *sarama.ConsumerMessage) (upload, line int, err error) {
	id, ok := strings.CutPrefix(stack.Header(m, record.HeaderSource), "upload:")
	upload = slices.IndexFunc(r.files, func(u file) bool { return u.id == id })
	line, err = strconv.Atoi(stack.Header(m, record.HeaderLine))
	if !ok || upload < 0 || err != nil || line < 1 {
		return 0, 0, fmt.Errorf("a record of the log is from no file that was read: partition %d, offset %d", m.Partition, m.Offset)
	}
	return upload, line, nil
}

// duplicates counts the records of the log that are neither rewards nor dead letters, as far as
// the transaction that they are has its reward. A line that was sent twice, since S3 told of its
// file twice, is one row.
func (r *run) duplicates(ctx context.Context, s *stack.Stack) error {
	lines := make([]bits, len(r.files))
	return s.Records(ctx, record.Topic, func(m *sarama.ConsumerMessage) error {
		if stack.Header(m, record.HeaderKind) != "" {
			return nil
		}
		upload, line, err := r.source(m)
		if err != nil {
			return err
		}
		again := lines[upload].has(int64(line))
		lines[upload].add(int64(line))
		if again || r.mark(m.Partition, m.Offset) {
			return nil
		}
		tx, err := loyalty.DecodeTransaction(m.Value, r.Stack.Home)
		if err != nil {
			return nil // not accounted for, and the report will show it
		}
		first, found, err := firstArrival(ctx, s.Rewards, tx)
		if err == nil && found && first.Partition == m.Partition && first.Offset < m.Offset {
			r.report.Duplicates.Add(1, tx.Currency, big.NewInt(tx.Amount))
		}
		return err
	})
}

// firstArrival says which record the row of a transaction came from.
func firstArrival(ctx context.Context, store informer.Store, tx loyalty.Transaction) (at loyalty.Position, found bool, err error) {
	for q := (informer.Query{Card: tx.CardID, From: tx.Date, To: tx.Date, Limit: 1000}); ; {
		page, err := store.Rewards(ctx, q)
		if err != nil {
			return at, false, err
		}
		for _, row := range page.Rows {
			if row.ID == tx.ID {
				return row.Position, true, nil
			}
		}
		if page.Next == "" {
			return at, false, nil
		}
		q.After = page.Next
	}
}

// writeRefused writes the refused rows of all files and the dead letters behind them, each under
// the columns that any of the files had.
func (r *run) writeRefused(ctx context.Context, s *stack.Stack, letters []letter) error {
	had := map[string]bool{}
	for _, u := range r.files {
		err := eachRefused(ctx, s, u.id, func(header []string) { markAll(had, header) }, func([]string) error { return errStop })
		if err != nil {
			return err
		}
	}
	if len(letters) > 0 {
		had["id"] = true // by which a letter that is mended stays the transaction that it was
	}
	columns := slices.DeleteFunc(slices.Clone(loyalty.Columns), func(c string) bool { return !had[c] })
	return writeFile(filepath.Join(r.Out, "refused.csv"), func(w io.Writer) error {
		out, err := spendcsv.NewRefusedWriter(w, columns)
		if err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
		all := append(slices.Clone(columns), "file", "line", "field", "reason")
		rows := csv.NewWriter(w)
		for _, u := range r.files {
			var at []int // for each column of the result, where it is in this file
			err := eachRefused(ctx, s, u.id, func(header []string) {
				at = make([]int, len(all))
				for i, c := range all {
					at[i] = slices.Index(header, c)
				}
			}, func(record []string) error {
				row := make([]string, len(all))
				for i, j := range at {
					if j >= 0 {
						row[i] = record[j]
					}
				}
				return rows.Write(row)
			})
			if err != nil {
				return err
			}
		}
		rows.Flush()
		if err := rows.Error(); err != nil {
			return err
		}
		for _, l := range letters {
			row := spendcsv.Row{Line: l.line, Raw: l.raw, Err: l.err}
			if err := out.Write(r.files[l.upload].name, &row, l.why); err != nil {
				return err
			}
		}
		return out.Flush()
	})
}

var errStop = errors.New("enough")

func markAll(had map[string]bool, names []string) {
	for _, n := range names {
		had[n] = true
	}
}

// eachRefused reads the refused rows of an upload as they are written. A file that could not be
// read at all has none.
func eachRefused(ctx context.Context, s *stack.Stack, upload string, header func([]string), row func([]string) error) error {
	body, err := s.Refused(ctx, upload)
	if errors.Is(err, stack.ErrNoReport) {
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	in := csv.NewReader(body)
	for first := true; ; first = false {
		record, err := in.Read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading refused rows: %w", err)
		case first:
			header(record)
			continue
		}
		if err := row(record); errors.Is(err, errStop) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// writeFile writes a file whole or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // gone already when all went well
	w := bufio.NewWriterSize(f, 1<<20)
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
