// Command passworder is the lambda that has new users' first passwords mailed.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/secrets"
	"github.com/angelowl-loyalties/app/passworder"
)

//go:generate go test -run ^TestDocs$ -update

const about = "has new users' first passwords mailed, by profiler. It is a lambda, invoked asynchronously by pet-rock; it needs no rights in AWS. Reserve it a handful of concurrent executions: each mail costs profiler a password's hash."

type settings struct {
	Profile profile.Settings
}

// mailTime is how long profiler may take: for the hash, and for the mail system.
const mailTime = time.Minute

func main() {
	log := daemon.Logger(os.Stderr, "passworder")
	var s settings
	if err := secrets.Fetch(context.Background()); err != nil {
		log.Error("fetching the secrets that the settings name", "error", err)
		os.Exit(1)
	}
	if !daemon.Settings(&s, os.Getenv(config.FileVariable), log) {
		os.Exit(2)
	}
	h, err := passworder.New(passworder.Deps{Profiler: s.Profile.Client("passworder", s.Profile.PatientHTTPClient(mailTime), time.Now), Log: log})
	if err != nil {
		log.Error("starting", "error", err)
		os.Exit(1)
	}
	lambda.Start(h.Handle)
}
