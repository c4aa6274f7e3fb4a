package spendcsv_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/spendcsv"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	header = "id,card_id,merchant,mcc,currency,amount,sgd_amount,transaction_id,transaction_date,card_pan,card_type\n"
	good   = "cfc76f33-467d-48aa-96ab-d79394710a2b,01eca9de-9ff3-4d16-be03-75f228fc207f,Kaligo,5122,SGD,93.40,,ref-1,2021-09-01,4462-0971-1327-7064,scis_premiummiles\n"
)

// outcome is what became of one row: "4 ok" or "4 field code".
func outcomes(t *testing.T, in io.Reader) []string {
	t.Helper()
	r, err := spendcsv.NewReader(in)
	if err != nil {
		t.Fatalf("the header was refused: %v", err)
	}
	var got []string
	for {
		var row spendcsv.Row
		err := r.Read(&row)
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(row.Line, " ", outcome(&row)))
	}
}

func outcome(row *spendcsv.Row) string {
	if row.Err != nil {
		return row.Err.Code
	}
	raw := row.Raw
	_, err := raw.Parse(loyalty.MustCurrency("SGD"))
	var errs loyalty.FieldErrors
	if errors.As(err, &errs) {
		return errs[0].Field + " " + errs[0].Code
	}
	return "ok"
}

func TestAFileThatCannotBeReadSaysWhy(t *testing.T) {
	utf16le := func(s string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	}
	utf16be := func(s string) string {
		b := []byte(utf16le(s))
		for i := 0; i < len(b); i += 2 {
			b[i], b[i+1] = b[i+1], b[i]
		}
		return string(b)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(header + good))
	_ = z.Close()
	without := func(column string) string {
		return strings.Replace(strings.Replace(header, column+",", "", 1), ","+column, "", 1)
	}
	for name, c := range map[string]struct{ in, code, says string }{
		"empty":                         {"", "empty_file", "the file is empty"},
		"only blank lines":              {"\n\r\n\n", "empty_file", "the file is empty"},
		"only a BOM":                    {"\ufeff", "empty_file", "the file is empty"},
		"UTF-16 with BOM":               {"\xff\xfe" + utf16le(header), "utf_16", "UTF-16 (little endian)"},
		"UTF-16 big endian with BOM":    {"\xfe\xff" + utf16be(header), "utf_16", "UTF-16 (big endian)"},
		"UTF-16 without BOM":            {utf16le(header), "utf_16", "UTF-16 (little endian)"},
		"UTF-16 big endian without BOM": {utf16be(header), "utf_16", "UTF-16 (big endian)"},
		"UTF-32":                        {"\xff\xfe\x00\x00i\x00\x00\x00", "utf_32", "UTF-32"},
		"xlsx":                          {"PK\x03\x04\x14\x00\x06\x00", "zip_file", "Excel workbook (.xlsx)"},
		"xls":                           {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "excel_file", "Excel workbook (.xls)"},
		"gzip":                          {zipped.String(), "gzip_file", "compressed with gzip"},
		"no header":                     {good + good, "bad_header", "the first line is not a header row"},
		"semicolons":                    {strings.ReplaceAll(header, ",", ";"), "bad_header", `separated by ";", not by commas`},
		"quoted names and semicolons":   {`"` + strings.ReplaceAll(strings.TrimSpace(header), ",", `";"`) + "\"\n", "bad_header", `separated by ";", not by commas`},
		"quoted names and CR alone":     {`"` + strings.ReplaceAll(strings.TrimSpace(header), ",", `","`) + "\"\r" + good, "bad_header", "CR alone"},
		"CR alone":                      {strings.ReplaceAll(header+good, "\n", "\r"), "bad_header", "CR alone"},
		"header with an open quote":     {`id,"card_id` + "\n" + good, "bad_header", "opens a quote that is never closed"},
		"header over 64 KiB":            {strings.Repeat("x", 70_000), "bad_header", "is longer than 64 KiB"},
		"card_id missing":               {without("card_id"), "bad_header", "the column card_id is missing"},
		"merchant missing":              {without("merchant"), "bad_header", "the column merchant is missing"},
		"card_type missing":             {without("card_type"), "bad_header", "the column card_type is missing"},
		"neither id":                    {strings.Replace(without("transaction_id"), "id,", "", 1), "bad_header", "the column id or transaction_id is missing"},
		"transaction_date misspelt":     {strings.Replace(header, "transaction_date", "transaction_dat", 1), "bad_header", "transaction_dat: did you mean transaction_date?"},
		"letters swapped":               {strings.Replace(header, "mcc", "cmc", 1), "bad_header", "cmc: did you mean mcc?"},
		"words apart":                   {strings.Replace(header, "card_type", "Card Type", 1), "bad_header", "card type: did you mean card_type?"},
		"sgd_amount misspelt":           {strings.Replace(header, "sgd_amount", "sgd_amout", 1), "bad_header", "sgd_amout: did you mean sgd_amount?"},
		"two things wrong":              {strings.Replace(without("mcc"), "currency", "curency", 1), "bad_header", "the column mcc is missing; curency: did you mean currency?"},
		"a column twice":                {strings.TrimSpace(header) + ",AMOUNT\n", "bad_header", "the column amount is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := spendcsv.NewReader(strings.NewReader(c.in))
			var fe *spendcsv.FileError
			if !errors.As(err, &fe) {
				t.Fatalf("got %v, want a FileError", err)
			}
			if fe.Code != c.code || !strings.Contains(fe.Reason, c.says) {
				t.Errorf("got %s: %s\nwant %s: …%s…", fe.Code, fe.Reason, c.code, c.says)
			}
			if strings.Contains(fe.Reason, "4462") {
				t.Errorf("the error shows a PAN: %s", fe.Reason)
			}
		})
	}
}

