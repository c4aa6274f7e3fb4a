package rewarder_test

import (
	"testing"
)

// BenchmarkRewarder rewards a backlog: rows a second from the log to the durable store.
func BenchmarkRewarder(b *testing.B) {
	w := newWorld(b, 4)
	w.rules()
	const rows = 100_000
	for n := 0; n < rows; n += 5000 {
		w.produce(many(n, n+5000)...)
	}
	for b.Loop() {
		r := w.start("a")
		w.done()
		r.stop()
		b.StopTimer()
		w.again()
		b.StartTimer()
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
