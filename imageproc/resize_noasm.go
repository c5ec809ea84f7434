//go:build noasm || !amd64

package imageproc

func resizeRows(dst, src [][]byte, w *weights) {
	for r := range dst {
		resizeRowGeneric(dst[r], src[r], w, 0)
	}
}

func (m *mixer) row(dst []byte, k []int32) { m.rowGeneric(dst, k, 0) }
