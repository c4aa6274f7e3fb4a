package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	campaignexdb "github.com/angelowl-loyalties/app/campaignex/postgres"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/etcdconn"
	"github.com/angelowl-loyalties/app/loyalty/pgsql"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/angelowl-loyalties/app/profiler"
	profilerdb "github.com/angelowl-loyalties/app/profiler/postgres"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

// Remote says where a system is whose services are processes of their own, as docker-compose.yml has them.
type Remote struct {
	Data       string // a folder for what is noted of it, sample users above all
	Home       loyalty.Currency
	Timezone   *time.Location
	Brokers    []string
	Partitions int
	Etcd       *etcdconn.Settings
	Rewards    rewarddb.Config
	Campaigns  *pgsql.Settings
	Accounts   *pgsql.Settings
	DataKey    profiler.DataKey
	S3         *awss3.Client
}

// Seed connects to a system that runs, loads rules and quotes, makes the sample users, sends a file of
// transactions through it and gives the sample cardholder cards of it. What is there already stays. Body is
// called at the end with what looks on.
func (r Remote) Seed(ctx context.Context, seed Seed, upload, file string, log *slog.Logger, body func(*Stack) error) (err error) {
	s := &Stack{
		Config:  Config{Data: r.Data, Home: r.Home, Timezone: r.Timezone, Samples: true},
		Brokers: r.Brokers, dataKey: r.DataKey, partitions: r.Partitions, elsewhere: objects{r.S3},
	}
	if s.Etcd, err = r.Etcd.Open(log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Etcd.Close()) }()
	campaigns, err := r.Campaigns.Open("seed")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDB(campaigns)) }()
	if s.campaigns, err = campaignexdb.Open(ctx, campaigns, time.Now); err != nil {
		return err
	}
	accounts, err := r.Accounts.Open("seed")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDB(accounts)) }()
	if s.accounts, err = profilerdb.Open(ctx, accounts, time.Now); err != nil {
		return err
	}
	rewards, err := openCassandra(ctx, r.Rewards, r.Timezone, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rewards.close()) }()
	s.Rewards = rewards

	if _, err := s.SampleUsers(ctx); err != nil {
		return err
	}
	log.Info("the sample users are there")
	if err := s.Plant(ctx, seed); err != nil {
		return err
	}
	if _, err := s.AwaitRules(ctx); err != nil {
		return err
	}
	log.Info("the rules are in force")
	switch _, err := s.Report(ctx, upload); {
	case errors.Is(err, ErrNoReport):
		if err := s.upload(ctx, upload, file); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	read, err := s.AwaitReport(ctx, upload)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	log.Info("a file was read", "rows", read.Rows.Read, "accepted", read.Rows.Accepted)
	if err := s.AwaitRewarded(ctx, nil); err != nil {
		return err
	}
	if err := s.SampleCards(ctx); err != nil {
		return err
	}
	return body(s)
}

// objects is a way to S3.
type objects struct{ client *awss3.Client }

// objects is S3, wherever it runs.
func (s *Stack) objects() *awss3.Client {
	if s.S3 != nil {
		return s.S3.Client()
	}
	return s.elsewhere.client
}
