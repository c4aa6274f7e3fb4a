package rewarder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// Reasons of dead letters, beside those of rules.Reason and of loyalty.FieldError.
const (
	reasonInvalid    = "invalid"
	reasonFormat     = "bad_format"
	reasonKind       = "unknown_kind"
	reasonMarker     = "bad_marker"
	reasonPartition  = "wrong_partition"
	reasonNotStored  = "not_storable"
	reasonUnexpected = "unexpected"
)

// maxLetterValue is the longest value of a dead letter: with its headers it must fit where the
// record itself just fitted.
const maxLetterValue = 512 << 10

const maxDetail = 1000

// rowFault is an error about one record, for good: its dead letter.
type rowFault struct{ reason, detail string }

// faultOf names what is wrong with a record.
func faultOf(err error) *rowFault {
	reason := rules.Reason(err)
	var field *loyalty.FieldError
	var row *RowError
	switch {
	case reason != "":
	case errors.As(err, &field):
		if reason = field.Code; reason == "" {
			reason = reasonInvalid
		}
	case errors.As(err, &row):
		reason = reasonNotStored
	default:
		reason = reasonUnexpected
	}
	return &rowFault{reason, err.Error()}
}

// letter is the dead letter of a record.
func (c *claim) letter(msg *sarama.ConsumerMessage, f *rowFault) *sarama.ProducerMessage {
	value := starValue(msg.Value)
	detail := strings.ToValidUTF8(loyalty.StarPANs(f.detail), "\uFFFD")
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail], "") + "…"
	}
	if len(value) > maxLetterValue {
		detail += fmt.Sprintf(" (the value of %d bytes is cut)", len(value))
		value = value[:maxLetterValue]
	}
	m := &sarama.ProducerMessage{Topic: c.r.cfg.Topic + record.DeadLetterSuffix, Value: sarama.ByteEncoder(value)}
	if msg.Key != nil {
		m.Key = sarama.ByteEncoder(starRuns(msg.Key))
	}
	for _, h := range msg.Headers {
		if h != nil && !bytes.HasPrefix(h.Key, []byte("dead-")) {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: starRuns(h.Key), Value: starRuns(h.Value)})
		}
	}
	for _, h := range [][2]string{
		{record.HeaderReason, f.reason},
		{record.HeaderDetail, detail},
		{record.HeaderTopicID, c.topicID},
		{record.HeaderIncarnation, strconv.FormatInt(c.incarnation, 10)},
		{record.HeaderPartition, strconv.Itoa(int(msg.Partition))},
		{record.HeaderOffset, strconv.FormatInt(msg.Offset, 10)},
		{record.HeaderTimestamp, strconv.FormatInt(msg.Timestamp.UnixMilli(), 10)},
	} {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h[0]), Value: []byte(h[1])})
	}
	return m
}

// reasonOf is why a record is a dead letter, and its offset.
func reasonOf(m *sarama.ProducerMessage) (reason string, offset int64) {
	for _, h := range m.Headers {
		switch string(h.Key) {
		case record.HeaderReason:
			reason = string(h.Value)
		case record.HeaderOffset:
			offset, _ = strconv.ParseInt(string(h.Value), 10, 64) // letter wrote it
		}
	}
	return reason, offset
}

// starValue is a record's value without a full PAN. JSON stays JSON: texts are looked at as they
// read, escapes undone, and numbers that look like a PAN become starred texts. The field card_pan
// keeps four digits whatever its Luhn check says. What is not JSON is looked at as bytes.
func starValue(value []byte) []byte {
	if len(value) == 0 {
		return value
	}
	starred, ok := starJSON(value)
	if !ok {
		return starAll(value)
	}
	return starred
}

// StarValue is a record's value as it may be shown: without a full card number. JSON stays JSON.
func StarValue(value []byte) []byte { return starValue(value) }

// Star is a text of a record, such as a header, as it may be shown: without a full card number.
func Star(s string) string { return starText(s, false) }

