//go:build unix

package moto

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/local/pyvenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestInstalled is what make runs first, so that nothing is fetched in the middle of other tests.
func TestInstalled(t *testing.T) { pyvenv.For(t, "moto", 10, requirements) }

func TestStart(t *testing.T) {
	var ended string
	t.Run("answers", func(t *testing.T) {
		ended = Start(t)
		other := Start(t)
		if ended == other {
			t.Fatalf("both are at %s", other)
		}
		res, err := http.Get(ended + "/moto-api/data.json")
		if err != nil {
			t.Fatal(err)
		}
		defer http.DefaultClient.CloseIdleConnections()
		defer res.Body.Close()
		if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 || !strings.HasPrefix(string(body), "{") {
			t.Errorf("%d %.100s %v", res.StatusCode, body, err)
		}
	})
	if res, err := http.Get(ended); err == nil {
		res.Body.Close()
		t.Error("it answers after its test has ended")
	}
}
