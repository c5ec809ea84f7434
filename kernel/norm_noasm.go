//go:build noasm || !(amd64 || arm64)

package kernel

func sum(x []float32) float64 { return sumGeneric(x) }

func sumSquares(x []float32, mean float32) float64 { return sumSquaresGeneric(x, mean) }

func normalize(y, x []float32, mean, scale float32, gain []float32) {
	normalizeGeneric(y, x, mean, scale, gain)
}
