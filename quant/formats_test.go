package quant

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"idefics2/internal/half"
	"idefics2/tensor"
)

// stored is a matrix's tensors by ending.
type stored map[string]tensor.View

func (s stored) parts(ending string) (tensor.View, bool) {
	v, ok := s[ending]
	return v, ok
}

// words makes the tensors of a matrix [out, in] in AWQ's or GPTQ's shapes, groups of 128.
func words(out, in int, format string) Parts { return wordTensors(out, in, 128, format).parts }

func wordTensors(out, in, group int, format string) stored {
	rows, cols := in, out/8
	if format == "gptq" {
		rows, cols = in/8, out
	}
	count := (in + group - 1) / group
	data := make([]byte, 4*rows*cols)
	for i := range data {
		data[i] = byte(i*7 + i/256)
	}
	scales := make([]byte, 2*count*out)
	for i := range count * out {
		binary.LittleEndian.PutUint16(scales[2*i:], half.F32ToF16(0.5+float32(i%5)))
	}
	return stored{
		"qweight": {DType: tensor.I32, Shape: []int{rows, cols}, Data: data},
		"qzeros":  {DType: tensor.I32, Shape: []int{count, out / 8}, Data: make([]byte, count*out/2)},
		"scales":  {DType: tensor.F16, Shape: []int{count, out}, Data: scales},
	}
}

func with(s stored, ending string, v tensor.View) stored {
	out := stored{}
	for k, view := range s {
		out[k] = view
	}
	if out[ending] = v; v.DType == tensor.Invalid {
		delete(out, ending)
	}
	return out
}

// The word of columns 0 to 7 with values 0 to 7 (spec/checkpoint.md §6.3, recorded).
func TestAWQOrder(t *testing.T) {
	s := wordTensors(8, 128, 128, "awq")
	binary.LittleEndian.PutUint32(s["qweight"].Data, 0x75316420)
	m, err := AWQFromParts(s.parts, 128)
	if err != nil {
		t.Fatal(err)
	}
	x := decoded(m)
	for k := range 8 {
		if got, want := x[k*128], float32(k)*scaleOf(s["scales"].Data[2*k:]); got != want {
			t.Errorf("output %d: %v, want %v", k, got, want)
		}
	}
}

// The word of rows 0 to 7 with values 0 to 7 (spec/checkpoint.md §7.1); a stored zero point
// of 7 is 8, and of 15 is 0. Version 2 stores it as it is.
func TestGPTQOrder(t *testing.T) {
	s := wordTensors(8, 128, 128, "gptq")
	binary.LittleEndian.PutUint32(s["qweight"].Data, 0x76543210)
	for _, tt := range []struct {
		stored uint32
		v2     bool
		zero   float32
	}{{0x77777777, false, 8}, {0xffffffff, false, 0}, {0x77777777, true, 7}, {0, false, 1}} {
		binary.LittleEndian.PutUint32(s["qzeros"].Data, tt.stored)
		m, err := GPTQFromParts(s.parts, GPTQOptions{GroupSize: -1, V2: tt.v2})
		if err != nil {
			t.Fatal(err)
		}
		x := decoded(m)
		for i := range 8 {
			if got, want := x[i], (float32(i)-tt.zero)*0.5; got != want {
				t.Errorf("zeros %x, v2 %v, input %d: %v, want %v", tt.stored, tt.v2, i, got, want)
			}
		}
	}
}

