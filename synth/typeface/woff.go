package typeface

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxFont bounds a font once it is unpacked; ours have at most 0.8 MB.
const maxFont = 8 << 20

// unpack returns the OpenType font in a WOFF 1.0 file (W3C Recommendation, 2012): a header
// of 44 bytes, a directory of 20 bytes a table, and the tables, each deflated where that
// made it smaller. The font keeps the order of the directory, and its checksums are those
// that the file names; nothing here verifies them.
func unpack(woff []byte) ([]byte, error) {
	const header, entry = 44, 20
	if len(woff) < header || string(woff[:4]) != "wOFF" {
		return nil, errors.New("not a WOFF 1.0 file")
	}
	be := binary.BigEndian
	n := int(be.Uint16(woff[12:]))
	if n == 0 || len(woff) < header+n*entry {
		return nil, fmt.Errorf("directory of %d tables in a file of %d bytes", n, len(woff))
	}
	size := 12 + 16*n
	for i := range n {
		e := woff[header+i*entry:]
		if size += (int(be.Uint32(e[12:])) + 3) &^ 3; size > maxFont {
			return nil, fmt.Errorf("font of more than %d bytes", maxFont)
		}
	}
	out := make([]byte, 12+16*n, size)
	copy(out, woff[4:8])
	be.PutUint16(out[4:], uint16(n))
	// The search range, entry selector and range shift that follow are hints for binary
	// search, which no reader of ours uses.
	for i := range n {
		e := woff[header+i*entry:]
		offset, stored, length := int(be.Uint32(e[4:])), int(be.Uint32(e[8:])), int(be.Uint32(e[12:]))
		if stored > length || offset > len(woff) || stored > len(woff)-offset {
			return nil, fmt.Errorf("table %q lies outside the file", e[:4])
		}
		table := woff[offset : offset+stored]
		if stored < length {
			z, err := zlib.NewReader(bytes.NewReader(table))
			if err != nil {
				return nil, fmt.Errorf("table %q: %w", e[:4], err)
			}
			table = make([]byte, length)
			if _, err := io.ReadFull(z, table); err != nil {
				return nil, fmt.Errorf("table %q: %w", e[:4], err)
			}
		}
		d := out[12+16*i:]
		copy(d[:4], e[:4])
		copy(d[4:8], e[16:20])
		be.PutUint32(d[8:], uint32(len(out)))
		be.PutUint32(d[12:], uint32(length))
		out = append(out, table...)
		out = append(out, make([]byte, -len(out)&3)...)
	}
	return slices.Clip(out), nil
}
