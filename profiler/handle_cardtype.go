package profiler

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// listCardTypes answers a page of card types.
//
//	@Summary	Card types, a page of them
//	@Tags		card type
//	@Produce	json
//	@Param		sort		query		string	false	"card_type, name or updated_at; a - before it for descending order"
//	@Param		page_size	query		int		false	"1 to 1000"	default(100)
//	@Param		page_no		query		int		false	"from 1"	default(1)
//	@Success	200			{object}	CardTypePage
//	@Failure	400			{object}	ErrorBody
//	@Router		/card/type [get]
func (s *service) listCardTypes(c *gin.Context) { s.cardTypes.List(c) }

// getCardType answers a card type.
//
//	@Summary	A card type
//	@Tags		card type
//	@Produce	json
//	@Param		card_type	path		string	true	"its key"
//	@Success	200			{object}	CardTypeAnswer
//	@Header		200			{string}	ETag	"the version, for If-Match"
//	@Failure	404			{object}	ErrorBody
//	@Router		/card/type/{card_type} [get]
func (s *service) getCardType(c *gin.Context) { s.cardTypes.Get(c) }

// createCardType makes a card type.
//
//	@Summary	Make a card type
//	@Tags		card type
//	@Accept		json
//	@Produce	json
//	@Param		card_type	body		CardTypeBody	true	"the card type"
//	@Success	201			{object}	CardTypeAnswer
//	@Header		201			{string}	ETag	"the version, for If-Match"
//	@Failure	400			{object}	ErrorBody
//	@Failure	409			{object}	ErrorBody
//	@Router		/card/type [post]
func (s *service) createCardType(c *gin.Context) { s.cardTypes.Create(c) }

// putCardType changes a card type.
//
//	@Summary	Change a card type
//	@Tags		card type
//	@Accept		json
//	@Produce	json
//	@Param		card_type	path		string			true	"its key"
//	@Param		If-Match	header		string			false	"the ETag that was read; without it the last write wins"
//	@Param		body		body		CardTypeBody	true	"the whole card type"
//	@Success	200			{object}	CardTypeAnswer
//	@Header		200			{string}	ETag	"the version, for If-Match"
//	@Failure	400			{object}	ErrorBody
//	@Failure	404			{object}	ErrorBody
//	@Failure	412			{object}	ErrorBody
//	@Router		/card/type/{card_type} [put]
func (s *service) putCardType(c *gin.Context) { s.cardTypes.Put(c) }

// deleteCardType deletes a card type.
//
//	@Summary	Delete a card type that no campaign names and no card has
//	@Tags		card type
//	@Param		card_type	path	string	true	"its key"
//	@Param		If-Match	header	string	false	"the ETag that was read"
//	@Success	204
//	@Failure	404	{object}	ErrorBody
//	@Failure	409	{object}	ErrorBody	"it is in use"
//	@Failure	412	{object}	ErrorBody
//	@Failure	503	{object}	ErrorBody	"whether it is in use cannot be seen just now"
//	@Router		/card/type/{card_type} [delete]
func (s *service) deleteCardType(c *gin.Context) { s.cardTypes.Delete(c) }

// cardTypeHistory answers who changed what.
//
//	@Summary	Who changed a card type, when and how; the newest first
//	@Tags		card type
//	@Produce	json
//	@Param		card_type	path		string	true	"its key"
//	@Param		page_size	query		int		false	"1 to 1000"	default(100)
//	@Param		page_no		query		int		false	"from 1"	default(1)
//	@Success	200			{object}	HistoryPage
//	@Failure	404			{object}	ErrorBody
//	@Router		/card/type/{card_type}/history [get]
func (s *service) cardTypeHistory(c *gin.Context) { s.cardTypes.History(c) }

const campaignPage = 1000

// notInUse refuses to delete a card type that cards have or that a published campaign names: its
// transactions would become dead letters.
func (s *service) notInUse(ctx context.Context, cardType string) error {
	switch n, err := s.store.CardsOfType(ctx, cardType); {
	case err != nil:
		return err
	case n > 0:
		return &web.Error{Status: http.StatusConflict, Code: "in_use", Message: fmt.Sprintf("there are cards of this type: %d", n)}
	}
	from := rulebook.Key(rulebook.Campaigns, "")
	end := clientv3.GetPrefixRangeEnd(from)
	for {
		page, err := s.campaigns(ctx, from, end)
		if err != nil {
			web.Log(ctx).Warn("the campaigns cannot be read", "error", err)
			return &web.Error{Status: http.StatusServiceUnavailable, Code: "rules_unavailable",
				Message: "whether campaigns use the card type cannot be seen just now; try again"}
		}
		for _, kv := range page.Kvs {
			v, err := rulebook.DecodeValue(kv.Value)
			if err != nil || v.Deleted {
				continue // what cannot be read, nobody follows
			}
			var campaign loyalty.Campaign
			if err := json.Unmarshal(v.Data, &campaign); err == nil && campaign.Programme == cardType {
				return &web.Error{Status: http.StatusConflict, Code: "in_use",
					Message: fmt.Sprintf("the campaign %q (%s) is for this card type; delete or change it first", campaign.Name, campaign.ID)}
			}
		}
		if !page.More {
			return nil
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}

func (s *service) campaigns(ctx context.Context, from, end string) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.etcd.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(campaignPage))
}
