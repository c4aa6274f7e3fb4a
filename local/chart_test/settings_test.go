//go:build unix

package chart_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/local/engines"
	"github.com/angelowl-loyalties/app/loyalty/config/tlstest"
)

// setting is what a program knows of one variable.
type setting struct{ needed, secret bool }

var row = regexp.MustCompile("^\\| `([A-Z0-9_]+)` \\| (.*?) \\| (.*) \\|$")

// known are the settings of a program: docs/configuration.md's tables, which each program's own test holds to what it
// reads.
func known(t testing.TB, program string) map[string]setting {
	t.Helper()
	if program == "ui" {
		return portal(t)
	}
	b, err := os.ReadFile(filepath.Join(root, "docs/configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, begins := strings.Cut(string(b), "<!-- begin "+program+" -->\n")
	section, _, ends := strings.Cut(section, "<!-- end "+program+" -->\n")
	if !begins || !ends {
		t.Fatalf("docs/configuration.md has no section of %s", program)
	}
	out := map[string]setting{}
	for line := range strings.Lines(section) {
		if m := row.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			out[m[1]] = setting{needed: m[2] == "**needed**", secret: strings.Contains(m[3], "; a secret, "+m[1]+"_FILE may")}
		}
	}
	if len(out) < 10 {
		t.Fatalf("docs/configuration.md has %d settings of %s", len(out), program)
	}
	return out
}

// portal are the portal's settings, each of which its sources must name.
func portal(t testing.TB) map[string]setting {
	t.Helper()
	all := map[string]setting{
		"PORT": {}, "HOSTNAME": {}, "NODE_OPTIONS": {}, // Next's and Node's own
		"API_ORIGIN": {needed: true}, "PORTAL_ORIGIN": {needed: true}, "PORTAL_SESSION_SECRET": {needed: true, secret: true},
		"TLS_CERT_FILE": {}, "TLS_KEY_FILE": {},
		"UPLOAD_ORIGIN": {}, "BANK_TIMEZONE": {}, "HOME_CURRENCY": {}, "PROXIES": {}, "CLIENT_ADDRESS_KEY": {secret: true},
	}
	var sources bytes.Buffer
	for _, pattern := range []string{"ui/*.ts", "ui/*.mjs", "ui/lib/*.ts"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			sources.Write(b)
		}
	}
	if sources.Len() == 0 {
		t.Log("there is no portal in this tree: its settings are those that are listed here")
		return all
	}
	for name := range all {
		if name != "PORT" && name != "HOSTNAME" && name != "NODE_OPTIONS" && !strings.Contains(sources.String(), "env."+name) {
			t.Errorf("the portal does not read %s", name)
		}
	}
	return all
}

// environment is what a container's program finds in its environment: name to value, or to the Secret's "name/key".
func environment(objects []object, container any) (plain, secret map[string]string) {
	plain, secret = map[string]string{}, map[string]string{}
	for _, from := range list(container, "envFrom") {
		for _, o := range objects {
			if o.kind() == "ConfigMap" && o.name() == text(from, "configMapRef", "name") {
				for name, value := range at(o, "data").(map[string]any) {
					plain[name] = fmt.Sprint(value)
				}
			}
		}
	}
	for _, e := range list(container, "env") {
		name := text(e, "name")
		switch {
		case at(e, "valueFrom", "secretKeyRef") != nil:
			secret[name] = text(e, "valueFrom", "secretKeyRef", "name") + "/" + text(e, "valueFrom", "secretKeyRef", "key")
		case at(e, "valueFrom", "fieldRef") != nil:
			plain[name] = "pod-0"
		default:
			plain[name] = text(e, "value")
		}
	}
	return plain, secret
}

