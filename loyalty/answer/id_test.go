package answer

import (
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/google/uuid"
)

func TestARequestIDIsNeverStarred(t *testing.T) {
	const pan = "aaaa4111-1111-1111-1111-aaaaaaaaaaaa" // its sixteen digits pass Luhn's check
	if loyalty.StarPANs(pan) == pan {
		t.Fatal("this is no card number: the test tries nothing")
	}
	const good = "6b6f0c1e-9e6b-4a43-8d6a-0d3c5b9f1a11"
	made := []string{pan, pan, good}
	if got := newRequestID(func() string { id := made[0]; made = made[1:]; return id }); got != good {
		t.Errorf("the id is %s", got)
	}
	if _, err := uuid.Parse(NewRequestID()); err != nil {
		t.Error(err)
	}
}
