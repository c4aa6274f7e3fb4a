package ops

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/rewarder/ops/docs"
	"github.com/gin-gonic/gin"
	swaggerfiles "github.com/swaggo/files"
	ginswagger "github.com/swaggo/gin-swagger"
)

//go:generate go run github.com/swaggo/swag/cmd/swag@v1.16.6 init --quiet --generalInfo routes.go --dir .,..,../../loyalty --output docs --outputTypes go --instanceName rewarder

// patience is how long a request may take: less than the gateway waits.
const patience = 20 * time.Second

// Service is what the routes stand on.
type Service struct {
	Desk     *Desk
	Log      *slog.Logger
	Identify func(*http.Request) (web.Caller, error) // who calls: a web.Bearer
	// Session says whether the session of whoever sends again still holds: a profile.Client's.
	Session func(ctx context.Context, account string) (profile.Session, error)
	Portal  string            // the origin of the portal, whose scripts may read answers; "" is none
	Meter   *web.Meter        // counts requests; nil: nothing does
	Traces  *tracing.Provider // nil: nothing is traced
}

// Handler serves admins.
//
//	@title			AngelOwl rewarder
//	@version		1.0
//	@description	How the system is, and what was set aside.
//	@BasePath		/
//
//	@securityDefinitions.apikey	Bearer
//	@in							header
//	@name						Authorization
//	@description				Bearer, a space, and the token that POST /auth/login answers
//	@security					Bearer
func (s *Service) Handler() http.Handler { return s.routes() }

func (s *Service) routes() *gin.Engine {
	r := web.New(s.Log, web.WithIdentity(s.Identify), web.WithPublic(web.SwaggerRoute), web.WithPortal(s.Portal), web.WithMeter(s.Meter), web.WithTraces(s.Traces))
	admin, fresh := web.Allow(token.Admin), web.Fresh(s.Session)

	r.GET("/ops/status", admin, s.status)
	r.GET("/ops/deadletters", admin, s.list)
	r.GET("/ops/deadletters/:letter", admin, s.show)
	r.POST("/ops/deadletters/:letter/resend", admin, fresh, s.resend)

	r.GET(web.SwaggerRoute, ginswagger.WrapHandler(swaggerfiles.NewHandler(), ginswagger.InstanceName(docs.SwaggerInforewarder.InstanceName())))
	return r
}

// Routes are the service's, for whoever compares them with the gateway's file.
func Routes() gin.RoutesInfo { return (&Service{Log: slog.New(slog.DiscardHandler)}).routes().Routes() }

// StatusAnswer is the answer with how the system is.
type StatusAnswer struct {
	Data Status `json:"data"`
}

// LetterPage is a page of dead letters.
type LetterPage struct {
	Data        []Letter `json:"data"`
	Total       int      `json:"total"`         // of the query, in all pages
	Next        string   `json:"next"`          // send it back as cursor; empty at the end
	NotLookedAt int64    `json:"not_looked_at"` // older records of the dead letters' topic, which no page has
}

// LetterAnswer is the answer with a dead letter.
type LetterAnswer struct {
	Data Whole `json:"data"`
}

// ResendBody is what to mend.
type ResendBody struct {
	Set   SetBody `json:"set"`
	Again bool    `json:"again"` // once more, even if it was sent again before
}

// SetBody is new values of a transaction's fields, as texts; what is absent stays as it is.
type SetBody struct {
	ID              *string `json:"id"`
	CardID          *string `json:"card_id"`
	Merchant        *string `json:"merchant"`
	MCC             *string `json:"mcc"`
	Currency        *string `json:"currency"`
	Amount          *string `json:"amount"`
	SGDAmount       *string `json:"sgd_amount"`
	TransactionID   *string `json:"transaction_id"`
	TransactionDate *string `json:"transaction_date"`
	CardPAN         *string `json:"card_pan"`
	CardType        *string `json:"card_type"`
}

