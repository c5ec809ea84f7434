package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"idefics2/internal/sections"
	"idefics2/safetensors"
	"idefics2/tensor"
)

// InitOptions are a caller's choices about a new model. Their zero value works.
type InitOptions struct {
	DType     tensor.DType // of the weights: F32, F16 or BF16, which is also what zero stands for
	ShardSize int64        // most bytes of tensors in one file; zero for the reference's 5·10⁹
	Threads   int          // zero for one a core. It changes no byte

	// Files are further files of the folder, by plain name: tokenizer.json,
	// tokenizer_config.json, special_tokens_map.json. The configuration, the weights
	// and the chat template are written by Init and must not be among them.
	Files map[string][]byte

	// Progress is called now and then, from one goroutine at a time, with the bytes
	// of weights that are written and their total. It may be nil.
	Progress func(done, total int64)

	writeAt func(w *safetensors.Writer, name string, p []byte, offset int64) error // a test's full disk
}

// Init writes a new model of random weights into the folder dir, which must not exist
// or be empty, in the layout that transformers reads: the configuration files, and
// weights in shards with an index.
//
// Weights are normal with mean 0 and the configuration's initializer_range as standard
// deviation, gains are one, biases and the padding word's embedding zero (spec/model.md
// §14). The resampler's latents are normal of deviation one, where the reference starts them all at
// one: equal latents make every output of an image equal, and only their places in the
// text would tell them apart. Rows of the position table are as large as what the patches'
// products make of pixels of size one: smaller ones are not seen beside them for
// thousands of steps. Weights depend on seed, tensor and place alone.
//
// Everything is written into a folder beside dir that gets its name at the end: when
// the disk is full, or ctx is cancelled, that folder is removed and dir is as before.
func Init(ctx context.Context, dir string, b Blueprint, seed uint64, opt InitOptions) error {
	dir = filepath.Clean(dir)
	if opt.DType == tensor.Invalid {
		opt.DType = tensor.BF16
	}
	if opt.ShardSize == 0 {
		opt.ShardSize = 5e9
	}
	if opt.Threads == 0 {
		opt.Threads = runtime.GOMAXPROCS(0)
	}
	if opt.writeAt == nil {
		opt.writeAt = (*safetensors.Writer).WriteAt
	}
	b.Config.DType = opt.DType
	n := &newModel{Blueprint: b, InitOptions: opt, seed: seed}
	if err := n.check(dir); err != nil {
		return fmt.Errorf("checkpoint: new model: %w", err)
	}
	if err := inNewFolder(dir, func(temp string) error { return n.write(ctx, temp) }); err != nil {
		return fmt.Errorf("checkpoint: new model: %s: %w", dir, err)
	}
	return nil
}

// newModel is one call of Init.
type newModel struct {
	Blueprint
	InitOptions
	seed        uint64
	done, total int64 // bytes of weights
}

// check refuses, before anything is written, what cannot end well.
func (n *newModel) check(dir string) error {
	text, err := json.Marshal(n.Config) // an invalid Config is refused as its file would be
	if err != nil {
		return err
	}
	if _, err := parseConfig(text); err != nil {
		return err
	}
	if id, vocab := n.Config.ImageTokenID, n.Config.Text.VocabSize; id >= vocab {
		return fmt.Errorf("image_token_id: found %d, want less than vocab_size, %d", id, vocab)
	}
	if !n.DType.Float() {
		return fmt.Errorf("weights of type %v, want F32, F16 or BF16", n.DType)
	}
	if n.ShardSize < 0 || n.Threads < 0 {
		return fmt.Errorf("ShardSize %d and Threads %d, want none negative", n.ShardSize, n.Threads)
	}
	own := n.ownFiles()
	for name := range n.Files {
		if _, ok := own[name]; ok || name == "" || name != filepath.Base(name) || !filepath.IsLocal(name) || strings.HasPrefix(name, "model") {
			return fmt.Errorf("file %q: want a plain name, and none that Init writes", name)
		}
	}
	if err := checkVacant(dir); err != nil {
		return err
	}
	n.total = n.Config.Parameters() * int64(n.DType.Bits()/8)
	const margin = 64 << 20 // for the other files, and the folder itself
	if free, ok := sections.FreeSpace(filepath.Dir(dir)); ok && free < uint64(n.total)+margin {
		return fmt.Errorf("%s: the weights take %d bytes (%.1f GB) and the disk has %d free (%.1f GB); free some, or choose another folder or a smaller configuration",
			dir, n.total, float64(n.total)/1e9, free, float64(free)/1e9)
	}
	return nil
}

// checkVacant wants a name at which a folder can be put.
func checkVacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(dir)); err != nil {
			return fmt.Errorf("the folder to make it in: %w", err)
		}
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s: exists and is not empty (%s); choose another name or remove it", dir, entries[0].Name())
	}
	return nil
}

