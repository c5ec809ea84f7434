//go:build noasm || !amd64

package kernel

func tile(y []float32, ys int, x []float32, xs, rows int, w []float32, ws, outs, n int) {
	tileGeneric(y, ys, x, xs, rows, w, ws, outs, n)
}
