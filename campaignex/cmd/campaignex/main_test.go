package main

import (
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/config/configtest"
)

func TestDocs(t *testing.T) {
	configtest.Documented(t, "../../../docs/configuration.md", "campaignex", about, new(settings))
	configtest.Environment(t, "../../config/dev.env", "campaignex", new(settings))
}
