package synth

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"idefics2/imageproc"
)

// topic is what a chart is about: labels, and what is counted for them.
type topic struct {
	title, unit string
	labels      []string
}

// topic returns a topic with n labels.
func (d *draft) topic(n int) topic {
	type kind struct {
		by     string
		labels []string
		kept   bool // in their order
	}
	k := pick(d.random,
		kind{"country", lists()["country"], false}, kind{"city", lists()["city"], false},
		kind{"department", lists()["department"], false}, kind{"person", lists()["first"], false}, kind{"player", lists()["first"], false},
		kind{"product", lists()["goods"], false}, kind{"item", lists()["thing"], false},
		kind{"month", shorts, true}, kind{"day", days, true}, kind{"animal", lists()["animal"], false}, kind{"subject", lists()["subject"], false})
	t := topic{unit: pick(d.random, "units", "visitors", "books", "hours", "guests", "points", "mm", "euros", "sales", "people", "votes", "tons", "km", "items", "dollars", "minutes", "litres", "pages", "tickets", "orders")}
	what := pick(d.random, capital(t.unit), "Sales", "Visitors", "Rain", "Hours", "Guests", "Score", "Budget", "Votes", "Income", "Profit", "Members", "Exports", "Orders", "Calls", "Sun hours", "Energy", "Students", "Stock", "Results")
	t.title = what + " by " + k.by
	if d.chance(0.25) {
		t.title = pick(d.random, "Books read", "Fruit sold", "Shop sales", "Budget", "Output", "Survey", "Overview", "Final results", "Yearly report", "Time spent", capital(d.words(2)), "Goals scored", "Cups of coffee", "Trees planted")
	}
	short := func(list []string) []string {
		var out []string
		for _, s := range list {
			if len(s) <= 12 {
				out = append(out, s)
			}
		}
		return out
	}
	if k.kept {
		if n = min(n, len(k.labels)); d.chance(0.5) {
			at := d.IntN(len(k.labels) - n + 1)
			t.labels = k.labels[at : at+n]
		} else {
			keep := some(d.random, k.labels, n)
			for _, s := range k.labels {
				if slices.Contains(keep, s) {
					t.labels = append(t.labels, s)
				}
			}
		}
	} else {
		t.labels = some(d.random, short(k.labels), n)
	}
	return t
}

// axis is a scale from 0 in even steps.
type axis struct {
	step float64
	top  float64 // where it ends, perhaps between two steps
}

// show writes a number as charts do: no digits that say nothing.
func show(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }

// values draws n numbers on an axis. Readable: they lie on its lines or half way between.
func (d *draft) values(n int, readable bool) (axis, []float64) {
	steps := pick(d.random, 1.0, 2, 5, 10, 10, 20, 25, 50, 100, 200)
	lines := d.between(4, 8)
	if steps == 1 {
		lines = d.between(5, 9)
	}
	a := axis{step: steps}
	out := make([]float64, n)
	for {
		high := 0.0
		for i := range out {
			if readable {
				out[i] = float64(d.between(1, 2*lines)) * steps / 2
			} else {
				v := d.within(0.06, 1) * float64(lines) * steps
				if out[i] = math.Max(1, math.Round(v)); steps <= 2 && d.chance(0.3) {
					out[i] = math.Round(v*10)/10 + 0.1
				}
			}
			high = max(high, out[i])
		}
		// The largest and the smallest must be seen to be it.
		sorted := slices.Sorted(slices.Values(out))
		gap := steps * 0.25
		if n > 2 && (sorted[n-1]-sorted[n-2] < gap || sorted[1]-sorted[0] < gap) {
			continue
		}
		a.top = high * d.within(1.03, 1.25)
		if d.chance(0.4) {
			a.top = math.Ceil(high/steps) * steps
		}
		if a.top/a.step > 11 || a.top/a.step < 2.5 {
			continue
		}
		return a, out
	}
}

// look is the style of a chart.
type look struct {
	ground, plot, ink, frame rgb
	grid                     rgb
	gridded                  bool // lines at the ticks
	dashed                   bool
	box                      int // 0 none, 1 all sides, 2 left and below
	ticks                    bool
	colours                  []rgb
	font, small              font
	thin                     float64
}

