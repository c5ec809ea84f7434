package kernel

// maxChunk is the greatest length of the stretches that a sum over K is made of. It bounds both
// the rounding error of long rows and the memory that a few outputs fill.
const maxChunk = 1152

// chunkOf returns that length for K = in: as even parts as multiples of eight allow. It
// is part of the definition of every product, alone or in a batch: each stretch is summed
// from zero, in portable Go k rising, with vectors in eight parts, k = l, l+8, … for each
// l; what these sums come to is then added to y in order.
func chunkOf(in int) int {
	count := pieces(in, maxChunk)
	return max(8, ((in+count-1)/count+7)&^7)
}

// Dot returns Σ a[i]·b[i] over slices of equal length. Its order of additions depends on the
// length alone, and is not that of MatMul.
func Dot(a, b []float32) float32 {
	want("Dot", "b", len(b), len(a))
	return dot(a, b)
}

// tileGeneric adds to each y[r·ys+o] the sum over k < n of x[r·xs+k]·w[o·ws+k], for r < rows
// and o < outs. Each sum is taken on its own, k rising, then added to y.
//
// Four outputs are done at once: four independent sums hide the latency of the additions.
// Two rows by four would save loads, but the compiler then runs out of registers.
func tileGeneric(y []float32, ys int, x []float32, xs, rows int, w []float32, ws, outs, n int) {
	o := 0
	for ; o+4 <= outs; o += 4 {
		w0, w1, w2, w3 := w[o*ws:][:n], w[(o+1)*ws:][:n], w[(o+2)*ws:][:n], w[(o+3)*ws:][:n]
		for r := range rows {
			dot1x4(y[r*ys+o:][:4], x[r*xs:][:n], w0, w1, w2, w3)
		}
	}
	for ; o < outs; o++ {
		for r := range rows {
			y[r*ys+o] += dotGeneric(x[r*xs:][:n], w[o*ws:][:n])
		}
	}
}

// The products are converted to float32 although they are float32 already: that forbids the
// compiler to fuse them with the addition (it does on arm64), which it might do in one
// of these functions and not in another.

func dotGeneric(x, w []float32) (sum float32) {
	w = w[:len(x)]
	for k, v := range x {
		sum += float32(v * w[k])
	}
	return sum
}

func dot1x4(y, x, w0, w1, w2, w3 []float32) {
	n := len(x)
	w0, w1, w2, w3 = w0[:n], w1[:n], w2[:n], w3[:n]
	var s0, s1, s2, s3 float32
	for k, v := range x {
		s0 += float32(v * w0[k])
		s1 += float32(v * w1[k])
		s2 += float32(v * w2[k])
		s3 += float32(v * w3[k])
	}
	y[0] += s0
	y[1] += s1
	y[2] += s2
	y[3] += s3
}
