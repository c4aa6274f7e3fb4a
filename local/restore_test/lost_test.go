//go:build unix

package restore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/local/engines"
	"github.com/angelowl-loyalties/app/local/ops"
	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/local/wait"
	"github.com/angelowl-loyalties/app/loyalty/token"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

const (
	spendFile = "../../examples/spend.csv"
	account   = "3e9c0a51-6b1c-4e0e-9c55-abadcafe0001" // who is erased
	late      = "3e9c0a51-6b1c-4e0e-9c55-abadcafe0002" // who is entered after the backup
	changed   = "1.4 miles per dollar on all spend"    // the campaign whose rate is changed after it

	// limit is how long anything may take before it counts as hanging.
	limit = 3 * time.Minute
)

// cards are those of who is erased, with their numbers as they are masked everywhere. In the file of spend
// no other card has these digits.
var cards = map[string]string{
	"c430014f-7120-587f-b620-f3e5e2875753": "************3355",
	"9aa1940e-9ce9-5006-8f3a-335f11612662": "************4553",
}

// person is what else is known of them.
var person = []string{"Quillon", "Vexley", "quillon.vexley@sample.example", "+16135550147"}

// PostgreSQL, etcd and Cassandra are lost, all at once, a while after their backup. What the log has since comes back with
// the bytes that it had, under rules that were made and replaced since; and who was erased since is erased
// again by the list. Everything is done by the commands of the runbooks.
func TestTheStoresAreLostAndRestored(t *testing.T) {
	w := newSystem(t)
	w.up("--sample-users", "--rules", "../../examples/rules.json", "--fx", "../../examples/quotes.csv")
	file := bytes.SplitAfter(read(t, spendFile), []byte("\n"))
	header, rows := file[0], file[1:]
	part := func(from, to int) []byte {
		return slices.Concat(header, bytes.Join(rows[from:min(to, len(rows))], nil))
	}

	w.user(account)
	for id := range cards {
		w.call("POST", "/card", fmt.Sprintf(`{"id": %q, "card_pan": %q, "user_id": %q, "card_type": "scis_freedom"}`, id, pan(rows, id), account), http.StatusCreated)
	}
	w.spend(part(0, 500))

	// The backup.
	before := time.Now()
	w.sh(nil, block(t, "restore.md", "PostgreSQL", 0))
	w.sh(nil, block(t, "restore.md", "Cassandra", 0))

	// What happens after it: two changes of a rule, spend under each, an account, an erasure.
	w.setRate("2.5")
	w.spend(part(500, 850))
	w.setRate("3.5")
	w.spend(part(850, len(rows)))
	w.user(late)
	if n := len(w.rewards(slices.Collect(maps.Keys(cards)))); n < 20 {
		t.Fatalf("who is to be erased has %d rewards", n)
	}
	w.sh([]string{"ACCOUNT=" + account}, block(t, "erase-a-person.md", "Erase", 0))
	w.eraseListed()
	gone := w.nothingOf("erasing")
	others := allCards(rows)
	want := w.rewards(others)
	if len(want) != 1132 {
		t.Errorf("%d rewards; restore.md says 1132", len(want))
	}
	for _, rate := range []string{"1.4", "2.5", "3.5"} {
		if !slices.ContainsFunc(slices.Collect(maps.Values(want)), func(row string) bool {
			return strings.Contains(row, `"name":"`+changed+`","rate":`+rate+`,`)
		}) {
			t.Errorf("no reward is by the rate %s", rate)
		}
	}
	w.stop()

	// The loss, and what the runbook does.
	for _, k := range []engines.Kind{engines.Postgres, engines.Etcd, engines.Cassandra} {
		w.lose(k)
	}
	w.sh(nil, block(t, "restore.md", "PostgreSQL", 1))
	w.makeKeyspace()
	w.sh(nil, "rewarder migrate")
	w.sh(nil, block(t, "restore.md", "Cassandra", 1))
	w.up()
	w.run("replay", "--from", before.Add(-time.Second).Format(time.RFC3339))

	// The person is back, as they were at the backup and with what the log has of them since.
	w.call("GET", "/user/"+account, "", http.StatusOK)
	if n := len(w.rewards(slices.Collect(maps.Keys(cards)))); n < 20 {
		t.Errorf("the replay brought back %d rewards of who was erased: this test does not show that they are erased again", n)
	}
	w.eraseListed()
	if again := w.nothingOf("restoring and erasing again"); again != gone {
		t.Errorf("the log has %d records of who was erased, before the loss %d", again, gone)
	}
	w.onDisk("restoring and erasing again")
	same(t, "the restore", want, w.rewards(others))
	t.Run("another replay", func(t *testing.T) {
		if os.Getenv("ANGELOWL_LONG") == "" {
			t.Skip("SKIPPED without ANGELOWL_LONG=1")
		}
		w.run("replay", "--from", "start")
		if again := w.nothingOf("another replay"); again != gone {
			t.Errorf("the log has %d records of who was erased, before %d", again, gone)
		}
		same(t, "another replay", want, w.rewards(others))
	})

	// What is lost is what PostgreSQL had after its dump.
	w.call("GET", "/user/"+late, "", http.StatusNotFound)
	if _, _, c := w.campaign(); fmt.Sprint(c["reward_amount"]) != "1.4" {
		t.Errorf("the rate is %v; the dump has 1.4", c["reward_amount"])
	}
	t.Logf("Lost: the accounts (1) and changes of rules (2) of the %v between the backup and the loss. Not lost: all %d rewards, to the byte; %d records of who was erased stay in the log until its retention ends.",
		w.lost.Sub(before).Round(time.Second), len(want), gone)
	w.stop()
}

