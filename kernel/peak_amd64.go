//go:build !noasm

package kernel

// peakBurst does some 0.2 ms of multiply-adds and returns the number of operations.
func peakBurst() float64 {
	if !useAVX2 {
		return 0
	}
	const n = 100_000
	peakAVX2(n)
	return n * 12 * 8 * 2
}
