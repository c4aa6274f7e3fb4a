package informer

import (
	"net/http"

	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
)

var (
	// A card that there is not and one of somebody else answer alike: who asks learns nothing of cards
	// that are not theirs.
	errNotYours = &web.Error{Status: http.StatusNotFound, Code: "not_found", Message: "you have no such card"}
	errOwner    = &web.Error{Status: http.StatusServiceUnavailable, Code: "owner_unknown",
		Message: "whose card this is cannot be found out just now; try again in a moment"}
)

// own lets a user pass whose card it is; an admin reads any. While profiler cannot be asked nobody
// passes whose card is not remembered for theirs.
func (s *service) own(c *gin.Context) {
	ctx := c.Request.Context()
	caller := web.CallerOf(ctx)
	if caller.Role == token.Admin {
		c.Next()
		return
	}
	p := paramsOf(c)
	card := p.card()
	if err := p.errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	switch owner, err := s.owner(ctx, card); {
	case err != nil && ctx.Err() != nil:
		web.Fail(c, ctx.Err())
	case err != nil:
		web.Log(ctx).Error("whose a card is, is unknown", "error", err)
		web.Fail(c, errOwner)
	case owner == "" || owner != caller.ID:
		web.Fail(c, errNotYours)
	default:
		c.Next()
	}
}
