package synth

import (
	"strings"

	"idefics2/imageproc"
)

// segments are which of the seven bars of a display light for a digit, in the usual order of letters: a on
// top, then clockwise b to f, and g in the middle.
var segments = [10]string{"abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"}

// drawDisplay draws a number of two to four digits on a display of seven segments: how clocks, meters and
// scales show one.
func drawDisplay(d *draft) ([]*imageproc.RGB, func() Turn) {
	digits := make([]byte, d.between(2, 4))
	for i := range digits {
		digits[i] = byte('0' + d.IntN(10))
	}
	h := d.within(48, 90) * d.scale
	w, thick, slant := h*d.within(0.5, 0.62), h*d.within(0.1, 0.16), pick(d.random, 0, 0, d.within(0.04, 0.14))
	gap, edge := thick*d.within(0.9, 1.6), h*d.within(0.25, 0.5)
	p := d.paper(0.6)
	ink, unlit := p.ink, blend(p.ground, p.ink, pick(d.random, 0, 0, d.within(0.03, 0.12)))
	n := float64(len(digits))
	c := newCanvas(int(2*edge+n*w+(n-1)*gap+slant*h), int(2*edge+h), p.ground)
	for i, digit := range digits {
		left := edge + float64(i)*(w+gap)
		at := func(x, y float64) point { return point{left + x + slant*(h-y), edge + y} }
		for _, s := range "abcdefg" {
			colour := unlit
			if strings.ContainsRune(segments[digit-'0'], s) {
				colour = ink
			}
			c.polygon(colour, segment(s, w, h, thick, at)...)
		}
	}
	number := string(digits)
	return []*imageproc.RGB{d.worn(c, p, 0.5, 4, h)}, func() Turn {
		return d.turn("number", []string{number}, "What does the display show?", "Which number is on the display?", "Read the display.")
	}
}

// segment returns a bar of a digit that is w wide and h high: a hexagon, shorter than its side by a slit.
func segment(s rune, w, h, thick float64, at func(x, y float64) point) []point {
	half, slit := thick/2, thick/6
	across := func(y float64) []point {
		a, b := half+slit, w-half-slit
		return []point{at(a, y), at(a+half, y-half), at(b-half, y-half), at(b, y), at(b-half, y+half), at(a+half, y+half)}
	}
	down := func(x, from, to float64) []point {
		a, b := from+half+slit, to-half-slit
		if from > 0 {
			a = from + slit
		}
		if to < h {
			b = to - slit
		}
		return []point{at(x, a), at(x+half, a+half), at(x+half, b-half), at(x, b), at(x-half, b-half), at(x-half, a+half)}
	}
	switch s {
	case 'a':
		return across(half)
	case 'g':
		return across(h / 2)
	case 'd':
		return across(h - half)
	case 'b':
		return down(w-half, 0, h/2)
	case 'c':
		return down(w-half, h/2, h)
	case 'e':
		return down(half, h/2, h)
	default:
		return down(half, 0, h/2)
	}
}
