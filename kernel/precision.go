package kernel

// Precision is the arithmetic of a Team's products.
type Precision uint8

const (
	// Exact products and sums are float32, whatever the weights are stored in. With weights in
	// blocks that is slow.
	Exact Precision = iota

	// Fast is the fastest arithmetic of the machine. For weights in blocks x is rounded to
	// int8: see qmatmul.go. With AMX, x is rounded to bfloat16 for bfloat16 weights, their
	// subnormal numbers count as zeros, and sums stay float32; and so it is with attention in which every
	// query sees every key. Elsewhere it is Exact.
	Fast
)
