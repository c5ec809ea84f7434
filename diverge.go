package idefics2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math"
	"math/rand/v2"
	"path"
	"slices"
)

// Divergence tells how far the predictions of one model are from another's, the exact one's,
// over the same prompts.
type Divergence struct {
	Prompts int `json:"prompts"`
	Tokens  int `json:"tokens"` // whose predictions were compared: texts', not pictures'
	// The Kullback-Leibler divergence from the exact model's distribution, in nats a token.
	KLMean float64 `json:"kl_mean"`
	KL99   float64 `json:"kl_99"` // the 99th percentile
	KLMax  float64 `json:"kl_max"`
	// LogitMax is the largest difference of a logit.
	LogitMax float64 `json:"logit_max"`
	// Top1 is the share of tokens at which both have the same most likely next one.
	Top1 float64 `json:"top1_agreement"`
	// Perplexity is the exact model's of the prompts, and PerplexityRatio the other's by it.
	Perplexity      float64 `json:"perplexity"`
	PerplexityRatio float64 `json:"perplexity_ratio"`
}

// Diverge runs the prompts of all requests through both models, which must have the same
// words, and compares what they predict after every token of text. Nothing is drawn.
func Diverge(ctx context.Context, exact, other *Model, requests []Request) (Divergence, error) {
	d := Divergence{Prompts: len(requests)}
	if a, b := exact.Config().Text.VocabSize, other.Config().Text.VocabSize; a != b {
		return d, fmt.Errorf("idefics2: %s has %d words and %s has %d: they cannot be compared", exact.name, a, other.name, b)
	}
	c := Comparison{Picture: int32(exact.Config().ImageTokenID)}
	for i := range requests {
		r := &requests[i]
		ready, err := exact.processor.Process(ctx, *r)
		if err != nil {
			return d, err
		}
		again, err := other.processor.Process(ctx, *r)
		if err != nil {
			return d, err
		}
		ids := ready.InputIDs
		if !slices.Equal(ids, again.InputIDs) {
			return d, fmt.Errorf("idefics2: %s and %s make other ids of prompt %d: they cannot be compared", exact.name, other.name, i)
		}
		p, err := exact.logits(ctx, *r)
		if err != nil {
			return d, err
		}
		q, err := other.logits(ctx, *r)
		if err != nil {
			return d, err
		}
		c.Add(p, q, ids)
	}
	return c.Divergence()
}

// Comparison adds up how far logits are from those of an exact model.
type Comparison struct {
	Picture int32 // the id of what stands for pictures, which is not predicted

	kl          []float64
	prompts     int
	same        int
	loss, other float64
	most        float64
}

// Add compares the logits [T, V] of a prompt's T ids.
func (c *Comparison) Add(exact, other []float32, ids []int32) {
	c.prompts++
	if len(ids) == 0 {
		return
	}
	vocab := len(exact) / len(ids)
	for t := range len(ids) - 1 {
		if ids[t+1] == c.Picture {
			continue
		}
		a, b := exact[t*vocab:(t+1)*vocab], other[t*vocab:(t+1)*vocab]
		la, lb := logSum(a), logSum(b)
		sum := 0.0
		for j, v := range a {
			lp, lq := float64(v)-la, float64(b[j])-lb
			sum += math.Exp(lp) * (lp - lq)
			c.most = max(c.most, math.Abs(float64(v)-float64(b[j])))
		}
		c.kl = append(c.kl, max(0, sum)) // rounding can make it less
		if argmax(a) == argmax(b) {
			c.same++
		}
		c.loss += la - float64(a[ids[t+1]])
		c.other += lb - float64(b[ids[t+1]])
	}
}

// Divergence returns what was added.
func (c *Comparison) Divergence() (Divergence, error) {
	d := Divergence{Prompts: c.prompts, Tokens: len(c.kl), LogitMax: c.most}
	if len(c.kl) == 0 {
		return d, errors.New("idefics2: the prompts have no text to compare")
	}
	kl := slices.Sorted(slices.Values(c.kl))
	n := float64(len(kl))
	for _, v := range kl {
		d.KLMean += v / n
	}
	d.KL99, d.KLMax = kl[(len(kl)*99+99)/100-1], kl[len(kl)-1]
	d.Top1 = float64(c.same) / n
	d.Perplexity, d.PerplexityRatio = math.Exp(c.loss/n), math.Exp((c.other-c.loss)/n)
	return d, nil
}

