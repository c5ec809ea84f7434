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
