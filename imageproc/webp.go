package imageproc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"

	"golang.org/x/image/vp8"
	"golang.org/x/image/vp8l"
)

// webpFile is the first picture of a WebP file and what surrounds it.
type webpFile struct {
	canvas image.Point // declared by VP8X; zero without
	at     image.Point // of the picture on the canvas
	size   image.Point // declared by ANMF; zero without
	kind   string      // "VP8 " or "VP8L"
	data   []byte      // the bit stream
	meta   meta
}

// decodeWebP reads the first picture: lossless as it is stored, lossy as libwebp does
// with its smooth chroma upsampling. Alpha is dropped and so its chunk is not read. The
// first frame of an animation lies on a black canvas.
func decodeWebP(data []byte, lim Limits) (*RGB, meta, error) {
	f, err := readWebP(data)
	if err != nil {
		return nil, meta{}, err
	}
	w, h, err := f.declared()
	if err != nil {
		return nil, meta{}, err
	}
	if f.canvas == (image.Point{}) {
		f.canvas = image.Pt(w, h)
	}
	if err := lim.check(f.canvas.X, f.canvas.Y); err != nil {
		return nil, meta{}, err
	}
	if err := lim.check(w, h); err != nil {
		return nil, meta{}, err
	}
	if f.size != (image.Point{}) && f.size != image.Pt(w, h) {
		return nil, meta{}, fmt.Errorf("the frame declares %v and its bit stream %d×%d", f.size, w, h)
	}
	if f.at.X+w > f.canvas.X || f.at.Y+h > f.canvas.Y || f.meta.frames == 0 && f.canvas != image.Pt(w, h) {
		return nil, meta{}, fmt.Errorf("a picture of %d×%d at %v does not fit its canvas of %v", w, h, f.at, f.canvas)
	}
	img := NewRGB(f.canvas.X, f.canvas.Y)
	if f.kind == "VP8L" {
		err = f.lossless(img)
	} else {
		err = f.lossy(img)
	}
	return img, f.meta, err
}

// readWebP walks the chunks of the RIFF container.
func readWebP(data []byte) (*webpFile, error) {
	size := uint64(binary.LittleEndian.Uint32(data[4:])) + 8
	if size > uint64(len(data)) {
		return nil, fmt.Errorf("the container has %d bytes, want %d; the file is truncated", len(data), size)
	}
	f := &webpFile{}
	err := webpChunks(data[12:max(size, 12)], func(kind string, body []byte) error {
		switch kind {
		case "VP8X":
			if len(body) < 10 {
				return fmt.Errorf("chunk VP8X has %d bytes, want 10", len(body))
			}
			f.canvas = image.Pt(1+uint24(body[4:]), 1+uint24(body[7:]))
		case "ANMF":
			f.meta.frames++
			if f.meta.frames == 1 {
				return f.frame(body)
			}
		case "EXIF":
			f.meta.exif = body
		case "XMP ":
			f.meta.xmp = body
		case "VP8 ", "VP8L":
			if f.data == nil {
				f.kind, f.data = kind, body
			}
		}
		return nil
	})
	if err == nil && f.data == nil {
		err = errors.New("no picture inside")
	}
	return f, err
}

// frame reads the first frame of an animation.
func (f *webpFile) frame(b []byte) error {
	if len(b) < 16 {
		return fmt.Errorf("chunk ANMF has %d bytes, want at least 16", len(b))
	}
	f.at = image.Pt(2*uint24(b), 2*uint24(b[3:]))
	f.size = image.Pt(1+uint24(b[6:]), 1+uint24(b[9:]))
	return webpChunks(b[16:], func(kind string, body []byte) error {
		if kind == "VP8 " || kind == "VP8L" {
			f.kind, f.data = kind, body
		}
		return nil
	})
}

