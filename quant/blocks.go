package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"idefics2/internal/half"
)

// Decode writes the values of src, whole blocks of type t, to dst. It panics if the lengths
// do not belong together. Any bytes decode; a scale that is not a number gives such values.
func (t Type) Decode(dst []float32, src []byte) {
	t.mustSize("Decode", len(dst), len(src))
	switch c := t.codec(); t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = half.F16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = half.BF16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	default:
		for len(src) > 0 {
			c.decode(dst[:c.values:c.values], src[:c.bytes:c.bytes])
			dst, src = dst[c.values:], src[c.bytes:]
		}
	}
}

// Encode writes src as whole blocks of type t to dst. It panics if the lengths do not belong
// together. A block format holds finite values only, of a magnitude whose scale a binary16
// holds (about 8·10⁶ in q8_0, 5·10⁵ in q4_0); F16 and BF16 hold what rounds to no infinity.
// Anything else is an error that names the first value: such a matrix has no use in few bits.
func (t Type) Encode(dst []byte, src []float32) error {
	t.mustSize("Encode", len(src), len(dst))
	switch c := t.codec(); t {
	case F32:
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	case F16:
		return t.encode16(dst, src, half.F32ToF16, 0x7c00)
	case BF16:
		return t.encode16(dst, src, half.F32ToBF16, 0x7f80)
	default:
		for at := 0; at < len(src); at += c.values {
			x := src[at : at+c.values : at+c.values]
			for i, v := range x {
				if v-v != 0 { // NaN for what is not finite
					return fmt.Errorf("quant: %v: value %d is %v, want finite ones", t, at+i, v)
				}
			}
			if !c.encode(dst[:c.bytes:c.bytes], x) {
				i := largest(x)
				return fmt.Errorf("quant: %v: value %d is %v, more than its 16-bit scale holds; use a wider type", t, at+i, x[i])
			}
			dst = dst[c.bytes:]
		}
	}
	return nil
}

func (t Type) encode16(dst []byte, src []float32, round func(float32) uint16, inf uint16) error {
	for i, v := range src {
		h := round(v)
		if h&0x7fff == inf && !math.IsInf(float64(v), 0) {
			return fmt.Errorf("quant: %v: value %d is %v, beyond the type's range; use a wider type", t, i, v)
		}
		binary.LittleEndian.PutUint16(dst[2*i:], h)
	}
	return nil
}

// largest returns the index of the value of largest magnitude, the first of equals.
func largest(x []float32) (at int) {
	most := float32(0)
	for i, v := range x {
		if a := abs(v); a > most {
			most, at = a, i
		}
	}
	return at
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// near rounds half to even. Adding 1.5·2²³ leaves the whole number in the last bits of the
// sum, which the addition itself rounds; beyond ±2²² that does not hold, and as every caller
// cuts to less than 256 afterwards, cutting first is the same.
func near(v float32) int32 {
	const magic = 3 << 22
	v = min(max(v, -1<<20), 1<<20)
	return int32(math.Float32bits(v+magic)) - int32(math.Float32bits(magic))
}

// near for indices and codes from 0 to most.
func nearIn(v float32, least, most int32) int32 { return min(max(near(v), least), most) }

// nearCode is nearIn for inner loops, in floats: the sum is rounded to a whole number as in
// near, and beyond ±2²² it stays as far out, so that the limits come last. What is not a
// number is most.
func nearCode(v, least, most float32) float32 {
	const magic = 3 << 22
	l := float32(v+magic) - magic
	if !(l <= most) {
		l = most
	}
	if l < least {
		l = least
	}
	return l
}

// putScale stores a block's scale and reports whether binary16 holds it.
func putScale(to []byte, d float32) bool {
	h := half.F32ToF16(d)
	binary.LittleEndian.PutUint16(to, h)
	return h&0x7fff < 0x7c00
}

func scaleOf(from []byte) float32 { return half.F16ToF32(binary.LittleEndian.Uint16(from)) }

// inverse returns 1/d, and 0 for a d of 0 or so small that its inverse is infinite: a block
// of nothing but such values decodes to zeros.
func inverse(d float32) float32 {
	if id := 1 / d; abs(id) <= math.MaxFloat32 {
		return id
	}
	return 0
}
