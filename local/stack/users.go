package stack

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"golang.org/x/sync/errgroup"

	firstpasswords "github.com/angelowl-loyalties/app/local/passwords"
	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/angelowl-loyalties/app/passworder"
	petrock "github.com/angelowl-loyalties/app/pet-rock"
)

// userFiles are the files of users, which the lambda pet-rock reads. S3 tells of objects from its start
// on, and the first tidings wait until the lambda is there.
type userFiles struct {
	ready  chan struct{}
	reader *petrock.Handler
}

func newUserFiles() *userFiles { return &userFiles{ready: make(chan struct{})} }

func (u *userFiles) wait(ctx context.Context) error {
	select {
	case <-u.ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for pet-rock: %w", context.Cause(ctx))
	}
}

func (u *userFiles) notification(s *Stack) s3.Notification {
	return s3.Notification{
		Bucket: UserBucket,
		Deliver: func(ctx context.Context, event []byte) error {
			if err := u.wait(ctx); err != nil {
				return err
			}
			if err := s.disk.Await(ctx); err != nil {
				return err
			}
			_, err := lambda.NewHandler(u.reader.Handle).Invoke(ctx, event)
			return err
		},
		Done: func(ctx context.Context, bucket, key string) (bool, error) {
			if err := u.wait(ctx); err != nil {
				return false, err
			}
			return u.reader.Done(ctx, bucket, key)
		},
	}
}

// mailers is how many first passwords are made and mailed at once; each costs a hash.
const mailers = 2

// startUsers starts the lambdas pet-rock and passworder, with a queue between them.
func (s *Stack) startUsers(ctx context.Context, g *errgroup.Group, n network, id *identity, u *userFiles, log *slog.Logger) error {
	client := n.client()
	client.Timeout = time.Minute // for a thousand rows, or for a hash and a mail
	queue, err := firstpasswords.Open(filepath.Join(s.Data, "first-passwords"), log.With("service", "passworder"))
	if err != nil {
		return err
	}
	mails, err := passworder.New(passworder.Deps{Profiler: id.profileBy("passworder", client), Log: log.With("service", "passworder")})
	if err != nil {
		return err
	}
	u.reader, err = petrock.New(petrock.Config{ReportBucket: ReportBucket}, petrock.Deps{
		S3: s.S3.Client(), Profiler: id.profileBy("pet-rock", client), Passwords: queue, Log: log.With("service", "pet-rock"), Clock: time.Now,
	})
	if err != nil {
		return err
	}
	g.Go(func() error {
		defer client.CloseIdleConnections()
		return queue.Run(ctx, lambda.NewHandler(mails.Handle), mailers)
	})
	close(u.ready)
	return nil
}
