package chart

import (
	"bytes"
	"image/png"
	"testing"

	"idefics2/kernel"
	"idefics2/measure"
)

// The pictures are PNGs with something of each colour on them, also of a run of few works.
func TestPictures(t *testing.T) {
	r := &measure.Report{
		Limits: measure.Limits{Threads: 2, Read: 28e9, Peaks: []kernel.Peak{{Variant: "avx2", Type: "f32", Rate: 2e11}, {Variant: "avx2", Type: "int8", Rate: 4e11}}},
		Rows: []measure.Row{
			{Work: "decode-bf16", Seconds: .5, Share: .9, Bytes: 14.2e9, Operations: 14.3e9, Layers: 32, Layer: .015, Rest: .01},
			{Work: "decode-q4_0", Seconds: .15, Share: .9, Bytes: 4e9, Operations: 14.3e9, Layers: 32, Layer: .004, Rest: .003},
			{Work: "vision735x980", Seconds: 25, Share: .7, Bytes: 8e8, Operations: 4.5e12, Layers: 27, Layer: .9, Rest: .05},
			{Work: "tokenize", Seconds: .5, Share: .001, Bytes: 1e7},
		},
	}
	var roof, layers bytes.Buffer
	if err := Roofline(&roof, r, "a title"); err != nil {
		t.Fatal(err)
	}
	if err := Layers(&layers, r, "a title"); err != nil {
		t.Fatal(err)
	}
	for name, picture := range map[string]*bytes.Buffer{"roofline": &roof, "layers": &layers} {
		img, err := png.Decode(picture)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		seen := map[[3]uint32]int{}
		for y := range img.Bounds().Dy() {
			for x := range img.Bounds().Dx() {
				r, g, b, _ := img.At(x, y).RGBA()
				seen[[3]uint32{r >> 8, g >> 8, b >> 8}]++
			}
		}
		if n := seen[[3]uint32{uint32(blue.R), uint32(blue.G), uint32(blue.B)}]; n < 100 {
			t.Errorf("%s: %d blue pixels", name, n)
		}
	}
	if err := Layers(&layers, &measure.Report{Rows: r.Rows[3:]}, ""); err == nil {
		t.Error("layers of works that have none were drawn")
	}
	if err := Roofline(&roof, &measure.Report{Rows: r.Rows[3:]}, ""); err == nil {
		t.Error("a roofline of works without operations was drawn")
	}
}
