// Package access_test holds who may do what against the whole system as it runs: each route by each
// caller with each method, through the front door and on the ports behind it; forged tokens; sessions
// that end; the first start; and a merchant's transaction on its way from the front door to the reward.
package access_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/local/gateway"
	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler/keys"
)

// w is the system that all tests of the package ask.
var w world

type world struct {
	*stack.Stack
	here    string // this folder: the S3 server goes elsewhere
	sockets string
	log     *lines
	file    *gateway.File
	keys    *keys.Ring
	samples map[token.Role]samples.Account
	tokens  map[caller]string
	userID  string            // whose data they are …
	card    string            // … and a card of theirs
	ids     map[string]string // what stands for a parameter where nothing is changed
	limit   sync.Mutex        // of numbers of cards
	number  int
}

// limit is the most that anything here may take.
const limit = 2 * time.Minute

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	code := 1
	failed := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	here, err := os.Getwd()
	if err != nil {
		return failed(err)
	}
	tmp, err := os.MkdirTemp("", "access") // short: it is in the names of sockets
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(tmp)
	w.here, w.sockets, w.log = here, filepath.Join(tmp, "s"), &lines{}
	if err := os.Mkdir(w.sockets, 0o700); err != nil {
		return failed(err)
	}
	if err := os.Setenv("TMPDIR", w.sockets); err != nil {
		return failed(err)
	}
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		return failed(err)
	}
	seed, err := stack.ReadSeed(filepath.Join(here, "../../examples/rules.json"), filepath.Join(here, "../../examples/quotes.csv"))
	if err != nil {
		return failed(err)
	}
	cfg := stack.Config{
		Data: filepath.Join(tmp, "data"), Listen: "127.0.0.1:0", Home: loyalty.MustCurrency("CAD"), Timezone: zone,
		Rewarders: 1, Partitions: 2, Throwaway: true, Samples: true,
	}
	err = stack.Run(context.Background(), cfg, slog.New(slog.NewJSONHandler(w.log, nil)), func(ctx context.Context, s *stack.Stack) error {
		w.Stack = s
		if err := s.Plant(ctx, seed); err != nil {
			return err
		}
		if _, err := s.AwaitRules(ctx); err != nil {
			return err
		}
		if err := w.people(ctx); err != nil {
			return err
		}
		code = m.Run()
		return nil
	})
	if err != nil {
		return failed(err)
	}
	client.CloseIdleConnections()
	// sarama's metrics have one for the whole process. The HTTP server under the S3 server has one for
	// the date, and looks every 10 s whether it was stopped.
	if err := goleak.Find(goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2")); err != nil && code == 0 {
		return failed(err)
	}
	return code
}

// lines is the log of all services, a line each.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(b))
	return len(b), nil
}

