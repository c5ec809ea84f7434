//go:build !noasm

package kernel

// peakBurst does some 0.2 ms of multiply-adds and returns the number of operations.
func peakBurst() float64 {
	const n = 50_000
	switch {
	case !useAVX2:
		return 0
	case useAVX512:
		peakAVX512(n)
		return n * 24 * 16 * 2
	}
	peakAVX2(2 * n)
	return 2 * n * 12 * 8 * 2
}
