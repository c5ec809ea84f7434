package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"idefics2/checkpoint"
	"idefics2/internal/terminal"
	"idefics2/tensor"
)

var initCmd = command{
	name: "init",
	args: "-config NAME|FILE [-seed N] [-dtype bf16] [-tokenizer FILE] DIR",
	help: "make a new model of random weights, of any size",
	more: `Without -tokenizer a model of the released vocabulary gets one of its own, in which every
character is a token: enough to ask it, and to train it on little text.`,
	examples: []example{
		{"the released model's geometry, 16.8 GB", "idefics2 init -config idefics2-8b -tokenizer tokenizer.json DIR"},
		{"one to try things out with", "idefics2 init -config tiny -seed 7 -tokenizer tokenizer.json DIR"},
		{"of another model's sizes", "idefics2 init -config OTHER/config.json -dtype f32 DIR"},
	},
	files: true,
	new: func(f *flags) runFunc {
		var o struct {
			config, dtype, tokenizer string
			seed                     uint64
			threads                  int
		}
		f.group("Model", func() {
			f.StringVar(&o.config, "config", "", "`NAME_OR_FILE`: "+presetNames()+", or a config.json, or the folder that holds one")
			f.Uint64Var(&o.seed, "seed", 0, "`N`: of the weights; the same seed gives the same bytes")
			f.choiceVar(&o.dtype, "dtype", "type of the weights", "bf16", "f16", "f32")
			f.StringVar(&o.tokenizer, "tokenizer", "", "`FILE`: tokenizer.json; its configuration is taken from beside it (default: that beside the config.json)")
			f.IntVar(&o.threads, "threads", 0, "`N`: cores to use; 0 is all")
		})
		return func(ctx context.Context, std stdio, args []string) error {
			switch {
			case o.config == "":
				return misused("init wants -config", "one of "+presetNames()+", or a config.json")
			case len(args) != 1:
				return misused(fmt.Sprintf("init wants one folder to write, found %d arguments", len(args)), f.hint())
			}
			blueprint, err := checkpoint.LoadBlueprint(o.config)
			if err != nil {
				return err
			}
			options := checkpoint.InitOptions{Threads: o.threads}
			options.DType = map[string]tensor.DType{"bf16": tensor.BF16, "f16": tensor.F16, "f32": tensor.F32}[o.dtype]
			if options.Files, err = tokenizerFiles(o.tokenizer, o.config); err != nil {
				return err
			}
			if options.Files == nil {
				options.Files = characterTokenizer(blueprint.Config, blueprint.ChatTemplate != "")
			}
			bars := terminal.NewProgress(std.err)
			defer bars.Close()
			options.Progress = func(done, total int64) { bars.Bytes("weights", done, total) }
			std.signal.patience(30 * time.Second) // a folder of many gigabytes is being removed
			if err := checkpoint.Init(ctx, args[0], blueprint, o.seed, options); err != nil {
				return err
			}
			bars.Close()
			fmt.Fprintf(std.err, "idefics2: %s: %s parameters\n", terminal.Clean(args[0]), count(blueprint.Config.Parameters()))
			if options.Files["tokenizer.json"] == nil {
				fmt.Fprintln(std.err, "  without a tokenizer it cannot be asked: copy tokenizer.json and tokenizer_config.json into it, or use -tokenizer")
			}
			return nil
		}
	},
}

func presetNames() string {
	var names []string
	for _, p := range checkpoint.Presets() {
		names = append(names, p[0])
	}
	return strings.Join(names, ", ")
}

// maxTokenizer bounds one file of a tokenizer in bytes.
const maxTokenizer = 64 << 20

// tokenizerFiles reads the tokenizer at path and what lies beside it. Without a path it
// takes that of the configuration's folder, if there is one.
func tokenizerFiles(path, config string) (map[string][]byte, error) {
	asked := path != ""
	if !asked {
		if _, err := os.Stat(config); err != nil {
			return nil, nil // a preset
		}
		path = config
	}
	dir, name := filepath.Split(path)
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.IsDir() || !asked {
		if info.IsDir() {
			dir = path
		}
		name = "tokenizer.json"
	}
	files := map[string][]byte{}
	for _, extra := range []string{"tokenizer_config.json", "special_tokens_map.json", "tokenizer.model", "added_tokens.json"} {
		data, err := readBounded(filepath.Join(dir, extra), maxTokenizer)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[extra] = data
	}
	data, err := readBounded(filepath.Join(dir, name), maxTokenizer)
	if errors.Is(err, fs.ErrNotExist) && !asked {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	files["tokenizer.json"] = data
	return files, nil
}

// readBounded reads a file of at most most bytes.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s: more than %s", path, size(most))
	}
	return data, nil
}
