//go:build unix

package seeing_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const page = "../../docs/metrics.md"

// family is what the parts say of a metric.
type family struct {
	name, kind, help string
	labels           map[string]map[string]bool // by name: the values that were seen
	parts            map[string]bool
}

// families reads what the parts answer.
func families(t *testing.T, answers map[string]string) map[string]*family {
	t.Helper()
	line := regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? (-?[0-9.]+|\+Inf)$`)
	label := regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)
	all := map[string]*family{}
	for part, text := range answers {
		part = strings.TrimRight(part, "-0123456789")
		var f *family
		for l := range strings.Lines(text) {
			l = strings.TrimSpace(l)
			if rest, ok := strings.CutPrefix(l, "# HELP "); ok {
				name, help, _ := strings.Cut(rest, " ")
				if f = all[name]; f == nil {
					f = &family{name: name, help: help, labels: map[string]map[string]bool{}, parts: map[string]bool{}}
					all[name] = f
				}
				f.parts[part] = true
				if f.help != help {
					t.Errorf("two parts explain %s differently", name)
				}
				continue
			}
			if rest, ok := strings.CutPrefix(l, "# TYPE "); ok {
				f.kind = strings.TrimPrefix(rest, f.name+" ")
				continue
			}
			m := line.FindStringSubmatch(l)
			if m == nil || strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(m[1], "_bucket"), "_sum"), "_count") != f.name && m[1] != f.name {
				t.Fatalf("%s: not a sample of %s: %s", part, f.name, l)
			}
			for _, pair := range label.FindAllStringSubmatch(m[2], -1) {
				if f.labels[pair[1]] == nil {
					f.labels[pair[1]] = map[string]bool{}
				}
				f.labels[pair[1]][pair[2]] = true
			}
		}
	}
	return all
}

// TestMetrics holds that the list, the dashboards and the alerts speak of metrics that the running system has.
func TestMetrics(t *testing.T) {
	if *update {
		if err := os.Remove(page); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	there, err := filepath.Abs(page)
	if err != nil {
		t.Fatal(err)
	}
	expressions := expressionsOf(t)
	start(t, func(*stack.Config) {}, func(w *world) {
		all := w.busy()
		list := listOf(all)
		if *update {
			if err := os.WriteFile(there, []byte(list), 0o644); err != nil {
				w.t.Fatal(err)
			}
		}
		if b, err := os.ReadFile(there); err != nil || string(b) != list {
			w.t.Errorf("docs/metrics.md is not what the system has (%v); go test ./local/seeing_test -run Metrics -update writes it", err)
		}
		for where, expr := range expressions {
			for _, problem := range wrongIn(expr, all) {
				w.t.Errorf("%s: %s", where, problem)
			}
		}
		for _, wrong := range []string{
			"sum(rate(angelowl_rewarder_row_total[5m]))", `angelowl_rewarder_lag{part="0"}`, `angelowl_rewarder_lag_bucket`, `sum by (kindness) (angelowl_rewarder_lag)`,
			`angelowl_http_requests_total{route="/reward"}`, "angelowl:nothing:ratio1h",
		} {
			if len(wrongIn(wrong, all)) == 0 {
				w.t.Errorf("%s passes for right", wrong)
			}
		}
	})
}

// busy has the system do something of everything, and returns its metrics when they tell of it.
func (w *world) busy() (all map[string]*family) {
	const card, id = "0d1e2f3a-aaaa-4bbb-8ccc-dddddddddddd", "1d1e2f3a-aaaa-4bbb-8ccc-dddddddddddd"
	w.publish("scis_platinummiles", card, id)
	w.publish("no_such_card_type", card, "2d1e2f3a-aaaa-4bbb-8ccc-dddddddddddd")
	var out any
	admin := "Bearer " + w.signIn(token.Admin)
	w.call("GET", "/reward/"+card, nil, &out, "Authorization", admin)
	w.call("GET", "/ops/status", nil, &out, "Authorization", admin)
	w.eventually("the metrics tell of everything", func() bool {
		answers, err := w.Metrics(w.ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		all = families(w.t, answers)
		for name, f := range all {
			if f.kind != "histogram" && len(f.labels) == 0 && !regexp.MustCompile(`(?m)^`+name+` `).MatchString(strings.Join(slices.Collect(maps.Values(answers)), "")) {
				return false // nothing yet, not even its name with a number
			}
		}
		return len(all["angelowl_rewarder_dead_letters_by_reason_total"].labels) > 0 && len(all["angelowl_rewarder_units_total"].labels) > 0
	})
	return all
}

// expressionsOf are those of dashboards and alerts, by where they stand.
func expressionsOf(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, r := range readRules(t) {
		out["alerts, "+r.Alert+r.Record] = r.Expr
	}
	boards, err := filepath.Glob("../../.chart/dashboards/*.json")
	if err != nil || len(boards) == 0 {
		t.Fatalf("%d dashboards: %v", len(boards), err)
	}
	for _, board := range boards {
		b, err := os.ReadFile(board)
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			UID    string `json:"uid"`
			Title  string `json:"title"`
			Panels []struct {
				ID      int    `json:"id"`
				Title   string `json:"title"`
				Type    string `json:"type"`
				Targets []struct {
					Expr string `json:"expr"`
				} `json:"targets"`
			} `json:"panels"`
		}
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatalf("%s: %v", board, err)
		}
		if d.UID == "" || d.Title == "" {
			t.Errorf("%s has no uid or title", board)
		}
		ids := map[int]bool{}
		for _, p := range d.Panels {
			if ids[p.ID] {
				t.Errorf("%s has two panels %d", board, p.ID)
			}
			ids[p.ID] = true
			if p.Type != "row" && len(p.Targets) == 0 {
				t.Errorf("%s: the panel %q shows nothing", board, p.Title)
			}
			for i, target := range p.Targets {
				out[fmt.Sprintf("%s, %s, %d", filepath.Base(board), p.Title, i)] = target.Expr
			}
		}
	}
	for _, r := range readRules(t) {
		if r.Record != "" {
			recorded[r.Record] = true
		}
	}
	return out
}

// recorded are the names that rules record.
var recorded = map[string]bool{}

var (
	selector = regexp.MustCompile(`angelowl[a-z0-9_:]+(\{[^}]*\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	grouping = regexp.MustCompile(`\bby \(([^)]*)\)`)
)

// wrongIn says what in an expression the system does not have: a metric, a label of it, or a value of that.
func wrongIn(expr string, all map[string]*family) (problems []string) {
	labels := map[string]bool{"le": true}
	found := 0
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		found++
		name := strings.TrimSuffix(m[0], m[1])
		if strings.Contains(name, ":") {
			if !recorded[name] {
				problems = append(problems, "no rule records "+name)
			}
			continue
		}
		f := all[name]
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && all[base] != nil && all[base].kind == "histogram" {
				f = all[base]
			}
		}
		if f == nil {
			problems = append(problems, "there is no metric "+name)
			continue
		}
		for label := range f.labels {
			labels[label] = true
		}
		for _, pair := range matcher.FindAllStringSubmatch(m[1], -1) {
			values, ok := f.labels[pair[1]]
			switch {
			case !ok:
				problems = append(problems, name+" has no label "+pair[1])
			case !values[pair[2]] && pair[2] != "5xx": // of which there are none in a sound system
				problems = append(problems, name+" has no series with "+pair[0])
			}
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(m[1], ",") {
			if label = strings.TrimSpace(label); !labels[label] {
				problems = append(problems, "nothing there has a label "+label)
			}
		}
	}
	if found == 0 {
		problems = append(problems, "it has none of our metrics")
	}
	return problems
}

