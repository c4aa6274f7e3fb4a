//go:build unix

package infra_test

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/loyalty/spendcsv"
)

// sizes are the bytes of one transaction, on the average of the example's.
type sizes struct{ line, record, row, entry int64 }

// measure takes the example's transactions through the code that writes them: a file's line, a record of Kafka, a row
// and an index entry of the reward store. Compression is not counted.
func measure(t testing.TB) sizes {
	t.Helper()
	const dir = "../../examples"
	var file struct {
		CardTypes  []loyalty.CardType  `json:"card_types"`
		Campaigns  []loyalty.Campaign  `json:"campaigns"`
		Exclusions []loyalty.Exclusion `json:"exclusions"`
	}
	if err := json.Unmarshal(read(t, filepath.Join(dir, "rules.json")), &file); err != nil {
		t.Fatal(err)
	}
	home, ok := loyalty.ParseCurrency("CAD")
	if !ok {
		t.Fatal("CAD is no currency")
	}
	book := rules.NewBook(home)
	for _, c := range file.CardTypes {
		book.PutCardType(c)
	}
	for i, c := range file.Campaigns {
		c.ID = uuid.NewSHA1(uuid.Nil, []byte(strconv.Itoa(i)+c.Name))
		book.PutCampaign(c)
	}
	for i, x := range file.Exclusions {
		x.ID = uuid.NewSHA1(uuid.Nil, []byte(strconv.Itoa(i)))
		book.PutExclusion(x)
	}
	compiled, _, err := book.Compile()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "spend.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	in, err := spendcsv.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var sum sizes
	var lines, n int64
	for {
		var read spendcsv.Row
		if err := in.Read(&read); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		lines++
		if read.Err != nil {
			continue // made to be wrong
		}
		parsed, err := read.Raw.Parse(home)
		if err != nil {
			continue // as well
		}
		tx := &parsed
		reward, err := compiled.Reward(tx)
		if err != nil {
			continue // foreign spend: the quotes are not loaded here
		}
		m := kafkaconn.Transaction("transaction", tx, []byte("upload/"+tx.ID.String()+"/"+strconv.FormatInt(lines, 10)))
		sum.record += int64(m.ByteSize(2))
		row := loyalty.Row{Reward: reward, Position: loyalty.Position{Incarnation: 1, Partition: 7, Offset: 1 << 30}}
		row.CreatedAt = time.Unix(1_700_000_000, 0)
		var cells rewarddb.Values
		if err := cells.Set(&row); err != nil {
			t.Fatal(err)
		}
		sum.row += int64(cells.Size())
		var entry rewarddb.EntryValues
		entry.Set(loyalty.DateOf(2026, time.November, 25), &row)
		for _, c := range entry {
			sum.entry += int64(len(c))
		}
		n++
	}
	if n < 500 {
		t.Fatalf("%d of %d rows", n, lines)
	}
	return sizes{info.Size() / lines, sum.record / n, sum.row / n, sum.entry / n}
}
