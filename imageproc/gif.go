package imageproc

import (
	"compress/lzw"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// decodeGIF reads the first frame and places it on the logical screen, which grows
// where the frame exceeds it. Uncovered screen has the transparent index where the
// frame has one, otherwise index 0, as in Pillow, whatever the background index says.
func decodeGIF(data []byte, lim Limits) (*RGB, meta, error) {
	r := &byteReader{data: data[6:]}
	width, height := r.uint16(), r.uint16()
	flags := r.byte()
	r.skip(2) // background index, aspect
	colors := gifPalette(nil)
	if flags&0x80 != 0 {
		colors = gifPalette(r.take(3 << (flags&7 + 1)))
	}
	transparent := 0
	for {
		switch kind := r.byte(); {
		case r.short || kind == ';':
			return nil, meta{}, errors.New("the file ends before the first frame; it is truncated")
		case kind == '!':
			label := r.byte()
			block := r.block()
			if label == 0xf9 && len(block) >= 4 && block[0]&1 != 0 {
				transparent = int(block[3])
			}
			for len(block) > 0 {
				block = r.block()
			}
		case kind == ',':
			x, y, w, h := r.uint16(), r.uint16(), r.uint16(), r.uint16()
			flags := r.byte()
			if flags&0x80 != 0 {
				colors = gifPalette(r.take(3 << (flags&7 + 1)))
			}
			codeSize := int(r.byte())
			if r.short {
				return nil, meta{}, errors.New("the file ends inside the first frame's header; it is truncated")
			}
			if w == 0 || h == 0 {
				return nil, meta{}, fmt.Errorf("the first frame is %d×%d, want at least 1×1", w, h)
			}
			if codeSize < 2 || codeSize > 8 {
				return nil, meta{}, fmt.Errorf("the first frame has codes of %d bits, want 2 to 8", codeSize)
			}
			width, height = max(width, x+w), max(height, y+h)
			if err := lim.check(width, height); err != nil {
				return nil, meta{}, err
			}
			img := NewRGB(width, height)
			if fill := colors[transparent]; fill != [3]byte{} {
				for i := 0; i < len(img.Pix); i += 3 {
					copy(img.Pix[i:i+3], fill[:])
				}
			}
			frames := 1 + countGIFFrames(*r)
			err := gifRows(img, r, codeSize, x, y, w, h, flags&0x40 != 0, &colors)
			return img, meta{frames: frames}, err
		}
	}
}

// gifPalette is the given colours, or gray where there are none or they are gray by
// index: indexes past them are then gray too. (Pillow takes the global colours for a
// frame whose own are gray in this way; we take what the file says.)
func gifPalette(colors []byte) palette {
	for i := 0; i+3 <= len(colors); i += 3 {
		if v := byte(i / 3); colors[i] != v || colors[i+1] != v || colors[i+2] != v {
			return paletteOf(colors)
		}
	}
	return grayPalette(8)
}

// gifRows decompresses the frame's indexes row by row. Data that end before the last row
// are an error, whether an end code says so or the file.
func gifRows(img *RGB, r io.ByteReader, codeSize, x, y, w, h int, interlaced bool, colors *palette) error {
	z := lzw.NewReader(&gifBlocks{r: r}, lzw.LSB, codeSize)
	defer z.Close()
	indexes := make([]byte, w)
	convert := fromPalette(colors, 8)
	passes := [][2]int{{0, 1}} // first row and step
	if interlaced {
		passes = [][2]int{{0, 8}, {4, 8}, {2, 4}, {1, 2}}
	}
	done := 0
	for _, p := range passes {
		for row := p[0]; row < h; row += p[1] {
			n, err := io.ReadFull(z, indexes)
			convert(img.Row(y + row)[3*x:], indexes, n)
			switch {
			case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
				return fmt.Errorf("image data end at row %d of %d; the file is truncated", done, h)
			case err != nil:
				return fmt.Errorf("image data, row %d of %d: %w; the file is damaged", done, h, err)
			}
			done++
		}
	}
	return nil
}

// gifBlocks joins data that come in blocks of up to 255 bytes, each after its length.
type gifBlocks struct {
	r    io.ByteReader
	left int
}

func (b *gifBlocks) ReadByte() (byte, error) {
	if b.left == 0 {
		n, err := b.r.ReadByte()
		if err != nil || n == 0 {
			return 0, io.ErrUnexpectedEOF
		}
		b.left = int(n)
	}
	b.left--
	return b.r.ReadByte()
}

func (b *gifBlocks) Read(p []byte) (n int, err error) {
	for ; n < len(p); n++ {
		if p[n], err = b.ReadByte(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// countGIFFrames walks the blocks after the first frame's header and counts the frames
// to come, decompressing nothing. It reads a copy of the reader.
func countGIFFrames(r byteReader) (n int) {
	skip := func() {
		for len(r.block()) > 0 {
		}
	}
	skip()
	for {
		switch kind := r.byte(); {
		case r.short || kind == ';':
			return n
		case kind == '!':
			r.byte()
			skip()
		case kind == ',':
			r.skip(8)
			if flags := r.byte(); flags&0x80 != 0 {
				r.skip(3 << (flags&7 + 1))
			}
			r.byte()
			skip()
			if r.short {
				return n
			}
			n++
		}
	}
}

// byteReader reads little-endian numbers from the start of data. Past its end it gives
// zeros and sets short, so that a header is read whole and checked once.
type byteReader struct {
	data  []byte
	short bool
}

// take returns the next n bytes, or fewer at the end.
func (r *byteReader) take(n int) []byte {
	if n > len(r.data) {
		n, r.short = len(r.data), true
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

func (r *byteReader) skip(n int) { r.take(n) }

func (r *byteReader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *byteReader) uint16() int {
	if b := r.take(2); len(b) == 2 {
		return int(binary.LittleEndian.Uint16(b))
	}
	return 0
}

func (r *byteReader) uint32() uint32 {
	if b := r.take(4); len(b) == 4 {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// block returns a block of up to 255 bytes that follows its length.
func (r *byteReader) block() []byte { return r.take(int(r.byte())) }

// ReadByte is io.ByteReader.
func (r *byteReader) ReadByte() (byte, error) {
	if len(r.data) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return r.byte(), nil
}
