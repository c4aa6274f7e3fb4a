module github.com/angelowl-loyalties/app/ingestor

go 1.26

require (
	github.com/IBM/sarama v1.61.1
	github.com/angelowl-loyalties/app/loyalty v0.0.0
	github.com/aws/aws-lambda-go v1.55.1
	github.com/aws/aws-sdk-go-v2 v1.47.7
	github.com/aws/aws-sdk-go-v2/service/s3 v1.114.8
)

replace github.com/angelowl-loyalties/app/loyalty => ../loyalty
