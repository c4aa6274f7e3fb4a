package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress is a line on a terminal that says what is going on; where there is no terminal it is
// nothing. It may be used by several goroutines at once.
type progress struct {
	w     io.Writer // nil: no terminal
	mu    sync.Mutex
	last  time.Time
	shown bool
}

func newProgress(w io.Writer) *progress {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &progress{w: f}
	}
	return &progress{}
}

// say shows a line in place of the one before, ten times a second at most.
func (p *progress) say(line string) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.last) >= 100*time.Millisecond {
		fmt.Fprintf(p.w, "\r\033[K%s", line)
		p.last, p.shown = now, true
	}
}

// clear takes the line away.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.w, "\r\033[K")
		p.shown = false
	}
}

// bar is "label [####      ] 12 of 30 unit".
func bar(label string, done, all int64, unit string) string {
	const width = 30
	filled := 0
	if all > 0 {
		filled = int(min(done, all) * width / all)
	}
	b := make([]byte, width)
	for i := range b {
		if b[i] = ' '; i < filled {
			b[i] = '#'
		}
	}
	return fmt.Sprintf("%-10s [%s] %d of %d %s", label, b, done, all, unit)
}
