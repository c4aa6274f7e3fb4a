//go:build unix

package engines

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/IBM/sarama"
)

// kafka is Apache Kafka in KRaft mode: each node is a broker and a controller.
type kafka struct{ java, lib string }

// clusterID and directories are names of KRaft's, 16 bytes in base64; they need only differ.
const clusterID = "QW5nZWxPd2xLYWZrYQAAAA"

var directories = []string{"QW5nZWxPd2wAAAAAAAAAAQ", "QW5nZWxPd2wAAAAAAAAAAg", "QW5nZWxPd2wAAAAAAAAAAw"}

func (kafka) ports() int           { return 2 } // the broker's, the controller's; a third is for those who sign in
func (kafka) stop() syscall.Signal { return syscall.SIGTERM }
func (kafka) early(string) bool    { return false }

func (kafka) addr(e *Engine, n *Node) string { return n.hostPort(0) }

func (k kafka) prepare(ctx context.Context, e *Engine, n *Node) error {
	nodes := len(e.Nodes)
	var quorum, voters []string
	for i, n := range e.Nodes {
		quorum = append(quorum, n.hostPort(1))
		voters = append(voters, fmt.Sprintf("%d@%s:%s", i+1, n.hostPort(1), directories[i]))
	}
	data := filepath.Join(n.dir, "data")
	conf := filepath.Join(n.dir, "server.properties")
	var signedIn string
	if n.tls != nil {
		signedIn = n.SignedIn()
	}
	err := render(conf, "server.properties", map[string]any{
		"ID": n.index + 1, "Data": data, "Quorum": strings.Join(quorum, ","),
		"Broker": n.hostPort(0), "Controller": n.hostPort(1),
		"Replicas": nodes, "InSync": nodes/2 + 1, "Alone": nodes == 1,
		"Secure": n.tls, "SignedIn": signedIn, "Node": n.dir,
	})
	if err != nil {
		return err
	}
	if err := copyConf(n.dir, "log4j2.properties"); err != nil {
		return err
	}
	if err := n.keystore(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(data, "meta.properties")); err == nil {
		return nil
	}
	// Formatting that was cut short is begun again.
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	format := append(k.jvm(n, "128m"), "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", conf)
	if nodes == 1 {
		format = append(format, "--standalone")
	} else {
		format = append(format, "--initial-controllers", strings.Join(voters, ","))
	}
	return run(ctx, command{argv: format}, n)
}

func (k kafka) command(e *Engine, n *Node) (command, error) {
	heap := "512m"
	if len(e.Nodes) > 1 {
		heap = "256m"
	}
	return command{argv: append(k.jvm(n, heap), "kafka.Kafka", filepath.Join(n.dir, "server.properties"))}, nil
}

// SignedIn is where clients of a Kafka with Options.Secure reach a node over TLS and say who they are, by
// SCRAM-SHA-512. At Addr they are the operator, who may do everything.
func (n *Node) SignedIn() string { return n.hostPort(2) }

// Command is the command line of one of Kafka's own commands, such as org.apache.kafka.tools.TopicCommand. Most are in
// a jar that the broker does not need and that is not installed with it: kafka-tools, of the broker's version.
func (n *Node) Command(class string, jars ...string) ([]string, error) {
	k, ok := n.e.engine.(kafka)
	if !ok {
		return nil, fmt.Errorf("%s has no commands", n.e.Kind)
	}
	argv := k.jvm(n, "128m")
	argv[len(argv)-1] = strings.Join(append(jars, argv[len(argv)-1]), string(os.PathListSeparator)) // the class path
	return append(argv, class), nil
}

func (k kafka) jvm(n *Node, heap string) []string {
	return append(jvm(k.java, heap), "-Dlog4j2.configurationFile="+filepath.Join(n.dir, "log4j2.properties"), "-cp", k.lib+"/*")
}

// jvm is a Java that starts soon and stays small: no second compiler, one thread of collection.
func jvm(java, heap string) []string {
	return []string{java, "-Xms" + heap, "-Xmx" + heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-XX:+ExitOnOutOfMemoryError", "-XX:+PerfDisableSharedMem", "-Djava.awt.headless=true"}
}

func (kafka) ready(ctx context.Context, e *Engine, n *Node) error {
	d := net.Dialer{}
	c, err := d.DialContext(ctx, "tcp", n.Addr) // sarama would log what is to be expected
	if err != nil {
		return err
	}
	_ = c.Close()
	cfg := sarama.NewConfig()
	cfg.ClientID = "angelowl-engines"
	b := sarama.NewBroker(n.Addr)
	if err := b.Open(cfg); err != nil {
		return err
	}
	defer b.Close()
	m, err := b.GetMetadata(&sarama.MetadataRequest{Version: 7})
	if err != nil {
		return err
	}
	if m.ControllerID < 0 || len(m.Brokers) < len(e.Nodes) {
		return fmt.Errorf("it knows %d of %d brokers", len(m.Brokers), len(e.Nodes))
	}
	return nil
}

// run does what a node needs before it starts; what it says goes to the node's log.
func run(ctx context.Context, c command, n *Node) error {
	p, err := spawn(c, n.dir, n.Log, false)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
		<-p.done
		return context.Cause(ctx)
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\nThe end of %s:\n%s", strings.Join(c.argv, " "), p.err, n.Log, tail(n.Log))
	}
	return nil
}

func render(file, name string, values any) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if err := configurations.ExecuteTemplate(f, name, values); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

func copyConf(dir, name string) error {
	in, err := files.Open("conf/" + name)
	if err != nil {
		return err
	}
	defer in.Close()
	b, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), b, 0o644)
}
