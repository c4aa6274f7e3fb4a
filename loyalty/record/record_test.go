package record_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/google/uuid"
)

// TestFormat1 holds the bytes that the first release has put into the log and beside it: whatever
// comes later reads them.
func TestFormat1(t *testing.T) {
	golden := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.TrimSuffix(b, []byte("\n"))
	}
	marker := record.Marker{Hash: loyalty.HashOf([]byte("rules")), Epoch: 1_700_000_000_000, Revision: 7}
	text := golden("marker_format1.json")
	if m, err := record.DecodeMarker(text); err != nil || m != marker {
		t.Errorf("%s is read as %+v, %v", text, m, err)
	}
	if written := marker.Encode(); record.Format == 1 && !bytes.Equal(written, text) {
		t.Errorf("a marker of format 1 is written otherwise: %s", written)
	}
	amount, err := loyalty.ParseNumber("16.8")
	if err != nil {
		t.Fatal(err)
	}
	tx := loyalty.Transaction{
		ID: uuid.UUID{1}, CardID: uuid.UUID{2}, Merchant: "Kaligo \"Travel\" é", MCC: 4722, Currency: loyalty.MustCurrency("USD"), Amount: 1234,
		HomeAmount: amount, Reference: "ref 1", Date: loyalty.DateOf(2021, 9, 2), CardPAN: "************1234", CardType: "scis_freedom",
	}
	text = golden("transaction_format1.json")
	var got loyalty.Transaction
	if err := got.UnmarshalJSON(text); err != nil || got != tx {
		t.Errorf("%s is read as %+v, %v", text, got, err)
	}
	if written, err := tx.MarshalJSON(); err != nil || record.Format == 1 && !bytes.Equal(written, text) {
		t.Errorf("a transaction of format 1 is written otherwise: %s, %v", written, err)
	}
}

func TestLetterID(t *testing.T) {
	at := loyalty.Position{Incarnation: 2, Partition: 11, Offset: 1 << 40}
	id := record.LetterID(at)
	if id != "2.11.1099511627776" {
		t.Errorf("the id is %s", id)
	}
	if back, err := record.ParseLetterID(id); err != nil || back != at {
		t.Errorf("%s reads as %+v (%v)", id, back, err)
	}
	if old, err := record.ParseLetterID("2/11/1099511627776"); err != nil || old != at {
		t.Errorf("as it was written at first, it reads as %+v (%v)", old, err)
	}
	for _, wrong := range []string{"", "1", "1..3", "1.2", "1.2.3.4", "1.2.-3", "1/2", "1/2/3/4", "a/2/3", "1/2/-3", "1/4294967296/3", "1//3", " 1/2/3"} {
		if p, err := record.ParseLetterID(wrong); err == nil {
			t.Errorf("%q reads as %+v", wrong, p)
		}
	}
}
