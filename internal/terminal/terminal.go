// Package terminal is what the command knows about the screen in front of it:
// whether there is one and how wide, progress bars for work that takes long, pictures
// between the lines of text, and text from strangers made harmless.
//
// Nothing here reads the environment or touches standard output by itself; the
// command passes both in.
package terminal

import (
	"golang.org/x/term"
)

// A descriptor is an open file: os.Stdout is one, a bytes.Buffer is not.
type descriptor interface{ Fd() uintptr }

// Is reports whether f, a reader or a writer, is a terminal.
func Is(f any) bool {
	d, ok := f.(descriptor)
	return ok && term.IsTerminal(int(d.Fd()))
}

// defaultColumns is the width of a terminal that does not say its own.
const defaultColumns = 80

// Columns returns how many characters fit on a line of f: 80 where f does not know.
func Columns(f any) int {
	if d, ok := f.(descriptor); ok {
		if width, _, err := term.GetSize(int(d.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return defaultColumns
}
