// Package half converts between float32 and the two 16-bit floating-point types
// that weights are stored in: bfloat16, the upper half of a float32, and IEEE 754
// binary16. Widening is exact; narrowing rounds to nearest, ties to even.
package half

import "math"

// BF16ToF32 widens a bfloat16. It is exact and keeps the payload of a NaN.
func BF16ToF32(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// F32ToBF16 rounds f to the nearest bfloat16, ties to even; what lies more than half
// a step past the largest finite value becomes infinite. A NaN stays a NaN: it is made
// quiet, because its payload may sit entirely in the bits that are dropped.
func F32ToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x0040
	}
	// Adding just under half a step, plus the last kept bit, carries exactly when
	// the dropped half is above one half, or is one half and the kept part is odd.
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// F16ToF32 widens a binary16. It is exact, and makes a signalling NaN quiet as the
// processor's own conversion (VCVTPH2PS) does.
func F16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	magnitude := uint32(h & 0x7fff)
	switch {
	case magnitude > 0x7c00: // NaN
		return math.Float32frombits(sign | 0x7fc00000 | magnitude<<13)
	case magnitude == 0x7c00: // infinity
		return math.Float32frombits(sign | 0x7f800000)
	case magnitude >= 0x0400: // normal: rebias the exponent from 15 to 127
		return math.Float32frombits(sign | magnitude<<13 + (127-15)<<23)
	default: // subnormal: a count of 2⁻²⁴, which float32 holds as a normal number
		return math.Float32frombits(sign | math.Float32bits(float32(magnitude)*0x1p-24))
	}
}

// F32ToF16 rounds f to the nearest binary16, ties to even. From 65520 up, half a step
// past the largest finite value, the result is infinite. A NaN is made quiet.
func F32ToF16(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits>>16) & 0x8000
	magnitude := bits & 0x7fffffff
	switch {
	case magnitude > 0x7f800000: // NaN
		return sign | 0x7e00 | uint16(magnitude>>13)&0x03ff
	case magnitude >= 0x477ff000: // 65520 and more
		return sign | 0x7c00
	case magnitude >= 0x38800000: // at least 2⁻¹⁴: normal
		magnitude -= (127 - 15) << 23
		return sign | uint16((magnitude+0x0fff+magnitude>>13&1)>>13)
	default:
		// Adding 1/2 places 2⁻²⁴ at the last bit of the sum, so that the addition
		// itself rounds to nearest even. The low bits are then the subnormal.
		sum := math.Float32frombits(magnitude) + 0.5
		return sign | uint16(math.Float32bits(sum)-math.Float32bits(0.5))
	}
}
