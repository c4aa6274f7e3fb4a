package kafka_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/local/kafka"
)

// TestMain lets a test run a broker in a process of its own, to kill it.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ANGELOWL_TEST_KAFKA_DIR"); dir != "" {
		b, err := kafka.Start(context.Background(), kafka.Config{Dir: dir, Partitions: 3})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(b.Addr())
		select {}
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")) // sarama's, one a process
}

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Net.MaxOpenRequests = 1
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	return c
}

func produce(t *testing.T, addr string, from, to int) {
	t.Helper()
	p, err := sarama.NewSyncProducer([]string{addr}, config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	for i := from; i < to; i++ {
		_, _, err := p.SendMessage(&sarama.ProducerMessage{
			Topic: "transaction", Partition: int32(i % 3), Value: sarama.StringEncoder(fmt.Sprint(i)),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// values reads all that the topic has.
func values(t *testing.T, addr string) map[string]int {
	t.Helper()
	client, err := sarama.NewClient([]string{addr}, config())
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consumer.Close(); _ = client.Close() }()
	got := map[string]int{}
	for p := range int32(3) {
		end, err := client.GetOffset("transaction", p, sarama.OffsetNewest)
		if err != nil {
			t.Fatal(err)
		}
		pc, err := consumer.ConsumePartition("transaction", p, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		for range end {
			got[string((<-pc.Messages()).Value)]++
		}
		_ = pc.Close()
	}
	return got
}

func wantEach(t *testing.T, got map[string]int, n int) {
	t.Helper()
	if len(got) != n {
		t.Errorf("%d records are there, want %d", len(got), n)
	}
	for i := range n {
		if c := got[fmt.Sprint(i)]; c != 1 {
			t.Errorf("record %d is there %d times, want once", i, c)
		}
	}
}

func TestAcknowledgedRecordsSurviveCloseAndRestart(t *testing.T) {
	dir := t.TempDir()
	for run := range 3 {
		b, err := kafka.Start(t.Context(), kafka.Config{Dir: dir, Partitions: 3})
		if err != nil {
			t.Fatal(err)
		}
		produce(t, b.Addr(), run*50, run*50+50)
		wantEach(t, values(t, b.Addr()), run*50+50)
		b.Close()
		b.Close() // twice does nothing
	}
}

func TestAcknowledgedRecordsSurviveSIGKILL(t *testing.T) {
	dir := t.TempDir()
	for run := range 3 {
		addr, kill := child(t, dir)
		produce(t, addr, run*50, run*50+50)
		kill()
	}
	b, err := kafka.Start(t.Context(), kafka.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Partitions() != 3 {
		t.Errorf("%d partitions after the restart, want 3", b.Partitions())
	}
	wantEach(t, values(t, b.Addr()), 150)
}

func child(t *testing.T, dir string) (addr string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ANGELOWL_TEST_KAFKA_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), kill
}

func TestAnotherPartitionCountIsRefused(t *testing.T) {
	dir := t.TempDir()
	b, err := kafka.Start(t.Context(), kafka.Config{Dir: dir, Partitions: 3})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	b, err = kafka.Start(t.Context(), kafka.Config{Dir: dir, Partitions: 4})
	if err == nil {
		b.Close()
		t.Fatal("a log of 3 partitions was opened as one of 4")
	}
	if !strings.Contains(err.Error(), "has 3 partitions, not 4") {
		t.Errorf("the error does not say it: %v", err)
	}
}

func TestTopicsAreKeptForAsLongAsPromised(t *testing.T) {
	b, err := kafka.Start(t.Context(), kafka.Config{Topic: "spend"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	admin, err := sarama.NewClusterAdmin([]string{b.Addr()}, config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	for topic, want := range map[string]string{"spend": "7776000000", "spend.dlq": "-1", "spend.rules": "-1"} {
		results, err := admin.DescribeConfigs([]*sarama.ConfigResource{{
			Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"},
		}}, sarama.DescribeConfigsOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(results) != 1 || len(results[0].Configs) != 1 || results[0].Configs[0].Value != want {
			t.Errorf("%s: retention.ms is %v, want %s", topic, results, want)
		}
	}
}
