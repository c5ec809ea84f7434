//go:build !noasm

package kernel

// bursts are those of the variants that are used.
func bursts(_ int) []burst {
	if !useNEON {
		return nil
	}
	const steps = 12_500
	all := []burst{
		{variant: "neon", typ: "f32", operations: 2 * 24 * 4 * steps, run: func(*operands) { peakNEON(steps) }},
	}
	if useDotProd {
		all = append(all, burst{variant: "dotprod", typ: "int8", operations: 2 * 24 * 16 * steps, run: func(*operands) { peakDotProd(steps) }})
	}
	return all
}

// read brings data into the registers.
func read(data []byte) { readGeneric(data) }
