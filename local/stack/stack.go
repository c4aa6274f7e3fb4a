// Package stack is the whole of AngelOwl in one process: the embedded engines, and on them the
// very services and lambdas that a bank deploys.
package stack

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/angelowl-loyalties/app/campaignex"
	campaignexdb "github.com/angelowl-loyalties/app/campaignex/postgres"
	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/local/etcd"
	"github.com/angelowl-loyalties/app/local/frontdoor"
	"github.com/angelowl-loyalties/app/local/kafka"
	"github.com/angelowl-loyalties/app/local/pebble"
	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/angelowl-loyalties/app/local/sqlite"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler"
	profilerdb "github.com/angelowl-loyalties/app/profiler/postgres"
	"github.com/angelowl-loyalties/app/rewarder"
	"github.com/aws/aws-lambda-go/lambda"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

// Buckets of the embedded S3.
const (
	SpendBucket  = "angelowl-spend"
	ReportBucket = "angelowl-reports"
)

// Config says which bank this is and where it keeps its data.
type Config struct {
	Data       string // a folder, made if need be; one process at a time
	Listen     string // the front door's address on loopback
	Home       loyalty.Currency
	Timezone   *time.Location
	Rewarders  int
	Partitions int  // 0: as many as there are, or the default of a new log
	Throwaway  bool // nobody needs the data after the process: nothing waits for the disk
	// Progress is told how far a file has been read; nil: nobody is.
	Progress func(upload string, read, size int64)
}
