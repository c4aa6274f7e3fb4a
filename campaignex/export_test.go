package campaignex

import (
	"log/slog"

	"github.com/gin-gonic/gin"
)

// Routes are all that the service has.
func Routes(store Store) gin.RoutesInfo {
	return newService(DefaultConfig(), Deps{Store: store, Log: slog.New(slog.DiscardHandler)}, nil).routes().Routes()
}
