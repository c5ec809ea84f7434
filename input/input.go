// Package input holds the plain structs that go from the processor to the model:
// ids, patches and positions. The processor never sees weights and the model never
// sees text or files; they meet here.
package input

// Input is one processed prompt.
type Input struct {
	// IDs are the prompt's tokens, image placeholders written out.
	IDs []int32
	// Crops are the pictures in the order in which their tokens stand in IDs: every
	// image alone, or its four quarters and the whole where it was split.
	Crops []Crop
	// Labels are, to train, the tokens that carry loss: Labels[i] is IDs[i], or Ignore. They are
	// not shifted: the model's answer behind IDs[i-1] is held against Labels[i].
	Labels []int32
}

// Ignore is the label of a token that carries no loss.
const Ignore = -100

// Targets writes to dst what should be answered behind each of the IDs, or -1, and returns it
// with the number of answers that carry loss.
func (in *Input) Targets(dst []int32) ([]int32, int) {
	n := 0
	for i := range in.IDs {
		target := int32(-1)
		if i+1 < len(in.Labels) && in.Labels[i+1] >= 0 {
			target = in.Labels[i+1]
			n++
		}
		dst = append(dst, target)
	}
	return dst, n
}

// Crop is one picture as the vision tower reads it: whole patches only, at its own
// size, without padding.
type Crop struct {
	Rows, Columns int       // of patches
	Patches       []float32 // [Rows·Columns, 3·P·P], each patch in the order channel, row, column
	Positions     []int32   // [Rows·Columns] rows of the position table, patch order
	// Key identifies the picture's content and the settings that shaped it, so that
	// features can be kept and found again. The zero Key is never looked up.
	Key [32]byte
}
