package record_test

import (
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

func TestLetterID(t *testing.T) {
	at := loyalty.Position{Incarnation: 2, Partition: 11, Offset: 1 << 40}
	id := record.LetterID(at)
	if id != "2/11/1099511627776" {
		t.Errorf("the id is %s", id)
	}
	if back, err := record.ParseLetterID(id); err != nil || back != at {
		t.Errorf("%s reads as %+v (%v)", id, back, err)
	}
	for _, wrong := range []string{"", "1", "1/2", "1/2/3/4", "a/2/3", "1/2/-3", "1/4294967296/3", "1//3", " 1/2/3"} {
		if p, err := record.ParseLetterID(wrong); err == nil {
			t.Errorf("%q reads as %+v", wrong, p)
		}
	}
}
