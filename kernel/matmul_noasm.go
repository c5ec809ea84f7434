//go:build noasm || !(amd64 || arm64)

package kernel

func (m *matMulTask) stage() { m.stageGeneric(1, 0) }

func (m *matMulTask) group(_, outs int) (int, int) { return outs, chunkOf(m.w.In) }

func (m *matMulTask) product(y []float32, ys, r, rows, o, outs, k, n int, s *scratch) {
	m.productGeneric(y, ys, r, rows, o, outs, k, n, s)
}

func (m *matMulTask) streams() bool { return false }
