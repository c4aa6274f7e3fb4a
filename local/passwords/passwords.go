// Package passwords is what stands between pet-rock and passworder where there is no AWS: a queue that
// loses nothing, as Lambda's own for asynchronous invocations.
package passwords

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/uuid"
)

// MaxWaiting is how many users wait in memory; who asks for more waits.
const MaxWaiting = 1000

// retry is how long a user waits whom the lambda could not serve.
const retry = 10 * time.Second

// timeout is the lambda's.
const timeout = time.Minute

// Queue holds the users who wait. An empty file stands for each, until the lambda has answered without
// an error: the next process finds those who still wait.
type Queue struct {
	dir     string
	log     *slog.Logger
	waiting chan uuid.UUID

	mu    sync.Mutex
	known map[uuid.UUID]bool // who waits, or is being served
	again map[uuid.UUID]bool // of those, who was asked for again meanwhile
}

// Open returns the queue of a folder, which it makes. While it is used, Run has to run.
func Open(dir string, log *slog.Logger) (*Queue, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the queue of first passwords: %w", err)
	}
	return &Queue{dir: dir, log: log, waiting: make(chan uuid.UUID, MaxWaiting), known: map[uuid.UUID]bool{}, again: map[uuid.UUID]bool{}}, nil
}

// Ask is petrock.Passwords'.
func (q *Queue) Ask(ctx context.Context, user uuid.UUID) error {
	q.mu.Lock()
	err := os.WriteFile(q.file(user), nil, 0o600)
	q.mu.Unlock()
	if err != nil {
		return fmt.Errorf("asking for a first password: %w", err)
	}
	return q.add(ctx, user)
}

func (q *Queue) file(user uuid.UUID) string { return filepath.Join(q.dir, user.String()) }

func (q *Queue) add(ctx context.Context, user uuid.UUID) error {
	q.mu.Lock()
	if q.known[user] {
		q.again[user] = true
		q.mu.Unlock()
		return nil
	}
	q.known[user] = true
	q.mu.Unlock()
	select {
	case q.waiting <- user:
		return nil
	case <-ctx.Done():
		q.mu.Lock()
		delete(q.known, user)
		delete(q.again, user)
		q.mu.Unlock()
		return fmt.Errorf("asking for a first password: %w", context.Cause(ctx))
	}
}

// Run invokes the lambda passworder for each user, a few at once, until ctx ends: first for those whom
// an earlier process left. One for whom it fails comes again.
func (q *Queue) Run(ctx context.Context, passworder lambda.Handler, atOnce int) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range atOnce {
		wg.Go(func() {
			for {
				select {
				case user := <-q.waiting:
					q.serve(ctx, &wg, passworder, user)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	folder, err := os.Open(q.dir)
	if err != nil {
		return fmt.Errorf("reading the queue of first passwords: %w", err)
	}
	defer func() { _ = folder.Close() }()
	for {
		names, err := folder.Readdirnames(MaxWaiting)
		for _, name := range names {
			if user, err := uuid.Parse(name); err == nil && q.add(ctx, user) != nil {
				return nil // ctx has ended
			}
		}
		if err != nil { // io.EOF: that was all
			break
		}
	}
	<-ctx.Done()
	return nil
}

func (q *Queue) serve(ctx context.Context, wg *sync.WaitGroup, passworder lambda.Handler, user uuid.UUID) {
	event, err := json.Marshal(map[string]string{"user_id": user.String()})
	if err == nil {
		invocation, cancel := context.WithTimeout(ctx, timeout)
		_, err = passworder.Invoke(invocation, event)
		cancel()
	}
	if err == nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.known, user)
		if q.again[user] { // who asks must see it happen after that
			delete(q.again, user)
			q.known[user] = true
			wg.Go(func() { q.later(ctx, user, 0) })
			return
		}
		if err := os.Remove(q.file(user)); err != nil && !errors.Is(err, os.ErrNotExist) {
			q.log.Warn("a user is asked for again at the next start", "error", err)
		}
		return
	}
	if ctx.Err() != nil {
		return // the file stays
	}
	q.log.Warn("a first password could not be mailed; it is tried again", "user", user.String(), "error", err)
	wg.Go(func() { q.later(ctx, user, retry/2+rand.N(retry/2)) })
}

// later puts a user who is known into the queue again.
func (q *Queue) later(ctx context.Context, user uuid.UUID, wait time.Duration) {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return
	}
	select {
	case q.waiting <- user:
	case <-ctx.Done():
	}
}

// Waiting is how many users wait, or are being served.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.known)
}
