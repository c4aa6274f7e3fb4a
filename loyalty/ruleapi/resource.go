package ruleapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
)

// Page sizes of lists and histories.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// Resource serves one kind of rule. Its methods are handlers.
type Resource[T, F any] struct {
	Name  string // for messages: "campaign"
	Field string // wire name of the id, and the parameter of the route: "id"
	Store Store[T, F]

	Publisher   *outbox.Publisher
	PublishWait time.Duration // how long an answer may wait for publication

	ID      func(T) string
	ParseID func(string) (string, error) // of an address; FieldErrors
	NewID   func() string                // nil: who creates a rule names it

	Sorts  []string // names that a list may be sorted by, the first without being asked
	Filter func(url.Values) (F, error)

	Warn      func(context.Context, T) []string          // what is odd about a rule, in words; may be nil
	MayDelete func(ctx context.Context, id string) error // may be nil
}

// answer is a rule's wire form with what the API adds to it.
type answer struct {
	rule any
	meta meta
}

type meta struct {
	Version   int64     `json:"version"`
	Published bool      `json:"published"`
	UpdatedAt time.Time `json:"updated_at"`
	Warnings  []string  `json:"warnings,omitempty"`
}

// readOnly are the fields of an answer that a client may send back; they are ignored.
var readOnly = [...]string{"version", "published", "updated_at", "warnings"}

// MarshalJSON joins the two objects.
func (a answer) MarshalJSON() ([]byte, error) {
	rule, err := json.Marshal(a.rule)
	if err != nil {
		return nil, err
	}
	meta, err := json.Marshal(a.meta)
	if err != nil {
		return nil, err
	}
	return append(append(bytes.TrimSuffix(rule, []byte("}")), ','), meta[1:]...), nil
}

func (r *Resource[T, F]) answer(ctx context.Context, item Item[T], warn bool) answer {
	a := answer{item.Rule, meta{Version: item.Version, Published: item.Published, UpdatedAt: item.UpdatedAt}}
	if warn && r.Warn != nil {
		a.meta.Warnings = r.Warn(ctx, item.Rule)
	}
	return a
}

// fail answers an error of the store.
func (r *Resource[T, F]) fail(c *gin.Context, id string, err error) {
	switch {
	case errors.Is(err, ErrNotFound):
		err = &web.Error{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("there is no %s %s", r.Name, id)}
	case errors.Is(err, ErrExists):
		err = &web.Error{Status: http.StatusConflict, Code: "exists", Message: fmt.Sprintf("there is a %s %s already", r.Name, id)}
	case errors.Is(err, ErrConflict):
		err = &web.Error{Status: http.StatusPreconditionFailed, Code: "version_conflict",
			Message: fmt.Sprintf("somebody has changed the %s since you read it; read it again and decide anew", r.Name)}
	}
	web.Fail(c, err)
}

// List answers GET /kind.
func (r *Resource[T, F]) List(c *gin.Context) {
	params := c.Request.URL.Query()
	page, errs := PageOf(params)
	q := Query[F]{Page: page, Sort: r.Sorts[0]}
	if s := params.Get("sort"); s != "" {
		q.Sort, q.Desc = strings.CutPrefix(s, "-")
		if !slices.Contains(r.Sorts, q.Sort) {
			errs.Add("", &loyalty.FieldError{Field: "sort", Code: "unknown_sort",
				Reason: "must be one of " + strings.Join(r.Sorts, ", ") + ", with a - before it for descending order"})
		}
	}
	var err error
	if r.Filter != nil {
		q.Filter, err = r.Filter(params)
		errs.Add("", err)
	}
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	items, total, err := r.Store.List(c.Request.Context(), q)
	if err != nil {
		web.Fail(c, err)
		return
	}
	data := make([]answer, len(items))
	for i, item := range items {
		data[i] = r.answer(c.Request.Context(), item, false)
	}
	PageAnswer(c, page, total, data)
}

