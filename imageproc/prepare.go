package imageproc

import (
	"fmt"
	"image"
	"math"
)

// Settings are the numbers of a checkpoint's preprocessor_config.json. The zero value
// is the released model's.
type Settings struct {
	NoResize      bool   // do_resize false: pictures keep their own size
	ShortestEdge  int    // size.shortest_edge; 0 means 378
	LongestEdge   int    // size.longest_edge; 0 means 980
	Filter        Filter // resample; see FilterOf
	NoRescale     bool   // do_rescale false
	RescaleFactor float64
	NoNormalize   bool      // do_normalize false
	Mean, Std     []float64 // image_mean, image_std, one a channel; nil means ½ ½ ½
	PatchSize     int       // the vision tower's; 0 means 14

	// Scale multiplies both sides of every picture before Fit; 0 means 1. It is no number
	// of a checkpoint: training shows small pictures at many sizes with it.
	Scale float64

	// Pillow13 resizes pictures that shrink much in height vertically first, as Pillow
	// does from version 13 on. The released model was trained with the horizontal pass
	// first always.
	Pillow13 bool
}

// maxEdge bounds the edges of Settings, and so what Prepare allocates for one crop.
const maxEdge = 16384

// maxWork bounds the pixels between the two passes of a resize: a picture 1 pixel wide
// and 178 million high is small to send and to decode, and would take minutes here.
const maxWork = 1 << 29

// complete returns s with its zero values filled in, or says which number is unusable.
func (s Settings) complete() (Settings, error) {
	set := func(v *int, released int) {
		if *v == 0 {
			*v = released
		}
	}
	set(&s.ShortestEdge, 378)
	set(&s.LongestEdge, 980)
	set(&s.PatchSize, 14)
	if s.RescaleFactor == 0 {
		s.RescaleFactor = 0.00392156862745098
	}
	if s.Mean == nil {
		s.Mean = []float64{0.5, 0.5, 0.5}
	}
	if s.Std == nil {
		s.Std = []float64{0.5, 0.5, 0.5}
	}
	if s.Scale == 0 {
		s.Scale = 1
	}
	if !(s.Scale >= 1.0/16 && s.Scale <= 16) {
		return s, fmt.Errorf("imageproc: scale %v, want 1/16 to 16", s.Scale)
	}
	for _, edge := range []struct {
		name string
		v    int
	}{{"shortest_edge", s.ShortestEdge}, {"longest_edge", s.LongestEdge}, {"patch_size", s.PatchSize}} {
		if edge.v < 1 || edge.v > maxEdge {
			return s, fmt.Errorf("imageproc: %s %d, want 1 to %d", edge.name, edge.v, maxEdge)
		}
	}
	if s.Filter < 0 || int(s.Filter) >= len(filterNames) {
		return s, fmt.Errorf("imageproc: filter %d, want 0 to %d", int(s.Filter), len(filterNames)-1)
	}
	if f := s.RescaleFactor; math.IsNaN(f) || math.IsInf(f, 0) {
		return s, fmt.Errorf("imageproc: rescale_factor %v, want a finite number", f)
	}
	if len(s.Mean) != 3 || len(s.Std) != 3 {
		return s, fmt.Errorf("imageproc: image_mean has %d and image_std %d numbers, want 3 each", len(s.Mean), len(s.Std))
	}
	for c := range 3 {
		if m := s.Mean[c]; math.IsNaN(m) || math.IsInf(m, 0) {
			return s, fmt.Errorf("imageproc: image_mean[%d] is %v, want a finite number", c, m)
		}
		if d := float32(s.Std[c]); !(d > 0) || math.IsInf(float64(d), 0) {
			return s, fmt.Errorf("imageproc: image_std[%d] is %v, want a finite number above 0", c, s.Std[c])
		}
	}
	return s, nil
}

// Crop is one picture as it enters the model: a whole image, or a quarter of one.
type Crop struct {
	Box           image.Rectangle // in the source's pixels
	RGB           *RGB            // resized
	Rows, Columns int             // whole patches, at least one each
}

// Prepare cuts img into the crops that the model sees, the five of Split or the whole
// alone, and resizes each to the size that Fit gives it. An image that is left
// without one whole patch is refused. A crop that is neither cut nor resized shares img's pixels.
//
// A quarter of a picture one pixel wide or high is empty and comes out black. The
// reference refuses pictures one pixel high and scrambles those three high, because
// it takes a height of 1 or 3 for a channel axis: that is not reproduced.
func Prepare(img *RGB, s Settings, split bool) ([]Crop, error) {
	s, err := s.complete()
	if err != nil {
		return nil, err
	}
	if img.Width < 1 || img.Height < 1 {
		return nil, fmt.Errorf("imageproc: the picture is %d×%d, want at least 1×1", img.Width, img.Height)
	}
	size := image.Pt(img.Width, img.Height)
	boxes := []image.Rectangle{image.Rectangle{Max: size}}
	if split {
		five := Split(size)
		boxes = five[:]
	}
	crops := make([]Crop, 0, len(boxes))
	for _, box := range boxes {
		to := box.Size()
		if s.Scale != 1 {
			to = image.Pt(int(float64(to.X)*s.Scale), int(float64(to.Y)*s.Scale))
		}
		if !s.NoResize {
			to = Fit(to, s.ShortestEdge, s.LongestEdge)
		}
		rows, columns := to.Y/s.PatchSize, to.X/s.PatchSize
		if rows < 1 || columns < 1 {
			return nil, fmt.Errorf("imageproc: the part %v of a picture of %d×%d comes out at %d×%d, smaller than one patch of %d×%d; give a larger picture, or a shortest_edge of at least %d",
				box, img.Width, img.Height, to.X, to.Y, s.PatchSize, s.PatchSize, s.PatchSize)
		}
		if int64(box.Dy())*int64(to.X) > maxWork {
			return nil, fmt.Errorf("imageproc: the part %v of a picture of %d×%d is too long and narrow to resize to %d×%d; cut it into several pictures", box, img.Width, img.Height, to.X, to.Y)
		}
		part := img
		if box.Size() != size {
			part = img.Crop(box)
		}
		if to != box.Size() {
			part = s.resize(part, to)
		}
		crops = append(crops, Crop{Box: box, RGB: part, Rows: rows, Columns: columns})
	}
	return crops, nil
}

// resize resizes a part in the order of passes that the settings ask for. A pass that
// changes no side is none, so the vertical one can go first by itself.
func (s Settings) resize(part *RGB, to image.Point) *RGB {
	if lost := part.Height - to.Y; s.Pillow13 && lost > 0 && lost > 2*(part.Width-to.X) {
		part = Resize(part, part.Width, to.Y, s.Filter)
	}
	return Resize(part, to.X, to.Y, s.Filter)
}
