package stack

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/rewarder"
	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"
)

// Running says where the parts of a running stack are. It stands in RunFile, in the data folder,
// from when everything is up until it is stopped; a stack that was killed leaves it behind.
type Running struct {
	PID       int              `json:"pid"`
	Started   time.Time        `json:"started"`
	Home      loyalty.Currency `json:"home_currency"`
	Timezone  string           `json:"timezone"`
	URL       string           `json:"url"` // the front door
	Kafka     []string         `json:"kafka"`
	Etcd      []string         `json:"etcd"`
	S3        string           `json:"s3"`        // its keys are in bank.json
	Rewarders []Address        `json:"rewarders"` // of /health and /metrics
	Control   Control          `json:"control"`
}

// Address is where a part listens.
type Address struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// Control is what the commands of the same person steer the stack by: HTTP on loopback, open to
// whoever knows the token.
type Control struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

// RunFile is the name of the file in the data folder. Only its owner may read it.
const RunFile = "run.json"

func (s *Stack) running(c Control) Running {
	r := Running{
		PID: os.Getpid(), Started: time.Now().UTC(), Home: s.Home, Timezone: s.Timezone.String(), URL: s.URL,
		Kafka: s.Brokers, Etcd: s.Etcd.Endpoints(), S3: s.S3.Endpoint(),
		Control: c,
	}
	for _, m := range s.crew.members {
		r.Rewarders = append(r.Rewarders, Address{m.name, m.l.Addr().String()})
	}
	return r
}

func writeRun(data string, r Running) error {
	return writeJSON(filepath.Join(data, RunFile), r)
}

// writeJSON writes a file for its owner's eyes, whole or not at all.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(append(b, '\n'))
		if err == nil {
			err = f.Sync()
		}
		err = errors.Join(err, f.Close())
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func removeRun(data string) error {
	if err := os.Remove(filepath.Join(data, RunFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", RunFile, err)
	}
	return nil
}

// Backlog is how many rules of a service wait to be published, and how many are held back until a
// person has looked, since etcd has newer ones.
type Backlog struct {
	Service string `json:"service"`
	Waiting int64  `json:"waiting"`
	Held    int64  `json:"held"`
}

// Replay asks for partitions to be read again, each from an offset.
type Replay struct {
	To map[int32]int64 `json:"to"`
}

// Replayed says how far the rewarders were just after, before they went on.
type Replayed struct {
	Lag []rewarder.PartitionLag `json:"lag"`
}

// Nightly asks for the mails about rewards as of a day of the bank. Early: the day need not be over, nor
// all of its records rewarded. The answer is an emailer.Result.
type Nightly struct {
	Day   loyalty.Date `json:"day"`
	Early bool         `json:"early"`
}

// serveControl serves what needs this very process.
func (s *Stack) serveControl(ctx context.Context, g *errgroup.Group, log *slog.Logger) (Control, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return Control{}, fmt.Errorf("listening for the control commands: %w", err)
	}
	c := Control{l.Addr().String(), rand.Text()}
	r := web.New(log, web.WithIdentity(func(r *http.Request) (web.Caller, error) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+c.Token)) != 1 {
			return web.Caller{}, &web.Error{Status: http.StatusUnauthorized, Code: "unauthorized", Message: "the token is in " + RunFile}
		}
		return web.Caller{ID: "operator", Role: "admin"}, nil
	}))
	r.GET("/pid", func(c *gin.Context) { web.Data(c, http.StatusOK, os.Getpid()) })
	r.GET("/disk", func(c *gin.Context) {
		state, err := s.disk.State()
		if err != nil {
			web.Fail(c, err)
			return
		}
		web.Data(c, http.StatusOK, state)
	})
	r.GET("/outbox", func(c *gin.Context) {
		backlog, err := s.backlog(c.Request.Context())
		if err != nil {
			web.Fail(c, err)
			return
		}
		web.Data(c, http.StatusOK, backlog)
	})
	r.POST("/replay", func(c *gin.Context) {
		var ask Replay
		if err := web.Bind(c, &ask); err != nil {
			web.Fail(c, err)
			return
		}
		done, err := s.replay(c.Request.Context(), ask)
		if err != nil {
			// The person who asks owns all of this: the reason is for them.
			web.Fail(c, &web.Error{Status: http.StatusConflict, Code: "not_replayed", Message: err.Error()})
			return
		}
		web.Data(c, http.StatusOK, done)
	})
	r.POST("/nightly", func(c *gin.Context) {
		var ask Nightly
		if err := web.Bind(c, &ask); err != nil {
			web.Fail(c, err)
			return
		}
		done, err := s.nightly.run(c.Request.Context(), emailer.Event{Day: &ask.Day, Early: ask.Early, Again: !ask.Early})
		if err != nil {
			web.Fail(c, &web.Error{Status: http.StatusConflict, Code: "not_mailed", Message: err.Error()})
			return
		}
		web.Data(c, http.StatusOK, done)
	})
	s.serveErasing(r)
	g.Go(func() error { return web.Serve(ctx, l, r, drain) })
	return c, nil
}

func (s *Stack) backlog(ctx context.Context) ([]Backlog, error) {
	var out []Backlog
	for _, db := range []struct {
		name  string
		count func(context.Context) (waiting, held int64, err error)
	}{{"campaignex", s.campaigns.Backlog}, {"profiler", s.accounts.Backlog}} {
		waiting, held, err := db.count(ctx)
		if err != nil {
			return nil, fmt.Errorf("asking %s: %w", db.name, err)
		}
		out = append(out, Backlog{db.name, waiting, held})
	}
	return out, nil
}

// replay makes the rewarders read again. No member may be in the group while its offsets are set.
func (s *Stack) replay(ctx context.Context, ask Replay) (done Replayed, err error) {
	err = s.crew.without(ctx, func(ctx context.Context) error {
		client, err := s.kafka()
		if err != nil {
			return err
		}
		defer client.Close()
		if err := rewarder.ResetOffsets(ctx, client, Group, record.Topic, ask.To); err != nil {
			return err
		}
		done.Lag, err = rewarder.Lag(ctx, client, Group, record.Topic)
		return err
	})
	return done, err
}
