package nn

import (
	"math"
	"math/rand/v2"
	"testing"

	"idefics2/kernel"
	"idefics2/tensor"
)

func normal(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// along moves x by h in a random direction, both ways, and compares the change of Σ y·dy, y being
// what forward writes, with what the gradient says.
func along(t *testing.T, what string, r *rand.Rand, x, gradient []float32, dy []float32, forward func() []float32) {
	t.Helper()
	const h = 1e-2
	direction, start := normal(r, len(x)), append([]float32(nil), x...)
	defer copy(x, start)
	loss := func(h float32) (sum float64) {
		for i := range x {
			x[i] = start[i] + h*direction[i]
		}
		for i, y := range forward() {
			sum += float64(y) * float64(dy[i])
		}
		return sum
	}
	got := (loss(h) - loss(-h)) / (2 * h)
	var want, size float64
	for i, g := range gradient {
		want += float64(g) * float64(direction[i])
		size += float64(g) * float64(g)
	}
	if math.Abs(got-want) > 2e-3*math.Sqrt(size)+1e-6 {
		t.Errorf("%s: the loss changes by %v, its gradient says %v (of length %v)", what, got, want, math.Sqrt(size))
	}
}

func TestBackwardAgainstDifferences(t *testing.T) {
	tm := team(t)
	const n, c, f = 11, 10, 14
	r := rand.New(rand.NewPCG(1, 1))
	x, dy := tensor.MatOf(normal(r, n*c), c), tensor.MatOf(normal(r, n*c), c)
	type layer struct {
		name     string
		params   func(add func(Param))
		forward  func(y tensor.Mat)
		backward func(dx tensor.Mat)
	}
	dense := func(name string, out, in int) Linear {
		l := linear(out, in, normal(r, out), normal(r, out*in)...)
		l.Name = name
		return l
	}
	single := dense("linear", c, c)
	ln := LayerNorm{Name: "layernorm", Gain: normal(r, c), Bias: normal(r, c), Eps: 1e-6}
	rms := RMSNorm{Name: "rmsnorm", Gain: normal(r, c), Eps: 1e-5}
	layers := []layer{
		{"linear", single.Params, func(y tensor.Mat) { single.Forward(tm, y, x) }, func(dx tensor.Mat) { single.Backward(tm, dx, dy, x) }},
		{"layernorm", ln.Params, func(y tensor.Mat) { ln.Forward(tm, y, x) }, func(dx tensor.Mat) { ln.Backward(tm, dx, dy, x) }},
		{"rmsnorm", rms.Params, func(y tensor.Mat) { rms.Forward(tm, y, x) }, func(dx tensor.Mat) { rms.Backward(tm, dx, dy, x) }},
	}
	var inner tensor.Mat
	for _, act := range []kernel.Activation{kernel.GELU, kernel.GELUTanh, kernel.SiLU} {
		for _, keep := range []*tensor.Mat{nil, &inner} {
			mlp := MLP{Up: dense("up", f, c), Down: dense("down", c, f), Act: act}
			gated := GatedMLP{Gate: dense("gate", f, c), Up: dense("up", f, c), Down: dense("down", c, f), Act: act}
			s, g := &MLPScratch{Keep: keep}, &MLPGradients{}
			layers = append(layers,
				layer{"mlp", mlp.Params, func(y tensor.Mat) { mlp.Forward(tm, s, y, x) }, func(dx tensor.Mat) { mlp.Backward(tm, s, g, dx, dy, x) }},
				layer{"gated mlp", gated.Params, func(y tensor.Mat) { gated.Forward(tm, s, y, x) }, func(dx tensor.Mat) { gated.Backward(tm, s, g, dx, dy, x) }})
		}
	}
	for _, dora := range []bool{false, true} {
		for _, dropout := range []float64{0, 0.4} {
			l := dense("adapted", c, c)
			a := &Adapter{Rank: 3, Scale: 0.7, A: normal(r, 3*c), B: normal(r, c*3), Dropout: dropout, Training: true, Noise: 5}
			if dora {
				a.Magnitude = normal(r, c)
			}
			l.Adapter = a
			a.Refresh(&l)
			layers = append(layers, layer{"adapter", func(add func(Param)) {
				a.params(&l, func(p Param) {
					// The norms are constants to DoRA's gradient, but not to differences.
					if !dora || p.Name == "adapted.lora_magnitude_vector" {
						add(p)
					}
				})
				add(VectorParam("adapted.bias", &l.Bias, &l.DBias, c))
			}, func(y tensor.Mat) { a.Refresh(&l); l.Forward(tm, y, x) }, func(dx tensor.Mat) { l.Backward(tm, dx, dy, x) }})
		}
	}
	for _, l := range layers {
		y := tensor.NewMat(n, c)
		forward := func() []float32 { l.forward(y); return y.Data }
		var params []Param
		l.params(func(p Param) { p.Train(); params = append(params, p) })
		forward()
		dx := tensor.NewMat(n, c)
		l.backward(dx)
		for _, p := range params {
			values, grad := p.Values()
			along(t, l.name+" "+p.Name, r, values, grad, dy.Data, forward)
		}
		if l.name != "adapter" { // whose dropout depends on x: see TestAdapterDX
			along(t, l.name+" x", r, x.Data, dx.Data, dy.Data, forward)
		}
		// It adds, and without a place for it the gradient of x is left out.
		before := append([]float32(nil), dx.Data...)
		l.forward(y)
		l.backward(dx)
		for i, v := range dx.Data {
			if math.Abs(float64(v-2*before[i])) > 1e-4*(1+math.Abs(float64(v))) {
				t.Fatalf("%s: the gradient of x became %v from %v", l.name, v, before[i])
			}
		}
	}
}

// The gradient of an adapter's input, against the formula in float64.
func TestAdapterDX(t *testing.T) {
	tm := team(t)
	r := rand.New(rand.NewPCG(2, 1))
	const n, in, out, rank = 5, 9, 7, 2
	for _, dora := range []bool{false, true} {
		for _, dropout := range []float64{0, 0.5} {
			l := linear(out, in, nil, normal(r, out*in)...)
			a := &Adapter{Rank: rank, Scale: 0.5, A: normal(r, rank*in), B: normal(r, out*rank), Dropout: dropout, Training: true, Noise: 3}
			if dora {
				a.Magnitude = normal(r, out)
			}
			l.Adapter = a
			a.Refresh(&l)
			x, dy, dx := tensor.MatOf(normal(r, n*in), in), tensor.MatOf(normal(r, n*out), out), tensor.NewMat(n, in)
			l.Backward(tm, dx, dy, x)
			for i := range n {
				mask := make([]float32, in)
				for j := range mask {
					mask[j] = 1
				}
				if dropout > 0 {
					a.Noise.Row(x.Row(i)).Drop(mask, dropout)
				}
				want := make([]float64, in)
				for o := range out {
					g := 1.0
					if dora {
						g = float64(a.gain[o])
					}
					d := float64(dy.Row(i)[o])
					for j := range in {
						w := float64(l.W.F32[o*in+j])
						var ba float64
						for k := range rank {
							ba += float64(a.B[o*rank+k]) * float64(a.A[k*in+j])
						}
						want[j] += d * (w + float64(mask[j])*((g-1)*w+g*0.5*ba))
					}
				}
				for j, w := range want {
					if math.Abs(float64(dx.Row(i)[j])-w) > 1e-5*(1+math.Abs(w)) {
						t.Fatalf("DoRA %v, dropout %v: dx[%d][%d] is %v, want %v", dora, dropout, i, j, dx.Row(i)[j], w)
					}
				}
			}
		}
	}
}

// The example of spec/training.md §6.
func TestDoRAWorked(t *testing.T) {
	l := linear(2, 2, nil, 3, 4, 0, 2)
	a := &Adapter{Rank: 1, Scale: 2, A: []float32{1, 1}, B: []float32{1, 0.5}}
	l.Adapter = a
	x, y := tensor.MatOf([]float32{1, 2}, 2), tensor.NewMat(1, 2)
	l.Forward(team(t), y, x)
	near(t, "LoRA", y.Data, 17, 7)
	a.Magnitude = []float32{5, 2}
	a.Refresh(&l)
	l.Forward(team(t), y, x)
	near(t, "DoRA", y.Data, 10.8831348, 4.4271887)
}

func TestEmbeddingBackward(t *testing.T) {
	e := Embedding{W: kernel.Weight{Out: 3, In: 2, F32: make([]float32, 6)}}
	dy := tensor.MatOf([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 2)
	e.Backward(dy, []int32{2, 0, 2, -1}) // frozen
	e.DW = make([]float32, 6)
	e.Backward(dy, []int32{2, 0, 2, -1})
	near(t, "gradient", e.DW, 3, 4, 0, 0, 6, 8)
}

func TestNoise(t *testing.T) {
	n := Noise(7)
	if n.Uniform(3) != n.Uniform(3) || n.Uniform(3) == n.Uniform(4) || n.Of(1) == n.Of(2) || Noise(8).Of(1) == n.Of(1) {
		t.Error("numbers are not a function of source and place")
	}
	const many = 1 << 16
	var mean, square, zeros float64
	x := make([]float32, many)
	for i := range x {
		x[i] = 1
		u, v := float64(n.Uniform(i)), float64(n.Normal(i))
		if u < 0 || u >= 1 {
			t.Fatalf("uniform number %v", u)
		}
		mean += u / many
		square += v * v / many
	}
	n.Drop(x, 0.25)
	for _, v := range x {
		if v == 0 {
			zeros++
		} else if v != float32(1/0.75) {
			t.Fatalf("kept as %v", v)
		}
	}
	if math.Abs(mean-0.5) > 0.01 || math.Abs(square-1) > 0.02 || math.Abs(zeros/many-0.25) > 0.01 {
		t.Errorf("mean %v, variance %v, share of zeros %v", mean, square, zeros/many)
	}
	if n.Row([]float32{1, 2}) == n.Row([]float32{2, 1}) {
		t.Error("rows of other values have one source")
	}
}
