package synth

import (
	"encoding/binary"

	"idefics2/imageproc"
)

// BMP returns a picture as the bytes of a file, for readers that want one: uncompressed,
// so that it costs a copy.
func BMP(m *imageproc.RGB) []byte {
	const header = 14 + 40
	stride := (3*m.Width + 3) &^ 3
	out := make([]byte, header+stride*m.Height)
	le := binary.LittleEndian
	copy(out, "BM")
	le.PutUint32(out[2:], uint32(len(out)))
	le.PutUint32(out[10:], header)
	le.PutUint32(out[14:], 40) // BITMAPINFOHEADER
	le.PutUint32(out[18:], uint32(m.Width))
	le.PutUint32(out[22:], uint32(m.Height)) // rows from the bottom
	le.PutUint16(out[26:], 1)
	le.PutUint16(out[28:], 24)
	for y := range m.Height {
		row, dst := m.Row(m.Height-1-y), out[header+y*stride:]
		for x := 0; x < len(row); x += 3 {
			dst[x], dst[x+1], dst[x+2] = row[x+2], row[x+1], row[x]
		}
	}
	return out
}
