package quant

import (
	"fmt"
	"math"
)

// Where it is known how large the inputs of a matrix are, errors of its columns need not count
// alike. A row w of a product is off by
//
//	E|(ŵ − w)·a|² = Σ E[a[j]²]·(ŵ[j] − w[j])²
//
// over inputs a whose columns do not go together, so that E[a[j]²], column j's importance, is the
// weight of its error. The search below is for Q4_0, Q4_K and Q6_K: it begins with the block that
// Encode makes, and takes another only where its weighted error is less, by the scale as it is
// stored and the codes that are nearest with it.

// leastImportance is what a column counts at least, in parts of the mean: data in which an input
// was always zero do not say that it will be.
const leastImportance = 1e-3

// EncodeWeighted is Encode for rows of len(importance) values, with an error in which column j counts
// importance[j], a finite number of at least 0. It panics where rows are not whole blocks. Types
// that do not search, and an importance of nothing but zeros, give the bytes of Encode.
func (t Type) EncodeWeighted(dst []byte, src, importance []float32) error {
	c := t.codec()
	n := len(importance)
	if n == 0 || n%c.values != 0 || len(src)%n != 0 {
		panic(fmt.Sprintf("quant: EncodeWeighted: %d values of %v (blocks of %d) are no rows of %d columns", len(src), t, c.values, n))
	}
	if err := t.Encode(dst, src); err != nil || c.refine == nil {
		return err
	}
	w := relative(importance)
	if w == nil {
		return nil
	}
	for at := 0; at < len(src); at += c.values {
		x := src[at : at+c.values : at+c.values]
		c.refine(dst[:c.bytes:c.bytes], x, w[at%n:at%n+c.values])
		dst = dst[c.bytes:]
	}
	return nil
}

// relative returns the weights of columns in parts of their mean, or nil where they say nothing.
func relative(importance []float32) []float32 {
	sum := 0.0
	for _, v := range importance {
		sum += float64(v)
	}
	mean := sum / float64(len(importance))
	if !(mean > 0) || math.IsInf(mean, 0) {
		return nil
	}
	w := make([]float32, len(importance))
	for i, v := range importance {
		w[i] = max(float32(float64(v)/mean), leastImportance)
	}
	return w
}

// WeightedSquares returns Σ importance[j]·(x − y)² over rows of len(importance) values.
func WeightedSquares(x, y, importance []float32) (sum float64) {
	for i, v := range x {
		off := float64(v) - float64(y[i])
		sum += float64(importance[i%len(importance)]) * off * off
	}
	return sum
}

// refineQ4_0 tries scales of both signs at which the largest magnitude becomes codes from 5.5 to 9.5,
// fits each to the codes it makes, d = Σwxq/Σwq², and keeps the best: the error is Σwx² − (Σwxq)²/Σwq².
func refineQ4_0(block []byte, x, w []float32) {
	v, weights := (*[32]float32)(x), (*[32]float32)(w)
	m := abs(v[largest(v[:])])
	if m < tiny {
		return
	}
	var weighted [32]float32
	for i, v := range v {
		weighted[i] = float32(weights[i] * v)
	}
	d, best := float32(0), float32(0)
	for t := range 34 {
		per := (5.5 + 0.25*float32(t/2)) / m
		if t%2 == 1 {
			per = -per
		}
		var sxq, sqq float32
		for i, v := range v {
			q := nearCode(float32(per*v), -8, 7)
			sxq += float32(weighted[i] * q)
			sqq += float32(float32(weights[i]*q) * q)
		}
		if fit := sxq / sqq; sqq > 0 && float32(fit*sxq) > best {
			d, best = fit, float32(fit*sxq)
		}
	}
	var trial [18]byte
	if d == 0 || !putScale(trial[:], d) {
		return
	}
	d = scaleOf(trial[:])
	id := inverse(d)
	for i := range 16 {
		lo, hi := nearCode(float32(v[i]*id), -8, 7), nearCode(float32(v[i+16]*id), -8, 7)
		trial[2+i] = byte(lo+8) | byte(hi+8)<<4
	}
	keepBetter(decodeQ4_0, block, trial[:], x, w)
}

