package chat

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// strftime formats t as C does in the English locale. The zone stays unnamed, as for
// Python's datetime.now(). A minus or underscore after the percent sign (glibc) takes
// away leading zeros or makes them spaces.
func strftime(t time.Time, format string) (string, bool) {
	var b strings.Builder
	for format != "" {
		at := strings.IndexByte(format, '%')
		if at < 0 || at+1 >= len(format) {
			b.WriteString(format)
			break
		}
		b.WriteString(format[:at])
		format = format[at+1:]
		flag := byte(0)
		if len(format) > 1 && (format[0] == '-' || format[0] == '_') {
			flag, format = format[0], format[1:]
		}
		text, ok := directive(t, format[0])
		if !ok {
			return "", false
		}
		if n, err := strconv.Atoi(text); flag != 0 && err == nil {
			short := strconv.Itoa(n)
			if flag == '_' {
				short = fmt.Sprintf("%*d", len(text), n)
			}
			text = short
		}
		b.WriteString(text)
		format = format[1:]
	}
	return b.String(), true
}

func directive(t time.Time, c byte) (string, bool) {
	two := func(n int) (string, bool) { return fmt.Sprintf("%02d", n), true }
	space := func(n int) (string, bool) { return fmt.Sprintf("%2d", n), true }
	layout := func(l string) (string, bool) { return t.Format(l), true }
	hour12 := (t.Hour()+11)%12 + 1
	year, week := t.ISOWeek()
	// Weeks that begin on Sunday or Monday, counted from the year's first such day.
	weekFrom := func(first int) int { return (t.YearDay() + 6 - (int(t.Weekday())+7-first)%7) / 7 }
	switch c {
	case 'Y':
		return strconv.Itoa(t.Year()), true
	case 'y':
		return two(t.Year() % 100)
	case 'C':
		return two(t.Year() / 100)
	case 'G':
		return strconv.Itoa(year), true
	case 'g':
		return two(year % 100)
	case 'm':
		return two(int(t.Month()))
	case 'd':
		return two(t.Day())
	case 'e':
		return space(t.Day())
	case 'H':
		return two(t.Hour())
	case 'k':
		return space(t.Hour())
	case 'I':
		return two(hour12)
	case 'l':
		return space(hour12)
	case 'M':
		return two(t.Minute())
	case 'S':
		return two(t.Second())
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	case 'j':
		return fmt.Sprintf("%03d", t.YearDay()), true
	case 'B':
		return layout("January")
	case 'b', 'h':
		return layout("Jan")
	case 'A':
		return layout("Monday")
	case 'a':
		return layout("Mon")
	case 'p':
		return layout("PM")
	case 'P':
		return layout("pm")
	case 'F':
		return layout("2006-01-02")
	case 'D', 'x':
		return layout("01/02/06")
	case 'T', 'X':
		return layout("15:04:05")
	case 'R':
		return layout("15:04")
	case 'r':
		return layout("03:04:05 PM")
	case 'c':
		return layout("Mon Jan _2 15:04:05 2006")
	case 'w':
		return strconv.Itoa(int(t.Weekday())), true
	case 'u':
		return strconv.Itoa((int(t.Weekday())+6)%7 + 1), true
	case 'U':
		return two(weekFrom(0))
	case 'W':
		return two(weekFrom(1))
	case 'V':
		return two(week)
	case 's':
		return strconv.FormatInt(t.Unix(), 10), true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case 'Z', 'z':
		return "", true
	case '%':
		return "%", true
	}
	return "", false
}
