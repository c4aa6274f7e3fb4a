package main

import (
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/config/configtest"
)

func TestDocs(t *testing.T) {
	configtest.Documented(t, "../../../docs/configuration.md", "profiler", about, new(settings))
	configtest.Environment(t, "../../config/dev.env", "profiler", new(settings))
}
