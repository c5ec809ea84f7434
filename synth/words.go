package synth

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

//go:embed words.txt
var wordFile string

// lists are the words of words.txt by the name of their list.
var lists = sync.OnceValue(func() map[string][]string {
	m := map[string][]string{}
	for line := range strings.Lines(wordFile) {
		name, words, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		if strings.Contains(words, "|") {
			m[name] = strings.Split(words, "|")
		} else {
			m[name] = strings.Fields(words)
		}
	}
	return m
})

// from returns a word of a list.
func (r random) from(list string) string { return one(r, lists()[list]) }

// word returns a word in small letters. Most are English, in one of their forms; the rest
// are invented, so that nobody can read by guessing.
func (r random) word() string {
	switch r.weighted(30, 22, 16, 9, 12, 5, 4, 2) {
	case 0:
		if w := r.from("noun"); r.chance(0.35) {
			return plural(w)
		} else {
			return w
		}
	case 1:
		return r.verb()
	case 2:
		switch w := r.from("adjective"); {
		case r.chance(0.25):
			return adverb(w)
		case r.chance(0.05):
			return "un" + w
		default:
			return w
		}
	case 3:
		return r.from("function")
	case 4:
		if w := r.from("tech"); r.chance(0.3) {
			return plural(w)
		} else {
			return w
		}
	case 5:
		return r.from("verb") + pick(r, "er", "able", "ment", "ation", "less", "ful", "ness")
	case 6:
		return r.invented(r.between(1, 4))
	default:
		return r.letters(r.between(2, 8))
	}
}

// verb returns a form of a verb.
func (r random) verb() string {
	w := r.from("verb")
	e := strings.HasSuffix(w, "e")
	consonantY := strings.HasSuffix(w, "y") && !strings.ContainsRune("aeou", rune(w[len(w)-2]))
	switch r.IntN(5) {
	case 0:
		return w
	case 1:
		return plural(w)
	case 2:
		switch {
		case e:
			return w + "d"
		case consonantY:
			return w[:len(w)-1] + "ied"
		}
		return w + "ed"
	case 3:
		if e && !strings.HasSuffix(w, "ee") {
			return w[:len(w)-1] + "ing"
		}
		return w + "ing"
	default:
		return pick(r, "re", "dis", "over", "mis", "pre", "un") + w
	}
}

// plural also gives a verb's third person.
func plural(w string) string {
	switch {
	case strings.HasSuffix(w, "y") && len(w) > 1 && !strings.ContainsRune("aeou", rune(w[len(w)-2])):
		return w[:len(w)-1] + "ies"
	case strings.HasSuffix(w, "s"), strings.HasSuffix(w, "x"), strings.HasSuffix(w, "ch"), strings.HasSuffix(w, "sh"), strings.HasSuffix(w, "z"):
		return w + "es"
	}
	return w + "s"
}

func adverb(w string) string {
	switch {
	case strings.HasSuffix(w, "y"):
		return w[:len(w)-1] + "ily"
	case strings.HasSuffix(w, "le"):
		return w[:len(w)-1] + "y"
	}
	return w + "ly"
}

// invented returns a word that can be pronounced and means nothing.
func (r random) invented(syllables int) string {
	starts := []string{"b", "bl", "br", "c", "ch", "cl", "cr", "d", "dr", "f", "fl", "fr", "g", "gl", "gr", "h", "j", "k", "l", "m", "n", "p", "ph", "pl", "pr", "qu", "r", "s", "sc", "sh", "sk", "sl", "sm", "sn", "sp", "st", "str", "t", "th", "tr", "v", "w", "wh", "x", "y", "z", "", ""}
	vowels := []string{"a", "e", "i", "o", "u", "a", "e", "i", "o", "u", "ai", "au", "ea", "ee", "ie", "oa", "oo", "ou", "y"}
	ends := []string{"", "", "", "b", "ck", "d", "f", "g", "l", "ll", "m", "n", "nd", "ng", "nt", "p", "r", "rd", "rk", "rm", "s", "ss", "st", "t", "tch", "v", "x", "z"}
	var b strings.Builder
	for range syllables {
		b.WriteString(one(r, starts))
		b.WriteString(one(r, vowels))
		b.WriteString(one(r, ends))
	}
	return b.String()
}

