package imageproc_test

import (
	"fmt"
	"image"
	"log"

	"idefics2/imageproc"
)

// From a file to what the vision tower reads, with the released model's numbers.
func Example() {
	var settings imageproc.Settings
	data, err := imageproc.ReadFile("testdata/src/photo_1000x667.jpg", imageproc.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	img, info, err := imageproc.Decode(data, imageproc.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	crops, err := imageproc.Prepare(img, settings, true)
	if err != nil {
		log.Fatal(err)
	}
	table, err := settings.Table()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Format, img.Width, img.Height)
	for _, c := range crops {
		patches := imageproc.Patches(c.RGB, 14, table)
		fmt.Printf("%v as %d×%d: %d×%d patches, %d values\n", c.Box, c.RGB.Width, c.RGB.Height, c.Rows, c.Columns, len(patches))
	}
	// Output:
	// JPEG 1000 667
	// (0,0)-(500,333) as 500×378: 27×35 patches, 555660 values
	// (500,0)-(1000,333) as 500×378: 27×35 patches, 555660 values
	// (0,333)-(500,667) as 500×378: 27×35 patches, 555660 values
	// (500,333)-(1000,667) as 500×378: 27×35 patches, 555660 values
	// (0,0)-(1000,667) as 980×653: 46×70 patches, 1893360 values
}

// Small pictures are raised to the shortest edge on each side, and so stretched.
func ExampleFit() {
	for _, size := range []image.Point{{640, 480}, {1920, 1080}, {400, 300}, {4000, 100}} {
		fmt.Println(size, "→", imageproc.Fit(size, 378, 980))
	}
	// Output:
	// (640,480) → (640,480)
	// (1920,1080) → (980,551)
	// (400,300) → (400,378)
	// (4000,100) → (980,378)
}

// An error names the kind and what to do about it.
func ExampleDecode_refused() {
	_, _, err := imageproc.Decode([]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"), imageproc.Limits{})
	fmt.Println(err)
	// Output: imageproc: HEIC is not read; convert it to PNG or JPEG
}

func ExampleParseDataURL() {
	data, err := imageproc.ParseDataURL("data:image/gif;base64,R0lGODlh", imageproc.Limits{})
	fmt.Printf("%s %v\n", data, err)
	_, err = imageproc.ParseDataURL("data:text/html;base64,R0lGODlh", imageproc.Limits{})
	fmt.Println(err)
	// Output:
	// GIF89a <nil>
	// imageproc: data URL: media type "text/html"; want data:image/TYPE;base64,DATA
}
