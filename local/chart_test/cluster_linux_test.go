package chart_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/local/etcd"
)

// tokens are by which the cluster's users are known; group says what they may.
var tokens = []struct{ user, group string }{
	{"operator", "system:masters"},
	{"delivery", "angelowl:delivery"},
	{"system:kube-controller-manager", ""},
	{"system:kube-scheduler", ""},
	{"kwok", "system:masters"},
}

// cluster is a Kubernetes whose nodes are kwok's.
type cluster struct {
	t       *testing.T
	dir     string
	address string
	http    *http.Client
	running sync.WaitGroup
	kinds   map[string]string // by apiVersion and kind: where the API has them, the namespace left out
	pods    watched
}

// patience is how long one thing may take on a machine that is busy.
const patience = 3 * time.Minute

// eventually asks again until it is well.
func eventually(t testing.TB, what string, is func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := is()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	bin := tool(t, buildCluster)
	c := &cluster{t: t, dir: t.TempDir()}
	store, err := etcd.Start(t.Context(), filepath.Join(c.dir, "etcd"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	t.Cleanup(func() { // by now the context of the test has ended, and with it all that runs
		c.running.Wait()
		if c.http != nil {
			c.http.CloseIdleConnections()
		}
		logs, _ := filepath.Glob(filepath.Join(c.dir, "*.log"))
		for _, log := range logs {
			if b, err := os.ReadFile(log); err == nil && t.Failed() {
				t.Logf("%s ends with:\n%s", filepath.Base(log), b[max(0, len(b)-1500):])
			}
		}
	})

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c.write("accounts.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	var users strings.Builder
	for _, u := range tokens {
		fmt.Fprintf(&users, "%s-token,%s,%s,%q\n", u.user, u.user, u.user, u.group)
	}
	c.write("tokens.csv", users.String())

	ready := func() error {
		_, err := c.do(http.MethodGet, "/readyz", nil)
		return err
	}
	for tries := 0; ; tries++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c.address = l.Addr().String()
		_, port, _ := net.SplitHostPort(c.address)
		_ = l.Close()
		ended := c.start(bin, "kube-apiserver", "--etcd-servers=http://"+store.Endpoint, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
			"--secure-port="+port, "--cert-dir="+c.dir, "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16",
			"--authorization-mode=Node,RBAC", "--anonymous-auth=false", "--allow-privileged=true", "--token-auth-file="+c.path("tokens.csv"),
			"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+c.path("accounts.key"),
			"--service-account-signing-key-file="+c.path("accounts.key"))
		taken := false
		eventually(t, "the API server", func() error {
			select {
			case err := <-ended:
				b, _ := os.ReadFile(c.path("kube-apiserver.log"))
				if tries > 5 || !bytes.Contains(b, []byte("address already in use")) {
					t.Fatalf("the API server has ended: %v", err)
				}
				taken = true // by somebody else, since it was free
				return nil
			default:
			}
			if c.http == nil {
				if b, err := os.ReadFile(c.path("apiserver.crt")); err != nil {
					return err
				} else if authority := x509.NewCertPool(); !authority.AppendCertsFromPEM(b) {
					return errors.New("it has no certificate yet")
				} else {
					c.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority}}}
				}
			}
			return ready()
		})
		if !taken {
			break
		}
	}
	for _, u := range tokens {
		c.write(u.user+".kubeconfig", `{"apiVersion": "v1", "kind": "Config", "current-context": "c",
"clusters": [{"name": "c", "cluster": {"server": "https://`+c.address+`", "certificate-authority": "`+c.path("apiserver.crt")+`"}}],
"users": [{"name": "u", "user": {"token": "`+u.user+`-token"}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}`)
	}
	c.start(bin, "kube-controller-manager", "--kubeconfig="+c.path("system:kube-controller-manager.kubeconfig"), "--secure-port=0", "--leader-elect=false",
		"--use-service-account-credentials", "--service-account-private-key-file="+c.path("accounts.key"), "--root-ca-file="+c.path("apiserver.crt"),
		"--horizontal-pod-autoscaler-sync-period=2s", "--flex-volume-plugin-dir="+c.path("volumes"))
	c.start(bin, "kube-scheduler", "--kubeconfig="+c.path("system:kube-scheduler.kubeconfig"), "--secure-port=0", "--leader-elect=false")
	stages, err := os.ReadFile("testdata/cluster/kwok.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c.write("kwok.yaml", string(stages))
	c.start(bin, "kwok", "--kubeconfig="+c.path("kwok.kubeconfig"), "--config="+c.path("kwok.yaml"), "--manage-all-nodes", "--node-lease-duration-seconds=40")

	// What docs/deploy.md counts with for a million transactions a day: a node m7i.large in each zone.
	c.kinds = map[string]string{"v1 Node": "/api/v1/nodes"}
	for _, zone := range []string{"a", "b", "c"} {
		room := map[string]any{"cpu": "1930m", "memory": "6800Mi", "pods": "29", "ephemeral-storage": "18Gi"}
		c.create(object{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": "node-" + zone, "labels": map[string]any{
			"topology.kubernetes.io/zone": "zone-" + zone, "kubernetes.io/hostname": "node-" + zone, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
		}}, "status": map[string]any{"capacity": room, "allocatable": room}})
	}
	c.kinds["apiextensions.k8s.io/v1 CustomResourceDefinition"] = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	files, _ := filepath.Glob(filepath.Join(schemas(t), "*.yaml"))
	for _, file := range append(files, "testdata/cluster/crds.yaml") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, crd := range decode(t, string(b)) {
			c.create(crd)
			eventually(t, crd.name(), func() error {
				for _, condition := range list(c.get(crd), "status", "conditions") {
					if text(condition, "type") == "Established" && text(condition, "status") == "True" {
						return nil
					}
				}
				return errors.New("it is not established")
			})
		}
	}
	eventually(t, "what the API has", c.discover)
	return c
}

