package campaignex_test

import (
	"encoding/json"
	"io"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/swaggo/swag"
	"github.com/swaggo/swag/gen"
)

// names are the fields of a JSON object.
func names(t *testing.T, object []byte) []string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		t.Fatal(err)
	}
	delete(fields, "warnings") // where there are none
	return slices.Sorted(maps.Keys(fields))
}

func TestWhatIsDescribedIsWhatIsAnswered(t *testing.T) {
	a := start(t)
	tests := []struct {
		name      string
		answer    answer
		described any
	}{
		{"a campaign", a.want(201, "POST", "/campaign", kaligo), campaignex.CampaignItem{CampaignBody: campaignex.CampaignBody{ID: id}}},
		{"an exclusion", a.want(201, "POST", "/exclusion", excluded), campaignex.ExclusionItem{ExclusionBody: campaignex.ExclusionBody{ID: id}}},
		{"a day", a.want(201, "PUT", "/fx/2021-09-02", `{"base":"EUR","quotes":{"SGD":1.5}}`), campaignex.DayItem{}},
	}
	for _, test := range tests {
		described := names(t, mustJSON(t, test.described))
		if got := names(t, mustJSON(t, test.answer.data(t))); !slices.Equal(got, described) {
			t.Errorf("%s: answered %v, described %v", test.name, got, described)
		}
	}
	if got, want := names(t, a.want(200, "GET", "/campaign", "").body), names(t, mustJSON(t, campaignex.CampaignPage{})); !slices.Equal(got, want) {
		t.Errorf("a page: answered %v, described %v", got, want)
	}
	var page struct{ Data []json.RawMessage }
	if err := json.Unmarshal(a.want(200, "GET", "/campaign/"+id+"/history", "").body, &page); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, page.Data[0]), names(t, mustJSON(t, campaignex.HistoryItem{})); !slices.Equal(got, want) {
		t.Errorf("a change: answered %v, described %v", got, want)
	}
}

// TestTheDocsAreCurrent makes the API's description anew, as go generate does.
func TestTheDocsAreCurrent(t *testing.T) {
	dir := t.TempDir()
	err := gen.New().Build(&gen.Config{
		SearchDir: ".", MainAPIFile: "routes.go", OutputDir: dir, OutputTypes: []string{"go"}, PackageName: "docs", InstanceName: "campaignex",
		PropNamingStrategy: swag.CamelCase, LeftTemplateDelim: "{{", RightTemplateDelim: "}}", ParseDepth: 100,
		CollectionFormat: "csv", Debugger: log.New(io.Discard, "", 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := os.ReadFile(filepath.Join(dir, "campaignex_docs.go"))
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("docs/campaignex_docs.go")
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != string(fresh) {
		t.Errorf("docs/ is not what the annotations say; run go generate in campaignex (first difference at byte %d)", firstDifference(committed, fresh))
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
