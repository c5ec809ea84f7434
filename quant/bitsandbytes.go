package quant

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"idefics2/internal/strictjson"
	"idefics2/tensor"
)

// Parts finds the stored tensors of one matrix: Parts("qweight") is the tensor under the
// matrix's name and that ending, if there is one.
type Parts func(ending string) (tensor.View, bool)

// The endings of a matrix in a bitsandbytes checkpoint, after the name of its module.
const (
	nf4Codes       = "weight"
	nf4Absmax      = "weight.absmax"
	nf4Table       = "weight.quant_map"
	nf4NestAbsmax  = "weight.nested_absmax"
	nf4NestTable   = "weight.nested_quant_map"
	nf4State       = "weight.quant_state.bitsandbytes__nf4"
	fp4State       = "weight.quant_state.bitsandbytes__fp4"
	int8Scales     = "SCB"
	int8Format     = "weight_format"
	maxState       = 1 << 16       // bytes of a quant_state
	maxMatrixSides = math.MaxInt32 // of Out and In
)

// NF4Endings are the endings under which NF4FromParts asks for tensors.
func NF4Endings() []string {
	return []string{nf4Codes, nf4Absmax, nf4Table, nf4NestAbsmax, nf4NestTable, nf4State, fp4State}
}

// NF4FromParts assembles a matrix of the tensors of a checkpoint and checks that they fit one
// another. The codes share memory with the file. Tables, block sizes and the offset are those
// that the checkpoint holds.
func NF4FromParts(parts Parts) (*NF4, error) {
	m, err := nf4FromParts(parts)
	if err != nil {
		return nil, fmt.Errorf("quant: NF4: %w", err)
	}
	return m, nil
}

func nf4FromParts(parts Parts) (*NF4, error) {
	state, ok := parts(nf4State)
	name := "nf4"
	if fp4, is := parts(fp4State); is && !ok {
		state, ok, name = fp4, true, "fp4"
	} else if is {
		return nil, errors.New("quantized as fp4 and as nf4, want one")
	}
	if !ok {
		return nil, fmt.Errorf("no %s (saved before 2024?): quantize the model again", nf4State)
	}
	if state.DType != tensor.U8 || len(state.Data) > maxState {
		return nil, fmt.Errorf("%s: %v of %d bytes, want U8 of at most %d", nf4State, state.DType, len(state.Data), maxState)
	}
	s, err := parseState(state.Data, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nf4State, err)
	}
	m := &NF4{Out: s.shape[0], In: s.shape[1], BlockSize: s.blockSize, DType: s.dtype, FP4: name == "fp4"}
	n := m.Out * m.In
	if m.In > 0 && n/m.In != m.Out {
		return nil, fmt.Errorf("shape %v: the product overflows", s.shape)
	}
	codes, err := part(parts, nf4Codes, tensor.U8, (n+1)/2)
	if err != nil {
		return nil, err
	}
	m.Codes = codes.Data
	table, err := part(parts, nf4Table, tensor.F32, 16)
	if err != nil {
		return nil, err
	}
	m.Table = [16]float32(floatsOf(table))
	if err := finite(nf4Table, m.Table[:]); err != nil {
		return nil, err
	}
	blocks := (n + m.BlockSize - 1) / m.BlockSize
	if s.nested {
		m.Nested, err = nestedFromParts(parts, s, blocks)
		return m, err
	}
	absmax, err := part(parts, nf4Absmax, tensor.F32, blocks)
	if err != nil {
		return nil, err
	}
	m.Absmax = floatsOf(absmax)
	return m, finite(nf4Absmax, m.Absmax)
}

// finite refuses numbers that no quantized matrix has.
func finite(what string, values []float32) error {
	for i, v := range values {
		if v-v != 0 {
			return fmt.Errorf("%s: value %d is %v, want finite ones", what, i, v)
		}
	}
	return nil
}

func nestedFromParts(parts Parts, s state, blocks int) (*NestedAbsmax, error) {
	codes, err := part(parts, nf4Absmax, tensor.U8, blocks)
	if err != nil {
		return nil, err
	}
	table, err := part(parts, nf4NestTable, tensor.F32, 256)
	if err != nil {
		return nil, err
	}
	absmax, err := part(parts, nf4NestAbsmax, tensor.F32, (blocks+s.nestedBlockSize-1)/s.nestedBlockSize)
	if err != nil {
		return nil, err
	}
	n := &NestedAbsmax{
		BlockSize: s.nestedBlockSize, Offset: s.offset,
		Table: [256]float32(floatsOf(table)), Codes: codes.Data, Absmax: floatsOf(absmax),
	}
	return n, errors.Join(finite(nf4NestTable, n.Table[:]), finite(nf4NestAbsmax, n.Absmax))
}

