package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

// Grant is a client's token (RFC 6749, 5.1).
type Grant struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type" example:"Bearer"`
	ExpiresIn   int    `json:"expires_in" example:"1200"` // seconds
}

// GrantError is why there is none (RFC 6749, 5.2).
type GrantError struct {
	Error       string `json:"error" enums:"invalid_request,invalid_client,unsupported_grant_type"`
	Description string `json:"error_description"`
	Code        string `json:"code"` // the same as error
}

// grantError is a GrantError with its status.
type grantError struct {
	status int
	GrantError
}

func (e *grantError) Error() string { return e.Description }

func refuse(status int, code, words string) error {
	return &grantError{status, GrantError{code, words, code}}
}

// token lets a client in: a merchant, or a service of ours.
//
//	@Summary		A token for a program
//	@Description	OAuth 2.0 client credentials (RFC 6749, 4.4). The id and the secret stand in the Authorization header (Basic) or in the body, as a form or as JSON.
//	@Tags			sign-in
//	@Accept			x-www-form-urlencoded
//	@Accept			json
//	@Produce		json
//	@Param			grant_type		formData	string	true	"client_credentials"
//	@Param			client_id		formData	string	false	"the account's id"
//	@Param			client_secret	formData	string	false	"one of its secrets"
//	@Success		200				{object}	Grant
//	@Failure		400				{object}	GrantError
//	@Failure		401				{object}	GrantError
//	@Failure		429				{object}	ErrorBody	"too many tries; Retry-After says when"
//	@Router			/auth/token [post]
func (s *Service) token(c *gin.Context) {
	ctx := c.Request.Context()
	id, plain, basic, err := credentials(c)
	var a Account
	if err == nil {
		err = s.take(c, Limit{"client from " + source(c), s.cfg.Rates.ClientAddress}, Limit{"client " + id, s.cfg.Rates.Client})
	}
	if err == nil {
		a, err = s.store.SecretAccount(ctx, id, loyalty.HashOf([]byte(plain)))
		if errors.Is(err, ErrNotFound) || err == nil && (a.Locked || a.Role != token.Merchant && a.Role != token.Service) {
			web.SecurityEvent(ctx, "client_refused", slog.String("account", id), slog.String("from", source(c)))
			err = refuse(http.StatusUnauthorized, "invalid_client", "the client or its secret is not right")
		}
	}
	var access string
	if err == nil {
		access, err = s.access(ctx, a, token.MustNothing)
	}
	var refused *grantError
	switch {
	case errors.As(err, &refused):
		if refused.status == http.StatusUnauthorized && basic {
			c.Header("WWW-Authenticate", `Basic realm="AngelOwl", charset="UTF-8"`)
		}
		web.JSON(c, refused.status, refused.GrantError)
		c.Abort()
	case err != nil:
		fail(c, err)
	default:
		web.SecurityEvent(ctx, "client_sign_in", slog.String("account", a.ID), slog.String("account_role", string(a.Role)), slog.String("from", source(c)))
		c.Header("Pragma", "no-cache") // RFC 6749, 5.1
		web.JSON(c, http.StatusOK, Grant{access, "Bearer", int(token.Lifetime / time.Second)})
	}
}

