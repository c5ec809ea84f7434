package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/bits"

	"idefics2/internal/half"
	"idefics2/tensor"
)

// noise is a stream of normally distributed numbers, of which any can be had without
// those before it: element i is a function of the seed, the tensor's name and i. So
// the weights of a new model depend neither on threads nor on the order of writing.
//
// Two elements share 64 bits of a SplitMix64 generator that counts (Steele, Lea and
// Flood, "Fast splittable pseudorandom number generators", 2014). An element's top bit
// is its sign, and the other 31, as u = (n + ½)/2³², go through the quantile function
// of the normal distribution, in a table: magnitudes up to 6.34, wrong by at most 1e-4.
type noise struct{ key, twist uint64 }

func newNoise(seed uint64, name string) noise {
	h := sha256.Sum256(append(binary.LittleEndian.AppendUint64(nil, seed), name...))
	return noise{binary.LittleEndian.Uint64(h[:]), binary.LittleEndian.Uint64(h[8:])}
}

// pair returns 64 random bits: the lower half makes element 2i, the upper 2i+1.
func (n noise) pair(i uint64) uint64 {
	z := n.key + (i+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z ^= n.twist // keeps apart two tensors whose counters meet
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// The quantile function is steep near 0, so its table has as many points between 2^k
// and 2^(k+1) for every k, and is linear between two.
const (
	pointBits = 6
	points    = 1 << pointBits
	octaves   = 32
)

// quantiles[k][j] is -Φ⁻¹(u) at u = 2^k·(1 + j/points)/2³³.
var quantiles = func() (t [octaves][points + 1]float32) {
	for k := range t {
		for j := range t[k] {
			u := math.Ldexp(1+float64(j)/points, k-33)
			t[k][j] = float32(-math.Sqrt2 * math.Erfinv(2*u-1))
		}
	}
	return t
}()

// standard turns 32 random bits into a number of mean 0 and standard deviation 1.
func standard(r uint32) float32 {
	n := r<<1 | 1 // u·2³³, an odd number
	k := 31 - bits.LeadingZeros32(n)
	fraction := n << (31 - k) << 1 // after the leading one, left-aligned
	row := &quantiles[k]
	j := fraction >> (32 - pointBits)
	t := float32(fraction<<pointBits>>8) * (1.0 / (1 << 24))
	// The conversion keeps arm64 from fusing product and sum: the same bits everywhere.
	return sign(r, row[j]+float32((row[j+1]-row[j])*t))
}

func sign(r uint32, v float32) float32 {
	return math.Float32frombits(math.Float32bits(v) ^ r&(1<<31))
}

// fill writes elements first, first+1, … of the stream, times std, as dtype into out.
// first is even, and out holds whole elements.
func (n noise) fill(out []byte, dtype tensor.DType, first int64, std float32) {
	size := dtype.Bits() / 8
	i := uint64(first) / 2
	for ; len(out) >= 2*size; out = out[2*size:] {
		r := n.pair(i)
		a, b := standard(uint32(r))*std, standard(uint32(r>>32))*std
		if dtype == tensor.BF16 { // what most new models are: both at once
			binary.LittleEndian.PutUint32(out, uint32(half.F32ToBF16(a))|uint32(half.F32ToBF16(b))<<16)
		} else {
			put(out, dtype, a)
			put(out[size:], dtype, b)
		}
		i++
	}
	if len(out) > 0 {
		put(out, dtype, standard(uint32(n.pair(i)))*std)
	}
}

func put(out []byte, dtype tensor.DType, v float32) {
	switch dtype {
	case tensor.F32:
		binary.LittleEndian.PutUint32(out, math.Float32bits(v))
	case tensor.F16:
		binary.LittleEndian.PutUint16(out, half.F32ToF16(v))
	case tensor.BF16:
		binary.LittleEndian.PutUint16(out, half.F32ToBF16(v))
	default:
		panic("checkpoint: weights of type " + dtype.String())
	}
}
