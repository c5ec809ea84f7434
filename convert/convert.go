// Package convert writes a model in another form: as one GGUF file, in the types it has or in
// fewer bits, or as a folder of safetensors. It streams: a few megabytes are held, however
// large the model is. Work that was ended on the way goes on where it stopped.
//
// The layout of the file is in docs/adr/0010.
package convert

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"idefics2/checkpoint"
	"idefics2/gguf"
	"idefics2/imatrix"
	"idefics2/internal/sections"
	"idefics2/quant"
	"idefics2/tensor"
)

// Options are a caller's choices; the zero value works.
type Options struct {
	// Type chooses how a tensor is stored; nil is Keep. A type whose blocks do not fit the
	// rows is replaced by a wider one.
	Type    Choice
	Threads int  // zero for one a core. It changes no byte
	Force   bool // replace what is at the target

	// Progress is told of the bytes that are written, from one goroutine. It may be nil.
	Progress func(done, total int64)
	// Note is told what the caller might not expect, a line each. It may be nil.
	Note func(line string)

	// Values, if not nil, may write rows lo to hi of a tensor, by its name in the model, to dst in place of
	// the model's own, and reports whether it did. Goroutines may call it at the same time. What is
	// left of a conversion that was ended on the way is then not used. For Folder.
	Values func(name string, dst []float32, lo, hi int) bool

	// Importance, if not nil, says what columns of matrices count: blocks of types that search their
	// scales are made with it.
	Importance *imatrix.File

	extra []gguf.Pair // further metadata
}

// Choice is how a tensor is to be stored.
type Choice func(t checkpoint.Tensor, stored tensor.DType) quant.Type

// Keep stores tensors as they are; those of formats that are no types, in the one that holds
// their values exactly.
func Keep(_ checkpoint.Tensor, stored tensor.DType) quant.Type {
	if t, ok := quant.OfDType(stored); ok {
		return t
	}
	return quant.F32
}

// Matrices stores matrices, and the convolution of patches, as typ, and all else as it is:
// vectors and small tables are few numbers that much depends on. F32 stores everything so,
// because it loses nothing.
func Matrices(typ quant.Type) Choice {
	return func(t checkpoint.Tensor, stored tensor.DType) quant.Type {
		if typ == quant.F32 || t.Matrix() || typ.Block() == 1 && len(t.Shape) == 4 {
			return typ
		}
		return Keep(t, stored)
	}
}

// item is a tensor to write.
type item struct {
	checkpoint.Tensor
	name   string // in the target
	typ    quant.Type
	stored tensor.DType // in place of typ, where it is not Invalid
	rows   int
	length int   // of a row
	order  []int // row i of the target is row order[i] of the source; nil for the same
	size   int64

	importance []float32 // [length] of the columns, or nil
}

// items plans every tensor of the model, and tells of those that get another type than was
// chosen.
func items(from *checkpoint.Checkpoint, rename func(string) string, o *Options) []item {
	choose := o.Type
	if choose == nil {
		choose = Keep
	}
	type misfit struct {
		length     int
		asked, typ quant.Type
	}
	var misfits []misfit
	names := map[misfit][]string{}
	var list []item
	for _, t := range from.Config.Tensors() {
		n, length := from.Rows(t.Name)
		it := item{Tensor: t, name: rename(t.Name), rows: n, length: length}
		stored := from.DTypeOf(t.Name)
		asked := choose(t, stored)
		it.typ = fitting(asked, stored, length)
		if m := (misfit{length, asked, it.typ}); asked != it.typ {
			if names[m] == nil {
				misfits = append(misfits, m)
			}
			names[m] = append(names[m], t.Name)
		}
		row, _ := it.typ.Size(length)
		it.size = int64(row) * int64(n)
		list = append(list, it)
	}
	for _, m := range misfits {
		more := ""
		if n := len(names[m]); n > 1 {
			more = fmt.Sprintf(" and %d more", n-1)
		}
		o.note("rows of %d are not whole blocks of %v, %v instead: %s%s", m.length, m.asked, m.typ, names[m][0], more)
	}
	return list
}

// fitting returns the first type, from typ on to wider ones, whose blocks fill rows of that
// length: that of 16 bits which a tensor is stored in, if it is in one.
func fitting(typ quant.Type, stored tensor.DType, length int) quant.Type {
	for _, t := range []quant.Type{typ, quant.Q8_0} {
		if length%t.Block() == 0 {
			return t
		}
	}
	if stored == tensor.F16 {
		return quant.F16
	}
	return quant.BF16
}

func (o *Options) note(format string, args ...any) {
	if o.Note != nil {
		o.Note(fmt.Sprintf(format, args...))
	}
}

// chunkBytes is about how many float32 bytes are decoded and encoded at a time. After
// syncBytes written ones the disk is waited for, or the wait at the end would be long.
const (
	chunkBytes = 4 << 20
	syncBytes  = 1 << 30
)

// chunk is a run of rows on its way.
type chunk struct {
	*item
	lo, hi int
	data   chan encoded // of capacity one
}

type encoded struct {
	bytes []byte
	err   error
}

