package quant

import (
	"encoding/binary"
	"math"
	"testing"

	"idefics2/tensor"
)

// Any bytes decode, and any values encode to as many bytes or an error: finite values that
// were taken decode to finite values near them. Scales below 6e-8 round to nothing.
func FuzzBlocks(f *testing.F) {
	block := make([]byte, 4*superValues)
	for i, v := range noise(superValues, 14) {
		binary.LittleEndian.PutUint32(block[4*i:], math.Float32bits(v))
	}
	f.Add(block)
	f.Add(make([]byte, 4*superValues))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 4*superValues {
			return
		}
		x, y := make([]float32, superValues), make([]float32, superValues)
		F32.Decode(x, data[:4*superValues])
		most := float32(0)
		for _, v := range x {
			most = max(most, abs(v))
		}
		for _, typ := range Types() {
			n, _ := typ.Size(superValues)
			typ.Decode(y, data[:n]) // as blocks
			encoded := make([]byte, n)
			if typ.Encode(encoded, x) != nil || !(most < 1e4) { // of large values Encode may say no
				continue
			}
			typ.Decode(y, encoded)
			for i, v := range y {
				if !(abs(v-x[i]) <= most/5+2e-4) {
					t.Fatalf("%v: value %d, %g of at most %g, became %g", typ, i, x[i], most, v)
				}
			}
		}
	})
}

// A quant_state that is accepted fits what it describes.
func FuzzNF4State(f *testing.F) {
	for _, double := range []bool{false, true} {
		f.Add(string(tensorsOf(f, double)[nf4State].Data))
	}
	f.Add(`{"quant_type": "nf4", "blocksize": 4096, "dtype": "bfloat16", "shape": [2147483647, 2147483647]}`)
	f.Add(`{"quant_type": "fp4", "blocksize": 64, "dtype": "float32", "shape": [8, 64]}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, double := range []bool{false, true} {
			m, err := NF4FromParts(with(tensorsOf(t, double), nf4State, stateView(text)).parts)
			if err != nil {
				continue
			}
			if (m.Out*m.In+1)/2 != 560 {
				t.Fatalf("[%d, %d] in 560 bytes", m.Out, m.In)
			}
			decoded(m)
			m.PerRow = true
			decoded(m)
		}
	})
}

// Words of any shape are refused or decode.
func FuzzWords(f *testing.F) {
	f.Add(uint8(16), uint8(64), 32, []byte{0, 0, 0, 0, 1, 0, 0, 0})
	f.Add(uint8(8), uint8(8), -1, []byte{255, 255, 255, 255})
	f.Add(uint8(24), uint8(40), 7, []byte(nil))
	f.Fuzz(func(t *testing.T, out, in uint8, group int, index []byte) {
		for _, format := range []string{"awq", "gptq"} {
			s := wordTensors(max(int(out), 1), max(int(in), 1), min(max(group, 1), 256), format)
			if len(index) > 0 {
				s["g_idx"] = tensor.View{DType: tensor.I32, Shape: []int{len(index) / 4}, Data: index[:len(index)&^3]}
			}
			if m, err := AWQFromParts(s.parts, group); err == nil {
				g, err := m.Regroup()
				sameRegrouped(t, m, g, err)
			}
			if m, err := GPTQFromParts(s.parts, GPTQOptions{GroupSize: group}); err == nil {
				g, err := m.Regroup()
				sameRegrouped(t, m, g, err)
			}
		}
	})
}

// sameRegrouped fails unless a matrix that could be regrouped has the same values.
func sameRegrouped(t *testing.T, m decodable, g *Grouped, err error) {
	t.Helper()
	want := decoded(m)
	if g == nil || err != nil {
		return
	}
	for i, v := range decoded(g) {
		if v != want[i] {
			t.Fatalf("value %d is %v, want %v", i, v, want[i])
		}
	}
}

// Inputs that were quantized in another order than they stand in find their groups.
func TestRegrouped(t *testing.T) {
	const out, in, size = 16, 64, 16
	for _, format := range []string{"awq", "gptq"} {
		s := wordTensors(out, in, size, format)
		if format == "awq" {
			m, err := AWQFromParts(s.parts, size)
			if err != nil {
				t.Fatal(err)
			}
			g, err := m.Regroup()
			if g == nil || err != nil {
				t.Fatal(g, err)
			}
			sameRegrouped(t, m, g, err)
			continue
		}
		for _, shuffled := range []bool{false, true} {
			index := make([]byte, 0, 4*in)
			for i := range in {
				g := i / size
				if shuffled {
					g = i % (in / size)
				}
				index = binary.LittleEndian.AppendUint32(index, uint32(g))
			}
			s["g_idx"] = tensor.View{DType: tensor.I32, Shape: []int{in}, Data: index}
			m, err := GPTQFromParts(s.parts, GPTQOptions{GroupSize: size})
			if err != nil {
				t.Fatal(err)
			}
			g, err := m.Regroup()
			if g == nil || err != nil || (g.Order != nil) != shuffled {
				t.Fatal(g, err)
			}
			sameRegrouped(t, m, g, err)
		}
	}
}
