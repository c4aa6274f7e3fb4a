package loyalty

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDate(t *testing.T) {
	for _, tt := range []struct{ in, want, code string }{
		{"2021-09-01", "2021-09-01", ""}, {"01-09-2021", "2021-09-01", ""}, {"01-09-21", "2021-09-01", ""},
		{"01-01-68", "2068-01-01", ""}, {"01-01-90", "1990-01-01", ""}, {"01-01-69", "", "date_out_of_range"},
		{"2020-02-29", "2020-02-29", ""}, {"2000-02-29", "2000-02-29", ""}, {"1990-01-01", "1990-01-01", ""}, {"2099-12-31", "2099-12-31", ""},
		{"2021-02-29", "", "not_a_date"}, {"2021-02-30", "", "not_a_date"}, {"2021-04-31", "", "not_a_date"}, {"31-09-2021", "", "not_a_date"},
		{"2021-13-01", "", "not_a_date"}, {"2021-00-10", "", "not_a_date"}, {"2021-01-00", "", "not_a_date"},
		{"1989-12-31", "", "date_out_of_range"}, {"2100-01-01", "", "date_out_of_range"}, {"0000-01-01", "", "date_out_of_range"},
		{"", "", "not_a_date"}, {"2021-9-1", "", "not_a_date"}, {"2021/09/01", "", "not_a_date"}, {"2021-09-01T00:00:00Z", "", "not_a_date"},
		{"+021-09-01", "", "not_a_date"}, {"-1-09-2021", "", "not_a_date"}, {"aaaa-bb-cc", "", "not_a_date"}, {"20210901", "", "not_a_date"},
	} {
		d, err := ParseDate(tt.in)
		if got := code(err); got != tt.code || err == nil && d.String() != tt.want {
			t.Errorf("%q: %s, %v; want %s, %s", tt.in, d, err, tt.want, tt.code)
		}
	}
}

func TestParseRuleDate(t *testing.T) {
	for _, tt := range []struct{ in, want, code string }{
		{"2021-09-01", "2021-09-01", ""},
		{"2021-09-01T23:30:00Z", "2021-09-01", ""},
		{"2021-09-01T00:30:00+08:00", "2021-09-01", ""}, // the date that is written counts
		{"2021-09-01T00:00:00.123Z", "2021-09-01", ""},
		{"2021-09-01 00:00:00Z", "2021-09-01", ""},
		{"2021-09-01T24:00:00Z", "", "not_a_date"}, {"2021-09-01Tnoon", "", "not_a_date"}, {"2021-02-30T00:00:00Z", "", "not_a_date"},
		{"2021-09-01T", "", "not_a_date"},
	} {
		d, err := ParseRuleDate(tt.in)
		if got := code(err); got != tt.code || err == nil && d.String() != tt.want {
			t.Errorf("%q: %s, %v; want %s, %s", tt.in, d, err, tt.want, tt.code)
		}
	}
}

func TestDatesAreDays(t *testing.T) {
	for d := MinDate; d <= MaxDate; d++ {
		if back, err := ParseDate(d.String()); err != nil || back != d {
			t.Fatalf("%s is read as %s, %v", d, back, err)
		}
	}
	if DateOf(1990, time.January, 1) != MinDate || DateOf(2099, time.December, 31) != MaxDate || MaxDate.Year() != 2099 {
		t.Error("the bounds are not 1990-01-01 and 2099-12-31")
	}
}

// FuzzParseDate holds that a date that is read exists, is the day that package time reads in it, and
// is written in one form.
func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"2021-09-01", "01-09-2021", "01-09-21", "2021-02-30", "99-99-99", "2021-09-01T00:00:00Z", "----------", "2021-09-01T23:59:59.999-12:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDate(s)
		if err == nil {
			if back, err := ParseDate(d.String()); err != nil || back != d || d < MinDate || d > MaxDate {
				t.Errorf("%q is read as %s, that as %s, %v", s, d, back, err)
			}
			layout := map[bool]string{true: time.DateOnly, false: "02-01-2006"}[len(s) == 10 && s[4] == '-']
			if len(s) == 8 { // package time takes 69 and more for 19xx too
				layout = "02-01-06"
			}
			if want, err := time.Parse(layout, s); err != nil || !want.Equal(d.Time()) {
				t.Errorf("%q is read as %s, package time says %s, %v", s, d, want, err)
			}
			if text, err := d.MarshalText(); err != nil || string(text) != d.String() {
				t.Errorf("%s is written %s, %v", d, text, err)
			}
		} else if want, err := time.Parse(time.DateOnly, s); err == nil && DateOf(want.Date()) >= MinDate && DateOf(want.Date()) <= MaxDate {
			t.Errorf("%q is refused, package time reads it: %v", s, err)
		}
		r, ruleErr := ParseRuleDate(s)
		if err == nil && (ruleErr != nil || r != d) {
			t.Errorf("%q is read as the date %s, and as a rule's %s, %v", s, d, r, ruleErr)
		}
		if ruleErr != nil {
			return
		}
		text, err := ruleDate(r).MarshalText()
		if back, backErr := ParseRuleDate(string(text)); err != nil || backErr != nil || back != r || r < MinDate || r > MaxDate {
			t.Errorf("%q is read as %s, written %s (%v) and that read as %s, %v", s, r, text, err, back, backErr)
		}
	})
}

