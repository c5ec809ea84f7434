package imageproc

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
)

// PNG returns the picture as a PNG file.
func (m *RGB) PNG() ([]byte, error) {
	var b bytes.Buffer
	err := png.Encode(&b, m.Image())
	return b.Bytes(), err
}

// Image returns the picture as Go's packages take it, sharing its bytes.
func (m *RGB) Image() image.Image { return opaque{m} }

// opaque is an image.Image over packed RGB bytes.
type opaque struct{ rgb *RGB }

func (p opaque) ColorModel() color.Model { return color.NRGBAModel }
func (p opaque) Bounds() image.Rectangle { return image.Rect(0, 0, p.rgb.Width, p.rgb.Height) }
func (p opaque) Opaque() bool            { return true } // so that a file has no alpha

func (p opaque) At(x, y int) color.Color {
	at := p.rgb.Pix[3*(y*p.rgb.Width+x):]
	return color.NRGBA{at[0], at[1], at[2], 255}
}