// PageAnswer answers a page of a list.
func PageAnswer(c *gin.Context, page Page, total int64, data any) {
	web.JSON(c, http.StatusOK, struct {
		PageNo   int   `json:"page_no"`
		PageSize int   `json:"page_size"`
		Total    int64 `json:"total"`
		Data     any   `json:"data"`
	}{page.No, page.Size, total, data})
}

// PageOf reads page_size and page_no.
func PageOf(params url.Values) (Page, loyalty.FieldErrors) {
	var errs loyalty.FieldErrors
	number := func(name string, otherwise, most int) int {
		text := params.Get(name)
		if text == "" {
			return otherwise
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > most {
			errs.Add("", &loyalty.FieldError{Field: name, Code: "out_of_range", Reason: fmt.Sprintf("must be a whole number from 1 to %d", most)})
		}
		return n
	}
	return Page{Size: number("page_size", DefaultPage, MaxPage), No: number("page_no", 1, 1_000_000_000)}, errs
}

// Get answers GET /kind/{id}.
func (r *Resource[T, F]) Get(c *gin.Context) {
	id, ok := r.pathID(c)
	if !ok {
		return
	}
	item, err := r.Store.Get(c.Request.Context(), id)
	if err != nil {
		r.fail(c, id, err)
		return
	}
	r.send(c, http.StatusOK, item)
}

// send answers one rule.
func (r *Resource[T, F]) send(c *gin.Context, status int, item Item[T]) {
	c.Header("ETag", strconv.Quote(strconv.FormatInt(item.Version, 10)))
	web.Data(c, status, r.answer(c.Request.Context(), item, true))
}

// written waits a little for a change to be published, and answers it.
func (r *Resource[T, F]) written(c *gin.Context, status int, item Item[T]) {
	if !item.Published {
		item.Published = r.published(c.Request.Context(), item.Ref)
	}
	r.send(c, status, item)
}

func (r *Resource[T, F]) published(ctx context.Context, ref outbox.Ref) bool {
	ctx, cancel := context.WithTimeout(ctx, r.PublishWait)
	defer cancel()
	return r.Publisher.Wait(ctx, ref)
}

// Create answers POST /kind.
func (r *Resource[T, F]) Create(c *gin.Context) {
	newID := ""
	if r.NewID != nil {
		newID = r.NewID()
	}
	rule, err := r.read(c, newID)
	if err != nil {
		web.Fail(c, err)
		return
	}
	item, err := r.Store.Create(c.Request.Context(), web.CallerOf(c.Request.Context()).ID, rule)
	if err != nil {
		r.fail(c, r.ID(rule), err)
		return
	}
	r.event(c.Request.Context(), "created", r.ID(rule), item.Version)
	c.Header("Location", c.Request.URL.Path+"/"+url.PathEscape(r.ID(rule)))
	r.written(c, http.StatusCreated, item)
}

// Put answers PUT /kind/{id}.
func (r *Resource[T, F]) Put(c *gin.Context) { r.put(c, false) }

// PutOrCreate answers PUT /kind/{id} of rules that whoever writes them names.
func (r *Resource[T, F]) PutOrCreate(c *gin.Context) { r.put(c, true) }

func (r *Resource[T, F]) put(c *gin.Context, orCreate bool) {
	id, ok := r.pathID(c)
	if !ok {
		return
	}
	fit, err := IfMatch(c)
	if err != nil {
		web.Fail(c, err)
		return
	}
	rule, err := r.read(c, id)
	if err == nil && r.ID(rule) != id {
		err = web.Invalid(r.Field, "other_id", "is not that of the address")
	}
	if err != nil {
		web.Fail(c, err)
		return
	}
	status, action := http.StatusOK, "changed"
	who := web.CallerOf(c.Request.Context()).ID
	item, err := r.Store.Put(c.Request.Context(), who, rule, fit)
	if errors.Is(err, ErrNotFound) && orCreate && fit == nil {
		status, action = http.StatusCreated, "created"
		if item, err = r.Store.Create(c.Request.Context(), who, rule); errors.Is(err, ErrExists) {
			status, action = http.StatusOK, "changed" // somebody else has just created it
			item, err = r.Store.Put(c.Request.Context(), who, rule, fit)
		}
	}
	if err != nil {
		r.fail(c, id, err)
		return
	}
	r.event(c.Request.Context(), action, id, item.Version)
	r.written(c, status, item)
}

// Delete answers DELETE /kind/{id}.
func (r *Resource[T, F]) Delete(c *gin.Context) {
	id, ok := r.pathID(c)
	if !ok {
		return
	}
	ctx := c.Request.Context()
	fit, err := IfMatch(c)
	if err != nil {
		web.Fail(c, err)
		return
	}
	item, err := r.Store.Get(ctx, id)
	if err == nil && r.MayDelete != nil {
		err = r.MayDelete(ctx, id)
	}
	if err == nil {
		err = r.Store.Delete(ctx, web.CallerOf(ctx).ID, id, fit)
	}
	if err != nil {
		r.fail(c, id, err)
		return
	}
	r.event(ctx, "deleted", id, item.Version)
	r.published(ctx, item.Ref)
	c.Status(http.StatusNoContent)
}

// event tells whoever watches over the system that a rule was written. The history has what of it.
func (r *Resource[T, F]) event(ctx context.Context, action, id string, version int64) {
	web.SecurityEvent(ctx, "rule_written", slog.String("kind", r.Name), slog.String("id", id), slog.String("action", action), slog.Int64("version", version))
}

// History answers GET /kind/{id}/history.
func (r *Resource[T, F]) History(c *gin.Context) {
	id, ok := r.pathID(c)
	if !ok {
		return
	}
	page, errs := PageOf(c.Request.URL.Query())
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	events, total, err := r.Store.History(c.Request.Context(), id, page)
	if err != nil {
		r.fail(c, id, err)
		return
	}
	if events == nil {
		events = []Event{}
	}
	PageAnswer(c, page, total, events)
}

func (r *Resource[T, F]) pathID(c *gin.Context) (string, bool) {
	id, err := r.ParseID(c.Param(r.Field))
	if err != nil {
		web.Fail(c, err)
		return "", false
	}
	return id, true
}

// read reads a rule from the body; one without an id gets id.
func (r *Resource[T, F]) read(c *gin.Context, id string) (rule T, err error) {
	var body json.RawMessage
	if err := web.Bind(c, &body); err != nil {
		return rule, err
	}
	if body, err = Writable(body, r.Field, id); err != nil {
		return rule, err
	}
	return rule, json.Unmarshal(body, &rule)
}

// Writable takes off an object what only answers have, and gives it an id if it has none. What is
// no object is returned as it is: reading it says what is wrong.
func Writable(body json.RawMessage, field, id string) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return body, nil
	}
	for _, name := range readOnly {
		delete(fields, name)
	}
	has := false
	for name, value := range fields { // encoding/json takes names in any case
		has = has || strings.EqualFold(name, field) && string(value) != "null" && string(value) != `""`
	}
	if !has && id != "" {
		quoted, err := json.Marshal(id)
		if err != nil {
			return nil, fmt.Errorf("giving an id: %w", err)
		}
		fields[field] = quoted
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("reading a body: %w", err)
	}
	return out, nil
}

// IfMatch reads If-Match (RFC 9110, 13.1.1). A tag that a proxy made weak when it compressed the
// answer is taken too: versions are exact.
func IfMatch(c *gin.Context) (Fit, error) {
	header := strings.Join(c.Request.Header.Values("If-Match"), ",")
	if header == "" {
		return nil, nil
	}
	var versions []int64
	for _, tag := range strings.Split(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" {
			return func(int64) bool { return true }, nil
		}
		tag, _ = strings.CutPrefix(tag, "W/")
		inner, opened := strings.CutPrefix(tag, `"`)
		inner, closed := strings.CutSuffix(inner, `"`)
		if !opened || !closed {
			return nil, web.Invalid("If-Match", "not_an_etag", `must be an ETag as an answer had it, such as "3", in its quotes`)
		}
		// A tag that is not one of ours fits nothing.
		if v, err := strconv.ParseInt(inner, 10, 64); err == nil {
			versions = append(versions, v)
		}
	}
	return func(version int64) bool { return slices.Contains(versions, version) }, nil
}
