//go:build unix

package engines

import (
	"net"
	"strconv"
	"testing"
)

func TestEnginesThatStartAtTheSameTimeGetPortsOfTheirOwn(t *testing.T) {
	had := map[int]bool{}
	for range 200 {
		ports, err := freePorts(3, []string{"127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range ports {
			if had[p] {
				t.Errorf("port %d was given twice", p)
			}
			had[p] = true
			if reserve(p) {
				t.Errorf("port %d can be had again", p)
			}
		}
	}
}

func TestAPortThatIsJustBeingClosedIsWaitedFor(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	if free("127.0.0.1", port) == nil {
		t.Fatal("it is free while somebody listens")
	}
	closed := make(chan struct{})
	waits := make(chan error, 1)
	go func() {
		<-closed
		waits <- freed(t.Context(), "127.0.0.1", port)
	}()
	close(closed)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err != nil {
		t.Error(err)
	}
}
