package stack

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/ingestor/uploads"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

// reconcileEvery is how often files are looked for whose rows have all been dealt with. On AWS it is a
// schedule of a minute; here somebody watches.
const reconcileEvery = 2 * time.Second

// startUploads makes the lambda of /upload, and reconciles the reports of files until ctx ends.
func (s *Stack) startUploads(ctx context.Context, id *identity, log *slog.Logger) (*uploads.Handler, error) {
	for _, bucket := range []string{SpendBucket, UserBucket} {
		if err := uploads.AllowPortal(ctx, s.S3.Client(), bucket, s.Portal); err != nil {
			return nil, err
		}
	}
	far := &committed{brokers: s.Brokers, clock: time.Now}
	return uploads.New(
		uploads.Config{SpendBucket: SpendBucket, UserBucket: UserBucket, ReportBucket: ReportBucket, Portal: s.Portal},
		uploads.Deps{
			S3: s.S3.Client(), Verifier: id.verifier, Sessions: id.profile("uploads"), Committed: far.get,
			Log: log.With("service", "uploads"), Clock: time.Now,
		})
}

// reconcile does what the schedule of the lambda uploads does on AWS, until ctx ends.
func (s *Stack) reconcile(ctx context.Context, log *slog.Logger) error {
	log = log.With("service", "uploads")
	r, err := ingestor.NewReconciler(
		ingestor.ReconcilerConfig{ReportBucket: ReportBucket, Group: Group, Home: s.Home},
		ingestor.ReconcilerDeps{
			S3: s.S3.Client(), Rewards: s.Rewards, Log: log, Clock: time.Now,
			Connect: func() (sarama.Client, error) { return Connect(s.Brokers) },
		})
	if err != nil {
		return err
	}
	tick := time.NewTicker(reconcileEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if s.disk.Check() != nil {
			continue
		}
		if err := r.Sweep(ctx); err != nil && ctx.Err() == nil {
			log.Warn("files could not be reconciled; it is tried again", "error", err)
		}
	}
}

// committed remembers for a moment how far the rewarders are: a page of uploads asks for each of them.
type committed struct {
	brokers []string
	clock   func() time.Time

	mu   sync.Mutex
	at   time.Time
	last map[int32]int64
}

func (c *committed) get(context.Context) (map[int32]int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.clock(); c.last == nil || now.Sub(c.at) > time.Second {
		client, err := Connect(c.brokers)
		if err != nil {
			return nil, err
		}
		defer client.Close()
		if c.last, err = ingestor.Committed(client, Group, record.Topic); err != nil {
			return nil, err
		}
		c.at = now
	}
	return c.last, nil
}
