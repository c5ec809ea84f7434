// Package imageproc turns the bytes of a picture into the patches that the vision
// tower reads: decode, orient, convert to RGB, split, fit, resize, rescale, normalize.
//
// Every step gives the bytes of the reference, transformers' slow image processor over
// Pillow, or refuses: a silent difference here is a wrong answer on a document. Where
// Pillow's versions differ, in the order of the two passes of a resize, it is the
// order the released weights were trained with: horizontal first.
//
//	data → Decode → RGB → Prepare (split, fit, resize) → Crop → Patches → [rows·columns, 3·p·p]
//
// Decode takes bytes from strangers: it reads the size in the header and holds it
// against Limits before it allocates, and it never panics.
package imageproc

import "image"

// RGB is a picture of three bytes a pixel, R, G, B, row by row from the top left,
// without padding: pixel (x, y) starts at Pix[3·(y·Width+x)].
type RGB struct {
	Width, Height int
	Pix           []byte // [Height, Width, 3]
}

// NewRGB returns a black picture.
func NewRGB(width, height int) *RGB {
	return &RGB{width, height, make([]byte, 3*width*height)}
}

// Row returns the bytes of row y, [Width, 3], shared with the picture.
func (m *RGB) Row(y int) []byte {
	n := 3 * m.Width
	return m.Pix[y*n : (y+1)*n : (y+1)*n]
}

// Crop returns a copy of the pixels inside box, which must lie inside the picture. A
// box without width or height gives a picture without pixels.
func (m *RGB) Crop(box image.Rectangle) *RGB {
	if box.Min.X < 0 || box.Min.Y < 0 || box.Max.X > m.Width || box.Max.Y > m.Height || box.Dx() < 0 || box.Dy() < 0 {
		panic("imageproc: Crop: the box lies outside the picture")
	}
	out := NewRGB(box.Dx(), box.Dy())
	for y := range out.Height {
		copy(out.Row(y), m.Row(box.Min.Y + y)[3*box.Min.X:])
	}
	return out
}
