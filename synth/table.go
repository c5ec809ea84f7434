package synth

import (
	"fmt"
	"math"
	"strings"

	"idefics2/imageproc"
)

// heads are what names the rows of a table.
var heads = []struct {
	name string
	rows func(r random) []string // in order, or drawn
	kept bool                    // in their order
}{
	{"Day", func(random) []string { return weekdays }, true},
	{"Month", func(random) []string { return months }, true},
	{"City", func(random) []string { return lists()["city"] }, false},
	{"Country", func(random) []string { return lists()["country"] }, false},
	{"Name", func(random) []string { return lists()["first"] }, false},
	{"Player", func(random) []string { return lists()["last"] }, false},
	{"Product", func(r random) []string { return lists()[pick(r, "goods", "thing")] }, false},
	{"Dish", func(random) []string { return lists()["dish"] }, false},
	{"Department", func(random) []string { return lists()["department"] }, false},
	{"Animal", func(random) []string { return lists()["animal"] }, false},
	{"Subject", func(random) []string { return lists()["subject"] }, false},
	{"Job", func(random) []string { return lists()["job"] }, false},
	{"Year", func(r random) []string {
		var out []string
		for y, from := 0, r.between(1970, 2020); y < 10; y++ {
			out = append(out, fmt.Sprint(from+y))
		}
		return out
	}, true},
}

// columns are what tables tell about a row.
var columns = []struct {
	name string
	cell func(r random) string
}{
	{"Price", func(r random) string { return fmt.Sprintf("%d.%02d", r.between(1, 99), pick(r, 0, 25, 50, 75, 95, 99)) }},
	{"Points", func(r random) string { return fmt.Sprint(r.between(1, 99)) }},
	{"Hours", func(r random) string { return fmt.Sprintf("%d.%d", r.between(1, 12), pick(r, 0, 5)) }},
	{"Code", func(r random) string { return r.capitals(1) + "-" + r.digits(2) }},
	{"Rank", func(r random) string { return fmt.Sprint(r.between(1, 60)) }},
	{"Share", func(r random) string { return fmt.Sprintf("%d%%", r.between(1, 99)) }},
	{"Room", func(r random) string { return fmt.Sprintf("%c%d", "ABCD"[r.IntN(4)], r.between(1, 30)) }},
	{"Visitors", func(r random) string {
		n := r.between(200, 9999)
		if n < 1000 {
			return fmt.Sprint(n)
		}
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}},
	{"Start", func(r random) string { return fmt.Sprintf("%d:%02d", r.between(7, 20), pick(r, 0, 15, 30, 45)) }},
	{"End", func(r random) string {
		return fmt.Sprintf("%02d:%02d", r.between(7, 22), pick(r, 0, 10, 20, 30, 40, 50))
	}},
	{"Profit", func(r random) string { return fmt.Sprint(r.between(100, 5000)) }},
	{"Stock", func(r random) string { return fmt.Sprint(r.between(0, 900)) }},
	{"Colour", func(r random) string { return one(r, colourNames) }},
	{"Weight", func(r random) string { return fmt.Sprintf("%d.%d kg", r.between(1, 90), r.IntN(10)) }},
	{"Height", func(r random) string { return fmt.Sprintf("%d cm", r.between(20, 220)) }},
	{"Age", func(r random) string { return fmt.Sprint(r.between(3, 99)) }},
	{"Score", func(r random) string { return fmt.Sprintf("%d:%d", r.IntN(9), r.IntN(9)) }},
	{"Sold", func(r random) string { return fmt.Sprint(r.between(1, 400)) }},
	{"Cost", func(r random) string { return "$" + fmt.Sprint(r.between(1, 500)) }},
	{"Team", func(r random) string { return one(r, colourNames) }},
	{"Distance", func(r random) string { return fmt.Sprintf("%d km", r.between(1, 900)) }},
	{"Status", func(r random) string { return pick(r, "open", "closed", "new", "paid", "done", "late") }},
	{"Grade", func(r random) string { return pick(r, "A", "B", "C", "D", "A+", "B+", "C-") }},
	{"Growth", func(r random) string { return fmt.Sprintf("%s%d.%d%%", pick(r, "", "-", "+"), r.IntN(20), r.IntN(10)) }},
	{"Size", func(r random) string { return pick(r, "S", "M", "L", "XL") }},
	{"Due", func(r random) string { return fmt.Sprintf("%02d/%02d", r.between(1, 28), r.between(1, 12)) }},
	{"Contact", func(r random) string { return r.from("first") }},
	{"Office", func(r random) string { return r.from("city") }},
	{"Material", func(r random) string { return r.from("material") }},
	{"Number", func(r random) string { return r.digits(4) }},
	{"Goals", func(r random) string { return fmt.Sprint(r.IntN(30)) }},
	{"Pages", func(r random) string { return fmt.Sprint(r.between(12, 990)) }},
}

