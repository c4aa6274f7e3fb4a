package campaignex

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/angelowl-loyalties/app/campaignex/docs"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/google/uuid"
	swaggerfiles "github.com/swaggo/files"
	ginswagger "github.com/swaggo/gin-swagger"
)

//go:generate go run github.com/swaggo/swag/cmd/swag@v1.16.6 init --quiet --generalInfo routes.go --dir . --output docs --outputTypes go --instanceName campaignex

// maxHistory is the most bytes of a file of quotes; the ECB's is 0.7 MB zipped and 1.9 MB plain.
const maxHistory = 16 << 20

// service answers requests.
type service struct {
	cfg        Config
	log        *slog.Logger
	store      Store
	publisher  *outbox.Publisher
	live       *liveRules
	clock      func() time.Time
	campaigns  ruleapi.Resource[loyalty.Campaign, CampaignFilter]
	exclusions ruleapi.Resource[loyalty.Exclusion, ExclusionFilter]
	quotes     ruleapi.Resource[Day, DayFilter]
}

func newService(cfg Config, deps Deps, publisher *outbox.Publisher) *service {
	s := &service{
		cfg: cfg, log: deps.Log, store: deps.Store, publisher: publisher, clock: deps.Clock,
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
func (s *service) routes() http.Handler {
	r := web.New(s.log)

	r.GET("/campaign", s.listCampaigns)
	r.POST("/campaign", s.createCampaign)
	r.POST("/campaign/try", s.try)
	r.GET("/campaign/:id", s.getCampaign)
	r.PUT("/campaign/:id", s.putCampaign)
	r.DELETE("/campaign/:id", s.deleteCampaign)
	r.GET("/campaign/:id/history", s.campaignHistory)

	r.GET("/exclusion", s.listExclusions)
	r.POST("/exclusion", s.createExclusion)
	r.GET("/exclusion/:id", s.getExclusion)
	r.PUT("/exclusion/:id", s.putExclusion)
	r.DELETE("/exclusion/:id", s.deleteExclusion)
	r.GET("/exclusion/:id/history", s.exclusionHistory)

	r.GET("/fx", s.listDays)
	r.POST("/fx", web.LimitBody(maxHistory), s.importDays)
	r.GET("/fx/:date", s.getDay)
	r.PUT("/fx/:date", s.putDay)
	r.DELETE("/fx/:date", s.deleteDay)
	r.GET("/fx/:date/history", s.dayHistory)

	r.GET("/swagger/*any", ginswagger.WrapHandler(swaggerfiles.NewHandler(), ginswagger.InstanceName(docs.SwaggerInfocampaignex.InstanceName())))
	return r
}

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
