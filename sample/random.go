package sample

import (
	"math"
	"math/bits"
)

// The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", 2011): a block cipher of ten rounds over a counter, whose 128-bit output is
// the random number. It has no state, so that a token depends on its seed, sequence and
// position alone, never on what was drawn before it, elsewhere or how often: not on the
// batch, on threads, or on drafts that were thrown away.
//
// The key is the seed, low word first. The counter's words, from the lowest, are an index,
// the position (the number of ids before the token, prompt included), and the sequence,
// low word first.

func philox(counter [4]uint32, key [2]uint32) [4]uint32 {
	const (
		m0, m1 = 0xD2511F53, 0xCD9E8D57 // the paper's multipliers
		w0, w1 = 0x9E3779B9, 0xBB67AE85 // golden ratio and √3 − 1, added to the key each round
	)
	for range 10 {
		hi0, lo0 := bits.Mul32(m0, counter[0])
		hi1, lo1 := bits.Mul32(m1, counter[2])
		counter = [4]uint32{hi1 ^ counter[1] ^ key[0], lo1, hi0 ^ counter[3] ^ key[1], lo0}
		key[0] += w0
		key[1] += w1
	}
	return counter
}

// Uniform returns the random number in (0, 1) of a seed, sequence, position and index: a
// multiple of 2^−52 plus 2^−53, from the first 64 bits of the generator's output, high
// word first. Sampling takes index 0; beam search one index for each of its beams' ids.
// Positions and indices wrap at 2^32.
func Uniform(seed, sequence uint64, position, index int) float64 {
	out := philox(
		[4]uint32{uint32(index), uint32(position), uint32(sequence), uint32(sequence >> 32)},
		[2]uint32{uint32(seed), uint32(seed >> 32)})
	return (float64((uint64(out[0])<<32|uint64(out[1]))>>12) + 0.5) * 0x1p-52
}

// gumbel turns a uniform number into one of the Gumbel distribution. The largest of
// log pᵢ + gumbelᵢ is a draw from p, and the k largest are k draws without replacement: the
// logarithm of the reference's race pᵢ/eᵢ with exponential eᵢ, which does not underflow.
func gumbel(u float64) float64 { return -math.Log(-math.Log(u)) }

// No number that gumbel returns is larger: −log(−log(1 − 2^−53)) = 53·log 2 = 36.74.
const maxGumbel = 37
