package profile

import (
	"net"
	"net/http"
	"time"
)

// HTTPClient is the client that services ask profiler by, for the keys of tokens too. Each question ends after
// five seconds, whatever becomes of it: somebody waits for the answer.
func (s *Settings) HTTPClient() *http.Client { return s.PatientHTTPClient(5 * time.Second) }

// PatientHTTPClient is HTTPClient for questions that take longer: each ends after wait.
func (s *Settings) PatientHTTPClient(wait time.Duration) *http.Client {
	return &http.Client{
		Timeout: wait,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:    2 * time.Second,
			TLSClientConfig:        s.authorities.Config(),
			ResponseHeaderTimeout:  wait - time.Second,
			ExpectContinueTimeout:  time.Second,
			IdleConnTimeout:        time.Minute, // shorter than the two minutes after which a server of ours hangs up
			MaxIdleConnsPerHost:    16,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		},
	}
}
