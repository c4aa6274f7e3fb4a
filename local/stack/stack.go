// Package stack is the whole of AngelOwl in one process: the embedded engines, and on them the
// very services and lambdas that a bank deploys.
package stack

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/angelowl-loyalties/app/campaignex"
	campaignexdb "github.com/angelowl-loyalties/app/campaignex/postgres"
	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/local/disk"
	"github.com/angelowl-loyalties/app/local/frontdoor"
	"github.com/angelowl-loyalties/app/local/mailbox"
	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/angelowl-loyalties/app/profiler/password"
	profilerdb "github.com/angelowl-loyalties/app/profiler/postgres"
	"github.com/angelowl-loyalties/app/rewarder"
	"github.com/angelowl-loyalties/app/rewarder/ops"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

// Buckets of the embedded S3.
const (
	SpendBucket  = "angelowl-spend"
	UserBucket   = "angelowl-users"
	ReportBucket = "angelowl-reports"
)

// Config says which bank this is and where it keeps its data.
type Config struct {
	Data       string // a folder, made if need be; one process at a time
	Listen     string // the front door's address on loopback
	Home       loyalty.Currency
	Timezone   *time.Location
	Rewarders  int
	Partitions int                    // 0: as many as there are, or the default of a new log
	Native     bool                   // the real engines, as processes of their own; else embedded ones
	Portal     string                 // the portal's origin, "" for DefaultPortal: links in mails lead there, and its pages may call the API
	Admin      profiler.AdminSettings // the admin who is made where there is none; without an email nobody is
	Samples    bool                   // sample users of each role, for trying it out
	Throwaway  bool                   // nobody needs the data after the process: nothing waits for the disk
	// Hasher makes the hashes of first passwords that are mailed, and of those that take their place; nil: as
	// everywhere. A test of thousands of users takes a cheaper one.
	Hasher *password.Hasher
	// Traces records traces of all services, lambdas and rewarders; nil: nothing does.
	Traces *tracing.Provider
	// Progress is told how far a file has been read; nil: nobody is.
	Progress func(upload string, read, size int64)
	// Disk is told when the disk of Data is too full to go on, by a *disk.FullError, and by nil when
	// there is room again; nil: nobody is.
	Disk func(error)
}

// Stack is the running system.
type Stack struct {
	Config
	URL     string // of the front door
	Etcd    *clientv3.Client
	Brokers []string
	S3      *s3.Server
	Rewards RewardStore

	// FirstPassword is what was made up for the admin at this very start, or "".
	FirstPassword string

	campaigns  *campaignexdb.Store
	accounts   *profilerdb.Store // card types, too
	dataKey    profiler.DataKey
	mail       *mailbox.Box
	nightly    *nightly
	identity   *identity
	partitions int
	crew       *crew
	disk       *disk.Guard
	engines    []frontdoor.Address // beyond Kafka and etcd
	elsewhere  objects             // in place of S3, where that is another process's
	network    network
	sender     mail.Sender
}

// DefaultPortal is the portal's origin where nobody says another.
const DefaultPortal = "http://127.0.0.1:3000"

// ErrInUse says that another process has the data folder.
var ErrInUse = errors.New("another angelowl is using this folder")

