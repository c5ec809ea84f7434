//go:build noasm || !amd64

package kernel

func product(y, x []float32, rows int, w *Weight, o, outs, k, n int, s *scratch) {
	productGeneric(y, x, rows, w, o, outs, k, n, s)
}
