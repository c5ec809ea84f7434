package jpeg

import "fmt"

// startProgressive checks the band and the bits that a scan refines (T.81 G.1.1.1), and
// notes the precision that its coefficients have after it. Scans that repeat or leave out
// bits are decoded as they come, as in the reference.
func (s *scan) startProgressive(first bool) error {
	switch {
	case s.ss == 0 && s.se != 0,
		s.ss > 0 && (s.se < s.ss || s.se > 63 || len(s.comps) > 1),
		s.ah > 0 && s.al != s.ah-1,
		s.al > 13:
		return fmt.Errorf("progressive scan of coefficients %d to %d, bits %d to %d, in %d components is malformed", s.ss, s.se, s.ah, s.al, len(s.comps))
	}
	for _, c := range s.comps {
		if !first { // else the reference has nothing missing before
			copy(c.before[:], c.precision[:])
		}
		for k := s.ss; k <= s.se; k++ {
			c.precision[k] = int8(s.al)
		}
	}
	return nil
}

// progressive returns what decodes a unit of the scan.
func (p *pass) progressive() func(p *pass, x, y int) {
	switch {
	case p.ss == 0 && p.ah == 0:
		return (*pass).dcFirst
	case p.ss == 0:
		return (*pass).dcRefine
	case p.ah == 0:
		return (*pass).acFirst
	}
	return (*pass).acRefine
}

// at returns the coefficients of a unit.
func (u *unit) at(x, y int) *block {
	return &u.coefs[(y*u.dy+u.y)*u.coefStride+x*u.dx+u.x]
}

// dcFirst decodes the high bits of the DC coefficients (T.81 G.1.2.1).
func (p *pass) dcFirst(x, y int) {
	if p.short {
		return
	}
	for i := range p.units {
		u := &p.units[i]
		if s := int(p.code(u.dc)); s > 0 {
			*u.pred += extend(p.bits(s), s)
		}
		u.at(x, y)[0] = int16(*u.pred << p.al)
	}
}

// dcRefine decodes one more bit of the DC coefficients.
func (p *pass) dcRefine(x, y int) {
	for i := range p.units {
		if p.bits(1) != 0 {
			p.units[i].at(x, y)[0] |= 1 << p.al
		}
	}
}

// acFirst decodes the high bits of a band (T.81 G.1.2.2).
func (p *pass) acFirst(x, y int) {
	if p.short {
		return
	}
	if p.eobRun > 0 {
		p.eobRun--
		return
	}
	u := &p.units[0]
	b := u.at(x, y)
	for k := p.ss; k <= p.se; k++ {
		symbol := p.code(u.ac)
		run, size := int(symbol>>4), int(symbol&15)
		switch {
		case size > 0:
			k += run
			b[zigzag[k&127]&63] = int16(extend(p.bits(size), size) << p.al)
		case run == 15:
			k += 15
		default:
			p.eobRun = p.endOfBands(run) - 1
			return
		}
	}
}

// endOfBands reads the length of a run of blocks whose bands have ended: 2^run and run
// more bits.
func (p *pass) endOfBands(run int) int {
	n := 1 << run
	if run > 0 {
		n += int(p.bits(run))
	}
	return n
}

// acRefine decodes one more bit of a band (T.81 G.1.2.3): each coefficient that is already
// nonzero has a correction bit; new ones become ±1 at the place of the bit.
func (p *pass) acRefine(x, y int) {
	if p.short {
		return
	}
	u := &p.units[0]
	b := u.at(x, y)
	k := p.ss
	for p.eobRun == 0 && k <= p.se {
		symbol := p.code(u.ac)
		run, size := int(symbol>>4), int(symbol&15)
		var fresh int16
		switch {
		case size > 0: // 1 in files that are right
			fresh = -1 << p.al
			if p.bits(1) != 0 {
				fresh = 1 << p.al
			}
		case run < 15:
			p.eobRun = p.endOfBands(run)
			continue
		}
		k = p.correct(b, k, run)
		if fresh != 0 {
			b[zigzag[k]&63] = fresh
		}
		k++
	}
	if p.eobRun > 0 {
		p.correct(b, k, 64)
		p.eobRun--
	}
}

// correct reads correction bits from coefficient k on, and returns the place of the zero
// coefficient after skip others, or the one after the band's end.
func (p *pass) correct(b *block, k, skip int) int {
	bit := int16(1) << p.al
	for ; k <= p.se; k++ {
		c := &b[zigzag[k]&63]
		if *c == 0 {
			if skip == 0 {
				break
			}
			skip--
			continue
		}
		if p.bits(1) == 0 || *c&bit != 0 {
			continue
		}
		if *c > 0 {
			*c += bit
		} else {
			*c -= bit
		}
	}
	return k
}
