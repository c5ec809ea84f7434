package checkpoint

import (
	"fmt"

	"idefics2/internal/strictjson"
)

// Preprocessor is preprocessor_config.json: what happens to an image's pixels
// (spec/processor.md §1).
type Preprocessor struct {
	ConvertRGB    bool
	Resize        bool
	ShortestEdge  int // bounds of a resized image, in pixels
	LongestEdge   int
	Resample      int // Pillow's number of the filter: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming
	Rescale       bool
	RescaleFactor float64
	Normalize     bool
	Mean, Std     [3]float64 // of red, green and blue
	Pad           bool
	Split         bool // cut an image in four crops and add the whole
}

// DefaultPreprocessor returns the defaults of the reference's Idefics2ImageProcessor,
// which does not split; preprocessor_config.json of the released model does.
func DefaultPreprocessor() Preprocessor {
	half := [3]float64{0.5, 0.5, 0.5}
	return Preprocessor{
		ConvertRGB: true,
		Resize:     true, ShortestEdge: 378, LongestEdge: 980, Resample: 2,
		Rescale: true, RescaleFactor: 1.0 / 255,
		Normalize: true, Mean: half, Std: half,
		Pad: true,
	}
}

// ParsePreprocessor reads the text of a preprocessor_config.json; fields that it does
// not say are those of DefaultPreprocessor.
func ParsePreprocessor(data []byte) (p Preprocessor, err error) {
	err = parseFile(data, func(o object) { p = parsePreprocessor(o) })
	if err != nil {
		return Preprocessor{}, fmt.Errorf("checkpoint: preprocessor_config.json: %w", err)
	}
	return p, nil
}

func parsePreprocessor(o object) Preprocessor {
	p := DefaultPreprocessor()
	for _, flag := range []struct {
		key string
		to  *bool
	}{
		{"do_convert_rgb", &p.ConvertRGB},
		{"do_resize", &p.Resize},
		{"do_rescale", &p.Rescale},
		{"do_normalize", &p.Normalize},
		{"do_pad", &p.Pad},
		{"do_image_splitting", &p.Split},
	} {
		if o.has(flag.key) {
			*flag.to = o.bool(flag.key, *flag.to)
		}
	}
	if size, ok := o.object("size"); ok {
		p.ShortestEdge = size.int("shortest_edge", p.ShortestEdge, 1, maxImageSide)
		p.LongestEdge = size.int("longest_edge", p.LongestEdge, 1, maxImageSide)
	}
	if o.has("resample") {
		p.Resample = o.int("resample", p.Resample, 0, 5)
	}
	if o.has("rescale_factor") {
		p.RescaleFactor = o.float("rescale_factor", p.RescaleFactor, 1e-9, 1e9)
	}
	o.channels("image_mean", &p.Mean, -1e9)
	o.channels("image_std", &p.Std, 1e-9)
	return p
}

// channels reads one number for all colours, or a list of three.
func (o object) channels(key string, to *[3]float64, lo float64) {
	const hi = 1e9
	if !o.has(key) {
		return
	}
	if o.kind(key) == strictjson.Number {
		v := o.float(key, to[0], lo, hi)
		*to = [3]float64{v, v, v}
		return
	}
	n := 0
	o.array(key, func(raw []byte) error {
		v, err := parseFloat(scan(raw))
		if err == nil && !(v >= lo && v <= hi) {
			err = fmt.Errorf("want numbers from %g to %g", lo, hi)
		}
		if n < 3 {
			to[n] = v
		}
		n++
		return err
	})
	if n != 3 {
		o.fail(key, "found %s, want a number or a list of three", o.found(key))
	}
}
