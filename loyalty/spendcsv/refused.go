package spendcsv

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/angelowl-loyalties/app/loyalty"
)

// RefusedWriter writes refused rows as a CSV file that can be mended and sent again as it is: the
// layout's columns that the file had, with the values as they were sent, then the file's
// name, the line, the field and the reason. A row whose fields cannot be told apart has the last
// four alone.
//
// PANs are masked. A value that a spreadsheet would take for a formula (it begins with = + - @,
// tab or CR) gets a leading ', which a Reader takes off again.
type RefusedWriter struct {
	layout  Layout
	csv     *csv.Writer
	columns []int
	record  []string
}

// NewRefusedWriter writes the header. Columns are those of the Reader.
func NewRefusedWriter(w io.Writer, columns []string) (*RefusedWriter, error) {
	return NewLayoutRefusedWriter(w, Spend, columns)
}

// NewLayoutRefusedWriter is NewRefusedWriter for a Reader of another layout. Its rows are written by
// WriteFields.
func NewLayoutRefusedWriter(w io.Writer, layout Layout, columns []string) (*RefusedWriter, error) {
	r := &RefusedWriter{layout: layout, csv: csv.NewWriter(w)}
	var header []string
	for i, c := range layout.Columns {
		if slices.Contains(columns, c) {
			r.columns = append(r.columns, i)
			header = append(header, c)
		}
	}
	r.record = make([]string, len(header)+len(refusedColumns))
	if err := r.csv.Write(append(header, refusedColumns...)); err != nil {
		return nil, fmt.Errorf("writing refused rows: %w", err)
	}
	return r, nil
}

// Write writes a row and why it was refused: a *loyalty.FieldError or FieldErrors, of which the
// first gives the field.
func (r *RefusedWriter) Write(file string, row *Row, reason error) error {
	fields := row.Raw.Fields()
	if row.Err != nil {
		return r.WriteFields(file, row.Line, nil, reason)
	}
	return r.WriteFields(file, row.Line, fields[:], reason)
}

// WriteFields is Write of any layout: fields are in the order of its columns, or nil where they cannot
// be told apart.
func (r *RefusedWriter) WriteFields(file string, line int, fields []*string, reason error) error {
	for i, c := range r.columns {
		r.record[i] = ""
		if fields != nil {
			r.record[i] = guard(safe(r.layout.Columns[c], *fields[c]))
		}
	}
	last := r.record[len(r.columns):]
	last[0] = guard(loyalty.StarPANs(file))
	last[1] = strconv.Itoa(line)
	last[2], last[3] = explain(reason)
	last[3] = guard(last[3])
	if err := r.csv.Write(r.record); err != nil {
		return fmt.Errorf("writing refused rows: %w", err)
	}
	return nil
}

// Flush writes what is buffered.
func (r *RefusedWriter) Flush() error {
	r.csv.Flush()
	if err := r.csv.Error(); err != nil {
		return fmt.Errorf("writing refused rows: %w", err)
	}
	return nil
}

// explain is the first field that is wrong and, in one text, all that is.
func explain(err error) (field, reason string) {
	var all loyalty.FieldErrors
	var one *loyalty.FieldError
	switch {
	case errors.As(err, &all) && len(all) > 0:
		reason = all[0].Reason
		for _, e := range all[1:] {
			reason += "; " + e.Error()
		}
		return all[0].Field, loyalty.StarPANs(reason)
	case errors.As(err, &one):
		return one.Field, loyalty.StarPANs(one.Reason)
	}
	return "", loyalty.StarPANs(err.Error())
}

// safe is a value without the PANs in it.
func safe(column, v string) string {
	if column == "card_pan" {
		if masked, err := loyalty.MaskPAN(strings.TrimSpace(v)); err == nil {
			return masked
		}
		starred := starDigits(v, 4)
		if _, err := loyalty.MaskPAN(strings.TrimSpace(starred)); err == nil {
			return starDigits(v, 0) // else a number that was refused would be taken the next time, as masked
		}
		return starred
	}
	// A UUID may look like a card number, and must stay what it is.
	if _, err := loyalty.ParseUUID(strings.TrimSpace(v)); err == nil {
		return v
	}
	return loyalty.StarPANs(v)
}

// starDigits stars all digits but the last few.
func starDigits(v string, plain int) string {
	digits := 0
	for _, r := range v {
		if unicode.IsDigit(r) {
			digits++
		}
	}
	if digits <= plain {
		return v
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			if digits--; digits >= plain {
				return '*'
			}
		}
		return r
	}, v)
}

// guard puts a ' before what a spreadsheet would take for a formula. It does so too where the
// value has such marks already, so that unguard gives back every value exactly.
func guard(v string) string {
	if formula(strings.TrimLeft(v, "'")) {
		return "'" + v
	}
	return v
}

func unguard(v string) string {
	if len(v) > 1 && v[0] == '\'' && formula(strings.TrimLeft(v, "'")) {
		return v[1:]
	}
	return v
}

func formula(v string) bool { return v != "" && strings.IndexByte("=+-@\t\r", v[0]) >= 0 }
