//go:build unix

package infra_test

import (
	"encoding/csv"
	"flag"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/deploy.md anew")

const (
	guide      = "../../docs/deploy.md"
	priceList  = "../../docs/costs/prices.csv"
	hours      = 730 // of a month
	days       = 30  // of a month
	retention  = 90  // days of the topic
	firstYear  = 365 // days of rewards that are stored
	replicas   = 3
	gibibyte   = 1 << 30
	gigabyte   = 1_000_000_000
	perRequest = 300 // bytes of an access log's line

	// What Terraform makes in production; TestSystem counts.
	endpoints, nats, balancers, keys, secrets, alarms = 9, 3, 3, 8, 36, 37
)

// line is one of a bill: so much of something that has a price.
type line struct {
	part, what string
	price      string   // in prices.csv
	quantity   *big.Rat // a month
	how        string   // how the quantity comes about
}

// scale is a size of the system.
type scale struct {
	name         string
	perDay       int64 // transactions
	nodes        int64
	nodeType     string
	brokers      int64
	brokerType   string
	cassandras   int64
	cassandra    string
	postgres     string
	postgresDisk int64
}

var scales = []scale{
	{"1M a day", 1_000_000, 3, "m7i.large", 3, "kafka.m7g.large", 3, "r7g.xlarge", "db.m7g.large", 100},
	{"100M a day", 100_000_000, 9, "m7i.2xlarge", 6, "kafka.m7g.2xlarge", 12, "r7g.4xlarge", "db.m7g.2xlarge", 1000},
}

func rat(n int64) *big.Rat               { return new(big.Rat).SetInt64(n) }
func of(n int64, d int64) *big.Rat       { return big.NewRat(n, d) }
func times(a *big.Rat, n int64) *big.Rat { return new(big.Rat).Mul(a, rat(n)) }

// bill is a month of a scale.
func bill(s scale, z sizes) []line {
	month := s.perDay * days
	calls := s.perDay / 10 * days // POST /publish
	reads := s.perDay / 10 * days // pages of the portal
	requests := calls + reads
	mails := s.perDay / 20 * days
	kafkaGiB := of(s.perDay*retention*z.record*replicas*10, 6*gibibyte) // 60 % full
	storeGiB := of(s.perDay*firstYear*(z.row+z.entry)*replicas*3, 2*gibibyte)
	// Two thirds of what goes to another node goes to another zone: produced and consumed once each; a row from
	// rewarder to coordinator, and from there to the two other replicas.
	crossed := new(big.Rat).Add(of(month*z.record*4, 3*gigabyte), of(month*(z.row+z.entry)*8, 3*gigabyte))
	return []line{
		{"Kubernetes", "control plane", "eks", rat(hours), "1 × 730 h"},
		{"Kubernetes", fmt.Sprintf("%d nodes %s", s.nodes, s.nodeType), s.nodeType, rat(s.nodes * hours), "nodes × 730 h"},
		{"Kafka", fmt.Sprintf("%d brokers %s", s.brokers, s.brokerType), s.brokerType, rat(s.brokers * hours), "brokers × 730 h"},
		{"Kafka", "disks", "msk-storage", kafkaGiB, fmt.Sprintf("%d B a record × 90 days × 3 replicas ÷ 0.6", z.record)},
		{"Cassandra", fmt.Sprintf("%d nodes %s", s.cassandras, s.cassandra), s.cassandra, rat(s.cassandras * hours), "nodes × 730 h"},
		{"Cassandra", "disks after a year", "gp3", storeGiB, fmt.Sprintf("(%d + %d) B a transaction × 365 days × 3 replicas × 1.5 for compaction", z.row, z.entry)},
		{"Cassandra", "copies of the disks", "snapshot", new(big.Rat).Quo(storeGiB, of(3, 2)), "one full copy of what is stored, the others hold what changed"},
		{"PostgreSQL", s.postgres + ", two zones", s.postgres, rat(hours), "1 × 730 h"},
		{"PostgreSQL", "disks, two zones", "rds-storage", rat(s.postgresDisk), "GiB"},
		{"etcd", "3 machines c7g.large", "c7g.large", rat(3 * hours), "3 × 730 h"},
		{"etcd", "disks", "gp3", rat(3 * 20), "3 × 20 GiB"},
		{"gateway", "requests", "apigateway", of(requests, 1_000_000), "millions: a tenth of the transactions by POST /publish, and as many pages read; above 333 million a month they cost less"},
		{"gateway", "firewall", "waf", of(requests, 1_000_000), "the same"},
		{"lambdas", "publish-single", "lambda-gbs", of(calls*512*50, 1024*1000), "512 MB × 50 ms a call"},
		{"lambdas", "ingestor", "lambda-gbs", of((month-calls)*512, 1024*20_000), "512 MB, 20,000 rows a second"},
		{"lambdas", "authorizer", "lambda-gbs", of(requests*256*10, 1024*1000*10), "256 MB × 10 ms, for every tenth request: the gateway remembers 5 minutes"},
		{"lambdas", "schedules", "lambda-gbs", of(2*60*24*days*512, 1024), "two a minute, 512 MB × 1 s"},
		{"lambdas", "invocations", "lambda-call", of(calls+requests/10, 1_000_000), "calls and a tenth of the requests"},
		{"files", "stored for 7 days", "s3", of((month-calls)*z.line*7, days*gigabyte), fmt.Sprintf("%d B a row", z.line)},
		{"mail", "Amazon SES", "ses", of(mails, 1000), "thousands: one mail for 20 transactions"},
		{"logs", "access log and services", "logs", of(requests*perRequest*2, gigabyte), "600 B a request"},
		{"network", "between zones", "zone", times(crossed, 2), "records and rows, as said above; each GB is paid for on both sides"},
		{"network", fmt.Sprintf("%d NAT gateways", nats), "nat", rat(nats * hours), fmt.Sprintf("%d × 730 h; what goes through them is little, since AWS's interfaces and S3 have ways of their own", nats)},
		{"network", fmt.Sprintf("%d endpoints in 3 zones", endpoints), "endpoint", rat(endpoints * 3 * hours), fmt.Sprintf("%d × 3 × 730 h", endpoints)},
		{"network", fmt.Sprintf("%d load balancers", balancers), "balancer", rat(balancers * hours), fmt.Sprintf("%d × 730 h", balancers)},
		{"keys", fmt.Sprintf("%d keys", keys+1), "kms", rat(keys + 1), "of data, of tokens, of Terraform's state"},
		{"keys", "tokens signed", "kms-sign", of(reads, 10*10_000), "one for 10 pages"},
		{"secrets", fmt.Sprintf("%d secrets", secrets+1), "secret", rat(secrets + 1), "Terraform's, and the one that RDS makes"},
		{"alarms", fmt.Sprintf("%d alarms", alarms), "alarm", rat(alarms), "Terraform's"},
	}
}

type price struct {
	dollars          *big.Rat
	unit, page, date string
}

func prices(t testing.TB) map[string]price {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(string(read(t, priceList)))).ReadAll()
	if err != nil || len(rows) < 10 {
		t.Fatalf("%s: %d rows, %v", priceList, len(rows), err)
	}
	out := map[string]price{}
	for _, r := range rows[1:] {
		dollars, ok := new(big.Rat).SetString(r[1])
		if !ok || dollars.Sign() <= 0 || !strings.HasPrefix(r[3], "https://aws.amazon.com/") || r[4] == "" {
			t.Errorf("%s: %v", priceList, r)
		}
		if _, twice := out[r[0]]; twice {
			t.Errorf("%s: %s is there twice", priceList, r[0])
		}
		out[r[0]] = price{dollars, r[2], r[3], r[4]}
	}
	return out
}

