// Package processor turns messages and pictures into the model's input: the prompt, its
// token ids with a place for every image vector, and the patches of every crop.
package processor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"idefics2/chat"
	"idefics2/imageproc"
	"idefics2/input"
	"idefics2/tokenizer"
)

// Settings are a checkpoint's numbers that the processor needs.
type Settings struct {
	Image      imageproc.Settings
	Limits     imageproc.Limits
	Side       int    // rows, and columns, of the vision tower's position table
	Tokens     int    // image tokens a crop
	ImageToken string // "<image>"
	FakeToken  string // "<fake_token_around_image>", which stands around every image
	BOS, EOS   string // as a chat template sees them
}

// Processor is immutable and safe for use by many goroutines.
type Processor struct {
	settings  Settings
	table     *imageproc.Table
	tokenizer *tokenizer.Tokenizer // nil: pictures only
	template  *chat.Template       // nil: bare prompts only
	image     int32                // id of ImageToken
}

// New returns a processor. Without a tokenizer it prepares pictures only, and without a
// template it reads bare prompts only.
func New(s Settings, t *tokenizer.Tokenizer, template *chat.Template) (*Processor, error) {
	if s.ImageToken == "" {
		s.ImageToken = "<image>"
	}
	if s.FakeToken == "" {
		s.FakeToken = "<fake_token_around_image>"
	}
	table, err := s.Image.Table()
	if err != nil {
		return nil, fmt.Errorf("processor: %w", err)
	}
	p := &Processor{settings: s, table: table, tokenizer: t, template: template}
	if t == nil {
		return p, nil
	}
	id, ok := t.ID(s.ImageToken)
	if !ok || !t.IsSpecial(id) {
		return nil, fmt.Errorf("processor: the tokenizer has no special token %q, which holds an image's place; is it another model's tokenizer.json?", s.ImageToken)
	}
	if fake, ok := t.ID(s.FakeToken); !ok || !t.IsSpecial(fake) {
		return nil, fmt.Errorf("processor: the tokenizer has no special token %q, which stands around an image; is it another model's tokenizer.json?", s.FakeToken)
	}
	p.image = id
	return p, nil
}

// Tokenizer returns the tokenizer, or nil.
func (p *Processor) Tokenizer() *tokenizer.Tokenizer { return p.tokenizer }

// ImageID returns the id of the token that holds a picture's place.
func (p *Processor) ImageID() int32 { return p.image }

// Request is what a person asks: a conversation, or a bare prompt.
type Request struct {
	Messages []chat.Message
	// Prompt is used instead of Messages: a text with the image markers written in it,
	// whose special tokens are recognized, as the reference takes it.
	Prompt string
	// Document is used instead of Messages: texts and images in order, without roles, as
	// pre-training reads them. Nothing in its texts is a control token.
	Document []chat.Part
	// Images are for the image entries of Messages or Document that name no picture of
	// their own, and for the markers of Prompt, in order.
	Images []Source
	Split  bool // cut each picture into its quarters and the whole
	// Scale enlarges each picture before it is fitted to the model's bounds; 0 is 1. It is
	// for training, which shows small pictures at many sizes.
	Scale float64
	// Raw recognizes special tokens in message text too, as the reference does: an
	// "<image>" that a user wrote then wants a picture.
	Raw                bool
	NoGenerationPrompt bool
	// Done, if not nil, is called with the number of pictures that are ready.
	Done func(ready, all int)
}

// Source is a picture before it is decoded. Data nil means that Name, a path or a URL,
// is read when it is needed.
type Source struct {
	Name string
	Data []byte
}

// Reader reads what a Source names.
type Reader func(ctx context.Context, name string) ([]byte, error)

// Output is a request made ready.
type Output struct {
	Prompt   string // as the template wrote it
	Expanded string // with the image tokens written out
	Images   []Image
	Input    input.Input
}

// Image is one picture made ready.
type Image struct {
	Name   string
	RGB    *imageproc.RGB // decoded, oriented, in colour
	Info   imageproc.Info
	Tokens int // image tokens, all crops together
	Crops  []Crop
}

// Crop is one crop of a picture.
type Crop struct {
	imageproc.Crop
	Positions []int32
}

