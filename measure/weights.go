package measure

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"idefics2/checkpoint"
	"idefics2/internal/mmap"
	"idefics2/quant"
	"idefics2/tensor"
)

// random is a source of weights for load.Loader that makes up what it is asked for: normally
// distributed values as new models have them, and ones for gains. They lie in memory of
// their own until free.
type random struct {
	dtype  tensor.DType // of matrices whose rows are whole blocks of it; others are bfloat16
	pools  map[tensor.DType][]byte
	memory []*mmap.Memory
}

// poolValues is how many values are drawn. Matrices are made of stretches of them: drawing
// all would take longer than measuring.
const poolValues = 1 << 20

// Take returns a tensor of that shape.
func (r *random) Take(name string, shape ...int) (tensor.View, error) {
	v := tensor.View{DType: r.dtype, Shape: shape}
	in := 1
	for _, n := range shape[1:] {
		in *= n
	}
	switch values, _ := blockOf(r.dtype); {
	case len(shape) == 1:
		v.DType = tensor.F32
	case in%values != 0 || strings.HasSuffix(name, "embed_tokens.weight") || strings.HasSuffix(name, "latents"):
		v.DType = tensor.BF16 // looked up or copied, not multiplied
	}
	values, bytes := blockOf(v.DType)
	memory, err := mmap.Anonymous(v.Len() / values * bytes)
	if err != nil {
		return tensor.View{}, fmt.Errorf("measure: %s: %w", name, err)
	}
	r.memory = append(r.memory, memory)
	v.Data = memory.Data()
	if len(shape) == 1 && strings.HasSuffix(name, ".weight") {
		for i := 0; i < len(v.Data); i += 4 {
			binary.LittleEndian.PutUint32(v.Data[i:], math.Float32bits(1))
		}
		return v, nil
	}
	pool, err := r.pool(v.DType)
	if err != nil {
		return tensor.View{}, err
	}
	// Each stretch begins elsewhere in the pool, at a whole block.
	from := len(r.memory) * 7919 * bytes % len(pool)
	for to := v.Data; len(to) > 0; from = (from + 104_729*bytes) % len(pool) {
		to = to[copy(to, pool[from:]):]
	}
	return v, nil
}

// TakeMatrix is Take.
func (r *random) TakeMatrix(name string, shape ...int) (tensor.View, checkpoint.Matrix, error) {
	v, err := r.Take(name, shape...)
	return v, nil, err
}

// Stored says that nothing is: no stored bytes are read.
func (r *random) Stored(string) (checkpoint.Stored, bool) { return checkpoint.Stored{}, false }

// pool returns poolValues normally distributed values in a type.
func (r *random) pool(d tensor.DType) ([]byte, error) {
	if p, ok := r.pools[d]; ok {
		return p, nil
	}
	t, err := quant.ParseType(strings.ToLower(d.String()))
	if err != nil {
		return nil, err
	}
	const deviation = 0.02 // of the released model's initialization
	source := rand.New(rand.NewPCG(1, uint64(d)))
	values := make([]float32, poolValues)
	for i := range values {
		values[i] = deviation * float32(source.NormFloat64())
	}
	size, _ := t.Size(poolValues)
	data := make([]byte, size)
	if err := t.Encode(data, values); err != nil {
		return nil, err
	}
	if r.pools == nil {
		r.pools = map[tensor.DType][]byte{}
	}
	r.pools[d] = data
	return data, nil
}

// free gives the weights back to the system.
func (r *random) free() {
	for _, m := range r.memory {
		_ = m.Close() // what cannot be given back is given back at the end
	}
	r.memory = nil
}

// blockOf returns the values that a type stores together, and their bytes.
func blockOf(d tensor.DType) (values, bytes int) {
	if d.Bits() > 0 {
		return 1, d.Bits() / 8
	}
	return d.Block()
}
