//go:build unix

package mail_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	netmail "net/mail"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"github.com/angelowl-loyalties/app/local/moto"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/mail/mailer"
	"github.com/angelowl-loyalties/app/loyalty/mail/mailtest"
)

const refusedBySES = "suppressed@cards.example"

// sesAPI is moto's, through a proxy that rejects one address, throttles, and falls silent.
type sesAPI struct {
	url      string
	moto     string
	throttle atomic.Int32 // how many requests are still to be throttled
	asked    atomic.Int32
	stalled  atomic.Bool
	client   *http.Client
}

func newSES(t *testing.T) *sesAPI {
	t.Helper()
	s := &sesAPI{moto: moto.Start(t), client: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(s.client.CloseIdleConnections)
	to, err := url.Parse(s.moto)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = s.client.Transport
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil:
			return
		case s.stalled.Load():
			<-r.Context().Done()
			return
		case s.throttle.Add(-1) >= 0:
			fault(w, http.StatusTooManyRequests, "TooManyRequestsException", "Maximum sending rate exceeded.")
			return
		case bytes.Contains(body, []byte(refusedBySES)):
			fault(w, http.StatusBadRequest, "MessageRejected", "Email address is not verified. The following identities failed the check in region AP-SOUTHEAST-1: "+refusedBySES)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	s.url = srv.URL
	t.Cleanup(srv.Close)
	t.Setenv("AWS_ENDPOINT_URL_SESV2", s.url)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return s
}

func fault(w http.ResponseWriter, status int, code, words string) {
	w.Header().Set("X-Amzn-ErrorType", code)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": words})
}

// verify makes an address one that may send.
func (s *sesAPI) verify(t *testing.T, addr string) {
	t.Helper()
	client := sesv2.New(sesv2.Options{Region: region, BaseEndpoint: aws.String(s.moto), HTTPClient: s.client,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	if _, err := client.CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String(addr)}); err != nil {
		t.Fatal(err)
	}
}

const region = "ap-southeast-1"

// arrived reads what moto's SES has taken for an address.
func (s *sesAPI) arrived(t testing.TB, to string) (all [][]byte) {
	t.Helper()
	res, err := s.client.Get(s.moto + "/moto-api/data.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var data struct {
		SES struct {
			RawMessage []struct {
				RawData      string   `json:"raw_data"`
				Destinations []string `json:"destinations"`
			}
		} `json:"ses"`
	}
	if err := json.NewDecoder(res.Body).Decode(&data); err != nil {
		t.Fatal(err)
	}
	for _, m := range data.SES.RawMessage {
		if slices.Contains(m.Destinations, to) {
			all = append(all, []byte(m.RawData))
		}
	}
	return all
}

func TestSES(t *testing.T) {
	mailtest.Conform(t, func(t *testing.T) mailtest.World {
		s := newSES(t)
		s.verify(t, from.Address)
		return mailtest.World{
			Sender: open(t, mailer.Settings{Region: region}), From: from, Refused: refusedBySES, Arrived: s.arrived,
			Stall: func(testing.TB) { s.stalled.Store(true) },
		}
	})
}

// TestSESAnswers says what becomes of answers that are not for the recipient.
func TestSESAnswers(t *testing.T) {
	s := newSES(t)
	sender := open(t, mailer.Settings{Region: region})
	m := mail.Message{ID: "1@bank.example", To: netmail.Address{Address: "a@cards.example"}, Subject: "s", Text: "hunter22hunter"}

	err := sender.Send(t.Context(), m)
	if err == nil || errors.Is(err, mail.ErrRefused) || !strings.Contains(err.Error(), "MAIL_FROM") || strings.Contains(err.Error(), "hunter22") {
		t.Errorf("a sender that is not verified: %v", err)
	}

	s.verify(t, from.Address)
	s.asked.Store(0)
	s.throttle.Store(2)
	if err := sender.Send(t.Context(), m); err != nil || s.asked.Load() != 3 || len(s.arrived(t, m.To.Address)) != 1 {
		t.Errorf("throttled twice: %v after %d requests", err, s.asked.Load())
	}
}
