// Package worked is the small model that the specification works in numbers, for tests.
package worked

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"idefics2/checkpoint"
	"idefics2/input"
	"idefics2/safetensors"
	"idefics2/tensor"
)

// config is the model that spec/model.md §15 works in numbers.
const config = `{"architectures":["Idefics2ForConditionalGeneration"],"model_type":"idefics2","image_token_id":9,
"vision_config":{"hidden_size":8,"intermediate_size":12,"num_hidden_layers":2,"num_attention_heads":2,"image_size":56,"patch_size":14},
"perceiver_config":{"hidden_size":8,"resampler_n_latents":2,"resampler_depth":2,"resampler_n_heads":2,"resampler_head_dim":3,"num_key_value_heads":1,"rms_norm_eps":1e-6},
"text_config":{"vocab_size":16,"hidden_size":8,"intermediate_size":12,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,
"rms_norm_eps":1e-5,"sliding_window":4,"rope_theta":10000,"pad_token_id":0}}`

// Folder makes that model's folder: a formula gives every weight, so no file is needed.
func Folder(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(dir string) error {
	parsed, err := checkpoint.ParseConfig([]byte(config))
	if err != nil {
		return err
	}
	var entries []safetensors.Entry
	for _, want := range parsed.Tensors() {
		entries = append(entries, safetensors.Entry{Name: want.Name, DType: tensor.F32, Shape: want.Shape})
	}
	sort.Slice(entries, func(i, k int) bool { return entries[i].Name < entries[k].Name })
	w, err := safetensors.Create(filepath.Join(dir, "model.safetensors"), entries, nil)
	if err != nil {
		return err
	}
	defer w.Abort()
	for t, e := range entries {
		n := 1
		for _, side := range e.Shape {
			n *= side
		}
		data := make([]byte, 0, 4*n)
		for k := range n {
			v := 0.3 * math.Sin(float64(0.7*float64(k))+float64(t))
			if strings.Contains(e.Name, "norm") && strings.HasSuffix(e.Name, ".weight") {
				v = 1 + 0.1*math.Sin(float64(0.7*float64(k))+float64(t))
			}
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
		}
		if err := w.Write(e.Name, data); err != nil {
			return err
		}
	}
	return w.Commit()
}

// Input is the worked prompt: one image of 2 × 3 patches between words. Released
// says which rule gives its position ids: the released one, or that of transformers 4.57.
func Input(released bool) *input.Input {
	const height, width, patch = 28, 42, 14
	c := input.Crop{Rows: 2, Columns: 3}
	for y := range c.Rows {
		for x := range c.Columns {
			for channel := range 3 {
				for a := range patch {
					for b := range patch {
						k := channel*height*width + (y*patch+a)*width + x*patch + b
						c.Patches = append(c.Patches, float32(math.Sin(float64(0.1*float64(k)))))
					}
				}
			}
		}
	}
	c.Positions = []int32{0, 1, 2, 4, 5, 6}
	if released {
		c.Positions = []int32{0, 1, 2, 8, 9, 10}
	}
	return &input.Input{IDs: []int32{1, 8, 9, 9, 8, 5, 6}, Crops: []input.Crop{c}}
}
