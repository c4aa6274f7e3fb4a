package pebble

import (
	"context"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/rewarder"
)

// Get returns the row of a key, or rewarder.ErrNotFound.
func (s *Store) Get(ctx context.Context, k loyalty.Key) (loyalty.Row, error) {
	if err := s.enter(ctx); err != nil {
		return loyalty.Row{}, err
	}
	defer s.leave()
	value, err := s.get(appendRewardKey(nil, k))
	if err != nil {
		return loyalty.Row{}, err
	}
	if len(value) == 1 && value[0] == formatErased {
		return loyalty.Row{}, rewarder.ErrNotFound
	}
	return decodeRow(k, value)
}
