package signin

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-jose/go-jose/v4"

	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

// PublicRoutes are those that need no token, on both ports; they are for web.WithPublic.
var PublicRoutes = []string{
	"/auth/login", "/auth/refresh", "/auth/forgot", "/auth/reset", "/auth/token", "/unsubscribe/:token", "/.well-known/jwks.json",
}

// Routes registers what the gateway leads to.
func (s *Service) Routes(r gin.IRouter) {
	fresh, small := s.Fresh(), web.LimitBody(maxBody)

	r.POST("/auth/login", small, s.login)
	r.POST("/auth/refresh", small, s.refresh)
	r.POST("/auth/forgot", small, s.forgot)
	r.POST("/auth/reset", small, s.reset)
	r.POST("/auth/token", small, s.token)
	r.POST("/unsubscribe/:token", s.unsubscribed)
	r.GET("/.well-known/jwks.json", s.jwks)

	// Whoever has something to do first may still sign out, and change the password.
	everybody := allowAny(token.User, token.Bank, token.Merchant, token.Admin)
	r.POST("/auth/logout", small, everybody, s.logout)
	r.POST("/auth/password", small, allowAny(token.User, token.Bank, token.Admin), fresh, s.changePassword)
	r.POST("/auth/totp", small, web.AllowMust(token.MustEnrolTOTP, token.Bank, token.Admin), fresh, s.beginFactor)
	r.POST("/auth/totp/confirm", small, web.AllowMust(token.MustEnrolTOTP, token.Bank, token.Admin), fresh, s.confirmFactor)

	r.POST("/user/:id/first-password", small, web.Allow(token.Bank, token.Admin), fresh, s.firstPassword)
	r.DELETE("/user/:id/totp", web.Allow(token.Admin), fresh, s.removeFactor)
	r.GET("/user/:id/secret", web.Allow(token.Admin), s.listSecrets)
	r.POST("/user/:id/secret", small, web.Allow(token.Admin), fresh, s.addSecret)
	r.DELETE("/user/:id/secret/:secretId", web.Allow(token.Admin), fresh, s.revokeSecret)
	r.GET("/user/:id/limits", web.Allow(token.Admin), s.getLimits)
	r.PUT("/user/:id/limits", web.LimitBody(256<<10), web.Allow(token.Admin), fresh, s.putLimits)
}

// InternalRoutes registers what other services ask for, on a port that the gateway does not lead to.
func (s *Service) InternalRoutes(r gin.IRouter) {
	small := web.LimitBody(maxBody)
	r.POST("/auth/token", small, s.token)
	r.GET("/.well-known/jwks.json", s.jwks)
	r.GET("/internal/session/:id", web.Allow(token.Service), s.sessionOf)
	r.POST("/internal/user/:id/first-password", small, web.Allow(token.Service), s.mailFirstPassword)
	r.GET("/internal/merchant/:id", web.Allow(token.Service), s.merchant)
	r.POST("/internal/merchant/:id/spend", small, web.Allow(token.Service), s.spend)
}

// allowAny lets callers of these roles pass, whatever they have to do first.
func allowAny(roles ...token.Role) gin.HandlerFunc {
	must := map[token.Must]gin.HandlerFunc{}
	for _, m := range []token.Must{token.MustNothing, token.MustChangePassword, token.MustEnrolTOTP} {
		must[m] = web.AllowMust(m, roles...)
	}
	return func(c *gin.Context) {
		allow, ok := must[web.CallerOf(c.Request.Context()).Must]
		if !ok {
			allow = must[token.MustNothing]
		}
		allow(c)
	}
}

// JWKS are the published keys (RFC 7517).
type JWKS struct {
	Keys []JWK `json:"keys"`
}

// JWK is a published key.
type JWK struct {
	Kty string `json:"kty" example:"EC"`
	Crv string `json:"crv" example:"P-256"`
	Kid string `json:"kid"`
	Use string `json:"use" example:"sig"`
	Alg string `json:"alg" example:"ES256"`
	X   string `json:"x"`
	Y   string `json:"y"`
}

// jwks publishes the keys that tokens are verified with.
//
//	@Summary	The keys that tokens are verified with
//	@Tags		sign-in
//	@Produce	json
//	@Success	200	{object}	JWKS
//	@Router		/.well-known/jwks.json [get]
func (s *Service) jwks(c *gin.Context) {
	body, err := json.Marshal(jose.JSONWebKeySet{Keys: s.keys.Public()})
	if err != nil {
		web.Fail(c, fmt.Errorf("publishing keys: %w", err))
		return
	}
	// Whoever sees a token of a key that is not there reads them again before this has passed.
	c.Header("Cache-Control", "public, max-age=300")
	c.Data(http.StatusOK, "application/json; charset=utf-8", body)
}
