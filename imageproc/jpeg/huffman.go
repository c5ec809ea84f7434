package jpeg

import "errors"

// lookBits is the number of bits that one table lookup decodes: nearly all codes of
// photographs.
const lookBits = 10

// huffman is a table as the file gives it, and what build makes of it.
type huffman struct {
	counts  [16]uint8 // codes of 1 to 16 bits
	symbols []uint8

	// codes has, for each next lookBits bits, the length<<8 | symbol of the code that they
	// start with; 0 where the code is longer.
	codes [1 << lookBits]uint16
	// runs is codes for the AC coefficients of sequential scans; 0 also for the code of 16
	// zeros, so that every other one is the end of a block or has a value.
	runs [1 << lookBits]run
	// Of codes left-aligned in 16 bits, those of length n are less than limit[n], and
	// first[n] plus the code is its place in symbols.
	limit [17]uint32
	first [17]int32

	hasCodes, hasRuns bool
}

// run is a decoded AC code. A byte each has
//
//	byte 0     number of bits of the code and the value after it
//	byte 1     number of bits of the code
//	byte 2     64 less the number of bits of the value; 64 where there is none
//	byte 3     coefficients to step over; 64 ends the block
//	bytes 4-7  what to add to a value whose first bit is 0 (T.81 figure F.12)
//
// so that a shift by one needs no mask on a machine that looks at 6 bits of it.
type run uint64

func (r run) drop() int { return int(r & 63) }
func (r run) skip() int { return int(r >> 24 & 255) }

// zeros tells of the code of 16 zeros.
func (r run) zeros() bool { return r>>16&0xFFFF == 15<<8|64 }

// value returns the value behind the code at the top of acc, if it has one.
func (r run) value(acc uint64) int32 {
	acc <<= r >> 8 & 63
	negative := ^int32(int64(acc) >> 63)
	return int32(acc>>(r>>16&63)) + int32(r>>32)&negative
}

// endsBlock tells whether the code has no value, where it is not that of 16 zeros.
func (r run) endsBlock() bool { return r>>16&64 != 0 }

var (
	errHuffman   = errors.New("malformed Huffman table: its codes do not form a tree")
	errHuffmanDC = errors.New("malformed Huffman table: a DC difference of more than 15 bits")
)

// build makes codes; T.81 annex C, figures C.1 and C.2, with the checks of the reference.
func (h *huffman) build(dc bool) error {
	if dc {
		for _, s := range h.symbols {
			if s > 15 {
				return errHuffmanDC
			}
		}
	}
	if h.hasCodes {
		return nil
	}
	code, p := 0, 0
	for n := 1; n <= 16; n++ {
		h.first[n] = int32(p - code)
		count := int(h.counts[n-1])
		if count > 0 && code+count >= 1<<n { // all ones is no code
			return errHuffman
		}
		for range count {
			if shift := lookBits - n; shift >= 0 {
				for i := range 1 << shift {
					h.codes[code<<shift|i] = uint16(n)<<8 | uint16(h.symbols[p])
				}
			}
			code++
			p++
		}
		h.limit[n] = uint32(code) << (16 - n)
		code <<= 1
	}
	h.hasCodes = true
	return nil
}

// buildRuns makes runs of codes.
func (h *huffman) buildRuns() {
	if h.hasRuns {
		return
	}
	h.hasRuns = true
	for i, c := range h.codes {
		if c != 0 && uint8(c) != 0xF0 {
			h.runs[i] = newRun(int(c>>8), uint8(c))
		}
	}
}

// newRun is an AC code of n bits (T.81 F.1.2.2). Skips without a value end the block, but
// for the one of 16 zeros.
func newRun(n int, symbol uint8) run {
	skip, size := int(symbol>>4), int(symbol&15)
	if size == 0 && skip != 15 {
		skip = 64
	}
	return run(n+size) | run(n)<<8 | run(64-size)<<16 | run(skip)<<24 | run(1-1<<size)<<32
}

// at decodes the code at the top of acc: its length and its symbol.
func (h *huffman) at(acc uint64) (n int, symbol uint8) {
	if c := h.codes[acc>>(64-lookBits)]; c != 0 {
		return int(c >> 8), uint8(c)
	}
	return h.long(acc)
}

// long decodes a code of more than lookBits bits at the top of acc: its length and its
// symbol. Bits that are no code count 17 and give 0, as in the reference.
func (h *huffman) long(acc uint64) (n int, symbol uint8) {
	code := uint32(acc >> 48)
	for n = lookBits + 1; n <= 16; n++ {
		if code < h.limit[n] {
			return n, h.symbols[h.first[n]+int32(code>>(16-n))]
		}
	}
	return 17, 0
}

// value extends the last size, 1 to 15, of the upper n bits of acc.
func value(acc uint64, n, size int) int32 {
	return extend(uint32(acc>>((64-n)&63))&(1<<(size&31)-1), size)
}

// extend gives the value of size appended bits, 1 to 15 (T.81 figure F.12).
func extend(bits uint32, size int) int32 {
	// Values with a leading 0 are negative: bits − (2^size − 1).
	negative := int32(bits>>((size-1)&31)) - 1 // −1 or 0
	return int32(bits) + negative&(1-1<<(size&31))
}

// standardHuffman returns the tables of T.81 annex K.3, which sequential files may leave
// out (those of motion JPEG do): for luminance (id 0) or chrominance (1), DC (class 0) or AC.
func standardHuffman(class, id int) *huffman {
	if id > 1 {
		return nil
	}
	if class == 0 {
		return &huffman{
			counts: [2][16]uint8{
				{0, 1, 5, 1, 1, 1, 1, 1, 1},
				{0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1},
			}[id],
			symbols: []uint8{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
		}
	}
	return &huffman{
		counts: [2][16]uint8{
			{0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125},
			{0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119},
		}[id],
		symbols: []uint8([2]string{
			"\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07\x22\x71\x14\x32\x81\x91\xa1\x08" +
				"\x23\x42\xb1\xc1\x15\x52\xd1\xf0\x24\x33\x62\x72\x82\x09\x0a\x16\x17\x18\x19\x1a\x25\x26\x27\x28" +
				"\x29\x2a\x34\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49\x4a\x53\x54\x55\x56\x57\x58\x59" +
				"\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x83\x84\x85\x86\x87\x88\x89" +
				"\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6" +
				"\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe1\xe2" +
				"\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa",
			"\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71\x13\x22\x32\x81\x08\x14\x42\x91" +
				"\xa1\xb1\xc1\x09\x23\x33\x52\xf0\x15\x62\x72\xd1\x0a\x16\x24\x34\xe1\x25\xf1\x17\x18\x19\x1a\x26" +
				"\x27\x28\x29\x2a\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49\x4a\x53\x54\x55\x56\x57\x58" +
				"\x59\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x82\x83\x84\x85\x86\x87" +
				"\x88\x89\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4" +
				"\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda" +
				"\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa",
		}[id]),
	}
}
