package campaignex

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

// maxUnzipped is the most bytes that the file in a zip may have.
const maxUnzipped = 64 << 20

// History is a file of quotes.
type History struct {
	Days    []Day    // by date, each once; at least one
	Unknown []string // columns of no currency that is known
}

// ReadHistoryZip reads a zip with one CSV file for ReadHistory in it.
func ReadHistoryZip(data []byte) (History, error) {
	bad := func(format string, args ...any) (History, error) {
		return History{}, web.Invalid("file", "not_a_zip", format, args...)
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return bad("is not a zip file that can be read")
	}
	var found *zip.File
	for _, f := range archive.File {
		if !strings.HasSuffix(strings.ToLower(f.Name), ".csv") {
			continue
		}
		if found != nil {
			return bad("has more than one CSV file in it")
		}
		found = f
	}
	if found == nil {
		return bad("has no CSV file in it")
	}
	r, err := found.Open()
	if err != nil {
		return bad("has a CSV file in it that cannot be unpacked")
	}
	defer r.Close()
	// What the zip says of its sizes is not believed.
	text, err := io.ReadAll(io.LimitReader(r, maxUnzipped+1))
	if err != nil {
		return bad("has a CSV file in it that cannot be unpacked")
	}
	if len(text) > maxUnzipped {
		return History{}, &web.Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large",
			Message: fmt.Sprintf("the CSV file in the zip has more than %d bytes", maxUnzipped)}
	}
	return ReadHistory(text)
}

// ReadHistory reads the European Central Bank's history of euro foreign exchange reference rates,
// eurofxref-hist.csv: a header "Date,USD,JPY,…," and a line for each day, units of each currency
// for one euro, N/A or nothing where there is no quote.
// https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates
func ReadHistory(text []byte) (History, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	r := csv.NewReader(bytes.NewReader(text))
	r.ReuseRecord = true
	r.TrimLeadingSpace = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return History{}, web.Invalid("file", "empty", "is empty")
	}
	if err != nil {
		return History{}, badLine(r, err)
	}
	h := History{}
	columns, err := currenciesOf(header, &h)
	if err != nil {
		return History{}, err
	}
	lines := map[loyalty.Date]int{}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return History{}, badLine(r, err)
		}
		line, _ := r.FieldPos(0)
		day, err := dayOf(record, columns)
		if err != nil {
			return History{}, named(fmt.Sprintf("line %d", line), err)
		}
		if first, twice := lines[day.Date]; twice {
			return History{}, web.Invalid(fmt.Sprintf("line %d", line), "twice", "has the same day as line %d, %s", first, day.Date)
		}
		lines[day.Date] = line
		if len(day.Quotes) > 0 {
			h.Days = append(h.Days, day)
		}
	}
	if len(h.Days) == 0 {
		return History{}, web.Invalid("file", "empty", "has no day with a quote")
	}
	slices.SortFunc(h.Days, func(a, b Day) int { return int(a.Date) - int(b.Date) })
	return h, nil
}

// currenciesOf reads the header; columns that are no known currency's are 0.
func currenciesOf(header []string, h *History) ([]loyalty.Currency, error) {
	bad := func(code, format string, args ...any) ([]loyalty.Currency, error) {
		return nil, web.Invalid("line 1", code, format, args...)
	}
	if !strings.EqualFold(strings.TrimSpace(header[0]), "Date") {
		return bad("no_header", `is not the header; it must begin with "Date" and name the currencies`)
	}
	columns := make([]loyalty.Currency, len(header))
	for i, name := range header[1:] {
		name = strings.TrimSpace(name)
		currency, ok := loyalty.ParseCurrency(name)
		switch {
		case name == "": // the ECB ends its lines with a comma
		case !ok:
			h.Unknown = append(h.Unknown, loyalty.StarPANs(name[:min(len(name), 40)]))
		case currency == euro():
			return bad("base", "quotes EUR, which is the base")
		case slices.Contains(columns, currency):
			return bad("twice", "has the column %s twice", currency)
		default:
			columns[i+1] = currency
		}
	}
	return columns, nil
}

func euro() loyalty.Currency { return loyalty.MustCurrency("EUR") }

func dayOf(record []string, columns []loyalty.Currency) (Day, error) {
	date, err := loyalty.ParseDate(strings.TrimSpace(record[0]))
	if err != nil {
		return Day{}, named("Date", err)
	}
	day := Day{loyalty.DayQuotes{Date: date, Base: euro(), Quotes: map[loyalty.Currency]loyalty.Decimal{}}}
	for i, text := range record {
		text = strings.TrimSpace(text)
		if columns[i] == 0 || text == "" || strings.EqualFold(text, "N/A") {
			continue
		}
		quote, err := loyalty.ParseDecimal(text)
		if err == nil && quote <= 0 {
			err = &loyalty.FieldError{Code: "not_positive", Reason: "must be above 0"}
		}
		if err != nil {
			return Day{}, named(columns[i].String(), err)
		}
		day.Quotes[columns[i]] = quote
	}
	return day, nil
}

func badLine(r *csv.Reader, err error) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return fmt.Errorf("reading quotes: %w", err)
	}
	if errors.Is(err, csv.ErrFieldCount) {
		return web.Invalid(fmt.Sprintf("line %d", parse.StartLine), "field_count", "has not as many fields as the header")
	}
	return web.Invalid(fmt.Sprintf("line %d", parse.StartLine), "not_csv", "is not CSV: %s", parse.Err)
}
