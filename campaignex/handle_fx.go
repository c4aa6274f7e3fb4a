package campaignex

import (
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
)

// listDays answers a page of days with their quotes.
//
//	@Summary	Days and their quotes, a page of them
//	@Tags		fx
//	@Produce	json
//	@Param		from		query		string	false	"first day"	Format(date)
//	@Param		to			query		string	false	"last day"	Format(date)
//	@Param		sort		query		string	false	"date or -date"
//	@Param		page_size	query		int		false	"1 to 1000"	default(100)
//	@Param		page_no		query		int		false	"from 1"	default(1)
//	@Success	200			{object}	DayPage
//	@Failure	400			{object}	ErrorBody
//	@Failure	401			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Router		/fx [get]
func (s *service) listDays(c *gin.Context) { s.quotes.List(c) }

// getDay answers a day's quotes.
//
//	@Summary	The quotes of a day
//	@Tags		fx
//	@Produce	json
//	@Param		date	path		string	true	"the day"	Format(date)
//	@Success	200		{object}	DayAnswer
//	@Header		200		{string}	ETag	"the version, for If-Match"
//	@Failure	400		{object}	ErrorBody
//	@Failure	401		{object}	ErrorBody
//	@Failure	403		{object}	ErrorBody
//	@Failure	404		{object}	ErrorBody
//	@Router		/fx/{date} [get]
func (s *service) getDay(c *gin.Context) { s.quotes.Get(c) }

// putDay makes or changes a day's quotes.
//
//	@Summary	Set the quotes of a day
//	@Tags		fx
//	@Accept		json
//	@Produce	json
//	@Param		date		path		string	true	"the day"	Format(date)
//	@Param		If-Match	header		string	false	"the ETag that was read; without it the last write wins"
//	@Param		quotes		body		DayBody	true	"units of each currency for one of the base"
//	@Success	200			{object}	DayAnswer
//	@Success	201			{object}	DayAnswer
//	@Failure	400			{object}	ErrorBody
//	@Failure	401			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Failure	404			{object}	ErrorBody	"with If-Match, where the day has no quotes"
//	@Failure	412			{object}	ErrorBody
//	@Failure	503			{object}	ErrorBody
//	@Router		/fx/{date} [put]
func (s *service) putDay(c *gin.Context) { s.quotes.PutOrCreate(c) }

// deleteDay deletes a day's quotes.
//
//	@Summary	Delete the quotes of a day
//	@Tags		fx
//	@Param		date		path	string	true	"the day"	Format(date)
//	@Param		If-Match	header	string	false	"the ETag that was read"
//	@Success	204
//	@Failure	401	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Failure	404	{object}	ErrorBody
//	@Failure	412	{object}	ErrorBody
//	@Failure	503	{object}	ErrorBody
//	@Router		/fx/{date} [delete]
func (s *service) deleteDay(c *gin.Context) { s.quotes.Delete(c) }

// dayHistory answers who changed what.
//
//	@Summary	Who changed the quotes of a day, when and how; the newest first
//	@Tags		fx
//	@Produce	json
//	@Param		date		path		string	true	"the day"	Format(date)
//	@Param		page_size	query		int		false	"1 to 1000"	default(100)
//	@Param		page_no		query		int		false	"from 1"	default(1)
//	@Success	200			{object}	HistoryPage
//	@Failure	401			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Failure	404			{object}	ErrorBody
//	@Router		/fx/{date}/history [get]
func (s *service) dayHistory(c *gin.Context) { s.quotes.History(c) }

// importDays takes the ECB's history.
//
//	@Summary		Take over the European Central Bank's history of reference rates
//	@Description	The days of the file become as the file has them; other days stay. Sending it again changes nothing.
//	@Tags			fx
//	@Accept			text/csv
//	@Accept			application/zip
//	@Produce		json
//	@Param			file	body		string	true	"eurofxref-hist.csv, or the zip with it"
//	@Success		200		{object}	ImportAnswer
//	@Failure		400		{object}	ErrorBody	"names the line"
//	@Failure		401		{object}	ErrorBody
//	@Failure		403		{object}	ErrorBody
//	@Failure		413		{object}	ErrorBody
//	@Failure		415		{object}	ErrorBody
//	@Failure		503		{object}	ErrorBody
//	@Router			/fx [post]
func (s *service) importDays(c *gin.Context) {
	var read func([]byte) (History, error)
	switch kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type")); {
	case err == nil && kind == "text/csv":
		read = ReadHistory
	case err == nil && (kind == "application/zip" || kind == "application/x-zip-compressed"):
		read = ReadHistoryZip
	default:
		web.Fail(c, &web.Error{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type",
			Message: "the Content-Type must be text/csv or application/zip"})
		return
	}
	body, err := io.ReadAll(c.Request.Body)
	if err != nil {
		web.Fail(c, fmt.Errorf("reading the body: %w", err))
		return
	}
	history, err := read(body)
	if err != nil {
		web.Fail(c, err)
		return
	}
	ctx := c.Request.Context()
	changed, err := s.store.Import(ctx, web.CallerOf(ctx).ID, Rules{Days: history.Days})
	if err != nil {
		web.Fail(c, err)
		return
	}
	web.SecurityEvent(ctx, "rule_written", slog.String("kind", s.quotes.Name), slog.String("action", "imported"), slog.Int("days", len(history.Days)), slog.Int("changed", changed))
	s.publisher.Wake()
	web.Data(c, http.StatusOK, ImportResult{
		Days: len(history.Days), Changed: changed,
		From: history.Days[0].ID(), To: history.Days[len(history.Days)-1].ID(), Unknown: history.Unknown,
	})
}

// ImportResult says what an import took over.
type ImportResult struct {
	Days    int      `json:"days" example:"6982"`
	Changed int      `json:"changed" example:"1"` // of the days: those that were otherwise before
	From    string   `json:"from" format:"date" example:"1999-01-04"`
	To      string   `json:"to" format:"date" example:"2026-04-13"`
	Unknown []string `json:"unknown_columns,omitempty"` // columns of no currency that is known
}

func dayFilter(params url.Values) (f DayFilter, err error) {
	var errs loyalty.FieldErrors
	day := func(name string) loyalty.Date {
		text := params.Get(name)
		if text == "" {
			return 0
		}
		d, err := loyalty.ParseDate(text)
		if err != nil {
			errs.Add(name, named(name, err))
		}
		return d
	}
	f = DayFilter{From: day("from"), To: day("to")}
	return f, errs.Err()
}
