package parquet

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// checkPages holds every page of a column chunk against the file and the bounds.
func (f *File) checkPages(m *format.ColumnMetaData) error {
	if !known(m.Codec) {
		return fmt.Errorf("compressed with %v; want none, snappy, gzip or zstd: write the file anew with one of these", m.Codec)
	}
	start := m.DataPageOffset
	if d := m.DictionaryPageOffset; d > 0 && d < start {
		start = d
	}
	if !inFile(start, m.TotalCompressedSize, f.size) {
		return fmt.Errorf("a column at byte %d with %d bytes, in a file of %d", start, m.TotalCompressedSize, f.size)
	}
	end := start + m.TotalCompressedSize
	for at := start; at < end; {
		h, n, err := f.pageHeader(at, end)
		if err != nil {
			return fmt.Errorf("page at byte %d: %w", at, err)
		}
		at += n
		packed, plain := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
		switch {
		case packed < 0 || packed > end-at:
			return fmt.Errorf("page at byte %d: %d bytes, and the column ends before", at, packed)
		case plain < 0 || plain > maxPage || packed > maxPage:
			return fmt.Errorf("page at byte %d: %d bytes (%d compressed), at most %d", at, plain, packed, maxPage)
		}
		if err := f.checkPage(h, m.Codec, at); err != nil {
			return fmt.Errorf("page at byte %d: %w", at, err)
		}
		at += packed
	}
	return nil
}

// pageHeader reads the header at a place of the file and returns its length too.
func (f *File) pageHeader(at, end int64) (*format.PageHeader, int64, error) {
	const most = 16 << 20 // statistics may hold a value of the page
	for window := int64(1 << 12); ; window *= 16 {
		data := make([]byte, min(window, end-at))
		if _, err := f.from.ReadAt(data, at); err != nil {
			return nil, 0, err
		}
		n, err := structSize(data, 1<<10)
		if errors.Is(err, io.ErrUnexpectedEOF) && window < min(most, end-at) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		h := new(format.PageHeader)
		return h, int64(n), thrift.Unmarshal(new(thrift.CompactProtocol), data[:n], h)
	}
}

// checkPage checks how many values a page claims, and what it unpacks to.
func (f *File) checkPage(h *format.PageHeader, codec format.CompressionCodec, at int64) error {
	levels := int64(0) // bytes in front of what is compressed
	values := int64(0)
	switch {
	case h.DataPageHeader.Valid:
		values = int64(h.DataPageHeader.V.NumValues)
	case h.DataPageHeaderV2.Valid:
		v2 := &h.DataPageHeaderV2.V
		values = max(int64(v2.NumValues), int64(v2.NumRows), int64(v2.NumNulls))
		levels = int64(v2.RepetitionLevelsByteLength) + int64(v2.DefinitionLevelsByteLength)
		if v2.RepetitionLevelsByteLength < 0 || v2.DefinitionLevelsByteLength < 0 || levels > int64(h.CompressedPageSize) || levels > int64(h.UncompressedPageSize) {
			return fmt.Errorf("%d bytes of levels in a page of %d", levels, h.CompressedPageSize)
		}
		if v2.IsCompressed.Valid && !v2.IsCompressed.V {
			codec = format.Uncompressed
		}
	case h.DictionaryPageHeader.Valid:
		values = int64(h.DictionaryPageHeader.V.NumValues)
	}
	if values < 0 || values > maxValues {
		return fmt.Errorf("%d values, at most %d", values, maxValues)
	}
	plain := int64(h.UncompressedPageSize) - levels
	return unpacks(codec, io.NewSectionReader(f.from, at+levels, int64(h.CompressedPageSize)-levels), plain)
}

