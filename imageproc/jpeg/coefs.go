package jpeg

// transformCoefficients makes the samples of a file with several scans, once all have been
// read. A component that no scan has mentioned is grey.
func (d *decoder) transformCoefficients(out *renderer) {
	smooth := d.needsSmoothing()
	for band := range d.bands {
		for i := range d.comps {
			c := &d.comps[i]
			for y := band * c.perBand; y < min((band+1)*c.perBand, c.blocksY); y++ {
				samples := c.block(y)
				for x := range c.blocksX {
					b := c.coefs[y*c.coefStride+x]
					if smooth {
						d.smooth(c, &b, x, y)
					}
					used := c.dequantize(&b)
					idct(samples[8*x:], c.stride, &b, used)
				}
			}
		}
		out.band(band)
	}
}

// dequantize multiplies b by the component's quantizers, cut to 16 bits, and tells which
// coefficients differed from zero, in the order of the file.
func (c *component) dequantize(b *block) (used uint64) {
	for k, q := range c.scale[:64] {
		v := &b[zigzag[k]&63]
		if *v != 0 {
			*v = int16(int32(*v) * q)
			used |= 1 << k
		}
	}
	return used
}
