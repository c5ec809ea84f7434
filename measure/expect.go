package measure

import "idefics2/checkpoint"

// Expectation is what somebody can expect of a model on a machine.
type Expectation struct {
	Type    string  `json:"type"`    // of the decoder's matrices
	Weights int64   `json:"weights"` // bytes, those of vision and connector in bfloat16 included
	Decode  float64 `json:"decode"`  // tokens a second of one answer
	Prefill float64 `json:"prefill"` // tokens a second of a prompt
	Image   float64 `json:"image"`   // seconds for one picture of 980×735, tower and connector
}

// The shares of the limits that are reached, cautiously: docs/performance.md has what bench measured.
const (
	decodeShare  = 0.8
	prefillShare = 0.7
	imageShare   = 0.65
)

// Expect tells, from the limits of a machine alone, how fast a model of that geometry answers
// in bf16, q8_0 and q4_0.
func Expect(c checkpoint.Config, l Limits) (all []Expectation) {
	layer, head := textWeights(c.Text)
	decoder := float64(c.Text.Layers)*layer + head
	patches := (735 / c.Vision.PatchSize) * (980 / c.Vision.PatchSize)
	_, connector := connectorCost(c, patches)
	image := (towerOperations(c.Vision, []int{patches}) + connector) / (l.Operations("bf16") * imageShare)
	for _, t := range []struct {
		name, typ string
		bytes     float64 // a weight
	}{{"bf16", "bf16", 2}, {"q8_0", "int8", 34. / 32}, {"q4_0", "int8", 18. / 32}} {
		decode := cost{bytes: decoder * t.bytes, operations: 2 * decoder, typ: t.typ}
		once, _ := decode.seconds(l)
		all = append(all, Expectation{
			Type:    t.name,
			Weights: int64(2*(float64(c.Parameters())-decoder) + decoder*t.bytes),
			Decode:  decodeShare / once,
			Prefill: prefillShare * l.Operations(t.typ) / (2 * decoder),
			Image:   image,
		})
	}
	return all
}