// palettes are colours that go together.
var palettes = [][]uint32{
	{0x1f77b4, 0xff7f0e, 0x2ca02c, 0xd62728, 0x9467bd, 0x8c564b, 0xe377c2, 0x7f7f7f, 0xbcbd22, 0x17becf},
	{0x4c72b0, 0xdd8452, 0x55a868, 0xc44e52, 0x8172b3, 0x937860, 0xda8bc3, 0x8c8c8c},
	{0xe24a33, 0x348abd, 0x988ed5, 0x777777, 0xfbc15e, 0x8eba42, 0xffb5b8},
	{0x348abd, 0xa60628, 0x7a68a6, 0x467821, 0xd55e00, 0xcc79a7, 0x56b4e9},
	{0x006ba4, 0xff800e, 0xababab, 0x595959, 0x5f9ed1, 0xc85200, 0x898989, 0xa2c8ec, 0xffbc79},
	{0x4285f4, 0xdb4437, 0xf4b400, 0x0f9d58, 0xab47bc, 0x00acc1, 0xff7043},
	{0x4472c4, 0xed7d31, 0xa5a5a5, 0xffc000, 0x5b9bd5, 0x70ad47, 0x264478},
	{0x0072b2, 0xe69f00, 0x009e73, 0xcc79a7, 0x56b4e9, 0xd55e00, 0xf0e442},
	{0x264653, 0x2a9d8f, 0xe9c46a, 0xf4a261, 0xe76f51, 0x8ab17d},
	{0x003f5c, 0x58508d, 0xbc5090, 0xff6361, 0xffa600, 0x7a5195},
}

// look draws a style for a chart of so many colours.
func (d *draft) look(text string) look {
	l := look{ground: white, plot: white, ink: black, thin: max(1, math.Round(d.scale*0.9))}
	size := d.within(9.5, 13) * d.scale
	l.small = d.font(technical, size, text)
	l.font = l.small.at(size * d.within(1, 1.25))
	v := uint8(d.IntN(80))
	l.ink = rgb{v, v, v, 255}
	grey := func(lo, hi int) rgb { v := uint8(d.between(lo, hi)); return rgb{v, v, v, 255} }
	l.frame, l.grid = l.ink, grey(170, 225)
	l.box, l.ticks, l.gridded = d.weighted(1, 4, 2), d.chance(0.65), d.chance(0.6)
	switch d.IntN(9) {
	case 0: // grey plot, white lines
		l.plot, l.grid, l.gridded, l.box, l.frame = grey(226, 238), white, true, 0, white
	case 1: // grey plot, grey dashes
		l.plot, l.grid, l.gridded, l.dashed, l.frame = grey(235, 242), grey(160, 190), true, true, grey(150, 200)
	case 2: // light frame
		l.frame, l.gridded = grey(190, 215), true
	case 3: // tinted
		l.ground = hsl(d.within(0, 360), d.within(0.2, 0.8), d.within(0.92, 0.97))
		l.plot = pick(d.random, l.ground, white)
		l.grid = blend(l.plot, l.ink, 0.2)
	case 4: // dark
		if d.chance(0.6) {
			l.ground = hsl(d.within(0, 360), d.within(0, 0.4), d.within(0.05, 0.18))
			l.plot, l.ink = l.ground, grey(205, 250)
			l.frame, l.grid = l.ink, blend(l.ground, l.ink, 0.25)
		}
	default:
		l.dashed = d.chance(0.2)
		if d.chance(0.4) {
			l.grid = grey(120, 180)
		}
	}
	p := one(d.random, palettes)
	for _, v := range p {
		c := rgb{uint8(v >> 16), uint8(v >> 8), uint8(v), 255}
		if near(c, l.plot) > 70 {
			l.colours = append(l.colours, c)
		}
	}
	if d.chance(0.15) {
		for i := range l.colours {
			l.colours[i] = d.coloured(l.plot)
		}
	}
	if d.chance(0.3) {
		k := d.IntN(len(l.colours))
		l.colours = slices.Concat(l.colours[k:], l.colours[:k])
	}
	return l
}

func (l look) line(c *canvas, a, b point) {
	if l.dashed {
		c.dashed(l.grid, a, b, l.thin, 4*l.thin, 2*l.thin)
		return
	}
	c.rect(l.grid, math.Round(a.x), math.Round(a.y), max(l.thin, b.x-a.x), max(l.thin, b.y-a.y))
}

// area is where a chart's data are drawn.
type area struct{ x, y, w, h float64 }

