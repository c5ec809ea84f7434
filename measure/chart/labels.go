package chart

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// label is a text beside a point.
type label struct {
	at   plotter.XY
	text string
}

// labels writes each beside its point, where no other stands yet.
type labels []label

// Plot is plot.Plotter.
func (ls labels) Plot(c draw.Canvas, p *plot.Plot) {
	style := p.X.Tick.Label
	style.Font.Size = 8.5
	style.XAlign, style.YAlign = draw.XLeft, draw.YCenter
	x, y := p.Transforms(&c)
	var taken []vg.Rectangle
	for _, l := range ls { // the dots
		at := vg.Point{X: x(l.at.X), Y: y(l.at.Y)}
		taken = append(taken, vg.Rectangle{Min: vg.Point{X: at.X - 3, Y: at.Y - 3}, Max: vg.Point{X: at.X + 3, Y: at.Y + 3}})
	}
	for _, l := range ls {
		at := vg.Point{X: x(l.at.X), Y: y(l.at.Y)}
		width, height := style.Width(l.text), style.Font.Size+1
		box, ok := place(at, width, height, c.Rectangle, taken)
		if !ok {
			continue
		}
		taken = append(taken, box)
		middle := vg.Point{X: box.Min.X, Y: (box.Min.Y + box.Max.Y) / 2}
		if dx := middle.X - at.X; middle.Y-at.Y > height || at.Y-middle.Y > height || dx > 12 { // too far to belong by itself
			end := middle
			if box.Max.X < at.X {
				end.X = box.Max.X
			}
			c.StrokeLine2(draw.LineStyle{Color: faint, Width: .7}, at.X, at.Y, end.X, end.Y)
		}
		c.FillText(style, middle, l.text)
	}
}

// place finds a free box of that size near a point: to the right or the left of it, at its
// height or step by step further above and below.
func place(at vg.Point, width, height vg.Length, inside vg.Rectangle, taken []vg.Rectangle) (vg.Rectangle, bool) {
	for step := range 24 {
		for _, up := range []vg.Length{-1, 1} {
			for _, x := range []vg.Length{at.X + 6, at.X - 6 - width} {
				y := at.Y + up*height*vg.Length(step) - height/2
				box := vg.Rectangle{Min: vg.Point{X: x, Y: y}, Max: vg.Point{X: x + width, Y: y + height}}
				if box.Min.X < inside.Min.X || box.Max.X > inside.Max.X || box.Min.Y < inside.Min.Y || box.Max.Y > inside.Max.Y {
					continue
				}
				free := true
				for _, t := range taken {
					if box.Min.X < t.Max.X && t.Min.X < box.Max.X && box.Min.Y < t.Max.Y && t.Min.Y < box.Max.Y {
						free = false
						break
					}
				}
				if free {
					return box, true
				}
			}
		}
	}
	return vg.Rectangle{}, false
}