// Process makes a request ready. Pictures are read and prepared in parallel.
func (p *Processor) Process(ctx context.Context, r Request, read Reader) (*Output, error) {
	if p.tokenizer == nil {
		return nil, errors.New("processor: no tokenizer: only pictures can be prepared; name a model")
	}
	prompt, mark, sources, err := p.prompt(r)
	if err != nil {
		return nil, err
	}
	images, err := p.images(ctx, sources, r, read)
	if err != nil {
		return nil, err
	}
	out := &Output{Images: images}
	crops := 1
	if r.Split {
		crops = 5
	}
	expanded := p.expand(prompt, crops)
	out.Prompt, out.Expanded = unmark(prompt, mark), unmark(expanded, mark)
	out.Input.IDs = p.encode(expanded, mark, r)
	tokens := 0
	for _, id := range out.Input.IDs {
		if id == p.image {
			tokens++
		}
	}
	for i := range images {
		tokens -= images[i].Tokens
		for j := range images[i].Crops {
			out.Input.Crops = append(out.Input.Crops, p.cropInput(&images[i].Crops[j]))
		}
	}
	if tokens != 0 {
		return nil, fmt.Errorf("processor: the prompt has %d more image tokens than its pictures fill (fewer, if negative)", tokens)
	}
	return out, nil
}

// Images prepares pictures alone.
func (p *Processor) Images(ctx context.Context, sources []Source, split bool, read Reader, done func(ready, all int)) ([]Image, error) {
	return p.images(ctx, sources, Request{Split: split, Done: done}, read)
}