// write encodes what is not done, on all threads, and writes it in order: the sums want it so.
func write(ctx context.Context, to *sections.Resumed, from *checkpoint.Checkpoint, list []item, o Options) error {
	threads := o.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	var todo []*chunk
	for i := range list {
		if _, ok := to.Done(list[i].name); !ok {
			todo = append(todo, chunks(&list[i])...)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	work := make(chan *chunk)
	queue := make(chan *chunk, 2*threads) // bounds the memory
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	workers.Go(func() {
		defer close(work)
		defer close(queue)
		for _, c := range todo {
			for _, send := range []chan *chunk{queue, work} {
				select {
				case send <- c:
				case <-ctx.Done():
					return
				}
			}
		}
	})
	for range threads {
		workers.Go(func() {
			var values []float32
			for c := range work {
				values = slices.Grow(values[:0], (c.hi-c.lo)*c.length)[:(c.hi-c.lo)*c.length]
				data, err := c.encode(from, values, o.Values)
				c.data <- encoded{data, err}
			}
		})
	}
	return drain(ctx, to, queue, list, o)
}

// chunks cuts a tensor in runs of rows: of multiples of 16, which formats that pack rows
// together decode at once.
func chunks(it *item) (list []*chunk) {
	step := max(1, chunkBytes/4/max(1, it.length))
	if step > 16 {
		step -= step % 16
	}
	for lo := 0; lo < it.rows; lo += step {
		list = append(list, &chunk{it, lo, min(lo+step, it.rows), make(chan encoded, 1)})
	}
	return list
}

// encode returns the bytes of a chunk. What is stored in the type already is not touched.
func (c *chunk) encode(from *checkpoint.Checkpoint, values []float32, others func(string, []float32, int, int) bool) ([]byte, error) {
	row, _ := c.typ.Size(c.length)
	if others != nil && others(c.Name, values, c.lo, c.hi) {
		return c.blocks(values, row)
	}
	v, plain := from.View(c.Name)
	same := plain && v.DType == c.typ.DType()
	if same && c.order == nil {
		return v.Data[c.lo*row : c.hi*row], nil
	}
	out := make([]byte, (c.hi-c.lo)*row)
	if c.order == nil {
		from.DecodeRows(c.Name, values, c.lo, c.hi)
	}
	for i := c.lo; i < c.hi && c.order != nil; i++ {
		j, at := c.order[i], i-c.lo
		if same {
			copy(out[at*row:], v.Data[j*row:(j+1)*row])
		} else {
			from.DecodeRows(c.Name, values[at*c.length:(at+1)*c.length], j, j+1)
		}
	}
	if same {
		return out, nil
	}
	return c.blocks(values, row)
}

// blocks returns values in the chunk's type, whose rows have that many bytes.
func (c *chunk) blocks(values []float32, row int) (out []byte, err error) {
	out = make([]byte, (c.hi-c.lo)*row)
	if c.importance != nil {
		err = c.typ.EncodeWeighted(out, values, c.importance)
	} else {
		err = c.typ.Encode(out, values)
	}
	if err != nil {
		return nil, fmt.Errorf("%q, rows %d to %d: %w", c.Name, c.lo, c.hi, err)
	}
	return out, nil
}

// drain writes the chunks as they come.
func drain(ctx context.Context, to *sections.Resumed, queue <-chan *chunk, list []item, o Options) error {
	var total, done, unsynced int64
	for i := range list {
		total += list[i].size
		if _, ok := to.Done(list[i].name); ok {
			done += list[i].size
		}
	}
	var sum hash.Hash
	at := int64(0)
	for c := range queue {
		var e encoded
		select {
		case e = <-c.data:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if e.err != nil {
			return e.err
		}
		if c.lo == 0 {
			sum, at = sha256.New(), 0
		}
		sum.Write(e.bytes)
		if err := to.WriteAt(c.name, e.bytes, at); err != nil {
			return err
		}
		n := int64(len(e.bytes))
		at, done, unsynced = at+n, done+n, unsynced+n
		if unsynced >= syncBytes {
			unsynced = 0
			if err := to.Sync(); err != nil {
				return err
			}
		}
		if c.hi == c.rows {
			if err := to.Finish(c.name, sections.Sum(sum.Sum(nil))); err != nil {
				return err
			}
		}
		if o.Progress != nil {
			o.Progress(done, total)
		}
	}
	return context.Cause(ctx)
}

// checkTarget refuses a target that is there, or that the disk has no room for.
func checkTarget(target string, force bool, list []item) error {
	if err := checkVacant(target, force); err != nil {
		return err
	}
	need := int64(64 << 20) // for the other files
	for _, it := range list {
		need += it.size
	}
	dir := filepath.Dir(target)
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("the folder to make it in: %w", err)
	}
	free, known := sections.FreeSpace(dir)
	if have := int64(free) + sections.Taken(target); known && have < need {
		return fmt.Errorf("%s: it takes %.1f GB and the disk has %.1f GB free; free some, or choose another folder or a smaller type",
			target, float64(need)/1e9, float64(have)/1e9)
	}
	return nil
}

// checkVacant wants a name at which nothing is, or an empty folder, or what force replaces: a
// file, or a folder that is a model's and nothing else.
func checkVacant(target string, force bool) error {
	info, err := os.Stat(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		entries, err := os.ReadDir(target)
		if err != nil || len(entries) == 0 {
			return err
		}
		isModel := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "config.json" })
		if holds := slices.ContainsFunc(entries, fs.DirEntry.IsDir); force && (!isModel || holds) {
			return fmt.Errorf("%s: not a model's folder, or more than that: remove it yourself, or choose another name", target)
		}
	}
	if !force {
		return fmt.Errorf("%s: exists; choose another name, remove it, or force", target)
	}
	return nil
}

// key tells of which source a target is made: its path, and of every file the size and time.
func key(from *checkpoint.Checkpoint) (string, error) {
	whole, err := filepath.Abs(from.Path)
	if err != nil {
		return "", err
	}
	files, err := identity(from)
	return fmt.Sprintf("1 %q\n%s", whole, files), err
}
