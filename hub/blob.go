package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"idefics2/internal/filelock"
)

// ErrChecksum is wrapped by the error about content that is not what the Hub says it is.
var ErrChecksum = errors.New("the content is damaged")

// blob is one content of a plan's files, in the cache or on its way there. It is written to a file
// beside its own, which the Hub's tools know too, and gets its name when its hash is right.
type blob struct {
	client  *Client
	now     *atomic.Int64 // bytes of the plan that are in the cache
	address *url.URL
	file    *File // the first that has this content
	path    string
	lock    string
	// places are where it is in the snapshot, too: links, or the content itself where there are no links.
	places []string
}

func (b *blob) partial() string { return b.path + ".incomplete" }

// whole reports whether path leads to a file of the right size.
func (b *blob) whole(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == b.file.Bytes
}

// at reports whether a place in the snapshot leads to this content.
func (b *blob) at(place string) bool {
	if !b.whole(place) {
		return false
	}
	own, err := os.Stat(b.path)
	if err != nil { // the place is the content itself
		return errors.Is(err, fs.ErrNotExist)
	}
	info, err := os.Stat(place)
	return err == nil && os.SameFile(own, info)
}

// found returns where in the cache the content is, or "".
func (b *blob) found() string {
	for _, path := range append([]string{b.path}, b.places...) {
		if b.whole(path) {
			return path
		}
	}
	return ""
}

// have returns the bytes of it that are in the cache.
func (b *blob) have() int64 {
	if b.found() != "" {
		return b.file.Bytes
	}
	if info, err := os.Stat(b.partial()); err == nil && info.Size() <= b.file.Bytes {
		return info.Size()
	}
	return 0
}

// fetch brings the content into the cache, unless it is there. One process does so at a time.
func (b *blob) fetch(ctx context.Context, o FetchOptions) error {
	if b.found() != "" && !o.Check {
		return nil
	}
	for _, path := range []string{b.path, b.lock} {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
	}
	lock, err := filelock.File(ctx, b.lock, func() { b.client.note(b.file.Name + ": another process fetches it; waiting") })
	if err != nil {
		return err
	}
	defer lock.Close()
	if at := b.found(); at != "" {
		if !o.Check {
			return nil
		}
		err := b.check(ctx, at, o.Progress)
		if !errors.Is(err, ErrChecksum) {
			return err
		}
		b.client.note(fmt.Sprintf("%s: %v: fetched again", at, err))
		if at, err = filepath.EvalSymlinks(at); err != nil {
			return err
		}
		if err := os.Remove(at); err != nil {
			return err
		}
		b.now.Add(b.have() - b.file.Bytes)
	}
	return b.download(ctx, o.Progress)
}

// digest is the hash of a content, as git has it or as it is.
type digest struct{ hash.Hash }

func (b *blob) digest() digest {
	if len(b.file.Hash) == 2*sha1.Size {
		h := sha1.New()
		fmt.Fprintf(h, "blob %d\x00", b.file.Bytes)
		return digest{h}
	}
	return digest{sha256.New()}
}

// holds compares with what the Hub says.
func (d digest) holds(want string) error {
	if got := hex.EncodeToString(d.Sum(nil)); got != want {
		return fmt.Errorf("%w: its hash is %s, want %s", ErrChecksum, got, want)
	}
	return nil
}

// check reads a file of the cache.
func (b *blob) check(ctx context.Context, path string, progress func(Progress)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	d := b.digest()
	if err := b.read(ctx, d, f, b.file.Bytes, progress); err != nil {
		return err
	}
	return d.holds(b.file.Hash)
}

// read adds the first n bytes of f to a digest.
func (b *blob) read(ctx context.Context, d digest, f *os.File, n int64, progress func(Progress)) error {
	r := io.NewSectionReader(f, 0, n)
	for done := int64(0); done < n; {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := io.CopyN(d, r, min(n-done, 8<<20))
		if err != nil {
			return err
		}
		done += more
		progress(Progress{File: b.file.Name, Check: true, Done: done, Total: n, All: b.now.Load()})
	}
	return nil
}

