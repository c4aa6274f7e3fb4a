package publish

import (
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/answer"
)

// maxBody is the most bytes that a transaction may have: eleven fields of 256 characters, each of them
// escaped, need half of it.
const maxBody = 64 << 10

// request is a request of the gateway, read as far as its headers.
type request struct {
	event  *events.APIGatewayProxyRequest
	id     string
	dryRun bool
	key    string // Idempotency-Key, or ""
}

// header returns the values of a header, whose name may be written in any case.
func header(e *events.APIGatewayProxyRequest, name string) []string {
	var out []string
	for k, values := range e.MultiValueHeaders {
		if strings.EqualFold(k, name) {
			out = append(out, values...)
		}
	}
	if out != nil {
		return out
	}
	for k, v := range e.Headers {
		if strings.EqualFold(k, name) {
			out = append(out, v)
		}
	}
	return out
}

// requestID is what the gateway calls the request; without a gateway, what the caller does.
func requestID(e *events.APIGatewayProxyRequest) string {
	for _, id := range append([]string{e.RequestContext.RequestID}, header(e, "X-Request-Id")...) {
		if saneID(id) {
			return id
		}
	}
	return answer.NewRequestID()
}

func saneID(s string) bool { // it goes into logs and into Kafka
	return s != "" && len(s) <= 64 && loyalty.StarPANs(s) == s && !strings.ContainsFunc(s, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-')
	})
}

func invalid(field, code, reason string) error {
	return loyalty.FieldErrors{{Field: field, Code: code, Reason: reason}}
}

// readHeaders reads what is not the body.
func (r *request) readHeaders() error {
	var errs loyalty.FieldErrors
	switch v := header(r.event, "Dry-Run"); {
	case len(v) == 0 || len(v) == 1 && strings.EqualFold(v[0], "false"):
	case len(v) == 1 && strings.EqualFold(v[0], "true"):
		r.dryRun = true
	default:
		errs.Add("", invalid("Dry-Run", "not_a_flag", "must be true or false"))
	}
	switch v := header(r.event, "Idempotency-Key"); {
	case len(v) == 0:
	case len(v) == 1 && len(v[0]) >= 1 && len(v[0]) <= 255 && !strings.ContainsFunc(v[0], func(c rune) bool { return c < '!' || c > '~' }):
		r.key = v[0]
	default:
		errs.Add("", invalid("Idempotency-Key", "not_a_key", "must be one key of 1 to 255 visible ASCII characters, without spaces"))
	}
	if err := errs.Err(); err != nil {
		return err
	}
	for _, v := range header(r.event, "Content-Encoding") {
		if v != "" && !strings.EqualFold(v, "identity") {
			return &errMediaType
		}
	}
	switch v := header(r.event, "Content-Type"); {
	case len(v) == 0: // the gateway takes it for JSON, too
	case len(v) > 1:
		return &errMediaType
	default:
		kind, params, err := mime.ParseMediaType(v[0])
		if err != nil || kind != "application/json" || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
			return &errMediaType
		}
	}
	return nil
}

// body returns the bytes that were sent.
func (r *request) body() ([]byte, error) {
	body := r.event.Body
	if r.event.IsBase64Encoded {
		if base64.StdEncoding.DecodedLen(len(body)) > maxBody+3 {
			return nil, &errTooLarge
		}
		decoded, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			return nil, &failure{status: http.StatusBadRequest, code: "not_json", message: "the body is not the Base64 that the request says it is"}
		}
		body = string(decoded)
	}
	switch {
	case len(body) > maxBody:
		return nil, &errTooLarge
	case strings.TrimSpace(body) == "":
		return nil, &errNoBody
	case strings.ContainsRune(body, utf8.RuneError): // what the gateway makes of bytes that are no text
		return nil, &errNotText
	}
	return []byte(body), nil
}

// transaction reads the body. The account is that of the caller.
func (r *request) transaction(account string, home loyalty.Currency) (loyalty.Transaction, error) {
	body, err := r.body()
	if err != nil {
		return loyalty.Transaction{}, err
	}
	raw, err := loyalty.DecodeRaw(body)
	var errs loyalty.FieldErrors
	if err != nil {
		if !errors.As(err, &errs) || errs[0].Field == "" {
			return loyalty.Transaction{}, err
		}
	}
	// A field that is misspelt would be taken for one that is not there: the transaction would earn
	// something else than it should.
	errs.Add("", loyalty.UnknownFields(body))
	if len(errs) > 0 {
		return loyalty.Transaction{}, errs
	}
	if strings.TrimSpace(raw.ID) == "" && r.key != "" {
		card, err := loyalty.ParseUUID(strings.TrimSpace(raw.CardID))
		if err != nil {
			card = uuid.NameSpaceOID // Parse says what is wrong with the card; the id is all right
		}
		raw.ID = IdempotentID(card, account, r.key).String()
	}
	return raw.Parse(home)
}

// IdempotentID is the id of a transaction that has none, but was sent with an Idempotency-Key.
func IdempotentID(card uuid.UUID, account, key string) uuid.UUID {
	return uuid.NewSHA1(card, []byte(account+"\n"+key))
}
