package zombie_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Keys of Kafka's requests (kafka.apache.org/protocol).
const (
	keyProduce   = 0
	keyHeartbeat = 12
)

// wire lies between a client and the broker. Requests of two kinds can be held back on it, and with
// one all that follow it on its connection.
type wire struct {
	produce, heartbeat gate
	generation         atomic.Int32 // of the group, by the client's last heartbeat
}

// layWire serves until the test ends.
func layWire(t *testing.T, w *wire, broker string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer client.Close()
				server, err := net.Dial("tcp", broker)
				if err != nil {
					return
				}
				defer server.Close()
				serving.Go(func() {
					_, _ = io.Copy(client, server)
					_ = client.Close()
				})
				_ = w.requests(server, client)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// requests passes requests on, each its length in four bytes and then its key in two.
func (w *wire) requests(to io.Writer, from io.Reader) error {
	for {
		request := make([]byte, 4)
		if _, err := io.ReadFull(from, request); err != nil {
			return err
		}
		size := binary.BigEndian.Uint32(request)
		if size < 8 || size > 100<<20 {
			return errors.New("this is not Kafka's protocol")
		}
		request = append(request, make([]byte, size)...)
		if _, err := io.ReadFull(from, request[4:]); err != nil {
			return err
		}
		write := func() error {
			_, err := to.Write(request)
			return err
		}
		var err error
		switch binary.BigEndian.Uint16(request[4:]) {
		case keyProduce:
			err = w.produce.pass(write)
		case keyHeartbeat:
			w.generation.Store(generationOf(request[4:]))
			err = w.heartbeat.pass(write)
		default:
			err = write()
		}
		if err != nil {
			return err
		}
	}
}

// generationOf reads a heartbeat of version 4: key, version, correlation id, the client's id with
// its length before it, no tags; then the group's id with its length + 1 in one byte, and the
// generation. 0 is another version's.
func generationOf(request []byte) int32 {
	if binary.BigEndian.Uint16(request[2:]) != 4 {
		return 0
	}
	rest := request[8:]
	rest = rest[2+binary.BigEndian.Uint16(rest)+1:]
	rest = rest[rest[0]:]
	return int32(binary.BigEndian.Uint32(rest))
}
