// Command accuracy prints how far the fast modes are from exact mode, as a table in Markdown: every
// model in every type of weights and of keys and values.
//
//	accuracy [-types LIST] [-kv LIST] [-prompts N] [-imatrix FILE] CHECKPOINT|FILE.gguf…
//
// A model is compared with its own exact mode, a file with that of the first model. One model is in
// memory at a time. IDEFICS2_KERNELS chooses the variant; rows of kernels "rounded" round the inputs of bfloat16
// matrices as AMX tiles do, on any machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"idefics2"
	"idefics2/checkpoint"
	"idefics2/convert"
	"idefics2/imatrix"
	"idefics2/internal/half"
	"idefics2/internal/variant"
	"idefics2/kvcache"
	"idefics2/model"
	"idefics2/model/text"
	"idefics2/nn"
	"idefics2/processor"
	"idefics2/quant"
	"idefics2/tensor"
)

var (
	types    = flag.String("types", "bf16,q8_0,q6_k,q4_k,q4_0", "of the decoder's matrices")
	kvs      = flag.String("kv", "bf16,q8_0", "of keys and values, over the weights as they are")
	most     = flag.Int("prompts", 0, "at most so many; 0 is all")
	sums     = flag.String("imatrix", "", "importance of columns, for a second row of q6_k, q4_k and q4_0")
	onlyFast = flag.Bool("as-stored", false, "only as they are stored: for models too large to convert")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	fmt.Println("| model | weights | keys, values | kernels | KL, nats a token | 99 % | same first choice | largest logit error | tokens |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	var first *reference
	for _, path := range flag.Args() {
		if first != nil && checkpoint.IsFile(path) {
			row(first, path, run{name: filepath.Base(path), path: path})
			continue
		}
		r, err := newReference(path)
		if err != nil {
			log.Printf("%s: %v", path, err)
			continue
		}
		if first == nil {
			first = r
		}
		if err := table(r, path); err != nil {
			log.Fatalf("%s: %v", path, err)
		}
	}
}

// reference is a model's prompts and what it computes exactly.
type reference struct {
	inputs  []*processor.Output
	logits  [][]float32
	picture int32
}

// run is a way to compute.
type run struct {
	name, path string
	exact      bool
	amx        bool // inputs of bfloat16 matrices are rounded to bfloat16
	kv         tensor.DType
}

func newReference(path string) (*reference, error) {
	p, err := idefics2.OpenProcessor(path, idefics2.Options{})
	if err != nil {
		return nil, err
	}
	requests, err := idefics2.DivergencePrompts()
	if err != nil {
		return nil, err
	}
	if *most > 0 {
		requests = requests[len(requests)-min(len(requests), *most):]
	}
	r := &reference{}
	for _, q := range requests {
		images := make([]processor.Source, len(q.Images))
		for i, image := range q.Images {
			images[i] = processor.Source{Name: image.Name, Data: image.Data}
		}
		out, err := p.Processor.Process(context.Background(), processor.Request{
			Messages: q.Messages, Images: images, NoGenerationPrompt: true,
		}, nil)
		if err != nil {
			return nil, err
		}
		r.inputs = append(r.inputs, out)
	}
	r.picture = p.ImageID()
	r.logits, err = compute(r.inputs, run{path: path, exact: true, kv: tensor.F32})
	return r, err
}

// table prints the rows of one model.
func table(r *reference, path string) error {
	name := filepath.Base(filepath.Dir(path))
	if filepath.Base(path) != "checkpoint" {
		name = filepath.Base(path)
	}
	if !*onlyFast {
		row(r, name, run{name: "as stored", path: path})
	}
	if hasBF16(path) {
		row(r, name, run{name: "as stored", path: path, amx: true})
	}
	for _, kv := range strings.Split(*kvs, ",") {
		switch kv {
		case "bf16":
			row(r, name, run{name: "as stored", path: path, kv: tensor.BF16})
		case "q8_0":
			row(r, name, run{name: "as stored", path: path, kv: tensor.Q8_0})
		}
	}
	if *onlyFast {
		return nil
	}
	var importance *imatrix.File
	if *sums != "" {
		var err error
		if importance, err = imatrix.Open(*sums); err != nil {
			return err
		}
	}
	for _, typ := range strings.Split(*types, ",") {
		t, err := quant.ParseType(typ)
		if err != nil {
			return err
		}
		if err := converted(r, name, path, t, nil); err != nil {
			return err
		}
		if importance != nil && (t == quant.Q6_K || t == quant.Q4_K || t == quant.Q4_0) {
			if err := converted(r, name, path, t, importance); err != nil {
				return err
			}
		}
	}
	return nil
}

// converted prints the row of a model in another type.
func converted(r *reference, name, path string, t quant.Type, importance *imatrix.File) error {
	dir, err := os.MkdirTemp("", "accuracy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := checkpoint.Open(path)
	if err != nil {
		return err
	}
	choice := convert.Quantized(t, nil)
	if t.Block() == 1 {
		choice = convert.Matrices(t)
	}
	file := filepath.Join(dir, "a.gguf")
	err = convert.GGUF(context.Background(), file, c, convert.Options{Type: choice, Importance: importance})
	if c.Close(); err != nil {
		return err
	}
	as := t.String()
	if t.Block() > 1 {
		as += fmt.Sprintf(" (%.0f %% in blocks)", 100*inBlocks(file))
	}
	if importance != nil {
		as += ", imatrix"
	}
	row(r, name, run{name: as, path: file})
	if t == quant.BF16 {
		row(r, name, run{name: as, path: file, amx: true})
	}
	return nil
}

// hasBF16 reports a model whose output is stored in bfloat16.
func hasBF16(path string) bool {
	c, err := checkpoint.Open(path)
	if err != nil {
		return false
	}
	defer c.Close()
	return c.DTypeOf("lm_head.weight") == tensor.BF16
}

// inBlocks returns the share of a model's values that are stored in blocks.
func inBlocks(file string) float64 {
	c, err := checkpoint.Open(file)
	if err != nil {
		return 0
	}
	defer c.Close()
	var in, all float64
	for _, t := range c.Config.Tensors() {
		n, length := c.Rows(t.Name)
		all += float64(n) * float64(length)
		if typ, ok := quant.OfDType(c.DTypeOf(t.Name)); ok && typ.Block() > 1 {
			in += float64(n) * float64(length)
		}
	}
	return in / all
}

// row computes and prints a row.
func row(r *reference, name string, as run) {
	if as.kv == 0 {
		as.kv = tensor.F32
	}
	logits, err := compute(r.inputs, as)
	if err != nil {
		log.Printf("%s, %s: %v", name, as.name, err)
		return
	}
	c := idefics2.Comparison{Picture: r.picture}
	for i, in := range r.inputs {
		c.Add(r.logits[i], logits[i], in.Input.IDs)
	}
	d, err := c.Divergence()
	if err != nil {
		log.Printf("%s, %s: %v", name, as.name, err)
		return
	}
	kernels := "generic"
	if active := variant.Active("kernel"); len(active) > 0 {
		kernels = active[len(active)-1]
	}
	if as.amx {
		kernels += ", rounded"
	}
	fmt.Printf("| %s | %s | %v | %s | %.2g | %.2g | %.1f %% | %.2g | %d |\n", name, as.name, as.kv, kernels, d.KLMean, d.KL99, 100*d.Top1, d.LogitMax, d.Tokens)
}

// compute returns the logits [T, V] of every prompt.
func compute(inputs []*processor.Output, as run) (all [][]float32, err error) {
	c, err := checkpoint.Open(as.path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.KeepBlocks = true
	m, err := model.Load(c, model.Options{Exact: as.exact})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if as.amx {
		m.Linears(func(_ string, l *nn.Linear) {
			if l.W.BF16 != nil {
				l.See = round
			}
		})
	}
	shape := m.Text.CacheShape()
	shape.Type = as.kv
	for _, in := range inputs {
		if err := m.CheckInput(&in.Input); err != nil {
			return nil, err
		}
		latents := tensor.NewMat(len(in.Input.Crops)*m.Latents(), m.Text.Width())
		for i := range in.Input.Crops {
			m.Encode(latents.Slice(i*m.Latents(), (i+1)*m.Latents()), in.Input.Crops[i:i+1], nil)
		}
		logits, err := m.Decode([]model.Segment{{
			Segment: text.Segment{Past: kvcache.New(shape, 0).NewSequence(), Wanted: len(in.Input.IDs)},
			IDs:     in.Input.IDs, Latents: latents,
		}}, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, append([]float32(nil), logits.Data...))
	}
	return all, nil
}

// round is what tiles make of an input. Nothing but products reads it afterwards.
func round(x tensor.Mat) {
	for i := range x.Rows {
		row := x.Row(i)
		for j, v := range row {
			row[j] = half.BF16ToF32(half.F32ToBF16(v))
		}
	}
}
