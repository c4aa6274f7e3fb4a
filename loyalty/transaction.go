package loyalty

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// MaxFieldRunes is the most characters that a text field may have.
const MaxFieldRunes = 256

// Transaction is one card transaction as it travels in the log: valid, its PAN masked.
type Transaction struct {
	ID         uuid.UUID
	CardID     uuid.UUID
	Merchant   string
	MCC        MCC // 0: unknown
	Currency   Currency
	Amount     int64  // minor units of Currency; negative for a refund
	HomeAmount Number // the amount in the home currency where the bank converted it; 0: not given
	Reference  string // the bank's own, wire name transaction_id
	Date       Date
	CardPAN    string // ************1234
	CardType   string
}

// Key identifies a transaction: of those that share it, the first to arrive counts.
type Key struct {
	CardID uuid.UUID
	Date   Date
	ID     uuid.UUID
}

// Key is the identity of the transaction.
func (t *Transaction) Key() Key { return Key{t.CardID, t.Date, t.ID} }

// Money is the amount with its currency.
func (t *Transaction) Money() Money { return Money{t.Amount, t.Currency} }

// Columns are the wire names of a transaction's fields in the order in which CSV files and
// refused rows have them.
var Columns = []string{
	"id", "card_id", "merchant", "mcc", "currency", "amount", "sgd_amount",
	"transaction_id", "transaction_date", "card_pan", "card_type",
}

// RawTransaction is a transaction as somebody sent it: each field the text that was there.
type RawTransaction struct {
	ID, CardID, Merchant, MCC, Currency, Amount, SGDAmount string
	TransactionID, TransactionDate, CardPAN, CardType      string
}

// Fields returns the fields in the order of Columns.
func (r *RawTransaction) Fields() [11]*string {
	return [11]*string{
		&r.ID, &r.CardID, &r.Merchant, &r.MCC, &r.Currency, &r.Amount, &r.SGDAmount,
		&r.TransactionID, &r.TransactionDate, &r.CardPAN, &r.CardType,
	}
}

// Parse validates the fields and returns the transaction, or FieldErrors with all that is wrong.
// Home is the home currency: the amount in it is not read for spend in it, and may have no more
// decimals than it has.
func (r *RawTransaction) Parse(home Currency) (Transaction, error) {
	var (
		t    Transaction
		errs FieldErrors
	)
	for i, f := range r.Fields() {
		*f = strings.TrimSpace(*f)
		if len(*f) > MaxFieldRunes && utf8.RuneCountInString(*f) > MaxFieldRunes {
			errs = append(errs, invalid(Columns[i], "too_long", "is longer than %d characters", MaxFieldRunes))
			*f = ""
		} else if !utf8.ValidString(*f) {
			errs = append(errs, invalid(Columns[i], "not_utf8", "is not valid UTF-8"))
			*f = ""
		} else if strings.IndexByte(*f, 0) >= 0 {
			errs = append(errs, invalid(Columns[i], "not_text", "has a NUL character"))
			*f = ""
		}
	}
	if len(errs) > 0 {
		return t, errs
	}

	t.CardID = parseID(&errs, "card_id", r.CardID)
	switch {
	case r.ID != "":
		t.ID = parseID(&errs, "id", r.ID)
	case r.TransactionID == "":
		errs = append(errs, invalid("id", "missing", "is missing, and so is transaction_id; one of them must be there"))
	case t.CardID != uuid.Nil:
		t.ID = uuid.NewSHA1(t.CardID, []byte(r.TransactionID))
	}
	t.Merchant = StarPANs(r.Merchant)
	mcc, err := ParseMCC(r.MCC)
	errs.add("mcc", err)
	t.MCC = mcc
	r.parseAmounts(&t, home, &errs)
	t.Reference = StarPANs(r.TransactionID)
	if t.Date, err = ParseDate(r.TransactionDate); r.TransactionDate == "" {
		err = missing("transaction_date")
	}
	errs.add("transaction_date", err)
	if t.CardPAN, err = MaskPAN(r.CardPAN); r.CardPAN == "" {
		err = missing("card_pan")
	}
	errs.add("card_pan", err)
	if t.CardType = StarPANs(r.CardType); t.CardType == "" {
		errs = append(errs, missing("card_type"))
	}
	return t, errs.Err()
}

