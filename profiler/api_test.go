package profiler_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/token/tokentest"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/angelowl-loyalties/app/profiler/postgres"
	"github.com/gin-gonic/gin"
	"github.com/glebarez/sqlite"
	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Here the service runs without an etcd, and with a sign-in that only remembers what it was asked:
// the two together are tested in local.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2021, 9, 1, 12, 0, 0, 0, time.UTC)

const pan, otherPAN = "4111 1111 1111 1111", "5555-5555-5555-4444"

// desk is a profiler.SignIn.
type desk struct {
	mu    sync.Mutex
	said  []string        // what was mailed
	ended map[string]bool // accounts whose sessions have ended
	away  bool            // the mail system
}

func (d *desk) Run(ctx context.Context) { <-ctx.Done() }

func (d *desk) Routes(r gin.IRouter) {
	r.POST("/auth/login", func(c *gin.Context) { web.Data(c, http.StatusOK, "in") })
}

func (d *desk) InternalRoutes(r gin.IRouter) {
	r.GET("/internal/session/:id", web.Allow(token.Service), func(c *gin.Context) { web.Data(c, http.StatusOK, "on") })
}

func (d *desk) Fresh() gin.HandlerFunc {
	return func(c *gin.Context) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.ended[web.CallerOf(c.Request.Context()).ID] {
			web.Fail(c, &web.Error{Status: http.StatusUnauthorized, Code: "session_ended", Message: "sign in again"})
		}
	}
}

func (d *desk) EmailChanged(_ context.Context, old mail.Address, now string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = append(d.said, fmt.Sprintf("told %s of %s", old.Address, now))
}

func (d *desk) SendFirstPassword(_ context.Context, to mail.Address, plain string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return errors.New("the mail system is away")
	}
	d.said = append(d.said, fmt.Sprintf("mailed %s to %s", plain, to.String()))
	return nil
}

func (d *desk) UnsubscribeToken(id string) (string, error) { return "token-of-" + id, nil }

func (d *desk) mailed() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() { d.said = nil }()
	return strings.Join(d.said, "; ")
}

func passwords() profiler.Passwords {
	return profiler.Passwords{
		Hash: func(_ context.Context, plain string) (string, error) { return "hash of " + fmt.Sprint(len(plain)), nil },
		CheckPassword: func(plain string, personal ...string) error {
			if len(plain) < 8 || strings.Contains(fmt.Sprint(personal), plain) {
				return loyalty.FieldErrors{{Field: "password", Code: "too_short", Reason: "is too short"}}
			}
			return nil
		},
		Random: func() string { return "Random-Password" },
	}
}

