package tensorboard

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"image"
	"os"
	"strings"
	"testing"
	"time"
)

// records takes a file apart, checking the checksums.
func records(t *testing.T, data []byte) (all [][]byte) {
	t.Helper()
	for len(data) > 0 {
		n := binary.LittleEndian.Uint64(data)
		if masked(data[:8]) != binary.LittleEndian.Uint32(data[8:]) || masked(data[12:12+n]) != binary.LittleEndian.Uint32(data[12+n:]) {
			t.Fatal("a checksum is wrong")
		}
		all = append(all, data[12:12+n])
		data = data[16+n:]
	}
	return all
}

// CRC-32C of "123456789" is 0xe3069283 in every list of check values.
func TestMasked(t *testing.T) {
	c := uint32(0xe3069283)
	if got, want := masked([]byte("123456789")), (c>>15|c<<17)+0xa282ead8; got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
}

// The bytes as protobuf has them. That TensorBoard 2.21 loads a file of all kinds, with
// numbers, picture and text, was checked by hand with its EventAccumulator.
func TestEvents(t *testing.T) {
	var b bytes.Buffer
	w := newWriter(&b, 3, func() time.Time { return time.Unix(1, 500_000_000) })
	w.Scalar(4, "loss", 0.5)
	w.Text(5, "note", "hi")
	w.Image(6, "picture", image.NewRGBA(image.Rect(0, 0, 2, 1)))
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	all := records(t, b.Bytes())
	clock := "09000000000000f83f" // 1.5
	want := []string{
		clock + "1000" + "1a0d" + hex.EncodeToString([]byte("brain.Event:2")),
		clock + "1003" + "3a020801",
		clock + "1004" + "2a0d" + "0a0b" + "0a04" + hex.EncodeToString([]byte("loss")) + "150000003f",
		clock + "1005" + "2a20" + "0a1e" + "0a04" + hex.EncodeToString([]byte("note")) + "420c" + "0807" + "1204" + "1202" + "0801" + "4202" + "6869" + "4a08" + "0a06" + "0a04" + hex.EncodeToString([]byte("text")),
	}
	for i, w := range want {
		if got := hex.EncodeToString(all[i]); got != w {
			t.Errorf("event %d: %s\nwant     %s", i, got, w)
		}
	}
	if len(all) != 5 || !bytes.Contains(all[4], []byte("\x89PNG")) {
		t.Errorf("%d events, the last without a picture", len(all))
	}
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // within one second
		w, err := Create(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.Scalar(1, "loss", 2)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || !strings.HasPrefix(entries[0].Name(), "events.out.tfevents.") {
		t.Errorf("%v, %v", entries, err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestFullDisk(t *testing.T) {
	w := newWriter(full{}, 0, time.Now)
	for range 1000 {
		w.Scalar(1, "loss", 2)
	}
	if err := w.Flush(); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("%v", err)
	}
}

func ExampleCreate() {
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		return
	}
	defer os.RemoveAll(dir)
	w, err := Create(dir, 0)
	if err != nil {
		return
	}
	w.Scalar(1, "train/loss", 2.5)
	w.Scalar(1, "train/learning rate", 1e-4)
	if err := w.Close(); err != nil {
		return
	}
	// tensorboard --logdir DIR
}
