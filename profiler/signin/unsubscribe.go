package signin

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty/web"
)

// UnsubscribeToken is what stands in the link of a mail by which its reader ends such mails, with one
// click and without signing in (RFC 8058): /unsubscribe/{token}. It is good for ever and for nothing
// else, and is not kept.
func (s *Service) UnsubscribeToken(userID string) (string, error) {
	id, err := uuid.Parse(userID)
	if err != nil {
		return "", errors.New("an account's id is not a UUID")
	}
	return base64.RawURLEncoding.EncodeToString(append(id[:], s.unsubscribeMAC(id)...)), nil
}

func (s *Service) unsubscribeMAC(id uuid.UUID) []byte {
	mac := hmac.New(sha256.New, s.unsubscribe)
	mac.Write(id[:])
	return mac.Sum(nil)[:16]
}

// unsubscribed ends reward mails.
//
//	@Summary		End the mails about rewards
//	@Description	The link of a mail, with one click (RFC 8058). The body is not read.
//	@Tags			sign-in
//	@Accept			x-www-form-urlencoded
//	@Produce		json
//	@Param			token	path		string	true	"of the mail"
//	@Success		200		{object}	OKAnswer
//	@Failure		400		{object}	ErrorBody
//	@Router			/unsubscribe/{token} [post]
func (s *Service) unsubscribed(c *gin.Context) {
	bad := web.Invalid("token", "invalid", "is not of one of our mails; copy the whole link")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(c.Param("token"))
	if err != nil || len(raw) != 32 || !hmac.Equal(raw[16:], s.unsubscribeMAC(uuid.UUID(raw[:16]))) {
		fail(c, bad)
		return
	}
	id, ctx := uuid.UUID(raw[:16]).String(), c.Request.Context()
	err = s.store.StopRewardEmails(ctx, id)
	if errors.Is(err, ErrNotFound) {
		err = nil // the account was deleted, and gets no mails any more
	}
	if err != nil {
		fail(c, err)
		return
	}
	web.SecurityEvent(ctx, "unsubscribed", slog.String("account", id))
	web.Data(c, http.StatusOK, "OK")
}
