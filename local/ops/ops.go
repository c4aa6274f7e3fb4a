// Package ops is what a person does to a running AngelOwl from outside: look how it is, read what
// was set aside and send it again, and have the log read again. It finds the running system by
// its data folder.
package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/angelowl-loyalties/app/local/stack"
	rewarderops "github.com/angelowl-loyalties/app/rewarder/ops"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// ErrNotRunning says that there is nothing to talk to.
var ErrNotRunning = errors.New("no angelowl is running")

// System is a running system, seen from another process.
type System struct {
	stack.Running
	Data  string
	Zone  *time.Location
	Clock func() time.Time

	kafka sarama.Client
	etcd  *clientv3.Client
	s3    *awss3.Client
	http  http.Client
	desk  *rewarderops.Desk
}

// Open finds the system whose data are in a folder. Close the result.
func Open(ctx context.Context, data string) (*System, error) {
	s := &System{Data: data, Clock: time.Now}
	b, err := os.ReadFile(filepath.Join(data, stack.RunFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w on the data in %s, or it is still starting; start it with: angelowl up --data %s", ErrNotRunning, data, data)
	}
	if err != nil {
		return nil, fmt.Errorf("finding the running system: %w", err)
	}
	if err := json.Unmarshal(b, &s.Running); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(data, stack.RunFile), err)
	}
	if s.Zone, err = time.LoadLocation(s.Timezone); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(data, stack.RunFile), err)
	}
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	if s.s3, err = s.s3Client(); err != nil {
		return nil, err
	}
	if s.kafka, err = stack.Connect(s.Kafka); err != nil {
		return nil, err
	}
	s.etcd, err = clientv3.New(clientv3.Config{Endpoints: s.Etcd, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to etcd: %w", err), s.kafka.Close())
	}
	// All dead letters are looked at: this process has no other work.
	s.desk = rewarderops.New(rewarderops.Config{Home: s.Home, Group: stack.Group},
		rewarderops.Deps{Etcd: s.etcd, Kafka: func() (sarama.Client, error) { return s.kafka, nil }, Clock: time.Now})
	return s, nil
}

// Close ends the connections.
func (s *System) Close() error { return errors.Join(s.kafka.Close(), s.etcd.Close()) }

// alive tells a running system from one that was killed and left its file behind: what answers at
// its address knows its token and has its process id.
func (s *System) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var pid int
	err := s.control(ctx, http.MethodGet, "/pid", nil, &pid)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("process %d, which runs on the data in %s, does not answer: it is stopped or overloaded", s.PID, s.Data)
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil || pid != s.PID:
		return fmt.Errorf("%w on the data in %s: process %d was, and ended without stopping; nothing is lost, start it again with: angelowl up --data %s",
			ErrNotRunning, s.Data, s.PID, s.Data)
	}
	return nil
}

// control asks the running process.
func (s *System) control(ctx context.Context, method, path string, ask, answer any) error {
	var body io.Reader
	if ask != nil {
		b, err := json.Marshal(ask)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.Running.Control.Address+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.Running.Control.Token)
	b, err := s.do(req)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, &struct{ Data any }{answer})
}

// do sends a request and returns the body of a good answer.
func (s *System) do(req *http.Request) ([]byte, error) {
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		var said struct{ Error string }
		if json.Unmarshal(b, &said) == nil && said.Error != "" {
			return nil, errors.New(said.Error)
		}
		return nil, fmt.Errorf("it answers %s", res.Status)
	}
	return b, nil
}

func (s *System) s3Client() (*awss3.Client, error) {
	b, err := os.ReadFile(filepath.Join(s.Data, "bank.json"))
	if err != nil {
		return nil, fmt.Errorf("finding the key of S3: %w", err)
	}
	var key struct {
		Access string `json:"s3_access_key"`
		Secret string `json:"s3_secret_key"`
	}
	if err := json.Unmarshal(b, &key); err != nil {
		return nil, fmt.Errorf("reading bank.json: %w", err)
	}
	return awss3.New(awss3.Options{
		Region: s3.Region, BaseEndpoint: aws.String(s.S3), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(key.Access, key.Secret, ""),
	}), nil
}

// plain is a text for a terminal: what strangers sent may not move its cursor.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 || isBidi(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// isBidi says whether a rune changes the direction of what follows.
func isBidi(r rune) bool {
	return r == 0x061c || r == 0x200e || r == 0x200f || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}

// short is a text of n characters at most, for a column.
func short(s string, n int) string {
	r := []rune(plain(s))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}

// when is a time for a person of the bank.
func (s *System) when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(s.Zone).Format(time.DateTime)
}
