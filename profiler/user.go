package profiler

import (
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/google/uuid"
)

// User is an account: of a person or, with the role merchant, of a company.
type User struct {
	ID           uuid.UUID
	FirstName    string
	LastName     string // may be "": not everybody has one
	Phone        string // E.164, or ""
	Email        string
	Role         token.Role
	IsNew        bool // its password is the first one, or there has been none
	Locked       bool // nobody can sign in to it
	RewardEmails bool // wants the nightly email
	Version      int64
	CreatedAt    time.Time
	UpdatedAt    time.Time
	Cards        []Card // those that are not deleted, in the order of their ids
}

// address is where the person reads mail.
func (u User) address() mail.Address {
	return mail.Address{Name: strings.TrimSpace(u.FirstName + " " + u.LastName), Address: u.Email}
}

// activeAdmin says whether an admin can get in by the account.
func (u User) activeAdmin() bool { return u.Role == token.Admin && !u.Locked }

// EndsSessions says whether a change of u to after ends the sessions that the account has: it was
// locked, or may do other things now.
func (u User) EndsSessions(after User) bool {
	return u.Role != after.Role || after.Locked && !u.Locked
}

// LosesAdmin says whether a change of u to after takes away an admin who can get in.
func (u User) LosesAdmin(after User) bool { return u.activeAdmin() && !after.activeAdmin() }

// Card is a card of a cardholder.
type Card struct {
	ID        uuid.UUID
	UserID    uuid.UUID
	PAN       string // masked: ************1234
	CardType  string
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Number is a card's number as it may be kept.
type Number struct {
	Masked string
	HMAC   string // see DataKey.CardHMAC; "" where the number was masked when it came
}

// FirstPassword is the hash of a password that others than its owner have seen.
type FirstPassword struct {
	Hash    string
	Expires time.Time
}

// FirstPasswordLife is how long a first password can be used.
const FirstPasswordLife = 7 * 24 * time.Hour

const (
	maxEmail      = 254 // RFC 5321, 4.5.3.1.3, without the angle brackets
	maxEmailLocal = 64  // 4.5.3.1.1
)

func invalid(field, code, format string, args ...any) *loyalty.FieldError {
	return &loyalty.FieldError{Field: field, Code: code, Reason: fmt.Sprintf(format, args...)}
}

func missing(field string) *loyalty.FieldError { return invalid(field, "missing", "is missing") }

// line reads a line of text.
func line(errs *loyalty.FieldErrors, field, s string) string {
	s = strings.TrimSpace(s)
	switch {
	case !utf8.ValidString(s):
		errs.Add("", invalid(field, "not_utf8", "is not valid UTF-8"))
	case utf8.RuneCountInString(s) > loyalty.MaxFieldRunes:
		errs.Add("", invalid(field, "too_long", "is longer than %d characters", loyalty.MaxFieldRunes))
	case strings.ContainsFunc(s, odd):
		errs.Add("", invalid(field, "control_character", "has a control character"))
	case loyalty.StarPANs(s) != s:
		errs.Add("", invalid(field, "looks_like_a_pan", "looks like it holds a card number, which may not be kept here"))
	}
	return s
}

// odd are characters that no name has: controls, line ends, and those that turn the direction of
// what stands behind them.
func odd(r rune) bool {
	return unicode.IsControl(r) || '\u2028' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069' || r == utf8.RuneError
}

// parsePhone reads a number of ITU-T E.164: + and up to 15 digits, the first not 0. Marks between the
// digits, which people write, are taken off.
func parsePhone(errs *loyalty.FieldErrors, s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return ""
	}
	digits, ok := strings.CutPrefix(strings.NewReplacer(" ", "", "-", "").Replace(s), "+")
	if !ok || len(digits) < 7 || len(digits) > 15 || digits[0] == '0' || digitsOf(digits) != digits {
		errs.Add("", invalid("phone", "not_e164", "must be a phone number with its country, such as +6591234567"))
		return ""
	}
	return "+" + digits
}

