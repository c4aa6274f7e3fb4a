package ingestor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// RewardStore is the reward store as the reconciler reads it. It may be called by many goroutines at once.
type RewardStore interface {
	// Reward returns the row of a transaction, and whether there is one.
	Reward(ctx context.Context, k loyalty.Key) (row loyalty.Row, found bool, err error)
}

// ReconcilerConfig is what a deployment sets.
type ReconcilerConfig struct {
	ReportBucket string
	Topic        string // "" is record.Topic; its dead letters are in Topic.dlq
	Group        string // the rewarders' consumer group
	Home         loyalty.Currency
}

// ReconcilerDeps is what the reconciler works with.
type ReconcilerDeps struct {
	S3      *s3.Client
	Connect func() (sarama.Client, error) // to Kafka; the reconciler closes what it gets
	Rewards RewardStore
	Log     *slog.Logger
	Clock   func() time.Time
}

// Reconciler completes the reports of files whose rows have all been dealt with: it reads back what
// became of each, and who does not come back is missing.
//
// It reads the log and not the file: a record says which line of which upload it is, so that a row which
// was queued twice is known for one, and one that came before from elsewhere for a duplicate; and the
// file itself may have expired. In memory it holds a bit for each line.
type Reconciler struct {
	cfg  ReconcilerConfig
	deps ReconcilerDeps
}

