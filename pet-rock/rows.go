package petrock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/spendcsv"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// layout is that of files of users: a row a card, users repeat.
var layout = spendcsv.Layout{
	Columns:  []string{"id", "first_name", "last_name", "phone", "email", "created_at", "updated_at", "card_id", "card_pan", "card_type"},
	Each:     "card",
	Optional: []string{"last_name", "phone", "created_at", "updated_at"},
}

// fields are in the layout's order.
func fields(r *profile.UserRow) []*string {
	return []*string{&r.ID, &r.FirstName, &r.LastName, &r.Phone, &r.Email, &r.CreatedAt, &r.UpdatedAt, &r.CardID, &r.CardPAN, &r.CardType}
}

// asking is how many first passwords are asked for at once.
const asking = 16

// entering is the rows of a file that are on their way to profiler.
type entering struct {
	*pass

	batch  []profile.UserRow
	places []place // of all rows since the last answer, in the file's order
	bytes  int     // of the rows as JSON, at most
	asked  map[string]bool

	counted map[uuid.UUID]struct{} // whose first password has been asked for in this run
}

// place is a row that is in the batch, or was refused before it got there.
type place struct {
	line   int
	row    profile.UserRow
	split  bool  // its fields could be told apart
	reason error // nil: it is in the batch
}

// enter enters the rows of the file. errPaused: the checkpoint has all that was entered.
func (e *entering) enter(ctx context.Context) error {
	tick := time.NewTicker(e.h.cfg.Checkpoint)
	defer tick.Stop()
	over := make(<-chan time.Time) // never
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		timer := time.NewTimer(left - min(e.h.cfg.Margin, left/3))
		defer timer.Stop()
		over = timer.C
	}
	for {
		p := place{split: true}
		offset, before := e.rows.Place()
		line, bad, err := e.rows.ReadFields(fields(&p.row))
		switch {
		case errors.Is(err, io.EOF):
			return e.flush(ctx)
		case err != nil:
			// What came before is good all the same.
			if failed := e.flush(ctx); failed != nil {
				return failed
			}
			return fileError(err)
		}
		p.line = line
		size := 0
		if bad != nil {
			p.split, p.reason = false, bad
		} else {
			size, p.reason = check(&p.row)
		}
		if len(e.places) == e.h.cfg.BatchRows || e.bytes+size > profile.MaxUserBytes {
			if err := e.flush(ctx); err != nil {
				return err
			}
			select {
			case <-over:
				return cmp.Or(e.pause(ctx, offset, before, true), errPaused)
			case <-tick.C:
				if err := e.pause(ctx, offset, before, false); err != nil {
					return err
				}
			default:
			}
		}
		e.bytes += size
		e.places = append(e.places, p)
		if p.reason == nil {
			e.batch = append(e.batch, p.row)
		}
	}
}

// check refuses what JSON would change or blow up, and says how long the row is in JSON at most.
// The rest is profiler's to judge. The fields keep nothing else of the file in memory.
func check(r *profile.UserRow) (size int, err error) {
	var errs loyalty.FieldErrors
	for i, f := range fields(r) {
		*f = strings.Clone(*f)
		size += 6*len(*f) + 32 // a character may become an escape of six, beside its name
		switch {
		case !utf8.ValidString(*f):
			errs = append(errs, &loyalty.FieldError{Field: layout.Columns[i], Code: "not_utf8", Reason: "is not valid UTF-8"})
		case utf8.RuneCountInString(*f) > loyalty.MaxFieldRunes:
			errs = append(errs, &loyalty.FieldError{Field: layout.Columns[i], Code: "too_long", Reason: fmt.Sprintf("is longer than %d characters", loyalty.MaxFieldRunes)})
		}
	}
	return size, errs.Err()
}

// flush has profiler enter the batch, writes what is refused, and asks for first passwords.
func (e *entering) flush(ctx context.Context) error {
	var out profile.UserOutcomes
	if len(e.batch) > 0 {
		err := e.again(ctx, "entering users", func() (err error) {
			out, err = e.h.deps.Profiler.PutUsers(ctx, "upload "+e.report.Upload, e.batch)
			return err
		})
		if err != nil {
			return err
		}
	}
	at := 0
	for i := range e.places {
		p := &e.places[i]
		if p.reason == nil {
			o := out.Rows[at]
			at++
			if o.Outcome != profile.UserRefused {
				if err := e.counts.accept(o.Outcome); err != nil {
					return err
				}
				continue
			}
			p.reason = reasons(o)
		}
		e.counts.refuse(p.reason)
		var values []*string
		if p.split {
			values = fields(&p.row)
		}
		if err := e.refused.WriteFields(e.report.File, p.line, values, p.reason); err != nil {
			return err
		}
	}
	clear(e.places) // so that what rows have pointed to can go
	clear(e.batch)
	e.places, e.batch, e.bytes = e.places[:0], e.batch[:0], 0
	return e.ask(ctx, out.NewUsers)
}

