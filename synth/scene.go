package synth

import (
	"fmt"
	"math"
	"strings"

	"idefics2/imageproc"
)

// smooth is noise that varies slowly, from 0 to 1: random values on a grid, between which
// it goes over smoothly, in octaves.
type smooth struct {
	seed uint64
}

func (s smooth) grid(x, y int) float64 {
	return float64(mix(s.seed^mix(uint64(uint32(x))<<32|uint64(uint32(y))))>>11) / (1 << 53)
}

func (s smooth) at(x, y float64) float64 {
	x0, y0 := math.Floor(x), math.Floor(y)
	fx, fy := x-x0, y-y0
	fx, fy = fx*fx*(3-2*fx), fy*fy*(3-2*fy)
	i, j := int(x0), int(y0)
	top := s.grid(i, j) + fx*(s.grid(i+1, j)-s.grid(i, j))
	low := s.grid(i, j+1) + fx*(s.grid(i+1, j+1)-s.grid(i, j+1))
	return top + fy*(low-top)
}

// field fills the picture with a + (b − a)·noise, drawn on a coarse grid and stretched.
func (c *canvas) field(a, b rgb, value func(x, y float64) float64) {
	const cell = 3
	w, h := c.Rect.Dx(), c.Rect.Dy()
	cw, ch := w/cell+2, h/cell+2
	coarse := make([]float64, cw*ch)
	for y := range ch {
		for x := range cw {
			coarse[y*cw+x] = value(float64(x*cell), float64(y*cell))
		}
	}
	d := [3]float64{float64(b.R) - float64(a.R), float64(b.G) - float64(a.G), float64(b.B) - float64(a.B)}
	base := [3]float64{float64(a.R), float64(a.G), float64(a.B)}
	for y := range h {
		y0, fy := y/cell, float64(y%cell)/cell
		for x := range w {
			x0, fx := x/cell, float64(x%cell)/cell
			q := coarse[y0*cw+x0:]
			top := q[0] + fx*(q[1]-q[0])
			low := q[cw] + fx*(q[cw+1]-q[cw])
			t := top + fy*(low-top)
			p := c.Pix[y*c.Stride+4*x:]
			for k := range 3 {
				p[k] = uint8(max(0, min(255, base[k]+t*d[k]+0.5)))
			}
			p[3] = 255
		}
	}
}