func TestHeadersThatAreRead(t *testing.T) {
	for name, in := range map[string]string{
		"as it is":                   header + good,
		"quoted, upper case, spaces": strings.ToUpper(`"`+strings.ReplaceAll(strings.TrimSpace(header), ",", `" , "`)) + "\"\n" + good,
		"BOM":                        "\ufeff" + header + good,
		"BOM and quotes":             "\ufeff\"id\"" + header[2:] + good,
		"CRLF":                       strings.ReplaceAll(header+good, "\n", "\r\n"),
		"no line end at the end":     strings.TrimSpace(header + good),
		"other columns are ignored":  "branch,," + header + "East,," + good,
		"without sgd_amount":         strings.Replace(header, "sgd_amount,", "", 1) + strings.Replace(good, "93.40,,", "93.40,", 1),
		"without id":                 strings.Replace(header, "id,", "", 1) + good[37:],
		"without transaction_id":     strings.Replace(header, "transaction_id,", "", 1) + strings.Replace(good, "ref-1,", "", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if got := outcomes(t, strings.NewReader(in)); !slices.Equal(got, []string{"2 ok"}) {
				t.Errorf("got %q", got)
			}
		})
	}
	t.Run("only a header", func(t *testing.T) {
		if got := outcomes(t, strings.NewReader(header)); len(got) != 0 {
			t.Errorf("got %q", got)
		}
	})
}

