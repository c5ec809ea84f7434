// Package checkpoint opens model folders as transformers writes them, and GGUF files that
// hold all that such a folder does, and makes new folders: the configuration with the reference's defaults, the files beside it, and
// every tensor under its name, none missing, none left over.
//
// Sources: spec/checkpoint.md §2 and §3, spec/model.md §1, §12 and §14.
package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"idefics2/quant"
	"idefics2/tensor"
)

// Checkpoint is an open model: a folder, or a GGUF file. Its tensors are mapped, and valid until Close.
type Checkpoint struct {
	Folder

	// DecodeTo is the type in which Take returns quantized matrices: BF16 for half the
	// memory, rounded to nearest even. Invalid, the zero value, stands for the type that
	// holds their values exactly, mostly F32.
	DecodeTo tensor.DType
	// RowBlocks makes Take decode NF4 matrices with quant.NF4.PerRow: only to hold
	// recordings of a machine that did.
	RowBlocks bool
	// KeepBlocks makes Take return matrices of GGUF's blocks as they are mapped, for kernels
	// that compute with them. Without it they are decoded like other quantized matrices.
	KeepBlocks bool
	// KeepCodes makes TakeMatrix return matrices of bitsandbytes, AWQ and GPTQ as codes and scales,
	// for kernels likewise.
	KeepCodes bool

	mapped  []mapping
	tensors map[string]stored
	taken   map[string]bool
}

// stored is a tensor, under the file and the name that it was found at.
type stored struct {
	tensor.View
	file, name string

	matrix Matrix // how to decode a quantized matrix; nil for plain numbers
	// Of a quantized matrix of several tensors, whose View has no Data: what it is and takes.
	format string
	bytes  int64
}

// size returns the bytes that the tensor takes.
func (s stored) size() int64 { return int64(len(s.Data)) + s.bytes }

func (s stored) String() string { return fmt.Sprintf("%q in %s", s.name, s.file) }

// Open reads the model at path and maps its weights. Of a folder they are those of
// model.safetensors if it is there, else the shards of model.safetensors.index.json; a GGUF
// file, by its ending, is one that "idefics2 convert" made. Every tensor that the
// configuration needs must be there in its shape and as F32, F16 or BF16, or as blocks where
// a matrix may be, and no other: one error lists all that are not. The vocabulary is what the embedding
// table says, so that an enlarged one loads; Config.Text.VocabSize then holds it.
//
// Matrices may be quantized as Config.Quantization says: in 4 bits (nf4) or 8 by
// bitsandbytes, or in 4 by AWQ (gemm) or GPTQ. Their parts are checked here and decoded
// by Take.
func Open(path string) (*Checkpoint, error) {
	folder, err := ReadFolder(path)
	return openFolder(folder, err)
}

// OpenFS is Open of a model whose files lie at the root of fsys, with the weights in one
// model.safetensors, which is read into memory. The name stands for its path.
func OpenFS(name string, fsys fs.FS) (*Checkpoint, error) {
	folder, err := ReadFolderFS(name, fsys)
	return openFolder(folder, err)
}

