package quant

// Q8_0 (spec/checkpoint.md §8.2): a block is
//
//	f16 d | 32 × i8 q        x = d·q
//
// with d = max|x|/127 and q = x/d rounded half away from zero, by the d before it is
// rounded to 16 bits.

func encodeQ8_0(block []byte, x []float32) bool {
	d := abs(x[largest(x)]) / 127
	id := inverse(d)
	for i, v := range x {
		block[2+i] = byte(int8(awayFromZero(float32(v * id))))
	}
	return putScale(block, d)
}

func decodeQ8_0(x []float32, block []byte) {
	d := scaleOf(block)
	q := block[2:34]
	for i := range x {
		x[i] = d * float32(int8(q[i]))
	}
}

// awayFromZero rounds half away from zero, for |v| < 2²². Adding a half and cutting would
// round up what lies just below a half, so that the half is looked for in what was cut off.
func awayFromZero(v float32) int32 {
	whole := int32(v)
	switch rest := v - float32(whole); {
	case rest >= 0.5:
		return whole + 1
	case rest <= -0.5:
		return whole - 1
	}
	return whole
}
