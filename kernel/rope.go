package kernel

import "math"

// RopeFrequencies returns inv[j] = 1/theta^(2j/d) for j < d/2, every step rounded to
// float32 as in the reference (torch: 1.0/(base ** (arange(0, d, 2)/d))).
func RopeFrequencies(d int, theta float64) []float32 {
	inv := make([]float32, d/2)
	for j := range inv {
		exponent := float32(2*j) / float32(d)
		inv[j] = 1 / float32(math.Pow(float64(float32(theta)), float64(exponent)))
	}
	return inv
}

// Rope rotates each head of x [rows, heads·d] in place by the position of its row. With
// a = positions[row]·inv[j] (both the product and the position float32), it rotates the pair
// of elements j and j+d/2 of every head by a (half-split convention, as in Llama and Mistral):
//
//	x[j], x[j+d/2] = x[j]·cos a - x[j+d/2]·sin a, x[j+d/2]·cos a + x[j]·sin a
//
// Sines and cosines are those of the float32 angle, correctly rounded but for rare ties.
func (t *Team) Rope(x []float32, rows, heads, d int, positions []int32, inv []float32) {
	want("Rope", "x", len(x), rows*heads*d)
	want("Rope", "positions", len(positions), rows)
	want("Rope", "inv", 2*len(inv), d)
	t.rope = ropeTask{t, x, rows, heads, positions, inv}
	t.pool.Run(pieces(rows, t.rope.rowsPerPiece()), &t.rope)
	t.rope = ropeTask{}
}

type ropeTask struct {
	team        *Team
	x           []float32
	rows, heads int
	positions   []int32
	inv         []float32
}

// rowsPerPiece counts a sine with its cosine as sixteen elements.
func (t *ropeTask) rowsPerPiece() int { return rowsPerPiece(len(t.inv) * (16 + 2*t.heads)) }

func (t *ropeTask) Do(i, worker int) {
	half := len(t.inv)
	s := &t.team.scratch[worker]
	s.angles = grow(s.angles, 2*half)
	cos, sin := s.angles[:half], s.angles[half:]
	width := t.heads * 2 * half
	n := t.rowsPerPiece()
	for r := i * n; r < min(t.rows, (i+1)*n); r++ {
		for j, f := range t.inv {
			si, co := math.Sincos(float64(float32(t.positions[r]) * f))
			cos[j], sin[j] = float32(co), float32(si)
		}
		for row := t.x[r*width:][:width]; len(row) > 0; row = row[2*half:] {
			rotate(row[:half], row[half:2*half], cos, sin)
		}
	}
}

// rotate turns each pair a[j], b[j] by the angle of cos[j], sin[j].
func rotate(a, b, cos, sin []float32) {
	b, cos, sin = b[:len(a)], cos[:len(a)], sin[:len(a)]
	for j, u := range a {
		v := b[j]
		a[j] = float32(u*cos[j]) - float32(v*sin[j])
		b[j] = float32(v*cos[j]) + float32(u*sin[j])
	}
}
