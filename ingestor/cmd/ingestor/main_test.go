package main

import (
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/config/configtest"
)

func TestDocs(t *testing.T) {
	configtest.Documented(t, "../../../docs/configuration.md", "ingestor", about, new(settings))
	configtest.Environment(t, "../../.env.example", "ingestor", new(settings))
}
