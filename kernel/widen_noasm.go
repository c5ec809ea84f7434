//go:build noasm || !amd64

package kernel

func widenQ8_0(dst []float32, row []byte) { widenQ8_0Generic(dst, row) }

func widenBF16(dst []float32, row []byte) { widenBF16Generic(dst, row) }

func widenRow(dst []float32, w *Weight, at, n int) { widenGeneric(dst, w, at, n) }
