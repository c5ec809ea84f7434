package checkpoint

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"idefics2/safetensors"
	"idefics2/tensor"
)

// Weights depend on the seed alone: not on threads, nor on how they are dealt to files.
func TestInitDeterministic(t *testing.T) {
	want := contents(t, newFolder(t, micro(), InitOptions{Threads: 1}))
	for name, opt := range map[string]InitOptions{
		"3 threads": {Threads: 3},
		"shards":    {ShardSize: 1000, Threads: 2},
	} {
		if !same(contents(t, newFolder(t, micro(), opt)), want) {
			t.Errorf("%s: other weights", name)
		}
	}
	// The same on every machine. A change here changes every model made from a seed.
	sum := sha256.New()
	for _, name := range sortedKeys(want) {
		sum.Write(want[name].Data)
	}
	const recorded = "30f4cd13feefa657047ee364723c6a8a6093d75fd645f751712d06b2facf6e39"
	if got := fmt.Sprintf("%x", sum.Sum(nil)); got != recorded {
		t.Errorf("weights of seed 1 hash to %s, want %s", got, recorded)
	}
}

// A 16-bit model is the float32 one, rounded.
func TestInitTypes(t *testing.T) {
	want := contents(t, newFolder(t, micro(), InitOptions{}))
	for dtype, tolerance := range map[tensor.DType]float64{tensor.F16: 1.0 / 2048, tensor.BF16: 1.0 / 256} {
		for name, v := range contents(t, newFolder(t, micro(), InitOptions{DType: dtype})) {
			if v.DType != dtype {
				t.Fatalf("%s is %v, want %v", name, v.DType, dtype)
			}
			exact := want[name].Floats()
			for i, x := range v.Floats() {
				if d := math.Abs(float64(x - exact[i])); d > tolerance*math.Abs(float64(exact[i]))+1e-7 {
					t.Fatalf("%s[%d] = %v, want %v", name, i, x, exact[i])
				}
			}
		}
	}
}

// Gains are one, biases and the padding row zero, everything else is noise.
func TestInitValues(t *testing.T) {
	b := micro()
	b.Config.Text.VocabSize, b.Config.Text.PAD = 3000, 2
	all := contents(t, newFolder(t, b, InitOptions{}))
	for name, v := range all {
		x := v.Floats()
		zero, one := 0, 0
		for _, v := range x {
			switch v {
			case 0:
				zero++
			case 1:
				one++
			}
		}
		switch {
		case strings.HasSuffix(name, ".bias"):
			if zero != len(x) {
				t.Errorf("%s = %v, want zeros", name, x)
			}
		case strings.Contains(name, "norm"):
			if one != len(x) {
				t.Errorf("%s = %v, want ones", name, x)
			}
		case name == embedTokens:
			for i, v := range x {
				if (v == 0) != (i/8 == 2) {
					t.Errorf("%s[%d,%d] = %v", name, i/8, i%8, v)
				}
			}
		default:
			if zero+one > 0 {
				t.Errorf("%s has %d zeros and %d ones", name, zero, one)
			}
		}
	}
	var square float64
	for _, v := range all[lmHead].Floats() {
		square += float64(v) * float64(v)
	}
	if std := math.Sqrt(square / 24000); math.Abs(std-0.02) > 0.0004 {
		t.Errorf("standard deviation %v, want 0.02", std)
	}
}

