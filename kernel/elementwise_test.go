package kernel

import (
	"fmt"
	"math"
	"testing"
)

// exps computes e^x by the code that softmax runs in the variant under test.
func exps(x []float32) []float32 {
	y := append([]float32(nil), x...)
	expSum(y, 0)
	return y
}

func TestExp(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		var x []float32
		for b := math.Float32bits(0x1p-30); b < math.Float32bits(89); b += 997 {
			v := math.Float32frombits(b)
			x = append(x, v, -v)
		}
		for len(x)%8 != 0 {
			x = append(x, 0)
		}
		worst, at := 0.0, float32(0)
		for i, y := range exps(x) {
			switch {
			case x[i] < expLow:
				if y != 0 {
					t.Fatalf("exp(%g) = %g, want 0", x[i], y)
				}
			case x[i] > expHigh:
				if !math.IsInf(float64(y), 1) {
					t.Fatalf("exp(%g) = %g, want +Inf", x[i], y)
				}
			default:
				if u := ulps(y, math.Exp(float64(x[i]))); u > worst {
					worst, at = u, x[i]
				}
			}
		}
		if worst > 2 {
			t.Errorf("exp(%g) is off by %.2f ulp", at, worst)
		}
		t.Logf("largest error of exp: %.3f ulp at %g, over %d values", worst, at, len(x))

		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		special := []float32{0, float32(math.Copysign(0, -1)), inf, -inf, nan, 1e30, -1e30, -88}
		want := []float32{1, 1, inf, 0, nan, inf, 0, 0}
		for i, got := range exps(special) {
			if got != want[i] && (got == got || want[i] == want[i]) {
				t.Errorf("exp(%g) = %g, want %g", special[i], got, want[i])
			}
		}
	})
}

// Exp is the exponential of softmax, for any length and in place.
func TestExpOfSlices(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(31)
		for n := range 40 {
			x := normal(r, n)
			whole := append(append([]float32(nil), x...), make([]float32, (8-n%8)%8)...)
			want := exps(whole)[:n]
			Exp(x, x)
			sameBits(t, fmt.Sprint("n = ", n), x, want)
		}
	})
}

func TestScaleMaxAndExpSum(t *testing.T) {
	hidden := float32(math.Inf(-1))
	eachVariant(t, func(t *testing.T) {
		r := source(10)
		for n := 8; n <= keyBlock; n += 8 {
			s := normal(r, n)
			s[0], s[n-1] = hidden, hidden
			want, top := make([]float64, n), math.Inf(-1)
			for i, v := range s {
				want[i] = float64(v * 0.3)
				top = max(top, want[i])
			}
			if got := scaleMax(s, 0.3); float64(got) != top {
				t.Fatalf("n=%d: largest %g, want %g", n, got, top)
			}
			var sum float64
			for i := range want {
				if float64(s[i]) != want[i] {
					t.Fatalf("n=%d: scaled to %g, want %g", n, s[i], want[i])
				}
				sum += math.Exp(want[i] - top)
			}
			if got := expSum(s, float32(top)); math.Abs(float64(got)-sum) > 1e-5*sum {
				t.Fatalf("n=%d: sum %g, want %g", n, got, sum)
			}
			if s[0] != 0 || s[n-1] != 0 {
				t.Fatalf("n=%d: hidden scores became %g and %g", n, s[0], s[n-1])
			}
		}
	})
}

// definition is each activation in float64.
var definition = map[Activation]func(float64) float64{
	GELUTanh: func(x float64) float64 {
		// The form of the reference, 0.5·(1+tanh u), rewritten so that float64 does not cancel.
		return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	},
	GELU: func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) },
	SiLU: func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	ReLU: func(x float64) float64 { return max(x, 0) },
}

func TestActivations(t *testing.T) {
	// The largest error relative to the value, in units of 2⁻²⁴, where the value is not tiny: the
	// argument of gelu's exponential is of size 2u and so is the loss.
	limit := map[Activation]float64{GELUTanh: 200, GELU: 2, SiLU: 6, ReLU: 0}
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		var x []float32
		for b := math.Float32bits(0x1p-40); b < math.Float32bits(1e4); b += 3001 {
			v := math.Float32frombits(b)
			x = append(x, v, -v)
		}
		x = append(x, 0, 1, -1)
		up := normal(source(11), len(x))
		for a, f := range definition {
			y, z := make([]float32, len(x)), make([]float32, len(x))
			tm.Activate(y, x, a)
			tm.ActivateMul(z, x, up, a)
			worst, at := 0.0, float32(0)
			for i, v := range x {
				want := f(float64(v))
				if math.Abs(want) < 1e-30 {
					if math.Abs(float64(y[i])) > 2e-30 {
						t.Fatalf("%v(%g) = %g, want %g", a, v, y[i], want)
					}
					continue
				}
				if e := math.Abs(float64(y[i])-want) / math.Abs(want) * 0x1p24; e > worst {
					worst, at = e, v
				}
				if math.Float32bits(z[i]) != math.Float32bits(y[i]*up[i]) {
					t.Fatalf("%v(%g)·%g = %g, want %g", a, v, up[i], z[i], y[i]*up[i])
				}
			}
			if worst > limit[a] {
				t.Errorf("%v(%g): relative error %.1f·2⁻²⁴, want at most %g", a, at, worst, limit[a])
			}
			t.Logf("%v: largest relative error %.1f·2⁻²⁴ at %g", a, worst, at)
		}
	})
}

