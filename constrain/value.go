package constrain

import (
	"encoding/json"
	"fmt"
	"strings"

	"idefics2/internal/strictjson"
)

// value is a JSON value as it was written: an *object, a []value, a string, a json.Number, a
// bool, or nil.
type value any

// object keeps its members in order.
type object struct {
	keys []string
	of   map[string]value
}

func (o *object) get(name string) (value, bool) {
	v, ok := o.of[name]
	return v, ok
}

// maxFormat bounds a format's text in bytes.
const maxFormat = 128 << 10

func readValue(data []byte) (value, error) {
	if len(data) > maxFormat {
		return nil, fmt.Errorf("%d bytes, want at most %d", len(data), maxFormat)
	}
	s := strictjson.New(data)
	v, err := scan(s)
	if err == nil {
		err = s.End()
	}
	return v, err
}

func scan(s *strictjson.Scanner) (v value, err error) {
	switch s.Kind() {
	case strictjson.Object:
		o := &object{of: map[string]value{}}
		return o, s.Object(func(key string) error {
			o.keys = append(o.keys, key)
			o.of[key], err = scan(s)
			return err
		})
	case strictjson.Array:
		list := []value{}
		err := s.Array(func(int) error {
			v, err := scan(s)
			list = append(list, v)
			return err
		})
		return list, err
	case strictjson.String:
		return s.String()
	case strictjson.Number:
		n, err := s.Number()
		return json.Number(n), err
	case strictjson.Bool:
		return s.Bool()
	}
	return nil, s.Null()
}

// called names the type of a value as JSON Schema does, but for whole numbers: "integer".
func called(v value) string {
	switch v := v.(type) {
	case *object:
		return "object"
	case []value:
		return "array"
	case string:
		return "string"
	case json.Number:
		if d, err := parseDecimal(v); err == nil && d.whole() {
			return "integer"
		}
		return "number"
	case bool:
		return "boolean"
	}
	return "null"
}

// writeValue writes v as a schema's answer may, with no space that is not needed.
func (c *compiler) writeValue(v value) expr {
	switch v := v.(type) {
	case *object:
		var members []expr
		for _, k := range v.keys {
			members = append(members, c.seq(c.literal(spell(k)), c.colon, c.writeValue(v.of[k])))
		}
		return c.seq(c.literal("{"), c.joined(members), c.literal("}"))
	case []value:
		var items []expr
		for _, x := range v {
			items = append(items, c.writeValue(x))
		}
		return c.seq(c.literal("["), c.joined(items), c.literal("]"))
	case string:
		return c.literal(spell(v))
	case json.Number:
		return c.literal(v.String())
	case bool:
		return c.literal(fmt.Sprint(v))
	}
	return c.literal("null")
}

// joined puts commas between parts.
func (c *compiler) joined(parts []expr) expr {
	var all []expr
	for i, p := range parts {
		if i > 0 {
			all = append(all, c.comma)
		}
		all = append(all, p)
	}
	return c.seq(all...)
}

// pointer writes a name as a part of a JSON pointer (RFC 6901).
func pointer(at, name string) string {
	name = strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	if len(name) > 60 {
		name = name[:60] + "…"
	}
	return at + "/" + name
}
