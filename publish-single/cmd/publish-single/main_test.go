package main

import (
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/config/configtest"
)

func TestAddresses(t *testing.T) {
	const keys = "http://profiler:8080/.well-known/jwks.json"
	for _, tt := range []struct {
		keys, portal string
		good         bool
	}{
		{keys, "", true}, {keys, "https://portal.example.com", true}, {keys, "http://127.0.0.1:3000", true},
		{keys, "https://portal.example.com/", false}, {keys, "*", false}, {keys, "portal.example.com", false}, {keys, "https://a@b", false},
		{"profiler:8080", "", false}, {"", "", false},
	} {
		if got := len((&settings{JWKSURL: tt.keys, Portal: tt.portal}).Check()) == 0; got != tt.good {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestDocs(t *testing.T) {
	configtest.Documented(t, "../../../docs/configuration.md", "publish-single", about, new(settings))
	configtest.Environment(t, "../../.env.example", "publish-single", new(settings))
}
