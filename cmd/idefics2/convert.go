package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"idefics2/checkpoint"
	"idefics2/convert"
	"idefics2/defaultmodel"
	"idefics2/internal/terminal"
	"idefics2/quant"
)

var convertCmd = command{
	name: "convert",
	args: "[-dtype keep|f32|f16|bf16] [-text-only] MODEL OUT",
	help: "make one GGUF file of a model's folder, or a folder of a GGUF file",
	more: `OUT is a GGUF file if its name ends in .gguf, else a folder as transformers has it. The file holds
everything: weights, configuration, tokenizer, chat template and the pictures' settings, and gives
the folder's files back as they were. Nothing has the name OUT before it is whole. A conversion
that was ended on the way goes on where it stopped when it is started again.`,
	examples: []example{
		{"one file, nothing lost", "idefics2 convert HuggingFaceM4/idefics2-8b idefics2.gguf"},
		{"half the size of a float32 model", "idefics2 convert -dtype bf16 DIR idefics2-bf16.gguf"},
		{"the decoder alone, for llama.cpp", "idefics2 convert -text-only DIR mistral.gguf"},
		{"back to a folder", "idefics2 convert idefics2.gguf NEWDIR"},
	},
	files: true,
	new: func(f *flags) runFunc {
		var o struct {
			dtype       string
			text, force bool
			threads     int
		}
		f.group("Conversion", func() {
			f.choiceVar(&o.dtype, "dtype", "type of the matrices; vectors stay as they are, but for f32; blocks in a folder become bf16", "keep", "f32", "f16", "bf16")
			f.BoolVar(&o.text, "text-only", false, "the decoder and the tokenizer alone, as llama.cpp has a Mistral")
			f.BoolVar(&o.force, "force", false, "replace what is there")
			f.IntVar(&o.threads, "threads", 0, "`N`: cores to use; 0 is all")
		})
		return func(ctx context.Context, std stdio, args []string) error {
			if len(args) != 2 {
				return misused(fmt.Sprintf("convert wants a model and what to make of it, found %d arguments", len(args)), f.hint())
			}
			if o.text && !checkpoint.IsFile(args[1]) {
				return misused("convert -text-only writes a file for llama.cpp", "give it a name that ends in .gguf")
			}
			options, err := convertOptions(o.threads, o.force, o.dtype)
			if err != nil {
				return err
			}
			to := convert.Folder
			switch {
			case o.text:
				to = convert.Text
			case checkpoint.IsFile(args[1]):
				to = convert.GGUF
			}
			return convertModel(ctx, std, args[0], args[1], options, to)
		}
	},
}

// convertModel opens a model and writes it in another form, with progress.
func convertModel(ctx context.Context, std stdio, model, out string, o convert.Options,
	to func(context.Context, string, *checkpoint.Checkpoint, convert.Options) error) error {
	if defaultmodel.Means(model) { // its files get sizes and times, which tell a conversion that was begun from another
		temp, err := os.MkdirTemp("", "idefics2-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		model = filepath.Join(temp, defaultmodel.Name)
		if err := os.CopyFS(model, defaultmodel.Files()); err != nil {
			return err
		}
	}
	from, err := openCheckpoint(std, model)
	if err != nil {
		return err
	}
	defer from.Close()
	bars := terminal.NewProgress(std.err)
	defer bars.Close()
	o.Progress = func(done, total int64) { bars.Bytes("write", done, total) }
	o.Note = func(line string) {
		bars.Close()
		fmt.Fprintln(std.err, "idefics2: "+terminal.Clean(line))
	}
	if err := to(ctx, out, from, o); err != nil {
		if ctx.Err() != nil {
			return withRemedy(err, "the same command goes on where it stopped")
		}
		return err
	}
	bars.Close()
	bytes, err := diskSize(out)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.err, "idefics2: %s: %s, from %s of tensors\n", terminal.Clean(out), size(bytes), size(from.Bytes()))
	return nil
}

// diskSize returns the bytes of a file, or of the files in a folder.
func diskSize(path string) (bytes int64, err error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return sizeOf(info), err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		errs = append(errs, err)
		bytes += sizeOf(info)
	}
	return bytes, errors.Join(errs...)
}

func sizeOf(info os.FileInfo) int64 {
	if info == nil {
		return 0
	}
	return info.Size()
}

// convertOptions are those of a command that writes a model with its matrices in the type that dtype
// names, or "keep".
func convertOptions(threads int, force bool, dtype string) (convert.Options, error) {
	options := convert.Options{Threads: threads, Force: force}
	if dtype == "keep" {
		return options, nil
	}
	typ, err := quant.ParseType(dtype)
	options.Type = convert.Matrices(typ)
	return options, err
}
