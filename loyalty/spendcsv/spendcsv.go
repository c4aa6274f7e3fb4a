// Package spendcsv reads and writes the bank's files: comma-separated values (RFC 4180) in UTF-8 with a
// header row, of card transactions or, by another Layout, of anything else. A Reader yields one row at
// a time in memory that does not grow with the file; a RefusedWriter writes the rows that were refused,
// so that they can be mended and sent again as they are.
package spendcsv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty"
)

// MaxRecord is the most bytes that a row may have, line ends within quotes included.
const MaxRecord = 64 << 10

// FileError says that a file as a whole cannot be read, in words for the person who sent it.
type FileError struct {
	Code   string // snake_case
	Reason string // plain words; PANs in it are starred
}

func (e *FileError) Error() string { return e.Reason }

func fileError(code, format string, args ...any) *FileError {
	return &FileError{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// Row is one row of a file.
type Row struct {
	Line int // where it begins; the header is line 1
	Raw  loyalty.RawTransaction
	// Err is nil, or says why the fields of the row cannot be told apart; Raw is empty then.
	Err *loyalty.FieldError
}

// Layout says which columns a kind of file has.
type Layout struct {
	Columns []string // in the order in which refused rows have them
	Each    string   // what a row is about: a transaction
	// Optional says which columns may be absent. Such a one is asked for only when it is there but
	// misspelt: to ignore it would be to ignore what was sent.
	Optional []string
	// Either are two of the optional columns, of which a file has one at least.
	Either [2]string
}

// Spend is the layout of files of card transactions.
var Spend = Layout{Columns: loyalty.Columns, Each: "transaction", Optional: []string{"id", "sgd_amount", "transaction_id"}, Either: [2]string{"id", "transaction_id"}}

// The columns that a file of refused rows has behind those of its layout.
var refusedColumns = []string{"file", "line", "field", "reason"}

// Reader reads a file row by row. Make one with NewReader. It accepts what encoding/csv accepts,
// and spaces around quotes too.
//
// A row that breaks the rules of quoting is refused alone: reading goes on at the line after the
// one where it began, so a quote that is never closed takes no other row with it.
type Reader struct {
	layout Layout

	in   io.Reader
	buf  []byte
	from int   // what has been read of buf
	to   int   // what is in buf
	err  error // of in, io.EOF at the end

	line    int   // of buf[from]
	base    int64 // where in the file buf begins
	fields  []field
	columns []int // for each column of the file, its index in the layout, or -1
	had     []string
	refused bool // the file is one of refused rows
	scratch []byte
}

// field is a field of the record that was read last: a part of its bytes, in which quotes may be
// doubled.
type field struct {
	from, to int
	doubled  bool
}

// NewReader reads the header. The error is a *FileError where the file is not one that can be
// read, and names the columns that are missing or misspelt; any other error is r's.
func NewReader(r io.Reader) (*Reader, error) { return NewLayoutReader(r, Spend) }

// NewLayoutReader is NewReader of a file of another layout. Its rows are read by ReadFields.
func NewLayoutReader(r io.Reader, layout Layout) (*Reader, error) {
	d := &Reader{layout: layout, in: r, buf: make([]byte, 2*MaxRecord), line: 1}
	if err := d.fill(); err != nil {
		return nil, err
	}
	if err := sniff(d.buf[:d.to]); err != nil {
		return nil, err
	}
	d.from = len(d.buf[:d.to]) - len(bytes.TrimPrefix(d.buf[:d.to], []byte("\ufeff")))
	first, _, _ := bytes.Cut(d.buf[d.from:d.to], newline)
	cr := bytes.IndexByte(bytes.TrimSuffix(first, []byte{'\r'}), '\r') >= 0
	sep := separator(string(first))
	data, bad, err := d.record()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fileError("empty_file", "the file is empty; send one with a header row and a row for each %s", layout.Each)
	case err != nil:
		return nil, err
	case bad != nil && cr:
		return nil, crAlone()
	case bad != nil && sep != "":
		return nil, notCommas(sep)
	case bad != nil && bad.Code == "row_too_long":
		return nil, fileError("bad_header", "the first line is longer than %d KiB; save the file with a header row and one line for each %s", MaxRecord>>10, layout.Each)
	case bad != nil:
		return nil, fileError("bad_header", "the header row cannot be read: it %s", bad.Reason)
	}
	d.line += 1 + bytes.Count(data, newline)
	names := make([]string, len(d.fields))
	for i, f := range d.fields {
		names[i] = strings.ToLower(strings.TrimSpace(d.text(string(data), f)))
	}
	if err := d.setColumns(names); err != nil {
		return nil, err
	}
	return d, nil
}

// Place is where the next row begins: how many bytes of the file are before it, and its line as far as
// no blank lines are.
func (d *Reader) Place() (offset int64, line int) { return d.base + int64(d.from), d.line }

// NewReaderAt goes on at a Place. Header is what the file begins with: as many of its bytes as Place
// said before the first row. Rest is the file from offset on.
func NewReaderAt(header []byte, rest io.Reader, offset int64, line int) (*Reader, error) {
	return NewLayoutReaderAt(header, rest, offset, line, Spend)
}

// NewLayoutReaderAt is NewReaderAt of a file of another layout.
func NewLayoutReaderAt(header []byte, rest io.Reader, offset int64, line int, layout Layout) (*Reader, error) {
	d, err := NewLayoutReader(io.MultiReader(bytes.NewReader(header), rest), layout)
	if err != nil {
		return nil, err
	}
	if at, _ := d.Place(); at != int64(len(header)) {
		return nil, fmt.Errorf("the header ends at byte %d, not at %d", at, len(header))
	}
	d.base, d.line = offset-int64(d.from), line
	return d, nil
}

// Columns are the columns of the layout that the file has, in the layout's order.
func (d *Reader) Columns() []string { return d.had }

// Read reads the next row, or says io.EOF. Any other error is the input's; a row that is bad in
// itself is no error, it says so in row.Err.
func (d *Reader) Read(row *Row) error {
	*row = Row{}
	fields := row.Raw.Fields()
	var err error
	row.Line, row.Err, err = d.ReadFields(fields[:])
	return err
}

// ReadFields is Read of any layout: to are where the fields go, in the order of the layout's columns.
// Those of columns that the file has not stay as they are, and all of them do where bad says why the
// fields cannot be told apart.
func (d *Reader) ReadFields(to []*string) (line int, bad *loyalty.FieldError, err error) {
	data, bad, err := d.record()
	line = d.line
	if err != nil {
		return line, nil, err
	}
	d.line++
	if bad != nil {
		return line, bad, nil
	}
	d.line += bytes.Count(data, newline)
	if len(d.fields) != len(d.columns) {
		return line, rowError("wrong_field_count", "has %s, the header has %d", count(len(d.fields), "field"), len(d.columns)), nil
	}
	text := string(data) // one allocation; the fields are parts of it
	for i, f := range d.fields {
		c := d.columns[i]
		if c < 0 {
			continue
		}
		*to[c] = d.text(text, f)
		if d.refused {
			*to[c] = unguard(*to[c])
		}
	}
	return line, nil, nil
}

func rowError(code, format string, args ...any) *loyalty.FieldError {
	return &loyalty.FieldError{Code: code, Reason: fmt.Sprintf(format, args...)}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// text is a field of a record; quotes that are doubled become one.
func (d *Reader) text(record string, f field) string {
	s := record[f.from:f.to]
	if !f.doubled {
		return s
	}
	d.scratch = d.scratch[:0]
	for i := 0; i < len(s); i++ {
		d.scratch = append(d.scratch, s[i])
		if s[i] == '"' {
			i++
		}
	}
	return string(d.scratch)
}

var newline = []byte{'\n'}

// record returns the bytes of the next record without its line end, and its fields in d.fields.
// A record that cannot be split is bad, and only its first line is used up. d.line is the
// record's own line; the caller counts on.
func (d *Reader) record() (data []byte, bad *loyalty.FieldError, err error) {
	for {
		data = d.buf[d.from:d.to]
		end, n, status := d.split(data, errors.Is(d.err, io.EOF))
		switch {
		case status == unfinished && d.err == nil && d.to-d.from <= MaxRecord:
			if err := d.fill(); err != nil {
				return nil, nil, err
			}
			continue
		case status == unfinished && d.err != nil && !errors.Is(d.err, io.EOF):
			return nil, nil, d.err
		case status == whole && n == 0:
			return nil, nil, io.EOF
		case status == whole && len(d.fields) == 0: // a blank line is no record
			d.from += n
			d.line++
			continue
		case status == whole && end <= MaxRecord:
			d.from += n
			return data[:end], nil, nil
		}
		bad, err = d.refuse(data, status)
		return nil, bad, err
	}
}

// refuse uses up the first line of a record that cannot be split.
func (d *Reader) refuse(data []byte, status status) (*loyalty.FieldError, error) {
	lineEnd := bytes.IndexByte(data, '\n')
	var bad *loyalty.FieldError
	switch {
	case status == bareQuote:
		bad = rowError("bare_quote", `has a " inside a field that is not quoted; a field with quotes is quoted, and the quotes in it doubled`)
	case status == strayText:
		bad = rowError("stray_text", `has text between a closing " and the next comma; quotes inside a quoted field are doubled`)
	case status == openQuote || status == runOn || lineEnd >= 0 && lineEnd <= MaxRecord:
		bad = rowError("quote_not_closed", "opens a quote that is never closed")
	default:
		bad = rowError("row_too_long", "is longer than %d KiB; see whether the line ends are missing", MaxRecord>>10)
	}
	for {
		if lineEnd >= 0 {
			d.from += lineEnd + 1
			return bad, nil
		}
		d.from = d.to
		if errors.Is(d.err, io.EOF) {
			return bad, nil
		}
		if err := d.fill(); err != nil {
			return nil, err
		}
		lineEnd = bytes.IndexByte(d.buf[:d.to], '\n')
	}
}

// fill moves what is left to the front of the buffer and fills it up. What is wrong with the
// input is reported once everything before it has been used.
func (d *Reader) fill() error {
	if d.err != nil && !errors.Is(d.err, io.EOF) {
		return d.err
	}
	copy(d.buf, d.buf[d.from:d.to])
	d.base += int64(d.from)
	d.to -= d.from
	d.from = 0
	for empty := 0; d.to < len(d.buf) && d.err == nil; {
		var n int
		n, d.err = d.in.Read(d.buf[d.to:])
		d.to += n
		if n > 0 {
			empty = 0
		} else if empty++; empty == 100 && d.err == nil {
			d.err = io.ErrNoProgress
		}
	}
	if d.to == 0 && !errors.Is(d.err, io.EOF) {
		return d.err
	}
	return nil
}

type status int

const (
	whole      status = iota
	unfinished        // the end of the data came before the end of the record
	bareQuote
	strayText
	runOn     // text behind a quote that closes on another line: one was forgotten
	openQuote // at the end of the file
)

// split splits the record at the beginning of data. It ends at end, and its line end at n.
// No fields, and n > 0: a blank line. n = 0: the end of the file.
func (d *Reader) split(data []byte, atEOF bool) (end, n int, st status) {
	d.fields = d.fields[:0]
	// Most records are one line without an escape: its end bounds the search for commas.
	lineEnd := bytes.IndexByte(data, '\n')
	next := lineEnd + 1
	switch {
	case lineEnd < 0 && !atEOF:
		return 0, 0, unfinished
	case lineEnd < 0:
		lineEnd, next = len(data), len(data)
	}
	if lineEnd > 0 && data[lineEnd-1] == '\r' {
		lineEnd--
	}
	if lineEnd == 0 {
		return 0, next, whole
	}
	for i := 0; ; {
		q := i
		for q < lineEnd && (data[q] == ' ' || data[q] == '\t') {
			q++
		}
		if q == lineEnd || data[q] != '"' {
			stop := lineEnd
			if c := bytes.IndexByte(data[i:lineEnd], ','); c >= 0 {
				stop = i + c
			}
			if bytes.IndexByte(data[i:stop], '"') >= 0 {
				return 0, 0, bareQuote
			}
			d.fields = append(d.fields, field{from: i, to: stop})
			i = stop
		} else {
			f := field{from: q + 1}
			for i = f.from; ; {
				c := bytes.IndexByte(data[i:], '"')
				switch {
				case c < 0 && atEOF:
					return 0, 0, openQuote
				case c < 0 || i+c+1 == len(data) && !atEOF:
					return 0, 0, unfinished
				}
				i += c + 1
				if i == len(data) || data[i] != '"' {
					break
				}
				f.doubled = true
				i++
			}
			f.to = i - 1
			d.fields = append(d.fields, f)
			if i > lineEnd { // the quotes held a line end: find the one that may end the record
				switch e := bytes.IndexByte(data[i:], '\n'); {
				case e >= 0:
					lineEnd, next = i+e, i+e+1
				case atEOF:
					lineEnd, next = len(data), len(data)
				default:
					return 0, 0, unfinished
				}
				if lineEnd > i && data[lineEnd-1] == '\r' {
					lineEnd--
				}
			}
			for i < lineEnd && (data[i] == ' ' || data[i] == '\t') {
				i++
			}
			switch {
			case i == lineEnd || data[i] == ',':
			case bytes.IndexByte(data[f.from:f.to], '\n') >= 0:
				return 0, 0, runOn
			default:
				return 0, 0, strayText
			}
		}
		if i == lineEnd {
			return lineEnd, next, whole
		}
		i++ // the comma
	}
}

// sniff names files that are no text at all by how they begin.
func sniff(b []byte) error {
	is := func(prefix string) bool { return bytes.HasPrefix(b, []byte(prefix)) }
	nul := func(pattern string) bool { // x: not NUL, 0: NUL
		for i := range pattern {
			if i >= len(b) || (b[i] == 0) != (pattern[i] == '0') {
				return false
			}
		}
		return true
	}
	switch {
	case is("\xff\xfe\x00\x00"), is("\x00\x00\xfe\xff"), nul("x000x000"), nul("000x000x"):
		return fileError("utf_32", "the file is encoded in UTF-32; save it as UTF-8 (in Excel: CSV UTF-8)")
	case is("\xff\xfe"), nul("x0x0"):
		return fileError("utf_16", "the file is encoded in UTF-16 (little endian); save it as UTF-8 (in Excel: CSV UTF-8)")
	case is("\xfe\xff"), nul("0x0x"):
		return fileError("utf_16", "the file is encoded in UTF-16 (big endian); save it as UTF-8 (in Excel: CSV UTF-8)")
	case is("PK\x03\x04"), is("PK\x05\x06"):
		return fileError("zip_file", "the file is a ZIP archive or an Excel workbook (.xlsx), not a CSV file; save the sheet as CSV UTF-8")
	case is("\xd0\xcf\x11\xe0"):
		return fileError("excel_file", "the file is an Excel workbook (.xls), not a CSV file; save the sheet as CSV UTF-8")
	case is("\x1f\x8b"):
		return fileError("gzip_file", "the file is compressed with gzip; here it must be a CSV file")
	}
	return nil
}

// setColumns finds out what each column is.
func (d *Reader) setColumns(names []string) error {
	if slices.ContainsFunc(names, func(s string) bool { return strings.Contains(s, "\r") }) {
		return crAlone()
	}
	at := make(map[string]int) // of the layout's columns and of refusedColumns, how often
	var strange, problems []string
	for _, name := range names {
		c := slices.Index(d.layout.Columns, name)
		d.columns = append(d.columns, c)
		switch {
		case c >= 0:
			if at[name]++; at[name] == 2 {
				problems = append(problems, fmt.Sprintf("the column %s is there twice", name))
			}
		case slices.Contains(refusedColumns, name):
			at[name]++
		case name != "":
			strange = append(strange, name)
		}
	}
	for _, c := range d.layout.Columns {
		if at[c] > 0 {
			d.had = append(d.had, c)
		}
	}
	d.refused = !slices.ContainsFunc(refusedColumns, func(c string) bool { return at[c] == 0 })
	if len(d.had) == 0 {
		return d.noHeader(names)
	}
	for _, c := range d.layout.Columns {
		if at[c] > 0 {
			continue
		}
		either := d.layout.Either
		required := !slices.Contains(d.layout.Optional, c) || c == either[1] && at[either[0]] == 0
		i := slices.IndexFunc(strange, func(s string) bool { return misspelt(s, c) && (required || c != "id") })
		switch {
		case i >= 0:
			problems = append(problems, fmt.Sprintf("%s: did you mean %s?", show(strange[i]), c))
			strange = slices.Delete(strange, i, i+1)
		case required && c == either[1]:
			problems = append(problems, fmt.Sprintf("the column %s or %s is missing", either[0], either[1]))
		case required:
			problems = append(problems, fmt.Sprintf("the column %s is missing", c))
		}
	}
	if len(problems) > 0 {
		return fileError("bad_header", "the header row is not right: %s", strings.Join(problems, "; "))
	}
	return nil
}

func (d *Reader) noHeader(names []string) error {
	need := d.layout.needs()
	if sep := separator(names[0]); sep != "" {
		return notCommas(sep)
	}
	return fileError("bad_header", "the first line is not a header row; it must name the columns %s", need)
}

// needs names the columns that a file must have.
func (l Layout) needs() string {
	var out []string
	if l.Either[0] != "" {
		out = append(out, l.Either[0]+" or "+l.Either[1])
	}
	for _, c := range l.Columns {
		if !slices.Contains(l.Optional, c) {
			out = append(out, c)
		}
	}
	return strings.Join(out, ", ")
}

func crAlone() *FileError {
	return fileError("bad_header", "the lines end with CR alone; save the file with line ends LF or CRLF")
}

// separator is what separates the names of a header instead of commas, or "".
func separator(header string) string {
	for _, sep := range []string{";", "\t", "|"} {
		if strings.Count(header, sep) >= 5 {
			return sep
		}
	}
	return ""
}

func notCommas(sep string) *FileError {
	return fileError("bad_header", "the fields are separated by %q, not by commas", sep)
}

// show is a strange column's name, cut and without PANs.
func show(name string) string {
	name = strings.ToValidUTF8(loyalty.StarPANs(name), "�")
	if r := []rune(name); len(r) > 40 {
		name = string(r[:40]) + "…"
	}
	return name
}

// misspelt says whether a name is nearly that of a column: other marks between its words, or up
// to two letters wrong (one of a short name).
func misspelt(name, column string) bool {
	if len(name) > 40 {
		return false
	}
	bare := strings.NewReplacer(" ", "", "_", "", "-", "", ".", "")
	if bare.Replace(name) == bare.Replace(column) {
		return true
	}
	most := 2
	if len(column) < 6 {
		most = 1
	}
	return distance(name, column) <= most
}

// distance is the number of letters to put in, take out, change or swap with their neighbour
// (Damerau and Levenshtein, optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
