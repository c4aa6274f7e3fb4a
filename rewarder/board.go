package rewarder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/angelowl-loyalties/app/loyalty/rulebook"
)

const etcdTimeout = 3 * time.Second

// board shows in etcd what is in force and how the rewarder is, under a lease: the keys go when the
// rewarder does. It never holds anything up; while etcd is out of reach the keys are missing or old.
type board struct {
	cli   *clientv3.Client
	log   *slog.Logger
	topic string
	ttl   time.Duration
	self  func() Said // how the rewarder is
	said  string      // of it, as it stands under the present lease

	mu     sync.Mutex
	wanted map[int32]rulebook.InForce
	dirty  map[int32]bool
	wake   chan struct{}
}

func newBoard(cli *clientv3.Client, log *slog.Logger, topic string, ttl time.Duration, self func() Said) *board {
	return &board{cli: cli, log: log, topic: topic, ttl: ttl, self: self,
		wanted: map[int32]rulebook.InForce{}, dirty: map[int32]bool{}, wake: make(chan struct{}, 1)}
}

func (b *board) put(partition int32, f rulebook.InForce) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wanted[partition] == f {
		return
	}
	b.wanted[partition] = f
	b.change(partition)
}

func (b *board) remove(partition int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.wanted, partition)
	b.change(partition)
}

func (b *board) change(partition int32) {
	b.dirty[partition] = true
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// run keeps the keys until ctx ends, then takes them away.
func (b *board) run(ctx context.Context) {
	wait := 100 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		err := b.hold(ctx)
		if ctx.Err() != nil {
			return
		}
		b.log.Warn("what is in force cannot be shown in etcd", "error", err)
		if time.Since(began) > b.ttl {
			wait = 100 * time.Millisecond
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// hold shows everything under one lease until that is lost.
func (b *board) hold(ctx context.Context) error {
	granting, cancel := context.WithTimeout(ctx, etcdTimeout)
	lease, err := b.cli.Grant(granting, int64(b.ttl/time.Second))
	cancel()
	if err != nil {
		return fmt.Errorf("taking a lease: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), etcdTimeout)
		defer cancel()
		if _, err := b.cli.Revoke(ctx, lease.ID); err != nil {
			b.log.Warn("the status keys stay until their lease ends", "error", err)
		}
	}()
	keeping, stop := context.WithCancel(ctx)
	defer stop()
	alive, err := b.cli.KeepAlive(keeping, lease.ID)
	if err != nil {
		return fmt.Errorf("keeping a lease: %w", err)
	}
	b.mu.Lock()
	for partition := range b.wanted {
		b.dirty[partition] = true
	}
	b.mu.Unlock()
	b.said = ""
	for {
		if err := b.flush(ctx, lease.ID); err != nil {
			return err
		}
		if err := b.say(ctx, lease.ID); err != nil {
			return err
		}
		select {
		case <-b.wake:
		case _, ok := <-alive:
			if !ok {
				return errors.New("the lease was lost")
			}
			if err := b.confirm(ctx, lease.ID); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// flush writes what has changed, all of it at once.
func (b *board) flush(ctx context.Context, lease clientv3.LeaseID) error {
	b.mu.Lock()
	dirty := b.dirty
	b.dirty = map[int32]bool{}
	put, remove := map[int32]rulebook.InForce{}, []int32{}
	for partition := range dirty {
		if f, ok := b.wanted[partition]; ok {
			put[partition] = f
		} else {
			remove = append(remove, partition)
		}
	}
	b.mu.Unlock()
	err := b.write(ctx, lease, put, remove)
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		maps.Copy(b.dirty, dirty)
	}
	return err
}

// say writes how the rewarder is, if that has changed.
func (b *board) say(ctx context.Context, lease clientv3.LeaseID) error {
	said := b.self()
	value, err := json.Marshal(said)
	if err != nil {
		return fmt.Errorf("writing how the rewarder is: %w", err)
	}
	if string(value) == b.said {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	if _, err := b.cli.Put(ctx, rulebook.RewarderPrefix+b.topic+"/"+said.Name, string(value), clientv3.WithLease(lease)); err != nil {
		return fmt.Errorf("writing how the rewarder is: %w", err)
	}
	b.said = string(value)
	return nil
}

// confirm writes what is wanted and does not stand under the lease: when a partition changes hands, a
// write of the one before that comes late takes the key's place, and is then taken away with it.
func (b *board) confirm(ctx context.Context, lease clientv3.LeaseID) error {
	b.mu.Lock()
	wanted := maps.Clone(b.wanted)
	b.mu.Unlock()
	ops := make([]clientv3.Op, 0, len(wanted))
	for partition, f := range wanted {
		value, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("writing what is in force: %w", err)
		}
		key := rulebook.InForceKey(b.topic, partition)
		ops = append(ops, clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.LeaseValue(key), "=", lease)},
			nil, []clientv3.Op{clientv3.OpPut(key, string(value), clientv3.WithLease(lease))}))
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	for some := range slices.Chunk(ops, 100) {
		if _, err := b.cli.Txn(ctx).Then(some...).Commit(); err != nil {
			return fmt.Errorf("looking whether what is in force is shown: %w", err)
		}
	}
	return nil
}

func (b *board) write(ctx context.Context, lease clientv3.LeaseID, put map[int32]rulebook.InForce, remove []int32) error {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	for _, partition := range remove { // unless the partition's next owner has written it
		key := rulebook.InForceKey(b.topic, partition)
		_, err := b.cli.Txn(ctx).If(clientv3.Compare(clientv3.LeaseValue(key), "=", lease)).Then(clientv3.OpDelete(key)).Commit()
		if err != nil {
			return fmt.Errorf("deleting %s: %w", key, err)
		}
	}
	ops := make([]clientv3.Op, 0, len(put))
	for partition, f := range put {
		value, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("writing what is in force: %w", err)
		}
		ops = append(ops, clientv3.OpPut(rulebook.InForceKey(b.topic, partition), string(value), clientv3.WithLease(lease)))
	}
	for some := range slices.Chunk(ops, 100) { // a Txn takes 128
		if _, err := b.cli.Txn(ctx).Then(some...).Commit(); err != nil {
			return fmt.Errorf("writing what is in force: %w", err)
		}
	}
	return nil
}
