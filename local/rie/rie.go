// Package rie runs lambdas' programs in tests under AWS's own Lambda Runtime Interface Emulator, as Lambda
// does: it starts the program at the first invocation, hands it events with a deadline by HTTP, and ends
// what takes longer. The emulator is in the wheel of aws-sam-cli, Apache-2.0, which the first test of a
// machine installs.
package rie

import (
	"encoding/json"
	"strings"
	"time"
)

// Config says what Lambda would.
type Config struct {
	Program string // of package main with lambda.Start
	Timeout time.Duration
	Env     map[string]string // all that the program finds in its environment, beside what Lambda sets
}

// Failed is the error of an invocation.
type Failed struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

func (f *Failed) Error() string { return f.Type + ": " + f.Message }

// answer is what the emulator's body says: the result, or an error. Its status is 200 for both.
func answer(body []byte) (json.RawMessage, error) {
	var f Failed
	if json.Unmarshal(body, &f) == nil && f.Type != "" {
		return nil, &f
	}
	if !json.Valid(body) { // "Task timed out after 3.00 seconds", in plain text
		return nil, &Failed{strings.TrimSpace(string(body)), "Runtime"}
	}
	return body, nil
}
