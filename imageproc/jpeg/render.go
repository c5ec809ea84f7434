package jpeg

import "sync"

// A renderer makes pixels of samples while these are decoded. Samples come by bands, rows
// of whole units over the whole width, and are kept for some bands only: they are still in
// the cache when they are used, and memory for all of them is never touched.
type renderer struct {
	*decoder
	img     *Image
	space   ColorSpace
	ups     [4]*upsampler
	perBand int // rows of pixels
	next    int // the first row that is not made yet

	ready  chan int // for a second goroutine: bands that have their samples
	worker sync.WaitGroup
}

// The pixels of a band are made when the band is there but for its last row, which may
// need the samples below it, so up to two bands are looked at. Beyond those, two are
// underway and queued wait between the goroutines.
const (
	queued      = 4
	alone       = 2
	apart       = alone + 2 + queued
	worthASplit = 1 << 18 // pixels that a second goroutine is worth starting for
)

// newRenderer allocates the image, and the samples of a few bands. With split, pixels are
// made on a goroutine of their own, until wait.
func (d *decoder) newRenderer(split bool) *renderer {
	r := &renderer{decoder: d, space: d.space()}
	r.img = &Image{Width: d.width, Height: d.height, Model: r.space.model(), Exif: d.exif, XMP: d.xmp}
	r.img.Pix = make([]byte, d.width*d.height*len(d.comps))
	kept := alone
	if split {
		kept = apart
	}
	for i := range d.comps {
		c := &d.comps[i]
		c.stride = 8 * c.blocksX
		c.rows = 8 * c.perBand * min(kept, d.bands)
		c.samples = make([]byte, c.rows*c.stride)
		r.ups[i] = newUpsampler(c)
	}
	r.perBand = 8 * d.comps[0].perBand * d.comps[0].scalesY
	if split {
		r.ready = make(chan int, queued)
		r.worker.Go(func() {
			for band := range r.ready {
				r.render(band)
			}
		})
	}
	return r
}

// band is told, in order, of every band that has its samples.
func (r *renderer) band(y int) {
	if r.ready != nil {
		r.ready <- y
	} else {
		r.render(y)
	}
}

// wait ends the second goroutine, and waits for it.
func (r *renderer) wait() {
	if r.ready != nil {
		close(r.ready)
		r.worker.Wait()
		r.ready = nil
	}
}

// finish returns the image, all of whose bands have come.
func (r *renderer) finish() *Image {
	r.wait()
	return r.img
}

// render makes the rows of pixels that the samples up to a band suffice for.
func (r *renderer) render(band int) {
	end := (band+1)*r.perBand - 1
	if band == r.bands-1 {
		end = r.height
	}
	line := r.width * len(r.comps)
	var rows [4][]byte
	for ; r.next < end; r.next++ {
		for i := range r.comps {
			rows[i] = r.ups[i].row(r.next)[:r.width]
		}
		convert(r.img.Pix[r.next*line:][:line], rows, r.space)
	}
}