// fields are those that are set, in the order of the names.
func (b SetBody) fields() (set []Field) {
	for name, value := range map[string]*string{
		"id": b.ID, "card_id": b.CardID, "merchant": b.Merchant, "mcc": b.MCC, "currency": b.Currency, "amount": b.Amount, "sgd_amount": b.SGDAmount,
		"transaction_id": b.TransactionID, "transaction_date": b.TransactionDate, "card_pan": b.CardPAN, "card_type": b.CardType,
	} {
		if value != nil {
			set = append(set, Field{name, *value})
		}
	}
	slices.SortFunc(set, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return set
}

// Done is where a dead letter's record is now.
type Done struct {
	ID     string   `json:"id"`
	To     string   `json:"to"` // partition/offset
	Mended []string `json:"mended"`
}

// DoneAnswer is the answer to a resend.
type DoneAnswer struct {
	Data Done `json:"data"`
}

// ErrorBody is an answer that is an error.
type ErrorBody struct {
	Error  string            `json:"error"`
	Code   string            `json:"code"`
	Fields map[string]string `json:"fields,omitempty"`
}

// status answers how the system is.
//
//	@Summary	How the system is: lag, rates, rules in force, rewarders, dead letters
//	@Tags		ops
//	@Produce	json
//	@Success	200	{object}	StatusAnswer
//	@Failure	401	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Failure	503	{object}	ErrorBody
//	@Router		/ops/status [get]
func (s *Service) status(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), patience)
	defer cancel()
	st, err := s.Desk.Status(ctx)
	if err != nil {
		fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, st)
}

// list answers a page of dead letters.
//
//	@Summary		Dead letters, the newest first
//	@Description	The newest 50,000 records of the dead letters' topic are looked at; not_looked_at says how many are older.
//	@Tags			ops
//	@Produce		json
//	@Param			reason		query		string	false	"only those with this reason"
//	@Param			resent		query		string	false	"true: only those that were sent again; false: only those that were not"	Enums(true, false)
//	@Param			page_size	query		int		false	"1 to 1000"	default(100)
//	@Param			cursor		query		string	false	"next of the page before"
//	@Success		200			{object}	LetterPage
//	@Failure		400			{object}	ErrorBody
//	@Failure		401			{object}	ErrorBody
//	@Failure		403			{object}	ErrorBody
//	@Failure		503			{object}	ErrorBody
//	@Router			/ops/deadletters [get]
func (s *Service) list(c *gin.Context) {
	f, err := filter(c.Request.URL.Query())
	if err != nil {
		web.Fail(c, err)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), patience)
	defer cancel()
	p, err := s.Desk.Letters(ctx, f)
	if err != nil {
		fail(c, err)
		return
	}
	web.JSON(c, http.StatusOK, LetterPage{p.Letters, p.Total, p.Next, p.NotLookedAt})
}

const maxText = 256 // characters of a parameter

func filter(q url.Values) (f Filter, err error) {
	f = Filter{Reason: q.Get("reason"), Before: q.Get("cursor"), Limit: 100}
	if err := web.CheckText("reason", f.Reason, maxText); err != nil {
		return f, err
	}
	switch q.Get("resent") {
	case "":
	case "true", "false":
		resent := q.Get("resent") == "true"
		f.Resent = &resent
	default:
		return f, web.Invalid("resent", "not_a_bool", "must be true or false")
	}
	if f.Before != "" {
		if _, ok := parseCursor(f.Before); !ok {
			return f, web.Invalid("cursor", "not_a_cursor", "must be the next of an answer")
		}
	}
	if size := q.Get("page_size"); size != "" {
		if f.Limit, err = strconv.Atoi(size); err != nil || f.Limit < 1 || f.Limit > 1000 {
			return f, web.Invalid("page_size", "out_of_range", "must be a whole number from 1 to 1000")
		}
	}
	return f, nil
}

// show answers a dead letter.
//
//	@Summary	A dead letter with all that is known of it; card numbers are masked
//	@Tags		ops
//	@Produce	json
//	@Param		letter	path		string	true	"its id"
//	@Success	200		{object}	LetterAnswer
//	@Failure	400		{object}	ErrorBody
//	@Failure	401		{object}	ErrorBody
//	@Failure	403		{object}	ErrorBody
//	@Failure	404		{object}	ErrorBody
//	@Failure	503		{object}	ErrorBody
//	@Router		/ops/deadletters/{letter} [get]
func (s *Service) show(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), patience)
	defer cancel()
	l, err := s.Desk.Letter(ctx, c.Param("letter"))
	if err != nil {
		fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, l)
}

