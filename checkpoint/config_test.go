package checkpoint

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"idefics2/tensor"
)

func parse(t *testing.T, text string) Config {
	t.Helper()
	c, err := ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Defaults depend on whether a part is there (spec/model.md §1.4).
func TestConfigDefaults(t *testing.T) {
	missing := parse(t, `{"model_type":"idefics2"}`)
	want := Config{
		ImageTokenID: 32001,
		Vision:       Vision{768, 3072, 12, 12, 3, 224, 32, GELUTanh, 1e-6},
		Perceiver:    Perceiver{4096, 64, 3, 16, 96, 4, SiLU, 1e-5},
		Text:         Text{32000, 4096, 14336, 32, 32, 8, 128, 32768, SiLU, 1e-5, 1e4, 4096, 1, 0, []int{2}, 0.02},
	}
	if !reflect.DeepEqual(missing, want) {
		t.Errorf("no parts:\ngot  %+v\nwant %+v", missing, want)
	}
	partial := parse(t, `{"model_type":"idefics2","text_config":{"vocab_size":32003}}`)
	want.Text.VocabSize, want.Text.MaxPositions, want.Text.RMSNormEps, want.Text.PAD = 32003, 131072, 1e-6, -1
	want.Perceiver.RMSNormEps = 1e-6 // follows the text's
	if !reflect.DeepEqual(partial, want) {
		t.Errorf("partial text_config:\ngot  %+v\nwant %+v", partial, want)
	}
	if null := parse(t, `{"model_type":"idefics2","text_config":null,"vision_config":null,"perceiver_config":null}`); !reflect.DeepEqual(null, missing) {
		t.Errorf("null parts: %+v", null)
	}
}

func TestConfigFields(t *testing.T) {
	tests := []struct {
		name, json string
		got        func(Config) any
		want       any
	}{
		{"eps said", `"perceiver_config":{"rms_norm_eps":1e-6},"text_config":{"rms_norm_eps":1e-5}`, perceiverEps, 1e-6},
		{"eps not said", `"perceiver_config":{},"text_config":{"rms_norm_eps":1e-5}`, perceiverEps, 1e-5},
		{"eps not said, size said", `"perceiver_config":{"hidden_size":64},"text_config":{"rms_norm_eps":1e-5,"hidden_size":64}`, perceiverEps, 1e-6},
		{"eps said, sizes differ", `"perceiver_config":{"rms_norm_eps":1e-6,"hidden_size":32},"text_config":{"rms_norm_eps":3e-5,"hidden_size":64}`, perceiverEps, 3e-5},
		{"eps said, size not said and differs", `"perceiver_config":{"rms_norm_eps":1e-6},"text_config":{"rms_norm_eps":3e-5,"hidden_size":64}`, perceiverEps, 3e-5},
		{"width is the text's", `"perceiver_config":{"hidden_size":32},"text_config":{"hidden_size":64}`, func(c Config) any { return c.Perceiver.HiddenSize }, 64},
		{"key/value heads null", `"text_config":{"num_attention_heads":16,"num_key_value_heads":null}`, func(c Config) any { return c.Text.KVHeads }, 16},
		{"key/value heads absent", `"text_config":{"num_attention_heads":16}`, func(c Config) any { return c.Text.KVHeads }, 8},
		{"head size null", `"text_config":{"hidden_size":640,"head_dim":null}`, func(c Config) any { return c.Text.HeadDim }, 20},
		{"head size absent", `"text_config":{"hidden_size":640}`, func(c Config) any { return c.Text.HeadDim }, 20},
		{"head size said", `"text_config":{"hidden_size":640,"head_dim":64}`, func(c Config) any { return c.Text.HeadDim }, 64},
		{"window null", `"text_config":{"sliding_window":null}`, window, 0},
		{"window absent", `"text_config":{}`, window, 4096},
		{"window said", `"text_config":{"sliding_window":16}`, window, 16},
		{"tied above", `"tie_word_embeddings":true`, tied, true},
		{"tied in the text", `"text_config":{"tie_word_embeddings":true}`, tied, true},
		{"tied nowhere", `"tie_word_embeddings":false,"text_config":{"tie_word_embeddings":false}`, tied, false},
		{"new dtype", `"dtype":"bfloat16","torch_dtype":"float32"`, storage, tensor.BF16},
		{"old dtype", `"torch_dtype":"float16"`, storage, tensor.F16},
		{"older dtype", `"torch_dtype":"torch.float32"`, storage, tensor.F32},
		{"no dtype", `"torch_dtype":null`, storage, tensor.Invalid},
		{"rope said", `"text_config":{"rope_theta":500,"rope_scaling":null}`, theta, 500.0},
		{"rope of version 5", `"text_config":{"rope_parameters":{"rope_theta":1e6,"rope_type":"default"}}`, theta, 1e6},
		{"rope default", `"text_config":{"rope_scaling":{"type":"default"}}`, theta, 1e4},
		{"end ids", `"text_config":{"eos_token_id":[2,7]}`, func(c Config) any { return c.Text.EOS }, []int{2, 7}},
		{"no ids", `"text_config":{"eos_token_id":null,"bos_token_id":null,"pad_token_id":null}`,
			func(c Config) any { return [3]int{len(c.Text.EOS), c.Text.BOS, c.Text.PAD} }, [3]int{0, -1, -1}},
		{"swish", `"text_config":{"hidden_act":"swish"}`, func(c Config) any { return c.Text.Activation }, SiLU},
		{"gelu", `"vision_config":{"hidden_act":"gelu"}`, func(c Config) any { return c.Vision.Activation }, GELU},
		{"relu", `"perceiver_config":{"hidden_act":"relu"}`, func(c Config) any { return c.Perceiver.Activation }, ReLU},
		{"unknown fields", `"x":{"y":[1,null]},"text_config":{"top_k":50,"sep_token_id":null}`, window, 4096},
		{"base model", `"architectures":["Idefics2Model"]`, window, 4096},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := parse(t, `{"model_type":"idefics2",`+tt.json+`}`)
			if got := tt.got(c); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func perceiverEps(c Config) any { return c.Perceiver.RMSNormEps }
func window(c Config) any       { return c.Text.SlidingWindow }
func tied(c Config) any         { return c.Tied }
func storage(c Config) any      { return c.DType }
func theta(c Config) any        { return c.Text.RopeTheta }

// Every refusal names the field, what was found and what was wanted.
func TestConfigRefuses(t *testing.T) {
	tests := []struct{ json, want string }{
		{``, "text ends"},
		{`[]`, "want an object"},
		{`{"model_type":"idefics2","model_type":"idefics2"}`, "repeated"},
		{`{"model_type":"idefics2","text_config":{"hidden_size":64,"hidden_size":32}}`, "repeated"},
		{`{}`, `model_type: found "", want "idefics2"`},
		{`{"model_type":"llava"}`, `model_type: found "llava"`},
		{`{"model_type":"idefics2","architectures":["LlavaForConditionalGeneration"]}`, "architectures: found [\"Llava"},
		{`{"model_type":"idefics2","architectures":3}`, "architectures: found 3"},
		{`{"model_type":"idefics2","quantization_config":{"quant_method":"eetq"}}`, `quant_method: found "eetq"`},
		{`{"model_type":"idefics2","quantization_config":{}}`, "quantization_config"},
		{`"text_config":{"model_type":"llama"}`, `text_config.model_type: found "llama", want "mistral"`},
		{`"text_config":7`, "text_config: found 7, want an object"},
		{`"text_config":{"hidden_size":0}`, "text_config.hidden_size: found 0, want a whole number from 1"},
		{`"text_config":{"hidden_size":-64}`, "text_config.hidden_size: found -64"},
		{`"text_config":{"hidden_size":64.0}`, "text_config.hidden_size: found 64.0"},
		{`"text_config":{"hidden_size":"64"}`, `text_config.hidden_size: found "64"`},
		{`"text_config":{"hidden_size":null}`, "text_config.hidden_size: found null"},
		{`"text_config":{"hidden_size":1e3}`, "text_config.hidden_size: found 1e3"},
		{`"text_config":{"hidden_size":NaN}`, "text_config.hidden_size: found NaN"},
		{`"text_config":{"hidden_size":99999999999999999999999}`, "text_config.hidden_size: found 99999999999999999999999"},
		{`"text_config":{"num_hidden_layers":1000000}`, "text_config.num_hidden_layers: found 1000000"},
		{`"text_config":{"vocab_size":0}`, "text_config.vocab_size: found 0"},
		{`"text_config":{"rms_norm_eps":NaN}`, "text_config.rms_norm_eps: found NaN"},
		{`"text_config":{"rms_norm_eps":Infinity}`, "text_config.rms_norm_eps: found Infinity"},
		{`"text_config":{"rms_norm_eps":-1e-5}`, "text_config.rms_norm_eps: found -1e-5"},
		{`"text_config":{"rms_norm_eps":0}`, "text_config.rms_norm_eps: found 0"},
		{`"text_config":{"rms_norm_eps":1e999}`, "text_config.rms_norm_eps: found 1e999"},
		{`"text_config":{"rope_theta":0}`, "text_config.rope_theta: found 0"},
		{`"text_config":{"rope_theta":-Infinity}`, "text_config.rope_theta: found -Infinity"},
		{`"text_config":{"rope_scaling":{"rope_type":"yarn","factor":4}}`, `text_config.rope_scaling: found type "yarn"`},
		{`"text_config":{"rope_scaling":{"type":"linear","factor":4}}`, `text_config.rope_scaling: found type "linear"`},
		{`"text_config":{"sliding_window":0}`, "text_config.sliding_window: found 0"},
		{`"text_config":{"sliding_window":-1}`, "text_config.sliding_window: found -1"},
		{`"text_config":{"max_position_embeddings":0}`, "text_config.max_position_embeddings: found 0"},
		{`"text_config":{"num_attention_heads":0}`, "text_config.num_attention_heads: found 0"},
		{`"text_config":{"num_key_value_heads":5}`, "text_config.num_key_value_heads: found 5, want a divisor of num_attention_heads, 32"},
		{`"text_config":{"num_key_value_heads":64}`, "text_config.num_key_value_heads: found 64, want a divisor"},
		{`"text_config":{"head_dim":3}`, "text_config.head_dim: found 3, want an even number"},
		{`"text_config":{"head_dim":0}`, "text_config.head_dim: found 0"},
		{`"text_config":{"hidden_size":16}`, "text_config.head_dim: found 0"},
		{`"text_config":{"num_attention_heads":4096,"num_key_value_heads":1,"head_dim":16384}`, "text_config.head_dim: found 16384"},
		{`"text_config":{"hidden_act":"quick_gelu"}`, `text_config.hidden_act: found "quick_gelu", want silu`},
		{`"text_config":{"hidden_act":3}`, "text_config.hidden_act: found 3"},
		{`"text_config":{"tie_word_embeddings":"yes"}`, `text_config.tie_word_embeddings: found "yes"`},
		{`"text_config":{"eos_token_id":[2,-1]}`, "text_config.eos_token_id: found [2,-1]"},
		{`"text_config":{"bos_token_id":-1}`, "text_config.bos_token_id: found -1"},
		{`"text_config":{"initializer_range":-1}`, "text_config.initializer_range: found -1"},
		{`"vision_config":{"num_channels":1}`, "vision_config.num_channels: found 1, want a whole number from 3 to 3"},
		{`"vision_config":{"hidden_size":70,"num_attention_heads":16}`, "vision_config.hidden_size: found 70, want a multiple of num_attention_heads, 16"},
		{`"vision_config":{"patch_size":0}`, "vision_config.patch_size: found 0"},
		{`"vision_config":{"patch_size":14,"image_size":13}`, "vision_config.patch_size: found 14, want at most image_size, 13"},
		{`"vision_config":{"patch_size":1,"image_size":65536}`, "vision_config.image_size: found 65536"},
		{`"vision_config":{"layer_norm_eps":NaN}`, "vision_config.layer_norm_eps: found NaN"},
		{`"vision_config":{"num_hidden_layers":-3}`, "vision_config.num_hidden_layers: found -3"},
		{`"vision_config":{"hidden_act":"tanh"}`, `vision_config.hidden_act: found "tanh"`},
		{`"perceiver_config":{"num_key_value_heads":32}`, "perceiver_config.num_key_value_heads: found 32, want a divisor of resampler_n_heads, 16"},
		{`"perceiver_config":{"num_key_value_heads":3}`, "perceiver_config.num_key_value_heads: found 3"},
		{`"perceiver_config":{"resampler_n_latents":0}`, "perceiver_config.resampler_n_latents: found 0"},
		{`"perceiver_config":{"resampler_depth":0}`, "perceiver_config.resampler_depth: found 0"},
		{`"perceiver_config":{"resampler_n_heads":4096,"resampler_head_dim":16384}`, "perceiver_config.resampler_head_dim: found 16384"},
		{`"perceiver_config":{"hidden_size":0}`, "perceiver_config.hidden_size: found 0"},
		{`"image_token_id":-1`, "image_token_id: found -1"},
		{`"dtype":"int8"`, `dtype: found "int8", want float32`},
		{`"torch_dtype":"float64"`, `torch_dtype: found "float64"`},
	}
	for _, tt := range tests {
		text := tt.json
		if strings.HasPrefix(text, `"`) {
			text = `{"model_type":"idefics2",` + text + `}`
		}
		c, err := ParseConfig([]byte(text))
		switch {
		case err == nil:
			t.Errorf("%s: accepted as %+v", text, c)
		case !strings.HasPrefix(err.Error(), "checkpoint: config.json: ") || !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %v, want it to say %q", text, err, tt.want)
		}
	}
}

// One error tells all that is wrong.
func TestConfigReportsAll(t *testing.T) {
	_, err := ParseConfig([]byte(`{"model_type":"idefics2","text_config":{"hidden_size":0,"rms_norm_eps":NaN},"vision_config":{"patch_size":-1}}`))
	for _, want := range []string{"text_config.hidden_size", "text_config.rms_norm_eps", "vision_config.patch_size"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want it to name %s", err, want)
		}
	}
}

// The released geometry, by the numbers of spec/model.md §12 and §13.
func TestReleased(t *testing.T) {
	c := Released()
	if n := c.Parameters(); n != 8_402_768_112 {
		t.Errorf("%d parameters, want 8402768112", n)
	}
	tensors := c.Tensors()
	if len(tensors) != 763 {
		t.Errorf("%d tensors, want 763", len(tensors))
	}
	parts := map[string]int64{
		"model.vision_model.":                  417_792_240,
		"model.connector.modality_projection.": 91_750_400,
		"model.connector.perceiver_resampler.": 651_468_800,
		"model.text_model.embed_tokens.":       131_084_288,
		"lm_head.":                             131_084_288,
		"model.text_model.":                    131_084_288 + 6_979_588_096,
	}
	for prefix, want := range parts {
		n := int64(0)
		for _, tensor := range tensors {
			if strings.HasPrefix(tensor.Name, prefix) {
				n += tensor.elements()
			}
		}
		if n != want {
			t.Errorf("%s: %d parameters, want %d", prefix, n, want)
		}
	}
	if c.Vision.Side() != 70 || c.Vision.HeadDim() != 72 || c.Perceiver.IntermediateSize() != 16384 {
		t.Errorf("side %d, head %d, perceiver width %d", c.Vision.Side(), c.Vision.HeadDim(), c.Perceiver.IntermediateSize())
	}
}

// What is written reads as the same configuration.
func TestConfigRoundTrip(t *testing.T) {
	configs := []Config{Released(), parse(t, `{"model_type":"idefics2","tie_word_embeddings":true,
		"text_config":{"sliding_window":null,"eos_token_id":[2,9],"bos_token_id":null,"hidden_act":"gelu","rope_theta":1e6},
		"perceiver_config":{"rms_norm_eps":1e-6},"vision_config":{"hidden_act":"relu"}}`)}
	for _, p := range presets {
		configs = append(configs, p.make().Config)
	}
	for _, want := range configs {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseConfig(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", text, got, err, want)
		}
	}
}

func TestGeneration(t *testing.T) {
	c := Released()
	g, err := ParseGeneration([]byte(`{"_from_model_config":true,"bos_token_id":1,"eos_token_id":[2,32002],"pad_token_id":0,
		"bad_words_ids":[[32000],[32001]],"do_sample":true,"temperature":0.7,"top_p":0.9,"top_k":0,"early_stopping":"never","num_beams":4}`), c)
	if err != nil {
		t.Fatal(err)
	}
	want := Generation{BOS: 1, PAD: 0, EOS: []int{2, 32002}, BadWords: [][]int{{32000}, {32001}},
		Sample: new(true), Temperature: new(0.7), TopP: new(0.9), TopK: new(0), EarlyStopping: new("never"), Beams: new(4)}
	if !reflect.DeepEqual(g, want) {
		t.Errorf("got  %+v\nwant %+v", g, want)
	}
	text, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ParseGeneration(text, Config{}); err != nil || !reflect.DeepEqual(again, g) {
		t.Errorf("written as %s and read as %+v, %v", text, again, err)
	}
	c.Text.BOS, c.Text.EOS, c.Text.PAD = 5, []int{6, 7}, 8
	if g, err := ParseGeneration([]byte(`{}`), c); err != nil || !reflect.DeepEqual(g, DefaultGeneration(c)) || g.EOS[1] != 7 {
		t.Errorf("an empty file: %+v, %v", g, err)
	}
	if g, err := ParseGeneration([]byte(`{"eos_token_id":2,"early_stopping":true}`), c); err != nil || len(g.EOS) != 1 || *g.EarlyStopping != "true" {
		t.Errorf("one end id: %+v, %v", g, err)
	}
	for _, bad := range []string{
		`[]`, `{"eos_token_id":-1}`, `{"eos_token_id":"2"}`, `{"eos_token_id":[[2]]}`, `{"bad_words_ids":[[]]}`, `{"bad_words_ids":[5]}`,
		`{"temperature":NaN}`, `{"temperature":-1}`, `{"top_p":1.5}`, `{"top_k":-1}`, `{"top_k":1.5}`, `{"repetition_penalty":0}`,
		`{"num_beams":0}`, `{"num_beams":100000}`, `{"early_stopping":"maybe"}`, `{"max_new_tokens":0}`, `{"do_sample":1}`, `{"length_penalty":Infinity}`,
	} {
		if g, err := ParseGeneration([]byte(bad), c); err == nil {
			t.Errorf("%s: accepted as %+v", bad, g)
		}
	}
}

func TestPreprocessor(t *testing.T) {
	p, err := ParsePreprocessor([]byte(`{"do_image_splitting":true,"do_pad":false,"size":{"longest_edge":90,"shortest_edge":42},
		"image_mean":[0.1,0.2,0.3],"image_std":0.25,"rescale_factor":0.5,"resample":3,"do_resize":null}`))
	want := DefaultPreprocessor()
	want.Split, want.Pad, want.LongestEdge, want.ShortestEdge = true, false, 90, 42
	want.Mean, want.Std, want.RescaleFactor, want.Resample = [3]float64{0.1, 0.2, 0.3}, [3]float64{0.25, 0.25, 0.25}, 0.5, 3
	if err != nil || p != want {
		t.Errorf("got  %+v, %v\nwant %+v", p, err, want)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ParsePreprocessor(text); again != p || err != nil {
		t.Errorf("written as %s and read as %+v, %v", text, again, err)
	}
	for _, bad := range []string{
		`7`, `{"size":{"longest_edge":0}}`, `{"size":980}`, `{"size":{"shortest_edge":1000000}}`, `{"image_std":0}`, `{"image_std":[0.5,0.5,0]}`,
		`{"image_mean":[0.5,0.5]}`, `{"image_mean":[0.5,0.5,0.5,0.5]}`, `{"image_mean":NaN}`, `{"image_mean":[NaN,1,1]}`, `{"resample":6}`,
		`{"rescale_factor":0}`, `{"rescale_factor":Infinity}`, `{"do_resize":"yes"}`,
	} {
		if p, err := ParsePreprocessor([]byte(bad)); err == nil {
			t.Errorf("%s: accepted as %+v", bad, p)
		}
	}
}

// What is accepted is bounded, and written and read again it is the same.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"model_type":"idefics2"}`))
	f.Add([]byte(`{"model_type":"idefics2","text_config":{"hidden_size":64,"sliding_window":null,"eos_token_id":[1,2]},"torch_dtype":"bfloat16"}`))
	f.Add([]byte(`{"model_type":"idefics2","vision_config":{"image_size":98,"patch_size":14},"perceiver_config":{"rms_norm_eps":NaN}}`))
	f.Add(indent(Released()))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			return
		}
		// Layers are bounded one by one; listing the tensors of millions would only be slow.
		if c.Vision.Layers*c.Text.Layers*c.Perceiver.Depth < 200 {
			if n := c.Parameters(); n <= 0 || n > math.MaxInt64/8 {
				t.Fatalf("%d parameters in %s", n, data)
			}
		}
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseConfig(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if len(c.Text.EOS) == 0 {
			c.Text.EOS, again.Text.EOS = nil, nil
		}
		if !reflect.DeepEqual(again, c) {
			t.Fatalf("%s:\ngot  %+v\nwant %+v", text, again, c)
		}
	})
}

func FuzzGeneration(f *testing.F) {
	f.Add([]byte(`{"eos_token_id":[2,32002],"bad_words_ids":[[1],[2,3]],"early_stopping":"never","temperature":0.5}`))
	f.Add([]byte(`{"eos_token_id":2,"early_stopping":false,"suppress_tokens":[1,2]}`))
	f.Add(indent(released().Generation))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := ParseGeneration(data, Released())
		if err != nil {
			return
		}
		text, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseGeneration(text, Released()); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	})
}

func FuzzPreprocessor(f *testing.F) {
	f.Add(indent(DefaultPreprocessor()))
	f.Add([]byte(`{"image_mean":0.5,"image_std":[1,2,3],"size":{"longest_edge":90}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePreprocessor(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParsePreprocessor(text); again != p || err != nil {
			t.Fatalf("%s: %+v, %v", text, again, err)
		}
	})
}
