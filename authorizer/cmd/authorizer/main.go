// Command authorizer is the lambda that API Gateway asks who sends a request and what they may call.
package main

import (
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/angelowl-loyalties/app/authorizer"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
)

//go:generate go test -run ^TestDocs$ -update

const about = "tells API Gateway who sends a request and what they may call. It is a lambda; it needs no rights in AWS."

// patience is how long profiler may take to say its keys. The gateway waits for some seconds.
const patience = 3 * time.Second

func main() {
	log := daemon.Logger(os.Stderr, "authorizer")
	var s authorizer.Settings
	if !daemon.Settings(&s, os.Getenv(config.FileVariable), log) {
		os.Exit(2)
	}
	routes, err := authorizer.Routes()
	var h *authorizer.Handler
	if err == nil {
		h, err = authorizer.New(authorizer.Config{Log: log}, routes, s.Verifier(&http.Client{Timeout: patience}, time.Now))
	}
	if err != nil {
		log.Error("starting", "error", err)
		os.Exit(1)
	}
	lambda.Start(h.Handle)
}
