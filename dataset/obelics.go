package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	r := &obelicsReader{table: t, group: g.index, bytes: bytes}
	for i, column := range columns {
		if r.lists[i], err = t.Read(g.index, column); err != nil {
			return nil, errors.Join(fmt.Errorf("dataset: %s: row group %d: %w", t.Path, g.index, err), r.Close())
		}
	}
	return skipped(r, t, g.index, skip)
}

type obelicsReader struct {
	table *parquet.File
	group int
	bytes bool
	lists [2]*parquet.Values // texts, images
	row   int
}

// Close closes the columns.
func (r *obelicsReader) Close() (err error) {
	for _, l := range r.lists {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	return err
}

// Next reads the next row.
func (r *obelicsReader) Next() (Example, error) {
	if r.row == r.table.Rows(r.group) {
		return Example{}, io.EOF
	}
	origin := fmt.Sprintf("%s, row group %d, row %d", filepath.Base(r.table.Path), r.group, r.row)
	var cells [2][][]byte
	for i, l := range r.lists {
		var err error
		if cells[i], err = l.Row(); err != nil {
			return Example{}, fmt.Errorf("dataset: %s: the file is damaged: %w", origin, err)
		}
	}
	r.row++
	e, err := r.document(cells[0], cells[1])
	if e.Origin = origin; err != nil {
		return Example{}, &BadError{origin, err}
	}
	return e, nil
}

func (r *obelicsReader) document(texts, images [][]byte) (e Example, err error) {
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
		case r.bytes:
			e.Images = append(e.Images, Image{Data: image})
			e.Document = append(e.Document, chat.Image(""))
		case len(image) == 0:
			return e, fmt.Errorf("place %d has an image without an address", i)
		default:
			e.Document = append(e.Document, chat.Image(within(filepath.Dir(r.table.Path), string(image))))
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
