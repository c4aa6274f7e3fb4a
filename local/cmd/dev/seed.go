package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"text/tabwriter"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/etcdconn"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/pgsql"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/angelowl-loyalties/app/profiler"
)

type seedSettings struct {
	Home       loyalty.Currency `env:"HOME_CURRENCY" default:"SGD" help:"the bank's currency, ISO 4217"`
	Zone       *time.Location   `env:"BANK_TIMEZONE" default:"Asia/Singapore" help:"the bank's time zone"`
	Data       string           `env:"SAMPLES_DIR" help:"the folder in which the sample users are noted"`
	Rules      string           `env:"RULES" help:"a file of rules"`
	Quotes     string           `env:"FX" help:"a file of quotes"`
	Spend      string           `env:"SPEND" help:"a file of transactions"`
	Partitions int              `env:"PARTITIONS" default:"4" min:"1" max:"256" help:"the topic's"`
	Key        config.Secret    `env:"DATA_KEY" help:"profiler's"`
	Campaigns  pgsql.Settings   `prefix:"CAMPAIGNEX_"`
	Accounts   pgsql.Settings   `prefix:"PROFILER_"`
	Rewards    rewarddb.Settings
	Etcd       etcdconn.Settings
	Kafka      kafkaconn.Settings
}

// seed loads the example, once: what is edited later stays as it is.
func seed(ctx context.Context, s *seedSettings, log *slog.Logger) error {
	mark := s.Data + "/seeded"
	if _, err := os.Stat(mark); err == nil {
		log.Info("the example was loaded before")
		return show(s.Data, nil)
	}
	key, err := profiler.ParseDataKey(s.Key.Reveal())
	if err != nil {
		return fmt.Errorf("DATA_KEY %w", err)
	}
	files, err := stack.ReadSeed(s.Rules, s.Quotes)
	if err != nil {
		return err
	}
	aws, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("reading the credentials: %w", err)
	}
	r := stack.Remote{
		Data: s.Data, Home: s.Home, Timezone: s.Zone, Brokers: s.Kafka.Brokers, Partitions: s.Partitions, Etcd: &s.Etcd,
		Rewards: s.Rewards.Config(), Campaigns: &s.Campaigns, Accounts: &s.Accounts, DataKey: key,
		S3: awss3.NewFromConfig(aws, func(o *awss3.Options) { o.UsePathStyle = true }),
	}
	upload := uuid.NewSHA1(uuid.NameSpaceOID, []byte("angelowl dev seed")).String()
	return r.Seed(ctx, files, upload, s.Spend, log, func(on *stack.Stack) error {
		cards, err := on.Cards(ctx, 3)
		if err == nil {
			err = show(s.Data, cards)
		}
		if err == nil {
			err = os.WriteFile(mark, nil, 0o600)
		}
		return err
	})
}

// show says on standard output, where whoever started everything looks, and not in the log, which is kept, who
// may sign in.
func show(dir string, cards []string) error {
	all, err := samples.Load(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nSample users, for trying it out on this machine:")
	for _, a := range all {
		if a.Secret != "" {
			fmt.Fprintf(tw, "  %s\tclient_id %s\tclient_secret %s\n", a.Role, a.ID, a.Secret)
			continue
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", a.Role, a.Email, a.Password)
	}
	for _, c := range cards {
		fmt.Fprintf(tw, "  card with rewards\t%s\t\n", c)
	}
	return tw.Flush()
}
