package canary_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/cockroachdb/pebble/v2"
	clientv3 "go.etcd.io/etcd/client/v3"
	"gorm.io/gorm"

	"github.com/angelowl-loyalties/app/local/sqlite"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

// minDigits and maxDigits are how many a card number has.
const minDigits, maxDigits = 13, 19

// numbers are card numbers that are looked for: digits, without marks.
type numbers map[string]bool

// in returns those that stand in bytes, digit by digit with at most one space or hyphen between two,
// whatever stands before and behind them.
func (n numbers) in(b []byte) map[string]bool {
	var found map[string]bool
	run, gap := make([]byte, 0, 64), false
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			if len(run) == cap(run) {
				run = append(run[:0], run[len(run)-maxDigits:]...)
			}
			run, gap = append(run, c), false
			for most := len(run) - minDigits; most >= 0 && most >= len(run)-maxDigits; most-- {
				if n[string(run[most:])] {
					if found == nil {
						found = map[string]bool{}
					}
					found[string(run[most:])] = true
				}
			}
		case len(run) > 0 && !gap && (c == ' ' || c == '-'):
			gap = true
		default:
			run, gap = run[:0], false
		}
	}
	return found
}

// search looks for canaries, which may be nowhere, and for planted numbers, which it must find in each
// place where one was put by hand.
type search struct {
	t       *testing.T
	canary  numbers
	planted numbers
	found   map[string]map[string]bool // planted numbers by place
	looked  map[string]int             // bytes by place
	banks   bool                       // a canary was found in the bank's own files
}

// look searches one thing of a place.
func (s *search) look(place, what string, b []byte) {
	s.looked[place] += len(b)
	for n := range s.canary.in(b) {
		s.t.Errorf("%s: %s has the card number %s: %s", place, what, n, near(b, n))
	}
	for n := range s.planted.in(b) {
		if s.found[place] == nil {
			s.found[place] = map[string]bool{}
		}
		s.found[place][n] = true
	}
}

// near is what stands around a number, for whoever has to find out how it came there.
func near(b []byte, number string) string {
	for i := range b {
		if b[i] != number[0] {
			continue
		}
		if end := min(len(b), i+30); (numbers{number: true}).in(b[i:end]) != nil {
			return fmt.Sprintf("%q", b[max(0, i-120):min(len(b), i+60)])
		}
	}
	return "…"
}