// ask asks for the first passwords of new users. One that the batch before asked for is left out;
// any other that has been asked for already, in this file or an earlier one, gets no second one.
func (e *entering) ask(ctx context.Context, users []string) error {
	asked := make(map[string]bool, len(users))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(asking)
	for _, user := range users {
		if asked[user] = true; e.asked[user] {
			continue
		}
		id, err := uuid.Parse(user)
		if err != nil {
			return errors.Join(fmt.Errorf("%w: a new user has no id", profile.ErrUnavailable), group.Wait())
		}
		e.count(id)
		group.Go(func() error {
			return e.again(within, "asking for a first password", func() error { return e.h.deps.Passwords.Ask(within, id) })
		})
	}
	e.asked = asked
	return group.Wait()
}

// maxCounted bounds the memory of those who are known to be counted.
const maxCounted = 1 << 19

// count counts whose first password is asked for: a user once, however often, as long as the run goes
// on and there are not more than anybody has.
func (e *entering) count(user uuid.UUID) {
	if _, known := e.counted[user]; known {
		return
	}
	e.counts.passwords++
	if len(e.counted) < maxCounted {
		e.counted[user] = struct{}{}
	}
}

// again does something until it is done, it is of no use, or the time is over.
func (e *entering) again(ctx context.Context, what string, do func() error) error {
	wait := 100 * time.Millisecond
	for try := 1; ; try++ {
		err := do()
		if err == nil {
			return nil
		}
		var refused *profile.Refused
		if errors.As(err, &refused) || ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) < 2*wait {
			return fmt.Errorf("%s: the time is over after %d tries: %w", what, try, err)
		}
		e.log.Warn("it is tried again", "what", what, "try", try, "error", err)
		e.h.deps.Pause(ctx, wait/2+rand.N(wait/2))
		wait = min(2*wait, 20*time.Second)
	}
}

// reasons are why profiler refused a row, in the order of the columns.
func reasons(o profile.UserOutcome) error {
	var errs loyalty.FieldErrors
	for _, c := range layout.Columns {
		if r, ok := o.Fields[c]; ok {
			errs = append(errs, &loyalty.FieldError{Field: c, Code: o.Code, Reason: advise(o.Code, r)})
		}
	}
	if len(errs) == 0 {
		return &loyalty.FieldError{Code: o.Code, Reason: o.Error}
	}
	return errs
}

// advise adds what to do where profiler's words say only what is wrong.
func advise(code, reason string) string {
	if what := map[string]string{
		"email_taken":       "each user has an address of their own: correct it, or merge the two",
		"card_taken":        "correct the id, or give the new card one of its own",
		"not_a_cardholder":  "change it in the portal",
		"user_deleted":      "enter the person under a new id",
		"unknown_card_type": "correct it, or make the card type first and send this row again",
	}[code]; what != "" {
		return reason + "; " + what
	}
	return reason
}

// tally counts the rows of one file.
type tally struct {
	created, changed, unchanged, refused, passwords int64
	reasons                                         map[reason]int64
}

type reason struct{ field, code string }

func newTally() *tally { return &tally{reasons: map[reason]int64{}} }

func (t *tally) accept(outcome string) error {
	switch outcome {
	case profile.UserCreated:
		t.created++
	case profile.UserChanged:
		t.changed++
	case profile.UserUnchanged:
		t.unchanged++
	default:
		return fmt.Errorf("%w: a row is %q", profile.ErrUnavailable, outcome)
	}
	return nil
}

// refuse counts a row that was refused for err, a *loyalty.FieldError or FieldErrors.
func (t *tally) refuse(err error) {
	t.refused++
	first := reason{code: "invalid"}
	if f, ok := errors.AsType[*loyalty.FieldError](err); ok {
		first = reason{f.Field, f.Code}
	}
	t.reasons[first]++
}

// resume is fill, undone.
func (t *tally) resume(c *Checkpoint) {
	t.created, t.changed, t.unchanged, t.passwords = c.Users.Created, c.Users.Changed, c.Users.Unchanged, c.Users.FirstPasswords
	t.refused = c.Rows.Refused
	for _, why := range c.RefusedByReason {
		t.reasons[reason{why.Field, why.Code}] = why.Rows
	}
}

func (t *tally) fill(r *upload.Report) {
	accepted := t.created + t.changed + t.unchanged
	r.Rows = upload.Rows{Read: accepted + t.refused, Accepted: accepted, Refused: t.refused}
	r.Users = &upload.Entered{Created: t.created, Changed: t.changed, Unchanged: t.unchanged, FirstPasswords: t.passwords}
	r.Totals = upload.Totals{Read: upload.Amounts{}, Accepted: upload.Amounts{}, Refused: upload.Amounts{}}
	r.RefusedByReason = []upload.RefusedReason{}
	for k, n := range t.reasons {
		r.RefusedByReason = append(r.RefusedByReason, upload.RefusedReason{Field: k.field, Code: k.code, Rows: n, Money: upload.Amounts{}})
	}
	slices.SortFunc(r.RefusedByReason, func(a, b upload.RefusedReason) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Code, b.Code))
	})
}
