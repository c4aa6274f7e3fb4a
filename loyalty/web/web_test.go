package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/gin-gonic/gin"
)

// fixture is an engine with a route for each thing that a handler may do, and its log.
func fixture(t *testing.T, opts ...Option) (*gin.Engine, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	r := New(slog.New(slog.NewJSONHandler(&log, nil)), opts...)
	r.GET("/list", func(c *gin.Context) { Data(c, http.StatusOK, []string(nil)) })
	r.GET("/caller", func(c *gin.Context) { Data(c, http.StatusOK, CallerOf(c.Request.Context())) })
	r.GET("/id", func(c *gin.Context) { Data(c, http.StatusOK, RequestID(c.Request.Context())) })
	r.GET("/panic", func(*gin.Context) { panic("card 4111 1111 1111 1111 is odd") })
	r.GET("/unencodable", func(c *gin.Context) { Data(c, http.StatusOK, func() {}) })
	for name, err := range map[string]error{
		"fields":   loyalty.FieldErrors{{Field: "amount", Reason: "is missing"}, {Field: "mcc", Reason: "is odd"}, {Field: "mcc", Reason: "is long"}, {Reason: "the whole is odd"}},
		"field":    fmt.Errorf("reading: %w", &loyalty.FieldError{Field: "amount", Reason: "is missing"}),
		"conflict": fmt.Errorf("storing: %w", &Error{Status: http.StatusConflict, Code: "in_use", Message: "it is in use"}),
		"other":    errors.New("db on 10.0.0.1 said no to 4111111111111111"),
	} {
		r.GET("/fail/"+name, func(c *gin.Context) { Fail(c, err) })
	}
	bind := func(c *gin.Context) {
		var v struct {
			Name string      `json:"name"`
			MCC  loyalty.MCC `json:"mcc"`
		}
		if err := Bind(c, &v, "version"); err != nil {
			Fail(c, err)
			return
		}
		Data(c, http.StatusOK, v.Name)
	}
	r.POST("/bind", bind)
	r.POST("/bind/large", LimitBody(4<<20), bind)
	r.POST("/bind/small", LimitBody(16), bind)
	r.POST("/bind/campaign", func(c *gin.Context) {
		var v loyalty.Campaign
		if err := Bind(c, &v); err != nil {
			Fail(c, err)
		}
	})
	return r, &log
}

func do(r http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, path, in)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

func TestAnswers(t *testing.T) {
	long := strings.Repeat("x", MaxBody)
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"health has no envelope", "GET", "/health", "", 200, `{"status":"OK"}`},
		{"a nil list is an empty one", "GET", "/list", "", 200, `{"data":[]}`},
		{"without an identity nobody is known", "GET", "/caller", "", 200, `{"data":{"ID":"","Role":"","Must":"","Session":0}}`},
		{"no such route", "GET", "/nowhere", "", 404, `{"error":"there is no such address","code":"not_found"}`},
		{"a slash too many is no route", "GET", "/list/", "", 404, `{"error":"there is no such address","code":"not_found"}`},
		{"wrong method", "DELETE", "/list", "", 405, `{"error":"DELETE is not allowed here","code":"method_not_allowed"}`},
		{"a panic is internal and says nothing", "GET", "/panic", "", 500, `{"error":"something went wrong on our side; the request id helps to find out what","code":"internal"}`},
		{"what cannot be encoded is internal", "GET", "/unencodable", "", 500, `{"error":"something went wrong on our side; the request id helps to find out what","code":"internal"}`},
		{"any other error is internal and says nothing", "GET", "/fail/other", "", 500, `{"error":"something went wrong on our side; the request id helps to find out what","code":"internal"}`},
		{"field errors are named, two of a field joined", "GET", "/fail/fields", "", 400, `{"error":"amount is missing; mcc is odd; mcc is long; the whole is odd","code":"invalid","fields":{"amount":"is missing","mcc":"is odd; is long"}}`},
		{"one field error, wrapped", "GET", "/fail/field", "", 400, `{"error":"amount is missing","code":"invalid","fields":{"amount":"is missing"}}`},
		{"an error with a status, wrapped", "GET", "/fail/conflict", "", 409, `{"error":"it is in use","code":"in_use"}`},
		{"a body", "POST", "/bind", `{"name":"<b>"}`, 200, `{"data":"<b>"}`},
		{"no body", "POST", "/bind", "", 400, `{"error":"the request has no body","code":"no_body"}`},
		{"a blank body", "POST", "/bind", " \n", 400, `{"error":"the request has no body","code":"no_body"}`},
		{"half a body", "POST", "/bind", `{"name":`, 400, `{"error":"the body is not valid JSON at byte 8: unexpected end of JSON input","code":"not_json"}`},
		{"two bodies", "POST", "/bind", `{} {}`, 400, `{"error":"the body is not valid JSON at byte 4: invalid character '{' after top-level value","code":"not_json"}`},
		{"not UTF-8", "POST", "/bind", "{\"name\":\"\xff\"}", 400, `{"error":"the body is not valid UTF-8","code":"not_json"}`},
		{"a list in place of an object", "POST", "/bind", `[]`, 400, `{"error":"the body must be another JSON value than a array","code":"not_json"}`},
		{"null in place of an object", "POST", "/bind", `null`, 400, `{"error":"the body must be a JSON object","code":"not_json"}`},
		{"a field that is not there", "POST", "/bind", `{"name":"x","nmae":"y"}`, 400, `{"error":"nmae is not a field of this request","code":"invalid","fields":{"nmae":"is not a field of this request"}}`},
		{"a field that is a card number", "POST", "/bind", `{"4111111111111111":1}`, 400, `{"error":"************1111 is not a field of this request","code":"invalid","fields":{"************1111":"is not a field of this request"}}`},
		{"what answers add is ignored", "POST", "/bind", `{"name":"x","version":7}`, 200, `{"data":"x"}`},
		{"a wrong type names the field", "POST", "/bind", `{"mcc":"x"}`, 400, `{"error":"mcc cannot be a JSON string","code":"invalid","fields":{"mcc":"cannot be a JSON string"}}`},
		{"too long", "POST", "/bind", `{"name":"` + long + `"}`, 413, `{"error":"the body has more than 1048576 bytes","code":"too_large"}`},
		{"a route may take more", "POST", "/bind/large", `{"name":"` + long + `"}`, 200, `{"data":"` + long + `"}`},
		{"a route may take less", "POST", "/bind/small", `{"name":"0123456789"}`, 413, `{"error":"the body has more than 16 bytes","code":"too_large"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, log := fixture(t)
			w := do(r, tt.method, tt.path, tt.body)
			if got := strings.TrimSpace(w.Body.String()); w.Code != tt.status || got != tt.want {
				t.Errorf("%d %.300s\nwant %d %.300s", w.Code, got, tt.status, tt.want)
			}
			h := w.Header()
			if h.Get("Content-Type") != "application/json; charset=utf-8" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers: %v", h)
			}
			if strings.Contains(log.String(), "41111111") { // not its end, which a duration may be, too
				t.Errorf("a PAN in the log: %s", log)
			}
		})
	}
}

func TestBindPassesFieldErrorsThrough(t *testing.T) {
	r, _ := fixture(t)
	w := do(r, "POST", "/bind/campaign", `{"name":"x","mcc":"0","start_date":"2021-09-01","end_date":"2021-08-01","reward_program":"p"}`)
	var got struct{ Fields map[string]string }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if w.Code != 400 || len(got.Fields) != 2 || got.Fields["end_date"] == "" || got.Fields["reward_amount"] != "is missing" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestRequestID(t *testing.T) {
	for _, tt := range []struct {
		name, given string
		kept        bool
	}{
		{"a sane id is kept", "Abc_9-z", true},
		{"64 characters are kept", strings.Repeat("a", 64), true},
		{"65 are not", strings.Repeat("a", 65), false},
		{"a line break is not", "a\nb", false},
		{"a quote is not", `a"b`, false},
		{"none", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, log := fixture(t)
			w := do(r, "GET", "/id", "", RequestIDHeader, tt.given)
			id := w.Header().Get(RequestIDHeader)
			if (id == tt.given) != tt.kept || !saneID(id) {
				t.Errorf("echoed %q", id)
			}
			if got := strings.TrimSpace(w.Body.String()); got != `{"data":"`+id+`"}` {
				t.Errorf("in the context: %s", got)
			}
			if !strings.Contains(log.String(), `"request_id":"`+id+`"`) {
				t.Errorf("not in the log: %s", log)
			}
		})
	}
}

