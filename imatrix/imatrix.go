// Package imatrix holds how large the inputs of every matrix of a model are over some data: of
// each column the sum of squares of what it is multiplied with. Types of few bits use it to put
// their error where it costs least.
//
// The file is llama.cpp's: GGUF, of the type "imatrix", with two float32 tensors a matrix
//
//	NAME.in_sum2   [1, In]   Σ a[j]² over all inputs a
//	NAME.counts    [1, 1]    how many inputs there were
//
// under the names that matrices have in GGUF files. Its own for a Mistral says the decoder's part.
package imatrix

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"idefics2/gguf"
	"idefics2/tensor"
)

// Sums are those of one matrix.
type Sums struct {
	Squares []float64 // [In] Σ a[j]²
	Count   int64     // of inputs a
}

// Add counts the rows of x [N, In].
func (s *Sums) Add(x tensor.Mat) {
	if s.Squares == nil {
		s.Squares = make([]float64, x.Cols)
	}
	if len(s.Squares) != x.Cols {
		panic(fmt.Sprintf("imatrix: inputs of %d columns to sums of %d", x.Cols, len(s.Squares)))
	}
	for i := range x.Rows {
		for j, v := range x.Row(i) {
			s.Squares[j] += float64(float64(v) * float64(v))
		}
	}
	s.Count += int64(x.Rows)
}

// File is what one says: sums by the name of a matrix in GGUF files.
type File struct {
	Matrices map[string]*Sums
	Datasets []string // what it was collected from
	Chunks   int      // requests, or llama.cpp's pieces of text
}

// The keys of the metadata, and the endings of tensors.
const (
	typeKey     = "general.type"
	typeValue   = "imatrix"
	datasetsKey = "imatrix.datasets"
	chunksKey   = "imatrix.chunk_count"
	sizeKey     = "imatrix.chunk_size"
	sumsEnding  = ".in_sum2"
	countEnding = ".counts"
)

// maxDatasets bounds the names that are kept of a file.
const maxDatasets = 1 << 10

// Open reads the file at path, all of which is checked.
func Open(path string) (*File, error) {
	g, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("imatrix: %w%s", err, olderFormat(path))
	}
	defer g.Close()
	f, err := parse(g)
	if err != nil {
		return nil, fmt.Errorf("imatrix: %s: %w", path, err)
	}
	return f, nil
}

// olderFormat says what to do about a file of llama.cpp's first format, which has no magic number.
func olderFormat(path string) string {
	if strings.HasSuffix(path, ".dat") && fileStartsOtherwise(path) {
		return "; llama.cpp's older format: write it again with --output-format gguf"
	}
	return ""
}

func fileStartsOtherwise(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = f.Read(magic[:])
	return err == nil && string(magic[:]) != "GGUF"
}

// Parse reads a file that is in memory.
func Parse(data []byte) (*File, error) {
	g, err := gguf.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("imatrix: %w", err)
	}
	f, err := parse(g)
	if err != nil {
		return nil, fmt.Errorf("imatrix: %w", err)
	}
	return f, nil
}

func parse(g *gguf.File) (*File, error) {
	if typ, err := g.Text(typeKey); err != nil || typ != typeValue {
		return nil, fmt.Errorf("%s: found %.40q, want %q: an importance matrix, as idefics2 quantize -collect or llama-imatrix writes it", typeKey, typ, typeValue)
	}
	f := &File{Matrices: map[string]*Sums{}}
	if _, ok := g.Value(datasetsKey); ok {
		texts, err := g.Texts(datasetsKey)
		if err != nil {
			return nil, err
		}
		f.Datasets = texts[:min(len(texts), maxDatasets)]
	}
	if _, ok := g.Value(chunksKey); ok {
		n, err := g.Int(chunksKey)
		if err != nil {
			return nil, err
		}
		f.Chunks = n
	}
	for _, name := range g.Names() {
		matrix, isSums := strings.CutSuffix(name, sumsEnding)
		if !isSums {
			if matrix, ok := strings.CutSuffix(name, countEnding); ok {
				if _, ok := g.Tensor(matrix + sumsEnding); !ok {
					return nil, fmt.Errorf("%q has no %q beside it", name, matrix+sumsEnding)
				}
				continue
			}
			return nil, fmt.Errorf("tensor %q: want names that end in %s or %s", name, sumsEnding, countEnding)
		}
		sums, err := parseSums(g, matrix)
		if err != nil {
			return nil, err
		}
		f.Matrices[matrix] = sums
	}
	if len(f.Matrices) == 0 {
		return nil, errors.New("it has no sums of any matrix")
	}
	return f, nil
}

