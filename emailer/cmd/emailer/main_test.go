package main

import (
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/config/configtest"
)

func TestAddresses(t *testing.T) {
	const portal, api, informer = "https://portal.bank.example", "https://api.bank.example", "http://informer:8081"
	for _, tt := range []struct {
		portal, api, informer string
		good                  bool
	}{
		{portal, api, informer, true}, {"http://127.0.0.1:3000", api, informer, true},
		{portal + "/", api, informer, false}, {"*", api, informer, false}, {portal, "api.bank.example", informer, false}, {portal, "", informer, false},
		{portal, api, "informer:8081", false}, {portal, api, "http://a@b", false},
	} {
		if got := len((&settings{Portal: tt.portal, API: tt.api, Informer: tt.informer}).Check()) == 0; got != tt.good {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestDocs(t *testing.T) {
	configtest.Documented(t, "../../../docs/configuration.md", "emailer", about, new(settings))
	configtest.Environment(t, "../../.env.example", "emailer", new(settings))
}
