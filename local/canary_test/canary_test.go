package canary_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"log/slog"
	"net/http"
	"net/smtp"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

// canary is a card number that is sent to where none belongs, each in a form of its own.
type canary struct{ number, text string }

// canaries are nine: of 13, 16 and 19 digits, plain, hyphenated and spaced. All pass the check of
// ISO/IEC 7812-1, annex B.
func canaries() (all []canary) {
	for _, digits := range []int{13, 16, 19} {
		for i, mark := range []string{"", "-", " "} {
			n := luhn(fmt.Sprintf("%d%s", 53+i, "9578264091733508"+"27")[:digits-1])
			var groups []string
			for rest := range slices.Chunk([]byte(n), 4) {
				groups = append(groups, string(rest))
			}
			all = append(all, canary{n, strings.Join(groups, mark)})
		}
	}
	return all
}

// luhn adds the check digit.
func luhn(s string) string {
	for d := range 10 {
		if n := s + fmt.Sprint(d); loyalty.StarPANs(n) != n {
			return n
		}
	}
	panic("no digit fits " + s)
}

// places are where a number is put by hand, and what it is then found by.
var places = []string{
	"reward store", "informer", "transaction key", "transaction value", "transaction header",
	"transaction.dlq key", "transaction.dlq value", "transaction.dlq header", "etcd", "campaignex", "profiler",
	stack.ReportBucket, "mail", "mail/html", "mail/source", "log", "files", "compressed files", "file names", "blocks of the reward store",
}

// A card number that is put into every column of every file, every field of every body, every parameter
// and every header is nowhere afterwards but in the bank's own file.
func TestNoCardNumberIsKept(t *testing.T) {
	data := t.TempDir()
	s := &search{t: t, canary: numbers{}, planted: numbers{}, found: map[string]map[string]bool{}, looked: map[string]int{}}
	for _, c := range canaries() {
		s.canary[c.number] = true
	}
	if len(s.canary) != 9 {
		t.Fatalf("%d canaries", len(s.canary))
	}
	log := run(t, data, func(w *world) {
		cards := w.upload(t)
		w.everywhere(t)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		if err := w.AwaitRewarded(ctx, nil); err != nil {
			t.Fatal(err)
		}
		for i := range places {
			s.planted[plantedAt(i)] = true
		}
		w.plant(t, cards[0])
		s.stores(w, cards)
	})
	for line := range bytes.Lines(log.text()) {
		s.look("log", "a line", line)
	}
	s.files(data)
	s.blocks(filepath.Join(data, "rewards"))
	for i, place := range places {
		if n := plantedAt(i); !s.found[place][n] {
			t.Errorf("the search does not find the number that was put into the place %q", place)
		}
	}
	if !s.banks {
		t.Error("the bank's own file does not hold the number: nothing was sent")
	}
	t.Logf("looked at: %v bytes", s.looked)
}

// plantedAt is the number that is put into a place by hand.
func plantedAt(place int) string { return luhn(fmt.Sprintf("371449%09d", 635398400+place)) }

func planted(place string) string { return plantedAt(slices.Index(places, place)) }

