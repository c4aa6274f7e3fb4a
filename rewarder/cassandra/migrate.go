package cassandra

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/google/uuid"
)

//go:embed migrations/*.cql
var files embed.FS

// migration is a file of statements. Each can be run again (IF NOT EXISTS), for a rewarder may die
// between two of them; a file that was released is never changed.
type migration struct {
	version    int
	name       string
	checksum   string
	statements []string
}

const (
	// lockTTL is how long a rewarder that died keeps others from migrating.
	lockTTL = 2 * time.Minute

	// lockCheck is how often those who wait look.
	lockCheck = 250 * time.Millisecond

	// lagging is how many looks a schema may take to come to all nodes: 30 s.
	lagging = 120

	// ddlTimeout is for one change of the schema, which all nodes must know of.
	ddlTimeout = time.Minute
)

// migrations are those of the files, in order, for the tables that cfg names.
func migrations(files fs.FS, cfg rewarddb.Config) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.cql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []migration
	for i, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		base := strings.TrimSuffix(strings.TrimPrefix(name, "migrations/"), ".cql")
		number, title, _ := strings.Cut(base, "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s does not follow version %d", name, i)
		}
		sum := sha256.Sum256(text)
		m := migration{version: version, name: title, checksum: hex.EncodeToString(sum[:])}
		var code strings.Builder
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "--") {
				code.WriteString(line)
			}
		}
		named := strings.NewReplacer("{rewards}", cfg.Rewards(), "{by_day}", cfg.ByDay()).Replace(code.String())
		for s := range strings.SplitSeq(named, ";") {
			if s = strings.TrimSpace(s); s != "" {
				m.statements = append(m.statements, s)
			}
		}
		all = append(all, m)
	}
	return all, nil
}

// errLockLost says that another took the lock after lockTTL.
var errLockLost = errors.New("another rewarder took over the migration of the reward store")

// migrator brings a keyspace up to date. Several may be at work at once: one holds the lock, a
// static column that its owner's death expires, and the others wait for what it does.
type migrator struct {
	session *gocql.Session
	cfg     rewarddb.Config
	log     *slog.Logger
	holder  string
}

// migrate runs the migrations that the keyspace lacks.
func migrate(ctx context.Context, cfg rewarddb.Config, todo []migration, log *slog.Logger) error {
	slow := cfg
	slow.Timeout = ddlTimeout
	session, err := rewarddb.Open(ctx, slow, log)
	if err != nil {
		return err
	}
	defer session.Close()
	m := &migrator{session: session, cfg: cfg, log: log, holder: uuid.NewString()}
	if err := m.begin(ctx); err != nil {
		return rewarddb.Wrap("migrating the reward store", err)
	}
	for failed := 0; ; {
		done, err := m.step(ctx, todo)
		switch {
		case err == nil && done:
			return nil
		case err == nil || errors.Is(err, errLockLost):
			failed = 0
		case failed < lagging && (rewarddb.Passing(err) || behind(err)):
			failed++
			m.log.Warn("migrating the reward store again", "error", err)
		default:
			return rewarddb.Wrap("migrating the reward store", err)
		}
		if err := rewarddb.Pause(ctx, lockCheck); err != nil {
			return fmt.Errorf("migrating the reward store: %w", err)
		}
	}
}

// behind says whether a node may not know yet of a table that another has made: it has none of the
// name, or its replicas fail at it (INCOMPATIBLE_SCHEMA, UNKNOWN).
func behind(err error) bool {
	var (
		read  *gocql.RequestErrReadFailure
		write *gocql.RequestErrWriteFailure
	)
	return rewarddb.Missing(err) || errors.As(err, &read) || errors.As(err, &write)
}

// step runs what is left if nobody else does. It is done when nothing is.
func (m *migrator) step(ctx context.Context, todo []migration) (done bool, err error) {
	left, err := m.left(ctx, todo)
	if err != nil || len(left) == 0 {
		return err == nil, err
	}
	held, err := m.lock(ctx)
	if err != nil || !held {
		return false, err
	}
	err = m.run(ctx, todo)
	if !errors.Is(err, errLockLost) {
		err = errors.Join(err, m.unlock(ctx))
	}
	return false, err
}

