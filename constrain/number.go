package constrain

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// Numbers are written as JSON, whole ones without a fraction or an exponent. Without bounds they
// have up to wholeDigits before and fractionDigits behind the point: what every reader takes for
// what it is.
const (
	wholeDigits    = 15
	fractionDigits = 15
	maxDigits      = 40 // of a bound
)

// decimal is a number with its digits: ±whole.fraction, without zeros that say nothing. digits is
// never empty, fraction is where there is none.
type decimal struct {
	negative         bool
	digits, fraction string
}

// parseDecimal reads a number of JSON with at most maxDigits digits on each side.
func parseDecimal(n json.Number) (d decimal, err error) {
	wrong := fmt.Errorf("%.60s has too many digits, want at most %d on each side of the point", n, maxDigits)
	// An exponent that is long is out of range, and must not be worked out.
	if i := strings.IndexAny(string(n), "eE"); i >= 0 && len(n)-i > 5 || len(n) > 4*maxDigits {
		return d, wrong
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		return d, fmt.Errorf("%.60s is no number", n)
	}
	d.negative = r.Sign() < 0
	text := r.Abs(r).FloatString(maxDigits + 1)
	d.digits, d.fraction, _ = strings.Cut(text, ".")
	d.fraction = strings.TrimRight(d.fraction, "0")
	if len(d.digits) > maxDigits || len(d.fraction) > maxDigits {
		return d, wrong
	}
	return d, nil
}

func (d decimal) whole() bool { return d.fraction == "" }

// rat returns the number itself.
func (d decimal) rat() *big.Rat {
	r, _ := new(big.Rat).SetString(d.digits + "." + d.fraction + "0")
	if d.negative {
		r.Neg(r)
	}
	return r
}

func (d decimal) abs() decimal { d.negative = false; return d }

// limit is a bound; nil pointers to it are none.
type limit struct {
	decimal
	open bool // the bound itself is outside
}

// tighter returns the higher of two lower bounds, or with upper the lower of two upper ones.
func tighter(x, y *limit, upper bool) *limit {
	if x == nil || y == nil {
		if x == nil {
			return y
		}
		return x
	}
	c := x.rat().Cmp(y.rat())
	if upper {
		c = -c
	}
	if c > 0 || c == 0 && x.open {
		return x
	}
	return y
}

func (a *arena) digit() expr { return a.byteRange('0', '9') }

// digits is m to n digits of any kind.
func (a *arena) digits(m, n int) expr { return a.repeat(a.digit(), int32(m), int32(n)) }

// integer is a whole number within bounds.
func (a *arena) integer(lo, hi *limit) expr {
	least, most := wholeBound(lo, 1), wholeBound(hi, -1)
	far := new(big.Int).Exp(big.NewInt(10), big.NewInt(wholeDigits), nil)
	far.Sub(far, big.NewInt(1))
	if least == nil {
		if least = new(big.Int).Neg(far); most != nil && most.Cmp(least) < 0 {
			least.Mul(most, big.NewInt(10))
		}
	}
	if most == nil {
		if most = far; least.Cmp(most) > 0 {
			most = new(big.Int).Mul(least, big.NewInt(10))
		}
	}
	zero, one := big.NewInt(0), big.NewInt(1)
	e := nothing
	if most.Sign() >= 0 && least.Cmp(most) <= 0 {
		from := least
		if from.Sign() < 0 {
			from = zero
		}
		e = a.natural(from.String(), most.String())
	}
	if least.Sign() < 0 && least.Cmp(most) <= 0 {
		from := one
		if most.Sign() < 0 {
			from = new(big.Int).Neg(most)
		}
		e = a.or(e, a.cat(a.literal("-"), a.natural(from.String(), new(big.Int).Neg(least).String())))
	}
	return e
}

// wholeBound is the nearest whole number within a bound; inwards is 1 for a lower one, −1 for an upper one.
func wholeBound(l *limit, inwards int64) *big.Int {
	if l == nil {
		return nil
	}
	r := l.rat()
	floor := new(big.Int).Div(r.Num(), r.Denom()) // Euclidean: towards −∞ for a positive divisor
	switch {
	case !r.IsInt() && inwards > 0:
		floor.Add(floor, big.NewInt(1))
	case r.IsInt() && l.open:
		floor.Add(floor, big.NewInt(inwards))
	}
	return floor
}

// natural is a whole number from lo to hi, both without sign and without leading zeros.
func (a *arena) natural(lo, hi string) expr {
	if len(lo) > len(hi) {
		return nothing
	}
	var all []expr
	for n := len(lo); n <= len(hi); n++ {
		from, to := "1"+strings.Repeat("0", n-1), strings.Repeat("9", n)
		if n == len(lo) {
			from = lo
		}
		if n == len(hi) {
			to = hi
		}
		all = append(all, a.between(from, to))
	}
	return a.or(all...)
}

