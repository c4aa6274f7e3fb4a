package metrics

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"
)

// Embedded writes a lambda's metrics as CloudWatch reads them out of its log, a line a call: the embedded metric
// format (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
// A lambda has no port that could be asked. The nil Embedded writes nothing.
type Embedded struct {
	w       io.Writer
	service string
	clock   func() time.Time
}

// NewEmbedded returns one that writes to w, which takes each line in one call.
func NewEmbedded(w io.Writer, service string, clock func() time.Time) *Embedded {
	return &Embedded{w, service, clock}
}

// namespace is that of all lambdas.
const namespace = "AngelOwl"

// Value is a metric's value; Unit is one of CloudWatch's.
type Value struct {
	Name, Unit string
	V          int64
}

type embeddedMetric struct {
	Name string `json:"Name"`
	Unit string `json:"Unit"`
}

type embeddedSet struct {
	Namespace  string           `json:"Namespace"`
	Dimensions [][]string       `json:"Dimensions"`
	Metrics    []embeddedMetric `json:"Metrics"`
}

// Put writes values, by dimensions beside the service: few, and each of few values, for CloudWatch bills each.
func (e *Embedded) Put(dimensions map[string]string, values ...Value) {
	if e == nil {
		return
	}
	line := map[string]any{"service": e.service}
	set := embeddedSet{Namespace: namespace, Dimensions: [][]string{append([]string{"service"}, slices.Sorted(maps.Keys(dimensions))...)}}
	for name, value := range dimensions {
		line[name] = value
	}
	for _, v := range values {
		line[v.Name] = v.V
		set.Metrics = append(set.Metrics, embeddedMetric{v.Name, v.Unit})
	}
	line["_aws"] = map[string]any{"Timestamp": e.clock().UnixMilli(), "CloudWatchMetrics": []embeddedSet{set}}
	b, err := json.Marshal(line)
	if err != nil {
		panic(err) // texts and numbers
	}
	_, _ = e.w.Write(append(b, '\n'))
}
