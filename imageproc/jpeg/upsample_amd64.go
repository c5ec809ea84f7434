//go:build !noasm

package jpeg

// lanes is the number of samples that the vector code takes at a time. What remains of a
// row is done by going back: the last vector overlaps the one before it.
const lanes = 32

func upsampleH2V1(dst, src []byte) {
	n := len(src)
	if !useAVX2 || n-2 < lanes {
		upsampleH2V1Generic(dst, src)
		return
	}
	dst = dst[:2*n]
	endsH2V1(dst, src)
	upsampleH2V1AVX2(&dst[2], &src[1], (n-2)/lanes)
	last := n - 1 - lanes
	upsampleH2V1AVX2(&dst[2*last], &src[last], 1)
}

func upsampleH1V2(dst, near, far []byte, bias int) {
	n := len(near)
	if !useAVX2 || n < lanes {
		upsampleH1V2Generic(dst, near, far, bias)
		return
	}
	dst, far = dst[:n], far[:n]
	upsampleH1V2AVX2(&dst[0], &near[0], &far[0], n/lanes, uint16(bias))
	last := n - lanes
	upsampleH1V2AVX2(&dst[last], &near[last], &far[last], 1, uint16(bias))
}

func upsampleH2V2(dst, near, far []byte) {
	n := len(near)
	if !useAVX2 || n-2 < lanes {
		upsampleH2V2Generic(dst, near, far)
		return
	}
	dst, far = dst[:2*n], far[:n]
	endsH2V2(dst, near, far)
	upsampleH2V2AVX2(&dst[2], &near[1], &far[1], (n-2)/lanes)
	last := n - 1 - lanes
	upsampleH2V2AVX2(&dst[2*last], &near[last], &far[last], 1)
}