// between is the strings of as many digits as lo and hi have, from lo to hi.
func (a *arena) between(lo, hi string) expr {
	switch {
	case lo > hi:
		return nothing
	case strings.Trim(lo, "0") == "" && strings.Trim(hi, "9") == "":
		return a.digits(len(lo), len(lo))
	case lo[0] == hi[0]:
		return a.cat(a.literal(lo[:1]), a.between(lo[1:], hi[1:]))
	}
	n := len(lo) - 1
	all := []expr{
		a.cat(a.literal(lo[:1]), a.between(lo[1:], strings.Repeat("9", n))),
		a.cat(a.literal(hi[:1]), a.between(strings.Repeat("0", n), hi[1:])),
	}
	if lo[0]+1 <= hi[0]-1 {
		all = append(all, a.cat(a.byteRange(lo[0]+1, hi[0]-1), a.digits(n, n)))
	}
	return a.or(all...)
}

// number is a number within bounds. Only without any may it have an exponent.
func (a *arena) number(lo, hi *limit) expr {
	if lo == nil && hi == nil {
		whole := a.or(a.literal("0"), a.cat(a.byteRange('1', '9'), a.digits(0, wholeDigits-1)))
		sign := a.or(a.literal("-"), a.literal("+"))
		exponent := a.seq(a.or(a.literal("e"), a.literal("E")), a.optional(sign), a.digits(1, 2))
		fraction := a.cat(a.literal("."), a.digits(1, fractionDigits))
		return a.seq(a.optional(a.literal("-")), whole, a.optional(fraction), a.optional(exponent))
	}
	if lo != nil && hi != nil && lo.rat().Cmp(hi.rat()) > 0 {
		return nothing
	}
	e := nothing
	if hi == nil || !hi.negative {
		from := lo
		if lo == nil || lo.negative {
			from = &limit{decimal: decimal{digits: "0"}}
		}
		e = a.magnitude(*from, hi)
	}
	if lo == nil || lo.negative {
		from := limit{decimal{digits: "0"}, true} // zero has no sign here
		if hi != nil && hi.negative {
			from = limit{hi.abs(), hi.open}
		}
		var to *limit
		if lo != nil {
			to = &limit{lo.abs(), lo.open}
		}
		e = a.or(e, a.cat(a.literal("-"), a.magnitude(from, to)))
	}
	return e
}

// magnitude is a number without a sign from lo to hi.
func (a *arena) magnitude(lo limit, hi *limit) expr {
	if hi == nil {
		digits := strings.Repeat("9", max(wholeDigits, len(lo.digits)+1))
		hi = &limit{decimal: decimal{digits: digits}}
	}
	any := a.optional(a.cat(a.literal("."), a.digits(1, fractionDigits)))
	if lo.digits == hi.digits {
		// The whole part is given; the fraction is within both bounds.
		return a.cat(a.literal(lo.digits), a.and(a.above(lo), a.below(*hi)))
	}
	from, _ := new(big.Int).SetString(lo.digits, 10)
	to, _ := new(big.Int).SetString(hi.digits, 10)
	from.Add(from, big.NewInt(1))
	to.Sub(to, big.NewInt(1))
	between := nothing
	if from.Cmp(to) <= 0 {
		between = a.natural(from.String(), to.String())
	}
	return a.or(
		a.cat(a.literal(lo.digits), a.above(lo)),
		a.cat(between, any),
		a.cat(a.literal(hi.digits), a.below(*hi)))
}

// above is the fractions, point included, that are not below that of lo.
func (a *arena) above(lo limit) expr {
	f := lo.fraction
	rest := a.digits(0, fractionDigits)
	e := rest
	if lo.open { // something that is not zero must follow
		e = a.seq(a.digits0(), a.byteRange('1', '9'), rest)
	}
	for i := len(f) - 1; i >= 0; i-- {
		next := a.cat(a.literal(f[i:i+1]), e)
		if f[i] < '9' {
			next = a.or(next, a.cat(a.byteRange(f[i]+1, '9'), rest))
		}
		e = next
	}
	e = a.cat(a.literal("."), a.and(e, a.digits(1, fractionDigits+maxDigits)))
	if f == "" && !lo.open {
		e = a.or(epsilon, e)
	}
	return e
}

// below is the fractions, point included, that are not above that of hi.
func (a *arena) below(hi limit) expr {
	f := hi.fraction
	rest := a.digits(0, fractionDigits)
	e := a.digits0()
	if hi.open {
		e = nothing
	}
	for i := len(f) - 1; i >= 0; i-- {
		next := a.or(epsilon, a.cat(a.literal(f[i:i+1]), e)) // f does not end in 0: to stop is to be below
		if f[i] > '0' {
			next = a.or(next, a.cat(a.byteRange('0', f[i]-1), rest))
		}
		e = next
	}
	e = a.cat(a.literal("."), a.and(e, a.digits(1, fractionDigits+maxDigits)))
	if f != "" || !hi.open {
		e = a.or(epsilon, e)
	}
	return e
}

func (a *arena) digits0() expr { return a.repeat(a.literal("0"), 0, fractionDigits) }