// unpacks checks that compressed bytes do not become more than size.
func unpacks(codec format.CompressionCodec, packed *io.SectionReader, size int64) error {
	if packed.Size() == 0 {
		return nil
	}
	var r io.Reader
	switch codec {
	case format.Snappy: // a block begins with what it unpacks to
		var head [binary.MaxVarintLen64]byte
		k, _ := packed.ReadAt(head[:], 0)
		if n, ok := binary.Uvarint(head[:k]); ok <= 0 || n > uint64(size) {
			return fmt.Errorf("snappy data of %d bytes, and the page has %d", n, size)
		}
		return nil
	case format.Zstd: // a frame may say so, and the decoder then holds it to that
		head := make([]byte, min(packed.Size(), zstd.HeaderMaxSize))
		if _, err := packed.ReadAt(head, 0); err != nil {
			return err
		}
		var h zstd.Header
		if err := h.Decode(head); err != nil {
			return err
		}
		if h.WindowSize > maxPage || h.HasFCS && h.FrameContentSize > uint64(size) {
			return fmt.Errorf("zstd data of %d bytes and a window of %d, and the page has %d", h.FrameContentSize, h.WindowSize, size)
		}
		if h.HasFCS {
			return nil
		}
		d, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxPage))
		if err != nil {
			return err
		}
		defer d.Close()
		r = d
	case format.Gzip:
		d, err := gzip.NewReader(packed)
		if err != nil {
			return err
		}
		r = d
	default:
		return nil
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, size+1))
	if err == nil && n > size {
		err = fmt.Errorf("compressed data that unpack to more than the %d bytes of the page", size)
	}
	return err
}

// structSize returns how many bytes a struct in Thrift's compact protocol takes, without
// building it. All its lists together may have so many elements.
func structSize(data []byte, elements int) (int, error) {
	w := walker{bytes.NewReader(data), elements}
	if err := w.fields(0); err != nil {
		return 0, err
	}
	return len(data) - w.r.Len(), nil
}

type walker struct {
	r        *bytes.Reader
	elements int
}

// The types of the compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

func (w *walker) fields(depth int) error {
	if depth > 16 {
		return errors.New("structs nested too deep")
	}
	for {
		head, err := w.r.ReadByte()
		if err != nil {
			return io.ErrUnexpectedEOF
		}
		if head == 0 {
			return nil
		}
		if head>>4 == 0 { // the field's number follows
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		if kind := head & 15; kind != thriftTrue && kind != thriftFalse { // whose value is the type
			if err := w.value(kind, depth); err != nil {
				return err
			}
		}
	}
}

func (w *walker) value(kind byte, depth int) error {
	switch kind {
	case thriftTrue, thriftFalse, thriftByte:
		return w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := w.varint()
		return err
	case thriftDouble:
		return w.skip(8)
	case thriftBinary:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case thriftList, thriftSet:
		head, err := w.r.ReadByte()
		if err != nil {
			return io.ErrUnexpectedEOF
		}
		n := uint64(head >> 4)
		if n == 15 {
			if n, err = w.varint(); err != nil {
				return err
			}
		}
		return w.items(n, depth, head&15)
	case thriftMap:
		n, err := w.varint()
		if err != nil || n == 0 {
			return err
		}
		kinds, err := w.r.ReadByte()
		if err != nil {
			return io.ErrUnexpectedEOF
		}
		return w.items(n, depth, kinds>>4, kinds&15)
	case thriftStruct:
		return w.fields(depth + 1)
	}
	return fmt.Errorf("a field of type %d, which there is not", kind)
}

// items walks n elements, or pairs.
func (w *walker) items(n uint64, depth int, kinds ...byte) error {
	if n > uint64(w.elements) {
		return fmt.Errorf("lists with more than %d elements", w.elements)
	}
	w.elements -= int(n)
	if depth > 16 {
		return errors.New("lists nested too deep")
	}
	for range n {
		for _, kind := range kinds {
			if err := w.value(kind, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *walker) varint() (uint64, error) {
	n, err := binary.ReadUvarint(w.r)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (w *walker) skip(n uint64) error {
	if n > uint64(w.r.Len()) {
		return io.ErrUnexpectedEOF
	}
	_, err := w.r.Seek(int64(n), io.SeekCurrent)
	return err
}
