package stack

import (
	"encoding/json"
	"net/http"
)

// room refuses changes while the disk is full, in words for whoever wants them. Reading goes on, and
// so does trying a transaction out, which writes nothing.
func (s *Stack) room(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := s.disk.Check()
		switch {
		case err == nil, r.Method == http.MethodGet, r.Method == http.MethodHead, r.Method == http.MethodOptions, r.URL.Path == "/campaign/try":
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(http.StatusInsufficientStorage)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "nothing was changed: " + err.Error(), "code": "disk_full"}) // whoever asked has gone
	})
}
