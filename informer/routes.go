package informer

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/angelowl-loyalties/app/informer/docs"
	"github.com/angelowl-loyalties/app/loyalty/web"
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
}

func newService(cfg Config, deps Deps) *service {
	return &service{cfg: cfg, log: deps.Log, store: deps.Store, clock: deps.Clock, tallies: newTallies(cfg, deps.Store, deps.Clock)}
}

// routes
//
//	@title			AngelOwl informer
//	@version		1.0
//	@description	What cards earned and why: histories, totals, summaries. GET /reward/today is on the internal port only.
//	@BasePath		/
func (s *service) routes() http.Handler {
	r := web.New(s.log)
	r.GET("/reward/:cardId", s.rewards)
	r.GET("/reward/total/:cardId", s.total)
	r.GET("/reward/summary/:cardId", s.summary)
	r.GET("/swagger/*any", ginswagger.WrapHandler(swaggerfiles.NewHandler(), ginswagger.InstanceName(docs.SwaggerInfoinformer.InstanceName())))
	return r
}

// internalRoutes are for other services, on a port that the gateway does not reach.
func (s *service) internalRoutes() http.Handler {
	r := web.New(s.log)
	r.GET("/reward/today", s.today)
	return r
}
