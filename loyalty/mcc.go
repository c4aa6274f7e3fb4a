package loyalty

import (
	"fmt"
	"strings"
)

// MCC is an ISO 18245 merchant category code, 1 to 9999. 0 is an unknown one.
type MCC uint16

// ParseMCC reads a code of a transaction: 1 to 9999 with or without leading zeros; 0 or blank is
// unknown.
func ParseMCC(s string) (MCC, error) {
	if s == "" {
		return 0, nil
	}
	n := number(s)
	if len(s) > 9 || n < 0 || n > 9999 {
		return 0, invalid("mcc", "not_an_mcc", "%s is not a merchant category code (1 to 9999; 0 or blank where it is unknown)", quote(s))
	}
	return MCC(n), nil
}

// String is the code in four digits.
func (m MCC) String() string { return fmt.Sprintf("%04d", uint16(m)) }

// MCCRange is an inclusive range of codes.
type MCCRange struct{ From, To MCC }

// MCCSet is what a campaign's mcc says: nil is any code, else ranges in the order written.
type MCCSet []MCCRange

// ParseMCCSet reads "0" (any) or codes and ranges such as "5411,3500-3999".
func ParseMCCSet(s string) (MCCSet, error) {
	bad := func(format string, args ...any) (MCCSet, error) {
		return nil, invalid("mcc", "not_an_mcc_list", format, args...)
	}
	s = strings.TrimSpace(s)
	if s == "" {
		return bad(`is missing; write "0" for any merchant category`)
	}
	items := strings.Split(s, ",")
	var set MCCSet
	for _, item := range items {
		from, to, isRange := strings.Cut(item, "-")
		lo, hi := number(strings.TrimSpace(from)), 0
		if lo == 0 && !isRange && len(items) == 1 && strings.TrimSpace(from) != "" {
			return nil, nil
		}
		if hi = lo; isRange {
			if hi = number(strings.TrimSpace(to)); strings.TrimSpace(to) == "" {
				hi = -1
			}
		}
		switch {
		case strings.TrimSpace(item) == "":
			return bad("%s has an empty item", quote(s))
		case lo == 0 && !isRange:
			return bad(`"0" (any) stands alone, not among others: %s`, quote(s))
		case lo < 1 || lo > 9999 || hi < 1 || hi > 9999:
			return bad("%s is not a merchant category code or a range of them (1 to 9999)", quote(strings.TrimSpace(item)))
		case hi < lo:
			return bad("the range %s runs backwards", quote(strings.TrimSpace(item)))
		}
		set = append(set, MCCRange{MCC(lo), MCC(hi)})
	}
	return set, nil
}

// Contains says whether the set holds a code; any set that is nil does.
func (s MCCSet) Contains(m MCC) bool {
	if s == nil {
		return true
	}
	for _, r := range s {
		if r.From <= m && m <= r.To {
			return true
		}
	}
	return false
}

// String writes the set as ParseMCCSet reads it.
func (s MCCSet) String() string {
	if s == nil {
		return "0"
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(r.From.String())
		if r.To != r.From {
			b.WriteString("-" + r.To.String())
		}
	}
	return b.String()
}
