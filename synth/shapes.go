package synth

import (
	"fmt"
	"math"

	"idefics2/imageproc"
)

var (
	shapeNames  = []string{"circle", "square", "triangle", "star", "diamond", "pentagon", "cross", "heart"}
	colourNames = []string{"red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey"}
	numbers     = []string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
)

// plural of a shape's name.
func shapes(name string) string {
	if name == "cross" {
		return "crosses"
	}
	return name + "s"
}

// shade returns a colour that goes by the name.
func (r random) shade(name string) rgb {
	switch name {
	case "red":
		return hsl(r.within(-8, 5), r.within(0.75, 1), r.within(0.38, 0.52))
	case "orange":
		return hsl(r.within(24, 35), r.within(0.9, 1), r.within(0.48, 0.56))
	case "yellow":
		return hsl(r.within(51, 60), r.within(0.85, 1), r.within(0.46, 0.6))
	case "green":
		return hsl(r.within(105, 145), r.within(0.55, 1), r.within(0.24, 0.46))
	case "blue":
		return hsl(r.within(208, 236), r.within(0.65, 1), r.within(0.36, 0.6))
	case "purple":
		return hsl(r.within(268, 290), r.within(0.5, 0.9), r.within(0.26, 0.46))
	case "pink":
		return hsl(r.within(326, 347), r.within(0.75, 1), r.within(0.72, 0.84))
	case "brown":
		return hsl(r.within(19, 30), r.within(0.5, 0.75), r.within(0.2, 0.32))
	case "black":
		v := uint8(r.IntN(24))
		return rgb{v, v, v, 255}
	case "white":
		v := uint8(r.between(244, 255))
		return rgb{v, v, v, 255}
	default: // grey
		v := r.between(108, 150)
		return rgb{uint8(v + r.between(-3, 3)), uint8(v + r.between(-3, 3)), uint8(v + r.between(-3, 3)), 255}
	}
}

// corners returns a shape of that radius around (x, y), turned by angle.
func corners(name string, x, y, radius, angle float64) []point {
	var out []point
	regular := func(n int, inner float64) {
		for i := range n {
			a := 2*math.Pi*float64(i)/float64(n) - math.Pi/2
			r := radius
			if i%2 == 1 {
				r *= inner
			}
			out = append(out, point{r * math.Cos(a), r * math.Sin(a)})
		}
	}
	switch name {
	case "circle":
		return circle(x, y, radius*0.9)
	case "square":
		s := radius * 0.8
		out = []point{{-s, -s}, {s, -s}, {s, s}, {-s, s}}
	case "triangle":
		for i := range 3 {
			a := 2*math.Pi*float64(i)/3 - math.Pi/2
			out = append(out, point{radius * math.Cos(a), radius*math.Sin(a) + radius*0.15})
		}
	case "star":
		regular(10, 0.42)
	case "diamond":
		out = []point{{0, -radius}, {radius * 0.64, 0}, {0, radius}, {-radius * 0.64, 0}}
	case "pentagon":
		for i := range 5 {
			a := 2*math.Pi*float64(i)/5 - math.Pi/2
			out = append(out, point{radius * math.Cos(a), radius * math.Sin(a)})
		}
	case "cross":
		a, b := radius*0.3, radius*0.95
		out = []point{{-a, -b}, {a, -b}, {a, -a}, {b, -a}, {b, a}, {a, a}, {a, b}, {-a, b}, {-a, a}, {-b, a}, {-b, -a}, {-a, -a}}
	case "heart":
		// The usual curve x = 16 sin³t, y = 13 cos t − 5 cos 2t − 2 cos 3t − cos 4t.
		for i := range 48 {
			t := 2 * math.Pi * float64(i) / 48
			s := math.Sin(t)
			out = append(out, point{radius * s * s * s * 0.95, -radius * (13*math.Cos(t) - 5*math.Cos(2*t) - 2*math.Cos(3*t) - math.Cos(4*t) + 2.5) / 16.5})
		}
	}
	sin, cos := math.Sincos(angle)
	for i, p := range out {
		out[i] = point{x + p.x*cos - p.y*sin, y + p.x*sin + p.y*cos}
	}
	return out
}

// shape is one shape in a picture.
type shape struct {
	name, colour string
	at           point
	radius       float64
	ink          rgb
}

