package synth

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"idefics2/imageproc"
)

// turn returns a turn whose question is one of several.
func (r random) turn(kind string, answers []string, questions ...string) Turn {
	return Turn{Kind: kind, Question: one(r, questions), Answers: answers}
}

// drawLine prints one line, in a picture as flat as the line or on a page of its own.
func drawLine(d *draft) ([]*imageproc.RGB, func() Turn) {
	most := 32
	if t := d.g.options.MaxText; t > 0 {
		most = max(4, min(most, t))
	}
	text := d.line(most)
	m := d.textPicture(text, 14, 40, 0.4, 0.5)
	return []*imageproc.RGB{m}, func() Turn {
		return d.turn("read", []string{text}, "What does the text say?", "Read the text in this image.", "What is written here?", "Transcribe this line.")
	}
}

// textPicture prints a line of text with letters of lo to hi pixels. Dark is the share of
// light letters on dark, wear of worn pictures.
func (d *draft) textPicture(text string, lo, hi, dark, wear float64) *imageproc.RGB {
	side := d.side()
	f := d.font(printed, d.within(lo, hi)*d.scale, text)
	for try := 0; f.measure(text) > 0.94*side; try++ {
		if f.Size *= 0.9; f.Size < lo*d.scale {
			f = d.font(printed, lo*d.scale, text)
			if try > 40 {
				f.Size = lo * d.scale * 0.85 // as small as is needed
				for f.measure(text) > 0.96*side {
					f.Size *= 0.95
				}
				break
			}
		}
	}
	p := d.paper(dark)
	width := f.measure(text)
	room := side - width
	left := min(room/2, d.logWithin(3, 40))
	right := min(room/2, d.logWithin(3, 40))
	if d.chance(0.2) {
		left, right = d.within(2, max(3, room*0.7)), 3
	}
	high := max(28*min(1, d.scale*0.9+0.1), f.CapHeight()*f.Size*1.25+f.descent()*0.6+d.logWithin(4, 30))
	y := high/2 + f.CapHeight()*f.Size/2 + d.within(-0.5, 0.5)*max(0, high-f.CapHeight()*f.Size*1.5-f.descent())*0.8
	w, h := left+width+right, high
	if f.Size < 24*d.scale && d.chance(0.25) {
		w, h = max(w, d.within(0.5, 1)*side), d.within(0.25, 0.8)*side
		left = d.within(3, max(4, w-width-3))
		y = d.within(f.ascent()+2, h-f.descent()-3)
	}
	c := newCanvas(int(min(w, side)), int(min(h, side)), p.ground)
	c.print(f, p.ink, left, y, text)
	if d.chance(0.04) {
		c.rect(p.ink, left, y+f.Size*0.12, width, max(1, f.Size/18)) // underlined
	}
	if d.chance(0.04) {
		c.frame(p.accent, 1, 1, c.width()-2, c.height()-2, max(1, math.Round(d.scale)))
	}
	// A turn must not push the ends of a long line out of the picture.
	slack := min(y-f.ascent()*0.75, float64(c.Rect.Dy())-y-f.descent()*0.8)
	turn := min(3, math.Atan(2*max(0, slack)/max(width, 1))*180/math.Pi*1.1)
	return d.worn(c, p, wear, turn, f.Size)
}

