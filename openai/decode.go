package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"idefics2/internal/strictjson"
)

// ParamError is a member of a request that is wrong.
type ParamError struct {
	Param string // "" is the body as a whole
	Err   error
}

func (e *ParamError) Error() string {
	if e.Param == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%s: %v", e.Param, e.Err)
}

func (e *ParamError) Unwrap() error { return e.Err }

// Decode reads a body into v, a pointer to one of this package's structs. What is no JSON,
// repeats a member, nests too deeply, or has a member that v lacks is a *ParamError.
func Decode(body []byte, v any) error {
	if err := check(body); err != nil {
		return &ParamError{"", fmt.Errorf("the body is not the JSON that it should be: %w", err)}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return &ParamError{wrong.Field, fmt.Errorf("found %s, want %s", wrong.Value, wanted(wrong))}
	case strings.HasPrefix(err.Error(), unknown):
		name := strings.Trim(strings.TrimPrefix(err.Error(), unknown), `"`)
		return &ParamError{name, errors.New("this server does not know this member, and will not ignore it; leave it out")}
	}
	return &ParamError{"", err}
}

// unknown is how encoding/json begins to say that a member is unknown.
const unknown = "json: unknown field "

func wanted(e *json.UnmarshalTypeError) string {
	switch k := e.Type.Kind().String(); {
	case strings.HasPrefix(k, "int"):
		return "a whole number"
	case strings.HasPrefix(k, "float"):
		return "a number"
	case k == "bool":
		return "true or false"
	case k == "slice":
		return "a list"
	case k == "struct", k == "map":
		return "an object"
	}
	return "a " + e.Type.Kind().String()
}

// check walks over the whole text, so that what readers disagree about is refused.
func check(body []byte) error {
	s := strictjson.New(body)
	if s.Kind() != strictjson.Object {
		return errors.New("want an object")
	}
	if err := s.Skip(); err != nil {
		return err
	}
	return s.End()
}
