package processor

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"

	"idefics2/imageproc"
	"idefics2/input"
)

// cropInput returns a crop as the model reads it.
func (p *Processor) cropInput(c *Crop) input.Crop {
	return input.Crop{
		Rows: c.Rows, Columns: c.Columns,
		Patches:   imageproc.Patches(c.RGB, p.patchSize(), p.table),
		Positions: c.Positions,
		Key:       key(c.RGB),
	}
}

func (p *Processor) patchSize() int {
	if p.settings.Image.PatchSize == 0 {
		return 14
	}
	return p.settings.Image.PatchSize
}

// key is the hash of a crop's size and bytes. The other settings are the processor's,
// and features are kept beside one processor.
func key(rgb *imageproc.RGB) (k [32]byte) {
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(rgb.Width)), uint64(rgb.Height)))
	h.Write(rgb.Pix)
	h.Sum(k[:0])
	return k
}

// Pixels returns a crop's values [3, H, W] as they enter the vision tower, those outside
// of whole patches too.
func (p *Processor) Pixels(c *Crop) []float32 { return imageproc.Pixels(c.RGB, p.table) }

// PixelsHash returns the SHA-256 of Pixels, little-endian, in hexadecimal.
func (p *Processor) PixelsHash(c *Crop) string {
	pixels := p.Pixels(c)
	data := make([]byte, 4*len(pixels))
	for i, v := range pixels {
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
	}
	return hash(data)
}

// RGBHash returns the SHA-256 of the picture's decoded bytes in hexadecimal.
func (i *Image) RGBHash() string { return hash(i.RGB.Pix) }

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
