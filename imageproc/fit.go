package imageproc

import "image"

// Fit returns the size to which a picture of the given size is resized: the longer
// side is brought down to longest, the other with it, and then each side is raised to
// shortest on its own, so that a narrow picture is stretched.
//
// With a = W/H in float64, the other side is trunc(longest/a) where W ≥ H and
// trunc(longest·a) otherwise: truncation of a rounded quotient, which integer
// arithmetic does not give (1008×900 → 980×874, not 875). No side is rounded to whole
// patches, and nothing shrinks a side again after the raise. The formula is
// get_resize_output_image_size of the reference's image_processing_idefics2.py.
//
// A side may be 0, as in the halves of a picture of one pixel: it is raised like others.
func Fit(size image.Point, shortest, longest int) image.Point {
	w, h := size.X, size.Y
	a := float64(w) / float64(h)
	switch {
	case w >= h && w > longest:
		w = longest
		h = int(float64(longest) / a)
	case h > w && h > longest:
		h = longest
		w = int(float64(longest) * a)
	}
	return image.Pt(max(w, shortest), max(h, shortest))
}