// background draws what words may stand on out of doors, and returns a colour near to
// all of it.
func (d *draft) background(w, h float64) (*canvas, rgb) {
	c := newCanvas(int(w), int(h), black)
	noise := smooth{d.Uint64()}
	hue := d.within(0, 360)
	s := d.scale
	switch d.IntN(11) {
	case 0: // plaster
		base := hsl(hue, d.within(0, 0.7), d.within(0.15, 0.9))
		size := d.within(20, 90) * s
		c.field(blend(base, black, 0.08), blend(base, white, 0.1), func(x, y float64) float64 {
			return 0.6*noise.at(x/size, y/size) + 0.3*noise.at(x/size*3, y/size*3) + 0.1*noise.at(x/size*9, y/size*9)
		})
		return c, base
	case 1: // bricks
		base := pick(d.random, hsl(d.within(5, 25), d.within(0.25, 0.6), d.within(0.28, 0.6)), hsl(hue, d.within(0, 0.3), d.within(0.3, 0.8)))
		joint := pick(d.random, blend(base, white, 0.5), blend(base, black, 0.35))
		c.rect(joint, 0, 0, w, h)
		bw, bh, gap := d.within(24, 50)*s, d.within(10, 20)*s, max(1, d.within(1, 2.5)*s)
		for row := 0; float64(row)*bh < h; row++ {
			x := -bw * d.within(0, 0.1)
			if row%2 == 1 {
				x -= bw / 2
			}
			for ; x < w; x += bw {
				c.rect(blend(base, pick(d.random, black, white), d.within(0, 0.12)), x+gap/2, float64(row)*bh+gap/2, bw-gap, bh-gap)
			}
		}
		return c, base
	case 2: // wood
		base := hsl(d.within(20, 42), d.within(0.2, 0.6), d.within(0.2, 0.6))
		ring := d.within(5, 14) * s
		bend := d.within(8, 30)
		c.field(blend(base, black, 0.2), blend(base, white, 0.08), func(x, y float64) float64 {
			v := y/ring + bend*0.3*noise.at(x/(160*s), y/(60*s))
			return 0.5 + 0.4*math.Sin(v*2.5) + 0.1*noise.at(x/(20*s), y/(2*s))
		})
		if d.chance(0.4) {
			for y, plank := 0.0, d.within(40, 90)*s; y < h; y += plank {
				c.rect(blend(base, black, 0.5), 0, y, w, max(1, 1.5*s))
			}
		}
		return c, base
	case 3: // tiles
		base := hsl(hue, d.within(0, 0.7), d.within(0.1, 0.85))
		c.rect(pick(d.random, blend(base, black, 0.3), blend(base, white, 0.35)), 0, 0, w, h)
		tile, gap := d.within(22, 60)*s, max(1, d.within(1, 3)*s)
		for y := -tile * d.Float64(); y < h; y += tile {
			for x := -tile / 2; x < w; x += tile {
				c.rect(blend(base, pick(d.random, black, white), d.within(0, 0.07)), x, y, tile-gap, tile-gap)
			}
		}
		return c, base
	case 4: // stripes
		base := hsl(hue, d.within(0.1, 0.8), d.within(0.15, 0.85))
		other := blend(base, pick(d.random, black, white), d.within(0.06, 0.2))
		c.rect(base, 0, 0, w, h)
		step := d.within(8, 40) * s
		angle := pick(d.random, 0, math.Pi/2, math.Pi/4, -math.Pi/4, d.within(0, math.Pi))
		sin, cos := math.Sincos(angle)
		reach := w + h
		for at := -reach; at < reach; at += step {
			mx, my := w/2-sin*at, h/2+cos*at
			c.stroke(other, point{mx - cos*reach, my - sin*reach}, point{mx + cos*reach, my + sin*reach}, step*0.5)
		}
		return c, base
	case 5: // lights at night
		base := hsl(d.within(200, 290), d.within(0.1, 0.6), d.within(0.04, 0.16))
		c.rect(base, 0, 0, w, h)
		for range d.between(12, 40) {
			light := hsl(d.within(0, 360), d.within(0.4, 1), d.within(0.3, 0.6))
			c.polygon(veil(light, d.within(0.25, 0.6)), circle(d.within(0, w), d.within(0, h), d.logWithin(4, 26)*s)...)
		}
		return c, base
	case 6: // leaves
		base := hsl(d.within(80, 140), d.within(0.25, 0.6), d.within(0.1, 0.3))
		c.rect(base, 0, 0, w, h)
		size := d.within(4, 11) * s
		for range min(1500, int(w*h/(size*size)/1.2)) {
			x, y, a := d.within(0, w), d.within(0, h), d.within(0, math.Pi)
			sin, cos := math.Sincos(a)
			var leaf []point
			for k := range 10 {
				t := 2 * math.Pi * float64(k) / 10
				px, py := size*math.Cos(t), size*0.5*math.Sin(t)
				leaf = append(leaf, point{x + px*cos - py*sin, y + px*sin + py*cos})
			}
			c.polygon(hsl(d.within(75, 150), d.within(0.2, 0.6), d.within(0.12, 0.42)), leaf...)
		}
		return c, base
	case 7: // sky
		base := hsl(d.within(195, 225), d.within(0.3, 0.8), d.within(0.5, 0.75))
		size := d.within(60, 140) * s
		low := blend(base, pick(d.random, white, hsl(30, 0.8, 0.7)), d.within(0.3, 0.7))
		c.field(base, low, func(x, y float64) float64 {
			return 0.7*y/h + 0.45*noise.at(x/size, y/size*1.6) - 0.1
		})
		if d.chance(0.5) {
			c.rect(hsl(d.within(0, 360), d.within(0, 0.4), d.within(0.1, 0.4)), 0, h*d.within(0.72, 0.9), w, h)
		}
		return c, blend(base, low, 0.5)
	case 8: // a gradient
		base := hsl(hue, d.within(0.1, 0.9), d.within(0.15, 0.85))
		other := hsl(hue+d.within(-50, 50), d.within(0.1, 0.9), min(0.92, max(0.08, d.within(-0.15, 0.15)+luminance(base))))
		sin, cos := math.Sincos(d.within(0, 2*math.Pi))
		c.field(base, other, func(x, y float64) float64 { return 0.5 + 0.5*((x/w-0.5)*cos+(y/h-0.5)*sin) })
		return c, blend(base, other, 0.4)
	case 9: // stone, gravel, clouds: rough
		base := hsl(hue, d.within(0, 0.35), d.within(0.15, 0.8))
		size := d.within(4, 16) * s
		c.field(blend(base, black, 0.2), blend(base, white, 0.2), func(x, y float64) float64 {
			return 0.6*noise.at(x/size, y/size) + 0.4*noise.at(x/size/4, y/size/4)
		})
		return c, base
	default: // a view: houses, blurred
		base := hsl(hue, d.within(0.05, 0.4), d.within(0.35, 0.6))
		c.rect(base, 0, 0, w, h)
		for range d.between(6, 16) {
			ink := blend(base, hsl(d.within(0, 360), d.within(0.1, 0.6), d.within(0.2, 0.8)), d.within(0.15, 0.45))
			x, y := d.within(-40, w), d.within(0, h)
			if d.chance(0.7) {
				c.rect(ink, x, y, d.within(20, 120)*s, h)
			} else {
				c.polygon(ink, circle(x, y, d.within(10, 60)*s)...)
			}
		}
		return c, base
	}
}

