package emailer_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/local/kafka"
	"github.com/angelowl-loyalties/app/loyalty"
)

// sink is a mail system that counts.
type sink struct{ mails atomic.Int64 }

func (s *sink) NewSession(*smtp.Conn) (smtp.Session, error) { return s, nil }
func (s *sink) Reset()                                      {}
func (s *sink) Logout() error                               { return nil }
func (s *sink) Mail(string, *smtp.MailOptions) error        { return nil }
func (s *sink) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (s *sink) Data(r io.Reader) error {
	s.mails.Add(1)
	_, err := io.Copy(io.Discard, r)
	return err
}

// perUser are the rewards of each user, on two cards.
const perUser = 4

// crowd is an informer and a profiler of so many users that only their number is kept.
func crowd(day loyalty.Date, users int) http.Handler {
	mux := http.NewServeMux()
	answer := func(rw http.ResponseWriter, v any) {
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(v)
	}
	mux.HandleFunc("POST /auth/token", func(rw http.ResponseWriter, _ *http.Request) {
		answer(rw, map[string]any{"access_token": "t", "token_type": "Bearer", "expires_in": 3600})
	})
	mux.HandleFunc("GET /reward/today", func(rw http.ResponseWriter, r *http.Request) {
		asked, _ := loyalty.ParseDate(r.FormValue("day"))
		size, _ := strconv.Atoi(r.FormValue("page_size"))
		from, _ := strconv.Atoi(r.FormValue("cursor"))
		page := struct {
			Day  loyalty.Date     `json:"day"`
			Data []loyalty.Reward `json:"data"`
			Next string           `json:"next"`
		}{Day: asked, Data: []loyalty.Reward{}}
		if asked == day {
			to := min(from+size, users*perUser)
			for i := from; i < to; i++ {
				// The two cards of a user are far from one another.
				half := users * perUser / 2
				user, second := (i%half)/(perUser/2), byte(i/half)
				var r loyalty.Reward
				r.CardID = uuid.UUID{second + 1, 6: 0x40, 8: 0x80, 12: byte(user >> 24), 13: byte(user >> 16), 14: byte(user >> 8), 15: byte(user)}
				r.ID, r.Date, r.Merchant, r.MCC = uuid.NewSHA1(r.CardID, []byte{byte(i)}), day, "Shop", 4722
				r.Currency, r.Amount, r.Reference, r.CardPAN, r.CardType = loyalty.MustCurrency("SGD"), 100, "ref", "************1234", "gold"
				r.Units, r.Remarks, r.Trace = loyalty.Units{Value: 2}, "2 miles per dollar", loyalty.Trace{Outcome: loyalty.Rewarded, Programme: "Miles", Unit: "miles"}
				r.CreatedAt = time.Unix(1, 0)
				page.Data = append(page.Data, r)
			}
			if to < users*perUser {
				page.Next = strconv.Itoa(to)
			}
		}
		answer(rw, page)
	})
	mux.HandleFunc("POST /internal/reward-mails/unmailed", func(rw http.ResponseWriter, r *http.Request) {
		var body struct{ Cards []map[string]string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		for _, card := range body.Cards {
			card["user_id"] = "ff" + card["card_id"][2:]
		}
		answer(rw, map[string]any{"data": body.Cards})
	})
	mux.HandleFunc("POST /internal/reward-mails/begin", func(rw http.ResponseWriter, r *http.Request) {
		var body map[string]string
		_ = json.NewDecoder(r.Body).Decode(&body)
		answer(rw, map[string]any{"data": map[string]any{"name": "Ann", "email": "ann@cards.example", "unsubscribe": "t", "mails": []any{body}}})
	})
	mux.HandleFunc("POST /internal/reward-mails/end", func(rw http.ResponseWriter, _ *http.Request) { answer(rw, map[string]string{"data": "OK"}) })
	mux.HandleFunc("GET /internal/reward-mails/day/{day}", func(rw http.ResponseWriter, _ *http.Request) {
		answer(rw, map[string]any{"data": map[string]bool{"mailed": false}})
	})
	mux.HandleFunc("POST /internal/reward-mails/day/{day}", func(rw http.ResponseWriter, _ *http.Request) { answer(rw, map[string]string{"data": "OK"}) })
	return mux
}

// The most memory that the program takes does not grow with the users.
func TestMemory(t *testing.T) {
	sizes := []int{10_000, 100_000}
	if testing.Short() {
		sizes = []int{2000, 20_000} // enough to fill what the program allows itself
	}
	if long() {
		sizes = append(sizes, 1_000_000)
	}
	broker, err := kafka.Start(t.Context(), kafka.Config{Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	day := loyalty.DateOf(2026, 11, 24)
	peak := map[int]int{}
	for _, users := range sizes {
		peak[users] = peakOf(t, broker.Addr(), day, users)
		t.Logf("%d users: %d kB", users, peak[users])
		if first := peak[sizes[0]]; peak[users]*10 > first*11 {
			t.Errorf("%d kB for %d users, %d kB for %d", peak[users], users, first, sizes[0])
		}
	}
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

func peakOf(t *testing.T, broker string, day loyalty.Date, users int) int {
	t.Helper()
	var mails sink
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(&mails)
	server.Domain = "localhost"
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	api := httptest.NewServer(crowd(day, users))
	host, port, _ := strings.Cut(l.Addr().String(), ":")
	p := invoke(t, fmt.Sprintf(`{"day":%q,"again":true}`, day), "BROKER_HOST="+broker, "PROFILER_ENDPOINT="+api.URL, "PROFILER_INTERNAL_ENDPOINT="+api.URL,
		"INFORMER_INTERNAL_ENDPOINT="+api.URL, "SMTP_HOST="+host, "SMTP_PORT="+port)
	r, ok := p.result()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	p.kill()
	api.CloseClientConnections()
	api.Close()
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	<-served
	found := highWater.FindSubmatch(status)
	if !ok || err != nil || found == nil || r.State != emailer.Done || r.Sent != users || r.Rewards != users*perUser || int(mails.mails.Load()) != users {
		t.Fatalf("%+v %v %v, %d mails\n%s", r, ok, err, mails.mails.Load(), p.out.String())
	}
	kb, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb
}