// scenery is a ground for shapes, and the colours that may lie on it.
type scenery struct {
	w, h    float64
	name    string // of the ground's colour, "" where it is no colour of the list
	ground  rgb
	colours []string
	edge    *rgb    // of shapes, nil for none
	thick   float64 // of edges
}

// scenery draws a ground. named: its colour must be one of the list.
func (d *draft) scenery(named bool) scenery {
	s := scenery{w: d.within(0.5, 1) * d.side(), h: d.within(0.5, 1) * d.side()}
	if d.chance(0.5) && !named {
		s.name = "white"
		s.ground = pick(d.random, white, hsl(d.within(0, 360), d.within(0, 1), d.within(0.965, 0.99)), d.shade("white"), hsl(d.within(0, 360), d.within(0, 0.4), d.within(0.93, 0.98)))
	} else {
		s.name = one(d.random, colourNames)
		s.ground = d.shade(s.name)
	}
	if s.name != "white" && d.chance(0.35) || s.name == "white" && d.chance(0.2) {
		edge := black
		if luminance(s.ground) < 0.18 {
			edge = white
		}
		s.edge, s.thick = &edge, max(1, d.within(1, 2.2)*d.scale)
	}
	for _, c := range colourNames {
		if c == s.name || s.edge == nil && near(d.shade(c), s.ground) < 95 {
			continue
		}
		s.colours = append(s.colours, c)
	}
	return s
}

// draw draws shapes, each slightly turned.
func (d *draft) shapes(s scenery, list []shape) *canvas {
	c := newCanvas(int(s.w), int(s.h), s.ground)
	steady := d.chance(0.4)
	for _, o := range list {
		angle := d.within(-0.17, 0.17)
		if steady {
			angle = 0
		}
		if o.name == "cross" || o.name == "square" {
			angle *= 0.8 // far from a saltire or a diamond
		}
		points := corners(o.name, o.at.x, o.at.y, o.radius, angle)
		if s.edge != nil {
			c.polygon(*s.edge, corners(o.name, o.at.x, o.at.y, o.radius+s.thick, angle)...)
			if o.name != "circle" { // growing from the middle leaves sides thin
				for i, p := range points {
					c.stroke(*s.edge, p, points[(i+1)%len(points)], 2*s.thick)
				}
			}
		}
		c.polygon(o.ink, points...)
	}
	return c
}

// place finds places for shapes that do not touch. It gives up on those for which there
// is no room and returns false.
func (d *draft) place(s scenery, list []shape) bool {
	for i := range list {
		o := &list[i]
		for try := 0; ; try++ {
			if try == 200 {
				return false
			}
			edge := o.radius*1.08 + 3
			o.at = point{d.within(edge, s.w-edge), d.within(edge, s.h-edge)}
			free := true
			for _, q := range list[:i] {
				free = free && math.Hypot(o.at.x-q.at.x, o.at.y-q.at.y) > (o.radius+q.radius)*1.06+4
			}
			if free {
				break
			}
		}
	}
	return true
}

// radius draws a size for one of n shapes in a picture.
func (d *draft) radius(s scenery, n int) float64 {
	room := math.Sqrt(s.w*s.h/float64(max(n, 1))) * 0.42
	return max(8, min(d.logWithin(10, 40)*d.scale, room, min(s.w, s.h)*0.22))
}

func (d *draft) wornShapes(c *canvas, s scenery) *imageproc.RGB {
	return d.worn(c, paper{ground: s.ground}, 0.35, 0, 18*d.scale)
}

