package synth

import (
	"bytes"
	"image"
	"image/jpeg"
	"math"
	"sync"

	"idefics2/imageproc"
)

// wear says what happened to a picture after it was printed.
type wear struct {
	turn    float64 // degrees, clockwise
	light   float64 // how uneven, 0 to 1
	blur    float64 // radius in pixels
	noise   float64 // standard deviation, of 255
	grey    bool    // the same noise in all three channels
	shrink  float64 // scaled down and up again, 1 for not
	quality int     // of JPEG; 0 for none
}

// wear draws how a picture is worn. How strongly depends on the letters' size: what has
// to be read stays readable. scale is how large the picture is drawn.
func (r random) wear(turn float64, letters, scale float64) wear {
	w := wear{shrink: 1}
	if turn > 0 && r.chance(0.35) {
		w.turn = r.within(-turn, turn)
	}
	if r.chance(0.35) {
		w.light = r.within(0.1, 0.4)
	}
	if r.chance(0.45) {
		w.blur = r.within(0.3, 0.9) * scale * min(1.6, max(0.55, letters/scale/18))
	}
	if r.chance(0.45) {
		w.noise = r.logWithin(3, 22)
		w.grey = r.chance(0.4)
	}
	if r.chance(0.12) && letters >= 15 {
		w.shrink = r.within(0.55, 0.9)
	}
	if r.chance(0.5) {
		w.quality = r.between(28, 92)
	}
	return w
}

// apply returns the picture as it looks then.
func (w wear) apply(r random, m *imageproc.RGB, ground rgb) *imageproc.RGB {
	if w.turn != 0 {
		m = turned(m, w.turn*math.Pi/180, ground)
	}
	if w.light > 0 {
		r.uneven(m, w.light)
	}
	if w.blur > 0 {
		blurred(m, w.blur)
	}
	if w.shrink < 1 {
		small := imageproc.Resize(m, max(1, int(float64(m.Width)*w.shrink)), max(1, int(float64(m.Height)*w.shrink)), imageproc.Bilinear)
		m = imageproc.Resize(small, m.Width, m.Height, imageproc.Bilinear)
	}
	if w.noise > 0 {
		r.noisy(m, w.noise, w.grey)
	}
	if w.quality > 0 {
		m = compressed(m, w.quality)
	}
	return m
}

// turned rotates the picture around its middle; what comes into it is ground.
func turned(m *imageproc.RGB, angle float64, ground rgb) *imageproc.RGB {
	sin, cos := math.Sincos(angle)
	cx, cy := float64(m.Width-1)/2, float64(m.Height-1)/2
	return warped(m, ground, func(x, y float64) (float64, float64) {
		x, y = x-cx, y-cy
		return cx + x*cos + y*sin, cy - x*sin + y*cos
	})
}

// warped takes each pixel from the place that from names, between pixels in proportion.
func warped(m *imageproc.RGB, ground rgb, from func(x, y float64) (float64, float64)) *imageproc.RGB {
	out := imageproc.NewRGB(m.Width, m.Height)
	fill := [3]float64{float64(ground.R), float64(ground.G), float64(ground.B)}
	for y := range m.Height {
		row := out.Row(y)
		for x := range m.Width {
			sx, sy := from(float64(x), float64(y))
			x0, y0 := int(math.Floor(sx)), int(math.Floor(sy))
			fx, fy := sx-float64(x0), sy-float64(y0)
			if x0 >= 0 && y0 >= 0 && x0+1 < m.Width && y0+1 < m.Height {
				a, b := m.Pix[3*(y0*m.Width+x0):], m.Pix[3*((y0+1)*m.Width+x0):]
				for k := range 3 {
					top := float64(a[k]) + fx*(float64(a[k+3])-float64(a[k]))
					low := float64(b[k]) + fx*(float64(b[k+3])-float64(b[k]))
					row[3*x+k] = uint8(top + fy*(low-top) + 0.5)
				}
				continue
			}
			for k := range 3 {
				at := func(x, y int) float64 {
					if x < 0 || y < 0 || x >= m.Width || y >= m.Height {
						return fill[k]
					}
					return float64(m.Pix[3*(y*m.Width+x)+k])
				}
				top := at(x0, y0) + fx*(at(x0+1, y0)-at(x0, y0))
				low := at(x0, y0+1) + fx*(at(x0+1, y0+1)-at(x0, y0+1))
				row[3*x+k] = uint8(top + fy*(low-top) + 0.5)
			}
		}
	}
	return out
}

