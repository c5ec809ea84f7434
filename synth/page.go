package synth

import (
	"fmt"
	"math"
	"strings"

	"idefics2/imageproc"
)

// page is a small web page that is being laid out from top to bottom.
type page struct {
	*canvas
	d             *draft
	paper         paper
	head, body    font
	headInk       rgb
	buttonInk     rgb // ground of a filled button
	pad, y, width float64
	gap           float64
	middle        bool    // headings in the middle
	leading       float64 // line height, of the font's size
	thin          float64
	html          strings.Builder
	pill          float64 // radius of buttons
	outlined      bool
	boldButtons   bool
}

// newPage draws the style of a page.
func (d *draft) newPage(dark float64) *page {
	side := d.side()
	w := min(side, d.within(300, 440)*d.scale)
	p := d.paper(dark)
	size := d.within(12.5, 16) * d.scale
	g := &page{d: d, paper: p, width: w, pad: d.within(8, 18) * d.scale, thin: max(1, math.Round(d.scale*0.8))}
	g.body = d.font(classes{10, 6, 0.7, 0, 0}, size, "Aé").regular()
	g.body.slant = 0
	g.head = g.body
	if d.chance(0.5) {
		g.head = d.font(classes{8, 6, 0.5, 0.7, 0}, size, "Aé").regular()
	}
	if d.chance(0.85) {
		g.head = g.head.bold()
	}
	g.headInk = pick(d.random, p.ink, p.accent, d.inkOn(p.ground, 3.5))
	g.buttonInk = d.coloured(p.ground)
	if d.chance(0.3) {
		g.buttonInk = g.headInk
	}
	g.gap = d.within(0.45, 0.8) * size
	g.middle = d.chance(0.3)
	g.leading = d.within(1.18, 1.5)
	g.pill = pick(d.random, 0.0, 3, 4, 8, 40) * d.scale
	g.outlined, g.boldButtons = d.chance(0.25), d.chance(0.5)
	g.canvas = newCanvas(int(w), int(side*2), p.ground)
	g.y = g.pad
	return g
}

// heading prints a heading; level 1 is the largest.
func (g *page) heading(level int, s string) {
	f := g.head.at(g.body.Size * g.d.within(1.55, 2))
	if level == 2 {
		f.Size = g.body.Size * 1.22
	}
	ink := g.headInk
	if level == 2 {
		ink = g.paper.ink
	}
	align := 0.0
	if g.middle && level == 1 {
		align = 0.5
	}
	lines := f.wrap(s, g.width-2*g.pad)
	for f.measure(lines[0]) > g.width-2*g.pad && len(lines) == 1 {
		f.Size *= 0.92
		lines = f.wrap(s, g.width-2*g.pad)
	}
	g.block(f, ink, g.pad, g.y+f.ascent(), g.width-2*g.pad, f.Size*1.22, align, lines)
	g.y += f.Size*1.22*float64(len(lines)) + f.Size*0.05 + g.gap
	fmt.Fprintf(&g.html, "<h%d>%s</h%d>", level, escape(s), level)
}

// text prints a paragraph.
func (g *page) text(s string) {
	g.lines(g.pad, g.width-2*g.pad, s)
	g.y += g.gap
	fmt.Fprintf(&g.html, "<p>%s</p>", escape(s))
}

// lines prints text in a column.
func (g *page) lines(x, width float64, s string) {
	lines := g.body.wrap(s, width)
	pitch := g.body.Size * g.leading
	g.block(g.body, g.paper.ink, x, g.y+g.body.ascent()+(pitch-g.body.lineHeight())/2, width, pitch, 0, lines)
	g.y += pitch * float64(len(lines))
}

