package quant

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"idefics2/internal/half"
	"idefics2/tensor"
)

// NF4 is a matrix [Out, In] in the 4-bit format of bitsandbytes (spec/checkpoint.md §5,
// spec/training.md §7, arXiv 2305.14314). The matrix is one row-major sequence, cut into
// blocks regardless of its rows:
//
//	x[i] = Table[code i]·absmax of block i/BlockSize, rounded to DType
//
// With double quantization (Nested not nil) an absmax is itself a code of 8 bits.
type NF4 struct {
	Out, In   int
	BlockSize int
	FP4       bool         // another table, of floats of 4 bits, and stored under its name
	DType     tensor.DType // of the matrix that was quantized: F32, F16 or BF16
	Table     [16]float32
	Codes     []byte    // [⌈Out·In/2⌉], the first code in the high nibble
	Absmax    []float32 // [⌈Out·In/BlockSize⌉], nil with Nested
	Nested    *NestedAbsmax

	// PerRow makes DecodeRows count blocks as bitsandbytes 0.50 does on processors with
	// AVX-512 where In is a multiple of 16: every row has ⌊In/BlockSize⌋ of them. Where In is
	// no multiple of BlockSize that is a defect, and gives other values than every other
	// machine. It is here to hold recordings that were made so.
	PerRow bool
}

// NestedAbsmax is a vector of absmax in 8 bits each, in blocks of its own:
//
//	absmax[b] = Table[Codes[b]]·Absmax[b/BlockSize] + Offset
type NestedAbsmax struct {
	BlockSize int
	Offset    float32
	Table     [256]float32
	Codes     []byte    // one for every block of the matrix
	Absmax    []float32 // [⌈len(Codes)/BlockSize⌉]
}

// at returns absmax number b of the matrix. The product is rounded before the sum, as
// bitsandbytes does in two operations.
func (n *NestedAbsmax) at(b int) float32 {
	return float32(n.Table[n.Codes[b]]*n.Absmax[b/n.BlockSize]) + n.Offset
}

// Shape returns the matrix's shape [out, in].
func (m *NF4) Shape() (out, in int) { return m.Out, m.In }

// DecodeRows writes rows lo to hi, [hi−lo, In], to dst.
func (m *NF4) DecodeRows(dst []float32, lo, hi int) {
	checkRows("NF4", m.Out, m.In, lo, hi, len(dst))
	start := lo * m.In
	perRow := m.PerRow && m.In%16 == 0
	for at := start; at < hi*m.In; {
		block := at / m.BlockSize
		end := min((block+1)*m.BlockSize, hi*m.In)
		if perRow {
			row, column := at/m.In, at%m.In
			block = row*(m.In/m.BlockSize) + column/m.BlockSize
			end = row*m.In + min((column/m.BlockSize+1)*m.BlockSize, m.In)
		}
		m.decodeBlock(dst[at-start:end-start], at, m.absmax(block))
		at = end
	}
	switch m.DType {
	case tensor.BF16:
		for i, v := range dst {
			dst[i] = half.BF16ToF32(half.F32ToBF16(v))
		}
	case tensor.F16:
		for i, v := range dst {
			dst[i] = half.F16ToF32(half.F32ToF16(v))
		}
	}
}

func (m *NF4) absmax(block int) float32 {
	if m.Nested != nil {
		return m.Nested.at(block)
	}
	return m.Absmax[block]
}

// decodeBlock decodes the elements from at on, all of one block.
func (m *NF4) decodeBlock(dst []float32, at int, absmax float32) {
	var values [16]float32
	for i, v := range m.Table {
		values[i] = v * absmax
	}
	if at%2 == 1 {
		dst[0] = values[m.Codes[at/2]&15]
		dst, at = dst[1:], at+1
	}
	codes := m.Codes[at/2:]
	pairs := len(dst) / 2
	for i, b := range codes[:pairs] {
		dst[2*i], dst[2*i+1] = values[b>>4], values[b&15]
	}
	if len(dst)%2 == 1 {
		dst[len(dst)-1] = values[codes[pairs]>>4]
	}
}

// checkRows panics where rows lo to hi of a matrix do not fill dst: a bug of the caller.
func checkRows(what string, out, in, lo, hi, n int) {
	if lo < 0 || hi < lo || hi > out || n != (hi-lo)*in {
		panic(fmt.Sprintf("quant: %s: rows %d to %d of [%d, %d] into %d values", what, lo, hi, out, in, n))
	}
}

// NF4Table has the codes of the format: quantiles of a normal distribution, scaled to 1.
// Checkpoints carry their own copy, which Decode uses.
var NF4Table = [16]float32{
	-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
	-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
	0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
	0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
}

// nf4Bounds lie halfway between the codes. What lies on a bound takes the lower code.
var nf4Bounds = func() (b [15]float32) {
	for i := range b {
		b[i] = (NF4Table[i] + NF4Table[i+1]) / 2
	}
	return b
}()

// NF4Options are the choices of EncodeNF4. The zero value is bitsandbytes' default: blocks
// of 64, no double quantization, float32.
type NF4Options struct {
	BlockSize int          // a power of two from 32 to 4096; 0 for 64
	Double    bool         // absmax in 8 bits
	DType     tensor.DType // what decoded values are rounded to: F32 (also for Invalid), F16 or BF16
}

