//go:build unix

// Package moto serves AWS's APIs on loopback for a test, through moto: SES, KMS and others. It is an
// AWS of the test's own, empty at its start. The first test of a machine installs it, which
// takes half a minute.
package moto

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/local/pyvenv"
)

var (
	//go:embed requirements.txt
	requirements []byte
	//go:embed serve.py
	serve string
)

// patience is how long starting may take on a machine that is busy.
const patience = time.Minute

// Start starts moto for a test and returns its address, http://127.0.0.1:port. It takes any
// credentials and region; clients find the service by their endpoint setting.
func Start(t testing.TB) (endpoint string) {
	t.Helper()
	python := pyvenv.For(t, "moto", 10, requirements)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.Command(python, "-I", "-c", serve)
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting moto: %v", err)
	}
	stop := func() error { return errors.Join(in.Close(), cmd.Wait()) }
	hurry := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	port, bad := strconv.Atoi(strings.TrimSpace(line))
	if !hurry() || err != nil || bad != nil {
		err = errors.Join(ctx.Err(), err, bad, stop())
		t.Fatalf("moto did not start: %v\n%s", err, said.String())
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stopping moto: %v\n%s", err, said.String())
		}
		if t.Failed() && said.Len() > 0 {
			t.Logf("moto said\n%s", said.String())
		}
	})
	return fmt.Sprintf("http://127.0.0.1:%d", port)
}
