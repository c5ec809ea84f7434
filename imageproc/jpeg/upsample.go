package jpeg

// The functions here make one row of an image from one or two rows of a component. Each
// has a vector form beside it, which gives the same bytes.

// upsampleH2V1Generic is upsampleH2V1 in portable Go. It doubles a row of n ≥ 3 samples in
// width by a triangle filter: weights 3/4 and 1/4 of the nearer and the further neighbour.
// dst has 2n. Rounding alternates, so that no bias builds up.
func upsampleH2V1Generic(dst, src []byte) {
	n := len(src)
	dst = dst[:2*n]
	endsH2V1(dst, src)
	for i := 1; i < n-1; i++ {
		d, s := dst[2*i:2*i+2], src[i-1:i+2]
		v := 3 * int(s[1])
		d[0] = byte((v + int(s[0]) + 1) >> 2)
		d[1] = byte((v + int(s[2]) + 2) >> 2)
	}
}

// endsH2V1 makes what comes of the first and the last sample.
func endsH2V1(dst, src []byte) {
	n := len(src)
	dst[0] = src[0]
	dst[1] = byte((3*int(src[0]) + int(src[1]) + 2) >> 2)
	dst[2*n-2] = byte((3*int(src[n-1]) + int(src[n-2]) + 1) >> 2)
	dst[2*n-1] = src[n-1]
}

// upsampleH1V2Generic is upsampleH1V2 in portable Go. It makes one of the two rows that
// lie around near, towards far: 3/4 near, 1/4 far. bias is 1 for the upper of the two
// rows and 2 for the lower.
func upsampleH1V2Generic(dst, near, far []byte, bias int) {
	dst, far = dst[:len(near)], far[:len(near)]
	for i, v := range near {
		dst[i] = byte((3*int(v) + int(far[i]) + bias) >> 2)
	}
}

// upsampleH2V2Generic is upsampleH2V2 in portable Go, which is both: rows of n ≥ 3 samples
// to one of 2n.
func upsampleH2V2Generic(dst, near, far []byte) {
	n := len(near)
	dst, far = dst[:2*n], far[:n]
	endsH2V2(dst, near, far)
	this, next := column(near, far, 0), column(near, far, 1)
	for i := 1; i < n-1; i++ {
		last := this
		this, next = next, column(near, far, i+1)
		d := dst[2*i : 2*i+2]
		d[0] = byte((3*this + last + 8) >> 4)
		d[1] = byte((3*this + next + 7) >> 4)
	}
}

func endsH2V2(dst, near, far []byte) {
	n := len(near)
	first, second := column(near, far, 0), column(near, far, 1)
	dst[0] = byte((4*first + 8) >> 4)
	dst[1] = byte((3*first + second + 7) >> 4)
	last, before := column(near, far, n-1), column(near, far, n-2)
	dst[2*n-2] = byte((3*last + before + 8) >> 4)
	dst[2*n-1] = byte((4*last + 7) >> 4)
}

// column weighs the samples at i of two rows.
func column(near, far []byte, i int) int32 { return 3*int32(near[i]) + int32(far[i]) }

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
	return c.samples[y%c.rows*c.stride:][:c.width]
}

// block is where the row y of blocks has its samples.
func (c *component) block(y int) []byte { return c.samples[8*y%c.rows*c.stride:] }

// row is row y at the image's size. It holds until the next call.
func (u *upsampler) row(y int) []byte { return u.filter(u, y) }
