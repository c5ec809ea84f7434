package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
)

func TestDTypes(t *testing.T) {
	for d := F64; d <= F4; d++ {
		if got, ok := ParseDType(d.String()); !ok || got != d || d.Bits() == 0 {
			t.Errorf("%d: %q of %d bits parses as %v, %v", d, d, d.Bits(), got, ok)
		}
		if want := d == F32 || d == F16 || d == BF16; d.Float() != want {
			t.Errorf("%v: Float is %v", d, d.Float())
		}
	}
	for _, name := range []string{"", "invalid", "f32", "F8", "Q8_0"} {
		if got, ok := ParseDType(name); ok {
			t.Errorf("%q parses as %v", name, got)
		}
	}
	if DType(200).Bits() != 0 || DType(200).String() != "DType(200)" {
		t.Error("an unknown type has a size or a name")
	}
}

// A mapped tensor may begin at any byte: it is then copied, with the same values.
func TestViewsAtAnyAlignment(t *testing.T) {
	values := []float32{0, 1, -2.5, 65504, 0.0009765625}
	encode := map[DType]func(b []byte, v float32) []byte{
		F32: func(b []byte, v float32) []byte { return binary.LittleEndian.AppendUint32(b, math.Float32bits(v)) },
		BF16: func(b []byte, v float32) []byte {
			return binary.LittleEndian.AppendUint16(b, uint16(math.Float32bits(v)>>16))
		},
		F16: func(b []byte, v float32) []byte {
			return binary.LittleEndian.AppendUint16(b, map[float32]uint16{0: 0, 1: 0x3c00, -2.5: 0xc100, 65504: 0x7bff, 0.0009765625: 0x1400}[v])
		},
	}
	for dtype, put := range encode {
		for offset := range 4 {
			data := make([]byte, offset)
			for _, v := range values {
				data = put(data, v)
			}
			v := View{DType: dtype, Shape: []int{len(values)}, Data: data[offset:]}
			want := slices.Clone(values)
			if dtype == BF16 {
				want[3] = 65280 // the bits that were cut off above
			}
			if got := v.Floats(); !slices.Equal(got, want) {
				t.Errorf("%v at offset %d: %v, want %v", dtype, offset, got, want)
			}
			if dtype.Bits() == 16 {
				if got := v.Bytes16(); len(got) != len(values) || got[1] != binary.LittleEndian.Uint16(v.Data[2:]) {
					t.Errorf("%v at offset %d: words %x", dtype, offset, got)
				}
			}
		}
	}
}

func TestEmptyAndScalarViews(t *testing.T) {
	if v := (View{DType: F32, Shape: []int{3, 0}}); v.Len() != 0 || v.Floats() != nil {
		t.Error("an empty tensor has elements")
	}
	if v := (View{DType: F32, Data: []byte{0, 0, 128, 63}}); v.Len() != 1 || v.Floats()[0] != 1 {
		t.Error("a scalar is not one element")
	}
}

func TestReshapeKeepsItsMemory(t *testing.T) {
	var m Mat
	m.Reshape(4, 5)
	first := &m.Data[0]
	if small := m.Reshape(2, 3); len(small.Data) != 6 || &m.Data[0] != first {
		t.Error("a smaller shape took new memory")
	}
	m.Reshape(4, 5)
	if &m.Data[0] != first {
		t.Error("the first shape took new memory again")
	}
}

func ExampleMat_Slice() {
	m := MatOf([]float32{1, 2, 3, 4, 5, 6}, 2)
	middle := m.Slice(1, 3)
	middle.Row(0)[0] = 30
	fmt.Println(m.Rows, m.Data, middle.Rows)
	// Output: 3 [1 2 30 4 5 6] 2
}