// parseEmail reads an address and nothing else: no name, no comment, no second one. Only ASCII is
// taken, since mail systems that take more are few (RFC 6531); a domain may be in its xn-- form.
func parseEmail(errs *loyalty.FieldErrors, s string) string {
	s = strings.TrimSpace(s)
	at := strings.LastIndexByte(s, '@')
	switch {
	case s == "":
		errs.Add("", missing("email"))
	case len(s) > maxEmail || at > maxEmailLocal:
		errs.Add("", invalid("email", "too_long", "is longer than an address may be: %d characters, %d before the @", maxEmail, maxEmailLocal))
	case !plainEmail(s, at):
		errs.Add("", invalid("email", "not_an_email", "must be one email address, such as ann@example.com"))
	case loyalty.StarPANs(s) != s:
		errs.Add("", invalid("email", "looks_like_a_pan", "looks like it holds a card number, which may not be kept here"))
	default:
		return s
	}
	return ""
}

func plainEmail(s string, at int) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`"(),:;<>[\]`, s[i]) >= 0 {
			return false
		}
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s {
		return false
	}
	domain := s[at+1:]
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			switch c := label[i]; {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
			default:
				return false
			}
		}
	}
	return strings.Contains(domain, ".")
}

// parseRole reads the role of an account that people make. Services' accounts come from settings.
func parseRole(errs *loyalty.FieldErrors, s string) token.Role {
	switch r := token.Role(s); r {
	case token.User, token.Bank, token.Merchant, token.Admin:
		return r
	}
	errs.Add("", invalid("Role", "unknown_role", "must be user, bank, merchant or admin"))
	return ""
}

func parseUUID(errs *loyalty.FieldErrors, field, s string) uuid.UUID {
	if s = strings.TrimSpace(s); s == "" {
		errs.Add("", missing(field))
		return uuid.Nil
	}
	id, err := loyalty.ParseUUID(s)
	if err != nil {
		errs.Add("", invalid(field, "not_a_uuid", "must be a UUID, and not the one of zeros"))
	}
	return id
}

// parseNumber reads a card's number. A whole one is for the key alone; what is kept of it are the mask
// and the HMAC. Numbers that a person types are checked for slips of the fingers (ISO/IEC 7812-1,
// annex B); those of a bank's file are not, as in transactions.
func (k DataKey) parseNumber(errs *loyalty.FieldErrors, s string, typed bool) Number {
	s = strings.TrimSpace(s)
	if s == "" {
		errs.Add("", missing("card_pan"))
		return Number{}
	}
	masked, err := loyalty.MaskPAN(s)
	if err != nil {
		errs.Add("card_pan", err)
		return Number{}
	}
	if strings.ContainsAny(s, "*xX") {
		return Number{Masked: masked}
	}
	if typed && !luhn(s) {
		errs.Add("", invalid("card_pan", "mistyped", "has a digit that is wrong, or two that changed places; look at the card again"))
		return Number{}
	}
	return Number{Masked: masked, HMAC: k.CardHMAC(s)}
}

// luhn says whether the digits of a number pass: StarPANs stars, of 13 to 19 digits alone, those that do.
func luhn(pan string) bool {
	digits := digitsOf(pan)
	return loyalty.StarPANs(digits) != digits
}

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// parseCardType reads a key of a card type; whether there is such a one, the store knows.
func parseCardType(errs *loyalty.FieldErrors, s string) string {
	if s = line(errs, "card_type", s); s == "" {
		errs.Add("", missing("card_type"))
	}
	return s
}

// parseCard reads a card as it is sent; an id that is not there is left out.
func (k DataKey) parseCard(b CardBody, typed bool) (Card, Number, loyalty.FieldErrors) {
	var (
		errs loyalty.FieldErrors
		card Card
	)
	if b.ID != "" {
		card.ID = parseUUID(&errs, "id", b.ID)
	}
	n := k.parseNumber(&errs, b.CardPAN, typed)
	card.UserID = parseUUID(&errs, "user_id", b.UserID)
	card.CardType = parseCardType(&errs, b.CardType)
	return card, n, errs
}