// letters returns n small letters, any after any.
func (r random) letters(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return string(b)
}

// capitals returns n capitals that no digit is mistaken for: neither I nor O.
func (r random) capitals(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "ABCDEFGHJKLMNPQRSTUVWXYZ"[r.IntN(24)]
	}
	return string(b)
}

// digits returns n digits.
func (r random) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + r.IntN(10))
	}
	return string(b)
}

// capital makes the first letter a capital.
func capital(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[n:]
}

// words returns n words with blanks between them.
func (r random) words(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = r.word()
	}
	return strings.Join(list, " ")
}

func (r random) first() string {
	if r.chance(0.03) {
		return r.from("accented")
	}
	if r.chance(0.04) {
		return capital(r.invented(2))
	}
	return r.from("first")
}

func (r random) last() string {
	if r.chance(0.03) {
		return r.from("accented")
	}
	if r.chance(0.06) {
		return capital(r.invented(2))
	}
	return r.from("last")
}

func (r random) fullName() string { return r.first() + " " + r.last() }

func (r random) city() string {
	if r.chance(0.03) {
		return r.from("cityaccented")
	}
	return r.from("city")
}

var (
	months   = strings.Fields("January February March April May June July August September October November December")
	weekdays = strings.Fields("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
	shorts   = strings.Fields("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec")
	days     = strings.Fields("Mon Tue Wed Thu Fri Sat Sun")
)

// numericDate writes a date in digits.
func (r random) numericDate() string {
	d, m, y := r.between(1, 28), r.between(1, 12), r.between(1980, 2035)
	switch r.weighted(4, 4, 4, 1, 1, 1) {
	case 0:
		return fmt.Sprintf("%02d/%02d/%d", d, m, y)
	case 1:
		return fmt.Sprintf("%02d.%02d.%d", d, m, y)
	case 2:
		return fmt.Sprintf("%d-%02d-%02d", y, m, d)
	case 3:
		return fmt.Sprintf("%d/%d/%02d", m, d, y%100)
	case 4:
		return fmt.Sprintf("%02d-%02d-%d", d, m, y)
	default:
		return fmt.Sprintf("%d.%d.%d", d, m, y)
	}
}

// date writes a date in digits or with the month's name.
func (r random) date() string {
	d, m, y := r.between(1, 28), r.IntN(12), r.between(1980, 2035)
	switch r.weighted(5, 2, 2, 2, 1, 1, 1) {
	case 0:
		return r.numericDate()
	case 1:
		return fmt.Sprintf("%s %d, %d", months[m], d, y)
	case 2:
		return fmt.Sprintf("%d %s %d", d, months[m], y)
	case 3:
		return fmt.Sprintf("%d %s %d", d, shorts[m], y)
	case 4:
		return fmt.Sprintf("%s %d, %d", shorts[m], d, y)
	case 5:
		return fmt.Sprintf("%d %s", d, months[m])
	default:
		return fmt.Sprintf("%s %d", months[m], y)
	}
}

// clock writes a time of day.
func (r random) clock() string {
	h, m := r.IntN(24), r.IntN(60)
	switch r.weighted(6, 2, 1, 1, 1) {
	case 0:
		return fmt.Sprintf("%02d:%02d", h, m)
	case 1:
		return fmt.Sprintf("%d:%02d %s", 1+h%12, m, pick(r, "am", "pm"))
	case 2:
		return fmt.Sprintf("%d:%02d %s", 1+h%12, m, pick(r, "AM", "PM"))
	case 3:
		return fmt.Sprintf("%d:%02d", h, m)
	default:
		return fmt.Sprintf("%02d:%02d:%02d", h, m, r.IntN(60))
	}
}

// amount writes a price without its currency: cents as shops like them, or any.
func (r random) amount(most float64) string {
	cents := int(r.logWithin(0.8, most) * 100)
	if r.chance(0.4) {
		cents = cents/100*100 + pick(r, 0, 25, 49, 50, 75, 90, 95, 99)
	}
	return fmt.Sprintf("%d.%02d", cents/100, cents%100)
}

func (r random) price() string {
	a := r.amount(900)
	switch r.IntN(8) {
	case 0:
		return "€" + a
	case 1:
		return "£" + a
	case 2:
		return a + pick(r, " EUR", " USD", " GBP", " CHF", " kr")
	case 3:
		return a + " €"
	case 4:
		return "-" + a
	default:
		return "$" + a
	}
}

func (r random) phone() string {
	switch r.IntN(7) {
	case 0:
		return fmt.Sprintf("+%d %s %s %s", r.between(1, 99), r.digits(3), r.digits(4), r.digits(3))
	case 1:
		return fmt.Sprintf("%s-%s-%s", r.digits(3), r.digits(3), r.digits(4))
	case 2:
		return fmt.Sprintf("(%s) %s-%s", r.digits(3), r.digits(3), r.digits(4))
	case 3:
		return fmt.Sprintf("0%s %s", r.digits(3), r.digits(6))
	case 4:
		return fmt.Sprintf("0%s/%s", r.digits(2), r.digits(7))
	case 5:
		return fmt.Sprintf("+%d-%s-%s", r.between(1, 99), r.digits(2), r.digits(7))
	default:
		return fmt.Sprintf("0%s %s %s", r.digits(2), r.digits(3), r.digits(4))
	}
}

// code returns what labels and plates have.
func (r random) code() string {
	switch r.IntN(11) {
	case 0:
		return r.digits(3) + "-" + r.capitals(3)
	case 1:
		return r.capitals(2) + r.digits(2) + " " + r.digits(1) + r.capitals(2)
	case 2:
		return r.capitals(3) + r.digits(3)
	case 3:
		return "#" + r.digits(r.between(4, 7))
	case 4:
		return r.capitals(4) + "-" + r.digits(2) + r.capitals(1)
	case 5:
		return r.capitals(1) + "-" + r.digits(r.between(2, 4))
	case 6:
		return r.digits(r.between(4, 9))
	case 7:
		return r.capitals(2) + "-" + r.digits(4) + "-" + r.capitals(1)
	case 8:
		return "No. " + r.digits(r.between(2, 5))
	case 9:
		return r.digits(4) + " " + r.digits(4) + " " + r.digits(4)
	default:
		var b strings.Builder
		for range r.between(5, 9) {
			if r.chance(0.5) {
				b.WriteString(r.digits(1))
			} else {
				b.WriteString(r.capitals(1))
			}
		}
		return b.String()
	}
}

func (r random) street() string {
	n := r.between(1, 199)
	if r.chance(0.5) {
		n = r.between(1, 40)
	}
	return fmt.Sprintf("%d %s %s", n, r.from("street"), r.from("way"))
}

func (r random) email() string {
	first, last := strings.ToLower(r.from("first")), strings.ToLower(r.from("last"))
	var user string
	switch r.IntN(5) {
	case 0:
		user = first + "." + last
	case 1:
		user = first[:1] + last
	case 2:
		user = fmt.Sprintf("%s%d", first, r.between(1, 99))
	case 3:
		user = first + "_" + last
	default:
		user = last
	}
	return user + "@" + r.from("mailhost")
}

func (r random) shop() string {
	switch r.IntN(6) {
	case 0:
		return r.from("last") + " & " + pick(r, "Sons", "Co", "Daughters", "Partners")
	case 1:
		return r.from("first") + "'s " + r.from("shoplast")
	case 2:
		return r.last() + "'s " + r.from("shoplast")
	default:
		return r.from("shopfirst") + " " + r.from("shoplast")
	}
}

// heading returns a heading of a page.
func (r random) heading() string {
	switch r.IntN(6) {
	case 0, 1, 2:
		return r.from("heading")
	case 3:
		return capital(r.words(r.between(2, 4)))
	case 4:
		return pick(r, "The ", "Our ", "A ", "My ", "About the ", "News of the ", "All about ") + r.from("adjective") + " " + r.from("noun")
	default:
		return capital(r.from("noun")) + pick(r, " and ", " or ", " for ", " with ", " without ", " in ") + plural(r.from("noun"))
	}
}

// sentence returns a sentence with its full stop.
func (r random) sentence() string {
	adj, noun := func() string { return r.from("adjective") }, func() string { return r.from("noun") }
	thing := func() string {
		return pick(r, "the ", "a ", "our ", "every ", "his ", "her ", "their ", "this ") + adj() + " " + noun()
	}
	past := func() string {
		for {
			if w := r.verb(); strings.HasSuffix(w, "ed") {
				return w
			}
		}
	}
	where := func() string {
		return pick(r, "near ", "behind ", "under ", "before ", "after ", "across ", "beside ", "without ", "during ", "over ", "inside ") + pick(r, "the ", "a ", "that ") + pick(r, adj()+" "+noun(), noun(), noun())
	}
	switch r.IntN(18) {
	case 0, 1:
		return capital(fmt.Sprintf("%s %s %s.", thing(), past(), thing()))
	case 2:
		return capital(fmt.Sprintf("%s %s %s %s.", thing(), past(), thing(), where()))
	case 3:
		return fmt.Sprintf("%s %s %s, and %s %s %s.", pick(r, r.first(), r.fullName()), past(), thing(), r.first(), past(), thing())
	case 4:
		return fmt.Sprintf("On %s, %d %s %s %s in %s.", one(r, weekdays), r.between(2, 99), plural(noun()), past(), thing(), r.city())
	case 5:
		return fmt.Sprintf("It takes %d %s from %s to %s.", r.between(2, 90), pick(r, "minutes", "hours", "days"), r.city(), thing())
	case 6:
		return fmt.Sprintf("%s was %s so %s?", pick(r, "Why", "When", "How", "Since when"), pick(r, "the ", "our ")+noun(), adj())
	case 7:
		return fmt.Sprintf("In %d a %s %s %s %s.", r.between(1700, 2030), adj(), noun(), pick(r, "stood", "lay", "fell", "began", "was seen"), where())
	case 8:
		return fmt.Sprintf("%s cost %s; %s is %s until %s.", capital(plural(noun())), r.price(), pick(r, "the ", "each ")+noun(), pick(r, "open", "closed", "free"), r.clock())
	case 9, 10:
		return capital(r.words(r.between(4, 9))) + pick(r, ".", ".", ".", "!", "?")
	case 11:
		return fmt.Sprintf("\"%s,\" said %s, \"%s.\"", capital(r.words(r.between(2, 5))), r.first(), r.words(r.between(2, 5)))
	case 12:
		return fmt.Sprintf("%s would have %s %s, had %s not %s %s.", r.first(), past(), thing(), pick(r, "he", "she", "they", "it"), past(), where())
	case 13:
		return fmt.Sprintf("There %s %s, %s and %s; %s.", pick(r, "were", "are"), plural(noun()), plural(noun()), plural(noun()), pick(r, "nobody", "everyone", "I", "we", r.first())+" "+past()+" "+pick(r, "it", "them", "nothing", "us"))
	case 14:
		return fmt.Sprintf("%s %s't %s %s-%s %s.", pick(r, "I", "We", "They", "You"), pick(r, "don", "didn", "couldn", "wouldn"), r.from("verb"), adj(), adj(), plural(noun()))
	case 15:
		return fmt.Sprintf("%s, %s of %s, %s (%s).", r.fullName(), noun(), r.city(), past()+" "+thing(), r.date())
	case 16:
		return fmt.Sprintf("%s %s %s: %s, %s, %s.", pick(r, "Mr.", "Mrs.", "Dr.", "Captain", "Aunt"), r.last(), past()+" "+pick(r, "three things", "a list", "his room", "the rest"), noun(), adj()+" "+noun(), plural(noun()))
	default:
		return fmt.Sprintf("%s, %s %s %s, %s.", capital(r.words(2)), pick(r, "he", "she", "it", "they"), past(), thing(), where())
	}
}

// prose returns sentences of about n characters, perhaps cut at a word.
func (r random) prose(n int) string {
	var b strings.Builder
	for b.Len() < n {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(r.sentence())
	}
	text := b.String()
	if len(text) > n+n/3 || r.chance(0.3) {
		words := strings.Fields(text)
		for len(words) > 3 && len(strings.Join(words, " ")) > n {
			words = words[:len(words)-1]
		}
		text = strings.Join(words, " ")
	}
	return text
}

// line returns what stands on one printed line: 1 to most characters, 4 at least where
// that is possible.
func (r random) line(most int) string {
	for range 50 {
		if s := r.anyLine(); utf8.RuneCountInString(s) <= most && utf8.RuneCountInString(s) >= 4 {
			return s
		}
	}
	s := r.word() + r.word()
	return s[:min(len(s), most)]
}

func (r random) anyLine() string {
	switch r.weighted(30, 9, 7, 9, 8, 8, 4, 5, 5, 5, 4, 6, 5) {
	case 0:
		return r.cased(r.words(r.weighted(2, 4, 3, 1) + 1))
	case 1:
		switch r.IntN(4) {
		case 0:
			return r.last() + ", " + r.first()[:1] + "."
		case 1:
			return pick(r, "Dr. ", "Mr. ", "Mrs. ", "Prof. ", "Ms. ") + r.fullName()
		default:
			return r.fullName()
		}
	case 2: // numbers
		switch r.IntN(6) {
		case 0:
			return fmt.Sprintf("%d.%02d", r.IntN(1000), r.IntN(100))
		case 1:
			return fmt.Sprintf("%d,%03d", r.between(1, 99), r.IntN(1000))
		case 2:
			return fmt.Sprintf("%d%%", r.IntN(1000)) + pick(r, " off", " sold", " cotton", "")
		case 3:
			return fmt.Sprintf("%d,%03d,%03d", r.between(1, 9), r.IntN(1000), r.IntN(1000))
		case 4:
			return fmt.Sprintf("%d.%d %s", r.IntN(200), r.IntN(10), pick(r, "kg", "km", "cm", "l", "m", "MB", "°C", "ml", "kW"))
		default:
			return r.digits(r.between(4, 10))
		}
	case 3:
		return r.code()
	case 4:
		return pick(r, "", "", "", "Total: ", "Price ", "only ", "from ", "Tax: ") + r.price()
	case 5:
		switch d := r.date(); r.IntN(5) {
		case 0:
			return one(r, weekdays) + ", " + d
		case 1:
			return d + " " + r.clock()
		default:
			return d
		}
	case 6:
		return pick(r, "", "", "Tel. ", "Tel ", "Phone: ") + r.phone()
	case 7:
		switch r.IntN(4) {
		case 0:
			return r.digits(5) + " " + r.city()
		case 1:
			return r.city() + ", " + r.from("country")
		default:
			return r.street()
		}
	case 8:
		name := pick(r, r.word(), r.word()+"_"+r.word(), r.word()+"-"+r.digits(r.between(1, 4)), r.capitals(3)+r.digits(4), r.word()+r.digits(2))
		return name + "." + r.from("extension")
	case 9:
		switch r.IntN(3) {
		case 0:
			return r.email()
		case 1:
			return "www." + r.word() + r.word() + "." + r.from("domain")
		default:
			return pick(r, "https://", "http://", "") + r.word() + "." + r.from("domain") + pick(r, "", "/"+r.word())
		}
	case 10:
		return pick(r, r.clock(), r.clock()+" - "+r.clock(), pick(r, "Gate ", "Room ", "Page ", "Level ", "Platform ", "Chapter ", "Line ")+r.digits(r.between(1, 3)))
	case 11:
		return pick(r, r.from("sign"), r.shop(), r.from("button"), r.from("phrase"), r.from("goods"), r.from("dish"), r.heading())
	default: // letters in any order
		b := make([]byte, r.between(4, 14))
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"[r.IntN(58)]
		}
		return string(b)
	}
}

// cased writes words as titles, sentences and shouts are written.
func (r random) cased(s string) string {
	switch r.weighted(4, 4, 2, 2) {
	case 0:
		s = capital(s)
	case 1:
	case 2:
		s = strings.ToUpper(s)
	default:
		words := strings.Fields(s)
		for i, w := range words {
			words[i] = capital(w)
		}
		s = strings.Join(words, " ")
	}
	switch r.IntN(14) {
	case 0:
		return s + pick(r, "?", "!", ".", ":", ",", ";", "...")
	case 1:
		return pick(r, "(", "\"", "[", "- ", "* ") + s + pick(r, ")", "\"", "]", "", "")
	}
	return s
}
