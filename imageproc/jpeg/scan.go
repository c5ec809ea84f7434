package jpeg

import (
	"errors"
	"fmt"
)

// block holds 8×8 coefficients, row by row.
type block [64]int16

// freeBlocks is what a file may declare whatever its length, 4 megapixels about. Beyond,
// it must have at least a bit for every block, the least that Huffman coding needs:
// the reference would decode less to mostly grey, but takes gigabytes for it.
const freeBlocks = 1 << 17

// layOut computes the geometry of the frame at its first scan (T.81 A.1.1, processor.md
// §5.3), and allocates the coefficients of a file with several scans.
func (d *decoder) layOut() error {
	hmax, vmax := 1, 1
	for _, c := range d.comps {
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 {
			return fmt.Errorf("sampling factors %d×%d, want 1 to 4", c.h, c.v)
		}
		hmax, vmax = max(hmax, c.h), max(vmax, c.v)
	}
	for i := range d.comps {
		c := &d.comps[i]
		if hmax%c.h != 0 || vmax%c.v != 0 {
			return fmt.Errorf("component %d is sampled %d×%d of %d×%d: fractional ratios are not supported; save the file anew", c.id, c.h, c.v, hmax, vmax)
		}
		c.scalesX, c.scalesY = hmax/c.h, vmax/c.v
	}
	d.multiScan = d.progressive || len(d.scan.comps) < len(d.comps)
	blocks := 0
	for i := range d.comps {
		c := &d.comps[i]
		c.width, c.height = ceilDiv(d.width*c.h, hmax), ceilDiv(d.height*c.v, vmax)
		c.blocksX, c.blocksY = ceilDiv(c.width, 8), ceilDiv(c.height, 8)
		blocks += c.blocksX * c.blocksY
	}
	if blocks > freeBlocks && blocks > 8*len(d.data) {
		return fmt.Errorf("%d×%d pixels declared, but %d bytes cannot hold %d blocks; the file is cut short or made up", d.width, d.height, len(d.data), blocks)
	}
	for i := range d.comps {
		c := &d.comps[i]
		c.perBand = c.v
		if len(d.comps) == 1 { // whose units have one block
			c.perBand = 1
		}
		if d.multiScan {
			c.coefStride = ceilDiv(c.blocksX, c.h) * c.h
			c.coefs = make([]block, c.coefStride*ceilDiv(c.blocksY, c.v)*c.v)
		}
		for k := range c.precision {
			c.precision[k] = -1
		}
	}
	d.mcusX, d.mcusY = ceilDiv(d.width, 8*hmax), ceilDiv(d.height, 8*vmax)
	d.bands = ceilDiv(d.comps[0].blocksY, d.comps[0].perBand)
	return nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// readScans decodes the scans, the first of which readHeader has just met, up to the end
// of the image.
func (d *decoder) readScans(out *renderer) error {
	for {
		if err := d.startScan(); err != nil {
			return err
		}
		if err := d.readScan(out); err != nil {
			return err
		}
		m, err := d.readSegments()
		switch {
		case err == errTruncated && !d.multiScan && !d.cut:
			return nil // the reference has all samples by then, and doesn't look for more
		case err != nil:
			return err
		case m == mEOI:
			return nil
		case !d.multiScan:
			return errors.New("second scan after one of all components")
		}
	}
}

// startScan checks a scan and readies its tables.
func (d *decoder) startScan() error {
	s := &d.scan
	blocks := 0
	for _, c := range s.comps {
		blocks += c.h * c.v
		d.visited += c.blocksX * c.blocksY
	}
	if d.scans > manyScans && d.visited > maxVisited {
		return fmt.Errorf("%d scans of so large an image; save it anew", d.scans)
	}
	if len(s.comps) > 1 && blocks > 10 { // T.81 B.2.3
		return fmt.Errorf("%d blocks in a unit of the scan, want at most 10; save the file with usual sampling", blocks)
	}
	if d.progressive {
		if err := s.startProgressive(d.scans == 1); err != nil {
			return err
		}
	}
	for _, c := range s.comps {
		if c.quant == nil { // the table of a component's first scan is its table for good
			if c.tq > 3 || d.quant[c.tq] == nil {
				return fmt.Errorf("component %d: no quantization table %d", c.id, c.tq)
			}
			c.quant = d.quant[c.tq]
			for k, z := range zigzag {
				c.scale[k] = int32(c.quant[z])
			}
		}
		if !d.progressive || s.ss == 0 && s.ah == 0 {
			if _, err := d.table(0, c.dc); err != nil {
				return err
			}
		}
		if !d.progressive || s.ss > 0 {
			h, err := d.table(1, c.ac)
			if err != nil {
				return err
			}
			if !d.progressive {
				h.buildRuns()
			}
		}
	}
	return nil
}

// table returns a Huffman table ready for use.
func (d *decoder) table(class, id int) (*huffman, error) {
	if id > 3 {
		return nil, fmt.Errorf("no Huffman table %d of class %d", id, class)
	}
	h := d.huff[class][id]
	if h == nil && !d.progressive {
		h = standardHuffman(class, id)
		d.huff[class][id] = h
	}
	if h == nil {
		return nil, fmt.Errorf("no Huffman table %d of class %d", id, class)
	}
	return h, h.build(class == 0)
}

// unit is one block of a minimum coded unit.
type unit struct {
	*component
	pred    *int32 // DC prediction of the component in this scan
	dc, ac  *huffman
	x, y    int    // its place in the unit, in blocks
	dx, dy  int    // blocks from one unit to the next
	samples []byte // of a file's only scan: where this row of units has its samples
}

// pass is the decoding of one scan.
type pass struct {
	scan
	bitReader
	units  []unit
	pred   [4]int32
	short  bool // the data of this segment ran out; what remains of it stays empty
	eobRun int  // progressive: blocks still to come of a run of ends of bands
	single bool // the file's only scan: blocks become samples at once
	block  block
}

// readScan decodes the entropy-coded data of d.scan. It visits the units in order, and
// within each the blocks of T.81 A.2; restart markers stand between units. The samples of
// a file's only scan go to out, row by row of units.
func (d *decoder) readScan(out *renderer) error {
	p := &pass{scan: d.scan, single: !d.multiScan, bitReader: bitReader{data: d.data, pos: d.pos}}
	mx, my, rows := d.mcusX, d.mcusY, 1
	if c := p.comps[0]; len(p.comps) == 1 { // a scan of one component has units of one block
		mx, my, rows = c.blocksX, c.blocksY, c.v
	}
	p.units = d.units(p)
	decode := (*pass).sequential
	if d.progressive {
		decode = p.progressive()
	}
	toGo := d.restart
	for y := range my {
		if p.single {
			p.startBand(y)
		}
		for x := range mx {
			if d.restart > 0 && toGo == 0 {
				if err := p.resume(); err != nil {
					return err
				}
				toGo = d.restart
			}
			toGo--
			if !p.short {
				d.lastRow = y / rows
			}
			decode(p, x, y)
			if p.exhausted() {
				if p.eof {
					return errTruncated
				}
				p.short = true
			}
		}
		if p.single {
			out.band(y)
		} else if p.short && (d.restart == 0 || endsScan(p.marker)) {
			break // nothing of this scan can change a coefficient any more
		}
	}
	p.fill()
	d.cut = p.eof
	d.pos, d.next = p.pos, p.marker
	return nil
}

func (d *decoder) units(p *pass) []unit {
	var units []unit
	for i, c := range p.comps {
		u := unit{component: c.component, pred: &p.pred[i], dx: c.h, dy: c.v}
		if c.dc < 4 {
			u.dc = d.huff[0][c.dc]
		}
		if c.ac < 4 {
			u.ac = d.huff[1][c.ac]
		}
		if len(p.comps) == 1 {
			u.dx, u.dy = 1, 1
		}
		for u.y = range u.dy {
			for u.x = range u.dx {
				units = append(units, u)
			}
		}
	}
	return units
}

// startBand points the units of a row at the place of their samples. Blocks below the image
// have one as well, and nobody looks at it.
func (p *pass) startBand(y int) {
	for i := range p.units {
		u := &p.units[i]
		u.samples = u.block(y*u.dy + u.y)
	}
}

func isRestart(m byte) bool { return m >= mRST0 && m <= mRST7 }

// endsScan tells whether a marker found where a restart is due ends the scan. Codes below
// the frame headers are taken for corrupt data.
func endsScan(m byte) bool { return m >= mSOF0 && !isRestart(m) }

// resume passes a restart marker. Where it is not the one expected, the choice of
// jpeg_resync_to_restart is followed: one that is up to two too late is skipped; one up
// to two too early, or another kind of marker, stays, and the segment is empty; else
// reading goes on behind it.
func (p *pass) resume() error {
	p.drop()
	d := decoder{data: p.data, pos: p.pos}
	for {
		if p.marker == 0 {
			m, err := d.nextMarker()
			if err != nil {
				return err
			}
			p.marker, p.pos = m, d.pos
		}
		m := p.marker
		ahead := (int(m) - mRST0 - p.next) & 7
		if isRestart(m) && (ahead == 1 || ahead == 2) || endsScan(m) {
			break
		}
		p.marker = 0
		if isRestart(m) && ahead <= 5 {
			break
		}
	}
	p.next = (p.next + 1) & 7
	p.pred = [4]int32{}
	p.eobRun = 0
	if p.marker == 0 {
		p.short = false
	}
	return nil
}

// sequential decodes a unit of a baseline or extended scan.
func (p *pass) sequential(x, y int) {
	for i := range p.units {
		u := &p.units[i]
		if !p.single {
			if !p.short {
				p.readBlock(u.at(x, y), u, &unscaled)
			}
			continue
		}
		var used uint64
		if !p.short {
			used = p.readBlock(&p.block, u, &u.scale)
		}
		if bx := x*u.dx + u.x; bx < u.blocksX {
			idct(u.samples[8*bx:], u.stride, &p.block, used)
		}
		if used > 1 {
			p.block = block{}
		}
		p.block[0] = 0
	}
}

// scale has the quantizers of a component in the order of the file. Past 63 it repeats
// the last, as zigzag does.
type scale [128]int32

var unscaled = func() (s scale) {
	for i := range s {
		s[i] = 1
	}
	return s
}()

// readBlock decodes a block of a sequential scan (T.81 F.2.2) and adds its coefficients,
// times the quantizers and cut to 16 bits, to what is in b. The result has a bit for
// every coefficient written, in the order of the file.
func (p *pass) readBlock(b *block, u *unit, q *scale) (used uint64) {
	r := &p.bitReader
	if r.n < 32 {
		r.fill()
	}
	acc, n := r.acc, r.n
	length, size := u.dc.at(acc)
	if size > 0 {
		*u.pred += value(acc, length+int(size), int(size))
	}
	acc <<= (length + int(size)) & 63
	n -= length + int(size)
	b[0] = int16(*u.pred * q[0])
	used = 1

	for k := 1; k < 64; k++ {
		if n < 32 {
			r.acc, r.n = acc, n
			r.fill()
			acc, n = r.acc, r.n
		}
		e := u.ac.runs[acc>>(64-lookBits)]
		if e == 0 {
			if e = newRun(u.ac.at(acc)); e.zeros() {
				acc <<= e.drop() & 63
				n -= e.drop()
				k += 15
				continue
			}
		}
		bits := acc
		acc <<= e.drop() & 63
		n -= e.drop()
		k += e.skip()
		if k > 63 {
			if e.endsBlock() {
				break
			}
			k = 63 // corrupt data: a run beyond the end
		}
		b[zigzag[k]&63] = int16(e.value(bits) * q[k])
		used |= 1 << (k & 63)
	}
	r.acc, r.n = acc, n
	return used
}
