package publish_test

import (
	"testing"

	"go.uber.org/goleak"
)

// sarama's metrics have one for the whole process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}
