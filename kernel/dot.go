package kernel

// chunk is the length of the stretches that a sum over K is made of: each is summed in
// the registers of a kernel, and the stretches' sums are then added in order. It bounds
// both the rounding error of long rows and the memory that a tile of rows fills (a few
// rows of 4 KB stay in the first-level cache). It is part of the definition of every
// product, alone or in a matrix.
const chunk = 1024

// Dot returns Σ a[i]·b[i] over slices of equal length, the same bits as MatMul of
// one row with one row of float32 weights.
func Dot(a, b []float32) float32 {
	want("Dot", "b", len(b), len(a))
	var sum [1]float32
	for k := 0; k < len(a); k += chunk {
		n := min(chunk, len(a)-k)
		tile(sum[:], 1, a[k:], len(a), 1, b[k:], len(b), 1, n)
	}
	return sum[0]
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
			y[r*ys+o] += dot1x1(x[r*xs:][:n], w[o*ws:][:n])
		}
	}
}

// The products are converted to float32 although they are float32 already: that forbids the
// compiler to fuse them with the addition (it does on arm64), which it might do in one
// of these functions and not in another.

func dot1x1(x, w []float32) (sum float32) {
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
