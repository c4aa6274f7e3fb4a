package ops

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	rewarderops "github.com/angelowl-loyalties/app/rewarder/ops"
)

// What a dead letter is.
type (
	Letter = rewarderops.Letter
	Whole  = rewarderops.Whole
	Resent = rewarderops.Resent
	Filter = rewarderops.Filter
)

// Letters returns dead letters, the newest last, and how many there are before them.
func (s *System) Letters(ctx context.Context, f Filter) (letters []Letter, before int, err error) {
	page, err := s.desk.Letters(ctx, f)
	slices.Reverse(page.Letters)
	return page.Letters, page.Older, err
}

// Letter returns one dead letter.
func (s *System) Letter(ctx context.Context, id string) (Whole, error) { return s.desk.Letter(ctx, id) }

// PrintLetters writes dead letters as a table.
func (s *System) PrintLetters(w io.Writer, letters []Letter, before int) error {
	if len(letters) == 0 {
		_, err := fmt.Fprintln(w, "There are no such dead letters.")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tSET ASIDE\tREASON\tSOURCE\tLINE\tSENT AGAIN\tDETAIL")
	for _, l := range letters {
		line, again := "-", "-"
		if l.Line > 0 {
			line = strconv.FormatInt(l.Line, 10)
		}
		if n := len(l.Resent); n > 0 {
			again = s.when(l.Resent[n-1].At)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			l.ID, s.when(l.At), short(l.Reason, 30), short(cmp.Or(l.Source, "-"), 50), line, again, short(l.Detail, 60))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if before > 0 {
		fmt.Fprintf(w, "\n%d older ones: --before %s\n", before, letters[0].ID)
	}
	return nil
}

// PrintLetter writes all that is known of a dead letter.
func (s *System) PrintLetter(w io.Writer, l Whole) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "id\t%s\nset aside\t%s\nreason\t%s\ndetail\t%s\n", l.ID, s.when(l.At), plain(l.Reason), plain(l.Detail))
	for _, r := range l.Resent {
		mended := ""
		if len(r.Mended) > 0 {
			mended = ", mended: " + strings.Join(r.Mended, ", ")
		}
		fmt.Fprintf(tw, "sent again\t%s by %s, now at %s%s\n", s.when(r.At), plain(r.By), plain(r.To), plain(mended))
	}
	fmt.Fprintf(tw, "key\t%s\n", plain(l.Key))
	for _, h := range l.Headers {
		fmt.Fprintf(tw, "header %s\t%s\n", plain(h.Name), plain(h.Value))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	var pretty bytes.Buffer
	if l.IsText {
		var text string
		if err := json.Unmarshal(l.Value, &text); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "\nthe value is not JSON: %s\n", plain(strconv.QuoteToGraphic(text)))
		return err
	}
	if err := json.Indent(&pretty, l.Value, "", "  "); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for line := range strings.Lines(pretty.String()) {
		fmt.Fprintln(w, plain(strings.TrimSuffix(line, "\n")))
	}
	return nil
}
