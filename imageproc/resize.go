package imageproc

import (
	"fmt"
	"image"
)

// Resize returns the picture at w × h, byte for byte as Pillow's 8-bit resampler gives
// it with the horizontal pass first: each pass weighs source samples with coefficients
// of 22 fractional bits and rounds to 8 bits (Resample.c; spec/processor.md §4). The
// filter widens with the reduction, so that shrinking averages. An unchanged size is a
// copy. A source without pixels gives black: the reference's processor meets one
// when it splits a picture one pixel wide. A target below 1 × 1 panics.
func Resize(src *RGB, w, h int, f Filter) *RGB {
	if w < 1 || h < 1 {
		panic(fmt.Sprintf("imageproc: Resize: target %d×%d, want at least 1×1", w, h))
	}
	dst := NewRGB(w, h)
	switch {
	case src.Width == 0 || src.Height == 0:
	case f == Nearest:
		nearest(dst, src)
	default:
		resample(dst, src, f, tileBudget)
	}
	return dst
}

// nearest takes the source pixel under each output pixel's middle. Positions are
// summed step by step, as in Pillow's ImagingScaleAffine, rounding included.
func nearest(dst, src *RGB) {
	columns, rows := nearestIndex(src.Width, dst.Width), nearestIndex(src.Height, dst.Height)
	for y, sy := range rows {
		from, to := src.Row(sy), dst.Row(y)
		for x, sx := range columns {
			copy(to[3*x:3*x+3], from[3*sx:])
		}
	}
}

func nearestIndex(n, m int) []int {
	index := make([]int, m)
	step := float64(n) / float64(m)
	at := step * 0.5
	for i := range index {
		index[i] = min(int(at), n-1)
		at += step
	}
	return index
}

// tileBudget bounds the coefficients, and the bytes of waiting rows, of one tile.
const tileBudget = 1 << 23

// resample copies a picture of unchanged size and computes any other tile by tile:
// one tile for all ordinary pictures, narrow ones where the reduction is so strong that
// coefficients or waiting rows would take more memory than the picture.
func resample(dst, src *RGB, f Filter, budget int) {
	if src.Width == dst.Width && src.Height == dst.Height {
		copy(dst.Pix, src.Pix)
		return
	}
	across, down := taps(src.Width, dst.Width, f), taps(src.Height, dst.Height, f)
	width := min(dst.Width, max(1, budget/max(across, 3*down)))
	height := min(dst.Height, max(1, budget/down))
	for y := 0; y < dst.Height; y += height {
		for x := 0; x < dst.Width; x += width {
			resampleTile(dst, src, f, image.Rect(x, y, min(x+width, dst.Width), min(y+height, dst.Height)))
		}
	}
}

// resampleTile runs the passes that change a side. Output rows are made from top to
// bottom; a ring holds the rows of the horizontal pass that the vertical one still
// needs, so that each is computed once and rows nobody reads are not computed.
func resampleTile(dst, src *RGB, f Filter, tile image.Rectangle) {
	from, n := 3*tile.Min.X, 3*tile.Dx()
	horizontal := func(to []byte, y int) { copy(to, src.Row(y)[from:]) }
	if src.Width != dst.Width {
		across := newWeights(src.Width, dst.Width, f, tile.Min.X, tile.Max.X)
		horizontal = func(to []byte, y int) { resizeRow(to, src.Row(y), across) }
	}
	if src.Height == dst.Height {
		for y := tile.Min.Y; y < tile.Max.Y; y++ {
			horizontal(dst.Row(y)[from:from+n], y)
		}
		return
	}
	down := newWeights(src.Height, dst.Height, f, tile.Min.Y, tile.Max.Y)
	ring := make([]byte, down.taps*n)
	row := func(y int) []byte { return ring[y%down.taps*n:][:n] }
	window := make([][]byte, down.taps) // the rows of one output row, first to last
	acc := make([]int32, n)
	next := 0 // the first source row that the ring has not seen
	for y := range tile.Dy() {
		lo, k := down.at(y)
		for next = max(next, lo); next < lo+len(k); next++ {
			horizontal(row(next), next)
		}
		for j := range k {
			window[j] = row(lo + j)
		}
		mixRows(dst.Row(tile.Min.Y + y)[from:from+n], window[:len(k)], k, acc)
	}
}

