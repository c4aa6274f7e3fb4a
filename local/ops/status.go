package ops

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/local/disk"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/rewarder"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Status is how the system is. Its JSON is for programs: fields are added, never changed.
type Status struct {
	Healthy     bool                `json:"healthy"`  // every part does its work
	Problems    []string            `json:"problems"` // what does not, in plain words
	At          time.Time           `json:"at"`
	PID         int                 `json:"pid"`
	URL         string              `json:"url"`
	Data        string              `json:"data"`
	Lag         int64               `json:"lag"`   // records to be read, all partitions together
	Rules       *rewarder.LiveRules `json:"rules"` // as published; null until there are some
	Partitions  []Partition         `json:"partitions"`
	Rewarders   []Rewarder          `json:"rewarders"`
	DeadLetters DeadLetters         `json:"dead_letters"`
	Outbox      []stack.Backlog     `json:"outbox"`
	Uploads     []Upload            `json:"uploads"` // the newest first, five at most
	Disk        disk.State          `json:"disk"`    // that the data are on
}

// Partition is a partition of the log of transactions.
type Partition struct {
	rewarder.PartitionLag
	Lag     int64    `json:"lag"`
	InForce *InForce `json:"in_force"` // null: no rewarder works on it
}

// InForce is the rule set that a partition has in force.
type InForce struct {
	rulebook.InForce
	Live bool `json:"live"` // it is the one that is published
}

// Rewarder is a rewarder as it says of itself; one that does not answer is "unreachable".
type Rewarder struct {
	Name         string                     `json:"name"`
	Address      string                     `json:"address"`
	State        string                     `json:"state"`
	Reason       string                     `json:"reason"`
	RulesProblem string                     `json:"rules_problem"`
	Partitions   []rewarder.PartitionStatus `json:"partitions"`
}

// DeadLetters counts dead letters, each once however often it was set aside.
type DeadLetters struct {
	Letters  int64    `json:"letters"`
	Resent   int64    `json:"resent"` // of them: sent again
	ByReason []Reason `json:"by_reason"`
}

// Reason counts the dead letters of one reason.
type Reason struct {
	Reason  string `json:"reason"`
	Letters int64  `json:"letters"`
	Resent  int64  `json:"resent"`
}

// Upload is a file that was read.
type Upload struct {
	ID         string         `json:"id"`
	File       string         `json:"file"`
	State      ingestor.State `json:"state"`
	Error      string         `json:"error"`
	Rows       ingestor.Rows  `json:"rows"`
	FinishedAt time.Time      `json:"finished_at"`
}

const (
	unreachable = "unreachable"
	paused      = "paused"
	lastUploads = 5
)

// Status looks at everything. An error says that it could not be read.
func (s *System) Status(ctx context.Context) (*Status, error) {
	st := &Status{At: s.Clock().UTC(), PID: s.PID, URL: s.URL, Data: s.Data, Problems: []string{}}
	for _, look := range []func(context.Context, *Status) error{
		s.rules, s.partitions, s.rewarders, s.deadLetters, s.outbox, s.uploads, s.disk,
	} {
		if err := look(ctx, st); err != nil {
			return nil, err
		}
	}
	st.judge()
	return st, nil
}

func (s *System) rules(ctx context.Context, st *Status) error {
	snap, err := rulebook.Load(ctx, s.etcd, s.Home)
	switch {
	case errors.Is(err, rulebook.ErrEmpty):
		st.Problems = append(st.Problems, "there are no rules yet: nothing is rewarded until there are")
		return nil
	case err != nil:
		if ctx.Err() != nil {
			return ctx.Err()
		}
		st.Problems = append(st.Problems, "the published rules cannot be read: "+err.Error())
		return nil
	}
	st.Rules = &rewarder.LiveRules{Hash: snap.Rules.Hash(), Epoch: snap.Epoch, Revision: snap.Revision}
	return nil
}

func (s *System) partitions(ctx context.Context, st *Status) error {
	lags, err := rewarder.Lag(ctx, s.kafka, stack.Group, record.Topic)
	if err != nil {
		return err
	}
	inForce, err := stack.InForce(ctx, s.etcd)
	if err != nil {
		return err
	}
	for _, l := range lags {
		p := Partition{PartitionLag: l, Lag: l.Records()}
		if f, ok := inForce[l.Partition]; ok {
			p.InForce = &InForce{f, st.Rules != nil && f.Hash == st.Rules.Hash}
		}
		st.Lag += p.Lag
		st.Partitions = append(st.Partitions, p)
	}
	return nil
}

