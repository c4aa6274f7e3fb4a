package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/aws/aws-lambda-go/lambda"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"gorm.io/gorm"
)

// startS3 starts the server whose events invoke the ingestor and pet-rock, as S3's invoke a lambda.
func (s *Stack) startS3(ctx context.Context, bank bankFile, users *userFiles, log *slog.Logger) (*s3.Server, error) {
	// The handler needs the server's client, and the server tells of objects from its start on, so
	// the first tidings wait.
	var (
		client  *awss3.Client
		handler lambda.Handler
		reader  *ingestor.Handler
		ready   = make(chan struct{})
	)
	wait := func(ctx context.Context) error {
		select {
		case <-ready:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	server, err := s3.Start(ctx, s3.Config{
		Dir: filepath.Join(s.Data, "s3"), AccessKey: bank.AccessKey, SecretKey: bank.SecretKey,
		Buckets: []string{ReportBucket}, Disk: s.disk, Log: log.With("service", "s3"),
		Notify: []s3.Notification{{
			Bucket: SpendBucket,
			Deliver: func(ctx context.Context, event []byte) error {
				if err := wait(ctx); err != nil {
					return err
				}
				if err := s.disk.Await(ctx); err != nil {
					return err
				}
				_, err := handler.Invoke(ctx, event)
				return err
			},
			Done: func(ctx context.Context, bucket, key string) (bool, error) {
				if err := wait(ctx); err != nil {
					return false, err
				}
				return reader.Done(ctx, bucket, key)
			},
		}, users.notification(s)},
	})
	if err != nil {
		return nil, err
	}
	client = server.Client()
	h, err := ingestor.New(
		ingestor.Config{Home: s.Home, ReportBucket: ReportBucket},
		ingestor.Deps{
			S3: client, Log: log.With("service", "ingestor"), Clock: time.Now, Progress: s.Progress,
			NewProducer: func(c *sarama.Config) (sarama.AsyncProducer, error) {
				return sarama.NewAsyncProducer(s.Brokers, c)
			},
		})
	if err != nil {
		server.Close()
		return nil, err
	}
	handler, reader = lambda.NewHandler(h.Handle), h
	close(ready)
	return server, nil
}

// CheckFile says why a path cannot be uploaded: it is not there, may not be read, or is no file.
func CheckFile(path string) error {
	info, err := os.Stat(path) // first: opening a pipe waits for whoever writes into it
	switch {
	case err != nil:
		return fmt.Errorf("opening a file: %w", err)
	case info.IsDir():
		return fmt.Errorf("%s is a folder; say which files in it", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file; a file is read more than once, so write it to the disk first", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening a file: %w", err)
	}
	return f.Close()
}

// Upload puts a file into the bucket of spend files under the upload's id. While the disk is full it
// waits. A file for which there is no room although it is not full is disk.ErrFull.
func (s *Stack) Upload(ctx context.Context, upload, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("uploading a file: %w", err)
	}
	for {
		if err := s.disk.Await(ctx); err != nil {
			return err
		}
		if err := s.disk.Fits(info.Size()); err != nil {
			if s.disk.Check() != nil {
				continue
			}
			return fmt.Errorf("uploading %s: %w", path, err)
		}
		// Another may have taken the room by now.
		if err := s.upload(ctx, upload, path); !s3.IsFull(err) {
			return err
		}
	}
}

func (s *Stack) upload(ctx context.Context, upload, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("uploading a file: %w", err)
	}
	defer f.Close()
	key := "spend/" + upload + ".csv"
	if strings.HasSuffix(path, ".gz") {
		key += ".gz"
	}
	bucket, contentType := SpendBucket, "text/csv"
	_, err = s.objects().PutObject(ctx, &awss3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: f, ContentType: &contentType,
		Metadata: map[string]string{"filename": url.PathEscape(filepath.Base(path))},
	})
	if err != nil {
		return fmt.Errorf("uploading %s: %w", path, err)
	}
	return nil
}

// ErrNoReport says that a file has not been read to its end yet.
var ErrNoReport = errors.New("there is no report yet")

// Report returns what became of an upload, or ErrNoReport.
func (s *Stack) Report(ctx context.Context, upload string) (*ingestor.Report, error) {
	return report(ctx, s.objects(), upload)
}

func report(ctx context.Context, client *awss3.Client, upload string) (*ingestor.Report, error) {
	body, err := object(ctx, client, ingestor.ReportKey(upload))
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var r ingestor.Report
	if err := json.NewDecoder(body).Decode(&r); err != nil {
		return nil, fmt.Errorf("reading the report of upload %s: %w", upload, err)
	}
	return &r, nil
}

// Refused returns the refused rows of an upload, or ErrNoReport.
func (s *Stack) Refused(ctx context.Context, upload string) (io.ReadCloser, error) {
	return object(ctx, s.S3.Client(), ingestor.RefusedKey(upload))
}

func object(ctx context.Context, client *awss3.Client, key string) (io.ReadCloser, error) {
	bucket := ReportBucket
	out, err := client.GetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: &key})
	if none := (*types.NoSuchKey)(nil); errors.As(err, &none) {
		return nil, ErrNoReport
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	return out.Body, nil
}

func closeDB(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}
