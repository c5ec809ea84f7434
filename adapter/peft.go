package adapter

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"idefics2/model"
	"idefics2/nn"
	"idefics2/safetensors"
	"idefics2/tensor"
)

// The files of a PEFT folder, and what stands before every name in the one.
const (
	configFile = "adapter_config.json"
	weightFile = "adapter_model.safetensors"
	prefix     = "base_model.model."
)

const maxConfig = 1 << 20

// ErrNone is what Load returns, wrapped, of a folder that has no adapter in it.
var ErrNone = errors.New("no folder of an adapter")

// Load puts the adapters of a PEFT folder on m, which then answers with them. Every tensor of the
// file must have its place, and every place its tensor; after an error m is as it was.
func Load(m *model.Model, dir string) (*Set, error) {
	s, err := load(m, dir)
	if err != nil {
		return nil, fmt.Errorf("adapter: %s: %w", dir, err)
	}
	return s, nil
}

func readConfig(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return Config{}, err
	}
	if len(data) > maxConfig {
		return Config{}, fmt.Errorf("%s: more than %d bytes", configFile, maxConfig)
	}
	return ParseConfig(data)
}

func load(m *model.Model, dir string) (*Set, error) {
	c, err := readConfig(filepath.Join(dir, configFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	if err != nil {
		return nil, err
	}
	file, err := safetensors.Open(filepath.Join(dir, weightFile))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	s, err := attach(m, c)
	if err != nil {
		return nil, err
	}
	values, err := s.read(file)
	if err != nil {
		s.detach()
		return nil, err
	}
	for _, p := range s.stored() {
		own := p.Param
		own.Set(values[p.file])
	}
	for _, l := range s.layers {
		l.Adapter.Refresh(l)
	}
	return s, nil
}

// stored is a parameter under its name in the file.
type stored struct {
	nn.Param
	file string
}

// stored lists what a file holds.
func (s *Set) stored() []stored {
	var all []stored
	add := func(p nn.Param) { all = append(all, stored{p, prefix + p.Name}) }
	for _, l := range s.layers {
		l.Params(func(p nn.Param) {
			if p.Adapter {
				add(p)
			}
		})
	}
	for _, p := range s.saved {
		add(p)
	}
	return all
}

// read returns the values of all parameters by their name in the file. It copies them: the file is
// closed afterwards.
func (s *Set) read(file *safetensors.File) (map[string][]float32, error) {
	values := map[string][]float32{}
	left := map[string]bool{}
	for _, name := range file.Names() {
		left[name] = true
	}
	delete(left, prefix+head+".base_layer.weight") // the unchanged matrix, which PEFT stores, too
	var errs []error
	for _, p := range s.stored() {
		name := p.file
		v, ok := file.View(name)
		if !ok && strings.HasSuffix(name, "magnitude_vector") {
			name += ".weight" // as older versions have it
			v, ok = file.View(name)
		}
		delete(left, name)
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%s: %q is missing, and %s asks for it", weightFile, name, configFile))
		case !v.DType.Float():
			errs = append(errs, fmt.Errorf("%s: %q: type %v, want F32, F16 or BF16", weightFile, name, v.DType))
		case !slices.Equal(v.Shape, p.Shape) && !(p.Linear != nil && p.Linear.Name == patches && v.Len() == p.Len()):
			errs = append(errs, fmt.Errorf("%s: %q: shape %v, want %v", weightFile, name, v.Shape, p.Shape))
		default:
			values[p.file] = slices.Clone(v.Floats())
		}
	}
	for _, name := range sorted(left) {
		errs = append(errs, fmt.Errorf("%s: %q belongs to no module that %s names", weightFile, name, configFile))
	}
	if len(errs) > 4 {
		errs = append(errs[:4], fmt.Errorf("and %d more like these", len(errs)-4))
	}
	return values, errors.Join(errs...)
}

// Save writes a folder that PEFT, and Load, read. It is made if it is not there; each of its files is
// whole or as it was.
func (s *Set) Save(dir string) error {
	if err := s.save(dir); err != nil {
		return fmt.Errorf("adapter: %s: %w", dir, err)
	}
	return nil
}

func (s *Set) save(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	all := s.stored()
	entries := make([]safetensors.Entry, len(all))
	for i, p := range all {
		entries[i] = safetensors.Entry{Name: p.file, DType: tensor.F32, Shape: p.Shape}
	}
	w, err := safetensors.Create(filepath.Join(dir, weightFile), entries, map[string]string{"format": "pt"})
	if err != nil {
		return err
	}
	defer w.Abort()
	for i := range all {
		if err := w.Write(all[i].file, bytesOf(all[i].Floats())); err != nil {
			return err
		}
	}
	if err := w.Commit(); err != nil {
		return err
	}
	return writeConfig(filepath.Join(dir, configFile), s.Config)
}

func bytesOf(values []float32) []byte {
	out := make([]byte, 0, 4*len(values))
	for _, v := range values {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out
}

// writeConfig replaces the file at once.
func writeConfig(path string, c Config) error {
	compact, err := c.MarshalJSON()
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, compact, "", "  "); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), configFile+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // gone once it was renamed
	_, err = temp.Write(text.Bytes())
	if err := errors.Join(err, temp.Chmod(0o666), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
