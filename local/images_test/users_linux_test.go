package images_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/angelowl-loyalties/app/local/engines"
	"github.com/angelowl-loyalties/app/local/engines/enginestest"
	"github.com/angelowl-loyalties/app/local/moto"
	"github.com/angelowl-loyalties/app/local/pyvenv"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/config/tlstest"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

//go:embed operator.txt
var operatorTools []byte

const (
	deployment = "angelowl-test"
	kafkaTools = "4eb9a7fbfd63badfd8d1a677aa2d54b47b2b2d442ff7d68fd223972afea1954c" // SHA-256 of Maven Central's jar
	dataCentre = "datacenter1"
)

// placed are the secrets that .infra/main.tf makes places for, without the deployment's name, and Kafka's users,
// whose secrets MSK wants named otherwise.
var (
	placed = []string{
		"informer/cassandra", "rewarder/cassandra", "uploads/cassandra", "campaignex/etcd", "profiler/etcd", "rewarder/etcd", "campaignex/postgres", "profiler/postgres",
		"campaignex/client", "emailer/client", "informer/client", "passworder/client", "pet-rock/client", "publish-single/client", "rewarder/client", "uploads/client",
		"cassandra/node-0", "cassandra/node-1", "cassandra/node-2", "etcd/node-0", "authority/certificate", "authority/key", "cassandra/operator", "etcd/root",
		"profiler/data-key", "profiler/service-secrets", "ui/client-address", "ui/session",
	}
	kafkaUsers = []string{"emailer", "ingestor", "keda", "publish-single", "rewarder", "uploads"}
)

// TestProgramsWithUsersOfTheirOwn is TestProgramsAsComposeStartsThem on engines as docs/deploy.md makes them on AWS:
// with TLS, certificates of .infra/bin/certificates, secrets of .infra/bin/secrets, and the users that .infra/access
// makes; the services' own ports speak TLS, too. Their rights are enough for all that the programs do, and for nothing that they do not.
func TestProgramsWithUsersOfTheirOwn(t *testing.T) {
	if os.Getenv("ANGELOWL_LONG") == "" {
		t.Skip("SKIPPED without ANGELOWL_LONG=1: three nodes of Cassandra take their time to start, and etcdctl to be built")
	}
	for _, name := range []string{"psql", "jq", "openssl", "mvn", "gpg"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%v; install it (Debian and Ubuntu: apt-get install postgresql-client jq openssl maven gpg)", err)
		}
	}
	w := newWorld(t)
	b := newBank(t, w)
	t.Run("only what its makers published comes to the machines", func(t *testing.T) { b.programs(t) })
	b.script("bin/secrets")
	b.script("bin/certificates", "127.0.0.1,127.0.0.2,127.0.0.3", "127.0.0.1")
	b.start()
	w.build()
	b.users()
	b.settings()
	b.encrypt()

	for _, name := range []string{"prepare-postgres", "prepare-cassandra", "prepare-kafka"} {
		w.done[name] = true // docs/deploy.md prepares them
	}
	w.up("seed")
	w.works(t)
	admin := w.as(token.Admin)
	t.Run("a change of the rules comes into force", func(t *testing.T) {
		b.change(t, admin)
	})
	t.Run("the dead letters are shown, and one is sent again", func(t *testing.T) {
		b.resend(t, admin)
	})
	t.Run("the nightly mails are sent", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.address("cloud", 9001)+"/2015-03-31/functions/emailer/invocations",
			strings.NewReader(fmt.Sprintf(`{"day": %q, "early": true}`, time.Now().UTC().Format(time.DateOnly))))
		if err != nil {
			t.Fatal(err)
		}
		if status, said := w.send(t, req); status != http.StatusOK || strings.Contains(string(said), "errorMessage") {
			t.Errorf("%d %s\n%s", status, said, w.processes["emailer"].tail())
		}
	})
	t.Run("KEDA reads the lag", func(t *testing.T) { b.lag(t) })
	t.Run("nobody may do more", func(t *testing.T) { b.refused(t) })
	t.Run("the scripts can be run again", func(t *testing.T) {
		was := b.secret("rewarder/cassandra")
		b.script("bin/secrets")
		b.script("bin/certificates", "127.0.0.1,127.0.0.2,127.0.0.3", "127.0.0.1")
		b.users()
		if b.secret("rewarder/cassandra") != was {
			t.Error("a secret has changed that was there")
		}
		b.change(t, admin)
	})
}

