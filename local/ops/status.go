package ops

import (
	"cmp"
	"context"
	"encoding/json"
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
	"github.com/angelowl-loyalties/app/rewarder"
	rewarderops "github.com/angelowl-loyalties/app/rewarder/ops"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Status is how the system is. Its JSON is for programs: fields are added, never changed.
type Status struct {
	rewarderops.Status
	PID       int             `json:"pid"`
	URL       string          `json:"url"`
	Data      string          `json:"data"`
	Rewarders []Rewarder      `json:"rewarders"` // all that were started
	Outbox    []stack.Backlog `json:"outbox"`
	Uploads   []Upload        `json:"uploads"` // the newest first, five at most
	Disk      disk.State      `json:"disk"`    // that the data are on
}

// Parts of it.
type (
	Partition   = rewarderops.Partition
	InForce     = rewarderops.InForce
	DeadLetters = rewarderops.DeadLetters
	Reason      = rewarderops.Reason
)

// Rewarder is a rewarder as it says of itself; one that does not answer is "unreachable".
type Rewarder struct {
	Name         string                     `json:"name"`
	Address      string                     `json:"address"`
	State        string                     `json:"state"`
	Reason       string                     `json:"reason"`
	RulesProblem string                     `json:"rules_problem"`
	Partitions   []rewarder.PartitionStatus `json:"partitions"`
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
	lastUploads = 5
)

// Status looks at everything. An error says that it could not be read.
func (s *System) Status(ctx context.Context) (*Status, error) {
	log, err := s.desk.Log(ctx)
	if err != nil {
		return nil, err
	}
	st := &Status{Status: *log, PID: s.PID, URL: s.URL, Data: s.Data}
	for _, look := range []func(context.Context, *Status) error{s.rewarders, s.outbox, s.uploads, s.disk} {
		if err := look(ctx, st); err != nil {
			return nil, err
		}
	}
	st.judge()
	return st, nil
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

// judge says what does not work.
func (st *Status) judge() {
	if d := st.Disk; d.Full {
		st.Problem("the disk with the data folder %s is full, %s are free and %s must stay free: no file is taken, nothing is rewarded and no rule changes until there is room; free space on it, and the work goes on by itself",
			d.Dir, disk.Bytes(d.Free), disk.Bytes(d.Keep))
	}
	st.JudgeLog()
	for _, r := range st.Rewarders {
		if r.State == unreachable {
			st.Problem("%s does not answer: %s", r.Name, r.Reason)
			continue
		}
		said := rewarder.Said{Name: r.Name, State: r.State, Reason: r.Reason, RulesProblem: r.RulesProblem}
		for _, p := range r.Partitions {
			said.Partitions = append(said.Partitions, rewarder.SaidPartition{Partition: p.Partition, RuleChange: p.RuleChange})
		}
		st.Judge(said)
	}
	for _, b := range st.Outbox {
		if b.Held > 0 {
			st.Problem("%s holds %d rules back: etcd has newer ones than the database", b.Service, b.Held)
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
