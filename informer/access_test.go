package informer

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/profile/profiletest"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
)

var (
	carols = uuid.MustParse("6a0ea1a5-7f1c-4a1b-9a4f-000000000001")
	daves  = uuid.MustParse("6a0ea1a5-7f1c-4a1b-9a4f-000000000002")
	none   = uuid.MustParse("6a0ea1a5-7f1c-4a1b-9a4f-000000000003")
)

// access says what each caller is answered on each route, in the order of callers. The user is
// carol.
var callers = []string{"nobody", "user", "new user", "merchant", "bank", "admin", "new admin", "service", "locked user"}

var access = []struct {
	route, path string
	internal    bool
	want        [9]int
}{
	//                                     nobody user new  merch bank admin new  serv locked
	{"GET /health", "", false, [9]int{200, 200, 200, 200, 200, 200, 200, 200, 200}},
	{"GET /swagger/*any", "/swagger/index.html", false, [9]int{200, 200, 200, 200, 200, 200, 200, 200, 200}},

	{"GET /reward/:cardId", "/reward/" + carols.String(), false, [9]int{401, 200, 403, 403, 403, 200, 403, 403, 404}},
	{"GET /reward/:cardId", "/reward/" + carols.String() + "?format=csv", false, [9]int{401, 200, 403, 403, 403, 200, 403, 403, 404}},
	{"GET /reward/:cardId", "/reward/" + strings.ToUpper(carols.String()), false, [9]int{401, 200, 403, 403, 403, 200, 403, 403, 404}},
	{"GET /reward/:cardId", "/reward/" + daves.String(), false, [9]int{401, 404, 403, 403, 403, 200, 403, 403, 404}},
	{"GET /reward/:cardId", "/reward/" + none.String(), false, [9]int{401, 404, 403, 403, 403, 200, 403, 403, 404}},
	{"GET /reward/:cardId", "/reward/today", false, [9]int{401, 400, 403, 403, 403, 400, 403, 403, 400}},
	{"GET /reward/total/:cardId", "/reward/total/" + carols.String(), false, [9]int{401, 200, 403, 403, 403, 200, 403, 403, 404}},
	{"GET /reward/total/:cardId", "/reward/total/" + daves.String(), false, [9]int{401, 404, 403, 403, 403, 200, 403, 403, 404}},
	{"GET /reward/summary/:cardId", "/reward/summary/" + carols.String(), false, [9]int{401, 200, 403, 403, 403, 200, 403, 403, 404}},
	{"GET /reward/summary/:cardId", "/reward/summary/" + daves.String(), false, [9]int{401, 404, 403, 403, 403, 200, 403, 403, 404}},

	{"GET /health", "", true, [9]int{200, 200, 200, 200, 200, 200, 200, 200, 200}},
	{"GET /reward/today", "", true, [9]int{401, 403, 403, 403, 403, 403, 403, 200, 403}},
	{"GET /reward/today", "/reward/" + carols.String(), true, [9]int{401, 404, 404, 404, 404, 404, 404, 404, 404}},
}

// guarded is the service with tokens and a profiler that says whose cards are; tokens are in the order
// of callers.
func guarded(t *testing.T, log *slog.Logger) (public, internal *gin.Engine, p *profiletest.Profiler, c *clock, tokens []string) {
	p = profiletest.Start(t)
	p.Give(carols, "carol")
	p.Give(daves, "dave")
	c = &clock{now: time.Unix(1_700_000_000, 0)}
	s := newService(Config{Home: loyalty.MustCurrency("SGD"), Timezone: time.UTC}, Deps{
		Store: &fake{n: 3}, Log: log, Clock: c.Now,
		Identify: web.Bearer(p.Signer.Verifier()), Owner: profile.NewOwners(p.Client("informer").Card, c.Now).Owner,
	})
	tokens = []string{
		"",
		p.Account(t, "carol", token.User),
		p.NewAccount(t, "carol", token.User, token.MustChangePassword),
		p.Account(t, "kaligo", token.Merchant),
		p.Account(t, "bob", token.Bank),
		p.Account(t, "ann", token.Admin),
		p.NewAccount(t, "adam", token.Admin, token.MustEnrolTOTP),
		p.Account(t, profile.ServiceID("emailer"), token.Service),
		p.Account(t, "lou", token.User),
	}
	return s.routes(), s.internalRoutes(), p, c, tokens
}

