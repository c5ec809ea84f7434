package jpeg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Marker codes of T.81 table B.1 that are told apart here.
const (
	mTEM   = 0x01
	mSOF0  = 0xC0
	mSOF1  = 0xC1
	mSOF2  = 0xC2
	mDHT   = 0xC4
	mJPG   = 0xC8
	mDAC   = 0xCC
	mSOF15 = 0xCF
	mRST0  = 0xD0
	mRST7  = 0xD7
	mSOI   = 0xD8
	mEOI   = 0xD9
	mSOS   = 0xDA
	mDQT   = 0xDB
	mDNL   = 0xDC
	mDRI   = 0xDD
	mDHP   = 0xDE
	mEXP   = 0xDF
	mAPP0  = 0xE0
	mAPP1  = 0xE1
	mAPP14 = 0xEE
	mAPP15 = 0xEF
	mCOM   = 0xFE
)

var errTruncated = errors.New("file is truncated: it ends before its end-of-image marker; fetch it again or save it anew")

// decoder is the state of one file: what its segments said, and where the reader is.
type decoder struct {
	data []byte
	pos  int  // next byte to read
	next byte // a marker that the entropy decoder ran into and nobody has handled yet, else 0

	width, height  int
	mcusX, mcusY   int // units of a scan of all components
	bands          int // rows of such units, or of blocks where there is one component
	progressive    bool
	comps          []component
	jfif, adobe    bool
	adobeTransform byte
	exif, xmp      []byte

	quant   [4]*[64]uint16 // natural order
	huff    [2][4]*huffman // DC, AC
	restart int            // MCUs between restart markers, 0 for none

	scan      scan
	scans     int
	visited   int  // blocks, over all scans
	lastRow   int  // row of whole units up to which the latest scan had data
	cut       bool // the file ended with the data of the latest scan, or before
	multiScan bool // some scan lacks components, or the file is progressive
}

// component is one colour plane of the frame.
type component struct {
	id    byte
	h, v  int         // sampling factors
	tq    int         // its quantization table
	quant *[64]uint16 // nil before its first scan
	scale scale

	width, height    int // in samples: the frame's by h/hmax and v/vmax, rounded up
	blocksX          int // blocks that hold such samples
	blocksY          int
	perBand          int     // rows of blocks in a band
	stride           int     // of samples, 8·blocksX
	samples          []byte  // [rows, stride]: row y of the component is row y mod rows here
	rows             int     // of the latest bands, or all where they are few
	coefs            []block // of a file with several scans: [rows, coefStride], padded to whole MCUs
	coefStride       int
	precision        [64]int8 // progressive: bits of each coefficient still missing, -1 before its first scan
	before           [10]int8 // precision before the latest scan
	scalesX, scalesY int      // pixels a sample covers
}

// scan is what a start-of-scan segment says.
type scan struct {
	comps          []scanComponent
	ss, se, ah, al int
	next           int // number of the next restart marker
}

type scanComponent struct {
	*component
	dc, ac int // Huffman tables
}

// readHeader reads up to and including the first start of scan. A stream that holds
// tables alone may come before the image's own, as the reference allows.
func (d *decoder) readHeader() error {
	if !bytes.HasPrefix(d.data, []byte{0xFF, mSOI, 0xFF}) {
		return errors.New("not a JPEG file: it does not start with FF D8 FF")
	}
	for {
		if d.pos+2 > len(d.data) {
			return errTruncated
		}
		if d.data[d.pos] != 0xFF || d.data[d.pos+1] != mSOI {
			return fmt.Errorf("found bytes %02X %02X after a stream of tables, want a start of image", d.data[d.pos], d.data[d.pos+1])
		}
		d.pos += 2
		d.restart, d.jfif, d.adobe = 0, false, false
		m, err := d.readSegments()
		if err != nil {
			return err
		}
		if m == mSOS {
			return nil
		}
		if d.comps != nil {
			return errors.New("image without a scan")
		}
	}
}

// readSegments reads until a start of scan, which it parses, or the end of the image,
// and returns that marker.
func (d *decoder) readSegments() (byte, error) {
	for {
		m := d.next
		d.next = 0
		if m == 0 {
			var err error
			if m, err = d.nextMarker(); err != nil {
				return 0, err
			}
		}
		if m == mEOI {
			return m, nil
		}
		if isRestart(m) || m == mTEM && d.scans > 0 {
			continue // stray, and without parameters
		}
		if err := refused(m); err != nil {
			return 0, err
		}
		if m <= mSOF2 && d.comps != nil {
			return 0, errors.New("second frame header in one image")
		}
		body, err := d.segment(m)
		if err != nil {
			return 0, err
		}
		if err := d.parse(m, body); err != nil {
			return 0, err
		}
		if m == mSOS {
			return m, nil
		}
	}
}