// part returns a tensor of that type and number of elements.
func part(parts Parts, ending string, dtype tensor.DType, n int) (tensor.View, error) {
	v, ok := parts(ending)
	switch {
	case !ok:
		return v, fmt.Errorf("no %s", ending)
	case v.DType != dtype || v.Len() != n:
		return v, fmt.Errorf("%s: %v %v, want %v of %d elements", ending, v.DType, v.Shape, dtype, n)
	}
	return v, nil
}

// state is the quant_state of a matrix.
type state struct {
	shape           []int
	blockSize       int
	dtype           tensor.DType
	nested          bool
	nestedBlockSize int
	offset          float32
}

// parseState reads a quant_state's JSON. Every field that bitsandbytes writes must be there
// and right, and no other.
func parseState(text []byte, kind string) (state, error) {
	var s state
	seen := map[string]bool{}
	scanner := strictjson.New(text)
	err := scanner.Object(func(key string) (err error) {
		seen[key] = true
		switch key {
		case "quant_type":
			var name string
			if name, err = scanner.String(); err == nil && name != kind {
				err = fmt.Errorf("quant_type %.40q, want %q", name, kind)
			}
		case "blocksize":
			s.blockSize, err = parseBlockSize(scanner, key)
		case "dtype":
			s.dtype, err = parseStateDType(scanner)
		case "shape":
			s.shape, err = parseShape(scanner)
		case "nested_blocksize":
			s.nestedBlockSize, err = parseBlockSize(scanner, key)
		case "nested_dtype":
			var name string
			if name, err = scanner.String(); err == nil && name != "float32" {
				err = fmt.Errorf("nested_dtype %.40q, want \"float32\"", name)
			}
		case "nested_offset":
			s.offset, err = parseOffset(scanner)
		default:
			err = fmt.Errorf("unknown field %.40q", key)
		}
		return err
	})
	if err != nil {
		return s, err
	}
	for _, key := range []string{"quant_type", "blocksize", "dtype", "shape"} {
		if !seen[key] {
			return s, fmt.Errorf("no %s", key)
		}
	}
	s.nested = seen["nested_blocksize"]
	if seen["nested_dtype"] != s.nested || seen["nested_offset"] != s.nested {
		return s, errors.New("want all of nested_blocksize, nested_dtype and nested_offset, or none")
	}
	return s, scanner.End()
}

func parseBlockSize(s *strictjson.Scanner, key string) (int, error) {
	text, err := s.Number()
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || !validBlockSize(n) {
		return 0, fmt.Errorf("%s %.40s, want a power of two from 32 to 4096", key, text)
	}
	return n, nil
}

func parseStateDType(s *strictjson.Scanner) (tensor.DType, error) {
	name, err := s.String()
	if err != nil {
		return tensor.Invalid, err
	}
	for _, known := range stateDTypes {
		if known.name == name {
			return known.dtype, nil
		}
	}
	return tensor.Invalid, fmt.Errorf("dtype %.40q, want float32, float16 or bfloat16", name)
}

var stateDTypes = []struct {
	name  string
	dtype tensor.DType
}{{"float32", tensor.F32}, {"float16", tensor.F16}, {"bfloat16", tensor.BF16}}

func parseShape(s *strictjson.Scanner) (shape []int, err error) {
	err = s.Array(func(i int) error {
		text, err := s.Number()
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxMatrixSides || i >= 2 {
			return fmt.Errorf("shape has %.40s in place %d, want two sides below 2³¹", text, i)
		}
		shape = append(shape, n)
		return nil
	})
	if err == nil && len(shape) != 2 {
		err = fmt.Errorf("shape %v, want two sides", shape)
	}
	return shape, err
}

func parseOffset(s *strictjson.Scanner) (float32, error) {
	text, err := s.Number()
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(v) > math.MaxFloat32 {
		return 0, fmt.Errorf("nested_offset %.40s, want a finite float32", text)
	}
	return float32(v), nil
}

// Part is one tensor of a stored matrix.
type Part struct {
	Ending string
	tensor.View
}

