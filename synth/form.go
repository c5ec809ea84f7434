package synth

import (
	"fmt"
	"math"
	"strings"

	"idefics2/imageproc"
)

// fields are what forms ask for, and how it is answered.
var fields = []struct {
	label string
	value func(r random) string
}{
	{"Name", random.fullName}, {"First name", random.first}, {"Last name", random.last}, {"Full name", random.fullName},
	{"Contact person", random.fullName}, {"Signed by", random.fullName}, {"Teacher", random.fullName}, {"Doctor", func(r random) string { return "Dr. " + r.last() }},
	{"Customer", random.fullName}, {"Guest", random.fullName}, {"Author", random.fullName}, {"Emergency contact", random.fullName}, {"Owner", random.fullName},
	{"Email", random.email}, {"Phone", random.phone}, {"Mobile", random.phone}, {"Fax", random.phone},
	{"Address", random.street}, {"Street", random.street}, {"City", random.city}, {"Place of birth", random.city}, {"Destination", random.city}, {"Origin", random.city}, {"Branch", random.city},
	{"Postcode", func(r random) string {
		return pick(r, r.digits(5), r.capitals(2)+r.digits(2)+" "+r.digits(1)+r.capitals(2))
	}},
	{"Country", func(r random) string { return r.from("country") }}, {"Nationality", func(r random) string { return r.from("nationality") }},
	{"Language", func(r random) string { return r.from("nationality") }},
	{"Department", func(r random) string { return r.from("department") }}, {"Occupation", func(r random) string { return r.from("job") }}, {"Profession", func(r random) string { return r.from("job") }},
	{"Company", random.shop}, {"Supplier", random.shop}, {"Subject", func(r random) string { return r.from("subject") }}, {"Course", func(r random) string { return r.from("subject") }},
	{"Material", func(r random) string { return r.from("material") }}, {"Colour", func(r random) string { return one(r, colourNames) }},
	{"Product", func(r random) string { return pick(r, r.from("thing"), r.from("goods")) }}, {"Item", func(r random) string { return r.from("thing") }}, {"Pet", func(r random) string { return r.from("animal") }},
	{"Date", random.date}, {"Date of birth", random.date}, {"Issued on", random.date}, {"Valid until", random.date}, {"Delivery date", random.date}, {"Check-in", random.date}, {"Due date", random.date}, {"Start date", random.date}, {"Expires", random.date},
	{"Time", random.clock}, {"Departure", random.clock}, {"Arrival", random.clock}, {"Opening time", random.clock}, {"Boarding", random.clock},
	{"Member since", func(r random) string { return fmt.Sprint(r.between(1970, 2030)) }}, {"Year", func(r random) string { return fmt.Sprint(r.between(1950, 2030)) }},
	{"Order number", random.code}, {"Serial number", random.code}, {"Reference", random.code}, {"Invoice number", random.code}, {"Customer number", random.code}, {"Ticket", random.code}, {"Licence plate", random.code}, {"Booking code", random.code}, {"Passport number", random.code}, {"Account", random.code},
	{"Room", func(r random) string {
		return pick(r, fmt.Sprint(r.between(1, 499)), fmt.Sprintf("%d%s", r.between(1, 199), r.capitals(1)))
	}},
	{"Seat", func(r random) string { return fmt.Sprintf("%d%c", r.between(1, 40), "ABCDEF"[r.IntN(6)]) }}, {"Gate", func(r random) string { return fmt.Sprintf("%c%d", "ABCDEF"[r.IntN(6)], r.between(1, 60)) }},
	{"Flight", func(r random) string { return r.capitals(2) + " " + r.digits(r.between(3, 4)) }}, {"Platform", func(r random) string { return fmt.Sprint(r.between(1, 24)) }}, {"Floor", func(r random) string { return fmt.Sprint(r.between(0, 30)) }},
	{"Quantity", func(r random) string { return fmt.Sprint(r.between(1, 200)) }}, {"Number of guests", func(r random) string { return fmt.Sprint(r.between(1, 12)) }}, {"Age", func(r random) string { return fmt.Sprint(r.between(4, 99)) }}, {"Copies", func(r random) string { return fmt.Sprint(r.between(1, 99)) }},
	{"Weight", func(r random) string { return fmt.Sprintf("%d.%d kg", r.between(1, 99), r.IntN(10)) }}, {"Height", func(r random) string { return fmt.Sprintf("%d cm", r.between(80, 200)) }}, {"Length", func(r random) string { return fmt.Sprintf("%d.%d m", r.between(1, 40), r.IntN(10)) }},
	{"Distance", func(r random) string { return fmt.Sprintf("%d km", r.between(2, 900)) }}, {"Temperature", func(r random) string { return fmt.Sprintf("%d °C", r.between(2, 41)) }}, {"Duration", func(r random) string { return fmt.Sprintf("%d %s", r.between(2, 90), pick(r, "min", "days", "hours")) }},
	{"Price", random.price}, {"Total", random.price}, {"Deposit", random.price}, {"Fee", random.price}, {"Amount", random.price},
	{"Discount", func(r random) string { return fmt.Sprintf("%d%%", r.between(2, 60)) }}, {"Tax rate", func(r random) string { return fmt.Sprintf("%d%%", r.between(2, 25)) }},
	{"Insurance", func(r random) string { return pick(r, "Yes", "No") }}, {"Breakfast", func(r random) string { return pick(r, "Yes", "No", "Included") }}, {"Smoker", func(r random) string { return pick(r, "Yes", "No") }}, {"Newsletter", func(r random) string { return pick(r, "Yes", "No") }},
	{"Status", func(r random) string {
		return pick(r, "Open", "Paid", "Closed", "Pending", "Sent", "Active", "New", "Done", "Cancelled", "Approved", "Delivered", "In progress")
	}},
	{"Payment", func(r random) string { return pick(r, "Cash", "Card", "Invoice", "Transfer", "Cheque", "Online") }}, {"Size", func(r random) string { return pick(r, "S", "M", "L", "XL", "XXL", "38", "40", "42", "44") }},
	{"Class", func(r random) string { return pick(r, "Economy", "Business", "First", "2nd", "1st", "4B", "7A", "9C") }}, {"Grade", func(r random) string { return pick(r, "A", "B", "C", "D", "A+", "B-", "1.7", "2.3") }}, {"Priority", func(r random) string { return pick(r, "Low", "Medium", "High", "Urgent") }},
	{"Blood group", func(r random) string { return pick(r, "A+", "B+", "AB-", "B-", "A-", "AB+") }}, {"Website", func(r random) string { return "www." + r.word() + "." + r.from("domain") }}, {"File", func(r random) string { return r.word() + "." + r.from("extension") }},
	{"Weekday", func(r random) string { return one(r, weekdays) }}, {"Month", func(r random) string { return one(r, months) }}, {"Model", func(r random) string { return capital(r.invented(2)) + " " + r.digits(r.between(1, 3)) }}, {"Title", random.heading}, {"Remark", func(r random) string { return r.words(2) }},
}