// drawCount draws up to nine shapes.
func drawCount(d *draft) ([]*imageproc.RGB, func() Turn) {
	kind := d.weighted(2, 1, 1, 1) // shape, colour, both, all
	var s scenery
	var list []shape
	name, colour := one(d.random, shapeNames), ""
	for {
		s = d.scenery(false)
		colour = one(d.random, s.colours)
		want := d.IntN(10)
		total := d.between(want, min(9, want+1+d.IntN(7)))
		if kind == 3 {
			total, want = max(1, want), 0
		}
		few := some(d.random, shapeNames, d.between(2, 4)) // pictures with few kinds are harder
		hues := some(d.random, s.colours, d.between(2, 4))
		list = nil
		for i := range total {
			o := shape{name: one(d.random, few), colour: one(d.random, hues)}
			if i < want {
				switch kind {
				case 0:
					o.name = name
				case 1:
					o.colour = colour
				case 2:
					o.name, o.colour = name, colour
				}
			} else if kind < 3 {
				for kind == 0 && o.name == name || kind == 1 && o.colour == colour || kind == 2 && o.name == name && o.colour == colour {
					o = shape{name: one(d.random, shapeNames), colour: one(d.random, s.colours)}
					if kind == 2 && d.chance(0.5) { // one of the two right
						if d.chance(0.5) {
							o.name = name
						} else {
							o.colour = colour
						}
					}
				}
			}
			o.radius, o.ink = d.radius(s, total), d.shade(o.colour)
			list = append(list, o)
		}
		d.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		if d.place(s, list) {
			break
		}
	}
	m := d.wornShapes(d.shapes(s, list), s)
	first := true
	return []*imageproc.RGB{m}, func() Turn {
		if !first { // anything may be asked about what there is
			kind = d.weighted(2, 1, 1, 1)
			name, colour = one(d.random, shapeNames), one(d.random, s.colours)
			if len(list) > 0 && d.chance(0.85) {
				name = one(d.random, list).name
				colour = one(d.random, list).colour
			}
		}
		first = false
		n := 0
		for _, o := range list {
			if (kind == 1 || kind == 3 || o.name == name) && (kind == 0 || kind == 3 || o.colour == colour) {
				n++
			}
		}
		answers := []string{fmt.Sprint(n), numbers[n]}
		more := shapes(name)
		switch kind {
		case 0:
			return d.turn("shape", answers, fmt.Sprintf("How many %s are there?", more), fmt.Sprintf("Count the %s.", more), fmt.Sprintf("How many %s do you see?", more))
		case 1:
			return d.turn("colour", answers, fmt.Sprintf("How many shapes are %s?", colour), fmt.Sprintf("Count the %s shapes.", colour))
		case 2:
			return d.turn("both", answers, fmt.Sprintf("How many %s %s are there?", colour, more), fmt.Sprintf("Count the %s %s.", colour, more))
		default:
			return d.turn("all", answers, "How many shapes are there?", "Count all the shapes.")
		}
	}
}

// colourAnswers returns what is accepted for a colour.
func colourAnswers(name string) []string {
	if name == "grey" {
		return []string{"grey", "gray"}
	}
	return []string{name}
}

// drawColour draws one to five shapes of different kinds and colours.
func drawColour(d *draft) ([]*imageproc.RGB, func() Turn) {
	var s scenery
	var list []shape
	kind := d.weighted(2, 1, 1) // shape, background, which
	for {
		s = d.scenery(kind == 1)
		n := d.between(1, 5)
		list = nil
		for range n {
			o := shape{name: one(d.random, shapeNames), colour: one(d.random, s.colours)}
			o.radius, o.ink = d.radius(s, n+2)*1.15, d.shade(o.colour)
			list = append(list, o)
		}
		if len(once(list)) > 0 && len(onceColoured(list)) > 0 && d.place(s, list) {
			break
		}
	}
	m := d.wornShapes(d.shapes(s, list), s)
	first := true
	return []*imageproc.RGB{m}, func() Turn {
		if !first {
			if kind = d.weighted(2, 1, 1); kind == 1 && s.name == "white" && luminance(s.ground) < 0.93 {
				kind = 0 // a tint has no name
			}
		}
		first = false
		switch kind {
		case 0:
			o := one(d.random, once(list))
			return d.turn("shape", colourAnswers(o.colour), fmt.Sprintf("What colour is the %s?", o.name), fmt.Sprintf("What is the color of the %s?", o.name), fmt.Sprintf("Which colour does the %s have?", o.name))
		case 1:
			return d.turn("background", colourAnswers(s.name), "What colour is the background?", "What is the color of the background?")
		default:
			o := one(d.random, onceColoured(list))
			return d.turn("which", []string{o.name}, fmt.Sprintf("Which shape is %s?", o.colour), fmt.Sprintf("What is the shape of the %s object?", o.colour))
		}
	}
}

// once returns the shapes whose kind is there once.
func once(list []shape) []shape { return onceBy(list, func(s shape) string { return s.name }) }

