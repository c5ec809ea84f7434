package kernel

import (
	"fmt"
	"math"
	"testing"
)

// The examples of spec/model.md §4.4 and §8.1.
func TestNormValues(t *testing.T) {
	x, gain, bias := []float32{1, 2, 3, 4}, []float32{1, .5, 2, 1}, []float32{0, 1, 0, 0}
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 1)
		y := make([]float32, 4)
		tm.LayerNorm(y, x, 1, gain, bias, 1e-6)
		near(t, "LayerNorm", y, []float64{-1.3416404, 0.7763933, 0.8944269, 1.3416404}, 3e-7)
		tm.RMSNorm(y, x, 1, gain, 1e-5)
		near(t, "RMSNorm", y, []float64{0.3651481, 0.3651481, 2.1908889, 1.4605925}, 1e-7)
	})
}

func near(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	for i := range want {
		if math.Abs(float64(got[i])-want[i]) > tolerance*max(1, math.Abs(want[i])) {
			t.Fatalf("%s: element %d = %.8g, want %.8g", what, i, got[i], want[i])
		}
	}
}

func TestNorms(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		r := source(14)
		for _, c := range []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 1152, 4096} {
			rows := 1 + 10000/(c*c)
			x, gain, bias := normal(r, rows*c), normal(r, c), normal(r, c)
			for i := range x {
				x[i] += 3 // a mean worth subtracting
			}
			y, z := make([]float32, rows*c), make([]float32, rows*c)
			tm.LayerNorm(y, x, rows, gain, bias, 1e-3)
			tm.RMSNorm(z, x, rows, gain, 1e-3)
			for i := range rows {
				row := x[i*c:][:c]
				var mean, variance, square float64
				for _, v := range row {
					mean += float64(v) / float64(c)
				}
				for _, v := range row {
					variance += (float64(v) - mean) * (float64(v) - mean) / float64(c)
					square += float64(v) * float64(v) / float64(c)
				}
				layer, rms := make([]float64, c), make([]float64, c)
				for j, v := range row {
					layer[j] = (float64(v)-mean)/math.Sqrt(variance+1e-3)*float64(gain[j]) + float64(bias[j])
					rms[j] = float64(v) / math.Sqrt(square+1e-3) * float64(gain[j])
				}
				near(t, fmt.Sprint("LayerNorm ", c), y[i*c:], layer, 2e-5)
				near(t, fmt.Sprint("RMSNorm ", c), z[i*c:], rms, 1e-6)

				alone := make([]float32, c) // and each row is what it is alone
				tm.LayerNorm(alone, row, 1, gain, bias, 1e-3)
				sameBits(t, "LayerNorm of one row", alone, y[i*c:][:c])
				tm.RMSNorm(alone, row, 1, gain, 1e-3)
				sameBits(t, "RMSNorm of one row", alone, z[i*c:][:c])
			}
			inPlace := append([]float32(nil), x...)
			tm.LayerNorm(inPlace, inPlace, rows, gain, bias, 1e-3)
			sameBits(t, "LayerNorm in place", inPlace, y)
		}
	})
}

// The frequencies that spec/model.md §8.2 lists, bit for bit where it gives all digits.
func TestRopeFrequencies(t *testing.T) {
	inv := RopeFrequencies(128, 1e4)
	for j, want := range map[int]float32{0: 1, 1: 0.8659643530845642, 2: 0.7498942017555237, 63: 0.00011547819303814322} {
		if inv[j] != want {
			t.Errorf("inv[%d] = %v, want %v", j, inv[j], want)
		}
	}
	if math.Abs(float64(inv[31])-0.011547819711) > 1e-12 {
		t.Errorf("inv[31] = %v", inv[31])
	}
}

// The example of spec/model.md §8.2.
func TestRopeValues(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		x := []float32{1, 2, 3, 4, 5, 6, 7, 8}
		team(t, 1).Rope(x, 1, 1, 8, []int32{3}, RopeFrequencies(8, 1e4))
		near(t, "Rope", x, []float64{-1.6955925, 0.1375517, 2.7886815, 3.9759822, -4.8088427, 6.3230596, 7.0868368, 8.0119638}, 1e-7)
	})
}

func TestRope(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(15)
		for _, d := range []int{2, 6, 8, 16, 30, 128} {
			const rows, heads = 70, 3
			inv := RopeFrequencies(d, 1e4)
			x := normal(r, rows*heads*d)
			y := append([]float32(nil), x...)
			positions := make([]int32, rows)
			for i := range positions {
				positions[i] = int32(i * i * 7)
			}
			team(t, 2).Rope(y, rows, heads, d, positions, inv)
			for i := range rows {
				for h := range heads {
					at := (i*heads + h) * d
					want := make([]float64, d)
					for j := range d / 2 {
						sin, cos := math.Sincos(float64(float32(positions[i]) * inv[j]))
						a, b := float64(x[at+j]), float64(x[at+j+d/2])
						want[j], want[j+d/2] = a*cos-b*sin, b*cos+a*sin
					}
					near(t, fmt.Sprintf("d=%d row %d", d, i), y[at:], want, 1e-6)
				}
				alone := append([]float32(nil), x[i*heads*d:][:heads*d]...)
				team(t, 1).Rope(alone, 1, heads, d, positions[i:][:1], inv)
				sameBits(t, "one row", alone, y[i*heads*d:][:heads*d])
			}
		}
	})
}

func TestLogSoftmax(t *testing.T) {
	x := []float32{1, 2, 3, -1e30, 1000, 999}
	y := make([]float32, len(x))
	LogSoftmax(y, x)
	rest := math.Log(1 + math.Exp(-1)) // all the others are beyond float64
	near(t, "LogSoftmax", y, []float64{-999 - rest, -998 - rest, -997 - rest, -1e30, -rest, -1 - rest}, 1e-7)

	inf := float32(math.Inf(1))
	LogSoftmax(y[:3], []float32{-inf, 0, 0}) // a token that a processor has forbidden
	if y[0] != -inf || math.Abs(float64(y[1])+math.Ln2) > 1e-7 {
		t.Errorf("with a forbidden entry: %g", y[:3])
	}
	LogSoftmax(y[:2], []float32{float32(math.NaN()), 0})
	if y[0] == y[0] || y[1] == y[1] {
		t.Errorf("a NaN gave %g", y[:2])
	}
}

func ExampleLogSoftmax() {
	y := make([]float32, 2)
	LogSoftmax(y, []float32{7, 7})
	fmt.Println(y)
	// Output: [-0.6931472 -0.6931472]
}