// of are the services that have written something about a request.
func (l *lines) of(requestID string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[string]bool{}
	for _, line := range l.all {
		if !strings.Contains(line, requestID) {
			continue
		}
		var r struct {
			Service string `json:"service"`
			Request string `json:"request_id"`
		}
		if err := json.Unmarshal([]byte(line), &r); err == nil && r.Request == requestID {
			found[r.Service] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// caller is who calls.
type caller int

const (
	nobody  caller = iota
	fresh          // a user with a first password
	own            // a user on own data
	other          // a user on another's data
	shop           // a merchant
	bank           // of the bank's staff
	admin          //
	service        // one of our own programs
	totp           // of the bank's staff, who must set up a second factor first
)

var callers = []string{nobody: "nobody", fresh: "a new user", own: "the owner", other: "another user", shop: "a merchant", bank: "the bank", admin: "an admin", service: "a service", totp: "the bank without a second factor"}

// people makes and signs in one of each kind.
func (w *world) people(ctx context.Context) error {
	var err error
	if w.file, err = gateway.Load(filepath.Join(w.here, "../../.infra/api/openapi.yaml")); err != nil {
		return err
	}
	if w.keys, err = keys.File(filepath.Join(w.Data, "token-keys.pem")); err != nil {
		return err
	}
	all, err := w.SampleUsers(ctx)
	if err != nil {
		return err
	}
	w.samples, w.tokens = map[token.Role]samples.Account{}, map[caller]string{}
	for _, a := range all {
		w.samples[a.Role] = a
	}
	for who, role := range map[caller]token.Role{own: token.User, bank: token.Bank, admin: token.Admin} {
		s, err := w.signIn(w.samples[role].Email, w.samples[role].Password)
		if err != nil {
			return err
		}
		w.tokens[who] = s.Token
	}
	if w.tokens[shop], err = w.clientToken(w.samples[token.Merchant].ID, w.samples[token.Merchant].Secret); err != nil {
		return err
	}
	now := time.Now()
	sealed := func(c token.Claims) (string, error) {
		c.ID, c.Issued, c.Expires = uuid.NewString(), now, now.Add(token.Lifetime)
		return token.DefaultParty.Sign(ctx, w.keys, c)
	}
	if w.tokens[service], err = sealed(token.Claims{Subject: profile.ServiceID("informer"), Role: token.Service}); err != nil {
		return err
	}
	v := token.Verifier{Party: token.DefaultParty, Keys: token.Fixed(w.keys.Public()), Clock: time.Now}
	staff, err := v.Verify(ctx, w.tokens[bank])
	if err != nil {
		return err
	}
	staff.Must = token.MustEnrolTOTP
	if w.tokens[totp], err = sealed(staff); err != nil {
		return err
	}
	w.userID = w.samples[token.User].ID
	anew, err := w.newAccount(token.User)
	if err != nil {
		return err
	}
	w.tokens[fresh] = anew.session.Token
	another, err := w.newPerson(token.User)
	if err != nil {
		return err
	}
	w.tokens[other] = another.session.Token
	w.ids = map[string]string{"user": w.userID, "merchant": w.samples[token.Merchant].ID, "type": "scis_premiummiles", "day": "2019-09-02", "secret": uuid.NewString()}
	for name, make := range map[string]func() (string, error){"card": w.newCard, "campaign": w.newCampaign, "exclusion": w.newExclusion, "upload": w.newUpload, "letter": w.newLetter} {
		if w.ids[name], err = make(); err != nil {
			return err
		}
	}
	w.card = w.ids["card"]
	return nil
}

// newLetter has a transaction set aside.
func (w *world) newLetter() (string, error) {
	sent, err := w.send(admin, "POST", "/publish", strings.Replace(w.spend(uuid.NewString()), "scis_premiummiles", "nobody_has_it", 1))
	if err == nil {
		err = sent.read(202, &struct{}{})
	}
	if err != nil {
		return "", err
	}
	late := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var page struct{ Data []struct{ ID string } }
		a, err := w.send(admin, "GET", "/ops/deadletters?reason=unknown_card_type&page_size=1", "")
		if err == nil {
			err = a.read(200, &page)
		}
		if err != nil || len(page.Data) > 0 {
			return append(page.Data, struct{ ID string }{})[0].ID, err
		}
		select {
		case <-tick.C:
		case <-late:
			return "", errors.New("a transaction of no card type is not set aside")
		}
	}
}

// newUpload asks for an upload.
func (w *world) newUpload() (string, error) {
	var out struct{ Data struct{ ID string } }
	a, err := w.send(bank, "POST", "/upload", `{"kind":"spend","filename":"a.csv"}`)
	if err == nil {
		err = a.read(201, &out)
	}
	return out.Data.ID, err
}

// known waits until these have logged a request, which they do when it has been answered, and returns
// all who have.
func (l *lines) known(t *testing.T, requestID string, by ...string) []string {
	t.Helper()
	late := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		all := l.of(requestID)
		if !slices.ContainsFunc(by, func(name string) bool { return !slices.Contains(all, name) }) {
			return all
		}
		select {
		case <-tick.C:
		case <-late:
			return all
		}
	}
}

type session struct {
	Token   string `json:"token"`
	UserID  string `json:"user_id"`
	IsNew   bool   `json:"is_new"`
	Must    string `json:"must"`
	Refresh string `json:"refresh_token"`
}

type account struct {
	id, email, password string
	session             session
}

func (w *world) signIn(email, password string) (session, error) {
	var out struct{ Data session }
	a, err := w.send(nobody, "POST", "/auth/login", object{"email": email, "password": password}.String())
	if err == nil {
		err = a.read(200, &out)
	}
	return out.Data, err
}

func (w *world) clientToken(id, secret string) (string, error) {
	var out struct {
		Token string `json:"access_token"`
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	a, err := w.send(nobody, "POST", "/auth/token", form.Encode(), "Content-Type: application/x-www-form-urlencoded")
	if err == nil {
		err = a.read(200, &out)
	}
	return out.Token, err
}

// name is one that nobody has; a UUID may look like a card number and be refused for it.
func name() string { return strings.ToLower(rand.Text()) }

// newAccount makes an account that has signed in with its first password.
func (w *world) newAccount(role token.Role) (account, error) {
	made := account{email: name() + "@example.com", password: "first " + rand.Text()}
	var out struct{ Data struct{ ID string } }
	a, err := w.send(admin, "POST", "/user", object{
		"first_name": "Ann", "last_name": "Lee", "email": made.email, "Role": string(role), "password": made.password, "confirm_password": made.password,
	}.String())
	if err == nil {
		err = a.read(201, &out)
	}
	if err != nil {
		return made, err
	}
	made.id = out.Data.ID
	made.session, err = w.signIn(made.email, made.password)
	return made, err
}

// newPerson makes an account that has signed in with a password of its own.
func (w *world) newPerson(role token.Role) (account, error) {
	made, err := w.newAccount(role)
	if err != nil {
		return made, err
	}
	first := made.password
	made.password = "own " + rand.Text()
	a, err := w.sendAs(made.session.Token, "POST", "/auth/password", object{
		"email": made.email, "old_password": first, "password": made.password, "confirm_password": made.password,
	}.String())
	if err == nil {
		err = a.read(200, nil)
	}
	if err == nil {
		made.session, err = w.signIn(made.email, made.password)
	}
	return made, err
}

// made sends what makes something, and returns its id.
func (w *world) made(method, path, body string) (string, error) {
	a, err := w.send(admin, method, path, body)
	if err == nil && a.status != 200 && a.status != 201 {
		err = a.read(201, nil)
	}
	if err != nil {
		return "", err
	}
	var out struct{ Data map[string]any }
	err = json.Unmarshal([]byte(a.body), &out)
	id, _ := out.Data["id"].(string)
	return id, err
}

// next is a number that was not there before.
func (w *world) next() int {
	w.limit.Lock()
	defer w.limit.Unlock()
	w.number++
	return w.number
}

// pan makes a card number that is nobody's yet.
func (w *world) pan() string {
	s := fmt.Sprintf("41111111%07d", w.next())
	sum := 0
	for i, c := range s {
		d := int(c - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return s + strconv.Itoa((10-sum%10)%10)
}

func (w *world) cardBody() string {
	return object{"card_pan": w.pan(), "user_id": w.userID, "card_type": "scis_premiummiles"}.String()
}

func (w *world) userBody() string {
	return object{"first_name": "Ann", "last_name": "Lee", "email": name() + "@example.com"}.String()
}

func typeBody(name string) string {
	return object{"card_type": name, "name": "A card", "reward_unit": "miles", "reward_program": "Miles"}.String()
}

const (
	campaignBody  = `{"name":"one","start_date":"2031-09-01","end_date":"2031-12-31","reward_program":"scis_premiummiles","reward_amount":1,"mcc":"0","merchant":"Kaligo"}`
	exclusionBody = `{"mcc":9399,"valid_from":"2031-09-01"}`
	quotesBody    = `{"base":"EUR","quotes":{"CAD":1.5}}`
)

func (w *world) spend(card string) string {
	return object{
		"id": uuid.NewString(), "card_id": card, "merchant": "Kaligo", "mcc": 5122, "currency": "CAD", "amount": 10, "transaction_id": "one",
		"transaction_date": "2019-09-02", "card_pan": "4111111111111111", "card_type": "scis_premiummiles",
	}.String()
}

func (w *world) newUser() (string, error)      { return w.made("POST", "/user", w.userBody()) }
func (w *world) newCard() (string, error)      { return w.made("POST", "/card", w.cardBody()) }
func (w *world) newCampaign() (string, error)  { return w.made("POST", "/campaign", campaignBody) }
func (w *world) newExclusion() (string, error) { return w.made("POST", "/exclusion", exclusionBody) }

func (w *world) newMerchant() (string, error) {
	return w.made("POST", "/user", strings.Replace(w.userBody(), "{", `{"Role":"merchant",`, 1))
}

func (w *world) newType() (string, error) {
	name := fmt.Sprint("type", w.next())
	_, err := w.made("POST", "/card/type", typeBody(name))
	return name, err
}

func (w *world) newDay() (string, error) {
	day := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, w.next()).Format("2006-01-02")
	_, err := w.made("PUT", "/fx/"+day, quotesBody)
	return day, err
}

func (w *world) newSecret(merchant string) (string, error) {
	return w.made("POST", "/user/"+merchant+"/secret", "")
}

// object is a body in JSON.
type object map[string]any

func (o object) String() string {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return string(b)
}

var client = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 8},
	Timeout:       limit,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

type answer struct {
	asked  string
	status int
	header http.Header
	body   string
}

func (a answer) String() string {
	return fmt.Sprintf("%s answers %d %s", a.asked, a.status, strings.TrimSpace(a.body))
}

// read reads an answer that has to have a status.
func (a answer) read(status int, into any) error {
	if a.status != status {
		return fmt.Errorf("%s, not %d", a, status)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal([]byte(a.body), into)
}

// code is that of an error.
func (a answer) code() string {
	var e struct{ Code string }
	_ = json.Unmarshal([]byte(a.body), &e)
	return e.Code
}

func (w *world) send(who caller, method, path, body string, headers ...string) (answer, error) {
	return w.sendAs(w.tokens[who], method, path, body, headers...)
}

// sendAs sends a request to the front door. The path goes as it is.
func (w *world) sendAs(bearer, method, path, body string, headers ...string) (answer, error) {
	return through(client, w.URL, bearer, method, path, body, headers...)
}

func through(c *http.Client, base, bearer, method, path, body string, headers ...string) (answer, error) {
	none := answer{}
	for {
		r, err := http.NewRequest(method, base, nil)
		if err != nil {
			return none, err
		}
		r.URL.Opaque = "//" + r.URL.Host + path
		if body != "" {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Type", "application/json")
		}
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		res, err := c.Do(r)
		if err != nil {
			return none, err
		}
		a, err := answerOf(res, method+" "+path)
		// What is limited is sent again when it says so.
		if seconds, _ := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && a.status == 429 && seconds > 0 && seconds < 10 {
			<-time.After(time.Duration(seconds) * time.Second)
			continue
		}
		return a, err
	}
}

func answerOf(res *http.Response, asked string) (answer, error) {
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{asked, res.StatusCode, res.Header, string(b)}, err
}

// raw sends a request line that no client would send, as it is.
func (w *world) raw(bearer, method, path string) (answer, error) {
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(w.URL, "http://"), limit)
	if err != nil {
		return answer{}, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return answer{}, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nConnection: close\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}", method, path, bearer)
	if _, err := c.Write(b.Bytes()); err != nil {
		return answer{}, err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	return answerOf(res, fmt.Sprintf("%s %.200s", method, path))
}

// behind is a client of a service's socket.
func (w *world) behind(t *testing.T, name string) *http.Client {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.sockets, "angelowl-*", name))
	if err != nil || len(found) != 1 {
		t.Fatalf("the sockets of %s: %v, %v", name, found, err)
	}
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", found[0])
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: limit}
}

// want sends a request whose answer has to have a status.
func want(t *testing.T, status int, bearer, method, path, body string, headers ...string) answer {
	t.Helper()
	a, err := w.sendAs(bearer, method, path, body, headers...)
	if err == nil {
		err = a.read(status, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// must is for what the tests need, and do not test.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