// onceColoured returns the shapes whose colour is there once.
func onceColoured(list []shape) []shape {
	return onceBy(list, func(s shape) string { return s.colour })
}

func onceBy(list []shape, key func(shape) string) (out []shape) {
	times := map[string]int{}
	for _, s := range list {
		times[key(s)]++
	}
	for _, s := range list {
		if times[key(s)] == 1 {
			out = append(out, s)
		}
	}
	return out
}

// drawPosition draws shapes in corners, beside each other, or in a row.
func drawPosition(d *draft) ([]*imageproc.RGB, func() Turn) {
	s := d.scenery(false)
	names := some(d.random, shapeNames, 8)
	newShape := func(i int, radius float64) shape {
		c := one(d.random, s.colours)
		return shape{name: names[i], colour: c, radius: radius, ink: d.shade(c)}
	}
	var list []shape
	var ask func() Turn
	switch d.IntN(4) {
	case 0:
		radius := d.within(0.07, 0.11) * min(s.w, s.h) * 1.2
		spots := []struct {
			name string
			x, y float64
		}{{"in the top left corner", 0, 0}, {"in the top right corner", 1, 0}, {"in the bottom left corner", 0, 1}, {"in the bottom right corner", 1, 1}, {"in the middle", 0.5, 0.5}}
		spots = some(d.random, spots, d.between(2, 5))
		for i, spot := range spots {
			o := newShape(i, radius*d.within(0.85, 1.15))
			edge := o.radius + 4
			o.at = point{edge + spot.x*(s.w-2*edge), edge + spot.y*(s.h-2*edge)}
			o.at.x += (0.5 - spot.x) * d.within(0, 0.12) * s.w
			o.at.y += (0.5 - spot.y) * d.within(0, 0.12) * s.h
			list = append(list, o)
		}
		ask = func() Turn {
			i := d.IntN(len(list))
			return d.turn("place", []string{list[i].name}, fmt.Sprintf("Which shape is %s?", spots[i].name), fmt.Sprintf("What shape do you see %s?", spots[i].name))
		}
	case 1, 2:
		radius := d.within(0.07, 0.13) * min(s.w, s.h)
		a, b := newShape(0, radius*d.within(0.8, 1.2)), newShape(1, radius*d.within(0.8, 1.2))
		edge := radius*1.25 + 4
		aside := d.chance(0.5) // of each other, or one above the other
		for {
			a.at = point{d.within(edge, s.w-edge), d.within(edge, s.h-edge)}
			b.at = point{d.within(edge, s.w-edge), d.within(edge, s.h-edge)}
			dx, dy := math.Abs(a.at.x-b.at.x), math.Abs(a.at.y-b.at.y)
			if !aside {
				dx, dy = dy, dx
			}
			if dx > 3*radius && dy < dx*0.4 {
				break
			}
		}
		list = []shape{a, b}
		where := func(a, b shape) string {
			switch {
			case aside && a.at.x < b.at.x:
				return "left"
			case aside:
				return "right"
			case a.at.y < b.at.y:
				return "above"
			default:
				return "below"
			}
		}
		long := map[string]string{"left": "to the left of", "right": "to the right of", "above": "above", "below": "below"}
		opposite := map[string]string{"left": "right", "right": "left", "above": "below", "below": "above"}
		kind := d.IntN(2)
		first := true
		ask = func() Turn {
			x, y := a, b
			if d.chance(0.5) {
				x, y = b, a
			}
			is := where(x, y)
			if !first {
				kind = d.IntN(2)
			}
			first = false
			if kind == 1 {
				answers := []string{is}
				if aside {
					answers = append(answers, "to the "+is)
				}
				return d.turn("where", answers, fmt.Sprintf("Where is the %s, seen from the %s: left, right, above or below?", x.name, y.name), fmt.Sprintf("Is the %s to the left, to the right, above or below the %s?", x.name, y.name))
			}
			asked, answer := is, "yes"
			if d.chance(0.5) {
				asked, answer = opposite[is], "no"
			}
			return d.turn("yesno", []string{answer}, fmt.Sprintf("Is the %s %s the %s?", x.name, long[asked], y.name), fmt.Sprintf("Can the %s be found %s the %s? Answer yes or no.", x.name, long[asked], y.name))
		}
	default:
		n := d.between(3, 5)
		step := s.w / float64(n)
		y := d.within(0.3, 0.7) * s.h
		for i := range n {
			o := newShape(i, min(step*0.4, s.h*0.2)*d.within(0.7, 1))
			o.at = point{step * (float64(i) + 0.5), y + d.within(-0.03, 0.03)*s.h}
			list = append(list, o)
		}
		ask = func() Turn {
			i := d.IntN(n - 1)
			return d.turn("next", []string{list[i+1].name}, fmt.Sprintf("Which shape comes directly after the %s, from left to right?", list[i].name), fmt.Sprintf("What is the right-hand neighbour of the %s?", list[i].name))
		}
	}
	m := d.wornShapes(d.shapes(s, list), s)
	return []*imageproc.RGB{m}, ask
}

