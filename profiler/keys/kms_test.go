package keys

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestSignaturesOfKMS(t *testing.T) {
	for _, test := range []struct{ name, der, want string }{
		{"small numbers", "3006020101020102", strings.Repeat("00", 31) + "01" + strings.Repeat("00", 31) + "02"},
		{"a sign byte", "3026022100" + strings.Repeat("ff", 32) + "020101", strings.Repeat("ff", 32) + strings.Repeat("00", 31) + "01"},
		{"zero", "3006020100020102", ""},
		{"below zero", "30060201ff020102", ""},
		{"too large", "3027022200ff" + strings.Repeat("ff", 32) + "020101", ""},
		{"more behind it", "300602010102010200", ""},
		{"cut off", "30060201010201", ""},
		{"nothing", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			der, err := hex.DecodeString(test.der)
			if err != nil {
				t.Fatal(err)
			}
			got, err := fromDER(der)
			if hex.EncodeToString(got) != test.want || (err == nil) != (test.want != "") {
				t.Errorf("%x, %v", got, err)
			}
		})
	}
}
