package loyalty

import (
	"strings"
	"testing"
	"time"
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

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"2021-09-01", "01-09-2021", "01-09-21", "2021-02-30", "99-99-99", "2021-09-01T00:00:00Z", "----------"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDate(s); err == nil {
			if back, err := ParseDate(d.String()); err != nil || back != d || d < MinDate || d > MaxDate {
				t.Errorf("%q is read as %s, that as %s, %v", s, d, back, err)
			}
		}
		if d, err := ParseRuleDate(s); err == nil && (d < MinDate || d > MaxDate) {
			t.Errorf("%q is read as %s", s, d)
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

func FuzzMCCSet(f *testing.F) {
	for _, s := range []string{"0", "5411", "5411,3500-3999", "0,1", "3999-3500", "-1", "10000", " 1 - 2 ,3", ",", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		set, err := ParseMCCSet(s)
		if err != nil {
			return
		}
		for _, r := range set {
			if r.From < 1 || r.To < r.From || r.To > 9999 {
				t.Errorf("%q has the range %v", s, r)
			}
		}
		back, err := ParseMCCSet(set.String())
		if err != nil || back.String() != set.String() || (back == nil) != (set == nil) {
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

func FuzzStarPANs(f *testing.F) {
	for _, s := range []string{"", "Grab", "4111111111111111", "4111 1111 1111 1111", "a4111-1111-1111-1111b", "0000000000000", "12 4111111111111111 34", "\xff4111111111111111"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := StarPANs(s)
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
