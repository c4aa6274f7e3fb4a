package informer

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/angelowl-loyalties/app/informer/docs"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	swaggerfiles "github.com/swaggo/files"
	ginswagger "github.com/swaggo/gin-swagger"
)

//go:generate go run github.com/swaggo/swag/cmd/swag@v1.16.6 init --quiet --generalInfo routes.go --dir . --output docs --outputTypes go --instanceName informer

// service answers requests.
type service struct {
	cfg     Config
	log     *slog.Logger
	store   Store
	clock   func() time.Time
	tallies *tallies
	meter   *web.Meter
	traces  *tracing.Provider

	identify func(*http.Request) (web.Caller, error)
	owner    func(context.Context, uuid.UUID) (string, error)
}

func newService(cfg Config, deps Deps) *service {
	return &service{
		cfg: cfg, log: deps.Log, store: deps.Store, clock: deps.Clock, tallies: newTallies(cfg, deps.Store, deps.Clock),
		identify: deps.Identify, owner: deps.Owner,
	}
}

// routes
//
//	@title			AngelOwl informer
//	@version		1.0
//	@description	What cards earned and why: histories, totals, summaries. GET /reward/today is on the internal port only.
//	@BasePath		/
//
//	@securityDefinitions.apikey	Bearer
//	@in							header
//	@name						Authorization
//	@description				Bearer, a space, and the token that POST /auth/login answers
//	@security					Bearer
func (s *service) routes() *gin.Engine {
	r := web.New(s.log, web.WithIdentity(s.identify), web.WithPublic(web.SwaggerRoute), web.WithPortal(s.cfg.Portal), web.WithMeter(s.meter), web.WithTraces(s.traces))
	holders := web.Allow(token.User, token.Admin)
	r.GET("/reward/:cardId", holders, s.own, s.rewards)
	r.GET("/reward/total/:cardId", holders, s.own, s.total)
	r.GET("/reward/summary/:cardId", holders, s.own, s.summary)
	r.GET(web.SwaggerRoute, ginswagger.WrapHandler(swaggerfiles.NewHandler(), ginswagger.InstanceName(docs.SwaggerInfoinformer.InstanceName())))
	return r
}

// internalRoutes are for other services, on a port that the gateway does not reach.
func (s *service) internalRoutes() *gin.Engine {
	r := web.New(s.log, web.WithIdentity(s.identify), web.WithMeter(s.meter), web.WithTraces(s.traces))
	r.GET("/reward/today", web.Allow(token.Service), s.today)
	return r
}

// Routes are the service's, and those of its internal port, for whoever compares them with the
// gateway's file.
func Routes() (outside, internal gin.RoutesInfo) {
	s := &service{log: slog.New(slog.DiscardHandler)}
	return s.routes().Routes(), s.internalRoutes().Routes()
}
