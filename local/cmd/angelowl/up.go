package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/angelowl-loyalties/app/local/engines"
	"github.com/angelowl-loyalties/app/local/portal"
	"github.com/angelowl-loyalties/app/local/process"
	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

func upCommand(logger func() (*slog.Logger, error)) *cobra.Command {
	var (
		b         bank
		rules, fx string
		on        string
		cfg       stack.Config
		listen    string // the portal's
		without   bool
	)
	c := &cobra.Command{
		Use:   "up [FILE...]",
		Short: "Run everything on this machine until Ctrl-C",
		Long: `up runs every service in this process, on engines that need no server of their own, with its
state under --data: the next up goes on where this one was, however this one ended.

--rules and --fx are loaded when they are new or have changed since they were loaded last; what
has been edited since, through the API, stays as long as they have not. Loading adds and changes
rules and takes none away: end or delete a campaign through the API. The files of transactions
given are read once, too: what has been read before is not read again.

Whoever calls the API signs in. --sample-users makes one account of each role, for trying things
out; their passwords are printed at each start, and while they are there nobody beyond this machine
is let in. Without them the first admin is made of ADMIN_EMAIL and ADMIN_PASSWORD, or with a
password that is printed once; it has to be changed at the first sign-in. Mail goes nowhere: the
mailbox at /mail/ shows it. After each midnight of the bank cardholders get a mail that says what they
earned, and at the next start where nothing ran at midnight; angelowl nightly sends them at once.

The portal, for people with a browser, is a program of Node.js in ui/, built by ` + "`make portal`" + `. Where
Node.js is missing or it is not built, that is said and everything else runs.

256 MiB of the disk with the data stay free. With less, files and changes of the rules are refused
and no row is rewarded; nothing is lost, and when there is room again it goes on by itself.`,
		Example: "  angelowl up --home CAD --timezone America/Toronto --rules examples/rules.json --fx examples/quotes.csv examples/spend.csv",
	}
	b.flags(c)
	c.Flags().StringVar(&cfg.Data, "data", "./.angelowl", "the folder for the state")
	c.Flags().StringVar(&cfg.Listen, "listen", "127.0.0.1:8080", "where to listen; beyond this machine only without sample users, and behind something that speaks TLS")
	c.Flags().BoolVar(&cfg.Samples, "sample-users", false, "make a user of each role, for trying it out on this machine")
	c.Flags().StringVar(&listen, "portal", "127.0.0.1:3000", "where the portal listens")
	c.Flags().BoolVar(&without, "no-portal", false, "leave the portal out")
	c.Flags().StringVar(&cfg.Portal, "portal-origin", "", "the portal as browsers know it: links in mails lead there, and its pages may call the API (default http:// and --portal)")
	c.Flags().IntVar(&b.partitions, "partitions", 0, "partitions of a new log, 1 to 256, fixed for life (default 4)")
	c.Flags().StringVar(&rules, "rules", "", "rules to load: card types, campaigns, exclusions (JSON)")
	c.Flags().StringVar(&fx, "fx", "", "exchange rates to load: the ECB's history, .csv or .zip")
	c.Flags().StringVar(&on, "engines", "embedded", "what keeps the data: embedded, or real for Kafka, Cassandra, PostgreSQL and etcd as processes of their own")
	c.RunE = func(c *cobra.Command, files []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		if on != "embedded" && on != "real" {
			return usageError{fmt.Errorf("--engines %q is neither embedded nor real", on)}
		}
		cfg.Native = on == "real"
		if cfg.Home, cfg.Timezone, err = b.parse(); err != nil {
			return err
		}
		if err := address("--listen", cfg.Listen); err != nil {
			return err
		}
		if cfg.Samples && !stack.Loopback(cfg.Listen) {
			return usageError{fmt.Errorf("--listen %s could be reached from other machines, and the sample users of --sample-users must not be; listen on 127.0.0.1", cfg.Listen)}
		}
		if err := firstAdmin(&cfg); err != nil {
			return err
		}
		if b.partitions < 0 || b.partitions > 256 {
			return usageError{fmt.Errorf("--partitions %d is not between 1 and 256", b.partitions)}
		}
		cfg.Rewarders, cfg.Partitions = b.rewarders, b.partitions
		if err := address("--portal", listen); err != nil {
			return err
		}
		if cfg.Samples && !stack.Loopback(listen) {
			return usageError{fmt.Errorf("--portal %s could be reached from other machines, and the sample users of --sample-users must not be; say 127.0.0.1", listen)}
		}
		u := &up{out: c.OutOrStdout(), p: newProgress(c.ErrOrStderr()), log: log}
		if !without {
			if err := u.findPortal(c.Context(), listen); err != nil {
				return err
			}
		}
		cfg.Portal = cmp.Or(cfg.Portal, "http://"+cmp.Or(u.at, listen))
		defer u.p.clear()
		if err := u.read(rules, fx, files); err != nil {
			return err
		}
		cfg.Progress = func(_ string, read, size int64) { u.p.say(bar("reading", read>>10, size>>10, "KiB")) }
		cfg.Disk = tellOfDisk(u.p, c.ErrOrStderr())
		u.p.say("starting")
		if cfg.Native {
			u.p.say("starting Kafka, Cassandra, PostgreSQL and etcd")
			if err := engines.Install(c.Context(), u.p.say, engines.Kinds...); err != nil {
				return err
			}
		}
		err = stack.Run(c.Context(), cfg, log, u.body)
		u.p.clear()
		if err == nil {
			fmt.Fprintln(u.out, "Stopped. Everything is on disk.")
		}
		return err
	}
	return c
}

