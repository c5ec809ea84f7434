package jpeg

// The functions here make one row of an image from one or two rows of a component. They
// are loops over slices alone, to be replaced by vector code where there is some.

// upsampleH2V1 doubles a row of n ≥ 3 samples in width by a triangle filter:
// weights 3/4 and 1/4 of the nearer and the further neighbour. dst has 2n.
// Rounding alternates, so that no bias builds up.
func upsampleH2V1(dst, src []byte) {
	n := len(src)
	dst = dst[:2*n]
	dst[0] = src[0]
	dst[1] = byte((3*int(src[0]) + int(src[1]) + 2) >> 2)
	for i := 1; i < n-1; i++ {
		d, s := dst[2*i:2*i+2], src[i-1:i+2]
		v := 3 * int(s[1])
		d[0] = byte((v + int(s[0]) + 1) >> 2)
		d[1] = byte((v + int(s[2]) + 2) >> 2)
	}
	dst[2*n-2] = byte((3*int(src[n-1]) + int(src[n-2]) + 1) >> 2)
	dst[2*n-1] = src[n-1]
}

// upsampleH1V2 makes one of the two rows that lie around near, towards far: 3/4 near,
// 1/4 far. bias is 1 for the upper of the two rows and 2 for the lower.
func upsampleH1V2(dst, near, far []byte, bias int) {
	dst, far = dst[:len(near)], far[:len(near)]
	for i, v := range near {
		dst[i] = byte((3*int(v) + int(far[i]) + bias) >> 2)
	}
}

// upsampleH2V2 is both: rows of n ≥ 3 samples to one of 2n.
func upsampleH2V2(dst, near, far []byte) {
	last, this := int32(0), 3*int32(near[0])+int32(far[0])
	next := 3*int32(near[1]) + int32(far[1])
	dst[0] = byte((4*this + 8) >> 4)
	dst[1] = byte((3*this + next + 7) >> 4)
	dst, near = dst[2:], near[2:]
	far = far[2:][:len(near)]
	for i, v := range near {
		last, this, next = this, next, 3*int32(v)+int32(far[i])
		d := dst[2*i:][:2]
		d[0] = byte((3*this + last + 8) >> 4)
		d[1] = byte((3*this + next + 7) >> 4)
	}
	d := dst[2*len(near):][:2]
	d[0] = byte((3*next + this + 8) >> 4)
	d[1] = byte((4*next + 7) >> 4)
}

// replicate repeats each sample of src times times.
func replicate(dst, src []byte, times int) {
	for i, v := range src {
		d := dst[i*times:][:times]
		for j := range d {
			d[j] = v
		}
	}
}

// upsampler gives the rows of a component at the size of the image.
type upsampler struct {
	*component
	filter func(u *upsampler, y int) []byte
	buf    []byte
}

// newUpsampler chooses as the reference does (processor.md §5.4): triangles for doubling
// in one or both directions, replication for all else and for very narrow components.
func newUpsampler(c *component) *upsampler {
	u := &upsampler{component: c, buf: make([]byte, c.width*c.scalesX)}
	switch wide := c.width > 2; {
	case c.scalesX == 1 && c.scalesY == 1:
		u.filter = func(u *upsampler, y int) []byte { return u.line(y) }
	case c.scalesX == 2 && c.scalesY == 1 && wide:
		u.filter = func(u *upsampler, y int) []byte {
			upsampleH2V1(u.buf, u.line(y))
			return u.buf
		}
	case c.scalesX == 1 && c.scalesY == 2:
		u.filter = func(u *upsampler, y int) []byte {
			upsampleH1V2(u.buf, u.line(y/2), u.line(further(y)), 1+y%2)
			return u.buf
		}
	case c.scalesX == 2 && c.scalesY == 2 && wide:
		u.filter = func(u *upsampler, y int) []byte {
			upsampleH2V2(u.buf, u.line(y/2), u.line(further(y)))
			return u.buf
		}
	default:
		u.filter = func(u *upsampler, y int) []byte {
			replicate(u.buf, u.line(y/u.scalesY), u.scalesX)
			return u.buf
		}
	}
	return u
}

// further is the row of a component of half the height that is second nearest to row y of
// the image.
func further(y int) int { return y/2 - 1 + y%2*2 }

// line is row y of the component, or the nearest that there is. What blocks hold past its
// true size is never looked at.
func (c *component) line(y int) []byte {
	y = min(max(y, 0), c.height-1)
	return c.samples[y*c.stride:][:c.width]
}

// row is row y at the image's size. It holds until the next call.
func (u *upsampler) row(y int) []byte { return u.filter(u, y) }