// nextMarker skips to the next marker: what precedes it, fill bytes, stuffed zeros.
func (d *decoder) nextMarker() (byte, error) {
	for {
		i := bytes.IndexByte(d.data[d.pos:], 0xFF)
		if i < 0 {
			return 0, errTruncated
		}
		d.pos += i
		for d.pos < len(d.data) && d.data[d.pos] == 0xFF {
			d.pos++
		}
		if d.pos == len(d.data) {
			return 0, errTruncated
		}
		m := d.data[d.pos]
		d.pos++
		if m != 0 {
			return m, nil
		}
	}
}

// refused names the markers of coding processes that are not read.
func refused(m byte) error {
	kind := ""
	switch {
	case m == mSOI:
		return errors.New("second start of image inside an image")
	case m == mDNL, m >= mAPP0 && m <= mAPP15, m == mCOM:
		return nil
	case m == mDHT, m == mDQT, m == mDRI, m == mSOS, m == mDAC, m <= mSOF2 && m >= mSOF0:
		return nil
	case m == mDHP, m == mEXP, m == 0xC5, m == 0xC6, m == 0xC7, m > mDAC && m <= mSOF15:
		kind = "hierarchical"
	case m == 0xC3, m == 0xCB:
		kind = "lossless"
	case m == 0xC9, m == 0xCA:
		kind = "arithmetic"
	default:
		return fmt.Errorf("unknown marker FF %02X", m)
	}
	return fmt.Errorf("%s coding (marker FF %02X) is not supported; convert the file to baseline or progressive JPEG", kind, m)
}

// segment returns the parameters of the marker before d.pos, and steps over them.
func (d *decoder) segment(m byte) ([]byte, error) {
	if d.pos+2 > len(d.data) {
		return nil, errTruncated
	}
	n := int(binary.BigEndian.Uint16(d.data[d.pos:]))
	if n < 2 {
		if m < mAPP0 && m != mDNL {
			return nil, fmt.Errorf("segment FF %02X has length %d, want at least 2", m, n)
		}
		n = 2 // so the reference, where it skips a segment
	}
	if n > len(d.data)-d.pos {
		return nil, errTruncated
	}
	body := d.data[d.pos+2 : d.pos+n : d.pos+n]
	d.pos += n
	return body, nil
}

func (d *decoder) parse(m byte, body []byte) (err error) {
	switch m {
	case mSOF0, mSOF1, mSOF2:
		d.progressive = m == mSOF2
		err = d.parseFrame(body)
	case mSOS:
		err = d.parseScan(body)
	case mDHT:
		err = d.parseHuffman(body)
	case mDQT:
		err = d.parseQuant(body)
	case mDRI:
		if len(body) != 2 {
			return fmt.Errorf("restart interval of %d bytes, want 2", len(body))
		}
		d.restart = int(binary.BigEndian.Uint16(body))
	case mAPP0:
		if len(body) >= 14 && string(body[:5]) == "JFIF\x00" {
			d.jfif = true
		}
	case mAPP14:
		if len(body) >= 12 && string(body[:5]) == "Adobe" {
			d.adobe, d.adobeTransform = true, body[11]
		}
	case mAPP1:
		d.parseApp1(body)
	}
	return err
}

// parseApp1 keeps EXIF and XMP from before the first scan. EXIF that exceeds one segment
// goes on in the next; of XMP packets the last counts.
func (d *decoder) parseApp1(body []byte) {
	if d.scans > 0 {
		return
	}
	if exif, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok {
		if d.exif == nil {
			d.exif = exif
		} else {
			d.exif = append(d.exif, exif...) // reallocates: segments have no spare capacity
		}
	} else if xmp, ok := bytes.CutPrefix(body, []byte("http://ns.adobe.com/xap/1.0/\x00")); ok {
		d.xmp = xmp
	}
}

func (d *decoder) parseFrame(body []byte) error {
	switch {
	case len(body) < 6:
		return fmt.Errorf("frame header of %d bytes, want at least 6", len(body))
	case body[0] != 8:
		return fmt.Errorf("%d bits a sample, want 8; convert the file to 8 bits", body[0])
	}
	d.height = int(binary.BigEndian.Uint16(body[1:]))
	d.width = int(binary.BigEndian.Uint16(body[3:]))
	n := int(body[5])
	switch {
	case d.height == 0 && d.width > 0:
		return errors.New("height 0: a height that follows the scan (DNL) is not supported; save the file anew")
	case d.width == 0:
		return errors.New("width 0")
	case d.width > 65500 || d.height > 65500: // JPEG_MAX_DIMENSION of the reference
		return fmt.Errorf("%d×%d pixels, want at most 65500 a side", d.width, d.height)
	case n != 1 && n != 3 && n != 4:
		return fmt.Errorf("%d components, want 1 (gray), 3 (colour) or 4 (CMYK)", n)
	case len(body) != 6+3*n:
		return fmt.Errorf("frame header of %d bytes for %d components, want %d", len(body), n, 6+3*n)
	}
	comps := make([]component, n)
	for i := range comps {
		p := body[6+3*i:]
		comps[i] = component{id: p[0], h: int(p[1] >> 4), v: int(p[1] & 15), tq: int(p[2])}
	}
	d.comps = comps
	return nil
}

