package profiler

import (
	"errors"
	"net/http"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
)

// maxMailCards is of how many cards, and maxRows of how many rewards, one may ask at once.
const maxMailCards = 1000

// UnmailedBody asks which rewards no mail has told of.
type UnmailedBody struct {
	Since string         `json:"since" format:"date"` // the first day of mails that are looked at
	Cards []CardRowsBody `json:"cards"`
}

// CardRowsBody are rewards of a card: 16 bytes for each, in base64.
type CardRowsBody struct {
	CardID string `json:"card_id" format:"uuid"`
	Rows   []byte `json:"rows" swaggertype:"string" format:"base64"`
}

// UnmailedItem are rewards of a card that no mail has told of.
type UnmailedItem struct {
	CardID string `json:"card_id" format:"uuid"`
	UserID string `json:"user_id" format:"uuid"`
	Rows   []byte `json:"rows" swaggertype:"string" format:"base64"`
}

// UnmailedAnswer are those of the cards that have some.
type UnmailedAnswer struct {
	Data []UnmailedItem `json:"data"`
}

// BeginMailBody begins the mail of a day.
type BeginMailBody struct {
	UserID    string `json:"user_id" format:"uuid"`
	Day       string `json:"day" format:"date"`
	Since     string `json:"since" format:"date"` // the first day of mails that are looked at
	MessageID string `json:"message_id"`
	Rows      []byte `json:"rows" swaggertype:"string" format:"base64"`
}

// BegunItem are the mails to be sent.
type BegunItem struct {
	Name        string      `json:"name"`
	Email       string      `json:"email" format:"email"`
	Unsubscribe string      `json:"unsubscribe"` // the token of the link
	Mails       []BegunMail `json:"mails"`
}

// BegunMail is a mail to be sent.
type BegunMail struct {
	Day       string `json:"day" format:"date"`
	MessageID string `json:"message_id"`
	Rows      []byte `json:"rows" swaggertype:"string" format:"base64"` // of those that were sent, the ones it tells of
}

// BegunAnswer are the mails to be sent.
type BegunAnswer struct {
	Data BegunItem `json:"data"`
}

// EndMailBody ends a mail.
type EndMailBody struct {
	UserID  string `json:"user_id" format:"uuid"`
	Day     string `json:"day" format:"date"`
	Refused bool   `json:"refused"` // by the mail system, for good
}

// MailDayItem says whether all mails of a day were sent.
type MailDayItem struct {
	Mailed bool `json:"mailed"`
}

// MailDayAnswer says whether all mails of a day were sent.
type MailDayAnswer struct {
	Data MailDayItem `json:"data"`
}

// RecordedAnswer says that the ledger has it.
type RecordedAnswer struct {
	Data string `json:"data" example:"OK"`
}

// unmailed says which rewards no mail has told of.
//
//	@Summary		Which rewards no mail has told of (internal port; role service)
//	@Description	Up to 1,000 cards with 20,000 rewards, each named by 16 bytes. Answered are the cards of accounts that get reward mails, with those of their rewards of which no mail that was sent, of since or a later day, tells.
//	@Tags			internal
//	@Accept			json
//	@Produce		json
//	@Param			body	body		UnmailedBody	true	"the rewards"
//	@Success		200		{object}	UnmailedAnswer
//	@Failure		400		{object}	ErrorBody
//	@Failure		403		{object}	ErrorBody
//	@Router			/internal/reward-mails/unmailed [post]
func (s *service) unmailed(c *gin.Context) {
	var (
		body UnmailedBody
		errs loyalty.FieldErrors
	)
	if err := web.Bind(c, &body); err != nil {
		web.Fail(c, err)
		return
	}
	since := parseDay(&errs, "since", body.Since)
	cards, rows := make([]CardRows, len(body.Cards)), 0
	for i, b := range body.Cards {
		cards[i] = CardRows{Card: parseUUID(&errs, "card_id", b.CardID), Rows: parseRows(&errs, b.Rows)}
		rows += len(cards[i].Rows)
	}
	if len(cards) > maxMailCards || rows > MaxMailRows {
		errs.Add("", invalid("cards", "too_many", "are more than %d, or have more than %d rows", maxMailCards, MaxMailRows))
	}
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	left, err := s.store.Unmailed(c.Request.Context(), since, cards)
	if err != nil {
		web.Fail(c, err)
		return
	}
	out := make([]UnmailedItem, len(left))
	for i, l := range left {
		out[i] = UnmailedItem{CardID: l.Card.String(), UserID: l.User.String(), Rows: joinRows(l.Rows)}
	}
	web.Data(c, http.StatusOK, out)
}

