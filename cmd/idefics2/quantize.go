package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"idefics2"
	"idefics2/checkpoint"
	"idefics2/convert"
	"idefics2/imatrix"
	"idefics2/internal/terminal"
	"idefics2/quant"
)

var quantizeCmd = command{
	name: "quantize",
	args: "-type q8_0|q6_k|q4_k|q4_0|nf4 [-imatrix FILE] [-keep PATTERN[=TYPE]]… MODEL OUT",
	help: "make one GGUF file of a model, of fewer bits a weight",
	more: `The type is that of the decoder's matrices. Unless -keep says otherwise, the output is q6_k with the
types of 4 bits, and the table of words, the vision tower, the projection and the resampler are
q8_0. Vectors and small tables stay as they are. Rows that are not whole blocks of a type get a
wider one, and a line says so. A run that was ended on the way goes on where it stopped when it
is started again. nf4 makes a folder instead, which transformers reads with bitsandbytes: all linear
layers but the output in NF4 with double quantization.

An importance matrix says how large the inputs of each column of a matrix are, so that the types
q6_k, q4_k and q4_0 err where it costs least. -collect makes one from requests with pictures, in
exact mode; data synth draws some. The file is llama.cpp's, and its own for a Mistral serves too.`,
	examples: []example{
		{"nearly exact, half of bf16", "idefics2 quantize -type q8_0 DIR idefics2-q8.gguf"},
		{"a quarter of bf16", "idefics2 quantize -type q4_k HuggingFaceM4/idefics2-8b idefics2-q4.gguf"},
		{"4 bits, to train adapters beside or for transformers", "idefics2 quantize -type nf4 DIR idefics2-nf4"},
		{"what a type costs", "idefics2 quantize -type q4_k -measure DIR idefics2-q4.gguf"},
		{"an importance matrix of one's own pictures and questions", "idefics2 quantize -collect requests.jsonl -imatrix imatrix.gguf DIR"},
		{"its use", "idefics2 quantize -type q4_k -imatrix imatrix.gguf DIR OUT.gguf"},
		{"what looks at pictures as it is, and one kind of matrix wider", "idefics2 quantize -type q4_k -keep vision -keep '*.down_proj.weight=q6_k' DIR OUT.gguf"},
	},
	files: true,
	new: func(f *flags) runFunc {
		var o struct {
			typ     string
			measure bool
			json    bool
			rules   list
			force   bool
			threads int
			imatrix string
			collect string
		}
		f.group("Quantization", func() {
			f.choiceVar(&o.typ, "type", "type of the decoder's matrices", "q8_0", "q6_k", "q4_k", "q4_0", "nf4")
			f.Var(&o.rules, "keep", "`PATTERN[=TYPE]`: store what matches as TYPE, or as it is; may be given again, and the first that matches counts. A pattern is "+
				strings.Join(convert.Parts(), ", ")+", or a tensor's name with * in it")
			f.StringVar(&o.imatrix, "imatrix", "", "`FILE`: the importance of columns")
			f.StringVar(&o.collect, "collect", "", "`REQUESTS.jsonl`: make the -imatrix FILE from these, as ask -batch takes them; then OUT.gguf, where one is given")
			f.BoolVar(&o.force, "force", false, "replace what is there")
			f.IntVar(&o.threads, "threads", 0, "`N`: cores to use; 0 is all")
		})
		f.group("Measurement", func() {
			f.BoolVar(&o.measure, "measure", false, "tell how far OUT.gguf, which is made unless it is there, predicts from MODEL in exact mode, over prompts with pictures; both are in memory")
			f.BoolVar(&o.json, "json", false, "print the measurement as one JSON object")
		})
		return func(ctx context.Context, std stdio, args []string) error {
			switch {
			case o.collect != "" && o.imatrix == "":
				return misused("quantize -collect wants -imatrix FILE to write to", f.hint())
			case o.collect != "" && len(args) == 1:
				return collectImportance(ctx, std, args[0], o.collect, o.imatrix, o.threads)
			case len(args) != 2:
				return misused(fmt.Sprintf("quantize wants a model and a file to write, found %d arguments", len(args)), f.hint())
			case o.typ == "nf4" && (o.measure || o.imatrix != "" || len(o.rules) > 0 || checkpoint.IsFile(args[1])):
				return misused("nf4 makes a folder, as bitsandbytes does, of all linear layers but the output; -keep, -imatrix and -measure are of GGUF files", "quantize -type nf4 MODEL OUT")
			case o.typ == "nf4":
				return convertModel(ctx, std, args[0], args[1], convert.Options{Threads: o.threads, Force: o.force}, convert.NF4Folder)
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
			if o.json && !o.measure {
				return misused("quantize -json prints a measurement", "add -measure")
			}
			if _, err := os.Stat(args[1]); err == nil && o.measure && !o.force {
				return printDivergence(ctx, std, args[0], args[1], o.threads, o.json)
			}
			options := convert.Options{Type: convert.Quantized(typ, rules), Threads: o.threads, Force: o.force}
			if o.collect != "" {
				if err := collectImportance(ctx, std, args[0], o.collect, o.imatrix, o.threads); err != nil {
					return err
				}
			}
			if o.imatrix != "" {
				if options.Importance, err = imatrix.Open(o.imatrix); err != nil {
					return err
				}
			}
			if err := convertModel(ctx, std, args[0], args[1], options, convert.GGUF); err != nil || !o.measure {
				return err
			}
			return printDivergence(ctx, std, args[0], args[1], o.threads, o.json)
		}
	},
}

// printDivergence prints how far a file's predictions are from those of the model that it was made of.
func printDivergence(ctx context.Context, std stdio, model, file string, threads int, asJSON bool) error {
	bars := terminal.NewProgress(std.err)
	defer bars.Close()
	exact, err := openExact(ctx, std, bars, model, threads)
	if err != nil {
		return err
	}
	defer closeModel(ctx, exact)
	m := &modelFlags{model: file, options: idefics2.Options{Threads: threads}}
	other, err := m.open(ctx, std, bars)
	if err != nil {
		return err
	}
	defer closeModel(ctx, other)
	prompts, err := idefics2.DivergencePrompts()
	if err != nil {
		return err
	}
	total, err := idefics2.Diverge(ctx, exact, other, prompts)
	if err != nil {
		return err
	}
	bars.Close()
	if asJSON {
		return writeJSON(std.out, total)
	}
	w := &printer{w: std.out}
	w.printf("divergence        %.3g nats a token, 99th percentile %.3g, most %.3g\n", total.KLMean, total.KL99, total.KLMax)
	w.printf("largest difference of a logit %.3g\n", total.LogitMax)
	w.printf("same first choice %.2f %%\n", 100*total.Top1)
	w.printf("perplexity        %.5g, %.4f times that of exact mode\n", total.Perplexity*total.PerplexityRatio, total.PerplexityRatio)
	w.printf("over              %d tokens of text in %d prompts with pictures\n", total.Tokens, total.Prompts)
	return w.err
}
