//go:build (amd64 || arm64) && !noasm

package kernel

// vectorFuncs are the assembly of what goes over slices, one set for each level of a processor.
// Lengths are positive; n of the sums is a multiple of 16, of softmax of 8.
type vectorFuncs struct {
	exp, silu, geluTanh, add func(y, x *float32, n int)
	siluMul, geluTanhMul     func(y, x, up *float32, n int)
	scaleMax                 func(s *float32, n int, scale float32) float32
	expSum                   func(s *float32, n int, top float32) float32
	sum                      func(x *float32, n int) float64
	sumSquares               func(x *float32, n int, mean float32) float64
	normalize                func(y, x, gain *float32, n int, mean, scale float32)
}