// logits returns those of all positions of a prompt [T, V].
func (m *Model) logits(ctx context.Context, r Request) (logits []float32, err error) {
	err = m.Trace(ctx, r, func(name string, _ []int, values []float32) error {
		if name == "logits" {
			logits = slices.Clone(values)
		}
		return nil
	})
	return logits, err
}

func logSum(x []float32) float64 {
	most := float64(slices.Max(x))
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - most)
	}
	return most + math.Log(sum)
}

func argmax(x []float32) (at int) {
	for i, v := range x {
		if v > x[at] {
			at = i
		}
	}
	return at
}

// DivergencePrompts returns finished conversations for Diverge, each about a picture: those that
// the binary carries recordings of, and made-up ones of noise, waves and rectangles.
func DivergencePrompts() ([]Request, error) {
	const folder = "testdata/golden/tiny/images"
	entries, err := fs.ReadDir(recorded, folder)
	if err != nil {
		return nil, err
	}
	var images []Image
	for _, e := range entries {
		data, err := recorded.ReadFile(path.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		images = append(images, Image{Name: e.Name(), Data: data})
	}
	for i := range 4 {
		picture, err := madeUp(uint64(i))
		if err != nil {
			return nil, err
		}
		images = append(images, picture)
	}
	split := false
	var list []Request
	for i, picture := range images {
		turn := conversations[i%len(conversations)]
		list = append(list, Request{
			Messages: []Message{
				{Role: "user", Content: []Part{{Type: "image"}, {Type: "text", Text: turn[0]}}},
				{Role: "assistant", Content: []Part{{Type: "text", Text: turn[1]}}},
			},
			Images: []Image{picture}, Split: &split, NoGenerationPrompt: true,
		})
	}
	return list, nil
}

// conversations are questions about a picture and answers of some length.
var conversations = [][2]string{
	{"What do you see in this picture?", "A small harbour in the early morning. Three fishing boats lie at the quay, two of them red and one blue, and behind them stands a row of white houses with dark roofs."},
	{"Read the text and answer: what is the total?", "The receipt lists bread for 2.40, milk for 1.15 and cheese for 5.80, which comes to 9.35 euros in total, paid in cash on 14 March."},
	{"Which of the bars is the highest, and by how much?", "The bar for 2019 is the highest at 48 percent. It is 6 points above that of 2020 and twice as high as the one for 2016."},
	{"Describe the colours.", "Most of the picture is grey. In the upper left there is a patch of bright yellow that fades into green, and a thin red line runs from one side to the other."},
	{"Write a function that does what the diagram shows.", "def area(width, height):\n    \"\"\"Return the area of a rectangle.\"\"\"\n    if width < 0 or height < 0:\n        raise ValueError(\"negative side\")\n    return width * height\n"},
	{"Qu'est-ce qui est écrit sur le panneau ?", "Le panneau indique la gare à gauche et le musée à droite, à environ dix minutes à pied."},
}

// madeUp draws a picture: noise, waves, or rectangles, always the same for a seed.
func madeUp(seed uint64) (Image, error) {
	const width, height = 112, 84
	random := rand.New(rand.NewPCG(seed, 0x1def1c52))
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			c := color.RGBA{A: 255}
			switch seed % 2 {
			case 0:
				n := random.Uint32()
				c.R, c.G, c.B = uint8(n), uint8(n>>8), uint8(n>>16)
			default:
				c.R = uint8(127 + 127*math.Sin(float64(x)/float64(3+seed)))
				c.G = uint8(127 + 127*math.Sin(float64(y)/float64(5+seed)))
				c.B = uint8(2 * x)
			}
			m.SetRGBA(x, y, c)
		}
	}
	for range 6 {
		x, y := random.IntN(width-20), random.IntN(height-20)
		c := color.RGBA{uint8(random.Uint32()), uint8(random.Uint32()), uint8(random.Uint32()), 255}
		for dy := range 8 + random.IntN(12) {
			for dx := range 8 + random.IntN(12) {
				m.SetRGBA(x+dx, y+dy, c)
			}
		}
	}
	var data bytes.Buffer
	err := png.Encode(&data, m)
	return Image{Name: fmt.Sprintf("made-up-%d.png", seed), Data: data.Bytes()}, err
}