// credentials reads a client's request.
func credentials(c *gin.Context) (id, secret string, basic bool, err error) {
	bad := func(words string) (string, string, bool, error) {
		return "", "", basic, refuse(http.StatusBadRequest, "invalid_request", words)
	}
	var tooLong *http.MaxBytesError
	raw, err := io.ReadAll(c.Request.Body)
	switch {
	case errors.As(err, &tooLong):
		return "", "", false, err
	case err != nil || !utf8.Valid(raw):
		return bad("the body cannot be read")
	}
	form := url.Values{}
	kind, _, _ := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if kind == "application/json" {
		var fields map[string]any
		if err := json.Unmarshal(raw, &fields); err != nil {
			return bad("the body is not a JSON object")
		}
		for name, value := range fields {
			text, ok := value.(string)
			if !ok {
				return bad(shown(name) + " must be a text")
			}
			form.Set(name, text)
		}
	} else if form, err = url.ParseQuery(string(raw)); err != nil {
		return bad("the body is not a form")
	}
	for name, values := range form {
		if len(values) > 1 {
			return bad("a field is there twice")
		}
		switch name {
		case "grant_type", "client_id", "client_secret", "scope":
		default:
			if kind == "application/json" {
				return bad(shown(name) + " is not one of grant_type, client_id, client_secret, scope")
			} // RFC 6749, 3.2: unrecognized parameters of a form are ignored
		}
	}
	id, secret = form.Get("client_id"), form.Get("client_secret")
	if c.GetHeader("Authorization") != "" {
		user, pass, ok := c.Request.BasicAuth()
		basic = true
		if !ok || len(c.Request.Header.Values("Authorization")) > 1 {
			return "", "", true, refuse(http.StatusUnauthorized, "invalid_client", "the Authorization header is not Basic with an id and a secret")
		}
		if secret != "" {
			return bad("the secret is there twice, in the header and in the body")
		}
		// RFC 6749, 2.3.1: both are encoded as in a form.
		user, errID := url.QueryUnescape(user)
		pass, errSecret := url.QueryUnescape(pass)
		if errID != nil || errSecret != nil || id != "" && id != user {
			return bad("the Authorization header and the body do not agree")
		}
		id, secret = user, pass
	}
	switch grant := form.Get("grant_type"); {
	case grant == "":
		return bad("grant_type is missing")
	case grant != "client_credentials":
		return "", "", basic, refuse(http.StatusBadRequest, "unsupported_grant_type", "grant_type must be client_credentials")
	case id == "" || secret == "":
		return "", "", basic, refuse(http.StatusUnauthorized, "invalid_client", "the client's id or secret is missing")
	}
	parsed, err := uuid.Parse(id)
	if err != nil || len(id) != 36 || len(secret) > maxText {
		return "", "", basic, refuse(http.StatusUnauthorized, "invalid_client", "the client or its secret is not right")
	}
	return parsed.String(), secret, basic, nil
}

// shown is a field's name as an error_description may have it (RFC 6749, 5.2: ASCII without quotes).
func shown(name string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-'
	}
	if name == "" || len(name) > 40 || loyalty.StarPANs(name) != name || strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return "a field"
	}
	return name
}

