//go:build noasm || !(amd64 || arm64)

package kernel

func quantize(to []xRun, step int, x []float32) { quantizeGeneric(to, step, x) }

func (m *matMulTask) qwidth() (width, gap int) { return 1, 0 }

func (m *matMulTask) qgroup(outs int) (int, int) { return outs, chunkOf(m.w.In) }

func (m *matMulTask) qproduct(y []float32, ys, r, rows, o, outs, k, n int, _ *scratch) {
	m.qproductGeneric(y, ys, r, rows, o, outs, k, n)
}