// system is the all-in-one on real engines.
type system struct {
	t       *testing.T
	dir     string // of what the runbooks' commands write
	data    string
	program string
	path    string // PATH of the commands
	engines map[engines.Kind]*engines.Engine
	uploads int
	lost    time.Time

	cmd    *exec.Cmd
	ended  chan error
	stderr bytes.Buffer
	admin  *http.Client
	url    string
}

func newSystem(t *testing.T) *system {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED by -short: the real engines take their time to start")
	}
	if os.Getenv("ANGELOWL_ENGINES") == "none" {
		t.Skip("SKIPPED: it needs the real engines, and ANGELOWL_ENGINES=none")
	}
	data, remove, err := engines.Temp(t.Context())
	check(t, err)
	w := &system{t: t, dir: t.TempDir(), data: data, engines: map[engines.Kind]*engines.Engine{}}
	t.Cleanup(func() {
		if w.cmd != nil {
			_ = w.cmd.Process.Kill()
			<-w.ended
			t.Logf("angelowl said\n%s", &w.stderr)
		}
		for _, e := range w.engines {
			if err := e.Kill(); err != nil {
				t.Error(err)
			}
		}
		if err := remove(); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	started := make([]*engines.Engine, len(engines.Kinds))
	var g errgroup.Group
	for i, k := range engines.Kinds {
		g.Go(func() (err error) {
			started[i], err = engines.Start(t.Context(), filepath.Join(data, stack.EnginesDir), k, engines.Options{JMX: k == engines.Cassandra})
			return err
		})
	}
	bin := filepath.Join(w.dir, "bin")
	w.program = filepath.Join(bin, "angelowl")
	run(t, "go", "build", "-o", bin+"/", "../cmd/angelowl", "github.com/angelowl-loyalties/app/rewarder/cmd/rewarder")
	err = g.Wait()
	for i, k := range engines.Kinds {
		if started[i] != nil {
			w.engines[k] = started[i]
		}
	}
	if err != nil {
		t.Fatalf("This test needs the real engines. %v", err)
	}
	nodetool(t, bin, w.engines[engines.Cassandra].Nodes[0])
	w.path = bin + ":" + os.Getenv("PATH")
	check(t, os.Mkdir(filepath.Join(w.dir, "backup"), 0o755))
	return w
}

// up starts the all-in-one and waits until it serves.
func (w *system) up(args ...string) {
	w.t.Helper()
	all := []string{"up", "--data", w.data, "--listen", "127.0.0.1:0", "--engines", "real", "--rewarders", "2", "--home", "CAD", "--timezone", "America/Toronto"}
	w.cmd = exec.Command(w.program, append(all, args...)...)
	w.stderr.Reset()
	w.cmd.Stderr = &w.stderr
	w.cmd.Stdout = io.Discard
	check(w.t, w.cmd.Start())
	w.ended = make(chan error, 1)
	go func() { w.ended <- w.cmd.Wait() }()
	w.admin = &http.Client{Transport: &samples.Transport{Data: w.data, Role: token.Admin, Base: http.DefaultTransport}}
	var last any
	defer func() {
		if w.t.Failed() {
			w.t.Log("the last status:", last)
		}
	}()
	await(w.t, "the all-in-one", func() bool {
		select {
		case err := <-w.ended:
			w.t.Fatalf("angelowl up ended: %v\n%s", err, &w.stderr)
		default:
		}
		st, err := w.status()
		last = []any{st.Problems, err}
		if err != nil || st.PID != w.cmd.Process.Pid {
			return false
		}
		w.url = st.URL
		return len(st.Problems) == 0
	})
}

func (w *system) stop() {
	w.t.Helper()
	check(w.t, w.cmd.Process.Signal(os.Interrupt))
	select {
	case err := <-w.ended:
		w.cmd = nil
		if err != nil {
			w.t.Errorf("angelowl up ended with %v\n%s", err, &w.stderr)
		}
	case <-time.After(limit):
		w.t.Fatal("angelowl up does not end")
	}
	http.DefaultClient.CloseIdleConnections()
}

// lose ends an engine, takes its data away and starts an empty one.
func (w *system) lose(k engines.Kind) {
	w.t.Helper()
	w.lost = time.Now()
	check(w.t, w.engines[k].Kill())
	check(w.t, os.RemoveAll(filepath.Join(w.data, stack.EnginesDir, string(k), "n1")))
	check(w.t, w.engines[k].Start(w.t.Context()))
}

func (w *system) makeKeyspace() {
	w.t.Helper()
	s := w.cassandra("")
	defer s.Close()
	check(w.t, s.Query("CREATE KEYSPACE "+stack.Keyspace+" WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}").Exec())
}

func (w *system) cassandra(keyspace string) *gocql.Session {
	w.t.Helper()
	host, port, _ := strings.Cut(w.engines[engines.Cassandra].Addr(), ":")
	c := gocql.NewCluster(host)
	_, err := fmt.Sscan(port, &c.Port)
	check(w.t, err)
	c.Keyspace, c.ProtoVersion, c.NumConns, c.Timeout = keyspace, 4, 1, 30*time.Second
	c.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1}
	s, err := c.CreateSession()
	check(w.t, err)
	return s
}

