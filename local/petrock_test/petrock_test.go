package petrock_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// stands fails unless the database has exactly these people and their cards.
func (w *world) stands(all ...person) {
	w.t.Helper()
	type userRow struct{ ID, FirstName, LastName, Phone, Email string }
	type cardRow struct{ ID, UserID, CardPAN string }
	var users []userRow
	var cards []cardRow
	check(w.t, w.db.Raw("SELECT id, first_name, last_name, phone, email FROM users WHERE role = 'user'").Scan(&users).Error)
	check(w.t, w.db.Raw("SELECT id, user_id, card_pan AS card_pan FROM cards").Scan(&cards).Error)
	have := map[string]userRow{}
	for _, u := range users {
		have[u.ID] = u
	}
	owner := map[string]cardRow{}
	for _, c := range cards {
		owner[c.ID] = c
	}
	n := 0
	for _, p := range all {
		if want := (userRow{p.id, p.first, p.last, p.phone, p.email}); have[p.id] != want {
			w.t.Fatalf("user %+v, want %+v", have[p.id], want)
		}
		for _, c := range p.cards {
			if n++; owner[c].UserID != p.id {
				w.t.Fatalf("card %s is %q's, want %s's", c, owner[c].UserID, p.id)
			}
		}
	}
	if len(users) != len(all) || len(cards) != n {
		w.t.Fatalf("%d users and %d cards, want %d and %d", len(users), len(cards), len(all), n)
	}
}

// oneMailEach fails unless each of them has exactly one mail, with a password, and nobody else has one.
func (w *world) oneMailEach(all ...person) map[string]string {
	w.t.Helper()
	first := map[string]string{}
	for _, m := range w.firstMails() {
		if len(m.To) != 1 || first[m.To[0]] != "" {
			w.t.Fatalf("a second mail: %+v", m)
		}
		raw, err := w.box.Source(m.ID)
		check(w.t, err)
		found := passwordLine.FindSubmatch(raw)
		if found == nil {
			w.t.Fatalf("no password in\n%s", raw)
		}
		first[m.To[0]] = string(found[1])
	}
	for _, p := range all {
		if first[p.email] == "" {
			w.t.Fatalf("%s has no mail", p.email)
		}
	}
	if len(first) != len(all) {
		w.t.Fatalf("%d have mails, want %d", len(first), len(all))
	}
	return first
}

var passwordLine = regexp.MustCompile(`password: ([a-z0-9]{5}-[a-z0-9]{5}-[a-z0-9]{5}-[a-z0-9]{5})`)

// TestAFileOfUsers is 10,000 users with 14,000 cards. Only the long form mails them, the short one 300:
// local/uploads_test mails as many through the front door.
func TestAFileOfUsers(t *testing.T) {
	w := start(t)
	mailed := people(1, 300, 420)
	body := file(1, mailed)
	r, refused := w.enter("new.csv", body)
	if r.State != upload.Reconciled || r.Rows != (upload.Rows{Read: 420, Accepted: 420}) || r.Users.Created != 420 || r.Users.FirstPasswords != 300 || strings.Count(refused, "\n") != 1 {
		t.Fatalf("%+v %+v\n%s", r, r.Users, refused)
	}
	w.stands(mailed...)
	w.drained(300)
	passwords := w.oneMailEach(mailed...)

	// The same file again changes nothing and mails nobody.
	versions := w.count("SELECT count(*) FROM user_versions") + w.count("SELECT count(*) FROM card_versions")
	r, _ = w.enter("again.csv", body)
	if r.Users.Unchanged != 420 || r.Users.FirstPasswords != 0 || r.Repeats == nil || r.Repeats.File != "new.csv" {
		t.Fatalf("%+v %+v", r, r.Users)
	}
	if n := w.count("SELECT count(*) FROM user_versions") + w.count("SELECT count(*) FROM card_versions"); n != versions {
		t.Fatalf("%d versions, want %d", n, versions)
	}
	w.drained(300)
	for _, p := range mailed[:20] {
		w.firstSignIn(p.email, passwords[p.email])
	}

	w.mu.Lock()
	w.quiet = os.Getenv("ANGELOWL_LONG") == ""
	clear(w.asked)
	w.mu.Unlock()
	all := people(2, 10_000, 14_000)
	r, _ = w.enter("many.csv", file(2, all))
	if r.State != upload.Reconciled || r.Rows != (upload.Rows{Read: 14_000, Accepted: 14_000}) || r.Users.Created != 14_000 {
		t.Fatalf("%+v %+v", r, r.Users)
	}
	w.stands(append(all, mailed...)...)
	if len(w.asked) != len(all) {
		t.Fatalf("first passwords were asked for for %d, want %d", len(w.asked), len(all))
	}
	if !w.quiet {
		w.drained(10_300)
		w.oneMailEach(append(all, mailed...)...)
	}
	// No password, and no card number, is in a log or in the database in clear.
	log := w.log.String()
	var sealed []string
	check(t, w.db.Raw("SELECT hash FROM credentials").Scan(&sealed).Error)
	kept := strings.Join(sealed, "\n")
	for _, p := range mailed {
		if strings.Contains(log, passwords[p.email]) || strings.Contains(kept, passwords[p.email]) || strings.Contains(log, pan(p.cards[0])) {
			t.Fatal("a password or a card number is in a log or the database")
		}
	}
}

