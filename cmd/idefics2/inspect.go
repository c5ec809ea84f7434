package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"idefics2"
	"idefics2/checkpoint"
	"idefics2/convert"
	"idefics2/internal/terminal"
	"idefics2/safetensors"
)

var inspectCmd = command{
	name: "inspect",
	args: "[FLAGS] MODEL|FILE.safetensors",
	help: "show a model's configuration, tensors, types and sizes, and the memory it needs",
	examples: []example{
		{"what is in a folder, and what it would take to run", "idefics2 inspect DIR"},
		{"memory of four long conversations at once", "idefics2 inspect -context 8192 -images 4 -batch 4 DIR"},
		{"that no byte of a file was damaged", "idefics2 inspect -check idefics2-q4.gguf"},
		{"every tensor of a file", "idefics2 inspect -tensors stages.safetensors"},
	},
	files: true,
	new: func(f *flags) runFunc {
		var o struct {
			model         string
			tensors, json bool
			check         bool
			use           use
			dtype, kv     string
		}
		f.group("Model", func() {
			f.StringVar(&o.model, "model", "", "`MODEL`: the same as the argument")
		})
		f.group("Memory plan", func() {
			f.IntVar(&o.use.Context, "context", 2048, "`N`: tokens of a conversation, pictures and answer included")
			f.IntVar(&o.use.Images, "images", 1, "`N`: pictures in it, of the largest size")
			f.IntVar(&o.use.Batch, "batch", 1, "`N`: conversations at once")
			f.choiceVar(&o.dtype, "dtype", "arithmetic, as for ask", "auto", "f32", "bf16")
			f.choiceVar(&o.kv, "kv", "type of the keys and values, as for ask", "auto", "f32", "bf16", "q8_0")
		})
		f.group("Output", func() {
			f.BoolVar(&o.check, "check", false, "read all of a GGUF file and compare every tensor with its checksum")
			f.BoolVar(&o.tensors, "tensors", false, "list every tensor")
			f.BoolVar(&o.json, "json", false, "print one JSON object")
		})
		return func(ctx context.Context, std stdio, args []string) error {
			if o.model != "" {
				args = append(args, o.model)
			}
			if len(args) == 0 {
				args = []string{""} // the default model
			}
			if len(args) != 1 {
				return misused(fmt.Sprintf("inspect wants one model, found %d", len(args)), "a folder, a .gguf or .safetensors file, or a name in the local cache")
			}
			if u := o.use; u.Context < 1 || u.Images < 0 || u.Batch < 1 || u.Context > 1<<24 || u.Images > 1<<16 || u.Batch > 1<<16 {
				return misused("-context and -batch want numbers from 1, -images from 0, and none of them absurd", f.hint())
			}
			report, err := inspect(std, args[0], o.use, o.kv, o.dtype)
			if err != nil {
				return err
			}
			if o.check {
				if report.Checked, err = check(ctx, std, report.Path); err != nil {
					return err
				}
			}
			if o.json {
				return writeJSON(std.out, report)
			}
			w := &printer{w: std.out}
			if terminal.Is(std.out) {
				w.w = terminal.NewCleaner(std.out)
			}
			report.print(w, o.tensors)
			return w.err
		}
	},
}

// check reads a GGUF file, with progress.
func check(ctx context.Context, std stdio, path string) (tensors int, err error) {
	if !checkpoint.IsFile(path) {
		return 0, misused("-check: "+path+" is not a GGUF file", "folders of safetensors have no checksums")
	}
	bars := terminal.NewProgress(std.err)
	defer bars.Close()
	return convert.Check(ctx, path, func(done, total int64) { bars.Bytes("check", done, total) })
}

// inspection is what inspect finds.
type inspection struct {
	Path       string                  `json:"path"`
	Config     *checkpoint.Config      `json:"config,omitempty"`
	Parameters map[string]int64        `json:"parameters"` // by part, and "total"
	Types      map[string]typeSummary  `json:"types"`
	Bytes      int64                   `json:"bytes"`
	Metadata   map[string]string       `json:"metadata,omitempty"`
	Plan       *plan                   `json:"plan,omitempty"`
	Tensors    []inspectedTensor       `json:"tensors"`
	Template   string                  `json:"chat_template_file,omitempty"`
	Checked    int                     `json:"checked_tensors,omitempty"`
	Image      checkpoint.Preprocessor `json:"-"`
}

type typeSummary struct {
	Tensors    int   `json:"tensors"`
	Parameters int64 `json:"parameters"`
	Bytes      int64 `json:"bytes"`
}

type inspectedTensor struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	Bytes int64  `json:"bytes"`
}

