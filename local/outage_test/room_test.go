package outage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/local/disk"
	"github.com/angelowl-loyalties/app/local/pebble"
	"github.com/angelowl-loyalties/app/loyalty"
)

// Between two looks at the disk another program may take all that is left. Then what Pebble is
// writing finds no room: it waits, its callers give up when their time is over, and when there is
// room it goes on. Pebble alone would end the process.
func TestTheRewardStoreFindsNoRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: filling a disk takes its time")
	}
	t.Parallel()
	const mebibytes, ballast = 160, 64 << 20
	mount := smallDisk(t, mebibytes)
	path := filepath.Join(mount, "ballast")
	if err := os.WriteFile(path, make([]byte, ballast), 0o600); err != nil {
		t.Fatal(err)
	}
	// This guard sees nothing coming: for it the disk is full when the last page is gone, and stays so.
	// What asks for more pages than there are takes all of them for a moment.
	guard := disk.StartMeasured(mount, nil, func(string) (int64, error) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range 20 {
			if n := freeBytes(t, mount); n > 0 {
				return n * disk.Keep, nil
			}
			<-tick.C
		}
		return 0, nil
	})
	defer guard.Close()
	dir := filepath.Join(mount, "rewards")
	store, err := pebble.Open(dir, pebble.Options{Disk: guard})
	if err != nil {
		t.Fatal(err)
	}

	row := func(n int) loyalty.Row {
		card := uuid.NewSHA1(uuid.Nil, []byte(fmt.Sprint(n)))
		noise := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}) // compresses to nothing less
		text := make([]byte, 128<<10)
		_, _ = noise.Read(text)
		return loyalty.Row{
			Position: loyalty.Position{Incarnation: 1, Partition: 0, Offset: int64(n)},
			Reward: loyalty.Reward{
				Transaction: loyalty.Transaction{ID: card, CardID: card, Currency: home, Amount: int64(n), Date: 18000},
				Remarks:     fmt.Sprintf("%x", text), CreatedAt: time.UnixMilli(int64(n)),
			},
		}
	}
	const writers, rows = 4, 2000
	var (
		work    sync.WaitGroup
		mu      sync.Mutex
		written []int
		failed  []int
		hung    int
	)
	for w := range writers {
		work.Go(func() {
			for n := w; n < rows; n += writers {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				err := store.PutRewards(ctx, []loyalty.Row{row(n)})
				cancel()
				mu.Lock()
				if err == nil {
					written = append(written, n)
				} else {
					failed = append(failed, n)
				}
				if errors.Is(err, context.DeadlineExceeded) {
					hung++
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	work.Wait()
	t.Logf("%d rows were written before there was no room; %d writes hung until their time was over", len(written), hung)
	if hung == 0 || len(failed) != writers {
		t.Fatalf("the disk was not full in time: %d of %d writers failed, %d of them hung", len(failed), writers, hung)
	}
	if err := store.PutRewards(t.Context(), []loyalty.Row{row(rows)}); !errors.Is(err, disk.ErrFull) {
		t.Errorf("the next write is answered %v, want that the disk is full", err)
	}
	if r, err := store.Get(t.Context(), ptr(row(written[0])).Key()); err != nil || r.Amount != int64(written[0]) {
		t.Errorf("reading does not go on: %v", err)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for _, n := range failed { // as a rewarder does
		if err := guard.Await(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := store.PutRewards(t.Context(), []loyalty.Row{row(n)}); err != nil {
			t.Fatalf("with room again: %v", err)
		}
	}
	select {
	case err := <-store.Err():
		t.Errorf("the store has failed: %v", err)
	default:
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if store, err = pebble.Open(dir, pebble.Options{Disk: guard}); err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, n := range append(written, failed...) {
		want := row(n)
		r, err := store.Get(t.Context(), want.Key())
		if err != nil || r.Remarks != want.Remarks || r.Position != want.Position {
			t.Fatalf("row %d is not what was written: %v", n, err)
		}
	}
	if n, err := store.Count(t.Context()); err != nil || n != int64(len(written)+len(failed)) {
		t.Errorf("%d rows, want %d: %v", n, len(written)+len(failed), err)
	}
}

func ptr[T any](v T) *T { return &v }
