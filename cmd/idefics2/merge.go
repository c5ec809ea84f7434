package main

import (
	"context"
	"fmt"

	"idefics2/checkpoint"
	"idefics2/convert"
	"idefics2/training"
)

var mergeCmd = command{
	name: "merge",
	args: "-adapter DIR [-base nf4] [-dtype keep|f32|f16|bf16] MODEL OUT",
	help: "make an adapter part of its model's weights",
	more: `The adapter is a folder as train leaves it, and as PEFT does: LoRA, rank-stabilised LoRA or DoRA. OUT
becomes a model's folder. A matrix that is stored in 16 bits is rounded to them after the adapter was
added; -dtype f32 answers as the two together do.`,
	examples: []example{
		{"a model that needs no adapter any more", "idefics2 merge -adapter runs/first/adapter HuggingFaceM4/idefics2-8b merged"},
	},
	files: true,
	new: func(f *flags) runFunc {
		var o struct {
			adapter, base, dtype string
			force                bool
			threads              int
		}
		f.group("Merging", func() {
			f.StringVar(&o.adapter, "adapter", "", "`DIR`: adapter_config.json and adapter_model.safetensors")
			f.choiceVar(&o.base, "base", "what the adapter learnt beside: the matrices as they are, or in 4 bits as adapter.base: nf4 had them", "keep", "nf4")
			f.choiceVar(&o.dtype, "dtype", "type of the matrices", "keep", "f32", "f16", "bf16")
			f.BoolVar(&o.force, "force", false, "replace what is there")
			f.IntVar(&o.threads, "threads", 0, "`N`: cores to use; 0 is all")
		})
		return func(ctx context.Context, std stdio, args []string) error {
			switch {
			case o.adapter == "":
				return misused("merge wants -adapter", "the folder of an adapter, such as RUN/adapter")
			case len(args) != 2:
				return misused(fmt.Sprintf("merge wants a model and a folder to make, found %d arguments", len(args)), f.hint())
			case checkpoint.IsFile(args[1]):
				return misused("merge writes a folder", "\"idefics2 convert\" makes a file of it")
			}
			options, err := convertOptions(o.threads, o.force, o.dtype)
			if err != nil {
				return err
			}
			return convertModel(ctx, std, args[0], args[1], options,
				func(ctx context.Context, out string, from *checkpoint.Checkpoint, options convert.Options) error {
					return training.Merge(ctx, from, o.adapter, out, o.base == "nf4", options)
				})
		}
	},
}
