package outage_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/angelowl-loyalties/app/local/disk"
)

const (
	// diskSize is a disk on which all of it fits, in MiB: the logs of etcd and of the reward store take
	// 230 of them before the first row, and 320 must be free again before the work goes on.
	diskSize = 1024
	fileRows = 40_000
)

// much is a file of the rows of the example under other ids; from makes files differ.
func much(t *testing.T, from, rows int) []byte {
	t.Helper()
	example, err := os.ReadFile(spendFile)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Collect(strings.Lines(string(example)))
	var b bytes.Buffer
	b.WriteString(all[0])
	for i := range rows {
		row := all[1+i%(len(all)-1)]
		id := uuid.NewSHA1(uuid.Nil, []byte(strconv.Itoa(from+i))).String()
		b.WriteString(`"` + id + row[1+len(id):])
	}
	return b.Bytes()
}

// results are what `angelowl process` makes of files.
type results struct {
	rewards []byte
	refused map[string]bool // ids
}

func process(t *testing.T, files ...[]byte) results {
	t.Helper()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	args := append([]string{"process", "--out", out}, toronto...)
	for i, f := range files {
		path := filepath.Join(dir, fmt.Sprintf("%d.csv", i))
		if err := os.WriteFile(path, f, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	if code, _, stderr := angelowl(t, args...); code != 0 {
		t.Fatalf("angelowl process ended with %d\n%s", code, stderr)
	}
	var r results
	var err error
	if r.rewards, err = os.ReadFile(filepath.Join(out, "rewards.jsonl")); err != nil {
		t.Fatal(err)
	}
	r.refused = refusedRows(t, filepath.Join(out, "refused.csv"))
	return r
}

// refusedRows are the ids of the rows of a refused.csv.
func refusedRows(t *testing.T, path string) map[string]bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	ids, id := map[string]bool{}, slices.Index(rows[0], "id")
	for _, row := range rows[1:] {
		ids[row[id]] = true
	}
	return ids
}

// slow is a body that stops in the middle until it is let go.
type slow struct {
	io.Reader
	half chan struct{} // closed when half of it is sent
}

func newSlow(file []byte, goOn <-chan struct{}) *slow {
	s := &slow{half: make(chan struct{})}
	n := len(file) / 2
	s.Reader = io.MultiReader(bytes.NewReader(file[:n]), gate{s.half, goOn}, bytes.NewReader(file[n:]))
	return s
}

type gate struct {
	reached chan struct{}
	goOn    <-chan struct{}
}

func (g gate) Read([]byte) (int, error) {
	close(g.reached)
	<-g.goOn
	return 0, io.EOF
}

// The disk with the data fills to the last page while a file is read and its rows are rewarded. It is
// told, in plain words and everywhere; nothing is lost, and when there is room again all of it is
// done, by itself or after the next start.
func TestTheDiskFills(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: filling a disk takes its time")
	}
	t.Parallel()
	file, second, third := much(t, 0, fileRows), much(t, fileRows, 300), much(t, 2*fileRows, 100)
	want := process(t, file, second, third)

	for _, c := range []struct {
		name string
		// full is what happens while it is full. It returns whether the system still runs.
		full func(t *testing.T, s *system) bool
	}{
		{"and has room again", func(t *testing.T, s *system) bool { return true }},
		{"and a person stops it", func(t *testing.T, s *system) bool {
			if code := s.interrupt(); code != 0 && code != 1 {
				t.Errorf("Ctrl-C ends it with %d", code)
			}
			return false
		}},
		{"and it is killed", func(t *testing.T, s *system) bool {
			s.kill()
			return false
		}},
		{"and etcd has to write", func(t *testing.T, s *system) bool {
			exhaustEtcd(t, s)
			if code := s.end(); code != 1 {
				t.Errorf("it ends with %d, want 1", code)
			}
			for _, part := range []string{"angelowl: the disk with the data folder " + s.data + " is full", "etcd has stopped", "Nothing that was accepted is lost", "then start again"} {
				if !strings.Contains(s.errors(), part) {
					t.Errorf("it does not say %q", part)
				}
			}
			return false
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mount := smallDisk(t, diskSize)
			data := filepath.Join(mount, "data")
			s := up(t, data)
			uploads := []string{uuid.NewString(), uuid.NewString(), uuid.NewString()}

			// One file is read, half of another has come.
			if status, answer := s.call("PUT", s.presigned(uploads[0]), bytes.NewReader(file)); status != 200 {
				t.Fatalf("uploading: %d %s", status, answer)
			}
			goOn := make(chan struct{})
			body := newSlow(second, goOn)
			type answer struct {
				status int
				text   string
			}
			halfSent := make(chan answer, 1)
			url := s.presigned(uploads[1])
			go func() {
				status, text, err := send(t.Context(), fresh, "PUT", url, body, int64(len(second)))
				if err != nil {
					t.Error(err)
				}
				halfSent <- answer{status, text}
			}()
			<-body.half
			s.await("some rows are rewarded", func() bool { rows, _ := s.rewarders(); return rows > 1000 })
			empty := fill(t, mount)

			s.await("it says so where it was started", func() bool {
				return strings.Contains(s.errors(), "angelowl: the disk with the data folder "+data+" is full: ")
			})
			var rows int64
			s.await("the rewarder pauses and says why", func() bool {
				var reasons []string
				rows, reasons = s.rewarders()
				// Of the reward store it hears so itself; Kafka, as Kafka does everywhere, calls it a disk error.
				return slices.ContainsFunc(reasons, func(reason string) bool {
					return strings.Contains(reason, "the disk with the data folder "+data+" is full") || strings.Contains(reason, sarama.ErrKafkaStorageError.Error())
				})
			})
			t.Logf("it is full with %d of %d rows rewarded", rows, fileRows)
			if rows >= fileRows-int64(len(want.refused)) {
				t.Error("the disk was not full in time")
			}
			statusSays(t, data)
			if status, text := s.call("DELETE", s.url+"/campaign/"+uuid.NewString(), nil); status != 507 || !strings.Contains(text, `"disk_full"`) {
				t.Errorf("a change of the rules is answered %d %s", status, text)
			}
			if status, text := s.call("GET", s.url+"/campaign", nil); status != 200 {
				t.Errorf("reading is answered %d %s", status, text)
			}
			refused := func(what string, a answer) {
				t.Helper()
				if a.status != 507 || !strings.Contains(a.text, "<Code>InsufficientStorage</Code>") ||
					!strings.Contains(a.text, "Nothing of it was kept. Free space on the disk, then send it again.") {
					t.Errorf("%s is answered %d %s", what, a.status, a.text)
				}
			}
			status, text := s.call("PUT", s.presigned(uploads[2]), bytes.NewReader(third))
			refused("a file for a full disk", answer{status, text})
			close(goOn)
			half := <-halfSent
			if half.status != 200 { // it had its room, or not
				refused("a file of which half was there", half)
			}
			t.Logf("the file of which half was there is answered %d", half.status)

			runs := c.full(t, s)
			if !runs {
				noCrash(t, s)
				code, _, stderr := angelowl(t, append([]string{"up", "--data", data, "--listen", "127.0.0.1:0"}, toronto...)...)
				if code != 1 || !strings.Contains(stderr, "nothing was started, for the disk with the data folder "+data+" is full") {
					t.Errorf("a start on a full disk ends with %d\n%s", code, stderr)
				}
			}
			empty()
			if !runs {
				s = up(t, data)
			} else {
				s.await("it says that it goes on", func() bool {
					return strings.Contains(s.errors(), "angelowl: the disk has room again; going on")
				})
				if n := strings.Count(s.errors(), "angelowl: the disk with the data folder"); n != 1 {
					t.Errorf("it says %d times that the disk is full", n)
				}
			}
			again := []int{2}
			if half.status != 200 {
				again = append(again, 1)
			}
			for _, i := range again {
				if status, text := s.call("PUT", s.presigned(uploads[i]), bytes.NewReader([][]byte{file, second, third}[i])); status != 200 {
					t.Fatalf("uploading again: %d %s", status, text)
				}
			}
			s.finish(uploads...)
			refusals := s.deadLetters()
			if len(refusals) == 0 {
				t.Error("the example has rows that become dead letters, and there are none")
			}
			for _, u := range uploads {
				maps.Copy(refusals, refusedRows(t, filepath.Join(objects(data), reportBucket, "spend", u, "refused.csv")))
			}
			if !maps.Equal(refusals, want.refused) {
				t.Errorf("%d transactions were refused or set aside, process refuses %d", len(refusals), len(want.refused))
			}
			if code := s.interrupt(); code != 0 {
				t.Errorf("Ctrl-C ends it with %d", code)
			}
			noCrash(t, s)
			if got := stored(t, data); !bytes.Equal(got, want.rewards) {
				t.Errorf("%d bytes of rewards are not the %d that process gives", len(got), len(want.rewards))
			}
		})
	}
}

