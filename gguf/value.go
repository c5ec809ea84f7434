package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Kind is the type of a metadata value, by its number in files.
type Kind uint32

// The kinds.
const (
	Uint8 Kind = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
	kinds // their number
)

var kindNames = [kinds]string{"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"}

// width is the size of a value of fixed size, and 0 for strings and arrays.
var width = [kinds]int{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}

// String returns the kind's name, such as "u32".
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint32(k))
}

// Value is one metadata value: its kind and its bytes as they stand in a file, which were
// checked when it was made. It costs nothing until it is asked for. The zero Value is the
// u8 0 of no file: getters of it fail.
type Value struct {
	kind Kind
	raw  []byte
}

// Kind returns the value's kind.
func (v Value) Kind() Kind { return v.kind }

// Len returns the number of an array's elements, and 0 for other kinds.
func (v Value) Len() int {
	if v.kind != Array || len(v.raw) == 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint64(v.raw[4:]))
}

// Elem returns the kind of an array's elements.
func (v Value) Elem() Kind {
	if v.kind != Array || len(v.raw) == 0 {
		return kinds
	}
	return Kind(binary.LittleEndian.Uint32(v.raw))
}

// Bool returns a bool, and whether the value is one.
func (v Value) Bool() (value, ok bool) {
	if v.kind != Bool || len(v.raw) == 0 {
		return false, false
	}
	return v.raw[0] != 0, true
}

// Text returns a string, and whether the value is one.
func (v Value) Text() (string, bool) {
	if v.kind != String || len(v.raw) == 0 {
		return "", false
	}
	return string(v.raw[8:]), true
}

// Int returns a whole number of any of the eight kinds that hold one, and whether the value
// is one and fits an int.
func (v Value) Int() (int, bool) {
	if len(v.raw) == 0 {
		return 0, false
	}
	return integer(v.kind, v.raw)
}

// Float returns a number of the two floating kinds, and whether the value is one.
func (v Value) Float() (float64, bool) {
	if len(v.raw) == 0 {
		return 0, false
	}
	return floating(v.kind, v.raw)
}

// Texts returns an array of strings, and whether the value is one.
func (v Value) Texts() ([]string, bool) {
	if v.Elem() != String {
		return nil, false
	}
	texts := make([]string, 0, v.Len())
	for rest := v.raw[12:]; len(rest) > 0; {
		n := binary.LittleEndian.Uint64(rest)
		texts = append(texts, string(rest[8:8+n]))
		rest = rest[8+n:]
	}
	return texts, true
}

// Ints returns an array of whole numbers, and whether the value is one and all fit.
func (v Value) Ints() ([]int, bool) { return list(v, integer) }

// Floats returns an array of numbers of the two floating kinds, and whether the value is one.
func (v Value) Floats() ([]float64, bool) { return list(v, floating) }

func list[T any](v Value, read func(Kind, []byte) (T, bool)) ([]T, bool) {
	elem := v.Elem()
	if elem >= kinds || width[elem] == 0 {
		return nil, false
	}
	out := make([]T, v.Len())
	for i := range out {
		var ok bool
		if out[i], ok = read(elem, v.raw[12+i*width[elem]:]); !ok {
			return nil, false
		}
	}
	return out, true
}

// bits returns a value of fixed size, signed kinds with their sign spread over 64 bits.
func bitsOf(k Kind, raw []byte) uint64 {
	switch width[k] {
	case 1:
		if k == Int8 {
			return uint64(int8(raw[0]))
		}
		return uint64(raw[0])
	case 2:
		if k == Int16 {
			return uint64(int16(binary.LittleEndian.Uint16(raw)))
		}
		return uint64(binary.LittleEndian.Uint16(raw))
	case 4:
		if k == Int32 {
			return uint64(int32(binary.LittleEndian.Uint32(raw)))
		}
		return uint64(binary.LittleEndian.Uint32(raw))
	}
	return binary.LittleEndian.Uint64(raw)
}

func integer(k Kind, raw []byte) (int, bool) {
	switch k {
	case Uint8, Uint16, Uint32, Uint64:
		n := bitsOf(k, raw)
		return int(n), n <= math.MaxInt
	case Int8, Int16, Int32, Int64:
		n := int64(bitsOf(k, raw))
		return int(n), int64(int(n)) == n
	}
	return 0, false
}

func floating(k Kind, raw []byte) (float64, bool) {
	switch k {
	case Float32:
		return float64(math.Float32frombits(uint32(bitsOf(k, raw)))), true
	case Float64:
		return math.Float64frombits(bitsOf(k, raw)), true
	}
	return 0, false
}

// String returns the value as text; of an array its kind and length.
func (v Value) String() string {
	if len(v.raw) == 0 {
		return "none"
	}
	if n, ok := v.Int(); ok {
		return fmt.Sprint(n)
	}
	if f, ok := v.Float(); ok {
		return fmt.Sprint(f)
	}
	if b, ok := v.Bool(); ok {
		return fmt.Sprint(b)
	}
	if s, ok := v.Text(); ok {
		return s
	}
	if v.kind == Array {
		return fmt.Sprintf("%d × %v", v.Len(), v.Elem())
	}
	return fmt.Sprint(bitsOf(v.kind, v.raw)) // a u64 beyond int
}

// Scalar are the Go types of the kinds that are no arrays.
type Scalar interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | float32 | bool | string | uint64 | int64 | float64
}

// Of makes a value of the kind that v's type names.
func Of[T Scalar](v T) Value {
	return Value{kindOf(v), appendScalar(nil, v)}
}

// ArrayOf makes an array of the kind that the elements' type names.
func ArrayOf[T Scalar](elements ...T) Value {
	var zero T
	raw := binary.LittleEndian.AppendUint32(nil, uint32(kindOf(zero)))
	raw = binary.LittleEndian.AppendUint64(raw, uint64(len(elements)))
	for _, e := range elements {
		raw = appendScalar(raw, e)
	}
	return Value{Array, raw}
}

func kindOf(v any) Kind {
	switch v.(type) {
	case uint8:
		return Uint8
	case int8:
		return Int8
	case uint16:
		return Uint16
	case int16:
		return Int16
	case uint32:
		return Uint32
	case int32:
		return Int32
	case float32:
		return Float32
	case bool:
		return Bool
	case string:
		return String
	case uint64:
		return Uint64
	case int64:
		return Int64
	}
	return Float64
}

func appendScalar(to []byte, v any) []byte {
	if s, ok := v.(string); ok {
		return appendString(to, s)
	}
	to, err := binary.Append(to, binary.LittleEndian, v)
	if err != nil {
		panic("gguf: " + err.Error()) // every Scalar but string has a fixed size
	}
	return to
}

func appendString(to []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(to, uint64(len(s))), s...)
}