func TestAccessLogHidesSecrets(t *testing.T) {
	r, log := fixture(t)
	do(r, "GET", "/list/4111111111111111?merchant=secret", "", "Authorization", "Bearer secret")
	if s := log.String(); strings.Contains(s, "411111") || strings.Contains(s, "secret") || !strings.Contains(s, "************1111") {
		t.Error(s)
	}
}

func TestPanicIsLoggedWithItsStack(t *testing.T) {
	r, log := fixture(t)
	do(r, "GET", "/panic", "")
	if s := log.String(); !strings.Contains(s, "web_test.go") || !strings.Contains(s, "**** **** **** 1111 is odd") {
		t.Error(s)
	}
}

func TestIdentityStandsBeforeEveryRouteButHealth(t *testing.T) {
	r, _ := fixture(t, WithIdentity(func(req *http.Request) (Caller, error) {
		if req.Header.Get("Authorization") == "" {
			return Caller{}, &Error{Status: http.StatusUnauthorized, Code: "no_token", Message: "who are you?"}
		}
		return Caller{ID: "u1", Role: "user"}, nil
	}))
	for path, want := range map[string]int{"/list": 401, "/nowhere": 401, "/health": 200} {
		if w := do(r, "GET", path, ""); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := do(r, "GET", "/caller", "", "Authorization", "x"); strings.TrimSpace(w.Body.String()) != `{"data":{"ID":"u1","Role":"user","Must":"","Session":0}}` {
		t.Error(w.Body)
	}
}

func TestAClientThatGoesAwayIsNoError(t *testing.T) {
	var log bytes.Buffer
	r := New(slog.New(slog.NewJSONHandler(&log, nil)))
	r.GET("/", func(c *gin.Context) { Fail(c, fmt.Errorf("reading: %w", c.Request.Context().Err())) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	if w.Body.Len() > 0 || strings.Contains(log.String(), "ERROR") || !strings.Contains(log.String(), `"status":499`) {
		t.Errorf("%s %s", w.Body, &log)
	}
}

func TestHalfAnAnswerBreaksOff(t *testing.T) {
	for name, end := range map[string]func(*gin.Context){
		"panic": func(*gin.Context) { panic("x") },
		"error": func(c *gin.Context) { Fail(c, errors.New("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			r := New(slog.New(slog.DiscardHandler))
			r.GET("/", func(c *gin.Context) {
				_, _ = c.Writer.WriteString("half")
				c.Writer.Flush()
				end(c)
			})
			srv := httptest.NewServer(r)
			defer srv.Close()
			resp, err := srv.Client().Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("%q came as if it were whole", body)
			}
		})
	}
}
