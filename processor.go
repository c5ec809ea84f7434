package idefics2

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"idefics2/chat"
	"idefics2/checkpoint"
	"idefics2/defaultmodel"
	"idefics2/imageproc"
	"idefics2/processor"
	"idefics2/tokenizer"
)

// Processor turns requests into the model's input. It needs no weights, and is safe for
// use by many goroutines.
type Processor struct {
	*processor.Processor
	split bool // the checkpoint's own choice
	read  processor.Reader
}

// OpenProcessor opens what a model folder holds beside its weights, by a name as Open takes it.
func OpenProcessor(name string, o Options) (*Processor, error) {
	if defaultmodel.Means(name) {
		folder, err := checkpoint.ReadFolderFS(defaultmodel.Name, defaultmodel.Files())
		if err != nil {
			return nil, err
		}
		return newProcessor(defaultmodel.Name, folder, o)
	}
	dir, err := find(name, o)
	if err != nil {
		return nil, err
	}
	folder, err := checkpoint.ReadFolder(dir)
	if err != nil {
		return nil, err
	}
	return newProcessor(name, folder, o)
}

// ReleasedPictures is what prepares pictures as the released model wants them. It has no tokenizer.
func ReleasedPictures(o Options) (*Processor, error) {
	p, err := processor.New(processor.Settings{Limits: o.Images, Side: releasedSide, Tokens: 64}, nil, nil)
	if err != nil {
		return nil, err
	}
	return &Processor{Processor: p, read: o.reader()}, nil
}

func (o Options) reader() processor.Reader {
	if o.Read != nil {
		return o.Read
	}
	return ReadSource
}

func newProcessor(name string, folder *checkpoint.Folder, o Options) (*Processor, error) {
	images, err := imageSettings(folder)
	if err != nil {
		return nil, fmt.Errorf("idefics2: %s: preprocessor_config.json: %w", name, err)
	}
	text, err := folder.File("tokenizer.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("idefics2: %s has no tokenizer.json; copy the one of the model's repository into the folder", name)
	}
	if err != nil {
		return nil, fmt.Errorf("idefics2: %s: %w", name, err)
	}
	tok, err := tokenizer.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("idefics2: %s: tokenizer.json: %w", name, err)
	}
	var template *chat.Template
	if folder.ChatTemplate != "" {
		if template, err = chat.ParseTemplate(folder.ChatTemplate); err != nil {
			return nil, fmt.Errorf("idefics2: %s: %s: %w", name, folder.ChatTemplateFile, err)
		}
	}
	id := int32(folder.Config.ImageTokenID)
	image, ok := tok.Token(id)
	if !ok || !tok.IsSpecial(id) {
		return nil, fmt.Errorf("idefics2: %s: config.json says that images stand at token %d, which is no special token of tokenizer.json; is it another model's?", name, id)
	}
	if size := folder.Config.Text.VocabSize; tok.Size() > size {
		return nil, fmt.Errorf("idefics2: %s: tokenizer.json has %d tokens, and the model's vocabulary is %d; is it another model's?", name, tok.Size(), size)
	}
	p, err := processor.New(processor.Settings{
		Image: images, Limits: o.Images,
		Side: folder.Config.Vision.Side(), Tokens: folder.Config.Perceiver.Latents,
		ImageToken: image, BOS: folder.BOSToken, EOS: folder.EOSToken,
	}, tok, template)
	if err != nil {
		return nil, fmt.Errorf("idefics2: %s: %w", name, err)
	}
	return &Processor{Processor: p, split: folder.Preprocessor.Split, read: o.reader()}, nil
}

// releasedSide is the side of the released model's position table. What has another cannot
// descend from the released weights, which were trained on pictures resized horizontally
// first, and gets the order of passes of the reference's present Pillow (docs/adr/0009).
const releasedSide = 70

// imageSettings returns the numbers of preprocessor_config.json as imageproc takes them.
func imageSettings(folder *checkpoint.Folder) (imageproc.Settings, error) {
	pre := folder.Preprocessor
	filter, err := imageproc.FilterOf(pre.Resample)
	if err != nil {
		return imageproc.Settings{}, err
	}
	return imageproc.Settings{
		NoResize: !pre.Resize, ShortestEdge: pre.ShortestEdge, LongestEdge: pre.LongestEdge, Filter: filter,
		NoRescale: !pre.Rescale, RescaleFactor: pre.RescaleFactor,
		NoNormalize: !pre.Normalize, Mean: pre.Mean[:], Std: pre.Std[:],
		PatchSize: folder.Config.Vision.PatchSize,
		Pillow13:  folder.Config.Vision.Side() != releasedSide,
	}, nil
}