// border draws the box around the data.
func (l look) border(c *canvas, a area) {
	x, y, w, h := math.Round(a.x), math.Round(a.y), math.Round(a.w), math.Round(a.h)
	switch l.box {
	case 1:
		c.frame(l.frame, x, y, w+l.thin, h+l.thin, l.thin)
	case 2:
		c.rect(l.frame, x, y, l.thin, h)
		c.rect(l.frame, x, y+h, w+l.thin, l.thin)
	}
}

// chartCanvas returns an empty picture for a chart, and the place for its data when the
// axes need left and below pixels for their labels.
func (d *draft) chartCanvas(l look, title string, left, below float64) (*canvas, area) {
	side := d.side()
	w, h := d.within(0.7, 1)*side, d.within(0.58, 1)*side
	c := newCanvas(int(w), int(h), l.ground)
	a := area{x: left + d.within(2, 10)*d.scale, y: d.within(6, 12) * d.scale}
	if title != "" {
		for l.font.measure(title) > w-8 {
			l.font.Size *= 0.95
		}
		if d.chance(0.15) {
			l.font = l.font.bold()
		}
		at := a.x + (w-a.x)/2
		if d.chance(0.15) {
			at = a.x + l.font.measure(title)/2
		}
		at = max(l.font.measure(title)/2+2, min(w-l.font.measure(title)/2-2, at))
		c.anchored(l.font, l.ink, at, d.within(2, 7)*d.scale+l.font.ascent(), 0.5, title)
		a.y = l.font.lineHeight() + d.within(4, 12)*d.scale
	}
	a.w = w - a.x - d.within(4, 14)*d.scale
	a.h = h - a.y - below - d.within(2, 10)*d.scale
	c.rect(l.plot, a.x, a.y, a.w, a.h)
	return c, a
}

