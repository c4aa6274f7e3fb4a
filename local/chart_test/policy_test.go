//go:build unix

package chart_test

import (
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pods are the pod templates of objects, by the object that has one.
func pods(objects []object) map[string]any {
	out := map[string]any{}
	for _, o := range objects {
		if spec := at(o, "spec", "template", "spec"); spec != nil {
			out[o.id()] = spec
		}
	}
	return out
}

// policy is what is wrong with objects of one release: Kubernetes' standard "restricted", and what an operator expects
// beyond it.
func policy(objects []object) (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for id, spec := range pods(objects) {
		must := func(ok bool, format string, args ...any) {
			if !ok {
				complain(id+": "+format, args...)
			}
		}
		must(at(spec, "securityContext", "runAsNonRoot") == true, "its pod may run as root")
		must(number(spec, "securityContext", "runAsUser") > 0, "its user is not a number above 0")
		must(text(spec, "securityContext", "seccompProfile", "type") == "RuntimeDefault", "all system calls are allowed")
		must(at(spec, "automountServiceAccountToken") == false, "it gets a token of Kubernetes' API")
		must(at(spec, "enableServiceLinks") == false, "other services' addresses come into its environment")
		for _, field := range []string{"hostNetwork", "hostPID", "hostIPC"} {
			must(at(spec, field) == nil, "it has %s", field)
		}
		must(at(spec, "initContainers") == nil, "there are containers that nothing here looks at")
		must(len(list(spec, "containers")) == 1, "it has %d containers", len(list(spec, "containers")))
		for _, c := range list(spec, "containers") {
			security := at(c, "securityContext")
			must(at(security, "readOnlyRootFilesystem") == true, "its root file system can be written to")
			must(at(security, "allowPrivilegeEscalation") == false, "it may get more rights")
			must(at(security, "privileged") == nil, "it is privileged")
			must(at(security, "runAsNonRoot") == true, "it may run as root")
			drop := list(security, "capabilities", "drop")
			must(len(drop) == 1 && drop[0] == "ALL" && at(security, "capabilities", "add") == nil, "it has capabilities")
			for _, of := range []string{"requests", "limits"} {
				for _, what := range []string{"cpu", "memory"} {
					must(fmt.Sprint(at(c, "resources", of, what)) != "<nil>", "%s of %s is missing", what, of)
				}
			}
			for _, e := range list(c, "env") {
				soft, _ := strconv.Atoi(strings.TrimSuffix(text(e, "value"), "MiB"))
				hard, _ := strconv.Atoi(strings.TrimSuffix(text(c, "resources", "limits", "memory"), "Mi"))
				must(text(e, "name") != "GOMEMLIMIT" || soft > 0 && soft*100 <= hard*95, "Go's limit of memory, %d MiB, is not below the container's, %d MiB", soft, hard)
			}
			image := text(c, "image")
			must(strings.Contains(image, "@sha256:") || strings.Contains(image[strings.LastIndex(image, "/")+1:], ":") && !strings.HasSuffix(image, ":latest"),
				"its image %s is not one of a version", image)
			if strings.HasPrefix(id, "Job ") {
				continue
			}
			for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
				must(text(c, probe, "httpGet", "path") != "", "%s is missing", probe)
			}
			must(text(c, "readinessProbe", "httpGet", "path") != text(c, "livenessProbe", "httpGet", "path"), "alive and ready are the same")
		}
		for _, v := range list(spec, "volumes") {
			must(at(v, "hostPath") == nil, "it has a folder of its node")
		}
		if strings.HasPrefix(id, "Job ") {
			must(text(spec, "restartPolicy") == "Never", "it is restarted in place")
			continue
		}
		must(len(list(spec, "topologySpreadConstraints")) == 2, "it is not spread over zones and nodes")
	}
	for _, o := range objects {
		if o.kind() == "Secret" {
			complain("%s: secrets are never rendered", o.id())
		}
		switch o.kind() {
		case "Deployment", "StatefulSet":
			for _, kind := range []string{"PodDisruptionBudget", "NetworkPolicy", "ServiceAccount"} {
				if !slices.ContainsFunc(objects, func(other object) bool { return other.kind() == kind && other.name() == o.name() }) {
					complain("%s: it has no %s", o.id(), kind)
				}
			}
			if selects(objects, "PodDisruptionBudget", o, "spec", "selector", "matchLabels") != 1 {
				complain("%s: not one PodDisruptionBudget is for its pods", o.id())
			}
			if selects(objects, "NetworkPolicy", o, "spec", "podSelector", "matchLabels") != 1 {
				complain("%s: not one NetworkPolicy is for its pods", o.id())
			}
		case "Job":
			if selects(objects, "NetworkPolicy", o, "spec", "podSelector", "matchLabels") != 1 {
				complain("%s: not one NetworkPolicy is for its pods", o.id())
			}
			if selects(objects, "Service", o, "spec", "selector") != 0 {
				complain("%s: a Service leads to its pods", o.id())
			}
		case "NetworkPolicy":
			if len(list(o, "spec", "policyTypes")) != 2 {
				complain("%s: it is not for both ways", o.id())
			}
			for _, way := range []struct{ rules, who string }{{"ingress", "from"}, {"egress", "to"}} {
				for _, rule := range list(o, "spec", way.rules) {
					if len(list(rule, way.who)) == 0 || len(list(rule, "ports")) == 0 {
						complain("%s: a rule of %s lets everybody through, or on every port", o.id(), way.rules)
					}
					for _, peer := range list(rule, way.who) {
						if selector, there := peer.(map[string]any)["podSelector"]; there && at(selector, "matchLabels") == nil {
							complain("%s: a rule of %s is for every pod", o.id(), way.rules)
						}
						if way.rules == "ingress" && strings.HasSuffix(text(peer, "ipBlock", "cidr"), "/0") {
							complain("%s: it lets the whole world in", o.id())
						}
					}
				}
			}
		}
	}
	slices.Sort(wrong)
	return slices.Compact(wrong)
}