// bank is what Terraform makes, as far as the scripts ask for it.
type bank struct {
	t        *testing.T
	w        *world
	dir      string
	env      []string
	endpoint string // moto's
	python   string
	kafka    *engines.Engine
	node     map[engines.Kind]*engines.Engine
	postgres struct{ host, port string }
}

func newBank(t *testing.T, w *world) *bank {
	endpoint := moto.Start(t)
	b := &bank{t: t, w: w, dir: t.TempDir(), endpoint: endpoint, python: pyvenv.For(t, "operator", 10, operatorTools)}
	build := exec.CommandContext(w.ctx, "go", "build", "-o", b.dir+"/", "go.etcd.io/etcd/etcdctl/v3")
	build.Dir = filepath.Join(root, ".ci/etcdctl")
	build.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building etcdctl: %v\n%s", err, said)
	}
	b.env = []string{
		"NAME=" + deployment, "AWS_ENDPOINT_URL=" + endpoint, "AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"PATH=" + b.dir + ":" + filepath.Dir(b.python) + ":" + os.Getenv("PATH"), "HOME=" + b.dir, "CQLSH=cqlsh",
	}
	for _, name := range placed {
		b.place(deployment + "/" + name)
	}
	for _, user := range kafkaUsers {
		b.place("AmazonMSK_" + deployment + "_" + user)
	}
	return b
}

func (b *bank) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// manager asks Secrets Manager; moto looks only at the service in the signature.
func (b *bank) manager(action string, in map[string]string) (value string, status int) {
	b.t.Helper()
	body, err := json.Marshal(in)
	b.must(err)
	req, err := http.NewRequestWithContext(b.w.ctx, http.MethodPost, b.endpoint+"/", bytes.NewReader(body))
	b.must(err)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "secretsmanager."+action)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=none")
	status, said := b.w.send(b.t, req)
	var out struct{ SecretString string }
	b.must(json.Unmarshal(said, &out))
	return out.SecretString, status
}

// place makes a secret without a value.
func (b *bank) place(id string) {
	b.t.Helper()
	if _, status := b.manager("CreateSecret", map[string]string{"Name": id, "ClientRequestToken": uuid.NewString()}); status != http.StatusOK {
		b.t.Fatalf("making a place for %s: %d", id, status)
	}
}

// secret reads one: of the deployment, or by its whole name where it has no slash.
func (b *bank) secret(name string) string {
	b.t.Helper()
	if strings.Contains(name, "/") {
		name = deployment + "/" + name
	}
	value, status := b.manager("GetSecretValue", map[string]string{"SecretId": name})
	if status != http.StatusOK {
		b.t.Fatalf("reading %s: %d", name, status)
	}
	return value
}

// broker is the password of one of Kafka's users.
func (b *bank) broker(user string) string {
	b.t.Helper()
	var s struct{ Username, Password string }
	b.must(json.Unmarshal([]byte(b.secret("AmazonMSK_"+deployment+"_"+user)), &s))
	if s.Username != user {
		b.t.Fatalf("the secret of %s is of %q", user, s.Username)
	}
	return s.Password
}

// script runs one of .infra, as docs/deploy.md says.
func (b *bank) script(name string, args ...string) {
	b.t.Helper()
	cmd := exec.CommandContext(b.w.ctx, filepath.Join(root, ".infra", name), args...)
	cmd.Env = b.env
	said, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", name, err, said)
	}
	for _, secret := range placed {
		if value, status := b.manager("GetSecretValue", map[string]string{"SecretId": deployment + "/" + secret}); status == http.StatusOK && value != "" && strings.Contains(string(said), value) {
			b.t.Errorf("%s shows %s", name, secret)
		}
	}
}

