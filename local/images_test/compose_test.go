//go:build unix

package images_test

import (
	"context"
	"debug/elf"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/angelowl-loyalties/app/local/gateway"
)

// project is what `docker compose config` makes of docker-compose.yml: it is that command's own library, which
// refuses what the schema does not know, services that are not there and circles among them.
func project(t testing.TB) *types.Project {
	t.Helper()
	o, err := cli.NewProjectOptions([]string{root + "/docker-compose.yml"}, cli.WithProfiles([]string{"*"}), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatalf("docker-compose.yml: %v", err)
	}
	if p, err = p.WithServicesEnvironmentResolved(true); err != nil {
		t.Fatalf("docker-compose.yml: %v", err)
	}
	return p
}

// engines are services that keep data, of images that others made.
var foreign = []string{"cassandra", "etcd", "grafana", "kafka", "kafka-ui", "postgres", "prometheus"}

func TestCompose(t *testing.T) {
	p := project(t)
	// What the gateway's file leads to has an address.
	file, err := gateway.Built()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range file.Operations {
		if o.Service != "" && !strings.Contains(*p.Services["cloud"].Environment["SERVICES"], o.Service+"=") {
			t.Errorf("SERVICES of cloud does not say where %s is", o.Service)
		}
	}
	pin := regexp.MustCompile(`:v?\d+\.\d+(\.\d+)?(-[a-z]+)?$`)
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		s := p.Services[name]
		t.Run(name, func(t *testing.T) {
			if slices.Contains(foreign, name) {
				if !pin.MatchString(s.Image) || s.Build != nil {
					t.Errorf("its image %s is not pinned to a version", s.Image)
				}
			} else if s.Build == nil || s.Image != "angelowl/"+strings.Split(s.Image, "/")[1] {
				t.Errorf("its image %s is not built here", s.Image)
			}
			for _, port := range s.Ports {
				if ip := net.ParseIP(port.HostIP); ip == nil || !ip.IsLoopback() {
					t.Errorf("port %s can be reached from other machines", port.Published)
				}
			}
			if s.Privileged || len(s.CapAdd) > 0 || s.NetworkMode == "host" || s.Pid != "" {
				t.Error("it has rights that it does not need")
			}
			for _, v := range s.Volumes {
				if strings.Contains(v.Source, "docker.sock") {
					t.Error("it may start containers")
				}
				if v.Target == "/run/angelowl" && !v.ReadOnly && name != "secrets" {
					t.Error("it may change the secrets")
				}
			}
			if !slices.Contains(foreign, name) && (!slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"})) {
				t.Error("it keeps capabilities")
			}
			for dep, on := range s.DependsOn {
				want := types.ServiceConditionHealthy
				switch d := p.Services[dep]; {
				case once(d):
					want = types.ServiceConditionCompletedSuccessfully
				case d.HealthCheck == nil:
					want = types.ServiceConditionStarted
				case s.NetworkMode == "service:"+dep && on.Condition == types.ServiceConditionStarted:
					want = on.Condition // it is that network alone that it needs
				}
				if on.Condition != want {
					t.Errorf("it waits until %s is %s, not %s", dep, on.Condition, want)
				}
			}
			lambda := strings.HasSuffix(dockerfile(s), ".lambda")
			if s.HealthCheck == nil && !once(s) && !lambda && !slices.Contains([]string{"grafana", "kafka-ui", "prometheus"}, name) {
				t.Error("nobody can tell whether it is healthy")
			}
			for variable, value := range s.Environment {
				if value != nil && *value != "" && secret.MatchString(variable) && !strings.HasSuffix(variable, "_FILE") && !public[variable] {
					t.Errorf("%s=%s looks like a secret; secrets are made at the first start", variable, *value)
				}
			}
		})
	}
}

var (
	secret = regexp.MustCompile(`PASS|SECRET|KEY|TOKEN|CREDENTIAL`)
	public = map[string]bool{"DB_KEYSPACE": true}
)

// once says whether a service does something and ends.
func once(s types.ServiceConfig) bool { return dockerfile(s) == "Dockerfile.dev" && s.Restart == "" }

func dockerfile(s types.ServiceConfig) string {
	if s.Build == nil {
		return ""
	}
	return s.Build.Dockerfile
}

// TestOneServiceBringsWhatItNeeds is `docker compose up informer`, and so on.
func TestOneServiceBringsWhatItNeeds(t *testing.T) {
	for _, tt := range []struct {
		service   string
		with, not []string
	}{
		{"informer", []string{"cassandra", "prepare-cassandra", "profiler", "postgres", "etcd", "cloud", "secrets"}, []string{"kafka", "rewarder", "ui"}},
		{"campaignex", []string{"postgres", "prepare-postgres", "etcd", "profiler", "cloud", "secrets"}, []string{"kafka", "cassandra"}},
		{"profiler", []string{"postgres", "prepare-postgres", "etcd", "cloud", "secrets"}, []string{"kafka", "cassandra", "campaignex"}},
		{"rewarder", []string{"kafka", "prepare-kafka", "cassandra", "prepare-cassandra", "etcd", "profiler"}, []string{"campaignex", "informer"}},
	} {
		t.Run(tt.service, func(t *testing.T) {
			p, err := project(t).WithSelectedServices([]string{tt.service}, types.IncludeDependencies)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range tt.with {
				if _, ok := p.Services[w]; !ok {
					t.Errorf("it comes without %s", w)
				}
			}
			for _, n := range tt.not {
				if _, ok := p.Services[n]; ok {
					t.Errorf("it brings %s, which it does not need", n)
				}
			}
		})
	}
}

// built are the images that are built here, by name, the portal aside.
func built(p *types.Project) map[string]image {
	out := map[string]image{}
	for name, s := range p.Services {
		if s.Build == nil || dockerfile(s) == "Dockerfile.ui" {
			continue
		}
		args := map[string]string{}
		for k, v := range s.Build.Args {
			if v != nil {
				args[k] = *v
			}
		}
		out[name] = image{name, dockerfile(s), args}
	}
	return out
}

// TestBuilds takes the steps of each Dockerfile for each image of docker-compose.yml, so that a file that is not
// copied, or a module that needs a sibling that is not, fails here.
func TestBuilds(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it builds every program, and -short was asked for")
	}
	images := built(project(t))
	if len(images) < 12 {
		t.Fatalf("only %d images are built", len(images))
	}
	for _, name := range slices.Sorted(maps.Keys(images)) {
		t.Run(name, func(t *testing.T) {
			file, err := elf.Open(program(t, images[name]))
			if err != nil || !verbatim {
				return // it is not Linux's, or built otherwise than in its image
			}
			defer file.Close()
			if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
				t.Error("it is not static, and its image has nothing that could load it")
			}
		})
	}
	t.Run("ui", func(t *testing.T) {
		// Its build is npm's, which the portal's own tests run; here, that nothing it copies is left out.
		sent, err := sentContext()
		if err != nil {
			t.Fatal(err)
		}
		b := &builder{dir: t.TempDir(), env: map[string]string{}}
		b.work = b.dir
		for _, i := range stage(t, "Dockerfile.ui") {
			if i.name == "COPY" {
				words := strings.Fields(i.rest)
				for _, from := range words[:len(words)-1] {
					b.copy(t, sent, from, words[len(words)-1])
				}
			}
		}
	})
}
