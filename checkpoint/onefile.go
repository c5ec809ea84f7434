package checkpoint

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"idefics2/gguf"
	"idefics2/quant"
	"idefics2/tensor"
)

// A model in one GGUF file (docs/adr/0010): tensors under llama.cpp's names where it has
// them, and the text of every small file of the folder that the model came from, so that it
// is read, and given back, as the folder would be.
const (
	// Architecture is what such a file says it is: no other program reads one with pictures.
	Architecture = "idefics2"
	// LayoutVersion is the value of LayoutKey. Others are refused.
	LayoutVersion = 1
	LayoutKey     = "idefics2.layout_version"
	// PermutedKey tells whether rows of the decoder's q and k are in the order of llama.cpp's
	// rotary embedding. It is false: mapped as they are, they need no copy.
	PermutedKey = "idefics2.rope.permuted"
	// SumsKey has the SHA-256 of every tensor in hex, in the order of the tensors.
	SumsKey = "idefics2.sha256"

	fileKey      = "idefics2.file."
	tokenizerKey = "tokenizer.huggingface.json" // where other programs look for it too
)

// FileKey returns the metadata key of a small file.
func FileKey(name string) string {
	if name == "tokenizer.json" {
		return tokenizerKey
	}
	return fileKey + name
}

// FileNames lists the small files that a model may have: those that are read, and those that
// the reference's tokenizers look for.
func FileNames() []string {
	return []string{
		"config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json",
		"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
		"chat_template.jinja", "chat_template.json",
	}
}

// oneFile is a GGUF file as a source. Its texts were copied, so that it needs no Close.
type oneFile struct {
	path  string
	files map[string][]byte
}

func readFile(path string) (*oneFile, error) {
	g, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	defer g.Close()
	return parseFileOf(path, g)
}

// parseFileOf takes the small files out of g.
func parseFileOf(path string, g *gguf.File) (*oneFile, error) {
	if architecture, err := g.Text("general.architecture"); err != nil || architecture != Architecture {
		return nil, fmt.Errorf("checkpoint: %s: a GGUF file of architecture %.40q, want %q: one that \"idefics2 convert\" or \"idefics2 quantize\" made of the whole model", path, architecture, Architecture)
	}
	if version, err := g.Int(LayoutKey); err != nil || version != LayoutVersion {
		v, _ := g.Value(LayoutKey)
		return nil, fmt.Errorf("checkpoint: %s: %s: found %.20v, want %d; convert the model again", path, LayoutKey, v, LayoutVersion)
	}
	if permuted, err := g.Bool(PermutedKey); err != nil || permuted {
		v, _ := g.Value(PermutedKey)
		return nil, fmt.Errorf("checkpoint: %s: %s: found %.20v, want false; convert the model again", path, PermutedKey, v)
	}
	s := &oneFile{path, map[string][]byte{}}
	for _, name := range FileNames() {
		if _, ok := g.Value(FileKey(name)); !ok {
			continue
		}
		text, err := g.Text(FileKey(name))
		if err != nil {
			return nil, fmt.Errorf("checkpoint: %s: %w", path, err)
		}
		if len(text) > maxJSON {
			return nil, fmt.Errorf("checkpoint: %s: %d bytes, want at most %d", s.at(name), len(text), maxJSON)
		}
		s.files[name] = []byte(text)
	}
	return s, nil
}

func (s *oneFile) at(name string) string { return s.path + ": " + name }

