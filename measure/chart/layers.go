package chart

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"idefics2/measure"
)

// Layers draws where the time of each work goes: that of one layer, and that of all that is
// not of layers.
func Layers(w io.Writer, r *measure.Report, title string) error {
	var rows []measure.Row
	for _, row := range r.Rows {
		if row.Layers > 0 && row.Layer > 0 {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return fmt.Errorf("chart: no work of layers was measured; name one, such as decode-bf16")
	}
	p := newPlot(title)
	p.X.Label.Text = "time"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, powers{short}
	low, high := math.Inf(1), 0.0
	for _, row := range rows {
		low, high = min(low, row.Layer), max(high, row.Layer, row.Rest)
	}
	low = math.Pow(10, math.Floor(math.Log10(low/2)))
	grid := plotter.NewGrid()
	grid.Horizontal.Width, grid.Vertical.Color = 0, faint
	p.Add(grid)
	one := &bars{color: blue, offset: 5, low: low}
	rest := &bars{color: grey, offset: -5, low: low}
	var names []plot.Tick
	for i, row := range rows {
		at := float64(len(rows) - 1 - i)
		one.at, one.to = append(one.at, at), append(one.to, row.Layer)
		one.notes = append(one.notes, fmt.Sprintf("%s × %d", short(row.Layer), row.Layers))
		rest.at, rest.to = append(rest.at, at), append(rest.to, row.Rest)
		rest.notes = append(rest.notes, short(row.Rest))
		names = append(names, plot.Tick{Value: at, Label: row.Work})
	}
	p.Add(one, rest)
	p.Legend.Add("one layer × how many there are", one)
	p.Legend.Add("all that is not of layers", rest)
	p.Legend.TextStyle.Font.Size, p.Legend.TextStyle.Color, p.Legend.Padding = 10, ink, 3
	p.Legend.Top, p.Legend.XOffs, p.Legend.YOffs = true, -4, -2
	p.Y.Tick.Marker, p.Y.Tick.Length, p.Y.LineStyle.Width = plot.ConstantTicks(names), 0, 0
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = low, high*12, -.7, float64(len(rows))+1
	return write(w, p, 720, vg.Length(150+30*len(rows)))
}

func short(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.3g s", seconds)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3g ms", seconds*1e3)
	}
	return fmt.Sprintf("%.3g µs", seconds*1e6)
}

// bars are horizontal bars on a logarithmic axis, which begin where the picture does.
type bars struct {
	color  color.Color
	offset vg.Length // of their middle from the row's
	low    float64
	at, to []float64
	notes  []string
}

// Plot is plot.Plotter.
func (b *bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := p.X.Tick.Label
	style.Font.Size, style.XAlign, style.YAlign = 8.5, text.XLeft, text.YCenter
	for i, at := range b.at {
		middle := y(at) + b.offset
		end := x(max(b.low, b.to[i]))
		c.FillPolygon(b.color, []vg.Point{{X: x(b.low), Y: middle - 3}, {X: end, Y: middle - 3}, {X: end, Y: middle + 3}, {X: x(b.low), Y: middle + 3}})
		c.FillText(style, vg.Point{X: end + 4, Y: middle}, b.notes[i])
	}
}

// Thumbnail is plot.Thumbnailer.
func (b *bars) Thumbnail(c *draw.Canvas) {
	y := c.Center().Y
	c.FillPolygon(b.color, []vg.Point{{X: c.Min.X, Y: y - 3}, {X: c.Max.X, Y: y - 3}, {X: c.Max.X, Y: y + 3}, {X: c.Min.X, Y: y + 3}})
}

// powers marks the powers of ten of a logarithmic axis, and names them.
type powers struct{ name func(float64) string }

// Ticks is plot.Ticker.
func (p powers) Ticks(low, high float64) (ticks []plot.Tick) {
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		v := math.Pow(10, e)
		ticks = append(ticks, plot.Tick{Value: v, Label: p.name(v)})
		for m := 2.0; m < 10; m++ {
			ticks = append(ticks, plot.Tick{Value: m * v})
		}
	}
	return ticks
}