// The folder has everything that a model needs, and what the caller added.
func TestInitFolder(t *testing.T) {
	b := micro()
	var last, total int64
	dir := newFolder(t, b, InitOptions{
		DType: tensor.BF16, ShardSize: 1000,
		Files:    map[string][]byte{"tokenizer.json": []byte("{}")},
		Progress: func(done, all int64) { last, total = done, all },
	})
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if want := 2 * b.Config.Parameters(); last != want || total != want || c.Bytes() != want {
		t.Errorf("progress ended at %d of %d, %d bytes stored, want %d", last, total, c.Bytes(), want)
	}
	if c.ChatTemplate != ReleasedChatTemplate || !c.Preprocessor.Split || c.ImageSeqLen != 2 || c.Config.DType != tensor.BF16 {
		t.Errorf("folder: %+v", c.Folder)
	}
	if text, err := c.File("tokenizer.json"); string(text) != "{}" {
		t.Errorf("tokenizer.json: %q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(dir, indexFile)); err != nil {
		t.Error(err)
	}
}

// Whatever ends it, no half folder is left: neither under the name nor beside it.
func TestInitLeavesNothing(t *testing.T) {
	full := func(w *safetensors.Writer, name string, p []byte, offset int64) error {
		if name == embedTokens {
			return fmt.Errorf("safetensors: %q: %w", name, syscall.ENOSPC)
		}
		return w.WriteAt(name, p, offset)
	}
	for name, empty := range map[string]bool{"new name": false, "empty folder": true} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "model")
			if empty {
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := Init(t.Context(), dir, micro(), 1, InitOptions{writeAt: full, ShardSize: 1000}); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("full disk: %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			stop := func(done, total int64) {
				if done > total/2 {
					cancel()
				}
			}
			if err := Init(ctx, dir, micro(), 1, InitOptions{Progress: stop}); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
			entries, err := os.ReadDir(parent)
			if err != nil || len(entries) > 1 || (len(entries) == 1) != empty {
				t.Errorf("left behind: %v, %v", entries, err)
			}
			if err := Init(t.Context(), dir, micro(), 1, InitOptions{}); err != nil {
				t.Errorf("at last: %v", err)
			}
			if _, err := ReadFolder(dir); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestInitRefuses(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "model")
	change := func(f func(*Config)) Blueprint {
		b := micro()
		f(&b.Config)
		return b
	}
	huge := released()
	huge.Config.Text.Layers, huge.Config.Text.HiddenSize, huge.Config.Perceiver.HiddenSize = 4096, 1<<19, 1<<19
	used := filepath.Join(parent, "used")
	if err := os.Mkdir(used, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(used, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		dir  string
		b    Blueprint
		opt  InitOptions
		want string
	}{
		{"used folder", used, micro(), InitOptions{}, "exists and is not empty (mine)"},
		{"no parent", filepath.Join(dir, "a"), micro(), InitOptions{}, "the folder to make it in"},
		{"a file", filepath.Join(used, "mine"), micro(), InitOptions{}, "mine"},
		{"type", dir, micro(), InitOptions{DType: tensor.I8}, "I8, want F32, F16 or BF16"},
		{"shard size", dir, micro(), InitOptions{ShardSize: -1}, "ShardSize -1"},
		{"file outside", dir, micro(), InitOptions{Files: map[string][]byte{"../x": nil}}, "want a plain name"},
		{"file of ours", dir, micro(), InitOptions{Files: map[string][]byte{"config.json": nil}}, "none that Init writes"},
		{"weights", dir, micro(), InitOptions{Files: map[string][]byte{"model.safetensors": nil}}, "none that Init writes"},
		{"zero", dir, change(func(c *Config) { c.Vision.PatchSize = 0 }), InitOptions{}, "patch_size: found 0"},
		{"NaN", dir, change(func(c *Config) { c.Text.RMSNormEps = math.NaN() }), InitOptions{}, "NaN"},
		{"activation", dir, change(func(c *Config) { c.Text.Activation = 0 }), InitOptions{}, "text_config.hidden_act"},
		{"image token", dir, change(func(c *Config) { c.ImageTokenID = 16 }), InitOptions{}, "image_token_id: found 16, want less than vocab_size, 16"},
		{"no room", dir, huge, InitOptions{}, "free some, or choose another folder"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Init(t.Context(), tt.dir, tt.b, 1, tt.opt)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "checkpoint: ") {
				t.Errorf("error %v, want it to say %q", err, tt.want)
			}
		})
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// The released geometry makes four files of at most 5 GB in 16 bits, seven in 32.
func TestInitShardsReleased(t *testing.T) {
	for dtype, want := range map[tensor.DType]int{tensor.BF16: 4, tensor.F32: 7} {
		n := newModel{Blueprint: released(), InitOptions: InitOptions{DType: dtype, ShardSize: 5e9}}
		shards := n.shards()
		if len(shards) != want {
			t.Errorf("%v: %d shards, want %d", dtype, len(shards), want)
		}
		tensors := 0
		for _, shard := range shards {
			size := int64(0)
			for _, x := range shard {
				size += x.elements() * int64(dtype.Bits()/8)
			}
			if size > 5e9 {
				t.Errorf("%v: a shard of %d bytes", dtype, size)
			}
			tensors += len(shard)
		}
		if tensors != 763 {
			t.Errorf("%v: %d tensors", dtype, tensors)
		}
	}
}