// escape writes text as the pages' HTML does: quotation marks stand for themselves.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// list prints a list with bullets or numbers.
func (g *page) list(ordered bool, items []string) {
	tag := "ul"
	if ordered {
		tag = "ol"
	}
	fmt.Fprintf(&g.html, "<%s>", tag)
	indent := g.pad + g.body.Size*g.listIndent()
	mark := g.d.IntN(8)
	for i, s := range items {
		base := g.y + g.body.ascent() + (g.body.Size*g.leading-g.body.lineHeight())/2
		if ordered {
			g.anchored(g.body, g.paper.ink, indent-g.body.Size*0.4, base, 1, fmt.Sprintf("%d.", i+1))
		} else {
			r := g.body.Size * 0.17
			at := point{indent - g.body.Size*0.8, base - g.body.Size*0.3}
			switch mark {
			case 0:
				g.rect(g.paper.ink, at.x-r, at.y-r, 2*r, 2*r)
			case 1:
				g.polygon(g.paper.ink, circle(at.x, at.y, r*1.2)...)
				g.polygon(g.paper.ground, circle(at.x, at.y, r*0.7)...)
			default:
				g.polygon(g.paper.ink, circle(at.x, at.y, r)...)
			}
		}
		g.lines(indent, g.width-g.pad-indent, s)
		fmt.Fprintf(&g.html, "<li>%s</li>", escape(s))
	}
	g.y += g.gap
	fmt.Fprintf(&g.html, "</%s>", tag)
}

func (g *page) listIndent() float64 { return g.d.within(1.6, 2.6) }

// table prints cells with rules around them.
func (g *page) table(rows [][]string) {
	pad := g.d.within(0.35, 0.65) * g.body.Size
	width := make([]float64, len(rows[0]))
	for _, row := range rows {
		for k, s := range row {
			width[k] = max(width[k], g.body.measure(s)+2*pad)
		}
	}
	cell := math.Round(g.body.Size*1.2 + pad*1.1)
	rule := blend(g.paper.ground, g.paper.ink, g.d.within(0.4, 0.8))
	g.html.WriteString("<table>")
	for _, row := range rows {
		g.html.WriteString("<tr>")
		x, top := math.Round(g.pad), math.Round(g.y)
		for k, s := range row {
			g.frame(rule, math.Round(x), top, math.Round(width[k])+g.thin, cell+g.thin, g.thin)
			g.print(g.body, g.paper.ink, x+pad, g.body.middle(top+cell/2), s)
			x += width[k]
			fmt.Fprintf(&g.html, "<td>%s</td>", escape(s))
		}
		g.y += cell
		g.html.WriteString("</tr>")
	}
	g.y += g.gap
	g.html.WriteString("</table>")
}

// button prints a button.
func (g *page) button(s string) {
	f := g.body
	if g.boldButtons {
		f = f.bold()
	}
	w, h := f.measure(s)+f.Size*g.d.within(1.2, 2), math.Round(f.Size*g.d.within(1.7, 2.2))
	x := g.pad
	if g.middle && g.d.chance(0.2) {
		x = (g.width - w) / 2
	}
	x, y := math.Round(x), math.Round(g.y)
	ink := g.buttonInk
	g.polygon(ink, rounded(x, y, w, h, g.pill)...)
	if g.outlined {
		g.polygon(g.paper.ground, rounded(x+g.thin, y+g.thin, w-2*g.thin, h-2*g.thin, g.pill-g.thin)...)
		g.print(f, pick(g.d.random, g.paper.ink, g.headInk), x+(w-f.measure(s))/2, f.middle(y+h/2), s)
	} else {
		g.print(f, g.d.inkOn(ink, 4), x+(w-f.measure(s))/2, f.middle(y+h/2), s)
	}
	g.y += h + g.gap*1.2
	fmt.Fprintf(&g.html, "<button>%s</button>", escape(s))
}

// link prints a link in a paragraph of its own.
func (g *page) link(s string) {
	base := g.y + g.body.ascent()
	ink := pick(g.d.random, g.headInk, g.paper.accent, g.buttonInk)
	if contrast(ink, g.paper.ground) < 3 {
		ink = g.paper.ink
	}
	w := g.print(g.body, ink, g.pad, base, s)
	g.rect(ink, g.pad, math.Round(base+g.body.Size*0.12), w, g.thin)
	g.y += g.body.Size*g.leading + g.gap
	fmt.Fprintf(&g.html, "<p><a>%s</a></p>", escape(s))
}

