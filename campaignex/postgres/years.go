package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// years are the quotes as they are published, a ruledb.Source.
type years struct{}

type yearRow struct {
	Year    string `gorm:"primaryKey"`
	Version int64
}

func (yearRow) TableName() string { return "quote_years" }

// yearOf is what a day is published under.
func yearOf(date string) outbox.Ref { return outbox.Ref{Kind: rulebook.Quotes, ID: date[:4]} }

// touch makes a version of each year.
func (y *years) touch(tx *gorm.DB, _ time.Time, refs []outbox.Ref) ([]outbox.Rule, error) {
	rules := make([]outbox.Rule, 0, len(refs))
	slices.SortFunc(refs, func(a, b outbox.Ref) int { return strings.Compare(a.ID, b.ID) }) // everybody locks in one order
	for _, ref := range refs {
		row := yearRow{ref.ID, 1}
		err := tx.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "year"}},
			DoUpdates: clause.Assignments(map[string]any{"version": gorm.Expr("quote_years.version + 1")}),
		}, clause.Returning{}).Create(&row).Error
		if err != nil {
			return nil, fmt.Errorf("making a version of the quotes of %s: %w", ref.ID, err)
		}
		rules = append(rules, outbox.Rule{Ref: ref, Version: row.Version})
	}
	return rules, nil
}

// Kind is Source's.
func (y *years) Kind() rulebook.Kind { return rulebook.Quotes }

// Current is Source's.
func (y *years) Current(tx *gorm.DB, ids []string) ([]outbox.Rule, error) {
	var rows []yearRow
	if err := tx.Where("year IN ?", ids).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("reading the years of quotes: %w", err)
	}
	out := make([]outbox.Rule, len(rows))
	for i, row := range rows {
		out[i] = outbox.Rule{Ref: outbox.Ref{Kind: rulebook.Quotes, ID: row.Year}, Version: row.Version}
		var days []quotes
		err := tx.Table("quotes").Where("id >= ? AND id <= ? AND NOT deleted", row.Year+"-01-01", row.Year+"-12-31").Order("id").Find(&days).Error
		if err != nil {
			return nil, fmt.Errorf("reading the quotes of %s: %w", row.Year, err)
		}
		if out[i].Deleted = len(days) == 0; out[i].Deleted {
			continue
		}
		number, err := strconv.Atoi(row.Year)
		if err != nil {
			return nil, fmt.Errorf("reading the years of quotes: %w", err)
		}
		year := loyalty.YearQuotes{Year: number, Days: make([]loyalty.DayQuotes, len(days))}
		for d := range days {
			day, err := days[d].Rule()
			if err != nil {
				return nil, fmt.Errorf("reading the quotes of %s: %w", days[d].ID, err)
			}
			year.Days[d] = day.DayQuotes
		}
		if out[i].Data, err = json.Marshal(year); err != nil {
			return nil, fmt.Errorf("encoding the quotes of %s: %w", row.Year, err)
		}
	}
	return out, nil
}

// Versions is Source's.
func (y *years) Versions(tx *gorm.DB, after string, limit int) ([]outbox.Rule, error) {
	var rows []yearRow
	if err := tx.Where("year > ?", after).Order("year").Limit(limit).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("reading the years of quotes: %w", err)
	}
	out := make([]outbox.Rule, len(rows))
	for i, row := range rows {
		out[i] = outbox.Rule{Ref: outbox.Ref{Kind: rulebook.Quotes, ID: row.Year}, Version: row.Version}
	}
	return out, nil
}