func TestParseMCC(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want MCC
		bad  bool
	}{
		{"", 0, false}, {"0", 0, false}, {"0000", 0, false}, {"1", 1, false}, {"0742", 742, false}, {"742", 742, false}, {"9999", 9999, false}, {"000005411", 5411, false},
		{"10000", 0, true}, {"-1", 0, true}, {"+1", 0, true}, {"abc", 0, true}, {"54 11", 0, true}, {"5411.0", 0, true}, {"5411-5412", 0, true},
		{"99999999999999999999", 0, true}, {"18446744073709551617", 0, true}, {"٣", 0, true},
	} {
		m, err := ParseMCC(tt.in)
		if (code(err) == "not_an_mcc") != tt.bad || m != tt.want {
			t.Errorf("%q: %d, %v; want %d, bad %t", tt.in, m, err, tt.want, tt.bad)
		}
	}
}

func TestParseMCCSet(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		bad      bool
	}{
		{"0", "0", false}, {" 0 ", "0", false}, {"000", "0", false}, {"5411", "5411", false}, {"5411,3500-3999", "5411,3500-3999", false},
		{" 5411 , 3500 - 3999 ", "5411,3500-3999", false}, {"1-9999", "0001-9999", false}, {"742-742", "0742", false}, {"1,1,1", "0001,0001,0001", false},
		{"", "", true}, {" ", "", true}, {"0,5411", "", true}, {"5411,0", "", true}, {"0-5", "", true}, {"5-0", "", true}, {"3999-3500", "", true},
		{"10000", "", true}, {"1-10000", "", true}, {"-1", "", true}, {"abc", "", true}, {"5411,", "", true}, {",5411", "", true}, {"5411,,5412", "", true},
		{"1-", "", true}, {"-", "", true}, {"1-2-3", "", true}, {"--", "", true}, {"99999999999999999999", "", true}, {"18446744073709551617", "", true},
	} {
		set, err := ParseMCCSet(tt.in)
		if (code(err) == "not_an_mcc_list") != tt.bad || err == nil && set.String() != tt.want {
			t.Errorf("%q: %s, %v; want %s, bad %t", tt.in, set, err, tt.want, tt.bad)
		}
	}
	set, _ := ParseMCCSet("5411,3500-3999")
	for m, want := range map[MCC]bool{5410: false, 5411: true, 5412: false, 3499: false, 3500: true, 3999: true, 4000: false, 0: false} {
		if set.Contains(m) != want {
			t.Errorf("%s contains %s: %t", set, m, !want)
		}
	}
}

// FuzzMCCSet holds that a set holds the codes that its text names, no others, and is written in one
// form.
func FuzzMCCSet(f *testing.F) {
	for _, s := range []string{"0", "5411", "5411,3500-3999", "0,1", "3999-3500", "-1", "10000", " 1 - 2 ,3", ",", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := ParseMCC(s); err == nil {
			if back, err := ParseMCC(m.String()); err != nil || back != m || m > 9999 {
				t.Errorf("%q is read as %s, that as %s, %v", s, m, back, err)
			}
		}
		set, err := ParseMCCSet(s)
		if err != nil {
			return
		}
		named := map[MCC]bool{}
		for _, r := range set {
			if r.From < 1 || r.To < r.From || r.To > 9999 {
				t.Errorf("%q has the range %v", s, r)
			}
			named[r.From], named[r.To] = true, true
		}
		for m := range named {
			for _, near := range []MCC{m - 1, m, m + 1} {
				want := slices.ContainsFunc(set, func(r MCCRange) bool { return near >= r.From && near <= r.To })
				if set.Contains(near) != want || named[near] && !want {
					t.Errorf("%q contains %s: %t", s, near, !want)
				}
			}
		}
		back, err := ParseMCCSet(set.String())
		if err != nil || back.String() != set.String() || !slices.Equal(back, set) || (back == nil) != (set == nil) {
			t.Errorf("%q is read as %s, that as %s, %v", s, set, back, err)
		}
	})
}

