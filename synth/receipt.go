package synth

import (
	"fmt"
	"math"
	"strings"

	"idefics2/imageproc"
)

// drawReceipt prints a till receipt.
func drawReceipt(d *draft) ([]*imageproc.RGB, func() Turn) {
	most := 8
	if d.side() < 300 {
		most = 4
	}
	kind := pick(d.random, "goods", "goods", "dish", "thing")
	goods := some(d.random, lists()[kind], d.between(3, most))
	sign := pick(d.random, "", "$", "€", "£")
	cents := func(n int) string { return fmt.Sprintf("%s%d.%02d", sign, n/100, n%100) }
	prices := make([]int, len(goods))
	total := 0
	for i := range prices {
		prices[i] = d.between(80, 2999)
		if d.chance(0.3) {
			prices[i] = prices[i]/100*100 + 99
		}
		if d.chance(0.05) {
			prices[i] *= 4
		}
		total += prices[i]
	}
	shop, date := d.shop(), d.numericDate()
	for len(shop) > 24 {
		shop = d.shop()
	}

	size := d.within(11.5, 16) * d.scale
	f := d.font(till, size, shop+strings.Join(goods, "")+"€£$")
	p := paper{ground: white, ink: d.inkOn(white, 8)}
	switch d.IntN(4) {
	case 0:
		v := uint8(d.between(225, 252))
		p.ground = rgb{v, v, v, 255}
	case 1:
		p.ground = hsl(d.within(30, 60), d.within(0.2, 0.9), d.within(0.9, 0.97))
	case 2:
		p.ground = hsl(d.within(0, 360), d.within(0.1, 0.5), d.within(0.88, 0.97))
	}
	side := d.side()
	w := min(side, d.within(230, 300)*d.scale*math.Sqrt(size/d.scale/13))
	pad := d.within(8, 22) * d.scale
	wide := 0.0
	for _, g := range goods {
		wide = max(wide, f.measure(g+"  "+cents(9999)))
	}
	wide = max(wide, f.measure(date+"   12:34 PM")) + 2*pad
	if w = max(w, wide); w > side {
		w = side
	}
	c := newCanvas(int(w), int(side*2), p.ground)
	pitch := f.lineHeight() * d.within(0.92, 1.3)
	y := pad + f.ascent()
	row := func(left, right string) {
		c.print(f, p.ink, pad, y, left)
		c.anchored(f, p.ink, w-pad, y, 1, right)
		y += pitch
	}
	centre := func(f font, s string) {
		for f.measure(s) > w-pad {
			f.Size *= 0.93
		}
		c.anchored(f, p.ink, w/2, y, 0.5, s)
		y += pitch * max(1, f.Size/size*0.95)
	}
	ruled := func() {
		y += pitch * 0.25
		thick := max(1, math.Round(d.scale))
		at := math.Round(y-f.ascent()*0.6) + thick/2
		a, b := point{pad, at}, point{w - pad, at}
		switch d.IntN(5) {
		case 0:
			c.stroke(p.ink, a, b, thick)
		case 1:
			c.dashed(p.ink, a, b, thick, 5*d.scale, 3*d.scale)
		case 2:
			c.dashed(p.ink, a, b, thick, d.scale, 2*d.scale)
		case 3:
			mark := pick(d.random, "-", "=", "*", "- ")
			c.print(f, p.ink, pad, at+f.XHeight()*f.Size/2, strings.Repeat(mark, int((w-2*pad)/f.measure(mark))))
		default:
			c.stroke(p.ink, point{a.x, a.y - 1.5*thick}, point{b.x, b.y - 1.5*thick}, thick)
			c.stroke(p.ink, point{a.x, a.y + 1.5*thick}, point{b.x, b.y + 1.5*thick}, thick)
		}
		y += pitch * 0.6
	}

	head := f.at(size * d.within(1, 1.4))
	if d.chance(0.3) {
		head = head.bold()
	}
	name := shop
	centre(head, name)
	centre(f, d.street())
	if d.chance(0.4) {
		centre(f, pick(d.random, "Tel ", "Tel. ", "Phone ")+d.phone())
	}
	switch d.IntN(4) {
	case 0:
		row("Date", date)
	case 1:
		row("Date", date)
		row("Time", d.clock())
	default:
		row(date, d.clock())
	}
	if d.chance(0.15) {
		row(pick(d.random, "Receipt", "Cashier", "Till", "Table"), pick(d.random, d.first(), d.digits(3), "#"+d.digits(4)))
	}
	ruled()
	for i, g := range goods {
		row(g, cents(prices[i]))
	}
	ruled()
	if d.chance(0.3) {
		row(pick(d.random, "Items", "Items sold", "No. of items"), fmt.Sprint(len(goods)))
	}
	if d.chance(0.3) {
		tax := int(float64(total) * pick(d.random, 0.05, 0.07, 0.1, 0.19, 0.2) / 1.1)
		row(pick(d.random, "Incl. tax", "Tax", "VAT incl.", "Incl. VAT"), cents(tax))
	}
	label := pick(d.random, "TOTAL", "Total", "TOTAL", "Total", "Total:", "SUM TOTAL")
	keep := f
	if d.chance(0.3) {
		f = f.bold()
	}
	if d.chance(0.15) && f.measure(label+"    "+cents(total))*1.2 < w-2*pad {
		f.Size *= 1.2
	}
	row(label, cents(total))
	f = keep
	if d.chance(0.3) {
		cash := (total/500 + 1 + d.IntN(3)) * 500
		if d.chance(0.3) {
			cash = (total/1000 + 1) * 1000
		}
		row(pick(d.random, "Cash", "CASH", "Given"), cents(cash))
		row(pick(d.random, "Change", "CHANGE"), cents(cash-total))
	}
	if d.chance(0.6) {
		centre(f, pick(d.random, "Thank you!", "Have a nice day", "Please come again", "Goodbye", "See you soon", "Thanks for shopping", "Thank you for your visit"))
	}
	c = c.fitted(w, y-f.ascent()+d.within(3, 24)*d.scale)
	m := d.worn(c, p, 0.6, 2.2, size)

	money := func(n int) []string {
		if sign == "" {
			return []string{cents(n)}
		}
		return []string{cents(n), strings.TrimPrefix(cents(n), sign)}
	}
	return []*imageproc.RGB{m}, func() Turn {
		switch d.weighted(3, 4, 2, 1) {
		case 0:
			return d.turn("total", money(total), "What is the total?", "What is the total amount on this receipt?", "How much does everything cost together?")
		case 1:
			i := d.IntN(len(goods))
			low := strings.ToLower(goods[i])
			return d.turn("price", money(prices[i]), fmt.Sprintf("How much does the %s cost?", low), fmt.Sprintf("What is the price of \"%s\"?", goods[i]), fmt.Sprintf("Give the price of the %s.", low))
		case 2:
			return d.turn("date", []string{date}, "What is the date on the receipt?", "On which date was this bought?")
		default:
			return d.turn("shop", []string{shop}, "What is the name of the shop?", "Which shop is this receipt from?")
		}
	}
}
