package jpeg

// A progressive file may end before the AC coefficients are known to full precision.
// The reference then estimates the lowest ones, where they are still zero, from the DC
// coefficients of 5×5 blocks, so that blocks do not show as squares. (T.81 K.8 describes
// it for 3×3; the weights are those of libjpeg-turbo's jdcoefct.) Complete files are not
// touched.

// estimate is the prediction of one coefficient: the weighted sum of the DC coefficients
// of the blocks around, in 1/256, times the ratio of the quantizers.
type estimate struct {
	k       int // place in the order of the file
	weights [25]int8
}

// someAC is for blocks of which some AC coefficient has come, or may have.
var someAC = []estimate{
	{1, [25]int8{
		10: -7, 11: 50, 13: -50, 14: 7}},
	{2, [25]int8{
		2: -7, 7: 50, 17: -50, 22: 7}},
	{3, [25]int8{
		2: -1, 7: 13, 12: -24, 17: 13, 22: -1}},
	{4, [25]int8{
		1: -1, 3: 1,
		5: -1, 6: 10, 8: -10, 9: 1,
		15: 1, 16: -10, 18: 10, 19: -1,
		21: 1, 23: -1}},
	{5, [25]int8{
		10: -1, 11: 13, 12: -24, 13: 13, 14: -1}},
}

// onlyDC is for blocks of which the DC coefficient alone is known; they get a smoother
// DC too, by smoothDC.
var onlyDC = []estimate{
	{1, [25]int8{
		-1, -1, 0, 1, 1,
		-3, 13, 0, -13, 3,
		-3, 38, 0, -38, 3,
		-3, 13, 0, -13, 3,
		-1, -1, 0, 1, 1}},
	{2, [25]int8{
		-1, -3, -3, -3, -1,
		-1, 13, 38, 13, -1,
		0, 0, 0, 0, 0,
		1, -13, -38, -13, 1,
		1, 3, 3, 3, 1}},
	{3, [25]int8{
		0, 0, 1, 0, 0,
		0, 2, 7, 2, 0,
		0, -5, -14, -5, 0,
		0, 2, 7, 2, 0,
		0, 0, 1, 0, 0}},
	{4, [25]int8{
		-1, 0, 0, 0, 1,
		0, 9, 0, -9, 0,
		0, 0, 0, 0, 0,
		0, -9, 0, 9, 0,
		1, 0, 0, 0, -1}},
	{5, [25]int8{
		0, 0, 0, 0, 0,
		0, 2, -5, 2, 0,
		1, 7, -14, 7, 1,
		0, 2, -5, 2, 0,
		0, 0, 0, 0, 0}},
	{6, [25]int8{
		6: 1, 8: -1,
		11: 2, 13: -2,
		16: 1, 18: -1}},
	{7, [25]int8{
		6: 1, 7: -3, 8: 1,
		16: -1, 17: 3, 18: -1}},
	{8, [25]int8{
		6: 1, 8: -1,
		11: -3, 13: 3,
		16: 1, 18: -1}},
	{9, [25]int8{
		6: 1, 7: 2, 8: 1,
		16: -1, 17: -2, 18: -1}},
}

// smoothDC weighs the DC coefficients of the neighbourhood; the middle one has 152.
var smoothDC = [25]int16{
	-2, -6, -8, -6, -2,
	-6, 6, 42, 6, -6,
	-8, 42, 152, 42, -8,
	-6, 6, 42, 6, -6,
	-2, -6, -8, -6, -2,
}

// needsSmoothing tells whether estimates are wanted, and possible: the DC coefficients of
// all components must have come.
func (d *decoder) needsSmoothing() bool {
	wanted := false
	for i := range d.comps {
		c := &d.comps[i]
		if !d.progressive || c.precision[0] < 0 {
			return false
		}
		for k := range 10 {
			if c.scale[k] == 0 {
				return false
			}
			wanted = wanted || k > 0 && c.precision[k] != 0
		}
	}
	return wanted
}

// smooth puts estimates into b, which is block x of row y of the component.
func (d *decoder) smooth(c *component, b *block, x, y int) {
	// Rows after the place where the last scan's data ran out have what was known before it.
	known := c.precision[:10]
	if y/c.v > d.lastRow && d.scans > 1 {
		known = c.before[:]
	}
	bare := true
	for _, bits := range known[1:] {
		bare = bare && bits == -1
	}
	dc := c.neighbours(x, y)
	estimates := someAC
	if bare {
		estimates = onlyDC
	}
	q0 := int(c.scale[0])
	for i := range estimates {
		e := &estimates[i]
		at := &b[zigzag[e.k]]
		if known[e.k] == 0 || *at != 0 {
			continue
		}
		sum := 0
		for j, w := range e.weights {
			sum += int(w) * dc[j]
		}
		limit := 0 // of a coefficient whose higher bits are known to be zero
		if known[e.k] > 0 {
			limit = 1<<known[e.k] - 1
		}
		*at = int16(predict(q0*sum, int(c.scale[e.k]), limit))
	}
	if bare {
		sum := 0
		for j, w := range smoothDC {
			sum += int(w) * dc[j]
		}
		b[0] = int16(predict(q0*sum, q0, 0))
	}
}

// predict is v/(256q), rounded away from zero at halves and, if limit > 0, kept within it.
func predict(v, q, limit int) int {
	if v < 0 {
		return -predict(-v, q, limit)
	}
	p := (q<<7 + v) / (q << 8)
	if limit > 0 && p > limit {
		return limit
	}
	return p
}

// neighbours returns the DC coefficients of the 5×5 blocks around (x, y). At the edges the
// last block repeats. The reference counts the rows of an image whose last unit is cut
// short as if all were, and so repeats a row earlier there than it need.
func (c *component) neighbours(x, y int) (dc [25]int) {
	units := ceilDiv(c.blocksY, c.v) // rows of units
	perUnit := c.v
	if y/c.v == units-1 {
		perUnit = c.blocksY - (units-1)*c.v
	}
	row := y/c.v*perUnit + y%c.v
	last := perUnit*units - 1
	lo, hi := -min(row, 2), min(last-row, 2)
	for i := range 5 {
		line := c.coefs[(y+min(max(i-2, lo), hi))*c.coefStride:]
		for j := range 5 {
			dc[5*i+j] = int(line[min(max(x+j-2, 0), c.blocksX-1)][0])
		}
	}
	return dc
}