// images prepares the pictures of a request in parallel.
func (p *Processor) images(ctx context.Context, sources []Source, r Request, read Reader) ([]Image, error) {
	settings := p.settings.Image
	settings.Scale = r.Scale
	images := make([]Image, len(sources))
	finished := make(chan struct{}, len(sources))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, runtime.GOMAXPROCS(0)))
	go func() {
		for i, s := range sources {
			g.Go(func() (err error) {
				defer func() { finished <- struct{}{} }()
				if err := ctx.Err(); err != nil {
					return err
				}
				images[i], err = p.prepare(ctx, s, settings, r.Split, read)
				return err
			})
		}
	}()
	for i := range sources {
		<-finished
		if r.Done != nil {
			r.Done(i+1, len(sources))
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return images, nil
}

func (p *Processor) prepare(ctx context.Context, s Source, settings imageproc.Settings, split bool, read Reader) (Image, error) {
	data := s.Data
	if data == nil {
		var err error
		if data, err = read(ctx, s.Name); err != nil {
			return Image{}, fmt.Errorf("processor: image %s: %w", shown(s.Name), err)
		}
	}
	rgb, info, err := imageproc.Decode(data, p.settings.Limits)
	if err != nil {
		return Image{}, fmt.Errorf("processor: image %s: %w", shown(s.Name), err)
	}
	crops, err := imageproc.Prepare(rgb, settings, split)
	if err != nil {
		return Image{}, fmt.Errorf("processor: image %s: %w", shown(s.Name), err)
	}
	image := Image{Name: s.Name, RGB: rgb, Info: info, Tokens: p.settings.Tokens * len(crops)}
	for _, c := range crops {
		image.Crops = append(image.Crops, Crop{c, positions(p.settings.Side, c.Rows, c.Columns)})
	}
	return image, nil
}

// shown shortens a name that is a whole picture written out.
func shown(name string) string {
	if len(name) > 120 {
		name = name[:117] + "..."
	}
	return fmt.Sprintf("%q", name)
}

// prompt returns the text before the image tokens are written out, the mark that keeps
// what users wrote from being read as control tokens (0: none), and the pictures.
func (p *Processor) prompt(r Request) (prompt string, mark rune, sources []Source, err error) {
	if r.Document != nil {
		return p.document(r)
	}
	if r.Messages == nil {
		n := strings.Count(r.Prompt, p.settings.ImageToken)
		if n != len(r.Images) {
			return "", 0, nil, mismatch(p.settings.ImageToken+" markers in the prompt", n, len(r.Images))
		}
		return r.Prompt, 0, r.Images, nil
	}
	if p.template == nil {
		return "", 0, nil, errors.New("processor: the model has no chat template: give a bare prompt, or put a chat_template.jinja into its folder")
	}
	escape := func(s string) string { return s }
	if !r.Raw {
		if mark, err = tokenizer.PickMark(texts(r.Messages)...); err != nil {
			return "", 0, nil, fmt.Errorf("processor: %w", err)
		}
		escape = func(s string) string { return p.tokenizer.Mark(s, mark) }
	}
	if prompt, err = chat.Render(p.template, r.Messages, chat.RenderOptions{
		AddGenerationPrompt: !r.NoGenerationPrompt, BOS: p.settings.BOS, EOS: p.settings.EOS, Escape: escape,
	}); err != nil {
		return "", 0, nil, fmt.Errorf("processor: chat template: %w", err)
	}
	sources, entries, err := p.sources(r)
	if err != nil {
		return "", 0, nil, err
	}
	if n := strings.Count(prompt, p.settings.ImageToken); n != len(sources) {
		if n == entries && r.Raw {
			return "", 0, nil, mismatch("image entries in the messages", entries, len(sources))
		}
		return "", 0, nil, mismatch(fmt.Sprintf("%s markers in the prompt that the chat template made of %d image entries", p.settings.ImageToken, entries), n, len(sources))
	}
	return prompt, mark, sources, nil
}

// sources returns the pictures in the order of the messages' image entries: each its own,
// or the next of the request's. Read the raw way, a text may hold markers too, whose
// pictures come last.
func (p *Processor) sources(r Request) (sources []Source, entries int, err error) {
	next, missing := r.Images, 0
	messages := r.Messages
	if r.Document != nil {
		messages = []chat.Message{{Content: r.Document}}
	}
	for _, m := range messages {
		for _, part := range m.Content {
			switch {
			case part.Type != chat.TypeImage:
				continue
			case part.Image != "":
				sources = append(sources, Source{Name: part.Image})
			case len(next) > 0:
				sources, next = append(sources, next[0]), next[1:]
			default:
				missing++
			}
			entries++
		}
	}
	if r.Raw {
		return append(sources, next...), entries, nil
	}
	if missing > 0 || len(next) > 0 {
		own := entries - missing - (len(r.Images) - len(next))
		return nil, 0, mismatch("image entries without a picture of their own in the messages", entries-own, len(r.Images))
	}
	return sources, entries, nil
}

func mismatch(what string, markers, images int) error {
	return fmt.Errorf("processor: %d %s, and %d images: every one wants exactly one image", markers, what, images)
}

// expand writes out the image tokens: each marker becomes as many runs of Tokens image
// tokens as the picture has crops, with a fake token before, between and after; where two
// meet, between adjacent pictures, one of them goes (processing_idefics2.py).
func (p *Processor) expand(prompt string, crops int) string {
	fake, image := p.settings.FakeToken, p.settings.ImageToken
	run := strings.Repeat(fake+strings.Repeat(image, p.settings.Tokens)+fake, crops)
	return strings.ReplaceAll(strings.ReplaceAll(prompt, image, run), fake+fake, fake)
}

// encode returns the ids of an expanded prompt. A template that writes the beginning of
// sequence itself does not get a second one.
func (p *Processor) encode(expanded string, mark rune, r Request) []int32 {
	if r.Messages == nil && r.Document == nil {
		return p.tokenizer.EncodeRaw(expanded)
	}
	if bos := p.settings.BOS; bos != "" && !r.Raw {
		if before, _ := p.tokenizer.Affixes(); len(before) > 0 {
			expanded = strings.TrimPrefix(expanded, bos)
		}
	}
	if mark == 0 {
		return p.tokenizer.EncodeRaw(expanded)
	}
	return p.tokenizer.EncodePrompt(expanded, mark)
}

// texts returns every string of the messages that Render may escape.
func texts(messages []chat.Message) (all []string) {
	var walk func(v chat.Value)
	walk = func(v chat.Value) {
		switch v := v.(type) {
		case string:
			all = append(all, v)
		case chat.List:
			for _, item := range v {
				walk(item)
			}
		case *chat.Dict:
			for key, item := range v.All() {
				walk(key)
				walk(item)
			}
		}
	}
	for _, m := range messages {
		all = append(all, m.Role)
		for _, part := range m.Content {
			all = append(all, part.Text)
		}
		walk(m.Extra)
	}
	return all
}

func unmark(s string, mark rune) string {
	if mark == 0 {
		return s
	}
	return strings.ReplaceAll(s, string(mark), "")
}
