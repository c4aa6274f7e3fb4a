module github.com/angelowl-loyalties/app/informer

go 1.26

require (
	github.com/angelowl-loyalties/app/loyalty v0.0.0
	github.com/gin-gonic/gin v1.12.0
	github.com/google/uuid v1.6.0
)

replace github.com/angelowl-loyalties/app/loyalty => ../loyalty
