package spine_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// few is the beginning of the example: a header and three good rows.
func few(t *testing.T) (header string, rows []string) {
	t.Helper()
	all := lines(read(t, spendFile))
	return all[0], all[1:4]
}

func zipped(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("spend.csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func utf16Of(text string, order binary.AppendByteOrder, mark bool) []byte {
	var b []byte
	if mark {
		b = order.AppendUint16(b, 0xfeff)
	}
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return b
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	header, rows := few(t)
	good := header + strings.Join(rows, "")
	all := read(t, spendFile)
	const bom = "\ufeff"
	column := func(from, to string) string { return strings.Replace(header, from, to, 1) + strings.Join(rows, "") }

	type bad struct {
		name string // of the file; made of the case's where there is none
		file []byte
		// Of a file that can be read, how many rows there are; else what the message has to name.
		accepted, refused int
		says              []string
	}
	cases := map[string]bad{
		"no header":                     {file: []byte(strings.Join(rows, "")), says: []string{"header", "card_id", "transaction_date"}},
		"a misspelt column":             {file: []byte(column(`"amount"`, `"amuont"`)), says: []string{"amuont", "did you mean amount?"}},
		"a misspelt column, by a space": {file: []byte(column(`"transaction_date"`, `"Transaction Date"`)), says: []string{"transaction date", "did you mean transaction_date?"}},
		"a missing column":              {file: []byte(column(`"mcc"`, `"category"`)), says: []string{"the column mcc is missing"}},
		"a column twice":                {file: []byte(column(`"merchant"`, `"mcc"`)), says: []string{"the column mcc is there twice", "the column merchant is missing"}},
		"semicolons":                    {file: []byte(strings.ReplaceAll(good, ",", ";")), says: []string{`";"`}},
		"CR alone":                      {file: []byte(strings.ReplaceAll(good, "\n", "\r")), says: []string{"CR alone"}},
		"UTF-16, little endian":         {file: utf16Of(good, binary.LittleEndian, true), says: []string{"UTF-16", "UTF-8"}},
		"UTF-16, big endian":            {file: utf16Of(good, binary.BigEndian, true), says: []string{"UTF-16", "UTF-8"}},
		"UTF-16 without a mark":         {file: utf16Of(good, binary.LittleEndian, false), says: []string{"UTF-16", "UTF-8"}},
		"an empty file":                 {file: nil, says: []string{"empty"}},
		"nothing but a mark":            {file: []byte(bom), says: []string{"empty"}},
		"nothing but blank lines":       {file: []byte("\n\r\n\n"), says: []string{"empty"}},
		"a zip for a CSV":               {file: zipped(t, []byte(good)), says: []string{"ZIP"}},
		"a zip for a gzip":              {name: "spend.csv.gz", file: zipped(t, []byte(good)), says: []string{"ZIP"}},
		"a gzip in a gzip":              {name: "spend.csv.gz", file: gzipped(t, gzipped(t, []byte(good))), says: []string{"gzip"}},
		"a damaged gzip":                {name: "spend.csv.gz", file: append([]byte{0x1f, 0x8b}, good...), says: []string{"damaged"}},
		"an endless header":             {file: bytes.Repeat([]byte("x"), 1<<20), says: []string{"header"}},
		"noise":                         {file: []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"), says: []string{"header"}},

		"nothing but a header":       {file: []byte(header)},
		"a header without its end":   {file: []byte(strings.TrimSpace(header))},
		"CRLF and a mark":            {file: []byte(bom + strings.ReplaceAll(good, "\n", "\r\n")), accepted: 3},
		"no end of the last line":    {file: []byte(strings.TrimSpace(good)), accepted: 3},
		"a gzip for a CSV":           {file: gzipped(t, []byte(good)), accepted: 3},
		"a CSV for a gzip":           {name: "spend.csv.gz", file: []byte(good), accepted: 3},
		"a name with marks in it":    {name: "März 2019 (1) & #2 %41.csv", file: []byte(good), accepted: 3},
		"a quote that never closes":  {file: []byte(header + rows[0] + `"` + rows[1] + rows[2]), accepted: 2, refused: 1, says: []string{"line 3", "quote"}},
		"a quote open at the end":    {file: []byte(good + `"4000`), accepted: 3, refused: 1, says: []string{"line 5", "never closed"}},
		"a field of 1 MB":            {file: []byte(good + `"` + strings.Repeat("x", 1<<20) + `"` + strings.TrimPrefix(rows[0], `"`) + rows[0]), accepted: 4, refused: 1, says: []string{"line 5", "64 KiB"}},
		"a quoted field of 1 MB":     {file: []byte(strings.Replace(good, rows[0], strings.Replace(rows[0], "TORONTO", strings.Repeat("TORONTO", 150_000), 1), 1)), accepted: 2, refused: 1, says: []string{"line 2"}},
		"a field too few":            {file: []byte(good + rows[0][strings.IndexByte(rows[0], ',')+1:]), accepted: 3, refused: 1, says: []string{"line 5", "has 9 fields, the header has 10"}},
		"a field too many":           {file: []byte(good + "1," + rows[0]), accepted: 3, refused: 1, says: []string{"line 5", "has 11 fields, the header has 10"}},
		"what is no UTF-8":           {file: []byte(good + strings.Replace(rows[0], "TORONTO", "TORONT\xd3", 1)), accepted: 3, refused: 1, says: []string{"merchant", "UTF-8"}},
		"blank lines":                {file: []byte(header + "\n\n" + strings.Join(rows, "\n")), accepted: 3},
		"quotes, case and the order": {file: []byte(strings.ReplaceAll(strings.ToUpper(header), `"`, "") + strings.Join(rows, "")), accepted: 3},
	}

	// Two runs take them all, those that can be read and those that cannot, for a start takes its
	// time; a few of the latter go alone, too.
	var readable, unreadable []string
	for name, c := range cases {
		if c.name == "" {
			c.name = strings.NewReplacer(" ", "-", ",", "").Replace(name) + ".csv"
			cases[name] = c
		}
		if c.accepted+c.refused == 0 && len(c.says) > 0 {
			unreadable = append(unreadable, name)
		} else {
			readable = append(readable, name)
		}
	}
	run := func(t *testing.T, names []string) results {
		t.Helper()
		var args []string
		for _, name := range names {
			args = append(args, write(t, cases[name].name, cases[name].file))
		}
		r := process(t, quotesFile, args...)
		if len(r.report.Files) != len(names) {
			t.Fatalf("exit code %d and %d files in the report, want %d\n%s", r.code, len(r.report.Files), len(names), r.stderr)
		}
		accounts(t, r.report)
		return r
	}
	check := func(t *testing.T, names []string, r results) {
		t.Helper()
		refused := map[string][]map[string]string{}
		for _, row := range records(t, r.refused) {
			refused[row["file"]] = append(refused[row["file"]], row)
		}
		for i, name := range names {
			t.Run(name, func(t *testing.T) {
				c, file := cases[name], r.report.Files[i]
				if file.File != c.name {
					t.Fatalf("the name of the file is %q, want %q", file.File, c.name)
				}
				if file.Accepted != c.accepted || file.Refused != c.refused || len(refused[c.name]) != c.refused {
					t.Errorf("%d rows accepted, %d refused; want %d and %d\n%v", file.Accepted, file.Refused, c.accepted, c.refused, refused[c.name])
				}
				for _, says := range c.says {
					if c.refused == 0 {
						if text := c.name + ": " + file.Error + "\n"; !strings.Contains(text, says) || !strings.Contains(r.stderr, text) {
							t.Errorf("the report says %q and standard error\n%s\nand not %s", file.Error, r.stderr, says)
						}
					}
					for _, row := range refused[c.name] {
						if text := "line " + row["line"] + ": " + row["field"] + " " + row["reason"]; !strings.Contains(text, says) {
							t.Errorf("the reason is %q, which does not say %s", text, says)
						}
					}
				}
				if len(c.says) == 0 && file.Error != "" {
					t.Errorf("the report says %q", file.Error)
				}
			})
		}
	}
	t.Run("readable", func(t *testing.T) {
		t.Parallel()
		slices.Sort(readable)
		r := run(t, readable).must(t)
		check(t, readable, r)
		// All of them have the same three rows, one of which is the one with the large merchant.
		if n := bytes.Count(r.rewards, []byte("\n")); n != len(rows) {
			t.Errorf("%d rewards, want %d", n, len(rows))
		}
	})
	slices.Sort(unreadable)
	for _, names := range [][]string{unreadable, {"an empty file"}, {"a missing column"}} {
		t.Run("unreadable", func(t *testing.T) {
			t.Parallel()
			r := run(t, names)
			if r.code != 1 || len(r.rewards) > 0 {
				t.Errorf("exit code %d, want 1, and the rewards %s", r.code, r.rewards)
			}
			check(t, names, r)
		})
	}

	t.Run("a file that is cut off, between good ones", func(t *testing.T) {
		t.Parallel()
		z := gzipped(t, all)
		r := process(t, quotesFile, write(t, "first.csv", []byte(good)), write(t, "cut.csv.gz", z[:len(z)/2]), write(t, "last.csv", all))
		if r.code != 1 || !strings.Contains(r.stderr, "cut.csv.gz: the compressed file is damaged or cut off") {
			t.Errorf("exit code %d, and it says %s", r.code, r.stderr)
		}
		accounts(t, r.report)
		if n := bytes.Count(r.rewards, []byte("\n")); n != 1162 || len(r.report.Files) != 3 {
			t.Errorf("%d rewards of %d files, want all 1162 that the last file has", n, len(r.report.Files))
		}
		first, cut := r.report.Files[0], r.report.Files[1]
		if first.Accepted != 3 || cut.Rows == 0 || cut.Rows >= 1173 {
			t.Errorf("%d rows of the first file, %d of the one cut off", first.Accepted, cut.Rows)
		}
		if want := first.Accepted + cut.Accepted; r.report.Duplicates.Rows > want || r.report.Duplicates.Rows < want-7 {
			t.Errorf("%d duplicates; %d rows came before the last file", r.report.Duplicates.Rows, want)
		}
	})
}

func TestBadRows(t *testing.T) {
	t.Parallel()
	const header = "id,card_id,merchant,mcc,currency,amount,transaction_date,card_pan,card_type\n"
	base := map[string]string{
		"card_id": "d831d553-d549-53e2-8021-699aada82d4d", "merchant": "EXPEDIA 7391", "mcc": "4722", "currency": "CAD",
		"amount": "100", "transaction_date": "2019-09-03", "card_pan": "4000-0080-9753-3793", "card_type": "scis_platinummiles",
	}
	cases := []struct{ name, field, value, refused string }{ // refused: the code, or "" where it is taken
		{"an exponent", "amount", "1e400", "amount: not_a_decimal"},
		{"not a number", "amount", "NaN", "amount: not_a_decimal"},
		{"infinity", "amount", "Inf", "amount: not_a_decimal"},
		{"a thousands mark", "amount", `"1,234.50"`, "amount: not_a_decimal"},
		{"hexadecimal", "amount", "0x10", "amount: not_a_decimal"},
		{"no amount", "amount", "", "amount: missing"},
		{"three decimals", "amount", "1.005", "amount: too_many_decimals"},
		{"an amount beyond 64 bits", "amount", "99999999999999999999999999", "amount: too_large"},
		{"three decimals, the last zero", "amount", "1.500", ""},
		{"minus nothing", "amount", "-0", ""},
		{"a plus", "amount", "+12.5", ""},
		{"a day that does not exist", "transaction_date", "2019-02-29", "transaction_date: not_a_date"},
		{"a month that does not exist", "transaction_date", "2019-13-01", "transaction_date: not_a_date"},
		{"the American way", "transaction_date", "09/03/2019", "transaction_date: not_a_date"},
		{"before 1990", "transaction_date", "1989-12-31", "transaction_date: date_out_of_range"},
		{"after 2099", "transaction_date", "2100-01-01", "transaction_date: date_out_of_range"},
		{"no date", "transaction_date", "", "transaction_date: missing"},
		{"the day first", "transaction_date", "03-09-2019", ""},
		{"the day first, a short year", "transaction_date", "03-09-19", ""},
		{"a word for an MCC", "mcc", "abc", "mcc: not_an_mcc"},
		{"an MCC below 0", "mcc", "-1", "mcc: not_an_mcc"},
		{"an MCC of five digits", "mcc", "10000", "mcc: not_an_mcc"},
		{"no MCC", "mcc", "", ""},
		{"a short PAN", "card_pan", "123", "card_pan: not_a_pan"},
		{"no PAN", "card_pan", "", "card_pan: missing"},
		{"a masked PAN", "card_pan", "************3793", ""},
		{"a currency nobody has", "currency", "XQX", "currency: unknown_currency"},
		{"no currency", "currency", "", "currency: missing"},
		{"small letters", "currency", "cad", ""},
		{"a card that is no UUID", "card_id", "d831d553", "card_id: not_a_uuid"},
		{"the nil card", "card_id", "00000000-0000-0000-0000-000000000000", "card_id: nil_uuid"},
		{"a long name", "merchant", strings.Repeat("Å", 257), "merchant: too_long"},
		{"a name just short enough", "merchant", strings.Repeat("Å", 256), ""},
		{"NUL in a name", "merchant", "EXP\x00EDIA", "merchant: not_text"},
		{"a card type that nobody has", "card_type", "scis_gold", "card_type: unknown_card_type"},
		{"a card type in other letters", "card_type", "SCIS_FREEDOM", "card_type: unknown_card_type"},
		{"no card type", "card_type", "", "card_type: missing"},
		{"a currency without quotes", "currency", "KES", "currency: no_quote"},
		{"a day without quotes", "transaction_date", "2025-01-01", ""}, // spend at home needs none
	}
	var file strings.Builder
	file.WriteString(header)
	reasons, ids := map[string]int{}, map[string]string{}
	for i, c := range cases {
		id := "00000000-0000-4000-8000-" + strings.Repeat("0", 10) + string(rune('0'+i/10)) + string(rune('0'+i%10))
		ids[id] = c.name
		values := []string{id}
		for _, column := range strings.Split(strings.TrimSpace(header), ",")[1:] {
			v := base[column]
			if column == c.field {
				v = c.value
			}
			values = append(values, v)
		}
		file.WriteString(strings.Join(values, ",") + "\n")
		if c.refused != "" {
			reasons[c.refused]++
		}
	}
	r := process(t, quotesFile, write(t, "bad.csv", []byte(file.String()))).must(t)
	accounts(t, r.report)
	for reason, n := range reasons {
		if got := r.report.Refused.ByReason[reason].Rows; got != n {
			t.Errorf("%d rows are refused for %s, want %d", got, reason, n)
		}
	}
	for reason, part := range r.report.Refused.ByReason {
		if reasons[reason] == 0 {
			t.Errorf("%d rows are refused for %s, want none", part.Rows, reason)
		}
	}
	found := map[string]string{}
	for _, line := range lines(r.rewards) {
		found[ids[decodeReward(t, line).ID]] = ""
	}
	for _, row := range records(t, r.refused) {
		found[ids[row["id"]]] = row["field"]
	}
	for _, c := range cases {
		field, _, _ := strings.Cut(c.refused, ":")
		if got, there := found[c.name]; !there || got != field {
			t.Errorf("%s: refused for its %q, want %q; it is in the results: %t", c.name, got, field, there)
		}
	}
}
