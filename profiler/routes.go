package profiler

import (
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler/docs"
	"github.com/gin-gonic/gin"
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
	store     Store
	key       DataKey
	signIn    SignIn
	passwords Passwords
	clock     func() time.Time
	portal    string
	meter     *web.Meter
	traces    *tracing.Provider
	cardTypes ruleapi.Resource[loyalty.CardType, CardTypeFilter]
}

func newService(cfg Config, deps Deps, publisher *outbox.Publisher) *service {
	s := &service{
		log: deps.Log, etcd: deps.Etcd, timeout: cfg.Outbox.Timeout, store: deps.Store, key: deps.DataKey, signIn: deps.SignIn,
		passwords: deps.Passwords, clock: deps.Clock, portal: cfg.Portal,
	}
	s.cardTypes = ruleapi.Resource[loyalty.CardType, CardTypeFilter]{
		Name: "card type", Field: "card_type", Store: deps.Store.CardTypes(), Publisher: publisher, PublishWait: cfg.PublishWait,
		ID:        func(t loyalty.CardType) string { return t.CardType },
		ParseID:   parseKey,
		Sorts:     []string{"card_type", "name", "updated_at"},
		MayDelete: s.notInUse,
	}
	return s
}

// routes are those of the gateway. Whose data an account may see within its role, the handlers say.
//
//	@title						AngelOwl profiler
//	@version					1.0
//	@description				Accounts, cards, and card types: which kinds of cards there are and in which unit each earns. What stands under /internal is on a port of its own, for other services.
//	@BasePath					/
//	@securityDefinitions.apikey	Bearer
//	@in							header
//	@name						Authorization
//	@description				Bearer and the token of POST /auth/login
//	@security					Bearer
func (s *service) routes(deps Deps) *gin.Engine {
	r := web.New(s.log, web.WithIdentity(deps.Identify), web.WithPublic(append([]string{web.SwaggerRoute}, deps.Public...)...), web.WithPortal(s.portal), web.WithMeter(s.meter), web.WithTraces(s.traces))
	var (
		people = web.Allow(token.User, token.Bank, token.Admin)
		staff  = web.Allow(token.Bank, token.Admin)
		fresh  = s.signIn.Fresh()
	)

	r.GET("/user", staff, s.listUsers)
	r.POST("/user", staff, fresh, s.createUser)
	r.POST("/user/search", staff, s.searchUsers)
	r.GET("/user/:id", people, s.getUser)
	r.PUT("/user/:id", people, fresh, s.putUser)
	r.DELETE("/user/:id", staff, fresh, s.deleteUser)
	r.GET("/user/:id/history", staff, s.userHistory)

	r.GET("/card", staff, s.listCards)
	r.POST("/card", staff, fresh, s.createCard)
	r.GET("/card/:id", people, s.getCard)
	r.DELETE("/card/:id", staff, fresh, s.deleteCard)
	r.GET("/card/:id/history", staff, s.cardHistory)

	r.GET("/card/type", people, s.listCardTypes)
	r.POST("/card/type", staff, fresh, s.createCardType)
	r.GET("/card/type/:card_type", people, s.getCardType)
	r.PUT("/card/type/:card_type", staff, fresh, s.putCardType)
	r.DELETE("/card/type/:card_type", staff, fresh, s.deleteCardType)
	r.GET("/card/type/:card_type/history", staff, s.cardTypeHistory)

	s.signIn.Routes(r)
	r.GET(web.SwaggerRoute, ginswagger.WrapHandler(swaggerfiles.NewHandler(), ginswagger.InstanceName(docs.SwaggerInfoprofiler.InstanceName())))
	return r
}

// internalRoutes are for other services, on a port that the gateway does not reach.
func (s *service) internalRoutes(deps Deps) *gin.Engine {
	r := web.New(s.log, web.WithIdentity(deps.Identify), web.WithPublic(deps.Public...), web.WithMeter(s.meter), web.WithTraces(s.traces))
	services := web.Allow(token.Service)

	r.GET("/internal/card/:id", services, s.cardOwner)
	r.GET("/internal/user/:id/card", services, s.cardsOfUser)
	r.POST("/internal/users", services, web.LimitBody(maxBatchBody), s.putRows)
	r.POST("/internal/reward-mails/unmailed", services, web.LimitBody(maxBatchBody), s.unmailed)
	r.POST("/internal/reward-mails/begin", services, web.LimitBody(maxBatchBody), s.beginMail)
	r.POST("/internal/reward-mails/end", services, s.endMail)
	r.GET("/internal/reward-mails/day/:day", services, s.mailDay)
	r.POST("/internal/reward-mails/day/:day", services, s.endMailDay)

	s.signIn.InternalRoutes(r)
	return r
}

// Routes are the service's with those of signIn, and those of its internal port, for whoever compares
// them with the gateway's file.
func Routes(signIn SignIn) (outside, internal gin.RoutesInfo) {
	s := &service{log: slog.New(slog.DiscardHandler), signIn: signIn}
	return s.routes(Deps{}).Routes(), s.internalRoutes(Deps{}).Routes()
}

// parseKey refuses what databases do not take for text.
func parseKey(s string) (string, error) {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return "", web.Invalid("card_type", "not_text", "is not text")
	}
	return s, nil
}
