//go:build noasm || !amd64

package jpeg

func idct(dst []byte, stride int, b *block, used uint64) { idctGeneric(dst, stride, b, used) }
func upsampleH2V1(dst, src []byte)                       { upsampleH2V1Generic(dst, src) }
func upsampleH2V2(dst, near, far []byte)                 { upsampleH2V2Generic(dst, near, far) }
func ycbcrToRGB(dst, y, cb, cr []byte)                   { ycbcrToRGBGeneric(dst, y, cb, cr) }

func upsampleH1V2(dst, near, far []byte, bias int) { upsampleH1V2Generic(dst, near, far, bias) }
