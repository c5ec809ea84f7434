package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"idefics2/quant"
)

// The file of spec/checkpoint.md §8.1, as the gguf package 0.19 writes it.
var specPairs = []Pair{
	{"general.architecture", Of("llama")}, {"llama.block_count", Of(uint32(1))}, {"llama.rope.freq_base", Of(float32(1e4))},
	{"b", Of(true)}, {"arr", ArrayOf("a", "bc")}, {"s", Of("é")},
}

var specEntries = []Entry{{"t1", F32, []int{2, 3}}, {"q", Q8_0, []int{2, 32}}, {"h", F16, []int{5}}}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSpecFile(t *testing.T) {
	data := readFile(t, "spec.gguf")
	if len(data) != 512 {
		t.Fatalf("%d bytes", len(data))
	}
	f, err := Open(filepath.Join("testdata", "spec.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Version() != 3 || f.Alignment() != 32 || len(f.Keys()) != 6 || !slices.Equal(f.Names(), []string{"t1", "q", "h"}) {
		t.Errorf("version %d, alignment %d, keys %q, names %q", f.Version(), f.Alignment(), f.Keys(), f.Names())
	}
	for _, p := range specPairs {
		v, ok := f.Value(p.Key)
		if !ok || v.Kind() != p.Value.Kind() || v.String() != p.Value.String() {
			t.Errorf("%s: %v %v, want %v %v", p.Key, v.Kind(), v, p.Value.Kind(), p.Value)
		}
	}
	for i, e := range specEntries {
		info, ok := f.Tensor(e.Name)
		if !ok || info.Type != e.Type || !slices.Equal(info.Shape, e.Shape) {
			t.Errorf("%v, want %v", info, e)
		}
		typ, ok := info.Type.Quant()
		if !ok {
			t.Fatalf("%v cannot be decoded", info.Type)
		}
		got := make([]float32, info.Len())
		typ.Decode(got, info.Data)
		for j, v := range got {
			want := float32(j)
			if i > 0 {
				want = 1
			}
			if math.Abs(float64(v-want)) > 1e-4 { // Q8_0 holds 127 times a rounded 1/127
				t.Errorf("%s[%d] = %v, want %v", e.Name, j, v, want)
			}
		}
	}
}

// What is read and written again is the same file, byte for byte.
func TestRoundTrip(t *testing.T) {
	for _, name := range []string{"spec.gguf", "blocks.gguf"} {
		t.Run(name, func(t *testing.T) {
			data := readFile(t, name)
			f, err := Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			if got := rewritten(t, f); !bytes.Equal(got, data) {
				t.Error("the file written again differs")
			}
		})
	}
}

// rewritten writes everything in f to a new file and returns its bytes.
func rewritten(t testing.TB, f *File) []byte {
	t.Helper()
	var pairs []Pair
	for _, key := range f.Keys() {
		v, _ := f.Value(key)
		pairs = append(pairs, Pair{key, v})
	}
	var entries []Entry
	for _, name := range f.Names() {
		info, _ := f.Tensor(name)
		entries = append(entries, Entry{name, info.Type, info.Shape})
	}
	path := filepath.Join(t.TempDir(), "x.gguf")
	w, err := Create(path, pairs, entries)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, name := range f.Names() {
		info, _ := f.Tensor(name)
		if err := w.Write(name, info.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWriterSpecBytes(t *testing.T) {
	want := readFile(t, "spec.gguf")
	path := filepath.Join(t.TempDir(), "spec.gguf")
	w, err := Create(path, specPairs, specEntries)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i, e := range specEntries {
		typ, _ := e.Type.Quant()
		x := make([]float32, (Info{Shape: e.Shape}).Len())
		for j := range x {
			if x[j] = 1; i == 0 {
				x[j] = float32(j)
			}
		}
		size, _ := typ.Size(len(x))
		data := make([]byte, size)
		if err := typ.Encode(data, x); err != nil {
			t.Fatal(err)
		}
		if err := w.Write(e.Name, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v; got\n% x, want\n% x", err, got, want)
	}
}

// The recorded file has a tensor of every type that the gguf package knows or decodes.
func TestRecordedFile(t *testing.T) {
	f, err := Parse(readFile(t, "blocks.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.Names()); n != 15 {
		t.Errorf("%d tensors, want 15", n)
	}
	for _, name := range f.Names() {
		info, _ := f.Tensor(name)
		if got := strings.ToLower(info.Type.String()); got != name {
			t.Errorf("%s is of type %s", name, got)
		}
	}
	checks := []struct {
		key  string
		read func(string) (any, error)
		want string
	}{
		{"general.name", func(k string) (any, error) { return f.Text(k) }, "blocks"},
		{"llama.context_length", func(k string) (any, error) { return f.Int(k) }, "4096"},
		{"llama.attention.layer_norm_rms_epsilon", func(k string) (any, error) { return f.Float(k) }, "9.999999747378752e-06"},
		{"tokenizer.ggml.tokens", func(k string) (any, error) { return f.Texts(k) }, "[<unk> <s> </s> ▁a é]"},
		{"tokenizer.ggml.scores", func(k string) (any, error) { return f.Floats(k) }, "[0 0 0 -1 -2.5]"},
		{"tokenizer.ggml.token_type", func(k string) (any, error) { return f.Ints(k) }, "[2 3 3 1 1]"},
		{"test.flag", func(k string) (any, error) { return f.Bool(k) }, "true"},
		{"test.negative", func(k string) (any, error) { return f.Int(k) }, "-1099511627776"},
		{"test.double", func(k string) (any, error) { return f.Float(k) }, "0.1"},
	}
	for _, c := range checks {
		v, err := c.read(c.key)
		if got := fmt.Sprint(v); err != nil || got != c.want {
			t.Errorf("%s = %v, %v; want %s", c.key, got, err, c.want)
		}
	}
	if _, err := f.Int("general.name"); err == nil || !strings.Contains(err.Error(), `"general.name": found string blocks, want a whole number`) {
		t.Error(err)
	}
	if _, err := f.Texts("no.such"); err == nil || !strings.Contains(err.Error(), "no.such") {
		t.Error(err)
	}
}

// The types that quant encodes are those of the files, block for block.
func TestTypes(t *testing.T) {
	for _, q := range quant.Types() {
		typ := TypeOf(q)
		info, ok := types[typ]
		if back, known := typ.Quant(); !ok || !known || back != q || info.values != q.Block() || info.bytes != q.Bytes() || strings.ToLower(info.name) != q.String() {
			t.Errorf("%v is %+v in files", q, info)
		}
	}
	if s := Type(4711).String(); s != "Type(4711)" {
		t.Error(s)
	}
	if _, ok := Type(3).Quant(); ok {
		t.Error("Q4_1 is not decoded here")
	}
}

// Every kind keeps its value, and getters do not mistake one for another.
func TestValues(t *testing.T) {
	tests := []struct {
		v    Value
		kind Kind
		text string
	}{
		{Of(uint8(200)), Uint8, "200"}, {Of(int8(-100)), Int8, "-100"}, {Of(uint16(60000)), Uint16, "60000"},
		{Of(int16(-30000)), Int16, "-30000"}, {Of(uint32(4e9)), Uint32, "4000000000"}, {Of(int32(-2e9)), Int32, "-2000000000"},
		{Of(float32(0.5)), Float32, "0.5"}, {Of(true), Bool, "true"}, {Of(false), Bool, "false"}, {Of("x"), String, "x"},
		{Of(""), String, ""}, {Of(uint64(math.MaxUint64)), Uint64, "18446744073709551615"}, {Of(int64(-1 << 62)), Int64, "-4611686018427387904"},
		{Of(0.1), Float64, "0.1"}, {ArrayOf(int8(-1), 2), Array, "2 × i8"}, {ArrayOf[string](), Array, "0 × string"}, {Value{}, Uint8, "none"},
	}
	for _, tt := range tests {
		if tt.v.Kind() != tt.kind || tt.v.String() != tt.text {
			t.Errorf("%v %q, want %v %q", tt.v.Kind(), tt.v, tt.kind, tt.text)
		}
		oks := 0
		for _, ok := range []bool{second(tt.v.Int()), second(tt.v.Float()), second(tt.v.Bool()), second(tt.v.Text()), second(tt.v.Texts()), second(tt.v.Ints()), second(tt.v.Floats())} {
			if ok {
				oks++
			}
		}
		want := 1
		if tt.text == "none" || tt.text == "18446744073709551615" { // no value, and one that no int holds
			want = 0
		}
		if oks != want {
			t.Errorf("%v %v has %d readings, want %d", tt.kind, tt.v, oks, want)
		}
	}
	if got, ok := ArrayOf(uint64(1), math.MaxUint64).Ints(); ok {
		t.Errorf("%v holds what no int does", got)
	}
}

func second[T any](_ T, ok bool) bool { return ok }

// builder writes files by hand, right ones and wrong ones.
type builder struct{ data []byte }

func (b *builder) u32(v uint32) *builder {
	b.data = binary.LittleEndian.AppendUint32(b.data, v)
	return b
}
func (b *builder) u64(v uint64) *builder {
	b.data = binary.LittleEndian.AppendUint64(b.data, v)
	return b
}
func (b *builder) str(s string) *builder {
	b.data = appendString(b.data, s)
	return b
}
func (b *builder) raw(p ...byte) *builder {
	b.data = append(b.data, p...)
	return b
}
func (b *builder) pad() *builder {
	for len(b.data)%32 != 0 {
		b.data = append(b.data, 0)
	}
	return b
}

// head begins a file of that many tensors and pairs.
func head(version uint32, tensors, pairs uint64) *builder {
	return (&builder{[]byte("GGUF")}).u32(version).u64(tensors).u64(pairs)
}

// info adds a tensor with its dimensions in the file's order.
func (b *builder) info(name string, typ Type, offset uint64, dims ...uint64) *builder {
	b.str(name).u32(uint32(len(dims)))
	for _, d := range dims {
		b.u64(d)
	}
	return b.u32(uint32(typ)).u64(offset)
}

func TestAccepted(t *testing.T) {
	tests := []struct {
		name string
		b    *builder
	}{
		{"nothing", head(3, 0, 0)},
		{"version 2", head(2, 0, 0)},
		{"other alignment", head(3, 1, 1).str(alignmentKey).u32(uint32(Uint32)).u32(1).info("x", 24, 3, 2).raw(0, 0, 0, 1, 2)},
		{"no padding at the end", head(3, 1, 0).info("x", 24, 0, 2).pad().raw(1, 2)},
		{"a gap, and not in order", head(3, 2, 0).info("b", 24, 64, 1).info("a", 24, 0, 1).pad().raw(make([]byte, 65)...)},
		{"empty tensors in one place", head(3, 3, 0).info("a", F32, 0, 0).info("b", F32, 0, 0, 7).info("c", F32, 0, 1).pad().raw(make([]byte, 4)...)},
		{"scalar", head(3, 1, 0).info("a", F32, 0).pad().raw(make([]byte, 4)...)},
		{"array of arrays", head(3, 0, 1).str("k").u32(uint32(Array)).u32(uint32(Array)).u64(2).u32(uint32(Uint8)).u64(1).raw(1).u32(uint32(String)).u64(0)},
		{"name of 64 bytes", head(3, 1, 0).info(strings.Repeat("n", 64), F32, 0, 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse(tt.b.data)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range f.Names() {
				if info, ok := f.Tensor(name); !ok || info.Type == F32 && len(info.Data) != 4*info.Len() {
					t.Errorf("%v in %d bytes", info, len(info.Data))
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	const huge = math.MaxUint64
	body := make([]byte, 256)
	pair := func(kind Kind) *builder { return head(3, 0, 1).str("k").u32(uint32(kind)) }
	tests := []struct {
		name string
		b    *builder
		want string
	}{
		{"empty", &builder{}, "truncated"},
		{"another file", (&builder{}).str("safetensors"), "no GGUF file"},
		{"version 1", head(1, 0, 0), "version 1, want 2 or 3"},
		{"version 4", head(4, 0, 0), "version 4"},
		{"big-endian", head(3<<24, 0, 0), "big-endian"},
		{"tensors beyond the file", head(3, 1<<40, 0), "tensor count 1099511627776"},
		{"pairs beyond the file", head(3, 0, huge), "metadata count"},
		{"one tensor too many", head(3, 2, 0).info("a", F32, 0, 0), "tensor count 2"},
		{"key beyond the file", head(3, 0, 1).u64(30000).raw(body...), "key of 30000 bytes"},
		{"huge key", head(3, 0, 1).u64(huge).raw(body...), "want at most"},
		{"key twice", head(3, 0, 2).str("k").u32(0).raw(1).str("k").u32(0).raw(1), `key "k" repeated`},
		{"key not UTF-8", head(3, 0, 1).str("\xff").u32(0).raw(1), "not UTF-8"},
		{"unknown kind", pair(13).raw(body...), "value type 13"},
		{"bool 2", pair(Bool).raw(2), "bool 2"},
		{"short number", pair(Float64).raw(1, 2, 3), "truncated"},
		{"string beyond the file", pair(String).u64(huge).raw(body...), "truncated"},
		{"string not UTF-8", pair(String).str("\xff\xfe"), "not UTF-8"},
		{"array beyond the file", pair(Array).u32(uint32(Uint32)).u64(65).raw(body...), "array length 65"},
		{"array of huge length", pair(Array).u32(uint32(Float64)).u64(1 << 61).raw(body...), "array length"},
		{"array of strings beyond", pair(Array).u32(uint32(String)).u64(33).raw(body...), "array length 33"},
		{"array of unknown", pair(Array).u32(99).u64(0), "element type 99"},
		{"array of a bool 7", pair(Array).u32(uint32(Bool)).u64(1).raw(7), "bool 7"},
		{"nested too deep", pair(Array).u32(9).u64(1).u32(9).u64(1).u32(0).u64(0).raw(body...), "nested deeper"},
		{"alignment of another kind", head(3, 0, 1).str(alignmentKey).u32(uint32(Uint64)).u64(32), "power of two"},
		{"alignment 0", head(3, 0, 1).str(alignmentKey).u32(uint32(Uint32)).u32(0), "power of two"},
		{"alignment 48", head(3, 0, 1).str(alignmentKey).u32(uint32(Uint32)).u32(48), "power of two"},
		{"five dimensions", head(3, 1, 0).info("x", F32, 0, 1, 1, 1, 1, 1).pad().raw(body...), "5 dimensions"},
		{"product overflows", head(3, 1, 0).info("x", F32, 0, 1<<32, 1<<32).pad().raw(body...), "overflows"},
		{"bytes overflow", head(3, 1, 0).info("x", 28, 0, 1<<62).pad().raw(body...), "overflows"},
		{"dimension beyond int", head(3, 1, 0).info("x", F32, 0, 1<<63).pad().raw(body...), "dimension 9223372036854775808"},
		{"unknown type", head(3, 1, 0).info("x", 4, 0, 1).pad().raw(body...), "tensor type 4 is unknown"},
		{"broken blocks", head(3, 1, 0).info("x", Q4_0, 0, 31).pad().raw(body...), "whole blocks of 32"},
		{"blocks over rows", head(3, 1, 0).info("x", Q8_0, 0, 16, 2).pad().raw(body...), "rows of 16"},
		{"misaligned", head(3, 1, 0).info("x", F32, 16, 1).pad().raw(body...), "offset 16, want a multiple of 32"},
		{"beyond the end", head(3, 1, 0).info("x", F32, 256, 1).pad().raw(body...), "bytes 256 to 260 of data of 256"},
		{"far beyond the end", head(3, 1, 0).info("x", F32, huge&^31, 1).pad().raw(body...), "beyond any file"},
		{"no data", head(3, 1, 0).info("x", F32, 0, 1), "data of 0"},
		{"overlap", head(3, 2, 0).info("x", F32, 0, 9).info("y", F32, 32, 1).pad().raw(body...), `"x" and "y" share bytes 32 to 36`},
		{"name twice", head(3, 2, 0).info("x", F32, 0, 1).info("x", F32, 32, 1).pad().raw(body...), "repeated"},
		{"long name", head(3, 1, 0).info(strings.Repeat("n", 65), F32, 0, 0), "at most 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.b.data)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "gguf: ") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// No beginning of a file is a file, and none panics.
func TestTruncated(t *testing.T) {
	data := readFile(t, "spec.gguf")
	for n := range 0x160 + 128 + 10 { // up to the end of the last tensor
		if _, err := Parse(data[:n]); err == nil {
			t.Fatalf("accepted the first %d bytes", n)
		}
	}
	if _, err := Parse(data[:0x160+128+10]); err != nil {
		t.Error(err)
	}
}

func TestOpenErrors(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "x.gguf")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "y.gguf")
	if err := os.WriteFile(path, []byte("GGUFabcd"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

func TestWriterRefuses(t *testing.T) {
	dir := t.TempDir()
	x := Entry{"x", F32, []int{1}}
	tests := []struct {
		name    string
		pairs   []Pair
		entries []Entry
		want    string
	}{
		{"key twice", []Pair{{"k", Of(true)}, {"k", Of(true)}}, nil, "twice"},
		{"no value", []Pair{{"k", Value{}}}, nil, "truncated"},
		{"text not UTF-8", []Pair{{"k", Of("\xff")}}, nil, "UTF-8"},
		{"key not UTF-8", []Pair{{"\xff", Of(true)}}, nil, "UTF-8"},
		{"alignment", []Pair{{alignmentKey, Of(uint32(3))}}, nil, "power of two"},
		{"name twice", nil, []Entry{x, x}, "twice"},
		{"long name", nil, []Entry{{strings.Repeat("n", 64), F32, nil}}, "at most 63"},
		{"five dimensions", nil, []Entry{{"x", F32, []int{1, 1, 1, 1, 1}}}, "dimensions"},
		{"broken blocks", nil, []Entry{{"x", Q4_K, []int{3, 128}}}, "whole blocks"},
		{"negative", nil, []Entry{{"x", F32, []int{-1}}}, "negative"},
		{"too large together", nil, []Entry{{"x", 24, []int{1 << 62}}, {"y", 24, []int{1 << 62}}}, "overflows"},
		{"unknown type", nil, []Entry{{"x", 4, nil}}, "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Create(filepath.Join(dir, "x.gguf"), tt.pairs, tt.entries)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

func TestWriterEnds(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.gguf")
	create := func() *Writer {
		w, err := Create(path, nil, []Entry{{"x", 24, []int{4}}, {"y", 24, []int{2}}})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	files := func() string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}

	w := create()
	for _, err := range []error{w.Write("z", nil), w.Write("x", []byte{1}), w.WriteAt("x", []byte{1, 2}, 3), w.WriteAt("x", nil, -1),
		w.Copy("y", strings.NewReader("abc")), w.Copy("y", iotest.ErrReader(errors.New("broken")))} {
		if err == nil {
			t.Error("a wrong write was taken")
		}
	}
	if err := w.Commit(); err == nil || !strings.Contains(err.Error(), "0 bytes written, want") {
		t.Error(err)
	}
	if files() != "" {
		t.Errorf("%s is left of a file that was not complete", files())
	}

	w = create()
	for _, err := range []error{w.WriteAt("x", []byte{3, 4}, 2), w.WriteAt("x", []byte{1, 2}, 0), w.Copy("y", strings.NewReader("ab")), w.Sync()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(files(), " ") || files() == "x.gguf" {
		t.Errorf("%s before Commit", files())
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Abort(), w.Abort()); err != nil || files() != "x.gguf" {
		t.Errorf("%v, %s after Commit", err, files())
	}
	if w.Commit() == nil || w.Write("y", []byte("ab")) == nil || w.Sync() == nil {
		t.Error("a committed writer was used again")
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if x, _ := f.Tensor("x"); !bytes.Equal(x.Data, []byte{1, 2, 3, 4}) {
		t.Errorf("% x", x.Data)
	}
	f.WillNeed()
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}

	w = create()
	if err := w.Abort(); err != nil || files() != "x.gguf" {
		t.Errorf("%v, %s after Abort", err, files())
	}
	if _, err := Create(filepath.Join(dir, "no", "x.gguf"), nil, nil); err == nil {
		t.Error("created in a folder that is not there")
	}
}
