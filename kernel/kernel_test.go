package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"idefics2/internal/half"
	"idefics2/internal/variant"
)

// eachVariant runs f once for every variant that this CPU has, then in portable Go.
func eachVariant(t *testing.T, f func(*testing.T)) {
	t.Helper()
	variant.Run(t, "kernel", f)
}

// team returns a team that ends with the test.
func team(t testing.TB, threads int) *Team {
	tm := NewTeam(threads)
	t.Cleanup(tm.Close)
	return tm
}

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// normal returns n numbers from the standard normal distribution, at an address that is
// off bytes past a 32-byte boundary or wherever Go puts it.
func normal(r *rand.Rand, n int) []float32 {
	// One element more in front moves the rest off whatever alignment there was.
	s := make([]float32, n+r.IntN(8))
	s = s[len(s)-n:]
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return s
}

// The types a weight is stored in.
var stored = []string{"f32", "bf16", "f16"}

// store rounds values to a type, and returns them as a Weight and as the float32 they became.
func store(typ string, values []float32, out, in int) (*Weight, []float32) {
	w := &Weight{Out: out, In: in}
	rounded := make([]float32, len(values))
	shift := 1 // 16-bit weights at an odd address in units of 4 bytes
	switch typ {
	case "f32":
		copy(rounded, values)
		w.F32 = values
	case "bf16":
		w.BF16 = make([]uint16, len(values)+shift)[shift:]
		for i, v := range values {
			w.BF16[i] = half.F32ToBF16(v)
			rounded[i] = half.BF16ToF32(w.BF16[i])
		}
	case "f16":
		w.F16 = make([]uint16, len(values)+shift)[shift:]
		for i, v := range values {
			w.F16[i] = half.F32ToF16(v)
			rounded[i] = half.F16ToF32(w.F16[i])
		}
	}
	return w, rounded
}

// sameBits fails unless two results are equal bit for bit.
func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %g (%#08x), want %g (%#08x)", what, i,
				got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// ulps returns how many float32 steps lie between got and the exact value want.
func ulps(got float32, want float64) float64 {
	near := float32(want)
	step := float64(math.Nextafter32(near, float32(math.Inf(1)))) - float64(near)
	return math.Abs(float64(got)-want) / step
}

// Whatever an operation needs is kept from one call to the next.
func TestNothingIsAllocated(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm, quick := team(t, 3), fast(t, 3)
		r := source(1)
		const rows, in, out, d = 40, 96, 83, 24
		x, y, z := normal(r, rows*in), make([]float32, rows*out), make([]float32, rows*in)
		gain, bias := normal(r, in), normal(r, in)
		w, _ := store("bf16", normal(r, out*in), out, in)
		v, _ := store("f16", normal(r, out*in), out, in)
		q8, _ := storeBlocks("q8_0", normal(r, out*in), out, in)
		q4, _ := storeBlocks("q4_0", normal(r, out*in), out, in)
		ragged, _ := store("f16", normal(r, 83*45), 83, 45)
		uneven := []Head{{Q: x, Out: z, QStride: 27, N: 41, K: [][]float32{x}, V: [][]float32{x}, KVStride: 27, PageLen: rows, Keys: 37}}
		positions := make([]int32, rows)
		inv := RopeFrequencies(d, 1e4)
		heads := []Head{{Q: x, Out: z, QStride: in, N: rows, K: [][]float32{x}, V: [][]float32{x}, KVStride: in, PageLen: rows, Keys: rows}}
		ops := []struct {
			name string
			op   func()
		}{
			{"MatMul", func() { tm.MatMul(y, x, rows, w, nil); tm.MatMul(y[:out], x[:in], 1, v, nil) }},
			{"MatMul of blocks, exact", func() { tm.MatMul(y, x, rows, q8, nil); tm.MatMul(y, x, rows, q4, nil) }},
			{"MatMul of blocks", func() { quick.MatMul(y, x, rows, q8, nil); quick.MatMul(y, x, rows, q4, nil) }},
			{"MatMul with tails", func() {
				tm.MatMul(z[:83*9], x[:9*45], 9, ragged, nil)
				tm.MatMul(z[:83], x[:45], 1, ragged, nil)
				for rows := 1; rows <= 7; rows++ {
					quick.MatMul(y[:rows*83], x[:rows*in], rows, q8, nil)
					quick.MatMul(y[:rows*83], x[:rows*in], rows, q4, nil)
				}
			}},
			{"Attend with tails", func() { tm.Attend(uneven, 25, 0.2); tm.Attend([]Head{}, 8, 1) }},
			{"LayerNorm", func() { tm.LayerNorm(z, x, rows, gain, bias, 1e-6) }},
			{"RMSNorm", func() { tm.RMSNorm(z, x, rows, gain, 1e-6) }},
			{"Activate", func() { tm.Activate(z, x, GELUTanh) }},
			{"ActivateMul", func() { tm.ActivateMul(z, x, x, SiLU) }},
			{"Add", func() { tm.Add(z, x) }},
			{"Rope", func() { tm.Rope(x, rows, in/d, d, positions, inv) }},
			{"Attend", func() { tm.Attend(heads, d, 0.2) }},
			{"LogSoftmax", func() { LogSoftmax(z, x) }},
			{"Dot", func() { Dot(x, z) }},
		}
		for _, o := range ops {
			for range 20 { // until every worker has met the work once
				o.op()
			}
			if n := testing.AllocsPerRun(20, o.op); n != 0 {
				t.Errorf("%s: %v allocations", o.name, n)
			}
		}
	})
}

