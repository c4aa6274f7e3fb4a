package chart_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// order is in which README.md installs the services first.
var order = []string{"profiler", "campaignex", "rewarder", "informer", "ui"}

// digests of images: one, another, and one whose migration fails (testdata/cluster/kwok.yaml).
var (
	first  = "sha256:" + strings.Repeat("a", 64)
	second = "sha256:" + strings.Repeat("b", 64)
	broken = "sha256:" + strings.Repeat("f", 64)
)

// inCluster are the values of a service in production, with what Terraform's chart_services say.
func inCluster(t *testing.T, service, digest string, more ...string) []string {
	t.Helper()
	groups := `{"public":"arn:aws:elasticloadbalancing::targetgroup/public"}`
	if service == "profiler" || service == "informer" {
		groups = `{"public":"arn:aws:elasticloadbalancing::targetgroup/public","internal":"arn:aws:elasticloadbalancing::targetgroup/internal"}`
	}
	return values(t, service, "production", append([]string{
		`image={"tag":"","digest":"` + digest + `"}`, `targetGroups=` + groups, `serviceAccount={"roleArn":"arn:aws:iam::role/angelowl"}`,
	}, more...)...)
}

// TestCluster installs, upgrades, rolls back and takes away all releases in a Kubernetes, as README.md and
// docs/deploy.md say. What kubelets do is kwok's, and what KEDA and External Secrets do the test's: no program runs.
func TestCluster(t *testing.T) {
	if os.Getenv("ANGELOWL_LONG") == "" {
		t.Skip("SKIPPED: ANGELOWL_LONG=1 builds Kubernetes, and installs all services in it")
	}
	needsTools(t)
	c := startCluster(t)
	prepare(t, c)
	if !t.Run("what is wrong is seen", func(t *testing.T) { seen(t, c) }) {
		return
	}
	c.watch()

	install := func(t *testing.T, user, release string, args ...string) (string, error) {
		return c.helm(t, user, append([]string{"upgrade", "--install", release, ".chart"}, args...)...)
	}
	must := func(t *testing.T, said string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	// migrated: nothing is left of the migrations that went well.
	migrated := func(t *testing.T) {
		t.Helper()
		for _, id := range c.left() {
			if strings.HasSuffix(id, "-migrate") {
				t.Errorf("%s is still there", id)
			}
		}
	}
	said, err := install(t, "operator", "secrets", values(t, "secrets", "production")...)
	must(t, said, err)
	c.makeSecrets()
	said, err = install(t, "operator", "certificates", values(t, "certificates", "production")...)
	must(t, said, err)

	if !t.Run("a first install whose pods are never ready leaves nothing", func(t *testing.T) {
		before := c.left()
		said, err := install(t, "operator", "ui", append(inCluster(t, "ui", first, `podAnnotations={"chart-test/never-ready":"true"}`), "--atomic", "--timeout", "30s")...)
		if err == nil || !strings.Contains(said, "has been uninstalled due to atomic being set") {
			t.Fatalf("%v\n%s", err, said)
		}
		eventually(t, "nothing is left", func() error { return same(before, c.left()) })
	}) {
		return
	}

	replicas := map[string]int{"rewarder": 1}
	specs := map[string]map[string]any{}
	if !t.Run("install", func(t *testing.T) {
		for _, service := range order {
			said, err := install(t, "operator", service, append(inCluster(t, service, first), "--atomic", "--timeout", "3m")...)
			must(t, said, err)
			if service != "rewarder" {
				replicas[service] = 3 // the autoscaler's least
			}
			eventually(t, service, func() error { return c.well(service, first, replicas[service]) })
			specs[service] = c.specs(t, service)
		}
		said, err := install(t, "operator", "monitoring", values(t, "monitoring", "production")...)
		must(t, said, err)
		migrated(t)
		for _, policy := range c.all("networking.k8s.io/v1", "NetworkPolicy", "") {
			for _, rule := range list(policy, "spec", "ingress") {
				for _, from := range list(rule, "from") {
					if labels := at(from, "podSelector", "matchLabels"); labels != nil && len(c.all("v1", "Pod", merged(labels))) == 0 {
						t.Errorf("%s lets in %v, which is no pod", policy.name(), labels)
					}
				}
			}
		}
	}) {
		return
	}

	// As KEDA does.
	rewarder := object{"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": map[string]any{"name": "rewarder"}}
	if _, err := c.do(http.MethodPatch, c.where(rewarder)+"/rewarder/scale", map[string]any{"spec": map[string]any{"replicas": 3}}); err != nil {
		t.Fatal(err)
	}
	replicas["rewarder"] = 3
	eventually(t, "three rewarders", func() error { return c.well("rewarder", first, 3) })

	if !t.Run("what is refused changes nothing", func(t *testing.T) {
		c.pods.mark("profiler")
		pods := c.uids("profiler")
		job := object{"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": "profiler-migrate"}}
		for _, tt := range []struct {
			name, digest, more string
			args               []string
			says               string
			revisions          int
		}{
			{"an unknown value", second, `replica=4`, nil, "replica", 1},
			{"a migration that fails", broken, `podLabels={}`, []string{"--wait"}, "pre-upgrade hooks failed", 2},
			{"pods that are never ready", second, `podAnnotations={"chart-test/never-ready":"true"}`, []string{"--atomic", "--timeout", "30s"}, "has been rolled back due to atomic being set", 4},
		} {
			said, err := install(t, "delivery", "profiler", append(inCluster(t, "profiler", tt.digest, tt.more, `shutdown.timeout=12`), tt.args...)...)
			if err == nil || !strings.Contains(said, tt.says) {
				t.Fatalf("%s: %v\n%s", tt.name, err, said)
			}
			if tt.digest == broken && whole(c.get(job), "status", "failed") == 0 {
				t.Errorf("%s: the job is not there for its log", tt.name)
			}
			if err := same(specs["profiler"], c.specs(t, "profiler")); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			eventually(t, tt.name, func() error { return errors.Join(c.well("profiler", first, 3), same(pods, c.uids("profiler"))) })
			said, err = c.helm(t, "delivery", "history", "profiler", "--output", "json")
			must(t, said, err)
			if n := strings.Count(said, `"revision":`); n != tt.revisions {
				t.Errorf("%s: there are %d revisions, want %d: %s", tt.name, n, tt.revisions, said)
			}
		}
		if _, least := c.pods.sinceMark("profiler"); least < 3 {
			t.Errorf("only %d of 3 were ready at a time", least)
		}
	}) {
		return
	}

	// change takes all services to another revision, at the same time.
	change := func(name, digest string, helm func(t *testing.T, service string) (string, error)) bool {
		return t.Run(name, func(t *testing.T) {
			for _, service := range order {
				t.Run(service, func(t *testing.T) {
					t.Parallel()
					before := c.uids(service)
					c.pods.mark(service)
					said, err := helm(t, service)
					must(t, said, err)
					eventually(t, service, func() error { return c.well(service, digest, replicas[service]) })
					for _, uid := range c.uids(service) {
						if slices.Contains(before, uid) {
							t.Errorf("the pod %s is one of before", uid)
						}
					}
					allowed := 3 // Deployments make a new one first
					if service == "rewarder" {
						allowed = 2 // one after another
					}
					if _, least := c.pods.sinceMark(service); least < allowed {
						t.Errorf("only %d were ready at a time, want %d", least, allowed)
					}
				})
			}
		})
	}
	if !change("upgrade", second, func(t *testing.T, service string) (string, error) {
		return install(t, "delivery", service, append(inCluster(t, service, second, `shutdown.timeout=12`, `disruption.maxUnavailable=2`, `podLabels={"team":"rewards"}`), "--atomic", "--timeout", "3m")...)
	}) {
		return
	}
	migrated(t)
	for _, service := range order {
		now := c.specs(t, service)
		for _, id := range []string{"PodDisruptionBudget " + service, c.workload(service).id()} {
			if reflect.DeepEqual(now[id], specs[service][id]) {
				t.Errorf("%s is as it was before the upgrade", id)
			}
		}
	}
	if !change("rollback", first, func(t *testing.T, service string) (string, error) {
		return c.helm(t, "delivery", "rollback", service, "1", "--wait", "--timeout", "3m")
	}) {
		return
	}
	for _, service := range order {
		if err := same(specs[service], c.specs(t, service)); err != nil {
			t.Errorf("%s is not as it was: %v", service, err)
		}
	}
	t.Run("uninstall", func(t *testing.T) {
		for _, release := range append(slices.Clone(order), "monitoring", "secrets", "certificates") {
			said, err := c.helm(t, "delivery", "uninstall", release, "--wait", "--timeout", "3m")
			must(t, said, err)
		}
		eventually(t, "nothing is left but what the releases did not make", func() error {
			return same([]string{
				"ConfigMap cassandra-ca", "ConfigMap etcd-ca", "ConfigMap kube-root-ca.crt", "ConfigMap postgres-ca",
				"Role delivery", "RoleBinding delivery", "ServiceAccount default",
			}, c.left())
		})
	})
}

