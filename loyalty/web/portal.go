package web

import (
	"net/url"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/gin-gonic/gin"
)

// Portal is the setting of whose pages may read answers.
type Portal struct {
	Origin string `env:"PORTAL_ORIGIN,optional" help:"the portal, https://host: the one origin whose scripts may read answers"`
}

// Check is config.Checker's.
func (p *Portal) Check() []config.Problem {
	if p.Origin == "" {
		return nil
	}
	u, err := url.Parse(p.Origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != p.Origin {
		return []config.Problem{{Name: "PORTAL_ORIGIN", Reason: "must be like https://portal.example.com, without a path"}}
	}
	return nil
}

// readHeaders are those of answers that scripts may read beside the few that they always may.
var readHeaders = strings.Join([]string{"ETag", "Location", "Retry-After", "Content-Disposition", RequestIDHeader}, ", ")

func readable(origin string) gin.HandlerFunc {
	return func(c *gin.Context) {
		h := c.Writer.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", readHeaders)
		h.Add("Vary", "Origin")
		c.Next()
	}
}
