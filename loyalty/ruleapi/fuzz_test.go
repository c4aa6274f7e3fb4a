package ruleapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

// FuzzWritable holds that an answer that is sent back as it is, is what was sent: only what answers
// alone have is taken off, and an id that is there stays.
func FuzzWritable(f *testing.F) {
	for _, s := range []string{
		`{"name":"n","version":3,"published":true,"created_at":"2021-01-01T00:00:00Z"}`, `{"ID":"a"}`, `{"id":null,"Id":""}`, `[]`, `null`, `{"id":1e999}`, `{"a":`, `{"a":1,"a":2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := Writable(body, "id", "new")
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		var was, is map[string]json.RawMessage
		if json.Unmarshal(body, &was) != nil || was == nil {
			if string(got) != string(body) {
				t.Errorf("%q became %q", body, got)
			}
			return
		}
		if err := json.Unmarshal(got, &is); err != nil {
			t.Fatalf("%q became %q: %v", body, got, err)
		}
		for _, name := range readOnly {
			if _, there := is[name]; there {
				t.Errorf("%q became %q, which has %s", body, got, name)
			}
			delete(was, name)
		}
		for name := range was {
			if _, there := is[name]; !there {
				t.Errorf("%q became %q, which lacks %q", body, got, name)
			}
		}
		if again, err := Writable(got, "id", "another"); err != nil || string(again) != string(got) {
			t.Errorf("%q becomes %q the next time, %v", got, again, err)
		}
	})
}

// FuzzRequest reads what stands in an address and in If-Match.
func FuzzRequest(f *testing.F) {
	for _, s := range [][2]string{{"page_size=20&page_no=1", `"3"`}, {"page_size=0", `W/"3", "4"`}, {"page_no=1e9;page_size=%zz", "*"}, {"page_size=+7", `3`}, {"", `"x"`}, {"page_no=99999999999999999999", `"`}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, query, match string) {
		params, _ := url.ParseQuery(query) // as net/http does: what can be read is
		page, errs := PageOf(params)
		if len(errs) == 0 && (page.Size < 1 || page.Size > MaxPage || page.No < 1) {
			t.Errorf("%q is read as %+v", query, page)
		}
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = &http.Request{Header: http.Header{"If-Match": {match}}}
		fit, err := IfMatch(c)
		if err == nil && match != "" && fit == nil {
			t.Errorf("%q asks for nothing", match)
		}
		if fit != nil && fit(3) && fit(4) && !strings.Contains(match, "*") && len(match) < len(`"3","4"`) {
			t.Errorf("%q fits every version", match)
		}
	})
}
