// Package jpeg decodes JPEG to the very bytes that libjpeg-turbo 3.2 gives with its
// default settings, as Pillow uses it: the integer inverse transform, triangular
// upsampling, 16-bit fixed-point colour. The model's training saw these pixels, and the
// standard library's differ from them by up to 130 at the edges of colours.
//
// Read: baseline, extended and progressive Huffman files of 8 bits with 1, 3 or 4
// components, every sampling of whole ratios, restart markers, scans of single
// components. Refused, by name: arithmetic, lossless and hierarchical coding, other
// precisions, a height given after the scan (DNL), fractional sampling ratios.
//
// A file that ends with its entropy-coded data, without an end-of-image marker, is
// truncated and an error. Corrupt data before that marker are decoded to something, as
// the reference does: the rest of a segment whose data ran out is grey.
//
// The formulas are those of ITU-T T.81 and of the specification, processor.md §5.
package jpeg

import (
	"fmt"
	"math"
	"runtime"
)

// MaxPixels is the default limit of Decode: from there on Pillow takes a file for a
// decompression bomb.
const MaxPixels = 178_956_970

// Model says what the channels of an Image are.
type Model uint8

const (
	Gray Model = iota + 1 // one channel
	RGB                   // three
	CMYK                  // four; 0 is no ink. Adobe's inversion is undone, with or without its marker
)

// Channels is the number of bytes of a pixel.
func (m Model) Channels() int {
	if m == CMYK {
		return 4
	}
	return int(m)*2 - 1
}

// ColorSpace is the space in which a file stores its components.
type ColorSpace uint8

const (
	SpaceGray ColorSpace = iota + 1
	SpaceYCbCr
	SpaceRGB
	SpaceCMYK
	SpaceYCCK // YCbCr for the inverse of CMY, and K
)

// model is what a file of this space decodes to.
func (s ColorSpace) model() Model {
	switch s {
	case SpaceGray:
		return Gray
	case SpaceCMYK, SpaceYCCK:
		return CMYK
	}
	return RGB
}

// Config is what a file says of itself before its first scan.
type Config struct {
	Width, Height int
	Components    int // 1, 3 or 4
	Space         ColorSpace
	Progressive   bool

	// Exif holds the TIFF structure of the APP1 segments that start with "Exif\0\0",
	// joined, without that prefix; XMP the last XMP packet. Both may alias the input, and
	// are nil where the file has none. Nothing here is applied: the caller turns the image
	// by the orientation it finds.
	Exif, XMP []byte
}

// Image is a decoded file.
type Image struct {
	Width, Height int
	Model         Model
	Pix           []byte // [Height, Width, Model.Channels()], rows without padding
	Exif, XMP     []byte // as in Config
}

// DecodeConfig reads the segments up to the first scan. It allocates nothing by the
// size that they declare.
func DecodeConfig(data []byte) (Config, error) {
	d := decoder{data: data}
	if err := d.readHeader(); err != nil {
		return Config{}, fmt.Errorf("jpeg: %w", err)
	}
	return d.config(), nil
}

// Decode decodes a whole file. One that declares more than limit pixels is refused before
// anything is allocated for them; a limit of 0 stands for MaxPixels. Besides the result,
// a component sampled in full takes two bytes a pixel while decoding a file of several
// scans; others take a few rows.
//
// Where Go may use two processors, large images are made by two goroutines, which have
// ended when Decode returns. The result does not depend on it.
func Decode(data []byte, limit int) (*Image, error) {
	if limit == 0 {
		limit = MaxPixels
	}
	d := decoder{data: data}
	splitFrom := worthASplit
	if runtime.GOMAXPROCS(0) == 1 {
		splitFrom = math.MaxInt
	}
	img, err := d.decode(limit, splitFrom)
	if err != nil {
		return nil, fmt.Errorf("jpeg: %w", err)
	}
	return img, nil
}

// decode uses two goroutines for images of splitFrom pixels and more.
func (d *decoder) decode(limit, splitFrom int) (*Image, error) {
	if err := d.readHeader(); err != nil {
		return nil, err
	}
	if int64(d.width)*int64(d.height) > int64(limit) {
		return nil, fmt.Errorf("%d×%d pixels declared, more than the limit of %d; shrink the image first", d.width, d.height, limit)
	}
	if err := d.layOut(); err != nil {
		return nil, err
	}
	out := d.newRenderer(d.width*d.height >= splitFrom)
	defer out.wait()
	if err := d.readScans(out); err != nil {
		return nil, err
	}
	if d.multiScan {
		d.transformCoefficients(out)
	}
	return out.finish(), nil
}

func (d *decoder) config() Config {
	return Config{
		Width: d.width, Height: d.height, Components: len(d.comps),
		Space: d.space(), Progressive: d.progressive,
		Exif: d.exif, XMP: d.xmp,
	}
}

// space applies the reference's rules for what the components mean: JFIF wins over
// Adobe, Adobe over the component ids (processor.md §5.5).
func (d *decoder) space() ColorSpace {
	switch c := d.comps; {
	case len(c) == 1:
		return SpaceGray
	case len(c) == 4 && (!d.adobe || d.adobeTransform == 0):
		return SpaceCMYK
	case len(c) == 4:
		return SpaceYCCK
	case d.jfif:
		return SpaceYCbCr
	case d.adobe && d.adobeTransform == 0:
		return SpaceRGB
	case !d.adobe && c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B':
		return SpaceRGB
	}
	return SpaceYCbCr
}
