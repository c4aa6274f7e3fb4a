module github.com/angelowl-loyalties/app/loyalty

go 1.26

require (
	github.com/gin-gonic/gin v1.12.0
	github.com/google/uuid v1.6.0
	go.etcd.io/etcd/api/v3 v3.7.3
	go.etcd.io/etcd/client/v3 v3.7.3
	go.uber.org/goleak v1.3.0
	golang.org/x/sync v0.24.0
	golang.org/x/text v0.43.0
	gorm.io/gorm v1.31.2
	pgregory.net/rapid v1.3.0
)
