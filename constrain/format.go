// Package constrain makes a model write what a program can read: JSON that a schema describes,
// text that a regular expression matches, or one of a list of texts.
//
// A [Format] becomes a [Grammar]: expressions over bytes, whose derivatives are the states of a
// generation (expr.go). For each state a walk over the tree of the vocabulary's byte strings finds
// the tokens that may come next; that mask is remembered. A [Constraint] answers for one request.
// A state is only entered if text can still follow that completes the format, and an end id is
// only allowed where the text is complete. So an answer that ends by itself is valid; one that
// MaxNewTokens or a stop string cuts short may be the beginning of one.
//
// # JSON
//
// The text has one form: members in the order of the schema; no white space but one blank, or
// none, after a colon and a comma; each character of a string as itself, but for \" and \\ and
// control characters, which are \b \t \n \f \r and else \u00xx; strings are UTF-8. Numbers have up
// to 15 digits before the point and 15 behind, and an exponent up to 99 only where they have no
// bounds.
//
// # JSON Schema
//
// Of draft 2020-12: type (or a list), enum, const, anyOf, oneOf (as anyOf: that only one
// alternative fits is not seen to), allOf of one schema, $ref within the document, properties,
// required, additionalProperties, maxProperties, minProperties where required says as much, items, prefixItems, minItems,
// maxItems, minLength, maxLength, pattern (RE2: no look-around, no back references), the formats
// date, time, date-time, uuid and ipv4, minimum, maximum and their exclusive forms, and OpenAPI's
// nullable. Recursion is cut 16 levels deep. A value that the schema leaves open is written in a
// narrower way where that is valid too: without additionalProperties an object with properties has
// no others, without a type the one that its keywords are of is meant. Other formats, titles and
// examples say nothing about an answer. Every other keyword is refused with its place: never
// ignored. Names of additional properties may repeat, as JSON allows.
package constrain

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Format is what an answer must look like: one of the five. They are read from JSON by
// [ParseFormat] and [ParseResponseFormat].
type Format struct {
	Object  bool            // any JSON object
	Schema  json.RawMessage // JSON that this schema describes
	Regex   string          // text that this matches from end to end
	Choices []string        // one of these texts
	Calls   []Function      // a call of one of these: {"name": …, "arguments": {…}}
}

// Function is what an answer may call.
type Function struct {
	Name       string
	Parameters json.RawMessage // the JSON schema of its arguments; nil: any object
}

// Key is the same for equal formats alone.
func (f Format) Key() string {
	return fmt.Sprintf("%t %q %q %q %q", f.Object, f.Schema, f.Regex, f.Choices, f.Calls)
}

// ParseFormat reads a JSON schema, or a response format as ParseResponseFormat does. nil is text
// of any kind.
func ParseFormat(data []byte) (*Format, error) {
	v, err := readValue(data)
	if err != nil {
		return nil, fmt.Errorf("constrain: the format: %w", err)
	}
	if o, ok := v.(*object); ok {
		if kind, ok := o.of["type"].(string); ok && kinds[kind] != "" {
			return ParseResponseFormat(data)
		}
	}
	return &Format{Schema: data}, nil
}

// kinds names the member that comes with each type of a response format.
var kinds = map[string]string{"text": "type", "json_object": "type", "json_schema": "json_schema", "regex": "regex", "choice": "choices"}

