package jpeg

import "encoding/binary"

// bitReader reads the entropy-coded data of one segment. Where they end, at a marker or
// at the end of the file, it goes on with zero bits, and exhausted tells that some of
// those were used: the reference fills up the block it is at, then leaves the rest of the
// segment empty.
type bitReader struct {
	data   []byte
	pos    int    // next byte to load
	acc    uint64 // loaded bits, the next one at the top
	n      int    // how many; filler ones included
	filler int    // zero bits appended after the end of the data
	marker byte   // the marker that ended the data, 0 if none did yet
	eof    bool
}

// fill loads bits until there are more than 56, or 32 at the least.
func (r *bitReader) fill() {
	if r.pos+8 <= len(r.data) && r.marker == 0 {
		w := binary.BigEndian.Uint64(r.data[r.pos:])
		if !hasFF(w) {
			// Bits past r.n are those of the next byte to load, or zero: or-ing them again is harmless.
			r.acc |= w >> (r.n & 63)
			r.pos += (63 - r.n) >> 3
			r.n |= 56
			return
		}
	}
	r.fillSlow()
}

// hasFF tells whether a byte of w is 0xFF.
func hasFF(w uint64) bool {
	return (^w-0x0101010101010101)&w&0x8080808080808080 != 0
}

func (r *bitReader) fillSlow() {
	for r.n <= 56 {
		c, ok := r.dataByte()
		if !ok {
			r.filler += 8
		}
		r.acc |= uint64(c) << (56 - r.n)
		r.n += 8
	}
}

// dataByte takes the next byte of the segment's data, unstuffed, if there is one.
func (r *bitReader) dataByte() (byte, bool) {
	if r.marker != 0 || r.eof {
		return 0, false
	}
	fill := false
	for r.pos < len(r.data) {
		c := r.data[r.pos]
		r.pos++
		switch {
		case c == 0xFF: // of a marker, or of a stuffed data byte; may repeat
			fill = true
		case !fill:
			return c, true
		case c == 0:
			return 0xFF, true
		default:
			r.marker = c
			return 0, false
		}
	}
	r.eof = true
	return 0, false
}

// exhausted tells whether bits were used that the data do not have.
func (r *bitReader) exhausted() bool { return r.n < r.filler }

// drop forgets what is loaded: up to the next byte boundary and further.
func (r *bitReader) drop() { r.acc, r.n, r.filler = 0, 0, 0 }

// bits takes the next k bits, 1 to 16.
func (r *bitReader) bits(k int) uint32 {
	if r.n < 32 {
		r.fill()
	}
	v := uint32(r.acc >> (64 - k))
	r.acc <<= k
	r.n -= k
	return v
}

// code takes the next Huffman code and returns its symbol.
func (r *bitReader) code(h *huffman) uint8 {
	if r.n < 32 {
		r.fill()
	}
	n, symbol := h.at(r.acc)
	r.acc <<= n
	r.n -= n
	return symbol
}