func (c *cluster) path(name string) string { return filepath.Join(c.dir, name) }

func (c *cluster) write(name, content string) {
	c.t.Helper()
	if err := os.WriteFile(c.path(name), []byte(content), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// start runs a program until the test ends, and not even then if this process is killed.
func (c *cluster) start(bin, name string, args ...string) (ended <-chan error) {
	c.t.Helper()
	log, err := os.Create(c.path(name + ".log"))
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.CommandContext(c.t.Context(), filepath.Join(bin, name), args...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), "HOME="+c.dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	started, end := make(chan error), make(chan error, 1)
	c.running.Go(func() {
		runtime.LockOSThread() // the thread for whose death Pdeathsig waits
		defer runtime.UnlockOSThread()
		defer log.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			end <- cmd.Wait()
		}
	})
	if err := <-started; err != nil {
		c.t.Fatal(err)
	}
	return end
}

// refused is the API server's answer to what it does not do.
type refused struct {
	code int
	says string
}

func (r refused) Error() string { return fmt.Sprintf("%d: %s", r.code, r.says) }

func isCode(err error, code int) bool {
	var r refused
	return errors.As(err, &r) && r.code == code
}

// do asks as the operator. A warning is a failure.
func (c *cluster) do(method, path string, body any) (object, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "https://"+c.address+path, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer operator-token")
	req.Header.Set("Content-Type", map[string]string{http.MethodPatch: "application/merge-patch+json"}[method])
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	for _, w := range resp.Header.Values("Warning") {
		c.t.Errorf("%s %s: the API server warns: %s", method, path, w)
	}
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var got map[string]any
	if resp.StatusCode == http.StatusTooManyRequests { // a kind that is new, for one
		select {
		case <-time.After(200 * time.Millisecond):
			return c.do(method, path, body)
		case <-ctx.Done():
		}
	}
	if resp.StatusCode >= 300 {
		return nil, refused{resp.StatusCode, string(said)}
	}
	if string(said) == "ok" {
		return nil, nil
	}
	if err := json.Unmarshal(said, &got); err != nil {
		return nil, fmt.Errorf("%s: %w", said, err)
	}
	return got, nil
}

// where is the path of all of a kind.
func (c *cluster) where(o object) string {
	c.t.Helper()
	path, there := c.kinds[text(o, "apiVersion")+" "+o.kind()]
	if !there {
		c.t.Fatalf("the API has no %s of %s", o.kind(), text(o, "apiVersion"))
	}
	return strings.Replace(path, "NAMESPACE", namespace, 1)
}

func (c *cluster) create(o object) object {
	c.t.Helper()
	made, err := c.do(http.MethodPost, c.where(o)+"?fieldValidation=Strict", o)
	if err != nil {
		c.t.Fatalf("%s: %v", o.id(), err)
	}
	return made
}

// get reads an object again; nil: there is none.
func (c *cluster) get(o object) object {
	c.t.Helper()
	got, err := c.do(http.MethodGet, c.where(o)+"/"+o.name(), nil)
	if err != nil && !isCode(err, http.StatusNotFound) {
		c.t.Fatalf("%s: %v", o.id(), err)
	}
	return got
}

// all are the objects of a kind in the namespace.
func (c *cluster) all(apiVersion, kind, selector string) (objects []object) {
	c.t.Helper()
	got, err := c.do(http.MethodGet, c.where(object{"apiVersion": apiVersion, "kind": kind})+"?labelSelector="+selector, nil)
	if err != nil {
		c.t.Fatalf("%s: %v", kind, err)
	}
	for _, o := range list(got, "items") {
		objects = append(objects, o.(map[string]any))
	}
	return objects
}

// discover reads which kinds there are.
func (c *cluster) discover() error {
	groups, err := c.do(http.MethodGet, "/apis", nil)
	if err != nil {
		return err
	}
	bases := map[string]string{"v1": "/api/v1"}
	for _, g := range list(groups, "groups") {
		v := text(g, "preferredVersion", "groupVersion")
		bases[v] = "/apis/" + v
	}
	for version, base := range bases {
		resources, err := c.do(http.MethodGet, base, nil)
		if err != nil {
			return err
		}
		for _, r := range list(resources, "resources") {
			if !slices.Contains(list(r, "verbs"), any("list")) || strings.Contains(text(r, "name"), "/") {
				continue
			}
			path := base + "/"
			if at(r, "namespaced") == true {
				path += "namespaces/NAMESPACE/"
			}
			c.kinds[version+" "+text(r, "kind")] = path + text(r, "name")
		}
	}
	return nil
}

// left is what is in the namespace. Events stay, and Endpoints are what EndpointSlices are.
func (c *cluster) left() (ids []string) {
	for kind, path := range c.kinds {
		version, kind, _ := strings.Cut(kind, " ")
		if kind == "Event" || kind == "Endpoints" || !strings.Contains(path, "NAMESPACE") {
			continue
		}
		for _, o := range c.all(version, kind, "") {
			ids = append(ids, kind+" "+o.name())
		}
	}
	slices.Sort(ids)
	return ids
}

// helm runs Helm as a user, and fails where the API server warns.
func (c *cluster) helm(t *testing.T, user string, args ...string) (string, error) {
	t.Helper()
	said, err := run(t, helm(t), append(args, "--namespace", namespace, "--kubeconfig", c.path(user+".kubeconfig"))...)
	if warned(said) {
		t.Errorf("helm %s: the API server warns:\n%s", strings.Join(args[:2], " "), said)
	}
	return said, err
}

// warned says whether the client of Kubernetes in Helm tells of a warning.
func warned(said string) bool { return strings.Contains(said, "warnings.go:") }

// watched is what pods of each service do.
type watched struct {
	sync.Mutex
	ready map[string]map[string]bool // by service and pod
	least map[string]int             // that were ready at a time, since mark
}

func (w *watched) mark(service string) {
	w.Lock()
	defer w.Unlock()
	w.least[service] = len(w.ready[service])
}

// sinceMark is how many pods of a service are ready, and how many were at the worst time.
func (w *watched) sinceMark(service string) (ready, least int) {
	w.Lock()
	defer w.Unlock()
	return len(w.ready[service]), w.least[service]
}

// watch follows the pods of the namespace and sees to it that a kubelet could start them.
func (c *cluster) watch() {
	c.pods.ready, c.pods.least = map[string]map[string]bool{}, map[string]int{}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "https://"+c.address+"/api/v1/namespaces/"+namespace+"/pods?watch=1&timeoutSeconds=7200", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer operator-token")
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	c.running.Go(func() {
		defer resp.Body.Close()
		for events := json.NewDecoder(resp.Body); ; {
			var e struct {
				Type   string
				Object map[string]any
			}
			if err := events.Decode(&e); err != nil {
				if c.t.Context().Err() == nil {
					c.t.Errorf("watching pods: %v", err)
				}
				return
			}
			pod := object(e.Object)
			if e.Type == "ADDED" {
				for _, what := range c.missing(pod) {
					c.t.Errorf("the kubelet would not start %s: there is no %s", pod.name(), what)
				}
			}
			c.pods.see(pod, e.Type == "DELETED")
		}
	})
}

func (w *watched) see(pod object, gone bool) {
	if text(pod, "metadata", "labels", "app.kubernetes.io/component") != "server" {
		return
	}
	w.Lock()
	defer w.Unlock()
	service, uid := text(pod, "metadata", "labels", "app.kubernetes.io/name"), text(pod, "metadata", "uid")
	if w.ready[service] == nil {
		w.ready[service] = map[string]bool{}
	}
	if gone || at(pod, "metadata", "deletionTimestamp") != nil || !slices.ContainsFunc(list(pod, "status", "conditions"), func(c any) bool {
		return text(c, "type") == "Ready" && text(c, "status") == "True"
	}) {
		delete(w.ready[service], uid)
	} else {
		w.ready[service][uid] = true
	}
	w.least[service] = min(w.least[service], len(w.ready[service]))
}

// missing are the objects and keys that a pod needs to start and that are not there.
func (c *cluster) missing(pod object) (out []string) {
	needs := func(kind, name string, keys ...string) {
		path := strings.Replace(c.kinds["v1 "+kind], "NAMESPACE", namespace, 1) + "/" + name
		o, err := c.do(http.MethodGet, path, nil)
		if err != nil {
			out = append(out, fmt.Sprintf("%s %s: %v", kind, name, err))
		}
		data, _ := at(o, "data").(map[string]any)
		for _, key := range keys {
			if _, there := data[key]; !there && err == nil {
				out = append(out, key+" in "+kind+" "+name)
			}
		}
	}
	for _, container := range list(pod, "spec", "containers") {
		for _, from := range list(container, "envFrom") {
			needs("ConfigMap", text(from, "configMapRef", "name"))
		}
		for _, env := range list(container, "env") {
			if ref := at(env, "valueFrom", "secretKeyRef"); ref != nil && at(ref, "optional") != true {
				needs("Secret", text(ref, "name"), text(ref, "key"))
			}
		}
	}
	for _, v := range list(pod, "spec", "volumes") {
		if name := text(v, "configMap", "name"); name != "" {
			needs("ConfigMap", name, "ca.crt")
		}
		// A certificate's is made by cert-manager, and the kubelet waits for it. Helm makes the certificate at the same time.
		if name := text(v, "secret", "secretName"); name != "" && !c.promised(name) {
			needs("Secret", name)
		}
	}
	return slices.Compact(out)
}

// promised says whether there is a certificate, or is in a moment, of which cert-manager makes the Secret of a name.
func (c *cluster) promised(secret string) bool {
	for deadline := time.Now().Add(10 * time.Second); ; {
		got, err := c.do(http.MethodGet, c.where(object{"apiVersion": "cert-manager.io/v1", "kind": "Certificate"}), nil)
		if err == nil && slices.ContainsFunc(list(got, "items"), func(o any) bool { return text(o, "spec", "secretName") == secret }) {
			return true
		}
		select {
		case <-c.t.Context().Done():
			return true // it is not looked at any more
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// whole is a whole number of an answer's.
func whole(v any, path ...any) int {
	n, _ := at(v, path...).(float64)
	return int(n)
}

// merged is labels as a selector in a query.
func merged(labels any) string {
	var out []string
	m, _ := labels.(map[string]any)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"%3D"+m[k].(string))
	}
	return strings.Join(out, ",")
}