// firstSignIn signs in, and does the one thing that may be done.
func (w *world) firstSignIn(email, first string) {
	w.t.Helper()
	s := w.signIn(200, email, first)
	if !s.IsNew || s.Must != "password" {
		w.t.Fatalf("%+v", s)
	}
	w.post(403, "/user/"+s.UserID, "GET", s.Token, "")
	own := "seven quiet lampposts of " + first[:5]
	w.post(200, "/auth/password", "POST", s.Token, js(map[string]string{"email": email, "old_password": first, "password": own, "confirm_password": own}))
	w.signIn(401, email, first)
	if s := w.signIn(200, email, own); s.IsNew {
		w.t.Fatalf("%+v", s)
	}
}

type session struct {
	Token  string `json:"token"`
	UserID string `json:"user_id"`
	IsNew  bool   `json:"is_new"`
	Must   string `json:"must"`
}

func (w *world) signIn(status int, email, password string) session {
	w.t.Helper()
	var a struct{ Data session }
	body := w.post(status, "/auth/login", "POST", "", js(map[string]string{"email": email, "password": password}))
	check(w.t, json.Unmarshal(body, &a))
	return a.Data
}

func js(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a map of texts
	}
	return string(b)
}

func (w *world) post(status int, path, method, token, body string) []byte {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.public+path, strings.NewReader(body))
	check(w.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Source-Ip", fmt.Sprintf("192.0.2.%d", rand.IntN(250)+1)) // many people, not one
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := w.http.Do(req)
	check(w.t, err)
	b, err := io.ReadAll(res.Body)
	check(w.t, errors.Join(err, res.Body.Close()))
	if res.StatusCode != status {
		w.t.Fatalf("%s %s: %d, want %d\n%s", method, path, res.StatusCode, status, b)
	}
	return b
}

// TestStoppedInTheMiddle ends the first run at a point of chance, before or after something that it
// asked for was done, or without its hearing of that; and then runs again.
func TestStoppedInTheMiddle(t *testing.T) {
	w := start(t)
	r := rand.New(rand.NewPCG(3, 4))
	var all []person
	for round := range 10 {
		batch := people(uint64(100+round), 30, 42)
		all = append(all, batch...)
		key := w.put("crash.csv", file(uint64(round), batch))
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		left, after := r.IntN(34), r.IntN(2) == 0 // 5 batches and some 30 first passwords
		w.mu.Lock()
		w.around = func(next func() error) error {
			mu.Lock()
			left--
			now := left < 0
			mu.Unlock()
			if now && !after {
				cancel()
			}
			err := next()
			if now {
				cancel()
				return errors.Join(err, context.Canceled)
			}
			return err
		}
		w.mu.Unlock()
		if err := w.tell(ctx, key, 10); err == nil {
			t.Fatal("a run that was stopped says that it is done")
		}
		if w.object(upload.ReportKey(upload.Users, strings.TrimSuffix(strings.TrimPrefix(key, "users/"), ".csv"))) != nil {
			t.Fatal("it has a report")
		}
		cancel()
		w.mu.Lock()
		w.around = nil
		w.mu.Unlock()
		check(t, w.tell(t.Context(), key, 10))
		if got, _ := w.report(key); got.State != upload.Reconciled || got.Rows.Accepted != 42 {
			t.Fatalf("%+v", got)
		}
		w.stands(all...)
	}
	w.drained(len(all))
	w.oneMailEach(all...)
}