const (
	fraction = 22                  // fractional bits of a coefficient
	half     = 1 << (fraction - 1) // what a sum starts at, so that the shift rounds
)

// weights are the coefficients of one pass over one axis, for a range of its outputs.
type weights struct {
	taps int     // at least the samples any output reads
	lo   []int32 // first sample read
	n    []int32 // number of samples read
	k    []int32 // [outputs, taps] coefficients times 2²²
}

// at returns the first sample that output i reads and the coefficients from there on.
func (w *weights) at(i int) (lo int, k []int32) {
	return int(w.lo[i]), w.k[i*w.taps:][:w.n[i]]
}

// taps bounds the samples that one output reads, n samples to m: never more than there
// are, however wide the filter.
func taps(n, m int, f Filter) int {
	return min(2*(int(f.support()*max(float64(n)/float64(m), 1))+1)+1, n)
}

// newWeights computes the coefficients of outputs from to to−1 in float64 and rounds
// half away from zero, every operation in Pillow's order. Products are converted before
// they are added to, so that no machine fuses the two.
func newWeights(n, m int, f Filter, from, to int) *weights {
	scale := float64(n) / float64(m)
	stretch := max(scale, 1)
	support := float64(f.support() * stretch)
	inv := 1 / stretch
	w := &weights{taps: taps(n, m, f), lo: make([]int32, to-from), n: make([]int32, to-from)}
	w.k = make([]int32, (to-from)*w.taps)
	real := make([]float64, w.taps)
	for i := range w.lo {
		center := float64((float64(from+i) + 0.5) * scale)
		lo := max(int(center-support+0.5), 0)
		hi := min(int(center+support+0.5), n)
		var sum float64
		for j := range real[:hi-lo] {
			real[j] = f.at((float64(j+lo) - center + 0.5) * inv)
			sum += real[j]
		}
		w.lo[i], w.n[i] = int32(lo), int32(hi-lo)
		for j, v := range real[:hi-lo] {
			if sum != 0 {
				v /= sum
			}
			v *= 1 << fraction
			if v < 0 {
				v -= 0.5
			} else {
				v += 0.5
			}
			w.k[i*w.taps+j] = int32(v)
		}
	}
	return w
}

// resizeRow is the horizontal pass over one row of pixels.
func resizeRow(dst, src []byte, w *weights) {
	for i := range w.lo {
		lo, k := w.at(i)
		s := src[3*lo : 3*(lo+len(k))]
		r, g, b := int32(half), int32(half), int32(half)
		for _, c := range k {
			r += int32(s[0]) * c
			g += int32(s[1]) * c
			b += int32(s[2]) * c
			s = s[3:]
		}
		d := dst[3*i : 3*i+3]
		d[0], d[1], d[2] = clip8(r), clip8(g), clip8(b)
	}
}

// mixRows is the vertical pass for one output row: Σ k[j]·rows[j], sample by sample.
// acc is scratch of the row's length.
func mixRows(dst []byte, rows [][]byte, k []int32, acc []int32) {
	acc = acc[:len(dst)]
	for i := range acc {
		acc[i] = half
	}
	for j, row := range rows {
		c := k[j]
		row = row[:len(acc)]
		for i, v := range row {
			acc[i] += int32(v) * c
		}
	}
	for i, v := range acc {
		dst[i] = clip8(v)
	}
}

// clip8 rounds a sum to a byte. The shift is arithmetic: sums may be negative.
func clip8(sum int32) byte {
	return byte(min(max(sum>>fraction, 0), 255))
}
