package terminal

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Clean returns s without anything that could act on a terminal: escape sequences
// are removed, and so is every control character but newline and tab.
func Clean(s string) string {
	var b strings.Builder
	c := Cleaner{out: &b}
	c.WriteString(s) // a strings.Builder does not fail
	return b.String()
}

// Cleaner is a writer that passes text on to a terminal as Clean would make it,
// also when an escape sequence is spread over several writes. Writes hold whole
// characters.
//
// What a model says is chosen by whoever chose the picture: without this a page of
// a document could move the cursor over an earlier answer, set the window's title, or
// write to the clipboard (OSC 52).
type Cleaner struct {
	out   io.Writer
	state cleanState
	runes int // of the sequence that is being dropped
}

// NewCleaner returns a Cleaner that writes to out.
func NewCleaner(out io.Writer) *Cleaner { return &Cleaner{out: out} }

type cleanState uint8

const (
	inText         cleanState = iota
	inEscape                  // after ESC
	inControl                 // CSI: parameters, until a byte of 0x40–0x7E
	inString                  // OSC, DCS, APC, PM, SOS: until BEL, ST or the end of the line
	inStringEscape            // ESC within a string: ESC \ ends it
)

// maxSequence bounds what one escape sequence may swallow. An opening without an end
// would otherwise hide the rest of the answer.
const maxSequence = 4096

// Write writes p cleaned. It reports len(p) unless the terminal fails.
func (c *Cleaner) Write(p []byte) (int, error) {
	kept := make([]byte, 0, len(p))
	for rest := p; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1: // a byte that is no text: 0x9B alone is CSI to some terminals
			kept = utf8.AppendRune(kept, utf8.RuneError)
		case c.keep(r):
			kept = append(kept, rest[:size]...)
		}
		rest = rest[size:]
	}
	if _, err := c.out.Write(kept); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteString is Write of a string.
func (c *Cleaner) WriteString(s string) (int, error) { return c.Write([]byte(s)) }

// keep advances the state by one character and reports whether it is text.
func (c *Cleaner) keep(r rune) bool {
	if c.state != inText {
		c.runes++
		if r == '\n' || c.runes > maxSequence {
			c.state = inText // and what follows is read as text again
		}
	}
	switch c.state {
	case inEscape:
		c.state = afterEscape(r)
		return false
	case inControl:
		if r < 0x20 || r > 0x3F {
			c.state = inText
		}
		return false
	case inString:
		switch r {
		case 0x07, 0x9C:
			c.state = inText
		case 0x1B:
			c.state = inStringEscape
		}
		return false
	case inStringEscape:
		c.state = inText
		return false
	}
	switch {
	case r == '\n' || r == '\t':
		return true
	case r == 0x1B:
		c.state, c.runes = inEscape, 0
	case r == 0x9B:
		c.state, c.runes = inControl, 0
	case r == 0x90 || r == 0x98 || r == 0x9D || r == 0x9E || r == 0x9F:
		c.state, c.runes = inString, 0
	}
	return r >= 0x20 && r < 0x7F || r > 0x9F
}

// afterEscape returns the state after ESC and one more character (ECMA-48, §5.3).
func afterEscape(r rune) cleanState {
	switch r {
	case '[':
		return inControl
	case ']', 'P', 'X', '^', '_':
		return inString
	case 0x1B:
		return inEscape
	}
	if r >= 0x20 && r <= 0x2F { // intermediate: one more follows, as in ESC ( B
		return inEscape
	}
	return inText
}
