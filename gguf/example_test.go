package gguf_test

import (
	"fmt"
	"os"
	"path/filepath"

	"idefics2/gguf"
	"idefics2/quant"
)

func Example() {
	dir, err := os.MkdirTemp("", "gguf")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.gguf")

	w, err := gguf.Create(path, []gguf.Pair{
		{Key: "general.architecture", Value: gguf.Of("llama")},
		{Key: "llama.block_count", Value: gguf.Of(uint32(32))},
		{Key: "tokenizer.ggml.tokens", Value: gguf.ArrayOf("<unk>", "<s>", "</s>")},
	}, []gguf.Entry{
		{Name: "output_norm.weight", Type: gguf.F32, Shape: []int{2}},
		{Name: "output.weight", Type: gguf.Q8_0, Shape: []int{1, 32}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Abort() // nothing is left of a file that was not committed
	w.Write("output_norm.weight", []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x40})
	row := make([]float32, 32)
	row[0], row[1] = 127, -64
	block := make([]byte, quant.Q8_0.Bytes())
	if err := quant.Q8_0.Encode(block, row); err != nil {
		fmt.Println(err)
		return
	}
	w.Write("output.weight", block)
	fmt.Println(w.Commit())

	f, err := gguf.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	layers, err := f.Int("llama.block_count")
	fmt.Println(layers, err)
	tokens, err := f.Texts("tokenizer.ggml.tokens")
	fmt.Println(tokens, err)
	for _, name := range f.Names() {
		t, _ := f.Tensor(name)
		typ, ok := t.Type.Quant()
		if !ok {
			continue // copied, but not computed with
		}
		values := make([]float32, t.Len())
		typ.Decode(values, t.Data)
		fmt.Println(name, t.Type, t.Shape, values[:2])
	}
	// Output:
	// <nil>
	// 32 <nil>
	// [<unk> <s> </s>] <nil>
	// output_norm.weight F32 [2] [1 2]
	// output.weight Q8_0 [1 32] [127 -64]
}

func ExampleFile_Int() {
	f, err := gguf.Parse([]byte("GGUF\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = f.Int("llama.block_count")
	fmt.Println(err)
	// Output:
	// gguf: no "llama.block_count" in the metadata
}