// up is one `angelowl up`.
type up struct {
	out   io.Writer
	p     *progress
	seed  stack.Seed
	print string // names the seed's content
	files []input
	log   *slog.Logger

	samples []samples.Account
	portal  *portal.Built
	at      string // where the portal listens
	opens   <-chan bool
	missing string // why there is no portal, or ""
}

// input is a file of transactions, which is known again by its content.
type input struct{ path, upload string }

// read looks at everything that was given, before anything starts.
func (u *up) read(rules, fx string, files []string) error {
	var err error
	if u.seed, err = stack.ReadSeed(rules, fx); err != nil {
		return err
	}
	for _, path := range []string{rules, fx} {
		if path == "" {
			continue
		}
		sum, err := sumOf(path)
		if err != nil {
			return err
		}
		u.print += sum
	}
	for _, path := range files {
		if err := stack.CheckFile(path); err != nil {
			return err
		}
		sum, err := sumOf(path)
		if err != nil {
			return err
		}
		full, err := filepath.Abs(path) // the stack changes the working directory
		if err != nil {
			return fmt.Errorf("finding %s: %w", path, err)
		}
		u.files = append(u.files, input{full, uuid.NewSHA1(uuid.NameSpaceOID, []byte("angelowl up file "+sum)).String()})
	}
	return nil
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading a file: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// findPortal sees that the portal can run, before anything starts.
func (u *up) findPortal(ctx context.Context, listen string) (err error) {
	if u.portal, err = portal.Find(ctx); errors.Is(err, portal.ErrMissing) {
		u.missing = err.Error()
		return nil
	} else if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("the portal cannot listen on %s (is another program there? --portal takes another address, --no-portal leaves it out): %w", listen, err)
	}
	u.at = l.Addr().String()
	return l.Close()
}

// startPortal starts the portal; stop ends it. u.opens hears when it answers, or that it never will.
func (u *up) startPortal(ctx context.Context, s *stack.Stack) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	opens := make(chan bool, 2)
	go func() {
		defer close(ended)
		cfg := portal.Config{Listen: u.at, Origin: s.Portal, API: s.URL, Uploads: s.S3.Endpoint(), Data: s.Data, Timezone: s.Timezone.String(), Home: s.Home.String()}
		err := u.portal.Run(ctx, cfg, u.log.With("service", "portal"), func() { opens <- true })
		if err != nil {
			u.p.clear()
			fmt.Fprintf(u.out, "%v\nEverything else runs; the next start tries again.\n", err)
		}
		opens <- false
	}()
	u.opens = opens
	return func() { cancel(); <-ended }
}