// block is a block of commands of a runbook's section.
func block(t *testing.T, page, section string, n int) string {
	t.Helper()
	_, text, found := strings.Cut(string(read(t, "../../docs/runbooks/"+page)), "\n## "+section+"\n")
	if !found {
		t.Fatalf("%s has no section %q", page, section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var blocks []string
	inside := false
	indent := ""
	for line := range strings.Lines(text) {
		bare := strings.TrimLeft(line, " ")
		switch {
		case !inside && strings.TrimSpace(line) == "```sh":
			inside, indent = true, line[:len(line)-len(bare)]
			blocks = append(blocks, "")
		case inside && strings.TrimSpace(line) == "```":
			inside = false
		case inside:
			blocks[len(blocks)-1] += strings.TrimPrefix(line, indent)
		}
	}
	if n >= len(blocks) {
		t.Fatalf("the section %q of %s has %d blocks of commands", section, page, len(blocks))
	}
	return blocks[n]
}

// nodetool puts a program of that name, for one node, into a folder.
func nodetool(t *testing.T, dir string, n *engines.Node) {
	t.Helper()
	argv, err := n.Nodetool()
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "nodetool"), fmt.Appendf(nil, "#!/bin/sh\nexec '%s' \"$@\"\n", strings.Join(argv, "' '")), 0o755))
}

