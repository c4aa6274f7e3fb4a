package campaignex

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// try evaluates a transaction.
//
//	@Summary		What a transaction would earn
//	@Description	Evaluates the transaction against the live rules plus drafts, and records nothing. A draft with the id of a live rule replaces it. The transaction's id, card_id and card_pan may be left out.
//	@Tags			campaign
//	@Accept			json
//	@Produce		json
//	@Param			try	body		TryBody	true	"a transaction and drafts"
//	@Success		200	{object}	TryAnswer
//	@Failure		400	{object}	ErrorBody
//	@Failure		401	{object}	ErrorBody
//	@Failure		403	{object}	ErrorBody
//	@Failure		422	{object}	ErrorBody	"the rules cannot decide: unknown_card_type, no_quote, overflow, bad_home_amount"
//	@Failure		503	{object}	ErrorBody
//	@Router			/campaign/try [post]
func (s *service) try(c *gin.Context) {
	var body tried
	if err := web.Bind(c, &body); err != nil {
		web.Fail(c, err)
		return
	}
	t, drafts, err := body.read(s.cfg.Home)
	if err != nil {
		web.Fail(c, err)
		return
	}
	reward, err := s.live.try(c.Request.Context(), &t, drafts)
	if code := rules.Reason(err); code != "" {
		err = &web.Error{Status: http.StatusUnprocessableEntity, Code: code, Message: err.Error()}
	}
	if err != nil {
		web.Fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, reward)
}

// drafts are rules that are not live.
type drafts struct {
	campaigns  []loyalty.Campaign
	exclusions []loyalty.Exclusion
}

// tried is what POST /campaign/try takes.
type tried struct {
	Transaction json.RawMessage   `json:"transaction"`
	Campaigns   []json.RawMessage `json:"campaigns"`
	Exclusions  []json.RawMessage `json:"exclusions"`
}

// maxDrafts is how many campaigns or exclusions may be tried at once.
const maxDrafts = 1000

func (w *tried) read(home loyalty.Currency) (t loyalty.Transaction, d drafts, err error) {
	var errs loyalty.FieldErrors
	for name, n := range map[string]int{"campaigns": len(w.Campaigns), "exclusions": len(w.Exclusions)} {
		if n > maxDrafts {
			errs.Add("", &loyalty.FieldError{Field: name, Code: "too_long", Reason: fmt.Sprintf("has more than %d entries", maxDrafts)})
		}
	}
	if len(errs) > 0 {
		return t, d, errs
	}
	if len(w.Transaction) == 0 || string(w.Transaction) == "null" {
		errs.Add("", &loyalty.FieldError{Field: "transaction", Code: "missing", Reason: "is missing"})
	} else if t, err = readTried(w.Transaction, home); err != nil {
		errs.Add("transaction", named("transaction", err))
	}
	d.campaigns = readDrafts[loyalty.Campaign](&errs, "campaigns", w.Campaigns)
	d.exclusions = readDrafts[loyalty.Exclusion](&errs, "exclusions", w.Exclusions)
	return t, d, errs.Err()
}

// readTried reads a transaction; what no rule looks at may be left out.
func readTried(body json.RawMessage, home loyalty.Currency) (loyalty.Transaction, error) {
	for field, value := range map[string]string{
		"id": uuid.NewString(), "card_id": uuid.NewString(), "card_pan": "************0000",
	} {
		var err error
		if body, err = ruleapi.Writable(body, field, value); err != nil {
			return loyalty.Transaction{}, err
		}
	}
	if err := loyalty.UnknownFields(body); err != nil {
		return loyalty.Transaction{}, err
	}
	return loyalty.DecodeTransaction(body, home)
}

func readDrafts[T any](errs *loyalty.FieldErrors, name string, raw []json.RawMessage) []T {
	out := make([]T, len(raw))
	for i := range raw {
		body, err := ruleapi.Writable(raw[i], "id", uuid.NewString())
		if err == nil {
			err = json.Unmarshal(body, &out[i])
		}
		if err != nil {
			errs.Add(name, named(fmt.Sprintf("%s[%d]", name, i), err))
		}
	}
	return out
}
