//go:build !noasm

package jpeg

func ycbcrToRGB(dst, y, cb, cr []byte) {
	n := len(y)
	if !useAVX2 || n < lanes {
		ycbcrToRGBGeneric(dst, y, cb, cr)
		return
	}
	dst, cb, cr = dst[:3*n], cb[:n], cr[:n]
	ycbcrToRGBAVX2(&dst[0], &y[0], &cb[0], &cr[0], n/lanes)
	last := n - lanes
	ycbcrToRGBAVX2(&dst[3*last], &y[last], &cb[last], &cr[last], 1)
}