// badRows is each kind of bad row that the bank may send; line 2 is its, lines around are good.
var badRows = []struct{ name, row, want string }{
	{"too few fields", "a,b,c\n", "wrong_field_count"},
	{"too many fields", strings.Replace(good, "\n", ",x\n", 1), "wrong_field_count"},
	{"a quote that never closes", strings.Replace(good, "Kaligo", `"Kaligo`, 1), "quote_not_closed"},
	{"a quote that only the next row's closes", strings.Replace(good, "Kaligo", `"Kaligo`, 1) + strings.Replace(good, "Kaligo", `"Kaligo"`, 1), "quote_not_closed"},
	{"a quote inside a field", strings.Replace(good, "Kaligo", `Ka"ligo`, 1), "bare_quote"},
	{"text behind a quote", strings.Replace(good, "Kaligo", `"Ka"ligo`, 1), "stray_text"},
	{"a field of 1 MB", strings.Replace(good, "Kaligo", strings.Repeat("x", 1<<20), 1), "row_too_long"},
	{"a quoted field of 1 MB", strings.Replace(good, "Kaligo", `"`+strings.Repeat("x", 1<<20)+`"`, 1), "row_too_long"},
	{"a field over 256 characters", strings.Replace(good, "Kaligo", strings.Repeat("x", 257), 1), "merchant too_long"},
	{"invalid UTF-8", strings.Replace(good, "Kaligo", "Caf\xe9", 1), "merchant not_utf8"},
	{"a NUL", strings.Replace(good, "Kaligo", "Kal\x00igo", 1), "merchant not_text"},
	{"amount 1e400", strings.Replace(good, "93.40", "1e400", 1), "amount not_a_decimal"},
	{"amount NaN", strings.Replace(good, "93.40", "NaN", 1), "amount not_a_decimal"},
	{"amount Inf", strings.Replace(good, "93.40", "Inf", 1), "amount not_a_decimal"},
	{"amount 1,234.50", strings.Replace(good, "93.40", `"1,234.50"`, 1), "amount not_a_decimal"},
	{"amount 1,234.50 without quotes", strings.Replace(good, "93.40", `1,234.50`, 1), "wrong_field_count"},
	{"amount of three decimals in SGD", strings.Replace(good, "93.40", "1.005", 1), "amount too_many_decimals"},
	{"amount blank", strings.Replace(good, "93.40", "", 1), "amount missing"},
	{"amount of 30 digits", strings.Replace(good, "93.40", strings.Repeat("9", 30), 1), "amount too_large"},
	{"date 30 February", strings.Replace(good, "2021-09-01", "2021-02-30", 1), "transaction_date not_a_date"},
	{"date 29 February 2021", strings.Replace(good, "2021-09-01", "29-02-2021", 1), "transaction_date not_a_date"},
	{"date in 1989", strings.Replace(good, "2021-09-01", "1989-12-31", 1), "transaction_date date_out_of_range"},
	{"date 01/09/2021", strings.Replace(good, "2021-09-01", "01/09/2021", 1), "transaction_date not_a_date"},
	{"MCC abc", strings.Replace(good, "5122", "abc", 1), "mcc not_an_mcc"},
	{"MCC -1", strings.Replace(good, "5122", "-1", 1), "mcc not_an_mcc"},
	{"MCC 10000", strings.Replace(good, "5122", "10000", 1), "mcc not_an_mcc"},
	{"PAN 123", strings.Replace(good, "4462-0971-1327-7064", "123", 1), "card_pan not_a_pan"},
	{"a currency nobody has", strings.Replace(good, "SGD", "ZZZ", 1), "currency unknown_currency"},
	{"no id at all", strings.Replace(good[36:], "ref-1", "", 1), "id missing"},
	{"card_id is no UUID", strings.Replace(good, "01eca9de", "x1eca9de", 1), "card_id not_a_uuid"},
	{"sgd_amount with the other sign", strings.Replace(good, "SGD,93.40,", "USD,93.40,-100", 1), "sgd_amount other_sign"},
}

func TestABadRowIsRefusedAlone(t *testing.T) {
	for _, c := range badRows {
		t.Run(c.name, func(t *testing.T) {
			want := []string{"2 ok", "3 " + c.want}
			for i := range 1 + strings.Count(c.row, "\n") {
				want = append(want, fmt.Sprint(4+i, " ok"))
			}
			for kind, in := range map[string]io.Reader{
				"LF":               strings.NewReader(header + good + c.row + good + good),
				"CRLF":             strings.NewReader(strings.ReplaceAll(header+good+c.row+good+good, "\n", "\r\n")),
				"one byte a time":  iotest.OneByteReader(strings.NewReader(header + good + c.row + good + good)),
				"error at the end": iotest.DataErrReader(strings.NewReader(header + good + c.row + good + good)),
			} {
				if got := outcomes(t, in); !slices.Equal(got, want) {
					t.Errorf("%s: got %q, want %q", kind, got, want)
				}
			}
		})
	}
}

