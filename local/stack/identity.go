package stack

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	netmail "net/mail"
	"path/filepath"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"

	"github.com/angelowl-loyalties/app/authorizer"
	"github.com/angelowl-loyalties/app/ingestor/uploads"
	"github.com/angelowl-loyalties/app/local/gateway"
	"github.com/angelowl-loyalties/app/local/mailbox"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/mail/mailer"
	"github.com/angelowl-loyalties/app/loyalty/mail/smtp"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/angelowl-loyalties/app/profiler/keys"
	"github.com/angelowl-loyalties/app/profiler/password"
	"github.com/angelowl-loyalties/app/profiler/signin"
	publish "github.com/angelowl-loyalties/app/publish-single"
)

// mails is how many the mailbox keeps: a night's of all whom a laptop can have.
const mails = 20_000

// mailFrom is who writes to cardholders.
var mailFrom = netmail.Address{Name: "AngelOwl", Address: "rewards@bank.example"}

// passwords are judged and hashed as everywhere.
var passwords = profiler.Passwords{Hash: password.Hash, CheckPassword: password.Check, Random: password.Random}

// identity is what the services know callers by.
type identity struct {
	client   *http.Client
	verifier *token.Verifier // by the keys that profiler publishes, as on AWS
	secrets  map[string]config.Secret
}

func newIdentity(n network) *identity {
	id := &identity{client: n.client(), secrets: map[string]config.Secret{}}
	id.verifier = &token.Verifier{
		Party: token.DefaultParty, Clock: time.Now,
		Keys: token.NewRemote("http://profiler-internal/.well-known/jwks.json", id.client, time.Now),
	}
	for _, name := range []string{"campaignex", "informer", "publish-single", "rewarder", "uploads", "pet-rock", "passworder", "emailer"} {
		id.secrets[name] = config.NewSecret(rand.Text() + rand.Text()) // good until the next start
	}
	return id
}

// bearer says who calls.
func (id *identity) bearer() func(*http.Request) (web.Caller, error) { return web.Bearer(id.verifier) }

// profile asks profiler as one of the services.
func (id *identity) profile(service string) *profile.Client { return id.profileBy(service, id.client) }

func (id *identity) profileBy(service string, client *http.Client) *profile.Client {
	s := profile.Settings{Endpoint: "http://profiler", Internal: "http://profiler-internal", ClientSecret: id.secrets[service]}
	return s.Client(service, client, time.Now)
}

// startMail opens the mailbox, and a way to send mail to it.
func (s *Stack) startMail(ctx context.Context, log *slog.Logger) (mailer.Sender, error) {
	box, err := mailbox.Start(ctx, filepath.Join(s.Data, "mail"), log.With("service", "mail"), mailbox.Keep(mails))
	if err != nil {
		return nil, err
	}
	s.mail = box
	host, port, err := net.SplitHostPort(box.Addr())
	if err != nil {
		return nil, fmt.Errorf("finding the mailbox: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("finding the mailbox: %w", err)
	}
	return mailer.Open(ctx, &mailer.Settings{
		From: mailer.From{Address: mailFrom},
		Host: host, Port: config.Port(number), TLS: mailer.Mode(smtp.Plain), Timeout: 30 * time.Second, Connections: 4,
	}, time.Now)
}

// MailAddress is host:port of the mailbox, which takes mail by SMTP.
func (s *Stack) MailAddress() string { return s.mail.Addr() }

// clientAddressKey is what profiler shares with a portal behind a proxy.
func (s *Stack) clientAddressKey() config.Secret {
	return config.NewSecret(hex.EncodeToString(s.dataKey.Subkey("client address")))
}

// startProfiler starts profiler with sign-in, and makes the first admin if there is none.
func (s *Stack) startProfiler(ctx context.Context, g *errgroup.Group, n network, id *identity, sender mail.Sender, log *slog.Logger) error {
	ring, err := keys.File(filepath.Join(s.Data, "token-keys.pem"))
	if err != nil {
		return err
	}
	cfg := signin.DefaultConfig()
	cfg.PortalOrigin, cfg.Subkey, cfg.Zone = s.Portal, s.dataKey.Subkey("totp"), s.Timezone
	signIn, err := signin.New(cfg, signin.Deps{Store: s.accounts.SignIn(), Keys: ring, Mail: sender, Log: log, Clock: time.Now, Hasher: s.Hasher})
	if err != nil {
		return err
	}
	if err := signIn.EnsureServices(ctx, id.secrets); err != nil {
		return err
	}
	s.FirstPassword, _, err = profiler.FirstAdmin(ctx, s.accounts, s.Admin, passwords, time.Now())
	if err != nil {
		return fmt.Errorf("making the first admin: %w", err)
	}
	l, err := n.listen(ctx, "profiler")
	if err != nil {
		return err
	}
	internal, err := n.listen(ctx, "profiler-internal")
	if err != nil {
		return err
	}
	profilerConfig := profiler.DefaultConfig()
	profilerConfig.Portal = s.Portal
	g.Go(func() error {
		return profiler.Run(ctx, profilerConfig, profiler.Deps{
			Store: s.accounts, Etcd: s.Etcd, Listener: l, Internal: internal, Log: log, Clock: time.Now, Traces: s.Traces, DataKey: s.dataKey,
			Identify: web.Bearer(signIn.Verifier()), SignIn: signIn, Public: signin.PublicRoutes, Passwords: passwords,
			ClientAddress: web.ClientAddress{Key: s.clientAddressKey()},
		})
	})
	return nil
}

// startGateway makes the gateway of the file that AWS has, too. Close the publisher after it.
func (s *Stack) startGateway(n network, id *identity, files *uploads.Handler, extra http.Handler, log *slog.Logger) (*gateway.Gateway, *publish.Handler, error) {
	file, err := gateway.Built()
	if err != nil {
		return nil, nil, err
	}
	var routes []authorizer.Route
	for _, r := range file.Routes() {
		routes = append(routes, authorizer.Route(r))
	}
	auth, err := authorizer.New(authorizer.Config{Log: log.With("service", "authorizer")}, routes, id.verifier)
	if err != nil {
		return nil, nil, err
	}
	single, err := publish.New(publish.Config{Home: s.Home, Portal: s.Portal}, publish.Deps{
		Verifier: id.verifier, Profile: id.profile("publish-single"), Log: log.With("service", "publish-single"), Clock: time.Now, Traces: s.Traces,
		NewProducer: func(c *sarama.Config) (sarama.SyncProducer, error) { return sarama.NewSyncProducer(s.Brokers, c) },
	})
	if err != nil {
		return nil, nil, err
	}
	g, err := gateway.New(file, gateway.Config{
		Services:   map[string]string{"campaignex": n.socket("campaignex"), "profiler": n.socket("profiler"), "informer": n.socket("informer"), "rewarder": n.socket("rewarder")},
		Lambdas:    map[string]gateway.Lambda{"publish-single": single.Handle, "uploads": files.Handle},
		Authorizer: auth.Handle, PortalOrigin: s.Portal, Loopback: s.loopback(),
		Extra: extra, ExtraPaths: []string{"/", "/docs/", "/mail", "/mail/"},
		Log: log.With("service", "gateway"), Clock: time.Now,
	})
	if err != nil {
		return nil, nil, err
	}
	return g, single, nil
}

// loopback says whether only this machine reaches the gateway.
func (s *Stack) loopback() bool { return Loopback(s.Listen) }

// Loopback says whether only this machine reaches an address.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
