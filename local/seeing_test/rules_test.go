//go:build unix

// Package seeing_test holds that whoever is on call sees what is: metrics, alerts, dashboards, traces.
package seeing_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/angelowl-loyalties/app/local/promtool"
)

const (
	alertsFolder = "../../.chart/alerts"
	runbooks     = "https://github.com/angelowl-loyalties/app/blob/main/docs/runbooks/"
)

// rule is one of an alert file's: a recorded series or an alert.
type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func ruleFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(alertsFolder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of rules: %v", len(files), err)
	}
	for i := range files {
		if files[i], err = filepath.Abs(files[i]); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func readRules(t *testing.T) []rule {
	t.Helper()
	var all []rule
	for _, file := range ruleFiles(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			Groups []struct {
				Name  string `yaml:"name"`
				Rules []rule `yaml:"rules"`
			} `yaml:"groups"`
		}
		if err := yaml.Unmarshal(b, &f); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, g := range f.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

// run runs promtool.
func run(t *testing.T, args ...string) {
	t.Helper()
	if said, err := exec.CommandContext(t.Context(), promtool.For(t), args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, said)
	}
}

func TestRulesAreRules(t *testing.T) {
	run(t, append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, ruleFiles(t)...)...)
}

// TestEachAlertHasItsPage: who is woken finds what to do.
func TestEachAlertHasItsPage(t *testing.T) {
	for _, r := range readRules(t) {
		if r.Alert == "" {
			continue
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s does not say what is wrong", r.Alert)
		}
		url := r.Annotations["runbook_url"]
		name, ok := strings.CutPrefix(url, runbooks)
		if !ok || path.Base(name) != name {
			t.Errorf("%s: %q is not one of our runbooks", r.Alert, url)
			continue
		}
		page, err := os.ReadFile(filepath.Join("../../docs/runbooks", name))
		if err != nil {
			t.Errorf("%s: %v", r.Alert, err)
			continue
		}
		if !strings.Contains(string(page), "`"+r.Alert+"`") {
			t.Errorf("%s does not name the alert %s, which leads there", name, r.Alert)
		}
	}
}

// episode is a trouble that comes and passes. Values are promtool's: 0x5 is six times 0, a minute apart.
type episode struct {
	name   string
	alert  string
	series map[string]string
	labels map[string]string // of the alert, beside its own
	fires  string            // when it does
	over   string            // when it does no more; "": the trouble stays
	quiet  []string          // alerts that do not fire while it does
}

const (
	informerTook  = `angelowl_http_request_duration_seconds_bucket{service="informer",method="GET",route="/reward/:cardId",le="0.25"}`
	informerCount = `angelowl_http_request_duration_seconds_count{service="informer",method="GET",route="/reward/:cardId"}`
	informerFails = `angelowl_http_requests_total{service="informer",method="GET",route="/reward/:cardId",status="5xx"}`
	informerOK    = `angelowl_http_requests_total{service="informer",method="GET",route="/reward/:cardId",status="2xx"}`
	within10      = `angelowl_rewarder_delay_seconds_bucket{le="10"}`
	rewardedCount = `angelowl_rewarder_delay_seconds_count`
)

