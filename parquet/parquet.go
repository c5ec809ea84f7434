// Package parquet reads columns of bytes and text out of parquet files that strangers
// wrote, a row at a time.
//
// The decoding is parquet-go's. What is ours is the caution around it: a damaged or
// malicious file makes that library panic, or allocate what a header claims, so the footer
// is walked and the header of every page of a column is held against the file and against
// bounds before anything is decoded. And columns are found by their names at both ends of
// the path: writers call the levels of a list between them element, item or array, and a
// reader with names of its own would find empty lists.
package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Bounds of what is read.
const (
	maxFooter   = 64 << 20
	maxElements = 4 << 20   // of all lists in a footer
	maxSchema   = 10_000    // columns and the groups of them
	maxPage     = 512 << 20 // bytes of a page, compressed or not
	maxValues   = 1 << 24   // of a page
	maxRows     = 1 << 31   // of a row group
)

// File is an open parquet file. Its methods may be called by many goroutines at once.
type File struct {
	Path string

	from io.ReaderAt
	size int64
	file *pq.File
	own  io.Closer
}

// Open opens a file and reads its footer.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		var file *File
		if file, err = New(f, info.Size()); err == nil {
			file.Path, file.own = path, f
			return file, nil
		}
	}
	f.Close()
	return nil, fmt.Errorf("%s: %w", path, err)
}

// New reads the footer of a file of size bytes.
func New(from io.ReaderAt, size int64) (f *File, err error) {
	defer caught(&err)
	if err := checkFooter(from, size); err != nil {
		return nil, err
	}
	file, err := pq.OpenFile(from, size, &pq.FileConfig{SkipPageIndex: true, SkipBloomFilters: true, ReadBufferSize: 1 << 16, ReadMode: pq.ReadModeSync})
	if err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	f = &File{from: from, size: size, file: file}
	for i := range file.Metadata().RowGroups {
		if n := file.Metadata().RowGroups[i].NumRows; n < 0 || n > maxRows {
			return nil, fmt.Errorf("parquet: row group %d has %d rows, want 0 to %d", i, n, maxRows)
		}
	}
	return f, nil
}

// checkFooter checks that a footer is there, and that what it claims to hold it can hold.
func checkFooter(from io.ReaderAt, size int64) error {
	const end = 8 // length and magic
	if size < end+4 {
		return fmt.Errorf("parquet: %d bytes are no parquet file", size)
	}
	var head [4]byte
	var tail [end]byte
	if _, err := from.ReadAt(head[:], 0); err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	if _, err := from.ReadAt(tail[:], size-end); err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	if string(head[:]) != "PAR1" || string(tail[4:]) != "PAR1" {
		return fmt.Errorf("parquet: it begins with %q and ends with %q, want PAR1 at both ends: no parquet file, or not all of it", head[:], tail[4:])
	}
	n := int64(binary.LittleEndian.Uint32(tail[:4]))
	if n > size-end-4 || n > maxFooter {
		return fmt.Errorf("parquet: a footer of %d bytes in a file of %d, at most %d", n, size, maxFooter)
	}
	footer := make([]byte, n)
	if _, err := from.ReadAt(footer, size-end-n); err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	if _, err := structSize(footer, maxElements); err != nil {
		return fmt.Errorf("parquet: footer: %w", err)
	}
	meta := new(format.FileMetaData)
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), footer, meta); err != nil {
		return fmt.Errorf("parquet: footer: %w", err)
	}
	if n := len(meta.Schema); n > maxSchema { // the library walks it by recursion
		return fmt.Errorf("parquet: a schema of %d parts, at most %d", n, maxSchema)
	}
	return nil
}

// Close closes the file that Open opened.
func (f *File) Close() error {
	if f.own == nil {
		return nil
	}
	return f.own.Close()
}

// Groups returns the number of row groups.
func (f *File) Groups() int { return len(f.file.Metadata().RowGroups) }

// Rows returns the number of rows of a row group.
func (f *File) Rows(group int) int { return int(f.file.Metadata().RowGroups[group].NumRows) }

// Column is a column of bytes or text.
type Column struct {
	Repeated bool // a list in each row

	index   int
	present int // definition level of a value that is there
	element int // definition level from which on there is an element, if null
}

