package profiler

import (
	"net/http"
	"strconv"

	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// listCards answers a page of cards.
//
//	@Summary	Cards, a page of them
//	@Tags		card
//	@Produce	json
//	@Param		user_id		query		string	false	"only this account's"	format(uuid)
//	@Param		card_type	query		string	false	"only cards of this type"
//	@Param		sort		query		string	false	"id, card_type, created_at or updated_at; a - before it for descending order"
//	@Param		page_size	query		int		false	"1 to 1000"	default(100)
//	@Param		page_no		query		int		false	"from 1"	default(1)
//	@Success	200			{object}	CardPage
//	@Failure	400			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Router		/card [get]
func (s *service) listCards(c *gin.Context) {
	params := c.Request.URL.Query()
	page, errs := ruleapi.PageOf(params)
	q := CardQuery{Page: page, CardType: line(&errs, "card_type", params.Get("card_type"))}
	q.Sort, q.Desc = sortOf(params, CardSorts, &errs)
	if text := params.Get("user_id"); text != "" {
		q.UserID = parseUUID(&errs, "user_id", text)
	}
	if web.CallerOf(c.Request.Context()).Role != token.Admin {
		q.OwnerRole = token.User
	}
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	cards, total, err := s.store.Cards(c.Request.Context(), q)
	if err != nil {
		web.Fail(c, err)
		return
	}
	data := make([]CardItem, len(cards))
	for i, card := range cards {
		data[i] = card.item()
	}
	ruleapi.PageAnswer(c, page, total, data)
}

// getCard answers a card.
//
//	@Summary	A card; to a user an own one
//	@Tags		card
//	@Produce	json
//	@Param		id	path		string	true	"the card"	format(uuid)
//	@Success	200	{object}	CardAnswer
//	@Header		200	{string}	ETag	"the version, for If-Match"
//	@Failure	400	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Failure	404	{object}	ErrorBody
//	@Router		/card/{id} [get]
func (s *service) getCard(c *gin.Context) {
	id, ok := pathID(c)
	if !ok {
		return
	}
	card, role, err := s.store.Card(c.Request.Context(), id)
	if err == nil {
		err = only(c, card.UserID)(role)
	}
	if err != nil {
		fail(c, "card", id.String(), err)
		return
	}
	sendCard(c, http.StatusOK, card)
}

func sendCard(c *gin.Context, status int, card Card) {
	c.Header("ETag", strconv.Quote(strconv.FormatInt(card.Version, 10)))
	web.Data(c, status, card.item())
}

// createCard gives a cardholder a card.
//
//	@Summary		Give a cardholder a card
//	@Description	The whole number is needed; only its last four digits and an HMAC of it are kept. A card id belongs to one account for ever: the account may have a deleted card again, another one never (409 card_taken).
//	@Tags			card
//	@Accept			json
//	@Produce		json
//	@Param			body	body		CardBody	true	"the card"
//	@Success		201		{object}	CardAnswer
//	@Header			201		{string}	ETag		"the version, for If-Match"
//	@Header			201		{string}	Location	"where it is"
//	@Failure		400		{object}	ErrorBody
//	@Failure		403		{object}	ErrorBody
//	@Failure		409		{object}	ErrorBody
//	@Router			/card [post]
func (s *service) createCard(c *gin.Context) {
	ctx := c.Request.Context()
	var body CardBody
	if err := web.Bind(c, &body, cardAnswers...); err != nil {
		web.Fail(c, err)
		return
	}
	card, n, errs := s.key.parseCard(body, true)
	if body.ID == "" {
		card.ID = uuid.New()
	}
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	caller := web.CallerOf(ctx)
	if caller.Role != token.Admin {
		// That there is an account of another role is not the bank's to know.
		if u, err := s.store.User(ctx, card.UserID); err == nil && u.Role != token.User {
			fail(c, "card", card.ID.String(), ErrNoUser)
			return
		}
	}
	made, err := s.store.CreateCard(ctx, caller.ID, card, n)
	if err != nil {
		fail(c, "card", card.ID.String(), err)
		return
	}
	c.Header("Location", "/card/"+made.ID.String())
	sendCard(c, http.StatusCreated, made)
}

// deleteCard takes a card from its cardholder.
//
//	@Summary	Delete a card; its id is never another user's
//	@Tags		card
//	@Param		id			path	string	true	"the card"	format(uuid)
//	@Param		If-Match	header	string	false	"the ETag that was read"
//	@Success	204
//	@Failure	400	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Failure	404	{object}	ErrorBody
//	@Failure	412	{object}	ErrorBody
//	@Router		/card/{id} [delete]
func (s *service) deleteCard(c *gin.Context) {
	ctx := c.Request.Context()
	id, ok := pathID(c)
	if !ok {
		return
	}
	fit, err := ruleapi.IfMatch(c)
	if err != nil {
		web.Fail(c, err)
		return
	}
	err = s.store.DeleteCard(ctx, web.CallerOf(ctx).ID, id, func(card Card, role token.Role) error {
		switch {
		case !sees(c, card.UserID, role):
			return ruleapi.ErrNotFound
		case fit != nil && !fit(card.Version):
			return ruleapi.ErrConflict
		}
		return nil
	})
	if err != nil {
		fail(c, "card", id.String(), err)
		return
	}
	c.Status(http.StatusNoContent)
}

// cardHistory answers who changed a card.
//
//	@Summary	Who changed a card, when and how; the newest first; deleted cards too
//	@Tags		card
//	@Produce	json
//	@Param		id			path		string	true	"the card"	format(uuid)
//	@Param		page_size	query		int		false	"1 to 1000"	default(100)
//	@Param		page_no		query		int		false	"from 1"	default(1)
//	@Success	200			{object}	HistoryPage
//	@Failure	400			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Failure	404			{object}	ErrorBody
//	@Router		/card/{id}/history [get]
func (s *service) cardHistory(c *gin.Context) {
	id, ok := pathID(c)
	if !ok {
		return
	}
	page, errs := ruleapi.PageOf(c.Request.URL.Query())
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	events, total, err := s.store.CardHistory(c.Request.Context(), id, page, only(c, uuid.Nil))
	if err != nil {
		fail(c, "card", id.String(), err)
		return
	}
	answerHistory(c, page, total, events)
}