// menu prints links in one line, at the top.
func (g *page) menu(entries []string) {
	f := g.body.at(g.body.Size * g.d.within(0.85, 1.05))
	gap := f.Size * g.d.within(0.7, 1.4)
	width := func() (w float64) {
		for _, s := range entries {
			w += f.measure(s) + gap
		}
		return w
	}
	for width() > g.width-2*g.pad {
		f.Size *= 0.93
		gap *= 0.9
	}
	x := g.pad
	ink := pick(g.d.random, g.paper.ink, g.headInk)
	style := g.d.IntN(4)
	h := f.Size * g.d.within(1.7, 2.2)
	y := g.y
	switch style {
	case 0: // a bar
		ground := g.buttonInk
		ink = g.d.inkOn(ground, 4)
		if g.d.chance(0.5) {
			g.y, y = 0, 0
			g.rect(ground, 0, 0, g.width, h)
		} else {
			g.rect(ground, g.pad, y, g.width-2*g.pad, h)
		}
		x += f.Size * 0.6
	case 3:
		h = f.Size * 1.4
	}
	if contrast(ink, g.paper.ground) < 3 && style != 0 {
		ink = g.paper.ink
	}
	if style == 3 && g.d.chance(0.3) {
		x = (g.width - width() + gap) / 2
	}
	for _, s := range entries {
		w := g.print(f, ink, x, f.middle(y+h/2), s)
		if style == 1 {
			g.rect(ink, x, math.Round(f.middle(y+h/2)+f.Size*0.14), w, g.thin)
		}
		x += w + gap
	}
	g.y = y + h
	if (style == 1 || style == 2) && g.d.chance(0.8) {
		g.y += f.Size * 0.2
		g.rect(blend(g.paper.ground, g.paper.ink, 0.5), g.pad, math.Round(g.y), g.width-2*g.pad, g.thin)
	}
	g.y += g.gap * 1.3
}

// card prints a box with a smaller heading and a text.
func (g *page) card(title, text string) {
	pad := g.body.Size * g.d.within(0.6, 1)
	keep := g.pad
	top := math.Round(g.y)
	f := g.head.at(g.body.Size * g.d.within(1.1, 1.3))
	lines := g.body.wrap(text, g.width-2*keep-2*pad)
	h := pad*2 + f.Size*1.3 + g.gap*0.7 + g.body.Size*g.leading*float64(len(lines))
	rule := blend(g.paper.ground, g.paper.ink, g.d.within(0.25, 0.6))
	g.polygon(rule, rounded(keep, top, g.width-2*keep, h, min(g.pill, 8*g.d.scale))...)
	inner := blend(g.paper.ground, g.paper.ink, pick(g.d.random, 0, 0.05, 0.1))
	g.polygon(inner, rounded(keep+g.thin, top+g.thin, g.width-2*keep-2*g.thin, h-2*g.thin, min(g.pill, 8*g.d.scale)-g.thin)...)
	g.print(f, g.paper.ink, keep+pad, top+pad+f.ascent(), title)
	g.y = top + pad + f.Size*1.3 + g.gap*0.7
	g.lines(keep+pad, g.width-2*keep-2*pad, text)
	g.y = top + h + g.gap
}

// shortSentence returns a sentence that this page's letters can print.
func (g *page) shortSentence() string {
	for {
		if s := g.d.sentence(); len(s) < 85 && g.body.Covers(s) {
			return s
		}
	}
}

func (g *page) title() string {
	for {
		if s := g.d.heading(); len(s) < 34 && g.head.Covers(s) {
			return s
		}
	}
}

// finish cuts the page off below what it has.
func (g *page) finish(wear float64) *imageproc.RGB {
	h := g.y + g.pad*g.d.within(0, 1)
	if g.d.chance(0.25) {
		h += g.d.within(0, 40) * g.d.scale
	}
	c := g.fitted(g.width, h)
	if m := c.picture(); g.d.chance(wear) {
		w := g.d.wear(0, g.body.Size, g.d.scale)
		w.light, w.noise = 0, w.noise/3
		return w.apply(g.d.random, m, g.paper.ground)
	} else {
		return m
	}
}