func TestRowsThatLookBadAndAreGood(t *testing.T) {
	for name, c := range map[string]struct{ row, merchant, amount string }{
		"-0 is zero":                     {strings.Replace(good, "93.40", "-0", 1), "Kaligo", "SGD 0.00"},
		"zeros beyond the minor unit":    {strings.Replace(good, "93.40", "93.4000", 1), "Kaligo", "SGD 93.40"},
		"a refund":                       {strings.Replace(good, "93.40", "-93.4", 1), "Kaligo", "SGD -93.40"},
		"quotes, commas and a line end":  {strings.Replace(good, "Kaligo", "\"Say \"\"hi\"\",\r\nKaligo\"", 1), "Say \"hi\",\r\nKaligo", "SGD 93.40"},
		"spaces around quotes":           {strings.Replace(good, "Kaligo", " \"Kaligo\"\t", 1), "Kaligo", "SGD 93.40"},
		"spaces around values":           {strings.ReplaceAll(good, ",", " , "), "Kaligo", "SGD 93.40"},
		"a merchant like a formula":      {strings.Replace(good, "Kaligo", "=Kaligo", 1), "=Kaligo", "SGD 93.40"},
		"a quote mark of the merchant's": {strings.Replace(good, "Kaligo", "'=Kaligo", 1), "'=Kaligo", "SGD 93.40"},
		"lower-case currency":            {strings.Replace(good, "SGD", "sgd", 1), "Kaligo", "SGD 93.40"},
		"a PAN in the merchant":          {strings.Replace(good, "Kaligo", "Kaligo 4000-0079-4409-6426", 1), "Kaligo ****-****-****-6426", "SGD 93.40"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := spendcsv.NewReader(strings.NewReader(header + c.row + good))
			if err != nil {
				t.Fatal(err)
			}
			var row spendcsv.Row
			if err := r.Read(&row); err != nil || row.Err != nil {
				t.Fatal(err, row.Err)
			}
			tx, err := row.Raw.Parse(loyalty.MustCurrency("SGD"))
			if err != nil {
				t.Fatal(err)
			}
			if tx.Merchant != c.merchant || tx.Money().String() != c.amount || tx.CardPAN != "************7064" {
				t.Errorf("got %q %s %s", tx.Merchant, tx.Money(), tx.CardPAN)
			}
			wantLine := 3 + strings.Count(c.row, "\n") - 1
			if err := r.Read(&row); err != nil || row.Line != wantLine {
				t.Errorf("the row behind it is on line %d (%v), want %d", row.Line, err, wantLine)
			}
		})
	}
}

func TestTheInputsErrorIsNoBadRow(t *testing.T) {
	away := errors.New("the store is away")
	whole := header + good + strings.Replace(good, "Kaligo", "\"Ka\n\nligo\"", 1)
	for _, n := range []int{0, 10, len(header) + 5, len(header) + len(good), len(header) + len(good) + 9, len(header) + len(good) + 79} {
		in := io.MultiReader(strings.NewReader(whole[:n]), iotest.ErrReader(away))
		r, err := spendcsv.NewReader(in)
		for err == nil {
			var row spendcsv.Row
			if err = r.Read(&row); err == nil && outcome(&row) != "ok" {
				t.Errorf("after %d bytes: a row %s", n, outcome(&row))
			}
		}
		if !errors.Is(err, away) {
			t.Errorf("after %d bytes: got %v, want the input's error", n, err)
		}
	}
}

func refusedFile(t testing.TB, file string, in io.Reader) string {
	t.Helper()
	r, err := spendcsv.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := spendcsv.NewRefusedWriter(&out, r.Columns())
	if err != nil {
		t.Fatal(err)
	}
	for {
		var row spendcsv.Row
		err := r.Read(&row)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var reason error = row.Err
		if row.Err == nil {
			raw := row.Raw
			if _, reason = raw.Parse(loyalty.MustCurrency("SGD")); reason == nil {
				continue
			}
		}
		if err := w.Write(file, &row, reason); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRefusedRowsGolden(t *testing.T) {
	in := header
	for _, c := range badRows {
		if c.name != "a NUL" && c.name != "invalid UTF-8" { // so that the golden file is a text
			in += c.row
		}
	}
	in += strings.Replace(strings.Replace(good, "Kaligo", "=HYPERLINK(4000-0079-4409-6426)", 1), "93.40", "-1.005", 1)
	in += strings.Replace(strings.Replace(good, "5122", "x", 1), "SGD", "ZZZ", 1)
	in += strings.Replace(good, "4462-0971-1327-7064", "4462-0971-1327-7064-0000-11", 1)
	in += strings.Replace(strings.Replace(good, "01eca9de-9ff3-4d16-be03-75f228fc207f", "40000079-4409-6426-0000-000000000000", 1), "93.40", "", 1)
	got := refusedFile(t, "september.csv", strings.NewReader(in))
	if strings.Contains(got, "4462-0971-1327-7064") || strings.Contains(got, "4000-0079-4409-6426") {
		t.Error("there is a PAN in the refused rows")
	}
	golden(t, "testdata/refused.csv", got)

	again := refusedFile(t, "september.csv", strings.NewReader(got))
	lines := strings.Count(got, "\n")
	if n := strings.Count(again, "\n"); n != lines {
		t.Errorf("sent again without mending, %d lines are refused, want all %d", n, lines)
	}
	mended := strings.NewReplacer("NaN", "1.00", ",123,", ",4462-0971-1327-7064,", "10000", "100", "'-1.005", "'-1.00", "ZZZ", "USD", ",x,", ",5122,").Replace(got)
	if n := strings.Count(refusedFile(t, "september.csv", strings.NewReader(mended)), "\n"); n != lines-6 {
		t.Errorf("of six rows that were mended, %d were taken", lines-n)
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it):\n%s", path, got)
	}
}

// people is another layout: that of files of users.
var people = spendcsv.Layout{Columns: []string{"id", "first_name", "email", "card_pan", "card_type"}, Each: "card"}

// What was sent comes back from a file of refused rows exactly, formulas, quotes and all; only
// PANs are masked. A spreadsheet that opens the file on the way finds no formula in it.
func TestRefusedRowsRoundTrip(t *testing.T) {
	for name, layout := range map[string]spendcsv.Layout{"spend": spendcsv.Spend, "users": people} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { roundTrip(t, layout) })
		})
	}
}