// sh runs commands of a runbook, with the settings that it says they take, and returns what they say.
func (w *system) sh(env []string, script string) string {
	w.t.Helper()
	settings := []string{"PATH=" + w.path,
		"DSN=" + strings.TrimSuffix(w.engines[engines.Postgres].Addr(), "/postgres?sslmode=disable"),
		"BACKUP=" + filepath.Join(w.dir, "backup"), "DATA=" + w.engines[engines.Cassandra].Nodes[0].Data(), "TAG=tonight",
		"DB_CONN_STRING=" + w.engines[engines.Cassandra].Addr(), "DB_KEYSPACE=" + stack.Keyspace, "BANK_TIMEZONE=America/Toronto", "API=" + w.url}
	out, err := sh(w.t.Context(), w.dir, append(settings, env...), script)
	check(w.t, err)
	return out
}

// sh runs commands of a runbook, which end at the first that fails.
func sh(ctx context.Context, dir string, env []string, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s\n%w\n%s", script, err, out)
	}
	return string(out), err
}

// run runs a command of angelowl.
func (w *system) run(args ...string) string {
	w.t.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.t.Fatalf("angelowl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (w *system) try(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	return exec.CommandContext(ctx, w.program, append(args, "--data", w.data)...).Output()
}

func (w *system) status() (st ops.Status, err error) {
	out, err := w.try("status", "--json")
	if err == nil {
		err = json.Unmarshal(out, &st)
	}
	return st, err
}

// call sends a request as the sample admin.
func (w *system) call(method, path, body string, status int, header ...string) (http.Header, []byte) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	check(w.t, err)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := w.admin.Do(r)
	check(w.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	check(w.t, err)
	if res.StatusCode != status {
		w.t.Fatalf("%s %s: %s, want %d: %s", method, path, res.Status, status, b)
	}
	return res.Header, b
}

// user makes an account.
func (w *system) user(id string) {
	w.t.Helper()
	body := `{"id": %q, "first_name": "Nils", "last_name": "Later", "phone": "", "email": "nils.later@sample.example"}`
	if id == account {
		body = `{"id": %q, "first_name": "` + person[0] + `", "last_name": "` + person[1] + `", "email": "` + person[2] + `", "phone": "` + person[3] + `"}`
	}
	w.call("POST", "/user", fmt.Sprintf(body, id), http.StatusCreated)
}

func (w *system) campaign() (id, etag string, body map[string]any) {
	w.t.Helper()
	_, list := w.call("GET", "/campaign?page_size=1000", "", http.StatusOK)
	var page struct{ Data []map[string]any }
	check(w.t, json.Unmarshal(list, &page))
	for _, c := range page.Data {
		if c["name"] == changed {
			id = c["id"].(string)
		}
	}
	h, one := w.call("GET", "/campaign/"+id, "", http.StatusOK)
	var answer struct{ Data map[string]any }
	check(w.t, json.Unmarshal(one, &answer))
	return id, h.Get("ETag"), answer.Data
}

// setRate changes a campaign and waits until that is in force.
func (w *system) setRate(rate json.Number) {
	w.t.Helper()
	was, err := w.status()
	check(w.t, err)
	id, etag, body := w.campaign()
	body["reward_amount"] = rate
	b, err := json.Marshal(body)
	check(w.t, err)
	w.call("PUT", "/campaign/"+id, string(b), http.StatusOK, "If-Match: "+etag)
	await(w.t, "the change in force", func() bool {
		st, err := w.status()
		if err != nil || st.Rules == nil || st.Rules.Hash == was.Rules.Hash {
			return false
		}
		return !slices.ContainsFunc(st.Partitions, func(p ops.Partition) bool { return p.InForce == nil || p.InForce.Hash != st.Rules.Hash })
	})
}

// spend sends a file and waits until all of it is rewarded.
func (w *system) spend(file []byte) {
	w.t.Helper()
	w.put(file)
	w.uploads++
	await(w.t, "the rewards", func() bool {
		st, err := w.status()
		return err == nil && st.Lag == 0 && len(st.Uploads) == w.uploads && !slices.ContainsFunc(st.Uploads, func(u ops.Upload) bool { return u.FinishedAt.IsZero() })
	})
}

// put puts a file into the bucket of spend.
func (w *system) put(file []byte) {
	w.t.Helper()
	var r stack.Running
	check(w.t, json.Unmarshal(read(w.t, filepath.Join(w.data, stack.RunFile)), &r))
	var keys struct {
		Access string `json:"s3_access_key"`
		Secret string `json:"s3_secret_key"`
	}
	check(w.t, json.Unmarshal(read(w.t, filepath.Join(w.data, "bank.json")), &keys))
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(r.S3), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(keys.Access, keys.Secret, ""),
	})
	_, err := client.PutObject(w.t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(stack.SpendBucket), Key: aws.String("spend/" + uuid.NewString() + ".csv"), Body: bytes.NewReader(file),
	})
	check(w.t, err)
}

