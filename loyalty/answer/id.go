package answer

import (
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/google/uuid"
)

// NewRequestID is an id for a request that has none: a UUID that nobody takes for a card number. One in
// some thousands has 13 digits or more in a row that pass Luhn's check; it would be starred in logs, and
// the next service would take it for no id and make another one.
func NewRequestID() string { return newRequestID(uuid.NewString) }

func newRequestID(random func() string) string {
	for {
		if id := random(); loyalty.StarPANs(id) == id {
			return id
		}
	}
}
