package web

import "testing"

func TestThePortalMayReadAnswersAndNobodyElse(t *testing.T) {
	for _, tt := range []struct {
		name, origin string
		opts         []Option
		want         string
	}{
		{"no portal", "https://portal.example.com", nil, ""},
		{"the portal", "https://portal.example.com", []Option{WithPortal("https://portal.example.com")}, "https://portal.example.com"},
		{"another origin is told the portal's, which is not its own", "https://evil.example.com", []Option{WithPortal("https://portal.example.com")}, "https://portal.example.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := fixture(t, tt.opts...)
			for _, path := range []string{"/list", "/nowhere", "/fail/fields", "/panic"} {
				h := do(r, "GET", path, "", "Origin", tt.origin).Header()
				if got := h.Get("Access-Control-Allow-Origin"); got != tt.want {
					t.Errorf("%s: %q, want %q", path, got, tt.want)
				}
				if h.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s: with credentials", path)
				}
			}
		})
	}
}
