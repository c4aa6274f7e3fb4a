// Package cassandra is the reward store as the rewarder writes it, in Apache Cassandra. The schema
// and its migrations are here; informer's package of this name reads the same tables.
package cassandra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/rewarder"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"golang.org/x/sync/errgroup"
)

var _ rewarder.Store = (*Store)(nil)

// Options of Open.
type Options struct {
	// Zone is the bank's, in which the index by day is kept; nil: UTC. A store opens only in the
	// zone in which it was made.
	Zone *time.Location

	// CreateKeyspace makes the keyspace on one replica if it is not there, for tests and laptops.
	// A bank makes its own, with the replication that it wants.
	CreateKeyspace bool

	// Migrated leaves the schema to somebody else, who calls Migrate: the error is rewarddb.ErrSchema
	// until it is of this release.
	Migrated bool

	// Log takes what the driver says and which migrations ran; nil: nothing does.
	Log *slog.Logger
}

// Store is the reward store. It is safe for concurrent use.
type Store struct {
	session *gocql.Session
	zone    *time.Location
	slots   chan struct{} // one for each write under way
	insert  string        // a reward
	index   string        // an entry of the index
	keys    string        // of a card's rewards

	deleteReward string
	deleteEntry  string
}

// maxInFlight is how many writes are under way at once, of all calls together.
const maxInFlight = 64

// partsInFlight is how many parts of rule sets are: each has up to 1 MiB.
const partsInFlight = 4