// homography returns the map that takes the corners of the rectangle (0, 0, w, h), from
// the top left clockwise, to the corners of a quadrangle (Heckbert 1989, §2.2.3).
func homography(w, h float64, q [4]point) func(point) point {
	dx1, dx2, sx := q[1].x-q[2].x, q[3].x-q[2].x, q[0].x-q[1].x+q[2].x-q[3].x
	dy1, dy2, sy := q[1].y-q[2].y, q[3].y-q[2].y, q[0].y-q[1].y+q[2].y-q[3].y
	det := dx1*dy2 - dx2*dy1
	g, k := (sx*dy2-dx2*sy)/det, (dx1*sy-sx*dy1)/det
	a, b := q[1].x-q[0].x+g*q[1].x, q[3].x-q[0].x+k*q[3].x
	d, e := q[1].y-q[0].y+g*q[1].y, q[3].y-q[0].y+k*q[3].y
	return func(p point) point {
		u, v := p.x/w, p.y/h
		z := g*u + k*v + 1
		return point{(a*u + b*v + q[0].x) / z, (d*u + e*v + q[0].y) / z}
	}
}

// signText returns one to four words.
func (d *draft) signText() string {
	for {
		var s string
		switch d.weighted(5, 3, 2, 4, 2, 1, 1) {
		case 0:
			s = d.from("sign")
		case 1:
			s = d.shop()
		case 2:
			s = d.from("street") + " " + d.from("way")
		case 3:
			s = d.words(d.weighted(4, 4, 1) + 1)
		case 4:
			s = fmt.Sprintf("%s %d km", d.city(), d.between(2, 900))
		case 5:
			s = pick(d.random, "SPEED LIMIT ", "Exit ", "Gate ", "Platform ", "Room ", "Bus ", "Track ", "Route ", "Level ", "Pier ") + fmt.Sprint(d.between(1, 120))
		default:
			s = d.from("dish") + " " + fmt.Sprintf("%s%d.%02d", pick(d.random, "$", "€", "£"), d.between(1, 20), pick(d.random, 0, 50, 90, 95))
		}
		if len(s) < 3 || len(s) > 24 || len(strings.Fields(s)) > 4 || !d.fits(s) {
			continue
		}
		switch d.IntN(4) {
		case 0, 1:
			return strings.ToUpper(s)
		case 2:
			words := strings.Fields(s)
			for i, w := range words {
				words[i] = capital(w)
			}
			return strings.Join(words, " ")
		default:
			return s
		}
	}
}

