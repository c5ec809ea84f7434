//go:build !noasm

package kernel

// weightedSums holds the assembly for each number of vectors of eight that sums can be kept in
// registers for. Wider heads are done in parts; each element's sum is the same.
var weightedSums = [...]func(out, p, v *float32, stride, n int){
	weightedSum1, weightedSum2, weightedSum3, weightedSum4, weightedSum5, weightedSum6,
	weightedSum7, weightedSum8, weightedSum9, weightedSum10, weightedSum11, weightedSum12,
}

func weightedSum(out, p, v []float32, stride int) {
	if !useAVX2 || len(out)%8 != 0 || len(p) == 0 {
		weightedSumGeneric(out, p, v, stride)
		return
	}
	_ = v[(len(p)-1)*stride+len(out)-1] // the assembly trusts this
	vectors := len(out) / 8
	for done := 0; done < vectors; {
		n := vectors - done
		if n > len(weightedSums) {
			n = 8
		}
		weightedSums[n-1](&out[8*done], &p[0], &v[8*done], stride, len(p))
		done += n
	}
}
