package checkpoint

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"idefics2/quant"
	"idefics2/tensor"
)

// Quantization says how a checkpoint's matrices were quantized: the quantization_config of
// its config.json. The zero value is a checkpoint of plain floats. Which matrices it applies
// to is seen from the tensors that are there.
type Quantization struct {
	Method    string // "bitsandbytes", "awq", "gptq", or "" for none
	Bits      int    // 4, or 8 with bitsandbytes
	GroupSize int    // inputs that share a scale, of awq and gptq; −1 for all
	V2        bool   // gptq: zero points are stored unchanged
}

// The methods, as config.json names them.
const (
	bitsandbytes = "bitsandbytes"
	awq          = "awq"
	gptq         = "gptq"
)

// parseQuantization reads quantization_config. What it does not read says how to quantize,
// or which modules were left alone (spec/checkpoint.md §5 to §7).
func parseQuantization(o object) Quantization {
	q := Quantization{Method: o.string("quant_method", "")}
	switch q.Method {
	case bitsandbytes:
		four, eight := o.bool("load_in_4bit", false), o.bool("load_in_8bit", false)
		if four == eight {
			o.fail("load_in_4bit", "found %t, and load_in_8bit %t; want one of them true", four, eight)
		}
		q.Bits = 8
		if four {
			q.Bits = 4
			mustBe(o, "bnb_4bit_quant_type", "fp4", "nf4", "fp4")
			mustBe(o, "bnb_4bit_quant_storage", "uint8", "uint8")
		}
	case awq:
		q.Bits = o.int("bits", 4, 4, 4)
		q.GroupSize = o.int("group_size", 128, -1, maxWidth)
		mustBe(o, "version", "gemm", "gemm")
		mustBe(o, "backend", "autoawq", "autoawq")
		if !o.bool("zero_point", true) {
			o.fail("zero_point", "found false, want true")
		}
	case gptq:
		q.Bits = o.int("bits", 4, 4, 4)
		q.GroupSize = o.int("group_size", 128, -1, maxWidth)
		format := mustBe(o, "checkpoint_format", gptq, gptq, "gptq_v2")
		q.V2 = format == "gptq_v2"
	default:
		o.fail("quant_method", "found %.40q, want bitsandbytes, awq or gptq; use the model that this one was made from", q.Method)
	}
	return q
}

// mustBe reads a string that has to be one of known. The reference's default is def.
func mustBe(o object, key, def string, known ...string) string {
	found := strings.ToLower(o.string(key, def))
	for _, k := range known {
		if found == k {
			return found
		}
	}
	o.fail(key, "found %.40q, want %s: other layouts are not read", found, strings.Join(known, " or "))
	return def
}

// Matrix is a quantized matrix, whose rows are decoded when they are asked for.
type Matrix interface {
	Shape() (out, in int)
	DecodeRows(dst []float32, lo, hi int)
}

// format is how a method stores a matrix: under which endings after its module's name, and
// the one of them by which it is recognized.
type format struct {
	name     string
	mark     string
	endings  []string
	assemble func(quant.Parts) (Matrix, tensor.DType, error) // and the type that holds its values exactly
}

func (q Quantization) format() format {
	switch {
	case q.Method == bitsandbytes && q.Bits == 4:
		return format{"NF4", ".weight.quant_map", quant.NF4Endings(), func(p quant.Parts) (Matrix, tensor.DType, error) {
			m, err := quant.NF4FromParts(p)
			if err != nil {
				return nil, tensor.Invalid, err
			}
			return m, m.DType, nil
		}}
	case q.Method == bitsandbytes:
		return format{"INT8", ".SCB", quant.Int8Endings(), func(p quant.Parts) (Matrix, tensor.DType, error) {
			m, err := quant.Int8FromParts(p)
			return m, tensor.F32, err
		}}
	case q.Method == awq:
		return format{"AWQ", ".qweight", quant.AWQEndings(), func(p quant.Parts) (Matrix, tensor.DType, error) {
			m, err := quant.AWQFromParts(p, q.GroupSize)
			return m, tensor.F32, err
		}}
	}
	return format{"GPTQ", ".qweight", quant.GPTQEndings(), func(p quant.Parts) (Matrix, tensor.DType, error) {
		m, err := quant.GPTQFromParts(p, quant.GPTQOptions{GroupSize: q.GroupSize, V2: q.V2})
		return m, tensor.F32, err
	}}
}

// assemble puts the tensors of each quantized matrix under the name of its weight.
func (c *Checkpoint) assemble() error {
	q := c.Config.Quantization
	if q.Method == "" {
		return nil
	}
	f := q.format()
	for _, name := range c.Names() {
		module, ok := strings.CutSuffix(name, f.mark)
		if !ok {
			continue
		}
		whole := stored{file: c.tensors[name].file, name: c.tensors[name].name, format: f.name}
		m, dtype, err := f.assemble(func(ending string) (tensor.View, bool) {
			t, ok := c.tensors[module+"."+ending]
			return t.View, ok
		})
		if err != nil {
			return fmt.Errorf("%v: %w", whole, err)
		}
		if n, ok := m.(*quant.NF4); ok && n.FP4 {
			whole.format = "FP4"
		}
		for _, ending := range f.endings {
			whole.bytes += int64(len(c.tensors[module+"."+ending].Data))
			delete(c.tensors, module+"."+ending)
		}
		if plain, ok := c.tensors[module+".weight"]; ok {
			return fmt.Errorf("%v and %v are the same matrix", plain, whole)
		}
		out, in := m.Shape()
		whole.View, whole.matrix = tensor.View{DType: dtype, Shape: []int{out, in}}, m
		c.tensors[module+".weight"] = whole
	}
	return nil
}

