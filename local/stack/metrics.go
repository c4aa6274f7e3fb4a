package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/angelowl-loyalties/app/loyalty/web"
)

// Metrics are what each part answers at GET /metrics, by its name: what Prometheus would read.
func (s *Stack) Metrics(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	services := s.network.client()
	defer services.CloseIdleConnections()
	var errs []error
	for _, name := range []string{"campaignex", "profiler", "informer", "rewarder"} {
		text, err := scrape(ctx, services, "http://"+name+web.MetricsPath)
		out[name], errs = text, append(errs, err)
	}
	rewarders := &http.Client{Transport: &http.Transport{}}
	defer rewarders.CloseIdleConnections()
	for _, m := range s.crew.members {
		text, err := scrape(ctx, rewarders, "http://"+m.l.Addr().String()+web.MetricsPath)
		out[m.name], errs = text, append(errs, err)
	}
	return out, errors.Join(errs...)
}

func scrape(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("asking for metrics: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("asking for metrics: %s answers %s", url, res.Status)
	}
	return string(body), err
}
