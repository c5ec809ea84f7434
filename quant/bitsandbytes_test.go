package quant

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"idefics2/tensor"
)

// The vector of spec/checkpoint.md §5.2.5, recorded with bitsandbytes.
func TestNF4Spec(t *testing.T) {
	x := make([]float32, 64)
	copy(x, []float32{0.1, -0.5, 1, 0, 0.3, -2, 0.75, 1.2})
	m, err := EncodeNF4(x, 1, 64, NF4Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := append([]byte{0x84, 0xC7, 0x90, 0xBD}, bytes.Repeat([]byte{0x77}, 28)...)
	if !bytes.Equal(m.Codes, want) || m.Absmax[0] != 2 {
		t.Errorf("% x, absmax %v", m.Codes, m.Absmax)
	}
	y := decoded(m)
	for i, w := range []float32{0.15916060, -0.56888276, 0.88141966, 0, 0.32186040, -2, 0.67583048, 1.12523401} {
		if abs(y[i]-w) > 1e-7 {
			t.Errorf("value %d: %v, want %v", i, y[i], w)
		}
	}
}

func TestNF4MidpointsAndZeros(t *testing.T) {
	x := make([]float32, 128) // the second block is of zeros
	x[63] = 1
	copy(x, nf4Bounds[:])
	m, err := EncodeNF4(x, 2, 64, NF4Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range nf4Bounds {
		if code := m.Codes[i/2] >> (4 - 4*(i%2)) & 15; int(code) != i {
			t.Errorf("the middle between %d and %d has code %d, want the lower", i, i+1, code)
		}
	}
	if m.Absmax[1] != 0 || !bytes.Equal(m.Codes[32:], bytes.Repeat([]byte{0x77}, 32)) {
		t.Errorf("zeros: absmax %v, % x", m.Absmax[1], m.Codes[32:])
	}
}

// spec/checkpoint.md §5.2.5 and spec/training.md §7.2.
func TestDoubleQuantizationSpec(t *testing.T) {
	n := nestAbsmax([]float32{2, 1, 1.5, 0.5})
	if n.Offset != 1.25 || n.Absmax[0] != 0.75 || !bytes.Equal(n.Codes, []byte{255, 47, 207, 0}) {
		t.Errorf("offset %v, absmax %v, codes %v", n.Offset, n.Absmax, n.Codes)
	}
	for i, want := range []float32{2, 1.0009766, 1.4990234, 0.5052735} {
		if got := n.at(i); abs(got-want) > 1.2e-7 {
			t.Errorf("%d: %v, want %v", i, got, want)
		}
	}
}

// The facts of spec/training.md §4.3.
func TestDynamicTable(t *testing.T) {
	for i, want := range map[int]float32{0: -0.99296875, 127: 0, 128: 5.5e-7, 129: 3.25e-6, 254: 0.99296875, 255: 1} {
		if got := DynamicTable[i]; abs(got-want) > 2e-7*abs(want) {
			t.Errorf("%d: %v, want %v", i, got, want)
		}
	}
}

// What EncodeNF4 makes is stored and read back as it was.
func TestNF4Parts(t *testing.T) {
	for _, o := range []NF4Options{{}, {Double: true}, {BlockSize: 128, DType: tensor.BF16}, {BlockSize: 32, Double: true, DType: tensor.F16}} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			m, err := EncodeNF4(noise(300*71, 9), 300, 71, o)
			if err != nil {
				t.Fatal(err)
			}
			s := stored{}
			for _, p := range m.Parts() {
				s[p.Ending] = p.View
			}
			back, err := NF4FromParts(s.parts)
			if err != nil {
				t.Fatal(err)
			}
			if back.BlockSize != m.BlockSize || back.DType != m.DType || (back.Nested != nil) != o.Double {
				t.Errorf("%d %v %v", back.BlockSize, back.DType, back.Nested)
			}
			sameBits(t, decoded(back), decoded(m))
		})
	}
}

func TestNF4Error(t *testing.T) {
	x := noise(1<<16, 10)
	for _, o := range []NF4Options{{}, {Double: true}} {
		m, err := EncodeNF4(x, 1<<8, 1<<8, o)
		if err != nil {
			t.Fatal(err)
		}
		var d Deviation
		if d.Add(x, decoded(m)); d.Relative() > 0.1 || d.Relative() < 0.08 {
			t.Errorf("%+v: relative error %v", o, d.Relative())
		}
	}
}

