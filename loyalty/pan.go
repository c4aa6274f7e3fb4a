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
	// The four digits that are left may begin another number with what follows them.
	return StarPANs(string(out))
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
// run's ends, the longest first at each place, and do not overlap.
func pansIn(s string, from, to int) []span {
	var found []span
	for start := from; start < to; {
		next := start
		for next < to && s[next] != ' ' && s[next] != '-' {
			next++
		}
		next++
		digits, best := 0, -1
		for end := start; end < to && digits <= 19; end++ {
			if c := s[end]; c < '0' || c > '9' {
				continue
			}
			digits++
			atMark := end+1 == to || s[end+1] == ' ' || s[end+1] == '-'
			if atMark && digits >= minPAN && digits <= maxPAN && luhn(s[start:end+1]) {
				best = end + 1
			}
		}
		if best > 0 {
			found = append(found, span{start, best})
			next = best
			if next < to {
				next++
			}
		}
		start = next
	}
	return found
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