func roundTrip(t *rapid.T, layout spendcsv.Layout) {
	value := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "", "'", "''", "=", "+", "-", "@", "\t", "\r", "\n", "\r\n", " ", `"`, `=HYPERLINK("http://evil.example","x")`, "@SUM(1)", "-1+1|cmd"}).Draw(t, "prefix") +
			rapid.StringOfN(rapid.SampledFrom([]rune("ab'=-@\t\r\n\",;é 12.")), 0, 12, -1).Draw(t, "value")
	})
	rows := rapid.SliceOfN(rapid.SliceOfN(value, len(layout.Columns), len(layout.Columns)), 1, 4).Draw(t, "rows")
	pan := slices.Index(layout.Columns, "card_pan")
	pointers := func(values []string) []*string {
		out := make([]*string, len(values))
		for i := range values {
			out[i] = &values[i]
		}
		return out
	}
	var out bytes.Buffer
	w, err := spendcsv.NewLayoutRefusedWriter(&out, layout, layout.Columns)
	if err != nil {
		t.Fatal(err)
	}
	for i, values := range rows {
		values[pan] = "4462 0971 1327 7064"
		if err := w.WriteFields("=file.csv", i+2, pointers(values), errors.New("-because")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	cells, err := csv.NewReader(bytes.NewReader(out.Bytes())).ReadAll()
	if err != nil {
		t.Fatalf("the file is no CSV: %v", err)
	}
	for _, row := range cells {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Fatalf("a spreadsheet takes %q for a formula", cell)
			}
		}
	}
	r, err := spendcsv.NewLayoutReader(&out, layout)
	if err != nil {
		t.Fatal(err)
	}
	for _, values := range rows {
		got := make([]string, len(values))
		if _, bad, err := r.ReadFields(pointers(got)); err != nil || bad != nil {
			t.Fatal(err, bad)
		}
		values[pan] = "************7064"
		for c := range values {
			if got[c] != values[c] {
				t.Fatalf("%s: %q was sent, %q came back", layout.Columns[c], values[c], got[c])
			}
		}
	}
	if _, _, err := r.ReadFields(pointers(make([]string, len(layout.Columns)))); !errors.Is(err, io.EOF) {
		t.Fatalf("there is more: %v", err)
	}
}

// repeat is a reader of a text, n times.
type repeat struct {
	text string
	n    int
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.text[r.at:])
	if r.at += n; r.at == len(r.text) {
		r.at = 0
		r.n--
	}
	return n, nil
}

func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	heap := func(in io.Reader) uint64 {
		r, err := spendcsv.NewReader(in)
		if err != nil {
			t.Fatal(err)
		}
		var most uint64
		var stats runtime.MemStats
		for i := 0; ; i++ {
			var row spendcsv.Row
			if err := r.Read(&row); err != nil {
				break
			}
			if i%5000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&stats)
				most = max(most, stats.HeapAlloc)
			}
		}
		return most
	}
	small := heap(io.MultiReader(strings.NewReader(header), &repeat{text: good, n: 20_000}))
	for name, in := range map[string]io.Reader{
		"ten times the rows":   &repeat{text: good, n: 200_000},
		"one line of 256 MB":   io.MultiReader(&repeat{text: strings.Repeat("x", 1<<16), n: 1 << 12}, strings.NewReader("\n"), &repeat{text: good, n: 1}),
		"an open quote, 64 MB": io.MultiReader(strings.NewReader(`"`), &repeat{text: strings.Repeat("x,", 99) + "\n", n: 320_000}),
	} {
		if large := heap(io.MultiReader(strings.NewReader(header), in)); large > small+256<<10 {
			t.Errorf("%s: %d KiB, %d KiB for a small file", name, large>>10, small>>10)
		}
	}
}

