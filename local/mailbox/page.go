package mailbox

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed pages
var pages embed.FS

// What a page may load: our style, and the HTML part of a mail in a frame. The part itself may load
// nothing and runs nothing.
const (
	policy     = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	partPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
	textPolicy = "sandbox; default-src 'none'; frame-ancestors 'none'"
)

const pageSize, maxPageSize = 50, 1000

// Handler shows the mails: / (or /mail.json) lists them, /12 shows one, /12/html and /12/source are
// its HTML part and its file. Lists and mails are JSON where Accept asks for it. Its links are
// relative, so it may stand below any path that ends in a slash. Only requests to a loopback name are
// answered, so that no page of another site can read mails through a name that it points here.
func (b *Box) Handler() http.Handler {
	tmpl := template.Must(template.New("").Funcs(template.FuncMap{
		"when": func(t time.Time) string { return t.Format("2006-01-02 15:04:05 UTC") },
		"join": func(s []string) string { return strings.Join(s, ", ") },
	}).ParseFS(pages, "pages/*.html"))
	p := &pager{b, tmpl}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.list)
	mux.HandleFunc("GET /mail.json", p.list)
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, pages, "pages/style.css")
	})
	mux.HandleFunc("GET /{id}", p.one)
	mux.HandleFunc("GET /{id}/html", p.html)
	mux.HandleFunc("GET /{id}/source", p.source)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if !loopback(r.Host) {
			fail(w, http.StatusForbidden, "wrong_host", "ask for 127.0.0.1 or localhost", nil)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") || ip != nil && ip.IsLoopback()
}

type pager struct {
	*Box
	tmpl *template.Template
}

// fail answers an error in the shape of all our APIs.
func fail(w http.ResponseWriter, status int, code, message string, fields map[string]string) {
	body := map[string]any{"error": message, "code": code}
	if fields != nil {
		body["fields"] = fields
	}
	answer(w, status, body)
}

func answer(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":"something went wrong on our side","code":"internal"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // who asked has hung up, or has it
}

func (p *pager) render(w http.ResponseWriter, name string, data any) {
	var b bytes.Buffer
	if err := p.tmpl.ExecuteTemplate(&b, name, data); err != nil {
		p.log.Error("writing a page of mails", "error", err)
		fail(w, http.StatusInternalServerError, "internal", "something went wrong on our side", nil)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = b.WriteTo(w)
}

func wantsJSON(r *http.Request) bool {
	return r.URL.Path == "/mail.json" || strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}

// number reads a parameter from 1 to most.
func number(q url.Values, name string, fallback, most int, bad map[string]string) int {
	text := q.Get(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		bad[name] = fmt.Sprintf("must be a whole number from 1 to %d", most)
	}
	return n
}

func (p *pager) list(w http.ResponseWriter, r *http.Request) {
	q, bad := r.URL.Query(), map[string]string{}
	size := number(q, "page_size", pageSize, maxPageSize, bad)
	no := number(q, "page_no", 1, 1e6, bad)
	to := q.Get("to")
	if len(to) > 254 {
		bad["to"] = "must have 254 characters at most"
	}
	for name, reason := range bad {
		fail(w, http.StatusBadRequest, "invalid", name+" "+reason, bad)
		return
	}
	all := p.Mails(to)
	total := len(all)
	from := min((no-1)*size, total)
	data := all[from:min(from+size, total)]
	if wantsJSON(r) {
		answer(w, http.StatusOK, map[string]any{"page_no": no, "page_size": size, "total": total, "data": data})
		return
	}
	link := func(page int) string {
		return "./?" + url.Values{"to": {to}, "page_no": {strconv.Itoa(page)}, "page_size": {strconv.Itoa(size)}}.Encode()
	}
	view := map[string]any{"Mails": data, "To": to, "Total": total, "From": from + 1, "Until": from + len(data), "Keep": p.keep, "Newer": "", "Older": ""}
	if no > 1 {
		view["Newer"] = link(no - 1)
	}
	if from+size < total {
		view["Older"] = link(no + 1)
	}
	p.render(w, "list.html", view)
}

// find reads the mail that the path names, or answers that there is none.
func (p *pager) find(w http.ResponseWriter, r *http.Request) (Mail, []byte, bool) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err == nil && id > 0 && strconv.FormatInt(id, 10) == r.PathValue("id") {
		for _, m := range p.Mails("") {
			if m.ID != id {
				continue
			}
			raw, err := p.Source(id)
			if err == nil {
				return m, raw, true
			}
			if !errors.Is(err, ErrGone) {
				p.log.Error("reading a mail", "id", id, "error", err)
				fail(w, http.StatusInternalServerError, "internal", "the file of this mail cannot be read", nil)
				return Mail{}, nil, false
			}
		}
	}
	fail(w, http.StatusNotFound, "not_found", fmt.Sprintf("there is no such mail; only the newest %d are kept", p.keep), nil)
	return Mail{}, nil, false
}

// piece of a text, a link where URL is not "".
type piece struct{ Text, URL string }

var urls = regexp.MustCompile(`https?://[^\s<>"']+[^\s<>"'.,;:!?)]`)

func pieces(text string) []piece {
	var out []piece
	at := 0
	for _, m := range urls.FindAllStringIndex(text, 1000) {
		out = append(out, piece{Text: text[at:m[0]]}, piece{text[m[0]:m[1]], text[m[0]:m[1]]})
		at = m[1]
	}
	return append(out, piece{Text: text[at:]})
}

func (p *pager) one(w http.ResponseWriter, r *http.Request) {
	m, raw, ok := p.find(w, r)
	if !ok {
		return
	}
	c := parts(bytes.NewReader(raw))
	if wantsJSON(r) {
		answer(w, http.StatusOK, map[string]any{"data": struct {
			Mail
			Content
		}{m, c}})
		return
	}
	p.render(w, "mail.html", map[string]any{"Mail": m, "Content": c, "Pieces": pieces(c.Text)})
}

func (p *pager) html(w http.ResponseWriter, r *http.Request) {
	if _, raw, ok := p.find(w, r); ok {
		w.Header().Set("Content-Security-Policy", partPolicy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(parts(bytes.NewReader(raw)).HTML))
	}
}

func (p *pager) source(w http.ResponseWriter, r *http.Request) {
	if _, raw, ok := p.find(w, r); ok {
		w.Header().Set("Content-Security-Policy", textPolicy)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(raw)
	}
}
