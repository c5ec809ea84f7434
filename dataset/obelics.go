package dataset

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"idefics2/chat"
	"idefics2/parquet"
)

// Obelics is parquet files of interleaved documents in the schema of OBELICS: images and texts are lists of one
// length, and at each place one of the two is null (spec: data.md §5). Images are URLs or paths, or
// {bytes, path}. A shard is a row group.
type Obelics struct{ *Cauldron }

// OpenObelics opens a parquet file, those of a folder, or those of a pattern.
func OpenObelics(name string) (*Obelics, error) {
	c, err := openParquet(name, func(t *parquet.File) error { _, _, err := obelicsColumns(t); return err })
	if err != nil {
		return nil, err
	}
	return &Obelics{c}, nil
}

// obelicsColumns finds texts, and images as addresses or as bytes.
func obelicsColumns(t *parquet.File) (columns [2]parquet.Column, bytes bool, err error) {
	const want = "want OBELICS' schema: images and texts, two lists of texts"
	if columns[0], err = t.Column("texts", "texts"); err != nil {
		return columns, false, fmt.Errorf("%w; %s", err, want)
	}
	if columns[1], err = t.Column("images", "bytes"); err == nil {
		bytes = true
	} else if columns[1], err = t.Column("images", "images"); err != nil {
		return columns, false, fmt.Errorf("%w; %s", err, want)
	}
	if !columns[0].Repeated || !columns[1].Repeated {
		return columns, false, errors.New("images or texts is no list; " + want)
	}
	return columns, bytes, nil
}

// Open starts to read a row group.
func (o *Obelics) Open(_ context.Context, shard, skip int) (Reader, error) {
	g := o.groups[shard]
	t := o.files[g.file]
	columns, bytes, err := obelicsColumns(t)
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: %w", t.Path, err)
	}
	return openRows(t, g.index, skip, columns[:], func(cells [][][]byte) (Example, error) {
		return obelicsExample(cells[0], cells[1], bytes, filepath.Dir(t.Path))
	})
}

// obelicsExample makes a document of a row: images are files where bytes says so, else addresses or paths
// from dir.
func obelicsExample(texts, images [][]byte, bytes bool, dir string) (e Example, err error) {
	if len(texts) != len(images) {
		return e, fmt.Errorf("%d texts and %d images, want as many places in both lists", len(texts), len(images))
	}
	n := 0
	for i := range texts {
		text, image := texts[i], images[i]
		switch {
		case (text == nil) == (image == nil):
			return e, fmt.Errorf("place %d has a text and an image, or neither; want one of the two", i)
		case text != nil:
			e.Document = append(e.Document, chat.Text(string(text)))
			continue
		case bytes:
			e.Images = append(e.Images, Image{Data: image})
			e.Document = append(e.Document, chat.Image(""))
		case len(image) == 0:
			return e, fmt.Errorf("place %d has an image without an address", i)
		default:
			e.Document = append(e.Document, chat.Image(within(dir, string(image))))
		}
		if n++; n > maxImages {
			return e, fmt.Errorf("more than %d images", maxImages)
		}
	}
	if len(e.Document) == 0 {
		return e, errors.New("the document is empty")
	}
	return e, nil
}
