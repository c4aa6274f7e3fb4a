package campaignex_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/campaignex"
)

func TestMerchantCategoryCodes(t *testing.T) {
	a := start(t)
	list := func(search string) (got []campaignex.Code) {
		t.Helper()
		res := a.do(http.MethodGet, "/mcc?search="+url.QueryEscape(search), "")
		var body campaignex.CodeList
		if err := json.Unmarshal(res.body, &body); err != nil || res.status != http.StatusOK {
			t.Fatalf("%d %v: %s", res.status, err, res.body)
		}
		return body.Data
	}
	if all := list(""); len(all) != 885 || all[0] != (campaignex.Code{MCC: 742, Description: "Veterinary Services", Group: "other services"}) {
		t.Errorf("%d codes, the first is %+v", len(all), all[0])
	}
	if got := list("grocery"); len(got) != 1 || got[0].MCC != 5411 || got[0].Group != "groceries" {
		t.Errorf("grocery: %+v", got)
	}
	if got := list("no merchant is like this"); got == nil || len(got) != 0 {
		t.Errorf("nothing is found as %v", got)
	}
	for name, search := range map[string]string{"a long search": strings.Repeat("a", 101), "NUL": "%00", "no UTF-8": "%ff"} {
		if res := a.do(http.MethodGet, "/mcc?search="+search, ""); res.status != http.StatusBadRequest || !strings.Contains(string(res.body), `"search"`) {
			t.Errorf("%s: %d %s", name, res.status, res.body)
		}
	}

	res := a.do(http.MethodGet, "/mcc", "")
	tag := res.header.Get("ETag")
	if tag == "" || res.header.Get("Cache-Control") != "private, max-age=3600" {
		t.Errorf("ETag %q, Cache-Control %q", tag, res.header.Get("Cache-Control"))
	}
	for _, c := range []struct {
		name, path, tag string
		status          int
	}{
		{"the tag", "/mcc", tag, http.StatusNotModified},
		{"among others, weak", "/mcc", `"x", W/` + tag, http.StatusNotModified},
		{"any", "/mcc", "*", http.StatusNotModified},
		{"another", "/mcc", `"x"`, http.StatusOK},
		{"of another search", "/mcc?search=hotel", tag, http.StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := a.do(http.MethodGet, c.path, "", "If-None-Match: "+c.tag)
			if res.status != c.status || (c.status == http.StatusNotModified) != (len(res.body) == 0) {
				t.Errorf("%d with %d bytes", res.status, len(res.body))
			}
		})
	}
}
