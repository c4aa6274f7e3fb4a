package loyalty

// A primary account number has 13 to 19 digits (ISO/IEC 7812-1 allows 10 at least; no card scheme
// gives out fewer than 13).
const minPAN, maxPAN = 13, 19

// MaskPAN masks a primary account number to ************1234. It takes 13 to 19 digits with
// hyphens or spaces between them, or a number that is masked already (stars or x, its last four
// digits plain, at most ten digits plain). There is no Luhn check: banks test with made-up numbers.
func MaskPAN(s string) (string, error) {
	digits, masks, tail := 0, 0, 0
	last := [4]byte{}
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			digits++
			tail++
			copy(last[:], last[1:])
			last[3] = c
		case c == '*' || c == 'x' || c == 'X':
			masks++
			tail = 0
		case c == '-' || c == ' ':
		default:
			return "", invalid("card_pan", "not_a_pan", "is not a card number (13 to 19 digits, or a masked one)")
		}
	}
	switch {
	case masks == 0 && digits >= minPAN && digits <= maxPAN:
	case masks > 0 && tail >= 4 && digits <= 10 && digits+masks <= 19:
	default:
		return "", invalid("card_pan", "not_a_pan", "is not a card number (13 to 19 digits, or a masked one)")
	}
	const stars = "************"
	if len(s) == len(stars)+4 && s[:len(stars)] == stars {
		return s, nil // as the log has it
	}
	return stars + string(last[:]), nil
}

// StarPANs stars all but the last four digits of whatever looks like a card number in a text: a
// run of 13 to 19 digits, single spaces or hyphens allowed between them, that passes the Luhn
// check. In a longer run that is split by such marks, the numbers that begin and end at a mark
// are looked at too. It returns s itself when there is none.
func StarPANs(s string) string {
	var out []byte
	for i := 0; i < len(s); {
		if s[i] < '0' || s[i] > '9' {
			i++
			continue
		}
		end := runEnd(s, i)
		if end-i < minPAN { // too short for any
			i = end
			continue
		}
		for _, m := range pansIn(s, i, end) {
			if out == nil {
				out = []byte(s)
			}
			plain := 4
			for j := m.to - 1; j >= m.from; j-- {
				if c := s[j]; '0' <= c && c <= '9' {
					if plain > 0 {
						plain--
					} else {
						out[j] = '*'
					}
				}
			}
		}
		i = end
	}
	if out == nil {
		return s
	}
	return string(out)
}

type span struct{ from, to int }

// runEnd is the end of the run of digits and single marks that begins at i.
func runEnd(s string, i int) int {
	end := i
	for end < len(s) {
		c := s[end]
		switch {
		case '0' <= c && c <= '9':
			end++
		case (c == ' ' || c == '-') && end+1 < len(s) && '0' <= s[end+1] && s[end+1] <= '9':
			end++
		default:
			return end
		}
	}
	return end
}

// pansIn finds the card numbers of the run s[from:to], which begin and end at a mark or at the
// run's ends, the longest first at each place, and do not overlap; and then those that the four
// digits left of one begin with what follows them. Its time is in proportion to the run: a stranger
// chooses how long that is.
func pansIn(s string, from, to int) []span {
	var found []span
	for start := from; start < to; {
		next := behindMark(s, start, to)
		if end := panAt(s, start, to); end > 0 {
			found = append(found, span{start, end})
			next = end
			if next < to {
				next++
			}
		}
		start = next
	}
	for i, n := 0, len(found); i < n; i++ {
		limit := to
		if i+1 < n {
			limit = found[i+1].from - 1 // the mark before it
		}
		for last, ok := found[i], true; ok; {
			if last, ok = panInTail(s, last, limit); ok {
				found = append(found, last)
			}
		}
	}
	return found
}

// panAt is the end of the longest card number that begins at start, or 0.
func panAt(s string, start, to int) int {
	digits, best := 0, 0
	for end := start; end < to && digits <= maxPAN; end++ {
		if c := s[end]; c < '0' || c > '9' {
			continue
		}
		digits++
		atMark := end+1 == to || s[end+1] == ' ' || s[end+1] == '-'
		if atMark && digits >= minPAN && digits <= maxPAN && luhn(s[start:end+1]) {
			best = end + 1
		}
	}
	return best
}

// panInTail finds a card number that begins in the last four digits of another.
func panInTail(s string, last span, to int) (span, bool) {
	start := last.to
	for digits := 0; digits < 4; {
		if start--; '0' <= s[start] && s[start] <= '9' {
			digits++
		}
	}
	for ; start < last.to; start = behindMark(s, start, to) {
		if end := panAt(s, start, to); end > 0 {
			return span{start, end}, true
		}
	}
	return span{}, false
}

// behindMark is the place behind the next mark.
func behindMark(s string, i, to int) int {
	for i < to && s[i] != ' ' && s[i] != '-' {
		i++
	}
	return i + 1
}

// luhn is the check of ISO/IEC 7812-1, annex B.
func luhn(s string) bool {
	sum, double := 0, false
	for i := len(s) - 1; i >= 0; i-- {
		c := s[i]
		if c < '0' || c > '9' {
			continue
		}
		d := int(c - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		double = !double
		sum += d
	}
	return sum%10 == 0
}
