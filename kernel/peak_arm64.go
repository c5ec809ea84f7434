//go:build !noasm

package kernel

// peakBurst does some 0.2 ms of multiply-adds and returns the number of operations.
func peakBurst() float64 {
	if !useNEON {
		return 0
	}
	const n = 50_000
	peakNEON(n)
	return n * 24 * 4 * 2
}
