package spine_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/golden.json anew")

// golden names the results of the example, on whatever machine they are made.
type golden struct {
	RuleSet string `json:"rule_set"`
	Rewards string `json:"rewards.jsonl"` // SHA-256, like the next
	Refused string `json:"refused.csv"`
}

func TestTwoRunsGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	runs := map[string][]string{
		"one of each":               {"--partitions", "1", "--rewarders", "1"},
		"7 partitions, 3 rewarders": {"--partitions", "7", "--rewarders", "3"},
	}
	got := map[string]golden{}
	for name, flags := range runs {
		r := process(t, quotesFile, append(flags, spendFile)...).must(t)
		accounts(t, r.report)
		if n := bytes.Count(r.rewards, []byte("\n")); n != 1162 {
			t.Errorf("%s: %d rewards, want 1162", name, n)
		}
		got[name] = golden{r.report.RuleSet, sum(r.rewards), sum(r.refused)}
	}
	path := filepath.Join("testdata", "golden.json")
	if *update {
		b, err := json.MarshalIndent(got["one of each"], "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var want golden
	if err := json.Unmarshal(read(t, path), &want); err != nil {
		t.Fatal(err)
	}
	for name, g := range got {
		if g != want {
			t.Errorf("%s: %+v, want %+v; after a change that was meant, go test ./local/spine_test -run SameBytes -update", name, g, want)
		}
	}
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