// uneven darkens the picture from one side or towards its edges, by at most the share.
func (r random) uneven(m *imageproc.RGB, share float64) {
	w, h := float64(m.Width), float64(m.Height)
	sin, cos := math.Sincos(r.within(0, 2*math.Pi))
	radial := r.chance(0.3)
	cx, cy := r.within(0.2, 0.8)*w, r.within(0.2, 0.8)*h
	lift := r.within(0, 0.15)
	reach := math.Abs(cos)*w + math.Abs(sin)*h
	for y := range m.Height {
		row := m.Row(y)
		for x := range m.Width {
			var t float64 // 0 in the light, 1 in the dark
			if radial {
				dx, dy := (float64(x)-cx)/w, (float64(y)-cy)/h
				t = min(1, (dx*dx+dy*dy)*1.5)
			} else {
				t = 0.5 + ((float64(x)-w/2)*cos+(float64(y)-h/2)*sin)/reach
			}
			f := int32(256 * (1 + lift - share*t))
			for k := 3 * x; k < 3*x+3; k++ {
				row[k] = uint8(min(255, int32(row[k])*f>>8))
			}
		}
	}
}

// blurred blurs in place: two box filters in each direction, which come near to a
// Gaussian. The boxes' ends count in part, so that the radius may be a fraction.
func blurred(m *imageproc.RGB, radius float64) {
	// Two boxes of width b have the variance (b²−1)/6.
	half := (math.Sqrt(6*radius*radius+1) - 1) / 2
	whole := int(half)
	end := int32(math.Round((half - float64(whole)) * 256))
	total := int32(2*whole+1)*256 + 2*end
	src := make([]byte, len(m.Pix))
	// box filters along an axis of n places, step bytes from one to the next, for the span
	// bytes that lie side by side at each place.
	sum := make([]int32, 3*m.Width)
	box := func(at, n, step, span int) {
		place := func(i int) []byte { k := at + max(0, min(n-1, i))*step; return src[k : k+span] }
		clear(sum[:span])
		for i := -whole; i <= whole; i++ {
			for k, v := range place(i) {
				sum[k] += int32(v)
			}
		}
		for i := range n {
			before, after, first := place(i-whole-1), place(i+whole+1), place(i-whole)
			out := m.Pix[at+i*step:][:span]
			for k := range out {
				b := int32(after[k])
				out[k] = uint8((sum[k]*256 + (int32(before[k])+b)*end + total/2) / total)
				sum[k] += b - int32(first[k])
			}
		}
	}
	for range 2 {
		copy(src, m.Pix)
		for y := range m.Height {
			box(3*y*m.Width, m.Width, 3, 3)
		}
		copy(src, m.Pix)
		box(0, m.Height, 3*m.Width, 3*m.Width)
	}
}

// bell holds 4,096 values of a normal distribution with a deviation of 256, in random order.
var bell = sync.OnceValue(func() *[4096]int16 {
	t := new([4096]int16)
	r := newRandom(1)
	for i := range t {
		t[i] = int16(math.Round(256 * r.NormFloat64()))
	}
	return t
})

// noisy adds noise of that standard deviation.
func (r random) noisy(m *imageproc.RGB, deviation float64, grey bool) {
	table := bell()
	scale := int32(deviation * 256)
	var bits uint64
	left := 0
	draw := func() int32 {
		if left == 0 {
			bits, left = r.Uint64(), 5
		}
		v := int32(table[bits&4095]) * scale >> 16
		bits >>= 12
		left--
		return v
	}
	add := func(p *byte, v int32) { *p = uint8(max(0, min(255, int32(*p)+v))) }
	for i := 0; i < len(m.Pix); i += 3 {
		v := draw()
		add(&m.Pix[i], v)
		if !grey {
			v = draw()
		}
		add(&m.Pix[i+1], v)
		if !grey {
			v = draw()
		}
		add(&m.Pix[i+2], v)
	}
}

// compressed returns the picture as JPEG leaves it.
func compressed(m *imageproc.RGB, quality int) *imageproc.RGB {
	wide := image.NewRGBA(image.Rect(0, 0, m.Width, m.Height))
	for i, j := 0, 0; j < len(m.Pix); i, j = i+4, j+3 {
		copy(wide.Pix[i:i+3], m.Pix[j:j+3])
		wide.Pix[i+3] = 255
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, wide, &jpeg.Options{Quality: quality}); err != nil {
		panic(err) // a buffer takes all
	}
	out, _, err := imageproc.Decode(file.Bytes(), imageproc.Limits{})
	if err != nil {
		panic(err)
	}
	return out
}