func (s *System) rewarders(ctx context.Context, st *Status) error {
	st.Rewarders = []Rewarder{}
	for _, a := range s.Running.Rewarders {
		r := Rewarder{Name: a.Name, Address: a.Address, Partitions: []rewarder.PartitionStatus{}}
		if h, err := s.health(ctx, a.Address); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.State, r.Reason = unreachable, err.Error()
		} else {
			r.State, r.Reason, r.RulesProblem, r.Partitions = h.State, h.Reason, h.RulesProblem, h.Partitions
		}
		st.Rewarders = append(st.Rewarders, r)
	}
	return nil
}

func (s *System) health(ctx context.Context, addr string) (rewarder.Status, error) {
	var h rewarder.Status
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/health", nil)
	if err != nil {
		return h, err
	}
	b, err := s.do(req)
	if err != nil {
		return h, err
	}
	return h, json.Unmarshal(b, &h)
}

func (s *System) deadLetters(ctx context.Context, st *Status) error {
	reasons := map[loyalty.Position]string{} // the letters themselves are not held in memory
	marks, err := s.read(ctx, func(l Letter) error {
		reasons[l.position] = l.Reason
		return nil
	})
	if err != nil {
		return err
	}
	counts := map[string]Reason{}
	for at, name := range reasons {
		r := counts[name]
		r.Reason = name
		r.Letters++
		st.DeadLetters.Letters++
		if len(marks[at]) > 0 {
			r.Resent++
			st.DeadLetters.Resent++
		}
		counts[name] = r
	}
	st.DeadLetters.ByReason = []Reason{}
	for _, r := range counts {
		st.DeadLetters.ByReason = append(st.DeadLetters.ByReason, r)
	}
	slices.SortFunc(st.DeadLetters.ByReason, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), strings.Compare(a.Reason, b.Reason))
	})
	return nil
}

func (s *System) outbox(ctx context.Context, st *Status) error {
	if err := s.control(ctx, http.MethodGet, "/outbox", nil, &st.Outbox); err != nil {
		return fmt.Errorf("asking for rules that wait to be published: %w", err)
	}
	return nil
}

func (s *System) disk(ctx context.Context, st *Status) error {
	if err := s.control(ctx, http.MethodGet, "/disk", nil, &st.Disk); err != nil {
		return fmt.Errorf("asking how full the disk is: %w", err)
	}
	return nil
}

func (s *System) uploads(ctx context.Context, st *Status) error {
	st.Uploads = []Upload{}
	bucket := stack.ReportBucket
	var reports []types.Object
	pages := s3.NewListObjectsV2Paginator(s.s3, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("listing the reports of uploads: %w", err)
		}
		for _, o := range page.Contents {
			if o.Key != nil && o.LastModified != nil && strings.HasSuffix(*o.Key, "/report.json") {
				reports = append(reports, o)
			}
		}
	}
	slices.SortFunc(reports, func(a, b types.Object) int { return b.LastModified.Compare(*a.LastModified) })
	for _, o := range reports[:min(lastUploads, len(reports))] {
		r, err := s.report(ctx, bucket, *o.Key)
		if err != nil {
			return fmt.Errorf("reading %s: %w", *o.Key, err)
		}
		st.Uploads = append(st.Uploads, Upload{
			ID: r.Upload, File: r.File, State: r.State, Error: r.Error, Rows: r.Rows, FinishedAt: r.FinishedAt,
		})
	}
	slices.SortStableFunc(st.Uploads, func(a, b Upload) int { return b.FinishedAt.Compare(a.FinishedAt) })
	return nil
}

func (s *System) report(ctx context.Context, bucket, key string) (r ingestor.Report, err error) {
	o, err := s.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return r, err
	}
	defer o.Body.Close()
	return r, json.NewDecoder(o.Body).Decode(&r)
}

