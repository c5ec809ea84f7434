//go:build noasm || !(amd64 || arm64)

package kernel

func peakBurst() float64 { return 0 }