// tableRows returns cells for a small table.
func (r random) tableRows() [][]string {
	n := r.between(2, 4)
	var rows [][]string
	switch r.IntN(4) {
	case 0, 1:
		for _, s := range some(r, lists()[pick(r, "goods", "thing", "dish")], n) {
			rows = append(rows, []string{s, fmt.Sprintf("%d.%02d", r.between(1, 40), pick(r, 0, 25, 50, 75, 95, 99))})
		}
	case 2:
		for _, s := range some(r, weekdays, n) {
			rows = append(rows, []string{s, r.clock()})
		}
	default:
		for _, s := range some(r, lists()[pick(r, "city", "country", "first")], n) {
			rows = append(rows, []string{s, fmt.Sprint(r.between(1, 999))})
		}
	}
	return rows
}

// drawWeb prints a page and asks for one of its parts.
func drawWeb(d *draft) ([]*imageproc.RGB, func() Turn) {
	g := d.newPage(0.15)
	kind := d.weighted(2, 2, 1) // heading, button, menu
	menu := some(d.random, lists()["menu"], d.between(2, 5))
	if kind != 2 && d.chance(0.4) {
		menu = nil
	}
	if menu != nil {
		g.menu(menu)
	}
	title := g.title()
	g.heading(1, title)
	button := ""
	if kind == 1 || d.chance(0.6) {
		button = pick(d.random, d.from("button"), d.from("button"), d.from("button"), capital(d.words(d.between(1, 2))))
	}
	early := d.chance(0.25)
	if early && button != "" {
		g.button(button)
	}
	for range d.between(0, 2) {
		g.text(g.shortSentence())
	}
	switch d.IntN(5) {
	case 0:
		g.list(d.chance(0.3), some(d.random, lists()["phrase"], d.between(2, 4)))
	case 1:
		g.card(pick(d.random, d.from("phrase"), d.from("phrase"), capital(d.words(2))), g.shortSentence())
	case 2:
		g.table(d.tableRows())
	case 3:
		g.text(g.shortSentence())
	}
	if !early && button != "" {
		g.button(button)
	}
	m := g.finish(0.12)
	first := true
	return []*imageproc.RGB{m}, func() Turn {
		if !first {
			kind = d.weighted(2, 2, 1)
		}
		first = false
		switch {
		case kind == 1 && button != "":
			return d.turn("button", []string{button}, "What is the text on the button?", "What does the button say?")
		case kind == 2 && menu != nil:
			return d.turn("menu", []string{menu[0]}, "What is the first entry of the menu at the top?", "Which link comes first in the navigation bar?")
		default:
			return d.turn("heading", []string{title}, "What is the main heading of this page?", "What does the largest heading say?")
		}
	}
}

// drawHTML prints a page of plain elements, whose HTML is the answer.
func drawHTML(d *draft) ([]*imageproc.RGB, func() Turn) {
	g := d.newPage(0.2)
	g.heading(1, g.title())
	parts := d.between(1, 5)
	if t := d.g.options.MaxText; t > 0 && t < 250 {
		parts = d.between(0, 1+t/100)
	}
	buttons, tables, listed := 0, 0, 0
	for range parts {
		switch k := d.IntN(9); {
		case k < 3:
			g.text(g.shortSentence())
		case k < 5 && listed == 0:
			listed++
			items := some(d.random, lists()["phrase"], d.between(2, 4))
			if d.chance(0.25) {
				for i := range items {
					items[i] = capital(d.words(d.between(1, 3)))
				}
			}
			g.list(d.chance(0.4), items)
		case k < 6 && tables == 0:
			tables++
			g.table(d.tableRows())
		case k == 6 && buttons == 0:
			buttons++
			g.button(pick(d.random, d.from("button"), d.from("button"), capital(d.words(1))))
		case k == 7:
			g.heading(2, pick(d.random, d.from("phrase"), d.from("phrase"), capital(d.words(2))))
			if d.chance(0.6) {
				g.text(g.shortSentence())
			}
		case k == 8:
			g.link(pick(d.random, d.from("menu"), d.from("menu"), d.from("button"), d.from("phrase")))
		default:
			g.text(g.shortSentence())
		}
	}
	m := g.finish(0.12)
	return []*imageproc.RGB{m}, func() Turn {
		return d.turn("write", []string{g.html.String()}, "Write the HTML of this page.", "Which HTML makes this page? Write only what goes inside the body.", "Turn this screenshot into HTML.")
	}
}
