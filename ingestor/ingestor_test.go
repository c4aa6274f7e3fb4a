package ingestor

import (
	"encoding/json"
	"math"
	"math/big"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

func TestUploadID(t *testing.T) {
	const id = "cfc76f33-467d-48aa-96ab-d79394710a2b"
	for name, c := range map[string]struct {
		key  string
		ours bool
	}{
		"a key that was given out":       {"spend/" + id + ".csv", true},
		"its compressed form":            {"spend/" + id + ".csv.gz", true},
		"another folder":                 {"users/" + id + ".csv", false},
		"a folder below":                 {"spend/x/" + id + ".csv", false},
		"a name of the sender's":         {"spend/september.csv", false},
		"upper case is another key":      {"spend/" + strings.ToUpper(id) + ".csv", false},
		"the nil UUID is nobody's":       {"spend/00000000-0000-0000-0000-000000000000.csv", false},
		"a UUID with something about it": {"spend/x" + id + ".csv", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := UploadID("uploads", c.key)
			if (got == id) != c.ours {
				t.Errorf("got %s", got)
			}
			if again := UploadID("uploads", c.key); again != got {
				t.Errorf("another time it is %s", again)
			}
			if !c.ours && UploadID("other", c.key) == got {
				t.Error("it is the same in another bucket")
			}
		})
	}
}

func TestKeysOfAnEvent(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"plain":              {"spend/a.csv", []string{"spend/a.csv"}},
		"encoded":            {"spend/a+b%2Bc.csv", []string{"spend/a b+c.csv", "spend/a+b%2Bc.csv"}},
		"it does not decode": {"spend/100%.csv", []string{"spend/100%.csv"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := keys(c.in); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestConfigSaysWhatIsMissing(t *testing.T) {
	err := Config{InFlight: -1}.Validate()
	for _, want := range []string{"home currency", "bucket of the reports", "in flight"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name the %s", err, want)
		}
	}
	cfg := Config{Home: loyalty.MustCurrency("SGD"), ReportBucket: "reports"}
	if _, err := New(cfg, Deps{}); err == nil {
		t.Error("a handler without S3 and Kafka was made")
	}
	producer := func(*sarama.Config) (sarama.AsyncProducer, error) { return nil, http.ErrServerClosed }
	if _, err := New(cfg, Deps{S3: s3.New(s3.Options{}), NewProducer: producer}); err != nil {
		t.Error(err)
	}
	if err := producerConfig(nil).Validate(); err != nil {
		t.Error(err)
	}
}

func TestTotalsAreExactWhateverTheirSize(t *testing.T) {
	sgd, jpy, bhd := loyalty.MustCurrency("SGD"), loyalty.MustCurrency("JPY"), loyalty.MustCurrency("BHD")
	for name, c := range map[string]struct {
		minors   []int64
		currency loyalty.Currency
		want     string
	}{
		"nothing but zero":      {[]int64{0}, sgd, "0.00"},
		"cents":                 {[]int64{1, 4}, sgd, "0.05"},
		"a negative cent":       {[]int64{-1}, sgd, "-0.01"},
		"three decimals":        {[]int64{1001}, bhd, "1.001"},
		"no decimals":           {[]int64{1001, -1}, jpy, "1000"},
		"beyond int64":          {[]int64{math.MaxInt64, math.MaxInt64, 2}, jpy, "18446744073709551616"},
		"below int64":           {[]int64{math.MinInt64, math.MinInt64}, jpy, "-18446744073709551616"},
		"there and back":        {[]int64{math.MaxInt64, 1, -1, -math.MaxInt64}, sgd, "0.00"},
		"zero at the very edge": {[]int64{math.MaxInt64, 0, math.MinInt64}, jpy, "-1"},
	} {
		t.Run(name, func(t *testing.T) {
			s, whole := sums{}, new(big.Int)
			for _, m := range c.minors {
				s.add(loyalty.Money{Minor: m, Currency: c.currency})
				whole.Add(whole, big.NewInt(m))
			}
			if got := s.amounts()[c.currency.String()]; got != json.Number(c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := merged(s, s).amounts()[c.currency.String()]; string(got) != upload.FormatMinor(whole.Add(whole, whole), c.currency.Digits()) {
				t.Errorf("twice it is %s", got)
			}
		})
	}
}