// drawTable prints a table in one of its styles.
func drawTable(d *draft) ([]*imageproc.RGB, func() Turn) {
	head := one(d.random, heads)
	n := d.between(3, 6)
	var rows []string
	if all := head.rows(d.random); head.kept {
		keep := map[int]bool{}
		for len(keep) < n {
			keep[d.IntN(len(all))] = true
		}
		for i, name := range all {
			if keep[i] {
				rows = append(rows, name)
			}
		}
	} else {
		rows = some(d.random, all, n)
	}
	cols := some(d.random, columns, d.between(1, 4))
	cells := make([][]string, n) // [row][column]
	for i := range cells {
		for _, c := range cols {
			cells[i] = append(cells[i], c.cell(d.random))
		}
	}

	p := d.paper(0.25)
	size := d.within(12, 17) * d.scale
	text := strings.Join(rows, "") + "%$:"
	f := d.font(printed, size, text)
	headFont := f
	switch d.IntN(4) {
	case 0, 1:
		headFont = f.bold()
	case 2:
		headFont = d.font(printed, size, text)
	}
	rowFont := f
	if d.chance(0.12) {
		rowFont = f.bold()
	}
	pad := d.within(4, 12) * d.scale
	width := make([]float64, len(cols)+1)
	measure := func() (sum float64) {
		for k := range width {
			name := head.name
			if k > 0 {
				name = cols[k-1].name
			}
			width[k] = headFont.measure(name)
			for i := range rows {
				if k == 0 {
					width[k] = max(width[k], rowFont.measure(rows[i]))
				} else {
					width[k] = max(width[k], f.measure(cells[i][k-1]))
				}
			}
			width[k] += 2 * pad
			sum += width[k]
		}
		return sum
	}
	margin := d.within(6, 20) * d.scale
	for measure()+2*margin > d.side() {
		if len(cols) > 1 && d.chance(0.7) {
			cols = cols[:len(cols)-1]
			width = width[:len(cols)+1]
			continue
		}
		f.Size *= 0.95
		headFont.Size, rowFont.Size = f.Size, f.Size
		pad *= 0.9
	}
	total := measure()
	if slack := d.side() - 2*margin - total; slack > 0 && d.chance(0.35) {
		more := d.within(0, slack) / float64(len(width))
		for k := range width {
			width[k] += more
		}
		total += more * float64(len(width))
	}
	cell := math.Round(f.lineHeight() + d.within(2, 14)*d.scale)
	c := newCanvas(int(total+2*margin), int(margin*2+cell*float64(n+1)+d.within(0, 8)), p.ground)

	thin := max(1, math.Round(d.scale*d.within(0.6, 1.3)))
	rule := blend(p.ground, p.ink, d.within(0.35, 1))
	x0, y0 := math.Round(margin), math.Round(margin)
	high := cell * float64(n+1)
	headInk := p.ink
	band := func() { // a coloured head
		ground := d.coloured(p.ground)
		if d.chance(0.3) {
			ground = blend(p.ground, p.ink, 0.15)
		}
		headInk = d.inkOn(ground, 4)
		c.rect(ground, x0, y0, total, cell)
	}
	zebra := func() {
		for i := 1; i < n+1; i += 2 {
			c.rect(blend(p.ground, p.ink, 0.1), x0, y0+cell*float64(i), total, cell)
		}
	}
	across := func(i int) { c.rect(rule, x0, y0+cell*float64(i), total+thin, thin) }
	switch d.IntN(7) {
	case 0: // full
		if d.chance(0.3) {
			band()
		}
		for i := range n + 2 {
			across(i)
		}
		x := x0
		for k := range len(width) + 1 {
			c.rect(rule, math.Round(x), y0, thin, high)
			if k < len(width) {
				x += width[k]
			}
		}
	case 1: // rows
		for i := 1; i < n+2; i++ {
			across(i)
		}
	case 2: // frame
		c.frame(rule, x0, y0, total+thin, high+thin, thin)
		across(1)
	case 3: // head
		band()
		if d.chance(0.5) {
			across(1)
		}
	case 4: // zebra
		zebra()
		band()
	case 5: // books: above, below the head, at the end
		across(0)
		across(1)
		across(n + 1)
	default: // plain, at most a line below the head
		if d.chance(0.6) {
			across(1)
		} else {
			zebra()
		}
	}
	align := pick(d.random, 0.0, 0.0, 1.0, 1.0, 0.5)
	x := x0
	for k := range width {
		a := align
		if k == 0 {
			a = 0
		}
		put := func(f font, ink rgb, i int, s string) {
			c.anchored(f, ink, x+pad+a*(width[k]-2*pad), f.middle(y0+cell*(float64(i)+0.5)), a, s)
		}
		if k == 0 {
			put(headFont, headInk, 0, head.name)
		} else {
			put(headFont, headInk, 0, cols[k-1].name)
		}
		for i := range rows {
			if k == 0 {
				put(rowFont, p.ink, i+1, rows[i])
			} else {
				put(f, p.ink, i+1, cells[i][k-1])
			}
		}
		x += width[k]
	}
	m := d.worn(c, p, 0.45, 1.2, f.Size)

	return []*imageproc.RGB{m}, func() Turn {
		i, k := d.IntN(n), d.IntN(len(cols))
		column, value := cols[k].name, cells[i][k]
		unique := true
		for j := range cells {
			unique = unique && (j == i || cells[j][k] != value)
		}
		if unique && d.chance(0.2) {
			return d.turn("row", []string{rows[i]},
				fmt.Sprintf("Which %s has %s under %s?", strings.ToLower(head.name), value, column),
				fmt.Sprintf("In which row is \"%s\" in the column %s?", value, column))
		}
		return d.turn("cell", []string{value},
			fmt.Sprintf("What is in row \"%s\" and column \"%s\"?", rows[i], column),
			fmt.Sprintf("What is the %s of %s?", strings.ToLower(column), rows[i]),
			fmt.Sprintf("In the table, what does %s have under %s?", rows[i], column))
	}
}
