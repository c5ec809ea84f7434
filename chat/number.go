package chat

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// maxIntBits bounds integers; it is a little beyond the 4,300 digits that Python
// agrees to print.
const maxIntBits = 1 << 14

func isNumber(v Value) bool {
	switch v.(type) {
	case bool, int64, *big.Int, float64:
		return true
	}
	return false
}

// integer returns an int or bool that fits in 64 bits.
func integer(v Value) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// bigInteger returns an int or bool of any size.
func bigInteger(v Value) (*big.Int, bool) {
	if n, ok := v.(*big.Int); ok {
		return n, true
	}
	if n, ok := integer(v); ok {
		return big.NewInt(n), true
	}
	return nil, false
}

// clamp returns an int of any size, cut to the 64-bit range, as slices take it.
func clamp(v Value) (int64, bool) {
	if n, ok := v.(*big.Int); ok {
		if n.Sign() < 0 {
			return math.MinInt64, true
		}
		return math.MaxInt64, true
	}
	return integer(v)
}

// normal returns n as an int64 where it fits. Larger than maxIntBits is an error.
func (s *state) normal(n *big.Int) Value {
	if n.IsInt64() {
		return n.Int64()
	}
	if n.BitLen() > maxIntBits {
		s.fail(KindBudget, "integer of %d bits, at most %d", n.BitLen(), maxIntBits)
	}
	s.alloc(n.BitLen()/8 + valueSize)
	return n
}

// float converts any number; an int beyond float64 is Python's OverflowError.
func (s *state) float(v Value) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		if math.IsInf(f, 0) {
			s.fail(KindRuntime, "int too large to convert to float")
		}
		return f
	}
	n, _ := integer(v)
	return float64(n)
}

// compareNumbers orders two numbers exactly, false where one is not a number (NaN).
func compareNumbers(a, b Value) (int, bool) {
	if x, ok := integer(a); ok {
		if y, ok := integer(b); ok {
			switch {
			case x < y:
				return -1, true
			case x > y:
				return 1, true
			}
			return 0, true
		}
	}
	exact := func(v Value) *big.Float {
		if f, ok := v.(float64); ok {
			return big.NewFloat(f)
		}
		n, _ := bigInteger(v)
		return new(big.Float).SetInt(n)
	}
	for _, v := range []Value{a, b} {
		if f, ok := v.(float64); ok && math.IsNaN(f) {
			return 0, false
		}
	}
	return exact(a).Cmp(exact(b)), true
}

// arithmetic applies one of + - * / // % ** with Python's rules.
func (s *state) arithmetic(op string, a, b Value) Value {
	if format, ok := text(a); ok && op == "%" {
		return s.formatPercent(format, b)
	}
	s.refuseUndefined(a, b)
	if isNumber(a) && isNumber(b) {
		_, floatA := a.(float64)
		_, floatB := b.(float64)
		if floatA || floatB || op == "/" {
			return s.floatArithmetic(op, a, b)
		}
		return s.intArithmetic(op, a, b)
	}
	switch op {
	case "+":
		if v, ok := s.concatenate(a, b); ok {
			return v
		}
	case "*":
		if v, ok := s.repeat(a, b); ok {
			return v
		}
		if v, ok := s.repeat(b, a); ok {
			return v
		}
	}
	s.fail(KindType, "unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(a), typeName(b))
	return nil
}

func (s *state) intArithmetic(op string, a, b Value) Value {
	x, okX := integer(a)
	y, okY := integer(b)
	if okX && okY {
		// Sums of two 62-bit and products of two 31-bit numbers stay in 64 bits.
		switch small := func(n int64, bits int) bool { return -1<<bits < n && n < 1<<bits }; {
		case op == "+" && small(x, 62) && small(y, 62):
			return x + y
		case op == "-" && small(x, 62) && small(y, 62):
			return x - y
		case op == "*" && small(x, 31) && small(y, 31):
			return x * y
		}
	}
	m, _ := bigInteger(a)
	n, _ := bigInteger(b)
	z := new(big.Int)
	s.charge(m.BitLen() + n.BitLen())
	switch op {
	case "+":
		return s.normal(z.Add(m, n))
	case "-":
		return s.normal(z.Sub(m, n))
	case "*":
		return s.normal(z.Mul(m, n))
	case "**":
		return s.power(m, n)
	}
	if n.Sign() == 0 {
		s.fail(KindRuntime, "integer division or modulo by zero")
	}
	// Python rounds the quotient towards minus infinity, so the rest has n's sign.
	rest := new(big.Int)
	z.QuoRem(m, n, rest)
	if rest.Sign() != 0 && rest.Sign() != n.Sign() {
		z.Sub(z, big.NewInt(1))
		rest.Add(rest, n)
	}
	if op == "//" {
		return s.normal(z)
	}
	return s.normal(rest)
}

// power is m ** n for integers. The size of the result is known before it is made.
func (s *state) power(m, n *big.Int) Value {
	if n.Sign() < 0 {
		return s.floatArithmetic("**", s.normal(m), s.normal(n))
	}
	if m.BitLen() <= 1 { // 0, 1 and -1: only n's parity matters
		switch {
		case n.Sign() == 0:
			return int64(1)
		case n.Bit(0) == 0:
			return s.normal(new(big.Int).Mul(m, m))
		}
		return s.normal(m)
	}
	if !n.IsInt64() || n.Int64() > maxIntBits || int64(m.BitLen()-1)*n.Int64() > maxIntBits {
		s.fail(KindBudget, "exponent too large: the result would have more than %d bits", maxIntBits)
	}
	return s.normal(new(big.Int).Exp(m, n, nil))
}

func (s *state) floatArithmetic(op string, a, b Value) Value {
	if op == "/" {
		m, okM := bigInteger(a)
		n, okN := bigInteger(b)
		if okM && okN && n.Sign() != 0 {
			// Rounded once from the exact quotient, as Python does.
			f, _ := new(big.Rat).SetFrac(m, n).Float64()
			if math.IsInf(f, 0) {
				s.fail(KindRuntime, "integer division result too large for a float")
			}
			return f
		}
	}
	x, y := s.float(a), s.float(b)
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "**":
		return s.floatPower(x, y)
	}
	if y == 0 {
		s.fail(KindRuntime, "float division by zero")
	}
	if op == "/" {
		return x / y
	}
	quotient, rest := floorDivide(x, y)
	if op == "//" {
		return quotient
	}
	return rest
}