// field returns n different labels with their values.
func (d *draft) fields(n int) (labels, values []string) {
	for _, i := range d.Perm(len(fields)) {
		if len(labels) == n {
			break
		}
		value := fields[i].value(d.random)
		if len(value) > 26 || !d.fits(value) {
			continue
		}
		labels, values = append(labels, fields[i].label), append(values, value)
	}
	return labels, values
}

// formTitles stand over forms.
var formTitles = []string{"Application form", "Booking", "Member card", "Visitor record", "Order form", "Registration", "Delivery note", "Boarding pass", "Invoice", "Guest card", "Patient record", "Staff record", "Reservation", "Ticket", "Data sheet", "Library card", "Service report", "Claim form", "Rental contract", "Student card", "Customs form", "Certificate", "Questionnaire", "Summary", "Personal details", "Shipping label", "Pass", "Entry form", "Product card", "Inspection"}

// drawForm prints labels with their values in one of five arrangements.
func drawForm(d *draft) ([]*imageproc.RGB, func() Turn) {
	most := 10
	if d.side() < 300 {
		most = 6
	}
	labels, values := d.fields(d.between(4, most))
	p := d.paper(0.25)
	size := d.within(12, 17) * d.scale
	all := strings.Join(labels, "") + strings.Join(values, "")
	valueFont := d.font(printed, size, all)
	labelFont := valueFont
	if d.chance(0.4) {
		labelFont = d.font(printed, size, all)
	}
	switch d.IntN(4) {
	case 0:
		labelFont = labelFont.bold()
	case 1:
		labelFont = labelFont.regular()
	}
	labelInk := p.ink
	switch d.IntN(4) {
	case 0:
		labelInk = blend(p.ink, p.ground, 0.3)
	case 1:
		labelInk = p.accent
	}
	side := d.side()
	c := newCanvas(int(side), int(side*1.6), p.ground)
	left, y := d.within(8, 24)*d.scale, d.within(6, 18)*d.scale
	line := max(valueFont.lineHeight(), labelFont.lineHeight())
	if d.chance(0.5) {
		title := labelFont.at(size * d.within(1.1, 1.45))
		c.print(title, pick(d.random, p.ink, p.accent), left, y+title.ascent(), one(d.random, formTitles))
		y += title.lineHeight() + d.within(3, 14)*d.scale
	}
	var widest, widestValue float64
	measure := func() float64 {
		widest, widestValue = 0, 0
		for i := range labels {
			widest = max(widest, labelFont.measure(labels[i]+" :"))
			widestValue = max(widestValue, valueFont.measure(values[i]))
		}
		return left + widest + widestValue + 3*size
	}
	for measure() > side {
		size *= 0.95
		labelFont.Size, valueFont.Size = size, size
	}
	thin := max(1, math.Round(d.scale*d.within(0.6, 1.4)))
	rule := blend(p.ground, p.ink, d.within(0.3, 0.8))
	right := side - left
	switch style := d.IntN(6); style {
	case 0, 1, 5: // colon, underlined, dotted
		tab := left + widest + d.within(0.5, 1.6)*size
		if style != 1 && d.chance(0.15) {
			tab = max(tab, right-widestValue) // values at the right
		}
		right = max(tab+widestValue, min(right, tab+widestValue+d.within(0, 160)))
		pitch := line + d.within(1, 12)*d.scale
		colon := pick(d.random, ":", ":", ":", "", " :")
		for i := range labels {
			base := y + labelFont.ascent()
			c.print(labelFont, labelInk, left, base, labels[i]+colon)
			c.print(valueFont, p.ink, tab, base, values[i])
			switch style {
			case 1:
				c.rect(rule, tab-2, math.Round(base+size*0.25), right-tab+4, thin)
			case 5:
				c.dashed(rule, point{left + labelFont.measure(labels[i]+colon) + 4, base}, point{tab - 4, base}, thin, thin, 3*thin)
			}
			y += pitch
		}
	case 2: // grid
		pad := d.within(0.25, 0.55) * size
		cell := math.Round(line + pad)
		tab := left + widest + 2*pad
		right = min(side-3, max(tab+widestValue+2*pad, min(right, tab+widestValue+d.within(10, 160))))
		if d.chance(0.3) {
			c.rect(blend(p.ground, p.accent, 0.15), left, y, tab-left, cell*float64(len(labels)))
		}
		for i := range labels {
			top := math.Round(y)
			c.frame(rule, math.Round(left), top, math.Round(right-left), cell+thin, thin)
			c.print(labelFont, labelInk, left+pad, labelFont.middle(top+cell/2), labels[i])
			c.print(valueFont, p.ink, tab+pad, valueFont.middle(top+cell/2+pick(d.random, 0.0, -1)), values[i])
			y += cell
		}
		c.rect(rule, math.Round(tab), math.Round(y-cell*float64(len(labels))), thin, cell*float64(len(labels)))
	default: // boxes or plain values below their labels, in one or two columns
		columns := pick(d.random, 1, 2, 2)
		boxed := style == 3 || d.chance(0.5)
		gap := d.within(6, 20) * d.scale
		width := (right - left - gap*float64(columns-1)) / float64(columns)
		small := labelFont.at(size * d.within(0.78, 1))
		if widestValue > width-8 {
			columns, width = 1, right-left
		}
		box := math.Round(valueFont.lineHeight() + d.within(1, 6)*d.scale)
		for i := range labels {
			x := left + float64(i%columns)*(width+gap)
			c.print(small, labelInk, x, y+small.ascent(), labels[i])
			top := math.Round(y + small.lineHeight())
			if boxed {
				if d.chance(0.01) {
					c.rect(white, x, top, width, box)
				}
				c.frame(rule, math.Round(x), top, math.Round(width), box, thin)
				c.print(valueFont, p.ink, x+5*d.scale, valueFont.middle(top+box/2), values[i])
			} else {
				c.print(valueFont, p.ink, x+2, top+valueFont.ascent(), values[i])
			}
			if i%columns == columns-1 || i == len(labels)-1 {
				y = top + box + d.within(2, 8)*d.scale
			}
		}
	}
	w := side
	if d.chance(0.3) {
		w = min(side, right+left)
	}
	c = c.fitted(max(w, right+4), y+d.within(4, 20)*d.scale)
	m := d.worn(c, p, 0.45, 1.2, size)
	return []*imageproc.RGB{m}, func() Turn {
		i := d.IntN(len(labels))
		l := labels[i]
		return d.turn("field", []string{values[i]}, fmt.Sprintf("What is the value of \"%s\"?", l), fmt.Sprintf("What is written next to \"%s\"?", l), fmt.Sprintf("Which value does the form give for \"%s\"?", l), l+"?")
	}
}