// inNewFolder lets write fill a folder beside dir, and gives it the name dir if all went well.
func inNewFolder(dir string, write func(temp string) error) error {
	temp, err := makeBeside(dir)
	if err != nil {
		return err
	}
	if err = write(temp); err == nil {
		if err = os.Remove(dir); errors.Is(err, fs.ErrNotExist) { // an empty folder may be there
			err = nil
		}
	}
	if err == nil {
		err = os.Rename(temp, dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return nil
}

func makeBeside(dir string) (string, error) {
	for try := 0; ; try++ {
		temp := filepath.Join(filepath.Dir(dir), fmt.Sprintf(".%s.%08x.tmp", filepath.Base(dir), rand.Uint32()))
		err := os.Mkdir(temp, 0o777)
		if err == nil || !errors.Is(err, fs.ErrExist) || try == 100 {
			return temp, err
		}
	}
}

func (n *newModel) write(ctx context.Context, dir string) error {
	if err := n.writeWeights(ctx, dir); err != nil {
		return err
	}
	for _, files := range []map[string][]byte{n.ownFiles(), n.Files} {
		for _, name := range sortedKeys(files) {
			if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o666); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// ownFiles returns the small files that Init makes.
func (n *newModel) ownFiles() map[string][]byte {
	files := map[string][]byte{
		"config.json":              indent(n.Config),
		"generation_config.json":   indent(n.Generation),
		"preprocessor_config.json": indent(n.Preprocessor),
		"processor_config.json": indent(map[string]any{
			"image_seq_len": n.Config.Perceiver.Latents, "processor_class": "Idefics2Processor",
		}),
	}
	if n.ChatTemplate != "" {
		files["chat_template.jinja"] = []byte(n.ChatTemplate)
	}
	return files
}

func indent(v any) []byte {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("checkpoint: " + err.Error()) // check has marshalled what could fail
	}
	return append(text, '\n')
}

// writeWeights writes one file, or shards and their index.
func (n *newModel) writeWeights(ctx context.Context, dir string) error {
	shards := n.shards()
	weightMap := map[string]string{}
	for i, shard := range shards {
		file := singleFile
		if len(shards) > 1 {
			file = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		}
		for _, t := range shard {
			weightMap[t.Name] = file
		}
		if err := n.writeShard(ctx, filepath.Join(dir, file), shard); err != nil {
			return err
		}
	}
	if len(shards) == 1 {
		return nil
	}
	index := indent(map[string]any{
		"metadata":   map[string]int64{"total_parameters": n.Config.Parameters(), "total_size": n.total},
		"weight_map": weightMap,
	})
	return os.WriteFile(filepath.Join(dir, indexFile), index, 0o666)
}

// shards deals the tensors out in order. A tensor larger than a shard gets one alone.
func (n *newModel) shards() (shards [][]Tensor) {
	left := int64(0)
	for _, t := range n.Config.Tensors() {
		size := t.elements() * int64(n.DType.Bits()/8)
		if len(shards) == 0 || size > left {
			shards = append(shards, nil)
			left = n.ShardSize
		}
		last := len(shards) - 1
		shards[last] = append(shards[last], t)
		left -= size
	}
	return shards
}

// chunkSize is the unit of work, in bytes: large for the disk, small for cancelling.
// After syncEvery of them the disk is waited for, or the last wait would be long, and
// cancelling with it.
const (
	chunkSize = 4 << 20
	syncEvery = 64
)

// chunk is a part of a tensor, in elements. Its first is even.
type chunk struct {
	Tensor
	first, count int64
}

func (n *newModel) writeShard(ctx context.Context, path string, shard []Tensor) error {
	entries := make([]safetensors.Entry, len(shard))
	var chunks []chunk
	per := int64(chunkSize / (n.DType.Bits() / 8))
	for i, t := range shard {
		entries[i] = safetensors.Entry{Name: t.Name, DType: n.DType, Shape: t.Shape}
		for first := int64(0); first < t.elements(); first += per {
			chunks = append(chunks, chunk{t, first, min(per, t.elements()-first)})
		}
	}
	w, err := safetensors.Create(path, entries, map[string]string{"format": "pt"})
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := n.writeChunks(ctx, w, chunks); err != nil {
		return err
	}
	return w.Commit()
}

// writeChunks shares the chunks out over the threads. Progress is reported by
// whichever finishes one, under its turn.
func (n *newModel) writeChunks(ctx context.Context, w *safetensors.Writer, chunks []chunk) error {
	var next atomic.Int64
	turn := make(chan struct{}, 1)
	group, ctx := errgroup.WithContext(ctx)
	for range n.Threads {
		group.Go(func() error {
			buf := make([]byte, chunkSize)
			for {
				i := next.Add(1) - 1
				if i >= int64(len(chunks)) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				c := chunks[i]
				size := int64(n.DType.Bits() / 8)
				out := buf[:c.count*size]
				n.fill(out, c)
				if err := n.writeAt(w, c.Name, out, c.first*size); err != nil {
					return err
				}
				if i%syncEvery == syncEvery-1 {
					if err := w.Sync(); err != nil {
						return err
					}
				}
				turn <- struct{}{}
				n.done += int64(len(out))
				if n.Progress != nil {
					n.Progress(n.done, n.total)
				}
				<-turn
			}
		})
	}
	return group.Wait()
}

// deviation is the standard deviation of a tensor's values.
func (n *newModel) deviation(name string) float64 {
	switch {
	case strings.HasSuffix(name, ".latents"):
		return 1
	case strings.HasSuffix(name, ".position_embedding.weight"):
		v := n.Config.Vision
		return n.Config.Text.InitializerRange * math.Sqrt(float64(v.Channels*v.PatchSize*v.PatchSize))
	}
	return n.Config.Text.InitializerRange
}

// fill makes one chunk's elements.
func (n *newModel) fill(out []byte, c chunk) {
	switch c.start {
	case ones:
		put(out, n.DType, 1)
		for done := n.DType.Bits() / 8; done < len(out); done *= 2 {
			copy(out[done:], out[:done])
		}
	case zeros:
		clear(out)
	case normal, embeddings:
		newNoise(n.seed, c.Name).fill(out, n.DType, c.first, float32(n.deviation(c.Name)))
	}
	if pad := int64(n.Config.Text.PAD); c.start == embeddings && pad >= 0 {
		width, size := int64(c.Shape[1]), int64(n.DType.Bits()/8)
		lo := max(pad*width-c.first, 0)
		hi := min((pad+1)*width-c.first, c.count)
		if lo < hi {
			clear(out[lo*size : hi*size])
		}
	}
}