// programs runs .infra/bin/programs where the makers' sites are a folder, with signatures and sums as theirs.
func (b *bank) programs(t *testing.T) {
	site := t.TempDir()
	const cassandra, etcd = "apache-cassandra-5.0.9-bin.tar.gz", "etcd-v3.7.3-linux-arm64.tar.gz"
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(site, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sum := func(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }
	home, err := os.MkdirTemp("", "gpg") // a socket's path is short
	b.must(err)
	defer os.RemoveAll(home)
	tools := t.TempDir()
	command := func(name string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = site
		cmd.Env = append(slices.Clone(b.env), "GNUPGHOME="+home, "PATH="+tools+":"+b.dir+":"+filepath.Dir(b.python)+":"+os.Getenv("PATH"))
		said, err := cmd.CombinedOutput()
		return string(said), err
	}
	must := func(name string, args ...string) string {
		t.Helper()
		said, err := command(name, args...)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, said)
		}
		return said
	}
	b.must(os.WriteFile(filepath.Join(tools, "curl"), []byte("#!/bin/sh\nfor url; do :; done\nfile=\"$SITE/${url##*/}\"\n[ -f \"$file\" ] || exit 22\ncase \"$*\" in *-fsSLO*) cp \"$file\" .;; *) cat \"$file\";; esac\n"), 0o755))
	b.env = append(b.env, "SITE="+site)
	for _, maker := range []string{"cassandra@example.com", "stranger@example.com"} {
		must("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", maker, "ed25519", "sign", "never")
	}
	write("KEYS", must("gpg", "--armor", "--export", "cassandra@example.com"))
	sign := func(who string) {
		must("gpg", "--batch", "--yes", "--quiet", "--local-user", who, "--armor", "--output", cassandra+".asc", "--detach-sign", cassandra)
	}
	publish := func() {
		write(cassandra, "Cassandra")
		sign("cassandra@example.com")
		write(etcd, "etcd")
		write("SHA256SUMS", sum("another's")+"  etcd-v3.7.3-linux-amd64.tar.gz\n"+sum("etcd")+"  "+etcd+"\n")
	}
	script, err := filepath.Abs(filepath.Join(root, ".infra/bin/programs"))
	b.must(err)
	for _, tt := range []struct {
		name string
		harm func()
		says string // where it is refused
	}{
		{"what they published", func() {}, ""},
		{"another Cassandra", func() { write(cassandra, "no Cassandra") }, "BAD signature"},
		{"a stranger's Cassandra", func() { sign("stranger@example.com") }, "No public key"},
		{"another etcd", func() { write(etcd, "no etcd") }, etcd + ": FAILED"},
		{"an etcd that its makers do not name", func() { write("SHA256SUMS", sum("another's")+"  etcd-v3.7.3-linux-amd64.tar.gz\n") }, "no file was verified"},
		{"a site that is away", func() { b.must(os.Remove(filepath.Join(site, etcd))) }, ""},
	} {
		bucket := "programs-" + strings.ToLower(rand.Text())
		must("aws", "s3", "mb", "s3://"+bucket)
		publish()
		tt.harm()
		said, err := command(script, bucket, "5.0.9", "3.7.3")
		there := must("aws", "s3", "ls", "s3://"+bucket)
		if tt.name == "what they published" {
			if err != nil || !strings.Contains(said, `cassandra = "`+sum("Cassandra")+`"`) || !strings.Contains(said, `etcd      = "`+sum("etcd")+`"`) {
				t.Errorf("%s: %v\n%s", tt.name, err, said)
			}
			if !strings.Contains(there, cassandra) || !strings.Contains(there, etcd) {
				t.Errorf("the bucket has\n%s", there)
			}
			continue
		}
		if err == nil || there != "" || !strings.Contains(said, tt.says) || strings.Contains(said, "checksums") {
			t.Errorf("%s: %v, the bucket has %q\n%s", tt.name, err, there, said)
		}
	}
}

// certificate writes one of Secrets Manager to files, as the machines do.
func (b *bank) certificate(name string) engines.Certificate {
	b.t.Helper()
	var s struct{ Key, Certificate string }
	b.must(json.Unmarshal([]byte(b.secret(name)), &s))
	at := filepath.Join(b.dir, strings.ReplaceAll(name, "/", "-"))
	c := engines.Certificate{Chain: at + ".pem", Key: at + ".key", Authority: b.authority()}
	b.must(os.WriteFile(c.Chain, []byte(s.Certificate), 0o600))
	b.must(os.WriteFile(c.Key, []byte(s.Key), 0o600))
	return c
}

func (b *bank) authority() string {
	b.t.Helper()
	file := filepath.Join(b.dir, "authority.pem")
	b.must(os.WriteFile(file, []byte(b.secret("authority/certificate")), 0o600))
	return file
}

