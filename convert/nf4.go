package convert

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"idefics2/checkpoint"
	"idefics2/internal/sections"
	"idefics2/quant"
	"idefics2/safetensors"
	"idefics2/tensor"
)

// stateBytes is the length of a quant_state in a folder that NF4Folder writes: filled up with spaces, for
// the number in it is known only when the matrix has been read.
const stateBytes = 256

// NF4 reports whether bitsandbytes quantizes a tensor of a model: the matrices of linear layers but
// the head's.
func NF4(t checkpoint.Tensor) bool {
	part := PartOf(t.Name)
	return t.Matrix() && part != "embeddings" && part != "output"
}

// NF4Folder writes the model as bitsandbytes and transformers save one in 4 bits: the matrices that
// NF4 names in NF4 with double quantization, all else as Folder does. One matrix at a time is in memory.
func NF4Folder(ctx context.Context, dir string, from *checkpoint.Checkpoint, o Options) error {
	if err := writeNF4(ctx, filepath.Clean(dir), from, o); err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	return nil
}

func writeNF4(ctx context.Context, dir string, from *checkpoint.Checkpoint, o Options) error {
	if from.Config.Quantization.Method != "" {
		return fmt.Errorf("%s is quantized already (%s); use the model that it was made from", from.Path, from.Config.Quantization.Method)
	}
	o.Type = Decoded(quant.BF16)
	var list []item // what is written, tensor by tensor
	sources := items(from, func(name string) string { return name }, &o)
	parts := map[string][]item{}
	for _, it := range sources {
		parts[it.Name] = nf4Items(it)
		list = append(list, parts[it.Name]...)
	}
	if err := checkTarget(dir, o.Force, list); err != nil {
		return err
	}
	small, err := smallFiles(from)
	if err != nil {
		return err
	}
	for i := range small {
		if small[i].name == "config.json" {
			if small[i].data, err = withNF4(small[i].data); err != nil {
				return fmt.Errorf("%s: config.json: %w", from.Path, err)
			}
		}
	}
	return fillFolder(ctx, dir, from, list, small, o, func(to *sections.Resumed) error {
		w := nf4Writer{to: to, from: from, o: o}
		for _, it := range list {
			w.total += it.size
		}
		for _, it := range sources {
			if err := w.write(ctx, it, parts[it.Name]); err != nil {
				return err
			}
		}
		return nil
	})
}

// nf4Items returns the tensors that one tensor of the model becomes.
func nf4Items(it item) []item {
	if !NF4(it.Tensor) {
		it.stored = it.typ.DType()
		return []item{it}
	}
	n := it.rows * it.length
	blocks := (n + 63) / 64
	module := it.Name[:len(it.Name)-len("weight")]
	var list []item
	for _, ending := range quant.NF4Endings() {
		part := item{name: module + ending, stored: tensor.U8}
		switch ending {
		case "weight":
			part.Shape = []int{(n + 1) / 2, 1}
		case "weight.absmax":
			part.Shape = []int{blocks}
		case "weight.quant_map":
			part.stored, part.Shape = tensor.F32, []int{16}
		case "weight.nested_absmax":
			part.stored, part.Shape = tensor.F32, []int{(blocks + 255) / 256}
		case "weight.nested_quant_map":
			part.stored, part.Shape = tensor.F32, []int{256}
		case "weight.quant_state.bitsandbytes__nf4":
			part.Shape = []int{stateBytes}
		default:
			continue
		}
		part.size = int64(part.stored.Bits() / 8)
		for _, d := range part.Shape {
			part.size *= int64(d)
		}
		list = append(list, part)
	}
	return list
}

// nf4Writer writes tensor after tensor.
type nf4Writer struct {
	to          *sections.Resumed
	from        *checkpoint.Checkpoint
	o           Options
	done, total int64
	values      []float32
}

func (w *nf4Writer) write(ctx context.Context, it item, parts []item) error {
	missing := slices.ContainsFunc(parts, func(p item) bool { _, ok := w.to.Done(p.name); return !ok })
	for _, p := range parts {
		w.done += p.size
	}
	if !missing {
		return nil
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	all := slices.Grow(w.values[:0], it.rows*it.length)[:it.rows*it.length]
	w.values = all
	data := map[string][]byte{}
	if !NF4(it.Tensor) {
		encoded, err := (&chunk{item: &it, hi: it.rows}).encode(w.from, all, nil)
		if err != nil {
			return err
		}
		data[it.name] = encoded
	} else {
		w.from.DecodeRows(it.Name, all, 0, it.rows)
		dtype := w.from.DTypeOf(it.Name)
		if !dtype.Float() {
			dtype = tensor.BF16
		}
		m, err := quant.EncodeNF4(all, it.rows, it.length, quant.NF4Options{Double: true, DType: dtype})
		if err != nil {
			return fmt.Errorf("%q: %w", it.Name, err)
		}
		module := it.Name[:len(it.Name)-len("weight")]
		for _, p := range m.Parts() {
			data[module+p.Ending] = p.Data
		}
		state := module + "weight.quant_state.bitsandbytes__nf4"
		for len(data[state]) < stateBytes {
			data[state] = append(data[state], ' ')
		}
	}
	for _, p := range parts {
		if err := w.to.WriteAt(p.name, data[p.name], 0); err != nil {
			return err
		}
		if err := w.to.Finish(p.name, sections.Sum(sha256.Sum256(data[p.name]))); err != nil {
			return err
		}
	}
	if w.o.Progress != nil {
		w.o.Progress(w.done, w.total)
	}
	return nil
}

// withNF4 says in a config.json how the matrices are stored, as transformers does.
func withNF4(config []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(config, &fields); err != nil {
		return nil, err
	}
	fields["quantization_config"] = json.RawMessage(`{"quant_method": "bitsandbytes", "load_in_4bit": true, "load_in_8bit": false, ` +
		`"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": true, "bnb_4bit_compute_dtype": "bfloat16", ` +
		`"bnb_4bit_quant_storage": "uint8", "llm_int8_skip_modules": ["lm_head"], "llm_int8_threshold": 6.0}`)
	out, err := json.MarshalIndent(fields, "", "  ")
	return append(out, '\n'), err
}

// entryOf returns how an item is declared in a file of safetensors.
func entryOf(it item) safetensors.Entry {
	dtype := it.stored
	if dtype == tensor.Invalid {
		dtype = it.typ.DType()
	}
	return safetensors.Entry{Name: it.name, DType: dtype, Shape: it.Shape}
}
