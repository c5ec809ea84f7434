package training

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"idefics2/nn"
	"idefics2/runs"
	"idefics2/safetensors"
	"idefics2/tensor"
	"idefics2/tensorboard"
	"idefics2/train"
	"idefics2/watch"
)

// The files of a checkpoint.
const (
	weightsFile  = "weights.safetensors"
	momentsFile  = "moments.safetensors"
	progressFile = "progress.json"
	momentPrefix = "adamw." // of the optimizer's tensors in a train.State
)

// save writes a checkpoint of the last whole step.
func (j *job) save() error {
	if err := j.log.Sync(); err != nil {
		return err
	}
	if err := j.events.Flush(); err != nil {
		return err
	}
	state := j.carry // between two stages
	if state == nil {
		s, err := j.trainer.State()
		if err != nil {
			return err
		}
		state = &s
	}
	var weights, moments []train.Tensor
	j.net.Params(func(p nn.Param) {
		switch {
		case p.Trained():
			values, _ := p.Values()
			weights = append(weights, train.Tensor{Name: p.Name, Shape: p.Shape, Data: values})
		case j.learnt[p.Name]:
			weights = append(weights, train.Tensor{Name: p.Name, Shape: p.Shape, Data: p.Floats()})
		}
	})
	for _, t := range state.Tensors {
		if strings.HasPrefix(t.Name, momentPrefix) {
			moments = append(moments, t)
		}
	}
	err := j.folder.Save(j.progress.Step, j.score,
		runs.File{Name: weightsFile, Write: func(w io.Writer) error { return writeTensors(w, weights) }},
		runs.File{Name: momentsFile, Write: func(w io.Writer) error { return writeTensors(w, moments) }},
		runs.File{Name: progressFile, Write: func(w io.Writer) error { return json.NewEncoder(w).Encode(j.progress) }})
	if err != nil {
		return err
	}
	j.saved, j.score = j.progress.Step, nil
	return nil
}

// writeTensors writes a safetensors file in float32, from front to back.
func writeTensors(w io.Writer, tensors []train.Tensor) error {
	entries := make([]safetensors.Entry, len(tensors))
	for i, t := range tensors {
		entries[i] = safetensors.Entry{Name: t.Name, DType: tensor.F32, Shape: t.Shape}
	}
	layout, err := safetensors.Layout(entries, map[string]string{"format": "pt"})
	if err != nil {
		return err
	}
	if _, err := w.Write(layout.Header); err != nil {
		return err
	}
	slices.SortFunc(tensors, func(a, b train.Tensor) int {
		return int(layout.Places[a.Name].Offset - layout.Places[b.Name].Offset)
	})
	buffer := make([]byte, 0, 1<<20)
	for _, t := range tensors {
		for values := t.Data; len(values) > 0; {
			n := min(len(values), cap(buffer)/4)
			buffer = buffer[:0]
			for _, v := range values[:n] {
				buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(v))
			}
			if _, err := w.Write(buffer); err != nil {
				return err
			}
			values = values[n:]
		}
	}
	return nil
}

// resume goes to the newest checkpoint, where there is one, and opens the logs from there on.
func (j *job) resume() error {
	j.saved, j.learnt = -1, map[string]bool{}
	c, torn := j.folder.Newest()
	for _, err := range torn {
		j.note("a checkpoint is not whole and not used: %v", err)
	}
	if c != nil {
		if err := j.restore(c); err != nil {
			return fmt.Errorf("%s: %w", c.Dir, err)
		}
	}
	from := j.progress.Step + 1
	if j.progress.Pending != nil {
		from = j.progress.Pending.Step
	}
	var err error
	if j.log, err = j.folder.OpenLog("log.jsonl", "step", from); err != nil {
		return err
	}
	j.events, err = tensorboard.Create(filepath.Join(j.Dir, "tensorboard"), j.progress.Step)
	return err
}

// restore puts the model and the optimizer where a checkpoint is.
func (j *job) restore(c *runs.Checkpoint) error {
	data, err := readBounded(c.Path(progressFile))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &j.progress); err != nil {
		return fmt.Errorf("%s: %w", progressFile, err)
	}
	p := &j.progress
	if p.Step != c.Step || p.Stage < 0 || p.Stage > len(j.Recipe.Stages) || p.StageStep < 0 || p.Total < 0 || p.Updates < 0 || p.First < 0 || p.First > p.Updates {
		return fmt.Errorf("%s: step %d, stage %d: not of this run", progressFile, p.Step, p.Stage)
	}
	weights, err := j.setWeights(c)
	if err != nil {
		return err
	}
	moments, err := readTensors(c.Path(momentsFile))
	if err != nil {
		return err
	}
	j.carry = &train.State{}
	learns := map[string]bool{}
	for name, t := range moments {
		j.carry.Tensors = append(j.carry.Tensors, t)
		_, of, _ := strings.Cut(name, "/")
		if w, ok := weights[of]; ok && !learns[of] {
			learns[of] = true
			j.carry.Tensors = append(j.carry.Tensors, w)
		}
	}
	j.saved = c.Step
	if p.Stage == len(j.Recipe.Stages) {
		j.refresh() // no stage will do it
	}
	return nil
}

// setWeights gives the model the values of a checkpoint, and returns them.
func (j *job) setWeights(c *runs.Checkpoint) (map[string]train.Tensor, error) {
	weights, err := readTensors(c.Path(weightsFile))
	if err != nil {
		return nil, err
	}
	left := len(weights)
	j.net.Params(func(q nn.Param) {
		t, ok := weights[q.Name]
		if !ok || err != nil {
			return
		}
		if !slices.Equal(t.Shape, q.Shape) {
			err = fmt.Errorf("%s: %q: shape %v, want %v", weightsFile, q.Name, t.Shape, q.Shape)
			return
		}
		left--
		q.Set(t.Data)
		j.learnt[q.Name] = true
	})
	if err != nil {
		return nil, err
	}
	if left > 0 {
		return nil, fmt.Errorf("%s: %d tensors are none of the model's", weightsFile, left)
	}
	return weights, nil
}

// readTensors reads a file of float32 tensors into memory of its own.
func readTensors(path string) (map[string]train.Tensor, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all := map[string]train.Tensor{}
	for _, name := range f.Names() {
		v, _ := f.View(name)
		if v.DType != tensor.F32 {
			return nil, fmt.Errorf("%s: %q: type %v, want F32", path, name, v.DType)
		}
		all[name] = train.Tensor{Name: name, Shape: slices.Clone(v.Shape), Data: slices.Clone(v.Floats())}
	}
	return all, nil
}

// show opens the live view, of as many steps as are known.
func (j *job) show() {
	if j.View == nil || j.view != nil {
		return
	}
	total := j.progress.Step - int64(j.progress.StageStep) + int64(j.progress.Total)
	for _, s := range j.Recipe.Stages[j.progress.Stage+1:] {
		if s.Steps == 0 || total == 0 {
			total = 0
			break
		}
		total += int64(s.Steps)
	}
	past, _ := j.past()
	j.view = watch.NewView(j.View, total, past)
}

// past reads the steps that the log has.
func (j *job) past() ([]watch.Step, error) {
	f, err := os.Open(filepath.Join(j.Dir, "log.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return watch.ReadSteps(f)
}