// beginMail enters a mail before it is sent.
//
//	@Summary		Begin an account's mail of a day (internal port; role service)
//	@Description	Of up to 20,000 rewards. Answered are all mails of the account that are to be sent now: this one, if there is none of that day yet and something new to tell, and earlier ones whose sending was cut off, each with the Message-ID that it had.
//	@Tags			internal
//	@Accept			json
//	@Produce		json
//	@Param			body	body		BeginMailBody	true	"the mail"
//	@Success		200		{object}	BegunAnswer
//	@Failure		400		{object}	ErrorBody
//	@Failure		403		{object}	ErrorBody
//	@Failure		404		{object}	ErrorBody	"the account is not there any more"
//	@Router			/internal/reward-mails/begin [post]
func (s *service) beginMail(c *gin.Context) {
	var (
		body BeginMailBody
		errs loyalty.FieldErrors
	)
	if err := web.Bind(c, &body); err != nil {
		web.Fail(c, err)
		return
	}
	m := RewardMail{
		User: parseUUID(&errs, "user_id", body.UserID), Day: parseDay(&errs, "day", body.Day),
		MessageID: body.MessageID, Rows: parseRows(&errs, body.Rows),
	}
	since := parseDay(&errs, "since", body.Since)
	if !mail.Addressable(m.MessageID) {
		errs.Add("", invalid("message_id", "not_an_id", "must be a Message-ID without its angle brackets"))
	}
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	user, mails, err := s.store.BeginMail(c.Request.Context(), m, since)
	if errors.Is(err, ErrNoUser) {
		fail(c, "user", m.User.String(), ruleapi.ErrNotFound)
		return
	}
	if err != nil {
		web.Fail(c, err)
		return
	}
	to := user.address()
	out := BegunItem{Name: to.Name, Email: to.Address, Mails: make([]BegunMail, len(mails))}
	if out.Unsubscribe, err = s.signIn.UnsubscribeToken(user.ID.String()); err != nil {
		web.Fail(c, err)
		return
	}
	for i, b := range mails {
		out.Mails[i] = BegunMail{Day: b.Day.String(), MessageID: b.MessageID, Rows: joinRows(b.Rows)}
	}
	web.Data(c, http.StatusOK, out)
}

// endMail says what became of a mail.
//
//	@Summary	Say that a mail was taken, or refused for good (internal port; role service)
//	@Tags		internal
//	@Accept		json
//	@Produce	json
//	@Param		body	body		EndMailBody	true	"the mail"
//	@Success	200		{object}	RecordedAnswer
//	@Failure	400		{object}	ErrorBody
//	@Failure	403		{object}	ErrorBody
//	@Router		/internal/reward-mails/end [post]
func (s *service) endMail(c *gin.Context) {
	var (
		body EndMailBody
		errs loyalty.FieldErrors
	)
	if err := web.Bind(c, &body); err != nil {
		web.Fail(c, err)
		return
	}
	user, day := parseUUID(&errs, "user_id", body.UserID), parseDay(&errs, "day", body.Day)
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	if err := s.store.EndMail(c.Request.Context(), user, day, body.Refused); err != nil {
		web.Fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, "OK")
}

// mailDay says whether all mails of a day were sent.
//
//	@Summary	Whether all mails of a day were sent (internal port; role service)
//	@Tags		internal
//	@Produce	json
//	@Param		day	path		string	true	"the bank's day"	format(date)
//	@Success	200	{object}	MailDayAnswer
//	@Failure	400	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Router		/internal/reward-mails/day/{day} [get]
func (s *service) mailDay(c *gin.Context) {
	s.ofDay(c, func(day loyalty.Date) (any, error) {
		mailed, err := s.store.DayMailed(c.Request.Context(), day)
		return MailDayItem{Mailed: mailed}, err
	})
}

// endMailDay remembers that all mails of a day were sent.
//
//	@Summary	Say that all mails of a day were sent (internal port; role service)
//	@Tags		internal
//	@Produce	json
//	@Param		day	path		string	true	"the bank's day"	format(date)
//	@Success	200	{object}	RecordedAnswer
//	@Failure	400	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Router		/internal/reward-mails/day/{day} [post]
func (s *service) endMailDay(c *gin.Context) {
	s.ofDay(c, func(day loyalty.Date) (any, error) {
		return "OK", s.store.EndMailDay(c.Request.Context(), day)
	})
}

func (s *service) ofDay(c *gin.Context, do func(loyalty.Date) (any, error)) {
	var errs loyalty.FieldErrors
	day := parseDay(&errs, "day", c.Param("day"))
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	answer, err := do(day)
	if err != nil {
		web.Fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, answer)
}

func parseDay(errs *loyalty.FieldErrors, field, s string) loyalty.Date {
	day, err := loyalty.ParseDate(s)
	if err != nil {
		errs.Add("", invalid(field, "not_a_date", "must be a day such as 2021-09-01"))
	}
	return day
}

func parseRows(errs *loyalty.FieldErrors, b []byte) []RowKey {
	const size = len(RowKey{})
	if len(b) == 0 || len(b)%size != 0 || len(b)/size > MaxMailRows {
		errs.Add("", invalid("rows", "not_rows", "must be 1 to %d rows of %d bytes, in base64", MaxMailRows, size))
		return nil
	}
	rows := make([]RowKey, 0, len(b)/size)
	for ; len(b) > 0; b = b[size:] {
		rows = append(rows, RowKey(b[:size]))
	}
	return rows
}

func joinRows(rows []RowKey) []byte {
	out := make([]byte, 0, len(rows)*len(RowKey{}))
	for _, k := range rows {
		out = append(out, k[:]...)
	}
	return out
}
