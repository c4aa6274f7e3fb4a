package mcc

import (
	"slices"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
)

func TestGroupsOfCodes(t *testing.T) {
	for code, want := range map[loyalty.MCC]string{
		0: "unknown", 1: "other services", 3000: "airlines", 3299: "airlines", 4511: "airlines", 3300: "car rental", 3499: "car rental", 7512: "car rental",
		3500: "hotels", 3999: "hotels", 7011: "hotels", 4722: "travel agencies", 4111: "transport", 4121: "transport", 4814: "telecom and utilities",
		5411: "groceries", 5541: "fuel", 5542: "fuel", 5811: "restaurants", 5814: "restaurants", 5815: "electronics and software", 5912: "pharmacies and health",
		5651: "clothing", 6011: "financial services", 7995: "entertainment", 8220: "education", 9399: "government", 9999: "government",
	} {
		if got := GroupName(GroupOf(code)); got != want {
			t.Errorf("%s is %s, not %s", code, got, want)
		}
	}
	used := map[int]bool{}
	for code := loyalty.MCC(1); code <= 9999; code++ {
		i := GroupOf(code)
		used[i] = true
		if i == len(groups) {
			t.Errorf("%s has no group", code)
		}
	}
	for i, g := range groups {
		if !used[i] {
			t.Errorf("%s has no code", g.name)
		}
	}
}

func TestCodes(t *testing.T) {
	codes := Codes()
	if len(codes) != 885 {
		t.Errorf("%d codes", len(codes))
	}
	for i, c := range codes {
		if c.MCC == 0 || c.Description == "" || c.Description != strings.TrimSpace(c.Description) || c.Group != GroupName(GroupOf(c.MCC)) {
			t.Errorf("%+v", c)
		}
		if i > 0 && codes[i-1].MCC >= c.MCC {
			t.Errorf("%s comes before %s", codes[i-1].MCC, c.MCC)
		}
	}
}

func TestSearch(t *testing.T) {
	for _, c := range []struct {
		name, text string
		has, lacks []loyalty.MCC
	}{
		{"nothing", "", []loyalty.MCC{742, 5411, 9950}, nil},
		{"blanks", "  ", []loyalty.MCC{742, 5411}, nil},
		{"a whole code", "5411", []loyalty.MCC{5411}, []loyalty.MCC{5412, 742}},
		{"the beginning of a code", "54", []loyalty.MCC{5411, 5499}, []loyalty.MCC{742, 5541}},
		{"a code with its zero", "074", []loyalty.MCC{742}, []loyalty.MCC{7420, 5411}},
		{"a word in another case", "GROCERY", []loyalty.MCC{5411}, []loyalty.MCC{742}},
		{"two words, not side by side", "stores supermarkets", []loyalty.MCC{5411}, []loyalty.MCC{5499}},
		{"a group", "airlines", []loyalty.MCC{3000, 4511}, []loyalty.MCC{5411}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []loyalty.MCC
			for _, code := range Search(c.text) {
				got = append(got, code.MCC)
			}
			if !slices.IsSorted(got) {
				t.Error("it is not in order")
			}
			for _, m := range c.has {
				if !slices.Contains(got, m) {
					t.Errorf("%s is missing", m)
				}
			}
			for _, m := range c.lacks {
				if slices.Contains(got, m) {
					t.Errorf("%s should not be there", m)
				}
			}
		})
	}
	if got := Search("no merchant is like this"); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
