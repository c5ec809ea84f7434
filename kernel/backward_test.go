package kernel

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// closeTo fails unless got is want within a share of want's largest value.
func closeTo(t *testing.T, what string, got []float32, want []float64, share float64) {
	t.Helper()
	scale := 0.0
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= share*scale) {
			t.Fatalf("%s: element %d is %g, want %g: off by %.2g of the largest, %g", what, i, got[i], w, d/scale, scale)
		}
	}
}

func TestMatMulGradients(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(1)
		for _, s := range []struct{ rows, out, in int }{
			{1, 1, 1}, {1, 40, 24}, {3, 17, 19}, {7, 8, 300}, {65, 33, 70}, {300, 4, 130}, {301, 530, 66}, {600, 20, 9},
		} {
			for _, typ := range stored {
				what := fmt.Sprintf("%s %v", typ, s)
				w, values := store(typ, normal(r, s.out*s.in), s.out, s.in)
				x, dy := normal(r, s.rows*s.in), normal(r, s.rows*s.out)
				dx, dw, db := normal(r, s.rows*s.in), normal(r, s.out*s.in), normal(r, s.out)
				wantX, wantW, wantB := wide(dx), wide(dw), wide(db)
				for i := range s.rows {
					for o := range s.out {
						g := float64(dy[i*s.out+o])
						wantB[o] += g
						for k := range s.in {
							wantX[i*s.in+k] += g * float64(values[o*s.in+k])
							wantW[o*s.in+k] += g * float64(x[i*s.in+k])
						}
					}
				}
				type result struct{ dx, dw, db []float32 }
				run := func(threads int) result {
					tm := team(t, threads)
					got := result{clone(dx), clone(dw), clone(db)}
					tm.MatMulDX(got.dx, dy, s.rows, w)
					tm.MatMulDW(got.dw, dy, x, s.rows, s.out, s.in)
					tm.MatMulDBias(got.db, dy, s.rows)
					return got
				}
				one, three := run(1), run(3)
				closeTo(t, what+" dx", one.dx, wantX, 2e-6)
				closeTo(t, what+" dw", one.dw, wantW, 2e-6)
				closeTo(t, what+" dbias", one.db, wantB, 2e-6)
				sameBits(t, what+" dx on threads", three.dx, one.dx)
				sameBits(t, what+" dw on threads", three.dw, one.dw)
				sameBits(t, what+" dbias on threads", three.db, one.db)

				// A row alone.
				row := s.rows / 2
				alone := clone(dx[row*s.in:][:s.in])
				team(t, 1).MatMulDX(alone, dy[row*s.out:][:s.out], 1, w)
				sameBits(t, what+" a row of dx alone", alone, one.dx[row*s.in:][:s.in])
			}
		}
	})
}

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func clone(x []float32) []float32 { return append([]float32(nil), x...) }

func TestActivationGradients(t *testing.T) {
	exact := map[Activation]func(x float64) float64{
		GELUTanh: func(x float64) float64 { return x / 2 * (1 + math.Tanh(0.7978845608028654*(x+0.044715*x*x*x))) },
		GELU:     func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) },
		SiLU:     func(x float64) float64 { return x / (1 + math.Exp(-x)) },
		ReLU:     func(x float64) float64 { return max(x, 0) },
	}
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		r := source(2)
		const n = 40011
		x, dy, up := normal(r, n), normal(r, n), normal(r, n)
		for i := range x {
			x[i] *= 4
		}
		copy(x, []float32{0.5, -0.5, 60, -60, 300, -300, 1e-3, -1e-3})
		for a, f := range exact {
			slope, both, ups := make([]float64, n), make([]float64, n), make([]float64, n)
			for i, v := range x {
				const h = 1e-6
				d := (f(float64(v)+h) - f(float64(v)-h)) / (2 * h)
				slope[i] = float64(dy[i]) * d
				both[i] = float64(dy[i]) * float64(up[i]) * d
				ups[i] = float64(dy[i]) * f(float64(v))
			}
			dx, dgate, dup := make([]float32, n), make([]float32, n), make([]float32, n)
			tm.ActivateGrad(dx, x, dy, a)
			closeTo(t, a.String(), dx, slope, 3e-6)
			tm.ActivateMulGrad(dgate, dup, dy, x, up, a)
			closeTo(t, a.String()+" gate", dgate, both, 3e-6)
			closeTo(t, a.String()+" up", dup, ups, 3e-6)
			gate := clone(x)
			over := clone(up)
			tm.ActivateMulGrad(gate, over, dy, gate, over, a)
			sameBits(t, a.String()+" gate in place", gate, dgate)
			sameBits(t, a.String()+" up in place", over, dup)
		}
	})
}

