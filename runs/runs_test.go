package runs

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func open(t testing.TB, dir string) *Run {
	t.Helper()
	r, err := Open(dir, map[string]any{"model": "tiny"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// text is a file with a text.
func text(name, content string) File {
	return File{name, func(w io.Writer) error { _, err := io.WriteString(w, content); return err }}
}

func save(t testing.TB, r *Run, step int64, score *float64) {
	t.Helper()
	if err := r.Save(step, score, text("weights", fmt.Sprint("weights ", step)), text("cursor.json", fmt.Sprint(step))); err != nil {
		t.Fatal(err)
	}
}

// newest returns the step of the newest whole checkpoint, -1 for none.
func newest(t testing.TB, r *Run) int64 {
	t.Helper()
	c, _ := r.Newest()
	if c == nil {
		return -1
	}
	data, err := os.ReadFile(c.Path("weights"))
	if err != nil || string(data) != fmt.Sprint("weights ", c.Step) {
		t.Fatalf("step %d holds %q, %v", c.Step, data, err)
	}
	return c.Step
}

func stepsOf(t testing.TB, r *Run) (s []int64) {
	t.Helper()
	list, err := r.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		s = append(s, c.Step)
	}
	return s
}

// A process that was killed while it wrote the run's first file leaves a folder to begin in.
func TestKilledWhileItBegan(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(savingPath(filepath.Join(dir, runFile)), []byte(`{"form`), 0o666); err != nil {
		t.Fatal(err)
	}
	save(t, open(t, dir), 1, nil)
	save(t, open(t, dir), 2, nil)
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTheLastAndTheBestStay(t *testing.T) {
	r := open(t, t.TempDir())
	r.Keep = 2
	if newest(t, r) != -1 {
		t.Error("a checkpoint in a new folder")
	}
	for step := int64(1); step <= 6; step++ {
		score := -float64((step - 2) * (step - 2)) // the best is 2
		save(t, r, step, &score)
	}
	if got := fmt.Sprint(stepsOf(t, r)); got != "[2 5 6]" || newest(t, r) != 6 {
		t.Errorf("checkpoints %s, want [2 5 6]", got)
	}
	list, err := r.List()
	if err != nil || !list[0].Best || list[1].Best || list[2].Best {
		t.Errorf("%+v, %v: want the first to be the best", list, err)
	}
}

// A checkpoint with any byte of any file changed, or cut, or a file missing, is never taken;
// the one before is.
func TestTornCheckpoints(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	save(t, r, 1, nil)
	save(t, r, 2, nil)
	place := filepath.Join(dir, "step-000002")
	entries, err := os.ReadDir(place)
	if err != nil || len(entries) != 3 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		path := filepath.Join(place, e.Name())
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		change := func(data []byte) {
			if err := os.WriteFile(path, data, 0o666); err != nil {
				t.Fatal(err)
			}
			c, torn := r.Newest()
			if c == nil || c.Step != 1 && e.Name() != manifestFile {
				t.Errorf("%s with %d bytes: took %v", e.Name(), len(data), c)
			}
			if c != nil && c.Step == 1 && (len(torn) != 1 || !strings.Contains(torn[0].Error(), "step-000002")) {
				t.Errorf("%s: %v, want a word on step 2", e.Name(), torn)
			}
		}
		for i := range whole {
			change(whole[:i])
			flipped := append([]byte(nil), whole...)
			flipped[i] ^= 0x20
			if e.Name() != manifestFile { // there, the case of a letter may mean nothing
				change(flipped)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if newest(t, r) != 1 {
			t.Errorf("without %s: took step 2", e.Name())
		}
		if err := os.WriteFile(path, whole, 0o666); err != nil {
			t.Fatal(err)
		}
		if newest(t, r) != 2 {
			t.Error("put right, it is not taken")
		}
	}
	if err := os.Rename(place, filepath.Join(dir, "step-000009")); err != nil {
		t.Fatal(err)
	}
	if _, torn := r.Newest(); len(torn) != 1 || !strings.Contains(torn[0].Error(), "renamed by hand") {
		t.Errorf("%v", torn)
	}
}

// A save may fail at every step of it: the folder stays as it was, and the next save works.
func TestFullDisk(t *testing.T) {
	for fail := 0; ; fail++ {
		dir := t.TempDir()
		r := open(t, dir)
		save(t, r, 1, nil)
		n, where := 0, ""
		r.fault = func(step string) error {
			if n++; n > fail {
				where = step
				return syscall.ENOSPC
			}
			return nil
		}
		err := r.Save(2, nil, text("weights", "weights 2"), text("cursor.json", "2"))
		if err == nil {
			if fail < 6 {
				t.Errorf("a save of %d steps", fail)
			}
			return
		}
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "step 2 was not saved") {
			t.Errorf("at %q: %v", where, err)
		}
		want := int64(1)
		if where == "prune" { // it stands already
			want = 2
		}
		if got := newest(t, r); got != want {
			t.Errorf("failed at %q: step %d, want %d", where, got, want)
		}
		r.fault = nil
		save(t, r, 3, nil)
		if newest(t, r) != 3 {
			t.Errorf("after a failure at %q nothing is saved any more", where)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				t.Errorf("failed at %q: %s is left behind", where, e.Name())
			}
		}
	}
}

// A writer that fails in the middle of its file.
func TestFailingWriter(t *testing.T) {
	r := open(t, t.TempDir())
	err := r.Save(1, nil, File{"weights", func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		return errors.New("not a number")
	}})
	if err == nil || !strings.Contains(err.Error(), "weights: not a number") || newest(t, r) != -1 {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"", "a/b", "../x", "manifest.json", ".hidden"} {
		if err := r.Save(1, nil, text(name, "")); err == nil || !strings.Contains(err.Error(), "a file called") {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

// Killed at any moment, a process leaves the newest checkpoint that it had told of, or the
// one that it was about to, whole.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("RUNS_TEST_SAVES_TO"); dir != "" {
		r := open(t, dir)
		for step := max(0, newest(t, r)) + 1; ; step++ {
			save(t, r, step, nil)
			fmt.Println("saved", step)
		}
	}
	dir := t.TempDir()
	last := int64(0)
	for range 8 {
		c := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.v")
		c.Env = append(os.Environ(), "RUNS_TEST_SAVES_TO="+dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		told := last
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if _, err := fmt.Sscanf(lines.Text(), "saved %d", &told); err == nil {
				break
			}
		}
		time.AfterFunc(rand.N(20*time.Millisecond), func() { c.Process.Kill() })
		for lines.Scan() {
			var step int64
			if _, err := fmt.Sscanf(lines.Text(), "saved %d", &step); err == nil {
				told = step
			}
		}
		_ = c.Wait() // it was killed
		last = newest(t, open(t, dir))
		if last < 1 || last != told && last != told+1 {
			t.Fatalf("step %d is the newest, and %d was told to be saved", last, told)
		}
	}
}

func TestFoldersOfOthers(t *testing.T) {
	dir := t.TempDir()
	r, err := Open(dir, map[string]any{"lr": 0.1, "data": []any{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	save(t, r, 1, nil)
	if _, err := Open(dir, map[string]any{"data": []any{"a", "b"}, "lr": 0.1}); err != nil {
		t.Errorf("the same settings: %v", err)
	}
	if _, err := Open(dir, map[string]any{"lr": 0.1, "data": []any{"a", "c"}}); err == nil || !strings.Contains(err.Error(), `data[1] is "b" there, and "c" here`) {
		t.Errorf("other settings: %v", err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "thesis.doc"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(other, 1); err == nil || !strings.Contains(err.Error(), "it has thesis.doc and no run.json") {
		t.Errorf("a folder of other things: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, runFile), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, 1); err == nil || !strings.Contains(err.Error(), "run.json") {
		t.Errorf("a torn run.json: %v", err)
	}
}

type line struct {
	Step int64   `json:"step"`
	Loss float64 `json:"loss"`
}

// A log goes on from a step: later lines go, and so does half of a line.
func TestLogGoesOn(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	write := func(from, to int64) {
		l, err := r.OpenLog("log.jsonl", "step", from)
		if err != nil {
			t.Fatal(err)
		}
		for s := from; s < to; s++ {
			if err := l.Write(line{s, 1 / float64(s+1)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(l.Sync(), l.Close()); err != nil {
			t.Fatal(err)
		}
	}
	write(0, 10)
	path := filepath.Join(dir, "log.jsonl")
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(want[:len(want):len(want)], `{"step":10,"lo`...), 0o666); err != nil {
		t.Fatal(err)
	}
	write(6, 10)
	got, err := os.ReadFile(path)
	if err != nil || string(got) != string(want) {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if err := os.WriteFile(path, []byte("hello\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := r.OpenLog("log.jsonl", "step", 0); err == nil || !strings.Contains(err.Error(), "line 1 is no object") {
		t.Errorf("another program's file: %v", err)
	}
}

func FuzzManifest(f *testing.F) {
	data, err := json.Marshal(manifest{Format: 1, Step: 2, Files: map[string]fileInfo{"a": {1, "x"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		for name := range m.Files {
			if err == nil && filepath.Join("d", name) != "d"+string(filepath.Separator)+name {
				t.Errorf("a name %q that leads elsewhere", name)
			}
		}
	})
}

func FuzzLog(f *testing.F) {
	f.Add([]byte("{\"step\":1}\n{\"step\":2}\n"), int64(2))
	f.Fuzz(func(t *testing.T, data []byte, from int64) {
		keep, err := keepUntil(strings.NewReader(string(data)), "step", from)
		if err == nil && (keep < 0 || keep > int64(len(data)) || keep > 0 && data[keep-1] != '\n') {
			t.Errorf("keeps %d of %d bytes", keep, len(data))
		}
	})
}

func ExampleRun_Save() {
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	r, err := Open(dir, map[string]any{"learning_rate": 1e-4})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = r.Save(250, nil, File{"weights", func(w io.Writer) error { _, err := w.Write([]byte{1, 2, 3}); return err }})
	c, torn := r.Newest()
	fmt.Println(err, c.Step, filepath.Base(c.Path("weights")), torn)
	// Output: <nil> 250 weights []
}
