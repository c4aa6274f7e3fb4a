// Package outage_test takes away what the system stands on, under load: the reward store for a time,
// the room on the disk.
package outage_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// Where the inputs are, from this folder.
const (
	rulesFile  = "../../examples/rules.json"
	quotesFile = "../../examples/quotes.csv"
	spendFile  = "../../examples/spend.csv"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if !testing.Short() {
		if code, ran := inOwnMounts(); ran {
			os.Exit(code)
		}
	}
	// A store that is out and a disk that is full are waited for, so more of them go at once than
	// there are processors.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set("3"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"), // sarama's, one a process
		goleak.Cleanup(func(code int) {
			if built != "" {
				_ = os.RemoveAll(filepath.Dir(built))
			}
			os.Exit(code)
		}))
}

var built string // the path of the program, once it was needed

// program builds angelowl.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "angelowl-outage-")
	if err != nil {
		return "", err
	}
	built = filepath.Join(dir, "angelowl")
	build := exec.Command("go", "build", "-o", built, "../cmd/angelowl")
	build.Stderr = os.Stderr
	return built, build.Run()
})
