package jpeg_test

import (
	"fmt"
	"os"

	"idefics2/imageproc/jpeg"
)

func ExampleDecode() {
	data, err := os.ReadFile("testdata/jpeg_420_33x31.jpg")
	if err != nil {
		fmt.Println(err)
		return
	}
	img, err := jpeg.Decode(data, 1_000_000) // no more than a megapixel
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(img.Width, img.Height, img.Model == jpeg.RGB, len(img.Pix))
	// Output: 33 31 true 3069
}

// The header tells the price of a file before it is paid, and carries the EXIF data with
// the orientation, which Decode does not apply.
func ExampleDecodeConfig() {
	data, err := os.ReadFile("testdata/exif_6.jpg")
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := jpeg.DecodeConfig(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Width, c.Height, c.Components, len(c.Exif) > 0)
	// Output: 24 16 3 true
}

func ExampleCMYKToRGB() {
	rgb := make([]byte, 3)
	jpeg.CMYKToRGB(rgb, []byte{10, 20, 30, 40})
	fmt.Println(rgb)
	// Output: [207 198 190]
}