// start starts the engines. PostgreSQL's and Kafka's certificates are Amazon's on AWS; here they have etcd's.
func (b *bank) start() {
	b.t.Helper()
	one := []engines.Certificate{b.certificate("etcd/node-0")}
	three := []engines.Certificate{b.certificate("cassandra/node-0"), b.certificate("cassandra/node-1"), b.certificate("cassandra/node-2")}
	b.node = map[engines.Kind]*engines.Engine{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for kind, o := range map[engines.Kind]engines.Options{
		engines.Kafka: {Secure: one}, engines.Etcd: {Secure: one}, engines.Postgres: {Secure: one}, engines.Cassandra: {Secure: three, Nodes: 3},
	} {
		wg.Go(func() {
			e := enginestest.Start(b.t, kind, o)
			mu.Lock()
			defer mu.Unlock()
			b.node[kind] = e
		})
	}
	wg.Wait()
	if len(b.node) != 4 {
		b.t.FailNow()
	}
	b.kafka = b.node[engines.Kafka]
	b.operatorOfRDS()
	b.commandsOfKafka()
}

// operatorOfRDS makes the user that RDS makes: it may make users and databases, and is no superuser.
func (b *bank) operatorOfRDS() {
	b.t.Helper()
	conf, err := pgx.ParseConfig(b.node[engines.Postgres].Addr())
	b.must(err)
	b.postgres.host, b.postgres.port = conf.Host, strconv.Itoa(int(conf.Port))
	conn, err := pgx.ConnectConfig(b.w.ctx, conf)
	b.must(err)
	defer conn.Close(b.w.ctx)
	_, err = conn.Exec(b.w.ctx, "CREATE ROLE operator LOGIN CREATEDB CREATEROLE PASSWORD 'made by RDS'")
	b.must(err)
	b.manager("CreateSecret", map[string]string{"Name": "rds-master", "ClientRequestToken": uuid.NewString(), "SecretString": `{"username": "operator", "password": "made by RDS"}`})
}

// commandsOfKafka are the scripts of Kafka's archive, and MSK's part: a user for each secret.
func (b *bank) commandsOfKafka() {
	b.t.Helper()
	bin := filepath.Join(b.dir, "kafka", "bin")
	b.must(os.MkdirAll(bin, 0o755))
	jar := filepath.Join(b.dir, "kafka-tools-4.4.0.jar")
	fetch := exec.CommandContext(b.w.ctx, "mvn", "-B", "-q", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
		"-Dartifact=org.apache.kafka:kafka-tools:4.4.0", "-DoutputDirectory="+b.dir)
	fetch.Dir = b.dir
	if said, err := fetch.CombinedOutput(); err != nil {
		b.t.Fatalf("fetching kafka-tools: %v\n%s", err, said)
	}
	tools, err := os.ReadFile(jar)
	b.must(err)
	if sum := fmt.Sprintf("%x", sha256.Sum256(tools)); sum != kafkaTools {
		b.t.Fatalf("%s has the sum %s", jar, sum)
	}
	for name, class := range map[string]string{"kafka-topics.sh": "org.apache.kafka.tools.TopicCommand", "kafka-acls.sh": "org.apache.kafka.tools.AclCommand"} {
		argv, err := b.kafka.Nodes[0].Command(class, jar)
		b.must(err)
		for i, a := range argv {
			argv[i] = "'" + a + "'"
		}
		b.must(os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\nexec "+strings.Join(argv, " ")+` "$@"`+"\n"), 0o755))
	}
	client := filepath.Join(b.dir, "operator.properties")
	b.must(os.WriteFile(client, []byte("security.protocol=PLAINTEXT\n"), 0o600))
	b.env = append(b.env, "KAFKA="+filepath.Join(b.dir, "kafka"), "CLIENT_PROPERTIES="+client, "REPLICAS=1", "IN_SYNC=1")
	conf := sarama.NewConfig()
	conf.Version = sarama.V3_9_0_0
	admin, err := sarama.NewClusterAdmin([]string{b.kafka.Addr()}, conf)
	b.must(err)
	defer admin.Close()
	for _, user := range kafkaUsers {
		made, err := admin.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{{
			Name: user, Mechanism: sarama.SCRAM_MECHANISM_SHA_512, Iterations: 4096, Salt: []byte(user + " has some salt"), Password: []byte(b.broker(user)),
		}})
		b.must(err)
		for _, m := range made {
			if m.ErrorCode != sarama.ErrNoError {
				b.t.Fatalf("making Kafka's user %s: %v", user, m.ErrorCode)
			}
		}
	}
}

// users runs step 6 of docs/deploy.md.
func (b *bank) users() {
	b.t.Helper()
	cassandra := b.node[engines.Cassandra].Nodes[0]
	host, port, err := net.SplitHostPort(cassandra.Addr)
	b.must(err)
	b.env = append(b.env, "CASSANDRA_PORT="+port, "PGPORT="+b.postgres.port)
	b.script("access/kafka", b.kafka.Addr(), "4")
	b.script("access/cassandra", host, dataCentre)
	b.script("access/etcd", "https://"+b.node[engines.Etcd].Addr())
	b.script("access/postgres", b.postgres.host, "rds-master", b.authority())
}

// settings are what Terraform gives the programs of the engines (.infra/services.tf, .infra/lambdas.tf).
func (b *bank) settings() {
	b.t.Helper()
	ca := b.authority()
	etcd := func(user, secret string) map[string]string {
		return map[string]string{"ETCD_ENDPOINTS": "https://" + b.node[engines.Etcd].Addr(), "ETCD_USERNAME": user, "ETCD_PASSWORD": b.secret(secret), "ETCD_CA_FILE": ca}
	}
	kafka := func(user string) map[string]string {
		return map[string]string{
			"BROKER_HOST": b.kafka.Nodes[0].SignedIn(), "BROKER_TLS": "true", "BROKER_CA_FILE": ca, "BROKER_SASL": "SCRAM-SHA-512",
			"BROKER_USERNAME": user, "BROKER_PASSWORD": b.broker(user),
		}
	}
	cassandra := func(user string) map[string]string {
		return map[string]string{
			"DB_CONN_STRING": b.node[engines.Cassandra].Addr(), "DB_SSL": "true", "DB_CA_FILE": ca, "DB_KEYSPACE": "angelowl", "DB_LOCAL_DC": dataCentre,
			"DB_USER": user, "DB_PASS": b.secret(user + "/cassandra"),
		}
	}
	postgres := func(prefix, user string) map[string]string {
		at := "postgres://" + net.JoinHostPort(b.postgres.host, b.postgres.port) + "/" + user + "?sslmode=verify-full&sslrootcert=" + ca
		return map[string]string{prefix + "DB_CONN_STRING": at, prefix + "DB_USER": user, prefix + "DB_PASS": b.secret(user + "/postgres"), prefix + "DB_PASS_FILE": ""}
	}
	all := func(settings ...map[string]string) map[string]string {
		out := map[string]string{}
		for _, s := range settings {
			for name, value := range s {
				out[name] = value
			}
		}
		return out
	}
	_, port, err := net.SplitHostPort(b.node[engines.Cassandra].Nodes[0].Addr)
	b.must(err)
	nodes := map[string]string{"DB_PORT": port}
	b.w.settings = map[string]map[string]string{
		"campaignex":     all(postgres("", "campaignex"), etcd("campaignex", "campaignex/etcd")),
		"profiler":       all(postgres("", "profiler"), etcd("profiler", "profiler/etcd")),
		"informer":       all(cassandra("informer"), nodes),
		"rewarder":       all(cassandra("rewarder"), nodes, etcd("rewarder", "rewarder/etcd"), kafka("rewarder")),
		"emailer":        kafka("emailer"),
		"ingestor":       kafka("ingestor"),
		"publish-single": kafka("publish-single"),
		"uploads":        all(cassandra("uploads"), nodes, kafka("uploads")),
		// The example is loaded by a program that is on no AWS, by the operators.
		"seed": all(postgres("CAMPAIGNEX_", "campaignex"), postgres("PROFILER_", "profiler"), etcd("root", "etcd/root"), cassandra("rewarder"), nodes,
			map[string]string{"DB_USER": "operator", "DB_PASS": b.secret("cassandra/operator"), "BROKER_HOST": b.kafka.Addr()}),
	}
}

// encrypt gives the services' ports certificates, as .chart does. Services ask one another by TLS; the gateway and
// the lambdas come by a load balancer that takes what they say to TLS and looks at nobody's certificate, as AWS's.
func (b *bank) encrypt() {
	b.t.Helper()
	authority := tlstest.New(b.t)
	cert, key := authority.Issue("services", "localhost", "127.0.0.1")
	serve := []string{"campaignex", "informer", "profiler", "rewarder"}
	environment := func(service string, see func(name, value string)) {
		for name, value := range b.w.project.Services[service].Environment {
			if value != nil {
				see(name, b.w.here(service, name, *value))
			}
		}
	}
	set := func(service, name, value string) {
		if b.w.settings[service] == nil {
			b.w.settings[service] = map[string]string{}
		}
		b.w.settings[service][name] = value
	}
	balancers := map[string]string{} // by the address of the port behind
	for _, service := range serve {
		set(service, "TLS_CERT_FILE", cert)
		set(service, "TLS_KEY_FILE", key)
		environment(service, func(name, value string) {
			if name == "PORT" || name == "INTERNAL_PORT" {
				at := net.JoinHostPort("127.0.0.1", value)
				balancers[at] = b.balancer(at)
			}
		})
	}
	if len(balancers) != 6 {
		b.t.Fatalf("the services have %d ports, want 6", len(balancers))
	}
	asked := 0
	for service := range b.w.images {
		environment(service, func(name, value string) {
			was := value
			for at, balancer := range balancers {
				if slices.Contains(serve, service) {
					value = strings.ReplaceAll(value, "http://"+at, "https://"+at)
				} else {
					value = strings.ReplaceAll(value, at, balancer)
				}
			}
			if value == was {
				return
			}
			asked++
			set(service, name, value)
			if slices.Contains(serve, service) {
				set(service, "PROFILER_CA_FILE", authority.CA())
			}
		})
	}
	// Three services with three addresses of profiler each, seven lambdas with as many as they need, and the gateway.
	if asked < 20 {
		b.t.Fatalf("%d addresses of services are set, want 20 or more", asked)
	}
}

// balancer takes connections to the port of an address that speaks TLS, and returns where it does.
func (b *bank) balancer(to string) string {
	b.t.Helper()
	l, err := new(net.ListenConfig).Listen(b.t.Context(), "tcp", "127.0.0.1:0")
	b.must(err)
	var open sync.WaitGroup
	open.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer from.Close()
				dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // as AWS's
				behind, err := dialer.DialContext(b.w.ctx, "tcp", to)
				if err != nil {
					return
				}
				defer behind.Close()
				stop := context.AfterFunc(b.w.ctx, func() { _, _ = from.Close(), behind.Close() })
				defer stop()
				open.Go(func() {
					_, _ = io.Copy(behind, from)
					_ = behind.(*tls.Conn).CloseWrite()
				})
				_, _ = io.Copy(from, behind)
			})
		}
	})
	b.t.Cleanup(func() {
		_ = l.Close()
		open.Wait()
	})
	return l.Addr().String()
}

