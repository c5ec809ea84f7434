package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"idefics2"
	"idefics2/internal/terminal"
)

// batch answers the requests of a file, a line each.
type batch struct {
	model    *idefics2.Model
	settings *generation
	change   func(*idefics2.Request) // what flags say about every request
	parallel int
	bars     *terminal.Progress
}

// maxRequest bounds a line of a batch, with room for pictures as data URLs.
const maxRequest = 256 << 20

// run reads requests from in and writes their answers to out in the same order. Skip
// requests were answered before. Paths in requests are relative to dir.
func (b *batch) run(ctx context.Context, in io.Reader, dir string, out io.Writer, skip, total int) (answered, failed int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A job is a promise of one line. The queue holds them in order, and its size is what
	// bounds the requests in flight.
	type job chan []byte
	queue := make(chan job, b.parallel-1)
	var readErr error
	go func() {
		defer close(queue)
		lines := bufio.NewReaderSize(in, 1<<16)
		for n, at := 0, 1; ; at++ {
			line, err := readLine(lines, maxRequest)
			if err != nil && !errors.Is(err, errLongLine) {
				if err != io.EOF {
					readErr = err
				}
				return
			}
			if err == nil && len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			if n++; n <= skip {
				continue
			}
			j := make(job, 1)
			select {
			case queue <- j:
			case <-ctx.Done():
				return
			}
			go func() { j <- b.line(ctx, line, err, dir, at) }()
		}
	}()
	b.bars.Count("answers", int64(skip), int64(total))
	for j := range queue {
		line := <-j
		if ctx.Err() != nil {
			continue // what was cut short is no answer; empty the queue and end
		}
		if _, err = out.Write(line); err != nil {
			cancel()
			for j := range queue {
				<-j
			}
			return answered, failed, fmt.Errorf("answers: %w", err)
		}
		if bytes.Contains(line[:min(len(line), 1<<12)], []byte(`"error":`)) && isError(line) {
			failed++
		} else {
			answered++
		}
		b.bars.Count("answers", int64(skip+answered+failed), int64(total))
	}
	return answered, failed, errors.Join(ctx.Err(), readErr)
}

// line answers one line of a batch with one line of JSON.
func (b *batch) line(ctx context.Context, line []byte, lineErr error, dir string, at int) []byte {
	id := requestID(line)
	answer, err := b.answer(ctx, line, lineErr, dir)
	if err != nil {
		var out bytes.Buffer
		writeJSON(&out, struct { // a string and a buffer: it cannot fail
			Error string `json:"error"`
		}{fmt.Sprintf("line %d: %v", at, err)})
		answer = bytes.TrimRight(out.Bytes(), "\n")
	}
	if id != nil {
		answer = bytes.Join([][]byte{[]byte(`{"id":`), id, []byte(`,`), answer[1:]}, nil)
	}
	return append(answer, '\n')
}

func (b *batch) answer(ctx context.Context, line []byte, lineErr error, dir string) ([]byte, error) {
	if lineErr != nil {
		return nil, lineErr
	}
	r, err := idefics2.ParseRequest(line, dir)
	if err != nil {
		return nil, err
	}
	own := memberNames(line)
	// A request's own settings are the more particular ones: the flags are for the rest.
	if err := b.settings.apply(&r, func(name string) bool { return own[strings.ReplaceAll(name, "-", "_")] }); err != nil {
		return nil, err
	}
	b.change(&r)
	r.ID = "" // written as it stood, whatever its type
	a, err := b.model.Chat(ctx, r).Answer()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = writeJSON(&out, a)
	return bytes.TrimRight(out.Bytes(), "\n"), err
}

// requestID returns the JSON of a request's id, or nil. It reads as far as the request
// is well formed, so that the answer to a broken one can still be told by its id.
func requestID(line []byte) json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil
		}
		var id bytes.Buffer
		if name == "id" && string(value) != "null" && json.Compact(&id, value) == nil {
			return id.Bytes()
		}
	}
	return nil
}

// memberNames returns the names of a JSON object's members.
func memberNames(line []byte) map[string]bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(line, &members) != nil {
		return nil // a list of messages has no settings
	}
	names := make(map[string]bool, len(members))
	for name := range members {
		names[name] = true
	}
	return names
}

// isError reports whether an answer is one with an error instead.
func isError(line []byte) bool {
	var a struct {
		Error *string `json:"error"`
	}
	return json.Unmarshal(line, &a) == nil && a.Error != nil
}

var errLongLine = fmt.Errorf("request of more than %d MiB; give pictures as files instead of data URLs", maxRequest>>20)

// readLine returns the next line without its end, or errLongLine having skipped it,
// or io.EOF.
func readLine(r *bufio.Reader, most int) (line []byte, err error) {
	long, any := false, false
	for {
		part, err := r.ReadSlice('\n')
		any = any || len(part) > 0
		if long = long || len(line)+len(part) > most; long {
			line = nil
		} else {
			line = append(line, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && !any:
			return nil, io.EOF
		case err != nil && err != io.EOF:
			return nil, err
		case long:
			return nil, errLongLine
		}
		return bytes.TrimRight(line, "\r\n"), nil
	}
}

// resume opens a file of answers to write on where it stopped. It returns how many
// whole lines it holds; what stands after the last of them was cut short, and is
// removed.
func resume(path string) (f *os.File, done int, last []byte, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, 0, nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	r, whole := bufio.NewReaderSize(f, 1<<16), int64(0)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, 0, nil, err
		}
		whole += int64(len(line))
		done, last = done+1, line
	}
	if err := f.Truncate(whole); err != nil {
		return nil, 0, nil, err
	}
	_, err = f.Seek(whole, io.SeekStart)
	return f, done, last, err
}

// countRequests returns how many requests a file has, and the id of the one at nth,
// counted from 1.
func countRequests(path string, nth int) (n int, id json.RawMessage, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	for {
		line, err := readLine(r, maxRequest)
		switch {
		case err == io.EOF:
			return n, id, nil
		case err != nil && !errors.Is(err, errLongLine):
			return 0, nil, err
		case err == nil && len(bytes.TrimSpace(line)) == 0:
			continue
		}
		if n++; n == nth {
			id = requestID(line)
		}
	}
}

// runBatch is "ask -batch".
func runBatch(ctx context.Context, std stdio, b *batch, requests, answers string) (err error) {
	in, dir, total, done := std.in, ".", 0, 0
	var file *os.File
	var last []byte
	out := std.out
	if answers != "" {
		if file, done, last, err = resume(answers); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	if requests != "-" {
		f, err := os.Open(requests)
		if err != nil {
			return err
		}
		defer f.Close()
		in, dir = f, filepath.Dir(requests)
		var id json.RawMessage
		if total, id, err = countRequests(requests, done); err != nil {
			return err
		}
		if done > total || done > 0 && !bytes.Equal(id, requestID(last)) {
			return withRemedy(fmt.Errorf("%s holds %d answers, and they are not those to %s", answers, done, requests),
				"give another file with -o, or remove this one to begin again")
		}
	}
	if done > 0 {
		fmt.Fprintf(std.err, "idefics2: %s holds %d answers; going on after them\n", terminal.Clean(answers), done)
	}
	answered, failed, err := b.run(ctx, in, dir, out, done, total)
	b.bars.Close()
	fmt.Fprintf(std.err, "idefics2: %d answered, %d refused\n", answered, failed)
	return err
}
