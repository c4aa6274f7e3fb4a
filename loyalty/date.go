package loyalty

import (
	"strconv"
	"strings"
	"time"
)

// Date is a calendar day without a place: days since 1970-01-01.
type Date int32

// MinDate and MaxDate bound what a transaction, a rule or a quote may be dated.
const (
	MinDate Date = 7305  // 1990-01-01
	MaxDate Date = 47481 // 2099-12-31
)

// DateOf is the date of a year, month and day; it must exist.
func DateOf(year int, month time.Month, day int) Date {
	return Date(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// ParseDate reads YYYY-MM-DD, DD-MM-YYYY and DD-MM-YY (00 to 68 are 20xx) between MinDate and
// MaxDate.
func ParseDate(s string) (Date, error) {
	var y, m, d int
	ok := false
	switch {
	case len(s) == 10 && s[4] == '-' && s[7] == '-':
		y, m, d, ok = number(s[:4]), number(s[5:7]), number(s[8:]), true
	case len(s) == 10 && s[2] == '-' && s[5] == '-':
		y, m, d, ok = number(s[6:]), number(s[3:5]), number(s[:2]), true
	case len(s) == 8 && s[2] == '-' && s[5] == '-':
		y, m, d, ok = number(s[6:]), number(s[3:5]), number(s[:2]), true
		switch {
		case y < 0:
		case y <= 68:
			y += 2000
		default:
			y += 1900
		}
	}
	if !ok || y < 0 || m < 0 || d < 0 {
		return 0, invalid("", "not_a_date", "%s is not a date (YYYY-MM-DD, DD-MM-YYYY or DD-MM-YY)", quote(s))
	}
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	if ty, tm, td := t.Date(); ty != y || tm != time.Month(m) || td != d {
		return 0, invalid("", "not_a_date", "%s does not exist in the calendar", quote(s))
	}
	day := Date(t.Unix() / 86400)
	if t.Unix() < 0 || day < MinDate || day > MaxDate {
		return 0, invalid("", "date_out_of_range", "%s is not between 1990-01-01 and 2099-12-31", quote(s))
	}
	return day, nil
}

// ParseRuleDate reads the date of a campaign or an exclusion: a date as ParseDate reads it, or a
// time stamp, of which the calendar date that is written counts, whatever its zone.
func ParseRuleDate(s string) (Date, error) {
	if i := strings.IndexAny(s, "T "); i == 10 {
		if _, err := time.Parse(time.RFC3339Nano, s[:10]+"T"+s[11:]); err != nil {
			return 0, invalid("", "not_a_date", "%s is not a date or a time stamp", quote(s))
		}
		s = s[:10]
	}
	return ParseDate(s)
}

// number reads decimal digits, or is -1, also where they are more than nine but for leading zeros.
func number(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || n > 99_999_999 {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// Time is midnight UTC of the day.
func (d Date) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// Year is the calendar year.
func (d Date) Year() int { return d.Time().Year() }

// AppendText appends YYYY-MM-DD.
func (d Date) AppendText(b []byte) ([]byte, error) {
	y, m, day := d.Time().Date()
	if y < 1000 { // padded or negative; no date that ParseDate reads
		return d.Time().AppendFormat(b, time.DateOnly), nil
	}
	b = strconv.AppendInt(b, int64(y), 10)
	return append(b, '-', byte('0'+m/10), byte('0'+m%10), '-', byte('0'+day/10), byte('0'+day%10)), nil
}

func (d Date) String() string { return d.Time().Format(time.DateOnly) }

// MarshalText writes YYYY-MM-DD.
func (d Date) MarshalText() ([]byte, error) { return d.AppendText(nil) }

// UnmarshalText reads what ParseDate reads.
func (d *Date) UnmarshalText(b []byte) error {
	v, err := ParseDate(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// ruleDate is a Date as campaigns and exclusions write it: 2021-09-01T00:00:00Z.
type ruleDate Date

func (d ruleDate) MarshalText() ([]byte, error) {
	return Date(d).Time().AppendFormat(nil, time.RFC3339), nil
}