// wrap breaks text into lines of at most width.
func (f font) wrap(text string, width float64) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		switch next := line + " " + word; {
		case line == "":
			line = word
		case f.measure(next) > width:
			lines = append(lines, line)
			line = word
		default:
			line = next
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// drawParagraph prints three to eight lines of prose.
func drawParagraph(d *draft) ([]*imageproc.RGB, func() Turn) {
	side := d.side()
	size := d.within(13, 20) * d.scale
	f := d.font(running, size, "Aé")
	var text string
	var lines []string
	var width float64
	for try := 0; ; try++ {
		width = d.within(0.62, 0.95) * side
		n := d.between(70, 330)
		if t := d.g.options.MaxText; t > 0 {
			n = min(n, t*4/5)
		}
		text = d.prose(n)
		if d.chance(0.15) {
			text = capital(d.words(n/7+1)) + "."
		}
		lines = f.wrap(text, width)
		if try > 60 || len(lines) <= 8 && (len(lines) >= 3 || n < 80) && f.Covers(text) && d.fits(text) {
			break
		}
	}
	p := d.paper(0.35)
	pitch := size * d.within(1.15, 1.65)
	left := min(side-width, d.within(6, 36)*d.scale)
	top := d.within(6, 36) * d.scale
	w, h := left+width+d.within(3, 20), top+f.lineHeight()+pitch*float64(len(lines)-1)+d.within(2, 20)
	if d.chance(0.3) {
		h = min(side, h+d.within(10, 90)*d.scale)
	}
	c := newCanvas(int(min(side, w)), int(min(side, h)), p.ground)
	c.block(f, p.ink, left, top+f.ascent(), width, pitch, pick(d.random, 0, 0, 0, 0.5), lines)
	m := d.worn(c, p, 0.5, 1.2, size)
	return []*imageproc.RGB{m}, func() Turn {
		return d.turn("read", []string{strings.Join(strings.Fields(text), " ")}, "Read all the text in this image.", "Transcribe the paragraph.", "What does this passage say? Give every word.")
	}
}

// block prints lines, each at the same place of a column: 0 left, 0.5 in the middle.
func (c *canvas) block(f font, ink rgb, x, y, width, pitch, align float64, lines []string) {
	for i, line := range lines {
		c.print(f, ink, x+align*(width-f.measure(line)), y+pitch*float64(i), line)
	}
}

// drawColumns prints prose in two columns, read one after the other.
func drawColumns(d *draft) ([]*imageproc.RGB, func() Turn) {
	side := d.side()
	size := d.within(12, 16) * d.scale
	f := d.font(running, size, "Aé")
	gap := d.within(1.2, 2.5) * size
	width := (side - 2*size - gap) / 2
	p := d.paper(0.2)
	pitch := size * d.within(1.15, 1.5)
	var all []string
	titled := d.chance(0.4)
	c := newCanvas(int(side), int(side), p.ground)
	y0, low := size+f.ascent(), 0.0
	if titled {
		title := f.bold().at(size * 1.5)
		head := capital(d.words(d.between(2, 3)))
		for title.measure(head) > side-2*size {
			title.Size *= 0.9
		}
		c.print(title, p.accent, size, y0+0.4*size, head)
		all = append(all, head)
		y0 += 2.2 * size
	}
	for i := range 2 {
		text := d.prose(d.between(30, 130))
		for !f.Covers(text) {
			text = d.prose(d.between(30, 130))
		}
		lines := f.wrap(text, width)
		lines = lines[:min(len(lines), 12)]
		all = append(all, strings.Join(lines, " "))
		c.block(f, p.ink, size+float64(i)*(width+gap), y0, width, pitch, 0, lines)
		low = max(low, y0+pitch*float64(len(lines)))
	}
	if d.chance(0.3) {
		x := size + width + gap/2
		c.rect(blend(p.ground, p.ink, 0.5), x, y0-f.ascent(), 1, low-y0)
	}
	c = c.fitted(side, min(side, low+size/2))
	m := d.worn(c, p, 0.3, 1, size)
	return []*imageproc.RGB{m}, func() Turn {
		return d.turn("read", []string{strings.Join(all, " ")}, "Read all the text in this image.", "What does this passage say? Give every word.")
	}
}

// exercise returns a sum, difference or product, as it is printed, and its result.
func (r random) exercise() (text string, result int) {
	a, b := r.between(0, 50), r.between(0, 50)
	if r.chance(0.3) {
		a, b = r.between(0, 12), r.between(0, 12)
	}
	var sign string
	switch r.IntN(3) {
	case 0:
		sign, result = "+", a+b
	case 1:
		sign = pick(r, "-", "-", "-", "–")
		a, b = max(a, b), min(a, b)
		result = a - b
	default:
		a, b = r.between(0, 10), r.between(0, 10)
		sign, result = "×", a*b
	}
	gap := pick(r, "", " ")
	return fmt.Sprintf("%d%s%s%s%d%s", a, gap, sign, gap, b, pick(r, "", gap+"=", "=", gap+"= ?", "= ?", "=?")), result
}

// drawSum prints an exercise.
func drawSum(d *draft) ([]*imageproc.RGB, func() Turn) {
	text, result := d.exercise()
	m := d.textPicture(text, 22, 62, 0.5, 0.5)
	return []*imageproc.RGB{m}, func() Turn {
		return d.turn("result", []string{fmt.Sprint(result)}, "What is the result?", "Solve the sum in the image.", "Work this out and give only the number.")
	}
}

// otherLetter returns text with one letter or digit exchanged for another of its kind.
func (r random) otherLetter(text string) string {
	letters := []rune(text)
	for {
		i := r.IntN(len(letters))
		var with string
		switch c := letters[i]; {
		case c >= '0' && c <= '9':
			with = "0123456789"
		case c >= 'a' && c <= 'z':
			with = "abcdefghijklmnopqrstuvwxyz"
		case c >= 'A' && c <= 'Z':
			with = "ABCDEFGHJKLMNPQRSTUVWXYZ"
		default:
			if !strings.ContainsAny(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ") {
				return text + "x"
			}
			continue
		}
		if c, _ := utf8.DecodeRuneInString(with[r.IntN(len(with)):]); c != letters[i] {
			letters[i] = c
			return string(letters)
		}
	}
}
