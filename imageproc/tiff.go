package imageproc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// Tags of TIFF 6.0 that a picture needs.
const (
	tagWidth        = 256
	tagHeight       = 257
	tagBits         = 258
	tagCompression  = 259
	tagPhotometric  = 262
	tagFillOrder    = 266
	tagStripOffsets = 273
	tagOrientation  = 274
	tagSamples      = 277
	tagRowsPerStrip = 278
	tagStripCounts  = 279
	tagPlanar       = 284
	tagT4Options    = 292
	tagPredictor    = 317
	tagColorMap     = 320
	tagTileWidth    = 322
	tagTileHeight   = 323
	tagTileOffsets  = 324
	tagTileCounts   = 325
	tagExtraSamples = 338
	tagSampleFormat = 339
	tagJPEGTables   = 347
	tagXMP          = 700
)

// tiffFile is the first page of a TIFF.
type tiffFile struct {
	data  []byte
	order binary.ByteOrder
	big   bool // BigTIFF: offsets of 8 bytes
	tags  map[uint16]tiffTag

	width, height int
	depth         int      // bits a sample, the same for all
	samples       int      // a pixel
	extra         []uint64 // what the samples beyond the colours are
	format        uint64   // of samples: unsigned, signed, float
	photometric   uint64
	compression   uint64
	predictor     uint64
	planar        bool // each sample in blocks of its own
	reversed      bool // the first bit is the lowest
}

// A tiffTag is an array of numbers that stays in the file until it is asked for.
type tiffTag struct {
	typ  uint16
	n    uint64
	data []byte // exactly n values
}

// decodeTIFF reads the first page: strips or tiles of the compressions of TIFF 6.0,
// Deflate and JPEG, with the pixel layouts that Pillow knows.
func decodeTIFF(data []byte, lim Limits) (*RGB, meta, error) {
	f := &tiffFile{data: data}
	m, err := f.readPage()
	if err != nil {
		return nil, meta{}, err
	}
	if err := f.layout(lim); err != nil {
		return nil, meta{}, err
	}
	convert, err := f.converter()
	if err != nil {
		return nil, meta{}, err
	}
	img, err := f.pixels(convert, lim)
	return img, m, err
}