// selects counts the objects of a kind whose selector fits another's pods.
func selects(objects []object, kind string, workload object, path ...any) (n int) {
	labels, _ := at(workload, "spec", "template", "metadata", "labels").(map[string]any)
	for _, o := range objects {
		selector, _ := at(o, path...).(map[string]any)
		fits := o.kind() == kind && len(selector) > 0
		for k, v := range selector {
			fits = fits && labels[k] == v
		}
		if fits {
			n++
		}
	}
	return n
}

// encrypted is what is wrong with the encryption of a program's ports: who asks there, and by which name.
func encrypted(objects []object) (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	made := map[string][]string{} // the names of a certificate, by its Secret
	settings := map[string]any{}
	for _, o := range objects {
		switch o.kind() {
		case "Certificate":
			var hosts []string
			for _, name := range list(o, "spec", "dnsNames") {
				hosts = append(hosts, name.(string))
			}
			made[text(o, "spec", "secretName")] = hosts
		case "ConfigMap":
			maps.Copy(settings, at(o, "data").(map[string]any))
		}
	}
	for name, value := range settings {
		// Traces go to a collector, which is not one of ours.
		if s, _ := value.(string); strings.HasPrefix(s, "http://") && name != "OTEL_EXPORTER_OTLP_ENDPOINT" {
			complain("%s is %s", name, s)
		}
	}
	for _, o := range objects {
		switch o.kind() {
		case "Deployment", "StatefulSet":
			spec := at(o, "spec", "template", "spec")
			container := at(spec, "containers", 0)
			folders := map[string]string{} // Secrets by where they are
			for _, m := range list(container, "volumeMounts") {
				for _, v := range list(spec, "volumes") {
					if text(v, "name") == text(m, "name") {
						folders[text(m, "mountPath")] = text(v, "secret", "secretName")
					}
				}
			}
			for _, name := range []string{"TLS_CERT_FILE", "TLS_KEY_FILE"} {
				file, _ := settings[name].(string)
				if secret := folders[path.Dir(file)]; made[secret] == nil {
					complain("%s: %s is %q, which is of no certificate that is made", o.id(), name, file)
				}
			}
			for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
				if text(container, probe, "httpGet", "scheme") != "HTTPS" {
					complain("%s: its %s is not encrypted", o.id(), probe)
				}
			}
		case "Service":
			for _, port := range list(o, "spec", "ports") {
				if text(port, "appProtocol") != "https" {
					complain("%s: its port is %s", o.id(), text(port, "appProtocol"))
				}
			}
			for _, host := range []string{o.name(), o.name() + "." + namespace, o.name() + "." + namespace + ".svc"} {
				if !slices.ContainsFunc(slices.Collect(maps.Values(made)), func(hosts []string) bool { return slices.Contains(hosts, host) }) {
					complain("%s: no certificate is for %s", o.id(), host)
				}
			}
		case "PodMonitor":
			for _, e := range list(o, "spec", "podMetricsEndpoints") {
				secret, host := text(e, "tlsConfig", "ca", "secret", "name"), text(e, "tlsConfig", "serverName")
				if text(e, "scheme") != "https" || !slices.Contains(made[secret], host) {
					complain("%s: Prometheus does not ask by the certificate %s of %s", o.id(), secret, host)
				}
			}
		case "BackendTLSPolicy":
			if secret := text(o, "spec", "validation", "caCertificateRefs", 0, "name"); !slices.Contains(made[secret], text(o, "spec", "validation", "hostname")) {
				complain("%s: the gateway does not ask by a certificate that is made", o.id())
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

func TestEveryPortIsEncrypted(t *testing.T) {
	everywhere(t, func(t *testing.T, service, environment string) {
		for _, set := range [][]string{nil, optional} {
			_, objects := render(t, service, environment, set...)
			for _, wrong := range encrypted(objects) {
				t.Error(wrong)
			}
		}
	})
	issuers := map[string]bool{}
	_, objects := render(t, "certificates", "production")
	for _, o := range objects {
		if o.kind() == "Issuer" {
			issuers[o.name()] = true
		}
	}
	_, objects = render(t, "informer", "production")
	if issuer := text(find(t, objects, "Certificate"), "spec", "issuerRef", "name"); !issuers[issuer] {
		t.Errorf("certificates are asked of %q, and there are %v", issuer, issuers)
	}
	_, objects = render(t, "ui", "production", `gatewayRoute={"enabled":true,"gateway":"edge","host":"a.example","authority":"services-ca"}`)
	if ref := at(find(t, objects, "BackendTLSPolicy"), "spec", "validation", "caCertificateRefs", 0); text(ref, "kind") != "ConfigMap" || text(ref, "name") != "services-ca" {
		t.Errorf("the gateway knows the pods by %v", ref)
	}
	for _, tt := range []struct {
		set   string
		kind  string
		path  []any
		value any
		says  string
	}{
		{set: `tls={"enabled":false}`, says: "TLS_CERT_FILE is \"\""},
		{set: `tls={"enabled":false}`, says: "PROFILER_ENDPOINT is http://profiler:8080"},
		{set: `tls={"issuer":""}`, says: "of no certificate that is made"},
		{kind: "ConfigMap", path: []any{"data", "TLS_KEY_FILE"}, value: "/tls.key", says: "TLS_KEY_FILE is \"/tls.key\""},
		{kind: "Deployment", path: []any{"spec", "template", "spec", "containers", 0, "livenessProbe", "httpGet", "scheme"}, value: "HTTP", says: "its livenessProbe is not encrypted"},
		{kind: "Service", path: []any{"spec", "ports", 0, "appProtocol"}, value: "http", says: "its port is http"},
		{kind: "Certificate", path: []any{"spec", "dnsNames"}, value: []any{"informer"}, says: "no certificate is for informer-internal.angelowl.svc"},
		{kind: "PodMonitor", path: []any{"spec", "podMetricsEndpoints", 0, "tlsConfig"}, value: nil, says: "Prometheus does not ask"},
	} {
		t.Run(fmt.Sprint("sees ", tt.set, tt.kind, tt.path), func(t *testing.T) {
			var sets []string
			if tt.set != "" {
				sets = append(sets, tt.set)
			}
			_, objects := render(t, "informer", "production", sets...)
			if tt.kind != "" {
				put(find(t, objects, tt.kind), tt.value, tt.path...)
			}
			if wrong := strings.Join(encrypted(objects), "\n"); !strings.Contains(wrong, tt.says) {
				t.Errorf("want %q, it says %q", tt.says, wrong)
			}
		})
	}
}

func TestPolicy(t *testing.T) {
	everywhere(t, func(t *testing.T, service, environment string) {
		for _, set := range [][]string{nil, optional} {
			_, objects := render(t, service, environment, set...)
			for _, wrong := range policy(objects) {
				t.Error(wrong)
			}
		}
	})
}

// put changes what stands at a path; nil takes it away.
func put(v, value any, path ...any) {
	last := path[len(path)-1]
	switch of := at(v, path[:len(path)-1]...).(type) {
	case object:
		of[last.(string)] = value
	case map[string]any:
		if value == nil {
			delete(of, last.(string))
		} else {
			of[last.(string)] = value
		}
	case []any:
		of[last.(int)] = value
	default:
		panic(fmt.Sprint("there is nothing at ", path))
	}
}

// TestPolicySees: each thing that the policy is about is found when it is wrong.
func TestPolicySees(t *testing.T) {
	needsTools(t)
	out, _ := render(t, "profiler", "production")
	pod := []any{"spec", "template", "spec"}
	container := append(slices.Clone(pod), "containers", 0)
	below := func(base []any, more ...any) []any { return append(slices.Clone(base), more...) }
	for _, tt := range []struct {
		kind  string
		path  []any
		value any
		says  string
	}{
		{"Deployment", below(pod, "securityContext", "runAsNonRoot"), nil, "its pod may run as root"},
		{"Deployment", below(pod, "securityContext", "runAsUser"), 0, "its user is not a number above 0"},
		{"Deployment", below(pod, "securityContext", "seccompProfile"), nil, "all system calls"},
		{"Deployment", below(pod, "automountServiceAccountToken"), nil, "token of Kubernetes' API"},
		{"Deployment", below(pod, "enableServiceLinks"), nil, "other services' addresses"},
		{"Deployment", below(pod, "hostNetwork"), true, "it has hostNetwork"},
		{"Deployment", below(pod, "initContainers"), []any{map[string]any{}}, "containers that nothing here looks at"},
		{"Deployment", below(pod, "topologySpreadConstraints"), nil, "not spread"},
		{"Deployment", below(pod, "volumes", 0), map[string]any{"hostPath": map[string]any{"path": "/"}}, "folder of its node"},
		{"Deployment", below(container, "securityContext", "readOnlyRootFilesystem"), false, "can be written to"},
		{"Deployment", below(container, "securityContext", "allowPrivilegeEscalation"), nil, "may get more rights"},
		{"Deployment", below(container, "securityContext", "privileged"), true, "it is privileged"},
		{"Deployment", below(container, "securityContext", "runAsNonRoot"), false, "it may run as root"},
		{"Deployment", below(container, "securityContext", "capabilities", "drop", 0), "NET_RAW", "it has capabilities"},
		{"Deployment", below(container, "securityContext", "capabilities", "add"), []any{"NET_ADMIN"}, "it has capabilities"},
		{"Deployment", below(container, "resources", "limits", "memory"), nil, "memory of limits is missing"},
		{"Deployment", below(container, "resources", "requests", "cpu"), nil, "cpu of requests is missing"},
		{"Deployment", below(container, "image"), "registry.bank.example:5000/profiler", "not one of a version"},
		{"Deployment", below(container, "image"), "registry.bank.example/profiler:latest", "not one of a version"},
		{"Deployment", below(container, "startupProbe"), nil, "startupProbe is missing"},
		{"Deployment", below(container, "readinessProbe"), nil, "readinessProbe is missing"},
		{"Deployment", below(container, "livenessProbe"), nil, "livenessProbe is missing"},
		{"Deployment", below(container, "livenessProbe", "httpGet", "path"), "/health", "alive and ready are the same"},
		{"Deployment", below(container, "resources", "limits", "memory"), "341Mi", "Go's limit of memory, 340 MiB, is not below"},
		{"Job", below(container, "resources"), nil, "cpu of limits is missing"},
		{"Job", below(container, "securityContext"), nil, "its root file system"},
		{"Job", below(pod, "restartPolicy"), "OnFailure", "restarted in place"},
		{"Job", []any{"spec", "template", "metadata", "labels", "app.kubernetes.io/component"}, "server", "a Service leads to its pods"},
		{"ConfigMap", []any{"kind"}, "Secret", "secrets are never rendered"},
		{"PodDisruptionBudget", []any{"metadata", "name"}, "other", "it has no PodDisruptionBudget"},
		{"PodDisruptionBudget", []any{"spec", "selector", "matchLabels", "app.kubernetes.io/name"}, "other", "not one PodDisruptionBudget"},
		{"ServiceAccount", []any{"metadata", "name"}, "other", "it has no ServiceAccount"},
		{"NetworkPolicy", []any{"spec", "podSelector", "matchLabels", "app.kubernetes.io/name"}, "other", "not one NetworkPolicy"},
		{"NetworkPolicy", []any{"spec", "policyTypes"}, []any{"Ingress"}, "not for both ways"},
		{"NetworkPolicy", []any{"spec", "ingress", 0, "from"}, nil, "a rule of ingress lets everybody"},
		{"NetworkPolicy", []any{"spec", "ingress", 0, "ports"}, nil, "on every port"},
		{"NetworkPolicy", []any{"spec", "ingress", 0, "from", 0}, map[string]any{"podSelector": map[string]any{}}, "for every pod"},
		{"NetworkPolicy", []any{"spec", "ingress", 0, "from", 0}, map[string]any{"ipBlock": map[string]any{"cidr": "0.0.0.0/0"}}, "the whole world"},
		{"NetworkPolicy", []any{"spec", "egress", 0, "to"}, nil, "a rule of egress lets everybody"},
	} {
		t.Run(fmt.Sprint(tt.kind, " ", tt.path, " ", tt.value), func(t *testing.T) {
			objects := decode(t, out)
			if wrong := policy(objects); len(wrong) != 0 {
				t.Fatal(wrong)
			}
			put(find(t, objects, tt.kind), tt.value, tt.path...)
			if wrong := strings.Join(policy(objects), "\n"); !strings.Contains(wrong, tt.says) {
				t.Errorf("want %q, it says %q", tt.says, wrong)
			}
		})
	}
}

// TestInternalPorts: what services ask one another is open to those who ask, by name, and to the lambdas' addresses.
func TestInternalPorts(t *testing.T) {
	needsTools(t)
	asks := map[string][]string{"profiler": {"campaignex", "informer", "rewarder"}, "informer": nil}
	for _, service := range names(t, "values") {
		_, objects := render(t, service, "production",
			`networkPolicy={"loadBalancers":{"cidrs":["10.1.0.0/16"]},"lambdas":{"cidrs":["10.2.0.0/16"]},"prometheus":{"namespaces":["monitoring"]}}`)
		if noProgram(service) {
			continue
		}
		var from []string
		internal := false
		for _, rule := range list(find(t, objects, "NetworkPolicy"), "spec", "ingress") {
			if text(rule, "ports", 0, "port") != "internal" || len(list(rule, "ports")) != 1 {
				continue
			}
			internal = true
			for _, peer := range list(rule, "from") {
				from = append(from, text(peer, "podSelector", "matchLabels", "app.kubernetes.io/name")+text(peer, "ipBlock", "cidr"))
			}
		}
		who, has := asks[service]
		if internal != has || has && !slices.Equal(from, append(slices.Clone(who), "10.2.0.0/16")) {
			t.Errorf("%s: who may come to its internal port: %q", service, from)
		}
		var leads []string
		for _, o := range objects {
			if o.kind() != "Service" {
				continue
			}
			if len(list(o, "spec", "ports")) != 1 {
				t.Errorf("%s: %s has %d ports", service, o.id(), len(list(o, "spec", "ports")))
			}
			leads = append(leads, o.name()+":"+text(o, "spec", "ports", 0, "targetPort"))
		}
		want := []string{service + ":public"}
		if has {
			want = append(want, service+"-internal:internal")
		}
		if slices.Sort(leads); !slices.Equal(leads, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: its Services lead to %q, want %q", service, leads, want)
		}
		_, objects = render(t, service, "production", `ingress={"enabled":true,"host":"a.example"}`, `gatewayRoute={"enabled":true,"gateway":"g","host":"a.example"}`)
		if backend := text(find(t, objects, "Ingress"), "spec", "rules", 0, "http", "paths", 0, "backend", "service", "name"); backend != service {
			t.Errorf("%s: its Ingress leads to %s", service, backend)
		}
		if port := number(find(t, objects, "HTTPRoute"), "spec", "rules", 0, "backendRefs", 0, "port"); port == 8081 || port == 0 {
			t.Errorf("%s: its HTTPRoute leads to %d", service, port)
		}
	}
}

// rolling is what is wrong with how a release is restarted.
func rolling(objects []object) (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	settings := map[string]any{}
	for _, o := range objects {
		if o.kind() == "ConfigMap" {
			maps.Copy(settings, at(o, "data").(map[string]any))
		}
	}
	seconds := func(setting string) int {
		s, _ := settings[setting].(string)
		d, _ := time.ParseDuration(s)
		return int(d.Seconds())
	}
	for _, o := range objects {
		spec := at(o, "spec", "template", "spec")
		container := at(spec, "containers", 0)
		grace := number(spec, "terminationGracePeriodSeconds")
		switch o.kind() {
		case "Deployment":
			// The next pod first, then the last one goes.
			if at(o, "spec", "strategy", "rollingUpdate", "maxUnavailable") != 0 {
				complain("%s: a restart takes a pod away before there is another", o.id())
			}
			delay := max(seconds("SHUTDOWN_DELAY"), number(container, "lifecycle", "preStop", "sleep", "seconds"))
			if delay < 10 {
				complain("%s: it closes %d s after it was told to end; load balancers have not left it out by then", o.id(), delay)
			}
			if sees := number(container, "readinessProbe", "periodSeconds") * number(container, "readinessProbe", "failureThreshold"); sees > delay {
				complain("%s: that it is not ready is seen after %d s, and it closes after %d s", o.id(), sees, delay)
			}
			if ends := delay + seconds("SHUTDOWN_TIMEOUT") + 5; grace < ends {
				complain("%s: it is killed after %d s and needs %d s", o.id(), grace, ends)
			}
		case "StatefulSet":
			var id any
			for _, e := range list(container, "env") {
				if text(e, "name") == "GROUP_INSTANCE_ID" {
					id = at(e, "valueFrom", "fieldRef", "fieldPath")
				}
			}
			if id != "metadata.name" {
				complain("%s: it is no static member by its pod's name", o.id())
			}
			// While it waits for load balancers it works. Then it ends, is scheduled, has its image, starts and joins.
			delay := number(container, "lifecycle", "preStop", "sleep", "seconds")
			if delay < 10 {
				complain("%s: it closes %d s after it was told to end; load balancers have not left it out by then", o.id(), delay)
			}
			if session := seconds("GROUP_SESSION_TIMEOUT"); session < grace-delay+60 {
				complain("%s: a restart may take %d s and a minute, and the group waits %d s", o.id(), grace-delay, session)
			}
			if drain := seconds("SHUTDOWN_TIMEOUT"); drain == 0 || grace < delay+drain+5 {
				complain("%s: it is killed after %d s, and needs %d s", o.id(), grace, delay+drain+5)
			}
			if text(container, "readinessProbe", "httpGet", "path") != "/readyz" {
				complain("%s: the next one restarts before it has joined the group", o.id())
			}
			if text(o, "spec", "updateStrategy", "type") != "RollingUpdate" {
				complain("%s: it is not restarted one after another", o.id())
			}
		}
	}
	return wrong
}

func TestRollingRestart(t *testing.T) {
	everywhere(t, func(t *testing.T, service, environment string) {
		_, objects := render(t, service, environment)
		for _, wrong := range rolling(objects) {
			t.Error(wrong)
		}
	})
	for _, tt := range []struct{ service, set, says string }{
		{"campaignex", `shutdown={"delay":1}`, "load balancers have not left it out"},
		{"campaignex", `probes={"period":30}`, "that it is not ready is seen after 60 s"},
		{"ui", `shutdown={"by":"none"}`, "it closes 0 s after"},
		{"rewarder", `settings={"GROUP_SESSION_TIMEOUT":"30s"}`, "the group waits 30 s"},
		{"rewarder", `shutdown={"margin":60}`, "the group waits 90 s"},
		{"rewarder", `shutdown={"by":"none"}`, "it closes 0 s after"},
		{"rewarder", `probes={"ready":"/health"}`, "before it has joined the group"},
		{"rewarder", `uses=["etcd"]`, "no static member"},
	} {
		t.Run("sees "+tt.service+" "+tt.set, func(t *testing.T) {
			_, objects := render(t, tt.service, "production", tt.set)
			if wrong := strings.Join(rolling(objects), "\n"); !strings.Contains(wrong, tt.says) {
				t.Errorf("want %q, it says %q", tt.says, wrong)
			}
		})
	}
}

// TestScaling: a rewarder too many has no partition; what is scaled has no number of its own.
func TestScaling(t *testing.T) {
	needsTools(t)
	for _, tt := range []struct {
		sets     []string
		min, max int
	}{
		{nil, 3, 24},
		{[]string{`kafka.partitions=12`}, 3, 12},
		{[]string{`kafka.partitions=2`}, 2, 2},
		{[]string{`keda.max=100`}, 3, 48},
	} {
		_, objects := render(t, "rewarder", "production", tt.sets...)
		o := find(t, objects, "ScaledObject")
		if low, high := number(o, "spec", "minReplicaCount"), number(o, "spec", "maxReplicaCount"); low != tt.min || high != tt.max {
			t.Errorf("%q: %d to %d rewarders, want %d to %d", tt.sets, low, high, tt.min, tt.max)
		}
		trigger := at(o, "spec", "triggers", 0, "metadata")
		settings := at(find(t, objects, "ConfigMap"), "data")
		for of, setting := range map[string]string{"bootstrapServers": "BROKER_HOST", "consumerGroup": "CONSUMER_GROUP", "topic": "TOPIC"} {
			if text(trigger, of) != text(settings, setting) {
				t.Errorf("KEDA's %s is %q, the rewarder's is %q", of, text(trigger, of), text(settings, setting))
			}
		}
	}
	everywhere(t, func(t *testing.T, service, environment string) {
		_, objects := render(t, service, environment)
		scaled := map[string]bool{}
		for _, o := range objects {
			if ref := at(o, "spec", "scaleTargetRef"); ref != nil {
				scaled[text(ref, "kind")+" "+text(ref, "name")] = true
			}
		}
		for _, o := range objects {
			if o.kind() == "Deployment" || o.kind() == "StatefulSet" {
				if has := at(o, "spec", "replicas") != nil; has == scaled[o.id()] {
					t.Errorf("%s: scaled %t, and a number of its own %t: an upgrade would take it back", o.id(), scaled[o.id()], has)
				}
			}
		}
	})
}

// TestServicesFindOneAnother: addresses that settings name are Services of the chart, and each way in has a way out.
func TestServicesFindOneAnother(t *testing.T) {
	needsTools(t)
	ports := map[string]int{}
	settings := map[string]map[string]any{}
	for _, service := range names(t, "values") {
		_, objects := render(t, service, "production")
		for _, o := range objects {
			if o.kind() == "Service" {
				ports[o.name()] = number(o, "spec", "ports", 0, "port")
			}
			if o.kind() == "ConfigMap" && o.name() == service {
				settings[service] = at(o, "data").(map[string]any)
			}
		}
	}
	asked := 0
	for service, all := range settings {
		for _, name := range []string{"JWKS_URL", "PROFILER_ENDPOINT", "PROFILER_INTERNAL_ENDPOINT"} {
			s, ok := all[name].(string)
			if !ok {
				continue
			}
			asked++
			u, err := url.Parse(s)
			if err != nil || ports[u.Hostname()] == 0 || strconv.Itoa(ports[u.Hostname()]) != u.Port() {
				t.Errorf("%s: %s is %s (%v), and there are %v", service, name, s, err, ports)
			}
		}
	}
	if asked != 9 {
		t.Errorf("%d addresses of services are set, want 9", asked)
	}
}
