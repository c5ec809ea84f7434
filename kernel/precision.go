package kernel

// Precision is the arithmetic of a Team's products with weights of 16 bits.
type Precision uint8

const (
	// Exact products and sums are float32, whatever the weights are stored in.
	Exact Precision = iota

	// Fast is the fastest arithmetic of the machine. With AMX, x is rounded to bfloat16 for
	// bfloat16 weights, their subnormal numbers count as zeros, and sums stay float32.
	// Elsewhere it is Exact.
	Fast
)
