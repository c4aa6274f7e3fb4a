package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty/config"
	petrock "github.com/angelowl-loyalties/app/pet-rock"
)

type problem = config.Problem

// nobody is asked: the lambda asks.
type nobody struct{ petrock.Profiler }

func (nobody) Ask(context.Context, uuid.UUID) error { return errors.New("the lambda does that") }

// newUserFiles says which files of users have been dealt with.
func newUserFiles(server *s3.Server, log *slog.Logger) (func(context.Context, string, string) (bool, error), error) {
	h, err := petrock.New(petrock.Config{ReportBucket: stack.ReportBucket}, petrock.Deps{
		S3: server.Client(), Profiler: nobody{}, Passwords: nobody{}, Log: log, Clock: time.Now,
	})
	if err != nil {
		return nil, err
	}
	return h.Done, nil
}