// rewards are all of some cards, as the API answers, by transaction.
func (w *system) rewards(cards []string) map[string]string {
	w.t.Helper()
	rows := map[string]string{}
	for _, card := range cards {
		_, b := w.call("GET", "/reward/"+card+"?page_size=1000", "", http.StatusOK)
		var page struct {
			Data []json.RawMessage
			Next string
		}
		check(w.t, json.Unmarshal(b, &page))
		if page.Next != "" {
			w.t.Fatalf("card %s has more than a page", card)
		}
		for _, row := range page.Data {
			var key struct{ ID string }
			check(w.t, json.Unmarshal(row, &key))
			rows[card+" "+key.ID] = string(row)
		}
	}
	return rows
}

// eraseListed does what the runbook does for all of the list.
func (w *system) eraseListed() {
	w.t.Helper()
	admin, err := samples.Of(w.data, token.Admin)
	check(w.t, err)
	_, b := w.call("POST", "/auth/login", fmt.Sprintf(`{"email": %q, "password": %q}`, admin.Email, admin.Password), http.StatusOK, "Content-Type: application/json")
	var session struct{ Data struct{ Token string } }
	check(w.t, json.Unmarshal(b, &session))
	if said := w.sh([]string{"ANGELOWL_TOKEN=" + session.Data.Token}, block(w.t, "erase-a-person.md", "Erase", 1)); !strings.HasPrefix(said, account+" 20") {
		w.t.Errorf("deleting the account says %q", said)
	}
	said := w.sh(nil, block(w.t, "erase-a-person.md", "Erase", 2))
	for card := range cards {
		if !strings.Contains(said, "erased the rewards of card "+card+"\n") {
			w.t.Errorf("erasing does not say that card %s is: %s", card, said)
		}
	}
	w.sh(nil, block(w.t, "erase-a-person.md", "Erase", 3))
	w.sh(nil, block(w.t, "erase-a-person.md", "Erase", 4))
}