// refineQ4_K fits the sub-blocks by the given weights, and looks around the scale and the minimum
// that each is rounded to.
func refineQ4_K(block []byte, x, w []float32) {
	var codes [superValues]uint8
	var scales, minima [8]float32
	var mostScale, mostMin float32
	for j := range 8 {
		scales[j], minima[j] = fitQ4_K(codes[32*j:32*j+32], (*[32]float32)(x[32*j:]), (*[32]float32)(w[32*j:]))
		mostScale, mostMin = max(mostScale, scales[j]), max(mostMin, minima[j])
	}
	var trial [144]byte
	if !putScale(trial[:], mostScale/63) || !putScale(trial[2:], mostMin/63) {
		return
	}
	d, dmin := scaleOf(trial[:]), scaleOf(trial[2:])
	perScale, perMin := toSixBits(mostScale), toSixBits(mostMin)
	for j := range 8 {
		v, weights := (*[32]float32)(x[32*j:]), (*[32]float32)(w[32*j:])
		scale, least := near(perScale*scales[j]), near(perMin*minima[j])
		best, s, m := float32(math.MaxFloat32), int32(0), int32(0)
		for si := max(0, scale-1); si <= min(63, scale+1); si++ {
			for mi := max(0, least-1); mi <= min(63, least+1); mi++ {
				step, low := d*float32(si), dmin*float32(mi)
				id, e := inverse(step), float32(0)
				for i, v := range v {
					off := float32(step*nearCode(float32((v+low)*id), 0, 15)) - low - v
					e += float32(weights[i] * float32(off*off))
				}
				if e < best {
					best, s, m = e, si, mi
				}
			}
		}
		putScaleMin(trial[4:16], j, byte(s), byte(m))
		step, low := d*float32(s), dmin*float32(m)
		id := inverse(step)
		for i, v := range v {
			codes[32*j+i] = uint8(nearCode(float32((v+low)*id), 0, 15))
		}
	}
	putCodesQ4_K(trial[:], &codes)
	keepBetter(decodeQ4_K, block, trial[:], x, w)
}

// refineQ6_K fits the sub-blocks by the given weights, and looks around the scale that each is rounded to.
func refineQ6_K(block []byte, x, w []float32) {
	var codes [superValues]uint8
	var scales [16]float32
	for j := range scales {
		scales[j] = fitQ6_K(codes[16*j:16*j+16], (*[16]float32)(x[16*j:]), (*[16]float32)(w[16*j:]))
	}
	most := scales[largest(scales[:])]
	if abs(most) < tiny {
		return
	}
	var trial [210]byte
	per := -128 / most
	if !putScale(trial[208:], 1/per) {
		return
	}
	d := scaleOf(trial[208:])
	for j := range scales {
		v, weights := (*[16]float32)(x[16*j:]), (*[16]float32)(w[16*j:])
		scale := near(float32(per * scales[j]))
		best, s := float32(math.MaxFloat32), int32(0)
		for si := max(-128, scale-1); si <= min(127, scale+1); si++ {
			step := d * float32(si)
			id, e := inverse(step), float32(0)
			for i, v := range v {
				off := float32(step*nearCode(float32(v*id), -32, 31)) - v
				e += float32(weights[i] * float32(off*off))
			}
			if e < best {
				best, s = e, si
			}
		}
		trial[192+j] = byte(int8(s))
		id := inverse(d * float32(s))
		for i, v := range v {
			codes[16*j+i] = uint8(nearCode(float32(v*id), -32, 31) + 32)
		}
	}
	putCodesQ6_K(trial[:], &codes)
	keepBetter(decodeQ6_K, block, trial[:], x, w)
}

// keepBetter writes trial to block where its error is less.
func keepBetter(decode func([]float32, []byte), block, trial []byte, x, w []float32) {
	var decoded [superValues]float32
	y := decoded[:len(x)]
	decode(y, block)
	was := weightedError(x, y, w)
	decode(y, trial)
	if weightedError(x, y, w) < was {
		copy(block, trial)
	}
}

func weightedError(x, y, w []float32) (e float32) {
	for i, v := range x {
		off := y[i] - v
		e += float32(w[i] * float32(off*off))
	}
	return e
}