// Column finds the column whose path begins with first and ends with last, the same name
// where it is no list and no struct.
func (f *File) Column(first, last string) (c Column, err error) {
	defer caught(&err)
	root := f.file.Root().Column(first)
	if root == nil {
		return c, fmt.Errorf("parquet: no column %q; there are %s", first, f.names())
	}
	var found []Column
	var walk func(n *pq.Column, c Column)
	walk = func(n *pq.Column, c Column) {
		if n.Repeated() {
			c.present++
			c.element = c.present
			if c.Repeated {
				return // lists of lists are none of ours
			}
			c.Repeated = true
		} else if n.Optional() {
			c.present++
		}
		// A list's leaf may be called by the list's own level: names:list<string>.
		if n.Leaf() {
			if n.Name() == last || first == last {
				c.index = n.Index()
				if k := n.Type().Kind(); k == pq.ByteArray {
					found = append(found, c)
				}
			}
			return
		}
		for _, child := range n.Columns() {
			walk(child, c)
		}
	}
	walk(root, Column{})
	if len(found) != 1 {
		return c, fmt.Errorf("parquet: column %q has %d parts %q of text or bytes, want one", first, len(found), last)
	}
	return found[0], nil
}

// Has reports whether there is a column of this name.
func (f *File) Has(name string) bool { return f.file.Root().Column(name) != nil }

func (f *File) names() string {
	var names []string
	for i, c := range f.file.Root().Columns() {
		if i == 20 {
			names = append(names, "…")
			break
		}
		names = append(names, fmt.Sprintf("%.40q", c.Name()))
	}
	return strings.Join(names, ", ")
}

// Values reads the rows of a column in one row group, from the front.
type Values struct {
	column Column
	pages  pq.Pages
	page   pq.Page
	values pq.ValueReader
	buf    []pq.Value
	next   []pq.Value // of buf, not yet used
	done   bool
}

// Read starts to read a column of a row group, after it has checked all of its pages.
func (f *File) Read(group int, c Column) (v *Values, err error) {
	defer caught(&err)
	chunks := f.file.RowGroups()[group].ColumnChunks()
	meta := f.file.Metadata().RowGroups[group].Columns
	if c.index >= len(chunks) || c.index >= len(meta) {
		return nil, fmt.Errorf("parquet: row group %d has %d columns, and the schema more", group, len(meta))
	}
	if err := f.checkPages(&meta[c.index].MetaData); err != nil {
		return nil, fmt.Errorf("parquet: row group %d: %w", group, err)
	}
	return &Values{column: c, pages: chunks[c.index].Pages(), buf: make([]pq.Value, 256)}, nil
}

// Close ends the reading.
func (v *Values) Close() (err error) {
	defer caught(&err)
	v.release()
	return v.pages.Close()
}

func (v *Values) release() {
	if v.page != nil {
		pq.Release(v.page)
		v.page, v.values = nil, nil
	}
}

// Row returns the values of the next row: one, or as many as the list has. A value that is
// null is nil, an empty one is not. The bytes are the caller's.
func (v *Values) Row() (row [][]byte, err error) {
	defer caught(&err)
	for first := true; ; first = false {
		value, err := v.peek()
		if err == io.EOF && !first {
			return row, nil
		}
		if err != nil {
			return nil, err
		}
		if first != (value.RepetitionLevel() == 0) {
			if first {
				return nil, errors.New("parquet: a column begins in the middle of a row")
			}
			return row, nil
		}
		v.next = v.next[1:]
		switch level := value.DefinitionLevel(); {
		case level == v.column.present:
			row = append(row, append(make([]byte, 0, len(value.ByteArray())), value.ByteArray()...))
		case level >= v.column.element || !v.column.Repeated:
			row = append(row, nil)
		}
		if len(row) > maxValues {
			return nil, errors.New("parquet: a row has too many values")
		}
	}
}

// peek returns the next value of the column, of whatever page.
func (v *Values) peek() (*pq.Value, error) {
	for len(v.next) == 0 {
		if v.done {
			return nil, io.EOF
		}
		if v.page == nil {
			page, err := v.pages.ReadPage()
			if err == io.EOF {
				v.done = true
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("parquet: %w", err)
			}
			v.page, v.values = page, page.Values()
		}
		n, err := v.values.ReadValues(v.buf)
		v.next = v.buf[:n]
		switch {
		case err == io.EOF && n == 0:
			v.release()
		case err != nil && err != io.EOF:
			return nil, fmt.Errorf("parquet: %w", err)
		case n == 0:
			return nil, errors.New("parquet: a page ends early")
		}
	}
	return &v.next[0], nil
}

// caught turns a panic of the library into an error.
func caught(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("parquet: the file is damaged: %v", r)
	}
}

// codecs are those whose output can be bounded.
func known(c format.CompressionCodec) bool {
	switch c {
	case format.Uncompressed, format.Snappy, format.Gzip, format.Zstd:
		return true
	}
	return false
}

func inFile(offset, length, size int64) bool {
	return offset >= 4 && length >= 0 && offset <= size && length <= size-offset && offset <= math.MaxInt64-length
}