// body runs while everything is up.
func (u *up) body(ctx context.Context, s *stack.Stack) error {
	if u.portal != nil {
		defer u.startPortal(ctx, s)()
	}
	err := u.makeSamples(ctx, s)
	if err == nil {
		err = u.load(ctx, s)
	}
	if err == nil {
		err = u.accounts(ctx, s)
	}
	if err == nil {
		err = u.addresses(ctx, s)
	}
	if err == nil {
		<-ctx.Done()
	}
	// Ctrl-C is how this ends, whatever it was doing; anything else is an error.
	switch cause := context.Cause(ctx); {
	case ctx.Err() == nil:
		return err
	case !errors.Is(cause, context.Canceled):
		return cause
	}
	u.p.clear()
	fmt.Fprintln(u.out, "Stopping. A file that is being read is read on at the next start.")
	return nil
}

// load loads the rules and the files, and prints what was earned when there is something new.
func (u *up) load(ctx context.Context, s *stack.Stack) error {
	if err := u.plant(ctx, s); err != nil {
		return err
	}
	fresh, err := u.upload(ctx, s)
	if err != nil || len(u.files) == 0 {
		return err
	}
	if _, err := rulebook.Load(ctx, s.Etcd, s.Home); errors.Is(err, rulebook.ErrEmpty) {
		u.p.clear()
		fmt.Fprintln(u.out, "There are no rules yet: the rows wait until there are.")
		return nil
	}
	err = s.AwaitRewarded(ctx, func(left int64) {
		if left > 0 {
			fresh = true // a start that was cut short left it to this one
			u.p.say(fmt.Sprintf("rewarding: %d rows to go", left))
		}
	})
	if err != nil || !fresh {
		return err
	}
	u.p.clear()
	return u.earned(ctx, s)
}

// plant loads the rules unless these very ones were loaded last.
func (u *up) plant(ctx context.Context, s *stack.Stack) error {
	if u.print == "" {
		return nil
	}
	mark := filepath.Join(s.Data, "seed")
	if was, err := os.ReadFile(mark); err == nil && string(was) == u.print {
		return nil
	}
	u.p.say("loading the rules")
	if err := s.Plant(ctx, u.seed); err != nil {
		return err
	}
	if _, err := s.AwaitRules(ctx); err != nil {
		return err
	}
	if err := os.WriteFile(mark, []byte(u.print), 0o600); err != nil {
		return fmt.Errorf("noting which rules were loaded: %w", err)
	}
	return nil
}

// upload sends the files that have not been read yet, and says whether there were any.
func (u *up) upload(ctx context.Context, s *stack.Stack) (fresh bool, err error) {
	for _, f := range u.files {
		name := filepath.Base(f.path)
		r, err := s.Report(ctx, f.upload)
		if errors.Is(err, stack.ErrNoReport) {
			fresh = true
			if err := s.Upload(ctx, f.upload, f.path); err != nil {
				return fresh, err
			}
			if r, err = s.AwaitReport(ctx, f.upload); err != nil {
				return fresh, fmt.Errorf("reading %s: %w", name, err)
			}
			u.p.clear()
			fmt.Fprintf(u.out, "%s: %d rows read, %d accepted, %d refused\n", name, r.Rows.Read, r.Rows.Accepted, r.Rows.Refused)
		} else if err != nil {
			return fresh, err
		}
		if r.Error != "" {
			fmt.Fprintf(u.out, "%s: %s\n", name, r.Error)
		}
	}
	return fresh, nil
}

