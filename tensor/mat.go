package tensor

import "fmt"

// Mat is a float32 matrix [Rows, Cols], row-major and without gaps. Activations,
// whose owner is always the caller of a layer, are Mats.
type Mat struct {
	Rows, Cols int
	Data       []float32 // len Rows·Cols
}

// NewMat returns a matrix of zeros.
func NewMat(rows, cols int) Mat {
	return Mat{rows, cols, make([]float32, rows*cols)}
}

// MatOf views data as a matrix of the given number of columns.
func MatOf(data []float32, cols int) Mat {
	if cols <= 0 || len(data)%cols != 0 {
		panic(fmt.Sprintf("tensor: %d values do not make rows of %d", len(data), cols))
	}
	return Mat{len(data) / cols, cols, data}
}

// Row returns row i, which shares memory with m.
func (m Mat) Row(i int) []float32 { return m.Data[i*m.Cols : (i+1)*m.Cols : (i+1)*m.Cols] }

// Slice returns rows lo to hi, which share memory with m.
func (m Mat) Slice(lo, hi int) Mat {
	return Mat{hi - lo, m.Cols, m.Data[lo*m.Cols : hi*m.Cols : hi*m.Cols]}
}

// Reshape reuses m's memory, growing it when needed, for a matrix of another size.
// The contents are undefined afterwards.
func (m *Mat) Reshape(rows, cols int) Mat {
	if n := rows * cols; cap(m.Data) < n {
		m.Data = make([]float32, n)
	} else {
		m.Data = m.Data[:n]
	}
	m.Rows, m.Cols = rows, cols
	return *m
}