func TestMaskPAN(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"4111111111111111", "************1111"}, {"6771-8964-5359-9669", "************9669"}, {"6771 8964 5359 9669", "************9669"},
		{"1234567890123", "************0123"}, {"1234567890123456789", "************6789"}, {"************1234", "************1234"},
		{"411111******1234", "************1234"}, {"XXXX-XXXX-XXXX-1234", "************1234"}, {"xxxx1234", "************1234"},
		{"123", ""}, {"", ""}, {"123456789012", ""}, {"12345678901234567890", ""}, {"************123", ""}, {"4111 1111 1111 111a", ""},
		{"41111111111*1234", ""}, {"****", ""}, {"1234************", ""}, {"****************1234", ""},
	} {
		got, err := MaskPAN(tt.in)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: %q, %v; want %q", tt.in, got, err, tt.want)
		}
		if err != nil && len(tt.in) > 2 && strings.Contains(err.Error(), tt.in) {
			t.Errorf("%q: the error shows it: %v", tt.in, err)
		}
	}
}

// FuzzMaskPAN holds that of a card number no more than the last four digits is left.
func FuzzMaskPAN(f *testing.F) {
	for _, s := range []string{"4111111111111111", "6771-8964-5359-9669", "411111******1234", "XXXX-XXXX-XXXX-1234", "x1234", "1234567890123456789", "", "****"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := MaskPAN(s)
		if err != nil {
			return
		}
		if tail, ok := strings.CutPrefix(got, "************"); !ok || len(tail) != 4 || number(tail) < 0 {
			t.Fatalf("%q is masked %q", s, got)
		}
		plain := strings.Map(func(r rune) rune {
			if '0' <= r && r <= '9' {
				return r
			}
			return -1
		}, s)
		if !strings.HasSuffix(plain, got[12:]) {
			t.Errorf("%q is masked %q", s, got)
		}
		if again, err := MaskPAN(got); err != nil || again != got || StarPANs(got) != got {
			t.Errorf("%q is masked %q, and that %q, %v", s, got, again, err)
		}
	})
}

func TestStarPANs(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""}, {"Grab 12345", "Grab 12345"},
		{"4111111111111111", "************1111"},
		{"card 4111 1111 1111 1111 ok", "card **** **** **** 1111 ok"},
		{"4111-1111-1111-1111", "****-****-****-1111"},
		{"4111111111111112", "4111111111111112"},         // fails the check
		{"4111  1111 1111 1111", "4111  1111 1111 1111"}, // two spaces are no mark
		{"x4111111111111111y4111111111111111", "x************1111y************1111"},
		{"378282246310005", "***********0005"},
		{"4222222222222", "*********2222"},
		{"12 4111111111111111 35", "12 ************1111 35"},
		{"6304000000000000000", "***************0000"}, {"6304000000000000001", "6304000000000000001"}, {"63040000000000000000", "63040000000000000000"},
	} {
		if got := StarPANs(tt.in); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
	if n := testing.AllocsPerRun(10, func() { StarPANs("GRABFOOD SINGAPORE 123456") }); n != 0 {
		t.Errorf("a text without a PAN costs %v allocations", n)
	}
}

// starSlowly stars until nothing is left to star: what StarPANs does at once.
func starSlowly(s string) string {
	out := []byte(s)
	for i := 0; i < len(s); {
		if s[i] < '0' || s[i] > '9' {
			i++
			continue
		}
		end := runEnd(s, i)
		for start := i; start < end; {
			if to := panAt(s, start, end); to > 0 {
				digits := 0
				for j := to - 1; j >= start; j-- {
					if '0' <= s[j] && s[j] <= '9' {
						if digits++; digits > 4 {
							out[j] = '*'
						}
					}
				}
				start = to + 1
				continue
			}
			start = behindMark(s, start, end)
		}
		i = end
	}
	if string(out) == s {
		return s
	}
	return starSlowly(string(out))
}

func TestStarPANsStarsUntilNothingIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.OneOf(
			rapid.SampledFrom([]string{"4111111111111111", "4111 1111 1111 1111", "0000", "000000000", "0", " ", " ", "-", "-", "x", "*"}),
			rapid.StringMatching("[0-9]{1,14}"),
		))
		s := strings.Join(parts.Draw(t, "parts"), "")
		if got, want := StarPANs(s), starSlowly(s); got != want {
			t.Fatalf("%q: %q, want %q", s, got, want)
		}
	})
}

// chained is a text of at least n bytes in which each card number begins with the last four digits
// of the one before, and no other is there.
func chained(n int) string {
	s := []byte("4111111111111111")
	for len(s) < n {
		for k := 1; ; k++ {
			group := fmt.Sprintf("%09d", (k*700_021+len(s)*31)%1_000_000_000)
			if luhn(string(s[len(s)-4:])+group) && !luhn(group[:5]+"0") {
				s = append(append(s, ' '), group...)
				break
			}
		}
	}
	return string(s)
}

// A stranger may send a record as large as the log takes: what is done to a text must not take long
// nor much memory whatever it has. (Starring it over and over takes minutes and some 10 GB.)
func TestStarPANsInOnePass(t *testing.T) {
	if s := chained(2000); StarPANs(s) != starSlowly(s) || strings.Count(StarPANs(s), "*") < 1700 {
		t.Fatalf("%q: %q, want %q", s, StarPANs(s), starSlowly(s))
	}
	s := chained(900_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := StarPANs(s)
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 20<<20 {
		t.Errorf("%d bytes were allocated for %d", allocated, len(s))
	}
	if digits := len(s) - strings.Count(s, " "); strings.Count(got, "*") != digits-4 {
		t.Errorf("of %d digits %d are starred", digits, strings.Count(got, "*"))
	}
}

func FuzzStarPANs(f *testing.F) {
	for _, s := range []string{"", "Grab", "4111111111111111", "4111 1111 1111 1111", "a4111-1111-1111-1111b", "0000000000000", "12 4111111111111111 34", "\xff4111111111111111"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := StarPANs(s)
		if want := starSlowly(s); len(s) < 4096 && got != want {
			t.Fatalf("%q: %q, want %q", s, got, want)
		}
		if len(got) != len(s) {
			t.Fatalf("%q: %q has another length", s, got)
		}
		for i := range len(s) {
			if got[i] != s[i] && (got[i] != '*' || s[i] < '0' || s[i] > '9') {
				t.Fatalf("%q: %q", s, got)
			}
		}
		if again := StarPANs(got); again != got {
			t.Errorf("%q: %q, and again %q", s, got, again)
		}
		// An unbroken run that passes the check is never left.
		for i := 0; i < len(got); {
			j := i
			for j < len(got) && '0' <= got[j] && got[j] <= '9' {
				j++
			}
			alone := (i == 0 || got[i-1] != ' ' && got[i-1] != '-') && (j == len(got) || got[j] != ' ' && got[j] != '-')
			if n := j - i; alone && n >= 13 && n <= 19 && luhn(got[i:j]) {
				t.Errorf("%q: %q still has a PAN", s, got)
			}
			i = j + 1
		}
	})
}

func TestParseCurrency(t *testing.T) {
	for in, want := range map[string]string{"SGD": "SGD", "sgd": "SGD", "EEK": "EEK", "ZWG": "ZWG", "AED": "AED", "": "", "XXX": "", "XAU": "", "SG": "", "SGDD": "", "S$D": "", "ZZZ": "", "AAA": ""} {
		c, ok := ParseCurrency(in)
		if ok != (want != "") || c.String() != want {
			t.Errorf("%q: %s, %t", in, c, ok)
		}
	}
	for code, digits := range map[string]int{"JPY": 0, "SGD": 2, "BHD": 3, "KWD": 3, "ISK": 0, "CLF": 4, "HRK": 2, "TRL": 2} {
		if got := MustCurrency(code).Digits(); got != digits {
			t.Errorf("%s has %d digits, want %d", code, got, digits)
		}
	}
	for i := 1; i < len(currencies); i++ {
		if currencies[i-1].code >= currencies[i].code {
			t.Errorf("%s and %s are not in order", currencies[i-1].code, currencies[i].code)
		}
	}
}