// floorDivide is Python's divmod of floats: the rest has y's sign, and quotient·y + rest
// is x as nearly as can be.
func floorDivide(x, y float64) (quotient, rest float64) {
	rest = math.Mod(x, y)
	q := (x - rest) / y
	if rest != 0 {
		if (y < 0) != (rest < 0) {
			rest += y
			q--
		}
	} else {
		rest = math.Copysign(0, y)
	}
	if q == 0 {
		return math.Copysign(0, x/y), rest
	}
	quotient = math.Floor(q)
	if q-quotient > 0.5 {
		quotient++
	}
	return quotient, rest
}

func (s *state) floatPower(x, y float64) Value {
	if x == 0 && y < 0 {
		s.fail(KindRuntime, "0.0 cannot be raised to a negative power")
	}
	if x < 0 && y != math.Trunc(y) && !math.IsInf(x, 0) {
		s.fail(KindType, "complex numbers are not supported: %s ** %s", formatFloat(x), formatFloat(y))
	}
	z := math.Pow(x, y)
	if math.IsInf(z, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		s.fail(KindRuntime, "result of ** too large for a float")
	}
	return z
}

// concatenate is + of two strings, lists or tuples.
func (s *state) concatenate(a, b Value) (Value, bool) {
	x, okX := text(a)
	y, okY := text(b)
	if okX && okY {
		_, safeX := a.(markup)
		_, safeY := b.(markup)
		if safeX && !safeY {
			y = escapeHTML(y)
		}
		if safeY && !safeX {
			x = escapeHTML(x)
		}
		s.alloc(len(x) + len(y))
		if safeX || safeY {
			return markup(x + y), true
		}
		return x + y, true
	}
	l, okL := sequence(a)
	r, okR := sequence(b)
	if !okL || !okR || typeName(a) != typeName(b) {
		return nil, false
	}
	s.alloc((len(l) + len(r)) * valueSize)
	return like(a, append(append(make([]Value, 0, len(l)+len(r)), l...), r...)), true
}

// like returns items as a list or tuple, whichever model is.
func like(model Value, items []Value) Value {
	if _, ok := model.(Tuple); ok {
		return Tuple(items)
	}
	return List(items)
}

// repeat is seq * times.
func (s *state) repeat(seq, times Value) (Value, bool) {
	n, ok := clamp(times)
	if !ok {
		return nil, false
	}
	n = max(n, 0)
	if str, ok := text(seq); ok {
		s.allocMany(len(str), n)
		if str == "" {
			return str, true
		}
		return strings.Repeat(str, int(n)), true
	}
	items, ok := sequence(seq)
	if !ok {
		return nil, false
	}
	s.allocMany(len(items)*valueSize, n)
	if len(items) == 0 {
		return seq, true
	}
	out := make([]Value, 0, len(items)*int(n))
	for range n {
		out = append(out, items...)
	}
	return like(seq, out), true
}

