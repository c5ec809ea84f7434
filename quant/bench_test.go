package quant

import (
	"math/rand/v2"
	"testing"
)

// noise returns n values of a normal distribution.
func noise(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func BenchmarkEncode(b *testing.B) {
	x := noise(1<<14, 1)
	for _, t := range Types() {
		b.Run(t.String(), func(b *testing.B) {
			n, _ := t.Size(len(x))
			dst := make([]byte, n)
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				if err := t.Encode(dst, x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	x := noise(1<<14, 1)
	for _, t := range Types() {
		b.Run(t.String(), func(b *testing.B) {
			n, _ := t.Size(len(x))
			src := make([]byte, n)
			if err := t.Encode(src, x); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				t.Decode(x, src)
			}
		})
	}
}

// Rows of a matrix as the released model has them.
func BenchmarkDecodeRows(b *testing.B) {
	const out, in = 64, 4096
	x := noise(out*in, 1)
	single, err := EncodeNF4(x, out, in, NF4Options{})
	if err != nil {
		b.Fatal(err)
	}
	double, err := EncodeNF4(x, out, in, NF4Options{Double: true})
	if err != nil {
		b.Fatal(err)
	}
	awq, err := AWQFromParts(words(out, in, "awq"), 128)
	if err != nil {
		b.Fatal(err)
	}
	gptq, err := GPTQFromParts(words(out, in, "gptq"), GPTQOptions{GroupSize: 128})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		m    decodable
	}{{"nf4", single}, {"nf4-double", double}, {"awq", awq}, {"gptq", gptq}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(4 * out * in)
			for b.Loop() {
				c.m.DecodeRows(x, 0, out)
			}
		})
	}
}