// download goes on with what is there of a content until it is whole and checked.
func (b *blob) download(ctx context.Context, progress func(Progress)) error {
	f, err := os.OpenFile(b.partial(), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	d := &download{blob: b, out: f, progress: progress, sum: b.digest()}
	if there := info.Size(); there <= b.file.Bytes {
		if err := b.read(ctx, d.sum, f, there, progress); err != nil {
			return err
		}
		d.at = there
	}
	d.furthest = d.at
	for earlier := d.at > 0; ; earlier = false {
		err := b.client.try(ctx, b.file.Name, func() (bool, error) {
			err := d.get(ctx)
			further := d.at > d.furthest
			d.furthest = max(d.furthest, d.at)
			return further, err
		})
		if err != nil {
			return err
		}
		err = d.sum.holds(b.file.Hash)
		if err == nil {
			break
		}
		if !earlier {
			return errors.Join(err, f.Close(), os.Remove(b.partial()))
		}
		b.client.note(fmt.Sprintf("%s: %v: what was here of it is dropped", b.file.Name, err))
		if err := d.restart(); err != nil {
			return err
		}
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return full(err)
	}
	return os.Rename(b.partial(), b.path)
}

// download is a content that is being written.
type download struct {
	*blob
	out          *os.File
	at, furthest int64 // bytes written and added to sum; the most that there ever were
	sum          digest
	progress     func(Progress)
}

func (d *download) restart() error {
	d.now.Add(-d.at)
	d.at, d.sum = 0, d.digest()
	return d.out.Truncate(0)
}

var errStalled = errors.New("the server sends nothing more")

// get is one attempt: it asks for the bytes that are missing and writes what comes.
func (d *download) get(ctx context.Context) error {
	if d.at == 0 { // of a file that was longer than it should be
		if err := d.restart(); err != nil {
			return err
		}
	}
	size := d.file.Bytes
	if d.at == size {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	header := http.Header{}
	if d.at > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.at))
	}
	res, err := d.client.follow(ctx, http.MethodGet, d.address, header, nil)
	if err != nil {
		return err
	}
	switch res.StatusCode {
	case http.StatusOK: // the range was not heeded
		if d.at > 0 {
			if err := d.restart(); err != nil {
				res.Body.Close()
				return err
			}
		}
	case http.StatusPartialContent:
	default:
		return d.client.refused(res)
	}
	defer res.Body.Close()
	if err := d.suits(res); err != nil {
		return err
	}
	stalled := time.AfterFunc(d.client.stall, func() { cancel(errStalled) })
	defer stalled.Stop()
	broken := func(err error) error {
		if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
			err = cause
		}
		return &netError{err: err, where: place(res.Request.URL)}
	}
	for buffer := make([]byte, 256<<10); ; {
		n, err := res.Body.Read(buffer)
		stalled.Reset(d.client.stall)
		if int64(n) > size-d.at {
			return fmt.Errorf("%s sends more than the %d bytes of the file", place(res.Request.URL), size)
		}
		if n > 0 {
			if _, err := d.out.WriteAt(buffer[:n], d.at); err != nil {
				return full(err)
			}
			d.sum.Write(buffer[:n])
			d.at += int64(n)
			d.file.Fetched += int64(n)
			d.progress(Progress{File: d.file.Name, Done: d.at, Total: size, All: d.now.Add(int64(n))})
		}
		switch {
		case d.at == size:
			return nil
		case errors.Is(err, io.EOF):
			return broken(io.ErrUnexpectedEOF)
		case err != nil:
			return broken(err)
		}
	}
}

// suits refuses an answer that is not the part of the file that was asked for.
func (d *download) suits(res *http.Response) error {
	where := place(res.Request.URL)
	if e := res.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return fmt.Errorf("%s sends it in the encoding %.40q, which nobody asked for", where, e)
	}
	if res.StatusCode == http.StatusPartialContent {
		got, total := res.Header.Get("Content-Range"), fmt.Sprint(d.file.Bytes)
		from := fmt.Sprintf("bytes %d-%d/", d.at, d.file.Bytes-1)
		if got != from+total && got != from+"*" {
			return fmt.Errorf("%s sends the range %.80q, want %q", where, got, from+total)
		}
	}
	if want := d.file.Bytes - d.at; res.ContentLength >= 0 && res.ContentLength != want {
		return fmt.Errorf("%s sends %d bytes, want %d", where, res.ContentLength, want)
	}
	return nil
}

// full recognizes a full disk.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}