// drawCompare draws two pictures.
func drawCompare(d *draft) ([]*imageproc.RGB, func() Turn) {
	switch d.weighted(2, 2, 1) {
	case 0:
		return d.compareNumbers()
	case 1:
		return d.compareTexts()
	default:
		return d.compareShapes()
	}
}

func (d *draft) compareNumbers() ([]*imageproc.RGB, func() Turn) {
	name := one(d.random, shapeNames)
	n := [2]int{d.between(0, 9), d.between(0, 9)}
	if d.chance(0.5) {
		n[1] = max(0, min(9, n[0]+pick(d.random, -3, -2, -1, 1, 2, 3)))
	}
	for n[0] == n[1] {
		n[1] = d.between(0, 9)
	}
	var out []*imageproc.RGB
	for _, count := range n {
		for {
			s := d.scenery(false)
			others := d.between(0, min(2, 9-count))
			var list []shape
			for i := range count + others {
				o := shape{name: name, colour: one(d.random, s.colours)}
				for i >= count && o.name == name {
					o.name = one(d.random, shapeNames)
				}
				o.radius, o.ink = d.radius(s, count+others), d.shade(o.colour)
				list = append(list, o)
			}
			if d.place(s, list) {
				out = append(out, d.worn(d.shapes(s, list), paper{ground: s.ground}, 0.15, 0, 18*d.scale))
				break
			}
		}
	}
	word := "first"
	if n[1] > n[0] {
		word = "second"
	}
	answers := []string{word, "the " + word, word + " image", "the " + word + " image", "in the " + word, "in the " + word + " image"}
	return out, func() Turn {
		return d.turn("more", answers, fmt.Sprintf("Which image has more %s, the first or the second?", shapes(name)), fmt.Sprintf("Are there more %s in the first or in the second image?", shapes(name)))
	}
}

func (d *draft) compareTexts() ([]*imageproc.RGB, func() Turn) {
	text := d.line(24)
	other, answer := text, "yes"
	if d.chance(0.5) {
		answer = "no"
		if other = d.otherLetter(text); d.chance(0.5) {
			for other = d.line(24); other == text; {
				other = d.line(24)
			}
		}
	}
	if d.chance(0.5) {
		text, other = other, text
	}
	out := []*imageproc.RGB{d.textPicture(text, 18, 34, 0.3, 0.15), d.textPicture(other, 18, 34, 0.3, 0.15)}
	return out, func() Turn {
		return d.turn("text", []string{answer}, "Do the two images show the same text?", "Is the text in both images the same? Answer yes or no.")
	}
}

func (d *draft) compareShapes() ([]*imageproc.RGB, func() Turn) {
	a := one(d.random, shapeNames)
	b, answer := a, "yes"
	if d.chance(0.5) {
		for answer = "no"; b == a; {
			b = one(d.random, shapeNames)
		}
	}
	var out []*imageproc.RGB
	for _, name := range []string{a, b} {
		s := d.scenery(false)
		c := one(d.random, s.colours)
		o := shape{name: name, colour: c, ink: d.shade(c), radius: d.logWithin(0.06, 0.42) * min(s.w, s.h)}
		list := []shape{o}
		d.place(s, list)
		out = append(out, d.worn(d.shapes(s, list), paper{ground: s.ground}, 0.15, 0, 18*d.scale))
	}
	return out, func() Turn {
		return d.turn("shape", []string{answer}, "Do both images show the same shape?", "Is the shape in the first image the same as in the second?")
	}
}
