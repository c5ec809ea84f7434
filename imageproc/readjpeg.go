package imageproc

import (
	"errors"
	"strings"

	"idefics2/imageproc/jpeg"
)

// decodeJPEG brings what package jpeg reads to RGB.
func decodeJPEG(data []byte, lim Limits) (*RGB, meta, error) {
	img, err := jpeg.Decode(data, lim.Pixels)
	if err != nil {
		// The caller says "JPEG" already.
		return nil, meta{}, errors.New(strings.TrimPrefix(err.Error(), "jpeg: "))
	}
	return rgbOfJPEG(img), meta{exif: img.Exif, xmp: img.XMP}, nil
}

func rgbOfJPEG(img *jpeg.Image) *RGB {
	convert := fromRGB
	switch img.Model {
	case jpeg.RGB:
		return &RGB{img.Width, img.Height, img.Pix}
	case jpeg.Gray:
		convert = fromGray
	case jpeg.CMYK:
		convert = fromCMYK
	}
	out := NewRGB(img.Width, img.Height)
	convert(out.Pix, img.Pix, img.Width*img.Height)
	return out
}
