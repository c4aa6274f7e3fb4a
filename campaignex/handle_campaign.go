package campaignex

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/gin-gonic/gin"
)

// listCampaigns answers a page of campaigns.
//
//	@Summary	Campaigns, a page of them
//	@Tags		campaign
//	@Produce	json
//	@Param		programme	query		string	false	"only of this card type"
//	@Param		state		query		string	false	"only these, as of today at the bank"	Enums(live, scheduled, ended)
//	@Param		base_reward	query		bool	false	"only base rewards, or only promos"
//	@Param		q			query		string	false	"part of the name or the merchant, in any case"
//	@Param		sort		query		string	false	"name, start_date, end_date, reward_program, reward_amount or updated_at; a - before it for descending order"
//	@Param		page_size	query		int		false	"1 to 1000"	default(100)
//	@Param		page_no		query		int		false	"from 1"	default(1)
//	@Success	200			{object}	CampaignPage
//	@Failure	400			{object}	ErrorBody
//	@Failure	401			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Router		/campaign [get]
func (s *service) listCampaigns(c *gin.Context) { s.campaigns.List(c) }

// getCampaign answers a campaign.
//
//	@Summary	A campaign
//	@Tags		campaign
//	@Produce	json
//	@Param		id	path		string	true	"its id"	Format(uuid)
//	@Success	200	{object}	CampaignAnswer
//	@Header		200	{string}	ETag	"the version, for If-Match"
//	@Failure	400	{object}	ErrorBody
//	@Failure	401	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Failure	404	{object}	ErrorBody
//	@Router		/campaign/{id} [get]
func (s *service) getCampaign(c *gin.Context) { s.campaigns.Get(c) }

// createCampaign makes a campaign.
//
//	@Summary		Make a campaign
//	@Description	Without an id it gets a random one. A card type that is not known is no error: the campaign matches nothing until there is one, and the answer warns of it.
//	@Tags			campaign
//	@Accept			json
//	@Produce		json
//	@Param			campaign	body		CampaignBody	true	"the campaign"
//	@Success		201			{object}	CampaignAnswer
//	@Header			201			{string}	ETag	"the version, for If-Match"
//	@Failure		400			{object}	ErrorBody
//	@Failure		401			{object}	ErrorBody
//	@Failure		403			{object}	ErrorBody
//	@Failure		409			{object}	ErrorBody
//	@Failure		503			{object}	ErrorBody
//	@Router			/campaign [post]
func (s *service) createCampaign(c *gin.Context) { s.campaigns.Create(c) }

// putCampaign changes a campaign.
//
//	@Summary	Change a campaign
//	@Tags		campaign
//	@Accept		json
//	@Produce	json
//	@Param		id			path		string			true	"its id"	Format(uuid)
//	@Param		If-Match	header		string			false	"the ETag that was read; without it the last write wins"
//	@Param		campaign	body		CampaignBody	true	"the whole campaign"
//	@Success	200			{object}	CampaignAnswer
//	@Header		200			{string}	ETag	"the version, for If-Match"
//	@Failure	400			{object}	ErrorBody
//	@Failure	401			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Failure	404			{object}	ErrorBody
//	@Failure	412			{object}	ErrorBody
//	@Failure	503			{object}	ErrorBody
//	@Router		/campaign/{id} [put]
func (s *service) putCampaign(c *gin.Context) { s.campaigns.Put(c) }

// deleteCampaign deletes a campaign.
//
//	@Summary	Delete a campaign
//	@Tags		campaign
//	@Param		id			path	string	true	"its id"	Format(uuid)
//	@Param		If-Match	header	string	false	"the ETag that was read"
//	@Success	204
//	@Failure	400	{object}	ErrorBody
//	@Failure	401	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Failure	404	{object}	ErrorBody
//	@Failure	412	{object}	ErrorBody
//	@Failure	503	{object}	ErrorBody
//	@Router		/campaign/{id} [delete]
func (s *service) deleteCampaign(c *gin.Context) { s.campaigns.Delete(c) }

// campaignHistory answers who changed what.
//
//	@Summary	Who changed a campaign, when and how; the newest first
//	@Tags		campaign
//	@Produce	json
//	@Param		id			path		string	true	"its id"	Format(uuid)
//	@Param		page_size	query		int		false	"1 to 1000"	default(100)
//	@Param		page_no		query		int		false	"from 1"	default(1)
//	@Success	200			{object}	HistoryPage
//	@Failure	401			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Failure	404			{object}	ErrorBody
//	@Router		/campaign/{id}/history [get]
func (s *service) campaignHistory(c *gin.Context) { s.campaigns.History(c) }

func (s *service) campaignFilter(params url.Values) (CampaignFilter, error) {
	var errs loyalty.FieldErrors
	f := CampaignFilter{
		Programme: textParam(&errs, params, "programme"), Search: textParam(&errs, params, "q"),
		State: State(params.Get("state")), Today: s.today(),
	}
	switch f.State {
	case "", Live, Scheduled, Ended:
	default:
		errs = append(errs, &loyalty.FieldError{Field: "state", Code: "unknown_state", Reason: "must be live, scheduled or ended"})
	}
	switch text := params.Get("base_reward"); text {
	case "":
	case "true", "false":
		base := text == "true"
		f.Base = &base
	default:
		errs = append(errs, &loyalty.FieldError{Field: "base_reward", Code: "wrong_type", Reason: "must be true or false"})
	}
	return f, errs.Err()
}

// textParam refuses what databases do not take for text.
func textParam(errs *loyalty.FieldErrors, params url.Values, name string) string {
	text := params.Get(name)
	switch {
	case !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0:
		errs.Add("", &loyalty.FieldError{Field: name, Code: "not_text", Reason: "is not text"})
	case utf8.RuneCountInString(text) > loyalty.MaxFieldRunes:
		errs.Add("", &loyalty.FieldError{Field: name, Code: "too_long", Reason: fmt.Sprintf("is longer than %d characters", loyalty.MaxFieldRunes)})
	}
	return text
}

// today is the date at the bank.
func (s *service) today() loyalty.Date {
	y, m, d := s.clock().In(s.cfg.Location).Date()
	return loyalty.DateOf(y, m, d)
}

// warn says that a campaign's card type is not known, if that is known.
func (s *service) warn(ctx context.Context, campaign loyalty.Campaign) []string {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.PublishWait)
	defer cancel()
	known, err := s.live.hasCardType(ctx, campaign.Programme)
	if err != nil || known {
		return nil
	}
	return []string{fmt.Sprintf("there is no card type %q; the campaign matches nothing until there is one", campaign.Programme)}
}

// named gives the errors of a value the name that it has here.
func named(field string, err error) error {
	var errs loyalty.FieldErrors
	var one *loyalty.FieldError
	switch {
	case errors.As(err, &errs):
	case errors.As(err, &one):
		errs = loyalty.FieldErrors{one}
	default:
		return err
	}
	out := make(loyalty.FieldErrors, len(errs))
	for i, e := range errs {
		f := *e
		if f.Field == "" {
			f.Field = field
		} else if f.Field != field {
			f.Field = field + "." + f.Field
		}
		out[i] = &f
	}
	return out
}
