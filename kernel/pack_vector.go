//go:build (amd64 || arm64) && !noasm

package kernel

// A panel of a chunk is eight parts, one for each lane l of dotFunc: the columns k = l, l+8, …
// Part and panel lie a line past a multiple of two from the next, see stage.
const (
	lanes      = 8
	partStride = panelOut * (maxChunk/lanes + 1) // floats, as in kernel/_asm/pack.go
	panelSize  = lanes * partStride
)

// partLength returns the number of columns in part l of a chunk of n.
func partLength(n, l int) int { return (n - l + lanes - 1) / lanes }

// packHalf writes n columns of up to eight rows of weights, from the element at on, to half a
// panel.
func packHalf(dst []float32, w *Weight, at, rows, n int, s *scratch) {
	whole := 0
	rows = min(rows, lanes)
	if w.coded() {
		packCodes(dst, w, at, rows, n, s)
		return
	}
	if rows == lanes && !w.quantized() {
		whole = n &^ (lanes - 1)
		last := at + 7*w.In + whole - 1
		switch { // the assembly trusts the last
		case whole == 0:
		case w.F32 != nil:
			_ = w.F32[last]
			packF32(&dst[0], &w.F32[at], w.In, whole)
		case w.BF16 != nil:
			_ = w.BF16[last]
			packBF16(&dst[0], &w.BF16[at], w.In, whole)
		default:
			_ = w.F16[last]
			packF16(&dst[0], &w.F16[at], w.In, whole)
		}
	}
	if whole == n {
		return
	}
	var row [maxChunk]float32
	for i := range rows {
		widenGeneric(row[:], w, at+i*w.In+whole, n-whole)
		for j, v := range row[:n-whole] {
			k := whole + j
			dst[k%lanes*partStride+k/lanes*panelOut+i] = v
		}
	}
}

// packCodes is packHalf for a matrix in codes: its values pass through scratch that fits the first-level
// cache.
func packCodes(dst []float32, w *Weight, at, rows, n int, s *scratch) {
	stride := n + spreadRoom
	s.decoded = grow(s.decoded, lanes*stride)
	for i := range rows {
		spread(s.decoded[i*stride:], w, at+i*w.In, n)
	}
	values := s.decoded[spreadFront:]
	whole := 0
	if rows == lanes {
		if whole = n &^ (lanes - 1); whole > 0 {
			packF32(&dst[0], &values[0], stride, whole)
		}
	}
	for i := range rows {
		for k, v := range values[i*stride:][whole:n] {
			k += whole
			dst[k%lanes*partStride+k/lanes*panelOut+i] = v
		}
	}
}
