package rulebook

import (
	"strconv"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
)

// InForce says which rule set a partition has in force, as JSON under InForceKey. Its row is
// durable by then: whoever evaluates a later record will do so by this rule set.
type InForce struct {
	Rewarder string       `json:"rewarder"` // who says so
	Hash     loyalty.Hash `json:"hash"`
	Epoch    int64        `json:"epoch"`
	Revision int64        `json:"revision"` // the newest revision that is known to have this rule set
	Offset   int64        `json:"offset"`   // the marker's; -1 for what was fixed before the first
	Since    time.Time    `json:"since"`
}

// InForceKey is where rewarders say what a partition has in force.
func InForceKey(topic string, partition int32) string {
	return InForcePrefix + topic + "/" + strconv.Itoa(int(partition))
}
