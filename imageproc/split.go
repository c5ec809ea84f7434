package imageproc

import "image"

// Split returns the boxes into which a picture of the given size is split, in the
// order in which the model sees them: top left, top right, bottom left, bottom right,
// whole. An odd column or row goes right or down, so a side of 1 leaves empty boxes.
// The quarters are cut from the source; each is fitted and resized on its own.
func Split(size image.Point) [5]image.Rectangle {
	w, h := size.X, size.Y
	x, y := w/2, h/2
	return [5]image.Rectangle{
		image.Rect(0, 0, x, y),
		image.Rect(x, 0, w, y),
		image.Rect(0, y, x, h),
		image.Rect(x, y, w, h),
		image.Rect(0, 0, w, h),
	}
}
