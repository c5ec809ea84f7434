//go:build !noasm

package kernel

// bursts are those of the variants that are used.
func bursts() []burst {
	if !useAVX2 {
		return nil
	}
	return []burst{
		{variant: "avx2", typ: "f32", operations: 2 * 12 * 8 * peakSteps * peakTimes, run: func(o *operands) {
			peakF32AVX2(&o.x[0], &o.w[0], peakSteps, peakTimes)
		}},
		{variant: "avx2", typ: "int8", operations: 2 * 8 * 32 * peakSteps * peakTimes, run: func(o *operands) {
			peakInt8AVX2(&o.q[0], &o.p[0], peakSteps, peakTimes)
		}},
	}
}

// read brings data into the registers.
func read(data []byte) {
	if n := len(data) &^ 255; useAVX2 && n > 0 {
		readAVX2(&data[0], n)
		data = data[n:]
	}
	readGeneric(data)
}
