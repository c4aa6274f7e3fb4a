// Package mcc is what is known of merchant category codes: the descriptions of ISO 18245, and the
// kinds of merchants as people know them.
package mcc

import (
	_ "embed"
	"encoding/csv"
	"strings"
	"sync"

	"github.com/angelowl-loyalties/app/loyalty"
)

// Code is a merchant category code that the list has.
type Code struct {
	MCC         loyalty.MCC
	Description string
	Group       string
}

// The list is that of github.com/jleclanche/python-iso18245 (MIT, LICENSE.iso18245.txt), by code.
//
//go:embed iso18245.csv
var list string

// Codes are all codes that have a description, by code. Nobody may change them.
var Codes = sync.OnceValue(func() []Code {
	rows, err := csv.NewReader(strings.NewReader(list)).ReadAll()
	if err != nil {
		panic(err) // it is part of the program, and tested
	}
	codes := make([]Code, 0, len(rows))
	for _, row := range rows[1:] {
		code, err := loyalty.ParseMCC(row[0])
		if err != nil {
			panic(err)
		}
		codes = append(codes, Code{code, row[1], GroupName(GroupOf(code))})
	}
	return codes
})

// Search are the codes that begin with a text of digits, or that have every word of the text in
// their description or group, in any case. All have no words.
func Search(text string) []Code {
	words := strings.Fields(strings.ToLower(text))
	if len(words) == 0 {
		return Codes()
	}
	var found []Code
	for _, c := range Codes() {
		if len(words) == 1 && strings.HasPrefix(c.MCC.String(), words[0]) || c.has(words) {
			found = append(found, c)
		}
	}
	return found
}

func (c Code) has(words []string) bool {
	text := strings.ToLower(c.Description + "\n" + c.Group)
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
