package rewarddb

import (
	"context"
	"errors"
	"fmt"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// Version is the version of the schema that this program needs. A keyspace may have a later one:
// what is added does not concern it.
const Version = 2

// Store is the partition of schema_migrations that has the versions.
const Store = "rewards"

// ErrSchema says that the tables are not there, or not those of this release.
var ErrSchema = errors.New("the reward store's tables are not ready: the rewarder of this release makes them when it starts")

// Check returns the schema's version, or ErrSchema where it is before Version.
func Check(ctx context.Context, s *gocql.Session) (int, error) {
	var version int
	err := Retry(ctx, func() error {
		version = 0
		err := s.Query("SELECT version FROM schema_migrations WHERE store = ? ORDER BY version DESC LIMIT 1", Store).ScanContext(ctx, &version)
		if errors.Is(err, gocql.ErrNotFound) {
			return nil
		}
		return err
	})
	switch {
	case err != nil:
		return 0, Wrap("reading the version of the reward store's schema", err)
	case version < Version:
		return version, fmt.Errorf("%w (they are of version %d, and %d is needed)", ErrSchema, version, Version)
	}
	return version, nil
}