// With AVX-512, bitsandbytes 0.50 takes every row for whole blocks.
func TestNF4PerRow(t *testing.T) {
	m, err := EncodeNF4(noise(5*96, 11), 5, 96, NF4Options{})
	if err != nil {
		t.Fatal(err)
	}
	m.PerRow = true
	y := make([]float32, 96)
	for row := range 5 {
		m.DecodeRows(y, row, row+1)
		for c, got := range y {
			at := row*96 + c
			code := m.Codes[at/2] >> (4 - 4*(at%2)) & 15
			if want := NF4Table[code] * m.Absmax[row+c/64]; got != want {
				t.Fatalf("[%d, %d] is %v, want %v", row, c, got, want)
			}
		}
	}
	whole, err := EncodeNF4(noise(4*128, 12), 4, 128, NF4Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := decoded(whole)
	whole.PerRow = true
	sameBits(t, decoded(whole), want)
}

func TestNF4Refuses(t *testing.T) {
	for _, o := range []NF4Options{{BlockSize: 48}, {BlockSize: 16}, {BlockSize: 8192}, {DType: tensor.I8}} {
		if _, err := EncodeNF4(nil, 0, 0, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if _, err := EncodeNF4([]float32{1, float32(math.Inf(1))}, 1, 2, NF4Options{}); err == nil || !strings.Contains(err.Error(), "value 1 is +Inf") {
		t.Error(err)
	}
}

// tensorsOf returns the parts of a valid matrix.
func tensorsOf(t testing.TB, double bool) stored {
	t.Helper()
	m, err := EncodeNF4(noise(16*70, 13), 16, 70, NF4Options{Double: double})
	if err != nil {
		t.Fatal(err)
	}
	s := stored{}
	for _, p := range m.Parts() {
		s[p.Ending] = p.View
	}
	return s
}

func stateView(text string) tensor.View {
	return tensor.View{DType: tensor.U8, Shape: []int{len(text)}, Data: []byte(text)}
}

func TestRefusedNF4(t *testing.T) {
	single, double := tensorsOf(t, false), tensorsOf(t, true)
	state := func(text string) stored { return with(single, nf4State, stateView(text)) }
	floats := func(n int) tensor.View { return floatView(make([]float32, n)) }
	tests := []struct {
		name string
		s    stored
		want string
	}{
		{"no state", with(single, nf4State, tensor.View{}), "no weight.quant_state"},
		{"fp4 too", with(single, fp4State, stateView("{}")), "fp4 and as nf4"},
		{"state of floats", with(single, nf4State, floats(2)), "F32 of 8 bytes"},
		{"state too long", state(strings.Repeat(" ", maxState+1)), "at most 65536"},
		{"not JSON", state("nf4"), "line 1"},
		{"text after", state(`{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [16, 70]} x`), "the end"},
		{"other type", state(`{"quant_type": "fp4"}`), `quant_type "fp4"`},
		{"key twice", state(`{"blocksize": 64, "blocksize": 64}`), "repeated"},
		{"unknown key", state(`{"absmax": 1}`), `unknown field "absmax"`},
		{"block size", state(`{"blocksize": 65}`), "blocksize 65"},
		{"block size of text", state(`{"blocksize": "64"}`), "a number"},
		{"dtype", state(`{"dtype": "int8"}`), `dtype "int8"`},
		{"negative side", state(`{"shape": [16, -70]}`), "shape has -70"},
		{"huge side", state(`{"shape": [16, 99999999999]}`), "shape has 99999999999"},
		{"three sides", state(`{"shape": [16, 70, 1]}`), "in place 2"},
		{"one side", state(`{"shape": [16]}`), "want two sides"},
		{"no shape", state(`{"quant_type": "nf4", "blocksize": 64, "dtype": "float32"}`), "no shape"},
		{"half nested", state(`{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [16, 70], "nested_blocksize": 256}`), "or none"},
		{"nested type", state(`{"nested_dtype": "float16"}`), `nested_dtype "float16"`},
		{"offset", state(`{"nested_offset": 1e999}`), "nested_offset 1e999"},
		{"another shape", state(`{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [16, 72]}`), "want U8 of 576 elements"},
		{"huge shape", state(`{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [2147483647, 2147483647]}`), "want U8 of"},
		{"no codes", with(single, nf4Codes, tensor.View{}), "no weight"},
		{"no table", with(single, nf4Table, floats(15)), "quant_map: F32 [15]"},
		{"absmax too short", with(single, nf4Absmax, floats(17)), "want F32 of 18"},
		{"absmax in bytes", with(single, nf4Absmax, double[nf4Absmax]), "absmax: U8"},
		{"nested absmax", with(double, nf4NestAbsmax, floats(2)), "nested_absmax: F32 [2]"},
		{"nested table", with(double, nf4NestTable, tensor.View{}), "no weight.nested_quant_map"},
		{"nested codes", with(double, nf4Absmax, floats(18)), "want U8 of 18"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NF4FromParts(tt.s.parts)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "quant: NF4: ") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestRefusedInt8(t *testing.T) {
	s := int8Tensors()
	for _, tt := range []struct {
		s    stored
		want string
	}{
		{with(s, "weight", stateView("abcdef")), "weight: U8"},
		{with(s, "SCB", tensor.View{}), "no SCB"},
		{with(s, "SCB", floatView([]float32{1})), "want F32 of 2"},
		{with(s, "weight_format", stateView("\x02")), "weight_format"},
	} {
		if _, err := Int8FromParts(tt.s.parts); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
	if _, err := Int8FromParts(with(s, "weight_format", tensor.View{}).parts); err != nil {
		t.Error(err)
	}
}
