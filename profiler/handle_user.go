package profiler

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// fail answers an error of the store about an account or a card.
func fail(c *gin.Context, kind, id string, err error) {
	said := func(status int, code, message string) error {
		return &web.Error{Status: status, Code: code, Message: message}
	}
	switch {
	case errors.Is(err, ruleapi.ErrNotFound):
		err = said(http.StatusNotFound, "not_found", "there is no "+kind+" "+id)
	case errors.Is(err, ruleapi.ErrExists):
		err = said(http.StatusConflict, "exists", "there is, or was, a "+kind+" "+id+" already; its id is not used again")
	case errors.Is(err, ruleapi.ErrConflict):
		err = said(http.StatusPreconditionFailed, "version_conflict", "somebody has changed the "+kind+" since you read it; read it again and decide anew")
	case errors.Is(err, ErrEmailTaken):
		err = said(http.StatusConflict, "email_taken", "another account has this email address; use another one")
	case errors.Is(err, ErrLastAdmin):
		err = said(http.StatusConflict, "last_admin", "this is the last admin who can sign in; make another one first")
	case errors.Is(err, ErrHasCards):
		err = said(http.StatusConflict, "has_cards", "only cardholders have cards; delete the cards of the account before it gets another role")
	case errors.Is(err, ErrCardTaken):
		err = said(http.StatusConflict, "card_taken", "this card id is, or was, another user's; a card id is never given to another user")
	case errors.Is(err, ErrNoUser):
		err = web.Invalid("user_id", "no_user", "is no user there is")
	case errors.Is(err, ErrNotCardholder):
		err = web.Invalid("user_id", "not_a_cardholder", "is not a cardholder's account")
	case errors.Is(err, ErrNoCardType):
		err = web.Invalid("card_type", "unknown_card_type", "is no card type there is")
	case errors.Is(err, ErrMasked):
		err = web.Invalid("card_pan", "masked", "is masked, and not the number that is known of this card; type the number again")
	}
	web.Fail(c, err)
}

// callerID is the caller's account, or the zero UUID, which is nobody's.
func callerID(c *gin.Context) uuid.UUID {
	id, err := uuid.Parse(web.CallerOf(c.Request.Context()).ID)
	if err != nil {
		return uuid.Nil
	}
	return id
}

// sees says whether the caller may know of an account. Whoever may not is told what those are told who
// ask for one that does not exist.
func sees(c *gin.Context, id uuid.UUID, role token.Role) bool {
	switch web.CallerOf(c.Request.Context()).Role {
	case token.Admin:
		return true
	case token.Bank:
		return role == token.User
	case token.User:
		return id != uuid.Nil && id == callerID(c)
	}
	return false
}

// only is sees as Accounts asks.
func only(c *gin.Context, id uuid.UUID) func(token.Role) error {
	return func(role token.Role) error {
		if !sees(c, id, role) {
			return ruleapi.ErrNotFound
		}
		return nil
	}
}

func forbidden(message string) error {
	return &web.Error{Status: http.StatusForbidden, Code: "forbidden", Message: message}
}

// pathID reads the id of the address.
func pathID(c *gin.Context) (uuid.UUID, bool) {
	var errs loyalty.FieldErrors
	id := parseUUID(&errs, "id", c.Param("id"))
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return uuid.Nil, false
	}
	return id, true
}

// sortOf reads what a list is to be sorted by.
func sortOf(params url.Values, known []string, errs *loyalty.FieldErrors) (sort string, desc bool) {
	s := params.Get("sort")
	if s == "" {
		return known[0], false
	}
	if sort, desc = strings.CutPrefix(s, "-"); !slices.Contains(known, sort) {
		errs.Add("", invalid("sort", "unknown_sort", "must be one of %s, with a - before it for descending order", strings.Join(known, ", ")))
	}
	return sort, desc
}