// begin makes the table that has the lock. Two nodes that make one table at once, each for its
// client, would give it two ids and lose one's rows; so the id is given, a function of its name.
func (m *migrator) begin(ctx context.Context) error {
	id := uuid.NewSHA1(uuid.NameSpaceOID, []byte("angelowl "+m.cfg.Keyspace+".schema_migrations"))
	return m.change(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
		store text,
		version int,
		name text,
		checksum text,
		applied_at timestamp,
		holder text STATIC,
		PRIMARY KEY (store, version)
	) WITH id = `+id.String()+` AND comment = 'the versions of this keyspace, and who is changing it'`)
}

// change changes the schema and waits until all nodes know.
func (m *migrator) change(ctx context.Context, statement string) error {
	if err := rewarddb.Retry(ctx, func() error { return m.session.Query(statement).ExecContext(ctx) }); err != nil {
		first, _, _ := strings.Cut(statement, "\n")
		return fmt.Errorf("%s …: %w", first, err)
	}
	if err := m.session.AwaitSchemaAgreement(ctx); err != nil {
		return fmt.Errorf("waiting until all nodes have one schema: %w", err)
	}
	return nil
}

// left are the migrations that are not there.
func (m *migrator) left(ctx context.Context, todo []migration) ([]migration, error) {
	applied := map[int]string{}
	err := rewarddb.Retry(ctx, func() error {
		clear(applied)
		rows := m.session.Query("SELECT version, checksum FROM schema_migrations WHERE store = ?", rewarddb.Store).Consistency(gocql.Serial).IterContext(ctx)
		var (
			version  int
			checksum string
		)
		for rows.Scan(&version, &checksum) {
			applied[version] = checksum
		}
		return rows.Close()
	})
	if err != nil {
		return nil, fmt.Errorf("reading what was applied: %w", err)
	}
	var left []migration
	for _, t := range todo {
		switch was, ok := applied[t.version]; {
		case !ok:
			left = append(left, t)
		case was != t.checksum:
			return nil, fmt.Errorf("version %d (%s) is not the one of this release; was its file changed?", t.version, t.name)
		}
	}
	return left, nil
}

// lock takes the lock if nobody has it.
func (m *migrator) lock(ctx context.Context) (bool, error) {
	return m.hold(ctx, "IF holder = null")
}

// hold takes or keeps the lock for lockTTL.
func (m *migrator) hold(ctx context.Context, condition string, args ...any) (bool, error) {
	args = append([]any{int(lockTTL.Seconds()), m.holder, rewarddb.Store}, args...)
	q := m.session.Query("UPDATE schema_migrations USING TTL ? SET holder = ? WHERE store = ? "+condition, args...).Idempotent(false)
	was := map[string]any{}
	held, err := q.MapScanCASContext(ctx, was)
	return held || was["holder"] == m.holder, err // ours, where an answer was lost
}

func (m *migrator) unlock(ctx context.Context) error {
	_, err := m.session.Query("UPDATE schema_migrations SET holder = null WHERE store = ? IF holder = ?", rewarddb.Store, m.holder).
		Idempotent(false).MapScanCASContext(ctx, map[string]any{})
	return err
}

// run runs what is left, while it holds the lock.
func (m *migrator) run(ctx context.Context, todo []migration) error {
	left, err := m.left(ctx, todo) // the last holder may have done it
	if err != nil {
		return err
	}
	for _, one := range left {
		for _, statement := range one.statements {
			held, err := m.hold(ctx, "IF holder = ?", m.holder)
			if err != nil {
				return err
			}
			if !held {
				return errLockLost
			}
			if err := m.change(ctx, statement); err != nil {
				return fmt.Errorf("version %d (%s): %w", one.version, one.name, err)
			}
		}
		q := m.session.Query("UPDATE schema_migrations SET name = ?, checksum = ?, applied_at = toTimestamp(now()) WHERE store = ? AND version = ? IF holder = ?",
			one.name, one.checksum, rewarddb.Store, one.version, m.holder).Idempotent(false)
		switch held, err := q.MapScanCASContext(ctx, map[string]any{}); {
		case err != nil:
			return err
		case !held:
			return errLockLost
		}
		m.log.Info("migrated the reward store", "version", one.version, "name", one.name)
	}
	return nil
}
