package synth

import (
	"image"
	"image/draw"
	"math"
	"sync"

	"golang.org/x/image/vector"

	"idefics2/imageproc"
	"idefics2/synth/typeface"
)

// canvas is a picture that is being drawn. Coordinates are pixels, y downwards.
type canvas struct {
	*image.RGBA
}

func newCanvas(w, h int, background rgb) *canvas {
	c := &canvas{image.NewRGBA(image.Rect(0, 0, w, h))}
	draw.Draw(c.RGBA, c.Bounds(), image.NewUniform(background), image.Point{}, draw.Src)
	return c
}

func (c *canvas) width() float64  { return float64(c.Bounds().Dx()) }
func (c *canvas) height() float64 { return float64(c.Bounds().Dy()) }

// picture returns what was drawn, as three bytes a pixel.
func (c *canvas) picture() *imageproc.RGB {
	out := imageproc.NewRGB(c.Rect.Dx(), c.Rect.Dy())
	for i, j := 0, 0; i < len(c.Pix); i, j = i+4, j+3 {
		copy(out.Pix[j:j+3], c.Pix[i:i+3])
	}
	return out
}

// fitted returns a canvas that is cut to w × h.
func (c *canvas) fitted(w, h float64) *canvas {
	out := image.NewRGBA(image.Rect(0, 0, int(w), int(h)).Intersect(c.Rect))
	draw.Draw(out, out.Rect, c.RGBA, image.Point{}, draw.Src)
	return &canvas{out}
}

// point is a place on a canvas.
type point struct{ x, y float64 }

// path collects outlines, so that their bounds are known before they are filled.
type path struct {
	ops []byte // m l q c z
	at  []float32
}

func (p *path) MoveTo(x, y float32) { p.add('m', x, y) }
func (p *path) LineTo(x, y float32) { p.add('l', x, y) }
func (p *path) QuadTo(bx, by, cx, cy float32) {
	p.add('q', bx, by, cx, cy)
}
func (p *path) CubeTo(bx, by, cx, cy, dx, dy float32) {
	p.add('c', bx, by, cx, cy, dx, dy)
}
func (p *path) ClosePath() { p.ops = append(p.ops, 'z') }

func (p *path) add(op byte, at ...float32) {
	p.ops = append(p.ops, op)
	p.at = append(p.at, at...)
}

func (p *path) polygon(points ...point) {
	for i, q := range points {
		if i == 0 {
			p.MoveTo(float32(q.x), float32(q.y))
		} else {
			p.LineTo(float32(q.x), float32(q.y))
		}
	}
	p.ClosePath()
}

// brush is what filling needs besides the picture, kept between fills.
type brush struct {
	raster vector.Rasterizer
	path   path
}

var brushes = sync.Pool{New: func() any { return new(brush) }}

// fill draws what outline puts into a path. Where outlines overlap in the same direction
// they add up; an outline in the other direction is a hole.
func (c *canvas) fill(ink rgb, outline func(p *path)) {
	b := brushes.Get().(*brush)
	defer brushes.Put(b)
	p := &b.path
	p.ops, p.at = p.ops[:0], p.at[:0]
	outline(p)
	if len(p.at) == 0 {
		return
	}
	lo, hi := [2]float32{math.MaxFloat32, math.MaxFloat32}, [2]float32{-math.MaxFloat32, -math.MaxFloat32}
	for i, v := range p.at {
		lo[i&1], hi[i&1] = min(lo[i&1], v), max(hi[i&1], v)
	}
	box := image.Rect(int(math.Floor(float64(lo[0]))), int(math.Floor(float64(lo[1]))), int(math.Ceil(float64(hi[0])))+1, int(math.Ceil(float64(hi[1])))+1)
	box = box.Intersect(c.Rect)
	if box.Empty() {
		return
	}
	b.raster.Reset(box.Dx(), box.Dy())
	x, y := float32(box.Min.X), float32(box.Min.Y)
	at := p.at
	for _, op := range p.ops {
		switch op {
		case 'm':
			b.raster.MoveTo(at[0]-x, at[1]-y)
			at = at[2:]
		case 'l':
			b.raster.LineTo(at[0]-x, at[1]-y)
			at = at[2:]
		case 'q':
			b.raster.QuadTo(at[0]-x, at[1]-y, at[2]-x, at[3]-y)
			at = at[4:]
		case 'c':
			b.raster.CubeTo(at[0]-x, at[1]-y, at[2]-x, at[3]-y, at[4]-x, at[5]-y)
			at = at[6:]
		case 'z':
			b.raster.ClosePath()
		}
	}
	b.raster.Draw(c.RGBA, box, image.NewUniform(ink), image.Point{})
}

// polygon fills a polygon.
func (c *canvas) polygon(ink rgb, points ...point) {
	c.fill(ink, func(p *path) { p.polygon(points...) })
}

// rect fills a rectangle.
func (c *canvas) rect(ink rgb, x, y, w, h float64) {
	c.polygon(ink, point{x, y}, point{x + w, y}, point{x + w, y + h}, point{x, y + h})
}