// tiffSizes are the bytes of a value of each type.
var tiffSizes = [...]uint64{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

// at returns n bytes at an offset of the file, or nil where they are not inside.
func (f *tiffFile) at(offset, n uint64) []byte {
	if offset > uint64(len(f.data)) || n > uint64(len(f.data))-offset {
		return nil
	}
	return f.data[offset : offset+n : offset+n]
}

// number reads an offset or count: 4 bytes, or 8 in a BigTIFF.
func (f *tiffFile) number(b []byte) uint64 {
	if f.big {
		return f.order.Uint64(b)
	}
	return uint64(f.order.Uint32(b))
}

// readPage reads the directory of the first page and counts those after it.
func (f *tiffFile) readPage() (meta, error) {
	f.order = binary.ByteOrder(binary.LittleEndian)
	if f.data[0] == 'M' {
		f.order = binary.BigEndian
	}
	f.big = f.order.Uint16(f.data[2:]) == 43
	header := f.at(4, 4)
	if f.big {
		header = f.at(8, 8)
	}
	if header == nil {
		return meta{}, errors.New("the file ends inside its header; it is truncated")
	}
	first := f.number(header)
	entries, next := f.directory(first)
	if entries == nil {
		return meta{}, fmt.Errorf("the directory at byte %d is outside the file of %d bytes; it is truncated", first, len(f.data))
	}
	if err := f.readTags(entries); err != nil {
		return meta{}, err
	}
	m := meta{frames: 1, orientation: int(min(f.value(tagOrientation, 0), 9))}
	if xmp, ok := f.tags[tagXMP]; ok {
		m.xmp = xmp.data
	}
	const most = 1 << 16 // pages are counted up to here; a chain of empty ones may be as long as the file
	for seen := map[uint64]bool{first: true}; next != 0 && !seen[next] && m.frames < most; m.frames++ {
		seen[next] = true
		if entries, next = f.directory(next); entries == nil {
			break
		}
	}
	return m, nil
}

// directory returns the entries of a page and where the next page's are.
func (f *tiffFile) directory(offset uint64) (entries []byte, next uint64) {
	width, entry := uint64(2), uint64(12)
	if f.big {
		width, entry = 8, 20
	}
	b := f.at(offset, width)
	if b == nil {
		return nil, 0
	}
	n := uint64(f.order.Uint16(b))
	if f.big {
		n = f.order.Uint64(b)
	}
	if n > uint64(len(f.data))/entry {
		return nil, 0
	}
	entries = f.at(offset+width, n*entry)
	if entries == nil {
		return nil, 0
	}
	size := uint64(4)
	if f.big {
		size = 8
	}
	if b := f.at(offset+width+n*entry, size); b != nil {
		next = f.number(b)
	}
	return entries, next
}

// readTags notes where the values of each tag are. Nothing is copied, so that tags that
// share their data, or repeat, cost nothing.
func (f *tiffFile) readTags(entries []byte) error {
	f.tags = map[uint16]tiffTag{}
	size, inline := 12, uint64(4)
	if f.big {
		size, inline = 20, 8
	}
	for ; len(entries) > 0; entries = entries[size:] {
		tag, typ := f.order.Uint16(entries), f.order.Uint16(entries[2:])
		n := f.number(entries[4:])
		if int(typ) >= len(tiffSizes) || tiffSizes[typ] == 0 || n > uint64(len(f.data)) {
			continue // unknown types are skipped; absurd counts cannot be inside the file
		}
		if _, again := f.tags[tag]; again {
			continue // the first counts
		}
		bytes := n * tiffSizes[typ]
		value := entries[size-int(inline) : size]
		if bytes <= inline {
			value = value[:bytes]
		} else if value = f.at(f.number(value), bytes); value == nil {
			if tag == tagWidth || tag == tagHeight || tag == tagStripOffsets || tag == tagTileOffsets {
				return fmt.Errorf("tag %d: its %d values lie outside the file; it is truncated", tag, n)
			}
			continue
		}
		f.tags[tag] = tiffTag{typ, n, value}
	}
	return nil
}

// get returns value i of a tag of whole numbers.
func (f *tiffFile) get(t tiffTag, i uint64) uint64 {
	const byteType, short, long, long8, ifd8 = 1, 3, 4, 16, 18
	switch t.typ {
	case byteType:
		return uint64(t.data[i])
	case short:
		return uint64(f.order.Uint16(t.data[2*i:]))
	case long:
		return uint64(f.order.Uint32(t.data[4*i:]))
	case long8, ifd8:
		return f.order.Uint64(t.data[8*i:])
	}
	return 0
}

// value returns the first value of a tag, or what it stands for where it is missing.
func (f *tiffFile) value(tag uint16, missing uint64) uint64 {
	if t := f.tags[tag]; t.n > 0 {
		return f.get(t, 0)
	}
	return missing
}

// values returns all values of a tag, at most n.
func (f *tiffFile) values(tag uint16, n int) []uint64 {
	t := f.tags[tag]
	out := make([]uint64, min(t.n, uint64(n)))
	for i := range out {
		out[i] = f.get(t, uint64(i))
	}
	return out
}

// layout reads and checks everything that says how pixels are stored.
func (f *tiffFile) layout(lim Limits) error {
	w, h := f.value(tagWidth, 0), f.value(tagHeight, 0)
	if w > 1<<31-1 || h > 1<<31-1 {
		return fmt.Errorf("declares a size of %d×%d, want at most 2³¹−1", w, h)
	}
	f.width, f.height = int(w), int(h)
	if err := lim.check(f.width, f.height); err != nil {
		return err
	}
	f.photometric = f.value(tagPhotometric, 0)
	f.compression = f.value(tagCompression, 1)
	f.format = f.value(tagSampleFormat, 1)
	f.predictor = f.value(tagPredictor, 1)
	f.planar = f.value(tagPlanar, 1) == 2
	f.reversed = f.value(tagFillOrder, 1) == 2

	const mostSamples = 6 // Pillow's, extra ones included
	samples := f.value(tagSamples, 1)
	if samples < 1 || samples > mostSamples {
		return fmt.Errorf("%d samples a pixel, want 1 to %d", samples, mostSamples)
	}
	f.samples = int(samples)
	f.extra = f.values(tagExtraSamples, mostSamples)
	depths := f.values(tagBits, f.samples)
	f.depth = 1
	if len(depths) > 0 {
		f.depth = int(min(depths[0], 1<<10))
	}
	if f.depth < 1 || f.depth > 64 {
		return fmt.Errorf("samples of %d bits, want 1 to 64", f.depth)
	}
	for _, d := range depths {
		if d != depths[0] {
			return fmt.Errorf("samples of %d bits, want all alike; %s", depths, convert)
		}
	}
	for _, s := range f.values(tagSampleFormat, f.samples) {
		if s != f.format {
			return fmt.Errorf("samples of different formats are not read; %s", convert)
		}
	}
	if f.planar && f.depth%8 != 0 {
		return fmt.Errorf("separate planes of %d bits are not read; %s", f.depth, convert)
	}
	return nil
}

// reverseBits returns a copy with the bits of each byte in the other order.
func reverseBits(b []byte) []byte {
	out := make([]byte, len(b))
	for i, v := range b {
		out[i] = bits.Reverse8(v)
	}
	return out
}