// Parts returns the tensors that bitsandbytes stores the matrix in. Codes are shared with m.
func (m *NF4) Parts() []Part {
	n := m.Out * m.In
	var dtype string
	for _, known := range stateDTypes {
		if known.dtype == m.DType {
			dtype = known.name
		}
	}
	kind, ending := "nf4", nf4State
	if m.FP4 {
		kind, ending = "fp4", fp4State
	}
	text := fmt.Sprintf(`{"quant_type": %q, "blocksize": %d, "dtype": %q, "shape": [%d, %d]`, kind, m.BlockSize, dtype, m.Out, m.In)
	parts := []Part{
		{nf4Codes, tensor.View{DType: tensor.U8, Shape: []int{(n + 1) / 2, 1}, Data: m.Codes}},
		{nf4Table, floatView(m.Table[:])},
	}
	if q := m.Nested; q != nil {
		parts = append(parts,
			Part{nf4Absmax, tensor.View{DType: tensor.U8, Shape: []int{len(q.Codes)}, Data: q.Codes}},
			Part{nf4NestAbsmax, floatView(q.Absmax)},
			Part{nf4NestTable, floatView(q.Table[:])})
		text += fmt.Sprintf(`, "nested_blocksize": %d, "nested_dtype": "float32", "nested_offset": %v`,
			q.BlockSize, strconv.FormatFloat(float64(q.Offset), 'f', -1, 64))
	} else {
		parts = append(parts, Part{nf4Absmax, floatView(m.Absmax)})
	}
	text += "}"
	return append(parts, Part{ending, tensor.View{DType: tensor.U8, Shape: []int{len(text)}, Data: []byte(text)}})
}

func floatView(values []float32) tensor.View {
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return tensor.View{DType: tensor.F32, Shape: []int{len(values)}, Data: data}
}

// Int8 is a matrix [Out, In] in the 8-bit format of bitsandbytes, LLM.int8 (arXiv
// 2208.07339): a byte for each value, and for each row the largest magnitude in it,
//
//	x = q·scale/127
//
// The reference multiplies 8-bit activations with it and keeps outlier columns apart; here
// the matrix is decoded, which is the more accurate of the two.
type Int8 struct {
	Out, In int
	Codes   []byte    // int8 [Out, In]
	Scales  []float32 // [Out]
}

// Int8Endings are the endings under which Int8FromParts asks for tensors.
func Int8Endings() []string { return []string{nf4Codes, int8Scales, int8Format} }

// Int8FromParts assembles a matrix of the tensors of a checkpoint. Its codes share memory
// with the file.
func Int8FromParts(parts Parts) (*Int8, error) {
	codes, ok := parts(nf4Codes)
	if !ok || codes.DType != tensor.I8 || len(codes.Shape) != 2 {
		return nil, fmt.Errorf("quant: int8: weight: %v %v, want I8 of shape [out, in]", codes.DType, codes.Shape)
	}
	m := &Int8{Out: codes.Shape[0], In: codes.Shape[1], Codes: codes.Data}
	scales, err := part(parts, int8Scales, tensor.F32, m.Out)
	if err != nil {
		return nil, fmt.Errorf("quant: int8: %w", err)
	}
	m.Scales = floatsOf(scales)
	// Tiled layouts for some GPUs were once saved under other numbers.
	if f, ok := parts(int8Format); ok && (f.DType != tensor.U8 || slices.ContainsFunc(f.Data, func(b byte) bool { return b != 0 })) {
		return nil, fmt.Errorf("quant: int8: weight_format: %v % x, want U8 0, rows", f.DType, f.Data[:min(len(f.Data), 8)])
	}
	return m, nil
}

// Shape returns the matrix's shape [out, in].
func (m *Int8) Shape() (out, in int) { return m.Out, m.In }

// DecodeRows writes rows lo to hi, [hi−lo, In], to dst: the product with the row's scale
// first, then that with 1/127, as bitsandbytes does.
func (m *Int8) DecodeRows(dst []float32, lo, hi int) {
	checkRows("Int8", m.Out, m.In, lo, hi, len(dst))
	const inverse = float32(7.874015718698502e-3)
	for row := lo; row < hi; row++ {
		y, codes := dst[(row-lo)*m.In:(row-lo+1)*m.In], m.Codes[row*m.In:(row+1)*m.In]
		scale := m.Scales[row]
		for i, q := range codes {
			y[i] = float32(float32(int8(q))*scale) * inverse
		}
	}
}