// drawScene draws words as they stand out of doors.
func drawScene(d *draft) ([]*imageproc.RGB, func() Turn) {
	side := d.side()
	w, h := d.within(0.5, 1)*side, d.within(0.42, 0.9)*side
	c, backdrop := d.background(w, h)
	text := d.signText()
	lines := []string{text}
	if words := strings.Fields(text); len(words) > 1 && d.chance(0.5) {
		at := 1 + d.IntN(len(words)-1)
		if d.chance(0.7) { // lines of like length
			for i := range words[1:] {
				a, b := len(strings.Join(words[:i+1], " ")), len(strings.Join(words[i+1:], " "))
				if best := len(strings.Join(words[:at], " ")); max(a, b) < max(best, len(text)-best-1) {
					at = i + 1
				}
			}
		}
		lines = []string{strings.Join(words[:at], " "), strings.Join(words[at:], " ")}
	}
	f := d.font(signs, d.within(24, 56)*d.scale, text)
	f.grid = false
	width := func() (m float64) {
		for _, s := range lines {
			m = max(m, f.measure(s))
		}
		return m
	}
	for width() > 0.88*w {
		f.Size *= 0.95
	}
	if f.Size < 14*d.scale {
		return drawScene(d)
	}
	pitch := f.Size * d.within(1.02, 1.3)
	bw, bh := width(), f.CapHeight()*f.Size*1.05+f.descent()*0.7+pitch*float64(len(lines)-1)
	for bh > 0.8*h {
		h, c = h*1.3, nil
	}
	if c == nil {
		h = min(h, side)
		c, backdrop = d.background(w, h)
	}
	x, y := d.within(0.05, 0.95)*(w-bw), d.within(0.05, 0.95)*(h-bh)
	ink := d.inkOn(backdrop, 4)
	if d.chance(0.4) {
		ink = d.coloured(backdrop)
		if contrast(ink, backdrop) < 3.2 {
			ink = d.inkOn(backdrop, 4.5)
		}
	}
	style := d.weighted(4, 3, 2, 3) // plain, outlined, shadow, plate
	// Seen from the side: the box of the text becomes a quadrangle.
	quad := [4]point{{0, 0}, {bw, 0}, {bw, bh}, {0, bh}}
	if d.chance(0.55) {
		lean := d.within(0.02, 0.2) * bh
		if d.chance(0.5) {
			lean = -lean
		}
		if lean > 0 {
			quad[1].y, quad[2].y = lean, bh-lean
		} else {
			quad[0].y, quad[3].y = -lean, bh+lean
		}
		dy := d.within(-0.05, 0.05) * bw
		quad[1].y += dy
		quad[2].y += dy
	}
	if d.chance(0.3) {
		dx := d.within(-0.12, 0.12) * bh
		quad[0].x += dx
		quad[1].x += dx
	}
	warp := homography(bw, bh, quad)
	move := func(dx, dy float64) func(point) point {
		return func(p point) point {
			q := warp(p)
			return point{q.x + x + dx, q.y + y + dy}
		}
	}
	write := func(ink rgb, dx, dy float64) {
		for i, s := range lines {
			at := (bw - f.measure(s)) / 2
			c.printWarped(f, ink, at, f.CapHeight()*f.Size+pitch*float64(i), s, move(dx, dy))
		}
	}
	edge := max(1, f.Size*d.within(0.025, 0.06))
	switch style {
	case 1:
		other := black
		if luminance(ink) < 0.3 {
			other = white
		}
		for k := range 8 {
			sin, cos := math.Sincos(float64(k) * math.Pi / 4)
			write(other, cos*edge, sin*edge)
		}
	case 2:
		other := black
		if luminance(ink) < 0.1 {
			other = blend(backdrop, white, 0.6)
		}
		write(veil(other, d.within(0.4, 0.9)), edge*1.3, edge*1.3)
	case 3:
		ground := hsl(d.within(0, 360), d.within(0, 0.9), d.within(0.1, 0.92))
		ink = d.inkOn(ground, 4.5)
		pad := f.Size * d.within(0.2, 0.5)
		plate := func(ink rgb, grow float64) {
			var points []point
			for _, p := range rounded(-pad-grow, -pad-grow, bw+2*pad+2*grow, bh+2*pad+2*grow, pick(d.random, 0.0, 1, 1)*f.Size*0.2) {
				points = append(points, move(0, 0)(p))
			}
			c.polygon(ink, points...)
		}
		if d.chance(0.6) {
			plate(d.inkOn(ground, 2.5), 2*edge)
		}
		plate(ground, 0)
	}
	write(ink, 0, 0)
	m := c.picture()
	wear := d.wear(0, f.Size, d.scale)
	if !d.chance(0.6) {
		wear.blur, wear.noise, wear.light, wear.shrink = 0, 0, 0, 1
	}
	m = wear.apply(d.random, m, backdrop)
	return []*imageproc.RGB{m}, func() Turn {
		return d.turn("read", []string{text}, "What does the sign say?", "Read the words in the picture.", "What text can you see?")
	}
}