// differences returns the derivative of f in each element of x by central differences.
func differences(x []float64, h float64, f func() float64) []float64 {
	d := make([]float64, len(x))
	for i, v := range x {
		x[i] = v + h
		up := f()
		x[i] = v - h
		d[i] = (up - f()) / (2 * h)
		x[i] = v
	}
	return d
}

func TestNormGradients(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm, alone := team(t, 3), team(t, 1)
		r := source(3)
		for _, s := range []struct{ rows, c int }{{1, 1}, {2, 7}, {70, 16}, {3, 130}} {
			for _, centered := range []bool{true, false} {
				x, gain, dy := normal(r, s.rows*s.c), normal(r, s.c), normal(r, s.rows*s.c)
				const eps = 1e-2
				x64, gain64, bias64 := wide(x), wide(gain), make([]float64, s.c)
				loss := func() (sum float64) {
					for i := range s.rows {
						row := x64[i*s.c:][:s.c]
						var mean, square float64
						if centered {
							for _, v := range row {
								mean += v / float64(s.c)
							}
						}
						for _, v := range row {
							square += (v - mean) * (v - mean) / float64(s.c)
						}
						for j, v := range row {
							sum += float64(dy[i*s.c+j]) * ((v-mean)/math.Sqrt(square+eps)*gain64[j] + bias64[j])
						}
					}
					return sum
				}
				wantX, wantGain, wantBias := differences(x64, 1e-5, loss), differences(gain64, 1e-5, loss), differences(bias64, 1e-5, loss)
				dx, dgain, dbias := make([]float32, len(x)), make([]float32, s.c), make([]float32, s.c)
				run := func(tm *Team) {
					if centered {
						tm.LayerNormBackward(dx, dgain, dbias, dy, x, s.rows, gain, eps)
						return
					}
					tm.RMSNormBackward(dx, dgain, dy, x, s.rows, gain, eps)
				}
				run(alone)
				what := fmt.Sprintf("%v, centered %v", s, centered)
				if s.c > 1 || !centered { // one element less its mean has no gradient
					closeTo(t, what+" dx", dx, wantX, 1e-5)
					closeTo(t, what+" dgain", dgain, wantGain, 1e-5)
				}
				if centered {
					closeTo(t, what+" dbias", dbias, wantBias, 1e-5)
				}
				once := [][]float32{clone(dx), clone(dgain), clone(dbias)}
				clear(dx)
				clear(dgain)
				clear(dbias)
				run(tm)
				for i, again := range [][]float32{dx, dgain, dbias} {
					sameBits(t, what+" on threads", again, once[i])
				}
			}
		}
	})
}

func TestCrossEntropy(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		r := source(4)
		for _, s := range []struct{ rows, classes int }{{1, 1}, {3, 7}, {5, 616}, {2, 3003}} {
			logits := normal(r, s.rows*s.classes)
			targets := make([]int32, s.rows)
			wantLoss, want := make([]float64, s.rows), make([]float64, len(logits))
			const weight = 0.25
			for i := range targets {
				for j := range s.classes {
					logits[i*s.classes+j] *= 5
				}
				targets[i] = r.Int32N(int32(s.classes))
				row := logits[i*s.classes:][:s.classes]
				var sum float64
				for _, v := range row {
					sum += math.Exp(float64(v))
				}
				wantLoss[i] = math.Log(sum) - float64(row[targets[i]])
				for j, v := range row {
					want[i*s.classes+j] = weight * math.Exp(float64(v)) / sum
				}
				want[i*s.classes+int(targets[i])] -= weight
			}
			loss := make([]float64, s.rows)
			tm.CrossEntropy(loss, logits, targets, weight)
			closeTo(t, "gradient", logits, want, 1e-6)
			for i, l := range loss {
				if math.Abs(l-wantLoss[i]) > 1e-6*max(1, wantLoss[i]) {
					t.Errorf("loss %v, want %v", l, wantLoss[i])
				}
			}
		}
	})
}

