package safetensors

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"idefics2/internal/golden"
	"idefics2/tensor"
)

// file puts a header before data, unpadded.
func file(header string, data ...byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), data...)
}

// specHeader is the header that the reference's writer gives the tensors b F16[3],
// a F32[2], c I64[1] (spec/checkpoint.md §1, recorded).
const specHeader = `{"c":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},"b":{"dtype":"F16","shape":[3],"data_offsets":[16,22]}}`

func TestParse(t *testing.T) {
	data := make([]byte, 22)
	for i := range data {
		data[i] = byte(i)
	}
	f, err := Parse(file(specHeader, data...))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Names(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("Names = %q", got)
	}
	a, ok := f.View("a")
	if !ok || a.DType != tensor.F32 || !slices.Equal(a.Shape, []int{2}) || !bytes.Equal(a.Data, data[8:16]) {
		t.Errorf("a = %v, %v", a, ok)
	}
	if _, ok := f.View("d"); ok {
		t.Error("there is no d")
	}
	if len(f.Metadata()) != 0 {
		t.Errorf("Metadata = %v", f.Metadata())
	}
}

func TestAccepts(t *testing.T) {
	tests := []struct {
		name, header string
		size         int
	}{
		{"nothing", `{}`, 0},
		{"spaces around", `  {}   `, 0},
		{"metadata", `{"__metadata__":{"format":"pt"}}`, 0},
		{"no metadata by null", `{"__metadata__":null}`, 0},
		{"scalar", `{"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4},
		{"empty tensors", `{"x":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},"y":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"z":{"dtype":"I8","shape":[0],"data_offsets":[2,2]}}`, 2},
		{"misaligned", `{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"y":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}`, 5},
		{"any order", `{"y":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2},
		{"unknown fields", `{"x":{"dtype":"U8","new":{"a":[1,{}]},"shape":[1],"data_offsets":[0,1]}}`, 1},
		{"four bits", `{"x":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}`, 2},
		{"six bits", `{"x":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}}`, 3},
		{"empty and huge", `{"x":{"dtype":"F32","shape":[0,9223372036854775807],"data_offsets":[0,0]}}`, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse(file(tt.header, make([]byte, tt.size)...)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Every type that the format knows is read by name.
func TestDTypes(t *testing.T) {
	for d := tensor.F64; d <= tensor.F4; d++ {
		size := 8 * d.Bits() / 8
		f, err := Parse(file(fmt.Sprintf(`{"x":{"dtype":"%v","shape":[8],"data_offsets":[0,%d]}}`, d, size), make([]byte, size)...))
		if err != nil {
			t.Errorf("%v: %v", d, err)
			continue
		}
		if v, _ := f.View("x"); v.DType != d {
			t.Errorf("%v read as %v", d, v.DType)
		}
	}
}

func TestRefuses(t *testing.T) {
	one := func(fields string) string { return `{"x":{` + fields + `}}` }
	length := func(n uint64, rest ...byte) []byte { return append(binary.LittleEndian.AppendUint64(nil, n), rest...) }
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"no bytes", nil, "0 bytes"},
		{"seven bytes", make([]byte, 7), "7 bytes"},
		{"header too large", length(100_000_001, '{'), "want at most 100000000"},
		{"header of 2^64-1", length(1<<64 - 1), "want at most"},
		{"header beyond the file", length(3, '{', '}'), "truncated"},
		{"no header", length(0), "text ends"},
		{"no JSON", file(`hello`), "want an object"},
		{"an array", file(`[]`), "want an object"},
		{"cut JSON", file(`{"x":`), "text ends"},
		{"bytes after JSON", file(`{} x`), "want the end"},
		{"no UTF-8", file("{\"\xff\":{}}"), "UTF-8"},
		{"unknown dtype", file(one(`"dtype":"F31","shape":[1],"data_offsets":[0,4]`), 0, 0, 0, 0), `unknown dtype "F31"`},
		{"lower-case dtype", file(one(`"dtype":"f32","shape":[1],"data_offsets":[0,4]`), 0, 0, 0, 0), "unknown dtype"},
		{"dtype invalid", file(one(`"dtype":"invalid","shape":[1],"data_offsets":[0,0]`)), "unknown dtype"},
		{"no dtype", file(one(`"shape":[1],"data_offsets":[0,4]`), 0, 0, 0, 0), "want dtype"},
		{"no shape", file(one(`"dtype":"F32","data_offsets":[0,4]`), 0, 0, 0, 0), "want dtype"},
		{"no offsets", file(one(`"dtype":"F32","shape":[1]`), 0, 0, 0, 0), "want dtype"},
		{"one offset", file(one(`"dtype":"F32","shape":[1],"data_offsets":[0]`), 0, 0, 0, 0), "want dtype"},
		{"three offsets", file(one(`"dtype":"F32","shape":[1],"data_offsets":[0,4,4]`), 0, 0, 0, 0), "more than 2"},
		{"negative offset", file(one(`"dtype":"F32","shape":[1],"data_offsets":[-4,0]`), 0, 0, 0, 0), "-4 is not a whole number"},
		{"negative side", file(one(`"dtype":"F32","shape":[-1],"data_offsets":[0,4]`), 0, 0, 0, 0), "-1 is not a whole number"},
		{"fractional side", file(one(`"dtype":"F32","shape":[1.0],"data_offsets":[0,4]`), 0, 0, 0, 0), "1.0 is not a whole number"},
		{"side as text", file(one(`"dtype":"F32","shape":["1"],"data_offsets":[0,4]`), 0, 0, 0, 0), "want a number"},
		{"side of 2^64", file(one(`"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]`), 0, 0, 0, 0), "not a whole number"},
		{"side of 2^63", file(one(`"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]`), 0, 0, 0, 0), "want at most"},
		{"rank 65", file(one(`"dtype":"U8","shape":[`+strings.Repeat("1,", 64)+`1],"data_offsets":[0,1]`), 0), "more than 64"},
		{"product overflows", file(one(`"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,4]`), 0, 0, 0, 0), "overflows"},
		{"size overflows", file(one(`"dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,4]`), 0, 0, 0, 0), "overflows"},
		{"half a byte", file(one(`"dtype":"F4","shape":[3],"data_offsets":[0,2]`), 0, 0), "12 bits"},
		{"metadata number", file(`{"__metadata__":{"a":1}}`), "__metadata__"},
		{"metadata list", file(`{"__metadata__":[]}`), "__metadata__"},
		{"entry no object", file(`{"x":1}`), "want an object"},
		{"first not at 0", file(one(`"dtype":"U8","shape":[1],"data_offsets":[1,2]`), 0, 0), "want a begin of 0"},
		{"gap", file(`{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"y":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, 0, 0, 0), "want a begin of 1"},
		{"overlap", file(`{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 0, 0, 0), "want a begin of 2"},
		{"the same bytes twice", file(`{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 0, 0), "want a begin of 2"},
		{"ends before it begins", file(one(`"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551615]`), 0), "needs 1"},
		{"backwards", file(`{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[1],"data_offsets":[2,1]}}`, 0, 0), "follow one another"},
		{"too many bytes for the shape", file(one(`"dtype":"F32","shape":[1],"data_offsets":[0,5]`), 0, 0, 0, 0, 0), "hold 5 bytes"},
		{"too few bytes for the shape", file(one(`"dtype":"F32","shape":[2],"data_offsets":[0,4]`), 0, 0, 0, 0), "needs 8"},
		{"bytes after the last tensor", file(one(`"dtype":"U8","shape":[1],"data_offsets":[0,1]`), 0, 0), "end at byte 1 of the data, which has 2"},
		{"truncated data", file(one(`"dtype":"U8","shape":[2],"data_offsets":[0,2]`), 0), "end at byte 2 of the data, which has 1"},
		{"a name twice", file(`{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`), "repeated"},
		{"a field twice", file(one(`"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]`), 0), "repeated"},
		{"a key of metadata twice", file(`{"__metadata__":{"a":"","a":""}}`), "repeated"},
		{"a key of an unknown field twice", file(one(`"dtype":"U8","new":{"a":0,"a":0},"shape":[1],"data_offsets":[0,1]`), 0), "repeated"},
		{"a long name", file(`{"` + strings.Repeat("x", 4097) + `":{}}`), "4097 bytes"},
		{"deep nesting", file(`{"x":{"new":` + strings.Repeat("[", 100)), "nested deeper"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse(tt.data)
			if err == nil {
				t.Fatalf("accepted, with %q", f.Names())
			}
			if !strings.HasPrefix(err.Error(), "safetensors: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want it to say %q", err, tt.want)
			}
			if len(err.Error()) > 6000 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestTooManyTensors(t *testing.T) {
	var header strings.Builder
	header.WriteByte('{')
	for i := range maxTensors + 1 {
		fmt.Fprintf(&header, `"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},`, i)
	}
	header.WriteString(`"x":0}`)
	if _, err := Parse(file(header.String())); err == nil || !strings.Contains(err.Error(), "more than 1000000 tensors") {
		t.Errorf("error %v", err)
	}
}

func TestOpenNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cut.safetensors")
	if err := os.WriteFile(path, file(specHeader, 1, 2, 3), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, filepath.Join(dir, "none.safetensors"), dir} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Open(%q): %v", path, err)
		}
	}
}

// Files that the reference wrote: every recording of a stage is F32 and is covered.
func TestGolden(t *testing.T) {
	dir, ok := golden.Shared(t, "model") // all of them
	if !ok {
		dir = filepath.Join("..", "testdata", "golden") // those that are committed
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.safetensors"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	for _, path := range paths {
		f, err := Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, name := range f.Names() {
			if v, _ := f.View(name); len(v.Data) != v.Len()*v.DType.Bits()/8 {
				t.Errorf("%s: %q: %v %v in %d bytes", path, name, v.DType, v.Shape, len(v.Data))
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// No bytes panic, and what is accepted is consistent and can be written again.
func FuzzSafetensors(f *testing.F) {
	f.Add(file(specHeader, make([]byte, 22)...))
	f.Add(file(`{}`))
	f.Add(file(`{"__metadata__":{"format":"pt"},"x":{"dtype":"BF16","shape":[2,0],"data_offsets":[0,0]}}`))
	f.Add(file(`{"x":{"dtype":"F4","shape":[4],"data_offsets":[0,2]},"y":{"dtype":"F32","shape":[],"data_offsets":[2,6]}}`, make([]byte, 6)...))
	f.Add(file(`{"x":{"dtype":"U8","shape":[18446744073709551615,2],"data_offsets":[0,1]}}`, 0))
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		total := 0
		for _, name := range file.Names() {
			v, ok := file.View(name)
			if !ok || v.Len()*v.DType.Bits() != 8*len(v.Data) {
				t.Fatalf("%q: %v %v in %d bytes", name, v.DType, v.Shape, len(v.Data))
			}
			total += len(v.Data)
		}
		if total > len(data) {
			t.Fatalf("views of %d bytes in a file of %d", total, len(data))
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	var entries []Entry
	for i := range 763 { // as many as the released model has
		entries = append(entries, Entry{fmt.Sprintf("model.text_model.layers.%d.mlp.gate_proj.weight", i), tensor.BF16, []int{16, 16}})
	}
	path := filepath.Join(b.TempDir(), "x.safetensors")
	w, err := Create(path, entries, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		if err := w.Write(e.Name, make([]byte, 512)); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