func (s *oneFile) file(name string) ([]byte, error) {
	data, ok := s.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (s *oneFile) weights(c Config) (w opened, err error) {
	g, err := gguf.Open(s.path)
	if err != nil {
		return w, fmt.Errorf("checkpoint: %w", err)
	}
	w.mapped = []mapping{g}
	if w.tensors, err = s.tensors(g, c); err != nil {
		return w, fmt.Errorf("checkpoint: %s: %w", s.path, err)
	}
	return w, nil
}

// tensors gives those of g the names they have in a folder. What the configuration does not
// know gets a name that no model has, and is refused for it.
func (s *oneFile) tensors(g *gguf.File, c Config) (tensors []namedTensor, err error) {
	keys := map[string]string{}
	c.Tied = false // so that a head that is there is known
	for _, t := range c.Tensors() {
		keys[GGUFName(t.Name)] = t.Name
	}
	for _, name := range g.Names() {
		info, _ := g.Tensor(name)
		t := stored{View: tensor.View{Shape: info.Shape, Data: info.Data}, file: filepath.Base(s.path), name: name}
		typ, ok := quant.OfGGUF(uint32(info.Type))
		if !ok {
			return nil, fmt.Errorf("%v: blocks of type %v are not read; convert the model again", t, info.Type)
		}
		t.DType = typ.DType()
		if typ.Block() > 1 {
			t.matrix = blocks{t.View, typ}
		}
		key, ok := keys[name]
		if !ok {
			key = "unknown " + name
		}
		tensors = append(tensors, namedTensor{key, t})
	}
	return tensors, nil
}

// blocks is a matrix of GGUF's blocks.
type blocks struct {
	tensor.View
	quant.Type
}

// Shape returns the number of rows, along all sides but the last, and their length.
func (b blocks) Shape() (out, in int) { return rowsOf(b.View.Shape) }

// DecodeRows writes rows lo to hi to dst.
func (b blocks) DecodeRows(dst []float32, lo, hi int) {
	_, in := b.Shape()
	row, _ := b.Type.Size(in)
	b.Type.Decode(dst, b.Data[lo*row:hi*row])
}

// rowsOf returns how many rows of which length a tensor has, the last side being the row.
func rowsOf(shape []int) (n, length int) {
	n, length = 1, 1
	for i, side := range shape {
		if i < len(shape)-1 {
			n *= side
		} else {
			length = side
		}
	}
	return n, length
}

// ggufNames has the parts of names of transformers and what they become; # is a number.
var ggufNames = []struct{ from, to string }{
	{"model.text_model.embed_tokens.", "token_embd."},
	{"model.text_model.norm.", "output_norm."},
	{"lm_head.", "output."},
	{"model.text_model.layers.#.", "blk.#."},
	{"model.vision_model.embeddings.patch_embedding.", "v.patch_embd."},
	{"model.vision_model.embeddings.position_embedding.", "v.position_embd."},
	{"model.vision_model.post_layernorm.", "v.post_ln."},
	{"model.vision_model.encoder.layers.#.", "v.blk.#."},
	{"model.connector.modality_projection.", "mm."},
	{"model.connector.perceiver_resampler.norm.", "mm.output_norm."},
	{"model.connector.perceiver_resampler.layers.#.", "mm.blk.#."},
	{"model.connector.perceiver_resampler.", "mm."},
}

// ggufParts are those inside a layer, and of the projection.
var ggufParts = []struct{ from, to string }{
	{"input_layernorm.", "attn_norm."}, {"post_attention_layernorm.", "ffn_norm."},
	{"input_latents_norm.", "attn_norm."}, {"input_context_norm.", "context_norm."},
	{"layer_norm1.", "ln1."}, {"layer_norm2.", "ln2."},
	{"self_attn.q_proj.", "attn_q."}, {"self_attn.k_proj.", "attn_k."}, {"self_attn.v_proj.", "attn_v."},
	{"self_attn.o_proj.", "attn_output."}, {"self_attn.out_proj.", "attn_out."},
	{"mlp.gate_proj.", "ffn_gate."}, {"mlp.up_proj.", "ffn_up."}, {"mlp.down_proj.", "ffn_down."},
	{"gate_proj.", "ffn_gate."}, {"up_proj.", "ffn_up."}, {"down_proj.", "ffn_down."},
	{"mlp.fc1.", "ffn_up."}, {"mlp.fc2.", "ffn_down."},
}

// GGUFName returns what a tensor of the model is called in a GGUF file: as llama.cpp calls
// it in the decoder (spec/checkpoint.md §8.4), in the spirit of its multimodal projectors
// elsewhere: v. for the tower, mm. for the projection and the resampler.
func GGUFName(name string) string {
	for _, n := range ggufNames {
		head, tail, numbered := strings.Cut(n.from, "#")
		rest, ok := strings.CutPrefix(name, head)
		if !ok {
			continue
		}
		to := n.to
		if numbered {
			number, after, _ := strings.Cut(rest, ".")
			if _, err := strconv.Atoi(number); err != nil || "."+after == rest {
				continue
			}
			rest = strings.TrimPrefix("."+after, tail)
			to = strings.Replace(to, "#", number, 1)
		}
		for _, p := range ggufParts {
			if last, ok := strings.CutPrefix(rest, p.from); ok {
				return to + p.to + last
			}
		}
		return to + rest
	}
	return name
}