// TestMailThatFails loses mails, and the answers to mails that arrived. Each user has one password, in
// however many mails, and they are one mail by their Message-ID.
func TestMailThatFails(t *testing.T) {
	w := start(t)
	var mu sync.Mutex
	tries := map[string]int{}
	w.faults = func(m mail.Message, send func() error) error {
		mu.Lock()
		tries[m.To.Address]++
		n := tries[m.To.Address]
		mu.Unlock()
		switch {
		case n == 1 && len(m.To.Address)%2 == 0:
			return errors.New("the mail server is away")
		case n == 1:
			return errors.Join(send(), errors.New("the connection broke before the answer"))
		}
		return send()
	}
	all := people(9, 12, 12)
	if r, _ := w.enter("users.csv", file(9, all)); r.Users.FirstPasswords != 12 {
		t.Fatalf("%+v", r.Users)
	}
	var mails int
	for _, p := range all {
		mails += 1 + len(p.email)%2
	}
	w.drained(mails)
	for _, p := range all {
		ids, first := map[string]bool{}, map[string]bool{}
		for _, m := range w.box.Mails(p.email) {
			if m.To[0] != p.email {
				continue
			}
			raw, err := w.box.Source(m.ID)
			check(t, err)
			ids[m.MessageID] = true
			first[string(passwordLine.FindSubmatch(raw)[1])] = true
		}
		if len(ids) != 1 || len(first) != 1 {
			t.Fatalf("%s has mails %v with passwords %d", p.email, ids, len(first))
		}
		for plain := range first {
			w.firstSignIn(p.email, plain)
		}
	}
}

// TestRowsThatAreRefused holds that one bad row does not stop the rest, says what to do, and that what
// it says can be mended and sent again.
func TestRowsThatAreRefused(t *testing.T) {
	w := start(t)
	w.quiet = true
	known := people(20, 2, 2)
	w.enter("known.csv", file(20, known))
	ann, bob := known[0], known[1]
	id := uuid.NewString
	row := func(fields ...string) string { return strings.Join(fields, ",") + "\n" }
	fresh, masked := id(), "************"+pan(ann.cards[0])[12:]
	r, refused := w.enter("mixed.csv", []byte(strings.ToUpper(strings.TrimSpace(header))+",note\n"+
		row(ann.id, ann.first, "Changed", ann.phone, ann.email, "", "", ann.cards[0], masked, "gold", "a masked number keeps what is known")+
		row(id(), "Twice", "", "", "twice@example.com", "", "", id(), "4111 1111 1111 1111", "gold", "")+
		row(id(), "Twice", "", "", "TWICE@example.com", "", "", id(), "4111111111111112", "gold", "one address for two")+
		row(id(), "Taken", "", "", "taken@example.com", "", "", bob.cards[0], "4111111111111113", "gold", "another's card")+
		row(fresh, "Masked", "", "", "masked@example.com", "", "", id(), "************1111", "gold", "new and masked")+
		row(id(), "Bcc: all@example.com\r\nX", "", "", "x@example.com", "", "", id(), "4111111111111114", "gold", "split")+
		row(id(), `"Evil`+"\r\n"+`Bcc: all@example.com"`, "", "", "evil@example.com", "", "", id(), "4111111111111115", "gold", "a header")+
		row(id(), "=HYPERLINK(1)", "", "call", "=cmd@example.com", "", "", id(), "4111111111111116", "gold", "")+
		row(id(), "Good", "", "", "good@example.com", "", "", id(), "4111111111111117", "gold", "")+
		row(id(), "Fewer", "fields")))
	if r.State != upload.Reconciled || r.Rows != (upload.Rows{Read: 11, Accepted: 3, Refused: 8}) || r.Users.Changed != 1 || r.Users.Created != 2 {
		t.Fatalf("%+v %+v\n%s", r.Rows, r.Users, refused)
	}
	for _, want := range []string{
		"email,\"is another account's; each user has an address of their own: correct it",
		"card_id,\"is, or was, another user's; a card id is never given to another user; correct the id",
		"type the number again", "has a control character", "has 3 fields, the header has 11", "phone,\"must be a phone number with its country",
		"'=HYPERLINK(1)", "************1115",
	} {
		if !strings.Contains(refused, want) {
			t.Errorf("the refused rows lack %q:\n%s", want, refused)
		}
	}
	for _, never := range []string{"4111111111111112", "4111111111111113", "\n=", ",=", "all@example.com\n"} {
		if strings.Contains(refused, never) {
			t.Errorf("the refused rows have %q:\n%s", never, refused)
		}
	}
	if n := w.count("SELECT count(*) FROM cards WHERE id = ? AND pan_hmac <> '' AND card_pan = ?", ann.cards[0], masked); n != 1 {
		t.Error("the masked number did not keep the card's")
	}
	// Mended, it is read as it is.
	mended := strings.Replace(refused, "************1111,gold", "4111111111111111,gold", 1)
	r, _ = w.enter("mended.csv", []byte(mended))
	if r.Users == nil || r.Users.Created != 1 || w.count("SELECT count(*) FROM users WHERE id = ?", fresh) != 1 {
		t.Errorf("%+v %+v", r, r.Users)
	}
	if r.RefusedByReason[0].Rows == 0 {
		t.Errorf("%+v", r.RefusedByReason)
	}
}

