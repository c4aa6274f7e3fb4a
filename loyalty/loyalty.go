// Package loyalty is the domain of AngelOwl: card transactions, the campaigns and exclusions
// that decide what a transaction earns, the card types that name a unit, and rewards with the
// trace that explains them.
//
// The package holds types, their wire formats and their validation, and does no I/O. Money is an
// int64 of minor units with its currency, rates are decimals of a fixed scale, and no float
// takes part anywhere. The rules themselves are in package rules.
package loyalty
