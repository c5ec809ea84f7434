package imageproc

import (
	"fmt"
	"image"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Resize returns the picture at w × h, byte for byte as Pillow's 8-bit resampler gives
// it with the horizontal pass first: each pass weighs source samples with coefficients
// of 22 fractional bits and rounds to 8 bits (Resample.c; spec/processor.md §4). The
// filter widens with the reduction, so that shrinking averages. An unchanged size is a
// copy. A source without pixels gives black: the reference's processor meets one
// when it splits a picture one pixel wide. A target below 1 × 1 panics. Large pictures
// are shared among as many goroutines as Go may use processors, which changes no byte.
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

// resample copies a picture of unchanged size and computes any other tile by tile. All
// columns are one tile, but where the reduction is so strong that coefficients or waiting
// rows would take more memory than the picture. Rows are cut into as many tiles as keep
// several processors busy; which of them makes a tile changes nothing in it.
func resample(dst, src *RGB, f Filter, budget int) {
	if src.Width == dst.Width && src.Height == dst.Height {
		copy(dst.Pix, src.Pix)
		return
	}
	across, down := taps(src.Width, dst.Width, f), taps(src.Height, dst.Height, f)
	width := min(dst.Width, max(1, budget/max(across, 3*down)))
	height := min(dst.Height, max(1, budget/down))
	threads := 1
	if len(src.Pix)+len(dst.Pix) > parallelFrom {
		threads = runtime.GOMAXPROCS(0)
	}
	if threads > 1 {
		height = min(height, max(minRows, (dst.Height-1)/(4*threads)+1))
	}
	for x := 0; x < dst.Width; x += width {
		columns := image.Rect(x, 0, min(x+width, dst.Width), dst.Height)
		var weights *weights
		if src.Width != dst.Width {
			weights = newWeights(src.Width, dst.Width, f, columns.Min.X, columns.Max.X)
		}
		tiles := make([]image.Rectangle, 0, (dst.Height-1)/height+1)
		for y := 0; y < dst.Height; y += height {
			tiles = append(tiles, image.Rect(columns.Min.X, y, columns.Max.X, min(y+height, dst.Height)))
		}
		share(threads, len(tiles), func(i int) { resampleTile(dst, src, f, tiles[i], weights) })
	}
}

const (
	parallelFrom = 1 << 20 // bytes of both pictures from which goroutines are worth their start
	minRows      = 16      // of a tile: the rows that two neighbours both compute are then few
)

// share calls do(0) to do(n−1), in any order, on so many goroutines, and waits for them.
func share(threads, n int, do func(i int)) {
	var next atomic.Int64
	work := func() {
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			do(int(i))
		}
	}
	var others sync.WaitGroup
	for range min(threads, n) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

// resampleTile runs the passes that change a side; across has the coefficients of the
// tile's columns, nil if they stay. Output rows are made from top to bottom; a ring holds
// the rows of the horizontal pass that the vertical one still needs, so that each is
// computed once and rows nobody reads are not computed.
func resampleTile(dst, src *RGB, f Filter, tile image.Rectangle, across *weights) {
	from, n := 3*tile.Min.X, 3*tile.Dx()
	// horizontal makes some rows, from y on, where to tells.
	horizontal := func(to [][]byte, y int) {
		if across == nil {
			for i, to := range to {
				copy(to, src.Row(y + i)[from:])
			}
			return
		}
		var rows [together][]byte
		for i := range to {
			rows[i] = src.Row(y + i)
		}
		resizeRows(to, rows[:len(to)], across)
	}
	var to [together][]byte
	if src.Height == dst.Height {
		for y := tile.Min.Y; y < tile.Max.Y; y += together {
			count := min(together, tile.Max.Y-y)
			for i := range count {
				to[i] = dst.Row(y + i)[from : from+n]
			}
			horizontal(to[:count], y)
		}
		return
	}
	down := newWeights(src.Height, dst.Height, f, tile.Min.Y, tile.Max.Y)
	slots := down.taps + together - 1
	ring := make([]byte, slots*n)
	row := func(y int) []byte { return ring[y%slots*n:][:n] }
	mix := newMixer(down.taps)
	lo, k := down.at(tile.Dy() - 1)
	end := lo + len(k) // of the source rows that the tile needs
	next := 0          // the first of them that the ring has not seen
	for y := range tile.Dy() {
		lo, k := down.at(y)
		for next = max(next, lo); next < lo+len(k); next += together {
			count := min(together, end-next)
			for i := range count {
				to[i] = row(next + i)
			}
			horizontal(to[:count], next)
		}
		mix.rows = mix.rows[:0]
		for j := range k {
			mix.rows = append(mix.rows, row(lo+j))
		}
		mix.row(dst.Row(tile.Min.Y + y)[from:from+n], k)
	}
}

const (
	fraction = 22                  // fractional bits of a coefficient
	half     = 1 << (fraction - 1) // what a sum starts at, so that the shift rounds
)

// weights are the coefficients of one pass over one axis, for a range of its outputs.
type weights struct {
	samples int     // along the axis
	taps    int     // at least the samples any output reads
	lo      []int32 // first sample read
	n       []int32 // number of samples read
	k       []int32 // [outputs, taps] coefficients times 2²²

	vector struct { // what vector code makes of them, once
		once sync.Once
		k    []int16
		n    int // outputs that it can do
	}
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
	w := &weights{samples: n, taps: taps(n, m, f), lo: make([]int32, to-from), n: make([]int32, to-from)}
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

// together is the number of rows that the horizontal pass makes at a time: coefficients
// are loaded and spread out once for all of them.
const together = 4

// resizeRowGeneric is the horizontal pass over one row of pixels, for outputs i and up.
func resizeRowGeneric(dst, src []byte, w *weights, i int) {
	for ; i < len(w.lo); i++ {
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

// mixer is the vertical pass: Σ k[j]·rows[j], sample by sample.
type mixer struct {
	rows  [][]byte // of one output row, first to last
	acc   []int32  // sums of the portable code
	split []uint32 // coefficients as vector code wants them
}

func newMixer(taps int) *mixer { return &mixer{rows: make([][]byte, 0, taps+1)} }

// rowGeneric is row in portable Go, for bytes i and up.
func (m *mixer) rowGeneric(dst []byte, k []int32, i int) {
	dst = dst[i:]
	m.acc = slices.Grow(m.acc[:0], len(dst))[:len(dst)]
	acc := m.acc
	for i := range acc {
		acc[i] = half
	}
	for j, c := range k {
		row := m.rows[j][i:][:len(acc)]
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
