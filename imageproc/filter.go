package imageproc

import (
	"fmt"
	"math"
)

// Filter is the kernel with which Resize weighs the source pixels of one output pixel.
type Filter int

// The filters of Pillow. The zero value is the released model's.
const (
	Bilinear Filter = iota // 1−|x|, support 1
	Nearest                // the pixel under the middle of the output pixel
	Box                    // the mean, support ½
	Hamming                // a windowed sinc of support 1
	Bicubic                // Keys' cubic with a = −½, support 2
	Lanczos                // sinc windowed by its own third, support 3
)

var filterNames = [...]string{"bilinear", "nearest", "box", "hamming", "bicubic", "lanczos"}

// String returns the filter's name in lower case.
func (f Filter) String() string {
	if f < 0 || int(f) >= len(filterNames) {
		return fmt.Sprintf("Filter(%d)", int(f))
	}
	return filterNames[f]
}

// FilterOf returns the filter that "resample" of preprocessor_config.json names by
// Pillow's number: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming.
func FilterOf(resample int) (Filter, error) {
	numbers := [...]Filter{Nearest, Lanczos, Bilinear, Bicubic, Box, Hamming}
	if resample < 0 || resample >= len(numbers) {
		return 0, fmt.Errorf("imageproc: resample %d, want 0 (nearest) to 5 (hamming); the released model has 2 (bilinear)", resample)
	}
	return numbers[resample], nil
}

// support returns the distance from its centre at which the filter falls to zero, in
// source pixels when enlarging.
func (f Filter) support() float64 {
	switch f {
	case Box:
		return 0.5
	case Bilinear, Hamming:
		return 1
	case Bicubic:
		return 2
	case Lanczos:
		return 3
	}
	panic("imageproc: " + f.String() + " has no support")
}

// at returns the filter's weight at distance x. Products are rounded one by one
// (float64(a*b)+c): a fused multiply-add gives other coefficients than Pillow's.
func (f Filter) at(x float64) float64 {
	switch f {
	case Box:
		if x > -0.5 && x <= 0.5 {
			return 1
		}
		return 0
	case Bilinear:
		if x = math.Abs(x); x < 1 {
			return 1 - x
		}
		return 0
	case Hamming:
		x = math.Abs(x)
		if x == 0 {
			return 1
		}
		if x >= 1 {
			return 0
		}
		x *= math.Pi
		return math.Sin(x) / x * (float64(float32(0.54)) + float64(float64(float32(0.46))*math.Cos(x)))
	case Bicubic:
		const a = -0.5
		x = math.Abs(x)
		if x < 1 {
			return float64((float64((a+2)*x)-(a+3))*x*x) + 1
		}
		if x < 2 {
			return (float64((float64((x-5)*x)+8)*x) - 4) * a
		}
		return 0
	case Lanczos:
		if x >= -3 && x < 3 {
			return sinc(x) * sinc(x/3)
		}
		return 0
	}
	panic("imageproc: " + f.String() + " has no weights")
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}
