// Package upload is what an uploaded file is to all who deal with it: its keys in S3, who asked for it,
// and the report of what became of each of its rows, for files of spend and of users alike.
//
// The state of an upload is its objects. In the bucket of the reports, under <kind>/<id>/, stand
//
//	request.json     who asked for the upload and when; not there for a file that was dropped into the bucket
//	checkpoint.json  how far the file has been read, while it is
//	report.json      what became of it
//	refused.csv      the rows that were refused, to be mended and sent again
//
// and beside them content/<sha256>.json, the first upload with that content, and pending/<kind>/<id>
// while a report waits to be reconciled.
package upload

import (
	"encoding/json"
	"path"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
)

// Kind is what a file holds.
type Kind string

// The kinds of files.
const (
	Spend Kind = "spend" // card transactions
	Users Kind = "users" // cardholders and their cards
)

// Valid says whether it is one of the above.
func (k Kind) Valid() bool { return k == Spend || k == Users }

// NewID is the id of a new upload: a UUIDv7, by which uploads of one second are in order, and one that
// nobody takes for a card number, which logs and reports would star.
func NewID() (string, error) { return newID(uuid.NewV7) }

func newID(random func() (uuid.UUID, error)) (string, error) {
	for {
		id, err := random()
		if err != nil {
			return "", err
		}
		if s := id.String(); loyalty.StarPANs(s) == s {
			return s, nil
		}
	}
}

// Key is the key of a new upload in the bucket of its kind.
func Key(k Kind, id string) string { return string(k) + "/" + id + ".csv" }

// ID is the id of the upload that an object is: the UUID in the keys that this system gives out
// (<kind>/<uuid>.csv, and .csv.gz), else the UUIDv5 of the object's URL s3://bucket/key.
func ID(k Kind, bucket, key string) string {
	if dir, name := path.Split(key); dir == string(k)+"/" {
		name = strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".csv")
		if id, err := loyalty.ParseUUID(name); err == nil && id.String() == name {
			return name
		}
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("s3://"+bucket+"/"+key)).String()
}

func object(k Kind, id, name string) string { return string(k) + "/" + id + "/" + name }

// ReportKey is the key of a report. It is written last: when it is there, the file has been dealt with.
func ReportKey(k Kind, id string) string { return object(k, id, "report.json") }

// RefusedKey is the key of the refused rows. They are not there when the file as a whole could not be read.
func RefusedKey(k Kind, id string) string { return object(k, id, "refused.csv") }

// RequestKey is the key of the request for an upload.
func RequestKey(k Kind, id string) string { return object(k, id, "request.json") }

// CheckpointKey is the key of the place up to which a file has been read.
func CheckpointKey(k Kind, id string) string { return object(k, id, "checkpoint.json") }

// PendingPrefix is that of the reports that wait to be reconciled.
const PendingPrefix = "pending/"

// PendingKey is the key of an object without content: the report waits to be reconciled.
func PendingKey(k Kind, id string) string { return PendingPrefix + string(k) + "/" + id }

// ContentKey is the key of the object that names the first upload of a content.
func ContentKey(k Kind, sha256 string) string { return "content/" + string(k) + "/" + sha256 + ".json" }

// ControlSuffix is what the key of a side-car has behind the key of its file: a Control as JSON.
const ControlSuffix = ".control.json"

// Request says who asked for an upload.
type Request struct {
	Upload    string    `json:"upload"`
	Kind      Kind      `json:"kind"`
	Key       string    `json:"key"`
	File      string    `json:"file"` // the name at the sender's; PANs in it are starred
	Size      int64     `json:"size,omitempty"`
	By        string    `json:"by"` // the account's id
	Role      string    `json:"role"`
	At        time.Time `json:"at"`
	ExpiresAt time.Time `json:"expires_at"`
	Control   *Control  `json:"control,omitempty"`
	Multipart string    `json:"multipart,omitempty"` // S3's id, where the file comes in parts
	Parts     int32     `json:"parts,omitempty"`
}

// Report is what became of an uploaded file. Rows.Read = Rows.Accepted + Rows.Refused, and
// likewise for the totals of each currency.
type Report struct {
	Upload      string     `json:"upload"` // its id
	Kind        Kind       `json:"kind"`
	Bucket      string     `json:"bucket"`
	Key         string     `json:"key"`              // PANs in it are starred
	File        string     `json:"file"`             // the name that the sender gave it, else the key
	RequestedBy string     `json:"requested_by"`     // the account that asked for the upload; "" when the file was dropped into the bucket
	RequestedAt *time.Time `json:"requested_at"`     // null likewise
	Size        int64      `json:"size"`             // bytes, as stored
	ETag        string     `json:"etag"`             // S3's, without quotes
	SHA256      string     `json:"sha256,omitempty"` // of the bytes as stored, when all were read
	StartedAt   time.Time  `json:"started_at"`
	FinishedAt  time.Time  `json:"finished_at"` // of reading
	State       State      `json:"state"`
	Code        string     `json:"code,omitempty"`  // of Error, snake_case
	Error       string     `json:"error,omitempty"` // what is wrong with the file and what to do, in plain words
	Warnings    []string   `json:"warnings"`        // what somebody should look at, in plain words

	Rows            Rows            `json:"rows"`
	RefusedByReason []RefusedReason `json:"refused_by_reason"` // the most frequent first
	Totals          Totals          `json:"totals"`            // control totals

	Control *Checked `json:"control,omitempty"` // where the bank sent its own totals
	Repeats *Repeat  `json:"repeats,omitempty"` // where the same content came before

	Topic  string  `json:"topic,omitempty"` // where the rows went
	Ranges []Range `json:"ranges,omitempty"`

	Outcome *Outcome `json:"outcome,omitempty"` // of spend, once it is reconciled
	Users   *Entered `json:"users,omitempty"`   // of users, whose report is reconciled when it is written
}