func send(h http.Handler, method, path, bearer string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestWhoMayUseWhichRoute(t *testing.T) {
	public, internal, _, _, tokens := guarded(t, slog.New(slog.DiscardHandler))
	for _, tt := range access {
		method, path, _ := strings.Cut(tt.route, " ")
		if tt.path != "" {
			path = tt.path
		}
		h, where := public, "public"
		if tt.internal {
			h, where = internal, "internal"
		}
		for i, caller := range callers {
			w := send(h, method, path, tokens[i])
			if w.Code != tt.want[i] {
				t.Errorf("%s %s (%s) by %s: %d, want %d: %s", method, path, where, caller, w.Code, tt.want[i], w.Body)
			}
			for _, other := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
				want := 405
				if i == 0 {
					want = 401
				} else if tt.want[5] == 404 { // no such address
					want = 404
				}
				if w := send(h, other, path, tokens[i]); w.Code != want {
					t.Errorf("%s %s (%s) by %s: %d, want %d", other, path, where, caller, w.Code, want)
				}
			}
		}
	}
}

func TestTheTableHasEveryRoute(t *testing.T) {
	public, internal, _, _, _ := guarded(t, slog.New(slog.DiscardHandler))
	there, listed := map[string]bool{}, map[string]bool{}
	for _, tt := range access {
		listed[tt.route+map[bool]string{true: " internal"}[tt.internal]] = true
	}
	for _, r := range public.Routes() {
		there[r.Method+" "+r.Path] = true
	}
	for _, r := range internal.Routes() {
		there[r.Method+" "+r.Path+" internal"] = true
	}
	for r := range there {
		if !listed[r] {
			t.Errorf("%s is not in the table", r)
		}
	}
	for r := range listed {
		if !there[r] {
			t.Errorf("%s is in the table and no route", r)
		}
	}
}

func TestACardOfAnotherAnswersAsOneThatThereIsNot(t *testing.T) {
	public, _, _, _, tokens := guarded(t, slog.New(slog.DiscardHandler))
	carol := tokens[slices.Index(callers, "user")]
	for _, path := range []string{"/reward/", "/reward/total/", "/reward/summary/"} {
		theirs, nobodys := send(public, "GET", path+daves.String(), carol), send(public, "GET", path+none.String(), carol)
		if theirs.Code != 404 || nobodys.Code != 404 || theirs.Body.String() != nobodys.Body.String() || !strings.Contains(theirs.Body.String(), `"code":"not_found"`) {
			t.Errorf("%s: %d %s and %d %s", path, theirs.Code, theirs.Body, nobodys.Code, nobodys.Body)
		}
	}
}

func TestWhileProfilerIsAwayOnlyWhatIsRememberedIsOpen(t *testing.T) {
	public, _, p, c, tokens := guarded(t, slog.New(slog.DiscardHandler))
	carol, ann := tokens[slices.Index(callers, "user")], tokens[slices.Index(callers, "admin")]
	path := "/reward/" + carols.String()
	want := func(what string, status int, path, bearer string) {
		t.Helper()
		w := send(public, "GET", path, bearer)
		if w.Code != status || status == 503 && (!strings.Contains(w.Body.String(), `"code":"owner_unknown"`) || w.Header().Get("Retry-After") == "") {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
	}
	want("it answers", 200, path, carol)
	p.Asked()
	p.Away(true)
	c.add(profile.OwnerAge - time.Nanosecond)
	want("it is remembered", 200, path, carol)
	want("of somebody else", 503, "/reward/"+daves.String(), carol)
	want("an admin reads any", 200, path, ann)
	c.add(time.Nanosecond)
	want("it is remembered no longer", 503, path, carol)
	want("its total", 503, "/reward/total/"+carols.String(), carol)
	p.Away(false)
	want("it answers again", 200, path, carol)
}

func TestADownloadIsASecurityEvent(t *testing.T) {
	var log bytes.Buffer
	public, _, _, _, tokens := guarded(t, slog.New(slog.NewJSONHandler(&log, nil)))
	for path, want := range map[string]int{"/reward/" + carols.String() + "?format=csv": 1, "/reward/" + carols.String(): 0, "/reward/" + daves.String() + "?format=csv": 0} {
		log.Reset()
		send(public, "GET", path, tokens[1])
		got := 0
		for line := range strings.Lines(log.String()) {
			var e map[string]any
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if e["security_event"] == "rewards_downloaded" && e["caller"] == "carol" && e["card_id"] == carols.String() {
				got++
			}
		}
		if got != want {
			t.Errorf("%s: %d events, want %d: %s", path, got, want, &log)
		}
	}
}