// change makes a change of the rules and waits until it is in force in every partition.
func (b *bank) change(t *testing.T, admin string) {
	t.Helper()
	type set struct{ Hash string }
	type partition struct {
		InForce *set `json:"in_force"`
	}
	type said struct {
		Rules      set
		Partitions []partition
	}
	status := func() said {
		var answer struct{ Data said }
		b.w.json(t, admin, http.MethodGet, "/ops/status", nil, http.StatusOK, &answer)
		return answer.Data
	}
	was, name := status(), "Made "+rand.Text()
	b.w.json(t, admin, http.MethodPost, "/campaign", map[string]any{
		"name": name, "min_spend": 0, "start_date": "2020-01-01", "end_date": "2030-12-31", "reward_program": "scis_freedom", "reward_amount": 1,
		"mcc": "0", "merchant": "nobody", "base_reward": false, "foreign_currency": false,
	}, http.StatusCreated, nil)
	b.w.until(t, "the change is in force", func() bool {
		now := status()
		return now.Rules.Hash != was.Rules.Hash && !slices.ContainsFunc(now.Partitions, func(p partition) bool { return p.InForce == nil || p.InForce.Hash != now.Rules.Hash })
	})
}

// resend mends the example's row of an unknown card type.
func (b *bank) resend(t *testing.T, admin string) {
	var letters struct{ Data []struct{ ID string } }
	b.w.json(t, admin, http.MethodGet, "/ops/deadletters?reason=unknown_card_type&resent=false", nil, http.StatusOK, &letters)
	if len(letters.Data) != 1 {
		t.Fatalf("the example has one, and these are shown: %+v", letters.Data)
	}
	b.w.json(t, admin, http.MethodPost, "/ops/deadletters/"+letters.Data[0].ID+"/resend", map[string]any{"set": map[string]any{"card_type": "scis_freedom"}}, http.StatusOK, nil)
	b.w.json(t, admin, http.MethodGet, "/ops/deadletters?reason=unknown_card_type&resent=false", nil, http.StatusOK, &letters)
	if len(letters.Data) != 0 {
		t.Errorf("it bears no mark: %+v", letters.Data)
	}
}

