package main

import (
	"fmt"
	"io"
)

// tellOfDisk says, on a line of its own, that the disk is full, and that it is not any more.
func tellOfDisk(p *progress, w io.Writer) func(error) {
	return func(err error) {
		p.clear()
		if err == nil {
			fmt.Fprintln(w, "angelowl: the disk has room again; going on")
			return
		}
		fmt.Fprintf(w, "angelowl: %v.\n  Until then no file is taken, no row is rewarded and no rule changes. Nothing that was accepted is lost,\n"+
			"  and when there is room it goes on by itself.\n", err)
	}
}
