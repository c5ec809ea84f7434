package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"idefics2"
)

// maxFormatFile bounds the file of -format in bytes.
const maxFormatFile = 1 << 20

// readFormat reads what an answer must look like: "json" for any object, "text" for anything, and
// else a file with a JSON schema or with OpenAI's response_format.
func readFormat(name string) (*idefics2.Format, error) {
	switch name {
	case "json":
		return &idefics2.Format{Object: true}, nil
	case "text":
		return nil, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFormatFile+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	f, err := idefics2.ParseFormat(data)
	if err == nil && f != nil {
		err = f.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}