func TestRealFiles(t *testing.T) {
	for path, rows := range map[string]int{
		"../../../shared/data/sample_spend.csv":         0,
		"../../../shared/data/spend_format_2019.csv.gz": 61_264,
	} {
		t.Run(path, func(t *testing.T) {
			f, err := os.Open(path)
			if errors.Is(err, os.ErrNotExist) {
				t.Skip("the file is not on this machine")
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			in := io.Reader(f)
			if strings.HasSuffix(path, ".gz") {
				if in, err = gzip.NewReader(f); err != nil {
					t.Fatal(err)
				}
			}
			got := outcomes(t, in)
			for _, o := range got {
				if !strings.HasSuffix(o, " ok") {
					t.Errorf("line %s", o)
				}
			}
			if rows > 0 && len(got) != rows || len(got) == 0 {
				t.Errorf("%d rows, want %d", len(got), rows)
			}
		})
	}
}

// FuzzRefused holds that what is written of refused rows is read as those rows, whatever file they
// are of: the same values but for card numbers, and written again the same bytes.
func FuzzRefused(f *testing.F) {
	f.Add([]byte(header + good))
	for _, c := range badRows {
		f.Add([]byte(header + c.row[:min(len(c.row), 300)] + good))
	}
	f.Add([]byte("\ufeffTransaction_ID;card\n"))
	f.Add([]byte(strings.TrimSpace(header) + ",file,line,field,reason\n" + strings.TrimSpace(good) + ",'=f,2,mcc,''-x\n\"a\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 4096 {
			t.Skip("small inputs are enough")
		}
		columns, rows := readAll(t, file, true)
		if columns == nil {
			return
		}
		text := refuse(t, columns, rows)
		again, back := readAll(t, text, false)
		if !slices.Equal(again, columns) || len(back) != len(rows) {
			t.Fatalf("%q is written\n%q\nand has %d rows of %v, not %d of %v", file, text, len(back), again, len(rows), columns)
		}
		for i, row := range rows {
			was := row.Raw.Fields()
			for c, f := range back[i].Raw.Fields() {
				want := *was[c]
				if loyalty.StarPANs(want) != want || loyalty.Columns[c] == "card_pan" {
					if want != "" && len(*f) == 0 {
						t.Errorf("line %d: %s is gone", row.Line, loyalty.Columns[c])
					}
					continue // what it becomes is safe's business, and stable, as is seen below
				}
				if *f != want {
					t.Errorf("line %d: %s was %q and comes back as %q", row.Line, loyalty.Columns[c], want, *f)
				}
			}
			if err := back[i].Err; err != nil {
				t.Errorf("line %d of what was written: %v", back[i].Line, err)
			}
			back[i].Line, back[i].Err = row.Line, row.Err
		}
		if twice := refuse(t, columns, back); !bytes.Equal(twice, text) {
			t.Errorf("%q is written %q the next time", text, twice)
		}
		if loyalty.StarPANs(string(text)) != string(text) && !uuids(rows) {
			t.Errorf("%q has a card number", text)
		}
	})
}

