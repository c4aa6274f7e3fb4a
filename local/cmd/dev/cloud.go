package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-lambda-go/events"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"golang.org/x/sync/errgroup"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/ingestor/uploads"
	"github.com/angelowl-loyalties/app/local/frontdoor"
	"github.com/angelowl-loyalties/app/local/gateway"
	"github.com/angelowl-loyalties/app/local/mailbox"
	"github.com/angelowl-loyalties/app/local/passwords"
	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

// addresses are host:port by name.
type addresses map[string]string

// UnmarshalText is encoding's.
func (a *addresses) UnmarshalText(text []byte) error {
	*a = addresses{}
	for part := range strings.SplitSeq(string(text), ",") {
		name, addr, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, _, err := net.SplitHostPort(addr); !ok || name == "" || err != nil {
			return errors.New("must be NAME=HOST:PORT, several with commas between")
		}
		(*a)[name] = addr
	}
	return nil
}

type cloudSettings struct {
	Home      loyalty.Currency `env:"HOME_CURRENCY" default:"SGD" help:"the bank's currency, ISO 4217"`
	Zone      *time.Location   `env:"BANK_TIMEZONE" default:"Asia/Singapore" help:"the bank's time zone"`
	Portal    web.Portal
	Data      string        `env:"DATA_DIR" help:"a folder for the objects of S3 and for mails"`
	Samples   string        `env:"SAMPLES_DIR,optional" help:"the folder in which seed notes the sample users"`
	Listen    string        `env:"GATEWAY_LISTEN" default:"127.0.0.1:8080" help:"where the gateway listens; nothing but this machine may reach it"`
	S3        string        `env:"S3_LISTEN" default:"127.0.0.1:9000" help:"where S3 listens; the same"`
	Lambda    string        `env:"LAMBDA_LISTEN" default:"127.0.0.1:9001" help:"where Lambda's API listens"`
	SMTP      string        `env:"SMTP_LISTEN" default:"127.0.0.1:1025" help:"where the mailbox takes mail"`
	Services  addresses     `env:"SERVICES" help:"the services that the gateway asks: NAME=HOST:PORT, with commas between"`
	Lambdas   addresses     `env:"LAMBDAS" help:"the emulators of the lambdas' programs: NAME=HOST:PORT, with commas between"`
	Reconcile time.Duration `env:"RECONCILE_EVERY" default:"15s" min:"1s" max:"1h" help:"the schedule of uploads, which is a minute on AWS"`
	Sweep     time.Duration `env:"SWEEP_EVERY" default:"5m" min:"1s" max:"1h" help:"the schedule of ingestor"`
	Nightly   time.Duration `env:"EMAILER_EVERY" default:"5m" min:"1s" max:"1h" help:"the schedule of emailer, between midnight and six of the bank"`
}

// programs are those of the lambdas.
var programs = []string{"authorizer", "emailer", "ingestor", "passworder", "pet-rock", "publish-single", "uploads"}

// mails is how many the mailbox keeps.
const mails = 20_000

// drain is how long requests under way may take at the end.
const drain = 10 * time.Second

// cloud serves until ctx ends.
func cloud(ctx context.Context, s *cloudSettings, log *slog.Logger) (err error) {
	named := func(name string) *slog.Logger { return log.With("part", name) }
	data, err := filepath.Abs(s.Data) // S3 changes the working directory
	if err != nil {
		return err
	}
	samplesDir := s.Samples
	if samplesDir != "" {
		if samplesDir, err = filepath.Abs(samplesDir); err != nil {
			return err
		}
	}
	lambdas := map[string]*emulator{}
	for _, name := range programs {
		lambdas[name] = newEmulator(name, s.Lambdas[name])
		defer lambdas[name].http.CloseIdleConnections()
	}
	front, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	defer front.Close()
	api, err := net.Listen("tcp", s.Lambda)
	if err != nil {
		return fmt.Errorf("listening for invocations: %w", err)
	}
	defer api.Close()
	box, err := mailbox.Start(ctx, filepath.Join(data, "mail"), named("mail"), mailbox.Keep(mails), mailbox.Listen(s.SMTP))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	queue, err := passwords.Open(filepath.Join(data, "first-passwords"), named("passworder"))
	if err != nil {
		return err
	}

	g, ctx := errgroup.WithContext(ctx)
	// What lambdas ask while the others come up.
	g.Go(func() error { return web.Serve(ctx, api, lambdaAPI(lambdas, queue, named("lambda")), drain) })
	g.Go(func() error { return queue.Run(ctx, lambdas["passworder"], 1) })
	g.Go(func() error {
		for _, name := range programs {
			if err := again(ctx, log, "the lambda "+name, lambdas[name].there); err != nil {
				return quiet(ctx, err)
			}
		}
		bucket, err := s.objects(ctx, data, lambdas, named("s3"))
		if err != nil {
			return quiet(ctx, err)
		}
		defer bucket.Close()
		return s.gateway(ctx, g, front, lambdas, box, samplesDir, named("gateway"))
	})
	return g.Wait()
}