// SecretItem is a secret that a client has; what it is was shown once.
type SecretItem struct {
	ID        string    `json:"id" format:"uuid"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
}

// SecretList are a client's secrets.
type SecretList struct {
	Data []SecretItem `json:"data"`
}

// NewSecret is a secret as it is shown once.
type NewSecret struct {
	SecretItem
	ClientID     string `json:"client_id" format:"uuid"`
	ClientSecret string `json:"client_secret" example:"aos_3q2-7w…"`
}

// NewSecretAnswer is it.
type NewSecretAnswer struct {
	Data NewSecret `json:"data"`
}

// client returns the account of the path if it is of a role that has secrets.
func (s *Service) client(c *gin.Context, roles ...token.Role) (Account, error) {
	id, err := pathID(c, "id")
	if err != nil {
		return Account{}, err
	}
	a, err := s.store.Account(c.Request.Context(), id)
	if err != nil {
		return a, gone(err, errNoUser)
	}
	if !slices.Contains(roles, a.Role) {
		return a, &web.Error{Status: http.StatusConflict, Code: "wrong_role", Message: "this is for accounts of another role than " + string(a.Role)}
	}
	return a, nil
}

// listSecrets answers a client's secrets.
//
//	@Summary	The secrets of a merchant or a service
//	@Tags		clients
//	@Produce	json
//	@Security	Bearer
//	@Param		id	path		string	true	"the account"	format(uuid)
//	@Success	200	{object}	SecretList
//	@Failure	400	{object}	ErrorBody
//	@Failure	404	{object}	ErrorBody
//	@Failure	409	{object}	ErrorBody	"it is an account of a person"
//	@Router		/user/{id}/secret [get]
func (s *Service) listSecrets(c *gin.Context) {
	a, err := s.client(c, token.Merchant, token.Service)
	var all []Secret
	if err == nil {
		all, err = s.store.Secrets(c.Request.Context(), a.ID)
	}
	if err != nil {
		fail(c, err)
		return
	}
	out := make([]SecretItem, len(all))
	for i, x := range all {
		out[i] = SecretItem(x)
	}
	web.Data(c, http.StatusOK, out)
}

// addSecret makes a secret.
//
//	@Summary		Make a secret
//	@Description	It is shown in this answer and never again. A client may have two, so that one can take the place of the other without a gap.
//	@Tags			clients
//	@Produce		json
//	@Security		Bearer
//	@Param			id	path		string	true	"the account"	format(uuid)
//	@Success		201	{object}	NewSecretAnswer
//	@Failure		400	{object}	ErrorBody
//	@Failure		404	{object}	ErrorBody
//	@Failure		409	{object}	ErrorBody	"there are two already, or it is an account of a person"
//	@Router			/user/{id}/secret [post]
func (s *Service) addSecret(c *gin.Context) {
	a, err := s.client(c, token.Merchant, token.Service)
	ctx := c.Request.Context()
	plain, hash := secret("aos_") // a prefix by which scanners of code find it
	var added Secret
	if err == nil {
		added, err = s.store.AddSecret(ctx, a.ID, hash, web.CallerOf(ctx).ID)
		if errors.Is(err, ErrConflict) {
			err = &web.Error{Status: http.StatusConflict, Code: "two_secrets", Message: "the client has two secrets already; revoke one first"}
		}
		err = gone(err, errNoUser)
	}
	if err != nil {
		fail(c, err)
		return
	}
	web.SecurityEvent(ctx, "secret_added", slog.String("account", a.ID), slog.String("secret", added.ID))
	web.Data(c, http.StatusCreated, NewSecret{SecretItem(added), a.ID, plain})
}

// revokeSecret ends a secret.
//
//	@Summary		Revoke a secret
//	@Description	Tokens that the client got before are not good any more for sending transactions, whichever secret they were got by.
//	@Tags			clients
//	@Security		Bearer
//	@Param			id			path	string	true	"the account"	format(uuid)
//	@Param			secretId	path	string	true	"the secret"	format(uuid)
//	@Success		204
//	@Failure		400	{object}	ErrorBody
//	@Failure		404	{object}	ErrorBody
//	@Router			/user/{id}/secret/{secretId} [delete]
func (s *Service) revokeSecret(c *gin.Context) {
	id, err := pathID(c, "id")
	var secretID string
	if err == nil {
		secretID, err = pathID(c, "secretId")
	}
	ctx := c.Request.Context()
	if err == nil {
		err = gone(s.store.RevokeSecret(ctx, id, secretID), &web.Error{Status: http.StatusNotFound, Code: "not_found", Message: "there is no such secret"})
	}
	if err != nil {
		fail(c, err)
		return
	}
	web.SecurityEvent(ctx, "secret_revoked", slog.String("account", id), slog.String("secret", secretID))
	c.Status(http.StatusNoContent)
}

// ServiceID is the account of a service of ours.
func ServiceID(name string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("angelowl:service:"+name)).String()
}

// minServiceSecret is how long a service's secret must be: it is compared by a fast hash.
const minServiceSecret = 32

// EnsureServices makes the accounts of our services, by their names, and lets them in by these
// secrets. A secret that takes another's place does not end it before a third comes, so that all
// can be started anew one after another. Several instances may do it at once.
func (s *Service) EnsureServices(ctx context.Context, secrets map[string]config.Secret) error {
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		plain := secrets[name].Reveal()
		if name == "" || len(plain) < minServiceSecret {
			return fmt.Errorf("the secret of the service %q must have %d characters or more", name, minServiceSecret)
		}
		err := s.store.EnsureService(ctx, ServiceID(name), name, loyalty.HashOf([]byte(plain)))
		if errors.Is(err, ErrConflict) {
			return fmt.Errorf("the secret of the service %q was revoked, or its id is another account's; set another secret", name)
		}
		if err != nil {
			return fmt.Errorf("making the account of the service %q: %w", name, err)
		}
	}
	return nil
}

// ParseServiceSecrets reads the setting SERVICE_SECRETS: name=secret, with commas between.
func ParseServiceSecrets(setting config.Secret) (map[string]config.Secret, error) {
	out := map[string]config.Secret{}
	for part := range strings.SplitSeq(setting.Reveal(), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, secret, ok := strings.Cut(part, "=")
		name, secret = strings.TrimSpace(name), strings.TrimSpace(secret)
		if !ok || name == "" || len(name) > 64 {
			return nil, errors.New("the services' secrets must be like informer=…,campaignex=…")
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("the services' secrets name %s twice", name)
		}
		if len(secret) < minServiceSecret {
			return nil, fmt.Errorf("the secret of the service %s must have %d characters or more", name, minServiceSecret)
		}
		out[name] = config.NewSecret(secret)
	}
	return out, nil
}