// frame draws the border of a rectangle inside of it.
func (c *canvas) frame(ink rgb, x, y, w, h, thick float64) {
	c.rect(ink, x, y, w, thick)
	c.rect(ink, x, y+h-thick, w, thick)
	c.rect(ink, x, y+thick, thick, h-2*thick)
	c.rect(ink, x+w-thick, y+thick, thick, h-2*thick)
}

// rounded returns the corners of a rectangle whose corners are round.
func rounded(x, y, w, h, radius float64) []point {
	radius = min(radius, w/2, h/2)
	if radius <= 0.3 {
		return []point{{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}}
	}
	var out []point
	for i, centre := range []point{{x + w - radius, y + radius}, {x + w - radius, y + h - radius}, {x + radius, y + h - radius}, {x + radius, y + radius}} {
		for k := range 7 {
			a := math.Pi/2*(float64(i)-1) + math.Pi/12*float64(k)
			out = append(out, point{centre.x + radius*math.Cos(a), centre.y + radius*math.Sin(a)})
		}
	}
	return out
}

// circle returns the corners of a polygon that looks like a circle.
func circle(x, y, radius float64) []point {
	n := int(max(16, min(96, 8*math.Sqrt(radius)*2)))
	out := make([]point, n)
	for i := range out {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		out[i] = point{x + radius*cos, y + radius*sin}
	}
	return out
}

// stroke draws a line.
func (c *canvas) stroke(ink rgb, a, b point, thick float64) {
	dx, dy := b.x-a.x, b.y-a.y
	length := math.Hypot(dx, dy)
	if length == 0 {
		return
	}
	nx, ny := -dy/length*thick/2, dx/length*thick/2
	c.polygon(ink, point{a.x + nx, a.y + ny}, point{b.x + nx, b.y + ny}, point{b.x - nx, b.y - ny}, point{a.x - nx, a.y - ny})
}

// dashed draws a line of dashes: on and off pixels long, in turn.
func (c *canvas) dashed(ink rgb, a, b point, thick, on, off float64) {
	length := math.Hypot(b.x-a.x, b.y-a.y)
	for at := 0.0; at < length; at += on + off {
		to := min(at+on, length)
		c.stroke(ink, point{a.x + (b.x-a.x)*at/length, a.y + (b.y-a.y)*at/length}, point{a.x + (b.x-a.x)*to/length, a.y + (b.y-a.y)*to/length}, thick)
	}
}

// font is a face at a size, and how it is set.
type font struct {
	*typeface.Face
	typeface.Set
	slant float64 // of a face without italics
	grid  bool    // x-height on whole pixels, as hinting does
}

// at returns the font in another size.
func (f font) at(size float64) font {
	f.Size = size
	return f
}

func (f font) measure(s string) float64 { return f.Width(f.Set, s) }
func (f font) ascent() float64          { return f.Ascent() * f.Size }
func (f font) descent() float64         { return f.Descent() * f.Size }
func (f font) lineHeight() float64      { return (f.Ascent() + f.Descent()) * f.Size }

// stretch returns what heights are multiplied by, so that small letters end on a pixel.
func (f font) stretch() float32 {
	x := f.XHeight() * f.Size
	if !f.grid || x < 4 {
		return 1
	}
	return float32(math.Round(x) / x)
}

// print draws a line of text whose baseline begins at (x, y), and returns its length.
func (c *canvas) print(f font, ink rgb, x, y float64, s string) (length float64) {
	if f.grid {
		y = math.Round(y)
	}
	up, slant := f.stretch(), float32(f.slant)
	c.fill(ink, func(p *path) {
		length = f.Outline(p, f.Set, s, func(px, py float32) (float32, float32) {
			return px - slant*py + float32(x), py*up + float32(y)
		})
	})
	return length
}

// printWarped draws a line of text whose points go where warp says.
func (c *canvas) printWarped(f font, ink rgb, x, y float64, s string, warp func(point) point) {
	slant := float32(f.slant)
	c.fill(ink, func(p *path) {
		f.Outline(p, f.Set, s, func(px, py float32) (float32, float32) {
			q := warp(point{float64(px-slant*py) + x, float64(py) + y})
			return float32(q.x), float32(q.y)
		})
	})
}

// anchored prints text so that (x, y) is at its left (0), middle (0.5) or right end (1).
func (c *canvas) anchored(f font, ink rgb, x, y, anchor float64, s string) {
	c.print(f, ink, x-anchor*f.measure(s), y, s)
}

// middle returns the baseline that puts capitals in the middle of y.
func (f font) middle(y float64) float64 { return y + f.CapHeight()*f.Size/2 }

// printTurned draws text turned by angle (radians, clockwise) around (x, y), which is at
// the place in the text that anchor says, on its baseline.
func (c *canvas) printTurned(f font, ink rgb, x, y, anchor, angle float64, s string) {
	sin, cos := math.Sincos(angle)
	c.printWarped(f, ink, -anchor*f.measure(s), 0, s, func(p point) point {
		return point{x + p.x*cos - p.y*sin, y + p.x*sin + p.y*cos}
	})
}