// listUsers answers a page of accounts.
//
//	@Summary	Accounts, a page of them; to the bank those of cardholders only
//	@Tags		user
//	@Produce	json
//	@Param		search		query		string	false	"part of the name or of the email address"
//	@Param		role		query		string	false	"user, bank, merchant or admin"
//	@Param		locked		query		bool	false	"only those that are locked, or that are not"
//	@Param		sort		query		string	false	"name, email, created_at or updated_at; a - before it for descending order"
//	@Param		page_size	query		int		false	"1 to 1000"	default(100)
//	@Param		page_no		query		int		false	"from 1"	default(1)
//	@Success	200			{object}	UserPage
//	@Failure	400			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Router		/user [get]
func (s *service) listUsers(c *gin.Context) {
	params := c.Request.URL.Query()
	page, errs := ruleapi.PageOf(params)
	q := UserQuery{Page: page, Search: line(&errs, "search", params.Get("search"))}
	q.Sort, q.Desc = sortOf(params, UserSorts, &errs)
	if role := token.Role(params.Get("role")); role != "" {
		if q.Role = role; !role.Valid() {
			errs.Add("", invalid("role", "unknown_role", "must be user, bank, merchant or admin"))
		}
	}
	if text := params.Get("locked"); text != "" {
		locked := text == "true"
		if q.Locked = &locked; !locked && text != "false" {
			errs.Add("", invalid("locked", "not_a_flag", "must be true or false"))
		}
	}
	s.answerUsers(c, q, errs)
}

func (s *service) answerUsers(c *gin.Context, q UserQuery, errs loyalty.FieldErrors) {
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	if web.CallerOf(c.Request.Context()).Role != token.Admin {
		if q.Role != "" && q.Role != token.User {
			ruleapi.PageAnswer(c, q.Page, 0, []UserItem{})
			return
		}
		q.Role = token.User
	}
	users, total, err := s.store.Users(c.Request.Context(), q)
	if err != nil {
		web.Fail(c, err)
		return
	}
	data := make([]UserItem, len(users))
	for i, u := range users {
		data[i] = u.item()
	}
	ruleapi.PageAnswer(c, q.Page, total, data)
}

// searchUsers finds who has a card with a number.
//
//	@Summary		Accounts that have a card with this number
//	@Description	A number stands in a body, never in an address, which is logged on the way. Several accounts may have cards with the same number.
//	@Tags			user
//	@Accept			json
//	@Produce		json
//	@Param			body		body		UserSearch	true	"the whole number"
//	@Param			page_size	query		int			false	"1 to 1000"	default(100)
//	@Param			page_no		query		int			false	"from 1"	default(1)
//	@Success		200			{object}	UserPage
//	@Failure		400			{object}	ErrorBody
//	@Failure		403			{object}	ErrorBody
//	@Router			/user/search [post]
func (s *service) searchUsers(c *gin.Context) {
	var body UserSearch
	if err := web.Bind(c, &body); err != nil {
		web.Fail(c, err)
		return
	}
	page, errs := ruleapi.PageOf(c.Request.URL.Query())
	n := s.key.parseNumber(&errs, body.CardPAN, true)
	if n.HMAC == "" && len(errs) == 0 {
		errs.Add("", invalid("card_pan", "masked", "is masked; type the whole number"))
	}
	s.answerUsers(c, UserQuery{Page: page, Sort: UserSorts[0], HMAC: n.HMAC}, errs)
}

// getUser answers an account.
//
//	@Summary	An account with its cards; to a user the own one
//	@Tags		user
//	@Produce	json
//	@Param		id	path		string	true	"the account"	format(uuid)
//	@Success	200	{object}	UserAnswer
//	@Header		200	{string}	ETag	"the version, for If-Match"
//	@Failure	400	{object}	ErrorBody
//	@Failure	403	{object}	ErrorBody
//	@Failure	404	{object}	ErrorBody
//	@Router		/user/{id} [get]
func (s *service) getUser(c *gin.Context) {
	id, ok := pathID(c)
	if !ok {
		return
	}
	u, err := s.store.User(c.Request.Context(), id)
	if err == nil {
		err = only(c, id)(u.Role)
	}
	if err != nil {
		fail(c, "user", id.String(), err)
		return
	}
	sendUser(c, http.StatusOK, u)
}