// NewReconciler returns a reconciler, or says what is missing.
func NewReconciler(cfg ReconcilerConfig, deps ReconcilerDeps) (*Reconciler, error) {
	if cfg.ReportBucket == "" || cfg.Group == "" || cfg.Home == 0 || deps.S3 == nil || deps.Connect == nil || deps.Rewards == nil {
		return nil, errors.New("configuring the reconciler: the bucket of the reports, the rewarders' group, the home currency, S3, Kafka or the reward store is missing")
	}
	if cfg.Topic == "" {
		cfg.Topic = record.Topic
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	return &Reconciler{cfg, deps}, nil
}

// Sweep reconciles what can be. A schedule calls it. An error is about the system; what was not
// reconciled is so the next time.
func (r *Reconciler) Sweep(ctx context.Context) error {
	prefix := upload.PendingPrefix + string(upload.Spend) + "/"
	var ids []string
	pages := s3.NewListObjectsV2Paginator(r.deps.S3, &s3.ListObjectsV2Input{Bucket: &r.cfg.ReportBucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("listing the reports that wait: %w", err)
		}
		for _, o := range page.Contents {
			ids = append(ids, strings.TrimPrefix(*o.Key, prefix))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	client, err := r.deps.Connect()
	if err != nil {
		return fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer func() { _ = client.Close() }()
	committed, err := Committed(client, r.cfg.Group, r.cfg.Topic)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		if err := r.one(ctx, client, committed, id); err != nil {
			errs = append(errs, fmt.Errorf("reconciling upload %s: %w", id, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// Committed is the next offset to be read of each partition.
func Committed(client sarama.Client, group, topic string) (map[int32]int64, error) {
	partitions, err := client.Partitions(topic)
	if err != nil {
		return nil, fmt.Errorf("listing the partitions of %s: %w", topic, err)
	}
	admin, err := sarama.NewClusterAdminFromClient(client) // not closed: that would close the client
	if err != nil {
		return nil, fmt.Errorf("asking about group %s: %w", group, err)
	}
	offsets, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: partitions})
	if errors.Is(err, sarama.ErrGroupIDNotFound) {
		return map[int32]int64{}, nil // nobody has been in it yet
	}
	if err != nil {
		return nil, fmt.Errorf("reading the offsets of group %s: %w", group, err)
	}
	out := map[int32]int64{}
	for _, p := range partitions {
		b := offsets.GetBlock(topic, p)
		switch {
		case b == nil:
		case b.Err != sarama.ErrNoError:
			return nil, fmt.Errorf("reading the offset of group %s in partition %d: %w", group, p, b.Err)
		default:
			out[p] = b.Offset
		}
	}
	return out, nil
}

func (r *Reconciler) one(ctx context.Context, client sarama.Client, committed map[int32]int64, id string) error {
	var report Report
	found, err := getJSON(ctx, r.deps.S3, r.cfg.ReportBucket, upload.ReportKey(upload.Spend, id), &report)
	if err != nil {
		return err
	}
	if found {
		if slices.ContainsFunc(report.Ranges, func(g upload.Range) bool { return committed[g.Partition] <= g.Last }) {
			return nil // not yet
		}
		if report.Outcome, err = r.outcome(ctx, client, &report); err != nil {
			return err
		}
		if n := report.Outcome.Missing.Rows; n > 0 {
			report.Warnings = append(report.Warnings, fmt.Sprintf("%d ROWS ARE NOT ACCOUNTED FOR: they are neither rewarded nor set aside; send the file again, what has been counted is not counted twice, and tell those who run the system", n))
		}
		if n := report.Outcome.Conflicts.Rows; n > 0 {
			report.Warnings = append(report.Warnings, fmt.Sprintf("%d rows have the identity of transactions that came before with other content; what came first counts, so see which of the two is right", n))
		}
		if report.State == Queued {
			report.State = Reconciled
		}
		if err := putJSON(ctx, r.deps.S3, r.cfg.ReportBucket, upload.ReportKey(upload.Spend, id), &report); err != nil {
			return err
		}
		r.deps.Log.Info("a file is reconciled", "upload", id, "rewarded", report.Outcome.Rewarded.Rows, "no_campaign", report.Outcome.NoCampaign.Rows,
			"excluded", report.Outcome.Excluded.Rows, "dead_letters", report.Outcome.DeadLetters.Rows, "duplicates", report.Outcome.Duplicates.Rows,
			"conflicts", report.Outcome.Conflicts.Rows, "missing", report.Outcome.Missing.Rows)
	}
	_, err = r.deps.S3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &r.cfg.ReportBucket, Key: aws.String(upload.PendingKey(upload.Spend, id))})
	if err != nil {
		return fmt.Errorf("taking it off the list: %w", err)
	}
	return nil
}

// count is a Tally as it grows.
type count struct {
	rows  int64
	money sums
}

func (c *count) add(m loyalty.Money) {
	c.rows++
	if c.money == nil {
		c.money = sums{}
	}
	c.money.add(m)
}

func (c *count) tally() upload.Tally { return upload.Tally{Rows: c.rows, Money: c.money.amounts()} }

func parts(by map[string]*count) map[string]upload.Tally {
	out := map[string]upload.Tally{}
	for k, c := range by {
		out[k] = c.tally()
	}
	return out
}

func under[K comparable](by map[K]*count, k K) *count {
	if by[k] == nil {
		by[k] = &count{}
	}
	return by[k]
}

// bits are lines.
type bits []uint64

// set notes a line, and says whether it was new.
func (b *bits) set(n int64) bool {
	for int64(len(*b)) <= n/64 {
		*b = append(*b, 0)
	}
	word, bit := &(*b)[n/64], uint64(1)<<(n%64)
	fresh := *word&bit == 0
	*word |= bit
	return fresh
}

type programme struct {
	cardType, programme, unit string
	decimals                  uint8
}

// ledger is an Outcome as it grows.
type ledger struct {
	source []byte
	dead   bits // lines that were set aside
	known  bits // lines that are accounted for

	rewarded, noCampaign, excluded, letters, duplicates, conflicts, missing count
	excludedBy, lettersBy                                                   map[string]*count
	listed                                                                  []upload.DeadLetter
	clashes                                                                 []upload.Conflict
	earned                                                                  map[programme]*count
	units                                                                   map[programme]*big.Int
	in, out                                                                 count
}

func (r *Reconciler) outcome(ctx context.Context, client sarama.Client, report *Report) (*upload.Outcome, error) {
	l := &ledger{source: []byte(record.SourceUpload + report.Upload), excludedBy: map[string]*count{}, lettersBy: map[string]*count{},
		earned: map[programme]*count{}, units: map[programme]*big.Int{}}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	defer func() { _ = consumer.Close() }()
	// Rows of an attempt that was killed are in the log, and in no range: they came after it began.
	since := report.StartedAt.Add(-time.Minute)
	letters := r.cfg.Topic + record.DeadLetterSuffix
	partitions, err := client.Partitions(letters)
	if err != nil {
		return nil, fmt.Errorf("reading the dead letters: %w", err)
	}
	for _, p := range partitions {
		end, err := client.GetOffset(letters, p, sarama.OffsetNewest)
		if err == nil {
			err = read(ctx, client, consumer, letters, p, since, end, end, func(m *sarama.ConsumerMessage) error { return l.letter(m, r.cfg.Home) })
		}
		if err != nil {
			return nil, fmt.Errorf("reading the dead letters: %w", err)
		}
	}
	for _, g := range report.Ranges {
		batch := make([]arrival, 0, batchRows)
		err := read(ctx, client, consumer, r.cfg.Topic, g.Partition, since, g.First, g.Last+1, func(m *sarama.ConsumerMessage) error {
			a, ok := l.arrival(m, r.cfg.Home)
			if !ok {
				return nil
			}
			if batch = append(batch, a); len(batch) < batchRows {
				return nil
			}
			err := r.settle(ctx, l, batch)
			batch = batch[:0]
			return err
		})
		if err == nil {
			err = r.settle(ctx, l, batch)
		}
		if err != nil {
			return nil, fmt.Errorf("reading partition %d of the log: %w", g.Partition, err)
		}
	}
	return l.outcome(r.deps.Clock(), report.Rows.Accepted), nil
}

// read calls f with the records of a partition from First, or from where those since a time begin if that
// is before it, up to End.
func read(ctx context.Context, client sarama.Client, consumer sarama.Consumer, topic string, p int32, since time.Time, first, end int64, f func(*sarama.ConsumerMessage) error) error {
	at, err := client.GetOffset(topic, p, since.UnixMilli())
	if err != nil {
		return err
	}
	next := first
	if at >= 0 {
		next = min(next, at)
	}
	oldest, err := client.GetOffset(topic, p, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	if next = max(next, oldest); next >= end {
		return nil
	}
	part, err := consumer.ConsumePartition(topic, p, next)
	if err != nil {
		return err
	}
	defer func() { _ = part.Close() }()
	failures := part.Errors() // nil where the client does not return them
	for next < end {
		select {
		case m, ok := <-part.Messages():
			if !ok {
				return errors.New("the broker has closed the connection")
			}
			if m.Offset >= end {
				return nil
			}
			if err := f(m); err != nil {
				return err
			}
			next = m.Offset + 1
		case err, ok := <-failures:
			if ok {
				return err
			}
			failures = nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func headerOf(m *sarama.ConsumerMessage, key string) []byte {
	for _, h := range m.Headers {
		if h != nil && string(h.Key) == key {
			return h.Value
		}
	}
	return nil
}

// maxLine bounds the bits. No file has as many lines.
const maxLine = 1 << 30

// line is the line of the upload that a record is.
func (l *ledger) line(m *sarama.ConsumerMessage) (int64, bool) {
	if !bytes.Equal(headerOf(m, record.HeaderSource), l.source) {
		return 0, false
	}
	n, err := strconv.ParseInt(string(headerOf(m, record.HeaderLine)), 10, 64)
	return n, err == nil && n > 0 && n < maxLine
}

// letter counts a dead letter. One that was set aside twice, or whose row was queued twice, is one row.
func (l *ledger) letter(m *sarama.ConsumerMessage, home loyalty.Currency) error {
	reason := string(headerOf(m, record.HeaderReason))
	n, ours := l.line(m)
	if !ours || reason == "" || !l.dead.set(n) {
		return nil
	}
	l.known.set(n)
	one := under(l.lettersBy, reason)
	if t, err := loyalty.DecodeTransaction(m.Value, home); err == nil {
		l.letters.add(t.Money())
		one.add(t.Money())
	} else {
		l.letters.rows++
		one.rows++
	}
	if len(l.listed) < upload.MaxListed {
		l.listed = append(l.listed, upload.DeadLetter{
			ID:   strings.Join([]string{string(headerOf(m, record.HeaderIncarnation)), string(headerOf(m, record.HeaderPartition)), string(headerOf(m, record.HeaderOffset))}, "/"),
			Line: n, Reason: reason, Detail: string(headerOf(m, record.HeaderDetail)),
		})
	}
	return nil
}

// arrival is a record of the upload.
type arrival struct {
	line   int64
	offset int64
	part   int32
	tx     loyalty.Transaction
	row    loyalty.Row
	found  bool
}

const (
	batchRows = 512
	lookups   = 32 // at once
)

// arrival is a record as the upload's, the first of its line.
func (l *ledger) arrival(m *sarama.ConsumerMessage, home loyalty.Currency) (arrival, bool) {
	n, ours := l.line(m)
	if !ours || len(headerOf(m, record.HeaderKind)) > 0 || !l.known.set(n) {
		return arrival{}, false
	}
	t, err := loyalty.DecodeTransaction(m.Value, home)
	if err != nil {
		l.missing.rows++ // what the ingestor writes can be read
		return arrival{}, false
	}
	return arrival{line: n, offset: m.Offset, part: m.Partition, tx: t}, true
}

// settle looks rows up, many at once, and counts them in their order.
func (r *Reconciler) settle(ctx context.Context, l *ledger, batch []arrival) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for i := range batch {
		g.Go(func() (err error) {
			batch[i].row, batch[i].found, err = r.deps.Rewards.Reward(ctx, batch[i].tx.Key())
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("reading the reward store: %w", err)
	}
	for i := range batch {
		l.settle(&batch[i])
	}
	return nil
}

func (l *ledger) settle(a *arrival) {
	money := a.tx.Money()
	own := a.found && a.row.Position.Partition == a.part && a.row.Position.Offset == a.offset
	switch {
	case !a.found:
		l.missing.add(money)
		return
	case !own && a.row.Transaction == a.tx:
		l.duplicates.add(money)
		return
	case !own:
		l.conflicts.add(money)
		if len(l.clashes) < upload.MaxListed {
			l.clashes = append(l.clashes, upload.Conflict{Line: a.line, First: a.row.Transaction, This: a.tx})
		}
		return
	}
	if money.Minor < 0 {
		l.out.add(money)
	} else {
		l.in.add(money)
	}
	t := &a.row.Trace
	switch t.Outcome {
	case loyalty.Rewarded:
		l.rewarded.add(money)
		k := programme{a.row.CardType, t.Programme, t.Unit, t.Decimals}
		under(l.earned, k).add(money)
		if l.units[k] == nil {
			l.units[k] = new(big.Int)
		}
		l.units[k].Add(l.units[k], big.NewInt(a.row.Units.Value))
	case loyalty.Excluded:
		l.excluded.add(money)
		reason := ""
		if t.Exclusion != nil {
			reason = string(t.Exclusion.Reason)
		}
		if a.row.MCC != 0 {
			reason += " " + a.row.MCC.String()
		}
		under(l.excludedBy, reason).add(money)
	default:
		l.noCampaign.add(money)
	}
}

// outcome is the ledger's end. What is not in the log any more is missing too.
func (l *ledger) outcome(now time.Time, accepted int64) *upload.Outcome {
	o := &upload.Outcome{
		At: now.UTC(), Rewarded: l.rewarded.tally(), NoCampaign: l.noCampaign.tally(),
		Excluded:    upload.Reasons{Tally: l.excluded.tally(), ByReason: parts(l.excludedBy)},
		DeadLetters: upload.DeadLetters{Reasons: upload.Reasons{Tally: l.letters.tally(), ByReason: parts(l.lettersBy)}, Listed: l.listed},
		Duplicates:  l.duplicates.tally(), Conflicts: upload.Conflicts{Tally: l.conflicts.tally(), Listed: l.clashes},
		Missing: l.missing.tally(), Programmes: []upload.Programme{}, MoneyIn: l.in.money.amounts(), MoneyOut: l.out.money.amounts(),
	}
	if o.DeadLetters.Listed == nil {
		o.DeadLetters.Listed = []upload.DeadLetter{}
	}
	slices.SortFunc(o.DeadLetters.Listed, func(a, b upload.DeadLetter) int { return cmp.Compare(a.Line, b.Line) })
	if o.Conflicts.Listed == nil {
		o.Conflicts.Listed = []upload.Conflict{}
	}
	slices.SortFunc(o.Conflicts.Listed, func(a, b upload.Conflict) int { return cmp.Compare(a.Line, b.Line) })
	counted := o.Rewarded.Rows + o.NoCampaign.Rows + o.Excluded.Rows + o.DeadLetters.Rows + o.Duplicates.Rows + o.Conflicts.Rows + o.Missing.Rows
	o.Missing.Rows += max(accepted-counted, 0)
	for k, c := range l.earned {
		o.Programmes = append(o.Programmes, upload.Programme{
			CardType: k.cardType, Programme: k.programme, Unit: k.unit, Rows: c.rows,
			Units: json.Number(upload.FormatMinor(l.units[k], int(k.decimals))), Money: c.money.amounts(),
		})
	}
	slices.SortFunc(o.Programmes, func(a, b upload.Programme) int {
		return cmp.Or(cmp.Compare(a.CardType, b.CardType), cmp.Compare(a.Programme, b.Programme), cmp.Compare(a.Unit, b.Unit))
	})
	return o
}
