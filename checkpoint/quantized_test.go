package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"idefics2/internal/half"
	"idefics2/quant"
	"idefics2/safetensors"
	"idefics2/tensor"
)

// quantizedFolder rewrites a recorded checkpoint: each linear layer of the decoder becomes
// the tensors that store makes of its matrix, by ending, and config.json says so.
func quantizedFolder(t *testing.T, config string, store func(out, in int, x []float32) map[string]tensor.View) string {
	t.Helper()
	from := filepath.Join("..", "testdata", "golden", "tiny", "checkpoint")
	source, err := safetensors.Open(filepath.Join(from, singleFile))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	tensors := map[string]tensor.View{}
	for _, name := range source.Names() {
		v, _ := source.View(name)
		module, ok := strings.CutSuffix(name, ".weight")
		if !ok || !strings.Contains(name, "text_model.layers.") || !strings.HasSuffix(module, "_proj") {
			tensors[name] = v
			continue
		}
		for ending, part := range store(v.Shape[0], v.Shape[1], v.Floats()) {
			tensors[module+"."+ending] = part
		}
	}

	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	fields["quantization_config"] = json.RawMessage(config)
	if text, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	writeTensors(t, filepath.Join(dir, singleFile), tensors)
	return dir
}

func writeTensors(t *testing.T, path string, tensors map[string]tensor.View) {
	t.Helper()
	var entries []safetensors.Entry
	for name, v := range tensors {
		entries = append(entries, safetensors.Entry{Name: name, DType: v.DType, Shape: v.Shape})
	}
	w, err := safetensors.Create(path, entries, map[string]string{"format": "pt"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for name, v := range tensors {
		if err := w.Write(name, v.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func words32(values []uint32, shape ...int) tensor.View {
	v := tensor.View{DType: tensor.I32, Shape: shape}
	for _, w := range values {
		v.Data = binary.LittleEndian.AppendUint32(v.Data, w)
	}
	return v
}

// roundTo4 rounds a matrix [out, in] to codes from 0 to 15 around 8, with a scale for each
// output: one group of all inputs.
func roundTo4(out, in int, x []float32) (codes []uint32, scales tensor.View) {
	codes = make([]uint32, out*in)
	scales = tensor.View{DType: tensor.F16, Shape: []int{1, out}}
	for k := range out {
		row := x[k*in : (k+1)*in]
		most := float32(0)
		for _, v := range row {
			most = max(most, float32(math.Abs(float64(v))))
		}
		h := half.F32ToF16(most / 7)
		scales.Data = binary.LittleEndian.AppendUint16(scales.Data, h)
		for i, v := range row {
			codes[k*in+i] = uint32(min(max(math.Round(float64(v/half.F16ToF32(h)))+8, 0), 15))
		}
	}
	return codes, scales
}

func storeAWQ(out, in int, x []float32) map[string]tensor.View {
	codes, scales := roundTo4(out, in, x)
	place := [8]int{0, 4, 1, 5, 2, 6, 3, 7} // nibble of column k mod 8 (spec/checkpoint.md §6.3)
	words := make([]uint32, in*out/8)
	for k := range out {
		for i := range in {
			words[i*out/8+k/8] |= codes[k*in+i] << (4 * place[k%8])
		}
	}
	zeros := slices.Repeat([]uint32{0x88888888}, out/8)
	return map[string]tensor.View{"qweight": words32(words, in, out/8), "qzeros": words32(zeros, 1, out/8), "scales": scales}
}

func storeGPTQ(out, in int, x []float32) map[string]tensor.View {
	codes, scales := roundTo4(out, in, x)
	words := make([]uint32, in/8*out)
	for k := range out {
		for i := range in {
			words[i/8*out+k] |= codes[k*in+i] << (4 * (i % 8))
		}
	}
	zeros := slices.Repeat([]uint32{0x77777777}, out/8)
	return map[string]tensor.View{"qweight": words32(words, in/8, out), "qzeros": words32(zeros, 1, out/8), "scales": scales,
		"g_idx": words32(make([]uint32, in), in)}
}

func storeInt8(out, in int, x []float32) map[string]tensor.View {
	codes := tensor.View{DType: tensor.I8, Shape: []int{out, in}}
	scales := tensor.View{DType: tensor.F32, Shape: []int{out}}
	for k := range out {
		row := x[k*in : (k+1)*in]
		most := float32(0)
		for _, v := range row {
			most = max(most, float32(math.Abs(float64(v))))
		}
		scales.Data = binary.LittleEndian.AppendUint32(scales.Data, math.Float32bits(most))
		for _, v := range row {
			codes.Data = append(codes.Data, byte(int8(math.Round(float64(v/most*127)))))
		}
	}
	return map[string]tensor.View{"weight": codes, "SCB": scales, "weight_format": {DType: tensor.U8, Data: []byte{0}}}
}

func storeNF4(t *testing.T, o quant.NF4Options) func(out, in int, x []float32) map[string]tensor.View {
	return func(out, in int, x []float32) map[string]tensor.View {
		m, err := quant.EncodeNF4(x, out, in, o)
		if err != nil {
			t.Fatal(err)
		}
		tensors := map[string]tensor.View{}
		for _, p := range m.Parts() {
			tensors[p.Ending] = p.View
		}
		return tensors
	}
}

const nf4Config = `{"quant_method":"bitsandbytes","load_in_4bit":true,"bnb_4bit_quant_type":"nf4"}`

// Every format opens, and gives back nearly the matrices that were stored in it.
func TestQuantizedFolders(t *testing.T) {
	plain, err := Open(filepath.Join("..", "testdata", "golden", "tiny", "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	tests := []struct {
		format, config string
		store          func(out, in int, x []float32) map[string]tensor.View
		dtype          tensor.DType
		most           float64 // relative error
	}{
		{"NF4", nf4Config, storeNF4(t, quant.NF4Options{Double: true}), tensor.F32, 0.11},
		{"NF4", nf4Config, storeNF4(t, quant.NF4Options{DType: tensor.BF16}), tensor.BF16, 0.11},
		{"INT8", `{"quant_method":"bitsandbytes","load_in_4bit":false,"load_in_8bit":true}`, storeInt8, tensor.F32, 0.01},
		{"AWQ", `{"quant_method":"awq","bits":4,"group_size":-1,"version":"GEMM","zero_point":true}`, storeAWQ, tensor.F32, 0.2},
		{"GPTQ", `{"quant_method":"gptq","bits":4,"group_size":-1,"desc_act":false,"sym":true}`, storeGPTQ, tensor.F32, 0.2},
	}
	for _, tt := range tests {
		t.Run(tt.format+" "+tt.dtype.String(), func(t *testing.T) {
			dir := quantizedFolder(t, tt.config, tt.store)
			c, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if !slices.Equal(c.Names(), plain.Names()) {
				t.Fatalf("%d names, want %d", len(c.Names()), len(plain.Names()))
			}
			if c.Bytes() >= plain.Bytes() {
				t.Errorf("%d bytes, and %d as floats", c.Bytes(), plain.Bytes())
			}
			for _, name := range c.Names() {
				exact, _ := plain.View(name)
				s, ok := c.Stored(name)
				if !ok || !slices.Equal(s.Shape, exact.Shape) {
					t.Fatalf("%s: %+v, want shape %v", name, s, exact.Shape)
				}
				v, err := c.Take(name, exact.Shape...)
				if err != nil {
					t.Fatal(err)
				}
				if _, raw := c.View(name); raw != (s.Format != tt.format) {
					t.Errorf("%s: %s has a view: %v", name, s.Format, raw)
				}
				var d quant.Deviation
				d.Add(exact.Floats(), v.Floats())
				if s.Format == tt.format && (v.DType != tt.dtype || d.Relative() > tt.most || d.Relative() == 0) || s.Format != tt.format && d.Max() != 0 {
					t.Errorf("%s: %s decoded as %v, relative error %.3g", name, s.Format, v.DType, d.Relative())
				}
			}
			if err := c.Finish(); err != nil {
				t.Error(err)
			}
			checkKept(t, dir, tt.format)
		})
	}
}

// checkKept takes the matrices of a folder as codes, which decode to the same values.
func checkKept(t *testing.T, dir, format string) {
	t.Helper()
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.KeepCodes = true
	for _, name := range c.Names() {
		s, _ := c.Stored(name)
		v, m, err := c.TakeMatrix(name, s.Shape...)
		if err != nil || (m != nil) != (s.Format == format) {
			t.Fatalf("%s: %s kept as %T, %v", name, s.Format, m, err)
		}
		if m == nil {
			if v.Data == nil {
				t.Errorf("%s: neither values nor codes", name)
			}
			continue
		}
		got, want := make([]float32, s.Shape[0]*s.Shape[1]), make([]float32, s.Shape[0]*s.Shape[1])
		m.DecodeRows(got, 0, s.Shape[0])
		c.DecodeRows(name, want, 0, s.Shape[0])
		if !slices.Equal(got, want) {
			t.Errorf("%s: other values", name)
		}
	}
	if err := c.Finish(); err != nil {
		t.Error(err)
	}
}

// DecodeTo halves the memory of decoded matrices and leaves everything else.
func TestDecodeTo(t *testing.T) {
	c, err := Open(quantizedFolder(t, nf4Config, storeNF4(t, quant.NF4Options{})))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.DecodeTo = tensor.BF16
	v, err := c.Take("model.text_model.layers.0.mlp.up_proj.weight", -1, -1)
	if err != nil || v.DType != tensor.BF16 || len(v.Data) != 2*v.Len() {
		t.Errorf("%v %v in %d bytes, %v", v.DType, v.Shape, len(v.Data), err)
	}
	if _, err := c.Take("model.text_model.layers.0.mlp.up_proj.weight", -1, -1); err == nil || !strings.Contains(err.Error(), "taken twice") {
		t.Error(err)
	}
	v, err = c.Take("model.text_model.norm.weight", -1)
	if err != nil || v.DType != tensor.F32 {
		t.Errorf("%v, %v", v.DType, err)
	}
}

// Parts that are missing or do not fit are refused when the folder is opened.
func TestQuantizedRefused(t *testing.T) {
	const layer = "model.text_model.layers.0.self_attn.q_proj."
	tests := []struct {
		name   string
		config string
		change func(map[string]tensor.View)
		want   string
	}{
		{"not said", `null`, func(map[string]tensor.View) {}, "not part of the model"},
		{"as another method", `{"quant_method":"gptq","bits":4}`, func(map[string]tensor.View) {}, "not part of the model"},
		{"no state", nf4Config, func(m map[string]tensor.View) { delete(m, layer+"weight.quant_state.bitsandbytes__nf4") }, "saved before 2024"},
		{"no absmax", nf4Config, func(m map[string]tensor.View) { delete(m, layer+"weight.absmax") }, "no weight.absmax"},
		{"no table", nf4Config, func(m map[string]tensor.View) { delete(m, layer+"weight.quant_map") }, "of another shape"},
		{"fp4 beside", nf4Config, func(m map[string]tensor.View) {
			m[layer+"weight.quant_state.bitsandbytes__fp4"] = tensor.View{DType: tensor.U8, Shape: []int{1}, Data: []byte("x")}
		}, "quantized as fp4 and as nf4"},
		{"of no module", nf4Config, func(m map[string]tensor.View) {
			for name, v := range maps.Clone(m) {
				if rest, ok := strings.CutPrefix(name, layer); ok {
					m["model.elsewhere."+rest] = v
				}
			}
		}, `not part of the model: "model.elsewhere.weight.quant_map"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := quantizedFolder(t, tt.config, storeNF4(t, quant.NF4Options{}))
			path := filepath.Join(dir, singleFile)
			f, err := safetensors.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			tensors := map[string]tensor.View{}
			for _, name := range f.Names() {
				tensors[name], _ = f.View(name)
			}
			tt.change(tensors)
			writeTensors(t, path, tensors)
			f.Close()
			c, err := Open(dir)
			if err == nil {
				c.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestQuantizationConfig(t *testing.T) {
	parse := func(text string) (Quantization, error) {
		c, err := ParseConfig([]byte(fmt.Sprintf(`{"model_type":"idefics2","quantization_config":%s}`, text)))
		return c.Quantization, err
	}
	good := []struct {
		json string
		want Quantization
	}{
		{`null`, Quantization{}},
		{nf4Config, Quantization{Method: "bitsandbytes", Bits: 4}},
		{`{"quant_method":"bitsandbytes","load_in_8bit":true,"bnb_4bit_quant_type":"fp4"}`, Quantization{Method: "bitsandbytes", Bits: 8}},
		{`{"quant_method":"awq","bits":4,"group_size":64,"version":"gemm","modules_to_not_convert":["vision_model"]}`, Quantization{Method: "awq", Bits: 4, GroupSize: 64}},
		{`{"quant_method":"gptq","bits":4,"group_size":-1,"checkpoint_format":"gptq_v2"}`, Quantization{Method: "gptq", Bits: 4, GroupSize: -1, V2: true}},
	}
	for _, tt := range good {
		if got, err := parse(tt.json); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", tt.json, got, err, tt.want)
		}
	}
	bad := []struct{ json, want string }{
		{`{}`, `quantization_config.quant_method: found ""`},
		{`{"quant_method":"hqq"}`, `quantization_config.quant_method: found "hqq", want bitsandbytes, awq or gptq`},
		{`{"quant_method":"bitsandbytes"}`, "load_in_4bit: found false, and load_in_8bit false"},
		{`{"quant_method":"bitsandbytes","load_in_4bit":true,"load_in_8bit":true}`, "want one of them true"},
		{`{"quant_method":"bitsandbytes","load_in_4bit":true,"bnb_4bit_quant_type":"nf4","bnb_4bit_quant_storage":"bfloat16"}`, "bnb_4bit_quant_storage"},
		{`{"quant_method":"awq","bits":8}`, "quantization_config.bits: found 8"},
		{`{"quant_method":"awq","version":"gemv"}`, `version: found "gemv", want gemm`},
		{`{"quant_method":"awq","backend":"llm-awq"}`, "backend"},
		{`{"quant_method":"awq","zero_point":false}`, "zero_point: found false"},
		{`{"quant_method":"gptq","bits":3}`, "bits: found 3"},
		{`{"quant_method":"gptq","checkpoint_format":"marlin"}`, `checkpoint_format: found "marlin", want gptq or gptq_v2`},
		{`{"quant_method":"gptq","group_size":-7}`, "group_size: found -7"},
	}
	for _, tt := range bad {
		if _, err := parse(tt.json); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.json, err, tt.want)
		}
	}
}
