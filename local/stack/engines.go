package stack

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/local/etcd"
	"github.com/angelowl-loyalties/app/local/frontdoor"
	"github.com/angelowl-loyalties/app/local/kafka"
	"github.com/angelowl-loyalties/app/local/pebble"
	"github.com/angelowl-loyalties/app/local/sqlite"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/rewarder"
	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"gorm.io/gorm"
)

// RewardStore is the reward store as the two services and the reconciler of uploads see it, and as a
// person who wants to see all of it does.
type RewardStore interface {
	rewarder.Store
	informer.Store
	ingestor.RewardStore

	// All calls f with every row until it fails, a card's rows together.
	All(ctx context.Context, f func(loyalty.Row) error) error

	// Erase erases a card's rows that are there, for good.
	Erase(ctx context.Context, card uuid.UUID) error
}

// Databases of SQL, by the services that own them.
const (
	campaignexDatabase = "campaignex"
	profilerDatabase   = "profiler"
)

// engineSet is what the services stand on, open.
type engineSet struct {
	etcd       *clientv3.Client
	brokers    []string
	partitions int
	rewards    RewardStore
	sql        map[string]*gorm.DB
	addresses  []frontdoor.Address // of those that are not in the fields above
	closes     []func() error      // what has to be closed, in the order of opening

	// These say that an engine in this process cannot go on; nil for one that is another process,
	// which may come back.
	etcdFailed, rewardsFailed <-chan error
}

// close closes them, each after what was opened later.
func (e *engineSet) close() error {
	var errs []error
	for _, f := range slices.Backward(e.closes) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

func (e *engineSet) later(f func() error) { e.closes = append(e.closes, f) }

// openEngines opens the engines that the configuration asks for. What it opened before an error is closed again.
func (s *Stack) openEngines(ctx context.Context, log *slog.Logger) (*engineSet, error) {
	e := &engineSet{sql: map[string]*gorm.DB{}}
	open := s.openEmbedded
	if s.Native {
		open = s.openReal
	}
	if err := open(ctx, e, log); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// openEmbedded starts engines in this process, on the data folder.
func (s *Stack) openEmbedded(ctx context.Context, e *engineSet, log *slog.Logger) error {
	member, err := etcd.Start(ctx, filepath.Join(s.Data, "etcd"), log.With("service", "etcd"))
	if err != nil {
		return err
	}
	e.later(func() error { member.Close(); return nil })
	e.etcdFailed = member.Err()
	if e.etcd, err = member.Client(); err != nil {
		return err
	}
	e.later(e.etcd.Close)
	broker, err := kafka.Start(ctx, kafka.Config{Dir: filepath.Join(s.Data, "kafka"), Partitions: s.Partitions, Disk: s.disk, Log: log})
	if err != nil {
		return err
	}
	e.later(func() error { broker.Close(); return nil })
	e.brokers, e.partitions = []string{broker.Addr()}, broker.Partitions()
	rewards, err := pebble.Open(filepath.Join(s.Data, "rewards"), pebble.Options{Zone: s.Timezone, NoSync: s.Throwaway, Disk: s.disk, Log: log})
	if err != nil {
		return err
	}
	e.later(rewards.Close)
	e.rewards, e.rewardsFailed = embedded{rewards}, rewards.Err()
	var options []sqlite.Option
	if s.Throwaway {
		options = append(options, sqlite.NoSync)
	}
	for _, name := range []string{campaignexDatabase, profilerDatabase} {
		db, err := sqlite.Open(filepath.Join(s.Data, name+".db"), options...)
		if err != nil {
			return err
		}
		e.later(func() error { return closeDB(db) })
		e.sql[name] = db
	}
	return nil
}

// embedded is the reward store in this process.
type embedded struct{ *pebble.Store }

// Reward is ingestor.RewardStore's.
func (s embedded) Reward(ctx context.Context, k loyalty.Key) (loyalty.Row, bool, error) {
	row, err := s.Get(ctx, k)
	if errors.Is(err, rewarder.ErrNotFound) {
		return loyalty.Row{}, false, nil
	}
	return row, err == nil, err
}