// TestNamesInMails holds that a name is a name in the mail, whatever it is.
func TestNamesInMails(t *testing.T) {
	w := start(t)
	all := []person{
		{id: uuid.NewString(), first: "<script>alert(1)</script>", last: `"Bcc: all@example.com"`, email: "script@example.com", cards: []string{uuid.NewString()}},
		{id: uuid.NewString(), first: "สมชาย", last: "عائشة", email: "thai@example.com", cards: []string{uuid.NewString()}},
	}
	w.enter("names.csv", file(1, all))
	w.stands(all...)
	w.drained(2)
	w.oneMailEach(all...)
	raw, err := w.box.Source(w.box.Mails("script@example.com")[0].ID)
	check(t, err)
	headers, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	if strings.Contains(strings.ToLower(headers), "\nbcc:") || !strings.Contains(headers, "\nTo: \"<script>") {
		t.Errorf("the name is not quoted in the headers:\n%s", headers)
	}
	_, html, _ := strings.Cut(body, "text/html")
	if html == "" || strings.Contains(html, "<script>") {
		t.Errorf("the page has a script:\n%s", html)
	}
}

// TestBadFiles holds that each has a report that says what to do.
func TestBadFiles(t *testing.T) {
	w := start(t)
	w.quiet = true
	wide := utf16.Encode([]rune(header))
	utf16le := []byte{0xff, 0xfe}
	for _, u := range wide {
		utf16le = append(utf16le, byte(u), byte(u>>8))
	}
	for _, test := range []struct {
		name, code, says string
		body             []byte
	}{
		{"zip renamed", "zip_file", "save the sheet as CSV UTF-8", []byte("PK\x03\x04 and the rest")},
		{"nothing", "empty_file", "send one with a header row", nil},
		{"utf-16", "utf_16", "save it as UTF-8", utf16le},
		{"no header", "bad_header", "the first line is not a header row; it must name the columns id, first_name, email, card_id, card_pan, card_type", []byte("a,b\n1,2\n")},
		{"misspelt", "bad_header", "did you mean first_name?", []byte(strings.Replace(header, "first_name", "firstname", 1))},
		{"a spend file", "bad_header", "the column first_name is missing", []byte("id,card_id,merchant,mcc,currency,amount,card_pan,card_type\n")},
		{"one line", "bad_header", "the first line is longer", bytes.Repeat([]byte("x"), 4<<20)},
		{"cut gzip", "bad_gzip", "send it again, whole", []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00")},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, _ := w.enter(test.name, test.body)
			if r.State != upload.Failed || r.Code != test.code || !strings.Contains(r.Error, test.says) || r.Users == nil {
				t.Errorf("%s %s: %s", r.State, r.Code, r.Error)
			}
		})
	}
	r, _ := w.enter("header.csv", []byte(header))
	if r.State != upload.Reconciled || r.Rows.Read != 0 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "a header and no rows") {
		t.Errorf("%+v", r)
	}
	w.stands()
}

// TestAnAddressIsCorrected holds that a user whose mail was refused is mailed when the file comes again
// with another address, by a password of that mail alone.
func TestAnAddressIsCorrected(t *testing.T) {
	w := start(t)
	refused := make(chan struct{}, 1)
	w.faults = func(m mail.Message, send func() error) error {
		if m.To.Address == "typo@example.com" {
			refused <- struct{}{}
			return fmt.Errorf("no such mailbox: %w", mail.ErrRefused)
		}
		return send()
	}
	p := people(31, 1, 1)[0]
	p.email = "typo@example.com"
	w.enter("typo.csv", file(1, []person{p}))
	<-refused
	p.email = "right@example.com"
	r, _ := w.enter("right.csv", file(1, []person{p}))
	if r.Users.Changed != 1 || r.Users.FirstPasswords != 1 {
		t.Fatalf("%+v", r.Users)
	}
	w.drained(1)
	w.firstSignIn(p.email, w.oneMailEach(p)[p.email])
}
