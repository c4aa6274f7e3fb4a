package informer

import (
	"context"
	"encoding/csv"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
)

const (
	defaultPageSize = 20
	maxPageSize     = 1000

	// maxDepth is how many rows page numbers lead past. Each of them is read again for every
	// page, so what lies deeper is for cursors, which cost the same everywhere.
	maxDepth = 10_000
)

// rewards answers a page of a card's history, or all of it as CSV.
//
//	@Summary		A card's rewards, newest first
//	@Description	A page by its number, or, with cursor, the page behind an earlier one, which costs the same however deep it is. A page past the end is empty. A user reads only cards that are theirs; of any other the answer is 404, whether there is such a card or not. With merchant or outcome a page may have fewer rewards than page_size, or none, before the end: a request reads 2,000 rows at most, and only an empty next is the end.
//	@Tags			reward
//	@Produce		json
//	@Produce		text/csv
//	@Param			cardId		path		string	true	"the card's id"									format(uuid)
//	@Param			page_size	query		int		false	"rewards in a page"								minimum(1)	maximum(1000)	default(20)
//	@Param			page_no		query		int		false	"the page; up to 10,000 rewards deep"			minimum(1)	default(1)
//	@Param			cursor		query		string	false	"the next of an earlier page of the same query; page_no is then not read"
//	@Param			from		query		string	false	"first transaction date, included"				format(date)
//	@Param			to			query		string	false	"last transaction date, included"				format(date)
//	@Param			merchant	query		string	false	"part of the merchant's name, without case"
//	@Param			outcome		query		string	false	"what the rules said"							Enums(rewarded, no_campaign, excluded)
//	@Param			format		query		string	false	"csv downloads all rewards of the query"		Enums(json, csv)
//	@Success		200			{object}	RewardsPage
//	@Failure		400			{object}	ErrorBody
//	@Failure		401			{object}	ErrorBody
//	@Failure		403			{object}	ErrorBody
//	@Failure		404			{object}	ErrorBody
//	@Failure		500			{object}	ErrorBody
//	@Failure		503			{object}	ErrorBody
//	@Router			/reward/{cardId} [get]
func (s *service) rewards(c *gin.Context) {
	p := paramsOf(c)
	q := Query{Card: p.card()}
	q.Limit = p.number("page_size", defaultPageSize, maxPageSize)
	pageNo := p.number("page_no", 1, 1<<31-1)
	q.From, q.To = p.dates()
	q.Merchant = p.text("merchant")
	q.Outcome = loyalty.Outcome(p.oneOf("outcome", string(loyalty.Rewarded), string(loyalty.NoCampaign), string(loyalty.Excluded)))
	q.After = p.values.Get("cursor")
	format := p.oneOf("format", "json", "csv")
	if err := p.errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	ctx := c.Request.Context()
	if format == "csv" {
		s.download(c, q)
		return
	}
	count, err := s.tallies.count(ctx, q)
	if err != nil {
		web.Fail(c, err)
		return
	}
	page, err := s.page(ctx, q, pageNo, count)
	if err != nil {
		web.Fail(c, cursorError(err))
		return
	}
	web.JSON(c, http.StatusOK, struct {
		PageNo int           `json:"page_no"`
		Total  *int          `json:"total_rewards"`
		Data   []loyalty.Row `json:"data"`
		Next   string        `json:"next"`
	}{pageNo, count, rowsOf(page), page.Next})
}

// page reads the page of a cursor, or of a number.
func (s *service) page(ctx context.Context, q Query, pageNo int, count *int) (Page, error) {
	if q.After != "" || pageNo == 1 {
		return s.store.Rewards(ctx, q)
	}
	skip := (pageNo - 1) * q.Limit
	if skip > maxDepth {
		if count != nil && skip >= *count {
			return Page{}, nil
		}
		return Page{}, web.Invalid("page_no", "too_deep", "leads past %d rewards; go on by the cursor in next", maxDepth)
	}
	// A walk to the page: by large steps, whose rows are dropped.
	walk := q
	for skip > 0 {
		walk.Limit = min(skip, maxPageSize)
		page, err := s.store.Rewards(ctx, walk)
		if err != nil || page.Next == "" {
			return Page{}, err
		}
		if len(page.Rows) < walk.Limit {
			return Page{}, web.Invalid("page_no", "too_deep", "leads past what one request reads for merchant or outcome; go on by the cursor in next")
		}
		skip -= len(page.Rows)
		walk.After = page.Next
	}
	q.After = walk.After
	return s.store.Rewards(ctx, q)
}