// whole is a number rounded, with commas.
func whole(r *big.Rat) string {
	if r.Sign() > 0 && r.Cmp(big.NewRat(1, 2)) < 0 {
		return "< 1"
	}
	text := r.FloatString(0)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func table(list map[string]price, z sizes, missing func(string)) string {
	var b strings.Builder
	b.WriteString("| | | price, US$ |")
	for _, s := range scales {
		fmt.Fprintf(&b, " %s: quantity | US$ a month |", s.name)
	}
	b.WriteString(" how the quantity comes about |\n|---|---|---|" + strings.Repeat("---:|---:|", len(scales)) + "---|\n")
	bills := make([][]line, len(scales))
	sums := make([]*big.Rat, len(scales))
	for i, s := range scales {
		bills[i], sums[i] = bill(s, z), new(big.Rat)
	}
	for k, l := range bills[0] {
		var unit, cells string
		var what []string
		for i := range scales {
			l := bills[i][k]
			p, ok := list[l.price]
			if !ok {
				missing(l.price)
				continue
			}
			cost := new(big.Rat).Mul(l.quantity, p.dollars)
			sums[i].Add(sums[i], cost)
			text := strings.TrimRight(strings.TrimRight(p.dollars.FloatString(10), "0"), ".") + " " + p.unit
			if unit != "" && unit != text {
				unit += "; " + text
			} else {
				unit = text
			}
			if len(what) == 0 || what[0] != l.what {
				what = append(what, l.what)
			}
			cells += fmt.Sprintf(" %s | %s |", whole(l.quantity), whole(cost))
		}
		fmt.Fprintf(&b, "| %s | %s | %s |%s %s |\n", l.part, strings.Join(what, "; "), unit, cells, l.how)
	}
	b.WriteString("| **all** | | |")
	for _, sum := range sums {
		fmt.Fprintf(&b, " | **%s** |", whole(sum))
	}
	b.WriteString(" |\n")
	return b.String()
}

// TestCosts holds docs/deploy.md's costs to the prices, the sizes that the code makes, and arithmetic; -update writes them.
func TestCosts(t *testing.T) {
	z := measure(t)
	t.Logf("a transaction: %d B in a file, %d B in Kafka, %d B and %d B in the reward store", z.line, z.record, z.row, z.entry)
	got := table(prices(t), z, func(name string) { t.Errorf("%s has no price of %s", priceList, name) })
	text := string(read(t, guide))
	before, rest, ok := strings.Cut(text, "<!-- begin costs -->\n")
	old, after, ended := strings.Cut(rest, "<!-- end costs -->")
	if !ok || !ended {
		t.Fatalf("%s has no place for costs", guide)
	}
	if old == got {
		return
	}
	if !*update {
		t.Fatalf("%s says other costs than prices and sizes do; go test ./local/infra_test -run TestCosts -update writes\n%s", guide, got)
	}
	if err := os.WriteFile(guide, []byte(before+"<!-- begin costs -->\n"+got+"<!-- end costs -->"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWhole(t *testing.T) {
	for text, want := range map[string]string{"0.4": "< 1", "0": "0", "999.5": "1,000", "1234567": "1,234,567", "12": "12"} {
		r, _ := new(big.Rat).SetString(text)
		if got := whole(r); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}
