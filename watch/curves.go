package watch

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// palette is Okabe and Ito's, which people see who see colours differently.
var palette = []color.Color{
	color.RGBA{0, 114, 178, 255}, color.RGBA{213, 94, 0, 255}, color.RGBA{0, 158, 115, 255}, color.RGBA{204, 121, 167, 255},
	color.RGBA{230, 159, 0, 255}, color.RGBA{86, 180, 233, 255}, color.RGBA{0, 0, 0, 255},
}

// Curves writes loss.png, learning_rate.png, grad_norm.png, throughput.png, and parts.png,
// eval.png and marks.png where there is something to show, into a folder.
func Curves(dir string, steps []Step) error {
	if len(steps) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	of := func(value func(s *Step) float64) plotter.XYs {
		var xys plotter.XYs
		for i := range steps {
			if v := value(&steps[i]); !math.IsNaN(v) && !math.IsInf(v, 0) {
				xys = append(xys, plotter.XY{X: float64(steps[i].Step), Y: v})
			}
		}
		return xys
	}
	loss := of(func(s *Step) float64 { return s.Loss })
	charts := []chart{
		{"loss", "loss", []line{{"each step", loss, true}, {"smoothed", smoothed(loss), false}}},
		{"learning_rate", "learning rate", []line{{"", of(func(s *Step) float64 { return s.LearningRate }), false}}},
		{"grad_norm", "gradient norm", []line{{"", of(func(s *Step) float64 { return s.GradNorm }), false}}},
		{"throughput", "tokens per second", []line{{"", of(func(s *Step) float64 { return float64(s.Tokens) / s.Seconds }), false}}},
		{"parts", "loss by part", named(steps, func(s *Step) map[string]float64 { return s.Parts })},
		{"eval", "loss at evaluations", named(steps, func(s *Step) map[string]float64 { return s.Eval })},
		{"marks", "marks of tasks", named(steps, func(s *Step) map[string]float64 { return s.Marks })},
	}
	for _, c := range charts {
		if err := c.write(dir); err != nil {
			return fmt.Errorf("watch: %s.png: %w", c.file, err)
		}
	}
	return nil
}

type chart struct {
	file, title string
	lines       []line
}

type line struct {
	name  string
	xys   plotter.XYs
	faint bool
}

// named are the lines of values with names.
func named(steps []Step, of func(s *Step) map[string]float64) (lines []line) {
	at := map[string]int{}
	var names []string
	for i := range steps {
		for name := range of(&steps[i]) {
			if _, ok := at[name]; !ok {
				at[name] = 0
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range names[:min(len(names), 12)] { // more cannot be told apart
		var xys plotter.XYs
		for i := range steps {
			if v, ok := of(&steps[i])[name]; ok && !math.IsNaN(v) && !math.IsInf(v, 0) {
				xys = append(xys, plotter.XY{X: float64(steps[i].Step), Y: v})
			}
		}
		lines = append(lines, line{name, xys, false})
	}
	return lines
}

// smoothed is an exponential mean over about a fiftieth of the run, without the bias of its
// beginning.
func smoothed(xys plotter.XYs) plotter.XYs {
	keep := 1 - 1/max(1, float64(len(xys))/50)
	out := make(plotter.XYs, len(xys))
	sum, weight := 0.0, 0.0
	for i, p := range xys {
		sum, weight = keep*sum+(1-keep)*p.Y, keep*weight+(1-keep)
		out[i] = plotter.XY{X: p.X, Y: sum / weight}
	}
	return out
}

func (c *chart) write(dir string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text = c.title, "step"
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		style.Font.Variant = "Sans"
	}
	p.Title.Padding, p.X.Padding, p.Y.Padding = 4, 4, 4
	p.Add(plotter.NewGrid())
	empty := true
	for i, l := range c.lines {
		if len(l.xys) == 0 {
			continue
		}
		empty = false
		drawn, err := plotter.NewLine(l.xys)
		if err != nil {
			return err
		}
		drawn.Width, drawn.Color = vg.Points(1.5), palette[i%len(palette)]
		if l.faint {
			drawn.Color, drawn.Width = color.Gray{190}, vg.Points(0.75)
		}
		if i >= len(palette) {
			drawn.Dashes = []vg.Length{4, 2}
		}
		p.Add(drawn)
		if l.name != "" {
			p.Legend.Add(l.name, drawn)
		}
	}
	if empty {
		return nil
	}
	p.Legend.Top, p.Legend.XOffs = true, -vg.Points(12)
	p.X.Max += (p.X.Max - p.X.Min) / 40 // the last label is cut off otherwise
	w, err := p.WriterTo(7*vg.Inch, 4*vg.Inch, "png")
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, c.file+".png"), b.Bytes(), 0o666)
}
