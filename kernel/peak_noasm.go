//go:build noasm || !(amd64 || arm64)

package kernel

func bursts(_ int) []burst { return nil }

// read brings data into the registers.
func read(data []byte) { readGeneric(data) }
