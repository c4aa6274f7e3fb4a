package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	pageKeys  = 1000 // rules without their data that are read at once
	checkKeys = 20   // rules with their data
)

// Reconcile compares every rule of the database with etcd. What is missing there, older or not
// readable goes into the outbox again. What the database does not know like that is left alone and
// reported: the database may be an older one that was restored, and etcd right. The content of a
// rule is looked at once for each version and each revision of its key; so it costs little where
// nothing has changed.
func (p *Publisher) Reconcile(ctx context.Context) error {
	if err := p.reconcile(ctx); err != nil {
		return fmt.Errorf("comparing database and etcd: %w", err)
	}
	return nil
}

func (p *Publisher) reconcile(ctx context.Context) error {
	// etcd first: the database is never behind it then, unless something is wrong.
	there, err := p.revisions(ctx)
	if err != nil {
		return err
	}
	var (
		after   Ref
		entered int
	)
	for {
		page, err := p.store.Versions(ctx, after, pageKeys)
		if err != nil {
			return fmt.Errorf("reading the database: %w", err)
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].Ref
		var suspects []Ref
		for _, r := range page {
			revision, found := there[r.Key()]
			delete(there, r.Key())
			if !found || !p.isAlike(r, revision) {
				suspects = append(suspects, r.Ref)
			}
		}
		n, err := p.check(ctx, suspects)
		if err != nil {
			return err
		}
		entered += n
	}
	if entered > 0 {
		p.log.LogAttrs(ctx, slog.LevelInfo, "etcd lacks rules of the database; publishing them", slog.Int("rules", entered))
	}
	if len(there) > 0 {
		var unknown []Rule
		for key := range there {
			kind, id, _ := rulebook.SplitKey(key)
			unknown = append(unknown, Rule{Ref: Ref{kind, id}})
		}
		p.log.LogAttrs(ctx, slog.LevelError,
			"ALARM: etcd has rules that the database has never had; was an older database restored? They are left alone",
			slog.Int("rules", len(unknown)), slog.Any("keys", firstKeys(unknown)))
	}
	return nil
}

// revisions are the revisions of the rules of the store's kinds, by key, as they stand in etcd at
// one moment.
func (p *Publisher) revisions(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	var at int64 // the moment: that of the first answer
	for _, kind := range p.store.Kinds() {
		from := rulebook.Key(kind, "")
		end := clientv3.GetPrefixRangeEnd(from)
		for {
			page, err := p.get(ctx, from, clientv3.WithRange(end), clientv3.WithKeysOnly(),
				clientv3.WithLimit(pageKeys), clientv3.WithRev(at))
			if err != nil {
				return nil, err
			}
			if at == 0 {
				at = page.Header.Revision
			}
			for _, kv := range page.Kvs {
				out[string(kv.Key)] = kv.ModRevision
			}
			if !page.More {
				break
			}
			from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		}
	}
	return out, nil
}

func (p *Publisher) get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	r, err := p.etcd.Get(ctx, key, opts...)
	if err != nil {
		return nil, fmt.Errorf("reading etcd: %w", err)
	}
	return r, nil
}

// check compares the contents of rules. It returns how many have to be published again.
func (p *Publisher) check(ctx context.Context, suspects []Ref) (entered int, err error) {
	for refs := range slices.Chunk(suspects, checkKeys) {
		// An edit does not wait for all of them.
		select {
		case <-p.wake:
			if err := p.Flush(ctx); err != nil {
				return entered, err
			}
		default:
		}
		n, err := p.checkSome(ctx, refs)
		if err != nil {
			return entered, err
		}
		entered += n
	}
	return entered, nil
}

func (p *Publisher) checkSome(ctx context.Context, refs []Ref) (entered int, err error) {
	gets := make([]clientv3.Op, len(refs))
	for i, ref := range refs {
		gets[i] = clientv3.OpGet(ref.Key())
	}
	asking, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	there, err := p.etcd.Txn(asking).Then(gets...).Commit()
	if err != nil {
		return 0, fmt.Errorf("reading etcd: %w", err)
	}
	rules, err := p.store.Current(ctx, refs)
	if err != nil {
		return 0, fmt.Errorf("reading the database: %w", err)
	}
	var (
		again []Ref
		ahead []Rule
	)
	for i, r := range rules {
		kvs := there.Responses[i].GetResponseRange().Kvs
		if len(kvs) == 0 {
			again = append(again, r.Ref)
			continue
		}
		switch compare(r, kvs[0].Value) {
		case equal:
			p.alike(r, kvs[0].ModRevision)
		case etcdBehind:
			again = append(again, r.Ref)
		case etcdAhead:
			ahead = append(ahead, r)
		}
	}
	if len(again) > 0 {
		if err := p.store.Enter(ctx, again); err != nil {
			return 0, err
		}
	}
	if len(ahead) > 0 {
		return len(again), p.hold(ctx, ahead)
	}
	return len(again), nil
}
