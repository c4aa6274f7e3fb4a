package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/metrics"
)

func TestEmbedded(t *testing.T) {
	var b strings.Builder
	e := metrics.NewEmbedded(&b, "publish-single", func() time.Time { return time.UnixMilli(1_700_000_000_123) })
	e.Put(map[string]string{"status": "2xx"}, metrics.Value{Name: "Requests", Unit: "Count", V: 1}, metrics.Value{Name: "Duration", Unit: "Milliseconds", V: 12})
	const want = `{"Duration":12,"Requests":1,"_aws":{"CloudWatchMetrics":[{"Namespace":"AngelOwl","Dimensions":[["service","status"]],` +
		`"Metrics":[{"Name":"Requests","Unit":"Count"},{"Name":"Duration","Unit":"Milliseconds"}]}],"Timestamp":1700000000123},"service":"publish-single","status":"2xx"}` + "\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	var none *metrics.Embedded
	none.Put(nil)
}