// quiet is nil when it is the end that broke something off.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// objects starts S3, whose events invoke the ingestor and pet-rock.
func (s *cloudSettings) objects(ctx context.Context, data string, lambdas map[string]*emulator, log *slog.Logger) (*s3.Server, error) {
	aws, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the credentials: %w", err)
	}
	account, err := aws.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the credentials: %w", err)
	}
	// They know which objects have been dealt with, once there is a client.
	ready := make(chan struct{})
	var spend, users func(context.Context, string, string) (bool, error)
	done := func(which *func(context.Context, string, string) (bool, error)) func(context.Context, string, string) (bool, error) {
		return func(ctx context.Context, bucket, key string) (bool, error) {
			select {
			case <-ready:
				return (*which)(ctx, bucket, key)
			case <-ctx.Done():
				return false, ctx.Err()
			}
		}
	}
	tell := func(e *emulator) func(context.Context, []byte) error {
		return func(ctx context.Context, event []byte) error {
			_, err := e.Invoke(ctx, event)
			return err
		}
	}
	server, err := s3.Start(ctx, s3.Config{
		Dir: filepath.Join(data, "s3"), Addr: s.S3, AccessKey: account.AccessKeyID, SecretKey: account.SecretAccessKey,
		Buckets: []string{stack.ReportBucket}, Log: log,
		Notify: []s3.Notification{
			{Bucket: stack.SpendBucket, Deliver: tell(lambdas["ingestor"]), Done: done(&spend)},
			{Bucket: stack.UserBucket, Deliver: tell(lambdas["pet-rock"]), Done: done(&users)},
		},
	})
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*s3.Server, error) {
		server.Close()
		return nil, err
	}
	spendFiles, err := ingestor.New(ingestor.Config{Home: s.Home, ReportBucket: stack.ReportBucket}, ingestor.Deps{
		S3: server.Client(), Log: log, Clock: time.Now,
		NewProducer: func(*sarama.Config) (sarama.AsyncProducer, error) { return nil, errors.New("the lambda does that") },
	})
	if err != nil {
		return fail(err)
	}
	userFiles, err := newUserFiles(server, log)
	if err != nil {
		return fail(err)
	}
	spend, users = spendFiles.Done, userFiles
	close(ready)
	for _, bucket := range []string{stack.SpendBucket, stack.UserBucket} {
		if err := uploads.AllowPortal(ctx, server.Client(), bucket, s.Portal.Origin); err != nil {
			return fail(err)
		}
	}
	return server, nil
}

// gateway serves the gateway's file, and invokes what is scheduled, until ctx ends.
func (s *cloudSettings) gateway(ctx context.Context, g *errgroup.Group, front net.Listener, lambdas map[string]*emulator, box *mailbox.Box, samplesDir string, log *slog.Logger) error {
	file, err := gateway.Built()
	if err != nil {
		return err
	}
	var dialer net.Dialer
	services := &http.Transport{
		MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, _, _ := strings.Cut(addr, ":")
			return dialer.DialContext(ctx, network, s.Services[host])
		},
	}
	defer services.CloseIdleConnections()
	_, port, err := net.SplitHostPort(s.S3)
	if err != nil {
		return err
	}
	page := func(context.Context) frontdoor.Page {
		p := frontdoor.Page{Home: s.Home.String(), Addresses: []frontdoor.Address{{Name: "S3", Where: "http://127.0.0.1:" + port + "/" + stack.SpendBucket}}}
		if samplesDir == "" {
			return p
		}
		if all, err := samples.Load(samplesDir); err == nil {
			for _, a := range all {
				name := a.Email
				if a.Secret != "" {
					name = "client id " + a.ID
				}
				p.Samples = append(p.Samples, frontdoor.Account{Role: string(a.Role), Name: name})
			}
		}
		return p
	}
	extra, err := frontdoor.New(services, page, http.StripPrefix("/mail", box.Handler()), log)
	if err != nil {
		return err
	}
	gate, err := gateway.New(file, gateway.Config{
		Services: s.Services, Lambdas: proxied(lambdas),
		Authorizer:   gateway.Authorizer(call[events.APIGatewayCustomAuthorizerRequest, events.APIGatewayCustomAuthorizerResponse](lambdas["authorizer"])),
		PortalOrigin: s.Portal.Origin, Loopback: true,
		Extra: extra, ExtraPaths: []string{"/", "/docs/", "/mail", "/mail/"}, Log: log, Clock: time.Now,
	})
	if err != nil {
		return err
	}
	defer gate.Close()
	always := func(time.Time) bool { return true }
	night := func(now time.Time) bool { return now.In(s.Zone).Hour() < 6 }
	g.Go(func() error { return every(ctx, s.Reconcile, lambdas["uploads"], always, log) })
	g.Go(func() error { return every(ctx, s.Sweep, lambdas["ingestor"], always, log) })
	g.Go(func() error { return every(ctx, s.Nightly, lambdas["emailer"], night, log) })
	log.Info("everything serves", "address", front.Addr().String())
	return web.Serve(ctx, front, gate, drain)
}

// Check is config.Checker's.
func (s *cloudSettings) Check() (out []problem) {
	for _, name := range []string{"campaignex", "profiler", "informer"} {
		if s.Services[name] == "" {
			out = append(out, problem{Name: "SERVICES", Reason: "does not say where " + name + " is"})
		}
	}
	for _, name := range programs {
		if s.Lambdas[name] == "" {
			out = append(out, problem{Name: "LAMBDAS", Reason: "does not say where " + name + " is"})
		}
	}
	if s.Portal.Origin == "" {
		out = append(out, problem{Name: "PORTAL_ORIGIN", Reason: "is missing"})
	}
	slices.SortFunc(out, func(a, b problem) int { return strings.Compare(a.Reason, b.Reason) })
	return out
}
