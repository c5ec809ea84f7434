package synth

import (
	"fmt"
	"image"
	"image/draw"
	"strings"

	"idefics2/imageproc"
	"idefics2/synth/typeface"
)

// Preview returns a contact sheet of examples: the pictures, and below each its question
// and answer. It is columns pictures wide.
func Preview(examples []*Example, columns int) image.Image {
	const cell, caption, gap = 300, 46, 8
	columns = max(1, min(columns, len(examples)))
	rows := (len(examples) + columns - 1) / columns
	sheet := newCanvas(columns*(cell+gap)+gap, rows*(cell+caption+gap)+gap, rgb{232, 232, 232, 255})
	var family *typeface.Family
	for _, f := range typeface.Families() {
		if f.Name == "roboto" {
			family = f
		}
	}
	f := font{Face: family.Regular, Set: typeface.Set{Size: 11}, grid: true}
	for i, e := range examples {
		x, y := gap+i%columns*(cell+gap), gap+i/columns*(cell+caption+gap)
		n := len(e.Images)
		for k, m := range e.Images {
			room := image.Pt(cell, (cell-4*(n-1))/n)
			if s := min(float64(room.X)/float64(m.Width), float64(room.Y)/float64(m.Height)); s < 1 {
				m = imageproc.Resize(m, max(1, int(float64(m.Width)*s)), max(1, int(float64(m.Height)*s)), imageproc.Bilinear)
			}
			at := image.Pt(x, y+k*(room.Y+4))
			draw.Draw(sheet.RGBA, image.Rectangle{at, at.Add(image.Pt(m.Width, m.Height))}, rgba(m), image.Point{}, draw.Src)
		}
		var text []string
		for _, t := range e.Turns {
			text = append(text, fmt.Sprintf("%s: %s → %s", e.Category, t.Question, t.Answers[0]))
		}
		for _, p := range e.Document {
			text = append(text, p.Text)
		}
		lines := f.wrap(strings.ReplaceAll(strings.Join(text, "  "), "→", "="), cell)
		sheet.block(f, black, float64(x), float64(y+cell)+12, cell, 13, 0, lines[:min(len(lines), 3)])
	}
	return sheet.RGBA
}

// rgba returns a picture as one of Go's.
func rgba(m *imageproc.RGB) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, m.Width, m.Height))
	for i, j := 0, 0; j < len(m.Pix); i, j = i+4, j+3 {
		copy(out.Pix[i:i+3], m.Pix[j:j+3])
		out.Pix[i+3] = 255
	}
	return out
}
