package main

import (
	"testing"

	"github.com/angelowl-loyalties/app/authorizer"
	"github.com/angelowl-loyalties/app/loyalty/config/configtest"
)

func TestDocs(t *testing.T) {
	configtest.Documented(t, "../../../docs/configuration.md", "authorizer", about, new(authorizer.Settings))
	configtest.Environment(t, "../../.env.example", "authorizer", new(authorizer.Settings))
}
