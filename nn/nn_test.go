package nn

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"idefics2/internal/half"
	"idefics2/kernel"
	"idefics2/tensor"
)

func team(t testing.TB) *kernel.Team {
	t.Helper()
	k := kernel.NewTeam(2)
	t.Cleanup(k.Close)
	return k
}

// near fails where got and want differ by more than a millionth.
func near(t *testing.T, what string, got []float32, want ...float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if math.Abs(float64(got[i])-want[i]) > 1e-6 {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
	}
}

// The examples of spec/model.md §4.4 and §8.1.
func TestNorms(t *testing.T) {
	x := tensor.MatOf([]float32{1, 2, 3, 4}, 4)
	y := tensor.NewMat(1, 4)
	layer := LayerNorm{Gain: []float32{1, .5, 2, 1}, Bias: []float32{0, 1, 0, 0}, Eps: 1e-6}
	layer.Forward(team(t), y, x)
	near(t, "LayerNorm", y.Data, -1.3416404, 0.7763933, 0.8944269, 1.3416404)
	rms := RMSNorm{Gain: []float32{1, .5, 2, 1}, Eps: 1e-5}
	rms.Forward(team(t), y, x)
	near(t, "RMSNorm", y.Data, 0.3651481, 0.3651481, 2.1908889, 1.4605925)
}

func linear(out, in int, bias []float32, w ...float32) Linear {
	return Linear{W: kernel.Weight{Out: out, In: in, F32: w}, Bias: bias}
}

func TestLinear(t *testing.T) {
	l := linear(2, 3, []float32{10, 20}, 1, 2, 3, 4, 5, 6)
	y := tensor.NewMat(2, 2)
	l.Forward(team(t), y, tensor.MatOf([]float32{1, 0, 1, 0, 2, 0}, 3))
	near(t, "Linear", y.Data, 14, 30, 14, 30)
	defer func() {
		if recover() == nil {
			t.Error("a wrong shape did not panic")
		}
	}()
	l.Forward(team(t), y, tensor.NewMat(2, 4))
}

// The feed-forward layers against their formulas, over more rows than they take at once.
func TestMLPs(t *testing.T) {
	const rows = mlpRows + 3
	x := tensor.NewMat(rows, 2)
	for i := range x.Data {
		x.Data[i] = float32(math.Sin(float64(i)))
	}
	up, down := linear(3, 2, []float32{.1, .2, .3}, 1, -1, .5, 2, -3, 1), linear(2, 3, []float32{1, 2}, 1, 2, 3, -1, 0, 1)
	gate := linear(3, 2, nil, .3, .7, -.2, .4, 1, 1)
	silu := func(v float64) float64 { return v / (1 + math.Exp(-v)) }
	apply := func(l Linear, x []float64) (y []float64) {
		for o := range l.W.Out {
			sum := 0.0
			if l.Bias != nil {
				sum = float64(l.Bias[o])
			}
			for k, v := range x {
				sum += v * float64(l.W.F32[o*l.W.In+k])
			}
			y = append(y, sum)
		}
		return y
	}
	var s MLPScratch
	plain, gated := tensor.NewMat(rows, 2), tensor.NewMat(rows, 2)
	mlp := MLP{Up: up, Down: down, Act: kernel.SiLU}
	mlp.Forward(team(t), &s, plain, x)
	glu := GatedMLP{Gate: gate, Up: up, Down: down, Act: kernel.SiLU}
	glu.Forward(team(t), &s, gated, x)
	for _, i := range []int{0, 1, mlpRows - 1, mlpRows, rows - 1} {
		row := []float64{float64(x.Row(i)[0]), float64(x.Row(i)[1])}
		hidden := apply(up, row)
		product := apply(gate, row)
		for k := range hidden {
			product[k] = silu(product[k]) * hidden[k]
			hidden[k] = silu(hidden[k])
		}
		near(t, fmt.Sprintf("MLP, row %d", i), plain.Row(i), apply(down, hidden)...)
		near(t, fmt.Sprintf("GatedMLP, row %d", i), gated.Row(i), apply(down, product)...)
	}
}

func TestEmbeddingInEveryType(t *testing.T) {
	values := []float32{1, 2, -3, 4, 0.5, -6}
	var bf16, f16 []uint16
	for _, v := range values {
		bf16, f16 = append(bf16, half.F32ToBF16(v)), append(f16, half.F32ToF16(v))
	}
	for name, w := range map[string]kernel.Weight{"f32": {F32: values}, "bf16": {BF16: bf16}, "f16": {F16: f16}} {
		w.Out, w.In = 3, 2
		e := Embedding{W: w} // of blocks: kernel.TestRowsOfBlocks
		y := tensor.NewMat(3, 2)
		e.Forward(y, []int32{2, 0, 2})
		if !slices.Equal(y.Data, []float32{0.5, -6, 1, 2, 0.5, -6}) {
			t.Errorf("%s: %v", name, y.Data)
		}
	}
}

func TestWeightOfIsAView(t *testing.T) {
	data := make([]byte, 2*588*4)
	w := WeightOf(tensor.View{DType: tensor.F32, Shape: []int{2, 3, 14, 14}, Data: data})
	if w.Out != 2 || w.In != 588 || len(w.F32) != 2*588 {
		t.Errorf("a convolution's weight is [%d, %d] of %d", w.Out, w.In, len(w.F32))
	}
	blocks := WeightOf(tensor.View{DType: tensor.Q4_0, Shape: []int{2, 64}, Data: data[:72]})
	if blocks.Out != 2 || blocks.In != 64 || len(blocks.Q4_0) != 72 {
		t.Errorf("a matrix in blocks is [%d, %d] of %d", blocks.Out, blocks.In, len(blocks.Q4_0))
	}
	half := WeightOf(tensor.View{DType: tensor.F16, Shape: []int{2, 3}, Data: data[:12]})
	if half.F16 == nil || half.BF16 != nil || half.F32 != nil {
		t.Errorf("float16 became %+v", half)
	}
}

func TestObserverNames(t *testing.T) {
	var seen []string
	see := Observer(func(stage string, shape []int, data []float32) {
		seen = append(seen, fmt.Sprint(stage, shape, data))
	})
	x := tensor.MatOf([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 4)
	see.Under("a.").Under("b.").Mat("c", x)
	see.Heads("q", x, 2)
	want := []string{"a.b.c[2 4] [1 2 3 4 5 6 7 8]", "q[2 2 2] [1 2 5 6 3 4 7 8]"}
	if !slices.Equal(seen, want) {
		t.Errorf("%q, want %q", seen, want)
	}
	var none Observer
	none.Under("x").Mat("y", x)
	none.Heads("z", x, 2)
}

func ExampleRMSNorm_Forward() {
	t := kernel.NewTeam(1)
	defer t.Close()
	norm := RMSNorm{Gain: []float32{1, 1, 2, 1}, Eps: 1e-5}
	x, y := tensor.MatOf([]float32{2, 2, 2, -2}, 4), tensor.NewMat(1, 4)
	norm.Forward(t, y, x)
	fmt.Printf("%.3f\n", y.Data)
	// Output: [1.000 1.000 2.000 -1.000]
}