// The values of spec/model.md §4.4 and §5, and what is not finite.
func TestActivationValues(t *testing.T) {
	inf := float32(math.Inf(1))
	tests := []struct {
		a       Activation
		x, want float32
	}{
		{GELUTanh, -3, -0.00363743}, {GELUTanh, -1, -0.158808}, {GELUTanh, 0.5, 0.345714}, {GELUTanh, 1, 0.841192}, {GELUTanh, 3, 2.996363},
		{GELUTanh, 1000, 1000}, {GELUTanh, -1000, 0}, {GELUTanh, inf, inf},
		{SiLU, 1, 0.7310586}, {SiLU, -3, -0.1422776}, {SiLU, 1000, 1000}, {SiLU, -1000, 0}, {SiLU, inf, inf},
		{GELU, 1, 0.8413447}, {GELU, -1, -0.1586553},
		{ReLU, -2, 0}, {ReLU, 2, 2}, {ReLU, inf, inf},
	}
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 1)
		for _, tt := range tests {
			y := []float32{0}
			tm.Activate(y, []float32{tt.x}, tt.a)
			if y[0] != tt.want && math.Abs(float64(y[0]-tt.want)) > 1e-6 {
				t.Errorf("%v(%g) = %g, want %g", tt.a, tt.x, y[0], tt.want)
			}
		}
		for a := range definition {
			y := []float32{0}
			tm.Activate(y, []float32{float32(math.NaN())}, a)
			if y[0] == y[0] {
				t.Errorf("%v(NaN) = %g", a, y[0])
			}
		}
	})
}

// An element's value does not depend on where it stands or how many there are.
func TestElementwiseAlone(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(12)
		x, up := normal(r, 3*elementsPerPiece+13), normal(r, 3*elementsPerPiece+13)
		for a := range definition {
			whole, two := make([]float32, len(x)), make([]float32, len(x))
			tm := team(t, 2)
			tm.Activate(whole, x, a)
			tm.ActivateMul(two, x, up, a)
			for n := 1; n < 40; n++ {
				at := r.IntN(len(x) - n)
				y := make([]float32, n)
				tm.Activate(y, x[at:][:n], a)
				sameBits(t, fmt.Sprint(a, n), y, whole[at:][:n])
				tm.ActivateMul(y, x[at:][:n], up[at:][:n], a)
				sameBits(t, fmt.Sprint(a, n, " mul"), y, two[at:][:n])
			}
		}
	})
}

func TestParseActivation(t *testing.T) {
	for name, want := range map[string]Activation{
		"gelu_pytorch_tanh": GELUTanh, "gelu_new": GELUTanh, "gelu": GELU, "silu": SiLU, "swish": SiLU, "relu": ReLU,
	} {
		if got, err := ParseActivation(name); got != want || err != nil {
			t.Errorf("ParseActivation(%q) = %v, %v", name, got, err)
		}
	}
	for a := range definition {
		if got, err := ParseActivation(a.String()); got != a || err != nil {
			t.Errorf("%v does not parse back: %v, %v", a, got, err)
		}
	}
	if _, err := ParseActivation("mish"); err == nil {
		t.Error(`"mish" was accepted`)
	}
}

func TestAdd(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(13)
		for _, n := range []int{0, 1, 7, 8, 100, elementsPerPiece, 2*elementsPerPiece + 9} {
			y, x := normal(r, n), normal(r, n)
			want := make([]float32, n)
			for i := range want {
				want[i] = y[i] + x[i]
			}
			team(t, 2).Add(y, x)
			sameBits(t, fmt.Sprint(n), y, want)
		}
	})
}

func ExampleParseActivation() {
	a, err := ParseActivation("swish")
	fmt.Println(a, err)
	// Output: silu <nil>
}
