package rewarddb

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty/answer"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// Cassandra has one code for every request that it cannot carry out; only the words tell why.
func invalid(err error) (text string, ok bool) {
	var e gocql.RequestError
	if !errors.As(err, &e) || e.Code() != gocql.ErrCodeInvalid {
		return "", false
	}
	return e.Message(), true
}

// Missing says whether a table or the keyspace is not there.
func Missing(err error) bool {
	text, ok := invalid(err)
	return ok && (strings.HasSuffix(text, "does not exist") || strings.HasPrefix(text, "unconfigured table"))
}

// TooLarge says whether Cassandra refused a request for its size, which depends on how it is set
// up: max_mutation_size, native_transport_max_message_size, batch_size_fail_threshold and the
// guardrail column_value_size_fail_threshold.
func TooLarge(err error) bool {
	text, ok := invalid(err)
	if !ok {
		return false
	}
	for _, begin := range []string{
		"Rejected an oversized mutation", // 5.0
		"Mutation of ",                   // 4.0: … is too large for the maximum size of …
		"CQL Message of size",            // … exceeds allowed maximum of … bytes
		"Batch too large",
		"Guardrail column_value_size violated",
	} {
		if strings.HasPrefix(text, begin) {
			return true
		}
	}
	return false
}

// errAway is what a caller of a service hears where the store has not answered.
var errAway = &answer.Error{Status: http.StatusServiceUnavailable, Code: "rewards_unavailable",
	Message: "the reward store cannot be reached just now; nothing is lost, try again"}

// Wrap says what was being done, and what an error means to whoever runs the store.
func Wrap(doing string, err error) error {
	var (
		unauthorized *gocql.RequestErrUnauthorized
		unavailable  *gocql.RequestErrUnavailable
	)
	switch {
	case err == nil:
		return nil
	case Missing(err):
		return fmt.Errorf("%s: %w (%w)", doing, ErrSchema, err)
	case errors.As(err, &unauthorized):
		return fmt.Errorf("%s: its account is not allowed to; see the grants in the deployment guide (%w)", doing, err)
	case errors.As(err, &unavailable):
		return fmt.Errorf("%s: %w: too few replicas are up, %d of the %d that are needed (%w)", doing, errAway, unavailable.Alive, unavailable.Required, err)
	case Passing(err):
		return fmt.Errorf("%s: %w (%w)", doing, errAway, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