// statusSays holds what the command says of a full disk.
func statusSays(t *testing.T, data string) {
	t.Helper()
	code, stdout, stderr := angelowl(t, "status", "--json", "--data", data)
	var st struct {
		Healthy  bool
		Problems []string
		Lag      int64
		Disk     disk.State
	}
	if err := json.Unmarshal([]byte(stdout), &st); err != nil || code != 0 {
		t.Fatalf("angelowl status ends with %d: %v\n%s", code, err, stderr)
	}
	problem := func(p string) bool {
		return strings.HasPrefix(p, "the disk with the data folder "+data+" is full, ") && strings.HasSuffix(p, "free space on it, and the work goes on by itself")
	}
	if st.Healthy || !st.Disk.Full || st.Disk.Free >= disk.Keep || st.Disk.Keep != disk.Keep || !slices.ContainsFunc(st.Problems, problem) || st.Lag < 1000 {
		t.Errorf("angelowl status says %s", stdout)
	}
}

// noCrash holds that what it said is for people.
func noCrash(t *testing.T, s *system) {
	t.Helper()
	for _, bad := range []string{"panic", "goroutine ", "fatal error", "SIGBUS"} {
		if strings.Contains(s.errors(), bad) {
			t.Errorf("it says %q", bad)
		}
	}
}

// exhaustEtcd makes etcd grow until it cannot.
func exhaustEtcd(t *testing.T, s *system) {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{s.etcd}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	value := strings.Repeat("x", 1<<20)
	for i := range 500 {
		select {
		case <-s.done:
			return
		default:
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := client.Put(ctx, fmt.Sprintf("ballast/%d", i%8), value)
		cancel()
		if err != nil {
			return
		}
	}
	t.Error("etcd writes as if there were room")
}

func TestAFileThatDoesNotFitEndsUpInPlainWords(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: it starts the whole system")
	}
	t.Parallel()
	mount := smallDisk(t, 640)
	path := filepath.Join(t.TempDir(), "large.csv")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 360<<20); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"up", "--data", filepath.Join(mount, "data"), "--listen", "127.0.0.1:0"}, toronto...)
	code, _, stderr := angelowl(t, append(args, path)...)
	want := fmt.Sprintf("angelowl: uploading %s: 360 MiB do not fit on the disk with the data folder %s", path, filepath.Join(mount, "data"))
	if code != 1 || !strings.HasPrefix(stderr, want) || !strings.HasSuffix(stderr, "free space on it, then try again\n") {
		t.Errorf("it ends with %d and says\n%s\nwant %s…", code, stderr, want)
	}
}
