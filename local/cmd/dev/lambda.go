package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/local/gateway"
	"github.com/angelowl-loyalties/app/local/passwords"
	"github.com/angelowl-loyalties/app/passworder"
)

// longest is how long an invocation may take, as on AWS.
const longest = 15 * time.Minute

// emulator is a lambda under AWS's Runtime Interface Emulator, which runs one invocation at a time and breaks
// when it is asked for two.
type emulator struct {
	name, addr string
	http       *http.Client
	turn       chan struct{}
}

func newEmulator(name, addr string) *emulator {
	return &emulator{name, addr, &http.Client{Timeout: longest}, make(chan struct{}, 1)}
}

// failure is what a lambda that failed answers.
type failure struct {
	Message *string `json:"errorMessage"`
	Kind    string  `json:"errorType"`
}

// Invoke is lambda.Handler's. Its error is the lambda's own, word for word. An invocation that nobody waits
// for any more runs to its end.
func (e *emulator) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	type result struct {
		answer []byte
		err    error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-e.turn }()
		answer, err := e.post(context.WithoutCancel(ctx), event)
		done <- result{answer, err}
	}()
	select {
	case r := <-done:
		return r.answer, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *emulator) post(ctx context.Context, event []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+e.addr+"/2015-03-31/functions/function/invocations", bytes.NewReader(event))
	if err != nil {
		return nil, err
	}
	res, err := e.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the lambda %s does not answer: %w", e.name, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the lambda %s broke off: %w", e.name, err)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the lambda %s: %s", e.name, res.Status)
	case len(answer) == 0:
		return []byte("null"), nil
	case !json.Valid(answer): // it took too long, or has ended
		return nil, fmt.Errorf("the lambda %s: %s", e.name, bytes.TrimSpace(answer))
	}
	var f failure
	if err := json.Unmarshal(answer, &f); err == nil && f.Message != nil {
		return nil, errors.New(*f.Message)
	}
	return answer, nil
}

// there waits until the emulator takes connections.
func (e *emulator) there(ctx context.Context) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", e.addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// call invokes a lambda with an event and reads what it answers.
func call[In, Out any](e *emulator) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (out Out, err error) {
		event, err := json.Marshal(in)
		if err != nil {
			return out, err
		}
		answer, err := e.Invoke(ctx, event)
		if err != nil {
			return out, err
		}
		if err := json.Unmarshal(answer, &out); err != nil {
			return out, fmt.Errorf("the lambda %s: %w", e.name, err)
		}
		return out, nil
	}
}

// proxied are the lambdas that the gateway asks.
func proxied(lambdas map[string]*emulator) map[string]gateway.Lambda {
	out := map[string]gateway.Lambda{}
	for _, name := range []string{"publish-single", "uploads"} {
		out[name] = gateway.Lambda(call[events.APIGatewayProxyRequest, events.APIGatewayProxyResponse](lambdas[name]))
	}
	return out
}

// lambdaAPI is Lambda's Invoke, as lambdas call one another:
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html. Who is asked for asynchronously is passworder
// alone; its events wait in a queue that outlives this process.
func lambdaAPI(lambdas map[string]*emulator, queue *passwords.Queue, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{name}/invocations", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		refuse := func(status int, kind, words string) {
			w.Header().Set("X-Amzn-Errortype", kind)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]string{"Type": "User", "Message": words})
		}
		e := lambdas[name]
		if e == nil {
			refuse(http.StatusNotFound, "ResourceNotFoundException", "there is no function "+name)
			return
		}
		event, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 6<<20))
		if err != nil {
			refuse(http.StatusBadRequest, "InvalidRequestContentException", "the event cannot be read")
			return
		}
		if strings.EqualFold(r.Header.Get("X-Amz-Invocation-Type"), "Event") {
			var to passworder.Event
			id, bad := uuid.Nil, json.Unmarshal(event, &to)
			if bad == nil {
				id, bad = uuid.Parse(to.UserID)
			}
			if name != "passworder" || bad != nil {
				refuse(http.StatusBadRequest, "InvalidRequestContentException", "only passworder is invoked asynchronously, with the id of a user")
				return
			}
			if err := queue.Ask(r.Context(), id); err != nil {
				log.ErrorContext(r.Context(), "queuing an event", "lambda", name, "error", err)
				refuse(http.StatusInternalServerError, "ServiceException", "the event could not be queued")
				return
			}
			w.WriteHeader(http.StatusAccepted)
			return
		}
		answer, err := e.Invoke(r.Context(), event)
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			_ = json.NewEncoder(w).Encode(map[string]string{"errorMessage": err.Error(), "errorType": "errorString"})
			return
		}
		_, _ = w.Write(answer) // a caller who is gone is its own business
	})
	return mux
}

// every invokes a lambda as a schedule of EventBridge does, until ctx ends.
func every(ctx context.Context, wait time.Duration, e *emulator, due func(time.Time) bool, log *slog.Logger) error {
	tick := time.NewTicker(wait)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			if !due(now) {
				continue
			}
			event, err := json.Marshal(map[string]any{"source": "aws.events", "detail-type": "Scheduled Event", "time": now.UTC().Format(time.RFC3339), "detail": map[string]any{}})
			if err != nil {
				return err
			}
			if _, err := e.Invoke(ctx, event); err != nil && ctx.Err() == nil {
				log.Warn("a scheduled lambda failed; it is invoked again", "lambda", e.name, "error", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}
