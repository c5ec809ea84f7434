// Package typeface holds the typefaces that synthetic pictures are printed in, and turns
// text into outlines.
//
// The faces are unchanged files of the npm packages @fontsource/NAME: families.txt names
// package, version and licence of each, LICENCES.txt has the notices, and faces.sha256 the
// files' hashes. Only Latin letters are in them.
package typeface

import (
	"embed"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

//go:embed faces/*.woff
var files embed.FS

//go:embed families.txt
var families string

// Licences are the notices and licences of all typefaces.
//
//go:embed LICENCES.txt
var Licences string

// Class is what a typeface is good for.
type Class string

// The classes. Caps has no small letters of its own: it prints capitals alone.
const (
	Sans    Class = "sans"
	Serif   Class = "serif"
	Mono    Class = "mono"
	Display Class = "display"
	Caps    Class = "caps"
)

// Family is a typeface with its styles.
type Family struct {
	Name    string
	Class   Class
	Licence string
	HeldOut bool // kept from training, to measure on
	// Bold and Italic are nil where the family lacks them.
	Regular, Bold, Italic *Face
}

// Face is one style of a family, read when it is first used. It may be used by many
// goroutines at once.
type Face struct {
	Family *Family
	Style  string // "400-normal", "700-normal" or "400-italic"

	load sync.Once
	*metrics
	pairs sync.Map // [2]rune to float32: kerning in ems
}

// metrics is what is read of a face. Lengths are in ems, heights count upwards.
type metrics struct {
	ascent, descent, xHeight, capHeight float32
	glyphs                              map[rune]*glyph
	fonts                               []*sfnt.Font
}

// glyph is an outline, y downwards, in ems.
type glyph struct {
	font     int // which of the face's fonts
	index    sfnt.GlyphIndex
	advance  float32
	segments []segment
}

type segment struct {
	op sfnt.SegmentOp
	at [3][2]float32
}

// Families returns all typefaces in the order of their names.
var Families = sync.OnceValue(func() []*Family {
	var all []*Family
	for line := range strings.Lines(families) {
		field := strings.Split(strings.TrimSpace(line), "\t")
		if len(field) != 5 || strings.HasPrefix(line, "#") {
			continue
		}
		f := &Family{Name: field[0], Class: Class(field[1]), Licence: field[3], HeldOut: field[4] == "heldout"}
		face := func(style string) *Face {
			if _, err := files.Open(fileName(f.Name, "latin", style)); err != nil {
				return nil
			}
			return &Face{Family: f, Style: style}
		}
		f.Regular, f.Bold, f.Italic = face("400-normal"), face("700-normal"), face("400-italic")
		all = append(all, f)
	}
	return all
})

func fileName(family, subset, style string) string {
	return path.Join("faces", fmt.Sprintf("%s-%s-%s.woff", family, subset, style))
}

// Faces returns the styles that the family has.
func (f *Family) Faces() []*Face {
	return slices.DeleteFunc([]*Face{f.Regular, f.Bold, f.Italic}, func(f *Face) bool { return f == nil })
}

// read makes the face ready. The files are the program's own, so an error is a bug.
func (f *Face) read() *metrics {
	f.load.Do(func() {
		m := &metrics{glyphs: map[rune]*glyph{}}
		for _, subset := range []string{"latin", "latin-ext"} {
			data, err := files.ReadFile(fileName(f.Family.Name, subset, f.Style))
			if err != nil {
				continue // few have the second
			}
			if err := m.add(data); err != nil {
				panic(fmt.Sprintf("typeface: %s %s: %v", f.Family.Name, f.Style, err))
			}
		}
		f.metrics = m
	})
	return f.metrics
}

// add takes the glyphs of a WOFF file that m has not yet.
func (m *metrics) add(woff []byte) error {
	data, err := unpack(woff)
	if err != nil {
		return err
	}
	parsed, err := sfnt.Parse(data)
	if err != nil {
		return err
	}
	var buf sfnt.Buffer
	em := float32(parsed.UnitsPerEm())
	ppem := fixed.I(int(parsed.UnitsPerEm()))
	// With an em of as many pixels as it has units, a 26.6 number counts 64ths of a unit.
	ems := func(v fixed.Int26_6) float32 { return float32(v) / 64 / em }
	if len(m.fonts) == 0 {
		k, err := parsed.Metrics(&buf, ppem, font.HintingNone)
		if err != nil {
			return err
		}
		m.ascent, m.descent = ems(k.Ascent), ems(k.Descent)
		m.xHeight, m.capHeight = ems(k.XHeight), ems(k.CapHeight)
	}
	m.fonts = append(m.fonts, parsed)
	for r := rune(' '); r <= '€'; r++ {
		if r == 0x250 {
			r = 0x2010 // punctuation, and the euro at its end
		}
		if m.glyphs[r] != nil {
			continue
		}
		index, err := parsed.GlyphIndex(&buf, r)
		if err != nil || index == 0 {
			continue
		}
		g := &glyph{font: len(m.fonts) - 1, index: index}
		advance, err := parsed.GlyphAdvance(&buf, index, ppem, font.HintingNone)
		if err != nil {
			return err
		}
		g.advance = ems(advance)
		segments, err := parsed.LoadGlyph(&buf, index, ppem, nil)
		if err != nil {
			return fmt.Errorf("glyph of %q: %w", r, err)
		}
		g.segments = make([]segment, len(segments))
		for i, s := range segments {
			g.segments[i].op = s.Op
			for k, p := range s.Args {
				g.segments[i].at[k] = [2]float32{ems(p.X), ems(p.Y)}
			}
		}
		m.glyphs[r] = g
	}
	if g := m.glyphs['x']; m.xHeight <= 0 && g != nil {
		m.xHeight = g.height()
	}
	if g := m.glyphs['H']; m.capHeight <= 0 && g != nil {
		m.capHeight = g.height()
	}
	return nil
}

// height returns how far a glyph rises over the baseline, in ems.
func (g *glyph) height() (h float32) {
	for _, s := range g.segments {
		h = max(h, -s.at[0][1])
	}
	return h
}

// Covers tells whether the face has every letter of text.
func (f *Face) Covers(text string) bool {
	m := f.read()
	for _, r := range text {
		if m.glyphs[r] == nil {
			return false
		}
	}
	return true
}

// Ascent returns how far text may rise over its baseline, in ems.
func (f *Face) Ascent() float64 { return float64(f.read().ascent) }

// Descent returns how far text may hang below its baseline, in ems.
func (f *Face) Descent() float64 { return float64(f.read().descent) }

// XHeight returns the height of an x, in ems.
func (f *Face) XHeight() float64 { return float64(f.read().xHeight) }

// CapHeight returns the height of a capital, in ems.
func (f *Face) CapHeight() float64 { return float64(f.read().capHeight) }

// kern returns how much farther b stands from a than a is wide, in ems.
func (f *Face) kern(a, b rune, ga, gb *glyph) float32 {
	if ga.font != gb.font {
		return 0
	}
	key := [2]rune{a, b}
	if k, ok := f.pairs.Load(key); ok {
		return k.(float32)
	}
	parsed := f.metrics.fonts[ga.font]
	var k float32
	if v, err := parsed.Kern(nil, ga.index, gb.index, fixed.I(int(parsed.UnitsPerEm())), font.HintingNone); err == nil {
		k = float32(v) / 64 / float32(parsed.UnitsPerEm())
	}
	f.pairs.Store(key, k)
	return k
}

// Pen receives outlines, in the caller's unit, y downwards.
type Pen interface {
	MoveTo(x, y float32)
	LineTo(x, y float32)
	QuadTo(bx, by, cx, cy float32)
	CubeTo(bx, by, cx, cy, dx, dy float32)
	ClosePath()
}

// Set says how text is set.
type Set struct {
	Size     float64 // of the em
	Tracking float64 // added behind every letter, in ems
	NoKern   bool
	Whole    bool // every letter takes whole pixels, as hinted ones do
}

// Width returns the length of a line of text.
func (f *Face) Width(s Set, text string) float64 {
	return f.walk(s, text, func(*glyph, float32) {})
}

// walk calls draw for each letter with its place along the line, in ems, and returns the
// length of the line. A letter that the face lacks is a blank.
func (f *Face) walk(s Set, text string, draw func(g *glyph, at float32)) float64 {
	m := f.read()
	var x float32
	var last *glyph
	var before rune
	for _, r := range text {
		g := m.glyphs[r]
		if g == nil {
			if g = m.glyphs[' ']; g == nil {
				continue
			}
		}
		if last != nil && !s.NoKern {
			x += f.kern(before, r, last, g)
		}
		draw(g, x)
		if x += g.advance + float32(s.Tracking); s.Whole {
			x = float32(math.Round(float64(x)*s.Size) / s.Size)
		}
		last, before = g, r
	}
	return float64(x) * s.Size
}

// Outline draws a line of text with its baseline's left end at (0, 0) and returns its
// length. Where says to which place a point goes: turned, slanted, seen from the side.
func (f *Face) Outline(pen Pen, s Set, text string, where func(x, y float32) (float32, float32)) float64 {
	size := float32(s.Size)
	return f.walk(s, text, func(g *glyph, at float32) {
		for i, seg := range g.segments {
			var p [3][2]float32
			for k, q := range seg.at {
				p[k][0], p[k][1] = where((q[0]+at)*size, q[1]*size)
			}
			switch seg.op {
			case sfnt.SegmentOpMoveTo:
				if i > 0 {
					pen.ClosePath()
				}
				pen.MoveTo(p[0][0], p[0][1])
			case sfnt.SegmentOpLineTo:
				pen.LineTo(p[0][0], p[0][1])
			case sfnt.SegmentOpQuadTo:
				pen.QuadTo(p[0][0], p[0][1], p[1][0], p[1][1])
			case sfnt.SegmentOpCubeTo:
				pen.CubeTo(p[0][0], p[0][1], p[1][0], p[1][1], p[2][0], p[2][1])
			}
		}
		if len(g.segments) > 0 {
			pen.ClosePath()
		}
	})
}
