package kernel

import "math"

// LayerNorm normalises each row of x [rows, len(gain)] to mean 0 and variance 1, then
// applies a gain and a bias (nil for none): y = (x - mean)/√(variance + eps)·gain + bias. The
// variance is the biased one, divided by the length (torch.nn.LayerNorm). y may be x.
func (t *Team) LayerNorm(y, x []float32, rows int, gain, bias []float32, eps float32) {
	want("LayerNorm", "x", len(x), rows*len(gain))
	want("LayerNorm", "y", len(y), rows*len(gain))
	if bias != nil {
		want("LayerNorm", "bias", len(bias), len(gain))
	}
	t.layerNorm = layerNormTask{y, x, rows, gain, bias, eps}
	t.pool.Run(pieces(rows, rowsPerPiece(len(gain))), &t.layerNorm)
	t.layerNorm = layerNormTask{}
}

type layerNormTask struct {
	y, x       []float32
	rows       int
	gain, bias []float32
	eps        float32
}

func (t *layerNormTask) Do(i, _ int) {
	c := len(t.gain)
	n := rowsPerPiece(c)
	for r := i * n; r < min(t.rows, (i+1)*n); r++ {
		x, y := t.x[r*c:][:c], t.y[r*c:][:c]
		mean := float32(sum(x) / float64(c))
		variance := sumSquares(x, mean) / float64(c)
		scale := float32(1 / math.Sqrt(variance+float64(t.eps)))
		normalize(y, x, mean, scale, t.gain)
		if t.bias != nil {
			addTo(y, t.bias)
		}
	}
}

// RMSNorm divides each row of x [rows, len(gain)] by its root mean square, then applies
// a gain: y = gain·(x/√(mean(x²) + eps)). y may be x.
func (t *Team) RMSNorm(y, x []float32, rows int, gain []float32, eps float32) {
	want("RMSNorm", "x", len(x), rows*len(gain))
	want("RMSNorm", "y", len(y), rows*len(gain))
	t.rmsNorm = rmsNormTask{y, x, rows, gain, eps}
	t.pool.Run(pieces(rows, rowsPerPiece(len(gain))), &t.rmsNorm)
	t.rmsNorm = rmsNormTask{}
}

type rmsNormTask struct {
	y, x []float32
	rows int
	gain []float32
	eps  float32
}

func (t *rmsNormTask) Do(i, _ int) {
	c := len(t.gain)
	n := rowsPerPiece(c)
	for r := i * n; r < min(t.rows, (i+1)*n); r++ {
		x, y := t.x[r*c:][:c], t.y[r*c:][:c]
		mean := sumSquares(x, 0) / float64(c)
		normalize(y, x, 0, float32(1/math.Sqrt(mean+float64(t.eps))), t.gain)
	}
}

// sumGeneric and sumSquaresGeneric add in float64: what a whole row is shifted and scaled
// by should not carry the rounding of a thousand additions. Four sums, element i in sum
// i mod 4, because one would wait for each addition to end.

func sumGeneric(x []float32) float64 {
	var s [4]float64
	for ; len(x) >= 4; x = x[4:] {
		s[0] += float64(x[0])
		s[1] += float64(x[1])
		s[2] += float64(x[2])
		s[3] += float64(x[3])
	}
	for i, v := range x {
		s[i] += float64(v)
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// sumSquaresGeneric returns Σ (x - mean)², each difference rounded to float32.
func sumSquaresGeneric(x []float32, mean float32) float64 {
	var s [4]float64
	for ; len(x) >= 4; x = x[4:] {
		a, b, c, d := float64(x[0]-mean), float64(x[1]-mean), float64(x[2]-mean), float64(x[3]-mean)
		s[0] += float64(a * a)
		s[1] += float64(b * b)
		s[2] += float64(c * c)
		s[3] += float64(d * d)
	}
	for i, v := range x {
		a := float64(v - mean)
		s[i] += float64(a * a)
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// normalizeGeneric writes y = gain·((x - mean)·scale).
func normalizeGeneric(y, x []float32, mean, scale float32, gain []float32) {
	y, gain = y[:len(x)], gain[:len(x)]
	for i, v := range x {
		y[i] = gain[i] * ((v - mean) * scale)
	}
}
