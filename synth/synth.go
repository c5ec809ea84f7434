// Package synth draws training pictures and asks about them: printed text, forms,
// receipts, tables, charts, shapes, sums, web pages and signs. Its examples never end, are
// made in memory, and follow from (seed, index) alone, whatever the threads.
//
//	g, err := synth.New(synth.Options{Seed: 1})
//	for i := range uint64(1000) { e := g.Example(i); … }
//
// Each of the sixteen categories of the reading evaluation (package eval) has its
// questions and its form of answer; "columns" and "document" are for training alone.
package synth

import (
	"fmt"
	"slices"
	"strings"

	"idefics2/chat"
	"idefics2/imageproc"
	"idefics2/synth/typeface"
)

// Split says which examples to draw.
type Split string

// The splits have neither a seed nor a typeface in common.
const (
	Train   Split = "train"
	HeldOut Split = "heldout"
)

// Options are a generator's choices; the zero value works.
type Options struct {
	Seed  uint64
	Split Split // "" means Train
	// Categories are those to draw from; nil means all of Categories, by their weights.
	Categories []string
	// Weights are the categories' shares, in proportion; nil means Weights.
	Weights map[string]float64
	// MaxSide is the most pixels a picture's longer side may have, from 192 on; 0 means 980. One picture
	// in ten is larger than 448 where that allows it.
	MaxSide int
	// MaxText is the most letters an answer should have, so that training can begin with
	// short ones; 0 means any number.
	MaxText int
	// Questions is the most questions asked about one picture; 0 means 1.
	Questions int
}

// Example is one picture, or several, with questions and their answers.
type Example struct {
	Category string
	Images   []*imageproc.RGB
	Turns    []Turn
	// Document is set instead of Turns for an interleaved document: texts, and images in
	// the order of Images.
	Document []chat.Part
}

// Turn is a question and its answers, the first being the one to train on.
type Turn struct {
	Kind     string
	Question string
	Answers  []string
}

// Messages returns the example as a conversation: all images, the first question, its
// answer, and so on. It is nil for a document.
func (e *Example) Messages() []chat.Message {
	var out []chat.Message
	for i, t := range e.Turns {
		user := chat.Message{Role: "user"}
		if i == 0 {
			for range e.Images {
				user.Content = append(user.Content, chat.Image(""))
			}
		}
		user.Content = append(user.Content, chat.Text(t.Question))
		out = append(out, user, chat.Message{Role: "assistant", Content: []chat.Part{chat.Text(t.Answers[0])}})
	}
	return out
}

// category is how one kind of picture is drawn. It returns the pictures, and a function
// that asks about them: each call may ask something else.
type category struct {
	name   string
	weight float64
	draw   func(d *draft) ([]*imageproc.RGB, func() Turn)
}

// categories are in the order in which evaluations list them. The weights give more to
// what takes longer to learn.
var categories = []category{
	{"line", 14, drawLine},
	{"paragraph", 10, drawParagraph},
	{"form", 7, drawForm},
	{"receipt", 7, drawReceipt},
	{"table", 8, drawTable},
	{"bar", 6, drawBars},
	{"linechart", 6, drawLines},
	{"pie", 4, drawPie},
	{"count", 6, drawCount},
	{"colour", 3, drawColour},
	{"position", 4, drawPosition},
	{"compare", 7, drawCompare},
	{"sum", 4, drawSum},
	{"web", 5, drawWeb},
	{"html", 8, drawHTML},
	{"scene", 8, drawScene},
	{"columns", 2, drawColumns},
	{"document", 1, nil},
}

// extras are drawn only where they are named: tasks that no model of ours learns unless somebody teaches it.
var extras = []category{
	{"display", 1, drawDisplay},
}

// find returns the category of a name.
func find(name string) (category, bool) {
	all := slices.Concat(categories, extras)
	i := slices.IndexFunc(all, func(c category) bool { return c.name == name })
	if i < 0 {
		return category{}, false
	}
	return all[i], true
}

