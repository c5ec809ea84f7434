package processor

// positions returns the rows of the position table for a grid of patches: bucket of the
// row times side plus bucket of the column, in patch order.
func positions(side, rows, columns int) []int32 {
	down, right := buckets(side, rows), buckets(side, columns)
	ids := make([]int32, 0, rows*columns)
	for _, r := range down {
		for _, c := range right {
			ids = append(ids, r*int32(side)+c)
		}
	}
	return ids
}

// buckets places n patches along an axis of a table with side positions. It is the rule
// that the weights were trained with (transformers up to 4.54, "hf-4.40" of the goldens):
//
//	bucketize(arange(0, 1 − 1e-6, 1/n), arange(1/side, 1, 1/side), right=True)
//
// which is ⌊i·side/n⌋ but for the rounding of the two ranges in float32: where i·side/n is
// whole, a patch may fall into the bucket below. Later versions of the reference round
// otherwise, in silence (spec: model.md §4.3).
func buckets(side, n int) []int32 {
	step := 1 / float32(n)
	patches := arange(0, float64(step), n)
	bounds := arange(1/float64(side), 1/float64(side), side-1)
	out := make([]int32, n)
	k := 0
	for i, at := range patches { // both rise
		for k < len(bounds) && bounds[k] <= at {
			k++
		}
		out[i] = int32(k)
	}
	return out
}

// arange rounds as torch.arange does in float32 with eight lanes: whole groups of sixteen
// count from the rounded value of their half's first element, the rest each for itself.
func arange(start, step float64, n int) []float32 {
	const lanes = 8
	out := make([]float32, n)
	whole := n / (2 * lanes) * (2 * lanes)
	for i := range out {
		if i < whole {
			first := float32(start + float64(step*float64(i/lanes*lanes)))
			out[i] = float32(float64(first) + float64(float64(i%lanes)*step))
		} else {
			out[i] = float32(start + float64(step*float64(i)))
		}
	}
	return out
}