// Entered is what became of the accepted rows of a file of users.
type Entered struct {
	Created        int64 `json:"created"` // the user, the card, or both
	Changed        int64 `json:"changed"`
	Unchanged      int64 `json:"unchanged"`
	FirstPasswords int64 `json:"first_passwords"` // users whose first password was asked for; where a run was cut short, some may count twice, and get one mail
}

// State says how far an upload came.
type State string

// The states, in their order. A report has one of the last three; the others are seen by its objects.
const (
	Waiting    State = "waiting"    // for the file, or for its turn
	Reading    State = "reading"    // a part of it has been read
	Queued     State = "queued"     // every row was read, and the accepted ones are acknowledged by Kafka (or profiler)
	Rewarded   State = "rewarded"   // some of the rows have been rewarded
	Reconciled State = "reconciled" // what became of each row is known
	// Failed: the file as a whole, or its rest, cannot be read. Rows counts what was dealt with
	// before that; sending the file again, mended and whole, counts none of them twice.
	Failed State = "failed"
)

// Rows counts rows; the header and blank lines are none.
type Rows struct {
	Read     int64 `json:"read"`
	Accepted int64 `json:"accepted"`
	Refused  int64 `json:"refused"`
}

// RefusedReason counts the rows refused for one reason. A row with several counts for the first.
type RefusedReason struct {
	Field string  `json:"field"` // "" when the fields could not be told apart
	Code  string  `json:"code"`
	Rows  int64   `json:"rows"`
	Money Amounts `json:"money"`
}

// Totals are sums of amounts. A refused row counts where its amount and currency could be read.
type Totals struct {
	Read     Amounts `json:"read"`
	Accepted Amounts `json:"accepted"`
	Refused  Amounts `json:"refused"`
}

// Amounts are exact decimals by currency code.
type Amounts map[string]json.Number

// Repeat is an upload whose content was the same.
type Repeat struct {
	Upload string    `json:"upload"`
	File   string    `json:"file"`
	At     time.Time `json:"at"` // when it had been read
}

// Range is a part of a partition: the records of the file are among those from First to Last.
type Range struct {
	Partition int32 `json:"partition"`
	First     int64 `json:"first"`
	Last      int64 `json:"last"`
}

// Tally counts rows and sums their money.
type Tally struct {
	Rows  int64   `json:"rows"`
	Money Amounts `json:"money"`
}

// Outcome is what the rules made of the accepted rows, each of which is counted once: their number is
// the sum of the seven tallies, and Missing is 0 when all went well.
type Outcome struct {
	At          time.Time   `json:"at"`
	Rewarded    Tally       `json:"rewarded"`
	NoCampaign  Tally       `json:"no_campaign"`
	Excluded    Reasons     `json:"excluded"`
	DeadLetters DeadLetters `json:"dead_letters"`
	Duplicates  Tally       `json:"duplicates"` // had arrived before, the same in every field
	Conflicts   Conflicts   `json:"conflicts"`  // had arrived before, with other fields; what came first counts
	Missing     Tally       `json:"missing"`    // neither rewarded nor set aside
	Programmes  []Programme `json:"programmes"` // what the rows earned, by card type
	MoneyIn     Amounts     `json:"money_in"`   // purchases among the rewarded, unrewarded and excluded rows
	MoneyOut    Amounts     `json:"money_out"`  // refunds among them, below 0
}

// Reasons is a Tally with its parts.
type Reasons struct {
	Tally
	ByReason map[string]Tally `json:"by_reason"`
}

// MaxListed is how many rows a report lists of a kind; beyond, it counts them.
const MaxListed = 1000

// DeadLetters are the rows that no rule could be applied to.
type DeadLetters struct {
	Reasons
	Listed []DeadLetter `json:"listed"` // the first MaxListed of the topic, by line
}

// DeadLetter is a row that was set aside.
type DeadLetter struct {
	ID     string `json:"id"` // of the dead letter, by which it is sent again
	Line   int64  `json:"line"`
	Reason string `json:"reason"`
	Detail string `json:"detail"` // plain words
}

// Conflicts are the rows whose identity another transaction has.
type Conflicts struct {
	Tally
	Listed []Conflict `json:"listed"` // the first MaxListed
}

// Conflict shows both versions.
type Conflict struct {
	Line  int64               `json:"line"`
	First loyalty.Transaction `json:"first"` // what counts
	This  loyalty.Transaction `json:"this"`
}

// Programme is what the cards of a type earned.
type Programme struct {
	CardType  string      `json:"card_type"`
	Programme string      `json:"programme"`
	Unit      string      `json:"unit"`
	Rows      int64       `json:"rows"`
	Units     json.Number `json:"units"`
	Money     Amounts     `json:"money"` // that earned them
}