// client is one of Kafka's users.
func (b *bank) client(t *testing.T, user, password string) (sarama.Client, error) {
	t.Helper()
	conf := kafkaconn.Producer("test")
	(&kafkaconn.Settings{SASL: sarama.SASLTypeSCRAMSHA512, Username: user, Password: config.NewSecret(password)}).Apply(conf)
	conf.Net.TLS.Enable, conf.Net.TLS.Config = true, b.tls(t)
	conf.Metadata.Retry.Max, conf.Producer.Retry.Max = 0, 1
	client, err := sarama.NewClient([]string{b.kafka.Nodes[0].SignedIn()}, conf)
	if err == nil {
		t.Cleanup(func() { _ = client.Close() })
	}
	return client, err
}

func (b *bank) tls(t *testing.T) *tls.Config {
	t.Helper()
	conf := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "127.0.0.1"}
	if !conf.RootCAs.AppendCertsFromPEM([]byte(b.secret("authority/certificate"))) {
		t.Fatal("the authority's certificate cannot be read")
	}
	return conf
}

func (b *bank) lag(t *testing.T) {
	client, err := b.client(t, "keda", b.broker("keda"))
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	offsets, err := admin.ListConsumerGroupOffsets("rewarder", map[string][]int32{record.Topic: {0, 1, 2, 3}})
	if err != nil || offsets.Err != sarama.ErrNoError {
		t.Fatal(err, offsets)
	}
	for p := range int32(4) {
		if end, err := client.GetOffset(record.Topic, p, sarama.OffsetNewest); err != nil || offsets.GetBlock(record.Topic, p).Offset > end {
			t.Errorf("partition %d ends at %d: %v", p, end, err)
		}
	}
}