// attendLoss is Σ out·dout of attention in float64.
func attendLoss(heads []HeadGrad, q, k, v, dout []float64, offsets [][4]int, d int, scale float64) (sum float64) {
	for i := range heads {
		h, at := &heads[i], offsets[i]
		for n := range h.N {
			lo, hi := h.visible(n)
			scores := make([]float64, hi-lo)
			var total float64
			for j := range scores {
				for c := range d {
					scores[j] += q[at[0]+n*h.QStride+c] * k[at[1]+(lo+j)*h.KVStride+c] * scale
				}
				scores[j] = math.Exp(scores[j])
				total += scores[j]
			}
			for j, p := range scores {
				for c := range d {
					sum += p / total * v[at[1]+(lo+j)*h.KVStride+c] * dout[at[0]+n*h.QStride+c]
				}
			}
		}
	}
	return sum
}

func TestAttendBackward(t *testing.T) {
	tests := []struct {
		name                     string
		n, keys, d, heads, group int
		causal                   bool
		window, start            int
	}{
		{"one", 1, 1, 8, 1, 1, false, 0, 0},
		{"all see all", 5, 7, 9, 2, 1, false, 0, 0},
		{"causal, grouped", 9, 9, 4, 4, 2, true, 0, 0},
		{"window", 13, 13, 8, 3, 3, true, 4, 0},
		{"blocks", 70, 70, 3, 2, 2, true, 40, 0},
		{"blocks of keys", 3, 130, 3, 2, 1, false, 0, 0},
	}
	eachVariant(t, func(t *testing.T) {
		for _, tt := range tests {
			r := source(5)
			kv := tt.heads / tt.group
			qs, ks := tt.heads*tt.d, kv*tt.d
			q, dout := normal(r, tt.n*qs), normal(r, tt.n*qs)
			k, v := normal(r, tt.keys*ks), normal(r, tt.keys*ks)
			scale := float32(1 / math.Sqrt(float64(tt.d)))
			type result struct{ dq, dk, dv []float32 }
			var heads []HeadGrad
			var offsets [][4]int
			run := func(threads int) result {
				tm := team(t, threads)
				out := make([]float32, len(q))
				got := result{make([]float32, len(q)), make([]float32, len(k)), make([]float32, len(v))}
				heads, offsets = nil, nil
				forward := make([]Head, tt.heads)
				for h := range tt.heads {
					a, b := h*tt.d, h/tt.group*tt.d
					forward[h] = Head{Q: q[a:], Out: out[a:], QStride: qs, N: tt.n, LogSum: make([]float32, tt.n),
						K: [][]float32{k[b:]}, V: [][]float32{v[b:]}, KVStride: ks, PageLen: tt.keys, Keys: tt.keys,
						Start: tt.start, Causal: tt.causal, Window: tt.window}
					heads = append(heads, HeadGrad{forward[h], dout[a:], got.dq[a:], got.dk[b:], got.dv[b:]})
					offsets = append(offsets, [4]int{a, b})
				}
				tm.Attend(forward, tt.d, scale)
				tm.AttendBackward(heads, tt.group, tt.d, scale)
				return got
			}
			one, three := run(1), run(3)
			sameBits(t, tt.name+" dq on threads", three.dq, one.dq)
			sameBits(t, tt.name+" dk on threads", three.dk, one.dk)
			sameBits(t, tt.name+" dv on threads", three.dv, one.dv)
			q64, k64, v64, d64 := wide(q), wide(k), wide(v), wide(dout)
			loss := func() float64 { return attendLoss(heads, q64, k64, v64, d64, offsets, tt.d, float64(scale)) }
			if tt.keys > 1 {
				closeTo(t, tt.name+" dq", one.dq, differences(q64, 1e-5, loss), 1e-5)
				closeTo(t, tt.name+" dk", one.dk, differences(k64, 1e-5, loss), 1e-5)
			}
			closeTo(t, tt.name+" dv", one.dv, differences(v64, 1e-5, loss), 1e-5)
		}
	})
}

