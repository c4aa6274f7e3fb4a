package campaignex

import (
	"net/url"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/gin-gonic/gin"
)

// listExclusions answers a page of exclusions.
//
//	@Summary	Exclusions, a page of them
//	@Tags		exclusion
//	@Produce	json
//	@Param		mcc			query		int		false	"only of this merchant category"
//	@Param		sort		query		string	false	"mcc, valid_from or updated_at; a - before it for descending order"
//	@Param		page_size	query		int		false	"1 to 1000"	default(100)
//	@Param		page_no		query		int		false	"from 1"	default(1)
//	@Success	200			{object}	ExclusionPage
//	@Failure	400			{object}	ErrorBody
//	@Failure	401			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Router		/exclusion [get]
func (s *service) listExclusions(c *gin.Context) { s.exclusions.List(c) }

// getExclusion answers an exclusion.
//
//	@Summary	An exclusion
//	@Tags		exclusion
//	@Produce	json
//	@Param		id	path		string	true	"its id"	Format(uuid)
//	@Success	200	{object}	ExclusionAnswer
//	@Header		200	{string}	ETag	"the version, for If-Match"
//	@Failure	400	{object}	ErrorBody
//	@Failure	401	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Failure	404	{object}	ErrorBody
//	@Router		/exclusion/{id} [get]
func (s *service) getExclusion(c *gin.Context) { s.exclusions.Get(c) }

// createExclusion makes an exclusion.
//
//	@Summary	Make an exclusion
//	@Tags		exclusion
//	@Accept		json
//	@Produce	json
//	@Param		exclusion	body		ExclusionBody	true	"the exclusion; without an id it gets a random one"
//	@Success	201			{object}	ExclusionAnswer
//	@Header		201			{string}	ETag	"the version, for If-Match"
//	@Failure	400			{object}	ErrorBody
//	@Failure	401			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Failure	409			{object}	ErrorBody
//	@Failure	503			{object}	ErrorBody
//	@Router		/exclusion [post]
func (s *service) createExclusion(c *gin.Context) { s.exclusions.Create(c) }

// putExclusion changes an exclusion.
//
//	@Summary	Change an exclusion
//	@Tags		exclusion
//	@Accept		json
//	@Produce	json
//	@Param		id			path		string			true	"its id"	Format(uuid)
//	@Param		If-Match	header		string			false	"the ETag that was read; without it the last write wins"
//	@Param		exclusion	body		ExclusionBody	true	"the whole exclusion"
//	@Success	200			{object}	ExclusionAnswer
//	@Header		200			{string}	ETag	"the version, for If-Match"
//	@Failure	400			{object}	ErrorBody
//	@Failure	401			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Failure	404			{object}	ErrorBody
//	@Failure	412			{object}	ErrorBody
//	@Failure	503			{object}	ErrorBody
//	@Router		/exclusion/{id} [put]
func (s *service) putExclusion(c *gin.Context) { s.exclusions.Put(c) }

// deleteExclusion deletes an exclusion.
//
//	@Summary	Delete an exclusion
//	@Tags		exclusion
//	@Param		id			path	string	true	"its id"	Format(uuid)
//	@Param		If-Match	header	string	false	"the ETag that was read"
//	@Success	204
//	@Failure	400	{object}	ErrorBody
//	@Failure	401	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Failure	404	{object}	ErrorBody
//	@Failure	412	{object}	ErrorBody
//	@Failure	503	{object}	ErrorBody
//	@Router		/exclusion/{id} [delete]
func (s *service) deleteExclusion(c *gin.Context) { s.exclusions.Delete(c) }

// exclusionHistory answers who changed what.
//
//	@Summary	Who changed an exclusion, when and how; the newest first
//	@Tags		exclusion
//	@Produce	json
//	@Param		id			path		string	true	"its id"	Format(uuid)
//	@Param		page_size	query		int		false	"1 to 1000"	default(100)
//	@Param		page_no		query		int		false	"from 1"	default(1)
//	@Success	200			{object}	HistoryPage
//	@Failure	401			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Failure	404			{object}	ErrorBody
//	@Router		/exclusion/{id}/history [get]
func (s *service) exclusionHistory(c *gin.Context) { s.exclusions.History(c) }

func exclusionFilter(params url.Values) (f ExclusionFilter, err error) {
	if f.MCC, err = loyalty.ParseMCC(params.Get("mcc")); err != nil {
		return f, named("mcc", err)
	}
	if f.MCC == 0 && params.Get("mcc") != "" {
		return f, &loyalty.FieldError{Field: "mcc", Code: "not_an_mcc", Reason: "must be a merchant category code, 1 to 9999"}
	}
	return f, nil
}
