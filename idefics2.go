// Package idefics2 answers questions about images and text with the Idefics2
// vision-language model, computing what the reference (Hugging Face transformers)
// computes.
//
//	m, err := idefics2.Open(ctx, "HuggingFaceM4/idefics2-8b", idefics2.Options{})
//	defer m.Close()
//	reply := m.Chat(ctx, idefics2.Request{Messages: …})
//	for piece, err := range reply.Text() { … }
//
// A model is a folder as transformers writes it, a GGUF file that "idefics2 convert" or
// "idefics2 quantize" made of one, or a Hub name that is looked up in the local Hugging Face
// cache. Without a name it is the default model, which the program carries.
package idefics2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"idefics2/checkpoint"
	"idefics2/defaultmodel"
	"idefics2/engine"
	"idefics2/hub"
	"idefics2/imageproc"
	"idefics2/model"
	"idefics2/tensor"
)

// Options are the caller's choices; the zero value works.
type Options struct {
	Threads int // 0: one per processor that Go may use
	// DType is "auto" or "" (weights as they are stored, the fastest arithmetic of the machine:
	// int8 with those in blocks, and with AMX bfloat16 activations with those in bfloat16),
	// "f32" (all arithmetic is float32, with blocks slowly) or "bf16" (float32 and float16
	// matrices are rounded to bfloat16 and take half the memory; else as auto).
	DType string
	// KV is what keys and values are kept as: "f32", or in half the memory "bf16", or in about a
	// quarter "q8_0"; docs/numerics.md has what that costs. For "auto", or "", see KVType.
	KV string
	// Adapter is a folder of PEFT, LoRA or DoRA, whose matrices answer beside the model's; "" is none.
	// Matrices in blocks take none.
	Adapter string
	// Adapters are more of them, by the names that Request.Adapter chooses among. All use the one
	// model's weights, and an answer has the bits that it has from a model with its adapter alone.
	Adapters map[string]string
	// Hub is the local Hugging Face cache; nil means where the environment says it is.
	Hub *hub.Cache
	// Progress, if not nil, is told how opening goes on, by the goroutine that opens.
	Progress func(Progress)
	// Note, if not nil, is told in a line what opening does that nobody may expect.
	Note func(line string)
	// CacheDir is where the packed weights of a folder lie that cannot be written to; "" means
	// idefics2 in the user's cache folder.
	CacheDir string
	// Images bounds the pictures that are read; see imageproc.Limits.
	Images imageproc.Limits
	// Read reads a picture that a request names; nil means ReadSource.
	Read func(ctx context.Context, name string) ([]byte, error)
	// Engine bounds the memory of requests; see engine.Options.
	Engine engine.Options

	rowBlocks bool  // see checkpoint.Checkpoint
	packFrom  int64 // 0: convert.PackFrom
}

// Progress is how far a stage is: "pack" and "load" (bytes of weights), "picture" (read and prepared),
// "image" (crops through the vision tower) or "prefill" (tokens).
type Progress struct {
	Stage       string
	Done, Total int64
}

// Model answers requests. It is safe for use by many goroutines at once; requests that
// overlap share passes, and each gets the bits that it gets alone.
type Model struct {
	name      string
	processor *Processor
	source    *checkpoint.Checkpoint
	engine    *engine.Engine
	adapters  map[string]*model.Model // by Request.Adapter
	borrowed  bool                    // somebody else's weights
	kv        tensor.DType            // of keys and values
	grammars  grammars
	prepare   chan struct{} // bounds the requests whose pictures are being prepared
	load      time.Duration
}