// earned prints what all cards have earned.
func (u *up) earned(ctx context.Context, s *stack.Stack) error {
	type line struct {
		unit  string
		rows  int
		units process.Sum
	}
	lines, outcomes := map[string]*line{}, map[loyalty.Outcome]int{}
	err := s.Rewards.All(ctx, func(r loyalty.Row) error {
		outcomes[r.Trace.Outcome]++
		l := lines[r.CardType]
		if l == nil {
			l = &line{unit: r.Trace.Unit, units: process.Sum{Value: new(big.Int), Digits: int(r.Trace.Decimals)}}
			lines[r.CardType] = l
		}
		if r.Trace.Outcome == loyalty.Rewarded {
			l.rows++
		}
		l.units.Value.Add(l.units.Value, big.NewInt(r.Units.Value))
		return nil
	})
	if err != nil {
		return err
	}
	letters := 0
	if err := s.DeadLetters(ctx, func(stack.DeadLetter) error { letters++; return nil }); err != nil {
		return err
	}
	tw := tabwriter.NewWriter(u.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nCARD TYPE\tEARNED\t\tREWARDED")
	types := make([]string, 0, len(lines))
	for t := range lines {
		types = append(types, t)
	}
	slices.Sort(types)
	for _, t := range types {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\n", t, process.Grouped(lines[t].units.String()), lines[t].unit, lines[t].rows)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(u.out, "%d rewarded, %d that no campaign fits, %d excluded, %d dead letters\n",
		outcomes[loyalty.Rewarded], outcomes[loyalty.NoCampaign], outcomes[loyalty.Excluded], letters)
	return nil
}

// makeSamples comes first: whoever waits for a file may look on already.
func (u *up) makeSamples(ctx context.Context, s *stack.Stack) (err error) {
	if s.Samples {
		u.samples, err = s.SampleUsers(ctx)
	}
	return err
}

// accounts prints who may sign in, as far as it was decided here.
func (u *up) accounts(ctx context.Context, s *stack.Stack) error {
	if s.FirstPassword != "" {
		fmt.Fprintf(u.out, "\nThe first admin is %s with the password %s\nIt is shown this once, has to be changed at the first sign-in, and expires in 7 days.\n", s.Admin.Email, s.FirstPassword)
	}
	if !s.Samples {
		return nil
	}
	if err := s.SampleCards(ctx); err != nil {
		return err
	}
	u.p.clear()
	fmt.Fprintln(u.out, "\nSAMPLE USERS, for this machine alone. Anybody who can read this screen can be any of them.")
	tw := tabwriter.NewWriter(u.out, 0, 0, 2, ' ', 0)
	for _, a := range u.samples {
		if a.Secret != "" {
			fmt.Fprintf(tw, "%s\tclient id %s\tclient secret %s\n", a.Role, a.ID, a.Secret)
			continue
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", a.Role, a.Email, a.Password)
	}
	return tw.Flush()
}

// defaultAdmin is the first admin's address where nobody says another.
const defaultAdmin = "admin@bank.example"

// firstAdmin reads who the first admin will be, where there are no sample users.
func firstAdmin(cfg *stack.Config) error {
	if cfg.Samples {
		return nil
	}
	var settings struct{ Admin profiler.AdminSettings }
	if _, err := config.Read(&settings, ""); err != nil {
		return usageError{err}
	}
	cfg.Admin = settings.Admin
	if cfg.Admin.Email == "" {
		cfg.Admin.Email = defaultAdmin
	}
	return nil
}

func (u *up) addresses(ctx context.Context, s *stack.Stack) error {
	cards, err := s.Cards(ctx, 1)
	if err != nil {
		return err
	}
	shown := false
	if u.portal != nil {
		u.p.say("starting the portal")
		select {
		case shown = <-u.opens:
		case <-ctx.Done():
			return ctx.Err()
		}
		u.p.clear()
	}
	if u.missing != "" {
		fmt.Fprintf(u.out, "\nThere is no portal at %s: %s.\n", s.Portal, u.missing)
	}
	tw := tabwriter.NewWriter(u.out, 0, 0, 2, ' ', 0)
	if shown {
		fmt.Fprintf(tw, "\nOpen\t%s\tthe portal: sign in\n\t%s\twhat else there is\n", s.Portal, s.URL)
	} else {
		fmt.Fprintf(tw, "\nOpen\t%s\n", s.URL)
	}
	for _, card := range cards {
		fmt.Fprintf(tw, "a card\t%s/reward/%s\n", s.URL, card)
	}
	fmt.Fprintf(tw, "the API\t%s\n", strings.Join([]string{s.URL + "/docs/profiler/index.html", "…/docs/campaignex/index.html", "…/docs/informer/index.html"}, " "))
	fmt.Fprintf(tw, "mail\t%s/mail/\n", s.URL)
	for _, a := range s.Addresses() {
		fmt.Fprintf(tw, "%s\t%s\n", a.Name, a.Where)
	}
	fmt.Fprintln(tw, "\nCtrl-C stops it; the data stay.")
	return tw.Flush()
}
