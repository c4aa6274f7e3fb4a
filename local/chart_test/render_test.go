//go:build unix

package chart_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write testdata anew")

// object is one of Kubernetes'.
type object map[string]any

func (o object) kind() string { return text(o, "kind") }
func (o object) name() string { return text(o, "metadata", "name") }
func (o object) id() string   { return o.kind() + " " + o.name() }

// at is what stands at a path of a document; a whole number as a word is an index. nil: nothing.
func at(v any, path ...any) any {
	for _, p := range path {
		switch of := v.(type) {
		case object:
			v = of[p.(string)]
		case map[string]any:
			v = of[p.(string)]
		case []any:
			i, ok := p.(int)
			if !ok || i >= len(of) {
				return nil
			}
			v = of[i]
		default:
			return nil
		}
	}
	return v
}

func text(v any, path ...any) string {
	s, _ := at(v, path...).(string)
	return s
}

func number(v any, path ...any) int {
	n, _ := at(v, path...).(int)
	return n
}

func list(v any, path ...any) []any {
	l, _ := at(v, path...).([]any)
	return l
}

// names are the files of a folder of the chart without their ending.
func names(t testing.TB, folder string) (out []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, ".chart", folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %d files", folder, err, len(files))
	}
	for _, f := range files {
		out = append(out, strings.TrimSuffix(filepath.Base(f), ".yaml"))
	}
	return out
}

// values are the arguments by which a service is installed in an environment, with a file of what else is said there,
// as path=JSON.
func values(t testing.TB, service, environment string, more ...string) []string {
	t.Helper()
	dir, err := os.MkdirTemp("", "angelowl-chart-") // t.TempDir's name may have commas, at which Helm would cut it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "more.yaml")
	all := map[string]any{"image": map[string]any{"tag": "1.2.3"}}
	for _, set := range more {
		path, value, _ := strings.Cut(set, "=")
		steps := strings.Split(path, ".")
		of := all
		for _, step := range steps[:len(steps)-1] {
			if _, there := of[step]; !there {
				of[step] = map[string]any{}
			}
			of = of[step].(map[string]any)
		}
		var v any
		if err := json.Unmarshal([]byte(value), &v); err != nil {
			t.Fatalf("%s: %v", set, err)
		}
		if was, ok := of[steps[len(steps)-1]].(map[string]any); ok {
			maps.Copy(was, v.(map[string]any))
		} else {
			of[steps[len(steps)-1]] = v
		}
	}
	b, err := json.Marshal(all)
	if err == nil {
		err = os.WriteFile(file, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return []string{"-f", ".chart/values/" + service + ".yaml", "-f", ".chart/environments/" + environment + ".yaml", "-f", file}
}

// rendered are the answers of Helm, which are the same for the same values.
var rendered sync.Map

// namespace is where all releases are.
const namespace = "angelowl"

// helmTemplate renders as README.md says to install.
func helmTemplate(t testing.TB, service, environment string, more ...string) (string, error) {
	t.Helper()
	key := fmt.Sprintf("%q", append([]string{service, environment}, more...))
	if out, ok := rendered.Load(key); ok {
		return out.(string), nil
	}
	args := append([]string{"template", service, ".chart", "--namespace", namespace, "--kube-version", kubernetes}, values(t, service, environment, more...)...)
	cmd := exec.CommandContext(t.Context(), helm(t), args...)
	cmd.Dir = root
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, &said)
	}
	rendered.Store(key, out.String())
	return out.String(), nil
}

func render(t testing.TB, service, environment string, more ...string) (string, []object) {
	t.Helper()
	out, err := helmTemplate(t, service, environment, more...)
	if err != nil {
		t.Fatal(err)
	}
	return out, decode(t, out)
}

func decode(t testing.TB, documents string) (objects []object) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(documents))
	for {
		var o map[string]any // not an object: what is in it would be one, too
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatalf("what is rendered is no YAML: %v\n%s", err, documents)
		}
		if o != nil {
			objects = append(objects, o)
		}
	}
}

// find returns the one object of a kind.
func find(t testing.TB, objects []object, kind string) object {
	t.Helper()
	i := slices.IndexFunc(objects, func(o object) bool { return o.kind() == kind })
	if i < 0 {
		t.Fatalf("there is no %s", kind)
	}
	return objects[i]
}

// noProgram says whether a release is not a program's.
func noProgram(service string) bool {
	return slices.Contains([]string{"certificates", "monitoring", "secrets"}, service)
}

// everywhere runs a test for each service in each environment.
func everywhere(t *testing.T, f func(t *testing.T, service, environment string)) {
	needsTools(t)
	for _, environment := range names(t, "environments") {
		for _, service := range names(t, "values") {
			t.Run(service+" in "+environment, func(t *testing.T) {
				t.Parallel()
				f(t, service, environment)
			})
		}
	}
}