func (r *RawTransaction) parseAmounts(t *Transaction, home Currency, errs *FieldErrors) {
	var ok bool
	if t.Currency, ok = ParseCurrency(r.Currency); !ok {
		if r.Currency == "" {
			*errs = append(*errs, missing("currency"))
		} else {
			*errs = append(*errs, invalid("currency", "unknown_currency", "%s is not an ISO 4217 currency with a minor unit", quote(r.Currency)))
		}
	}
	amount, err := ParseAmount(r.Amount)
	switch {
	case r.Amount == "":
		err = missing("amount")
	case err == nil && ok:
		var m Money
		m, err = amount.Money(t.Currency)
		t.Amount = m.Minor
	}
	errs.add("amount", err)
	if r.SGDAmount == "" || ok && t.Currency == home {
		return
	}
	given, err := ParseAmount(r.SGDAmount)
	switch {
	case err != nil:
	case given.Sign()*amount.Sign() < 0:
		err = invalid("sgd_amount", "other_sign", "%s has the other sign than the amount", StarPANs(given.String()))
	case home != 0:
		_, err = given.Money(home)
	}
	errs.add("sgd_amount", err)
	t.HomeAmount = given
}

// ParseAmount is ParseNumber that refuses a card number: columns that were swapped would bring it
// into the log, where no star can be put on a number.
func ParseAmount(s string) (Number, error) {
	if len(s) >= minPAN && StarPANs(s) != s {
		return Number{}, invalid("", "looks_like_a_pan", "%s looks like a card number, not like an amount", quote(s))
	}
	n, err := ParseNumber(s)
	if err == nil && len(s) >= minPAN { // as it will be written, without the zeros before it
		if text := n.String(); StarPANs(text) != text {
			return Number{}, invalid("", "looks_like_a_pan", "%s looks like a card number, not like an amount", StarPANs(text))
		}
	}
	return n, err
}

func parseID(errs *FieldErrors, field, s string) uuid.UUID {
	if s == "" {
		*errs = append(*errs, missing(field))
		return uuid.Nil
	}
	id, err := ParseUUID(s)
	errs.add(field, err)
	return id
}

// ParseUUID reads the 36-character form in any case. The nil UUID is refused: it is what
// programs send that have none.
func ParseUUID(s string) (uuid.UUID, error) {
	if len(s) == 36 {
		if id, err := uuid.Parse(s); err == nil && id != uuid.Nil {
			return id, nil
		}
	}
	if id, err := uuid.Parse(s); err == nil && id == uuid.Nil {
		return uuid.Nil, invalid("", "nil_uuid", "is the UUID of zeros, which names nothing")
	}
	return uuid.Nil, invalid("", "not_a_uuid", "%s is not a UUID", quote(s))
}

func missing(field string) *FieldError { return invalid(field, "missing", "is missing") }

// add is Add that names the field.
func (e *FieldErrors) add(field string, err error) {
	if err == nil {
		return
	}
	var f *FieldError
	if errors.As(err, &f) {
		named := *f
		named.Field = field
		err = &named
	}
	e.Add(field, err)
}

// transactionJSON is the wire form; numbers stay the text that they were written as.
type transactionJSON struct {
	ID              string          `json:"id"`
	CardID          string          `json:"card_id"`
	Merchant        string          `json:"merchant"`
	MCC             json.RawMessage `json:"mcc"`
	Currency        string          `json:"currency"`
	Amount          json.RawMessage `json:"amount"`
	SGDAmount       json.RawMessage `json:"sgd_amount"`
	TransactionID   string          `json:"transaction_id"`
	TransactionDate string          `json:"transaction_date"`
	CardPAN         string          `json:"card_pan"`
	CardType        string          `json:"card_type"`
}

// DecodeTransaction reads a transaction's JSON, as merchants post it and as the log holds it, and
// validates it like Parse. Fields that are not a transaction's are ignored.
func DecodeTransaction(data []byte, home Currency) (Transaction, error) {
	raw, err := DecodeRaw(data)
	if err != nil {
		return Transaction{}, err
	}
	t, err := raw.Parse(home)
	t.detach()
	return t, err
}

// DecodeRaw reads a transaction's JSON and leaves what its fields say to Parse. Its errors are
// FieldErrors; where it is the whole that is wrong they name no field.
func DecodeRaw(data []byte) (RawTransaction, error) {
	if !utf8.Valid(data) {
		return RawTransaction{}, FieldErrors{invalid("", "not_utf8", "the transaction is not valid UTF-8")}
	}
	var raw RawTransaction
	if raw.scan(string(data)) {
		return raw, nil
	}
	return unmarshalTransaction(data)
}