// Run starts everything, calls body when all of it serves, and when body returns drains and stops
// everything. It returns body's error, or that of the part that failed first; body's context ends
// with such a failure and with ctx.
func Run(ctx context.Context, cfg Config, log *slog.Logger, body func(context.Context, *Stack) error) (err error) {
	data, err := filepath.Abs(cfg.Data) // the S3 server changes the working directory
	if err != nil {
		return fmt.Errorf("finding the data folder: %w", err)
	}
	cfg.Data = data
	cfg.Portal = cmp.Or(cfg.Portal, DefaultPortal)
	if err := os.MkdirAll(data, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	if cfg.Native { // PostgreSQL runs as another user where this one is root, and has to reach its folder
		if err := os.Chmod(data, 0o711); err != nil {
			return fmt.Errorf("making the data folder: %w", err)
		}
	}
	unlock, err := lock(filepath.Join(data, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := removeRun(data); err != nil { // of a process that was killed
		return err
	}
	front, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s (is another program there? --listen takes another address): %w", cfg.Listen, err)
	}
	defer front.Close()
	bank, err := sameBank(cfg)
	if err != nil {
		return err
	}
	s := &Stack{Config: cfg, URL: "http://" + front.Addr().String(), disk: disk.Start(data, cfg.Disk)}
	defer s.disk.Close()
	if err := s.disk.Check(); err != nil {
		return fmt.Errorf("nothing was started, for %w", err)
	}
	// Whatever ends it: if the disk is full, that is what a person needs to know.
	defer func() { err = s.disk.Explain(err) }()

	on, err := s.openEngines(ctx, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.close()) }()
	s.Etcd, s.Brokers, s.partitions, s.Rewards, s.engines = on.etcd, on.brokers, on.partitions, on.rewards, on.addresses
	if s.campaigns, err = campaignexdb.Open(ctx, on.sql[campaignexDatabase], time.Now); err != nil {
		return err
	}
	if s.accounts, err = profilerdb.Open(ctx, on.sql[profilerDatabase], time.Now); err != nil {
		return err
	}
	if s.dataKey, err = profiler.ParseDataKey(bank.DataKey); err != nil {
		return fmt.Errorf("%s is damaged: its data_key %w", filepath.Join(data, "bank.json"), err)
	}
	if err := s.samplesFitListen(ctx); err != nil {
		return err
	}
	sender, err := s.startMail(ctx, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sender.Close(), s.mail.Close()) }()
	// The services. They outlive body, so that a drain finds them at work.
	services, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, gctx := errgroup.WithContext(services)
	sockets, err := os.MkdirTemp("", "angelowl-") // short: a socket's path may have 104 characters
	if err != nil {
		return fmt.Errorf("making a folder for sockets: %w", err)
	}
	defer os.RemoveAll(sockets)
	n := network{sockets}
	s.network = n
	id := newIdentity(n)
	s.identity, s.sender = id, sender
	defer id.client.CloseIdleConnections()
	if err := s.services(gctx, g, n, id, sender, log); err != nil {
		stop()
		return errors.Join(err, g.Wait())
	}
	extra, err := frontdoor.New(id.client.Transport, s.page, http.StripPrefix("/mail", s.mail.Handler()), log.With("service", "frontdoor"))
	if err != nil {
		stop()
		return errors.Join(err, g.Wait())
	}
	users := newUserFiles()
	if s.S3, err = s.startS3(services, bank, users, log); err != nil {
		stop()
		return errors.Join(err, g.Wait())
	}
	defer s.S3.Close() // twice does no harm
	if err := s.startUsers(gctx, g, n, id, users, log); err != nil {
		stop()
		return errors.Join(err, g.Wait())
	}
	files, err := s.startUploads(gctx, id, log)
	if err != nil {
		stop()
		return errors.Join(err, g.Wait())
	}
	if !s.Throwaway { // nobody would read the reports
		g.Go(func() error { return s.reconcile(gctx, log) })
	}
	if err := s.startNightly(gctx, g, n, id, sender, log); err != nil {
		stop()
		return errors.Join(err, g.Wait())
	}
	gate, single, err := s.startGateway(n, id, files, extra, log)
	if err != nil {
		stop()
		return errors.Join(err, g.Wait())
	}
	defer func() {
		gate.Close()
		err = errors.Join(err, single.Close())
	}()
	g.Go(func() error { return web.Serve(gctx, front, s.room(gate), drain) })
	control, err := s.serveControl(gctx, g, log.With("service", "control"))
	if err != nil {
		stop()
		return errors.Join(err, g.Wait())
	}
	if err = writeRun(data, s.running(control)); err == nil {
		err = s.alive(ctx, gctx, on, body)
		err = errors.Join(err, removeRun(data))
	}
	s.nightly.close()
	s.S3.Close() // a file that is being read is read again at the next start
	stop()
	return errors.Join(err, g.Wait())
}

// drain is how long requests and rows under way may take at the end.
const drain = 10 * time.Second

// alive runs body until it returns, or a service or an engine in this process fails.
func (s *Stack) alive(ctx, services context.Context, on *engineSet, body func(context.Context, *Stack) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-ctx.Done():
		case <-services.Done():
			cancel(errors.New("a part of the system has stopped"))
		case err := <-on.etcdFailed:
			cancel(fmt.Errorf("etcd has stopped: %w", err))
		case err := <-on.rewardsFailed:
			cancel(err)
		}
	}()
	err := body(ctx, s)
	if cause := context.Cause(ctx); errors.Is(err, context.Canceled) && cause != nil {
		err = cause
	}
	cancel(nil)
	<-watched
	return err
}