// Process makes a request ready without answering it.
func (p *Processor) Process(ctx context.Context, r Request) (*Processed, error) {
	out, err := p.process(ctx, &r)
	if err != nil {
		return nil, err
	}
	done := &Processed{Prompt: out.Prompt, Expanded: out.Expanded, InputIDs: out.Input.IDs}
	done.images(p, out.Images)
	return done, nil
}

// Images prepares the pictures of a request that asks nothing.
func (p *Processor) Images(ctx context.Context, r Request) (*Processed, error) {
	images, err := p.Processor.Images(ctx, r.sources(), p.splits(&r), p.read, r.pictures)
	if err != nil {
		return nil, err
	}
	done := &Processed{}
	done.images(p, images)
	return done, nil
}

func (p *Processor) splits(r *Request) bool {
	if r.Split != nil {
		return *r.Split
	}
	return p.split
}

func (p *Processor) process(ctx context.Context, r *Request) (*processor.Output, error) {
	var messages []chat.Message
	if r.Prompt == "" {
		if messages = r.Messages; messages == nil {
			messages = []chat.Message{}
		}
		if len(messages) == 0 {
			return nil, errors.New("idefics2: the request has neither messages nor a prompt")
		}
	} else if len(r.Messages) > 0 {
		return nil, errors.New("idefics2: the request has messages and a prompt; give one of the two")
	}
	return p.Processor.Process(ctx, processor.Request{
		Messages: messages, Prompt: r.Prompt, Images: r.sources(), Split: p.splits(r),
		Raw: r.Raw, NoGenerationPrompt: r.NoGenerationPrompt, Done: r.pictures,
	}, p.read)
}

// Processed is what the processor makes of a request, as "process -json" prints it.
type Processed struct {
	Prompt   string           `json:"prompt,omitempty"`
	Expanded string           `json:"expanded_prompt,omitempty"`
	InputIDs []int32          `json:"input_ids,omitempty"`
	Images   []ProcessedImage `json:"images"`
}

// ProcessedImage is one picture as the model gets it.
type ProcessedImage struct {
	File   string          `json:"file"`
	Format string          `json:"format"`
	Width  int             `json:"width"`
	Height int             `json:"height"`
	RGB    string          `json:"rgb_sha256"` // over the decoded, oriented RGB bytes
	Tokens int             `json:"tokens"`     // all crops together
	Crops  []ProcessedCrop `json:"crops"`
	Pixels *imageproc.RGB  `json:"-"`
}

// ProcessedCrop is one crop of a picture.
type ProcessedCrop struct {
	Box       [4]int         `json:"box"` // left, top, right, bottom in the picture
	Height    int            `json:"height"`
	Width     int            `json:"width"`
	Rows      int            `json:"rows"`
	Columns   int            `json:"columns"`
	Positions []int32        `json:"position_ids"`
	Hash      string         `json:"sha256"` // over the float32 values [3, H, W], little-endian
	Pixels    *imageproc.RGB `json:"-"`      // resized
}

func (d *Processed) images(p *Processor, images []processor.Image) {
	d.Images = make([]ProcessedImage, len(images))
	for i := range images {
		from := &images[i]
		to := ProcessedImage{
			File: from.Name, Format: from.Info.Format, Width: from.RGB.Width, Height: from.RGB.Height,
			RGB: from.RGBHash(), Tokens: from.Tokens, Pixels: from.RGB,
		}
		for j := range from.Crops {
			c := &from.Crops[j]
			to.Crops = append(to.Crops, ProcessedCrop{
				Box:    [4]int{c.Box.Min.X, c.Box.Min.Y, c.Box.Max.X, c.Box.Max.Y},
				Height: c.RGB.Height, Width: c.RGB.Width, Rows: c.Rows, Columns: c.Columns,
				Positions: c.Positions, Hash: p.PixelsHash(c), Pixels: c.RGB,
			})
		}
		d.Images[i] = to
	}
}