// These bound the work that a small file can ask for: each scan may visit every block of
// the image, for no more than a few bytes. Real encoders write about ten scans.
const (
	maxScans   = 500
	manyScans  = 32      // of any image
	maxVisited = 1 << 27 // blocks, beyond manyScans
)

func (d *decoder) parseScan(body []byte) error {
	switch {
	case d.comps == nil:
		return errors.New("scan before the frame header")
	case d.scans == maxScans:
		return fmt.Errorf("more than %d scans; save the file anew", maxScans)
	case len(body) < 1 || body[0] < 1 || body[0] > 4 || len(body) != 4+2*int(body[0]):
		return fmt.Errorf("scan header of %d bytes is malformed", len(body))
	}
	n := int(body[0])
	s := scan{comps: make([]scanComponent, n)}
	for i := range n {
		id, tables := body[1+2*i], body[2+2*i]
		c := d.scanned(s.comps, id)
		if c == nil {
			return fmt.Errorf("scan names component %d, which the frame lacks or the scan has in another order", id)
		}
		s.comps[i] = scanComponent{c, int(tables >> 4), int(tables & 15)}
	}
	p := body[1+2*n:]
	s.ss, s.se, s.ah, s.al = int(p[0]), int(p[1]), int(p[2]>>4), int(p[2]&15)
	d.scan = s
	d.scans++
	return nil
}

// scanned finds the component that a scan names. Ids may repeat in a frame; then each
// mention takes the next one. The reference skips a frame's i-th component once the
// scan's i-th place is filled, and so refuses scans in another order than the frame's.
func (d *decoder) scanned(taken []scanComponent, id byte) *component {
	for i := range d.comps {
		if d.comps[i].id == id && (i >= len(taken) || taken[i].component == nil) {
			for _, t := range taken {
				if t.component == &d.comps[i] {
					return nil
				}
			}
			return &d.comps[i]
		}
	}
	return nil
}

// zigzag maps the order of T.81 figure A.6 to rows and columns. Runs of corrupt data
// reach past 63; they write the last coefficient, as the reference's do.
var zigzag = func() (z [128]uint8) {
	for i := range z {
		z[i] = 63
	}
	x, y := 0, 0
	for i := range 64 {
		z[i] = uint8(8*y + x)
		switch up := (x+y)%2 == 0; {
		case up && x == 7:
			y++
		case up && y == 0:
			x++
		case up:
			x, y = x+1, y-1
		case y == 7:
			x++
		case x == 0:
			y++
		default:
			x, y = x-1, y+1
		}
	}
	return z
}()

func (d *decoder) parseQuant(body []byte) error {
	for len(body) > 0 {
		wide, id := body[0]>>4 != 0, body[0]&15
		body = body[1:]
		n := 64
		if wide {
			n = 128
		}
		if id > 3 || len(body) < n {
			return fmt.Errorf("quantization table %d of %d bytes, want tables 0 to 3 of %d", id, len(body), n)
		}
		q := new([64]uint16) // a new one: scans before this keep theirs
		for i := range 64 {
			if wide {
				q[zigzag[i]] = binary.BigEndian.Uint16(body[2*i:])
			} else {
				q[zigzag[i]] = uint16(body[i])
			}
		}
		d.quant[id] = q
		body = body[n:]
	}
	return nil
}

func (d *decoder) parseHuffman(body []byte) error {
	for len(body) >= 17 {
		class, id := body[0]>>4, body[0]&15
		if class > 1 || id > 3 {
			return fmt.Errorf("found Huffman table %d of class %d, want tables 0 to 3 of class 0 or 1", id, class)
		}
		n := 0
		for _, k := range body[1:17] {
			n += int(k)
		}
		if n > 256 || n > len(body)-17 {
			return fmt.Errorf("malformed Huffman table: %d codes in %d bytes", n, len(body)-17)
		}
		d.huff[class][id] = &huffman{counts: [16]uint8(body[1:17]), symbols: body[17 : 17+n]}
		body = body[17+n:]
	}
	if len(body) != 0 {
		return fmt.Errorf("%d bytes after the Huffman tables", len(body))
	}
	return nil
}
