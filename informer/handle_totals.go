package informer

import (
	"net/http"

	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
)

// total answers what a card has earned in all.
//
//	@Summary		A card's totals by programme
//	@Description	data is the total of the programme that the card is in now: that of its newest reward. Exact for cards of fewer than 5,000 rewards, at most 60 s old beyond.
//	@Tags			reward
//	@Produce		json
//	@Param			cardId	path		string	true	"the card's id"	format(uuid)
//	@Success		200		{object}	TotalAnswer
//	@Failure		400		{object}	ErrorBody
//	@Failure		401		{object}	ErrorBody
//	@Failure		403		{object}	ErrorBody
//	@Failure		404		{object}	ErrorBody
//	@Failure		500		{object}	ErrorBody
//	@Failure		503		{object}	ErrorBody
//	@Router			/reward/total/{cardId} [get]
func (s *service) total(c *gin.Context) {
	p := paramsOf(c)
	q := Query{Card: p.card()}
	if err := p.errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	t, err := s.tallies.of(c.Request.Context(), q)
	if err != nil {
		web.Fail(c, err)
		return
	}
	answer := struct {
		Data        exact            `json:"data"`
		ByProgramme []programmeTotal `json:"by_programme"`
	}{ByProgramme: t.programmes()}
	if len(answer.ByProgramme) > 0 {
		answer.Data = answer.ByProgramme[0].Units
	}
	web.JSON(c, http.StatusOK, answer)
}

// summary answers units and spend by month and kind of merchant.
//
//	@Summary		A card's units and spend by month and kind of merchant
//	@Description	Months by transaction date, newest first. Spend is given by currency, and as spend_home in the bank's currency for what was converted; what the rules excluded in another currency never was, and is counted as unconverted. Exact for cards of fewer than 5,000 rewards, at most 60 s old beyond.
//	@Tags			reward
//	@Produce		json
//	@Param			cardId	path		string	true	"the card's id"							format(uuid)
//	@Param			from	query		string	false	"first transaction date, included"	format(date)
//	@Param			to		query		string	false	"last transaction date, included"	format(date)
//	@Success		200		{object}	SummaryAnswer
//	@Failure		400		{object}	ErrorBody
//	@Failure		401		{object}	ErrorBody
//	@Failure		403		{object}	ErrorBody
//	@Failure		404		{object}	ErrorBody
//	@Failure		500		{object}	ErrorBody
//	@Failure		503		{object}	ErrorBody
//	@Router			/reward/summary/{cardId} [get]
func (s *service) summary(c *gin.Context) {
	p := paramsOf(c)
	q := Query{Card: p.card()}
	q.From, q.To = p.dates()
	if err := p.errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	t, err := s.tallies.of(c.Request.Context(), q)
	if err != nil {
		web.Fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, struct {
		Home   string         `json:"home_currency"`
		Months []monthSummary `json:"months"`
	}{s.cfg.Home.String(), t.months()})
}
