package idefics2

import (
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"idefics2/checkpoint"
	"idefics2/convert"
	"idefics2/imatrix"
	"idefics2/quant"
	"idefics2/tensor"
)

// The importance of a model's columns has all its matrices, the same sums on any number of threads,
// and makes a file of less weighted error.
func TestImportance(t *testing.T) {
	requests, err := DivergencePrompts()
	if err != nil {
		t.Fatal(err)
	}
	requests = requests[:3]
	yield := func(f func(Request, error) bool) {
		for _, r := range requests {
			if !f(r, nil) {
				return
			}
		}
	}
	dir := filepath.Join("testdata", "golden", "tiny", "checkpoint")
	var first *imatrix.File
	for _, threads := range []int{1, 3} {
		m, err := Open(t.Context(), dir, Options{Threads: threads, DType: "f32"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Importance(t.Context(), yield, nil)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := m.Importance(t.Context(), yield, nil); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("a second time: other sums, %v", err)
		}
		m.Close()
		if first == nil {
			first = got
		} else if !reflect.DeepEqual(got, first) {
			t.Errorf("%d threads: other sums", threads)
		}
	}
	c, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, tensor := range c.Config.Tensors() {
		_, length := c.Rows(tensor.Name)
		if part := convert.PartOf(tensor.Name); !tensor.Matrix() || part == "embeddings" || part == "" {
			continue
		}
		switch w, err := first.Importance(checkpoint.GGUFName(tensor.Name), length); {
		case err != nil:
			t.Error(err)
		case w == nil && slices.Contains([]string{"vision", "projection", "resampler", "text", "output"}, convert.PartOf(tensor.Name)) && !isTable(tensor.Name):
			t.Errorf("%s: nothing", tensor.Name)
		}
	}

	path := filepath.Join(t.TempDir(), "imatrix.gguf")
	if err := first.Write(path); err != nil {
		t.Fatal(err)
	}
	read, err := imatrix.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	const name = "lm_head.weight"
	v, _ := c.View(name)
	exact := v.Floats()
	_, in := c.Rows(name)
	w, _ := read.Importance(checkpoint.GGUFName(name), in)
	var errors []float64
	for _, importance := range []*imatrix.File{nil, read} {
		file := filepath.Join(t.TempDir(), "a.gguf")
		if err := convert.GGUF(t.Context(), file, c, convert.Options{Type: convert.Matrices(quant.Q4_0), Importance: importance}); err != nil {
			t.Fatal(err)
		}
		q, err := checkpoint.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		if q.DTypeOf(name) != tensor.Q4_0 {
			t.Fatalf("%s is %v", name, q.DTypeOf(name))
		}
		got := make([]float32, len(exact))
		q.DecodeRows(name, got, 0, len(exact)/in)
		errors = append(errors, quant.WeightedSquares(exact, got, w))
	}
	t.Logf("weighted error %.3g, %.3g without: %.3f", errors[1], errors[0], errors[1]/errors[0])
	if !(errors[1] < 0.9*errors[0]) {
		t.Errorf("weighted error %g, %g without", errors[1], errors[0])
	}
}

// isTable reports what is looked up, or is where a computation starts.
func isTable(name string) bool {
	switch filepath.Ext(name) {
	case ".latents":
		return true
	}
	return name == "model.vision_model.embeddings.position_embedding.weight"
}
