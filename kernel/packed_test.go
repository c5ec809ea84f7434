package kernel

import (
	"fmt"
	"testing"

	"idefics2/quant"
)

// pack stores rows of d values in a type, the last block of each filled up with zeros, and returns
// pages of bytes and, in place of rows, what they became.
func pack(typ quant.Type, rows []float32, d, pageLen int) (pages [][]byte, stride int) {
	block := typ.Block()
	padded := make([]float32, (d+block-1)/block*block)
	stride = len(padded) / block * typ.Bytes()
	for at := 0; at < len(rows); at += d {
		if at/d%pageLen == 0 {
			pages = append(pages, nil)
		}
		copy(padded, rows[at:][:d])
		row := make([]byte, stride)
		if err := typ.Encode(row, padded); err != nil {
			panic(err)
		}
		last := &pages[len(pages)-1]
		*last = append(*last, row...)
		values := make([]float32, len(padded))
		typ.Decode(values, row)
		copy(rows[at:], values[:d])
	}
	return pages, stride
}

// Packed keys and values give the bits of the float32 that they stand for.
func TestAttendPacked(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(31)
		tm := team(t, 2)
		for _, typ := range []quant.Type{quant.BF16, quant.Q8_0} {
			for _, d := range []int{1, 5, 16, 40, 72, 128} {
				for _, n := range []int{1, 7, 90} {
					for _, window := range []int{0, 20} {
						const before, pageLen = 75, 32
						s := newSequence(r, n, n+before, d)
						s.causal, s.window, s.start = true, window, before
						got, want := normal(r, n*d), normal(r, n*d)
						var packed Packed
						var stride int
						packed.K, stride = pack(typ, s.k, d, pageLen)
						packed.V, _ = pack(typ, s.v, d, pageLen)
						packed.Q8_0 = typ == quant.Q8_0
						wide := s.head(want, 0, n, s.keys, pageLen)
						h := s.head(got, 0, n, s.keys, pageLen)
						h.K, h.V, h.Packed, h.KVStride = nil, nil, packed, stride
						tm.Attend([]Head{wide}, d, 0.3)
						tm.Attend([]Head{h}, d, 0.3)
						sameBits(t, fmt.Sprintf("%v d=%d n=%d window=%d", typ, d, n, window), got, want)
					}
				}
			}
		}
	})
}

// Heads that share keys and values, together and one by one.
func TestAttendGroup(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(32)
		tm := team(t, 2)
		for _, group := range []int{2, 3, 4, 7} {
			for _, n := range []int{1, 2, 60, 100} {
				const d, before = 24, 70
				s := newSequence(r, n*group, n+before, d)
				s.causal, s.window, s.start = true, n%3*20, before
				got, want := normal(r, n*group*d), normal(r, n*group*d)
				h := s.head(got, 0, n, s.keys, 32)
				h.Q, h.Out, h.QStride, h.Group = s.q, got, group*d, group
				tm.Attend([]Head{h}, d, 0.3)
				for g := range group {
					one := h
					one.Q, one.Out, one.Group = s.q[g*d:], want[g*d:], 0
					tm.Attend([]Head{one}, d, 0.3)
				}
				sameBits(t, fmt.Sprintf("groups of %d, n=%d", group, n), got, want)
			}
		}
	})
}
