package mcc

import "github.com/angelowl-loyalties/app/loyalty"

// groups are kinds of merchants as people know them, after the ranges of ISO 18245. The first
// that has a code is the code's, and every code from 1 to 9999 has one.
var groups = []struct {
	name  string
	codes loyalty.MCCSet
}{
	{"airlines", loyalty.MCCSet{{From: 3000, To: 3299}, {From: 4511, To: 4511}}},
	{"car rental", loyalty.MCCSet{{From: 3300, To: 3499}, {From: 7512, To: 7519}}},
	{"hotels", loyalty.MCCSet{{From: 3500, To: 3999}, {From: 7011, To: 7012}}},
	{"travel agencies", loyalty.MCCSet{{From: 4722, To: 4723}}},
	{"transport", loyalty.MCCSet{{From: 4000, To: 4799}, {From: 7523, To: 7523}}},
	{"telecom and utilities", loyalty.MCCSet{{From: 4800, To: 4999}}},
	{"groceries", loyalty.MCCSet{{From: 5297, To: 5300}, {From: 5411, To: 5499}}},
	{"fuel", loyalty.MCCSet{{From: 5541, To: 5542}, {From: 5552, To: 5552}, {From: 5983, To: 5983}}},
	{"motoring", loyalty.MCCSet{{From: 5511, To: 5599}, {From: 7531, To: 7549}}},
	{"restaurants", loyalty.MCCSet{{From: 5811, To: 5814}}},
	{"pharmacies and health", loyalty.MCCSet{{From: 5912, To: 5912}, {From: 5122, To: 5122}, {From: 8011, To: 8099}}},
	{"clothing", loyalty.MCCSet{{From: 5600, To: 5699}, {From: 5137, To: 5139}}},
	{"department stores", loyalty.MCCSet{{From: 5310, To: 5311}, {From: 5331, To: 5331}}},
	{"home and garden", loyalty.MCCSet{{From: 5200, To: 5296}, {From: 5700, To: 5722}}},
	{"electronics and software", loyalty.MCCSet{{From: 5045, To: 5046}, {From: 5732, To: 5735}, {From: 5815, To: 5818}, {From: 7372, To: 7379}}},
	{"financial services", loyalty.MCCSet{{From: 6000, To: 6999}}},
	{"entertainment", loyalty.MCCSet{{From: 7829, To: 7999}}},
	{"education", loyalty.MCCSet{{From: 8200, To: 8299}, {From: 8351, To: 8351}}},
	{"government", loyalty.MCCSet{{From: 9000, To: 9999}}},
	{"other shops", loyalty.MCCSet{{From: 5000, To: 5999}}},
	{"other services", loyalty.MCCSet{{From: 1, To: 2999}, {From: 7000, To: 8999}}},
}

// Groups is how many groups there are.
func Groups() int { return len(groups) }

// GroupOf is the index of a code's group; the one behind the last is for unknown codes.
func GroupOf(code loyalty.MCC) int {
	for i := range groups {
		if groups[i].codes.Contains(code) {
			return i
		}
	}
	return len(groups)
}

// GroupName is the name of the group with an index.
func GroupName(i int) string {
	if i == len(groups) {
		return "unknown"
	}
	return groups[i].name
}
