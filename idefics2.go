// Package idefics2 answers questions about images and text with the Idefics2
// vision-language model, computing what the reference (Hugging Face transformers)
// computes.
//
//	m, err := idefics2.Open(ctx, "HuggingFaceM4/idefics2-8b", idefics2.Options{})
//	defer m.Close()
//	reply := m.Chat(ctx, idefics2.Request{Messages: …})
//	for piece, err := range reply.Text() { … }
//
// A model is a folder as transformers writes it, or a Hub name that is looked up in the
// local Hugging Face cache.
package idefics2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"idefics2/checkpoint"
	"idefics2/engine"
	"idefics2/hub"
	"idefics2/imageproc"
	"idefics2/model"
	"idefics2/tensor"
)

// ErrNoModel is returned where a model is needed and none was named.
var ErrNoModel = errors.New("idefics2: no model named: give a folder that holds config.json, or a name such as HuggingFaceM4/idefics2-8b that is in the local Hugging Face cache")

// Options are the caller's choices; the zero value works.
type Options struct {
	Threads int // 0: one per processor that Go may use
	// DType is "auto" or "" (weights as they are stored, the fastest arithmetic of the machine:
	// with AMX, activations are rounded to bfloat16 where weights are bfloat16; else float32),
	// "f32" (weights as they are stored, all arithmetic in float32) or "bf16" (as auto, but
	// float32 and float16 matrices are rounded to bfloat16 and take half the memory).
	DType string
	// Hub is the local Hugging Face cache; nil means where the environment says it is.
	Hub *hub.Cache
	// Progress, if not nil, is told how opening goes on, by the goroutine that opens.
	Progress func(Progress)
	// Images bounds the pictures that are read; see imageproc.Limits.
	Images imageproc.Limits
	// Read reads a picture that a request names; nil means ReadSource.
	Read func(ctx context.Context, name string) ([]byte, error)
	// Engine bounds the memory of requests; see engine.Options.
	Engine engine.Options

	rowBlocks bool // see checkpoint.Checkpoint
}

// Progress is how far a stage is: "load" (bytes of weights), "picture" (read and prepared),
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
	prepare   chan struct{} // bounds the requests whose pictures are being prepared
	load      time.Duration
}

// Open opens a model folder or a name in the local Hugging Face cache, as
// "owner/name" or "owner/name@revision". Every tensor is checked before it returns;
// weights stay mapped and are read when they are first used.
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
	dir, err := find(name, o)
	if err != nil {
		return nil, err
	}
	source, err := checkpoint.Open(dir)
	if err != nil {
		return nil, err
	}
	source.RowBlocks = o.rowBlocks
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
	net, err := model.Load(source, model.Options{Threads: o.Threads, Narrow: narrow, Fast: o.DType != "f32", Took: took})
	if err != nil {
		return nil, errors.Join(err, source.Close())
	}
	source.WillNeed()
	m := &Model{name: name, processor: p, source: source, engine: engine.New(net, o.Engine), prepare: make(chan struct{}, 2)}
	m.load = time.Since(start)
	return m, nil
}

// find returns the folder of a model.
func find(name string, o Options) (string, error) {
	if name == "" {
		return "", ErrNoModel
	}
	if info, err := os.Stat(name); err == nil {
		if !info.IsDir() && strings.HasSuffix(strings.ToLower(name), ".gguf") {
			return "", fmt.Errorf("idefics2: %s: GGUF files cannot be opened yet; give the model's safetensors folder", name)
		}
		return name, nil
	}
	cache := o.Hub
	if cache == nil {
		cache = &hub.Cache{Dir: hub.DefaultDir(os.Getenv)}
	}
	dir, err := cache.Find(name)
	if err != nil {
		return "", fmt.Errorf("idefics2: %q is not a folder here, and: %w", name, err)
	}
	return dir, nil
}

// Close ends what runs and unmaps the weights.
func (m *Model) Close() error {
	m.engine.Close()
	return m.source.Close()
}

// Name returns what Open was given.
func (m *Model) Name() string { return m.name }

// Config returns the model's configuration.
func (m *Model) Config() checkpoint.Config { return m.source.Config }

// Processor returns what turns requests into the model's input.
func (m *Model) Processor() *Processor { return m.processor }
