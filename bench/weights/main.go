// Command weights writes a few layers of the released model's decoder as a GGUF file of random
// weights that llama.cpp can run, for peers.py. It has no vocabulary: ids go in and come out.
//
//	weights [-layers N] -type bf16|q8_0|q4_0|q4_k_m FILE
package main

import (
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"

	"idefics2/checkpoint"
	"idefics2/gguf"
	"idefics2/quant"
)

func main() {
	log.SetFlags(0)
	layers := flag.Int("layers", 2, "of the decoder")
	name := flag.String("type", "", "of the matrices; q4_k_m is llama.cpp's mixture of q4_k and q6_k")
	flag.Parse()
	if flag.NArg() != 1 || *layers < 1 {
		log.Fatal("usage: weights [-layers N] -type bf16|q8_0|q4_0|q4_k_m FILE")
	}
	if err := write(flag.Arg(0), *name, *layers); err != nil {
		os.Remove(flag.Arg(0))
		log.Fatal(err)
	}
}

func write(path, name string, layers int) (err error) {
	// In the mixture llama.cpp keeps the output matrix, and half of the layers' value and down
	// projections, in more bits (llama-quant.cpp).
	wide, err := quant.ParseType(name)
	narrow := wide
	if name == "q4_k_m" {
		narrow, wide, err = quant.Q4_K, quant.Q6_K, nil
	}
	if err != nil {
		return err
	}
	c := checkpoint.Released().Text
	width, q, kv, f := c.HiddenSize, c.Heads*c.HeadDim, c.KVHeads*c.HeadDim, c.IntermediateSize
	var entries []gguf.Entry
	types := map[string]quant.Type{}
	add := func(name string, t quant.Type, shape ...int) {
		entries = append(entries, gguf.Entry{Name: name, Type: gguf.TypeOf(t), Shape: shape})
		types[name] = t
	}
	add("token_embd.weight", narrow, c.VocabSize, width)
	for i := range layers {
		more := narrow
		if i < layers/8 || i >= 7*layers/8 || (i-layers/8)%3 == 2 {
			more = wide
		}
		at := fmt.Sprintf("blk.%d.", i)
		add(at+"attn_norm.weight", quant.F32, width)
		add(at+"attn_q.weight", narrow, q, width)
		add(at+"attn_k.weight", narrow, kv, width)
		add(at+"attn_v.weight", more, kv, width)
		add(at+"attn_output.weight", narrow, width, q)
		add(at+"ffn_norm.weight", quant.F32, width)
		add(at+"ffn_gate.weight", narrow, f, width)
		add(at+"ffn_up.weight", narrow, f, width)
		add(at+"ffn_down.weight", more, width, f)
	}
	add("output_norm.weight", quant.F32, width)
	add("output.weight", wide, c.VocabSize, width)

	number := func(key string, v int) gguf.Pair { return gguf.Pair{Key: key, Value: gguf.Of(uint32(v))} }
	w, err := gguf.Create(path, []gguf.Pair{
		{Key: "general.architecture", Value: gguf.Of("llama")},
		{Key: "general.name", Value: gguf.Of("random weights of Mistral's sizes")},
		number("llama.block_count", layers),
		number("llama.context_length", c.MaxPositions),
		number("llama.embedding_length", width),
		number("llama.feed_forward_length", f),
		number("llama.attention.head_count", c.Heads),
		number("llama.attention.head_count_kv", c.KVHeads),
		number("llama.rope.dimension_count", c.HeadDim),
		number("llama.vocab_size", c.VocabSize),
		{Key: "llama.attention.layer_norm_rms_epsilon", Value: gguf.Of(float32(c.RMSNormEps))},
		{Key: "llama.rope.freq_base", Value: gguf.Of(float32(c.RopeTheta))},
		{Key: "tokenizer.ggml.model", Value: gguf.Of("no_vocab")},
	}, entries)
	if err != nil {
		return err
	}
	defer w.Abort()
	pools := map[quant.Type][]byte{}
	for _, e := range entries {
		t, n := types[e.Name], 1
		for _, side := range e.Shape {
			n *= side
		}
		size, ok := t.Size(n)
		if !ok {
			return fmt.Errorf("%s: rows of no whole number of blocks", e.Name)
		}
		data := make([]byte, size)
		if pools[t] == nil {
			if pools[t], err = pool(t, len(e.Shape) == 1); err != nil {
				return err
			}
		}
		for to := data; len(to) > 0; {
			to = to[copy(to, pools[t]):]
		}
		if err := w.Write(e.Name, data); err != nil {
			return err
		}
	}
	return w.Commit()
}

// pool returns 2²⁰ random values in a type, or ones.
func pool(t quant.Type, ones bool) ([]byte, error) {
	const values, deviation = 1 << 20, 0.02
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, values)
	for i := range x {
		if x[i] = 1; !ones {
			x[i] = deviation * float32(r.NormFloat64())
		}
	}
	size, _ := t.Size(values)
	data := make([]byte, size)
	return data, t.Encode(data, x)
}