func TestWrongShapesPanic(t *testing.T) {
	tm := team(t, 1)
	f := make([]float32, 12)
	ok := &Weight{Out: 3, In: 4, F32: f}
	tests := []struct {
		name string
		op   func()
	}{
		{"weight too short", func() { tm.MatMul(f[:3], f[:4], 1, &Weight{Out: 3, In: 5, F32: f}, nil) }},
		{"weight without slice", func() { tm.MatMul(f[:3], f[:4], 1, &Weight{Out: 3, In: 4}, nil) }},
		{"weight with two", func() { tm.MatMul(f[:3], f[:4], 1, &Weight{Out: 3, In: 4, F32: f, F16: make([]uint16, 12)}, nil) }},
		{"blocks too short", func() { tm.MatMul(f[:1], make([]float32, 32), 1, &Weight{Out: 1, In: 32, Q8_0: make([]byte, 33)}, nil) }},
		{"half a block", func() { tm.MatMul(f[:2], make([]float32, 16), 1, &Weight{Out: 2, In: 16, Q4_0: make([]byte, 18)}, nil) }},
		{"y", func() { tm.MatMul(f[:4], f[:4], 1, ok, nil) }},
		{"x", func() { tm.MatMul(f[:3], f[:5], 1, ok, nil) }},
		{"bias", func() { tm.MatMul(f[:3], f[:4], 1, ok, f[:4]) }},
		{"add", func() { tm.Add(f, f[1:]) }},
		{"layer norm", func() { tm.LayerNorm(f, f, 3, f[:4], f[:3], 0) }},
		{"rms norm", func() { tm.RMSNorm(f, f, 2, f[:4], 0) }},
		{"activation", func() { tm.Activate(f, f, 99) }},
		{"gate", func() { tm.ActivateMul(f, f[:3], f, SiLU) }},
		{"rope", func() { tm.Rope(f, 1, 3, 4, make([]int32, 1), f[:3]) }},
		{"queries", func() { tm.Attend([]Head{{Q: f, Out: f[:3], N: 2, QStride: 4}}, 4, 1) }},
		{"pages", func() {
			tm.Attend([]Head{{Q: f, Out: f, N: 1, QStride: 4, Keys: 4, PageLen: 4, KVStride: 4, K: [][]float32{f}, V: [][]float32{f}}}, 4, 1)
		}},
		{"dot", func() { Dot(f, f[1:]) }},
		{"exp", func() { Exp(f, f[1:]) }},
		{"log softmax", func() { LogSoftmax(f, f[1:]) }},
	}
	for _, tt := range tests {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", tt.name)
				}
			}()
			tt.op()
		}()
	}
}

func ExampleTeam_MatMul() {
	t := NewTeam(2)
	defer t.Close()
	w := &Weight{Out: 2, In: 3, F32: []float32{
		1, 2, 3,
		4, 5, 6,
	}}
	y := make([]float32, 2)
	t.MatMul(y, []float32{1, 0, -1}, 1, w, []float32{10, 20})
	fmt.Println(y)
	// Output: [8 18]
}

func ExampleTeam_Attend() {
	t := NewTeam(1)
	defer t.Close()
	// Two positions, one head of size 1; a causal mask hides the second key from the first query.
	k, v, out := []float32{0, 0}, []float32{1, 3}, make([]float32, 2)
	t.Attend([]Head{{
		Q: []float32{5, 5}, Out: out, QStride: 1, N: 2,
		K: [][]float32{k}, V: [][]float32{v}, KVStride: 1, PageLen: 2, Keys: 2,
		Causal: true,
	}}, 1, 1)
	fmt.Println(out)
	// Output: [1 2]
}