// listOf is the page with all metrics.
func listOf(all map[string]*family) string {
	var b strings.Builder
	b.WriteString(`# Metrics

What each program answers at ` + "`GET /metrics`" + `, in Prometheus' text format: campaignex, profiler, informer and the rewarder on their
public port (profiler and informer on the internal one, too). The gateway has no such route, and a request that came through it is
answered 404. This page is written from the running system by ` + "`go test ./local/seeing_test -run Metrics -update`" + `; the same test
holds the dashboards and alerts in ` + "`.chart`" + ` against it.

Counters begin at 0 when a program starts. Amounts are exact decimals. The labels` + " `pod`, `namespace` " + `and so on are added by
whoever scrapes. Lambdas have CloudWatch's own metrics (invocations, errors, duration).
publish-single writes ` + "`Requests`" + ` and ` + "`Duration`" + ` by class of status, ingestor
` + "`Files`" + `, ` + "`RowsAccepted`" + ` and ` + "`RowsRefused`" + ` by state of the file, into its log in CloudWatch's embedded format, in the namespace ` + "`AngelOwl`" + `.
Of a rewarder's amounts: they are no ledger. A transaction that arrives again is counted again, and so is what a replay reads again, though
the reward stays one.

| metric | kind | labels | of | what it is |
|---|---|---|---|---|
`)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		labels := make([]string, 0, len(f.labels))
		for _, l := range slices.Sorted(maps.Keys(f.labels)) {
			if l != "le" {
				labels = append(labels, "`"+l+"`")
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", name, f.kind, strings.Join(labels, ", "), strings.Join(slices.Sorted(maps.Keys(f.parts)), ", "), f.help)
	}
	return b.String()
}