func TestLint(t *testing.T) {
	everywhere(t, func(t *testing.T, service, environment string) {
		args := append([]string{"lint", ".chart", "--strict", "--quiet", "--kube-version", kubernetes}, values(t, service, environment)...)
		if said, err := run(t, helm(t), args...); err != nil {
			t.Errorf("%v\n%s", err, said)
		}
	})
}

// TestGolden shows in a diff what a change of the chart changes in a cluster: go test ./local/chart_test -update.
func TestGolden(t *testing.T) {
	var want []string
	for _, environment := range names(t, "environments") {
		for _, service := range names(t, "values") {
			want = append(want, service+"-"+environment+".yaml")
		}
	}
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(want, filepath.Base(f)) {
			t.Errorf("%s is of no service in no environment", f)
		}
	}
	everywhere(t, func(t *testing.T, service, environment string) {
		got, _ := render(t, service, environment)
		path := filepath.Join("testdata", service+"-"+environment+".yaml")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		is, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(is) != got {
			t.Errorf("%s is not what is rendered; go test ./local/chart_test -update writes it anew, and git diff shows what changes", path)
		}
	})
}

// optional are the ways in and others that no environment of the repository has.
var optional = []string{
	`ingress={"enabled":true,"host":"api.bank.example","className":"nginx","tlsSecret":"api-tls","annotations":{"a/b":"c"}}`,
	`gatewayRoute={"enabled":true,"gateway":"edge","namespace":"edge","host":"api.bank.example"}`,
	`serviceAccount={"roleArn":"arn:aws:iam::role/angelowl"}`,
	`image={"digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","pullSecrets":["registry"]}`,
	`nodeSelector={"kubernetes.io/arch":"arm64"}`,
	`tolerations=[{"key":"angelowl","operator":"Exists","effect":"NoSchedule"}]`,
	`priorityClassName="high"`,
	`goMemoryLimit="100MiB"`,
	`podLabels={"team":"rewards"}`,
	`podAnnotations={"a/b":"c"}`,
	`metrics={"port":"public","podMonitor":true,"labels":{"release":"prometheus"}}`,
	`kafka={"ca":{"configMap":"kafka-ca"},"certificate":{"secret":"kafka-client"}}`,
	`etcd={"certificate":{"secret":"etcd-client"}}`,
	`postgres={"host":"a.example,b.example"}`,
	`mail={"ses":{"region":""},"smtp":{"host":"mail.bank.example","username":"angelowl","ca":{"configMap":"mail-ca"}}}`,
	`migrations={"user":"owner","secrets":{"DB_PASS":{"name":"owner","key":"password"}}}`,
}

// TestValid: a cluster takes what is rendered; unknown and wrong fields are refused.
func TestValid(t *testing.T) {
	needsTools(t)
	crds := schemas(t)
	check := func(t *testing.T, documents string) (string, error) {
		file := filepath.Join(t.TempDir(), "all.yaml")
		if err := os.WriteFile(file, []byte(documents), 0o644); err != nil {
			t.Fatal(err)
		}
		return run(t, validator(t), "--version", kubernetes, "--local-crds", crds, file)
	}
	// One call for each set: reading the schemas is most of it.
	for _, set := range []struct {
		name string
		more []string
	}{{"as the environments say", nil}, {"with everything that is optional", optional}, {"without TLS", append(slices.Clone(optional), `tls={"enabled":false}`)}} {
		t.Run(set.name, func(t *testing.T) {
			var all strings.Builder
			for _, environment := range names(t, "environments") {
				for _, service := range names(t, "values") {
					out, _ := render(t, service, environment, set.more...)
					all.WriteString(out + "\n---\n")
				}
			}
			if said, err := check(t, all.String()); err != nil {
				t.Errorf("%v\n%s", err, said)
			}
		})
	}
	good, _ := render(t, "rewarder", "production")
	for _, tt := range []struct{ name, is, put, says string }{
		{"a field that is not there", "minReadySeconds:", "minReadySecond:", "minReadySecond"},
		{"a number that is a text", "revisionHistoryLimit: 5", `revisionHistoryLimit: "five"`, "revisionHistoryLimit"},
		{"a label that cannot be", "app.kubernetes.io/part-of: angelowl", "app.kubernetes.io/part-of: angel owl", "angel owl"},
		{"KEDA's field that is not there", "maxReplicaCount:", "maxReplicasCount:", "maxReplicasCount"},
		{"cert-manager's field that is not there", "secretName: rewarder-tls\n  issuerRef:", "secret: rewarder-tls\n  issuerRef:", "spec.secret"},
		{"Prometheus' field that is not there", "podMetricsEndpoints:", "podMetricEndpoints:", "podMetricEndpoints"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(good, tt.is, tt.put, 1)
			if said, err := check(t, bad); bad == good || err == nil || !strings.Contains(said, tt.says) {
				t.Errorf("it passes: %v %s", err, said)
			}
		})
	}
}

