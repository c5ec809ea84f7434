package imatrix

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"idefics2/gguf"
	"idefics2/tensor"
)

// file is one with the tensors that the arguments say, as name and values in turns.
func file(t testing.TB, typ string, tensors ...any) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.gguf")
	var entries []gguf.Entry
	for i := 0; i < len(tensors); i += 2 {
		entries = append(entries, gguf.Entry{Name: tensors[i].(string), Type: gguf.F32, Shape: []int{len(tensors[i+1].([]float32))}})
	}
	w, err := gguf.Create(path, []gguf.Pair{{Key: typeKey, Value: gguf.Of(typ)}}, entries)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(tensors); i += 2 {
		var data []byte
		for _, v := range tensors[i+1].([]float32) {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		if err := w.Write(tensors[i].(string), data); err != nil {
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

func TestWriteAndRead(t *testing.T) {
	var s Sums
	s.Add(tensor.MatOf([]float32{1, 2, 3, 4}, 2))
	s.Add(tensor.MatOf([]float32{0, 1}, 2))
	f := &File{Matrices: map[string]*Sums{"blk.0.attn_q.weight": &s}, Datasets: []string{"a.jsonl"}, Chunks: 3}
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := f.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Open(path)
	if err != nil || !reflect.DeepEqual(got, f) {
		t.Fatalf("%+v, %v, want %+v", got, err, f)
	}
	mean, err := got.Importance("blk.0.attn_q.weight", 2)
	if err != nil || !reflect.DeepEqual(mean, []float32{10.0 / 3, 7}) {
		t.Errorf("%v, %v", mean, err)
	}
	if mean, err := got.Importance("output.weight", 2); mean != nil || err != nil {
		t.Errorf("of what is not there: %v, %v", mean, err)
	}
	if _, err := got.Importance("blk.0.attn_q.weight", 3); err == nil || !strings.Contains(err.Error(), "another model's") {
		t.Errorf("of another width: %v", err)
	}
	s.Squares[1] = math.Inf(1)
	if err := f.Write(path); err == nil || !strings.Contains(err.Error(), "column 1") {
		t.Errorf("a sum that is not finite: %v", err)
	}
	if again, err := Open(path); err != nil || again.Chunks != 3 {
		t.Errorf("what was there is gone: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	one := []float32{1}
	for want, data := range map[string][]byte{
		"GGUF":                   []byte("no file at all"),
		`found "model"`:          file(t, "model"),
		"no sums":                file(t, typeValue),
		`want names that end in`: file(t, typeValue, "x.weight", one),
		`no tensor "x.counts"`:   file(t, typeValue, "x.in_sum2", one),
		`no "x.in_sum2"`:         file(t, typeValue, "x.counts", one),
		"several experts":        file(t, typeValue, "x.in_sum2", one, "x.counts", []float32{1, 1}),
		"whole number":           file(t, typeValue, "x.in_sum2", one, "x.counts", []float32{0.5}),
		"at least 1":             file(t, typeValue, "x.in_sum2", one, "x.counts", []float32{0}),
		"found NaN":              file(t, typeValue, "x.in_sum2", one, "x.counts", []float32{float32(math.NaN())}),
		"column 1 is -2":         file(t, typeValue, "x.in_sum2", []float32{1, -2}, "x.counts", one),
		"column 0 is +Inf":       file(t, typeValue, "x.in_sum2", []float32{float32(math.Inf(1))}, "x.counts", one),
		"want F32 of one row":    file(t, typeValue, "x.in_sum2", []float32{}, "x.counts", one),
	} {
		if _, err := Parse(data); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "imatrix: ") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	old := filepath.Join(t.TempDir(), "imatrix.dat")
	if err := os.WriteFile(old, []byte{1, 0, 0, 0, 5, 0, 0, 0}, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(old); err == nil || !strings.Contains(err.Error(), "--output-format gguf") {
		t.Errorf("the older format: %v", err)
	}
}

// No bytes panic, and what is accepted can be used, and written.
func FuzzImatrix(f *testing.F) {
	f.Add(file(f, typeValue, "x.in_sum2", []float32{1, 2}, "x.counts", []float32{3}))
	f.Add(file(f, typeValue, "x.in_sum2", []float32{1}, "x.counts", []float32{3}, "y.counts", []float32{1}))
	f.Add(file(f, typeValue))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		for name, s := range m.Matrices {
			mean, err := m.Importance(name, len(s.Squares))
			if err != nil || len(mean) == 0 || 8*len(mean) > 2*len(data) {
				t.Fatalf("%q: %d columns of %d bytes, %v", name, len(mean), len(data), err)
			}
			for j, v := range mean {
				if !(v >= 0) || math.IsInf(float64(v), 0) {
					t.Fatalf("%q: column %d is %v", name, j, v)
				}
			}
		}
	})
}
