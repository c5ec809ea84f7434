package kernel

import (
	"encoding/binary"

	"idefics2/internal/half"
)

// The blocks of GGUF (package quant has them in full, with what writes them). All of them are
// runs of 32 integers, each of which stands for
//
//	scale·factor·q - least
//
// with a float32 scale and least for the run, and a whole factor for each half of it:
//
//	        block               q          factor        scale    least
//	Q8_0    32 in 34 bytes      -128..127  1             d        0
//	Q6_K    256 in 210 bytes    -32..31    -128..127     d        0
//	Q4_K    256 in 144 bytes    0..15      1             d·scale  dmin·min
//	Q4_0    32 in 18 bytes      -8..7      1             d        0
//
// d and dmin are in half precision, so that scale and least are exact.

// run is how many values have a scale: of weights, and of an x that is rounded to int8.
const run = 32

// format is one type of blocks, by the number of values in one and its bytes.
type format struct{ values, bytes int }

// unpacked is a run.
type unpacked struct {
	q            [run]int8
	factor       [2]int32
	scale, least float32
}

// formats has the types in the order of the fields of Weight.
var formats = [...]format{
	{run, 2 + run},
	{8 * run, 210},
	{8 * run, 144},
	{run, 2 + run/2},
}

var formatQ8_0, formatQ6_K, formatQ4_K, formatQ4_0 = &formats[0], &formats[1], &formats[2], &formats[3]

// blocks returns the bytes of a weight that is stored in blocks and their format, or nil.
func (w *Weight) blocks() ([]byte, *format) {
	switch {
	case len(w.Q8_0) != 0:
		return w.Q8_0, formatQ8_0
	case len(w.Q6_K) != 0:
		return w.Q6_K, formatQ6_K
	case len(w.Q4_K) != 0:
		return w.Q4_K, formatQ4_K
	case len(w.Q4_0) != 0:
		return w.Q4_0, formatQ4_0
	}
	return nil, nil
}

// quantized reports whether w is stored in blocks.
func (w *Weight) quantized() bool {
	_, f := w.blocks()
	return f != nil
}

// unpack writes the i-th run of a matrix, whose rows follow one another, to w.
func (f *format) unpack(w *unpacked, data []byte, i int) {
	runs := f.values / run
	block := data[i/runs*f.bytes:][:f.bytes]
	w.least, w.factor = 0, [2]int32{1, 1}
	switch i %= runs; f {
	case formatQ8_0:
		unpackQ8_0(w, block)
	case formatQ6_K:
		unpackQ6_K(w, block, i)
	case formatQ4_K:
		unpackQ4_K(w, block, i)
	default:
		unpackQ4_0(w, block)
	}
}

// Row writes row i of w, widened to float32, to dst [In].
func (w *Weight) Row(dst []float32, i int) {
	want("Row", "dst", len(dst), w.In)
	if !w.coded() {
		widenGeneric(dst, w, i*w.In, w.In)
		return
	}
	var buf [8*unit + spreadRoom]float32
	order := w.order()
	for k := 0; k < w.In; k += 8 * unit {
		n := min(8*unit, w.In-k)
		spread(buf[:], w, i*w.In+k, n)
		values := buf[spreadFront:][:n]
		if order == nil {
			copy(dst[k:], values)
			continue
		}
		for j, v := range values {
			dst[order[k+j]] = v
		}
	}
}

// widen writes the values from the one at on to dst.
func (f *format) widen(dst []float32, data []byte, at int) {
	var u unpacked
	for len(dst) > 0 {
		f.unpack(&u, data, at/run)
		n := min(run-at%run, len(dst))
		for i := range dst[:n] {
			k := at%run + i
			dst[i] = float32(float32(u.scale*float32(u.factor[k/(run/2)]))*float32(u.q[k])) - u.least
		}
		dst, at = dst[n:], at+n
	}
}

func f16(b []byte) float32 { return half.F16ToF32(binary.LittleEndian.Uint16(b)) }

func unpackQ8_0(w *unpacked, block []byte) {
	w.scale = f16(block)
	for i, b := range block[2:] {
		w.q[i] = int8(b)
	}
}

func unpackQ4_0(w *unpacked, block []byte) {
	w.scale = f16(block)
	for i, b := range block[2:] {
		w.q[i], w.q[i+run/2] = int8(b&15)-8, int8(b>>4)-8
	}
}

// unpackQ4_K reads d, dmin, twelve bytes of scales and minima of six bits, 128 bytes of nibbles.
func unpackQ4_K(w *unpacked, block []byte, i int) {
	s := block[4:16]
	scale, least := s[i&3]&63, s[i&3+4]&63
	if i >= 4 {
		scale, least = s[i+4]&15|s[i-4]>>6<<4, s[i+4]>>4|s[i]>>6<<4
	}
	w.scale, w.least = f16(block)*float32(scale), f16(block[2:])*float32(least)
	for k, b := range block[16+i/2*run:][:run] {
		w.q[k] = int8(b >> (i % 2 * 4) & 15)
	}
}

// unpackQ6_K reads 128 bytes of low nibbles, 64 of pairs of high bits, 16 scales, d.
func unpackQ6_K(w *unpacked, block []byte, i int) {
	w.scale = f16(block[208:])
	w.factor = [2]int32{int32(int8(block[192+2*i])), int32(int8(block[193+2*i]))}
	n, j := i/4, i%4 // half of the block, and quarter of that
	low, high := block[64*n+j%2*run:][:run], block[128+run*n:][:run]
	for k, b := range low {
		w.q[k] = int8(b>>(j/2*4)&15|high[k]>>(2*j)&3<<4) - 32
	}
}