// upload sends files of spend that have the numbers in every column, in columns that are none, in their
// names, and in rows that cannot be told apart; and waits for them. It returns the cards whose
// transactions were taken.
func (w *world) upload(t *testing.T) []string {
	t.Helper()
	card := uuid.NewString()
	row := func(change func(map[string]string)) []string {
		values := map[string]string{
			"id": uuid.NewString(), "transaction_id": "T-1", "merchant": "KALIGO", "mcc": "7011", "currency": "USD", "amount": "10.00", "sgd_amount": "13.00",
			"transaction_date": "2018-12-31", "card_id": card, "card_pan": "************1234", "card_type": "scis_freedom", "note": "",
		}
		change(values)
		var out []string
		for _, c := range append(slices.Clone(loyalty.Columns), "note") {
			out = append(out, values[c])
		}
		return out
	}
	write := func(header []string, rows [][]string, tail string) []byte {
		var b bytes.Buffer
		c := csv.NewWriter(&b)
		if err := c.WriteAll(append([][]string{header}, rows...)); err != nil {
			t.Fatal(err)
		}
		return append(b.Bytes(), tail...)
	}
	columns := append(slices.Clone(loyalty.Columns), "note")
	var rows [][]string
	for _, c := range canaries() {
		for _, column := range columns {
			rows = append(rows, row(func(v map[string]string) { v[column] = c.text }))
			rows = append(rows, row(func(v map[string]string) { v[column] = "at " + c.text + ", see" }))
		}
		rows = append(rows, row(func(v map[string]string) { v["id"], v["transaction_id"] = "", c.text })) // names the transaction
	}
	all := canaries()
	named := append(slices.Clone(loyalty.Columns), all[4].text)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(write(columns, rows, "")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	bucket := stack.SpendBucket
	for _, f := range []struct {
		key, name string
		body      []byte
	}{
		{"spend/" + uuid.NewString() + ".csv", "spend.csv", write(columns, rows, "")},
		{"spend/" + uuid.NewString() + ".csv.gz", "spend.csv.gz", zipped.Bytes()},
		{"spend/" + all[3].text + ".csv", all[4].text + ".csv", write(columns, rows[:3], "")},
		{"spend/" + all[7].text + "/x.csv", all[8].text + ".csv", write(named, rows[:30], "")},
		{"spend/" + uuid.NewString() + ".csv", "broken.csv", write(columns, rows[:3], "\""+all[4].text+"\"x,"+all[5].text+"\n"+all[3].text+",\n\""+all[4].text)},
		{"spend/" + uuid.NewString() + ".csv", "headless.csv", []byte(all[4].text + "," + all[5].text + "\n" + all[3].text + ",1\n")},
		{"spend/" + uuid.NewString() + ".csv.gz", "no.gz", []byte(all[4].text)},
	} {
		_, err := w.S3.Client().PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: &bucket, Key: &f.key, Body: bytes.NewReader(f.body), Metadata: map[string]string{"filename": url.PathEscape(f.name)},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		report, err := w.AwaitReport(ctx, ingestor.UploadID(bucket, f.key))
		cancel()
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		if f.name == "spend.csv" && (report.Rows.Accepted < 50 || report.Rows.Refused < 50) {
			t.Errorf("of the rows %+v: the numbers are not in what is taken and in what is refused", report.Rows)
		}
	}
	return []string{card}
}

// everywhere sends the numbers to every operation of the gateway's file: in each field, as a field, as no
// JSON at all, in each parameter and in headers.
func (w *world) everywhere(t *testing.T) {
	t.Helper()
	all := canaries()
	n := 0
	taken := map[string]int{}
	send := func(o operation, target string, body []byte, headers ...string) answer {
		c := all[n%len(all)]
		n++
		h := append([]string{
			"X-Request-Id", c.text, "User-Agent", c.text, "Referer", "http://127.0.0.1/" + c.text, "Cookie", "pan=" + c.text, "X-Forwarded-For", c.text,
			"X-Source-Ip", c.text, "Idempotency-Key", c.text, "Accept-Language", c.text,
		}, headers...)
		a := w.send(t, o.role(), o.method, target, body, h...)
		if a.status >= 500 {
			t.Errorf("%s: %d %.200s", o, a.status, a.body)
		}
		if a.status < 300 {
			taken[o.OperationID]++
		}
		return a
	}
	for _, o := range operations() {
		right := func() []byte {
			if o.schema() == nil {
				return nil
			}
			return encode(t, w.body(o))
		}
		if o.OperationID == "importFx" { // it takes five at once, and then one a second
			for _, c := range all[3:6] {
				send(o, w.target(o), []byte("Date,USD,"+c.text+"\n2021-09-02,"+c.number+",1.5\n"+c.text+",1,1\n"), "Content-Type", "text/csv")
			}
			continue
		}
		for i, c := range all {
			for _, p := range o.params("path") {
				target := strings.Replace(o.path, "{"+p.Name+"}", url.PathEscape(c.text), 1)
				for _, other := range o.params("path") {
					target = strings.Replace(target, "{"+other.Name+"}", w.pathValue(o, other.Name), 1)
				}
				send(o, target, right())
			}
			for _, p := range o.params("query") {
				send(o, w.target(o)+"?"+url.QueryEscape(p.Name)+"="+url.QueryEscape(c.text), right())
				send(o, w.target(o)+"?"+url.QueryEscape(c.text)+"=1", right())
			}
			// Some of the nine each time: all operations of a kind together have all.
			whole := i%4 == n%4
			for _, name := range []string{"Authorization", "If-Match", "Dry-Run", "Content-Type", "Content-Encoding"} {
				values := []string{c.text, `"` + c.text + `"`}
				if name == "Authorization" {
					head := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
					values = []string{c.text, "Bearer " + c.text, "Basic " + base64.StdEncoding.EncodeToString([]byte(c.text+":"+c.text)),
						"Bearer " + head(`{"alg":"ES256","kid":"`+c.text+`"}`) + "." + head(`{"sub":"`+c.text+`","iss":"`+c.text+`"}`) + ".AAAA"}
				}
				for _, v := range values {
					if !whole {
						continue
					}
					if o.method == http.MethodDelete && name != "Authorization" && name != "If-Match" {
						continue // it would be gone
					}
					send(o, w.target(o), right(), name, v)
				}
			}
			if o.RequestBody == nil {
				continue
			}
			for _, body := range []string{c.text, `"` + c.text + `"`, `{"` + c.text + `": 1}`, `{"a": ` + c.text + `x`, "[" + c.number + "]"} {
				if !whole {
					continue
				}
				for _, kind := range []string{"application/json", "application/x-www-form-urlencoded", "text/csv", "application/zip"} {
					send(o, w.target(o), []byte(body), "Content-Type", kind)
				}
			}
			send(o, w.target(o), []byte(url.Values{"grant_type": {"client_credentials"}, "client_id": {c.text}, "client_secret": {c.text}, "scope": {c.text}, "List-Unsubscribe": {c.text}, c.text: {"1"}}.Encode()),
				"Content-Type", "application/x-www-form-urlencoded")
			if o.schema() == nil {
				continue
			}
			for _, f := range fields(o.schema(), field{}) {
				if !f.leaf() {
					continue
				}
				values := []string{`"` + c.text + `"`, `"at ` + c.text + `, see"`}
				if c.text == c.number {
					values = append(values, c.number, c.number+".50", `"`+c.text+`@canary.example"`, `{"`+c.text+`": "`+c.text+`"}`)
				}
				for _, value := range values {
					body := bytes.Replace(encode(t, put(w.body(o), f.at, place)), []byte(`"`+place+`"`), []byte(value), 1)
					if o.OperationID == "publish" {
						body = bytes.Replace(body, []byte(`"id":`), []byte(`"id":null,"id":`), 1-n%2) // at times the key names it
					}
					send(o, w.target(o), body)
				}
			}
		}
	}
	for _, c := range all {
		for _, target := range []string{"/", "/docs/", "/mail/", "/" + url.PathEscape(c.text), "/docs/" + url.PathEscape(c.text), "/mail/" + url.PathEscape(c.text), "/mail?to=" + url.QueryEscape(c.text)} {
			w.send(t, "", http.MethodGet, target, nil, "X-Request-Id", c.text)
		}
	}
	// What was taken, and so had to be starred or forgotten. Campaigns refuse a text that holds a number.
	for _, op := range []string{"publish", "createCard", "searchUsers", "putUser", "tryCampaigns", "listUsers", "listCampaigns"} {
		if taken[op] < len(all) {
			t.Errorf("%s took %d of the requests: the numbers did not get in", op, taken[op])
		}
	}
	t.Logf("%d requests", n)
}

// plant puts a number into each place by hand.
func (w *world) plant(t *testing.T, card string) {
	t.Helper()
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var row loyalty.Row
	check(w.Rewards.All(ctx, func(r loyalty.Row) error {
		if r.CardID.String() == card {
			row = r
		}
		return nil
	}))
	row.ID = uuid.New()
	row.Merchant = "planted " + planted("reward store") + " and " + planted("informer") + " and " + planted("blocks of the reward store")
	row.Position.Offset += 1 << 20
	check(w.Rewards.PutRewards(ctx, []loyalty.Row{row}))
	client, err := stack.Connect(w.Brokers)
	check(err)
	producer, err := sarama.NewSyncProducerFromClient(client)
	check(err)
	for _, topic := range []string{record.Topic, stack.DeadLetterTopic} {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{
			Topic: topic, Key: sarama.StringEncoder("planted " + planted(topic+" key")), Value: sarama.StringEncoder("planted " + planted(topic+" value")),
			Headers: []sarama.RecordHeader{{Key: []byte("planted"), Value: []byte(planted(topic + " header"))}},
		})
		check(err)
	}
	check(producer.Close())
	check(client.Close())
	_, err = w.Etcd.Put(ctx, "/planted", planted("etcd"))
	check(err)
	for _, name := range []string{"campaignex", "profiler"} {
		withDB(t, filepath.Join(w.Data, name+".db"), func(db *gorm.DB) {
			check(db.Exec("CREATE TABLE planted (text TEXT)").Error)
			check(db.Exec("INSERT INTO planted VALUES (?)", planted(name)).Error)
		})
	}
	bucket, key := stack.ReportBucket, "planted.json"
	_, err = w.S3.Client().PutObject(ctx, &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(planted(stack.ReportBucket))})
	check(err)
	check(smtp.SendMail(w.MailAddress(), nil, "a@canary.example", []string{"b@canary.example"}, []byte(
		"From: <a@canary.example>\r\nTo: <b@canary.example>\r\nSubject: "+planted("mail/source")+"\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n"+
			"--x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"+base64.StdEncoding.EncodeToString([]byte(planted("mail")))+
			"\r\n--x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"+base64.StdEncoding.EncodeToString([]byte("<p>"+planted("mail/html")+"</p>"))+"\r\n--x--\r\n")))
	slog.New(slog.NewJSONHandler(w.log, nil)).Info("planted", "number", planted("log"))
	check(os.WriteFile(filepath.Join(w.Data, "planted.txt"), []byte(planted("files")), 0o600))
	check(os.WriteFile(filepath.Join(w.Data, "planted-"+planted("file names")), nil, 0o600))
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write([]byte(planted("compressed files")))
	check(err)
	check(z.Close())
	check(os.WriteFile(filepath.Join(w.Data, "planted.gz"), b.Bytes(), 0o600))
}