func dataKey(t testing.TB) profiler.DataKey {
	t.Helper()
	k, err := profiler.ParseDataKey(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// bank is a running service with an account of each role, and a second cardholder.
type bank struct {
	t             *testing.T
	url, internal string
	signer        *tokentest.Signer
	store         *postgres.Store
	desk          *desk
	dir           string
	log           *bytes.Buffer // complete when the service has ended
	ids           map[string]string
	stop          func()
}

func database(t *testing.T, dir string) *gorm.DB {
	t.Helper()
	options := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(OFF)", "foreign_keys(ON)"}}
	db, err := gorm.Open(sqlite.Open("file:"+filepath.Join(dir, "users.db")+"?"+options.Encode()), &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func open(t *testing.T) *bank {
	t.Helper()
	b := &bank{t: t, signer: tokentest.NewSigner(t), desk: &desk{ended: map[string]bool{}}, dir: t.TempDir(), log: new(bytes.Buffer), ids: map[string]string{}}
	db := database(t, b.dir)
	clock := func() time.Time { return now }
	var err error
	if b.store, err = postgres.Open(t.Context(), db, clock); err != nil {
		t.Fatal(err)
	}
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{"127.0.0.1:1"}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	var listeners [2]net.Listener
	for i := range listeners {
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	b.url, b.internal = "http://"+listeners[0].Addr().String(), "http://"+listeners[1].Addr().String()
	cfg := profiler.DefaultConfig()
	cfg.PublishWait = time.Millisecond
	cfg.Outbox = outbox.Config{Reconcile: time.Hour, Poll: time.Hour, Timeout: 20 * time.Millisecond}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- profiler.Run(ctx, cfg, profiler.Deps{
			Store: b.store, Etcd: etcd, Listener: listeners[0], Internal: listeners[1], Log: slog.New(slog.NewTextHandler(b.log, nil)), Clock: clock,
			DataKey: dataKey(t), Identify: web.Bearer(b.signer.Verifier()), SignIn: b.desk, Public: []string{"/auth/login"}, Passwords: passwords(),
		})
	}()
	b.stop = sync.OnceFunc(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := etcd.Close(); err != nil {
			t.Error(err)
		}
		if pool, err := db.DB(); err != nil || pool.Close() != nil {
			t.Error("closing the database")
		}
	})
	t.Cleanup(b.stop)
	for name, role := range map[string]token.Role{"user": token.User, "other": token.User, "bank": token.Bank, "merchant": token.Merchant, "admin": token.Admin} {
		id := uuid.New()
		b.ids[name] = id.String()
		u := profiler.User{ID: id, FirstName: name, LastName: "Test", Email: name + "@example.com", Role: role, RewardEmails: true}
		if _, err := b.store.CreateUser(t.Context(), "test", u, nil); err != nil {
			t.Fatal(err)
		}
	}
	b.ids["service"] = uuid.NewString()
	if _, err := b.store.CardTypes().Create(t.Context(), "test", loyalty.CardType{CardType: "gold", Name: "Gold", Unit: "miles", Programme: "Miles"}); err != nil {
		t.Fatal(err)
	}
	return b
}

// token is one of who: "" has none, "new" must change the password.
func (b *bank) token(who string) string {
	claims := token.Claims{Subject: b.ids[who], Role: token.Role(who), Session: 1, ID: uuid.NewString(), Issued: time.Now(), Expires: time.Now().Add(token.Lifetime)}
	switch who {
	case "":
		return ""
	case "new":
		claims.Subject, claims.Role, claims.Must = b.ids["user"], token.User, token.MustChangePassword
	case "other":
		claims.Role = token.User
	}
	return b.signer.Sealed(b.t, claims)
}

type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request as who; a path of /internal goes to the internal port.
func (b *bank) do(who, method, path, body string, headers ...string) answer {
	b.t.Helper()
	base := b.url
	if strings.HasPrefix(path, "/internal") {
		base = b.internal
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if raw := b.token(who); raw != "" {
		req.Header.Set("Authorization", "Bearer "+raw)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// want is do that checks the status.
func (b *bank) want(status int, who, method, path, body string, headers ...string) answer {
	b.t.Helper()
	got := b.do(who, method, path, body, headers...)
	if got.status != status {
		b.t.Fatalf("%s: %s %s: %d, want %d: %s", who, method, path, got.status, status, got.body)
	}
	return got
}

func (a answer) has(t *testing.T, parts ...string) answer {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(a.body, part) {
			t.Errorf("lacks %s: %s", part, a.body)
		}
	}
	return a
}

func (a answer) hasNot(t *testing.T, parts ...string) answer {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(a.body, part) {
			t.Errorf("has %s: %s", part, a.body)
		}
	}
	return a
}

type failure struct {
	Error  string            `json:"error"`
	Code   string            `json:"code"`
	Fields map[string]string `json:"fields"`
}

func (a answer) failure(t *testing.T) (f failure) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil || f.Error == "" || f.Code == "" {
		t.Fatalf("not an error of ours (%v): %s", err, a.body)
	}
	return f
}

func (a answer) id(t *testing.T) string {
	t.Helper()
	var w struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(a.body), &w); err != nil || w.Data.ID == "" {
		t.Fatalf("no id (%v): %s", err, a.body)
	}
	return w.Data.ID
}

func userBody(n int, more string) string {
	return fmt.Sprintf(`{"first_name":"Ann","last_name":"Lee","phone":"+65 9123 4567","email":"ann%d@example.com"%s}`, n, more)
}

func cardBody(owner, more string) string {
	return fmt.Sprintf(`{"card_pan":%q,"user_id":%q,"card_type":"gold"%s}`, pan, owner, more)
}

func TestAnAccountsLife(t *testing.T) {
	b := open(t)
	made := b.want(201, "bank", "POST", "/user", userBody(1, `,"password":"Correct-Horse","confirm_password":"Correct-Horse"`))
	id := made.id(t)
	made.has(t, `"first_name":"Ann"`, `"phone":"+6591234567"`, `"Role":"user"`, `"IsNew":true`, `"CreditCards":[]`, `"CreatedAt":"2021-09-01T12:00:00Z"`, `"locked":false`, `"reward_emails":true`).
		hasNot(t, "Correct", "hash", "warnings")
	if made.header.Get("ETag") != `"1"` || made.header.Get("Location") != "/user/"+id {
		t.Errorf("headers: %v", made.header)
	}
	if said := b.desk.mailed(); said != "" {
		t.Errorf("with a password given: %s", said)
	}
	one := "/user/" + id
	b.want(412, "bank", "PUT", one, `{"last_name":"Lim"}`, `If-Match: "7"`).has(t, `"version_conflict"`)
	changed := b.want(200, "bank", "PUT", one, `{"last_name":"Lim"}`, `If-Match: "1"`).has(t, `"last_name":"Lim"`, `"first_name":"Ann"`, `"version":2`)
	// What was read can be sent back as it is.
	var read struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(changed.body), &read); err != nil {
		t.Fatal(err)
	}
	b.want(200, "admin", "PUT", "/user/"+strings.ToUpper(id), string(read.Data)).has(t, `"version":2`)
	b.want(200, "bank", "PUT", one, `{"email":"New@example.com"}`)
	if said := b.desk.mailed(); said != "told ann1@example.com of New@example.com" {
		t.Errorf("said %q", said)
	}
	b.want(200, "bank", "PUT", one, `{"email":"NEW@example.com","phone":""}`).has(t, `"phone":""`)
	if said := b.desk.mailed(); said != "" {
		t.Errorf("of another case: %q", said)
	}
	b.want(409, "bank", "POST", "/user", strings.Replace(userBody(1, ""), "ann1@", "nEw@", 1)).has(t, `"email_taken"`)
	b.want(409, "bank", "POST", "/user", userBody(2, `,"id":"`+id+`"`)).has(t, `"exists"`)
	b.want(200, "bank", "PUT", one, `{"locked":true,"reward_emails":false}`).has(t, `"locked":true`, `"reward_emails":false`)
	b.want(200, "bank", "GET", "/user?locked=true&search=LIM&sort=-email", "").has(t, `"total":1`, id)
	b.want(200, "bank", "GET", one+"/history?page_size=2", "").has(t, `"total":5`, `"who":"`+b.ids["bank"]+`"`, `"action":"changed"`).hasNot(t, "hash", "assword")
	b.want(412, "bank", "DELETE", one, "", `If-Match: "1"`)
	b.want(204, "bank", "DELETE", one, "")
	b.want(404, "bank", "GET", one, "").has(t, `"not_found"`)
	b.want(404, "admin", "PUT", one, `{"first_name":"x"}`)
	b.want(200, "bank", "GET", one+"/history", "").has(t, `"action":"deleted"`, `"after":null`)
	b.want(409, "bank", "POST", "/user", userBody(2, `,"id":"`+id+`"`)).has(t, `"exists"`)
}

func TestAFirstPasswordIsMailed(t *testing.T) {
	b := open(t)
	b.want(201, "bank", "POST", "/user", userBody(1, "")).hasNot(t, "warnings", "Random-Password")
	if said := b.desk.mailed(); said != `mailed Random-Password to "Ann Lee" <ann1@example.com>` {
		t.Errorf("said %q", said)
	}
	b.want(201, "admin", "POST", "/user", userBody(2, `,"Role":"merchant"`))
	if said := b.desk.mailed(); said != "" {
		t.Errorf("to a merchant: %q", said)
	}
	b.desk.away = true
	b.want(201, "bank", "POST", "/user", userBody(3, "")).has(t, `"warnings":[`, "first-password sends another")
}

func TestACardsLife(t *testing.T) {
	b := open(t)
	made := b.want(201, "bank", "POST", "/card", cardBody(b.ids["user"], "")).has(t, `"card_pan":"************1111"`, `"user_id":"`+b.ids["user"]+`"`, `"card_type":"gold"`)
	id := made.id(t)
	one := "/card/" + id
	if made.header.Get("Location") != one || made.header.Get("ETag") != `"1"` {
		t.Errorf("headers: %v", made.header)
	}
	b.want(200, "user", "GET", one, "").has(t, id)
	b.want(404, "other", "GET", one, "")
	b.want(200, "user", "GET", "/user/"+b.ids["user"], "").has(t, `"CreditCards":[{"id":"`+id)
	b.want(200, "bank", "POST", "/user/search", `{"card_pan":"4111-1111-1111-1111"}`).has(t, `"total":1`, b.ids["user"])
	b.want(200, "bank", "POST", "/user/search", `{"card_pan":"`+otherPAN+`"}`).has(t, `"total":0`, `"data":[]`)
	// The same number on another card of another user is no mistake: cards are known by their ids.
	b.want(201, "bank", "POST", "/card", cardBody(b.ids["other"], ""))
	b.want(200, "bank", "POST", "/user/search", `{"card_pan":"`+pan+`"}`).has(t, `"total":2`)
	again := `,"id":"` + id + `"`
	b.want(409, "bank", "POST", "/card", cardBody(b.ids["user"], again)).has(t, `"exists"`)
	b.want(409, "bank", "POST", "/card", cardBody(b.ids["other"], again)).has(t, `"card_taken"`)
	b.want(409, "admin", "DELETE", "/card/type/gold", "").has(t, `"in_use"`, "2")
	b.want(412, "bank", "DELETE", one, "", `If-Match: "2"`)
	b.want(204, "bank", "DELETE", one, "", `If-Match: "1"`)
	b.want(404, "user", "GET", one, "")
	b.want(404, "service", "GET", "/internal"+one, "")
	b.want(409, "admin", "POST", "/card", cardBody(b.ids["other"], again)).has(t, `"card_taken"`)
	b.want(400, "bank", "POST", "/card", strings.Replace(cardBody(b.ids["user"], again), pan, "************2222", 1)).has(t, "type the number again")
	b.want(201, "bank", "POST", "/card", strings.Replace(cardBody(b.ids["user"], again), pan, "************1111", 1)).has(t, `"version":3`)
	b.want(200, "bank", "GET", "/card?user_id="+b.ids["user"]+"&card_type=gold&sort=-created_at", "").has(t, `"total":1`, id)
	b.want(200, "bank", "GET", one+"/history", "").has(t, `"total":3`, "************1111").hasNot(t, "hmac")
	b.want(204, "bank", "DELETE", "/user/"+b.ids["user"], "")
	b.want(404, "bank", "GET", one, "")
	b.want(409, "admin", "POST", "/card", cardBody(b.ids["other"], again)).has(t, `"card_taken"`)
}

func TestTheLastAdminStays(t *testing.T) {
	b := open(t)
	one := "/user/" + b.ids["admin"]
	for _, body := range []string{`{"Role":"bank"}`, `{"locked":true}`} {
		b.want(409, "admin", "PUT", one, body).has(t, `"last_admin"`)
	}
	b.want(409, "admin", "DELETE", one, "").has(t, `"last_admin"`)
	b.want(201, "admin", "POST", "/user", userBody(1, `,"Role":"admin"`))
	b.want(200, "admin", "PUT", one, `{"Role":"bank"}`).has(t, `"Role":"bank"`)
}

func TestAnAccountWithCardsKeepsItsRole(t *testing.T) {
	b := open(t)
	b.want(201, "bank", "POST", "/card", cardBody(b.ids["user"], ""))
	b.want(409, "admin", "PUT", "/user/"+b.ids["user"], `{"Role":"merchant"}`).has(t, `"has_cards"`)
	b.want(200, "admin", "PUT", "/user/"+b.ids["other"], `{"Role":"merchant"}`)
	b.want(400, "admin", "POST", "/card", cardBody(b.ids["other"], "")).has(t, `"user_id"`)
}

func TestWritesNeedASessionThatGoesOn(t *testing.T) {
	b := open(t)
	for _, who := range []string{"user", "bank", "admin"} {
		b.desk.ended[b.ids[who]] = true
	}
	some := "/user/" + b.ids["user"]
	for _, r := range []struct{ who, method, path, body string }{
		{"bank", "POST", "/user", userBody(1, "")}, {"user", "PUT", some, `{"first_name":"x"}`}, {"bank", "PUT", some, `{"first_name":"x"}`}, {"admin", "DELETE", some, ""},
		{"bank", "POST", "/card", cardBody(b.ids["user"], "")}, {"admin", "DELETE", "/card/" + uuid.NewString(), ""},
		{"admin", "POST", "/card/type", "{}"}, {"bank", "PUT", "/card/type/gold", "{}"}, {"bank", "DELETE", "/card/type/gold", ""},
	} {
		b.want(401, r.who, r.method, r.path, r.body).has(t, `"session_ended"`)
	}
	b.want(200, "bank", "GET", some, "").has(t, `"version":1`) // reads go on until the token expires
}

func rowBody(user, email, cardID, number string) string {
	return fmt.Sprintf(`{"id":%q,"first_name":"Bo","last_name":"","phone":"","email":%q,"created_at":"2020-01-02 03:04:05","updated_at":"","card_id":%q,"card_pan":%q,"card_type":"gold"}`, user, email, cardID, number)
}

func TestRowsOfAFile(t *testing.T) {
	b := open(t)
	one, two, k1, k2 := uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()
	batch := func(rows ...string) string { return `{"source":"users.csv","rows":[` + strings.Join(rows, ",") + `]}` }
	good := []string{rowBody(one, "bo@example.com", k1, pan), rowBody(one, "bo@example.com", k2, "1234567890123"), rowBody(two, "bob@example.com", "", "")}
	good[2] = strings.Replace(good[2], `"card_type":"gold"`, `"card_type":""`, 1)
	first := b.want(200, "service", "POST", "/internal/users", batch(good...))
	first.has(t, `"outcome":"created"`, `"new":true`, `"new_users":["`+one+`","`+two+`"]`).hasNot(t, "refused", "unchanged")
	b.want(200, "service", "POST", "/internal/users", batch(good...)).has(t, `"outcome":"unchanged"`, `"new_users":["`+one).hasNot(t, `"created"`, `"changed"`)
	b.want(200, "bank", "GET", "/user/"+one, "").has(t, `"CreatedAt":"2020-01-02T03:04:05Z"`, `"IsNew":true`, `"Role":"user"`)
	b.want(200, "bank", "GET", "/user/"+one+"/history", "").has(t, `"who":"`+b.ids["service"]+` for users.csv"`)

	// Sixteen digits of this upload pass Luhn's check; it is no card number, and what a card number stands beside is.
	const upload = "aaaa4112-1119-4111-8111-aaaaaaaaaaaa"
	if loyalty.StarPANs(upload) == upload {
		t.Fatal("nobody takes it for a card number: it tries nothing")
	}
	b.want(200, "service", "POST", "/internal/users", `{"source":"upload `+upload+`","rows":[`+strings.Replace(good[0], "Bo", "Bob", 1)+`]}`).has(t, `"outcome":"changed"`)
	b.want(200, "bank", "GET", "/user/"+one+"/history", "").has(t, `"who":"`+b.ids["service"]+` for upload `+upload+`"`)
	b.want(400, "service", "POST", "/internal/users", `{"source":"4111111111111111 `+upload+`","rows":[`+good[0]+`]}`).has(t, "looks like it holds a card number")
	b.want(200, "service", "POST", "/internal/users", batch(good...))

	third := uuid.NewString()
	bad := []struct{ name, row, field, code string }{
		{"another's card", rowBody(two, "bob@example.com", k1, pan), "card_id", "card_taken"},
		{"another's address", rowBody(third, "BO@example.com", uuid.NewString(), pan), "email", "email_taken"},
		{"bank staff", rowBody(b.ids["bank"], "bank@example.com", uuid.NewString(), pan), "id", "not_a_cardholder"},
		{"a masked number of a new card", rowBody(two, "bob@example.com", uuid.NewString(), "************1111"), "card_pan", "masked"},
		{"another masked number", rowBody(one, "bo@example.com", k1, "************2222"), "card_pan", "masked"},
		{"no id", rowBody("", "c@example.com", uuid.NewString(), pan), "id", "invalid"},
		{"no UUID", rowBody("4111111111111111", "c@example.com", uuid.NewString(), pan), "id", "invalid"},
		{"no address", rowBody(third, "c", uuid.NewString(), pan), "email", "invalid"},
		{"half a card", rowBody(third, "c@example.com", "", pan), "card_id", "invalid"},
		{"no number", rowBody(third, "c@example.com", uuid.NewString(), "12"), "card_pan", "invalid"},
		{"an unknown card type", strings.Replace(rowBody(third, "c@example.com", uuid.NewString(), pan), `"gold"`, `"none"`, 1), "card_type", "unknown_card_type"},
		{"a time that is none", strings.Replace(rowBody(third, "c@example.com", uuid.NewString(), pan), "2020-01-02 03:04:05", "yesterday", 1), "created_at", "invalid"},
		{"a number as a name", strings.Replace(rowBody(third, "c@example.com", uuid.NewString(), pan), `"Bo"`, `7`, 1), "first_name", "invalid"},
		{"no row", `[]`, "", "invalid"},
		{"null", `null`, "id", "invalid"},
	}
	rows := []string{}
	for _, r := range bad {
		rows = append(rows, r.row)
	}
	rows = append(rows, rowBody(two, "bob@new.example.com", uuid.NewString(), pan))
	var got struct {
		Data profiler.RowsItem `json:"data"`
	}
	all := b.want(200, "service", "POST", "/internal/users", batch(rows...)).hasNot(t, "4111111111111111", "4111 1111")
	if err := json.Unmarshal([]byte(all.body), &got); err != nil {
		t.Fatal(err)
	}
	for i, r := range bad {
		o := got.Data.Rows[i]
		if o.Outcome != "refused" || o.Code != r.code || o.Error == "" || r.field != "" && o.Fields[r.field] == "" || len(o.Fields) > 3 || o.New {
			t.Errorf("%s: %+v", r.name, o)
		}
	}
	if last := got.Data.Rows[len(bad)]; last.Outcome != "created" || last.UserID != two {
		t.Errorf("the good one: %+v", last)
	}
	if said := b.desk.mailed(); said != "told bob@example.com of bob@new.example.com" {
		t.Errorf("said %q", said)
	}
	b.want(404, "bank", "GET", "/user/"+third, "")
	b.want(200, "service", "GET", "/internal/card/"+k1, "").has(t, `{"data":{"id":"`+k1+`","user_id":"`+one+`","card_type":"gold"}}`)
	b.want(200, "service", "GET", "/internal/user/"+one+"/card", "").has(t, k1, k2)
	b.want(200, "service", "GET", "/internal/user/"+b.ids["other"]+"/card", "").has(t, `{"data":[]}`)
	b.want(404, "service", "GET", "/internal/user/"+third+"/card", "")
	b.want(204, "bank", "DELETE", "/user/"+one, "")
	b.want(200, "service", "POST", "/internal/users", batch(good[0])).has(t, `"user_deleted"`)
}

func TestWhatAccountsMayDoIsLoggedForWhoeverWatches(t *testing.T) {
	b := open(t)
	one := "/user/" + b.want(201, "admin", "POST", "/user", userBody(1, "")).id(t)
	b.want(200, "admin", "PUT", one, `{"Role":"bank","locked":true,"email":"other@new.example.com"}`)
	b.want(204, "admin", "DELETE", one, "")
	b.stop()
	for _, event := range []string{"account_made", "role_changed", "account_locked", "email_changed", "account_deleted"} {
		if strings.Count(b.log.String(), "event="+event+" ") != 1 {
			t.Errorf("no %s: %s", event, b.log)
		}
	}
	if strings.Contains(b.log.String(), "example.com") || strings.Contains(b.log.String(), "Random-Password") {
		t.Error("an address or a password is in the log")
	}
}

// TestNoNumberIsKept looks into the database's files and the log for a number that went in everywhere.
func TestNoNumberIsKept(t *testing.T) {
	b := open(t)
	plain, spaced, hyphened := "4929123456781236", "4929 1234 5678 1236", "4929-1234-5678-1236"
	planted := func(needle string) (found []string) {
		files, err := filepath.Glob(filepath.Join(b.dir, "*"))
		if err != nil || len(files) == 0 {
			t.Fatal("no files of the database: ", err)
		}
		for _, f := range files {
			if text, err := os.ReadFile(f); err == nil && bytes.Contains(text, []byte(needle)) {
				found = append(found, f)
			}
		}
		return found
	}
	for _, number := range []string{plain, spaced, hyphened} {
		b.want(201, "bank", "POST", "/card", strings.Replace(cardBody(b.ids["user"], ""), pan, number, 1))
		b.want(200, "bank", "POST", "/user/search", `{"card_pan":"`+number+`"}`).has(t, `"total":1`).hasNot(t, number)
		b.do("bank", "GET", "/user?search="+url.QueryEscape(number), "")
		b.do("bank", "GET", "/user/"+url.PathEscape(number), "")
		b.do("bank", "GET", "/card?card_type="+url.QueryEscape(number), "")
		for _, field := range []string{"id", "first_name", "last_name", "phone", "email", "Role", "card_id", "card_pan", "card_type", "user_id"} {
			for _, path := range []string{"/user", "/card"} {
				b.do("bank", "POST", path, fmt.Sprintf(`{"first_name":"a","email":"q@example.com","card_type":"gold","user_id":%q,%q:%q}`, b.ids["user"], field, number)).hasNot(t, number)
			}
			b.do("bank", "PUT", "/user/"+b.ids["user"], fmt.Sprintf(`{%q:%q}`, field, number)).hasNot(t, number)
			b.do("service", "POST", "/internal/users", fmt.Sprintf(`{"source":%q,"rows":[{"id":%q,"first_name":"a","email":"w@example.com",%q:%q}]}`, "f", uuid.NewString(), field, number)).hasNot(t, number)
		}
		b.do("service", "POST", "/internal/users", fmt.Sprintf(`{"source":%q,"rows":[{}]}`, number))
	}
	canary := rand.Text() // what is there is found
	b.want(200, "bank", "PUT", "/user/"+b.ids["user"], `{"first_name":"`+canary+`"}`)
	if len(planted(canary)) == 0 {
		t.Fatal("what was planted is not found")
	}
	for _, number := range []string{plain, spaced, hyphened} {
		if found := planted(number); len(found) > 0 {
			t.Errorf("%s is in %v", number, found)
		}
	}
	b.stop()
	for _, number := range []string{plain, spaced, url.PathEscape(spaced), hyphened} {
		if strings.Contains(b.log.String(), number) {
			t.Errorf("%s is in the log", number)
		}
	}
	if !strings.Contains(b.log.String(), "/internal/users") {
		t.Error("there is no log")
	}
}

func TestAServiceThatDoesNotKnowWhoCallsDoesNotRun(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	err = profiler.Run(t.Context(), profiler.DefaultConfig(), profiler.Deps{Listener: l})
	for _, name := range []string{"Identify", "SignIn", "Internal", "DataKey", "Hash", "CheckPassword", "Random"} {
		if err == nil || !strings.Contains(err.Error(), "it needs Deps."+name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error("still listens")
	}
}
