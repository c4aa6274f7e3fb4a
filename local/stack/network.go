package stack

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

// network is where the services listen: sockets in a folder, so that none can be had around the
// gateway, by a page that tries the ports of loopback. A service is asked by its socket's name, as if
// that were a host: http://profiler/card.
type network struct{ dir string }

func (n network) socket(name string) string { return filepath.Join(n.dir, name) }

func (n network) listen(ctx context.Context, name string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", n.socket(name))
	if err != nil {
		return nil, fmt.Errorf("listening for a service: %w", err)
	}
	return l, nil
}

// Services reaches the services by name, as if those were hosts: http://profiler-internal/health. Nothing
// outside of this process does without it.
func (s *Stack) Services() http.RoundTripper { return s.identity.client.Transport }

// Secret is what a service or a lambda signs in with.
func (s *Stack) Secret(service string) config.Secret { return s.identity.secrets[service] }

// client asks services.
func (n network) client() *http.Client {
	var dialer net.Dialer
	return &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				host, _, _ := strings.Cut(addr, ":")
				return dialer.DialContext(ctx, "unix", n.socket(host))
			},
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     time.Minute,
		},
	}
}
