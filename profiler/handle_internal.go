package profiler

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// What a batch may have.
const (
	MaxRows      = 1000
	maxBatchBody = 4 << 20
)

// cardOwner says whose a card is.
//
//	@Summary	Whose a card is (internal port; role service)
//	@Tags		internal
//	@Produce	json
//	@Param		id	path		string	true	"the card"	format(uuid)
//	@Success	200	{object}	OwnerAnswer
//	@Failure	400	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Failure	404	{object}	ErrorBody	"there is none, or it was deleted"
//	@Router		/internal/card/{id} [get]
func (s *service) cardOwner(c *gin.Context) {
	id, ok := pathID(c)
	if !ok {
		return
	}
	card, _, err := s.store.Card(c.Request.Context(), id)
	if err != nil {
		fail(c, "card", id.String(), err)
		return
	}
	web.Data(c, http.StatusOK, OwnerItem{ID: card.ID.String(), UserID: card.UserID.String(), CardType: card.CardType})
}

// cardsOfUser answers the ids of an account's cards.
//
//	@Summary	The ids of an account's cards (internal port; role service)
//	@Tags		internal
//	@Produce	json
//	@Param		id	path		string	true	"the account"	format(uuid)
//	@Success	200	{object}	IDsAnswer
//	@Failure	400	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Failure	404	{object}	ErrorBody
//	@Router		/internal/user/{id}/card [get]
func (s *service) cardsOfUser(c *gin.Context) {
	id, ok := pathID(c)
	if !ok {
		return
	}
	u, err := s.store.User(c.Request.Context(), id)
	if err != nil {
		fail(c, "user", id.String(), err)
		return
	}
	ids := make([]string, len(u.Cards))
	for i, card := range u.Cards {
		ids[i] = card.ID.String()
	}
	web.Data(c, http.StatusOK, ids)
}

// putRows takes rows of a file of users.
//
//	@Summary		Make the rows of a file of users stand as given (internal port; role service)
//	@Description	Up to 1,000 rows, each a cardholder and perhaps one card. What became of each row is answered in the order of the rows; a bad one keeps none of the others from being taken. The same rows may be sent again. new says of an account that it has never had a password, or that the mail with its first one has not been taken yet: ask for its first password.
//	@Tags			internal
//	@Accept			json
//	@Produce		json
//	@Param			body	body		RowsBody	true	"the rows"
//	@Success		200		{object}	RowsAnswer
//	@Failure		400		{object}	ErrorBody
//	@Failure		403		{object}	ErrorBody
//	@Failure		413		{object}	ErrorBody
//	@Router			/internal/users [post]
func (s *service) putRows(c *gin.Context) {
	ctx := c.Request.Context()
	var body struct {
		Source string            `json:"source"`
		Rows   []json.RawMessage `json:"rows"`
	}
	if err := web.Bind(c, &body); err != nil {
		web.Fail(c, err)
		return
	}
	var errs loyalty.FieldErrors
	source := parseSource(&errs, body.Source)
	switch {
	case len(body.Rows) == 0:
		errs.Add("", missing("rows"))
	case len(body.Rows) > MaxRows:
		errs.Add("", invalid("rows", "too_many", "are more than %d; send them in several batches", MaxRows))
	}
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	who := web.CallerOf(ctx).ID
	if source != "" {
		who += " for " + source
	}
	answer, err := s.enterRows(c, who, body.Rows)
	if err != nil {
		web.Fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, answer)
}

// parseSource reads what rows come from: words, and at their end it may be the UUID of an upload, whose
// digits may pass for a card number's.
func parseSource(errs *loyalty.FieldErrors, s string) string {
	s = strings.TrimSpace(s)
	at := strings.LastIndexByte(s, ' ') + 1
	if id, err := loyalty.ParseUUID(s[at:]); err == nil {
		return strings.TrimSpace(line(errs, "source", s[:at]) + " " + id.String())
	}
	return line(errs, "source", s)
}