// drawBars draws a bar chart, upright or lying.
func drawBars(d *draft) ([]*imageproc.RGB, func() Turn) {
	n := d.between(3, 7)
	if d.side() < 300 {
		n = d.between(3, 4)
	}
	t := d.topic(n)
	n = len(t.labels)
	printed := d.chance(0.5)
	scale, values := d.values(n, !printed)
	l := d.look(strings.Join(t.labels, "") + t.title)
	if !printed {
		l.gridded = true
	}
	if printed && d.chance(0.7) {
		l.gridded = l.gridded && d.chance(0.5)
	}
	lying := d.chance(0.3)
	title := t.title
	if d.chance(0.2) {
		title = ""
	}
	named := d.chance(0.55) // the axis of values has a name
	var widest, widestTick float64
	for _, s := range t.labels {
		widest = max(widest, l.small.measure(s))
	}
	for v := 0.0; v <= scale.top+scale.step/100; v += scale.step {
		widestTick = max(widestTick, l.small.measure(show(v)))
	}
	lineH := l.small.lineHeight()
	gap := d.within(4, 7) * d.scale
	left, below := widestTick+gap, lineH+gap
	name := 0.0
	if named {
		name = lineH
	}
	crowded := !lying && widest+6*d.scale > (d.side()*0.75-left)/float64(n)
	angle := 0.0
	if lying {
		left = widest + gap
		below += name
	} else {
		left += name
		if crowded {
			angle = pick(d.random, math.Pi/4, math.Pi/4, math.Pi/6, math.Pi/2)
			below = widest*math.Sin(angle) + lineH*math.Cos(angle) + gap
		}
	}
	c, a := d.chartCanvas(l, title, left, below)
	if a.h < 60 || a.w < 80 {
		return drawBars(d)
	}
	if crowded { // room for what leans out at the left
		left = max(left, widest*math.Cos(angle)-(a.w/float64(n))/2+3)
		a.w -= max(0, left-a.x)
		a.x = max(a.x, left)
		c.rect(l.ground, 0, a.y, a.x, a.h)
	}
	length := a.h
	if lying {
		length = a.w
	}
	head := 0.0
	if printed { // room for the numbers beyond the bars
		head = lineH
		if lying {
			head = l.small.measure(show(slices.Max(values))) + gap
		}
	}
	top := max(scale.top, slices.Max(values)*length/max(1, length-head))
	place := func(v float64) float64 { return v / top * length } // along the axis

	for v := 0.0; v <= top+scale.step/100; v += scale.step {
		at := place(v)
		s := show(v)
		if lying {
			if l.gridded {
				l.line(c, point{a.x + at, a.y}, point{a.x + at, a.y + a.h})
			}
			if l.ticks {
				c.rect(l.frame, math.Round(a.x+at), a.y+a.h, l.thin, 3*d.scale)
			}
			c.anchored(l.small, l.ink, a.x+at, a.y+a.h+gap*0.8+l.small.ascent()*0.9, 0.5, s)
		} else {
			y := a.y + a.h - at
			if l.gridded {
				l.line(c, point{a.x, y}, point{a.x + a.w, y})
			}
			if l.ticks {
				c.rect(l.frame, a.x-3*d.scale, math.Round(y), 3*d.scale, l.thin)
			}
			c.anchored(l.small, l.ink, a.x-gap, l.small.middle(y), 1, s)
		}
	}
	across := a.w
	if lying {
		across = a.h
	}
	pitch := across / float64(n)
	thick := pitch * d.within(0.45, 0.85)
	same := d.chance(0.5)
	edged := d.chance(0.15)
	upwards := d.chance(0.5) // lying bars begin at the bottom
	inside := printed && d.chance(0.12)
	for i, v := range values {
		ink := l.colours[0]
		if !same {
			ink = l.colours[i%len(l.colours)]
		}
		middle := pitch * (float64(i) + 0.5)
		long := place(v)
		if lying {
			if upwards {
				middle = across - middle
			}
			y := a.y + middle
			c.rect(ink, a.x, y-thick/2, long, thick)
			if edged {
				c.frame(l.ink, a.x, y-thick/2, long, thick, l.thin)
			}
			c.anchored(l.small, l.ink, a.x-gap, l.small.middle(y), 1, t.labels[i])
			if printed {
				s := show(v)
				if inside && l.small.measure(s)+8 < long && thick > lineH {
					c.anchored(l.small, plainOn(ink), a.x+long-4, l.small.middle(y), 1, s)
				} else {
					c.print(l.small, l.ink, a.x+long+gap*0.6, l.small.middle(y), s)
				}
			}
			continue
		}
		x := a.x + middle
		c.rect(ink, x-thick/2, a.y+a.h-long, thick, long)
		if edged {
			c.frame(l.ink, x-thick/2, a.y+a.h-long, thick, long, l.thin)
		}
		if crowded {
			c.printTurned(l.small, l.ink, x+l.small.XHeight()*l.small.Size*0.5*math.Sin(angle), a.y+a.h+gap+l.small.ascent()*0.6*math.Cos(angle), 1, -angle, t.labels[i])
		} else {
			c.anchored(l.small, l.ink, x, a.y+a.h+gap*0.8+l.small.ascent()*0.9, 0.5, t.labels[i])
		}
		if printed {
			s := show(v)
			if inside && long > lineH*1.3 && l.small.measure(s) < thick {
				c.anchored(l.small, plainOn(ink), x, a.y+a.h-long+lineH, 0.5, s)
			} else {
				c.anchored(l.small, l.ink, x, a.y+a.h-long-3*d.scale, 0.5, s)
			}
		}
	}
	l.border(c, a)
	if named {
		if lying {
			c.anchored(l.small, l.ink, a.x+a.w/2, a.y+a.h+gap+l.small.lineHeight()*1.8, 0.5, t.unit)
		} else {
			c.printTurned(l.small, l.ink, max(l.small.ascent(), a.x-gap-widestTick-4), a.y+a.h/2, 0.5, -math.Pi/2, t.unit)
		}
	}
	m := d.wornChart(c, l)
	return []*imageproc.RGB{m}, func() Turn {
		most, least := extremes(values)
		switch d.weighted(2, 1, 1, 1) {
		case 0:
			i := d.IntN(n)
			return d.turn("value", []string{show(values[i])}, fmt.Sprintf("What is the value of %s?", t.labels[i]), fmt.Sprintf("Read the value of the bar %s.", t.labels[i]), fmt.Sprintf("Which value does the chart show for %s?", t.labels[i]))
		case 1:
			return d.turn("largest", []string{t.labels[most]}, "Which category has the largest value?", "What is the label of the longest bar?")
		case 2:
			return d.turn("smallest", []string{t.labels[least]}, "Which category has the smallest value?", "What is the label of the shortest bar?")
		default:
			i, j := d.pair(values)
			a, b := t.labels[i], t.labels[j]
			if d.chance(0.5) {
				return d.turn("difference", []string{show(values[i] - values[j])}, fmt.Sprintf("How much more does %s have than %s?", a, b))
			}
			if d.chance(0.5) {
				a, b = b, a
			}
			return d.turn("difference", []string{show(values[i] - values[j])}, fmt.Sprintf("What is the difference between %s and %s?", a, b))
		}
	}
}