// EncodeNF4 quantizes x [out, in] as bitsandbytes does: the same codes and absmax, and with
// double quantization an offset that may differ in its last bits, because the reference
// adds up a mean in an order of its own. Every value must be finite.
func EncodeNF4(x []float32, out, in int, o NF4Options) (*NF4, error) {
	m := &NF4{Out: out, In: in, BlockSize: o.BlockSize, DType: o.DType, Table: NF4Table}
	if m.BlockSize == 0 {
		m.BlockSize = 64
	}
	if m.DType == tensor.Invalid {
		m.DType = tensor.F32
	}
	if !validBlockSize(m.BlockSize) || !m.DType.Float() {
		return nil, fmt.Errorf("quant: NF4: blocks of %d and type %v, want a power of two from 32 to 4096, and F32, F16 or BF16", o.BlockSize, o.DType)
	}
	if out < 0 || in < 0 || len(x) != out*in {
		panic(fmt.Sprintf("quant: NF4: %d values for a matrix [%d, %d]", len(x), out, in))
	}
	m.Codes = make([]byte, (len(x)+1)/2)
	m.Absmax = make([]float32, (len(x)+m.BlockSize-1)/m.BlockSize)
	for b := range m.Absmax {
		lo, hi := b*m.BlockSize, min((b+1)*m.BlockSize, len(x))
		if err := m.encodeBlock(x[lo:hi], lo, &m.Absmax[b]); err != nil {
			return nil, err
		}
	}
	if len(x)%2 == 1 {
		m.Codes[len(m.Codes)-1] |= 7 // an odd matrix is filled up with a zero
	}
	if o.Double {
		m.Nested = nestAbsmax(m.Absmax)
		m.Absmax = nil
	}
	return m, nil
}

func (m *NF4) encodeBlock(x []float32, at int, absmax *float32) error {
	most := float32(0)
	for i, v := range x {
		if v-v != 0 {
			return fmt.Errorf("quant: NF4: value %d is %v, want finite ones", at+i, v)
		}
		most = max(most, abs(v))
	}
	// The reference multiplies whole blocks by the inverse, and divides in a last, shorter one.
	const least = 1e-38
	whole := len(x) == m.BlockSize
	divisor := max(most, least)
	factor := 1 / divisor
	if *absmax = most; !whole {
		*absmax = divisor
	}
	for i, v := range x {
		if whole {
			v *= factor
		} else {
			v /= divisor
		}
		code := nearest(nf4Bounds[:], v)
		if (at+i)%2 == 0 {
			code <<= 4
		}
		m.Codes[(at+i)/2] |= byte(code)
	}
	return nil
}

// nearest returns the number of bounds, which rise, that lie below v.
func nearest(bounds []float32, v float32) int {
	at, _ := slices.BinarySearch(bounds, v)
	return at
}

// nestAbsmax quantizes absmax in blocks of 256 (spec/training.md §7.2).
func nestAbsmax(absmax []float32) *NestedAbsmax {
	const size = 256
	n := &NestedAbsmax{BlockSize: size, Table: DynamicTable, Codes: make([]byte, len(absmax))}
	sum := 0.0
	for _, v := range absmax {
		sum += float64(v)
	}
	if len(absmax) > 0 {
		n.Offset = float32(sum / float64(len(absmax)))
	}
	for lo := 0; lo < len(absmax); lo += size {
		block := absmax[lo:min(lo+size, len(absmax))]
		most := float32(0)
		for _, v := range block {
			most = max(most, abs(v-n.Offset))
		}
		n.Absmax = append(n.Absmax, most)
		for i, v := range block {
			if most > 0 { // else any code decodes to Offset: 0, as in the reference
				n.Codes[lo+i] = byte(nearest(dynamicBounds[:], (v-n.Offset)/most))
			}
		}
	}
	return n
}

// DynamicTable is the signed dynamic map of bitsandbytes (spec/training.md §4.3): for each
// i from 0 to 6 the middles of 2^i equal parts of [0.1, 1], times 10^(i−6), with both signs,
// and 0 and 1: 256 values that rise. −1 is not among them.
var DynamicTable = func() (t [256]float32) {
	values := []float32{0, 1}
	for i := range 7 {
		// The reference takes the middles of float32 bounds; those of the upper half are
		// counted down from 1.
		parts := 1 << i
		step := (1 - float32(0.1)) / float32(parts)
		bound := func(p int) float32 {
			if p < (parts+1)/2 {
				return float32(float64(float32(0.1)) + float64(step)*float64(p))
			}
			return float32(1 - float64(step)*float64(parts-p))
		}
		for p := range parts {
			v := float32(math.Pow10(i-6)) * ((bound(p) + bound(p+1)) / 2)
			values = append(values, v, -v)
		}
	}
	slices.Sort(values)
	return [256]float32(values)
}()

var dynamicBounds = func() (b [255]float32) {
	for i := range b {
		b[i] = (DynamicTable[i] + DynamicTable[i+1]) / 2
	}
	return b
}()

func validBlockSize(n int) bool {
	return n >= 32 && n <= 4096 && bits.OnesCount(uint(n)) == 1
}

// floatsOf copies an F32 tensor.
func floatsOf(v tensor.View) []float32 {
	out := make([]float32, v.Len())
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(v.Data[4*i:]))
	}
	return out
}
