package config

import (
	"fmt"
	"slices"
	"strings"
)

// shortest is how long a name must be for others to be taken for a slip of it. A machine's
// environment has names like PORTS and SORT that mean something else.
const shortest = 5

// misspelt warns of variables that are one slip away from one of ours.
func misspelt(environ, known []string) []string {
	var out []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if slices.Contains(known, name) {
			continue
		}
		if meant := nearest(strings.ToUpper(name), known, 1); meant != "" {
			out = append(out, fmt.Sprintf("the environment has %s, which is not a setting; is it %s that is meant?", name, meant))
		}
	}
	slices.Sort(out)
	return out
}

// nearest is the known name within so many slips, or "".
func nearest(name string, known []string, slips int) string {
	best := ""
	for _, k := range known {
		if len(k) < shortest {
			continue
		}
		if d := distance(name, k); d <= slips {
			best, slips = k, d-1
		}
	}
	return best
}

// distance counts the letters added, left out, changed or exchanged with their neighbours (the
// optimal string alignment distance).
func distance(a, b string) int {
	if d := len(a) - len(b); d > 2 || d < -2 {
		return 3 // far enough
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
