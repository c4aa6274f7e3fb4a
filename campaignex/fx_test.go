package campaignex_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

func TestADaysQuotes(t *testing.T) {
	a := start(t)
	const quotes = `{"base":"EUR","quotes":{"SGD":1.5942,"USD":1.1846}}`
	a.want(404, "GET", "/fx/2021-09-02", "")
	a.want(404, "PUT", "/fx/2021-09-02", quotes, `If-Match: "1"`)
	made := a.want(201, "PUT", "/fx/2021-09-02", quotes)
	want := `{"data":{"date":"2021-09-02","base":"EUR","quotes":{"SGD":1.5942,"USD":1.1846},"version":1,"published":false,"updated_at":"2021-09-01T18:00:00Z"}}` + "\n"
	if string(made.body) != want {
		t.Errorf("made %s", made.body)
	}
	a.want(200, "PUT", "/fx/2021-09-02", string(mustJSON(t, a.want(200, "GET", "/fx/2021-09-02", "").data(t))))
	changed := a.want(200, "PUT", "/fx/2021-09-02", `{"base":"EUR","quotes":{"SGD":1.6}}`, `If-Match: "1"`)
	if changed.header.Get("ETag") != `"2"` {
		t.Errorf("changed: %v", changed.header)
	}
	a.want(412, "PUT", "/fx/2021-09-02", quotes, `If-Match: "1"`)
	a.want(201, "PUT", "/fx/2021-09-03", quotes)
	if got := a.want(200, "GET", "/fx?from=2021-09-03&sort=-date", ""); !bytes.Contains(got.body, []byte(`"total":1`)) {
		t.Errorf("list: %s", got.body)
	}
	if got := a.want(200, "GET", "/fx/2021-09-02/history", ""); !bytes.Contains(got.body, []byte(`"before":{"date":"2021-09-02"`)) {
		t.Errorf("history: %s", got.body)
	}
	a.want(204, "DELETE", "/fx/2021-09-02", "")
	a.want(404, "GET", "/fx/2021-09-02", "")
	for name, test := range map[string]struct{ body, field string }{
		"an unknown currency":       {`{"base":"EUR","quotes":{"XXX":1}}`, "quotes.XXX"},
		"an unknown base":           {`{"base":"XAU","quotes":{"SGD":1}}`, "base"},
		"no quotes":                 {`{"base":"EUR","quotes":{}}`, "quotes"},
		"a quote of nothing":        {`{"base":"EUR","quotes":{"SGD":0}}`, "quotes.SGD"},
		"a quote that is no number": {`{"base":"EUR","quotes":{"SGD":"1,5"}}`, "quotes.SGD"},
		"another day":               {`{"date":"2021-09-05","base":"EUR","quotes":{"SGD":1}}`, "date"},
		"a field that is none":      {`{"base":"EUR","quotes":{"SGD":1},"source":"ECB"}`, "source"},
		"a quote below nothing":     {`{"base":"EUR","quotes":{"SGD":-1}}`, "quotes.SGD"},
		"a base that is not itself": {`{"base":"EUR","quotes":{"EUR":2}}`, "quotes.EUR"},
		"a quote with ten decimals": {`{"base":"EUR","quotes":{"SGD":1.0000000001}}`, "quotes.SGD"},
	} {
		if f := a.want(400, "PUT", "/fx/2021-09-04", test.body).failure(t); f.Fields[test.field] == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func zipped(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTheECBsFile(t *testing.T) {
	csv, err := os.ReadFile("testdata/eurofxref.csv")
	if err != nil {
		t.Fatal(err)
	}
	for kind, body := range map[string][]byte{"text/csv; charset=utf-8": csv, "application/zip": zipped(t, map[string][]byte{"eurofxref-hist.csv": csv})} {
		t.Run(kind, func(t *testing.T) {
			a := start(t)
			for _, changed := range []string{"5", "0"} {
				got := a.want(200, "POST", "/fx", string(body), "Content-Type: "+kind)
				if want := `{"data":{"days":5,"changed":` + changed + `,"from":"1999-01-04","to":"2021-09-03"}}` + "\n"; string(got.body) != want {
					t.Errorf("got %s want %s", got.body, want)
				}
			}
			day := a.want(200, "GET", "/fx/2021-09-02", "").data(t)
			var quotes map[string]json.Number
			if err := json.Unmarshal(day["quotes"], &quotes); err != nil {
				t.Fatal(err)
			}
			if quotes["SGD"] != "1.5921" || quotes["USD"] != "1.1846" || quotes["CYP"] != "" || string(day["base"]) != `"EUR"` {
				t.Errorf("quotes: %v", quotes)
			}
			old := a.want(200, "GET", "/fx/1999-01-04", "").data(t)
			if !bytes.Contains(old["quotes"], []byte(`"CYP":0.58231`)) {
				t.Errorf("withdrawn currencies are lost: %s", old["quotes"])
			}
		})
	}
}

func TestAnUnknownColumnIsNamed(t *testing.T) {
	a := start(t)
	got := a.want(200, "POST", "/fx", "\ufeffdate, usd ,ZZZ,XAU,\r\n2021-09-02, 1.1846 ,N/A,9,\r\n", "Content-Type: text/csv")
	if !bytes.Contains(got.body, []byte(`"unknown_columns":["ZZZ","XAU"]`)) {
		t.Errorf("%s", got.body)
	}
	if day := a.want(200, "GET", "/fx/2021-09-02", "").data(t); string(day["quotes"]) != `{"USD":1.1846}` {
		t.Errorf("%s", day["quotes"])
	}
}

func TestAFileOfQuotesThatCannotBeRead(t *testing.T) {
	a := start(t)
	csv := func(text string) string { return text }
	tests := []struct {
		name, kind, body string
		status           int
		field            string
	}{
		{"empty", "text/csv", "", 400, "file"},
		{"a header alone", "text/csv", "Date,USD,\n", 400, "file"},
		{"no header", "text/csv", "2021-09-02,1.1846\n", 400, "line 1"},
		{"a column twice", "text/csv", "Date,USD,usd\n", 400, "line 1"},
		{"the base as a column", "text/csv", "Date,EUR\n", 400, "line 1"},
		{"too few fields", "text/csv", "Date,USD,JPY\n2021-09-02,1,1\n2021-09-03,1\n", 400, "line 3"},
		{"no number", "text/csv", "Date,USD\n2021-09-02,1.1846\n2021-09-03,abc\n", 400, "line 3.USD"},
		{"an exponent", "text/csv", "Date,USD\n2021-09-03,1e400\n", 400, "line 2.USD"},
		{"zero", "text/csv", "Date,USD\n2021-09-03,0\n", 400, "line 2.USD"},
		{"below zero", "text/csv", "Date,USD\n2021-09-03,-1\n", 400, "line 2.USD"},
		{"no date", "text/csv", "Date,USD\n2021-13-03,1\n", 400, "line 2.Date"},
		{"a day twice", "text/csv", "Date,USD\n2021-09-03,1\n2021-09-02,1\n2021-09-03,1\n", 400, "line 4"},
		{"a quote that never closes", "text/csv", "Date,USD\n2021-09-03,\"1\n", 400, "line 2"},
		{"no zip", "application/zip", "Date,USD\n", 400, "file"},
		{"a zip without CSV", "application/zip", string(zipped(t, map[string][]byte{"a.txt": []byte("x")})), 400, "file"},
		{"a zip with two", "application/zip", string(zipped(t, map[string][]byte{"a.csv": nil, "b.CSV": nil})), 400, "file"},
		{"a zip bomb", "application/zip", string(zipped(t, map[string][]byte{"a.csv": make([]byte, 65<<20)})), 413, ""},
		{"too large", "text/csv", csv("Date,USD\n" + strings.Repeat("\n", 16<<20)), 413, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := a.want(test.status, "POST", "/fx", test.body, "Content-Type: "+test.kind).failure(t)
			if test.field != "" && (len(f.Fields) != 1 || f.Fields[test.field] == "") {
				t.Errorf("%+v", f)
			}
		})
	}
	if got := a.want(200, "GET", "/fx", ""); !bytes.Contains(got.body, []byte(`"total":0`)) {
		t.Errorf("a refused file left something: %s", got.body)
	}
}

// TestTheWholeHistory reads the real file, which is not part of the repository.
func TestTheWholeHistory(t *testing.T) {
	file, err := os.ReadFile("../../shared/data/eurofxref-hist.zip")
	if err != nil {
		t.Skip("the ECB's whole file is not here: ", err)
	}
	a := start(t)
	for _, changed := range []string{"6983", "0"} {
		began := time.Now()
		got := a.want(200, "POST", "/fx", string(file), "Content-Type: application/zip")
		t.Logf("%s in %v", bytes.TrimSpace(got.body), time.Since(began))
		if want := `{"data":{"days":6983,"changed":` + changed + `,"from":"1999-01-04","to":"2026-04-13"}}` + "\n"; string(got.body) != want {
			t.Errorf("got %s want %s", got.body, want)
		}
	}
}

func FuzzReadHistory(f *testing.F) {
	csv, err := os.ReadFile("testdata/eurofxref.csv")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(csv)
	f.Add([]byte("Date,USD\n2021-09-03,\"1\n"))
	f.Add([]byte("\ufeffDate, USD,ZZZ,\r\n03-09-21,1.5,N/A,\r\n"))
	f.Add([]byte("Date\n2021-09-03\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := campaignex.ReadHistory(text)
		if err != nil {
			return
		}
		for i, d := range h.Days {
			if i > 0 && h.Days[i-1].Date >= d.Date {
				t.Fatalf("%s stands before %s", h.Days[i-1].Date, d.Date)
			}
			b, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			var again campaignex.Day
			if err := json.Unmarshal(b, &again); err != nil || !reflect.DeepEqual(again, d) {
				t.Fatalf("%s is read as %+v, %v", b, again, err)
			}
		}
	})
}

// FuzzReadHistoryZip holds that a zip is read as the one CSV file in it is, or refused.
func FuzzReadHistoryZip(f *testing.F) {
	pack := func(names ...string) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, name := range names {
			to, err := w.Create(name)
			if err != nil {
				f.Fatal(err)
			}
			fmt.Fprint(to, "Date,USD,\n2021-09-03,1.18,\n")
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		return b.Bytes()
	}
	for _, z := range [][]byte{pack("eurofxref-hist.csv"), pack("a.csv", "b.CSV"), pack("a.txt"), pack(), pack("a/b.csv")[:60], []byte("PK")} {
		f.Add(z)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := campaignex.ReadHistoryZip(data)
		var said *web.Error
		switch {
		case err == nil && len(h.Days) == 0:
			t.Error("it has no days, and that is no error")
		case err != nil && !errors.As(err, new(*loyalty.FieldError)) && !errors.As(err, &said):
			t.Errorf("an error that is not in plain words: %v", err)
		}
	})
}
