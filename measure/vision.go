package measure

import (
	"fmt"
	"image"

	"idefics2/checkpoint"
	"idefics2/imageproc"
	"idefics2/input"
	"idefics2/kernel"
	"idefics2/model"
	"idefics2/model/connector"
	"idefics2/model/load"
	"idefics2/model/vision"
	"idefics2/tensor"
)

// visionWorks are those of the tower and of what connects it with the decoder.
type visionWorks struct{ Options }

// tower is a picture of that size through the vision tower, whole or in five crops.
func (v visionWorks) tower(name string, width, height int, split bool) work {
	config := v.Config.Vision
	l := layers{min(v.Layers, config.Layers), config.Layers}
	patches := gridsOf(config, image.Pt(width, height), split)
	sizes := make([]int, len(patches))
	for i, p := range patches {
		sizes[i] = p.X * p.Y
	}
	return work{
		name: name, group: "vision", yields: 1, of: "images", layers: l,
		cost: cost{bytes: 2 * towerWeights(config), operations: towerOperations(config, sizes), typ: "bf16"},
		stand: func(b *Bench) (stand, error) {
			c := config
			c.Layers = l.held
			return newTower(b, c)
		},
		passes: func(s stand) ([]pass, error) {
			t := s.(*tower)
			crops := cropsOf(config, patches)
			none := *t.tower
			none.Layers = nil
			return l.passes(func() error { return t.see(t.tower, crops) }, func() error { return t.see(&none, crops) }), nil
		},
	}
}

// gridsOf returns the rows (Y) and columns (X) of patches that a picture becomes.
func gridsOf(v checkpoint.Vision, size image.Point, split bool) (grids []image.Point) {
	boxes := []image.Rectangle{{Max: size}}
	if split {
		five := imageproc.Split(size)
		boxes = five[:]
	}
	pre := checkpoint.DefaultPreprocessor()
	for _, b := range boxes {
		fit := imageproc.Fit(b.Size(), pre.ShortestEdge, pre.LongestEdge)
		grids = append(grids, image.Pt(max(1, fit.X/v.PatchSize), max(1, fit.Y/v.PatchSize)))
	}
	return grids
}

// cropsOf makes crops of random pixels.
func cropsOf(v checkpoint.Vision, grids []image.Point) (crops []input.Crop) {
	pixels := normal(1<<16, 7)
	for _, g := range grids {
		n := g.X * g.Y
		c := input.Crop{Rows: g.Y, Columns: g.X, Patches: make([]float32, n*v.Channels*v.PatchSize*v.PatchSize), Positions: make([]int32, n)}
		for to := c.Patches; len(to) > 0; {
			to = to[copy(to, pixels):]
		}
		for i := range c.Positions {
			c.Positions[i] = int32(i % (v.Side() * v.Side()))
		}
		crops = append(crops, c)
	}
	return crops
}

// tower is the vision tower in memory.
type tower struct {
	team    *kernel.Team
	weights *random
	tower   *vision.Tower
	scratch vision.Scratch
}

func newTower(b *Bench, c checkpoint.Vision) (*tower, error) {
	t := &tower{team: b.team, weights: &random{dtype: tensor.BF16}}
	l := &load.Loader{Source: t.weights}
	if t.tower = vision.Load(l, c); l.Err != nil {
		t.close()
		return nil, l.Err
	}
	return t, nil
}

func (t *tower) close() { t.weights.free() }

// see passes crops through the tower, as many at once as the model takes.
func (t *tower) see(v *vision.Tower, crops []input.Crop) error {
	for len(crops) > 0 {
		n := new(model.Model).Fits(crops)
		v.Forward(t.team, &t.scratch, crops[:n], nil)
		crops = crops[n:]
	}
	return nil
}

// connector is projection and resampler of the largest usual picture.
func (v visionWorks) connector() work {
	l := layers{min(v.Layers, v.Config.Perceiver.Depth), v.Config.Perceiver.Depth}
	grid := gridsOf(v.Config.Vision, image.Pt(980, 735), false)[0]
	patches := grid.X * grid.Y
	weights, operations := connectorCost(v.Config, patches)
	return work{
		name: "connector735x980", group: "connector", yields: 1, of: "images", layers: l,
		cost: cost{bytes: 2 * weights, operations: operations, typ: "bf16"},
		stand: func(b *Bench) (stand, error) {
			c := v.Config
			c.Perceiver.Depth = l.held
			return newJoint(b, c, patches)
		},
		passes: func(s stand) ([]pass, error) {
			j := s.(*joint)
			none := *j.connector
			none.Layers = nil
			return l.passes(func() error { return j.join(j.connector) }, func() error { return j.join(&none) }), nil
		},
	}
}

// joint is the connector in memory, and the patches it reads.
type joint struct {
	team      *kernel.Team
	weights   *random
	connector *connector.Connector
	scratch   connector.Scratch
	patches   tensor.Mat
}

func newJoint(b *Bench, c checkpoint.Config, patches int) (*joint, error) {
	j := &joint{team: b.team, weights: &random{dtype: tensor.BF16}, patches: tensor.NewMat(patches, c.Vision.HiddenSize)}
	l := &load.Loader{Source: j.weights}
	if j.connector = connector.Load(l, c); l.Err != nil {
		j.close()
		return nil, fmt.Errorf("measure: %w", l.Err)
	}
	pixels := normal(1<<16, 8)
	for to := j.patches.Data; len(to) > 0; {
		to = to[copy(to, pixels):]
	}
	return j, nil
}

func (j *joint) close() { j.weights.free() }

func (j *joint) join(c *connector.Connector) error {
	c.Forward(j.team, &j.scratch, j.patches, []int{j.patches.Rows}, nil, nil)
	return nil
}
