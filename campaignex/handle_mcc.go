package campaignex

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty/mcc"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
)

const (
	maxSearch = 100 // characters
	// codesKept is for how long a browser keeps the codes without asking: they change with a release only.
	codesKept = "private, max-age=3600"
)

// listCodes answers merchant category codes.
//
//	@Summary	Merchant category codes by ISO 18245, all that fit
//	@Tags		mcc
//	@Produce	json
//	@Param		search			query		string	false	"the beginning of a code, or words of the description or the group"
//	@Param		If-None-Match	header		string	false	"the ETag that was read"
//	@Success	200				{object}	CodeList
//	@Header		200				{string}	ETag			"of this list, for If-None-Match"
//	@Header		200				{string}	Cache-Control	"how long it may be kept"
//	@Success	304
//	@Failure	400	{object}	ErrorBody
//	@Failure	401	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Router		/mcc [get]
func (s *service) listCodes(c *gin.Context) {
	search := c.Query("search")
	if err := web.CheckText("search", search, maxSearch); err != nil {
		web.Fail(c, err)
		return
	}
	found := mcc.Search(search)
	codes := make([]Code, len(found))
	hash := sha256.New()
	for i, f := range found {
		codes[i] = Code{int(f.MCC), f.Description, f.Group}
		hash.Write([]byte(f.MCC.String() + f.Description + "\n" + f.Group + "\n"))
	}
	etag := strconv.Quote(hex.EncodeToString(hash.Sum(nil)[:8]))
	c.Header("ETag", etag)
	c.Header("Cache-Control", codesKept)
	if sameTag(c.GetHeader("If-None-Match"), etag) {
		c.Status(http.StatusNotModified)
		return
	}
	web.Data(c, http.StatusOK, codes)
}

// sameTag says whether an If-None-Match names an ETag (RFC 9110, 13.1.2).
func sameTag(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag || tag == "*" {
			return true
		}
	}
	return false
}