func rowsOf(p Page) []loyalty.Row {
	if p.Rows == nil {
		return []loyalty.Row{}
	}
	return p.Rows
}

func cursorError(err error) error {
	if errors.Is(err, ErrCursor) {
		return web.Invalid("cursor", "unknown", "is not the next of a page of this query")
	}
	return err
}

// today answers a page of a day's rewards.
//
//	@Summary		A day's rewards, on the internal port only
//	@Description	The rewards whose records arrived on a day of the bank, by card, transaction date and id. What arrives again on another day is not among them.
//	@Tags			internal
//	@Produce		json
//	@Param			day			query		string	false	"the bank's day; today where there is none"	format(date)
//	@Param			page_size	query		int		false	"rewards in a page"	minimum(1)	maximum(1000)	default(100)
//	@Param			cursor		query		string	false	"the next of an earlier page of that day"
//	@Success		200			{object}	DayPage
//	@Failure		400			{object}	ErrorBody
//	@Failure		401			{object}	ErrorBody
//	@Failure		403			{object}	ErrorBody
//	@Failure		500			{object}	ErrorBody
//	@Router			/reward/today [get]
func (s *service) today(c *gin.Context) {
	p := paramsOf(c)
	q := DayQuery{Day: p.date("day"), Limit: p.number("page_size", 100, maxPageSize), After: p.values.Get("cursor")}
	if err := p.errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	if q.Day == 0 {
		q.Day = loyalty.DateOf(s.clock().In(s.cfg.Timezone).Date())
	}
	page, err := s.store.Day(c.Request.Context(), q)
	if err != nil {
		web.Fail(c, cursorError(err))
		return
	}
	web.JSON(c, http.StatusOK, struct {
		Day  loyalty.Date  `json:"day"`
		Data []loyalty.Row `json:"data"`
		Next string        `json:"next"`
	}{q.Day, rowsOf(page), page.Next})
}

// csvColumns are those of a transaction, then what it earned.
var csvColumns = append(append([]string(nil), loyalty.Columns...),
	"reward_amount", "reward_unit", "programme", "outcome", "remarks", "created_at")

// download streams all rewards of a query, a page of the store at a time. An error on the way
// breaks the connection, so that a part is not taken for the whole.
func (s *service) download(c *gin.Context, q Query) {
	q.Limit = maxPageSize
	page, err := s.store.Rewards(c.Request.Context(), q)
	if err != nil {
		web.Fail(c, cursorError(err))
		return
	}
	web.SecurityEvent(c.Request.Context(), "rewards_downloaded", slog.String("card_id", q.Card.String()))
	h := c.Writer.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="rewards-`+q.Card.String()+`.csv"`)
	c.Status(http.StatusOK)
	w := csv.NewWriter(c.Writer)
	deadline := http.NewResponseController(c.Writer)
	if err := w.Write(csvColumns); err != nil {
		return // the client went away
	}
	for {
		// Each part has its own time, since the whole may take longer than a server allows.
		_ = deadline.SetWriteDeadline(time.Now().Add(time.Minute))
		for i := range page.Rows {
			if err := w.Write(csvRecord(&page.Rows[i])); err != nil {
				return
			}
		}
		w.Flush()
		if w.Error() != nil {
			return
		}
		c.Writer.Flush()
		if page.Next == "" {
			return
		}
		q.After = page.Next
		if page, err = s.store.Rewards(c.Request.Context(), q); err != nil {
			web.Fail(c, err)
			return
		}
	}
}

func csvRecord(r *loyalty.Row) []string {
	given := ""
	if !r.HomeAmount.IsZero() {
		given = r.HomeAmount.String()
	}
	return []string{
		r.ID.String(), r.CardID.String(), spreadsheetText(r.Merchant), strconv.Itoa(int(r.MCC)), r.Currency.String(),
		r.Money().Amount(), given, spreadsheetText(r.Reference), r.Date.String(), r.CardPAN, spreadsheetText(r.CardType),
		r.Units.String(), spreadsheetText(r.Trace.Unit), spreadsheetText(r.Trace.Programme), string(r.Trace.Outcome),
		spreadsheetText(r.Remarks), r.CreatedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
	}
}

// spreadsheetText keeps a spreadsheet from taking a text for a formula, as OWASP's page on CSV
// injection says.
func spreadsheetText(s string) string {
	if s != "" && strings.IndexByte("=+-@\t\r", s[0]) >= 0 {
		return "'" + s
	}
	return s
}