// readAll reads a file. Rows whose fields cannot be told apart have none.
func readAll(t *testing.T, file []byte, maybe bool) (columns []string, rows []spendcsv.Row) {
	t.Helper()
	r, err := spendcsv.NewReader(bytes.NewReader(file))
	if err != nil {
		var bad *spendcsv.FileError
		if !maybe || !errors.As(err, &bad) || bad.Code == "" || bad.Reason == "" || !utf8.ValidString(bad.Reason) {
			t.Fatalf("%q: %v", file, err)
		}
		return nil, nil
	}
	for {
		var row spendcsv.Row
		err := r.Read(&row)
		if errors.Is(err, io.EOF) {
			return r.Columns(), rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
}

// refuse writes rows as refused ones.
func refuse(t *testing.T, columns []string, rows []spendcsv.Row) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := spendcsv.NewRefusedWriter(&out, columns)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		why := error(&loyalty.FieldError{Field: "mcc", Code: "x", Reason: "-because"})
		if row.Err != nil {
			why = row.Err
			row.Err = nil // it has no values
		}
		if err := w.Write("=file.csv", &row, why); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// uuids says whether a value is one, which stays what it is though it may look like a card number.
func uuids(rows []spendcsv.Row) bool {
	return slices.ContainsFunc(rows, func(row spendcsv.Row) bool {
		fields := row.Raw.Fields()
		return slices.ContainsFunc(fields[:], func(f *string) bool {
			_, err := loyalty.ParseUUID(strings.TrimSpace(*f))
			return err == nil
		})
	})
}

// FuzzReader holds that the Reader agrees with encoding/csv wherever that accepts a file, and
// otherwise refuses the same row first; and that every row is accounted for. They differ in three
// things: the Reader takes spaces and tabs around a quoted field, it goes on behind a row that
// cannot be split, and it leaves CR LF within quotes as it is, where encoding/csv makes LF of it.
func FuzzReader(f *testing.F) {
	for _, c := range badRows {
		f.Add([]byte(good + c.row[:min(len(c.row), 300)] + good))
	}
	for _, s := range []string{"", "\n", "\r\n", "\r", "a\r", "\"a\"\r", "\"a\r\n\"\"b\",c\r\n\r\nd", "a,\"b\n", "\"a\" ,b", " \"a\"", "\"a\"\rb", ",\n,", "\"\"\"\n\"\"\"\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 4096 {
			t.Skip("small inputs are enough")
		}
		// A header of columns that take any field as it is, as many as the first record has.
		oracle := csv.NewReader(bytes.NewReader(body))
		oracle.FieldsPerRecord = -1
		in := header + string(body)
		r, err := spendcsv.NewReader(strings.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		lenient := bytes.Contains(body, []byte(` "`)) || bytes.Contains(body, []byte("\t\"")) ||
			bytes.Contains(body, []byte(`" `)) || bytes.Contains(body, []byte("\"\t"))
		for {
			var row spendcsv.Row
			err := r.Read(&row)
			want, oracleErr := oracle.Read()
			if errors.Is(err, io.EOF) != errors.Is(oracleErr, io.EOF) {
				t.Fatalf("the end: %v, encoding/csv says %v", err, oracleErr)
			}
			if errors.Is(err, io.EOF) {
				return
			}
			var parse *csv.ParseError
			if errors.As(oracleErr, &parse) {
				if lenient {
					return
				}
				if row.Err == nil || row.Err.Code == "wrong_field_count" || row.Line != parse.StartLine+1 {
					t.Fatalf("line %d: %v; encoding/csv refuses %v", row.Line, row.Err, oracleErr)
				}
				return // from here on they go on at different lines
			}
			if line, _ := oracle.FieldPos(0); row.Line != line+1 {
				t.Fatalf("line %d, encoding/csv says %d", row.Line, line+1)
			}
			if len(want) != len(loyalty.Columns) {
				if row.Err == nil || row.Err.Code != "wrong_field_count" {
					t.Fatalf("line %d: %v, encoding/csv has %d fields", row.Line, row.Err, len(want))
				}
				continue
			}
			if row.Err != nil {
				t.Fatalf("line %d: %v, encoding/csv reads it", row.Line, row.Err)
			}
			for i, f := range row.Raw.Fields() {
				if got := strings.ReplaceAll(*f, "\r\n", "\n"); got != want[i] {
					t.Fatalf("line %d: field %d is %q, encoding/csv says %q", row.Line, i, got, want[i])
				}
			}
		}
	})
}

func BenchmarkReadAndParse(b *testing.B) {
	home := loyalty.MustCurrency("SGD")
	quoted := `"` + strings.ReplaceAll(strings.TrimSpace(good), ",", `","`) + "\"\n"
	for name, row := range map[string]string{"plain": good, "quoted": quoted} {
		b.Run(name, func(b *testing.B) {
			r, err := spendcsv.NewReader(io.MultiReader(strings.NewReader(header), &repeat{text: row, n: b.N}))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(row)))
			n := 0
			for range b.N {
				var row spendcsv.Row
				if err := r.Read(&row); err != nil {
					break
				}
				if _, err := row.Raw.Parse(home); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
