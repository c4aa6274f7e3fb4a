package stack

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

// What Run starts ends with it: after each stop no goroutine is left of the engines nor of the
// services, whatever they have done meanwhile.
func TestRunLeavesNothingBehind(t *testing.T) {
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chdir(before) }) // the S3 server changes it
	inputs := filepath.Join(before, "../../examples")
	seed, err := ReadSeed(filepath.Join(inputs, "rules.json"), filepath.Join(inputs, "quotes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Home: loyalty.MustCurrency("CAD"), Timezone: zone, Rewarders: 2, Partitions: 3, Throwaway: true,
		Portal: "http://127.0.0.1:3000", Samples: true,
	}
	for _, tt := range []struct {
		name string
		body func(context.Context, *Stack) error
	}{
		{"stopped at once", func(context.Context, *Stack) error { return nil }},
		{"stopped when all is done", func(ctx context.Context, s *Stack) error {
			if err := s.Plant(ctx, seed); err != nil {
				return err
			}
			if _, err := s.AwaitRules(ctx); err != nil {
				return err
			}
			id := uuid.NewString()
			if err := s.Upload(ctx, id, filepath.Join(inputs, "spend.csv")); err != nil {
				return err
			}
			if _, err := s.AwaitReport(ctx, id); err != nil {
				return err
			}
			if err := s.AwaitRewarded(ctx, nil); err != nil {
				return err
			}
			cards, err := s.Cards(ctx, 1)
			if err != nil {
				return err
			}
			if _, err := s.SampleUsers(ctx); err != nil {
				return err
			}
			if err := s.SampleCards(ctx); err != nil {
				return err
			}
			user := http.Client{Transport: &samples.Transport{Data: s.Data, Role: token.User, Base: http.DefaultTransport}}
			res, err := user.Get(s.URL + "/reward/" + cards[0])
			if err != nil {
				return err
			}
			if res.StatusCode != http.StatusOK {
				return fmt.Errorf("the cardholder's own card: %s", res.Status)
			}
			return res.Body.Close()
		}},
		{"stopped in the middle of it", func(ctx context.Context, s *Stack) error {
			return s.Upload(ctx, uuid.NewString(), filepath.Join(inputs, "spend.csv"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// sarama's metrics have one for the whole process. The HTTP server under the S3 server has
			// one for the date, and looks every 10 s whether it was stopped.
			defer goleak.VerifyNone(t, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
				goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
				goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
			defer http.DefaultClient.CloseIdleConnections()
			if err := Run(t.Context(), cfg, slog.New(slog.DiscardHandler), tt.body); err != nil {
				t.Error(err)
			}
		})
	}
}
