package quant

import (
	"bytes"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"idefics2/internal/golden"
	"idefics2/safetensors"
	"idefics2/tensor"
)

// recorded opens what the reference packages made: gguf 0.19, bitsandbytes 0.50, and the
// layouts of AutoAWQ and AutoGPTQ. The committed file has the smaller of them.
func recorded(t testing.TB) *safetensors.File {
	t.Helper()
	path := filepath.Join("testdata", "formats.safetensors")
	if dir, ok := golden.Shared(t, "model/quant"); ok {
		path = filepath.Join(dir, "stages.safetensors")
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func view(t testing.TB, f *safetensors.File, name string) tensor.View {
	t.Helper()
	v, ok := f.View(name)
	if !ok {
		t.Fatalf("%q is not recorded", name)
	}
	return v
}

func TestRecordedBlocks(t *testing.T) {
	f := recorded(t)
	for _, typ := range []Type{BF16, Q8_0, Q4_0, Q4_K, Q6_K} {
		t.Run(typ.String(), func(t *testing.T) {
			name := "gguf." + strings.ToUpper(typ.String())
			data, want := view(t, f, name+".bytes"), view(t, f, name+".dequantized").Floats()
			got := make([]float32, len(want))
			typ.Decode(got, data.Data)
			sameBits(t, got, want)
			if weight, ok := f.View(name + ".weight"); ok {
				encoded := make([]byte, len(data.Data))
				if err := typ.Encode(encoded, weight.Floats()); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(encoded, data.Data) {
					t.Error("encoded bytes differ from the gguf package's")
				}
			}
		})
	}
}

// cases returns the names of recorded matrices of a format, without their last part.
func cases(f *safetensors.File, format string) (names []string) {
	for _, name := range f.Names() {
		if strings.HasPrefix(name, format) && strings.HasSuffix(name, ".dequantized") {
			names = append(names, strings.TrimSuffix(name, ".dequantized"))
		}
	}
	return names
}

// partsOf finds a case's tensors: the recording calls weight "packed".
func partsOf(f *safetensors.File, name string) Parts {
	return func(ending string) (tensor.View, bool) {
		if rest, ok := strings.CutPrefix(ending, "weight"); ok {
			if ending = strings.TrimPrefix(rest, "."); ending == "" {
				ending = "packed"
			}
		}
		return f.View(name + "." + ending)
	}
}

func TestRecordedNF4(t *testing.T) {
	f := recorded(t)
	names := cases(f, "nf4.")
	if len(names) < 9 {
		t.Fatalf("%d cases", len(names))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			m, err := NF4FromParts(partsOf(f, name))
			if err != nil {
				t.Fatal(err)
			}
			want := view(t, f, name+".dequantized")
			if m.DType != want.DType || m.Out != want.Shape[0] || m.In != want.Shape[1] {
				t.Fatalf("%v [%d, %d], want %v %v", m.DType, m.Out, m.In, want.DType, want.Shape)
			}
			sameBits(t, decoded(m), want.Floats())
			checkEncodedNF4(t, f, name, m)
		})
	}
}

// checkEncodedNF4 quantizes the matrix that bitsandbytes quantized.
func checkEncodedNF4(t *testing.T, f *safetensors.File, name string, want *NF4) {
	t.Helper()
	exact := slices.Clone(view(t, f, strings.Join(strings.Split(name, ".")[:2], ".")+".weight").Floats())
	if want.DType == tensor.BF16 { // what was quantized was rounded before
		data := make([]byte, 2*len(exact))
		if err := BF16.Encode(data, exact); err != nil {
			t.Fatal(err)
		}
		BF16.Decode(exact, data)
	}
	got, err := EncodeNF4(exact, want.Out, want.In, NF4Options{BlockSize: want.BlockSize, Double: want.Nested != nil, DType: want.DType})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Codes, want.Codes) {
		t.Error("codes differ from bitsandbytes'")
	}
	if got.Table != want.Table {
		t.Errorf("table %v, want %v", got.Table, want.Table)
	}
	if want.Nested == nil {
		sameBits(t, got.Absmax, want.Absmax)
		return
	}
	g, w := got.Nested, want.Nested
	if g.Table != w.Table || g.BlockSize != w.BlockSize {
		t.Error("nested table or block size differs")
	}
	if off := math.Abs(float64(g.Offset - w.Offset)); off > 4e-7*float64(w.Offset) {
		t.Errorf("offset %v, want %v", g.Offset, w.Offset)
	}
	different := 0 // by an offset that differs in its last bit
	for i := range g.Codes {
		if g.Codes[i] != w.Codes[i] {
			different++
		}
	}
	if different > len(g.Codes)/100 {
		t.Errorf("%d of %d nested codes differ", different, len(g.Codes))
	}
}

func TestRecordedWords(t *testing.T) {
	f := recorded(t)
	groupSizes := map[string]int{"awq.group128": 128, "awq.group64": 64, "gptq.sym128": 128, "gptq.asym32": 32, "gptq.act_order": 32, "gptq.v2": 32}
	names := append(cases(f, "awq."), cases(f, "gptq.")...)
	if len(names) < 6 {
		t.Fatalf("%d cases", len(names))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			size := groupSizes[name]
			want := view(t, f, name+".dequantized").Floats()
			if strings.HasPrefix(name, "awq.") {
				m, err := AWQFromParts(partsOf(f, name), size)
				if err != nil {
					t.Fatal(err)
				}
				sameBits(t, decoded(m), want)
				return
			}
			m, err := GPTQFromParts(partsOf(f, name), GPTQOptions{GroupSize: size, V2: name == "gptq.v2"})
			if err != nil {
				t.Fatal(err)
			}
			sameBits(t, decoded(m), want)
		})
	}
}

// decodable is what the four matrix formats share.
type decodable interface {
	Shape() (out, in int)
	DecodeRows(dst []float32, lo, hi int)
}

func decoded(m decodable) []float32 {
	out, in := m.Shape()
	dst := make([]float32, out*in)
	m.DecodeRows(dst, 0, out)
	return dst
}

func sameBits(t *testing.T, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i, v := range got {
		if math.Float32bits(v) != math.Float32bits(want[i]) {
			t.Fatalf("value %d is %v, want %v", i, v, want[i])
		}
	}
}
