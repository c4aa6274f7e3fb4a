// Package zombie_test stops a rewarder that is a process of its own in the middle of its writes,
// lets others take its partitions, and wakes it.
package zombie_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/rpc"
	"os"
	"os/signal"
	"testing"
	"time"

	"github.com/IBM/sarama"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/rewarder"
)

// ordersVariable makes this program a rewarder.
const ordersVariable = "ANGELOWL_ZOMBIE"

// orders say where a rewarder finds what it works with.
type orders struct {
	Broker string // the address that the broker gives out
	Wire   string // where to find it instead
	Etcd   string
	Store  string
}

func TestMain(m *testing.M) {
	if text := os.Getenv(ordersVariable); text != "" {
		if err := work(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")) // sarama's, one a process
}

// work is a rewarder until it is interrupted or its standard input ends, as it does when the test
// is gone.
func work(text string) error {
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{o.Etcd}, DialTimeout: 5 * time.Second})
	if err != nil {
		return err
	}
	defer etcd.Close()
	conn, err := rpc.Dial("tcp", o.Store)
	if err != nil {
		return err
	}
	defer conn.Close()
	return rewarder.Run(ctx, config(o.Broker, zombie), rewarder.Deps{
		Store: remote{conn}, Etcd: etcd, Log: log, Clock: time.Now,
		Kafka: func(c *sarama.Config) {
			groupTimes(c)
			c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, detour(o.Wire)
		},
	})
}

// detour dials one address, whatever it is asked for.
type detour string

func (d detour) Dial(network, _ string) (net.Conn, error) { return net.Dial(network, string(d)) }

const (
	group  = "rewarders"
	zombie = "zombie"
)

// config makes small writes, so that many are under way, and waits for none that is held back.
func config(broker, name string) rewarder.Config {
	return rewarder.Config{
		Brokers: []string{broker}, Group: group, Name: name, Home: loyalty.MustCurrency("SGD"),
		BatchRows: 50, BatchesInFlight: 3,
		StoreTimeout: time.Minute, RetryMin: 5 * time.Millisecond, RetryMax: 50 * time.Millisecond,
		CommitInterval: 20 * time.Millisecond, LeaseTTL: 2 * time.Second,
	}
}

// groupTimes makes the group give away soon what a member has that does not answer; the broker
// takes no session below 6 s.
func groupTimes(c *sarama.Config) {
	c.Consumer.Group.Session.Timeout = 6 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	c.Net.ReadTimeout = time.Minute
}
