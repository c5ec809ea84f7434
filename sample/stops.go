package sample

import "fmt"

// Stops finds stop strings in a text that arrives in pieces, and holds back what may
// still become one. The text stops where the first stop string is complete; of those
// that are complete at the same byte, the longest counts. The stop string and what
// follows it are not emitted. Where pieces end makes no difference to the text that
// is emitted, and bytes are held only from the start of a stop string's own prefix on,
// so that pieces of whole characters give pieces of whole characters.
//
// Each stop string has its own Knuth–Morris–Pratt automaton, so the time is linear in
// the text for each of them. The zero value stops at nothing.
type Stops struct {
	patterns []pattern
	held     []byte // the longest end of the text that begins a stop string
	stopped  bool
}

// A pattern matches one string.
type pattern struct {
	text string
	fail []int // fail[n] is the longest proper prefix of text[:n] that also ends it
	at   int   // bytes of text that the input ends with
}

// NewStops returns a matcher of strings, none of which may be empty or longer than 65,536
// bytes.
func NewStops(strings ...string) (*Stops, error) {
	s := &Stops{}
	for i, text := range strings {
		if text == "" || len(text) > maxStop {
			return nil, fmt.Errorf("sample: stop string %d: %d bytes, want 1 to %d", i, len(text), maxStop)
		}
		p := pattern{text: text, fail: make([]int, len(text)+1)}
		for n := 1; n < len(text); n++ {
			p.step(text[n])
			p.fail[n+1] = p.at
		}
		p.at = 0
		s.patterns = append(s.patterns, p)
	}
	return s, nil
}

// step reads one byte and reports whether text is complete. While fail is being built it
// uses only entries that exist.
func (p *pattern) step(b byte) bool {
	for p.at > 0 && (p.at == len(p.text) || p.text[p.at] != b) {
		p.at = p.fail[p.at]
	}
	if p.text[p.at] == b {
		p.at++
	}
	return p.at == len(p.text)
}

// Push reads the next piece and returns the text that may be shown, and whether a stop
// string is complete. After that it emits nothing more.
func (s *Stops) Push(piece string) (emit string, stopped bool) {
	if s.stopped {
		return "", true
	}
	if len(s.patterns) == 0 {
		return piece, false
	}
	start := len(s.held)
	s.held = append(s.held, piece...)
	for i := start; i < len(s.held); i++ {
		longest := 0
		for j := range s.patterns {
			if p := &s.patterns[j]; p.step(s.held[i]) {
				longest = max(longest, len(p.text))
			}
		}
		if longest > 0 {
			s.stopped = true
			emit = string(s.held[:i+1-longest])
			s.held = nil
			return emit, true
		}
	}
	begun := 0
	for i := range s.patterns {
		begun = max(begun, s.patterns[i].at)
	}
	shown := len(s.held) - begun
	emit = string(s.held[:shown])
	s.held = s.held[shown:]
	return emit, false
}

// Completes reports whether Push of piece would find a stop string. It changes nothing.
func (s *Stops) Completes(piece string) bool {
	for _, p := range s.patterns { // copies: each goes on from where it is
		for i := range len(piece) {
			if p.step(piece[i]) {
				return true
			}
		}
	}
	return false
}

// Flush returns what is held back: the end of a text that no stop string ended. The next
// text begins afresh.
func (s *Stops) Flush() string {
	rest := string(s.held)
	s.held, s.stopped = s.held[:0], false
	for i := range s.patterns {
		s.patterns[i].at = 0
	}
	return rest
}

// Stopped reports whether a stop string was found.
func (s *Stops) Stopped() bool { return s.stopped }