// inspect looks at a model folder, or at one file of tensors.
func inspect(std stdio, name string, u use, kv, dtype string) (*inspection, error) {
	if strings.HasSuffix(name, ".safetensors") {
		file, err := safetensors.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		r := &inspection{Path: name, Metadata: file.Metadata()}
		r.add(file.Names(), func(name string) (checkpoint.Stored, bool) {
			v, ok := file.View(name)
			return checkpoint.Stored{Format: v.DType.String(), Shape: v.Shape, Bytes: int64(len(v.Data))}, ok
		})
		return r, nil
	}
	c, err := openCheckpoint(std, name)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if u.KV, err = idefics2.KVType(kv, dtype, c.Quantized()); err != nil {
		return nil, err
	}
	p := planFor(c.Config, c.Preprocessor, c.Bytes(), u)
	r := &inspection{Path: c.Path, Config: &c.Config, Plan: &p, Template: c.ChatTemplateFile, Image: c.Preprocessor}
	r.add(c.Names(), c.Stored)
	return r, nil
}

func elements(shape []int) int64 {
	n := int64(1)
	for _, side := range shape {
		n *= int64(side)
	}
	return n
}

func (r *inspection) add(names []string, stored func(string) (checkpoint.Stored, bool)) {
	r.Parameters, r.Types, r.Tensors = map[string]int64{}, map[string]typeSummary{}, []inspectedTensor{}
	for _, name := range names {
		s, ok := stored(name)
		if !ok {
			continue
		}
		n := elements(s.Shape)
		r.Parameters[part(name)] += n
		r.Parameters["total"] += n
		t := r.Types[s.Format]
		t.Tensors, t.Parameters, t.Bytes = t.Tensors+1, t.Parameters+n, t.Bytes+s.Bytes
		r.Types[s.Format] = t
		r.Bytes += s.Bytes
		shape := s.Shape
		if shape == nil {
			shape = []int{}
		}
		r.Tensors = append(r.Tensors, inspectedTensor{name, s.Format, shape, s.Bytes})
	}
}

// part names the part of the model that a tensor belongs to.
func part(name string) string {
	for _, p := range []struct{ in, part string }{
		{"vision_model.", "vision"}, {"modality_projection.", "projection"}, {"perceiver_resampler.", "resampler"},
		{"embed_tokens.", "embeddings"}, {"lm_head.", "lm_head"}, {"text_model.", "text"},
	} {
		if strings.Contains(name, p.in) {
			return p.part
		}
	}
	return "other"
}

func (r *inspection) print(w *printer, tensors bool) {
	w.printf("%s\n", r.Path)
	if c := r.Config; c != nil {
		v, p, t := c.Vision, c.Perceiver, c.Text
		w.printf("  vision      %d layers of %d, %d heads, patches of %d, grid %d×%d\n", v.Layers, v.HiddenSize, v.Heads, v.PatchSize, v.Side(), v.Side())
		w.printf("  resampler   %d layers of %d, %d latents, %d heads over %d\n", p.Depth, p.HiddenSize, p.Latents, p.Heads, p.KVHeads)
		w.printf("  text        %d layers of %d, %d heads over %d of %d, %d words, %d positions, window %d\n",
			t.Layers, t.HiddenSize, t.Heads, t.KVHeads, t.HeadDim, t.VocabSize, t.MaxPositions, t.SlidingWindow)
		split := "whole"
		if r.Image.Split {
			split = "split"
		}
		w.printf("  pictures    %d to %d pixels a side, %s\n", r.Image.ShortestEdge, r.Image.LongestEdge, split)
	}
	w.printf("parameters\n")
	parts := slices.DeleteFunc(sortedKeys(r.Parameters), func(name string) bool { return name == "total" })
	for _, name := range append(parts, "total") {
		w.printf("  %-18s %14d  %s\n", name, r.Parameters[name], count(r.Parameters[name]))
	}
	w.printf("types\n")
	for _, name := range sortedKeys(r.Types) {
		t := r.Types[name]
		w.printf("  %-18s %14d  in %d tensors, %s\n", name, t.Parameters, t.Tensors, size(t.Bytes))
	}
	if r.Plan != nil {
		r.Plan.print(w)
	}
	if r.Checked > 0 {
		w.printf("checked\n  %d tensors have their checksums\n", r.Checked)
	}
	if !tensors {
		return
	}
	w.printf("tensors\n")
	for _, t := range r.Tensors {
		shape, _ := json.Marshal(t.Shape)
		w.printf("  %-5s %-20s %10s  %s\n", t.DType, shape, size(t.Bytes), t.Name)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