// judge says what does not work. What waits for its turn is no problem: records to be read, rules
// on their way, dead letters and refused rows, which are work for a person.
func (st *Status) judge() {
	problem := func(format string, args ...any) { st.Problems = append(st.Problems, fmt.Sprintf(format, args...)) }
	if d := st.Disk; d.Full {
		problem("the disk with the data folder %s is full, %s are free and %s must stay free: no file is taken, nothing is rewarded and no rule changes until there is room; free space on it, and the work goes on by itself",
			d.Dir, disk.Bytes(d.Free), disk.Bytes(d.Keep))
	}
	for _, p := range st.Partitions {
		if p.InForce == nil && st.Rules != nil {
			problem("no rewarder works on partition %d", p.Partition)
		}
		if p.Committed >= 0 && p.Committed < p.Start {
			problem("partition %d was read up to offset %d and begins at %d: records were deleted before they were read", p.Partition, p.Committed, p.Start)
		}
	}
	for _, r := range st.Rewarders {
		switch r.State {
		case unreachable:
			problem("%s does not answer: %s", r.Name, r.Reason)
		case paused:
			problem("%s pauses: %s", r.Name, r.Reason)
		}
		if r.RulesProblem != "" && st.Rules != nil {
			problem("%s does not have the newest rules: %s", r.Name, r.RulesProblem)
		}
		for _, p := range r.Partitions {
			if p.RuleChange != "" {
				problem("%s cannot announce a change of the rules in partition %d: %s", r.Name, p.Partition, p.RuleChange)
			}
		}
	}
	for _, b := range st.Outbox {
		if b.Held > 0 {
			problem("%s holds %d rules back: etcd has newer ones than the database", b.Service, b.Held)
		}
	}
	st.Healthy = len(st.Problems) == 0
}

// PrintStatus writes a status for a person.
func (s *System) PrintStatus(w io.Writer, st *Status) error {
	fmt.Fprintf(w, "AngelOwl at %s, process %d, data in %s\n", st.URL, st.PID, st.Data)
	if st.Healthy {
		fmt.Fprintln(w, "Everything works.")
	} else {
		fmt.Fprintln(w, "Not everything works:")
		for _, p := range st.Problems {
			fmt.Fprintf(w, "  - %s\n", plain(p))
		}
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nPARTITION\tBEGINS\tENDS\tREAD TO\tTO GO\tRULES IN FORCE\tEPOCH/REVISION\tSINCE\tREWARDER")
	for _, p := range st.Partitions {
		hash, revision, since, who := "-", "-", "-", "-"
		if f := p.InForce; f != nil {
			hash = f.Hash.String()[:8] + " (live)"
			if !f.Live {
				hash = f.Hash.String()[:8] + " (not the live ones)"
			}
			revision, since, who = fmt.Sprintf("%d/%d", f.Epoch, f.Revision), s.when(f.Since), f.Rewarder
		}
		read := "-"
		if p.Committed >= 0 {
			read = strconv.FormatInt(p.Committed, 10)
		}
		fmt.Fprintf(tw, "%d\t%d\t%d\t%s\t%d\t%s\t%s\t%s\t%s\n", p.Partition, p.Start, p.End, read, p.Lag, hash, revision, since, who)
	}
	if r := st.Rules; r != nil {
		fmt.Fprintf(tw, "live\t\t\t\t%d\t%s\t%d/%d\n", st.Lag, r.Hash.String()[:8], r.Epoch, r.Revision)
	}

	fmt.Fprintln(tw, "\nREWARDER\tADDRESS\tSTATE\tREASON")
	for _, r := range st.Rewarders {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", r.Name, r.Address, r.State, short(cmp.Or(r.Reason, r.RulesProblem, "-"), 100))
	}

	fmt.Fprintln(tw, "\nDEAD LETTERS\tALL\tSENT AGAIN\tOPEN")
	for _, r := range st.DeadLetters.ByReason {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\n", short(r.Reason, 30), r.Letters, r.Resent, r.Letters-r.Resent)
	}
	d := st.DeadLetters
	fmt.Fprintf(tw, "together\t%d\t%d\t%d\n", d.Letters, d.Resent, d.Letters-d.Resent)

	fmt.Fprintln(tw, "\nRULES TO BE PUBLISHED\tWAITING\tHELD BACK")
	for _, b := range st.Outbox {
		fmt.Fprintf(tw, "%s\t%d\t%d\n", b.Service, b.Waiting, b.Held)
	}

	fmt.Fprintln(tw, "\nLAST UPLOADS\tREAD BY\tSTATE\tROWS\tACCEPTED\tREFUSED\tWHAT IS WRONG")
	for _, u := range st.Uploads {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n",
			short(u.File, 40), s.when(u.FinishedAt), u.State, u.Rows.Read, u.Rows.Accepted, u.Rows.Refused, short(cmp.Or(u.Error, "-"), 60))
	}
	if len(st.Uploads) == 0 {
		fmt.Fprintln(tw, "none yet")
	}
	return tw.Flush()
}
