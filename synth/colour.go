package synth

import (
	"image/color"
	"math"
)

// rgb is a colour, opaque but for a veil, whose parts are multiplied by A / 255.
type rgb struct{ R, G, B, A uint8 }

// RGBA makes a color.Color of it.
func (c rgb) RGBA() (r, g, b, a uint32) { return color.RGBA(c).RGBA() }

// hsl returns a colour by hue (0 to 360), saturation and lightness (0 to 1).
func hsl(h, s, l float64) rgb {
	chroma := (1 - math.Abs(2*l-1)) * s
	h = math.Mod(h+360, 360) / 60
	x := chroma * (1 - math.Abs(math.Mod(h, 2)-1))
	var r, g, b float64
	switch int(h) {
	case 0:
		r, g = chroma, x
	case 1:
		r, g = x, chroma
	case 2:
		g, b = chroma, x
	case 3:
		g, b = x, chroma
	case 4:
		r, b = x, chroma
	default:
		r, b = chroma, x
	}
	m := l - chroma/2
	to8 := func(v float64) uint8 { return uint8(math.Round(255 * min(1, max(0, v+m)))) }
	return rgb{to8(r), to8(g), to8(b), 255}
}

// luminance is the relative luminance of WCAG 2.1, from 0 to 1.
func luminance(c rgb) float64 {
	linear := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

// contrast is the contrast ratio of WCAG 2.1, from 1 to 21.
func contrast(a, b rgb) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// blend returns a with the share t of b.
func blend(a, b rgb, t float64) rgb {
	m := func(x, y uint8) uint8 { return uint8(math.Round(float64(x)*(1-t) + float64(y)*t)) }
	return rgb{m(a.R, b.R), m(a.G, b.G), m(a.B, b.B), 255}
}

// veil is a colour that lets the share 1 − t of what is below through.
func veil(c rgb, t float64) rgb {
	m := func(x uint8) uint8 { return uint8(float64(x) * t) }
	return rgb{m(c.R), m(c.G), m(c.B), uint8(255 * t)}
}

var (
	white = rgb{255, 255, 255, 255}
	black = rgb{0, 0, 0, 255}
)

// paper is what something is printed on, and the inks for it.
type paper struct {
	ground, ink rgb
	accent      rgb // stands out from ground, and is not ink
	dark        bool
}

// paper draws a background and an ink that can be read on it. dark is how often letters
// are light on a dark ground.
func (r random) paper(dark float64) paper {
	var p paper
	p.dark = r.chance(dark)
	hue := r.within(0, 360)
	switch {
	case p.dark:
		switch r.IntN(5) {
		case 0:
			p.ground = black
		case 1:
			v := uint8(r.IntN(70))
			p.ground = rgb{v, v, v, 255}
		case 2:
			p.ground = hsl(hue, r.within(0.4, 0.95), r.within(0.1, 0.3))
		default:
			p.ground = hsl(hue, r.within(0, 0.5), r.within(0.03, 0.25))
		}
	default:
		switch r.IntN(7) {
		case 0, 1:
			p.ground = white
		case 2:
			v := uint8(r.between(215, 254))
			p.ground = rgb{v, v, v, 255}
		case 3:
			p.ground = hsl(hue, r.within(0.2, 1), r.within(0.95, 0.985))
		case 4, 5:
			p.ground = hsl(hue, r.within(0.3, 0.95), r.within(0.78, 0.95))
		default:
			p.ground = hsl(hue, r.within(0.1, 0.6), r.within(0.6, 0.85))
		}
	}
	p.ink = r.inkOn(p.ground, 5)
	p.accent = r.inkOn(p.ground, 3.5)
	for range 4 {
		if near(p.accent, p.ink) < 60 {
			p.accent = r.coloured(p.ground)
		}
	}
	return p
}

// near is the distance of two colours, 0 to 441.
func near(a, b rgb) float64 {
	d := func(x, y uint8) float64 { return (float64(x) - float64(y)) * (float64(x) - float64(y)) }
	return math.Sqrt(d(a.R, b.R) + d(a.G, b.G) + d(a.B, b.B))
}

// inkOn returns a colour for letters on ground with at least that contrast.
func (r random) inkOn(ground rgb, least float64) rgb {
	light := luminance(ground) > 0.18
	for range 30 {
		var c rgb
		switch {
		case light && r.chance(0.45):
			v := uint8(r.IntN(60))
			c = rgb{v, v, v, 255}
		case light:
			c = hsl(r.within(0, 360), r.within(0.1, 1), r.within(0.05, 0.42))
		case r.chance(0.45):
			v := uint8(r.between(205, 255))
			c = rgb{v, v, v, 255}
		default:
			c = hsl(r.within(0, 360), r.within(0.2, 1), r.within(0.62, 0.95))
		}
		if contrast(c, ground) >= least {
			return c
		}
	}
	if light {
		return black
	}
	return white
}

// coloured returns a saturated colour that can be seen on ground.
func (r random) coloured(ground rgb) rgb {
	for range 30 {
		if c := hsl(r.within(0, 360), r.within(0.5, 1), r.within(0.22, 0.7)); contrast(c, ground) >= 2.6 {
			return c
		}
	}
	return r.inkOn(ground, 3)
}

// plainOn returns black or white, whichever can be read better.
func plainOn(ground rgb) rgb {
	if contrast(white, ground) > contrast(black, ground)*0.7 {
		return white
	}
	return black
}
