package campaignex

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/angelowl-loyalties/app/campaignex/docs"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	swaggerfiles "github.com/swaggo/files"
	ginswagger "github.com/swaggo/gin-swagger"
)

//go:generate go run github.com/swaggo/swag/cmd/swag@v1.16.6 init --quiet --generalInfo routes.go --dir . --output docs --outputTypes go --instanceName campaignex

// maxHistory is the most bytes of a file of quotes; the ECB's is 0.7 MB zipped and 1.9 MB plain.
const maxHistory = 16 << 20

// service answers requests.
type service struct {
	meter      *web.Meter
	traces     *tracing.Provider
	cfg        Config
	log        *slog.Logger
	store      Store
	publisher  *outbox.Publisher
	live       *liveRules
	clock      func() time.Time
	identify   func(*http.Request) (web.Caller, error)
	session    func(context.Context, string) (profile.Session, error)
	campaigns  ruleapi.Resource[loyalty.Campaign, CampaignFilter]
	exclusions ruleapi.Resource[loyalty.Exclusion, ExclusionFilter]
	quotes     ruleapi.Resource[Day, DayFilter]
}

func newService(cfg Config, deps Deps, publisher *outbox.Publisher) *service {
	s := &service{
		cfg: cfg, log: deps.Log, store: deps.Store, publisher: publisher, clock: deps.Clock,
		identify: deps.Identify, session: deps.Session,
		live: newLiveRules(deps.Etcd, cfg.Home, cfg.Outbox.Timeout),
	}
	s.campaigns = ruleapi.Resource[loyalty.Campaign, CampaignFilter]{
		Name: "campaign", Field: "id", Store: deps.Store.Campaigns(), Publisher: publisher, PublishWait: cfg.PublishWait,
		ID: func(c loyalty.Campaign) string { return c.ID.String() }, ParseID: parseID, NewID: uuid.NewString,
		Sorts:  []string{"name", "start_date", "end_date", "reward_program", "reward_amount", "updated_at"},
		Filter: s.campaignFilter, Warn: s.warn,
	}
	s.exclusions = ruleapi.Resource[loyalty.Exclusion, ExclusionFilter]{
		Name: "exclusion", Field: "id", Store: deps.Store.Exclusions(), Publisher: publisher, PublishWait: cfg.PublishWait,
		ID: func(e loyalty.Exclusion) string { return e.ID.String() }, ParseID: parseID, NewID: uuid.NewString,
		Sorts:  []string{"mcc", "valid_from", "updated_at"},
		Filter: exclusionFilter,
	}
	s.quotes = ruleapi.Resource[Day, DayFilter]{
		Name: "day of quotes", Field: "date", Store: deps.Store.Quotes(), Publisher: publisher, PublishWait: cfg.PublishWait,
		ID: Day.ID, ParseID: parseDay,
		Sorts:  []string{"date"},
		Filter: dayFilter,
	}
	return s
}

// routes
//
//	@title			AngelOwl campaignex
//	@version		1.0
//	@description	Campaigns, exclusions and quotes: what a transaction earns. A change applies to what arrives after it is published.
//	@BasePath		/
//
//	@securityDefinitions.apikey	Bearer
//	@in							header
//	@name						Authorization
//	@description				Bearer, a space, and the token that POST /auth/login answers
//	@security					Bearer
func (s *service) routes() *gin.Engine {
	r := web.New(s.log, web.WithIdentity(s.identify), web.WithPublic(web.SwaggerRoute), web.WithPortal(s.cfg.Portal), web.WithMeter(s.meter), web.WithTraces(s.traces))
	read := web.Allow(token.User, token.Bank, token.Admin)
	staff := web.Allow(token.Bank, token.Admin)
	fresh := web.Fresh(s.session)

	r.GET("/campaign", read, s.listCampaigns)
	r.POST("/campaign", staff, fresh, s.createCampaign)
	r.POST("/campaign/try", staff, s.try)
	r.GET("/campaign/:id", read, s.getCampaign)
	r.PUT("/campaign/:id", staff, fresh, s.putCampaign)
	r.DELETE("/campaign/:id", staff, fresh, s.deleteCampaign)
	r.GET("/campaign/:id/history", staff, s.campaignHistory)

	r.GET("/exclusion", read, s.listExclusions)
	r.POST("/exclusion", staff, fresh, s.createExclusion)
	r.GET("/exclusion/:id", read, s.getExclusion)
	r.PUT("/exclusion/:id", staff, fresh, s.putExclusion)
	r.DELETE("/exclusion/:id", staff, fresh, s.deleteExclusion)
	r.GET("/exclusion/:id/history", staff, s.exclusionHistory)

	r.GET("/mcc", read, s.listCodes)

	r.GET("/fx", staff, s.listDays)
	r.POST("/fx", staff, fresh, web.LimitBody(maxHistory), s.importDays)
	r.GET("/fx/:date", staff, s.getDay)
	r.PUT("/fx/:date", staff, fresh, s.putDay)
	r.DELETE("/fx/:date", staff, fresh, s.deleteDay)
	r.GET("/fx/:date/history", staff, s.dayHistory)

	r.GET(web.SwaggerRoute, ginswagger.WrapHandler(swaggerfiles.NewHandler(), ginswagger.InstanceName(docs.SwaggerInfocampaignex.InstanceName())))
	return r
}

// Routes are the service's, for whoever compares them with the gateway's file.
func Routes() gin.RoutesInfo { return (&service{log: slog.New(slog.DiscardHandler)}).routes().Routes() }

func parseID(s string) (string, error) {
	id, err := loyalty.ParseUUID(s)
	if err != nil {
		return "", named("id", err)
	}
	return id.String(), nil
}

func parseDay(s string) (string, error) {
	d, err := loyalty.ParseDate(s)
	if err != nil {
		return "", named("date", err)
	}
	return d.String(), nil
}
