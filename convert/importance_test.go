package convert

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idefics2/checkpoint"
	"idefics2/imatrix"
	"idefics2/quant"
)

// importanceOf makes an uneven importance of all matrices of the decoder.
func importanceOf(c *checkpoint.Checkpoint, seed uint64) *imatrix.File {
	r := rand.New(rand.NewPCG(seed, 3))
	f := &imatrix.File{Matrices: map[string]*imatrix.Sums{}, Chunks: 1}
	for _, t := range c.Config.Tensors() {
		if _, in := c.Rows(t.Name); t.Matrix() && PartOf(t.Name) == "text" {
			s := &imatrix.Sums{Count: 1, Squares: make([]float64, in)}
			for j := range s.Squares {
				s.Squares[j] = r.ExpFloat64() * r.ExpFloat64()
			}
			f.Matrices[checkpoint.GGUFName(t.Name)] = s
		}
	}
	return f
}

// What was begun with one importance does not go on with another, and the file is the same as one
// made without a stop, and says what it was made with.
func TestImportance(t *testing.T) {
	c := open(t, wide(t))
	dir := t.TempDir()
	path, whole := filepath.Join(dir, "a.gguf"), filepath.Join(dir, "b.gguf")
	var notes []string
	o := Options{Type: Quantized(quant.Q4_K, nil), Importance: importanceOf(c, 1), Note: func(line string) { notes = append(notes, line) }}
	if err := GGUF(t.Context(), whole, c, o); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(notes, "\n"); !strings.Contains(text, "says nothing of 1 matrices, which are stored without: lm_head.weight") {
		t.Errorf("notes: %s", text)
	}
	for _, importance := range []*imatrix.File{nil, importanceOf(c, 2)} {
		ctx, cancel := context.WithCancel(t.Context())
		o := Options{Type: o.Type, Importance: importance, Progress: func(done, total int64) {
			if done > total/2 {
				cancel()
			}
		}}
		if err := GGUF(ctx, path, c, o); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if err := GGUF(t.Context(), path, c, o); err != nil {
		t.Fatal(err)
	}
	a, errA := os.ReadFile(path)
	b, errB := os.ReadFile(whole)
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Errorf("other bytes than without a stop: %v, %v", errA, errB)
	}
	one := open(t, whole)
	for _, typ := range []quant.Type{quant.Q4_K} {
		const down = "model.text_model.layers.0.mlp.down_proj.weight"
		plain := filepath.Join(dir, "plain.gguf")
		if err := GGUF(t.Context(), plain, c, Options{Type: Quantized(typ, nil)}); err != nil {
			t.Fatal(err)
		}
		v, _ := c.View(down)
		n, in := c.Rows(down)
		importance, err := o.Importance.Importance(checkpoint.GGUFName(down), in)
		if err != nil {
			t.Fatal(err)
		}
		x, with, without := v.Floats(), make([]float32, n*in), make([]float32, n*in)
		one.DecodeRows(down, with, 0, n)
		open(t, plain).DecodeRows(down, without, 0, n)
		if a, b := quant.WeightedSquares(x, with, importance), quant.WeightedSquares(x, without, importance); !(a < 0.9*b) {
			t.Errorf("weighted error %g, %g without", a, b)
		}
	}
	for name, s := range o.Importance.Matrices {
		o.Importance.Matrices[name] = &imatrix.Sums{Count: 1, Squares: s.Squares[1:]}
	}
	o.Force = true
	if err := GGUF(t.Context(), path, c, o); err == nil || !strings.Contains(err.Error(), "another model's") {
		t.Errorf("of another model: %v", err)
	}
}

// budgets are the relative errors that types have on numbers of a normal distribution
// (docs/numerics.md); a matrix may have a quarter more.
var budgets = map[quant.Type]float64{quant.Q8_0: 0.0054, quant.Q6_K: 0.0178, quant.Q4_K: 0.0721, quant.Q4_0: 0.0862, quant.BF16: 0.0017, quant.F16: 0.00021}

// No matrix of a recorded checkpoint is further off than its type's budget.
func TestBudgets(t *testing.T) {
	folders, _ := filepath.Glob(goldens + "*/checkpoint")
	more, _ := filepath.Glob("../../shared/golden/model/*/checkpoint")
	seen := map[quant.Type]int{}
	worst := map[quant.Type]float64{}
	for _, folder := range append(folders, more...) {
		c := open(t, folder)
		for _, tensor := range c.Config.Tensors() {
			n, in := c.Rows(tensor.Name)
			if !tensor.Matrix() {
				continue
			}
			x := make([]float32, min(n, 256)*in)
			c.DecodeRows(tensor.Name, x, 0, min(n, 256))
			for typ, budget := range budgets {
				length := len(x) / typ.Block() * typ.Block()
				if in%typ.Block() != 0 && (typ.Block() < 256 || length == 0) {
					continue // K types see rows in a sequence: no recorded one has whole blocks
				}
				size, _ := typ.Size(length)
				data, y := make([]byte, size), make([]float32, length)
				if err := typ.Encode(data, x[:length]); err != nil {
					t.Fatal(err)
				}
				typ.Decode(y, data)
				var d quant.Deviation
				d.Add(x[:length], y)
				seen[typ]++
				worst[typ] = max(worst[typ], d.Relative()/budget)
				if d.Relative() > 1.25*budget {
					t.Errorf("%s: %s as %v: relative error %.4f, want at most %.4f", folder, tensor.Name, typ, d.Relative(), 1.25*budget)
				}
			}
		}
	}
	for typ := range budgets {
		t.Logf("%v: %d matrices, the worst at %.2f of its budget", typ, seen[typ], worst[typ])
		if seen[typ] == 0 {
			t.Errorf("%v: no matrix", typ)
		}
	}
}
