// Package runs is the folder of a training run: checkpoints that are whole or not there, and
// logs that a run which goes on continues without a gap or a repetition.
//
//	run/run.json            the run's fingerprint, written first
//	    step-000250/        a checkpoint: files, and manifest.json over them
//	    log.jsonl           a line a step
//
// A process may be killed at any moment, power may fail and the disk may fill: a checkpoint
// is written beside its place, brought to the disk, and renamed into it, and its manifest
// tells whether every byte of it is what was written.
package runs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"idefics2/internal/filelock"
)

// Run is an open folder of a run. Its methods belong to one goroutine at a time.
type Run struct {
	Dir  string
	Keep int // checkpoints that stay, the newest; 0 is 3. The best stays besides

	// fault, in tests, is called at every step of a save and may fail or never return.
	fault func(step string) error
}

// fingerprint is what run.json holds.
type fingerprint struct {
	Format      int             `json:"format"`
	Fingerprint string          `json:"fingerprint"`
	Settings    json.RawMessage `json:"settings,omitempty"` // for people
}

const (
	runFile      = "run.json"
	manifestFile = "manifest.json"
	format       = 1
)

// Open opens the folder of a run, or makes it. The fingerprint of settings, whose JSON form
// must be the same each time, tells a run from another: a folder of one with other settings
// is refused, and one with files and no run in it too.
func Open(dir string, settings any) (*Run, error) {
	text, err := json.Marshal(settings)
	if err != nil {
		return nil, fmt.Errorf("runs: settings: %w", err)
	}
	sum := sha256.Sum256(text)
	own := fingerprint{format, hex.EncodeToString(sum[:]), text}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	r := &Run{Dir: dir}
	data, err := readSmall(filepath.Join(dir, runFile))
	if errors.Is(err, fs.ErrNotExist) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("runs: %w", err)
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				return nil, fmt.Errorf("runs: %s is no folder of a run: it has %s and no %s; give a new folder, or an empty one", dir, e.Name(), runFile)
			}
		}
		text, err := json.MarshalIndent(own, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("runs: %w", err)
		}
		return r, r.writeFile(filepath.Join(dir, runFile), append(text, '\n'))
	}
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	var there fingerprint
	if err := json.Unmarshal(data, &there); err != nil {
		return nil, fmt.Errorf("runs: %s: %w", filepath.Join(dir, runFile), err)
	}
	if there.Fingerprint != own.Fingerprint {
		return nil, fmt.Errorf("runs: %s is the folder of another run, or of this one with other settings: %s; give another folder, or the settings that it was begun with", dir, difference(there.Settings, text))
	}
	return r, nil
}

// Lock takes the folder for this process until the result is closed or the process ends: two that
// write checkpoints and logs into one folder would harm both.
func (r *Run) Lock() (io.Closer, error) {
	held, err := filelock.Folder(r.Dir)
	if errors.Is(err, filelock.ErrHeld) {
		return nil, fmt.Errorf("runs: %w; wait for it, end it, or give another folder", err)
	}
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	return held, nil
}

// difference says what two settings differ in.
func difference(there, own json.RawMessage) string {
	var a, b any
	if json.Unmarshal(there, &a) != nil || json.Unmarshal(own, &b) != nil {
		return "its settings cannot be read"
	}
	if at, x, y := differ("", a, b); at != "" {
		return fmt.Sprintf("%s is %s there, and %s here", strings.TrimPrefix(at, "."), x, y)
	}
	return "their text differs"
}

func differ(at string, a, b any) (where, x, y string) {
	if m, ok := a.(map[string]any); ok {
		if n, ok := b.(map[string]any); ok {
			keys := map[string]bool{}
			for k := range m {
				keys[k] = true
			}
			for k := range n {
				keys[k] = true
			}
			names := make([]string, 0, len(keys))
			for k := range keys {
				names = append(names, k)
			}
			slices.Sort(names)
			for _, k := range names {
				if where, x, y = differ(at+"."+k, m[k], n[k]); where != "" {
					return where, x, y
				}
			}
			return "", "", ""
		}
	}
	if m, ok := a.([]any); ok {
		if n, ok := b.([]any); ok && len(m) == len(n) {
			for i := range m {
				if where, x, y = differ(fmt.Sprintf("%s[%d]", at, i), m[i], n[i]); where != "" {
					return where, x, y
				}
			}
			return "", "", ""
		}
	}
	p, _ := json.Marshal(a) // were read from JSON
	q, _ := json.Marshal(b)
	if bytes.Equal(p, q) {
		return "", "", ""
	}
	if at == "" {
		at = "."
	}
	return at, clip(string(p)), clip(string(q))
}

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// File is one file of a checkpoint.
type File struct {
	Name  string // a plain name, such as model.safetensors
	Write func(w io.Writer) error
}

// Checkpoint is a saved step.
type Checkpoint struct {
	Step  int64
	Dir   string
	Score *float64 // as given to Save
	Best  bool     // of those with a score
}