// ParseResponseFormat reads the response_format of OpenAI's API: {"type": "text"}, for which it
// returns nil, "json_object", or "json_schema" with json_schema {name, schema}; and ours, "regex"
// with regex, and "choice" with choices. Names, descriptions and "strict" have no effect: every
// schema is kept to.
func ParseResponseFormat(data []byte) (*Format, error) {
	v, err := readValue(data)
	if err != nil {
		return nil, fmt.Errorf("constrain: the format: %w", err)
	}
	o, ok := v.(*object)
	if !ok {
		return nil, fmt.Errorf("constrain: the format is not an object with a type")
	}
	kind, _ := o.of["type"].(string)
	if kinds[kind] == "" {
		return nil, fmt.Errorf("constrain: the format's type is %.60q, want text, json_object, json_schema, regex or choice", kind)
	}
	for _, k := range o.keys {
		if k != "type" && k != kinds[kind] {
			return nil, fmt.Errorf("constrain: a format of type %q has no member %.60q", kind, k)
		}
	}
	switch kind {
	case "text":
		return nil, nil
	case "json_object":
		return &Format{Object: true}, nil
	case "regex":
		var body struct{ Regex *string }
		if err := json.Unmarshal(data, &body); err != nil || body.Regex == nil {
			return nil, fmt.Errorf(`constrain: want {"type": "regex", "regex": "…"}`)
		}
		return &Format{Regex: *body.Regex}, nil
	case "choice":
		var body struct{ Choices []string }
		if err := json.Unmarshal(data, &body); err != nil || len(body.Choices) == 0 {
			return nil, fmt.Errorf(`constrain: want {"type": "choice", "choices": ["…", …]}`)
		}
		return &Format{Choices: body.Choices}, nil
	}
	return parseSchemaFormat(data, o)
}

func parseSchemaFormat(data []byte, o *object) (*Format, error) {
	inner, ok := o.of["json_schema"].(*object)
	if !ok {
		return nil, fmt.Errorf(`constrain: want {"type": "json_schema", "json_schema": {"name": "…", "schema": {…}}}`)
	}
	for _, k := range inner.keys {
		if !strings.Contains(" name description strict schema ", " "+k+" ") {
			return nil, fmt.Errorf("constrain: json_schema has no member %.60q", k)
		}
	}
	var body struct {
		Wrapped struct {
			Name        *string
			Description *string
			Strict      *bool
			Schema      json.RawMessage
		} `json:"json_schema"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, fmt.Errorf("constrain: json_schema: %w", err)
	}
	if body.Wrapped.Schema == nil {
		return nil, fmt.Errorf("constrain: json_schema has no schema")
	}
	return &Format{Schema: body.Wrapped.Schema}, nil
}

// compile makes the expression of a format.
func compile(a *arena, f Format) (e expr, err error) {
	defer giveUp(&err)
	switch {
	case f.Object:
		c := newCompiler(a)
		return c.anyObject(maxNesting), nil
	case f.Schema != nil:
		v, err := readValue(f.Schema)
		if err != nil {
			return nothing, fmt.Errorf("the schema: %w", err)
		}
		return newCompiler(a).document(v)
	case f.Calls != nil:
		return calls(a, f.Calls)
	case f.Choices != nil:
		return choices(a, f.Choices)
	case f.Regex != "":
		return pattern{a, a.utf8}.whole(f.Regex)
	}
	return nothing, fmt.Errorf("the format is empty, want a schema, a regular expression or choices")
}

// calls is a call of one of the functions, in the form of the JSON of a schema. Each schema is a
// document of its own, to which its references are relative.
func calls(a *arena, functions []Function) (expr, error) {
	var all []expr
	for _, f := range functions {
		c := newCompiler(a)
		arguments := c.anyObject(maxNesting)
		if f.Parameters != nil {
			v, err := readValue(f.Parameters)
			if err == nil {
				arguments, err = c.document(v)
			}
			if err != nil {
				return nothing, fmt.Errorf("function %.60q: %w", f.Name, err)
			}
		}
		all = append(all, c.seq(a.literal(`{"name"`), c.colon, a.literal(spell(f.Name)), c.comma,
			a.literal(`"arguments"`), c.colon, arguments, a.literal("}")))
	}
	return a.or(all...), nil
}

func choices(a *arena, texts []string) (expr, error) {
	size := 0
	var all []expr
	for i, s := range texts {
		if size += len(s); size > maxFormat {
			return nothing, fmt.Errorf("choices: more than %d bytes", maxFormat)
		}
		if s == "" || strings.ToValidUTF8(s, "") != s {
			return nothing, fmt.Errorf("choices[%d]: %.60q, want some text, in UTF-8", i, s)
		}
		all = append(all, a.literal(s))
	}
	return a.or(all...), nil
}
