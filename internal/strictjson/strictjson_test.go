package strictjson

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func skip(text string) error {
	s := New([]byte(text))
	if err := s.Skip(); err != nil {
		return err
	}
	return s.End()
}

func TestAccepts(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, ` [ ] `, `""`, `0`, `-0`, `-1.5e+10`, `1E5`, `10`, `true`, `false`, `null`,
		`{"a":{"a":1},"b":[{"a":1},{"a":2}]}`, `["é","\u00e9","\ud83d\ude00","\"\\\/\b\f\n\r\t"]`,
		"\t{\r\n\"a\" : [ 1 , 2 ] }\n",
		strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth),
	} {
		if err := skip(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestRefuses(t *testing.T) {
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprintf(`"k%d":0`, i))
	}
	tests := []struct{ text, want string }{
		{``, "text ends"},
		{`{`, "text ends"},
		{`{"a"`, "text ends"},
		{`{"a":`, "text ends"},
		{`"abc`, "inside a string"},
		{`"abc\`, "inside a string"},
		{`{"a":1,"a":2}`, `key "a" repeated`},
		{`[{"x":{"a":1,"b":2,"a":3}}]`, `key "a" repeated`},
		{`{"a":1,"\u0061":2}`, `key "a" repeated`},
		{"{" + strings.Join(append(many, many[39]), ",") + "}", `key "k39" repeated`},
		{`{"a":1,}`, "comma before"},
		{`[1,]`, "comma before"},
		{`[,1]`, "want a value"},
		{`[1 2]`, "want ','"},
		{`{a:1}`, "want a string"},
		{`{"a" 1}`, "want ':'"},
		{`{"a":1}x`, "want the end"},
		{`nul`, "want null"},
		{`truefalse`, "found 'f'"},
		{`[nullnull]`, "found 'n'"},
		{`01`, "not a number"},
		{`-`, "not a number"},
		{`1.`, "not a number"},
		{`.5`, "want a value"},
		{`1e`, "not a number"},
		{`+1`, "want a value"},
		{`NaN`, "want a value"},
		{`Infinity`, "want a value"},
		{`1x`, "found 'x'"},
		{"\"a\nb\"", "control character"},
		{"\"\xff\"", "not UTF-8"},
		{"\ufeff{}", "want a value"},
		{`"\ud800"`, "surrogate"},
		{`"\ude00\ud83d"`, "surrogate"},
		{`"\ud83dx"`, "surrogate"},
		{`"\x"`, "invalid escape"},
		{`"\u12"`, "invalid escape"},
		{`'a'`, "want a value"},
		{`{} // comment`, "want the end"},
		{strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), "nested deeper"},
		{strings.Repeat("[", 1<<20), "nested deeper"},
		{"{\n \"a\": 1,\n \"a\": 2}", "line 3, column 2"},
	}
	for _, tt := range tests {
		if err := skip(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60s: %v, want an error with %q", tt.text, err, tt.want)
		}
	}
}

func TestPythonNumbers(t *testing.T) {
	s := New([]byte(`[NaN, Infinity, -Infinity, -1.5]`))
	s.PythonNumbers = true
	var got []string
	err := s.Array(func(int) error {
		text, err := s.Number()
		got = append(got, text)
		return err
	})
	if want := "NaN Infinity -Infinity -1.5"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("got %q, %v, want %s", got, err, want)
	}
}

// A long key of a hostile file does not flood the terminal.
func TestErrorsAreShort(t *testing.T) {
	key := strings.Repeat("k", 1<<20)
	err := skip(`{"` + key + `":1,"` + key + `":2}`)
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("error of %d bytes", len(fmt.Sprint(err)))
	}
}

// What is accepted is JSON, and JSON is only refused for the reasons that the package gives.
func FuzzSkip(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e3,"x\u00e9"],"b":null}`, `{"a":1,"a":2}`, `["\ud83d\ude00"]`, `[[[[]]]]`, `"`, `{"a":NaN}`, `1e5`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := skip(string(data))
		valid := json.Valid(data)
		if err == nil && !valid {
			t.Fatalf("%q was accepted", data)
		}
		if err == nil || !valid || !utf8.Valid(data) {
			return
		}
		for _, reason := range []string{"repeated", "nested deeper", "surrogate"} {
			if strings.Contains(err.Error(), reason) {
				return
			}
		}
		t.Fatalf("%q was refused: %v", data, err)
	})
}

// A header of a safetensors file: objects of three fields, read without a tree.
func ExampleScanner_Object() {
	s := New([]byte(`{"a": {"dtype": "F32", "shape": [2, 3]}, "b": {"dtype": "BF16", "shape": []}}`))
	err := s.Object(func(name string) error {
		return s.Object(func(field string) error {
			value, err := s.Raw()
			fmt.Println(name, field, string(value))
			return err
		})
	})
	fmt.Println(err)
	// Output:
	// a dtype "F32"
	// a shape [2, 3]
	// b dtype "BF16"
	// b shape []
	// <nil>
}
