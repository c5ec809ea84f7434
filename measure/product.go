package measure

import (
	"math/rand/v2"

	"idefics2/kernel"
)

// The product that libraries of linear algebra are compared by: 512 rows with a square
// matrix of the decoder's width, all in float32.
const productRows, productWidth = 512, 4096

func productWork() work {
	const flop = 2. * productRows * productWidth * productWidth
	return work{
		name: "product512-f32", group: "product", yields: 1, of: "products",
		cost:  cost{bytes: 4 * productWidth * productWidth, operations: flop, typ: "f32"},
		stand: func(b *Bench) (stand, error) { return newProduct(b), nil },
		passes: func(s stand) ([]pass, error) {
			p := s.(*product)
			return []pass{{times: 1, once: func() error {
				p.team.MatMul(p.y, p.x, productRows, &p.w, nil)
				return nil
			}}}, nil
		},
	}
}

type product struct {
	team *kernel.Team
	x, y []float32
	w    kernel.Weight
}

func newProduct(b *Bench) *product {
	return &product{
		team: b.team, x: normal(productRows*productWidth, 9), y: make([]float32, productRows*productWidth),
		w: kernel.Weight{Out: productWidth, In: productWidth, F32: normal(productWidth*productWidth, 10)},
	}
}

func (p *product) close() {}

// normal returns n values of the normal distribution, which repeat after 65536 or so.
func normal(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]float32, n)
	const drawn = 1<<16 + 1
	for i := range out {
		if i < drawn {
			out[i] = float32(r.NormFloat64())
		} else {
			out[i] = out[i-drawn]
		}
	}
	return out
}