func (s *service) enterRows(c *gin.Context, who string, raw []json.RawMessage) (out RowsItem, err error) {
	out = RowsItem{Rows: make([]RowOutcome, len(raw)), NewUsers: []string{}}
	var (
		rows   []Row
		places []int
	)
	for i, text := range raw {
		row, body, err := s.key.parseRow(text)
		out.Rows[i] = RowOutcome{UserID: body.ID, CardID: body.CardID}
		if err != nil {
			out.Rows[i].refused(err)
			continue
		}
		rows, places = append(rows, row), append(places, i)
	}
	if len(rows) == 0 {
		return out, nil
	}
	outcomes, err := s.store.PutRows(c.Request.Context(), who, rows)
	if err != nil {
		return out, err
	}
	seen := map[uuid.UUID]bool{}
	for k, o := range outcomes {
		at, id := &out.Rows[places[k]], rows[k].User.ID
		if at.Outcome, at.New = string(o.Result), o.New; o.Err != nil {
			at.refused(o.Err)
		}
		if o.New && !seen[id] {
			seen[id] = true
			out.NewUsers = append(out.NewUsers, id.String())
		}
		if o.Moved != "" {
			u := rows[k].User
			s.tellOfMove(c, o.Moved, u)
		}
	}
	return out, nil
}

// parseRow reads a row. What it says of the body's ids is what was sent, as far as it can be an id.
func (k DataKey) parseRow(text json.RawMessage) (row Row, body RowBody, err error) {
	if err := json.Unmarshal(text, &body); err != nil {
		body.keepIDs()
		var typed *json.UnmarshalTypeError
		if errors.As(err, &typed) && typed.Field != "" {
			return row, body, web.Invalid(typed.Field, "wrong_type", "cannot be a JSON %s", typed.Value)
		}
		return row, body, web.Invalid("", "not_a_row", "the row is not a JSON object")
	}
	var errs loyalty.FieldErrors
	row.User.ID = parseUUID(&errs, "id", body.ID)
	if row.User.FirstName = line(&errs, "first_name", body.FirstName); row.User.FirstName == "" {
		errs.Add("", missing("first_name"))
	}
	row.User.LastName = line(&errs, "last_name", body.LastName)
	row.User.Phone = parsePhone(&errs, body.Phone)
	row.User.Email = parseEmail(&errs, body.Email)
	row.Since = parseTime(&errs, "created_at", body.CreatedAt)
	parseTime(&errs, "updated_at", body.UpdatedAt)
	if body.CardID != "" || body.CardPAN != "" || body.CardType != "" {
		row.Card = &Card{ID: parseUUID(&errs, "card_id", body.CardID), UserID: row.User.ID, CardType: parseCardType(&errs, body.CardType)}
		row.Number = k.parseNumber(&errs, body.CardPAN, false)
	}
	body.keepIDs()
	return row, body, errs.Err()
}

// keepIDs leaves only what is an id, so that nothing else that stood there is answered.
func (b *RowBody) keepIDs() {
	for _, id := range []*string{&b.ID, &b.CardID} {
		if *id = strings.TrimSpace(*id); *id != "" {
			if _, err := loyalty.ParseUUID(*id); err != nil {
				*id = ""
			}
		}
	}
}

// parseTime reads a time as files of users have it; the zero time for none.
func parseTime(errs *loyalty.FieldErrors, field, s string) time.Time {
	if s = strings.TrimSpace(s); s == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1900 && t.Year() <= 2099 {
			return t
		}
	}
	errs.Add("", invalid(field, "not_a_time", "must be a time such as 2021-09-01T12:00:00Z, from 1900 to 2099"))
	return time.Time{}
}

// refused says why a row was refused.
func (o *RowOutcome) refused(err error) {
	for _, known := range []struct {
		err           error
		code, message string
		field         string
	}{
		{ErrEmailTaken, "email_taken", "is another account's", "email"},
		{ErrCardTaken, "card_taken", "is, or was, another user's; a card id is never given to another user", "card_id"},
		{ErrNotCardholder, "not_a_cardholder", "is an account that is not a cardholder's; a file of users cannot change it", "id"},
		{ErrUserDeleted, "user_deleted", "is an account that was deleted; its id is not used again", "id"},
		{ErrNoCardType, "unknown_card_type", "is no card type there is", "card_type"},
		{ErrMasked, "masked", "is masked, and not the number that is known of this card; type the number again", "card_pan"},
	} {
		if errors.Is(err, known.err) {
			err = web.Invalid(known.field, known.code, "%s", known.message)
			o.Code = known.code
		}
	}
	o.Outcome = string(RowRefused)
	var fields loyalty.FieldErrors
	if !errors.As(err, &fields) {
		fields.Add("", err)
	}
	if o.Code == "" {
		o.Code = "invalid"
	}
	var words []string
	o.Fields = map[string]string{}
	for _, f := range fields {
		words = append(words, strings.TrimSpace(f.Field+" "+f.Reason))
		if f.Field != "" {
			o.Fields[f.Field] = f.Reason
		}
	}
	o.Error = strings.Join(words, "; ")
}