// prepare makes what docs/deploy.md has made before the first release.
func prepare(t *testing.T, c *cluster) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "docs/deploy.md"))
	if err != nil {
		t.Fatal(err)
	}
	guide := string(b)
	from := func(pattern string) string {
		t.Helper()
		m := regexp.MustCompile(pattern).FindStringSubmatch(guide)
		if m == nil {
			t.Fatalf("docs/deploy.md has no %s", pattern)
		}
		return m[1]
	}
	// A program's pod is held to the standard, and Helm told of what the pods of a workload will be refused for.
	labels := map[string]any{"pod-security.kubernetes.io/warn": "restricted", "pod-security.kubernetes.io/audit": "restricted"}
	for _, l := range strings.Fields(from(`kubectl label namespace angelowl (.*)`)) {
		k, v, _ := strings.Cut(l, "=")
		labels[k] = v
	}
	if labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Errorf("the namespace of docs/deploy.md is not held to the standard: %v", labels)
	}
	c.create(object{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace, "labels": labels}})
	eventually(t, "the namespace", func() error {
		return same([]string{"ConfigMap kube-root-ca.crt", "ServiceAccount default"}, c.left())
	})
	for _, name := range []string{"postgres-ca", "etcd-ca", "cassandra-ca"} {
		c.create(object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}, "data": map[string]any{"ca.crt": "of a test"}})
	}

	// Who delivers has Kubernetes' own "admin", as which AWS' AmazonEKSAdminPolicy is, and what the guide adds.
	var rules []any
	for _, of := range strings.Split(from(`create role delivery --verb=\S+ \\\n  --resource=(\S+)`), ",") {
		resource, group, _ := strings.Cut(of, ".")
		rules = append(rules, map[string]any{"apiGroups": []string{group}, "resources": []string{resource}, "verbs": strings.Split(from(`create role delivery --verb=(\S+)`), ",")})
	}
	c.create(object{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": map[string]any{"name": "delivery"}, "rules": rules})
	subjects := []any{map[string]any{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": from(`create rolebinding delivery --role=delivery --group=(\S+)`)}}
	admin := object{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": map[string]any{"name": "delivery"}, "subjects": subjects}
	admin["roleRef"] = map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "delivery"}
	c.create(admin)
	policy := maps.Clone(admin)
	policy["kind"], policy["metadata"] = "ClusterRoleBinding", map[string]any{"name": "delivery"}
	policy["roleRef"] = map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
	c.create(policy)

	// The accounts are the guide's, and real; its stores and secrets are only looked at, since a release makes them here.
	program := from(`(?s)terraform output -json services \| jq -r --arg region \$AWS_REGION '(.*?)' \| kubectl apply`)
	services := map[string]any{}
	for _, service := range []string{"campaignex", "informer", "profiler", "rewarder"} {
		services[service] = map[string]any{"role_arn": "arn:aws:iam::role/angelowl", "secrets": map[string]any{
			"DB_PASS": "arn:aws:secretsmanager:region:account:secret:" + service + "/postgres:password", "CLIENT_SECRET": "arn:aws:secretsmanager:region:account:secret:" + service + "/client",
		}}
	}
	input, err := json.Marshal(services)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), tool(t, build("../actions", "github.com/itchyny/gojq/cmd/gojq")), "-r", "--arg", "region", "ap-southeast-1", program)
	cmd.Stdin = strings.NewReader(string(input))
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the guide's jq: %v\n%s", err, said)
	}
	for d := json.NewDecoder(strings.NewReader(string(said))); d.More(); {
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		if o := object(m); o.kind() == "ServiceAccount" {
			c.create(o)
		} else if _, err := c.do(http.MethodPost, c.where(o)+"?fieldValidation=Strict&dryRun=All", o); err != nil {
			t.Errorf("docs/deploy.md's %s: %v", o.id(), err)
		}
	}
	if n := len(c.all("v1", "ServiceAccount", "")); n != 1+len(services) {
		t.Errorf("docs/deploy.md makes %d accounts, want %d", n-1, len(services))
	}
}

