package main

import (
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/config/configtest"
)

func TestDocs(t *testing.T) {
	configtest.Documented(t, "../../../docs/configuration.md", "rewarder", about, new(settings))
	configtest.Environment(t, "../../config/dev.env", "rewarder", new(settings))
}