// resend sends a dead letter again.
//
//	@Summary		Mend a dead letter and send it again
//	@Description	It is evaluated against the live rules first, and not sent if it would be set aside again.
//	@Tags			ops
//	@Accept			json
//	@Produce		json
//	@Param			letter	path		string		true	"its id"
//	@Param			what	body		ResendBody	true	"the fields to mend"
//	@Success		200		{object}	DoneAnswer
//	@Failure		400		{object}	ErrorBody
//	@Failure		401		{object}	ErrorBody
//	@Failure		403		{object}	ErrorBody
//	@Failure		404		{object}	ErrorBody
//	@Failure		409		{object}	ErrorBody
//	@Failure		422		{object}	ErrorBody
//	@Failure		503		{object}	ErrorBody
//	@Router			/ops/deadletters/{letter}/resend [post]
func (s *Service) resend(c *gin.Context) {
	var body ResendBody
	if err := web.Bind(c, &body); err != nil {
		web.Fail(c, err)
		return
	}
	ctx := c.Request.Context()
	id := c.Param("letter")
	r := Resend{IDs: []string{id}, Again: body.Again, By: web.CallerOf(ctx).ID}
	r.Set = body.Set.fields()
	names := []string{}
	for _, f := range r.Set {
		if err := web.CheckText("set."+f.Name, f.Value, maxText); err != nil {
			web.Fail(c, err)
			return
		}
		names = append(names, f.Name)
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var sent Sent
	if _, err := s.Desk.Resend(waiting, r, func(one Sent) { sent = one }); err != nil {
		fail(c, err)
		return
	}
	if sent.To != "" { // the mark may be missing, but the record is in the log
		web.SecurityEvent(ctx, "dead_letter_resent", slog.String("letter", sent.ID), slog.String("to", sent.To), slog.Any("mended", names), slog.Bool("again", body.Again))
	}
	var field *loyalty.FieldError
	switch {
	case errors.As(sent.Err, &field) && slices.Contains(names, field.Field):
		web.Fail(c, web.Invalid("set."+field.Field, field.Code, "%s", field.Reason))
		return
	case sent.Err != nil:
		fail(c, sent.Err)
		return
	}
	web.Data(c, http.StatusOK, Done{sent.ID, sent.To, names})
}

// fail answers an error of the desk.
func fail(c *gin.Context, err error) {
	var before *BeforeError
	var field *loyalty.FieldError
	is := func(status int, code, message string) {
		web.Fail(c, &web.Error{Status: status, Code: code, Message: message})
	}
	switch {
	case errors.Is(err, ErrID):
		web.Fail(c, web.Invalid("letter", "not_an_id", "must be the id of a dead letter, such as 1.0.123"))
	case errors.Is(err, ErrNoLetter):
		is(http.StatusNotFound, "not_found", "there is no such dead letter, or it is too old to be looked at")
	case errors.As(err, &before):
		is(http.StatusConflict, "resent_before", "it "+before.Error()+`; say "again": true if it has to be once more`)
	case errors.Is(err, ErrKind):
		is(http.StatusUnprocessableEntity, "not_a_transaction", err.Error())
	case errors.Is(err, ErrAsBefore):
		is(http.StatusUnprocessableEntity, "would_be_set_aside", loyalty.StarPANs(err.Error()))
	case errors.As(err, &field):
		web.Fail(c, field)
	case errors.Is(err, ErrUnmarked):
		web.Log(c.Request.Context()).Error("a dead letter was sent again and not marked", "error", err)
		is(http.StatusServiceUnavailable, "not_marked", ErrUnmarked.Error()+"; once more does no harm")
	case errors.Is(err, ErrAway):
		web.Log(c.Request.Context()).Error("the log or etcd cannot be reached", "error", err)
		is(http.StatusServiceUnavailable, "log_unavailable", "the log or etcd cannot be reached just now; try again in a moment")
	default:
		web.Fail(c, err)
	}
}