// Path returns the path of one of its files.
func (c *Checkpoint) Path(name string) string { return filepath.Join(c.Dir, name) }

// manifest is written last, and says what every file must be.
type manifest struct {
	Format int                 `json:"format"`
	Step   int64               `json:"step"`
	Score  *float64            `json:"score,omitempty"`
	Files  map[string]fileInfo `json:"files"`
}

type fileInfo struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Save writes a checkpoint. When it returns, the checkpoint is whole and on the disk, and
// older ones beyond Keep are gone, except the one of the best score, the highest, where
// scores were given. On an error the folder is as it was before.
func (r *Run) Save(step int64, score *float64, files ...File) (err error) {
	if step < 0 || step > maxStep {
		return fmt.Errorf("runs: step %d, want 0 to %d", step, int64(maxStep))
	}
	place := filepath.Join(r.Dir, stepName(step))
	temp := savingPath(place)
	_ = os.RemoveAll(temp) // of a process that was killed
	if err := os.Mkdir(temp, 0o777); err != nil {
		return fmt.Errorf("runs: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("runs: step %d was not saved, and what was saved before is untouched: %w", step, err), os.RemoveAll(temp))
		}
	}()
	m := manifest{Format: format, Step: step, Score: score, Files: map[string]fileInfo{}}
	for _, f := range files {
		if _, twice := m.Files[f.Name]; twice || f.Name == manifestFile || f.Name != filepath.Base(f.Name) || strings.HasPrefix(f.Name, ".") {
			return fmt.Errorf("a file called %q", f.Name)
		}
		if m.Files[f.Name], err = r.write(filepath.Join(temp, f.Name), f.Write); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if _, err := r.write(filepath.Join(temp, manifestFile), func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return fmt.Errorf("%s: %w", manifestFile, err)
	}
	syncFolder(temp)
	if err := r.at("rename"); err != nil {
		return err
	}
	// A step that is there already is a torn one, from which the run did not go on.
	old := ""
	if _, err := os.Lstat(place); err == nil {
		old = filepath.Join(r.Dir, ".old-"+stepName(step))
		_ = os.RemoveAll(old)
		if err := os.Rename(place, old); err != nil {
			return err
		}
	}
	if err := os.Rename(temp, place); err != nil {
		if old != "" {
			err = errors.Join(err, os.Rename(old, place))
		}
		return err
	}
	syncFolder(r.Dir)
	if err := r.at("prune"); err != nil {
		return err
	}
	if old != "" {
		_ = os.RemoveAll(old) // prune tries again
	}
	return r.prune(step)
}

// write writes a file, brings it to the disk, and returns what it holds.
func (r *Run) write(path string, write func(w io.Writer) error) (info fileInfo, err error) {
	if err := r.at("create " + filepath.Base(path)); err != nil {
		return info, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return info, err
	}
	sum := &summed{to: f, hash: sha256.New()}
	err = write(sum)
	if err == nil {
		err = r.at("sync " + filepath.Base(path))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return info, err
	}
	return fileInfo{sum.size, hex.EncodeToString(sum.hash.Sum(nil))}, nil
}

func (r *Run) at(step string) error {
	if r.fault == nil {
		return nil
	}
	return r.fault(step)
}

// summed hashes what goes through it.
type summed struct {
	to   io.Writer
	hash hash.Hash
	size int64
}

func (s *summed) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	s.hash.Write(p[:n])
	s.size += int64(n)
	return n, err
}

const maxStep = 999_999_999_999

func stepName(step int64) string { return fmt.Sprintf("step-%06d", step) }

var stepPattern = regexp.MustCompile(`^step-(\d{6,12})$`)

// List returns the checkpoints of the run, oldest first, by their manifests alone: Newest
// and Check look at every byte. What has no manifest that can be read is left out.
func (r *Run) List() ([]Checkpoint, error) {
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	var list []Checkpoint
	for _, step := range steps(entries) {
		c := Checkpoint{Step: step, Dir: filepath.Join(r.Dir, stepName(step))}
		if m, err := readManifest(&c); err == nil {
			c.Score = m.Score
			list = append(list, c)
		}
	}
	best := -1
	for i, c := range list { // of two that are equally good the older one is
		if c.Score != nil && (best < 0 || *c.Score > *list[best].Score) {
			best = i
		}
	}
	if best >= 0 {
		list[best].Best = true
	}
	return list, nil
}

// steps returns the steps that names of checkpoints are among, in order.
func steps(entries []fs.DirEntry) (steps []int64) {
	for _, e := range entries {
		if found := stepPattern.FindStringSubmatch(e.Name()); found != nil {
			if step, err := strconv.ParseInt(found[1], 10, 64); err == nil && stepName(step) == e.Name() {
				steps = append(steps, step)
			}
		}
	}
	slices.Sort(steps)
	return steps
}

