// Package tensorboard writes event files that TensorBoard shows: numbers, pictures and
// texts by step.
//
// An event file is a row of TFRecords (length, its checksum, data, its checksum), each
// holding a tensorflow.Event in protobuf. Both are small enough to be written out here:
// github.com/tensorflow/tensorboard, compat/proto/event.proto and summary.proto.
package tensorboard

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"
)

// Writer writes one event file. It belongs to one goroutine.
type Writer struct {
	out *bufio.Writer
	end io.Closer
	now func() time.Time
	err error // the first: later writes do nothing
}

// Create begins an event file in a folder, which TensorBoard is pointed at. A run that goes
// on from a step writes a new file: of the older ones TensorBoard then shows what is before
// that step.
func Create(dir string, step int64) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	now := time.Now()
	for try := 0; ; try++ {
		name := fmt.Sprintf("events.out.tfevents.%010d.idefics2.%d.%d", now.Unix(), os.Getpid(), try)
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, os.ErrExist) && try < 1000 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("tensorboard: %w", err)
		}
		w := newWriter(f, step, time.Now)
		w.end = f
		return w, w.Flush()
	}
}

func newWriter(out io.Writer, step int64, now func() time.Time) *Writer {
	w := &Writer{out: bufio.NewWriter(out), now: now}
	w.event(0, text(eventVersion, "brain.Event:2"))
	if step > 0 {
		w.event(step, message(eventSession, varint(sessionStatus, sessionStart)))
	}
	return w
}

// Fields of the messages.
const (
	eventTime    = 1 // double
	eventStep    = 2 // int64
	eventVersion = 3 // string
	eventSummary = 5 // Summary
	eventSession = 7 // SessionLog

	sessionStatus = 1
	sessionStart  = 1

	summaryValue = 1 // repeated Value

	valueTag      = 1
	valueSimple   = 2 // float
	valueImage    = 4 // Image
	valueTensor   = 8 // TensorProto
	valueMetadata = 9 // SummaryMetadata

	imageHeight, imageWidth, imageColors, imageData = 1, 2, 3, 4

	tensorType, tensorShape, tensorStrings = 1, 2, 8
	typeString                             = 7
	shapeDim, dimSize                      = 2, 1

	metadataPlugin, pluginName = 1, 1
)

// Scalar writes a number. Names with a common part before a slash stand together.
func (w *Writer) Scalar(step int64, tag string, v float64) {
	w.summary(step, text(valueTag, tag), float(valueSimple, float32(v)))
}

// Image writes a picture.
func (w *Writer) Image(step int64, tag string, picture image.Image) {
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		w.fail(err)
		return
	}
	size := picture.Bounds().Size()
	w.summary(step, text(valueTag, tag), message(valueImage,
		varint(imageHeight, uint64(size.Y)), varint(imageWidth, uint64(size.X)), varint(imageColors, 3), text(imageData, b.String())))
}

// Text writes a text, which TensorBoard reads as Markdown.
func (w *Writer) Text(step int64, tag, markdown string) {
	w.summary(step, text(valueTag, tag),
		message(valueTensor, varint(tensorType, typeString), message(tensorShape, message(shapeDim, varint(dimSize, 1))), text(tensorStrings, markdown)),
		message(valueMetadata, message(metadataPlugin, text(pluginName, "text"))))
}

func (w *Writer) summary(step int64, value ...[]byte) {
	w.event(step, message(eventSummary, message(summaryValue, value...)))
}

// event writes a record: uint64 length, the masked checksum of it, the event, and its.
func (w *Writer) event(step int64, what []byte) {
	at := float64(w.now().UnixMicro()) / 1e6
	data := binary.LittleEndian.AppendUint64([]byte{eventTime<<3 | 1}, math.Float64bits(at))
	data = append(append(data, varint(eventStep, uint64(step))...), what...)
	head := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	head = binary.LittleEndian.AppendUint32(head, masked(head))
	for _, part := range [][]byte{head, data, binary.LittleEndian.AppendUint32(nil, masked(data))} {
		if _, err := w.out.Write(part); err != nil {
			w.fail(err)
		}
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of TFRecords: CRC-32C, rotated and moved, so that a checksum of
// data that holds checksums is no weaker.
func masked(data []byte) uint32 {
	c := crc32.Checksum(data, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = fmt.Errorf("tensorboard: %w", err)
	}
}

// Flush lets others see what was written, and returns the first error since Create.
func (w *Writer) Flush() error {
	if err := w.out.Flush(); err != nil {
		w.fail(err)
	}
	return w.err
}

// Close flushes and closes the file.
func (w *Writer) Close() error {
	err := w.Flush()
	if e := w.end.Close(); err == nil && e != nil {
		err = fmt.Errorf("tensorboard: %w", e)
	}
	return err
}

// The wire format of protobuf: a key of field number and wire type, then the value.

func varint(field int, v uint64) []byte {
	return binary.AppendUvarint([]byte{byte(field << 3)}, v)
}

func float(field int, v float32) []byte {
	return binary.LittleEndian.AppendUint32([]byte{byte(field<<3 | 5)}, math.Float32bits(v))
}

func text(field int, s string) []byte {
	return append(binary.AppendUvarint([]byte{byte(field<<3 | 2)}, uint64(len(s))), s...)
}

func message(field int, parts ...[]byte) []byte {
	return text(field, string(bytes.Join(parts, nil)))
}