func TestTranspose(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(6)
		for _, s := range [][2]int{{1, 1}, {8, 8}, {9, 17}, {20, 3}, {16, 64}} {
			rows, cols := s[0], s[1]
			src := normal(r, rows*(cols+2))
			dst, want := make([]float32, cols*(rows+3)), make([]float32, cols*(rows+3))
			transpose(dst, rows+3, src, cols+2, rows, cols)
			transposeGeneric(want, rows+3, src, cols+2, rows, cols)
			sameBits(t, fmt.Sprint(s), dst, want)
		}
	})
}

// Shares of the peak: products at the width of a small model and at true ones, and attention.
func BenchmarkBackward(b *testing.B) {
	tm := team(b, 0)
	peak := tm.Peaks(50 * time.Millisecond)[0].Rate
	report := func(b *testing.B, flops float64) {
		rate := flops * float64(b.N) / b.Elapsed().Seconds()
		b.ReportMetric(rate/1e9, "GFLOP/s")
		b.ReportMetric(100*rate/peak, "%peak")
		b.ReportMetric(0, "ns/op")
	}
	r := source(1)
	for _, s := range []struct{ rows, out, in int }{{1024, 384, 384}, {1024, 1024, 384}, {1024, 384, 1024}, {512, 4096, 4096}} {
		x, dy, dx := normal(r, s.rows*s.in), normal(r, s.rows*s.out), make([]float32, s.rows*s.in)
		dw, y := make([]float32, s.out*s.in), make([]float32, s.rows*s.out)
		w := &Weight{Out: s.out, In: s.in, F32: normal(r, s.out*s.in)}
		flops := 2 * float64(s.rows) * float64(s.out) * float64(s.in)
		for _, o := range []struct {
			name string
			op   func()
		}{
			{"y", func() { tm.MatMul(y, x, s.rows, w, nil) }},
			{"dx", func() { tm.MatMulDX(dx, dy, s.rows, w) }},
			{"dw", func() { tm.MatMulDW(dw, dy, x, s.rows, s.out, s.in) }},
		} {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", o.name, s.rows, s.out, s.in), func(b *testing.B) {
				for b.Loop() {
					o.op()
				}
				report(b, flops)
			})
		}
	}
	for _, d := range []int{32, 64, 72} {
		const n, heads = 1024, 4
		q, out, dout := normal(r, n*heads*d), make([]float32, n*heads*d), normal(r, n*heads*d)
		k, v := normal(r, n*heads*d), normal(r, n*heads*d)
		grads := make([]HeadGrad, heads)
		forward := make([]Head, heads)
		for h := range forward {
			forward[h] = Head{Q: q[h*d:], Out: out[h*d:], QStride: heads * d, N: n, LogSum: make([]float32, n),
				K: [][]float32{k[h*d:]}, V: [][]float32{v[h*d:]}, KVStride: heads * d, PageLen: n, Keys: n}
			grads[h] = HeadGrad{forward[h], dout[h*d:], make([]float32, n*heads*d), make([]float32, n*heads*d), make([]float32, n*heads*d)}
		}
		flops := 2 * float64(n*n*heads*d)
		b.Run(fmt.Sprintf("attention/d=%d", d), func(b *testing.B) {
			for b.Loop() {
				tm.Attend(forward, d, 0.1)
			}
			report(b, 2*flops)
		})
		b.Run(fmt.Sprintf("attention-backward/d=%d", d), func(b *testing.B) {
			for b.Loop() {
				tm.AttendBackward(grads, 1, d, 0.1)
			}
			report(b, 5*flops)
		})
	}
}
