// Package password hashes passwords by argon2id, says which ones are too easy, and makes random ones.
//
// A hash costs 19 MiB and some milliseconds of a processor on purpose (OWASP's and RFC 9106's second
// choice: m=19456, t=2, p=1), so only so many are made at once: the memory that sign-ins take is
// bounded however many come.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/angelowl-loyalties/app/loyalty/web"
	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// What a hash made today costs.
const (
	memory  = 19 << 10 // KiB
	passes  = 2
	lanes   = 1
	saltLen = 16
	keyLen  = 32
)

// MemoryPerHash is how many bytes one hash takes while it is made.
const MemoryPerHash = memory << 10

// ErrBusy is what whoever comes to a queue that is full is told.
var ErrBusy = &web.Error{Status: http.StatusServiceUnavailable, Code: "busy", Message: "too many people sign in at this moment; try again in a few seconds"}

// Cost is what a hash costs whoever makes it, and whoever guesses.
type Cost struct{ MemoryKiB, Passes uint32 }

// Today is the cost of hashes made today.
var Today = Cost{memory, passes}

// Hasher makes hashes, a bounded number at once. It may be used by several goroutines at once.
type Hasher struct {
	cost    Cost
	running chan struct{}
	waiting chan struct{}
	made    atomic.Int64
}

// NewHasher returns a hasher that makes at most parallel hashes at once while at most queue more wait.
func NewHasher(parallel, queue int) *Hasher { return NewHasherOf(Today, parallel, queue) }

// NewHasherOf is NewHasher of another cost. Less than Today is for tests alone (package passwordtest).
func NewHasherOf(cost Cost, parallel, queue int) *Hasher {
	return &Hasher{cost: cost, running: make(chan struct{}, max(parallel, 1)), waiting: make(chan struct{}, max(parallel, 1)+max(queue, 0))}
}

// Parallel is how many hashes are made at once by the process's own hasher: more than there are
// processors would only take memory.
func Parallel() int { return min(max(runtime.GOMAXPROCS(0), 1), 8) }

// shared is the process's hasher. The memory that it bounds is the process's, so there is one.
var shared = NewHasher(Parallel(), 256)

// Shared is the hasher behind Hash and Verify.
func Shared() *Hasher { return shared }

// Hash is Hasher.Hash of the process's hasher.
func Hash(ctx context.Context, plain string) (string, error) { return shared.Hash(ctx, plain) }

// Verify is Hasher.Verify of the process's hasher.
func Verify(ctx context.Context, plain, hash string) (Verdict, error) {
	return shared.Verify(ctx, plain, hash)
}

// Made is how many hashes were made so far, those that did not fit among them.
func (h *Hasher) Made() int64 { return h.made.Load() }

// Hash returns a password's hash in the PHC string format. Its errors are ErrBusy and ctx's.
func (h *Hasher) Hash(ctx context.Context, plain string) (string, error) {
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt) // never fails
	p := params{h.cost.MemoryKiB, h.cost.Passes, lanes}
	key, err := h.key(ctx, plain, p, salt, keyLen)
	if err != nil {
		return "", err
	}
	return encode(p, salt, key), nil
}

// Verdict is what a password is worth.
type Verdict struct {
	OK     bool
	Rehash bool // it is OK, and the hash cost less than one made today: make it anew
}

// Verify compares a password with a hash. Its errors are ErrBusy, ctx's, and that hash is none.
func (h *Hasher) Verify(ctx context.Context, plain, hash string) (Verdict, error) {
	p, salt, want, err := decode(hash)
	if err != nil {
		return Verdict{}, err
	}
	got, err := h.key(ctx, plain, p, salt, uint32(len(want)))
	if err != nil {
		return Verdict{}, err
	}
	ok := subtle.ConstantTimeCompare(got, want) == 1
	return Verdict{OK: ok, Rehash: ok && (p.memory < h.cost.MemoryKiB || p.passes < h.cost.Passes || len(want) < keyLen)}, nil
}

// Dummy is the hash of no password. To verify against it takes as long as against a real one.
var Dummy = encode(params{memory, passes, lanes}, make([]byte, saltLen), make([]byte, keyLen))

// key makes a hash when it is its turn.
func (h *Hasher) key(ctx context.Context, plain string, p params, salt []byte, length uint32) ([]byte, error) {
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return nil, ErrBusy
	}
	select {
	case h.running <- struct{}{}:
		defer func() { <-h.running }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to hash a password: %w", context.Cause(ctx))
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("waiting to hash a password: %w", err)
	}
	h.made.Add(1)
	return argon2.IDKey([]byte(norm.NFKC.String(plain)), salt, p.passes, p.memory, p.lanes, length), nil
}

// params are argon2's.
type params struct {
	memory, passes uint32
	lanes          uint8
}

// encode writes the PHC string format (github.com/P-H-C/phc-string-format).
func encode(p params, salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.passes, p.lanes, b64.EncodeToString(salt), b64.EncodeToString(key))
}

var errHash = errors.New("a stored hash is not argon2id in the PHC string format")

// decode reads it. A hash from the database may cost at most what a machine can bear.
func decode(s string) (p params, salt, key []byte, err error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, errHash
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); n != 3 || err != nil ||
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.passes, p.lanes) {
		return p, nil, nil, errHash
	}
	salt, errSalt := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	key, errKey := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if errSalt != nil || errKey != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 ||
		p.memory < 8 || p.memory > 64<<10 || p.passes < 1 || p.passes > 10 || p.lanes < 1 || p.lanes > 4 {
		return p, nil, nil, errHash
	}
	return p, salt, key, nil
}

// letters are those that are not taken for others when they are read from paper.
const letters = "abcdefghjkmnpqrstuvwxyz23456789"

// Random makes a password of 99 random bits in four groups that can be typed.
func Random() string {
	var b strings.Builder
	for i := range 20 {
		if i > 0 && i%5 == 0 {
			b.WriteByte('-')
		}
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		if err != nil {
			panic(err) // crypto/rand never fails
		}
		b.WriteByte(letters[n.Int64()])
	}
	return b.String()
}