// seen: what this test holds the chart to can be broken.
func seen(t *testing.T, c *cluster) {
	pod := object{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "careless"}, "spec": map[string]any{
		"containers": []any{map[string]any{"name": "c", "image": "c", "env": []any{
			map[string]any{"name": "S", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "nobody", "key": "S"}}},
		}}},
	}}
	if _, err := c.do(http.MethodPost, c.where(pod), pod); !isCode(err, http.StatusForbidden) || !strings.Contains(err.Error(), "violates PodSecurity") {
		t.Errorf("a pod that may be root is taken: %v", err)
	}
	if got := c.missing(pod); len(got) != 1 || !strings.Contains(got[0], "nobody") {
		t.Errorf("a pod without its secret could start: %v", got)
	}
	chart := t.TempDir()
	if err := os.Mkdir(filepath.Join(chart, "templates"), 0o755); err != nil {
		t.Fatal(err)
	}
	pod["metadata"] = map[string]any{"labels": map[string]any{"a": "b"}}
	b, err := json.Marshal(object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "careless"}, "spec": map[string]any{
		"selector": map[string]any{"matchLabels": map[string]any{"a": "b"}}, "template": map[string]any{"metadata": pod["metadata"], "spec": pod["spec"]},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"Chart.yaml": "{apiVersion: v2, name: careless, version: 1.0.0}", "templates/careless.yaml": string(b)} {
		if err := os.WriteFile(filepath.Join(chart, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"--namespace", namespace, "--kubeconfig", c.path("operator.kubeconfig")}
	if said, err := run(t, helm(t), append([]string{"install", "careless", chart}, args...)...); err != nil || !warned(said) {
		t.Errorf("Helm does not tell of the API server's warning: %v\n%s", err, said)
	}
	if said, err := run(t, helm(t), append([]string{"uninstall", "careless", "--wait"}, args...)...); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

// makeSecrets does as the External Secrets operator.
func (c *cluster) makeSecrets() {
	c.t.Helper()
	for _, e := range c.all("external-secrets.io/v1", "ExternalSecret", "") {
		data := map[string]any{}
		for _, d := range list(e, "spec", "data") {
			data[text(d, "secretKey")] = "of a test"
		}
		c.create(object{"apiVersion": "v1", "kind": "Secret", "stringData": data, "metadata": map[string]any{
			"name":            text(e, "spec", "target", "name"),
			"ownerReferences": []any{map[string]any{"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": e.name(), "uid": text(e, "metadata", "uid"), "controller": true}},
		}})
	}
}

// same compares what is with what it should be.
func same[T any](want, is T) error {
	if reflect.DeepEqual(want, is) {
		return nil
	}
	return fmt.Errorf("it is\n%v\nwant\n%v", is, want)
}

// specs are what the objects of a release are to be, by id, without how many pods: autoscalers say that.
func (c *cluster) specs(t *testing.T, release string) map[string]any {
	t.Helper()
	said, err := c.helm(t, "delivery", "get", "manifest", release)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	specs := map[string]any{}
	for _, o := range decode(t, said) {
		is := c.get(o)
		if is == nil {
			t.Fatalf("there is no %s", o.id())
		}
		spec, _ := is["spec"].(map[string]any)
		delete(spec, "replicas")
		specs[o.id()] = []any{spec, is["data"], at(is, "metadata", "labels")}
	}
	return specs
}

// workload names a service's.
func (c *cluster) workload(service string) object {
	kind := "Deployment"
	if service == "rewarder" {
		kind = "StatefulSet"
	}
	return object{"apiVersion": "apps/v1", "kind": kind, "metadata": map[string]any{"name": service}}
}

func servers(service string) string {
	return "app.kubernetes.io/name%3D" + service + ",app.kubernetes.io/component%3Dserver"
}

func (c *cluster) uids(service string) (uids []string) {
	for _, pod := range c.all("v1", "Pod", servers(service)) {
		uids = append(uids, text(pod, "metadata", "uid"))
	}
	slices.Sort(uids)
	return uids
}

// well says what is not yet as it should be where n pods of a service serve with an image.
func (c *cluster) well(service, digest string, n int) error {
	var wrong []error
	is := func(what string, got, want any) {
		if got != want {
			wrong = append(wrong, fmt.Errorf("%s: %v, want %v", what, got, want))
		}
	}
	w := c.get(c.workload(service))
	if w == nil {
		return errors.New("it has no workload")
	}
	is("the generation that is seen", whole(w, "status", "observedGeneration"), whole(w, "metadata", "generation"))
	for _, count := range []string{"replicas", "readyReplicas", "updatedReplicas", "availableReplicas"} {
		is(count, whole(w, "status", count), n)
	}
	zones := map[string]bool{}
	pods := c.all("v1", "Pod", servers(service))
	is("pods", len(pods), n)
	for _, pod := range pods {
		zones[text(pod, "spec", "nodeName")] = true // each is one of its own
		is("the image of "+pod.name(), text(pod, "spec", "containers", 0, "image"), "registry.bank.example/angelowl/"+service+"@"+digest)
	}
	is("zones", len(zones), n)
	ready, _ := c.pods.sinceMark(service)
	is("pods that are ready", ready, n)

	pdb := c.get(object{"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": map[string]any{"name": service}})
	is("pods that its disruption budget counts", whole(pdb, "status", "expectedPods"), n)
	is("healthy ones of them", whole(pdb, "status", "currentHealthy"), n)
	is("how many may be evicted", whole(pdb, "status", "disruptionsAllowed"), min(n, whole(pdb, "spec", "maxUnavailable")))

	policy := c.get(object{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": map[string]any{"name": service}})
	is("pods that its network policy is for", len(c.all("v1", "Pod", merged(at(policy, "spec", "podSelector", "matchLabels")))), n)
	scalers := c.all("autoscaling/v2", "HorizontalPodAutoscaler", "app.kubernetes.io/name%3D"+service)
	if service == "rewarder" {
		is("KEDA's objects", len(c.all("keda.sh/v1alpha1", "ScaledObject", "")), 1)
	} else if len(scalers) != 1 {
		is("autoscalers", len(scalers), 1)
	} else {
		is("pods that the autoscaler sees", whole(scalers[0], "status", "currentReplicas"), n)
	}
	services := c.all("v1", "Service", "app.kubernetes.io/name%3D"+service)
	is("there are Services", len(services) > 0, true)
	for _, s := range services {
		ready, behind := 0, map[string]int{}
		for _, slice := range c.all("discovery.k8s.io/v1", "EndpointSlice", "kubernetes.io/service-name%3D"+s.name()) {
			for _, e := range list(slice, "endpoints") {
				if at(e, "conditions", "ready") == true {
					ready++
				}
			}
			for _, p := range list(slice, "ports") {
				behind[text(p, "name")] = whole(p, "port")
			}
		}
		for _, p := range list(s, "spec", "ports") {
			is("the port "+text(p, "name")+" of the pods behind "+s.name(), behind[text(p, "name")], whole(p, "port"))
		}
		is("pods behind "+s.name(), ready, n)
	}
	return errors.Join(wrong...)
}