// webpChunks calls do for each chunk: four letters, a length, the body, padding to an
// even length.
func webpChunks(data []byte, do func(kind string, body []byte) error) error {
	for len(data) >= 8 {
		kind, n := string(data[:4]), uint64(binary.LittleEndian.Uint32(data[4:]))
		data = data[8:]
		if n > uint64(len(data)) {
			return fmt.Errorf("chunk %q has %d bytes, want %d; the file is truncated", kind, len(data), n)
		}
		if err := do(kind, data[:n]); err != nil {
			return err
		}
		data = data[min(n+n&1, uint64(len(data))):]
	}
	return nil
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// declared returns the size in the bit stream's header.
func (f *webpFile) declared() (w, h int, err error) {
	if f.kind == "VP8L" {
		c, err := vp8l.DecodeConfig(bytes.NewReader(f.data))
		return c.Width, c.Height, damaged(err)
	}
	d := vp8.NewDecoder()
	d.Init(bytes.NewReader(f.data), len(f.data))
	header, err := d.DecodeFrameHeader()
	return header.Width, header.Height, damaged(err)
}

func damaged(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("bit stream: %w; the file is damaged or truncated", err)
}

func (f *webpFile) lossless(img *RGB) error {
	decoded, err := vp8l.Decode(bytes.NewReader(f.data))
	if err != nil {
		return damaged(err)
	}
	m := decoded.(*image.NRGBA)
	for y := range m.Rect.Dy() {
		fromRGBA(img.Row(f.at.Y + y)[3*f.at.X:], m.Pix[y*m.Stride:], m.Rect.Dx())
	}
	return nil
}

func (f *webpFile) lossy(img *RGB) error {
	d := vp8.NewDecoder()
	d.Init(bytes.NewReader(f.data), len(f.data))
	header, err := d.DecodeFrameHeader()
	if err != nil {
		return damaged(err)
	}
	m, err := d.DecodeFrame()
	if err != nil {
		return damaged(err)
	}
	w, h := header.Width, header.Height
	cw, ch := (w+1)/2, (h+1)/2
	u, v := make([]byte, w), make([]byte, w)
	for y := range h {
		// The chroma row nearest to y, and the next one across.
		near := y / 2
		far := near - 1 + 2*(y&1)
		far = min(max(far, 0), ch-1)
		smooth(u, m.Cb[near*m.CStride:][:cw], m.Cb[far*m.CStride:][:cw])
		smooth(v, m.Cr[near*m.CStride:][:cw], m.Cr[far*m.CStride:][:cw])
		fromVP8(img.Row(f.at.Y + y)[3*f.at.X:], m.Y[y*m.YStride:][:w], u, v)
	}
	return nil
}

// smooth doubles a row of chroma: each output weighs the nearest sample by 9, its
// neighbours across the column and the row by 3 and the diagonal one by 1, in libwebp's
// rounding; at the edges only the two rows count, by 3 and 1.
func smooth(dst, near, far []byte) {
	edge := func(i int) byte { return byte((3*int(near[i]) + int(far[i]) + 2) >> 2) }
	dst[0] = edge(0)
	for k := 1; k < len(near); k++ {
		n0, n1, f0, f1 := int(near[k-1]), int(near[k]), int(far[k-1]), int(far[k])
		g := n0 + n1 + f0 + f1 + 8
		dst[2*k-1] = byte(((g+2*(n1+f0))>>3 + n0) >> 1)
		if 2*k < len(dst) {
			dst[2*k] = byte(((g+2*(n0+f1))>>3 + n1) >> 1)
		}
	}
	if n := len(dst); n&1 == 0 {
		dst[n-1] = edge(len(near) - 1)
	}
}

// fromVP8 converts a row to RGB in libwebp's fixed point of 6 bits.
func fromVP8(dst, y, u, v []byte) {
	for i, luma := range y {
		l, cb, cr := int(luma)*19077>>8, int(u[i]), int(v[i])
		d := dst[3*i : 3*i+3]
		d[0] = clip6(l + cr*26149>>8 - 14234)
		d[1] = clip6(l - cb*6419>>8 - cr*13320>>8 + 8708)
		d[2] = clip6(l + cb*33050>>8 - 17685)
	}
}

func clip6(v int) byte {
	return byte(min(max(v>>6, 0), 255))
}
