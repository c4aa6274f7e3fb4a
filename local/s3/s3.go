// Package s3 starts an S3 server inside this process: versitygw over a directory, with S3 event
// notifications that survive a crash. It is for a laptop and for tests.
package s3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/angelowl-loyalties/app/local/disk"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"
	"github.com/versity/versitygw/s3api/utils"
)

// Region is what clients sign for.
const Region = "us-east-1"

// Config says where the server keeps its objects, where it listens, who may use it, and who is
// told of new objects.
type Config struct {
	Dir       string   // objects and their metadata; it is created
	Addr      string   // host:port; "" is a free port of 127.0.0.1
	AccessKey string   // of the one account; both are needed
	SecretKey string   //
	Buckets   []string // created when they are not there
	Notify    []Notification
	Disk      *disk.Guard // the disk that Dir is on: what does not fit is refused; nil: never
	Log       *slog.Logger
}

// Server is a running S3 server.
type Server struct {
	cfg    Config
	addr   string
	client *awss3.Client
	http   *http.Transport // the client's
	gw     *s3api.S3ApiServer
	posix  *posix.Posix
	served chan error
	notes  []*notifier
	once   sync.Once
}

// running guards what versitygw allows once a process: it has package variables, and its store
// works on paths relative to the working directory.
var running sync.Mutex

// Start serves cfg.Dir until Close, and begins to tell of the objects in it. Only one server runs
// in a process at a time, and it CHANGES THE WORKING DIRECTORY of the process: make every
// relative path absolute first.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.AccessKey == "" || cfg.SecretKey == "" {
		return nil, errors.New("starting S3: an access key and a secret key are needed")
	}
	if !running.TryLock() {
		return nil, errors.New("starting S3: a server is running in this process already")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, http: &http.Transport{MaxIdleConnsPerHost: 16, ResponseHeaderTimeout: time.Minute}}
	if err := s.start(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("starting S3: %w", err)
	}
	for _, n := range cfg.Notify {
		if err := s.createBucket(ctx, n.Bucket); err != nil {
			s.stop()
			return nil, fmt.Errorf("starting S3: %w", err)
		}
	}
	for _, bucket := range cfg.Buckets {
		if err := s.createBucket(ctx, bucket); err != nil {
			s.stop()
			return nil, fmt.Errorf("starting S3: %w", err)
		}
	}
	for _, n := range s.notes {
		n.start()
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	dir, err := filepath.Abs(s.cfg.Dir)
	if err != nil {
		return err
	}
	objects := filepath.Join(dir, "objects")
	if err := os.MkdirAll(objects, 0o700); err != nil {
		return err
	}
	attrs, err := attributes(dir, objects)
	if err != nil {
		return err
	}
	if s.posix, err = posix.New(objects, attrs, posix.PosixOpts{Concurrency: 64}); err != nil {
		return fmt.Errorf("opening the objects: %w", err)
	}
	for _, n := range s.cfg.Notify {
		s.notes = append(s.notes, newNotifier(s, n))
	}
	// A free port is found by asking for one and giving it back; should another program take it
	// between, binding fails and the next is tried.
	for attempt := 1; ; attempt++ {
		err := s.serve(ctx)
		if err == nil {
			break
		}
		if s.cfg.Addr != "" && !strings.HasSuffix(s.cfg.Addr, ":0") || attempt == 10 || ctx.Err() != nil {
			return err
		}
	}
	s.client = awss3.New(awss3.Options{
		HTTPClient:   &http.Client{Transport: s.http},
		Region:       Region,
		BaseEndpoint: aws.String(s.Endpoint()),
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(s.cfg.AccessKey, s.cfg.SecretKey, ""),
	})
	return nil
}

// attributes is where the metadata of objects goes: extended attributes of the files, or a
// directory beside them where the file system has none (or where it began without).
func attributes(dir, objects string) (meta.MetadataStorer, error) {
	beside := filepath.Join(dir, "attributes")
	if _, err := os.Stat(beside); errors.Is(err, os.ErrNotExist) {
		if err := (meta.XattrMeta{}).Test(objects); err == nil {
			return meta.XattrMeta{}, nil
		}
		if err := os.MkdirAll(beside, 0o700); err != nil {
			return nil, err
		}
	}
	return meta.NewSideCar(beside)
}

func (s *Server) serve(ctx context.Context) error {
	addr := s.cfg.Addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	if strings.HasSuffix(addr, ":0") {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		addr = l.Addr().String()
		if err := l.Close(); err != nil {
			return err
		}
	}
	utils.SetBucketNameValidationStrict(true)
	account := auth.Account{Access: s.cfg.AccessKey, Secret: s.cfg.SecretKey, Role: auth.RoleAdmin}
	ready := make(chan struct{})
	gw, err := s3api.New(backend{s.posix, s.cfg},
		middlewares.RootUserConfig{Access: account.Access, Secret: account.Secret},
		Region, auth.NewIAMServiceSingle(account), nil, nil, sender{s.notes}, nil,
		s3api.WithQuiet(),
		s3api.WithConcurrencyLimiter(1024, 512),
		s3api.WithMpMaxParts(10_000),
		s3api.WithDisableACL(),
		s3api.WithCORSAllowOrigin("*"), // presigned PUTs come from the portal's pages
		s3api.WithOnListen(func() { close(ready) }),
	)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- gw.ServeMultiPort([]string{addr}) }()
	select {
	case <-ready:
	case err := <-served:
		return fmt.Errorf("listening on %s: %w", addr, err)
	}
	s.gw, s.addr, s.served = gw, addr, served
	return nil
}

func (s *Server) createBucket(ctx context.Context, name string) error {
	_, err := s.client.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: &name})
	var mine *types.BucketAlreadyOwnedByYou
	var exists *types.BucketAlreadyExists
	if err == nil || errors.As(err, &mine) || errors.As(err, &exists) {
		return nil
	}
	return fmt.Errorf("creating the bucket %s: %w", name, err)
}

// Addr is the server's host:port.
func (s *Server) Addr() string { return s.addr }

// Endpoint is the server's URL.
func (s *Server) Endpoint() string { return "http://" + s.addr }

// Client is a client of the server's account. Presign with awss3.NewPresignClient(s.Client()).
func (s *Server) Client() *awss3.Client { return s.client }

// Close stops telling of objects, waits for the one that is being told, and stops the server. It
// may be called more than once.
func (s *Server) Close() { s.once.Do(s.stop) }

func (s *Server) stop() {
	for _, n := range s.notes {
		n.close()
	}
	s.http.CloseIdleConnections() // the server waits for those that have never been used
	if s.gw != nil {
		if err := s.gw.ShutDown(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.cfg.Log.Warn("stopping S3", "error", err)
		}
		<-s.served
	}
	if s.posix != nil {
		s.posix.Shutdown()
	}
	running.Unlock()
}