func sendUser(c *gin.Context, status int, u User, warnings ...string) {
	c.Header("ETag", strconv.Quote(strconv.FormatInt(u.Version, 10)))
	item := u.item()
	item.Warnings = warnings
	web.Data(c, status, item)
}

// createUser makes an account.
//
//	@Summary		Make an account
//	@Description	The bank makes accounts of cardholders, an admin those of any role. Without a password a random one is mailed to the address. Either has to be changed at the first sign-in, within 7 days. Merchants get none: they sign in with client secrets.
//	@Tags			user
//	@Accept			json
//	@Produce		json
//	@Param			body	body		UserBody	true	"the account"
//	@Success		201		{object}	UserAnswer
//	@Header			201		{string}	ETag		"the version, for If-Match"
//	@Header			201		{string}	Location	"where it is"
//	@Failure		400		{object}	ErrorBody
//	@Failure		403		{object}	ErrorBody
//	@Failure		409		{object}	ErrorBody
//	@Router			/user [post]
func (s *service) createUser(c *gin.Context) {
	ctx := c.Request.Context()
	var body UserBody
	if err := web.Bind(c, &body, userAnswers...); err != nil {
		web.Fail(c, err)
		return
	}
	u, errs := body.onto(User{Role: token.User, RewardEmails: true})
	u.ID = uuid.New()
	if text := deref(body.ID); text != "" {
		u.ID = parseUUID(&errs, "id", text)
	}
	for field, text := range map[string]*string{"first_name": body.FirstName, "email": body.Email} {
		if text == nil {
			errs.Add("", missing(field))
		}
	}
	slices.SortStableFunc(errs, func(a, b *loyalty.FieldError) int { return strings.Compare(a.Field, b.Field) })
	plain := deref(body.Password)
	switch {
	case plain == "" && deref(body.ConfirmPassword) == "":
	case u.Role == token.Merchant:
		errs.Add("", invalid("password", "no_password", "is not for merchants, who sign in with client secrets"))
	case plain == "":
		errs.Add("", missing("password"))
	case plain != deref(body.ConfirmPassword):
		errs.Add("", invalid("confirm_password", "differs", "is not the same as password"))
	default:
		errs.Add("password", s.passwords.CheckPassword(plain, u.Email, u.FirstName, u.LastName))
	}
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	caller := web.CallerOf(ctx)
	if caller.Role != token.Admin && u.Role != token.User {
		web.Fail(c, forbidden("the bank makes accounts of cardholders only, with the Role user; an admin makes the others"))
		return
	}
	mailed := plain == "" && u.Role != token.Merchant
	if mailed {
		plain = s.passwords.Random()
	}
	var first *FirstPassword
	if plain != "" {
		hash, err := s.passwords.Hash(ctx, plain)
		if err != nil {
			web.Fail(c, err)
			return
		}
		first = &FirstPassword{Hash: hash, Expires: s.clock().Add(FirstPasswordLife)}
	}
	made, err := s.store.CreateUser(ctx, caller.ID, u, first)
	if err != nil {
		fail(c, "user", u.ID.String(), err)
		return
	}
	var warnings []string
	if mailed {
		if err := s.signIn.SendFirstPassword(ctx, made.address(), plain); err != nil {
			web.Log(ctx).Error("a first password could not be mailed", "account", made.ID, "error", loyalty.StarPANs(err.Error()))
			warnings = append(warnings, "the account is made, but the mail with its first password could not be sent; POST /user/"+made.ID.String()+"/first-password sends another")
		}
	}
	web.SecurityEvent(ctx, "account_made", slog.String("account", made.ID.String()), slog.String("account_role", string(made.Role)))
	c.Header("Location", "/user/"+made.ID.String())
	sendUser(c, http.StatusCreated, made, warnings...)
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// onto is an account with what the body says of it; what it does not say stays.
func (b *UserBody) onto(u User) (User, loyalty.FieldErrors) {
	var errs loyalty.FieldErrors
	if b.FirstName != nil {
		if u.FirstName = line(&errs, "first_name", *b.FirstName); u.FirstName == "" {
			errs.Add("", missing("first_name"))
		}
	}
	if b.LastName != nil {
		u.LastName = line(&errs, "last_name", *b.LastName)
	}
	if b.Phone != nil {
		u.Phone = parsePhone(&errs, *b.Phone)
	}
	if b.Email != nil {
		u.Email = parseEmail(&errs, *b.Email)
	}
	if b.Role != nil && *b.Role != string(u.Role) { // a service's account, sent back, keeps its role
		u.Role = parseRole(&errs, *b.Role)
	}
	if b.Locked != nil {
		u.Locked = *b.Locked
	}
	if b.RewardEmails != nil {
		u.RewardEmails = *b.RewardEmails
	}
	return u, errs
}

// putUser changes an account.
//
//	@Summary		Change an account
//	@Description	What the body does not say stays as it is, so that what was read can be sent back. A user changes names, phone, email and reward_emails of the own account; the bank may lock cardholders too; an admin may do all. Locking and another role end the account's sessions. A new email address is told to the old one.
//	@Tags			user
//	@Accept			json
//	@Produce		json
//	@Param			id			path		string		true	"the account"	format(uuid)
//	@Param			If-Match	header		string		false	"the ETag that was read; without it the last write wins"
//	@Param			body		body		UserBody	true	"the account"
//	@Success		200			{object}	UserAnswer
//	@Header			200			{string}	ETag	"the version, for If-Match"
//	@Failure		400			{object}	ErrorBody
//	@Failure		403			{object}	ErrorBody
//	@Failure		404			{object}	ErrorBody
//	@Failure		409			{object}	ErrorBody
//	@Failure		412			{object}	ErrorBody
//	@Router			/user/{id} [put]
func (s *service) putUser(c *gin.Context) {
	ctx := c.Request.Context()
	id, ok := pathID(c)
	if !ok {
		return
	}
	fit, err := ruleapi.IfMatch(c)
	if err != nil {
		web.Fail(c, err)
		return
	}
	var body UserBody
	if err := web.Bind(c, &body, userAnswers...); err != nil {
		web.Fail(c, err)
		return
	}
	caller := web.CallerOf(ctx)
	before, after, err := s.store.ChangeUser(ctx, caller.ID, id, func(u User) (User, error) {
		if !sees(c, id, u.Role) {
			return u, ruleapi.ErrNotFound
		}
		if fit != nil && !fit(u.Version) {
			return u, ruleapi.ErrConflict
		}
		out, errs := body.onto(u)
		if text := deref(body.ID); text != "" && !strings.EqualFold(text, id.String()) {
			errs.Add("", invalid("id", "other_id", "is not that of the address"))
		}
		if deref(body.Password) != "" || deref(body.ConfirmPassword) != "" {
			errs.Add("", invalid("password", "not_here", "is changed by POST /auth/password"))
		}
		if err := errs.Err(); err != nil {
			return u, err
		}
		return out, mayChange(caller.Role, u, out)
	})
	if errors.Is(err, ErrEmailTaken) && caller.Role == token.User { // some try addresses to learn who has an account
		web.SecurityEvent(ctx, "email_refused", slog.String("account", id.String()))
	}
	if err != nil {
		fail(c, "user", id.String(), err)
		return
	}
	if before.Role != after.Role {
		web.SecurityEvent(ctx, "role_changed", slog.String("account", id.String()), slog.String("from", string(before.Role)), slog.String("to", string(after.Role)))
	}
	if before.Locked != after.Locked {
		web.SecurityEvent(ctx, "account_locked", slog.String("account", id.String()), slog.Bool("locked", after.Locked))
	}
	if !strings.EqualFold(before.Email, after.Email) {
		s.tellOfMove(c, before.Email, after)
	}
	sendUser(c, http.StatusOK, after)
}

// mayChange says what of an account a role may not change.
func mayChange(caller token.Role, before, after User) error {
	switch {
	case before.Role != after.Role && caller != token.Admin:
		return forbidden("only an admin may change the Role of an account")
	case before.Locked != after.Locked && caller == token.User:
		return forbidden("your account may not change locked")
	case before.Role == token.Service:
		return forbidden("accounts of services are made by settings and cannot be changed here")
	}
	return nil
}

// tellOfMove tells an account's old address that it has another one now.
func (s *service) tellOfMove(c *gin.Context, old string, u User) {
	was := u
	was.Email = old
	web.SecurityEvent(c.Request.Context(), "email_changed", slog.String("account", u.ID.String()))
	s.signIn.EmailChanged(c.Request.Context(), was.address(), u.Email)
}

// deleteUser deletes an account.
//
//	@Summary		Delete an account and its cards
//	@Description	Its id and those of its cards are never used again. Its sessions end. What was personal is gone, but for the history.
//	@Tags			user
//	@Param			id			path	string	true	"the account"	format(uuid)
//	@Param			If-Match	header	string	false	"the ETag that was read"
//	@Success		204
//	@Failure		400	{object}	ErrorBody
//	@Failure		403	{object}	ErrorBody
//	@Failure		404	{object}	ErrorBody
//	@Failure		409	{object}	ErrorBody	"it is the last admin"
//	@Failure		412	{object}	ErrorBody
//	@Router			/user/{id} [delete]
func (s *service) deleteUser(c *gin.Context) {
	ctx := c.Request.Context()
	id, ok := pathID(c)
	if !ok {
		return
	}
	fit, err := ruleapi.IfMatch(c)
	if err != nil {
		web.Fail(c, err)
		return
	}
	err = s.store.DeleteUser(ctx, web.CallerOf(ctx).ID, id, func(u User) error {
		switch {
		case !sees(c, id, u.Role):
			return ruleapi.ErrNotFound
		case u.Role == token.Service:
			return forbidden("accounts of services are made by settings and cannot be deleted here")
		case fit != nil && !fit(u.Version):
			return ruleapi.ErrConflict
		}
		return nil
	})
	if err != nil {
		fail(c, "user", id.String(), err)
		return
	}
	web.SecurityEvent(ctx, "account_deleted", slog.String("account", id.String()))
	c.Status(http.StatusNoContent)
}

// userHistory answers who changed an account.
//
//	@Summary	Who changed an account, when and how; the newest first; deleted accounts too
//	@Tags		user
//	@Produce	json
//	@Param		id			path		string	true	"the account"	format(uuid)
//	@Param		page_size	query		int		false	"1 to 1000"		default(100)
//	@Param		page_no		query		int		false	"from 1"		default(1)
//	@Success	200			{object}	HistoryPage
//	@Failure	400			{object}	ErrorBody
//	@Failure	403			{object}	ErrorBody
//	@Failure	404			{object}	ErrorBody
//	@Router		/user/{id}/history [get]
func (s *service) userHistory(c *gin.Context) {
	id, ok := pathID(c)
	if !ok {
		return
	}
	page, errs := ruleapi.PageOf(c.Request.URL.Query())
	if err := errs.Err(); err != nil {
		web.Fail(c, err)
		return
	}
	events, total, err := s.store.UserHistory(c.Request.Context(), id, page, only(c, id))
	if err != nil {
		fail(c, "user", id.String(), err)
		return
	}
	answerHistory(c, page, total, events)
}

func answerHistory(c *gin.Context, page ruleapi.Page, total int64, events []ruleapi.Event) {
	if events == nil {
		events = []ruleapi.Event{}
	}
	ruleapi.PageAnswer(c, page, total, events)
}
