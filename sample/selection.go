package sample

import "math"

// A selection finds where a cumulative sum over sorted values passes a limit, without
// sorting. It adds up the weights of buckets, walks them upwards to the one in which the
// sum passes the limit, and goes on with that bucket's entries. The first buckets are
// 1/64 wide, over the 32 above a given value: scores are logarithms of probabilities, so
// that is where they differ by what matters, and neighbours in memory seldom share a
// bucket (adding to the same one twice in a row waits for the first). The few entries
// left are told apart by three rounds over the bits of the values, which alone would do
// and bound the time for any values.
//
// Entries of equal value stay in the order of their indices, as in a stable sort.
type selection struct {
	bucket []uint16  // [V], of the first round; outside for what is infinite
	ids    []int32   // the entries left, by rising index
	weight []float64 // [buckets]
}

const (
	buckets  = 2048
	outside  = buckets
	perUnit  = 64
	window   = buckets / perUnit
	infinite = 0xff << 23 // the exponent bits of float32
)

// first sorts the finite entries of values upwards and returns one that equals the
// first at which the sum of weights, that entry's included, is above limit when rounded
// to float32. before is the sum of all smaller entries, and s.ids lists the entries of
// that value by rising index. Without weights every entry weighs 1. Values from low to
// low+32 are found fastest. It reports false when the whole sum is not above limit.
func (s *selection) first(values, weights []float32, low, limit float32) (at int32, before float64, ok bool) {
	if len(s.bucket) != len(values) {
		s.bucket, s.ids = make([]uint16, len(values)), make([]int32, 0, len(values))
	}
	if s.weight == nil {
		s.weight = make([]float64, buckets+1) // one more for what is outside
	}
	clear(s.weight)
	for i, v := range values {
		b := outside
		if math.Float32bits(v)&infinite != infinite {
			switch x := (v - low) * perUnit; {
			case x < 0:
				b = 0
			case x < buckets:
				b = int(x)
			default:
				b = buckets - 1
			}
		}
		s.bucket[i] = uint16(b)
		w := 1.0
		if weights != nil {
			w = float64(weights[i])
		}
		s.weight[b] += w
	}
	chosen, before := s.walk(before, limit)
	if chosen == buckets {
		return 0, before, false
	}
	s.ids = s.ids[:0]
	for i, b := range s.bucket {
		if int(b) == chosen {
			s.ids = append(s.ids, int32(i))
		}
	}
	for _, shift := range [...]int{21, 10, 0} {
		if len(s.ids) == 1 {
			break
		}
		before = s.narrow(values, weights, shift, before, limit)
	}
	return s.ids[0], before, true
}

// walk adds buckets to before as long as the sum is not above limit. It returns the bucket that
// would bring it above, or the number of buckets if none does, and the sum without it.
func (s *selection) walk(before float64, limit float32) (int, float64) {
	for b, w := range s.weight[:buckets] {
		if w == 0 {
			continue
		}
		if float32(before+w) > limit {
			return b, before
		}
		before += w
	}
	return buckets, before
}

// narrow keeps, of the entries left, those in whose bucket of 11 bits the sum passes limit.
func (s *selection) narrow(values, weights []float32, shift int, before float64, limit float32) float64 {
	clear(s.weight)
	last := uint32(0)
	for _, id := range s.ids {
		b := order(values[id]) >> shift & (buckets - 1)
		last = max(last, b)
		if weights == nil {
			s.weight[b]++
		} else {
			s.weight[b] += float64(weights[id])
		}
	}
	chosen, sum := s.walk(before, limit)
	if chosen == buckets {
		// Added in finer parts the sum stayed on this side of rounding: the largest entries are meant.
		chosen = int(last)
		sum -= s.weight[last]
	}
	kept := s.ids[:0]
	for _, id := range s.ids {
		if int(order(values[id])>>shift&(buckets-1)) == chosen {
			kept = append(kept, id)
		}
	}
	s.ids = kept
	return sum
}

// order maps v to an unsigned integer of the same order; −0 and 0 are one.
func order(v float32) uint32 {
	bits := math.Float32bits(v)
	switch {
	case bits == 1<<31:
		return 1 << 31
	case bits>>31 != 0:
		return ^bits
	}
	return bits | 1<<31
}