// Extras returns the names of the categories that are drawn only where they are named.
func Extras() []string {
	var out []string
	for _, c := range extras {
		out = append(out, c.name)
	}
	return out
}

// Categories returns the names of all categories that are drawn unless said otherwise.
func Categories() []string {
	var out []string
	for _, c := range categories {
		out = append(out, c.name)
	}
	return out
}

// Weights returns the shares that categories have by default.
func Weights() map[string]float64 {
	out := map[string]float64{}
	for _, c := range categories {
		out[c.name] = c.weight
	}
	return out
}

// Generator makes examples. It may be used by many goroutines at once.
type Generator struct {
	options  Options
	chosen   []category
	weights  []float64
	families map[typeface.Class][]*typeface.Family
	body     []*typeface.Family // for running text
}

// New checks the options and returns their generator.
func New(o Options) (*Generator, error) {
	switch o.Split {
	case "":
		o.Split = Train
	case Train, HeldOut:
	default:
		return nil, fmt.Errorf("synth: split %q, want %s or %s", o.Split, Train, HeldOut)
	}
	if o.MaxSide == 0 {
		o.MaxSide = 980
	}
	if o.MaxSide < 192 || o.MaxSide > 4096 {
		return nil, fmt.Errorf("synth: longest side of %d pixels, want 192 to 4096", o.MaxSide)
	}
	if o.MaxText < 0 || o.Questions < 0 {
		return nil, fmt.Errorf("synth: MaxText %d and Questions %d, want neither below 0", o.MaxText, o.Questions)
	}
	o.Questions = max(1, o.Questions)
	g := &Generator{options: o, families: map[typeface.Class][]*typeface.Family{}}
	names := o.Categories
	if names == nil {
		names = Categories()
	}
	weights := o.Weights
	if weights == nil {
		weights = Weights()
	}
	known := strings.Join(slices.Concat(Categories(), Extras()), ", ")
	for name := range weights {
		if _, ok := find(name); !ok {
			return nil, fmt.Errorf("synth: weight of the category %q, want one of %s", name, known)
		}
	}
	var sum float64
	for _, name := range names {
		c, ok := find(name)
		if !ok {
			return nil, fmt.Errorf("synth: category %q, want some of %s", name, known)
		}
		w, given := weights[name]
		if !given && o.Weights == nil {
			w = c.weight
		}
		if !(w >= 0 && w < 1e9) {
			return nil, fmt.Errorf("synth: weight %g of %s, want 0 or more", w, name)
		}
		sum += w
		g.chosen, g.weights = append(g.chosen, c), append(g.weights, w)
	}
	if sum == 0 {
		return nil, fmt.Errorf("synth: no category has a weight")
	}
	for _, f := range typeface.Families() {
		if f.HeldOut == (o.Split == HeldOut) {
			g.families[f.Class] = append(g.families[f.Class], f)
		}
	}
	g.body = slices.Concat(g.families[typeface.Sans], g.families[typeface.Serif])
	return g, nil
}

// Example returns the example of an index. Any index has one.
func (g *Generator) Example(index uint64) *Example {
	split := uint64(0)
	if g.options.Split == HeldOut {
		split = 1
	}
	r := newRandom(g.options.Seed, split, index)
	c := g.chosen[r.weighted(g.weights...)]
	// A drawing may come out larger, or its answer longer, than is wanted. Then the next one
	// is taken, and at last whatever there is, made smaller.
	var last *Example
	for try := range uint64(40) {
		d := &draft{random: newRandom(g.options.Seed, split, index, try+1), g: g, scale: 1}
		if most := float64(g.options.MaxSide) / usualSide; most > 1.2 && d.chance(0.1) {
			d.scale = d.within(1.2, min(most, 980/usualSide))
		}
		e := d.example(c)
		if g.options.MaxText > 0 && e.letters() > g.options.MaxText && try < 39 {
			continue
		}
		if last = e; e.longest() <= g.options.MaxSide {
			return e
		}
	}
	for i, m := range last.Images {
		if long := max(m.Width, m.Height); long > g.options.MaxSide {
			f := float64(g.options.MaxSide) / float64(long)
			last.Images[i] = imageproc.Resize(m, max(1, int(float64(m.Width)*f)), max(1, int(float64(m.Height)*f)), imageproc.Bilinear)
		}
	}
	return last
}

