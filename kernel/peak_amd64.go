//go:build !noasm

package kernel

// bursts are those of the variants that are used, so many times over.
func bursts(times int) (all []burst) {
	add := func(use bool, variant, typ string, operations int, run func(*operands)) {
		if useAVX2 && use {
			all = append(all, burst{variant: variant, typ: typ, operations: float64(2 * operations * times), run: run})
		}
	}
	add(true, "avx2", "f32", 12*8*peakSteps, func(o *operands) { peakF32AVX2(&o.x[0], &o.w[0], peakSteps, times) })
	add(true, "avx2", "int8", 8*32*peakSteps, func(o *operands) { peakInt8AVX2(&o.q[0], &o.p[0], peakSteps, times) })
	add(useAVXVNNI, "avxvnni", "int8", 12*32*peakSteps, func(o *operands) { peakInt8AVXVNNI(&o.q[0], &o.p[0], peakSteps, times) })
	add(useAVX512, "avx512", "f32", 12*16*peakSteps, func(o *operands) { peakF32AVX512(&o.x[0], &o.w[0], peakSteps, times) })
	add(useVNNI, "vnni", "int8", 12*64*peakSteps, func(o *operands) { peakInt8VNNI(&o.q[0], &o.p[0], peakSteps, times) })
	const products = 16 * 16 * 16 * 32 // sixteen of tiles
	add(useAMX, "amx", "bf16", products, func(o *operands) { amxPeakBF16(&o.b[0], times, &tiles) })
	add(useAMX, "amx", "int8", 2*products, func(o *operands) { amxPeakInt8(&o.p[0], times, &tiles) })
	return all
}

// read brings data into the registers.
func read(data []byte) {
	if n := len(data) &^ 255; useAVX2 && n > 0 {
		readAVX2(&data[0], n)
		data = data[n:]
	}
	readGeneric(data)
}
