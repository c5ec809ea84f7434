// Package chart draws what package measure found as PNG pictures.
package chart

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"idefics2/measure"
)

// Colours that differ for colour-blind eyes too (Okabe and Ito, 2008).
var (
	blue   = color.RGBA{0, 114, 178, 255}
	orange = color.RGBA{213, 94, 0, 255}
	green  = color.RGBA{0, 158, 115, 255}
	grey   = color.RGBA{130, 130, 130, 255}
	faint  = color.RGBA{225, 225, 225, 255}
	ink    = color.RGBA{40, 40, 40, 255}
)

// newPlot returns an empty plot in our looks.
func newPlot(title string) *plot.Plot {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 14}
	p.Title.TextStyle.Color = ink
	p.Title.Padding = 10
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color, a.Label.TextStyle.Color, a.Tick.Label.Color, a.Tick.Color = grey, ink, ink, grey
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = 11, 10
		a.Label.Padding = 6
	}
	return p
}

// write writes the plot as a PNG of that size in points, at twice the usual resolution.
func write(w io.Writer, p *plot.Plot, width, height vg.Length) error {
	c := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(144), vgimg.UseBackgroundColor(color.White))
	p.Draw(draw.Crop(draw.New(c), 12, -16, 10, -10))
	_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(w)
	return err
}

// Roofline draws the speed of each work over the operations that it does on a byte that it
// reads, under the roof that memory and arithmetic make: on the left nothing is faster than memory
// brings weights, on the right than the processor multiplies.
func Roofline(w io.Writer, r *measure.Report, title string) error {
	if !slices.ContainsFunc(r.Rows, func(row measure.Row) bool { return row.Operations > 0 }) {
		return errors.New("chart: no work that multiplies was measured; name one, such as decode-bf16")
	}
	p := newPlot(title)
	p.X.Label.Text, p.Y.Label.Text = "operations per byte of weights", "GFLOP/s"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = powers{plain}, powers{plain}

	left, right, low, high := 1.0, 10.0, math.Inf(1), 0.0
	for _, row := range r.Rows {
		if row.Operations > 0 {
			left, right = min(left, row.Operations/row.Bytes), max(right, row.Operations/row.Bytes)
			low = min(low, row.Operations/row.Seconds/1e9)
		}
	}
	left, right = left/2, right*3
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = faint, faint
	p.Add(grid)
	for _, roof := range []struct {
		typ   string
		color color.Color
	}{{"int8", orange}, {"bf16", blue}} {
		top := r.Limits.Operations(roof.typ)
		if top <= 0 || r.Limits.Read <= 0 {
			continue
		}
		high = max(high, top/1e9)
		line, err := plotter.NewLine(plotter.XYs{
			{X: left, Y: left * r.Limits.Read / 1e9}, {X: top / r.Limits.Read, Y: top / 1e9}, {X: right, Y: top / 1e9},
		})
		if err != nil {
			return err
		}
		line.Color, line.Width = roof.color, 1.5
		p.Add(line)
		p.Legend.Add(fmt.Sprintf("%s: %.0f GFLOP/s", roof.typ, top/1e9), line)
		low = min(low, left*r.Limits.Read/1e9)
	}
	p.Legend.Add(fmt.Sprintf("memory: %.1f GB/s", r.Limits.Read/1e9))
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.TextStyle.Font.Size, p.Legend.TextStyle.Color = 10, ink
	p.Legend.Padding, p.Legend.XOffs, p.Legend.YOffs = 3, 8, -4

	var labels labels
	for _, row := range r.Rows {
		if row.Operations <= 0 {
			continue
		}
		at := plotter.XY{X: row.Operations / row.Bytes, Y: row.Operations / row.Seconds / 1e9}
		dot, err := plotter.NewScatter(plotter.XYs{at})
		if err != nil {
			return err
		}
		dot.Shape, dot.Radius, dot.Color = draw.CircleGlyph{}, 3, colorOf(row)
		p.Add(dot)
		labels = append(labels, label{at, fmt.Sprintf("%s  %.0f %%", row.Work, 100*row.Share)})
	}
	p.Add(labels)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = left, right, low/1.5, high*2.5
	return write(w, p, 720, 470)
}

func plain(v float64) string { return fmt.Sprintf("%.10g", v) }

// colorOf tells works apart by their arithmetic.
func colorOf(r measure.Row) color.Color {
	switch {
	case strings.Contains(r.Work, "q4_0"), strings.Contains(r.Work, "q8_0"):
		return orange
	case strings.Contains(r.Work, "f32"):
		return green
	}
	return blue
}
