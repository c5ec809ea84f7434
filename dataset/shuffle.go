package dataset

import "math/bits"

// mix returns 64 bits that depend on all bits of its arguments: SplitMix64's finalizer
// (Steele, Lea, Flood 2014) over their sum by odd constants. Whoever knows the counters
// knows the number; there is no state to save.
func mix(seed uint64, counters ...uint64) uint64 {
	x := seed
	for _, c := range counters {
		x = finish(x + 0x9e3779b97f4a7c15 + c*0xd1342543de82ef95)
	}
	return finish(x + 0x9e3779b97f4a7c15)
}

func finish(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// permuted returns where i of 0 … n−1 goes in the permutation that key chooses: a Feistel
// network over the next even number of bits, walked on until it falls within n. So any
// place of a shuffled list is had without the list.
func permuted(key uint64, i, n int) int {
	if n < 2 {
		return i
	}
	half := uint(bits.Len(uint(n-1))+1) / 2
	mask := uint64(1)<<half - 1
	x := uint64(i)
	for {
		left, right := x>>half, x&mask
		for round := range uint64(6) {
			left, right = right, left^mix(key, round, right)&mask
		}
		if x = left<<half | right; x < uint64(n) {
			return int(x)
		}
	}
}