func (d *draft) wornChart(c *canvas, l look) *imageproc.RGB {
	w := d.wear(0, l.small.Size*0.85, d.scale)
	m := c.picture()
	if !d.chance(0.35) {
		return m
	}
	return w.apply(d.random, m, l.ground)
}

// extremes returns the places of the largest and the smallest value.
func extremes(values []float64) (most, least int) {
	for i, v := range values {
		if v > values[most] {
			most = i
		}
		if v < values[least] {
			least = i
		}
	}
	return most, least
}

// pair returns the places of two different values, the larger first.
func (r random) pair(values []float64) (i, j int) {
	for range 100 {
		i, j = r.IntN(len(values)), r.IntN(len(values))
		if values[i] > values[j] {
			return i, j
		}
	}
	return extremes(values)
}

// drawLines draws a chart of one to three lines.
func drawLines(d *draft) ([]*imageproc.RGB, func() Turn) {
	n := d.between(4, 8)
	if d.side() < 300 {
		n = 4
	}
	var labels []string
	switch d.IntN(5) {
	case 0:
		from := d.between(1950, 2026)
		for i := range n {
			labels = append(labels, fmt.Sprint(from+i))
		}
	case 1:
		at := d.IntN(12 - n + 1)
		labels = shorts[at : at+n]
	case 2:
		n = min(n, 7)
		at := d.IntN(7 - n + 1)
		labels = days[at : at+n]
	case 3:
		n = 4
		labels = []string{"Q1", "Q2", "Q3", "Q4"}
	default:
		n = min(n, 6)
		for i := range n {
			labels = append(labels, fmt.Sprintf("Week %d", i+1))
		}
	}
	count := d.weighted(6, 3, 2) + 1
	var names []string
	for len(names) == 0 || len(strings.Join(names, "")) > 30 {
		names = nil
		for _, s := range d.topic(max(3, count)).labels[:count] {
			if !slices.Contains(labels, s) && !slices.Contains(shorts, s) && !slices.Contains(days, s) {
				names = append(names, s)
			}
		}
		if len(names) < count {
			names = nil
		}
	}
	printed := count == 1 && d.chance(0.35)
	var scale axis
	var series [][]float64
	for len(series) < count {
		a, v := d.values(n, true)
		if len(series) > 0 && (a.step != scale.step || coincides(series, v)) {
			continue
		}
		scale.step, scale.top = a.step, max(scale.top, a.top)
		series = append(series, v)
	}
	if printed && d.chance(0.5) {
		for i, v := range series[0] {
			if v = math.Round(v * d.within(0.96, 1.04)); v > 0 {
				series[0][i] = v
			}
		}
		if most, least := extremes(series[0]); len(slices.Compact(slices.Sorted(slices.Values(series[0])))) < n && (repeated(series[0], most) || repeated(series[0], least)) {
			return drawLines(d)
		}
	}
	l := d.look(strings.Join(labels, "") + strings.Join(names, ""))
	l.gridded = !printed || d.chance(0.4)
	title := names[0]
	if count > 1 {
		if title = d.topic(3).title; d.chance(0.3) {
			title = ""
		}
	}
	var widest, widestTick float64
	for _, s := range labels {
		widest = max(widest, l.small.measure(s))
	}
	for v := 0.0; v <= scale.top+scale.step/100; v += scale.step {
		widestTick = max(widestTick, l.small.measure(show(v)))
	}
	lineH := l.small.lineHeight()
	gap := d.within(4, 7) * d.scale
	below := lineH + gap
	legend := d.IntN(3) // below, at the right, above
	legendWidth := 0.0
	for _, s := range names {
		legendWidth = max(legendWidth, l.small.measure(s))
	}
	if legend == 1 && legendWidth > 0.22*d.side() {
		legend = 0
	}
	if count > 1 && legend == 0 {
		below += lineH * 1.4
	}
	tilted := widest > (d.side()*0.68-widestTick)/float64(n)*0.92
	if tilted {
		below += widest * 0.72
	}
	c, a := d.chartCanvas(l, title, widestTick+gap, below)
	if count > 1 && legend == 1 {
		c.rect(l.ground, a.x, a.y, a.w+40, a.h)
		a.w -= legendWidth + 34*d.scale
		c.rect(l.plot, a.x, a.y, a.w, a.h)
	}
	if count > 1 && legend == 2 {
		c.rect(l.ground, a.x, a.y, a.w+1, a.h)
		a.y += lineH * 1.5
		a.h -= lineH * 1.5
		c.rect(l.plot, a.x, a.y, a.w, a.h)
	}
	if a.h < 60 || a.w < 80 {
		return drawLines(d)
	}
	top := scale.top
	if printed {
		top = max(top, slices.Max(series[0])*a.h/(a.h-lineH-6))
	}
	margin := a.w * d.within(0.03, 0.08)
	at := func(i int, v float64) point {
		return point{a.x + margin + (a.w-2*margin)*float64(i)/float64(n-1), a.y + a.h - v/top*a.h}
	}
	for v := 0.0; v <= top+scale.step/100; v += scale.step {
		y := at(0, v).y
		if l.gridded {
			l.line(c, point{a.x, y}, point{a.x + a.w, y})
		}
		if l.ticks {
			c.rect(l.frame, a.x-3*d.scale, math.Round(y), 3*d.scale, l.thin)
		}
		c.anchored(l.small, l.ink, a.x-gap, l.small.middle(y), 1, show(v))
	}
	upright := l.gridded && d.chance(0.6)
	for i, s := range labels {
		x := at(i, 0).x
		if upright {
			l.line(c, point{x, a.y}, point{x, a.y + a.h})
		}
		if l.ticks {
			c.rect(l.frame, math.Round(x), a.y+a.h, l.thin, 3*d.scale)
		}
		if tilted {
			c.printTurned(l.small, l.ink, x+3, a.y+a.h+gap+l.small.ascent()*0.5, 1, -math.Pi/4, s)
		} else {
			c.anchored(l.small, l.ink, x, a.y+a.h+gap*0.8+l.small.ascent()*0.9, 0.5, s)
		}
	}
	l.border(c, a)
	thick := d.within(1.2, 2.4) * d.scale
	mark := d.IntN(4)
	dashes := d.chance(0.15)
	symbol := func(ink rgb, p point, k int) {
		r := thick*1.3 + 1.2*d.scale
		switch (mark + k) % 4 {
		case 0, 3:
			c.polygon(ink, circle(p.x, p.y, r)...)
		case 1:
			c.polygon(ink, point{p.x, p.y - r*1.3}, point{p.x + r, p.y}, point{p.x, p.y + r*1.3}, point{p.x - r, p.y})
		default:
			c.rect(ink, p.x-r*0.85, p.y-r*0.85, 1.7*r, 1.7*r)
		}
	}
	marked := d.chance(0.85)
	for k, v := range series {
		ink := l.colours[k%len(l.colours)]
		for i := range n - 1 {
			if dashes {
				c.dashed(ink, at(i, v[i]), at(i+1, v[i+1]), thick, 4*thick, 2*thick)
			} else {
				c.stroke(ink, at(i, v[i]), at(i+1, v[i+1]), thick)
			}
		}
		for i := range n {
			if marked {
				symbol(ink, at(i, v[i]), k)
			}
			if printed {
				p := at(i, v[i])
				x := max(a.x+2+l.small.measure(show(v[i]))/2, p.x)
				c.anchored(l.small, l.ink, x, p.y-5*d.scale, 0.5, show(v[i]))
			}
		}
	}
	if count > 1 {
		x, y := a.x+2, a.y+a.h+below-lineH*0.35
		if legend == 2 {
			y = a.y - lineH*0.5
		}
		if legend == 1 {
			x, y = a.x+a.w+6*d.scale, a.y+lineH
		}
		for k, s := range names {
			ink := l.colours[k%len(l.colours)]
			mid := y - l.small.XHeight()*l.small.Size/2
			c.stroke(ink, point{x, mid}, point{x + 18*d.scale, mid}, thick)
			if marked {
				symbol(ink, point{x + 9*d.scale, mid}, k)
			}
			c.print(l.small, l.ink, x+22*d.scale, y, s)
			if legend == 1 {
				y += lineH * 1.2
			} else {
				x += 22*d.scale + l.small.measure(s) + 12*d.scale
			}
		}
		if x > c.width()+12*d.scale {
			return drawLines(d)
		}
	}
	m := d.wornChart(c, l)
	return []*imageproc.RGB{m}, func() Turn {
		k := d.IntN(count)
		name, v := names[k], series[k]
		most, least := extremes(v)
		switch d.weighted(2, 1, 1, 1) {
		case 0:
			i := d.IntN(n)
			return d.turn("value", []string{show(v[i])}, fmt.Sprintf("What is the value of %s in %s?", name, labels[i]), fmt.Sprintf("Which value does %s have in %s?", name, labels[i]))
		case 1:
			return d.turn("largest", []string{labels[most]}, fmt.Sprintf("When is %s the highest?", name), fmt.Sprintf("At which point of the axis does %s reach its largest value?", name))
		case 2:
			return d.turn("smallest", []string{labels[least]}, fmt.Sprintf("When is %s the lowest?", name), fmt.Sprintf("At which point of the axis does %s reach its smallest value?", name))
		default:
			i, j := d.pair(v)
			diff := show(v[i] - v[j])
			if j < i == d.chance(0.9) {
				i, j = j, i
			}
			return d.turn("difference", []string{diff}, fmt.Sprintf("What is the difference of %s between %s and %s?", name, labels[i], labels[j]), fmt.Sprintf("By how much do %s and %s differ for %s?", labels[i], labels[j], name))
		}
	}
}