var episodes = []episode{
	{"pages of history are slow for an hour and a half", "HistorySlowFast",
		map[string]string{informerTook: "0x90 0+60x120", informerCount: "0+60x210"}, nil, "60m", "170m", nil},
	{"half of them fail", "HistorySlowFast",
		map[string]string{informerTook: "0+60x210", informerCount: "0+60x210", informerFails: "0+30x90 2700x120"}, nil, "60m", "170m", nil},
	{"one in twenty is slow for half a day", "HistorySlowSteadily",
		map[string]string{informerTook: "0+57x720 41040+60x600", informerCount: "0+60x1320"}, nil, "11h", "20h", []string{"HistorySlowFast"}},
	{"one transaction in twenty is late", "RewardsLateFast",
		map[string]string{within10: "0+950x90 85500+1000x120", rewardedCount: "0+1000x210"}, nil, "60m", "170m", nil},
	{"four in a thousand are late for half a day", "RewardsLateSteadily",
		map[string]string{within10: "0+996x720 717120+1000x600", rewardedCount: "0+1000x1320"}, nil, "11h", "20h", []string{"RewardsLateFast"}},
	{"all rewarders wait for rules", "RewarderAway",
		map[string]string{`angelowl_rewarder_state{state="consuming"}`: "1x5 0x20 1x30"}, nil, "15m", "40m", nil},
	{"there is no rewarder", "RewarderAway", nil, nil, "10m", "", nil},
	{"one of two rewarders works", "RewarderBehind",
		map[string]string{`angelowl_rewarder_state{state="consuming",pod="a"}`: "1x60", `angelowl_rewarder_state{state="consuming",pod="b"}`: "0x60",
			`angelowl_rewarder_oldest_unread_seconds{partition="3"}`: "0x5 700x20 0x30"}, map[string]string{"partition": "3"}, "15m", "40m", []string{"RewarderAway", "UnreadNearsRetention"}},
	{"a record has waited for a day", "UnreadNearsRetention",
		map[string]string{`angelowl_rewarder_oldest_unread_seconds{partition="3"}`: "0x5 90000x20 0x30", `angelowl_rewarder_retention_seconds`: "7776000x60"}, nil, "15m", "40m", nil},
	{"a record has waited for a third of the time that the log keeps it", "UnreadNearsRetention",
		map[string]string{`angelowl_rewarder_oldest_unread_seconds{partition="3"}`: "0x5 9000x20 0x30", `angelowl_rewarder_retention_seconds`: "27000x60"}, nil, "15m", "40m", nil},
	{"a partition pauses", "PartitionPaused",
		map[string]string{`angelowl_rewarder_paused{partition="1"}`: "0x5 1x20 0x30", `angelowl_rewarder_paused{partition="0"}`: "0x60"}, map[string]string{"partition": "1"}, "15m", "40m", nil},
	{"a change of the rules is refused", "RuleChangeRefused",
		map[string]string{`angelowl_rewarder_rule_change_refused{partition="1"}`: "0x5 1x20 0x30"}, map[string]string{"partition": "1"}, "15m", "40m", nil},
	{"etcd is away", "RulesOld", map[string]string{`angelowl_rewarder_rules_age_seconds`: "2x5 60+60x20 2x30"}, nil, "15m", "40m", nil},
	{"three records are set aside", "DeadLetters",
		map[string]string{`angelowl_rewarder_dead_letters_total`: "0x5 3x55", `angelowl_rewarder_records_total`: "0+1000x60"}, nil, "10m", "40m", []string{"ManyDeadLetters"}},
	{"one record in ten is set aside", "ManyDeadLetters",
		map[string]string{`angelowl_rewarder_dead_letters_total`: "0x5 0+10x20 200x35", `angelowl_rewarder_records_total`: "0+100x60"}, nil, "20m", "55m", nil},
	{"the store fails", "StoreErrors",
		map[string]string{`angelowl_rewarder_store_errors_total{call="put_rewards"}`: "0x5 1+1x20 21x35"}, map[string]string{"call": "put_rewards"}, "15m", "45m", nil},
	{"the store is slow", "StoreSlow",
		map[string]string{
			`angelowl_rewarder_store_seconds_bucket{call="put_rewards",le="1"}`:    "0x30 0+60x60",
			`angelowl_rewarder_store_seconds_bucket{call="put_rewards",le="2.5"}`:  "0+60x90",
			`angelowl_rewarder_store_seconds_bucket{call="put_rewards",le="+Inf"}`: "0+60x90",
		}, nil, "25m", "60m", []string{"StoreErrors"}},
	{"rules wait", "OutboxBehind", map[string]string{`angelowl_outbox_behind_seconds{service="campaignex"}`: "0x5 180x20 0x30"}, map[string]string{"service": "campaignex"}, "15m", "40m", nil},
	{"an older database was restored", "OutboxHeld", map[string]string{`angelowl_outbox_held{service="profiler"}`: "0x5 2x20 0x30"}, map[string]string{"service": "profiler"}, "15m", "40m", nil},
	{"a certificate is not renewed until the last day", "CertificateEnds",
		map[string]string{`angelowl_certificate_ends_seconds{service="informer",pod="a"}`: "173100-60x30 7776000x30", `angelowl_certificate_ends_seconds{service="informer",pod="b"}`: "7776000x60"}, map[string]string{"service": "informer"}, "20m", "40m", nil},
	{"one request in ten fails", "ServerErrors",
		map[string]string{informerFails: "0x5 0+10x20 200x35", informerOK: "0+90x60"}, map[string]string{"service": "informer"}, "15m", "50m", nil},
}

// object is what promtool reads; JSON is YAML.
type object map[string]any

// TestEachAlertFiresAndResolves runs the episodes through Prometheus' own engine.
func TestEachAlertFiresAndResolves(t *testing.T) {
	alerts, passes := map[string]rule{}, map[string]bool{}
	for _, r := range readRules(t) {
		if r.Alert != "" {
			alerts[r.Alert] = r
		}
	}
	for _, e := range episodes {
		t.Run(strings.ReplaceAll(e.name, " ", "_"), func(t *testing.T) {
			r, ok := alerts[e.alert]
			if !ok {
				t.Fatalf("there is no alert %s", e.alert)
			}
			passes[e.alert] = passes[e.alert] || e.over != ""
			labels := map[string]string{}
			for _, more := range []map[string]string{r.Labels, e.labels} {
				for k, v := range more {
					labels[k] = v
				}
			}
			checks := []object{{"eval_time": e.fires, "alertname": e.alert, "exp_alerts": []object{{"exp_labels": labels, "exp_annotations": r.Annotations}}}}
			if e.over != "" {
				checks = append(checks, object{"eval_time": e.over, "alertname": e.alert, "exp_alerts": []object{}})
			}
			for _, other := range e.quiet {
				if _, ok := alerts[other]; !ok {
					t.Errorf("there is no alert %s", other)
				}
				checks = append(checks, object{"eval_time": e.fires, "alertname": other, "exp_alerts": []object{}})
			}
			series := []object{}
			for name, values := range e.series {
				series = append(series, object{"series": name, "values": values})
			}
			b, err := json.Marshal(object{"rule_files": ruleFiles(t), "evaluation_interval": "1m",
				"tests": []object{{"interval": "1m", "input_series": series, "alert_rule_test": checks}}})
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "test.yaml")
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, "test", "rules", file)
		})
	}
	for name := range alerts {
		if resolves, ok := passes[name]; !ok || !resolves {
			t.Errorf("no episode shows that %s fires and resolves", name)
		}
	}
}