// TestWhatIsMissingIsSaid: a release that cannot work is not rendered.
func TestWhatIsMissingIsSaid(t *testing.T) {
	needsTools(t)
	for _, tt := range []struct{ service, set, says string }{
		{"campaignex", `image.registry=""`, "image.registry is needed"},
		{"campaignex", `image.tag=""`, "image.tag or image.digest is needed"},
		{"campaignex", `postgres.host=""`, "postgres.host is needed"},
		{"campaignex", `etcd.endpoints=[]`, "etcd.endpoints is needed"},
		{"campaignex", `portal.origin=""`, "portal.origin is needed"},
		{"campaignex", `networkPolicy.engines=[]`, "networkPolicy.engines is needed"},
		{"profiler", `keys.kms=[]`, "keys.kms is needed"},
		{"profiler", `aws.region=""`, "aws.region is needed"},
		{"profiler", `mail.from=""`, "mail.from is needed"},
		{"profiler", `mail.ses.region=""`, "mail.ses.region or mail.smtp.host is needed"},
		{"profiler", `networkPolicy.https=[]`, "networkPolicy.https is needed"},
		{"informer", `cassandra.nodes=[]`, "cassandra.nodes is needed"},
		{"informer", `migrations.enabled=true`, "campaignex, profiler and rewarder"},
		{"rewarder", `kafka.brokers=[]`, "kafka.brokers is needed"},
		{"rewarder", `keda.secret=""`, "keda.secret is needed"},
		{"ui", `api.origin=""`, "api.origin is needed"},
		{"secrets", `externalSecrets.store=""`, "externalSecrets.store is needed"},
		{"secrets", `externalSecrets.name=""`, "externalSecrets.name is needed"},
		{"ui", `ingress.enabled=true`, "ingress.host is needed"},
		{"ui", `gatewayRoute.enabled=true`, "gatewayRoute.gateway is needed"},
	} {
		t.Run(tt.service+" "+tt.set, func(t *testing.T) {
			t.Parallel()
			if _, err := helmTemplate(t, tt.service, "production", tt.set); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("want %q: %v", tt.says, err)
			}
		})
	}
}

// TestMonitoring: files that are put into the chart's folders come to Grafana and Prometheus as they are.
func TestMonitoring(t *testing.T) {
	needsTools(t)
	chart := t.TempDir()
	if err := os.CopyFS(chart, os.DirFS(filepath.Join(root, ".chart"))); err != nil {
		t.Fatal(err)
	}
	dashboard := `{"title": "Owl", "panels": [{"legendFormat": "{{partition}}"}]}` + "\n"
	alerts := "groups:\n  - name: owl\n    rules:\n      - alert: Late\n        expr: owl_age > 60\n        annotations:\n          summary: 'partition {{ $labels.partition }} is late'\n"
	for path, content := range map[string]string{"dashboards/owl.json": dashboard, "alerts/owl.yaml": alerts} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(chart, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(chart, path), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	template := func(service string) (objects map[string]object) {
		t.Helper()
		args := append([]string{"template", "m", chart, "--kube-version", kubernetes}, values(t, service, "production")...)
		out, err := run(t, helm(t), args...)
		if err != nil {
			t.Fatal(err, out)
		}
		objects = map[string]object{}
		for _, o := range decode(t, out) {
			objects[o.id()] = o
		}
		return objects
	}
	all := template("monitoring")
	if got := text(all["ConfigMap angelowl-owl"], "data", "owl.json"); got != dashboard {
		t.Errorf("the dashboard is %q", got)
	}
	if got := text(all["ConfigMap angelowl-owl"], "metadata", "labels", "grafana_dashboard"); got != "1" {
		t.Errorf("Grafana's sidecar looks for grafana_dashboard=1; it is %q", got)
	}
	if got := text(all["PrometheusRule angelowl-owl"], "spec", "groups", 0, "rules", 0, "annotations", "summary"); got != "partition {{ $labels.partition }} is late" {
		t.Errorf("the alert's text is %q", got)
	}
	for id := range all {
		if kind := strings.Fields(id)[0]; kind != "ConfigMap" && kind != "PrometheusRule" {
			t.Errorf("the release of monitoring has %s", id)
		}
	}
	if got := slices.Collect(maps.Keys(template("campaignex"))); slices.Contains(got, "ConfigMap angelowl-owl") {
		t.Error("each service's release has the dashboards")
	}
}