// Open opens a model's folder, its GGUF file, or a name in the local Hugging Face cache, as
// "owner/name" or "owner/name@revision". "", and "default" where no folder is called so, open the
// default model, a small one inside the program; Options.Note is told. Every tensor is checked before it returns;
// weights stay mapped and are read when they are first used. A folder of more than 2 GiB of
// float32, as the released one is, is packed to bfloat16 the first time, unless DType is f32:
// into a file in the folder, or in CacheDir, that is used from then on.
func Open(ctx context.Context, name string, o Options) (*Model, error) {
	start := time.Now()
	var narrow bool
	switch o.DType {
	case "", "auto", "f32":
	case "bf16":
		narrow = true
	default:
		return nil, fmt.Errorf("idefics2: dtype %q, want auto, f32 or bf16", o.DType)
	}
	if _, err := KVType(o.KV, o.DType, false); err != nil {
		return nil, err
	}
	source, err := openSource(ctx, name, o)
	if err != nil {
		return nil, err
	}
	if defaultmodel.Means(name) {
		name = defaultmodel.Name
		if o.Note != nil {
			o.Note(defaultmodel.About)
		}
	}
	o.Engine.CacheType, _ = KVType(o.KV, o.DType, source.Quantized()) // checked above
	source.RowBlocks = o.rowBlocks
	source.KeepBlocks, source.KeepCodes = true, true
	if narrow {
		source.DecodeTo = tensor.BF16
	}
	p, err := newProcessor(name, &source.Folder, o)
	if err != nil {
		return nil, errors.Join(err, source.Close())
	}
	all, done := source.Bytes(), int64(0)
	took := func(bytes int64) error {
		if done += bytes; o.Progress != nil {
			o.Progress(Progress{"load", done, all})
		}
		return context.Cause(ctx)
	}
	net, err := model.Load(source, model.Options{Threads: o.Threads, Exact: o.DType == "f32", Narrow: narrow, Took: took})
	if err != nil {
		return nil, errors.Join(err, source.Close())
	}
	named, err := adapters(net, o)
	if err != nil {
		net.Close()
		return nil, errors.Join(err, source.Close())
	}
	source.WillNeed()
	m := &Model{name: name, processor: p, source: source, adapters: named, engine: engine.New(net, o.Engine), kv: o.Engine.CacheType, prepare: make(chan struct{}, 2)}
	m.load = time.Since(start)
	return m, nil
}

// KVType returns the type that Options.KV names. For "auto" and "" that is bf16 beside
// weights of fewer than sixteen bits, whose own error is far larger, and f32 beside others
// and with the DType f32.
func KVType(name, dtype string, quantized bool) (tensor.DType, error) {
	if name == "" || name == "auto" {
		if name = "f32"; quantized && dtype != "f32" {
			name = "bf16"
		}
	}
	switch name {
	case "f32":
		return tensor.F32, nil
	case "bf16":
		return tensor.BF16, nil
	case "q8_0":
		return tensor.Q8_0, nil
	}
	return 0, fmt.Errorf("idefics2: kv %q, want auto, f32, bf16 or q8_0", name)
}

// openSource opens the weights of a model by its name.
func openSource(ctx context.Context, name string, o Options) (*checkpoint.Checkpoint, error) {
	if defaultmodel.Means(name) {
		return checkpoint.OpenFS(defaultmodel.Name, defaultmodel.Files())
	}
	path, err := find(name, o)
	if err != nil {
		return nil, err
	}
	return openPacked(ctx, path, o)
}

// find returns the path of a model: of its folder, or of its file.
func find(name string, o Options) (string, error) {
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	if checkpoint.IsFile(name) {
		return "", fmt.Errorf("idefics2: %s: no such file", name)
	}
	cache := o.Hub
	if cache == nil {
		cache = &hub.Cache{Dir: hub.DefaultDir(os.Getenv)}
	}
	dir, err := cache.Find(name)
	if err != nil {
		return "", fmt.Errorf("idefics2: %q is not a folder or file here, and: %w", name, err)
	}
	return dir, nil
}

// Close ends what runs and unmaps the weights.
func (m *Model) Close() error {
	m.engine.Close()
	if m.borrowed {
		return nil
	}
	return m.source.Close()
}

// Name returns what Open was given.
func (m *Model) Name() string { return m.name }

// Config returns the model's configuration.
func (m *Model) Config() checkpoint.Config { return m.source.Config }

// Processor returns what turns requests into the model's input.
func (m *Model) Processor() *Processor { return m.processor }
