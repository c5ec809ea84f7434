package dataset

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"idefics2/parquet"
)

// rowReader reads a row group of a parquet file whose rows are lists.
type rowReader struct {
	table   *parquet.File
	group   int
	lists   []*parquet.Values
	cells   [][][]byte // of a row, by list
	row     int
	example func(cells [][][]byte) (Example, error)
}

// openRows returns a reader of a row group behind its first rows, which makes an example of what stands
// in the columns.
func openRows(t *parquet.File, group, skip int, columns []parquet.Column, example func(cells [][][]byte) (Example, error)) (Reader, error) {
	r := &rowReader{table: t, group: group, cells: make([][][]byte, len(columns)), example: example}
	for _, column := range columns {
		list, err := t.Read(group, column)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("dataset: %s: row group %d: %w", t.Path, group, err), r.Close())
		}
		r.lists = append(r.lists, list)
	}
	for range skip {
		if _, err := r.Next(); err != nil && !errors.As(err, new(*BadError)) {
			return nil, errors.Join(fmt.Errorf("dataset: %s: row group %d ends before row %d, at which reading should go on; it is not the file it was: %w", t.Path, group, skip, err), r.Close())
		}
	}
	return r, nil
}

// Close closes the columns.
func (r *rowReader) Close() (err error) {
	for _, l := range r.lists {
		err = errors.Join(err, l.Close())
	}
	return err
}

// Next reads the next row.
func (r *rowReader) Next() (Example, error) {
	if r.row == r.table.Rows(r.group) {
		return Example{}, io.EOF
	}
	origin := fmt.Sprintf("%s, row group %d, row %d", filepath.Base(r.table.Path), r.group, r.row)
	for i, l := range r.lists {
		var err error
		if r.cells[i], err = l.Row(); err != nil {
			return Example{}, fmt.Errorf("dataset: %s: the file is damaged: %w", origin, err)
		}
	}
	r.row++
	e, err := r.example(r.cells)
	if e.Origin = origin; err != nil {
		return Example{}, &BadError{origin, err}
	}
	return e, nil
}
