package uploads_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/ingestor/uploads"
	"github.com/angelowl-loyalties/app/local/process"
	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/upload"
	"github.com/angelowl-loyalties/app/profiler/password/passwordtest"
)

// door is the front door as somebody outside sees it.
type door struct {
	t     *testing.T
	url   string
	http  *http.Client
	token string
}

// from is a client of the front door at an address of its own, where the machine has several of
// loopback: how often somebody may sign in is counted by address.
func from(t *testing.T, url string, n int) *door {
	t.Helper()
	dial := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n%250))}}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial.DialContext(ctx, network, addr)
		if err != nil && ctx.Err() == nil {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
		return c, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &door{t: t, url: url, http: &http.Client{Transport: transport}}
}

// ask sends a request, again where it came too often, and decodes the answer's data into v.
func (d *door) ask(ctx context.Context, status int, method, path string, body, v any) {
	d.t.Helper()
	sent, err := json.Marshal(body)
	if err != nil {
		d.t.Fatal(err)
	}
	for {
		req, err := http.NewRequestWithContext(ctx, method, d.url+path, bytes.NewReader(sent))
		if err != nil {
			d.t.Fatal(err)
		}
		if body == nil {
			req.Body, req.ContentLength = http.NoBody, 0
		} else {
			req.Header.Set("Content-Type", "application/json")
		}
		if d.token != "" {
			req.Header.Set("Authorization", "Bearer "+d.token)
		}
		res, err := d.http.Do(req)
		if err != nil {
			d.t.Fatal(err)
		}
		answer, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			d.t.Fatal(err)
		}
		if wait, _ := strconv.Atoi(res.Header.Get("Retry-After")); res.StatusCode == http.StatusTooManyRequests && wait > 0 {
			select {
			case <-time.After(time.Duration(wait) * time.Second): // as it says
				continue
			case <-ctx.Done():
				d.t.Fatal(ctx.Err())
			}
		}
		if res.StatusCode != status {
			d.t.Fatalf("%s %s: %d %s, want %d", method, path, res.StatusCode, answer, status)
		}
		if v != nil {
			if err := json.Unmarshal(answer, v); err != nil {
				d.t.Fatalf("%s %s: %v", method, path, err)
			}
		}
		return
	}
}

// session is what a sign-in answers.
type session struct {
	Data struct {
		Token  string `json:"token"`
		UserID string `json:"user_id"`
		IsNew  bool   `json:"is_new"`
		Must   string `json:"must"`
	} `json:"data"`
}

func (d *door) signIn(ctx context.Context, status int, email, password string) (s session) {
	d.t.Helper()
	d.ask(ctx, status, "POST", "/auth/login", map[string]string{"email": email, "password": password}, &s)
	d.token = s.Data.Token
	return s
}

// send uploads a file as bank staff do, with a client that knows the URL and nothing else, and returns the
// report when all is done. Schedule is what a schedule does meanwhile.
func (d *door) send(ctx context.Context, kind upload.Kind, name string, body []byte, schedule func()) uploads.Status {
	d.t.Helper()
	var c struct{ Data uploads.Created }
	d.ask(ctx, 201, "POST", "/upload", map[string]any{"kind": kind, "filename": name, "size": len(body)}, &c)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, c.Data.URL, bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for k, v := range c.Data.Headers {
		req.Header.Set(k, v)
	}
	res, err := (&http.Client{Transport: d.http.Transport}).Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	answer, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != 200 {
		d.t.Fatalf("the file: %d %s %v", res.StatusCode, answer, err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var s struct{ Data uploads.Status }
		d.ask(ctx, 200, "GET", "/upload/"+c.Data.ID, nil, &s)
		if s.Data.State == upload.Reconciled || s.Data.State == upload.Failed {
			return s.Data
		}
		schedule()
		select {
		case <-tick.C:
		case <-ctx.Done():
			d.t.Fatalf("the file %s is still %s", name, s.Data.State)
		}
	}
}

// year is the path of Toronto's spend of 2019 and its text, or of the good rows of the example where it is
// not there.
func year(t *testing.T, example string) (path string, text []byte) {
	t.Helper()
	packed := filepath.Join(wd, "../../../shared/data/spend_format_2019.csv.gz")
	f, err := os.Open(packed)
	if errors.Is(err, os.ErrNotExist) {
		t.Log("SKIPPED: the year of real spend is not on this machine, the example serves instead:", packed)
		all, err := os.ReadFile(example)
		if err != nil {
			t.Fatal(err)
		}
		text, path = []byte(strings.Join(strings.SplitAfter(string(all), "\n")[:1+1169], "")), filepath.Join(t.TempDir(), "example.csv")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path, text
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		text, err = io.ReadAll(z)
	}
	if err != nil {
		t.Fatal(err)
	}
	return packed, text
}

// holder is a user of a file, with the cards.
type holder struct {
	id, first, last, email string
	cards                  []string
}

// holders makes users, with so many cards in all, and their file.
func holders(seed uint64, users, cards int) ([]holder, []byte) {
	r := rand.New(rand.NewPCG(seed, 2))
	id := func() string {
		var u uuid.UUID
		for i := range u {
			u[i] = byte(r.Uint32())
		}
		u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
		return u.String()
	}
	all := make([]holder, users)
	for i := range all {
		all[i] = holder{id(), []string{"Ann", "สมชาย", "عائشة", "O'Neill, Jr."}[i%4], "Lee", fmt.Sprintf("user-%d@example.com", i), []string{id()}}
	}
	for range cards - users {
		h := &all[r.IntN(users)]
		h.cards = append(h.cards, id())
	}
	types := []string{"scis_shopping", "scis_premiummiles", "scis_platinummiles", "scis_freedom"}
	var rows [][]string
	for _, h := range all {
		for _, c := range h.cards {
			n := len(rows)
			rows = append(rows, []string{h.id, h.first, h.last, "", h.email, "2021-09-01", "2021-09-01", c, fmt.Sprintf("4%015d", n), types[n%4]})
		}
	}
	r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"id", "first_name", "last_name", "phone", "email", "created_at", "updated_at", "card_id", "card_pan", "card_type"})
	_ = w.WriteAll(rows) // into memory
	return all, b.Bytes()
}