// usualSide is the longest side of nine pictures in ten, in pixels.
const usualSide = 448

func (e *Example) longest() (n int) {
	for _, m := range e.Images {
		n = max(n, m.Width, m.Height)
	}
	return n
}

func (e *Example) letters() (n int) {
	for _, t := range e.Turns {
		n = max(n, len([]rune(t.Answers[0])))
	}
	return n
}

// draft is an example that is being made.
type draft struct {
	random
	g     *Generator
	scale float64 // everything is drawn this much larger
}

// side returns the most pixels that the longest side of this picture may have.
func (d *draft) side() float64 {
	return min(usualSide*d.scale, float64(d.g.options.MaxSide))
}

func (d *draft) example(c category) *Example {
	if c.draw == nil {
		return d.document()
	}
	e := &Example{Category: c.name}
	var ask func() Turn
	e.Images, ask = c.draw(d)
	asked := map[string]bool{}
	for try := 0; len(e.Turns) < d.g.options.Questions && try < 2*d.g.options.Questions; try++ {
		t := ask()
		if key := t.Kind + t.Answers[0]; !asked[t.Question] && !asked[key] {
			asked[t.Question], asked[key] = true, true
			e.Turns = append(e.Turns, t)
		}
	}
	return e
}

// classes are how often each class of typeface is drawn from.
type classes [5]float64 // sans, serif, mono, display, caps

var (
	running   = classes{10, 8, 2, 0, 0}
	printed   = classes{10, 8, 5, 1.5, 0}
	technical = classes{10, 5, 1, 0, 0}
	till      = classes{5, 1, 8, 0, 0}
	signs     = classes{8, 6, 2, 6, 2}
)

// font draws a font that has the letters of text.
func (d *draft) font(from classes, size float64, text string) font {
	order := []typeface.Class{typeface.Sans, typeface.Serif, typeface.Mono, typeface.Display, typeface.Caps}
	for try := 0; ; try++ {
		class := order[d.weighted(from[:]...)]
		if class == typeface.Caps && text != strings.ToUpper(text) {
			continue
		}
		families := d.g.families[class]
		if len(families) == 0 {
			families = d.g.body
		}
		f := one(d.random, families)
		face := f.Regular
		switch {
		case f.Bold != nil && d.chance(0.2):
			face = f.Bold
		case f.Italic != nil && d.chance(0.12):
			face = f.Italic
		}
		if !face.Covers(text) && try < 60 {
			continue
		}
		out := font{Face: face, Set: typeface.Set{Size: size, NoKern: d.chance(0.3)}, grid: d.chance(0.5)}
		out.Whole = out.grid && d.chance(0.5)
		if d.chance(0.03) {
			out.Tracking = d.within(-0.02, 0.08)
		}
		if d.chance(0.02) {
			out.slant = d.within(0.05, 0.25)
		}
		return out
	}
}

// bold returns the font's bold style, or the font itself.
func (f font) bold() font {
	if b := f.Family.Bold; b != nil {
		f.Face = b
	}
	return f
}

// regular returns the font's upright, light style.
func (f font) regular() font {
	f.Face = f.Family.Regular
	return f
}

// worn finishes a picture: every second one is worn as wear draws it, turned by turn
// degrees at most.
func (d *draft) worn(c *canvas, p paper, share, turn, letters float64) *imageproc.RGB {
	m := c.picture()
	if !d.chance(share) {
		return m
	}
	return d.wear(turn, letters, d.scale).apply(d.random, m, p.ground)
}

// fits tells whether a text is short enough for the curriculum.
func (d *draft) fits(text string) bool {
	return d.g.options.MaxText == 0 || len(text) <= d.g.options.MaxText
}
