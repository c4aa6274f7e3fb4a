module github.com/angelowl-loyalties/app/local

go 1.26.0

require github.com/angelowl-loyalties/app/campaignex v0.0.0

replace github.com/angelowl-loyalties/app/campaignex => ../campaignex

require github.com/angelowl-loyalties/app/profiler v0.0.0

replace github.com/angelowl-loyalties/app/profiler => ../profiler

require github.com/angelowl-loyalties/app/informer v0.0.0

replace github.com/angelowl-loyalties/app/informer => ../informer

require github.com/angelowl-loyalties/app/rewarder v0.0.0

replace github.com/angelowl-loyalties/app/rewarder => ../rewarder

require github.com/angelowl-loyalties/app/ingestor v0.0.0

replace github.com/angelowl-loyalties/app/ingestor => ../ingestor

require (
	github.com/IBM/sarama v1.61.1
	github.com/angelowl-loyalties/app/loyalty v0.0.0
	github.com/aws/aws-sdk-go-v2/config v1.33.15
	github.com/aws/aws-sdk-go-v2/credentials v1.20.15
	github.com/aws/aws-sdk-go-v2/service/s3 v1.114.8
	github.com/cockroachdb/pebble/v2 v2.1.7
	github.com/glebarez/sqlite v1.11.0
	github.com/twmb/franz-go v1.22.2
	github.com/twmb/franz-go/pkg/kfake v0.0.0-20260918054303-01f206a7e32c
	github.com/versity/versitygw v1.8.0
	go.etcd.io/etcd/client/v3 v3.7.3
	go.etcd.io/etcd/server/v3 v3.7.3
	go.uber.org/goleak v1.3.0
	gorm.io/gorm v1.31.2
	modernc.org/sqlite v1.60.1
)

require (
	go.uber.org/multierr v1.11.0 // indirect
	go.uber.org/zap v1.27.1 // indirect
)

require (
	github.com/aws/aws-lambda-go v1.55.1
	github.com/gofiber/fiber/v3 v3.5.0
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/spf13/cobra v1.10.2 // indirect
	github.com/spf13/pflag v1.0.10 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/term v0.47.0 // indirect
)

replace github.com/angelowl-loyalties/app/loyalty => ../loyalty