// services starts the services.
func (s *Stack) services(ctx context.Context, g *errgroup.Group, n network, id *identity, sender mail.Sender, log *slog.Logger) error {
	named := func(name string) *slog.Logger { return log.With("service", name) }

	if err := s.startProfiler(ctx, g, n, id, sender, named("profiler")); err != nil {
		return err
	}
	l, err := n.listen(ctx, "campaignex")
	if err != nil {
		return err
	}
	g.Go(func() error {
		cfg := campaignex.DefaultConfig()
		cfg.Home, cfg.Location, cfg.Portal = s.Home, s.Timezone, s.Portal
		return campaignex.Run(ctx, cfg, campaignex.Deps{
			Store: s.campaigns, Etcd: s.Etcd, Listener: l, Log: named("campaignex"), Clock: time.Now, Traces: s.Traces,
			Identify: id.bearer(), Session: id.profile("campaignex").Session,
		})
	})
	l2, err := n.listen(ctx, "informer")
	if err != nil {
		return err
	}
	internal, err := n.listen(ctx, "informer-internal")
	if err != nil {
		return err
	}
	g.Go(func() error {
		return informer.Run(ctx, informer.Config{Home: s.Home, Timezone: s.Timezone, Portal: s.Portal}, informer.Deps{
			Store: s.Rewards, Listener: l2, Internal: internal, Log: named("informer"), Clock: time.Now, Traces: s.Traces,
			Identify: id.bearer(), Owner: profile.NewOwners(id.profile("informer").Card, time.Now).Owner,
		})
	})
	if s.crew, err = newCrew(ctx, s.Rewarders, func(ctx context.Context, name string, l net.Listener) error {
		return rewarder.Run(ctx, rewarder.Config{Brokers: s.Brokers, Group: Group, Name: name, Home: s.Home, CommitInterval: 100 * time.Millisecond},
			rewarder.Deps{Store: s.Rewards, Etcd: s.Etcd, Listener: l, Log: named(name), Clock: time.Now, Traces: s.Traces})
	}); err != nil {
		return err
	}
	g.Go(func() error { return s.crew.work(ctx) })
	return s.startOps(ctx, g, n, id, named("rewarder"))
}

// startOps serves what rewarders serve to admins. It is there while the rewarders are sent away.
func (s *Stack) startOps(ctx context.Context, g *errgroup.Group, n network, id *identity, log *slog.Logger) error {
	l, err := n.listen(ctx, "rewarder")
	if err != nil {
		return err
	}
	desk := ops.New(ops.Config{Home: s.Home, Group: Group, MaxRecords: ops.MaxRecords},
		ops.Deps{Etcd: s.Etcd, Kafka: s.kafka, Clock: time.Now})
	counted := metrics.New("service", "rewarder")
	web.MeasureCertificate(counted, l, time.Now)
	service := ops.Service{Desk: desk, Log: log, Meter: web.NewMeter(counted), Traces: s.Traces, Identify: id.bearer(), Session: id.profile("rewarder").Session, Portal: s.Portal}
	g.Go(func() error { return errors.Join(web.Serve(ctx, l, service.Handler(), drain), desk.Close()) })
	return nil
}

// Group is the rewarders' consumer group.
const Group = "rewarder"

// lock takes the folder for this process, until it ends, however it ends.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrInUse, filepath.Dir(path))
		}
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	return func() { f.Close() }, nil
}

// bankFile says for which bank a data folder was made, and holds the key of its S3.
type bankFile struct {
	Home      loyalty.Currency `json:"home_currency"`
	Timezone  string           `json:"timezone"`
	AccessKey string           `json:"s3_access_key"`
	SecretKey string           `json:"s3_secret_key"`
	DataKey   string           `json:"data_key"` // see profiler.DataKey
	Native    bool             `json:"real_engines,omitempty"`
}

// sameBank refuses a folder that was made for another home currency or time zone.
func sameBank(cfg Config) (bankFile, error) {
	path := filepath.Join(cfg.Data, "bank.json")
	var had bankFile
	switch b, err := os.ReadFile(path); {
	case errors.Is(err, os.ErrNotExist):
		had = bankFile{cfg.Home, cfg.Timezone.String(), rand.Text(), rand.Text(), newDataKey(), cfg.Native}
		if err := writeJSON(path, had); err != nil {
			return had, err
		}
	case err != nil:
		return had, fmt.Errorf("reading %s: %w", path, err)
	default:
		if err := json.Unmarshal(b, &had); err != nil {
			return had, fmt.Errorf("%s is damaged: restore it, or begin anew in another --data: %w", path, err)
		}
	}
	if had.Home != cfg.Home || had.Timezone != cfg.Timezone.String() {
		return had, fmt.Errorf("%s holds the data of a bank with home currency %s in %s, not %s in %s; say --home %s --timezone %s, or another --data",
			cfg.Data, had.Home, had.Timezone, cfg.Home, cfg.Timezone, had.Home, had.Timezone)
	}
	if had.Native != cfg.Native {
		return had, fmt.Errorf("%s holds the data of %s engines; say --engines %[2]s, or another --data", cfg.Data, enginesWord(had.Native))
	}
	if had.DataKey == "" { // the folder is from before there were accounts
		had.DataKey = newDataKey()
		if err := writeJSON(path, had); err != nil {
			return had, err
		}
	}
	return had, nil
}

func newDataKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key)
}

// enginesWord is what --engines calls them.
func enginesWord(native bool) string {
	if native {
		return "real"
	}
	return "embedded"
}
