package kvcache

import (
	"encoding/binary"
	"math"

	"idefics2/internal/half"
)

func encodeBF16(to []byte, x []float32) {
	for i, v := range x {
		binary.LittleEndian.PutUint16(to[2*i:], half.F32ToBF16(v))
	}
}

// encodeQ8_0 writes blocks as package quant does, but for values half way between two codes,
// which go to the even one. It takes any values: what is not finite, or too large for a
// scale of 16 bits, makes a block of such values, which attention then shows.
func encodeQ8_0(to []byte, x []float32) {
	for ; len(x) > 0; to = to[34:] {
		block := x[:min(32, len(x))]
		x = x[len(block):]
		top := uint32(0) // as integers, magnitudes have the order of numbers, and a NaN is the largest
		for _, v := range block {
			top = max(top, math.Float32bits(v)&^(1<<31))
		}
		d := math.Float32frombits(top) / 127
		inverse := 1 / d
		if inverse-inverse != 0 {
			inverse = 0 // zeros, or so small that they are none
		}
		binary.LittleEndian.PutUint16(to, half.F32ToF16(d))
		clear(to[2:34])
		for i, v := range block {
			to[2+i] = byte(nearest(float32(v * inverse)))
		}
	}
}

// nearest rounds a value of up to ±127, and one that is not a number to anything: adding 1.5·2²³
// leaves the whole number in the last bits.
func nearest(v float32) int8 {
	return int8(math.Float32bits(v + 3<<22))
}
