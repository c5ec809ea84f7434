package quant

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"
)

// spec is the block of spec/checkpoint.md §8.2, and spec16 counts from −16 to 15.
var spec, spec16 = func() (a, b []float32) {
	a, b = make([]float32, 32), make([]float32, 32)
	copy(a, []float32{0.1, -0.5, 1, 0, 0.3, -2, 0.75, 1.2})
	for i := range b {
		b[i] = float32(i - 16)
	}
	return a, b
}()

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vectors of spec/checkpoint.md §8.2, recorded with the gguf package.
func TestSpecBlocks(t *testing.T) {
	halves := make([]float32, 32)
	copy(halves, []float32{127, 0.5, 1.5, -0.5, 2.5, 0.49999997}) // 127 makes the scale 1
	tests := []struct {
		name  string
		t     Type
		x     []float32
		bytes string
		first []float32 // decoded
	}{
		{"q8_0", Q8_0, spec, "08 24 06 e0 40 00 13 81 30 4c" + strings.Repeat("00", 24),
			[]float32{0.094482422, -0.50390625, 1.0078125, 0, 0.29919434, -1.9998779, 0.75585938, 1.1967773}},
		{"q8_0 halves", Q8_0, halves, "003c 7f 01 02 ff 03" + strings.Repeat("00", 27), []float32{127, 1, 2, -1, 3, 0}},
		{"q8_0 zeros", Q8_0, make([]float32, 32), strings.Repeat("00", 34), []float32{0, 0}},
		{"q4_0", Q4_0, spec, "00 34 88 86 8c 88 89 80 8b 8d" + strings.Repeat("88", 8), []float32{0, -0.5, 1, 0, 0.25, -2, 0.75, 1.25}},
		{"q4_0 count", Q4_0, spec16, "00 40 80 91 91 a2 a2 b3 b3 c4 c4 d5 d5 e6 e6 f7 f7 f8", []float32{-16, -14, -14, -12, -12, -10, -10, -8}},
		{"q4_0 zeros", Q4_0, make([]float32, 32), "00 80" + strings.Repeat("88", 16), []float32{0, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := fromHex(t, tt.bytes)
			got := make([]byte, len(want))
			if err := tt.t.Encode(got, tt.x); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("% x, want % x", got, want)
			}
			x := make([]float32, 32)
			tt.t.Decode(x, got)
			for i, w := range tt.first {
				if math.Abs(float64(x[i]-w)) > 1e-7*math.Abs(float64(w)) {
					t.Errorf("value %d: %v, want %v", i, x[i], w)
				}
			}
		})
	}
}

func TestSpecSuperBlocks(t *testing.T) {
	counting := func(n int) (b []byte) {
		for i := range n {
			b = append(b, byte(i))
		}
		return b
	}
	q6 := counting(192)
	for i := range 16 {
		q6 = append(q6, byte(i+1))
	}
	tests := []struct {
		t      Type
		block  []byte
		values map[int]float32
	}{
		{Q4_K, append(fromHex(t, "0038 0034 01 02 03 C4 45 06 07 88 21 43 65 87"), counting(128)...), map[int]float32{
			0: -1.25, 1: -0.75, 31: 6.25, 32: -1.5, 64: -1.75, 96: 2, 128: -4.5, 160: 5, 192: -1.5, 224: 155, 255: 182.5}},
		{Q6_K, append(q6, 0, 0x30), map[int]float32{
			0: -4, 1: -1.875, 16: -8, 31: 7.75, 32: -12, 64: -20, 96: 1.75, 127: 3, 128: -36, 160: -44, 192: 6.5, 224: 11.25, 255: 14}},
	}
	for _, tt := range tests {
		x := make([]float32, superValues)
		tt.t.Decode(x, tt.block)
		for i, want := range tt.values {
			if x[i] != want {
				t.Errorf("%v value %d: %v, want %v", tt.t, i, x[i], want)
			}
		}
	}
}

// Scales and minima of 6 bits come back as they were packed.
func TestScaleMin(t *testing.T) {
	packed := make([]byte, 12)
	for j := range 8 {
		putScaleMin(packed, j, byte(7*j+8), byte(63-5*j))
	}
	for j := range 8 {
		if s, m := scaleMin(packed, j); s != byte(7*j+8) || m != byte(63-5*j) {
			t.Errorf("sub-block %d: %d %d", j, s, m)
		}
	}
}

// Each type's error on normal noise is what it is designed for. The first four are the
// numbers of spec/checkpoint.md §8.3; the budget of a type on real weights, whose blocks are
// less regular, is a quarter more, relative to their size.
func TestErrorOnNoise(t *testing.T) {
	budget := map[Type]float64{Q4_0: 0.0862, Q4_K: 0.0721, Q6_K: 0.0178, Q8_0: 0.0054, F16: 3e-4, BF16: 2e-3, F32: 0}
	x := noise(1<<16, 5)
	y := make([]float32, len(x))
	for _, typ := range Types() {
		n, ok := typ.Size(len(x))
		if !ok {
			t.Fatal(typ)
		}
		data := make([]byte, n)
		if err := typ.Encode(data, x); err != nil {
			t.Fatal(err)
		}
		typ.Decode(y, data)
		var d Deviation
		d.Add(x, y)
		if d.RMS() > 1.01*budget[typ]+5e-5 || d.RMS() < 0.5*budget[typ] {
			t.Errorf("%v: root mean square %.5f, want about %.5f", typ, d.RMS(), budget[typ])
		}
	}
}