// coincides tells whether a line would lie on one of the others.
func coincides(series [][]float64, v []float64) bool {
	for _, other := range series {
		same := 0
		for i := range v {
			if v[i] == other[i] {
				same++
			}
		}
		if same > len(v)/3 {
			return true
		}
	}
	return false
}

func repeated(v []float64, at int) bool {
	for i := range v {
		if i != at && v[i] == v[at] {
			return true
		}
	}
	return false
}

// drawPie draws a pie or a ring.
func drawPie(d *draft) ([]*imageproc.RGB, func() Turn) {
	n := d.between(3, 6)
	t := d.topic(n)
	printed := d.chance(0.7)
	var shares []float64
	for {
		shares = nil
		var sum float64
		raw := make([]float64, n)
		for i := range raw {
			raw[i] = 0.12 + d.ExpFloat64()*0.5
			sum += raw[i]
		}
		left := 100.0
		for i := range raw {
			v := math.Round(raw[i] / sum * 100)
			if i == n-1 {
				v = left
			}
			left -= v
			shares = append(shares, v)
		}
		sorted := slices.Sorted(slices.Values(shares))
		apart := 1.0
		if !printed {
			apart = 4
		}
		if sorted[0] >= 5 && sorted[n-1]-sorted[n-2] >= apart && sorted[1]-sorted[0] >= apart {
			break
		}
	}
	l := d.look(strings.Join(t.labels, ""))
	for len(l.colours) < n {
		l.colours = append(l.colours, d.coloured(l.ground))
	}
	side := d.side()
	w, h := d.within(0.7, 1)*side, d.within(0.58, 1)*side
	c := newCanvas(int(w), int(h), l.ground)
	top := 4 * d.scale
	if d.chance(0.6) {
		for l.font.measure(t.title) > w-8 {
			l.font.Size *= 0.95
		}
		c.anchored(l.font, l.ink, w/2, top+l.font.ascent(), 0.5, t.title)
		top += l.font.lineHeight() + 3*d.scale
	}
	var widest float64
	for _, s := range t.labels {
		widest = max(widest, l.small.measure(s))
	}
	legend := d.chance(0.35)
	lineH := l.small.lineHeight()
	cx, room := w/2, w/2-4
	if legend {
		room = (w - widest - 36*d.scale) / 2
		cx = room
	} else {
		room -= widest + 4*d.scale
	}
	radius := min(room, (h-top)/2-8) * d.within(0.85, 0.96)
	if !legend {
		radius = min(radius, (h-top)/2-lineH-6)
	}
	if radius < 42*d.scale {
		return drawPie(d)
	}
	cy := top + (h-top)/2
	hole := 0.0
	if d.chance(0.3) {
		hole = radius * d.within(0.35, 0.6)
	}
	edge := d.chance(0.5)
	out := -1
	if d.chance(0.25) {
		out = d.IntN(n)
	}
	turn := pick(d.random, 1.0, -1.0)
	angle := d.within(0, 2*math.Pi)
	if d.chance(0.3) {
		angle = pick(d.random, 0, -math.Pi/2)
	}
	middles := make([]float64, n)
	for i, v := range shares {
		span := turn * v / 100 * 2 * math.Pi
		middle := angle + span/2
		middles[i] = middle
		sin, cos := math.Sincos(middle)
		x, y := cx, cy
		if i == out {
			x, y = x+cos*radius*0.06, y+sin*radius*0.06
		}
		var p []point
		steps := int(math.Abs(span)*radius/3) + 4
		for k := range steps + 1 {
			s, co := math.Sincos(angle + span*float64(k)/float64(steps))
			p = append(p, point{x + radius*co, y + radius*s})
		}
		if hole == 0 {
			p = append(p, point{x, y})
		}
		for k := range steps + 1 {
			if hole > 0 {
				s, co := math.Sincos(angle + span*(1-float64(k)/float64(steps)))
				p = append(p, point{x + hole*co, y + hole*s})
			}
		}
		ink := l.colours[i%len(l.colours)]
		c.polygon(ink, p...)
		angle += span
		if printed {
			at := d.within(0.58, 0.6) * radius
			if hole > 0 {
				at = (radius + hole) / 2
			}
			s := show(v) + "%"
			f := l.small
			if f.measure(s) > radius-hole && hole > 0 {
				f.Size *= 0.85
			}
			c.anchored(f, plainOn(ink), x+cos*at, f.middle(y+sin*at), 0.5, s)
		}
		if !legend {
			lx, ly := x+cos*radius*1.07, y+sin*radius*1.07+sin*lineH*0.25
			anchor := 0.5 - 0.5*math.Max(-1, math.Min(1, cos*2.2))
			c.anchored(l.small, l.ink, lx, l.small.middle(ly), anchor, t.labels[i])
		}
	}
	if edge {
		for i, v := range shares {
			for _, side := range []float64{-1, 1} {
				a := middles[i] + side*v/100*math.Pi
				s, co := math.Sincos(a)
				x, y := cx, cy
				if i == out {
					ms, mc := math.Sincos(middles[i])
					x, y = x+mc*radius*0.06, y+ms*radius*0.06
				}
				c.stroke(l.ground, point{x + hole*co, y + hole*s}, point{x + (radius+1)*co, y + (radius+1)*s}, 1.2*d.scale)
			}
		}
	}
	if legend {
		box := l.small.CapHeight() * l.small.Size
		x := w - widest - box - 16*d.scale
		y := cy - lineH*1.25*float64(n)/2
		for i, s := range t.labels {
			c.rect(l.colours[i%len(l.colours)], x, y+lineH/2-box/2, box, box)
			c.print(l.small, l.ink, x+box+5*d.scale, l.small.middle(y+lineH/2), s)
			y += lineH * 1.25
		}
	}
	m := d.wornChart(c, l)
	return []*imageproc.RGB{m}, func() Turn {
		most, least := extremes(shares)
		k := d.weighted(2, 1, 1, 1)
		if !printed && (k == 0 || k == 3) {
			k = 1 + d.IntN(2)
		}
		switch k {
		case 0:
			i := d.IntN(n)
			return d.turn("value", []string{show(shares[i])}, fmt.Sprintf("What percentage is %s?", t.labels[i]), fmt.Sprintf("How large is the share of %s, in per cent?", t.labels[i]))
		case 1:
			return d.turn("largest", []string{t.labels[most]}, "Which slice is the largest?", "What has the largest share?")
		case 2:
			return d.turn("smallest", []string{t.labels[least]}, "Which slice is the smallest?", "What has the smallest share?")
		default:
			i, j := d.pair(shares)
			a, b := t.labels[i], t.labels[j]
			diff := show(shares[i] - shares[j])
			if d.chance(0.5) {
				return d.turn("difference", []string{diff}, fmt.Sprintf("By how many percentage points is %s larger than %s?", a, b))
			}
			if d.chance(0.5) {
				a, b = b, a
			}
			return d.turn("difference", []string{diff}, fmt.Sprintf("What is the difference between %s and %s, in percentage points?", a, b))
		}
	}
}
