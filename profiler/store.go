package profiler

import (
	"context"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
)

// Store keeps card types; what is said of ruleapi.Store and outbox.Store goes for its parts.
type Store interface {
	outbox.Store

	CardTypes() ruleapi.Store[loyalty.CardType, CardTypeFilter]

	// Import makes all of these stand as given, in one transaction, and returns how many of them
	// that changed. What is as it was makes no version. What is not named stays as it is. Each key
	// is there once.
	Import(ctx context.Context, who string, cardTypes []loyalty.CardType) (changed int, err error)
}

// CardTypeFilter narrows a list of card types: not at all, so far.
type CardTypeFilter struct{}