// refused tries what nobody may.
func (b *bank) refused(t *testing.T) {
	t.Run("Kafka", func(t *testing.T) {
		if _, err := b.client(t, "rewarder", "guessed"); err == nil {
			t.Error("a wrong password is taken")
		}
		for user, topics := range map[string][]string{
			"ingestor": {record.Topic + record.RulesSuffix, record.Topic + ".dlq"}, "publish-single": {record.Topic + record.RulesSuffix}, "keda": {record.Topic},
			"emailer": {record.Topic}, "uploads": {record.Topic, record.Topic + ".dlq"},
		} {
			client, err := b.client(t, user, b.broker(user))
			if err != nil {
				t.Fatal(user, err)
			}
			producer, err := sarama.NewSyncProducerFromClient(client)
			if errors.Is(err, sarama.ErrClusterAuthorizationFailed) {
				continue // it may write nothing at all
			}
			if err != nil {
				t.Fatal(user, err)
			}
			for _, topic := range topics {
				_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("{}")})
				if !errors.Is(err, sarama.ErrTopicAuthorizationFailed) {
					t.Errorf("%s may write to %s: %v", user, topic, err)
				}
			}
			_ = producer.Close()
		}
	})
	t.Run("etcd", func(t *testing.T) {
		for _, tc := range []struct{ user, secret, key string }{
			{"rewarder", "rewarder/etcd", "angelowl/rules/campaign/x"},
			{"rewarder", "rewarder/etcd", "angelowl/rules/epoch"},
			{"profiler", "profiler/etcd", "angelowl/rules/campaign/x"},
			{"campaignex", "campaignex/etcd", "angelowl/rules/cardtype/x"},
			{"campaignex", "campaignex/etcd", "angelowl/inforce/x"},
		} {
			c, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://" + b.node[engines.Etcd].Addr()}, TLS: b.tls(t), Username: tc.user, Password: b.secret(tc.secret), Context: t.Context(), Logger: zap.NewNop()})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Put(t.Context(), tc.key, "x"); !errors.Is(err, rpctypes.ErrPermissionDenied) {
				t.Errorf("%s may write %s: %v", tc.user, tc.key, err)
			}
			_ = c.Close()
		}
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://" + b.node[engines.Etcd].Addr()}, TLS: b.tls(t), Context: t.Context(), Logger: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Get(t.Context(), "angelowl/rules/epoch"); !errors.Is(err, rpctypes.ErrUserEmpty) {
			t.Errorf("somebody may read: %v", err)
		}
	})
	t.Run("Cassandra", func(t *testing.T) {
		for _, tc := range []struct{ user, password, statement string }{
			{"informer", b.secret("informer/cassandra"), "DELETE FROM angelowl.rewards WHERE card_id = 00000000-0000-0000-0000-000000000000"},
			{"uploads", b.secret("uploads/cassandra"), "TRUNCATE angelowl.rewards"},
			{"informer", b.secret("informer/cassandra"), "DROP TABLE angelowl.rewards"},
			{"rewarder", b.secret("rewarder/cassandra"), "DROP KEYSPACE angelowl"},
			{"rewarder", b.secret("rewarder/cassandra"), "CREATE ROLE more"},
			{"rewarder", b.secret("rewarder/cassandra"), "SELECT * FROM system_auth.roles"},
		} {
			s, err := b.session(t, 0, tc.user, tc.password)
			if err != nil {
				t.Fatal(tc.user, err)
			}
			if err := s.Query(tc.statement).ExecContext(t.Context()); err == nil || !strings.Contains(err.Error(), "permission") && !strings.Contains(err.Error(), "Unauthorized") && !strings.Contains(err.Error(), "not have") {
				t.Errorf("%s may %s: %v", tc.user, tc.statement, err)
			}
			s.Close()
		}
		for node := range 3 {
			if s, err := b.session(t, node, "cassandra", "cassandra"); err == nil {
				s.Close()
				t.Errorf("the user that every new cluster has gets in at node %d", node)
			}
			s, err := b.session(t, node, "operator", b.secret("cassandra/operator"))
			if err != nil {
				t.Errorf("the operator does not get in at node %d: %v", node, err)
				continue
			}
			s.Close()
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		conf, err := pgx.ParseConfig("postgres://" + net.JoinHostPort(b.postgres.host, b.postgres.port) + "/profiler?sslmode=verify-full&sslrootcert=" + b.authority())
		if err != nil {
			t.Fatal(err)
		}
		conf.User, conf.Password = "campaignex", b.secret("campaignex/postgres")
		if conn, err := pgx.ConnectConfig(t.Context(), conf); err == nil {
			_ = conn.Close(t.Context())
			t.Error("campaignex gets into profiler's database")
		}
		conf.Database = "campaignex"
		conn, err := pgx.ConnectConfig(t.Context(), conf)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		for _, statement := range []string{"CREATE ROLE more", "CREATE DATABASE more", "SELECT rolpassword FROM pg_authid", "COPY (SELECT 1) TO PROGRAM 'true'"} {
			if _, err := conn.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") {
				t.Errorf("campaignex may %s: %v", statement, err)
			}
		}
	})
}

// session signs in to one of Cassandra's nodes.
func (b *bank) session(t *testing.T, node int, user, password string) (*gocql.Session, error) {
	t.Helper()
	host, port, err := net.SplitHostPort(b.node[engines.Cassandra].Nodes[node].Addr)
	if err != nil {
		t.Fatal(err)
	}
	c := gocql.NewCluster(host)
	if c.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	c.ProtoVersion, c.DisableInitialHostLookup, c.NumConns = 4, true, 1
	conf := b.tls(t)
	conf.ServerName = host
	c.SslOpts = &gocql.SslOptions{Config: conf}
	c.Authenticator = gocql.PasswordAuthenticator{Username: user, Password: password}
	c.Logger = gocql.NewLogger(gocql.LogLevelNone)
	return c.CreateSession()
}
