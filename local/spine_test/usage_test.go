package spine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	data := filepath.Join(dir, "data")
	process := func(args ...string) []string {
		return append([]string{"process", "--rules", rulesFile, "--out", out}, args...)
	}
	up := func(args ...string) []string { return append([]string{"up", "--data", data}, args...) }
	for name, c := range map[string]struct {
		args []string
		says string // what has to be named
	}{
		"a command that is not there":    {[]string{"proces"}, `"proces"`},
		"a flag that is not there":       {[]string{"--verbose"}, "--verbose"},
		"a flag that process lacks":      {process("--listen", "127.0.0.1:0", spendFile), "--listen"},
		"a flag that up lacks":           {up("--out", out), "--out"},
		"a flag without its value":       {[]string{"process", "--out"}, "--out"},
		"a word for a number":            {process("--partitions", "four", spendFile), "--partitions"},
		"no files":                       {process(), "files"},
		"no --out":                       {[]string{"process", "--rules", rulesFile, spendFile}, "--out"},
		"no --rules":                     {[]string{"process", "--out", out, spendFile}, "--rules"},
		"no partition":                   {process("--partitions", "0", spendFile), "--partitions"},
		"too many partitions":            {process("--partitions", "257", spendFile), "--partitions"},
		"no rewarder":                    {process("--rewarders", "0", spendFile), "--rewarders"},
		"too many rewarders":             {up("--rewarders", "65"), "--rewarders"},
		"a level nobody logs at":         {process("--log", "loud", spendFile), "--log"},
		"process: no such currency":      {process("--home", "CAN", spendFile), `"CAN"`},
		"process: no such zone":          {process("--timezone", "Toronto", spendFile), `"Toronto"`},
		"process: the machine's zone":    {process("--timezone", "Local", spendFile), `"Local"`},
		"process: no zone":               {process("--timezone", "", spendFile), "--timezone"},
		"process: a zone that is a path": {process("--timezone", "../../etc/passwd", spendFile), "--timezone"},
		"up: no such currency":           {up("--home", ""), "--home"},
		"up: no such zone":               {up("--timezone", "Mars/Olympus"), `"Mars/Olympus"`},
		"up: partitions below 0":         {up("--partitions", "-1"), "--partitions"},
		"up: all addresses":              {up("--sample-users", "--listen", "0.0.0.0:8080"), "other machines"},
		"up: all addresses, unsaid":      {up("--sample-users", "--listen", ":8080"), "other machines"},
		"up: all addresses of IPv6":      {up("--sample-users", "--listen", "[::]:8080"), "other machines"},
		"up: a name":                     {up("--sample-users", "--listen", "angelowl.example:8080"), "other machines"},
		"up: an address of the network":  {up("--sample-users", "--listen", "192.168.1.10:8080"), "other machines"},
		"up: no port":                    {up("--listen", "127.0.0.1"), "--listen"},
		"up: an empty port":              {up("--listen", "127.0.0.1:"), "--listen"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := angelowl(t, c.args...)
			if got.code != 2 {
				t.Errorf("angelowl %s exits with %d, want 2", strings.Join(c.args, " "), got.code)
			}
			if !strings.Contains(got.stderr, c.says) || got.stdout != "" {
				t.Errorf("it says\n%s\nand on standard output\n%s\nand does not name %s", got.stderr, got.stdout, c.says)
			}
		})
	}
	t.Cleanup(func() {
		for _, path := range []string{out, data} {
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("wrong usage leaves %s behind: %v", path, err)
			}
		}
	})

	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"nothing":              {nil, "process"},
		"--help":               {[]string{"--help"}, "process"},
		"help":                 {[]string{"help"}, "process"},
		"help process":         {[]string{"help", "process"}, "--out"},
		"process --help":       {[]string{"process", "--help"}, "refused.csv"},
		"up --help":            {[]string{"up", "--help"}, "--listen"},
		"--version":            {[]string{"--version"}, "angelowl"},
		"--help wins a mixup":  {[]string{"process", "--home", "CAN", "--help"}, "--home"},
		"completion for shell": {[]string{"completion", "bash"}, "complete"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := angelowl(t, c.args...)
			if got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, c.says) {
				t.Errorf("angelowl %s exits with %d and says %s\n%s", strings.Join(c.args, " "), got.code, got.stderr, got.stdout)
			}
		})
	}
}

// What cannot be opened or read is no wrong usage; it is found before anything starts.
func TestInputsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rules := func(text string) string { return write(t, "rules.json", []byte(text)) }
	full := func(rules, fx string, files ...string) []string {
		return append([]string{"process", "--out", filepath.Join(dir, "out"), "--rules", rules, "--fx", fx}, files...)
	}
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"no such file":            {full(rulesFile, quotesFile, "nowhere.csv"), []string{"nowhere.csv"}},
		"no such file among some": {full(rulesFile, quotesFile, spendFile, "nowhere.csv"), []string{"nowhere.csv"}},
		"a folder for a file":     {full(rulesFile, quotesFile, dir), []string{dir, "folder"}},
		"a device for a file":     {full(rulesFile, quotesFile, os.DevNull), []string{os.DevNull, "regular"}},
		"no such rules":           {full("nowhere.json", quotesFile, spendFile), []string{"nowhere.json"}},
		"no such quotes":          {full(rulesFile, "nowhere.zip", spendFile), []string{"nowhere.zip"}},
		"rules that are no JSON":  {full(spendFile, quotesFile, spendFile), []string{"spend.csv", "JSON"}},
		"quotes that are none":    {full(rulesFile, spendFile, spendFile), []string{"spend.csv"}},
		"a field of no rule":      {full(rules(`{"campaign": []}`), quotesFile, spendFile), []string{"campaign"}},
		"a campaign that ends before it starts": {full(rules(`{"campaigns": [{"name": "n", "reward_program": "p", "reward_amount": 1,
			"start_date": "2019-02-01", "end_date": "2019-01-31", "mcc": "0"}]}`), quotesFile, spendFile), []string{"campaigns[0].end_date"}},
		"a negative rate": {full(rules(`{"campaigns": [{"name": "n", "reward_program": "p", "reward_amount": -1,
			"start_date": "2019-02-01", "end_date": "2019-03-31", "mcc": "0"}]}`), quotesFile, spendFile), []string{"campaigns[0].reward_amount"}},
		"a range backwards": {full(rules(`{"campaigns": [{"name": "n", "reward_program": "p", "reward_amount": 1,
			"start_date": "2019-02-01", "end_date": "2019-03-31", "mcc": "3999-3500"}]}`), quotesFile, spendFile), []string{"campaigns[0].mcc"}},
		"up: no such file": {append([]string{"up", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--rules", rulesFile}, "nowhere.csv"), []string{"nowhere.csv"}},
		"up: a folder":     {append([]string{"up", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--rules", rulesFile}, dir), []string{dir, "folder"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := angelowl(t, c.args...)
			if got.code != 1 || got.stdout != "" {
				t.Errorf("exit code %d, want 1\n%s%s", got.code, got.stdout, got.stderr)
			}
			for _, s := range c.says {
				if !strings.Contains(got.stderr, s) {
					t.Errorf("it says %q and does not name %s", got.stderr, s)
				}
			}
		})
	}
	t.Cleanup(func() {
		for _, name := range []string{"out", "data"} {
			if _, err := os.Stat(filepath.Join(dir, name)); !os.IsNotExist(err) {
				t.Errorf("%s is left behind", name)
			}
		}
	})
}