// negate is -v, and positive +v.
func (s *state) negate(v Value) Value {
	s.refuseUndefined(v)
	if f, ok := v.(float64); ok {
		return -f
	}
	if !isNumber(v) {
		s.fail(KindType, "bad operand type for unary -: '%s'", typeName(v))
	}
	return s.intArithmetic("-", int64(0), v)
}

func (s *state) positive(v Value) Value {
	s.refuseUndefined(v)
	if !isNumber(v) {
		s.fail(KindType, "bad operand type for unary +: '%s'", typeName(v))
	}
	if n, ok := integer(v); ok {
		return n
	}
	return v
}

// formatFloat is Python's repr of a float: the shortest digits that read back the
// same, with an exponent below 1e-4 and from 1e16 on.
func formatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	e := strconv.FormatFloat(f, 'e', -1, 64)
	at := strings.IndexByte(e, 'e')
	exp, _ := strconv.Atoi(e[at+1:])
	if f != 0 && (exp < -4 || exp >= 16) {
		return e // Go writes at least two digits of exponent, as Python does
	}
	out := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(out, ".") {
		out += ".0"
	}
	return out
}

// round is Python's round(v, digits): to even where the exact value lies halfway.
// It keeps an int an int.
func (s *state) round(v Value, digits int64) Value {
	if n, ok := bigInteger(v); ok {
		if digits >= 0 {
			return s.normal(n)
		}
		return s.normal(roundRat(new(big.Rat).SetInt(n), digits))
	}
	f, ok := v.(float64)
	if !ok {
		s.refuseUndefined(v)
		s.fail(KindType, "type %s doesn't define __round__ method", typeName(v))
	}
	if f == 0 || math.IsInf(f, 0) || math.IsNaN(f) || digits > 323 {
		return f
	}
	if digits < -309 {
		return math.Copysign(0, f)
	}
	if digits >= 0 {
		// FormatFloat rounds the exact binary value to nearest even.
		out, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(digits), 64), 64)
		return out
	}
	out, _ := new(big.Float).SetInt(roundRat(new(big.Rat).SetFloat64(f), digits)).Float64()
	return math.Copysign(out, f)
}

// roundRat rounds to a multiple of 10^-digits for digits < 0, halves to even.
func roundRat(x *big.Rat, digits int64) *big.Int {
	if -digits > maxIntBits {
		return new(big.Int)
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(-digits), nil)
	q := new(big.Rat).Quo(x, new(big.Rat).SetInt(unit))
	floor, rest := new(big.Int).DivMod(q.Num(), q.Denom(), new(big.Int))
	switch rest.Lsh(rest, 1).Cmp(q.Denom()) {
	case 1:
		floor.Add(floor, big.NewInt(1))
	case 0:
		if floor.Bit(0) == 1 {
			floor.Add(floor, big.NewInt(1))
		}
	}
	return floor.Mul(floor, unit)
}

// parseInt reads an int as Python's int(text, base) does: white space around it, one
// underscore between digits, and a prefix that agrees with the base.
func parseInt(src string, base int) (*big.Int, bool) {
	src = trimSpace(src)
	digits := strings.TrimLeft(src, "+-")
	if len(src)-len(digits) > 1 || len(digits) > 4300 || digits == "" {
		return nil, false
	}
	prefix := strings.ToLower(digits[:min(2, len(digits))])
	if b := map[string]int{"0x": 16, "0o": 8, "0b": 2}[prefix]; b != 0 && (b == base || base == 0) {
		digits, base = strings.TrimPrefix(digits[2:], "_"), b
	} else if base == 0 {
		base = 10
		if digits[0] == '0' && strings.Trim(digits, "0_") != "" {
			return nil, false
		}
	}
	if strings.HasPrefix(digits, "_") || strings.HasSuffix(digits, "_") || strings.Contains(digits, "__") || strings.ContainsAny(digits, "+-") {
		return nil, false
	}
	n, ok := new(big.Int).SetString(asciiDigits(strings.ReplaceAll(digits, "_", "")), base)
	if ok && strings.HasPrefix(src, "-") {
		n.Neg(n)
	}
	return n, ok
}

// parseFloat reads a float as Python's float(text) does.
func parseFloat(src string) (float64, bool) {
	src = asciiDigits(trimSpace(src))
	for i := range len(src) { // underscores only between digits, and no hexadecimal
		switch c := src[i]; {
		case c == '_':
			if i == 0 || i == len(src)-1 || !isDigit(src[i-1]) || !isDigit(src[i+1]) {
				return 0, false
			}
		case c == 'x' || c == 'X' || c == 'p' || c == 'P':
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(src, "_", ""), 64)
	if err != nil && !math.IsInf(f, 0) { // out of range is infinity in Python too
		return 0, false
	}
	return f, true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