// Newest returns the newest checkpoint that is whole, and says of each newer one why it is
// not. No checkpoint at all is no error: both are nil.
func (r *Run) Newest() (c *Checkpoint, torn []error) {
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return nil, []error{fmt.Errorf("runs: %w", err)}
	}
	for _, step := range slices.Backward(steps(entries)) {
		c := &Checkpoint{Step: step, Dir: filepath.Join(r.Dir, stepName(step))}
		if err := c.Check(); err != nil {
			torn = append(torn, err)
			continue
		}
		return c, torn
	}
	return nil, torn
}

// Check reads every file of the checkpoint and compares it with the manifest.
func (c *Checkpoint) Check() error {
	m, err := readManifest(c)
	if err != nil {
		return err
	}
	for name, want := range m.Files {
		if err := checkFile(c.Path(name), want); err != nil {
			return fmt.Errorf("runs: checkpoint %s is torn: %w", c.Dir, err)
		}
	}
	return nil
}

func checkFile(path string, want fileInfo) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, want.Size+1))
	switch {
	case err != nil:
		return err
	case n != want.Size:
		return fmt.Errorf("%s has not the %d bytes that were written", filepath.Base(path), want.Size)
	case hex.EncodeToString(h.Sum(nil)) != want.SHA256:
		return fmt.Errorf("%s holds other bytes than were written", filepath.Base(path))
	}
	return nil
}

// readManifest reads the manifest of a checkpoint, whose step must be that of its name.
func readManifest(c *Checkpoint) (m manifest, err error) {
	data, err := readSmall(c.Path(manifestFile))
	if err != nil {
		return m, fmt.Errorf("runs: checkpoint %s is torn: %w", c.Dir, err)
	}
	if m, err = parseManifest(data); err != nil {
		return m, fmt.Errorf("runs: checkpoint %s is torn: %w", c.Dir, err)
	}
	if m.Step != c.Step {
		return m, fmt.Errorf("runs: checkpoint %s holds step %d: it was renamed by hand; name it %s", c.Dir, m.Step, stepName(m.Step))
	}
	return m, nil
}

func parseManifest(data []byte) (m manifest, err error) {
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%s: %w", manifestFile, err)
	}
	if m.Format != format {
		return m, fmt.Errorf("%s: format %d, want %d", manifestFile, m.Format, format)
	}
	for name, f := range m.Files {
		if name != filepath.Base(name) || !filepath.IsLocal(name) || name == manifestFile || f.Size < 0 {
			return m, fmt.Errorf("%s: a file called %q of %d bytes", manifestFile, name, f.Size)
		}
	}
	return m, nil
}

// prune removes the checkpoints that need not stay, and what saves that were interrupted
// left behind. The step just saved stays. A rename takes a checkpoint away before its files
// go, so that none is half removed.
func (r *Run) prune(step int64) error {
	keep := r.Keep
	if keep <= 0 {
		keep = 3
	}
	list, err := r.List()
	if err != nil {
		return err
	}
	for i, c := range list {
		if i >= len(list)-keep || c.Best || c.Step == step {
			continue
		}
		gone := filepath.Join(r.Dir, ".old-"+filepath.Base(c.Dir))
		_ = os.RemoveAll(gone)
		if err := os.Rename(c.Dir, gone); err != nil {
			return fmt.Errorf("runs: %w", err)
		}
	}
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return fmt.Errorf("runs: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".saving-") || strings.HasPrefix(e.Name(), ".old-") {
			if err := os.RemoveAll(filepath.Join(r.Dir, e.Name())); err != nil {
				return fmt.Errorf("runs: %w", err)
			}
		}
	}
	return nil
}

// savingPath is where something is written before it is renamed to path. Names that begin with a point are
// nobody's work: Open passes them over, and the next Save removes them.
func savingPath(path string) string {
	return filepath.Join(filepath.Dir(path), ".saving-"+filepath.Base(path))
}

// WriteFile writes a file of the run's folder, whole or not at all.
func (r *Run) WriteFile(name string, data []byte) error {
	return r.writeFile(filepath.Join(r.Dir, name), data)
}

// writeFile writes a small file as a checkpoint is written: whole, or not at all.
func (r *Run) writeFile(path string, data []byte) error {
	temp := savingPath(path)
	_ = os.Remove(temp) // of a process that was killed
	if _, err := r.write(temp, func(w io.Writer) error { _, err := w.Write(data); return err }); err != nil {
		return errors.Join(fmt.Errorf("runs: %w", err), os.Remove(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("runs: %w", err)
	}
	syncFolder(r.Dir)
	return nil
}

// readSmall reads a file of at most 16 MiB.
func readSmall(path string) ([]byte, error) {
	const most = 16 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return data, err
}

// syncFolder makes a rename survive a loss of power. Systems that cannot open a folder do
// so by themselves.
func syncFolder(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}
