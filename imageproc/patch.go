package imageproc

import "fmt"

// Table maps a byte of each channel to the float32 that the model reads.
type Table [3][256]float32

// Table returns the values of s, computed as the reference does:
//
//	x = float32(float64(v)·factor)       the product in float64, rounded once
//	y = (x − float32(mean)) / float32(std)     in float32
//
// (transformers' image_transforms.py; other orders differ in the last bit.) A step
// that is switched off is left out. It fails where s holds numbers that give none.
func (s Settings) Table() (*Table, error) {
	s, err := s.complete()
	if err != nil {
		return nil, err
	}
	var t Table
	for c := range t {
		mean, std := float32(s.Mean[c]), float32(s.Std[c])
		for v := range t[c] {
			x := float32(v)
			if !s.NoRescale {
				x = float32(float64(v) * s.RescaleFactor)
			}
			if !s.NoNormalize {
				x = (x - mean) / std
			}
			t[c][v] = x
		}
	}
	return &t, nil
}

// Patches returns the whole p×p patches of the picture in reading order, each in the
// order channel, row, column: [Height/p · Width/p, 3·p·p]. What is left over at the
// right and the bottom is dropped, as a convolution of stride p drops it. A picture
// smaller than one patch gives none.
func Patches(img *RGB, p int, t *Table) []float32 {
	if p < 1 {
		panic(fmt.Sprintf("imageproc: Patches: patch size %d, want at least 1", p))
	}
	rows, columns := img.Height/p, img.Width/p
	out := make([]float32, 3*rows*columns*p*p)
	for py := range rows {
		for y := range p {
			line := img.Row(py*p + y)
			for px := range columns {
				at := 3*p*p*(py*columns+px) + p*y
				pixels := line[3*p*px : 3*p*(px+1)]
				r, g, b := out[at:at+p], out[at+p*p:][:p], out[at+2*p*p:][:p]
				for x := range p {
					r[x] = t[0][pixels[3*x]]
					g[x] = t[1][pixels[3*x+1]]
					b[x] = t[2][pixels[3*x+2]]
				}
			}
		}
	}
	return out
}

// Pixels returns the values of the whole picture, channels first: [3, Height, Width],
// the layout of the reference's pixel_values.
func Pixels(img *RGB, t *Table) []float32 {
	n := img.Width * img.Height
	out := make([]float32, 3*n)
	r, g, b := out[:n], out[n:2*n], out[2*n:]
	for i := range n {
		p := img.Pix[3*i : 3*i+3]
		r[i], g[i], b[i] = t[0][p[0]], t[1][p[1]], t[2][p[2]]
	}
	return out
}