// TestThroughTheFrontDoor is a day of the bank's staff: a year of spend and ten thousand new users, by
// HTTP alone. The short form hashes passwords cheaply, for it is that which takes minutes.
func TestThroughTheFrontDoor(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: it enters 10,000 users")
	}
	cfg, seed, example := examples(t)
	path, text := year(t, example)
	want, err := process.Run(t.Context(), process.Options{Stack: cfg, Seed: seed, Files: []string{path}, Out: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Throwaway = true
	if os.Getenv("ANGELOWL_LONG") == "" {
		cfg.Hasher = passwordtest.Cheap(t)
	}
	runningAs(t, cfg, seed, func(ctx context.Context, s *stack.Stack) {
		if _, err := s.SampleUsers(ctx); err != nil {
			t.Fatal(err)
		}
		bank, err := samples.Of(s.Data, token.Bank)
		if err != nil {
			t.Fatal(err)
		}
		staff := from(t, s.URL, 0)
		staff.signIn(ctx, 200, bank.Email, bank.Password)
		reconcile := reconciler(t, s)
		theYear(ctx, t, staff, text, want, func() {
			if err := reconcile.Sweep(ctx); err != nil {
				t.Error(err)
			}
		})
		theUsers(ctx, t, staff)
	})
}

// theYear holds the report of a file of spend against what the file says, and what `angelowl process` does.
func theYear(ctx context.Context, t *testing.T, staff *door, text []byte, want *process.Report, schedule func()) {
	t.Helper()
	began := time.Now()
	r := staff.send(ctx, upload.Spend, "2019.csv", text, schedule)
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows are reconciled after %s", len(rows)-1, time.Since(began).Round(time.Millisecond))
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	money := map[string]*big.Rat{}
	for _, row := range rows[1:] {
		v, ok := new(big.Rat).SetString(row[column["amount"]])
		if !ok {
			t.Fatalf("amount %q", row[column["amount"]])
		}
		c := row[column["currency"]]
		money[c] = new(big.Rat).Add(cmp.Or(money[c], new(big.Rat)), v)
	}
	if r.Rows != (upload.Rows{Read: int64(len(rows) - 1), Accepted: int64(len(rows) - 1)}) || len(r.Totals.Read) != len(money) || len(r.Warnings) != 0 {
		t.Errorf("%+v, totals in %d currencies, want %d rows in %d; %v", r.Rows, len(r.Totals.Read), len(rows)-1, len(money), r.Warnings)
	}
	for c, sum := range money {
		for _, got := range []json.Number{r.Totals.Read[c], r.Totals.Accepted[c]} {
			if v, ok := new(big.Rat).SetString(got.String()); !ok || v.Cmp(sum) != 0 {
				t.Errorf("%s %s, the file has %s", c, got, sum.FloatString(3))
			}
		}
	}
	asProcessed(t, &r.Report, want)
}

// theUsers holds that each new user gets one mail with a password, and that it is good for one thing.
func theUsers(ctx context.Context, t *testing.T, staff *door) {
	t.Helper()
	const users, cards, signing = 10_000, 14_000, 100
	all, body := holders(1, users, cards)
	began := time.Now()
	r := staff.send(ctx, upload.Users, "users.csv", body, func() {})
	t.Logf("%d cards of %d users are entered after %s", cards, users, time.Since(began).Round(time.Millisecond))
	if r.State != upload.Reconciled || r.Rows != (upload.Rows{Read: cards, Accepted: cards}) || r.Users.Created != cards || r.Users.FirstPasswords != users || r.RefusedURL != "" {
		t.Fatalf("%+v %+v", r.Report, r.Users)
	}
	var list struct {
		Total int `json:"total"`
	}
	staff.ask(ctx, 200, "GET", "/user?page_size=1", nil, &list)
	if list.Total != users+1 { // and the sample user
		t.Errorf("there are %d users, want %d", list.Total-1, users)
	}
	mails := staff.firstMails(ctx, users)
	t.Logf("all have their mail after %s", time.Since(began).Round(time.Millisecond))
	for _, h := range all {
		if len(mails[h.email]) != 1 {
			t.Fatalf("%s has %d mails with a first password, want 1", h.email, len(mails[h.email]))
		}
	}
	if len(mails) != users {
		t.Fatalf("%d have mails, want %d", len(mails), users)
	}
	for i := range signing {
		h := all[i*(users/signing)]
		raw := staff.source(ctx, mails[h.email][0])
		found := firstPassword.FindStringSubmatch(raw)
		if found == nil {
			t.Fatalf("no password in\n%s", raw)
		}
		d := from(t, staff.url, 1+i)
		first := found[1]
		if s := d.signIn(ctx, 200, h.email, first); !s.Data.IsNew || s.Data.Must != "password" || s.Data.UserID != h.id {
			t.Fatalf("%s signs in: new %t, must %q", h.email, s.Data.IsNew, s.Data.Must)
		}
		d.ask(ctx, 403, "GET", "/user/"+h.id, nil, nil)
		d.ask(ctx, 403, "GET", "/reward/"+h.cards[0], nil, nil)
		own := "seven quiet lampposts of " + first[:5]
		d.ask(ctx, 200, "POST", "/auth/password", map[string]string{"email": h.email, "old_password": first, "password": own, "confirm_password": own}, nil)
		d.token = ""
		d.signIn(ctx, 401, h.email, first)
		if s := d.signIn(ctx, 200, h.email, own); s.Data.IsNew {
			t.Fatalf("%s is still new", h.email)
		}
		var me struct {
			Data struct {
				CreditCards []struct {
					ID string `json:"id"`
				} `json:"CreditCards"`
			} `json:"data"`
		}
		d.ask(ctx, 200, "GET", "/user/"+h.id, nil, &me)
		if len(me.Data.CreditCards) != len(h.cards) {
			t.Fatalf("%s has %d cards, want %d", h.email, len(me.Data.CreditCards), len(h.cards))
		}
	}
	if n := len(staff.firstMails(ctx, users)); n != users {
		t.Errorf("%d have mails afterwards", n)
	}
}

var firstPassword = regexp.MustCompile(`password: ([a-z0-9]{5}-[a-z0-9]{5}-[a-z0-9]{5}-[a-z0-9]{5})`)

type mailed struct {
	ID      int64    `json:"id"`
	To      []string `json:"to"`
	Subject string   `json:"subject"`
}

// firstMails waits until so many mails have come that bring first passwords, and returns all, by whom
// they went to.
func (d *door) firstMails(ctx context.Context, want int) map[string][]int64 {
	d.t.Helper()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	page := func(size, no int) (list struct {
		Total int      `json:"total"`
		Data  []mailed `json:"data"`
	}) {
		d.t.Helper()
		d.ask(ctx, 200, "GET", fmt.Sprintf("/mail/mail.json?page_size=%d&page_no=%d", size, no), nil, &list)
		return list
	}
	for page(1, 1).Total < want {
		select {
		case <-tick.C:
		case <-ctx.Done():
			d.t.Fatalf("%d mails have come, want %d", page(1, 1).Total, want)
		}
	}
	mails := map[string][]int64{}
	for no := 1; ; no++ {
		list := page(1000, no)
		for _, m := range list.Data {
			if m.Subject == "Your first AngelOwl password" {
				for _, to := range m.To {
					mails[to] = append(mails[to], m.ID)
				}
			}
		}
		if no*1000 >= list.Total {
			return mails
		}
	}
}

// source is a mail as it came.
func (d *door) source(ctx context.Context, id int64) string {
	d.t.Helper()
	at, err := url.JoinPath(d.url, "mail", strconv.FormatInt(id, 10), "source")
	if err != nil {
		d.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	res, err := d.http.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != 200 {
		d.t.Fatalf("mail %d: %d %v", id, res.StatusCode, err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}