// nothingOf looks through the stores for who was erased. Their cards' records in the log, which it counts,
// stay until its retention ends, and of their accounts and cards the ids.
func (w *system) nothingOf(after string) (logged int) {
	w.t.Helper()
	masks := slices.Collect(maps.Values(cards))
	ids := slices.Collect(maps.Keys(cards))
	look := func(where, text string, words ...[]string) {
		w.t.Helper()
		for _, word := range slices.Concat(words...) {
			if strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
				w.t.Errorf("after %s %s has %q", after, where, word)
			}
		}
	}
	look("profiler's database", w.sh(nil, `pg_dump "$DSN/profiler"`), person, masks)
	look("campaignex's database", w.sh(nil, `pg_dump "$DSN/campaignex"`), person, masks, ids, []string{account})

	s := w.cassandra(stack.Keyspace)
	defer s.Close()
	var table, row string
	seen := 0
	tables := s.Query("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", stack.Keyspace).Iter()
	for tables.Scan(&table) {
		rows := s.Query("SELECT JSON * FROM " + table).Iter()
		for rows.Scan(&row) {
			seen++
			look("Cassandra's "+table, row, person, masks, ids)
		}
		check(w.t, rows.Close())
	}
	check(w.t, tables.Close())
	if seen < 1000 {
		w.t.Errorf("Cassandra has %d rows: they were not all looked at", seen)
	}

	c, err := clientv3.New(clientv3.Config{Endpoints: []string{w.engines[engines.Etcd].Addr()}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	check(w.t, err)
	defer c.Close()
	keys, err := c.Get(w.t.Context(), "", clientv3.WithPrefix())
	check(w.t, err)
	if keys.Count < 10 {
		w.t.Errorf("etcd has %d keys", keys.Count)
	}
	for _, kv := range keys.Kvs {
		look("etcd", string(kv.Key)+string(kv.Value), person, masks, ids, []string{account})
	}

	segments, err := filepath.Glob(filepath.Join(w.data, stack.EnginesDir, string(engines.Kafka), "n1", "data", "transaction*", "*.log"))
	check(w.t, err)
	for _, segment := range segments {
		text := string(read(w.t, segment))
		look("the log", text, person)
		for _, mask := range masks {
			logged += strings.Count(text, mask)
		}
	}
	if logged == 0 {
		w.t.Error("the log has no record of the cards: it was not looked at")
	}
	return logged
}

// onDisk looks through the files of the rewards themselves.
func (w *system) onDisk(after string) {
	w.t.Helper()
	n := w.engines[engines.Cassandra].Nodes[0]
	argv, err := n.Tool("org.apache.cassandra.tools.SSTableExport")
	check(w.t, err)
	files, err := filepath.Glob(filepath.Join(n.Data(), stack.Keyspace, "rewards-*", "*-Data.db"))
	check(w.t, err)
	seen := 0
	for _, file := range files {
		out, err := exec.CommandContext(w.t.Context(), argv[0], append(argv[1:], file)...).Output()
		check(w.t, err)
		seen += bytes.Count(out, []byte(`"************`))
		for _, mask := range cards {
			if bytes.Contains(out, []byte(mask)) {
				w.t.Errorf("after %s the file %s has %q", after, filepath.Base(file), mask)
			}
		}
	}
	if seen < 500 {
		w.t.Errorf("the %d files of rewards have %d numbers of cards: they were not all looked at", len(files), seen)
	}
}

func same(t *testing.T, after string, want, got map[string]string) {
	t.Helper()
	missing := 0
	for key, row := range want {
		switch {
		case got[key] == "":
			missing++
		case got[key] != row:
			t.Errorf("after %s the reward %s is\n%s\nwas\n%s", after, key, got[key], row)
		}
	}
	if missing > 0 || len(got) != len(want) {
		t.Errorf("after %s %d of %d rewards are missing, and there are %d", after, missing, len(want), len(got))
	}
}

// columns of the file of spend, from the end: card_id, card_pan, card_type.
func field(row []byte, fromEnd int) string {
	all := strings.Split(strings.TrimSpace(string(row)), ",")
	if len(all) < fromEnd {
		return ""
	}
	return strings.Trim(all[len(all)-fromEnd], `"`)
}

// pan is a card's number in the file.
func pan(rows [][]byte, card string) string {
	for _, row := range rows {
		if field(row, 3) == card {
			return field(row, 2)
		}
	}
	return ""
}

// allCards are those of the file but the erased ones.
func allCards(rows [][]byte) []string {
	all := map[string]bool{}
	for _, row := range rows {
		if id := field(row, 3); uuid.Validate(id) == nil && cards[id] == "" {
			all[id] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	wait.Until(t, 200*time.Millisecond, limit, what, f)
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	check(t, err)
	return b
}
