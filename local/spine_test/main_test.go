// Package spine_test runs the program angelowl as its users do, as a process of its own, and holds
// what it writes and answers against the files that went in and against the rules' slow twin.
package spine_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/loyalty"
)

// program is the path of the binary under test.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// A stack waits more than it works, so more of them run at once than there are processors.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set("6"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "angelowl-spine-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "angelowl")
	build := exec.Command("go", "build", "-o", program, "../cmd/angelowl")
	if os.Getenv("ANGELOWL_RACE") != "" { // the race detector looks into the program, not only into the test
		build.Args = slices.Insert(build.Args, 2, "-race")
		// It ends at the first race, or the kill that a test means would hide it.
		if err := os.Setenv("GORACE", "halt_on_error=1"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building angelowl:", err)
		return 1
	}
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Where the inputs are, from this folder.
const (
	rulesFile  = "../../examples/rules.json"
	quotesFile = "../../examples/quotes.csv"
	spendFile  = "../../examples/spend.csv"
	yearFile   = "../../../shared/data/spend_format_2019.csv.gz"
	ecbFile    = "../../../shared/data/eurofxref-hist.zip"
)

var home = loyalty.MustCurrency("CAD")

// toronto are the flags of the bank that the examples are of.
var toronto = []string{"--home", "CAD", "--timezone", "America/Toronto"}

// limit is how long one command may take before it counts as one that hangs.
var limit = func() time.Duration {
	if os.Getenv("ANGELOWL_LONG") != "" {
		return 10 * time.Minute // a long log is read again from its beginning
	}
	return 2 * time.Minute
}()

// outcome is how a command ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// angelowl runs a command to its end.
func angelowl(t *testing.T, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("angelowl %s hangs\n%s", strings.Join(args, " "), stderr.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// results are what a process has written.
type results struct {
	outcome
	dir     string
	rewards []byte
	refused []byte
	report  report
}

// report is report.json.
type report struct {
	HomeCurrency string `json:"home_currency"`
	RuleSet      string `json:"rule_set"`
	Files        []struct {
		File     string `json:"file"`
		Rows     int    `json:"rows"`
		Accepted int    `json:"accepted"`
		Refused  int    `json:"refused"`
		Error    string `json:"error"`
	} `json:"files"`
	Read       tally   `json:"read"`
	Rewarded   tally   `json:"rewarded"`
	NoCampaign tally   `json:"no_campaign"`
	Excluded   reasons `json:"excluded"`
	Refused    reasons `json:"refused"`
	Duplicates tally   `json:"duplicates"`
	Units      []units `json:"units"`
}

type units struct {
	CardType  string      `json:"card_type"`
	Programme string      `json:"programme"`
	Unit      string      `json:"unit"`
	Rows      int         `json:"rows"`
	Units     json.Number `json:"units"`
}

type tally struct {
	Rows  int                    `json:"rows"`
	Money map[string]json.Number `json:"money"`
}

type reasons struct {
	tally
	ByReason map[string]tally `json:"by_reason"`
}

// process runs `angelowl process` for Toronto with the example's rules. Args are the files, and
// what other flags there are.
func process(t *testing.T, fx string, args ...string) results {
	t.Helper()
	r := results{dir: filepath.Join(t.TempDir(), "out")}
	all := append([]string{"process", "--rules", rulesFile, "--fx", fx, "--out", r.dir}, toronto...)
	r.outcome = angelowl(t, append(all, args...)...)
	for name, to := range map[string]*[]byte{"rewards.jsonl": &r.rewards, "refused.csv": &r.refused} {
		b, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		*to = b
	}
	switch b, err := os.ReadFile(filepath.Join(r.dir, "report.json")); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		t.Fatal(err)
	default:
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&r.report); err != nil {
			t.Fatalf("report.json: %v", err)
		}
	}
	return r
}

// must is a process that has to account for every row.
func (r results) must(t *testing.T) results {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	if text := complaints(r.stderr); text != "" {
		t.Errorf("all is well, and yet it says %s", text)
	}
	return r
}

// complaints are what is on standard error beyond warnings: a machine that is very busy may make
// one part of the system wait for another, and that is told.
func complaints(stderr string) string {
	var out strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.Contains(line, " level=WARN ") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// money are sums by currency.
type money map[string]*big.Rat

func (m money) add(currency string, amount *big.Rat) {
	if m[currency] == nil {
		m[currency] = new(big.Rat)
	}
	m[currency].Add(m[currency], amount)
}

func (m money) addAll(o money) {
	for c, v := range o {
		m.add(c, v)
	}
}

func (y tally) sums(t *testing.T) money {
	t.Helper()
	m := money{}
	for c, n := range y.Money {
		m.add(c, number(t, n.String()))
	}
	return m
}

func number(t *testing.T, text string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is not a number", text)
	}
	return r
}

// sameMoney compares sums; a currency with nothing in it may be left out.
func sameMoney(t *testing.T, what string, got, want money) {
	t.Helper()
	zero := new(big.Rat)
	of := func(m money, c string) *big.Rat {
		if m[c] == nil {
			return zero
		}
		return m[c]
	}
	for _, m := range []money{got, want} {
		for c := range m {
			if g, w := of(got, c), of(want, c); g.Cmp(w) != 0 {
				t.Errorf("%s: %s %s, want %s", what, c, g.FloatString(4), w.FloatString(4))
			}
		}
	}
}

// accounts holds that a report's parts are its whole, in rows and in money.
func accounts(t *testing.T, r report) {
	t.Helper()
	rows, sum := 0, money{}
	for _, part := range []tally{r.Rewarded, r.NoCampaign, r.Excluded.tally, r.Refused.tally, r.Duplicates} {
		rows += part.Rows
		sum.addAll(part.sums(t))
	}
	if rows != r.Read.Rows {
		t.Errorf("read %d rows, and %d in the parts", r.Read.Rows, rows)
	}
	sameMoney(t, "the parts of what was read", sum, r.Read.sums(t))
	for name, whole := range map[string]reasons{"excluded": r.Excluded, "refused": r.Refused} {
		rows, sum := 0, money{}
		for _, part := range whole.ByReason {
			rows += part.Rows
			sum.addAll(part.sums(t))
		}
		if rows != whole.Rows {
			t.Errorf("%s: %d rows, and %d by reason", name, whole.Rows, rows)
		}
		sameMoney(t, name+" by reason", sum, whole.sums(t))
	}
}

// records reads a CSV file into maps by column.
func records(t *testing.T, file []byte) []map[string]string {
	t.Helper()
	all, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("the file is empty")
	}
	out := make([]map[string]string, 0, len(all)-1)
	for _, record := range all[1:] {
		row := make(map[string]string, len(record))
		for i, v := range record {
			row[all[0][i]] = v
		}
		out = append(out, row)
	}
	return out
}

// write writes a file for a test.
func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lines are the lines of a file, each with its end.
func lines(file []byte) []string { return slices.Collect(strings.Lines(string(file))) }
