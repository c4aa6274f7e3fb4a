package zombie_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/angelowl-loyalties/app/local/pebble"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/rewarder"
)

// gate lets things through, or holds them until it is opened.
type gate struct {
	mu     sync.Mutex
	closed chan struct{} // nil: the gate is open

	came, held, late atomic.Int64 // all that came; those that wait; those that had to wait and went through
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed == nil {
		g.closed = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		close(g.closed)
		g.closed = nil
	}
}

// pass does what comes, when it may.
func (g *gate) pass(do func() error) error {
	g.came.Add(1)
	g.mu.Lock()
	closed := g.closed
	g.mu.Unlock()
	if closed == nil {
		return do()
	}
	g.held.Add(1)
	<-closed
	err := do()
	g.held.Add(-1)
	g.late.Add(1)
	return err
}

// bridge is the reward store for another process, call by call. What rewards are written can be
// held back.
type bridge struct {
	store  *pebble.Store
	writes gate
}

// serveStore serves the bridge until the test ends.
func serveStore(t *testing.T, b *bridge) (addr string) {
	t.Helper()
	server := rpc.NewServer()
	if err := server.RegisterName("Store", b); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { server.ServeConn(conn) }) // until the other end closes it
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// The arguments of the store's methods. A row goes as its JSON: a Row embeds a Reward, which would
// take the position out of its own.
type (
	Opening struct {
		Name, ID   string
		Partitions int32
	}
	First struct {
		Incarnation int64
		Partition   int32
		Marker      record.Marker
	}
	At struct {
		Position loyalty.Position
		Marker   record.Marker
	}
	Before struct {
		Marker record.Marker
		Offset int64
	}
	Row struct {
		JSON     []byte
		Position loyalty.Position
	}
)

func (b *bridge) OpenTopic(a Opening, out *int64) (err error) {
	*out, err = b.store.OpenTopic(context.Background(), a.Name, a.ID, a.Partitions)
	return err
}

func (b *bridge) PutParts(parts []rules.Part, _ *bool) error {
	return b.store.PutParts(context.Background(), parts)
}

func (b *bridge) Part(hash loyalty.Hash, out *[]byte) (err error) {
	*out, err = b.store.Part(context.Background(), hash)
	return err
}

func (b *bridge) FixFirst(a First, out *record.Marker) (err error) {
	*out, err = b.store.FixFirst(context.Background(), a.Incarnation, a.Partition, a.Marker)
	return err
}

func (b *bridge) PutMarker(a At, _ *bool) error {
	return b.writes.pass(func() error { return b.store.PutMarker(context.Background(), a.Position, a.Marker) })
}

func (b *bridge) MarkerBefore(at loyalty.Position, out *Before) (err error) {
	out.Marker, out.Offset, err = b.store.MarkerBefore(context.Background(), at)
	return err
}

func (b *bridge) PutRewards(rows []Row, _ *bool) error {
	in := make([]loyalty.Row, len(rows))
	for i, r := range rows {
		if err := json.Unmarshal(r.JSON, &in[i].Reward); err != nil {
			return err
		}
		in[i].Position = r.Position
	}
	return b.writes.pass(func() error { return b.store.PutRewards(context.Background(), in) })
}

// remote is the other end of the bridge.
type remote struct{ conn *rpc.Client }

var _ rewarder.Store = remote{}

func call[Out any](ctx context.Context, r remote, method string, in any) (out Out, err error) {
	c := r.conn.Go("Store."+method, in, &out, make(chan *rpc.Call, 1))
	select {
	case <-c.Done:
	case <-ctx.Done():
		var none Out // the answer may still be written
		return none, ctx.Err()
	}
	if err := c.Error; err != nil {
		if strings.Contains(err.Error(), rewarder.ErrNotFound.Error()) { // errors go as texts
			err = errors.Join(rewarder.ErrNotFound, err)
		}
		return out, fmt.Errorf("over the bridge: %w", err)
	}
	return out, nil
}

func (r remote) OpenTopic(ctx context.Context, name, id string, partitions int32) (int64, error) {
	return call[int64](ctx, r, "OpenTopic", Opening{name, id, partitions})
}

func (r remote) PutParts(ctx context.Context, parts []rules.Part) error {
	_, err := call[bool](ctx, r, "PutParts", parts)
	return err
}

func (r remote) Part(ctx context.Context, hash loyalty.Hash) ([]byte, error) {
	return call[[]byte](ctx, r, "Part", hash)
}

func (r remote) FixFirst(ctx context.Context, incarnation int64, partition int32, m record.Marker) (record.Marker, error) {
	return call[record.Marker](ctx, r, "FixFirst", First{incarnation, partition, m})
}

func (r remote) PutMarker(ctx context.Context, at loyalty.Position, m record.Marker) error {
	_, err := call[bool](ctx, r, "PutMarker", At{at, m})
	return err
}

func (r remote) MarkerBefore(ctx context.Context, at loyalty.Position) (record.Marker, int64, error) {
	b, err := call[Before](ctx, r, "MarkerBefore", at)
	return b.Marker, b.Offset, err
}

func (r remote) PutRewards(ctx context.Context, rows []loyalty.Row) error {
	out := make([]Row, len(rows))
	for i := range rows {
		b, err := rows[i].AppendJSON(nil)
		if err != nil {
			return err
		}
		out[i] = Row{b, rows[i].Position}
	}
	_, err := call[bool](ctx, r, "PutRewards", out)
	return err
}
