package kernel

import (
	"testing"

	"idefics2/internal/guard"
)

func TestNothingIsReadPastTheEnd(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 1)
		quick := fast(t, 1)
		r := source(16)
		for _, in := range []int{1, 3, 7, 8, 9, 16, 31, 40, 1023, 1032} {
			const most, out = 8, 23
			for _, typ := range stored {
				w, _ := store(typ, normal(r, out*in), out, in)
				w.F32, w.BF16, w.F16 = guard.Copy(t, w.F32), guard.Copy(t, w.BF16), guard.Copy(t, w.F16)
				for _, rows := range []int{1, 2, 3, most} {
					tm.MatMul(guard.Copy(t, make([]float32, rows*out)), guard.Copy(t, normal(r, rows*in)), rows, w, guard.Copy(t, normal(r, out)))
					quick.MatMul(guard.Copy(t, make([]float32, rows*out)), guard.Copy(t, normal(r, rows*in)), rows, w, guard.Copy(t, normal(r, out)))
				}
			}
			for _, typ := range quantizedTypes {
				in := blockOf(typ) * (1 + in%9%(288/blockOf(typ)))
				w, _ := storeBlocks(typ, normal(r, out*in), out, in)
				w.Q8_0, w.Q6_K = guard.Copy(t, w.Q8_0), guard.Copy(t, w.Q6_K)
				w.Q4_K, w.Q4_0 = guard.Copy(t, w.Q4_K), guard.Copy(t, w.Q4_0)
				for _, rows := range []int{1, 3, 6, most} {
					tm.MatMul(guard.Copy(t, make([]float32, rows*out)), guard.Copy(t, normal(r, rows*in)), rows, w, nil)
					quick.MatMul(guard.Copy(t, make([]float32, rows*out)), guard.Copy(t, normal(r, rows*in)), rows, w, nil)
				}
			}
			x := func() []float32 { return guard.Copy(t, normal(r, 2*in)) }
			gain := guard.Copy(t, normal(r, in))
			for _, a := range []Activation{GELUTanh, GELU, SiLU, ReLU} {
				tm.Activate(x(), x(), a)
				tm.ActivateMul(x(), x(), x(), a)
			}
			tm.Add(x(), x())
			tm.LayerNorm(x(), x(), 2, gain, gain, 1e-6)
			tm.RMSNorm(x(), x(), 2, gain, 1e-6)
			tm.Rope(x(), 1, in, 2, []int32{5}, guard.Copy(t, []float32{1}))
			LogSoftmax(x(), x())
			Dot(x(), x())
			Exp(x(), x())
			tm.Attend([]Head{{Q: x(), Out: x(), QStride: in, N: 2, K: [][]float32{x()}, V: [][]float32{x()}, KVStride: in, PageLen: 2, Keys: 2}}, in, 1)
			tm.Attend([]Head{{Q: x(), Out: x(), QStride: 1, N: 2 * in, K: [][]float32{x()}, V: [][]float32{x()}, KVStride: 1, PageLen: 2 * in, Keys: 2 * in}}, 1, 1)
		}
	})
}

func TestNoCodeIsReadPastTheEnd(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 1)
		r := source(74)
		for _, c := range codings {
			for _, in := range []int{7, 32, 96, 1104} {
				const out, most = 9, 8
				w := c.make(r, out, in)
				switch {
				case w.NF4 != nil:
					w.NF4.Codes, w.NF4.Absmax = guard.Copy(t, w.NF4.Codes), guard.Copy(t, w.NF4.Absmax)
					if q := w.NF4.Nested; q != nil {
						q.Codes, q.Scales = guard.Copy(t, q.Codes), guard.Copy(t, q.Scales)
					}
				case w.Int4 != nil:
					w.Int4.Codes, w.Int4.Scales, w.Int4.Zeros = guard.Copy(t, w.Int4.Codes), guard.Copy(t, w.Int4.Scales), guard.Copy(t, w.Int4.Zeros)
				default:
					w.Int8.Codes, w.Int8.Scales = guard.Copy(t, w.Int8.Codes), guard.Copy(t, w.Int8.Scales)
				}
				for _, rows := range []int{1, 3, most} {
					tm.MatMul(guard.Copy(t, make([]float32, rows*out)), guard.Copy(t, normal(r, rows*in)), rows, w, nil)
					tm.MatMulDX(guard.Copy(t, make([]float32, rows*in)), guard.Copy(t, normal(r, rows*out)), rows, w)
				}
			}
		}
	})
}
