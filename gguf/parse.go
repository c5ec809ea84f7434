package gguf

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// Limits of a file: llama.cpp's where it has one, else far above any model's need. What a
// file makes us allocate is bounded by its own size besides: every count is compared with
// the bytes that are left.
const (
	maxTensors  = 1 << 20
	maxMetadata = 1 << 20
	maxKey      = 1 << 16 // bytes
	maxName     = 64      // bytes of a tensor's name
	maxRank     = 4
	maxNesting  = 2 // arrays in arrays
)

// cursor reads the header. After an error it is of no further use.
type cursor struct {
	data []byte
	at   int
}

func (c *cursor) left() int { return len(c.data) - c.at }

func (c *cursor) take(n uint64, what string) ([]byte, error) {
	if n > uint64(c.left()) {
		return nil, fmt.Errorf("%s of %d bytes at byte %d of a file of %d: truncated", what, n, c.at, len(c.data))
	}
	b := c.data[c.at : c.at+int(n) : c.at+int(n)]
	c.at += int(n)
	return b, nil
}

func (c *cursor) u32(what string) (uint32, error) {
	b, err := c.take(4, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) u64(what string) (uint64, error) {
	b, err := c.take(8, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// count reads a number of things of at least size bytes each.
func (c *cursor) count(what string, size, most int) (int, error) {
	n, err := c.u64(what)
	if err != nil {
		return 0, err
	}
	if n > uint64(c.left()/size) || n > uint64(most) {
		return 0, fmt.Errorf("%s %d, want at most %d, and no more than %d bytes hold", what, n, most, c.left())
	}
	return int(n), nil
}

func (c *cursor) text(what string, most int) (string, error) {
	n, err := c.u64("length of " + what)
	if err != nil {
		return "", err
	}
	if n > uint64(most) {
		return "", fmt.Errorf("%s of %d bytes, want at most %d", what, n, most)
	}
	b, err := c.take(n, what)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", fmt.Errorf("%s %.64q is not UTF-8", what, b)
	}
	return string(b), nil
}

// parse reads the header and checks it against the file's size.
func parse(data []byte) (*File, error) {
	c := &cursor{data: data}
	magic, err := c.take(4, "magic")
	if err != nil {
		return nil, err
	}
	if string(magic) != "GGUF" {
		return nil, fmt.Errorf("starts with %q, want \"GGUF\": no GGUF file", magic)
	}
	f := &File{values: map[string]Value{}, tensors: map[string]Info{}}
	if f.version, err = c.u32("version"); err != nil {
		return nil, err
	}
	switch {
	case f.version == 2 || f.version == 3:
	case f.version&0xffff == 0 && f.version != 0:
		return nil, fmt.Errorf("version %d: a file for big-endian machines; convert it again for little-endian ones", bits.ReverseBytes32(f.version))
	default:
		return nil, fmt.Errorf("version %d, want 2 or 3; convert the file again", f.version)
	}
	// The least that a tensor and a pair take: empty names, no dimensions, one byte.
	tensors, err := c.count("tensor count", 8+4+4+8, maxTensors)
	if err != nil {
		return nil, err
	}
	pairs, err := c.count("metadata count", 8+4+1, maxMetadata)
	if err != nil {
		return nil, err
	}
	for range pairs {
		if err := f.parsePair(c); err != nil {
			return nil, err
		}
	}
	if f.alignment, err = alignment(f.values); err != nil {
		return nil, err
	}
	return f, f.parseTensors(c, tensors)
}

func (f *File) parsePair(c *cursor) error {
	key, err := c.text("key", maxKey)
	if err != nil {
		return err
	}
	if _, ok := f.values[key]; ok {
		return fmt.Errorf("key %.64q repeated", key)
	}
	v, err := parseValue(c)
	if err != nil {
		return fmt.Errorf("%.64q: %w", key, err)
	}
	f.values[key] = v
	f.keys = append(f.keys, key)
	return nil
}

// parseValue checks one value and notes where its bytes are.
func parseValue(c *cursor) (Value, error) {
	k, err := c.u32("type of a value")
	if err != nil {
		return Value{}, err
	}
	kind, start := Kind(k), c.at
	if err := skip(c, kind, 0); err != nil {
		return Value{}, err
	}
	return Value{kind, c.data[start:c.at:c.at]}, nil
}

// skip moves over a value of that kind and checks it.
func skip(c *cursor, kind Kind, nesting int) error {
	switch {
	case kind >= kinds:
		return fmt.Errorf("value type %d is unknown", uint32(kind))
	case kind == Bool:
		b, err := c.take(1, "bool")
		if err == nil && b[0] > 1 {
			err = fmt.Errorf("bool %d, want 0 or 1", b[0])
		}
		return err
	case kind == String:
		n, err := c.u64("length of a string")
		if err != nil {
			return err
		}
		b, err := c.take(n, "string")
		if err == nil && !utf8.Valid(b) {
			err = fmt.Errorf("string %.64q is not UTF-8", b)
		}
		return err
	case kind != Array:
		_, err := c.take(uint64(width[kind]), kind.String())
		return err
	}
	if nesting == maxNesting {
		return fmt.Errorf("arrays nested deeper than %d", maxNesting)
	}
	e, err := c.u32("type of an array's elements")
	if err != nil {
		return err
	}
	elem := Kind(e)
	if elem >= kinds {
		return fmt.Errorf("array element type %d is unknown", e)
	}
	least := width[elem]
	switch elem {
	case String:
		least = 8 // its length
	case Array:
		least = 4 + 8 // its type and length
	}
	n, err := c.count("array length", least, math.MaxInt)
	if err != nil {
		return err
	}
	if width[elem] > 0 && elem != Bool {
		_, err := c.take(uint64(n)*uint64(width[elem]), "array") // no overflow: count compared them
		return err
	}
	for range n {
		if err := skip(c, elem, nesting+1); err != nil {
			return err
		}
	}
	return nil
}

// The key that changes the alignment, and what it is without.
const (
	alignmentKey     = "general.alignment"
	defaultAlignment = 32
)

func alignment(values map[string]Value) (uint64, error) {
	v, ok := values[alignmentKey]
	if !ok {
		return defaultAlignment, nil
	}
	n, _ := v.Int()
	if v.Kind() != Uint32 || n == 0 || bits.OnesCount(uint(n)) != 1 {
		return 0, fmt.Errorf("%s: %v %v, want a u32 that is a power of two", alignmentKey, v.Kind(), v)
	}
	return uint64(n), nil
}

// aligned rounds n up to a multiple of to, a power of two.
func aligned(n, to uint64) uint64 { return (n + to - 1) &^ (to - 1) }

// span is the place of a tensor in the data.
type span struct {
	name       string
	begin, end uint64
}

func (f *File) parseTensors(c *cursor, n int) error {
	var spans []span
	for range n {
		info, offset, err := parseInfo(c)
		if err != nil {
			return fmt.Errorf("tensor %.64q: %w", info.Name, err)
		}
		if _, ok := f.tensors[info.Name]; ok {
			return fmt.Errorf("tensor %q repeated", info.Name)
		}
		size, err := info.Type.size(info.Shape)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", info.Name, err)
		}
		if offset%f.alignment != 0 {
			return fmt.Errorf("tensor %q: offset %d, want a multiple of %d", info.Name, offset, f.alignment)
		}
		if offset > 1<<62 {
			return fmt.Errorf("tensor %q: offset %d is beyond any file", info.Name, offset)
		}
		f.tensors[info.Name] = info
		f.names = append(f.names, info.Name)
		spans = append(spans, span{info.Name, offset, offset + size})
	}
	start := aligned(uint64(c.at), f.alignment)
	var body []byte // empty in a file of no tensors that ends before the data would start
	if start < uint64(len(c.data)) {
		body = c.data[start:]
	}
	for _, s := range spans {
		if s.end > uint64(len(body)) {
			return fmt.Errorf("tensor %q: bytes %d to %d of data of %d: truncated file", s.name, s.begin, s.end, len(body))
		}
		info := f.tensors[s.name]
		info.Data = body[s.begin:s.end:s.end]
		f.tensors[s.name] = info
	}
	return checkOverlap(spans)
}

func parseInfo(c *cursor) (info Info, offset uint64, err error) {
	if info.Name, err = c.text("tensor name", maxName); err != nil {
		return info, 0, err
	}
	rank, err := c.u32("number of dimensions")
	if err != nil {
		return info, 0, err
	}
	if rank > maxRank {
		return info, 0, fmt.Errorf("%d dimensions, want at most %d", rank, maxRank)
	}
	for range rank {
		d, err := c.u64("dimension")
		if err != nil {
			return info, 0, err
		}
		if d > math.MaxInt {
			return info, 0, fmt.Errorf("dimension %d, want at most %d", d, math.MaxInt)
		}
		info.Shape = append(info.Shape, int(d))
	}
	slices.Reverse(info.Shape) // files have the length of a row first
	t, err := c.u32("type")
	if err != nil {
		return info, 0, err
	}
	info.Type = Type(t)
	offset, err = c.u64("offset")
	return info, offset, err
}

// checkOverlap refuses two tensors that share bytes. Gaps are fine.
func checkOverlap(spans []span) error {
	spans = slices.DeleteFunc(spans, func(s span) bool { return s.begin == s.end })
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.begin, b.begin) })
	for i := 1; i < len(spans); i++ {
		if a, b := spans[i-1], spans[i]; a.end > b.begin {
			return fmt.Errorf("tensors %q and %q share bytes %d to %d of the data", a.name, b.name, b.begin, min(a.end, b.end))
		}
	}
	return nil
}