// Encoding what was decoded changes nothing more than the types' roundings.
func TestEncodeAgain(t *testing.T) {
	x := noise(superValues*8, 6)
	for _, typ := range []Type{F32, F16, BF16, Q8_0, Q4_0} {
		n, _ := typ.Size(len(x))
		first, second := make([]byte, n), make([]byte, n)
		y := make([]float32, len(x))
		if err := typ.Encode(first, x); err != nil {
			t.Fatal(err)
		}
		typ.Decode(y, first)
		if err := typ.Encode(second, y); err != nil {
			t.Fatal(err)
		}
		z := make([]float32, len(x))
		typ.Decode(z, second)
		var d Deviation
		d.Add(y, z)
		if d.Relative() > 1e-3 {
			t.Errorf("%v: %g", typ, d.Relative())
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, typ := range []Type{Q8_0, Q6_K, Q4_K, Q4_0} {
		for _, bad := range []struct {
			v    float32
			want string
		}{{nan, "value 259 is NaN"}, {inf, "value 259 is -Inf"}, {3e38, "value 259 is 3e+38, more than"}} {
			x := noise(2*superValues, 8)
			x[superValues+3] = bad.v
			n, _ := typ.Size(len(x))
			err := typ.Encode(make([]byte, n), x)
			if err == nil || !strings.Contains(err.Error(), bad.want) {
				t.Errorf("%v: %v, want %q", typ, err, bad.want)
			}
		}
	}
	if err := F16.Encode(make([]byte, 4), []float32{65504, 65520}); err == nil || !strings.Contains(err.Error(), "value 1 is 65520") {
		t.Error(err)
	}
	if err := BF16.Encode(make([]byte, 2), []float32{math.MaxFloat32}); err == nil {
		t.Error("rounded to infinity")
	}
	for _, typ := range []Type{F32, F16, BF16} { // which hold them
		x := []float32{nan, inf}
		data := make([]byte, 2*typ.Bytes())
		if err := typ.Encode(data, x); err != nil {
			t.Error(err)
		}
		if typ.Decode(x, data); x[0] == x[0] || x[1] != inf {
			t.Errorf("%v: %v", typ, x)
		}
	}
}

// Values whose scale has no inverse, or rounds to nothing, become zeros and not numbers of chance.
func TestEncodeTiny(t *testing.T) {
	for _, typ := range []Type{Q8_0, Q6_K, Q4_K, Q4_0} {
		for _, v := range []float32{1e-45, 1e-40, 1e-38, 1e-20, 1e-9} {
			x := make([]float32, superValues)
			for i := range x {
				x[i] = v * float32(i%7-3)
			}
			n, _ := typ.Size(len(x))
			data := make([]byte, n)
			if err := typ.Encode(data, x); err != nil {
				t.Fatal(err)
			}
			y := make([]float32, len(x))
			typ.Decode(y, data)
			for i, got := range y {
				if math.IsNaN(float64(got)) || abs(got-x[i]) > 4*v+1e-8 {
					t.Fatalf("%v of %g: %g became %g", typ, v, x[i], got)
				}
			}
		}
	}
}

func TestTypeNames(t *testing.T) {
	for _, typ := range Types() {
		text, err := typ.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back Type
		if err := back.UnmarshalText(bytes.ToUpper(text)); err != nil || back != typ {
			t.Errorf("%v read as %v, %v", typ, back, err)
		}
		if got, ok := OfGGUF(typ.GGUF()); !ok || got != typ {
			t.Errorf("%v is %v in files", typ, got)
		}
		if n, ok := typ.Size(3 * typ.Block()); !ok || n != 3*typ.Bytes() {
			t.Errorf("%v: three blocks take %d bytes", typ, n)
		}
	}
	if _, err := ParseType("q5_k"); err == nil || !strings.Contains(err.Error(), "one of f32, f16, bf16, q8_0") {
		t.Error(err)
	}
	if _, ok := OfGGUF(3); ok {
		t.Error("q4_1 is not known")
	}
	if _, err := Type(0).MarshalText(); err == nil || Type(99).String() != "Type(99)" {
		t.Error("no type has a name")
	}
	for _, n := range []int{-32, 31, math.MaxInt} {
		if size, ok := Q8_0.Size(n); ok {
			t.Errorf("%d values take %d bytes", n, size)
		}
	}
}

// Lengths that do not belong together are bugs of the caller.
func TestPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"no type":        func() { Type(0).Block() },
		"broken block":   func() { Q8_0.Decode(make([]float32, 31), make([]byte, 34)) },
		"short bytes":    func() { Q4_0.Encode(make([]byte, 17), make([]float32, 32)) },
		"short rows":     func() { (&Int8{Out: 1, In: 2}).DecodeRows(make([]float32, 1), 0, 1) },
		"values missing": func() { EncodeNF4(make([]float32, 3), 2, 2, NF4Options{}) },
		"unequal":        func() { new(Deviation).Add(make([]float32, 1), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			f()
		})
	}
}

func TestDeviation(t *testing.T) {
	var d Deviation
	if d.RMS() != 0 || d.Max() != 0 || d.Relative() != 0 {
		t.Error("of nothing")
	}
	d.Add([]float32{3, 0}, []float32{3, 0})
	d.Add([]float32{4, 0}, []float32{4.5, -0.5})
	if got, want := d.RMS(), math.Sqrt(0.5/4); got != want {
		t.Errorf("RMS %v, want %v", got, want)
	}
	if d.Max() != 0.5 || d.Relative() != math.Sqrt(0.5/25) {
		t.Errorf("%v %v", d.Max(), d.Relative())
	}
	d.Add([]float32{float32(math.NaN()), 1}, []float32{0, 9})
	if !math.IsNaN(d.Max()) || !math.IsNaN(d.RMS()) {
		t.Error("a NaN was lost")
	}
}
