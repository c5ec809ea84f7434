package quant

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Grouped is a matrix [Out, In] of AWQ or GPTQ in the order that kernels read: row by row, as the words
// of those formats are not. Nothing is lost or rounded, and it takes as much memory:
//
//	x[o, Order[i]] = (q[o, i] − Zeros[o, i/Size])·Scales[o, i/Size]
type Grouped struct {
	Out, In, Size int
	Codes         []byte   // two codes of 4 bits a byte, the first in the high half
	Scales        []uint16 // F16 [Out, ⌈In/Size⌉]
	Zeros         []byte   // likewise
	Order         []int32  // [In]; nil where columns are in order
}

// Shape returns the matrix's shape [out, in].
func (m *Grouped) Shape() (out, in int) { return m.Out, m.In }

// DecodeRows writes rows lo to hi, [hi−lo, In], to dst.
func (m *Grouped) DecodeRows(dst []float32, lo, hi int) {
	checkRows("Grouped", m.Out, m.In, lo, hi, len(dst))
	groups := (m.In + m.Size - 1) / m.Size
	var scale [2]byte
	for row := lo; row < hi; row++ {
		to := dst[(row-lo)*m.In:][:m.In]
		for i := range m.In {
			at, g := row*m.In+i, row*groups+i/m.Size
			q := m.Codes[at/2] >> (4 - at%2*4) & 15
			binary.LittleEndian.PutUint16(scale[:], m.Scales[g])
			k := i
			if m.Order != nil {
				k = int(m.Order[i])
			}
			to[k] = float32(int(q)-int(m.Zeros[g])) * scaleOf(scale[:])
		}
	}
}

// Regroup returns the matrix in the order of its rows, or nil where its rows are no whole bytes. A
// scale that is not finite is an error.
func (m *AWQ) Regroup() (*Grouped, error) {
	if m.In%2 != 0 {
		return nil, nil
	}
	g, err := m.groups.regroup(m.Out, m.In, &awqShift, 0)
	if err != nil {
		return nil, fmt.Errorf("quant: AWQ: %w", err)
	}
	tiles(m.Out, func(lo, hi int) {
		for i := 0; i < m.In; i += 2 {
			a, b := m.words[i*m.Out/2:], m.words[(i+1)*m.Out/2:]
			for k := lo; k < hi; k += 8 {
				x, y := word(a, k/8), word(b, k/8)
				for j, shift := range awqShift {
					g.Codes[((k+j)*m.In+i)/2] = byte(x>>shift&15<<4 | y>>shift&15)
				}
			}
		}
	})
	return g, nil
}

// Regroup returns the matrix in the order of its rows, those of a group side by side, or nil where
// groups have not the sizes that they should. A scale that is not finite is an error.
func (m *GPTQ) Regroup() (*Grouped, error) {
	order, ok := m.order()
	if !ok {
		return nil, nil
	}
	g, err := m.groups.regroup(m.Out, m.In, &gptqShift, m.offset)
	if err != nil {
		return nil, fmt.Errorf("quant: GPTQ: %w", err)
	}
	g.Order = order
	tiles(m.Out, func(lo, hi int) {
		for i := 0; i < m.In; i += 8 {
			for k := lo; k < hi; k++ {
				to := g.Codes[(k*m.In+i)/2:]
				if order == nil {
					const low = 0x0f0f0f0f
					w := word(m.words, i/8*m.Out+k)
					binary.LittleEndian.PutUint32(to, w&low<<4|w>>4&low)
					continue
				}
				for j := 0; j < 8; j += 2 {
					to[j/2] = m.code(int(order[i+j]), k)<<4 | m.code(int(order[i+j+1]), k)
				}
			}
		}
	})
	return g, nil
}

func (m *GPTQ) code(i, k int) byte { return byte(word(m.words, i/8*m.Out+k) >> gptqShift[i%8] & 15) }

// order sorts the inputs by their groups, those of a group as they come. It is nil where they are sorted.
func (m *GPTQ) order() (order []int32, ok bool) {
	order = make([]int32, m.In)
	next, sorted := make([]int, m.groups.count), true
	for i, g := range m.group {
		at := int(g)*m.groups.size + next[g]
		if next[g]++; next[g] > m.groups.size || at >= m.In {
			return nil, false
		}
		order[at] = int32(i)
		sorted = sorted && at == i
	}
	if sorted {
		order = nil
	}
	return order, true
}

// regroup makes room for codes, and turns scales and zero points to the order of outputs.
func (g *groups) regroup(out, in int, shift *[8]uint8, offset uint32) (*Grouped, error) {
	m := &Grouped{Out: out, In: in, Size: g.size, Codes: make([]byte, out*in/2)}
	m.Scales, m.Zeros = make([]uint16, out*g.count), make([]byte, out*g.count)
	for i := range g.count {
		for k := range out {
			at := i*out + k
			scale := binary.LittleEndian.Uint16(g.scales[2*at:])
			if scale&0x7c00 == 0x7c00 {
				return nil, fmt.Errorf("scales: group %d of output %d is %v, want a finite number", i, k, scaleOf(g.scales[2*at:]))
			}
			m.Scales[k*g.count+i] = scale
			m.Zeros[k*g.count+i] = byte((word(g.zeros, at/8)>>shift[k%8] + offset) & 15)
		}
	}
	return m, nil
}

// tiles calls do, on all processors, with runs of outputs that share lines of memory in the words
// of a row.
func tiles(out int, do func(lo, hi int)) {
	const size = 128
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				lo := int(next.Add(size)) - size
				if lo >= out {
					return
				}
				do(lo, min(lo+size, out))
			}
		})
	}
	workers.Wait()
}
