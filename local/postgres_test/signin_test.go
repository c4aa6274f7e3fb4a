//go:build unix

package postgres_test

import (
	"testing"
	"time"

	profilerdb "github.com/angelowl-loyalties/app/profiler/postgres"
	"github.com/angelowl-loyalties/app/profiler/signin"
	signintest "github.com/angelowl-loyalties/app/profiler/signin/storetest"
	"gorm.io/gorm"
)

func TestSignInStore(t *testing.T) {
	signintest.Run(t, func(t *testing.T, clock func() time.Time) (signin.Store, *gorm.DB) {
		db := open(t, cardTypes.Database(t))
		s, err := profilerdb.Open(t.Context(), db, clock)
		if err != nil {
			t.Fatal(err)
		}
		return s.SignIn(), db
	})
}
