package profiler

import (
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler/docs"
	swaggerfiles "github.com/swaggo/files"
	ginswagger "github.com/swaggo/gin-swagger"
	clientv3 "go.etcd.io/etcd/client/v3"
)

//go:generate go run github.com/swaggo/swag/cmd/swag@v1.16.6 init --quiet --generalInfo routes.go --dir . --output docs --outputTypes go --instanceName profiler

// service answers requests.
type service struct {
	log       *slog.Logger
	etcd      *clientv3.Client
	timeout   time.Duration
	cardTypes ruleapi.Resource[loyalty.CardType, CardTypeFilter]
}

func newService(cfg Config, deps Deps, publisher *outbox.Publisher) *service {
	s := &service{log: deps.Log, etcd: deps.Etcd, timeout: cfg.Outbox.Timeout}
	s.cardTypes = ruleapi.Resource[loyalty.CardType, CardTypeFilter]{
		Name: "card type", Field: "card_type", Store: deps.Store.CardTypes(), Publisher: publisher, PublishWait: cfg.PublishWait,
		ID:        func(t loyalty.CardType) string { return t.CardType },
		ParseID:   parseKey,
		Sorts:     []string{"card_type", "name", "updated_at"},
		MayDelete: s.notInUse,
	}
	return s
}

// routes
//
//	@title			AngelOwl profiler
//	@version		1.0
//	@description	Card types: which kinds of cards there are and in which unit each earns.
//	@BasePath		/
func (s *service) routes() http.Handler {
	r := web.New(s.log)

	r.GET("/card/type", s.listCardTypes)
	r.POST("/card/type", s.createCardType)
	r.GET("/card/type/:card_type", s.getCardType)
	r.PUT("/card/type/:card_type", s.putCardType)
	r.DELETE("/card/type/:card_type", s.deleteCardType)
	r.GET("/card/type/:card_type/history", s.cardTypeHistory)

	r.GET("/swagger/*any", ginswagger.WrapHandler(swaggerfiles.NewHandler(), ginswagger.InstanceName(docs.SwaggerInfoprofiler.InstanceName())))
	return r
}

// parseKey refuses what databases do not take for text.
func parseKey(s string) (string, error) {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return "", web.Invalid("card_type", "not_text", "is not text")
	}
	return s, nil
}
