package rules

import (
	"fmt"
	"maps"
	"slices"

	"github.com/angelowl-loyalties/app/loyalty"
)

// quoteTable finds the quotes of a day. nil has none.
type quoteTable struct {
	first loyalty.Date
	days  []quoteDay
}

// quoteDay is a row of a year's table; a nil year is a day without quotes.
type quoteDay struct {
	year *quoteYear
	row  int
}

// quoteYear are the quotes of a year as a table of days by currencies; 0 is no quote.
type quoteYear struct {
	year   int
	dates  []loyalty.Date
	bases  []loyalty.Currency
	column [256]uint8 // of a currency, from 1 on; 0: no day quotes it
	width  int
	cells  []loyalty.Decimal
}

// newQuoteYear checks a year's quotes and makes its table, or nil where there are none.
func newQuoteYear(y loyalty.YearQuotes) (*quoteYear, error) {
	if len(y.Days) == 0 {
		return nil, nil
	}
	t := &quoteYear{year: y.Year}
	var seen [256]bool
	for i := range y.Days {
		d := &y.Days[i]
		switch {
		case d.Date.Year() != y.Year || d.Date < loyalty.MinDate || d.Date > loyalty.MaxDate:
			return nil, fmt.Errorf("quotes of %d: %s is not a day of that year", y.Year, d.Date)
		case i > 0 && d.Date <= y.Days[i-1].Date:
			return nil, fmt.Errorf("quotes of %d: the days are not in order, each once: %s", y.Year, d.Date)
		case d.Base == 0 || len(d.Quotes) == 0:
			return nil, fmt.Errorf("quotes of %s: there is no base or no quote", d.Date)
		}
		seen[d.Base] = true
		for c, q := range d.Quotes {
			if c == 0 || c == d.Base || q <= 0 {
				return nil, fmt.Errorf("quotes of %s: the quote %s of %q for %s is not one", d.Date, q, c, d.Base)
			}
			seen[c] = true
		}
	}
	for c, yes := range seen {
		if yes {
			t.width++
			t.column[c] = uint8(t.width)
		}
	}
	t.cells = make([]loyalty.Decimal, len(y.Days)*t.width)
	for i := range y.Days {
		d := &y.Days[i]
		t.dates = append(t.dates, d.Date)
		t.bases = append(t.bases, d.Base)
		row := t.cells[i*t.width:][:t.width]
		for c, q := range d.Quotes {
			row[t.column[c]-1] = q
		}
		row[t.column[d.Base]-1] = 1e9
	}
	return t, nil
}

// newQuoteTable puts years' tables together.
func newQuoteTable(years map[int]*quoteYear) *quoteTable {
	order := slices.Sorted(maps.Keys(years))
	if len(order) == 0 {
		return nil
	}
	firstYear, lastYear := years[order[0]], years[order[len(order)-1]]
	t := &quoteTable{first: firstYear.dates[0]}
	t.days = make([]quoteDay, lastYear.dates[len(lastYear.dates)-1]-t.first+1)
	for _, y := range order {
		for row, d := range years[y].dates {
			t.days[d-t.first] = quoteDay{years[y], row}
		}
	}
	return t
}

// rate is the rate of the day, or of the last day before it, up to MaxQuoteAge, that quotes both.
func (t *quoteTable) rate(day loyalty.Date, from, to loyalty.Currency) (Rate, bool) {
	if t == nil {
		return Rate{}, false
	}
	for d := day; d >= day-MaxQuoteAge && d >= t.first; d-- {
		if int(d-t.first) >= len(t.days) {
			continue
		}
		at := t.days[d-t.first]
		if at.year == nil {
			continue
		}
		f, g := at.year.quote(at.row, from), at.year.quote(at.row, to)
		if f > 0 && g > 0 {
			return Rate{Date: d, Base: at.year.bases[at.row], From: f, To: g}, true
		}
	}
	return Rate{}, false
}

func (y *quoteYear) quote(row int, c loyalty.Currency) loyalty.Decimal {
	col := y.column[c]
	if col == 0 {
		return 0
	}
	return y.cells[row*y.width+int(col)-1]
}