// TakeMatrix is Take, but with KeepCodes a matrix of several tensors is returned as codes and scales, to
// be computed with: a *quant.NF4, *quant.Int8 or *quant.Grouped, whose numbers are mapped or as
// many as are stored. The View is then empty.
func (c *Checkpoint) TakeMatrix(name string, shape ...int) (tensor.View, Matrix, error) {
	t := c.tensors[name]
	if !c.KeepCodes || c.RowBlocks || t.matrix == nil || t.Data != nil {
		v, err := c.Take(name, shape...)
		return v, nil, err
	}
	m, err := regrouped(t.matrix)
	if err != nil {
		return tensor.View{}, nil, fmt.Errorf("checkpoint: %s: %v: %w", c.Path, t, err)
	}
	if m == nil { // no layout that kernels know
		v, err := c.Take(name, shape...)
		return v, nil, err
	}
	if _, err := c.take(name, shape); err != nil {
		return tensor.View{}, nil, err
	}
	return tensor.View{}, m, nil
}

// regrouped returns a matrix in the order in which kernels read it, or nil.
func regrouped(m Matrix) (Matrix, error) {
	var g *quant.Grouped
	var err error
	switch m := m.(type) {
	case *quant.AWQ:
		g, err = m.Regroup()
	case *quant.GPTQ:
		g, err = m.Regroup()
	default:
		return m, nil
	}
	if g == nil || err != nil {
		return nil, err
	}
	return g, nil
}

// decode returns a quantized matrix as a tensor of type dtype in new memory. Rows go
// through a buffer that fits a cache, so that no second copy of the matrix is ever held.
func decode(m Matrix, dtype tensor.DType) (tensor.View, error) {
	out, in := m.Shape()
	typ, _ := quant.OfDType(dtype)
	v := tensor.View{DType: dtype, Shape: []int{out, in}, Data: make([]byte, out*in*typ.Bytes())}
	const rows = 16 // at once: outputs that lie side by side in AWQ's and GPTQ's words
	tiles := (out + rows - 1) / rows
	var next atomic.Int64
	errs := make([]error, min(runtime.GOMAXPROCS(0), tiles))
	var wg sync.WaitGroup
	for worker := range errs {
		wg.Go(func() {
			buf := make([]float32, rows*in)
			for errs[worker] == nil {
				lo := int(next.Add(1)-1) * rows
				if lo >= out {
					return
				}
				hi := min(lo+rows, out)
				tile := buf[:(hi-lo)*in]
				m.DecodeRows(tile, lo, hi)
				errs[worker] = typ.Encode(v.Data[lo*in*typ.Bytes():hi*in*typ.Bytes()], tile)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return tensor.View{}, err
		}
	}
	return v, nil
}

// Rows returns how many rows a tensor has, along all sides but the last, and their length.
// It panics for a name that the model does not have.
func (c *Checkpoint) Rows(name string) (n, length int) { return rowsOf(c.must(name).Shape) }

// DecodeRows writes rows lo to hi of a tensor to dst, whatever it is stored in. Goroutines
// may call it at the same time. It takes nothing: see Take.
func (c *Checkpoint) DecodeRows(name string, dst []float32, lo, hi int) {
	t := c.must(name)
	if t.matrix != nil {
		t.matrix.DecodeRows(dst, lo, hi)
		return
	}
	typ, _ := quant.OfDType(t.DType)
	_, length := rowsOf(t.Shape)
	typ.Decode(dst, t.Data[lo*length*typ.Bytes():hi*length*typ.Bytes()])
}

func (c *Checkpoint) must(name string) stored {
	t, ok := c.tensors[name]
	if !ok {
		panic("checkpoint: no tensor " + name)
	}
	return t
}

// DTypeOf returns the type in which a tensor is stored: of a matrix of several tensors, the
// one that holds its values exactly.
func (c *Checkpoint) DTypeOf(name string) tensor.DType { return c.must(name).DType }

// Quantized reports whether any tensor is kept in fewer than sixteen bits a value.
func (c *Checkpoint) Quantized() bool {
	for _, t := range c.tensors {
		if t.matrix != nil || !t.DType.Float() {
			return true
		}
	}
	return false
}

// Paths returns the files that the tensors lie in, sorted.
func (c *Checkpoint) Paths() []string {
	dir := c.Path
	if _, one := c.source.(*oneFile); one {
		dir = filepath.Dir(dir)
	}
	set := map[string]bool{}
	for _, t := range c.tensors {
		set[filepath.Join(dir, t.file)] = true
	}
	return sortedKeys(set)
}

// Stored tells how a tensor is kept.
type Stored struct {
	Format string // "F32", "F16", "BF16", a type of blocks such as "Q4_K", "NF4", "FP4", "INT8", "AWQ" or "GPTQ"
	Shape  []int  // of its values
	Bytes  int64  // of all that is stored of it, scales included
}

// Stored returns how the tensor of that name is kept, and whether there is one.
func (c *Checkpoint) Stored(name string) (Stored, bool) {
	t, ok := c.tensors[name]
	if !ok {
		return Stored{}, false
	}
	if t.format != "" {
		return Stored{t.format, t.Shape, t.bytes}, true
	}
	return Stored{t.DType.String(), t.Shape, int64(len(t.Data))}, true
}