// stores reads everything of a running system through its own clients.
func (s *search) stores(w *world, cards []string) {
	t, ctx := s.t, s.t.Context()
	err := w.Rewards.All(ctx, func(row loyalty.Row) error {
		b, err := row.Reward.MarshalJSON()
		s.look("reward store", "a reward", b)
		s.look("reward store", "a reward's remarks", []byte(row.Remarks))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, card := range cards {
		for _, target := range []string{"/reward/" + card + "?page_size=1000", "/reward/" + card + "?format=csv", "/reward/total/" + card, "/reward/summary/" + card} {
			a := w.send(t, token.Admin, http.MethodGet, target, nil)
			if a.status != http.StatusOK {
				t.Fatalf("%s: %d %s", target, a.status, a.body)
			}
			s.look("informer", target, a.body)
		}
	}
	for _, topic := range []string{record.Topic, stack.DeadLetterTopic} {
		err := w.Records(ctx, topic, func(m *sarama.ConsumerMessage) error {
			s.look(topic+" key", "a record", m.Key)
			s.look(topic+" value", "a record", m.Value)
			for _, h := range m.Headers {
				s.look(topic+" header", string(h.Key), append(append(bytes.Clone(h.Key), '='), h.Value...))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := w.Etcd.Get(ctx, "\x00", clientv3.WithFromKey())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range all.Kvs {
		s.look("etcd", "the key "+string(kv.Key), kv.Key)
		s.look("etcd", string(kv.Key), kv.Value)
	}
	for _, name := range []string{"campaignex", "profiler"} {
		withDB(t, filepath.Join(w.Data, name+".db"), func(db *gorm.DB) { s.tables(name, db) })
	}
	s.objects(ctx, w)
	s.mails(w)
}

func withDB(t *testing.T, path string, f func(*gorm.DB)) {
	t.Helper()
	db, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f(db)
	pool, err := db.DB()
	if err == nil {
		err = pool.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// tables reads every column of every row of every table.
func (s *search) tables(name string, db *gorm.DB) {
	var tables []string
	if err := db.Raw("SELECT name FROM sqlite_master WHERE type = 'table'").Scan(&tables).Error; err != nil {
		s.t.Fatal(err)
	}
	for _, table := range tables {
		rows, err := db.Raw(`SELECT * FROM "` + table + `"`).Rows()
		if err != nil {
			s.t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			s.t.Fatal(err)
		}
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				s.t.Fatal(err)
			}
			for i, v := range values {
				text, isBytes := v.([]byte)
				if !isBytes {
					text = fmt.Append(nil, v)
				}
				s.look(name, table+"."+columns[i], text)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// objects reads all objects of all buckets. Those of the bucket of spend files are the bank's own.
func (s *search) objects(ctx context.Context, w *world) {
	client := w.S3.Client()
	for _, bucket := range []string{stack.SpendBucket, stack.ReportBucket} {
		list := awss3.NewListObjectsV2Paginator(client, &awss3.ListObjectsV2Input{Bucket: &bucket})
		for list.HasMorePages() {
			page, err := list.NextPage(ctx)
			if err != nil {
				s.t.Fatal(err)
			}
			for _, o := range page.Contents {
				got, err := client.GetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: o.Key})
				if err != nil {
					s.t.Fatal(err)
				}
				b, err := io.ReadAll(got.Body)
				if err = errors.Join(err, got.Body.Close()); err != nil {
					s.t.Fatal(err)
				}
				if bucket == stack.SpendBucket {
					s.banks = s.banks || s.canary.in(b) != nil
					continue
				}
				s.look(bucket, "the key "+*o.Key, []byte(*o.Key))
				s.look(bucket, *o.Key, unzipped(b))
				s.look(bucket, *o.Key+"'s metadata", fmt.Append(nil, got.Metadata))
			}
		}
	}
}

// mails reads each as a person does, and its source.
func (s *search) mails(w *world) {
	seen := 0
	for id := 1; ; id++ {
		for _, part := range []string{"", "/html", "/source"} {
			a := w.send(s.t, "", http.MethodGet, fmt.Sprintf("/mail/%d%s", id, part), nil)
			switch {
			case a.status == http.StatusNotFound && part == "":
				if seen == 0 {
					s.t.Error("there are no mails")
				}
				return
			case a.status == http.StatusNotFound: // it has no HTML
			case a.status != http.StatusOK:
				s.t.Fatalf("mail %d%s: %d %s", id, part, a.status, a.body)
			}
			s.look("mail"+part, fmt.Sprintf("mail %d", id), a.body)
		}
		seen++
	}
}

// unzipped is what a file holds, if it is compressed.
func unzipped(b []byte) []byte {
	if !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		return b
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return b
	}
	all, err := io.ReadAll(z)
	if err != nil {
		return b
	}
	return all
}

// files searches all files of the data folder, and their names. Of what is in them, the bank's own are no
// leak.
func (s *search) files(data string) {
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(data, path)
		if err != nil {
			return err
		}
		bank := strings.HasPrefix(name, "s3") && strings.Contains(name, stack.SpendBucket)
		if !bank {
			s.look("file names", name, []byte(name))
		}
		if d.IsDir() {
			return nil
		}
		b, err := os.ReadFile(path)
		if bank {
			return err
		}
		s.look("files", name, b)
		if z := unzipped(b); len(z) != len(b) {
			s.look("compressed files", name, z)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// blocks reads every key and every operand of the reward store, whose blocks are compressed.
func (s *search) blocks(dir string) {
	db, err := pebble.Open(dir, &pebble.Options{
		ReadOnly: true, FormatMajorVersion: pebble.FormatNewest, Logger: quiet{},
		// Of the name that the store has, so that it opens; but it keeps what loses too.
		Merger: &pebble.Merger{Name: "angelowl.earliest.v1", Merge: func(_, value []byte) (pebble.ValueMerger, error) {
			return &everything{bytes.Clone(value)}, nil
		}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	rows, err := db.NewIter(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for rows.First(); rows.Valid(); rows.Next() {
		value, err := rows.ValueAndErr()
		if err != nil {
			s.t.Fatal(err)
		}
		s.look("blocks of the reward store", "a key", rows.Key())
		s.look("blocks of the reward store", "a row", value)
	}
	if err := errors.Join(rows.Error(), rows.Close(), db.Close()); err != nil {
		s.t.Fatal(err)
	}
}

// everything merges operands by keeping all of them.
type everything struct{ all []byte }

func (e *everything) MergeNewer(value []byte) error { return e.MergeOlder(value) }
func (e *everything) MergeOlder(value []byte) error {
	e.all = append(append(e.all, 'x'), value...)
	return nil
}
func (e *everything) Finish(bool) ([]byte, io.Closer, error) { return e.all, nil, nil }

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, _ ...any) {
	panic("the reward store cannot be read: " + format)
}

func TestNumbersAreFoundHoweverTheyAreWritten(t *testing.T) {
	n := numbers{"5395782640917331": true, "4929881277409": true, "6037194855028617446": true}
	for in, want := range map[string]string{
		"5395782640917331": "5395782640917331", "x5395-7826-4091-7331y": "5395782640917331", "5395 7826 4091 7331": "5395782640917331",
		"5-3 9-5 7-8 2-6 4-0 9-1 7-3 3-1": "5395782640917331", "99995395782640917331999": "5395782640917331",
		"4929881277409": "4929881277409", "6037-1948-5502-8617-446": "6037194855028617446",
		strings.Repeat("7", 1000) + "5395782640917331": "5395782640917331",
		"5395--7826-4091-7331":                         "", "5395.7826.4091.7331": "", "539578264091733": "", "************7331": "",
	} {
		if got := n.in([]byte(in)); want == "" && got != nil || want != "" && !got[want] {
			t.Errorf("%.60q: %v, want %q", in, got, want)
		}
	}
}
