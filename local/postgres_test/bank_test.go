//go:build unix

package postgres_test

import (
	"crypto/rand"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/local/engines/enginestest"
	"github.com/angelowl-loyalties/app/local/etcd"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/twmb/franz-go/pkg/kfake"
)

// TestTheProgramsOfABank runs the four services as programs, configured by nothing but their
// environment, and follows a transaction from Kafka to what the cardholder is told.
func TestTheProgramsOfABank(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in the short form: it builds four programs and starts Cassandra")
	}
	member, err := etcd.Start(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	password := rand.Text()
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "owl", password),
		kfake.SeedTopics(2, record.Topic), kfake.SeedTopics(1, record.Topic+record.DeadLetterSuffix, record.Topic+record.RulesSuffix))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	cassandra, keyspace := enginestest.Keyspace(t)
	host, port, err := net.SplitHostPort(strings.Split(cassandra, ",")[0])
	if err != nil {
		t.Fatal(err)
	}
	store := []string{"DB_CONN_STRING=" + host, "DB_PORT=" + port, "DB_KEYSPACE=" + keyspace}
	etcdAt := "ETCD_ENDPOINTS=" + member.Endpoint

	campaignex := launch(t, build(t, "campaignex"), "DB_CONN_STRING="+campaigns.Database(t), etcdAt)
	profiler := launch(t, build(t, "profiler"), "DB_CONN_STRING="+cardTypes.Database(t), etcdAt)
	profiler.signIn()
	profiler.until(201, "POST", "/card/type", programs[1].body)
	campaignex.until(201, "POST", "/campaign", strings.Replace(campaignBody, `"reward_program":"p"`, `"reward_program":"gold"`, 1))

	// What comes before its rules would be rewarded without them.
	profiler.shows("/card/type", `"published":true`)
	campaignex.shows("/campaign", `"published":true`)

	informer := launch(t, build(t, "informer"), append(store, "INTERNAL_PORT="+freePort(t))...)
	if answer := informer.until(503, "GET", "/health", ""); !strings.Contains(answer, "starting") {
		t.Errorf("without the tables that the rewarder makes: %s", answer)
	}
	rewarder := launch(t, build(t, "rewarder"), append(store, etcdAt, "BROKER_HOST="+strings.Join(kafka.ListenAddrs(), ","),
		"BROKER_SASL=SCRAM-SHA-512", "BROKER_USERNAME=owl", "BROKER_PASSWORD="+password)...)

	raw := loyalty.RawTransaction{
		CardID: "6a0ea1a5-7f1c-4a1b-9a4f-0000000000aa", TransactionID: "1", Merchant: "Kaligo", MCC: "5411", Currency: "SGD", Amount: "12.5",
		TransactionDate: "2021-09-02", CardPAN: "************1234", CardType: "gold",
	}
	tx, err := raw.Parse(loyalty.MustCurrency("SGD"))
	if err != nil {
		t.Fatal(err)
	}
	produceOne(t, kafka.ListenAddrs(), password, &tx)
	informer.until(200, "GET", "/health", "")
	informer.shows("/reward/"+tx.CardID.String(), `"reward_amount":13,`) // whole miles
	for _, p := range []*program{rewarder, informer, profiler, campaignex} {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		p.exits(0)
		if strings.Contains(p.log.String(), password) {
			t.Error("the password is in the log")
		}
	}
}

func produceOne(t *testing.T, brokers []string, password string, tx *loyalty.Transaction) {
	t.Helper()
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.Producer.Return.Successes = true
	(&kafkaconn.Settings{Brokers: brokers, SASL: "SCRAM-SHA-512", Username: "owl", Password: config.NewSecret(password)}).Apply(c)
	p, err := sarama.NewSyncProducer(brokers, c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, _, err = p.SendMessage(&sarama.ProducerMessage{
		Topic: record.Topic, Key: sarama.StringEncoder(tx.CardID.String()), Value: sarama.ByteEncoder(tx.AppendJSON(nil)),
		Headers: []sarama.RecordHeader{{Key: []byte(record.HeaderFormat), Value: []byte(strconv.Itoa(record.Format))}},
	})
	if err != nil {
		t.Fatal(err)
	}
}
