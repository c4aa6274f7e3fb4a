module github.com/angelowl-loyalties/app/rewarder

go 1.26

require (
	github.com/IBM/sarama v1.61.1
	github.com/angelowl-loyalties/app/loyalty v0.0.0
	go.etcd.io/etcd/client/v3 v3.7.3
	golang.org/x/sync v0.24.0
)

replace github.com/angelowl-loyalties/app/loyalty => ../loyalty
