package convert

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"idefics2/checkpoint"
	"idefics2/gguf"
	"idefics2/internal/sections"
	"idefics2/quant"
)

// GGUF writes the model to one file, of everything that its folder has.
func GGUF(ctx context.Context, path string, from *checkpoint.Checkpoint, o Options) error {
	list := items(from, checkpoint.GGUFName, &o)
	pairs, err := metadata(from, checkpoint.Architecture, list)
	if err != nil {
		return fmt.Errorf("convert: %s: %w", from.Path, err)
	}
	files, err := smallFiles(from)
	if err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	own := []gguf.Pair{
		{Key: checkpoint.LayoutKey, Value: gguf.Of(uint32(checkpoint.LayoutVersion))},
		{Key: checkpoint.PermutedKey, Value: gguf.Of(false)},
	}
	for _, f := range files {
		if !utf8.Valid(f.data) {
			return fmt.Errorf("convert: %s: %s is not UTF-8", from.Path, f.name)
		}
		own = append(own, gguf.Pair{Key: checkpoint.FileKey(f.name), Value: gguf.Of(string(f.data))})
	}
	return writeGGUF(ctx, path, from, append(append(pairs, own...), o.extra...), list, o)
}

// Text writes the decoder alone, as llama.cpp's own converter writes a Mistral: architecture
// llama, rows of q and k in the order of its rotary embedding, vectors in float32.
func Text(ctx context.Context, path string, from *checkpoint.Checkpoint, o Options) error {
	c := from.Config.Text
	if c.Activation != checkpoint.SiLU {
		return fmt.Errorf("convert: %s: text only: llama.cpp's Mistral has the activation silu, and this model %v", from.Path, c.Activation)
	}
	if c.SlidingWindow > 0 && c.SlidingWindow < c.MaxPositions {
		o.note("llama.cpp reads a Mistral without its sliding window: answers beyond %d tokens differ", c.SlidingWindow)
	}
	choose := o.Type
	if choose == nil {
		choose = Keep
	}
	text := func(t checkpoint.Tensor) bool {
		return !strings.Contains(t.Name, "vision_model.") && !strings.Contains(t.Name, "connector.")
	}
	var list []item
	for _, it := range items(from, checkpoint.GGUFName, &o) {
		if !text(it.Tensor) {
			continue
		}
		switch {
		case len(it.Shape) == 1:
			it.typ = quant.F32
			it.size = 4 * int64(it.rows) * int64(it.length)
		case strings.HasSuffix(it.Name, "self_attn.q_proj.weight"):
			it.order = interleave(c.Heads, c.HeadDim)
		case strings.HasSuffix(it.Name, "self_attn.k_proj.weight"):
			it.order = interleave(c.KVHeads, c.HeadDim)
		}
		list = append(list, it)
	}
	pairs, err := metadata(from, "llama", list)
	if err != nil {
		return fmt.Errorf("convert: %s: %w", from.Path, err)
	}
	return writeGGUF(ctx, path, from, pairs, list, o)
}

// interleave is the order of rows in which neighbours are rotated together, where ours are
// half a head apart (spec/checkpoint.md §8.4): row 2j is our j, row 2j+1 our j + dim/2.
func interleave(heads, dim int) []int {
	order := make([]int, 0, heads*dim)
	for h := range heads {
		for j := range dim / 2 {
			order = append(order, h*dim+j, h*dim+j+dim/2)
		}
	}
	return order
}

func writeGGUF(ctx context.Context, path string, from *checkpoint.Checkpoint, pairs []gguf.Pair, list []item, o Options) error {
	if err := writeFile(ctx, path, from, pairs, list, o); err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	return nil
}

func writeFile(ctx context.Context, path string, from *checkpoint.Checkpoint, pairs []gguf.Pair, list []item, o Options) error {
	if err := checkTarget(path, o.Force, list); err != nil {
		return err
	}
	weights, err := weigh(list, o.Importance, &o)
	if err != nil {
		return err
	}
	pairs = append(pairs[:len(pairs):len(pairs)], weights...)
	entries := make([]gguf.Entry, len(list))
	for i, it := range list {
		entries[i] = gguf.Entry{Name: it.name, Type: gguf.TypeOf(it.typ), Shape: it.Shape}
	}
	// The sums come into the header at the end; until then there are zeros in their places.
	layout := func(sum func(name string) sections.Sum) (sections.Layout, error) {
		sums := make([]string, len(list))
		for i, it := range list {
			s := sum(it.name)
			sums[i] = hex.EncodeToString(s[:])
		}
		return gguf.Layout(append(pairs[:len(pairs):len(pairs)], gguf.Pair{Key: checkpoint.SumsKey, Value: gguf.ArrayOf(sums...)}), entries)
	}
	empty, err := layout(func(string) sections.Sum { return sections.Sum{} })
	if err != nil {
		return err
	}
	to, err := resume(ctx, path, from, []sections.File{{Layout: empty}}, list, o)
	if err != nil {
		return err
	}
	if err := write(ctx, to, from, list, o); err != nil {
		return errors.Join(err, to.Close())
	}
	whole, err := layout(func(name string) sections.Sum { s, _ := to.Done(name); return s })
	if err != nil {
		return errors.Join(err, to.Close())
	}
	return to.Commit([][]byte{whole.Header})
}

// resume opens the target, with progress of what is read again.
func resume(ctx context.Context, target string, from *checkpoint.Checkpoint, files []sections.File, list []item, o Options) (*sections.Resumed, error) {
	k, err := key(from)
	if err != nil {
		return nil, err
	}
	var done, total int64
	for _, it := range list {
		total += it.size
	}
	return sections.Resume(ctx, target, k, files, func(bytes int64) {
		if done += bytes; o.Progress != nil {
			o.Progress(done, total)
		}
	})
}

// smallFile is one of the files beside the tensors.
type smallFile struct {
	name string
	data []byte
}

// smallFiles returns them, config.json without the quantization that is undone.
func smallFiles(from *checkpoint.Checkpoint) (files []smallFile, err error) {
	for _, name := range checkpoint.FileNames() {
		data, err := from.File(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if name == "config.json" && from.Config.Quantization.Method != "" {
			if data, err = withoutQuantization(data); err != nil {
				return nil, fmt.Errorf("%s: config.json: %w", from.Path, err)
			}
		}
		files = append(files, smallFile{name, data})
	}
	return files, nil
}

// fileType is llama.cpp's number for what most of a file's bytes are (llama.h, llama_ftype).
func fileType(list []item) uint32 {
	bytes := map[quant.Type]int64{}
	most := quant.F32
	for _, it := range list {
		bytes[it.typ] += it.size
		if bytes[it.typ] > bytes[most] {
			most = it.typ
		}
	}
	return map[quant.Type]uint32{quant.F32: 0, quant.F16: 1, quant.Q4_0: 2, quant.Q8_0: 7, quant.Q4_K: 14, quant.Q6_K: 18, quant.BF16: 32}[most]
}

// modelName is what a model is called after its folder, or its name on the Hub.
func modelName(path string) string {
	if i := strings.Index(filepath.ToSlash(path), "/models--"); i >= 0 {
		name, _, _ := strings.Cut(filepath.ToSlash(path)[i+len("/models--"):], "/")
		return strings.Replace(name, "--", "/", 1)
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		whole = path
	}
	return strings.ToValidUTF8(strings.TrimSuffix(filepath.Base(whole), filepath.Ext(whole)), "?")
}
