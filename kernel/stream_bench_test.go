package kernel

import (
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"

	"idefics2/internal/mmap"
)

// BenchmarkStream multiplies one row with the matrices of some layers of Idefics2-8b, half a gigabyte in all,
// one after another as a decoded token does. It reports the best and the median rate of a pass in GB/s, what
// as many threads read at best in the same run, and the share of the best in that.
func BenchmarkStream(b *testing.B) {
	shapes := [][2]int{{4096, 4096}, {1024, 4096}, {1024, 4096}, {4096, 4096}, {14336, 4096}, {14336, 4096}, {4096, 14336}}
	for _, typ := range append([]string{"bf16"}, quantizedTypes...) {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", typ, threads), func(b *testing.B) {
				var layer []*Weight
				total := 0
				for _, s := range shapes {
					w := &Weight{Out: s[0], In: s[1]}
					layer = append(layer, w)
					total += len(storeAny(b, typ, w))
				}
				weights := layer
				for n := total; n < 512<<20; n += total {
					for _, s := range shapes {
						w := &Weight{Out: s[0], In: s[1]}
						storeAny(b, typ, w)
						weights = append(weights, w)
					}
				}
				all := total * len(weights) / len(shapes)
				memory := storeAny(b, "read", &Weight{Out: 1, In: 256 << 20})
				tm := team(b, threads)
				tm.Precision = Fast
				x, y := normal(source(1), 14336), make([]float32, 14336)
				var passes []float64
				limit := 0.0
				for b.Loop() {
					limit = max(limit, tm.ReadRate(memory, 20*time.Millisecond))
					start := time.Now()
					for _, w := range weights {
						tm.MatMul(y[:w.Out], x[:w.In], 1, w, nil)
					}
					passes = append(passes, float64(all)/time.Since(start).Seconds())
				}
				slices.Sort(passes)
				best := passes[len(passes)-1]
				b.ReportMetric(best/1e9, "GB/s")
				b.ReportMetric(passes[len(passes)/2]/1e9, "median-GB/s")
				b.ReportMetric(limit/1e9, "read-GB/s")
				b.ReportMetric(100*best/limit, "%")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// storeAny gives a weight memory of its own, filled with one stretch of values again and again, and returns it.
func storeAny(b *testing.B, typ string, w *Weight) []byte {
	const rows = 8
	var pattern []byte
	size := w.Out * w.In
	switch typ {
	case "read":
		pattern = make([]byte, 1<<20)
	case "bf16":
		stored, _ := store(typ, normal(source(1), rows*w.In), rows, w.In)
		for _, v := range stored.BF16 {
			pattern = append(pattern, byte(v), byte(v>>8))
		}
	default:
		stored, _ := storeBlocks(typ, normal(source(1), rows*w.In), rows, w.In)
		pattern, _ = stored.blocks()
	}
	if typ != "read" {
		size = len(pattern) / rows * w.Out
	}
	memory, err := mmap.Anonymous(size)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { memory.Close() })
	data := memory.Data()
	for to := data; len(to) > 0; {
		to = to[copy(to, pattern):]
	}
	switch typ {
	case "bf16":
		w.BF16 = unsafe.Slice((*uint16)(unsafe.Pointer(&data[0])), size/2)
	case "q8_0":
		w.Q8_0 = data
	case "q6_k":
		w.Q6_K = data
	case "q4_k":
		w.Q4_K = data
	case "q4_0":
		w.Q4_0 = data
	}
	return data
}