func parseSums(g *gguf.File, matrix string) (*Sums, error) {
	squares, err := floats(g, matrix+sumsEnding)
	if err != nil {
		return nil, err
	}
	count, err := floats(g, matrix+countEnding)
	if err != nil {
		return nil, err
	}
	if len(count) != 1 {
		return nil, fmt.Errorf("%q: %d counts, want 1: those of several experts are not read", matrix+countEnding, len(count))
	}
	n := count[0]
	if n != math.Trunc(n) || n < 1 || n > 1<<53 {
		return nil, fmt.Errorf("%q: found %v, want a whole number of at least 1; collect over data that reach every matrix", matrix+countEnding, n)
	}
	for j, v := range squares {
		if !(v >= 0) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%q: column %d is %v, want finite sums of squares", matrix+sumsEnding, j, v)
		}
	}
	return &Sums{Squares: squares, Count: int64(n)}, nil
}

// floats returns a tensor of one row.
func floats(g *gguf.File, name string) ([]float64, error) {
	t, ok := g.Tensor(name)
	if !ok {
		return nil, fmt.Errorf("no tensor %q", name)
	}
	rows := 1
	for _, side := range t.Shape[:max(0, len(t.Shape)-1)] {
		rows *= side
	}
	if t.Type != gguf.F32 || rows != 1 || len(t.Shape) == 0 || t.Len() == 0 {
		return nil, fmt.Errorf("%q: %v %v, want F32 of one row", name, t.Type, t.Shape)
	}
	values := make([]float64, t.Len())
	for i := range values {
		values[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:])))
	}
	return values, nil
}

// Write writes the file to path, whole or not at all.
func (f *File) Write(path string) error {
	pairs := []gguf.Pair{
		{Key: typeKey, Value: gguf.Of(typeValue)},
		{Key: datasetsKey, Value: gguf.ArrayOf(f.Datasets...)},
		{Key: chunksKey, Value: gguf.Of(uint32(f.Chunks))},
		{Key: sizeKey, Value: gguf.Of(uint32(1))}, // of one request, whatever its length
	}
	names := slices.Sorted(maps.Keys(f.Matrices))
	var entries []gguf.Entry
	for _, name := range names {
		entries = append(entries,
			gguf.Entry{Name: name + sumsEnding, Type: gguf.F32, Shape: []int{1, len(f.Matrices[name].Squares)}},
			gguf.Entry{Name: name + countEnding, Type: gguf.F32, Shape: []int{1, 1}})
	}
	w, err := gguf.Create(path, pairs, entries)
	if err != nil {
		return fmt.Errorf("imatrix: %w", err)
	}
	defer w.Abort()
	for _, name := range names {
		s := f.Matrices[name]
		var data []byte
		for j, v := range s.Squares {
			if !(v <= math.MaxFloat32) {
				return fmt.Errorf("imatrix: %q, column %d: the sum of squares is %v: the model computes what is not finite", name, j, v)
			}
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
		}
		count := binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(s.Count)))
		if err := errors.Join(w.Write(name+sumsEnding, data), w.Write(name+countEnding, count)); err != nil {
			return fmt.Errorf("imatrix: %w", err)
		}
	}
	if err := w.Commit(); err != nil {
		return fmt.Errorf("imatrix: %w", err)
	}
	return nil
}

// Importance returns the mean square of each column of a matrix's inputs, and nil for one that the
// file says nothing of. The file must be of a matrix of that many columns.
func (f *File) Importance(name string, columns int) ([]float32, error) {
	s, ok := f.Matrices[name]
	if !ok {
		return nil, nil
	}
	if len(s.Squares) != columns {
		return nil, fmt.Errorf("imatrix: %q: %d columns, and the model's has %d: it is another model's; collect it from this one", name, len(s.Squares), columns)
	}
	mean := make([]float32, columns)
	for j, v := range s.Squares {
		mean[j] = float32(v / float64(s.Count))
	}
	return mean, nil
}
