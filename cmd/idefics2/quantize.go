package main

import (
	"context"
	"fmt"
	"strings"

	"idefics2/checkpoint"
	"idefics2/convert"
	"idefics2/quant"
)

var quantizeCmd = command{
	name: "quantize",
	args: "-type q8_0|q6_k|q4_k|q4_0 [-keep PATTERN[=TYPE]]… MODEL OUT.gguf",
	help: "make one GGUF file of a model, of fewer bits a weight",
	more: `The type is that of the decoder's matrices. Unless -keep says otherwise, the output is q6_k with the
types of 4 bits, and the table of words, the vision tower, the projection and the resampler are
q8_0. Vectors and small tables stay as they are. Rows that are not whole blocks of a type get a
wider one, and a line says so. A run that was ended on the way goes on where it stopped when it
is started again.`,
	examples: []example{
		{"nearly exact, half of bf16", "idefics2 quantize -type q8_0 DIR idefics2-q8.gguf"},
		{"a quarter of bf16", "idefics2 quantize -type q4_k HuggingFaceM4/idefics2-8b idefics2-q4.gguf"},
		{"what looks at pictures as it is, and one kind of matrix wider", "idefics2 quantize -type q4_k -keep vision -keep '*.down_proj.weight=q6_k' DIR OUT.gguf"},
	},
	files: true,
	new: func(f *flags) runFunc {
		var o struct {
			typ     string
			rules   list
			force   bool
			threads int
		}
		f.group("Quantization", func() {
			f.choiceVar(&o.typ, "type", "type of the decoder's matrices", "q8_0", "q6_k", "q4_k", "q4_0")
			f.Var(&o.rules, "keep", "`PATTERN[=TYPE]`: store what matches as TYPE, or as it is; may be given again, and the first that matches counts. A pattern is "+
				strings.Join(convert.Parts(), ", ")+", or a tensor's name with * in it")
			f.BoolVar(&o.force, "force", false, "replace what is there")
			f.IntVar(&o.threads, "threads", 0, "`N`: cores to use; 0 is all")
		})
		return func(ctx context.Context, std stdio, args []string) error {
			switch {
			case len(args) != 2:
				return misused(fmt.Sprintf("quantize wants a model and a file to write, found %d arguments", len(args)), f.hint())
			case !checkpoint.IsFile(args[1]):
				return misused(fmt.Sprintf("quantize writes a GGUF file, and %q does not end in .gguf", args[1]), f.hint())
			}
			typ, err := quant.ParseType(o.typ)
			if err != nil {
				return err
			}
			var rules []convert.Rule
			for _, text := range o.rules {
				r, err := convert.ParseRule(text)
				if err != nil {
					return misused(err.Error(), f.hint())
				}
				rules = append(rules, r)
			}
			options := convert.Options{Type: convert.Quantized(typ, rules), Threads: o.threads, Force: o.force}
			return convertModel(ctx, std, args[0], args[1], options, convert.GGUF)
		}
	},
}