// Rows decode alone as they do together, whatever rows they are.
func TestDecodeRowsInPieces(t *testing.T) {
	const out, in = 24, 128
	single, err := EncodeNF4(noise(9*71, 3), 9, 71, NF4Options{})
	if err != nil {
		t.Fatal(err)
	}
	double, err := EncodeNF4(noise(9*70, 4), 9, 70, NF4Options{Double: true, DType: tensor.BF16})
	if err != nil {
		t.Fatal(err)
	}
	awq, err := AWQFromParts(wordTensors(out, in, 32, "awq").parts, 32)
	if err != nil {
		t.Fatal(err)
	}
	gptq, err := GPTQFromParts(wordTensors(out, in, 32, "gptq").parts, GPTQOptions{GroupSize: 32})
	if err != nil {
		t.Fatal(err)
	}
	int8, err := Int8FromParts(int8Tensors().parts)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []decodable{single, double, awq, gptq, int8} {
		rows, cols := m.Shape()
		want := decoded(m)
		for lo := range rows {
			for _, hi := range []int{lo, lo + 1, (lo + rows + 1) / 2, rows} {
				got := make([]float32, (hi-lo)*cols)
				m.DecodeRows(got, lo, hi)
				sameBits(t, got, want[lo*cols:hi*cols])
			}
		}
	}
}

func int8Tensors() stored {
	return stored{
		"weight":        {DType: tensor.I8, Shape: []int{2, 3}, Data: []byte{127, 0x81, 0, 64, 1, 0xff}},
		"SCB":           floatView([]float32{2, 0.5}),
		"weight_format": {DType: tensor.U8, Data: []byte{0}},
	}
}

// An outermost code is the row's scale.
func TestInt8(t *testing.T) {
	m, err := Int8FromParts(int8Tensors().parts)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{2, -2, 0, 32. / 127, 0.5 / 127, -0.5 / 127} {
		if got := decoded(m)[i]; math.Abs(float64(got)-want) > 1e-7 {
			t.Errorf("value %d: %v, want %v", i, got, want)
		}
	}
}

func TestRefusedWords(t *testing.T) {
	awq, gptq := wordTensors(16, 256, 128, "awq"), wordTensors(16, 256, 128, "gptq")
	view := func(d tensor.DType, shape ...int) tensor.View {
		v := tensor.View{DType: d, Shape: shape}
		v.Data = make([]byte, v.Len()*d.Bits()/8)
		return v
	}
	far := view(tensor.I32, 256)
	far.Data[40] = 2
	tests := []struct {
		name string
		s    stored
		awq  bool
		size int
		want string
	}{
		{"no words", with(awq, "qweight", tensor.View{}), true, 128, "no qweight"},
		{"no zeros", with(awq, "qzeros", tensor.View{}), true, 128, "no qzeros"},
		{"no scales", with(awq, "scales", tensor.View{}), true, 128, "no scales"},
		{"floats as words", with(awq, "qweight", view(tensor.F32, 256, 2)), true, 128, "F32 [256 2], want I32 [any, any]"},
		{"too few zeros", with(awq, "qzeros", view(tensor.I32, 1, 2)), true, 128, "[1 2], want I32 [2, 2]"},
		{"scales of another group size", awq, true, 64, "want I32 [4, 2]"},
		{"scales in bfloat16", with(awq, "scales", view(tensor.BF16, 2, 16)), true, 128, "scales: BF16"},
		{"group size 0", awq, true, 0, "group size 0"},
		{"group size -2", awq, true, -2, "group size -2"},
		{"groups larger than a row", awq, true, 512, "group size 512"},
		{"a row of broken groups", with(with(awq, "qzeros", view(tensor.I32, 3, 2)), "scales", view(tensor.F16, 3, 16)), true, 100, "whole groups of 100"},
		{"nothing", with(awq, "qweight", view(tensor.I32, 0, 2)), true, -1, "sides from 1"},
		{"one dimension", with(gptq, "qweight", view(tensor.I32, 512)), false, 128, "[512], want I32"},
		{"outputs", with(gptq, "qweight", view(tensor.I32, 32, 12)), false, 128, "multiple of 8"},
		{"index too short", with(gptq, "g_idx", view(tensor.I32, 255)), false, 128, "g_idx: I32 [255]"},
		{"index of no group", with(gptq, "g_idx", far), false, 128, "input 10 is of group 2, want one of 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var err error
			if tt.awq {
				_, err = AWQFromParts(tt.s.parts, tt.size)
			} else {
				_, err = GPTQFromParts(tt.s.parts, GPTQOptions{GroupSize: tt.size})
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
