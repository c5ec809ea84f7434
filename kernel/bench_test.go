package kernel

import (
	"fmt"
	"math"
	"testing"
	"time"

	"idefics2/internal/variant"
)

// Products at the shapes of Idefics2-8b. GFLOP/s beside the peak of a core times the threads;
// for one row what counts is GB/s of weights.
func BenchmarkMatMul(b *testing.B) {
	shapes := []struct {
		name    string
		out, in int
	}{
		{"vision-qkvo", 1152, 1152}, {"vision-fc1", 4304, 1152}, {"vision-fc2", 1152, 4304},
		{"text-kv", 1024, 4096}, {"text-qo", 4096, 4096}, {"text-gate", 14336, 4096}, {"text-down", 4096, 14336},
	}
	for _, typ := range append(stored, quantizedTypes...) {
		for _, s := range shapes {
			if typ[0] == 'q' && s.in%blockOf(typ) != 0 {
				continue
			}
			for _, rows := range []int{1, 4, 64, 512} {
				for _, threads := range []int{1, 2} {
					b.Run(fmt.Sprintf("%s/%s/rows=%d/threads=%d", typ, s.name, rows, threads), func(b *testing.B) {
						variant.Run(b, "kernel", func(b *testing.B) { benchmarkMatMul(b, typ, s.out, s.in, rows, threads) })
					})
				}
			}
		}
	}
}

func benchmarkMatMul(b *testing.B, typ string, out, in, rows, threads int) {
	r := source(1)
	tm := team(b, threads)
	if typ[0] == 'q' {
		tm.Precision = Fast
	}
	// One row streams its weights from memory, as in a model: several matrices in turn.
	copies := 1
	if rows < 16 {
		copies = max(1, 256<<20/(out*in*4))
	}
	values := normal(r, 1<<16)
	weights := make([]*Weight, copies)
	for i := range weights {
		all := make([]float32, out*in)
		for j := 0; j < len(all); j += len(values) {
			copy(all[j:], values)
		}
		if typ[0] == 'q' {
			weights[i], _ = storeBlocks(typ, all, out, in)
		} else {
			weights[i], _ = store(typ, all, out, in)
		}
	}
	x, y := normal(r, rows*in), make([]float32, rows*out)
	i := 0
	for b.Loop() {
		tm.MatMul(y, x, rows, weights[i%copies], nil)
		i++
	}
	per := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(2*float64(rows)*float64(out)*float64(in)/per/1e9, "GFLOP/s")
	size := map[string]float64{"f32": 4, "bf16": 2, "f16": 2, "q8_0": 34. / 32, "q6_k": 210. / 256, "q4_k": 144. / 256, "q4_0": 18. / 32}[typ] // bytes
	b.ReportMetric(size*float64(out)*float64(in)/per/1e9, "GB/s")
	b.ReportMetric(0, "ns/op")
}

// The limits, as idefics2 bench measures them.
func BenchmarkPeak(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			tm := team(b, threads)
			data := make([]byte, 256<<20)
			for i := 0; i < len(data); i += 4096 {
				data[i] = byte(i >> 12)
			}
			for b.Loop() {
				b.ReportMetric(tm.ReadRate(data, 200*time.Millisecond)/1e9, "GB/s")
				for _, p := range tm.Peaks(50 * time.Millisecond) {
					b.ReportMetric(p.Rate/1e9, "Gop/s:"+p.Variant+"-"+p.Type)
				}
			}
		})
	}
}

// Attention of one image (bidirectional, 4900 patches, 16 heads of 72), of a prompt of 512 tokens
// and of one token behind 4096 (32 heads of 128).
func BenchmarkAttend(b *testing.B) {
	tests := []struct {
		name              string
		n, keys, d, heads int
		kv                int
		causal            bool
	}{{"image", 4900, 4900, 72, 16, 16, false}, {"prompt", 512, 512, 128, 32, 8, true}, {"token", 1, 4096, 128, 32, 8, true}}
	for _, tt := range tests {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", tt.name, threads), func(b *testing.B) {
				variant.Run(b, "kernel", func(b *testing.B) {
					r := source(2)
					tm := team(b, threads)
					q, out := normal(r, tt.n*tt.heads*tt.d), make([]float32, tt.n*tt.heads*tt.d)
					k, v := normal(r, tt.keys*tt.kv*tt.d), normal(r, tt.keys*tt.kv*tt.d)
					heads := make([]Head, tt.heads)
					pairs := 0
					for i := range heads {
						at := i / (tt.heads / tt.kv) * tt.d
						heads[i] = Head{
							Q: q[i*tt.d:], Out: out[i*tt.d:], QStride: tt.heads * tt.d, N: tt.n,
							K: [][]float32{k[at:]}, V: [][]float32{v[at:]}, KVStride: tt.kv * tt.d, PageLen: tt.keys, Keys: tt.keys,
							Start: tt.keys - tt.n, Causal: tt.causal,
						}
						for j := range tt.n {
							lo, hi := heads[i].visible(j)
							pairs += hi - lo
						}
					}
					for b.Loop() {
						tm.Attend(heads, tt.d, float32(1/math.Sqrt(float64(tt.d))))
					}
					per := b.Elapsed().Seconds() / float64(b.N)
					b.ReportMetric(4*float64(pairs)*float64(tt.d)/per/1e9, "GFLOP/s")
				})
			})
		}
	}
}

func BenchmarkElementwise(b *testing.B) {
	const rows, c = 512, 4096
	r := source(3)
	x, y, gain := normal(r, rows*c), make([]float32, rows*c), normal(r, c)
	positions, inv := make([]int32, rows), RopeFrequencies(128, 1e4)
	tm := team(b, 1)
	for _, o := range []struct {
		name string
		op   func()
	}{
		{"LayerNorm", func() { tm.LayerNorm(y, x, rows, gain, gain, 1e-6) }},
		{"RMSNorm", func() { tm.RMSNorm(y, x, rows, gain, 1e-6) }},
		{"Exp", func() { Exp(y, x) }},
		{"GELUTanh", func() { tm.Activate(y, x, GELUTanh) }},
		{"GELU", func() { tm.Activate(y, x, GELU) }},
		{"SiLUMul", func() { tm.ActivateMul(y, x, x, SiLU) }},
		{"Add", func() { tm.Add(y, x) }},
		{"Rope", func() { tm.Rope(x, rows, c/128, 128, positions, inv) }},
	} {
		b.Run(o.name, func(b *testing.B) {
			variant.Run(b, "kernel", func(b *testing.B) {
				b.SetBytes(4 * rows * c)
				for b.Loop() {
					o.op()
				}
			})
		})
	}
}
