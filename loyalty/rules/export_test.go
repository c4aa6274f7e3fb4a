package rules

import "github.com/angelowl-loyalties/app/loyalty"

// Matching returns what finds the campaigns of a transaction whose card type, exclusion and
// amount in the home currency have been decided: the part of Evaluate that depends on how many
// campaigns there are.
func (r *Rules) Matching(tx *loyalty.Transaction) (find func() (base, promo *loyalty.Campaign), err error) {
	res, err := r.Evaluate(tx)
	if err != nil || res.Outcome == loyalty.Excluded {
		return nil, err
	}
	table, q := r.cards.get(tx.CardType).campaigns, r.query(&res, tx)
	return func() (base, promo *loyalty.Campaign) { return table.find(&q, tx.Merchant) }, nil
}
