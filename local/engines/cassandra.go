//go:build unix

package engines

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// cassandra is Apache Cassandra.
type cassandra struct{ java, lib string }

func (cassandra) ports() int           { return 2 } // the clients', the other nodes'; a third is JMX's
func (cassandra) stop() syscall.Signal { return syscall.SIGTERM }
func (cassandra) early(string) bool    { return false }

func (cassandra) addr(e *Engine, n *Node) string { return n.hostPort(0) }

// tokens share the Murmur3 ring evenly.
var tokens = []string{"-9223372036854775808", "-3074457345618258603", "3074457345618258602"}

func (cassandra) prepare(_ context.Context, e *Engine, n *Node) error {
	var seeds []string
	for _, n := range e.Nodes {
		seeds = append(seeds, n.host)
	}
	if err := os.MkdirAll(filepath.Join(n.dir, "tmp"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"logback.xml", "tools.xml"} {
		if err := copyConf(n.dir, name); err != nil {
			return err
		}
	}
	if err := n.keystore(); err != nil {
		return err
	}
	return render(filepath.Join(n.dir, "cassandra.yaml"), "cassandra.yaml", map[string]any{
		"Secure": n.tls,
		"Token":  tokens[n.index], "Seeds": strings.Join(seeds, ","), "Host": n.host, "Port": n.ports[0], "StoragePort": n.ports[1],
		"Dir": n.dir, "Alone": len(e.Nodes) == 1,
	})
}

func (c cassandra) command(e *Engine, n *Node) (command, error) {
	heap := "512m"
	if len(e.Nodes) > 1 {
		heap = "384m"
	}
	jamm, err := filepath.Glob(filepath.Join(c.lib, "jamm-*.jar"))
	if err != nil || len(jamm) != 1 {
		return command{}, fmt.Errorf("%s has %d jamm-*.jar, not one; remove that folder and install again", c.lib, len(jamm))
	}
	argv := append(jvm(c.java, heap), "-Xss256k", "-XX:MaxDirectMemorySize=512m", "-javaagent:"+jamm[0])
	argv = append(argv, modules()...)
	if len(n.ports) > 2 {
		argv = append(argv, fmt.Sprintf("-Dcassandra.jmx.local.port=%d", n.ports[2]))
	}
	if len(e.Nodes) > 1 {
		// As a bank's nodes have it (.infra/modules/cassandra): they agree on roles from the start.
		argv = append(argv, fmt.Sprintf("-Dcassandra.system_auth.default_rf=%d", len(e.Nodes)))
	}
	tmp := filepath.Join(n.dir, "tmp")
	return command{argv: append(argv,
		"-Djdk.attach.allowAttachSelf=true", "-Djava.net.preferIPv4Stack=true", "-Dio.netty.tryReflectionSetAccessible=true",
		"-Djava.io.tmpdir="+tmp, "-Djna.tmpdir="+tmp,
		"-Dcassandra.config=file://"+filepath.Join(n.dir, "cassandra.yaml"),
		"-Dcassandra.storagedir="+n.dir, "-Dcassandra.logdir="+n.dir,
		"-Dlogback.configurationFile="+filepath.Join(n.dir, "logback.xml"),
		"-Dcassandra-foreground=yes", // with a dot it would close its standard output
		"-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=2000", "-Dcassandra.superuser_setup_delay_ms=0",
		"-cp", c.lib+"/*", "org.apache.cassandra.service.CassandraDaemon")}, nil
}

// Tool is the command line of one of Cassandra's own tools, which are programs of its jars, such as
// org.apache.cassandra.tools.NodeTool. What it writes beside what it is asked to goes to the node's folder.
func (n *Node) Tool(class string) ([]string, error) {
	c, ok := n.e.engine.(cassandra)
	if !ok {
		return nil, fmt.Errorf("%s has no tools", n.e.Kind)
	}
	argv := append(jvm(c.java, "128m"), modules()...)
	return append(argv, "-Duser.home="+n.dir, "-Djava.io.tmpdir="+filepath.Join(n.dir, "tmp"), "-Dcassandra.storagedir="+n.dir,
		"-Dcassandra.config=file://"+filepath.Join(n.dir, "cassandra.yaml"), "-Dlogback.configurationFile="+filepath.Join(n.dir, "tools.xml"),
		"-cp", c.lib+"/*", class), nil
}

// Nodetool is the command line of nodetool for a node that was started with Options.JMX; the arguments
// are to follow.
func (n *Node) Nodetool() ([]string, error) {
	if len(n.ports) < 3 {
		return nil, fmt.Errorf("%s was started without JMX", n.name())
	}
	argv, err := n.Tool("org.apache.cassandra.tools.NodeTool")
	return append(argv, "-h", "127.0.0.1", "-p", strconv.Itoa(n.ports[2])), err
}

// Data is the folder of Cassandra's data, with one for each keyspace.
func (n *Node) Data() string { return filepath.Join(n.dir, "data") }

// modules are the options that let Cassandra reach into Java.
func modules() (argv []string) {
	for _, p := range exports {
		argv = append(argv, "--add-exports", p+"=ALL-UNNAMED")
	}
	for _, p := range opens {
		argv = append(argv, "--add-opens", p+"=ALL-UNNAMED")
	}
	return argv
}

// exports and opens are those of Cassandra's own jvm17-server.options.
var exports = []string{
	"java.base/java.lang.ref", "java.base/jdk.internal.misc", "java.base/jdk.internal.ref", "java.base/sun.nio.ch",
	"java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server",
	"java.sql/java.sql", "jdk.unsupported/sun.misc",
}

var opens = []string{
	"java.base/java.io", "java.base/java.lang", "java.base/java.lang.module", "java.base/java.lang.reflect", "java.base/java.nio",
	"java.base/java.util", "java.base/java.util.concurrent", "java.base/java.util.concurrent.atomic",
	"java.base/jdk.internal.loader", "java.base/jdk.internal.math", "java.base/jdk.internal.module", "java.base/jdk.internal.ref",
	"java.base/jdk.internal.reflect", "java.base/jdk.internal.util.jar", "java.base/sun.nio.ch",
	"jdk.management/com.sun.management.internal",
}

func (cassandra) ready(ctx context.Context, e *Engine, n *Node) error {
	d := net.Dialer{}
	c, err := d.DialContext(ctx, "tcp", n.Addr) // the driver would log what is to be expected
	if err != nil {
		return err
	}
	_ = c.Close()
	cfg := gocql.NewCluster(n.host)
	cfg.Port = n.ports[0]
	cfg.ProtoVersion = 4
	cfg.DisableInitialHostLookup = true // this node alone is asked
	cfg.NumConns = 1
	if n.tls != nil {
		conf, err := n.clientTLS()
		if err != nil {
			return err
		}
		cfg.SslOpts = &gocql.SslOptions{Config: conf}
		cfg.Authenticator = gocql.PasswordAuthenticator{Username: "cassandra", Password: "cassandra"}
	}
	cfg.Logger = gocql.NewLogger(gocql.LogLevelNone) // what it says of a node that starts is known
	session, err := cfg.CreateSession()
	if err != nil {
		return err
	}
	defer session.Close()
	var status string
	up := 0
	rows := session.Query("SELECT status_with_port FROM system_views.gossip_info").IterContext(ctx)
	for rows.Scan(&status) {
		if strings.Contains(status, "NORMAL") {
			up++
		}
	}
	if err := rows.Close(); err != nil {
		return err
	}
	if up < len(e.Nodes) {
		return fmt.Errorf("it knows %d of %d nodes", up, len(e.Nodes))
	}
	return nil
}