// UnknownFields are, as FieldErrors, the fields of an object that a transaction does not have, and those
// that are there twice. The object is valid JSON.
func UnknownFields(body []byte) error {
	var errs FieldErrors
	seen := map[string]bool{}
	dec := json.NewDecoder(bytes.NewReader(body))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return nil // null: all of it is missing
	}
	for dec.More() {
		name, err := dec.Token()
		text, ok := name.(string)
		if err != nil || !ok {
			return nil
		}
		var skipped json.RawMessage
		if err := dec.Decode(&skipped); err != nil && !errors.Is(err, io.EOF) {
			return nil
		}
		switch {
		case seen[text]:
			errs.Add("", invalid(named(text), "twice", "is there twice"))
		case !slices.Contains(Columns, text):
			errs.Add("", invalid(named(text), "unknown_field", "is not a field of a transaction"))
		}
		seen[text] = true
		if len(errs) == 10 { // enough to see what is meant
			break
		}
	}
	return errs.Err()
}

// named is the name of a field as somebody sent it, fit to be shown.
func named(s string) string {
	s = StarPANs(s)
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	if s == "" {
		return `""`
	}
	return s
}

func unmarshalTransaction(data []byte) (RawTransaction, error) {
	var w transactionJSON
	if err := json.Unmarshal(data, &w); err != nil {
		return RawTransaction{}, FieldErrors{jsonError(err, "transaction")}
	}
	raw := RawTransaction{
		ID: w.ID, CardID: w.CardID, Merchant: w.Merchant, Currency: w.Currency,
		TransactionID: w.TransactionID, TransactionDate: w.TransactionDate, CardPAN: w.CardPAN, CardType: w.CardType,
	}
	var errs FieldErrors
	raw.MCC = numberText(&errs, "mcc", w.MCC, true)
	raw.Amount = numberText(&errs, "amount", w.Amount, false)
	raw.SGDAmount = numberText(&errs, "sgd_amount", w.SGDAmount, false)
	return raw, errs.Err()
}

// numberText is the text of a JSON number; null and absent are blank. A text is taken where
// existing clients send one.
func numberText(errs *FieldErrors, field string, raw json.RawMessage, orText bool) string {
	switch {
	case len(raw) == 0 || bytes.Equal(raw, []byte("null")):
		return ""
	case raw[0] == '"' && orText:
		var s string
		if err := json.Unmarshal(raw, &s); err == nil {
			return s
		}
	case raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9':
		return string(raw)
	}
	*errs = append(*errs, invalid(field, "wrong_type", "must be a JSON number"))
	return ""
}

// jsonError turns what encoding/json says into a FieldError; what names the whole.
func jsonError(err error, what string) *FieldError {
	var typeErr *json.UnmarshalTypeError
	var f *FieldError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &typeErr) && typeErr.Field != "":
		// Behind the dots stands what clients send; before them, in newer Go, what it is embedded in.
		field := typeErr.Field[strings.LastIndexByte(typeErr.Field, '.')+1:]
		return invalid(field, "wrong_type", "must be a JSON %s, not a %s", jsonKind(typeErr.Type.Kind().String()), typeErr.Value)
	case errors.As(err, &typeErr):
		return invalid("", "wrong_type", "the %s must be a JSON object, not a %s", what, typeErr.Value)
	}
	return invalid("", "not_json", "the %s is not valid JSON: %s", what, StarPANs(strings.TrimPrefix(err.Error(), "json: ")))
}

func jsonKind(goKind string) string {
	switch goKind {
	case "string", "bool":
		return goKind
	case "struct", "map":
		return "object"
	case "slice":
		return "list"
	}
	return "number"
}

// MarshalJSON writes the wire form. Equal transactions give equal bytes.
func (t Transaction) MarshalJSON() ([]byte, error) { return t.AppendJSON(make([]byte, 0, 512)), nil }

// UnmarshalJSON is DecodeTransaction where the home currency does not matter.
func (t *Transaction) UnmarshalJSON(b []byte) (err error) {
	*t, err = DecodeTransaction(b, 0)
	return err
}

// marshal is json.Marshal that leaves <, > and & as they are: these bytes are for programs and
// for hashes, never put into a page as they stand.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