// settingsWrong is what is wrong with the environment of a release's containers.
func settingsWrong(known map[string]setting, objects []object) (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for id, spec := range pods(objects) {
		plain, secret := environment(objects, at(spec, "containers", 0))
		for name := range maps.Keys(plain) {
			switch s, ok := known[name]; {
			case name == "GOMEMLIMIT": // Go's own
			case !ok:
				complain("%s: it sets %s, which is no setting of the program", id, name)
			case s.secret && !(name == "DB_CONN_STRING" && !strings.Contains(plain[name], "@") && !strings.Contains(plain[name], "password")):
				complain("%s: %s is a secret and stands there", id, name)
			}
			if _, both := secret[name]; both {
				complain("%s: %s is set twice", id, name)
			}
		}
		for name := range secret {
			if s, ok := known[name]; !ok || !s.secret {
				complain("%s: %s comes from a Secret and is no secret of the program", id, name)
			}
		}
		for name, s := range known {
			_, isPlain := plain[name]
			_, isSecret := secret[name]
			// A migration needs its database's alone.
			if s.needed && !isPlain && !isSecret && (!strings.HasPrefix(id, "Job ") || strings.HasPrefix(name, "DB_")) {
				complain("%s: %s is needed and is not set", id, name)
			}
		}
		for _, v := range list(spec, "volumes") {
			if source := text(v, "secret", "secretName"); source != "" && !strings.Contains(text(v, "name"), "-") {
				complain("%s: the volume %s is of no certificate", id, text(v, "name"))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

func TestSettings(t *testing.T) {
	everywhere(t, func(t *testing.T, service, environment string) {
		if noProgram(service) {
			return
		}
		for _, set := range [][]string{nil, optional} {
			_, objects := render(t, service, environment, set...)
			for _, wrong := range settingsWrong(known(t, service), objects) {
				t.Error(wrong)
			}
		}
	})
	for _, tt := range []struct {
		service, set string
		kind         string
		path         []any
		value        any
		says         string
	}{
		{service: "campaignex", set: `settings={"HOME_CURENCY":"SGD"}`, says: "HOME_CURENCY, which is no setting"},
		{service: "campaignex", set: `settings={"TOPIC":"transaction"}`, says: "TOPIC, which is no setting"},
		{service: "campaignex", set: `uses=["currency","postgres","etcd","tokens"]`, says: "PROFILER_ENDPOINT is needed and is not set"},
		{service: "campaignex", kind: "Deployment", path: []any{"spec", "template", "spec", "containers", 0, "env"}, value: []any{}, says: "CLIENT_SECRET is needed and is not set"},
		{service: "campaignex", set: `secrets={"TOPIC":{}}`, says: "TOPIC comes from a Secret"},
		{service: "campaignex", set: `settings={"DB_PASS_OWN":"x"}`, says: "DB_PASS_OWN, which is no setting"},
		{service: "campaignex", kind: "ConfigMap", path: []any{"data", "DB_PASS"}, value: "hush", says: "DB_PASS is a secret and stands there"},
		{service: "campaignex", kind: "ConfigMap", path: []any{"data", "DB_CONN_STRING"}, value: "postgres://u:p@h/d", says: "DB_CONN_STRING is a secret and stands there"},
		{service: "campaignex", kind: "Job", path: []any{"spec", "template", "spec", "containers", 0, "env"}, value: []any{}, says: "Job campaignex-migrate: DB_CONN_STRING is needed"},
		{service: "profiler", kind: "Deployment", path: []any{"spec", "template", "spec", "containers", 0, "env"}, value: []any{}, says: "DATA_KEY is needed and is not set"},
		{service: "rewarder", set: `uses=["kafka","etcd"]`, says: "DB_KEYSPACE is needed and is not set"},
		{service: "ui", kind: "Deployment", path: []any{"spec", "template", "spec", "containers", 0, "env"}, value: []any{}, says: "PORTAL_SESSION_SECRET is needed"},
	} {
		t.Run("sees "+tt.service+" "+tt.set+fmt.Sprint(tt.path), func(t *testing.T) {
			var sets []string
			if tt.set != "" {
				sets = append(sets, tt.set)
			}
			_, objects := render(t, tt.service, "production", sets...)
			if tt.kind != "" {
				put(find(t, objects, tt.kind), tt.value, tt.path...)
			}
			if wrong := strings.Join(settingsWrong(known(t, tt.service), objects), "\n"); !strings.Contains(wrong, tt.says) {
				t.Errorf("want %q, it says %q", tt.says, wrong)
			}
		})
	}
}

// wanted adds what a release's objects want of Secrets, as name/key.
func wanted(t testing.TB, want map[string]bool, objects []object) {
	t.Helper()
	for _, spec := range pods(objects) {
		_, refs := environment(objects, at(spec, "containers", 0))
		for _, ref := range refs {
			want[ref] = true
		}
	}
	for _, o := range objects {
		for _, ref := range list(o, "spec", "secretTargetRef") {
			want[text(ref, "name")+"/"+text(ref, "key")] = true
		}
	}
}

// TestEverySecretHasAnOrigin: what the releases want of Secrets is what the release "secrets" has made, and no more.
func TestEverySecretHasAnOrigin(t *testing.T) {
	needsTools(t)
	for _, environment := range names(t, "environments") {
		want := map[string]bool{}
		for _, service := range names(t, "values") {
			_, objects := render(t, service, environment)
			wanted(t, want, objects)
		}
		made := map[string]bool{}
		origins := map[string]string{}
		_, objects := render(t, "secrets", environment)
		for _, o := range objects {
			for _, d := range list(o, "spec", "data") {
				id := text(o, "spec", "target", "name") + "/" + text(d, "secretKey")
				made[id] = true
				origin := text(d, "remoteRef", "key") + " " + text(d, "remoteRef", "property")
				// What two share by design, both have; anything else is a slip.
				if other, twice := origins[origin]; twice && text(d, "secretKey") != "CLIENT_ADDRESS_KEY" {
					t.Errorf("%s: %s and %s are one secret, %s", environment, other, id, origin)
				}
				origins[origin] = id
				if !strings.Contains(origin, "angelowl-"+environment) {
					t.Errorf("%s: %s comes from %s", environment, id, origin)
				}
			}
		}
		if len(want) < 10 || !maps.Equal(want, made) {
			t.Errorf("%s: wanted are\n%q\nand made\n%q", environment, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(made)))
		}
	}
}

// TestSafeByDefault: what a bank must choose to leave off is on.
func TestSafeByDefault(t *testing.T) {
	everywhere(t, func(t *testing.T, service, environment string) {
		if noProgram(service) {
			return
		}
		_, objects := render(t, service, environment)
		data := at(find(t, objects, "ConfigMap"), "data").(map[string]any)
		want := map[string]any{}
		switch service {
		case "profiler":
			want = map[string]any{"REQUIRE_MFA": "true"}
		case "rewarder":
			want = map[string]any{"BROKER_TLS": "true", "BROKER_SASL": "SCRAM-SHA-512", "DB_SSL": "true"}
		case "informer":
			want = map[string]any{"DB_SSL": "true"}
		}
		for name, value := range want {
			if data[name] != value {
				t.Errorf("%s is %v", name, data[name])
			}
		}
		if dsn, ok := data["DB_CONN_STRING"].(string); ok && strings.HasPrefix(dsn, "postgres:") && !strings.Contains(dsn, "sslmode=verify-full") {
			t.Errorf("the database is not verified: %s", dsn)
		}
		if etcd, ok := data["ETCD_ENDPOINTS"].(string); ok && strings.Contains(etcd, "http:") {
			t.Errorf("etcd is not encrypted: %s", etcd)
		}
	})
}

// TestPrograms runs each program with the environment that the chart gives it: it knows better than a table what
// goes together. It is well when it begins to look for its engines.
func TestPrograms(t *testing.T) {
	needsTools(t)
	if testing.Short() {
		t.Skip("SKIPPED: it builds the services, and -short was asked for")
	}
	ca := certificate(t)
	secrets := map[string]string{
		"DATA_KEY":        base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"SERVICE_SECRETS": "campaignex=" + strings.Repeat("s", 32) + ",informer=" + strings.Repeat("t", 32),
	}
	for _, service := range []string{"campaignex", "profiler", "informer", "rewarder"} {
		t.Run(service, func(t *testing.T) {
			bin := filepath.Join(t.TempDir(), service)
			if said, err := run(t, "go", "build", "-o", bin, "./"+service+"/cmd/"+service); err != nil {
				t.Fatal(err, said)
			}
			// starts returns the log of a program, and whether it took its settings.
			starts := func(t *testing.T, objects []object, container any, args ...string) (string, bool) {
				plain, refs := environment(objects, container)
				var env []string
				for name, value := range plain {
					if name == "PORT" || name == "INTERNAL_PORT" {
						value = freePort(t)
					}
					if file := filepath.Base(value); strings.HasPrefix(value, "/etc/certificates/") {
						value = filepath.Join(ca, file)
					}
					if before, _, ok := strings.Cut(value, "/etc/certificates/"); ok {
						value = before + filepath.Join(ca, "ca.crt")
					}
					env = append(env, name+"="+value)
				}
				for name := range refs {
					value := secrets[name]
					if value == "" {
						value = strings.Repeat("x", 40)
					}
					env = append(env, name+"="+value)
				}
				return launch(t, bin, env, args...)
			}
			for _, environment := range names(t, "environments") {
				for name, set := range map[string][]string{"": nil, ", everything optional": optional} {
					t.Run(environment+name, func(t *testing.T) {
						_, objects := render(t, service, environment, set...)
						for id, spec := range pods(objects) {
							container := at(spec, "containers", 0)
							var args []string
							for _, a := range list(container, "args") {
								args = append(args, a.(string))
							}
							if said, ok := starts(t, objects, container, args...); !ok {
								t.Errorf("%s does not take its settings:\n%s", id, said)
							}
						}
					})
				}
			}
			t.Run("sees a wrong one", func(t *testing.T) {
				_, objects := render(t, service, "production", `bank.timezone="Asia/Atlantis"`)
				workload := slices.IndexFunc(objects, func(o object) bool { return o.kind() == "Deployment" || o.kind() == "StatefulSet" })
				said, ok := starts(t, objects, at(objects[workload], "spec", "template", "spec", "containers", 0))
				if ok || !strings.Contains(said, "Asia/Atlantis") {
					t.Errorf("it takes another time zone: %s", said)
				}
			})
		})
	}
}

// launch runs a program until it has taken its settings (it says "starting") or has ended.
func launch(t *testing.T, bin string, env []string, args ...string) (said string, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Env = env
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d := json.NewDecoder(stderr)
	for !ok {
		var line map[string]any
		if d.Decode(&line) != nil {
			break
		}
		fmt.Fprintln(&log, line)
		ok = line["msg"] == "starting"
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return log.String(), ok
}

func freePort(t *testing.T) string {
	t.Helper()
	free, err := engines.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(free[0])
}

// certificate returns a folder with ca.crt, tls.crt and tls.key.
func certificate(t *testing.T) (dir string) {
	t.Helper()
	authority := tlstest.New(t)
	cert, key := authority.Issue("program", "localhost")
	dir = t.TempDir()
	for name, file := range map[string]string{"ca.crt": authority.CA(), "tls.crt": cert, "tls.key": key} {
		if err := os.Link(file, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
