package signin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/glebarez/sqlite"
	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"
	"go.uber.org/goleak"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler/keys"
	"github.com/angelowl-loyalties/app/profiler/password"
	"github.com/angelowl-loyalties/app/profiler/postgres"
	"github.com/angelowl-loyalties/app/profiler/signin"
	"github.com/angelowl-loyalties/app/profiler/signin/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plain is the password that accounts of tests have, and fresh one that they take.
const (
	plain = "four turquoise trains"
	fresh = "nine quiet lampposts"
)

// plainHash is its hash, made once: what a hash costs is not what most tests are about.
var plainHash = sync.OnceValue(func() string {
	hash, err := password.NewHasher(1, 1).Hash(context.Background(), plain)
	if err != nil {
		panic(err)
	}
	return hash
})

// mailbox takes mails.
type mailbox struct {
	mails chan mail.Message
	mu    sync.Mutex
	err   error
}

func (m *mailbox) Send(ctx context.Context, message mail.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	select {
	case m.mails <- message:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// world is the service with everything that it stands on.
type world struct {
	t        testing.TB
	service  *signin.Service
	clock    *storetest.Clock
	db       *gorm.DB
	store    signin.Store
	hasher   *password.Hasher
	mail     *mailbox
	keyFile  string
	public   http.Handler
	internal http.Handler
	cfg      signin.Config
	log      *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t testing.TB, changes ...func(*signin.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: storetest.NewClock(), hasher: password.NewHasher(2, 256), mail: &mailbox{mails: make(chan mail.Message, 100)}, log: &lockedBuffer{}}
	options := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(OFF)", "foreign_keys(ON)"}}
	db, err := gorm.Open(sqlite.Open("file:"+filepath.Join(t.TempDir(), "profiler.db")+"?"+options.Encode()), &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true})
	check(t, err)
	t.Cleanup(func() { check(t, ruledb.Close(db)) })
	store, err := postgres.Open(t.Context(), db, w.clock.Now)
	check(t, err)
	w.db, w.store, w.keyFile = db, store.SignIn(), filepath.Join(t.TempDir(), "jwt.pem")
	w.cfg = signin.DefaultConfig()
	w.cfg.PortalOrigin, w.cfg.Subkey = "https://portal.example.com", bytes.Repeat([]byte{7}, 32)
	zone, err := time.LoadLocation("Asia/Singapore")
	check(t, err)
	w.cfg.Zone = zone
	for _, change := range changes {
		change(&w.cfg)
	}
	w.restart()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	service := w.service
	go func() {
		defer close(done)
		service.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w
}

// restart starts the service anew, as a program that reads its keys.
func (w *world) restart() {
	w.t.Helper()
	ring, err := keys.File(w.keyFile)
	check(w.t, err)
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.service, err = signin.New(w.cfg, signin.Deps{Store: w.store, Keys: ring, Mail: w.mail, Log: log, Clock: w.clock.Now, Hasher: w.hasher})
	check(w.t, err)
	public := web.New(log, web.WithIdentity(web.Bearer(w.service.Verifier())), web.WithPublic(signin.PublicRoutes...))
	w.service.Routes(public)
	public.GET("/fresh", w.service.Fresh(), func(c *gin.Context) { web.Data(c, 200, "OK") })
	public.GET("/anything", web.Allow(token.User, token.Bank, token.Merchant, token.Admin), func(c *gin.Context) { web.Data(c, 200, "OK") })
	internal := web.New(log, web.WithIdentity(web.Bearer(w.service.Verifier())), web.WithPublic(signin.PublicRoutes...))
	w.service.InternalRoutes(internal)
	w.public, w.internal = public, internal
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) user(role token.Role, email string) string {
	return storetest.Insert(w.t, w.db, w.clock.Now(), storetest.User{Email: email, First: "Ada", Last: "Lovelace", Role: role, Hash: plainHash()})
}

type answer struct {
	status int
	header http.Header
	body   string
	Data   json.RawMessage
	Code   string
	Error  string
	Fields map[string]string
}

func (a answer) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.Data, v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

// do sends a request. Headers are name, value, …
func (w *world) do(h http.Handler, method, path, body string, headers ...string) answer {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	a := answer{status: rec.Code, header: rec.Header(), body: rec.Body.String()}
	if rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil {
			w.t.Fatalf("%s %s: %d %q: %v", method, path, a.status, a.body, err)
		}
	}
	return a
}

// want sends a request and checks the status and the code.
func (w *world) want(status int, code, method, path, body, bearer string) answer {
	w.t.Helper()
	var headers []string
	if bearer != "" {
		headers = []string{"Authorization", "Bearer " + bearer}
	}
	a := w.do(w.public, method, path, body, headers...)
	if a.status != status || a.Code != code {
		w.t.Fatalf("%s %s: %d %s, want %d %s", method, path, a.status, a.body, status, code)
	}
	return a
}

type session struct {
	Token        string
	UserID       string `json:"user_id"`
	IsNew        bool   `json:"is_new"`
	Must         string
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int    `json:"expires_in"`
}

func js(kv ...string) string {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	b, _ := json.Marshal(m)
	return string(b)
}

func (w *world) login(email, pass string, more ...string) session {
	w.t.Helper()
	var s session
	w.want(200, "", "POST", "/auth/login", js(append([]string{"email", email, "password", pass}, more...)...), "").into(w.t, &s)
	return s
}

func (w *world) refresh(s session) session {
	w.t.Helper()
	var next session
	w.want(200, "", "POST", "/auth/refresh", js("refresh_token", s.RefreshToken), "").into(w.t, &next)
	return next
}

func (w *world) mailed() mail.Message {
	w.t.Helper()
	select {
	case m := <-w.mail.mails:
		return m
	case <-w.t.Context().Done():
	case <-time.After(20 * time.Second):
	}
	w.t.Fatal("no mail came")
	return mail.Message{}
}

func TestSigningIn(t *testing.T) {
	w := newWorld(t)
	id := w.user(token.User, "Ada@Example.com")
	s := w.login(" ada@example.COM", plain)
	if s.UserID != id || s.IsNew || s.Must != "" || s.ExpiresIn != 1200 || len(s.RefreshToken) < 40 {
		t.Errorf("%+v", s)
	}
	c, err := w.service.Verifier().Verify(t.Context(), s.Token)
	check(t, err)
	if c.Subject != id || c.Role != token.User || c.Must != "" || c.Session != 1 || c.ID == "" || c.Expires.Sub(c.Issued) != 20*time.Minute {
		t.Errorf("%+v", c)
	}
	w.want(200, "", "GET", "/anything", "", s.Token)
	w.want(200, "", "GET", "/fresh", "", s.Token)
	if log := w.log.String(); !strings.Contains(log, "event=sign_in ") || strings.Contains(log, plain) || strings.Contains(log, s.RefreshToken) {
		t.Errorf("the log is %s", log)
	}
	w.clock.Go(20*time.Minute + 6*time.Second)
	w.want(401, "invalid_token", "GET", "/anything", "", s.Token)
}

func TestNobodyCanTellWhetherAnAccountExists(t *testing.T) {
	w := newWorld(t)
	now := w.clock.Now()
	w.user(token.User, "there@example.com")
	w.user(token.Merchant, "shop@example.com")
	storetest.Insert(t, w.db, now, storetest.User{Email: "locked@example.com", Role: token.User, Hash: plainHash(), Locked: true})
	storetest.Insert(t, w.db, now, storetest.User{Email: "nopassword@example.com", Role: token.User})
	storetest.Insert(t, w.db, now, storetest.User{Email: "expired@example.com", Role: token.User, Hash: plainHash(), New: true, Expires: now})
	deleted := w.user(token.User, "deleted@example.com")
	check(t, w.db.Exec("UPDATE users SET deleted_at = ? WHERE id = ?", now, deleted).Error)

	var first answer
	for i, test := range []struct{ name, email, password string }{
		{"a wrong password", "there@example.com", "wrong"},
		{"no account", "nobody@example.com", "wrong"},
		{"an account without a password", "nopassword@example.com", "wrong"},
		{"a locked account, the right password", "locked@example.com", plain},
		{"a merchant's account, the right password", "shop@example.com", plain},
		{"a deleted account, the right password", "deleted@example.com", plain},
		{"an expired first password, wrong", "expired@example.com", "wrong"},
	} {
		before := w.hasher.Made()
		a := w.do(w.public, "POST", "/auth/login", js("email", test.email, "password", test.password))
		if made := w.hasher.Made() - before; made != 1 {
			t.Errorf("%s: %d hashes were made, want 1", test.name, made)
		}
		a.header.Del("X-Request-Id")
		if i == 0 {
			first = a
		}
		if a.status != 401 || a.Code != "wrong_credentials" || a.body != first.body || fmt.Sprint(a.header) != fmt.Sprint(first.header) {
			t.Errorf("%s: %d %s %v", test.name, a.status, a.body, a.header)
		}
	}
	// Who knows the password may know that it has expired.
	w.want(401, "password_expired", "POST", "/auth/login", js("email", "expired@example.com", "password", plain), "")

	var forgot string
	for _, email := range []string{"there@example.com", "nobody@example.com", "locked@example.com"} {
		a := w.want(202, "", "POST", "/auth/forgot", js("email", email), "")
		if forgot != "" && a.body != forgot {
			t.Errorf("%s: %s", email, a.body)
		}
		forgot = a.body
	}
	if m := w.mailed(); m.To.Address != "there@example.com" {
		t.Errorf("a mail to %s", m.To.Address)
	}
	if len(w.mail.mails) > 0 {
		t.Error("a mail to somebody else")
	}
}

func TestAHashOfOldIsMadeAnewAtTheSignIn(t *testing.T) {
	w := newWorld(t)
	// argon2id of "four turquoise trains" with 8 MiB in one pass
	id := storetest.Insert(t, w.db, w.clock.Now(), storetest.User{Email: "old@example.com", Role: token.User, Hash: oldHash})
	w.login("old@example.com", plain)
	a, err := w.store.Account(t.Context(), id)
	check(t, err)
	if !strings.Contains(a.Hash, "$m=19456,t=2,p=1$") || a.Session != 1 {
		t.Errorf("%+v", a)
	}
	w.login("old@example.com", plain)
}

func TestTenThousandWrongPasswords(t *testing.T) {
	w := newWorld(t)
	w.user(token.User, "ada@example.com")
	wrong := js("email", "ada@example.com", "password", "wrong")
	tries := 10_000
	if testing.Short() {
		tries = 1000 // for the race detector
	}
	passed := 0
	for i := range tries {
		// Each from another address: it is the account's limit that is to hold.
		a := w.do(w.public, "POST", "/auth/login", wrong, signin.SourceHeader, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
		switch a.status {
		case 401:
			passed++
		case 429:
			if a.header.Get("Retry-After") == "" || a.Code != "too_many_tries" {
				t.Fatalf("%s %v", a.body, a.header)
			}
		default:
			t.Fatalf("%d %s", a.status, a.body)
		}
		if i%(tries/10) == tries/10-1 {
			w.clock.Go(time.Second)
		}
	}
	if passed != 10 || w.hasher.Made() != 10 {
		t.Errorf("%d passwords were tried, %d hashed, in ten seconds; want 10", passed, w.hasher.Made())
	}
	a := w.do(w.public, "POST", "/auth/login", js("email", "ada@example.com", "password", plain))
	if a.status != 429 || a.header.Get("Retry-After") != "50" {
		t.Errorf("the owner at once: %d %s, Retry-After %s", a.status, a.body, a.header.Get("Retry-After"))
	}
	w.clock.Go(50 * time.Second) // a minute after the first
	w.login("ada@example.com", plain)
}

func TestAnAddressIsLimitedOverAllAccounts(t *testing.T) {
	w := newWorld(t, func(c *signin.Config) { c.Rates.Address = signin.Rate{Max: 5, Per: time.Minute} })
	try := func(i int, from string) int {
		return w.do(w.public, "POST", "/auth/login", js("email", fmt.Sprintf("u%d@example.com", i), "password", "x"), signin.SourceHeader, from).status
	}
	for i := range 5 {
		if got := try(i, "2001:db8:1:2::"+fmt.Sprint(i)); got != 401 {
			t.Fatalf("try %d: %d", i, got)
		}
	}
	for from, want := range map[string]int{"2001:db8:1:2::99": 429, "2001:db8:1:3::1": 401, "192.0.2.1": 401, "not an address": 401} {
		if got := try(99, from); got != want {
			t.Errorf("from %s: %d, want %d", from, got, want)
		}
	}
}

func TestRefreshRotatesAndReuseEndsTheFamily(t *testing.T) {
	w := newWorld(t)
	w.user(token.User, "ada@example.com")
	first, other := w.login("ada@example.com", plain), w.login("ada@example.com", plain)
	second := w.refresh(first)
	if second.RefreshToken == first.RefreshToken || second.Token == first.Token {
		t.Error("nothing rotated")
	}
	third := w.refresh(second)
	w.want(401, "invalid_refresh_token", "POST", "/auth/refresh", js("refresh_token", first.RefreshToken), "")
	w.want(401, "invalid_refresh_token", "POST", "/auth/refresh", js("refresh_token", third.RefreshToken), "")
	if !strings.Contains(w.log.String(), "event=refresh_token_reused") {
		t.Error("no security event")
	}
	other = w.refresh(other) // another sign-in goes on
	w.clock.Go(12 * time.Hour)
	w.want(401, "invalid_refresh_token", "POST", "/auth/refresh", js("refresh_token", other.RefreshToken), "")
}

// broken is a ring whose keys cannot be used just now.
type broken struct{ signin.Keys }

func (broken) Sign(context.Context, []byte) ([]byte, error) { return nil, errors.New("KMS is away") }

func TestNoSessionIsLostWhileTokensCannotBeSigned(t *testing.T) {
	w := newWorld(t)
	w.user(token.User, "ada@example.com")
	s := w.login("ada@example.com", plain)
	ring, err := keys.File(w.keyFile)
	check(t, err)
	away, err := signin.New(w.cfg, signin.Deps{Store: w.store, Keys: broken{ring}, Mail: w.mail, Log: slog.New(slog.DiscardHandler), Clock: w.clock.Now})
	check(t, err)
	r := web.New(slog.New(slog.DiscardHandler), web.WithPublic(signin.PublicRoutes...))
	away.Routes(r)
	a := w.do(r, "POST", "/auth/refresh", js("refresh_token", s.RefreshToken))
	if a.status != 503 || a.Code != "keys_unavailable" || strings.Contains(a.body, "KMS") {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.refresh(s)
}

func TestSigningOut(t *testing.T) {
	w := newWorld(t)
	w.user(token.User, "ada@example.com")
	one, two, three := w.login("ada@example.com", plain), w.login("ada@example.com", plain), w.login("ada@example.com", plain)
	w.want(200, "", "POST", "/auth/logout", js("refresh_token", one.RefreshToken), one.Token)
	w.want(401, "invalid_refresh_token", "POST", "/auth/refresh", js("refresh_token", one.RefreshToken), "")
	w.want(200, "", "GET", "/fresh", "", one.Token)
	two = w.refresh(two)
	w.want(200, "", "POST", "/auth/logout", "", two.Token)
	for _, s := range []session{two, three} {
		w.want(401, "invalid_refresh_token", "POST", "/auth/refresh", js("refresh_token", s.RefreshToken), "")
		w.want(401, "session_ended", "GET", "/fresh", "", s.Token)
	}
	w.want(401, "no_token", "POST", "/auth/logout", "", "")
	four := w.login("ada@example.com", plain)
	w.want(200, "", "POST", "/auth/logout", "", two.Token) // of a session that has ended
	w.refresh(four)
}

func change(email, old, new string) string {
	return js("email", email, "old_password", old, "password", new, "confirm_password", new)
}

func TestTheFirstPassword(t *testing.T) {
	w := newWorld(t)
	id := w.user(token.User, "ada@example.com")
	w.user(token.Bank, "bank@example.com")
	before, bank := w.login("ada@example.com", plain), w.login("bank@example.com", plain)
	w.want(200, "", "POST", "/user/"+id+"/first-password", "", bank.Token)
	m := w.mailed()
	found := regexp.MustCompile(`password: (\S+)`).FindStringSubmatch(m.Text)
	if m.To.Address != "ada@example.com" || found == nil || !strings.Contains(m.Text, "8 September 2021, 20:00 +08") {
		t.Fatalf("%+v", m)
	}
	first := found[1]
	w.want(401, "session_ended", "GET", "/fresh", "", before.Token)
	w.want(401, "invalid_refresh_token", "POST", "/auth/refresh", js("refresh_token", before.RefreshToken), "")
	w.want(401, "wrong_credentials", "POST", "/auth/login", js("email", "ada@example.com", "password", plain), "")

	s := w.login("ada@example.com", first)
	if !s.IsNew || s.Must != "password" {
		t.Errorf("%+v", s)
	}
	w.want(403, "password_change_required", "GET", "/anything", "", s.Token)
	s = w.refresh(s)
	if !s.IsNew {
		t.Error("a refresh forgot that the password is new")
	}
	for name, test := range map[string]struct{ body, field string }{
		"the wrong old one":         {change("ada@example.com", "wrong", fresh), "old_password"},
		"somebody else's account":   {change("bank@example.com", first, fresh), "email"},
		"too short":                 {change("ada@example.com", first, "short"), "password"},
		"common":                    {change("ada@example.com", first, "passwordpassword"), "password"},
		"their name":                {change("ada@example.com", first, "AdaLovelace2021!"), "password"},
		"the same":                  {change("ada@example.com", first, first), "password"},
		"not confirmed":             {js("email", "ada@example.com", "old_password", first, "password", fresh, "confirm_password", "x"), "confirm_password"},
		"a field that is not there": {`{"email":"ada@example.com","role":"admin"}`, "role"},
	} {
		a := w.want(400, "invalid", "POST", "/auth/password", test.body, s.Token)
		if a.Fields[test.field] == "" {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	w.want(200, "", "POST", "/auth/password", change("ADA@example.com", first, fresh), s.Token)
	if m := w.mailed(); !strings.Contains(m.Subject, "password was changed") {
		t.Errorf("%+v", m)
	}
	w.want(401, "session_ended", "POST", "/auth/password", change("ada@example.com", fresh, plain), s.Token)
	w.want(401, "invalid_refresh_token", "POST", "/auth/refresh", js("refresh_token", s.RefreshToken), "")
	if s = w.login("ada@example.com", fresh); s.IsNew {
		t.Error("it is new still")
	}
	w.want(200, "", "GET", "/anything", "", s.Token)

	for _, test := range []struct {
		name, id, code string
		status         int
	}{
		{"an admin's", w.user(token.Admin, "root@example.com"), "forbidden", 403},
		{"nobody's", uuid.NewString(), "not_found", 404},
		{"no UUID", "today", "invalid", 400},
	} {
		w.want(test.status, test.code, "POST", "/user/"+test.id+"/first-password", "", bank.Token)
	}
	root := w.login("root@example.com", plain)
	w.want(409, "no_password", "POST", "/user/"+w.user(token.Merchant, "shop@example.com")+"/first-password", "", root.Token)
	w.want(403, "forbidden", "POST", "/user/"+id+"/first-password", "", s.Token)
	w.mail.mu.Lock()
	w.mail.err = fmt.Errorf("nobody listens")
	w.mail.mu.Unlock()
	w.want(503, "mail_unavailable", "POST", "/user/"+bank.UserID+"/first-password", "", root.Token)
}

// TestTheFirstMail is what passworder asks for.
func TestTheFirstMail(t *testing.T) {
	w := newWorld(t)
	id := storetest.Insert(t, w.db, w.clock.Now(), storetest.User{Email: "new@example.com", First: "New", Role: token.User, New: true})
	secret := strings.Repeat("s", 40)
	check(t, w.service.EnsureServices(t.Context(), map[string]config.Secret{"passworder": config.NewSecret(secret)}))
	var grant struct {
		AccessToken string `json:"access_token"`
	}
	ask := func(status int, code string) string {
		t.Helper()
		a := w.do(w.internal, "POST", "/auth/token", js("grant_type", "client_credentials", "client_id", signin.ServiceID("passworder"), "client_secret", secret), "Content-Type", "application/json")
		check(t, json.Unmarshal([]byte(a.body), &grant)) // an hour passes
		a = w.do(w.internal, "POST", "/internal/user/"+id+"/first-password", "", "Authorization", "Bearer "+grant.AccessToken)
		if a.status != status || a.Code != code {
			t.Fatalf("%d %s, want %d %s", a.status, a.body, status, code)
		}
		return a.body
	}
	fails := func(err error) {
		w.mail.mu.Lock()
		defer w.mail.mu.Unlock()
		w.mail.err = err
	}
	fails(errors.New("nobody listens"))
	ask(503, "mail_unavailable")
	fails(nil)
	w.clock.Go(time.Hour)
	if body := ask(200, ""); !strings.Contains(body, `"sent":true`) {
		t.Fatal(body)
	}
	m := w.mailed()
	first := regexp.MustCompile(`password: (\S+)`).FindStringSubmatch(m.Text)[1]
	if m.To.Address != "new@example.com" || !strings.Contains(m.Text, "8 September 2021, 20:00 +08") { // 7 days after it was made, not after it was sent
		t.Fatalf("%+v", m)
	}
	if body := ask(200, ""); !strings.Contains(body, `"sent":false`) || len(w.mail.mails) != 0 {
		t.Fatal("a second mail: ", body)
	}
	if s := w.login("new@example.com", first); !s.IsNew || s.Must != "password" {
		t.Errorf("%+v", s)
	}
	if strings.Contains(w.log.String(), first) {
		t.Error("the password is in the log")
	}
	id = storetest.Insert(t, w.db, w.clock.Now(), storetest.User{Email: "two@example.com", First: "Two", Role: token.User, New: true})
	fails(fmt.Errorf("no such mailbox: %w", mail.ErrRefused))
	ask(409, "mail_refused")
	id = uuid.NewString()
	ask(404, "not_found")
	id = w.user(token.Merchant, "merchant@example.com")
	ask(409, "no_password")
}

func TestAFirstPasswordExpires(t *testing.T) {
	w := newWorld(t)
	storetest.Insert(t, w.db, w.clock.Now(), storetest.User{Email: "new@example.com", Role: token.User, Hash: plainHash(), New: true, Expires: w.clock.Now().Add(signin.FirstPasswordLife)})
	w.clock.Go(signin.FirstPasswordLife - time.Minute)
	s := w.login("new@example.com", plain)
	w.clock.Go(time.Minute)
	w.want(401, "password_expired", "POST", "/auth/login", js("email", "new@example.com", "password", plain), "")
	a := w.want(400, "invalid", "POST", "/auth/password", change("new@example.com", plain, fresh), s.Token)
	if !strings.Contains(a.Fields["old_password"], "expired") {
		t.Error(a.body)
	}
}

func TestAForgottenPassword(t *testing.T) {
	w := newWorld(t)
	w.user(token.User, "ada@example.com")
	before := w.login("ada@example.com", plain)
	link := func() string {
		t.Helper()
		w.want(202, "", "POST", "/auth/forgot", js("email", "ADA@example.com"), "")
		m := w.mailed()
		found := regexp.MustCompile(`https://portal\.example\.com/reset\?token=(\S+)`).FindStringSubmatch(m.Text)
		if found == nil || m.To.Address != "ada@example.com" {
			t.Fatalf("%+v", m)
		}
		return found[1]
	}
	reset := func(status int, token, pass string) answer {
		t.Helper()
		code := "invalid"
		if status == 200 {
			code = ""
		}
		return w.want(status, code, "POST", "/auth/reset", js("token", token, "password", pass, "confirm_password", pass), "")
	}
	one := link()
	if a := reset(400, one, "short"); a.Fields["password"] == "" {
		t.Error(a.body)
	}
	reset(200, one, fresh) // what was refused did not use the link up
	if m := w.mailed(); !strings.Contains(m.Subject, "password was changed") {
		t.Errorf("%+v", m)
	}
	if a := reset(400, one, plain); a.Fields["token"] == "" {
		t.Errorf("used again: %s", a.body)
	}
	w.want(401, "session_ended", "GET", "/fresh", "", before.Token)
	w.want(401, "invalid_refresh_token", "POST", "/auth/refresh", js("refresh_token", before.RefreshToken), "")
	w.login("ada@example.com", fresh)

	two := link()
	w.clock.Go(30 * time.Minute)
	if a := reset(400, two, plain); a.Fields["token"] == "" {
		t.Errorf("expired: %s", a.body)
	}
	three := link()
	link()
	if a := reset(400, three, plain); a.Fields["token"] == "" {
		t.Errorf("another link took its place: %s", a.body)
	}
	if strings.Contains(w.log.String(), one) {
		t.Error("the link is in the log")
	}
	// A mailbox is not filled, and the answer does not say so.
	link()
	for range 3 {
		w.want(202, "", "POST", "/auth/forgot", js("email", "ada@example.com"), "")
	}
	w.service.EmailChanged(t.Context(), netmail.Address{Address: "ada@example.com"}, "x@example.org")
	if m := w.mailed(); !strings.Contains(m.Subject, "email address was changed") || !strings.Contains(m.Text, "x…@example.org") {
		t.Errorf("%s: more than three links in a quarter of an hour", m.Subject)
	}
}

func (w *world) code(secret string) string {
	w.t.Helper()
	code, err := totp.GenerateCode(secret, w.clock.Now())
	check(w.t, err)
	return code
}

func TestTheSecondFactor(t *testing.T) {
	w := newWorld(t, func(c *signin.Config) { c.RequireMFA = true })
	id := w.user(token.Bank, "bank@example.com")
	w.user(token.User, "ada@example.com")
	if s := w.login("ada@example.com", plain); s.Must != "" {
		t.Errorf("a cardholder must %s", s.Must)
	} else {
		w.want(403, "forbidden", "POST", "/auth/totp", "", s.Token)
	}
	s, spy := w.login("bank@example.com", plain), w.login("bank@example.com", plain)
	if s.Must != "totp" || s.IsNew {
		t.Errorf("%+v", s)
	}
	w.want(403, "totp_required", "GET", "/anything", "", s.Token)
	w.want(409, "totp_not_begun", "POST", "/auth/totp/confirm", js("code", "123456"), s.Token)
	var f struct{ Secret, URL string }
	w.want(200, "", "POST", "/auth/totp", "", s.Token).into(t, &f)
	if len(f.Secret) != 32 || !strings.HasPrefix(f.URL, "otpauth://totp/AngelOwl:bank@example.com?") || !strings.Contains(f.URL, "secret="+f.Secret) {
		t.Errorf("%+v", f)
	}
	var kept string
	check(t, w.db.Raw("SELECT secret FROM totp_factors").Scan(&kept).Error)
	if strings.Contains(kept, f.Secret) || len(kept) < 60 {
		t.Error("the secret is not encrypted")
	}
	wrong := "000000"
	if w.code(f.Secret) == wrong {
		wrong = "000001"
	}
	if a := w.want(400, "invalid", "POST", "/auth/totp/confirm", js("code", wrong), s.Token); a.Fields["code"] == "" {
		t.Error(a.body)
	}
	w.want(200, "", "POST", "/auth/totp/confirm", js("code", w.code(f.Secret)), s.Token).into(t, &s)
	if s.Must != "" {
		t.Errorf("%+v", s)
	}
	w.want(200, "", "GET", "/fresh", "", s.Token)
	w.refresh(s)
	w.want(401, "invalid_refresh_token", "POST", "/auth/refresh", js("refresh_token", spy.RefreshToken), "") // signed in without it
	w.want(409, "totp_exists", "POST", "/auth/totp", "", s.Token)

	login := func(status int, code, totp string) {
		t.Helper()
		w.want(status, code, "POST", "/auth/login", js("email", "bank@example.com", "password", plain, "totp", totp), "")
	}
	login(401, "totp_required", "")
	login(401, "wrong_totp", wrong)
	login(401, "wrong_totp", w.code(f.Secret)) // that confirmed it
	w.clock.Go(30 * time.Second)
	login(200, "", w.code(f.Secret))
	login(401, "wrong_totp", w.code(f.Secret)) // replayed
	w.clock.Go(time.Hour)
	ahead, err := totp.GenerateCode(f.Secret, w.clock.Now().Add(30*time.Second))
	check(t, err)
	login(200, "", ahead)
	login(401, "wrong_totp", w.code(f.Secret)) // an older one than was taken
	late, err := totp.GenerateCode(f.Secret, w.clock.Now().Add(-2*time.Minute))
	check(t, err)
	login(401, "wrong_totp", late)
	w.want(401, "wrong_credentials", "POST", "/auth/login", js("email", "bank@example.com", "password", "wrong", "totp", w.code(f.Secret)), "")

	// An admin takes a lost one away; not the own.
	w.clock.Go(time.Hour)
	w.cfg.RequireMFA = false
	w.restart()
	w.user(token.Admin, "root@example.com")
	admin := w.login("root@example.com", plain)
	w.want(403, "not_your_own", "DELETE", "/user/"+admin.UserID+"/totp", "", admin.Token)
	w.want(404, "not_found", "DELETE", "/user/"+uuid.NewString()+"/totp", "", admin.Token)
	w.want(204, "", "DELETE", "/user/"+id+"/totp", "", admin.Token)
	w.want(404, "not_found", "DELETE", "/user/"+id+"/totp", "", admin.Token)
	w.want(401, "invalid_refresh_token", "POST", "/auth/refresh", js("refresh_token", s.RefreshToken), "")
	s = w.login("bank@example.com", plain)
	w.want(403, "forbidden", "DELETE", "/user/"+id+"/totp", "", s.Token)
}

func TestCodesAreThirtyADay(t *testing.T) {
	w := newWorld(t)
	id := w.user(token.Bank, "bank@example.com")
	s := w.login("bank@example.com", plain)
	var f struct{ Secret string }
	w.want(200, "", "POST", "/auth/totp", "", s.Token).into(t, &f)
	w.want(200, "", "POST", "/auth/totp/confirm", js("code", w.code(f.Secret)), s.Token)
	body := js("email", "bank@example.com", "password", plain, "totp", "99999x")
	for range 30 {
		w.clock.Go(time.Minute)
		w.want(401, "wrong_totp", "POST", "/auth/login", body, "")
	}
	w.clock.Go(time.Hour)
	w.want(429, "too_many_tries", "POST", "/auth/login", body, "")
	w.want(401, "wrong_credentials", "POST", "/auth/login", js("email", "bank@example.com", "password", "x", "totp", "99999x"), "")
	w.clock.Go(24 * time.Hour)
	if s := w.login("bank@example.com", plain, "totp", w.code(f.Secret)); s.UserID != id {
		t.Errorf("%+v", s)
	}
}

func TestCodesAreLimitedWithTheAccount(t *testing.T) {
	w := newWorld(t)
	w.user(token.Bank, "bank@example.com")
	s := w.login("bank@example.com", plain)
	w.want(200, "", "POST", "/auth/totp", "", s.Token)
	for i := range 12 {
		a := w.do(w.public, "POST", "/auth/totp/confirm", js("code", "99999x"), "Authorization", "Bearer "+s.Token)
		if want := map[bool]int{true: 400, false: 429}[i < 10]; a.status != want {
			t.Fatalf("try %d: %d %s", i, a.status, a.body)
		}
	}
}

func TestKeysRotateWhileTokensLive(t *testing.T) {
	w := newWorld(t)
	w.user(token.User, "ada@example.com")
	old := w.login("ada@example.com", plain)
	published := func() []string {
		t.Helper()
		a := w.do(w.public, "GET", "/.well-known/jwks.json", "")
		if b := w.do(w.internal, "GET", "/.well-known/jwks.json", ""); a.body != b.body || a.status != 200 || a.header.Get("Cache-Control") != "public, max-age=300" {
			t.Fatalf("%d %v\n%s\n%s", a.status, a.header, a.body, b.body)
		}
		var set jose.JSONWebKeySet
		check(t, json.Unmarshal([]byte(a.body), &set))
		var ids []string
		for _, k := range set.Keys {
			if !k.IsPublic() || k.Algorithm != "ES256" || k.Use != "sig" {
				t.Errorf("%+v", k)
			}
			ids = append(ids, k.KeyID)
		}
		return ids
	}
	before := published()
	check(t, keys.Rotate(w.keyFile))
	w.restart()
	after := published()
	if len(before) != 1 || len(after) != 2 || after[1] != before[0] {
		t.Fatalf("published %v, then %v", before, after)
	}
	w.want(200, "", "GET", "/fresh", "", old.Token)
	next := w.refresh(old)
	w.want(200, "", "GET", "/fresh", "", next.Token)
	parsed, err := jose.ParseSignedCompact(next.Token, []jose.SignatureAlgorithm{jose.ES256})
	check(t, err)
	if kid := parsed.Signatures[0].Header.KeyID; kid != after[0] {
		t.Errorf("signed by %s, want the new key %s", kid, after[0])
	}
	// Others verify by what is published.
	srv := httptest.NewServer(w.public)
	defer srv.Close()
	remote := &token.Verifier{Party: w.cfg.Party, Keys: token.NewRemote(srv.URL+"/.well-known/jwks.json", srv.Client(), w.clock.Now), Clock: w.clock.Now}
	for _, s := range []session{old, next} {
		if _, err := remote.Verify(t.Context(), s.Token); err != nil {
			t.Error(err)
		}
	}
}

func TestClients(t *testing.T) {
	w := newWorld(t)
	shop := w.user(token.Merchant, "shop@example.com")
	person := w.user(token.User, "ada@example.com")
	w.user(token.Admin, "root@example.com")
	w.user(token.Bank, "bank@example.com")
	root, bank := w.login("root@example.com", plain), w.login("bank@example.com", plain)
	type item struct {
		ID           string
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	var one, two item
	w.want(201, "", "POST", "/user/"+shop+"/secret", "", root.Token).into(t, &one)
	w.clock.Go(time.Second)
	w.want(201, "", "POST", "/user/"+shop+"/secret", "", root.Token).into(t, &two)
	w.want(409, "two_secrets", "POST", "/user/"+shop+"/secret", "", root.Token)
	w.want(409, "wrong_role", "POST", "/user/"+person+"/secret", "", root.Token)
	w.want(404, "not_found", "POST", "/user/"+uuid.NewString()+"/secret", "", root.Token)
	w.want(403, "forbidden", "GET", "/user/"+shop+"/secret", "", bank.Token)
	var list []item
	listed := w.want(200, "", "GET", "/user/"+shop+"/secret", "", root.Token)
	listed.into(t, &list)
	if len(list) != 2 || list[0].ID != one.ID || strings.Contains(listed.body, one.ClientSecret) || one.ClientID != shop || !strings.HasPrefix(one.ClientSecret, "aos_") || len(one.ClientSecret) != 47 {
		t.Errorf("%+v %s", one, listed.body)
	}

	form, basic := "application/x-www-form-urlencoded", func(id, secret string) string {
		r := httptest.NewRequest("POST", "/", nil)
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		return r.Header.Get("Authorization")
	}
	const grant = "grant_type=client_credentials"
	for _, test := range []struct {
		name, body string
		headers    []string
		status     int
		code       string
	}{
		{"Basic", grant, []string{"Content-Type", form, "Authorization", basic(shop, one.ClientSecret)}, 200, ""},
		{"Basic, the other secret", grant, []string{"Content-Type", form, "Authorization", basic(shop, two.ClientSecret)}, 200, ""},
		{"a form", grant + "&scope=x&unknown=1&client_id=" + shop + "&client_secret=" + one.ClientSecret, []string{"Content-Type", form + "; charset=utf-8"}, 200, ""},
		{"JSON", js("grant_type", "client_credentials", "client_id", shop, "client_secret", one.ClientSecret), []string{"Content-Type", "application/json"}, 200, ""},
		{"a wrong secret", grant, []string{"Content-Type", form, "Authorization", basic(shop, one.ClientSecret+"x")}, 401, "invalid_client"},
		{"an unknown client", grant, []string{"Content-Type", form, "Authorization", basic(uuid.NewString(), one.ClientSecret)}, 401, "invalid_client"},
		{"a person", grant, []string{"Content-Type", form, "Authorization", basic(person, plain)}, 401, "invalid_client"},
		{"an id that is none", grant, []string{"Content-Type", form, "Authorization", basic("shop", "x")}, 401, "invalid_client"},
		{"a NUL", grant, []string{"Content-Type", form, "Authorization", basic(shop, "\x00")}, 401, "invalid_client"},
		{"a bearer token", grant, []string{"Content-Type", form, "Authorization", "Bearer x"}, 401, "invalid_client"},
		{"nobody", grant, []string{"Content-Type", form}, 401, "invalid_client"},
		{"another grant", "grant_type=password", []string{"Content-Type", form, "Authorization", basic(shop, one.ClientSecret)}, 400, "unsupported_grant_type"},
		{"no grant", "", []string{"Content-Type", form, "Authorization", basic(shop, one.ClientSecret)}, 400, "invalid_request"},
		{"a field twice", grant + "&" + grant, []string{"Content-Type", form, "Authorization", basic(shop, one.ClientSecret)}, 400, "invalid_request"},
		{"the secret twice", grant + "&client_secret=x", []string{"Content-Type", form, "Authorization", basic(shop, one.ClientSecret)}, 400, "invalid_request"},
		{"two ids", grant + "&client_id=x", []string{"Content-Type", form, "Authorization", basic(shop, one.ClientSecret)}, 400, "invalid_request"},
		{"broken JSON", "{", []string{"Content-Type", "application/json"}, 400, "invalid_request"},
		{"JSON of numbers", `{"grant_type":1}`, []string{"Content-Type", "application/json"}, 400, "invalid_request"},
		{"a broken form", "%zz", []string{"Content-Type", form}, 400, "invalid_request"},
		{"a long body", strings.Repeat("x", 17<<10), []string{"Content-Type", form}, 413, "too_large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := w.do(w.public, "POST", "/auth/token", test.body, test.headers...)
			if a.status != test.status || a.Code != test.code || a.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %s %v", a.status, a.body, a.header)
			}
			var got struct {
				AccessToken string `json:"access_token"`
				TokenType   string `json:"token_type"`
				ExpiresIn   int    `json:"expires_in"`
				Error       string
			}
			check(t, json.Unmarshal([]byte(a.body), &got))
			if test.status == 200 {
				c, err := w.service.Verifier().Verify(t.Context(), got.AccessToken)
				if err != nil || c.Role != token.Merchant || c.Subject != shop || got.TokenType != "Bearer" || got.ExpiresIn != 1200 {
					t.Errorf("%+v %+v %v", got, c, err)
				}
			} else if test.status == 401 && got.Error != test.code {
				t.Errorf("%s", a.body)
			}
		})
	}
	w.want(400, "invalid", "DELETE", "/user/"+shop+"/secret/today", "", root.Token)
	w.want(404, "not_found", "DELETE", "/user/"+person+"/secret/"+one.ID, "", root.Token)
	w.want(204, "", "DELETE", "/user/"+shop+"/secret/"+one.ID, "", root.Token)
	if a := w.do(w.public, "POST", "/auth/token", grant, "Content-Type", form, "Authorization", basic(shop, one.ClientSecret)); a.status != 401 {
		t.Errorf("a revoked secret: %d", a.status)
	}
	check(t, w.db.Exec("UPDATE users SET locked = ? WHERE id = ?", true, shop).Error)
	if a := w.do(w.public, "POST", "/auth/token", grant, "Content-Type", form, "Authorization", basic(shop, two.ClientSecret)); a.status != 401 || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("a locked client: %d %v", a.status, a.header)
	}
	if log := w.log.String(); strings.Contains(log, one.ClientSecret) || !strings.Contains(log, "event=secret_added") || !strings.Contains(log, "event=secret_revoked") {
		t.Error("the log has a secret, or lacks an event")
	}
}

func TestServicesAndWhatTheyAsk(t *testing.T) {
	w := newWorld(t)
	secret := strings.Repeat("s", 32)
	all, err := signin.ParseServiceSecrets(config.NewSecret("publish-single=" + secret + ", informer=" + strings.Repeat("i", 40) + ","))
	check(t, err)
	if len(all) != 2 || all["publish-single"].Reveal() != secret {
		t.Fatalf("%v", all)
	}
	for _, bad := range []string{"x", "x=short", "=" + secret, "a=" + secret + ",a=" + secret} {
		if _, err := signin.ParseServiceSecrets(config.NewSecret(bad)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for range 2 {
		check(t, w.service.EnsureServices(t.Context(), all))
	}
	var grant struct {
		AccessToken string `json:"access_token"`
	}
	signIn := func() {
		a := w.do(w.internal, "POST", "/auth/token", js("grant_type", "client_credentials", "client_id", signin.ServiceID("publish-single"), "client_secret", secret), "Content-Type", "application/json")
		check(t, json.Unmarshal([]byte(a.body), &grant))
	}
	signIn()
	ask := func(status int, code, method, path, body string) answer {
		t.Helper()
		a := w.do(w.internal, method, path, body, "Authorization", "Bearer "+grant.AccessToken)
		if a.status != status || a.Code != code {
			t.Fatalf("%s %s: %d %s, want %d %s", method, path, a.status, a.body, status, code)
		}
		return a
	}
	shop := w.user(token.Merchant, "shop@example.com")
	w.user(token.Admin, "root@example.com")
	root := w.login("root@example.com", plain)
	if a := ask(200, "", "GET", "/internal/session/"+shop, ""); string(a.Data) != `{"role":"merchant","session":1,"locked":false}` {
		t.Error(a.body)
	}
	ask(404, "not_found", "GET", "/internal/session/"+uuid.NewString(), "")
	ask(400, "invalid", "GET", "/internal/session/x", "")
	if a := ask(200, "", "GET", "/internal/merchant/"+shop, ""); string(a.Data) != `{"role":"merchant","session":1,"locked":false,"limits":null}` {
		t.Error(a.body)
	}
	for _, caller := range []string{root.Token, ""} {
		a := w.do(w.internal, "GET", "/internal/session/"+shop, "", "Authorization", "Bearer "+caller)
		if a.status != 403 && a.status != 401 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}

	path := "/user/" + shop + "/limits"
	if a := w.want(200, "", "GET", path, "", root.Token); string(a.Data) != "null" {
		t.Error(a.body)
	}
	const limits = `{"merchants":["Kaligo & Söhne"],"mccs":["5411","3500-3999"],"currencies":["SGD","JPY"],"daily_sums":[{"currency":"SGD","amount":100.50},{"currency":"JPY","amount":9007199254740993}]}`
	for _, method := range []string{"PUT", "GET"} {
		body := ""
		if method == "PUT" {
			body = strings.Replace(limits, `"SGD","JPY"`, `"sgd"," JPY"`, 1)
			w.want(400, "invalid", method, path, body, root.Token)
			body = strings.Replace(limits, `"Kaligo`, `"  Kaligo`, 1)
		}
		var got, want any
		w.want(200, "", method, path, body, root.Token).into(t, &got)
		check(t, json.Unmarshal([]byte(limits), &want))
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if a := ask(200, "", "GET", "/internal/merchant/"+shop, ""); !strings.Contains(string(a.Data), "9007199254740993") || !strings.Contains(string(a.Data), "100.50") {
		t.Error(a.body)
	}
	for name, test := range map[string]struct{ body, field string }{
		"a list that is none":     {`{"merchants":"x"}`, "merchants"},
		"an empty name":           {`{"merchants":[" "]}`, "merchants"},
		"a long name":             {`{"merchants":["` + strings.Repeat("x", 257) + `"]}`, "merchants"},
		"a NUL":                   {`{"merchants":["a\u0000"]}`, "merchants"},
		"too many":                {`{"merchants":["a"` + strings.Repeat(`,"a"`, 200) + `]}`, "merchants"},
		"no code":                 {`{"mccs":["x"]}`, "mccs"},
		"a number":                {`{"mccs":[5411]}`, "mccs"},
		"a currency":              {`{"currencies":["XXX"]}`, "currencies"},
		"a sum of nothing":        {`{"daily_sums":[{"currency":"SGD","amount":0}]}`, "daily_sums"},
		"a sum below":             {`{"daily_sums":[{"currency":"SGD","amount":-1}]}`, "daily_sums"},
		"a sum too fine":          {`{"daily_sums":[{"currency":"SGD","amount":1.001}]}`, "daily_sums"},
		"a sum as text":           {`{"daily_sums":[{"currency":"SGD","amount":"1"}]}`, "daily_sums"},
		"no sum":                  {`{"daily_sums":[{"currency":"SGD"}]}`, "daily_sums"},
		"a sum too large":         {`{"daily_sums":[{"currency":"SGD","amount":1e30}]}`, "daily_sums"},
		"a sum twice":             {`{"daily_sums":[{"currency":"SGD","amount":1},{"currency":"sgd","amount":1}]}`, "daily_sums"},
		"a sum's unknown field":   {`{"daily_sums":[{"currency":"SGD","amount":1,"per":"week"}]}`, "per"},
		"a field that is unknown": {`{"mcc":["5411"]}`, "mcc"},
	} {
		a := w.want(400, "invalid", "PUT", path, test.body, root.Token)
		if a.Fields[test.field] == "" && !strings.Contains(a.body, test.field) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	w.want(409, "wrong_role", "PUT", "/user/"+root.UserID+"/limits", limits, root.Token)

	spend := func(n int, amount, currency string) string {
		return fmt.Sprintf(`{"card_id":"%s","transaction_date":"2021-09-01","id":"00000000-0000-4000-8000-%012d","currency":"%s","amount":%s}`, shop, n, currency, amount)
	}
	at := "/internal/merchant/" + shop + "/spend"
	if a := ask(200, "", "POST", at, spend(1, "100.50", "SGD")); string(a.Data) != `{"currency":"SGD","spent":100.50,"limit":100.50}` {
		t.Error(a.body)
	}
	ask(200, "", "POST", at, spend(1, "100.50", "SGD"))
	if a := ask(403, "not_your_merchant", "POST", at, spend(2, "0.01", "SGD")); !strings.Contains(a.Error, "SGD 100.50") {
		t.Error(a.body)
	}
	if a := ask(200, "", "POST", at, spend(3, "-7", "USD")); string(a.Data) != `{"currency":"USD","spent":7.00,"limit":null}` {
		t.Error(a.body)
	}
	w.clock.Go(4 * time.Hour) // midnight in Singapore
	signIn()
	ask(200, "", "POST", at, spend(2, "100.50", "SGD"))
	for name, test := range map[string]struct{ body, field string }{
		"no card":       {strings.Replace(spend(1, "1", "SGD"), shop, "", 1), "card_id"},
		"a bad date":    {strings.Replace(spend(1, "1", "SGD"), "2021-09-01", "2021-02-30", 1), "transaction_date"},
		"a bad amount":  {spend(1, `"1"`, "SGD"), "amount"},
		"too fine":      {spend(1, "1.001", "SGD"), "amount"},
		"no currency":   {spend(1, "1", ""), "currency"},
		"unknown field": {strings.Replace(spend(1, "1", "SGD"), "{", `{"x":1,`, 1), "x"},
	} {
		if a := ask(400, "invalid", "POST", at, test.body); a.Fields[test.field] == "" {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	ask(409, "wrong_role", "POST", "/internal/merchant/"+root.UserID+"/spend", spend(1, "1", "SGD"))
	ask(404, "not_found", "POST", "/internal/merchant/"+uuid.NewString()+"/spend", spend(1, "1", "SGD"))
}

func TestUnsubscribing(t *testing.T) {
	w := newWorld(t)
	id := w.user(token.User, "ada@example.com")
	link, err := w.service.UnsubscribeToken(id)
	check(t, err)
	w.restart() // it is not kept anywhere
	w.want(200, "", "POST", "/unsubscribe/"+link, "List-Unsubscribe=One-Click", "")
	a, err := w.store.Account(t.Context(), id)
	check(t, err)
	if a.RewardEmails {
		t.Error("mails go on")
	}
	w.want(200, "", "POST", "/unsubscribe/"+link, "", "")
	other := strings.Replace(link, link[:4], "AAAA", 1)
	for _, bad := range []string{other, link[:42], link + "A", "x", "%00"} {
		w.want(400, "invalid", "POST", "/unsubscribe/"+bad, "", "")
	}
	if _, err := w.service.UnsubscribeToken("x"); err == nil {
		t.Error("a link for nobody")
	}
}

func TestBadInput(t *testing.T) {
	w := newWorld(t, func(c *signin.Config) {
		many := signin.Rate{Max: 10_000, Per: time.Minute}
		c.Rates = signin.Rates{Account: many, Codes: many, Address: many, Refresh: many, Client: many, ClientAddress: many, Forgot: many}
	})
	w.user(token.Bank, "bank@example.com")
	s := w.login("bank@example.com", plain)
	for path, fields := range map[string][]string{
		"/auth/login":        {"email", "password", "totp"},
		"/auth/refresh":      {"refresh_token"},
		"/auth/forgot":       {"email"},
		"/auth/reset":        {"token", "password", "confirm_password"},
		"/auth/password":     {"email", "password", "confirm_password", "old_password"},
		"/auth/totp/confirm": {"code"},
		"/auth/logout":       {"refresh_token"},
	} {
		whole := map[string]any{"email": "bank@example.com", "password": fresh, "confirm_password": fresh, "old_password": plain, "token": "x", "refresh_token": "x", "code": "123456", "totp": "123456"}
		send := func(name string, body string, field string) {
			t.Helper()
			a := w.do(w.public, "POST", path, body, "Authorization", "Bearer "+s.Token)
			if a.status < 400 || a.status >= 500 || a.Code == "" || a.Error == "" || field != "" && a.Fields[field] == "" {
				t.Errorf("%s, %s: %d %s", path, name, a.status, a.body)
			}
		}
		for _, field := range fields {
			for name, value := range map[string]any{
				"missing": nil, "a number": 1, "a list": []string{"x"}, "an object": map[string]any{}, "too long": strings.Repeat("x", 2000), "a NUL": "a\x00b", "a line's end": "a\nb",
			} {
				body := map[string]any{}
				for _, f := range fields {
					body[f] = whole[f]
				}
				body[field] = value
				if optional := field == "totp" || path == "/auth/logout"; optional && (name == "missing" || name == "too long" && path == "/auth/logout" || path == "/auth/logout" && strings.HasPrefix(fmt.Sprint(value), "a")) {
					continue // no code, or a token that is nobody's
				}
				b, err := json.Marshal(body)
				check(t, err)
				want := field
				if field == "confirm_password" && strings.HasPrefix(path, "/auth/reset") && name != "missing" || field == "password" && path == "/auth/reset" && name != "missing" {
					want = "" // the token is looked at first
				}
				send(field+" "+name, string(b), want)
			}
		}
		send("an unknown field", `{"x":1}`, "x")
		send("a list", `[]`, "")
		send("null", `null`, "")
		send("a text", `"x"`, "")
		send("cut off", `{"email":"`, "")
		send("two values", `{} {}`, "")
		send("no UTF-8", "{\"email\":\"\xff\"}", "")
		send("deep", strings.Repeat(`{"a":`, 3000)+"1"+strings.Repeat("}", 3000), "")
		send("10 MB", `{"email":"`+strings.Repeat("x", 10<<20)+`"}`, "")
		if path != "/auth/logout" {
			send("nothing", "", "")
		}
	}
	if strings.Contains(w.log.String(), "status=5") {
		t.Error("an answer was 5xx")
	}
	w.want(200, "", "GET", "/fresh", "", s.Token)
}

func TestSettingsThatAreRefused(t *testing.T) {
	for name, change := range map[string]func(*signin.Config){
		"no portal":         func(c *signin.Config) { c.PortalOrigin = "" },
		"a portal's path":   func(c *signin.Config) { c.PortalOrigin = "https://example.com/x" },
		"another scheme":    func(c *signin.Config) { c.PortalOrigin = "ftp://example.com" },
		"a short key":       func(c *signin.Config) { c.Subkey = make([]byte, 16) },
		"no time zone":      func(c *signin.Config) { c.Zone = nil },
		"no rate":           func(c *signin.Config) { c.Rates.Account = signin.Rate{} },
		"a life of nothing": func(c *signin.Config) { c.Lives.Idle = 0 },
	} {
		cfg := signin.DefaultConfig()
		cfg.PortalOrigin, cfg.Subkey = "https://portal.example.com", make([]byte, 32)
		check(t, cfg.Validate())
		change(&cfg)
		if _, err := signin.New(cfg, signin.Deps{}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// oldHash is a hash of plain that cost 8 MiB and one pass.
const oldHash = "$argon2id$v=19$m=8192,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$5UtIzT8W7oanBOBS8+IWWKblusIuGVtWNxvdhbco+n4"