// Open connects to the store and brings its schema up to date.
func Open(ctx context.Context, cfg rewarddb.Config, o Options) (*Store, error) {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.CreateKeyspace {
		if err := createKeyspace(ctx, cfg, o.Log); err != nil {
			return nil, err
		}
	}
	if !o.Migrated {
		if err := Migrate(ctx, cfg, o.Log); err != nil {
			return nil, err
		}
	}
	session, err := rewarddb.Open(ctx, cfg, o.Log)
	if err != nil {
		return nil, err
	}
	if o.Migrated {
		if _, err := rewarddb.Check(ctx, session); err != nil {
			session.Close()
			return nil, err
		}
	}
	s := &Store{
		session:      session,
		zone:         o.Zone,
		slots:        make(chan struct{}, maxInFlight),
		insert:       insert(cfg.Rewards(), rewarddb.Columns[:]),
		index:        insert(cfg.ByDay(), rewarddb.EntryColumns[:]),
		keys:         "SELECT transaction_date, id, created_at FROM " + cfg.Rewards() + " WHERE card_id = ?",
		deleteReward: "DELETE FROM " + cfg.Rewards() + " WHERE card_id = ? AND transaction_date = ? AND id = ?",
		deleteEntry:  "DELETE FROM " + cfg.ByDay() + " WHERE day = ? AND bucket = ? AND card_id = ? AND transaction_date = ? AND id = ?",
	}
	if err := s.checkZone(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Migrate brings the schema up to date.
func Migrate(ctx context.Context, cfg rewarddb.Config, log *slog.Logger) error {
	todo, err := migrations(files, cfg)
	if err != nil {
		return err
	}
	return migrate(ctx, cfg, todo, log)
}

func createKeyspace(ctx context.Context, cfg rewarddb.Config, log *slog.Logger) error {
	cfg.Timeout = ddlTimeout
	session, err := rewarddb.OpenCluster(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer session.Close()
	statement := "CREATE KEYSPACE IF NOT EXISTS " + cfg.Keyspace + " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
	if err := session.Query(statement).ExecContext(ctx); err != nil {
		return rewarddb.Wrap("making the reward store's keyspace", err)
	}
	return session.AwaitSchemaAgreement(ctx)
}

// checkZone keeps a store from having two kinds of days in one index.
func (s *Store) checkZone(ctx context.Context) error {
	was := map[string]any{}
	err := rewarddb.Retry(ctx, func() error {
		_, err := s.session.Query("INSERT INTO settings (name, value) VALUES ('zone', ?) IF NOT EXISTS", s.zone.String()).MapScanCASContext(ctx, was)
		return err
	})
	if err != nil {
		return rewarddb.Wrap("fixing the reward store's time zone", err)
	}
	if zone, ok := was["value"].(string); ok && zone != s.zone.String() {
		return rewarddb.Refused(fmt.Errorf("the reward store keeps the days of the time zone %s, not of %s", zone, s.zone))
	}
	return nil
}

// Close ends the connections. Every later call is an error.
func (s *Store) Close() { s.session.Close() }

// OpenTopic implements rewarder.Store. Incarnations are counted over the names of all topics,
// since rows and markers do not say which topic they are of.
func (s *Store) OpenTopic(ctx context.Context, name, id string, partitions int32) (int64, error) {
	if name == "" || id == "" || partitions < 1 {
		return 0, fmt.Errorf("opening the topic %q: it needs a name, an id and partitions", name)
	}
	// What is there stays, so most need no more than a look. What is not there may be another's that
	// is on its way, or one's own whose answer was lost: that is known at SERIAL alone.
	for at := gocql.LocalQuorum; ; at = gocql.Serial {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		is, last, err := s.topic(ctx, name, at)
		if err != nil {
			return 0, rewarddb.Wrap("reading the reward store's topics", err)
		}
		if is != nil {
			if is.id != id || is.partitions != partitions {
				return 0, fmt.Errorf("topic %q with id %s and %d partitions, known with id %s and %d: %w",
					name, id, partitions, is.id, is.partitions, rewarder.ErrTopicChanged)
			}
			return int64(is.incarnation), nil
		}
		if at != gocql.Serial {
			continue
		}
		next := 1
		if last != nil {
			next = *last + 1
		}
		if next > maxIncarnation {
			return 0, fmt.Errorf("opening the topic %q: %d topics are known, and that is the most", name, maxIncarnation)
		}
		// Both or none, and only if no other topic took the number.
		b := s.session.Batch(gocql.LoggedBatch)
		b.Query("UPDATE topics SET last_incarnation = ? WHERE store = ? IF last_incarnation = ?", next, rewarddb.Store, last)
		b.Query("INSERT INTO topics (store, name, topic_id, partitions, incarnation) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS",
			rewarddb.Store, name, id, partitions, next)
		switch applied, err := enter(ctx, b); {
		case err != nil && !rewarddb.Passing(err):
			return 0, rewarddb.Wrap("entering the topic into the reward store", err)
		case applied:
			return int64(next), nil
		}
		// Another was first, or the answer was lost: look again, in a moment of one's own.
		if err := rewarddb.Pause(ctx, time.Millisecond+rand.N(20*time.Millisecond)); err != nil {
			return 0, err
		}
	}
}

// enter executes a conditional batch.
func enter(ctx context.Context, b *gocql.Batch) (applied bool, err error) {
	applied, rows, err := b.MapExecCASContext(ctx, map[string]any{})
	if rows != nil {
		err = errors.Join(err, rows.Close())
	}
	return applied, err
}

type topic struct {
	id          string
	partitions  int32
	incarnation int
}

// topic returns what is known of a name, nil for nothing, and the last incarnation.
func (s *Store) topic(ctx context.Context, name string, at gocql.Consistency) (is *topic, last *int, err error) {
	err = rewarddb.Retry(ctx, func() error {
		is, last = nil, nil
		rows := s.session.Query("SELECT name, topic_id, partitions, incarnation, last_incarnation FROM topics WHERE store = ?", rewarddb.Store).
			Consistency(at).IterContext(ctx)
		var (
			of string
			t  topic
		)
		for rows.Scan(&of, &t.id, &t.partitions, &t.incarnation, &last) {
			if of == name {
				found := t
				is = &found
			}
		}
		return rows.Close()
	})
	return is, last, err
}

// PutParts implements rewarder.Store.
func (s *Store) PutParts(ctx context.Context, parts []rules.Part) error {
	for _, p := range parts {
		if loyalty.HashOf(p.Data) != p.Hash {
			return fmt.Errorf("a part of a rule set does not have the hash %s", p.Hash)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(partsInFlight)
	for _, p := range parts {
		g.Go(func() error {
			return rewarddb.Retry(ctx, func() error {
				return s.session.Query("INSERT INTO rule_parts (hash, data) VALUES (?, ?)", p.Hash[:], p.Data).ExecContext(ctx)
			})
		})
	}
	return rewarddb.Wrap("writing rules to the reward store", g.Wait())
}

// Part implements rewarder.Store.
func (s *Store) Part(ctx context.Context, hash loyalty.Hash) (data []byte, err error) {
	err = rewarddb.Retry(ctx, func() error {
		return s.session.Query("SELECT data FROM rule_parts WHERE hash = ?", hash[:]).ScanContext(ctx, &data)
	})
	if err != nil {
		return nil, reading(err, "reading rules from the reward store")
	}
	return data, nil
}

func reading(err error, doing string) error {
	if errors.Is(err, gocql.ErrNotFound) {
		return rewarder.ErrNotFound
	}
	return rewarddb.Wrap(doing, err)
}

// FixFirst implements rewarder.Store.
func (s *Store) FixFirst(ctx context.Context, incarnation int64, partition int32, m record.Marker) (record.Marker, error) {
	first := m
	err := rewarddb.Retry(ctx, func() error {
		was := map[string]any{}
		applied, err := s.session.Query(`INSERT INTO rule_markers (log_incarnation, log_partition, log_offset, hash, epoch, revision)
			VALUES (?, ?, -1, ?, ?, ?) IF NOT EXISTS`, incarnation, partition, m.Hash[:], m.Epoch, m.Revision).MapScanCASContext(ctx, was)
		if err != nil || applied {
			return err
		}
		hash, _ := was["hash"].([]byte)
		if len(hash) != len(first.Hash) {
			return errors.New("the first rule marker of a partition is damaged")
		}
		first.Hash = loyalty.Hash(hash)
		first.Epoch, _ = was["epoch"].(int64)
		first.Revision, _ = was["revision"].(int64)
		return nil
	})
	if err != nil {
		return record.Marker{}, rewarddb.Wrap("fixing a partition's first rules in the reward store", err)
	}
	return first, nil
}

// PutMarker implements rewarder.Store.
func (s *Store) PutMarker(ctx context.Context, at loyalty.Position, m record.Marker) error {
	if !validPosition(at) {
		return fmt.Errorf("a rule marker at %+v: there is no such place in a log", at)
	}
	return rewarddb.Wrap("writing a rule marker to the reward store", rewarddb.Retry(ctx, func() error {
		return s.session.Query("INSERT INTO rule_markers (log_incarnation, log_partition, log_offset, hash, epoch, revision) VALUES (?, ?, ?, ?, ?, ?)",
			at.Incarnation, at.Partition, at.Offset, m.Hash[:], m.Epoch, m.Revision).ExecContext(ctx)
	}))
}

// MarkerBefore implements rewarder.Store.
func (s *Store) MarkerBefore(ctx context.Context, at loyalty.Position) (m record.Marker, offset int64, err error) {
	var hash []byte
	err = rewarddb.Retry(ctx, func() error {
		return s.session.Query("SELECT log_offset, hash, epoch, revision FROM rule_markers WHERE log_incarnation = ? AND log_partition = ? AND log_offset < ? LIMIT 1",
			at.Incarnation, at.Partition, at.Offset).ScanContext(ctx, &offset, &hash, &m.Epoch, &m.Revision)
	})
	if err != nil {
		return record.Marker{}, 0, reading(err, "reading a rule marker from the reward store")
	}
	if len(hash) != len(m.Hash) {
		return record.Marker{}, 0, fmt.Errorf("the rule marker at offset %d of partition %d is damaged", offset, at.Partition)
	}
	m.Hash = loyalty.Hash(hash)
	return m, offset, nil
}