func openFolder(folder *Folder, err error) (*Checkpoint, error) {
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Folder: *folder, tensors: map[string]stored{}, taken: map[string]bool{}}
	if err := c.open(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close removes the mappings. Views must not be used afterwards.
func (c *Checkpoint) Close() error {
	var errs []error
	for _, f := range c.mapped {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Has reports whether the model has a tensor of that name. It is false for the
// lm_head of a tied model that was saved without one.
func (c *Checkpoint) Has(name string) bool {
	_, ok := c.tensors[name]
	return ok
}

// Take returns the tensor of that name, in the type it is stored in, and notes that
// it was used. A side of -1 in shape stands for any. It is an error if the tensor is
// not there, has another shape, or was taken already. A quantized matrix is decoded into
// new memory, of the type that DecodeTo says, on all processors.
func (c *Checkpoint) Take(name string, shape ...int) (tensor.View, error) {
	t, err := c.take(name, shape)
	if err != nil {
		return tensor.View{}, err
	}
	if t.matrix == nil || t.Data != nil && c.KeepBlocks {
		return t.View, nil
	}
	if m, ok := t.matrix.(*quant.NF4); ok {
		m.PerRow = c.RowBlocks
	}
	dtype := t.DType
	if t.Data != nil { // blocks
		dtype = tensor.F32
	}
	if c.DecodeTo != tensor.Invalid {
		dtype = c.DecodeTo
	}
	v, err := decode(t.matrix, dtype)
	if err != nil {
		return v, fmt.Errorf("checkpoint: %s: %v: %w", c.Path, t, err)
	}
	return v, nil
}

// take notes that a tensor is used.
func (c *Checkpoint) take(name string, shape []int) (stored, error) {
	t, ok := c.tensors[name]
	switch {
	case !ok:
		return t, fmt.Errorf("checkpoint: %s: %q: no such tensor", c.Path, name)
	case !fits(t.Shape, shape):
		return t, fmt.Errorf("checkpoint: %s: %v: shape %v, want %s", c.Path, t, t.Shape, shapeText(shape))
	case c.taken[name]:
		return t, fmt.Errorf("checkpoint: %s: %v: taken twice", c.Path, t)
	}
	c.taken[name] = true
	return t, nil
}

// Finish checks that every tensor was taken, and lists those that were not.
func (c *Checkpoint) Finish() error {
	var left []string
	for _, name := range c.Names() {
		if !c.taken[name] {
			left = append(left, name)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("checkpoint: %s: %d tensors were not used: %s", c.Path, len(left), some(left))
	}
	return nil
}

// Names returns the names of all tensors, sorted.
func (c *Checkpoint) Names() []string { return sortedKeys(c.tensors) }

// View returns a tensor without taking it, and whether there is one. Of a quantized matrix
// of several tensors there is none: see Stored and Take.
func (c *Checkpoint) View(name string) (tensor.View, bool) {
	t, ok := c.tensors[name]
	if !ok || t.matrix != nil && t.Data == nil {
		return tensor.View{}, false
	}
	return t.View, true
}

// Bytes returns the size of all tensors as they are stored.
func (c *Checkpoint) Bytes() int64 {
	n := int64(0)
	for _, t := range c.tensors {
		n += t.size()
	}
	return n
}

// WillNeed tells the operating system that all weights will be read soon.
func (c *Checkpoint) WillNeed() {
	for _, f := range c.mapped {
		f.WillNeed()
	}
}

func (c *Checkpoint) open() error {
	w, err := c.source.weights(c.Config)
	c.mapped = w.mapped
	if err != nil {
		return err
	}
	if err := c.collect(w.tensors); err != nil {
		return fmt.Errorf("checkpoint: %s: %w", c.Path, err)
	}
	if t, ok := c.tensors[embedTokens]; ok && len(t.Shape) == 2 {
		c.Config.Text.VocabSize = t.Shape[0]
	}
	if err := c.check(); err != nil {
		return fmt.Errorf("checkpoint: %s: %w", c.Path, err)
	}
	if id, vocab := c.Config.ImageTokenID, c.Config.Text.VocabSize; id >= vocab {
		return fmt.Errorf("checkpoint: %s: config.json: image_token_id: found %d, want less than %d, the rows of %q", c.Path, id, vocab, embedTokens)
	}
	return nil
}

// collect gathers the tensors, and puts those together that are stored in parts.
func (c *Checkpoint) collect(tensors []namedTensor) error {
	for _, t := range tensors {
		if other, ok := c.tensors[t.key]; ok {
			return fmt.Errorf("%v and %v are the same tensor", other, t)
		}
		c.tensors[t.key] = t.stored
	}
	if err := c.mergeExtras(); err != nil {
		return err
	}
	return c.assemble()
}

// mergeExtras puts the trained extra rows of the authors' training format under
// their tables. It is the one place where weights are copied.
func (c *Checkpoint) mergeExtras() error {
	for _, name := range []string{embedTokens, lmHead} {
		rows, ok := c.tensors[name+extra]
		if !ok {
			continue
		}
		delete(c.tensors, name+extra)
		table, ok := c.tensors[name]
		if !ok {
			return fmt.Errorf("%v adds rows to %q, which is not there", rows, name)
		}
		if len(table.Shape) != 2 || !fits(rows.Shape, []int{-1, table.Shape[1]}) || rows.DType != table.DType {
			return fmt.Errorf("%v: %v %v, want rows like those of %v, %v %v", rows, rows.DType, rows.Shape, table, table.DType, table.Shape)
		}
		table.Shape = []int{table.Shape[0] + rows.Shape[0], table.Shape[1]}
		table.Data = slices.Concat(table.Data, rows.Data)
		c.tensors[name] = table
	}
	return nil
}

// check holds the tensors against the configuration, and reports all that is wrong at once.
func (c *Checkpoint) check() error {
	config := c.Config
	config.Tied = config.Tied && !c.Has(lmHead) // a head that is there is used
	needed := map[string]bool{}
	var missing, shapes, types, left []string
	for _, want := range config.Tensors() {
		needed[want.Name] = true
		t, ok := c.tensors[want.Name]
		switch {
		case !ok:
			missing = append(missing, want.Name)
		case !fits(t.Shape, want.Shape):
			shapes = append(shapes, fmt.Sprintf("%v: %v, want %v", t, t.Shape, want.Shape))
		case !t.DType.Float() && !(t.matrix != nil && want.Matrix()):
			types = append(types, fmt.Sprintf("%v: %v", t, t.DType))
		}
	}
	for _, name := range c.Names() {
		if !needed[name] {
			left = append(left, c.tensors[name].String())
		}
	}
	c.Config.Tied = config.Tied
	var problems []string
	for _, p := range []struct {
		what string
		list []string
	}{
		{"missing", missing},
		{"of another shape", shapes},
		{"not of type F32, F16 or BF16", types},
		{"not part of the model", left},
	} {
		if len(p.list) > 0 {
			problems = append(problems, fmt.Sprintf("%d %s: %s", len(p.list), p.what, some(p.list)))
		}
	}
	if problems == nil {
		return nil
	}
	if slices.Equal(missing, []string{lmHead}) {
		problems = append(problems, "a base model saved without its head cannot answer; use the whole model")
	}
	return fmt.Errorf("tensors do not fit config.json (is it another model's?): %s", strings.Join(problems, "; "))
}

// fits reports whether a shape is the wanted one, where -1 stands for any side.
func fits(shape, want []int) bool {
	return slices.EqualFunc(shape, want, func(d, w int) bool { return d == w || w == -1 })
}

func shapeText(shape []int) string {
	return strings.ReplaceAll(fmt.Sprint(shape), "-1", "any")
}
