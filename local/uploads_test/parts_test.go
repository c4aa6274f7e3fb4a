package uploads_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/ingestor/uploads"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// rows is a file of so many rows, each as long as the others, which is made as it is read.
type rows int64

// one is a row.
func (rows) one(n int64) string {
	return fmt.Sprintf("%08x-467d-48aa-96ab-d79394710a2b,%s,Kaligo,5122,SGD,1.01,,ref-%08x,2021-09-01,4462-0971-1327-7064,scis_premiummiles\n", n+1, card1, n)
}

func (r rows) size() int64 { return int64(len(header)) + int64(r)*int64(len(r.one(0))) }

// ReadAt is io.ReaderAt's.
func (r rows) ReadAt(b []byte, off int64) (n int, err error) {
	each := int64(len(r.one(0)))
	for n < len(b) {
		from := header
		at := off
		if off >= int64(len(header)) {
			row := (off - int64(len(header))) / each
			if row >= int64(r) {
				return n, io.EOF
			}
			from, at = r.one(row), (off-int64(len(header)))%each
		}
		k := copy(b[n:], from[at:])
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

// putPart sends a part to its URL, and returns its ETag.
func (y *system) putPart(p uploads.Part, file io.ReaderAt, status int) string {
	y.t.Helper()
	req, err := http.NewRequestWithContext(y.t.Context(), http.MethodPut, p.URL, io.NewSectionReader(file, p.Offset, p.Size))
	if err != nil {
		y.t.Fatal(err)
	}
	req.ContentLength = p.Size
	res, err := y.http.Do(req)
	if status == http.StatusForbidden && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) {
		return "" // a server need not read what it refuses, and its answer may be lost with the connection
	}
	if err != nil {
		y.t.Fatal(err)
	}
	answer, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != status {
		y.t.Fatalf("part %d: %d %s %v, want %d", p.Number, res.StatusCode, answer, err, status)
	}
	return res.Header.Get("ETag")
}

type sent struct {
	Number int32  `json:"number"`
	ETag   string `json:"etag"`
}

// finish asks to complete an upload, and holds the answer to a status and a code of errors.
func (y *system) finish(who string, role token.Role, id string, parts []sent, status int, code, says string) {
	y.t.Helper()
	body, err := json.Marshal(map[string]any{"parts": parts})
	if err != nil {
		y.t.Fatal(err)
	}
	r := y.askAs(y.signer.Token(y.t, who, role), "POST", "/upload/"+id+"/complete", string(body))
	if r.StatusCode != status || code != "" && !strings.Contains(r.Body, `"code":"`+code+`"`) || !strings.Contains(r.Body, says) {
		y.t.Errorf("%d %s, want %d %s %q", r.StatusCode, r.Body, status, code, says)
	}
}

// A large file comes in parts, each PUT to a URL of its own. In the short form a large one has more than
// 6 MiB; in the long form it has more than 1 GiB, as for everybody.
func TestALargeFileComesInParts(t *testing.T) {
	cfg, file := uploads.Config{OneGo: 6 << 20, PartSize: 5 << 20}, rows(85_000)
	if os.Getenv("ANGELOWL_LONG") != "" {
		cfg, file = uploads.Config{}, rows((1<<30)/int64(len(file.one(0)))+1)
	}
	y := startWith(t, cfg)
	create := func() (c uploads.Created) {
		t.Helper()
		want(t, y.ask("POST", "/upload", fmt.Sprintf(`{"kind":"spend","filename":"large.csv","size":%d}`, file.size())), 201, &c)
		return c
	}
	c := create()
	end := int64(0)
	for i, p := range c.Parts {
		if p.Number != int32(i+1) || p.Offset != end {
			t.Fatalf("%+v stands behind %d bytes", p, end)
		}
		end += p.Size
	}
	if len(c.Parts) < 3 || end != file.size() || c.URL != "" || len(c.Headers) != 0 {
		t.Fatalf("%d parts of %d bytes, the file has %d: %+v", len(c.Parts), end, file.size(), c)
	}
	if s := y.status(c.ID); s.State != upload.Waiting || s.Received || !strings.Contains(s.Hint, "send the parts to their URLs") {
		t.Errorf("before the parts: %+v", s)
	}
	y.finish(staff, token.Bank, c.ID, nil, 400, "invalid", "the number and the ETag of each part")

	wrong := c.Parts[len(c.Parts)-1]
	wrong.Size++
	y.putPart(wrong, rows(file+1), 403) // not as long as was said

	var parts []sent
	for _, p := range c.Parts {
		if p.Number == 2 {
			parts = append(parts, sent{2, `"0123456789abcdef0123456789abcdef"`})
			continue
		}
		parts = append(parts, sent{p.Number, y.putPart(p, file, 200)})
	}
	const notThose = "the parts are not those that were sent"
	y.finish(staff, token.Bank, c.ID, parts, 400, "invalid", notThose) // one has not come
	parts[1].ETag = y.putPart(c.Parts[1], file, 200)

	// Nothing of what is not right ends the upload, or spoils it.
	without := append([]sent{parts[0]}, parts[2:]...)
	y.finish(staff, token.Bank, c.ID, without, 400, "invalid", fmt.Sprintf("must be all %d parts, each once", len(parts)))
	y.finish(staff, token.Bank, c.ID, append(parts[:len(parts):len(parts)], parts[0]), 400, "invalid", "each once")
	y.finish(staff, token.Bank, c.ID, append(parts[:len(parts):len(parts)], sent{int32(len(parts) + 1), parts[0].ETag}), 400, "invalid", fmt.Sprintf("must be from 1 to %d", len(parts)))
	swapped := append([]sent{{1, parts[1].ETag}, {2, parts[0].ETag}}, parts[2:]...)
	y.finish(staff, token.Bank, c.ID, swapped, 400, "invalid", notThose)
	y.finish(staff, token.Bank, c.ID, append([]sent{{1, ""}}, parts[1:]...), 400, "invalid", "the ETag that the part's PUT answered")
	y.finish(staff, token.Bank, uuid.NewString(), parts, 404, "not_found", "no upload with this id")
	y.finish(other, token.Bank, c.ID, parts, 403, "not_yours", "another account began this upload")
	second := create()
	y.finish(staff, token.Bank, second.ID, parts, 400, "invalid", notThose) // they were sent to the other
	var small uploads.Created
	want(t, y.ask("POST", "/upload", `{"kind":"spend","filename":"small.csv"}`), 201, &small)
	y.finish(staff, token.Bank, small.ID, parts[:1], 409, "no_parts", "PUT the file to its URL")
	if s := y.status(c.ID); s.State != upload.Waiting || s.Received {
		t.Errorf("after what was refused: %+v", s)
	}

	// In any order.
	y.finish(staff, token.Bank, c.ID, append(parts[1:len(parts):len(parts)], parts[0]), 200, "", `"received":true`)
	y.finish(staff, token.Bank, c.ID, parts, 409, "already_complete", "has been completed already")
	y.finish(other, token.Bank, c.ID, parts, 403, "not_yours", "")
	y.ingest(c.ID)
	s := y.status(c.ID)
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, file.size())); err != nil {
		t.Fatal(err)
	}
	if s.State != upload.Queued || s.Rows != (upload.Rows{Read: int64(file), Accepted: int64(file)}) || s.Size != file.size() || s.SHA256 != hex.EncodeToString(sum.Sum(nil)) ||
		s.Totals.Read["SGD"] != json.Number(fmt.Sprintf("%d.%02d", int64(file)*101/100, int64(file)*101%100)) {
		t.Errorf("%+v", s.Report)
	}

	// An admin may end what another began.
	for i, p := range second.Parts {
		parts[i].ETag = y.putPart(p, file, 200)
	}
	y.session.Role = token.Admin
	y.finish(other, token.Admin, second.ID, parts, 200, "", `"received":true`)
}

// What is in the file and what is read of it in parts is the same.
func TestRowsAreMadeAsTheyAreRead(t *testing.T) {
	file := rows(100)
	whole := make([]byte, file.size())
	if n, err := file.ReadAt(whole, 0); err != nil || n != len(whole) {
		t.Fatal(n, err)
	}
	text := header
	for i := range int64(100) {
		text += file.one(i)
	}
	var b bytes.Buffer
	for at := int64(0); at < file.size(); at += 77 {
		if _, err := io.Copy(&b, io.NewSectionReader(file, at, min(77, file.size()-at))); err != nil {
			t.Fatal(err)
		}
	}
	if string(whole) != text || b.String() != text {
		t.Error("they differ")
	}
}