// starJSON rewrites the texts, names and numbers that have to be; all other bytes stay.
func starJSON(value []byte) ([]byte, bool) {
	if !json.Valid(value) || !utf8.Valid(value) {
		return nil, false
	}
	out := make([]byte, 0, len(value))
	name := "" // the last text: the name, where a value follows a colon
	afterColon := false
	for i := 0; i < len(value); {
		from := i
		switch ch := value[i]; {
		case ch == '"':
			for i++; value[i] != '"'; i++ {
				if value[i] == '\\' {
					i++
				}
			}
			i++
			var s string
			if json.Unmarshal(value[from:i], &s) != nil {
				return nil, false
			}
			starred := starText(s, afterColon && name == "card_pan")
			if starred == s && bytes.IndexByte(value[from:i], '\\') < 0 {
				out = append(out, value[from:i]...)
			} else { // an escape may look like a part of a card number
				out = appendText(out, starred)
			}
			if !afterColon {
				name = strings.ToLower(s)
			}
			afterColon = false
		case ch == '-' || '0' <= ch && ch <= '9':
			for i++; i < len(value) && strings.IndexByte("0123456789+-.eE", value[i]) >= 0; i++ {
			}
			s := string(value[from:i])
			starred := starText(s, afterColon && name == "card_pan")
			if starred == s {
				out = append(out, s...)
			} else {
				out = appendText(out, starred)
			}
			afterColon = false
		default:
			switch ch {
			case ':':
				afterColon = true
			case ',', '{', '[', ']', '}':
				afterColon = ch == '[' && afterColon // a list of PANs is under the same name
			}
			out = append(out, ch)
			i++
		}
	}
	return out, true
}

func appendText(out []byte, s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a text
	}
	return append(out, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// starText stars a text's PANs; isPAN says that the whole text is one by its name.
func starText(s string, isPAN bool) string {
	if isPAN {
		if masked, err := loyalty.MaskPAN(strings.TrimSpace(s)); err == nil {
			return masked
		}
		starred := string(starAll([]byte(s)))
		if _, err := loyalty.MaskPAN(strings.TrimSpace(starred)); err == nil {
			// Else what was set aside for it would be taken the next time, as masked.
			starred = strings.Map(func(r rune) rune {
				if '0' <= r && r <= '9' {
					return '*'
				}
				return r
			}, starred)
		}
		return starred
	}
	if isID(s) {
		return s
	}
	return loyalty.StarPANs(s)
}

func starRuns(b []byte) []byte { return []byte(starText(string(b), false)) }

// isID says whether a text is a UUID, alone or after the colon of a source: the digits of one may
// pass for a card number.
func isID(s string) bool {
	if len(s) > 36 && s[len(s)-37] == ':' {
		s = s[len(s)-36:]
	}
	_, err := uuid.Parse(s)
	return len(s) == 36 && err == nil
}

// starAll stars bytes that cannot be read: of every run of 13 digits or more, whatever its Luhn
// check says and with whatever single byte that is no letter between the digits, all but the last
// four.
func starAll(b []byte) []byte {
	out := bytes.Clone(b)
	for i := 0; i < len(b); {
		if !isDigit(b[i]) {
			i++
			continue
		}
		end, digits := i, 0
		for j := i; j < len(b); j++ {
			if isDigit(b[j]) {
				digits++
				end = j + 1
			} else if !(j+1 < len(b) && isDigit(b[j+1]) && isMark(b[j])) {
				break
			}
		}
		if digits >= 13 {
			plain := 4
			for j := end - 1; j >= i; j-- {
				if !isDigit(b[j]) {
					continue
				}
				if plain > 0 {
					plain--
				} else {
					out[j] = '*'
				}
			}
		}
		i = end
	}
	return out
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isMark says whether a byte may stand between the digits of a card number: a zero byte does in
// UTF-16.
func isMark(c byte) bool { return c == ' ' || c == '-' || c == 0 }
