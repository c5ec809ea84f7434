// Package recipe reads recipe.yaml: what a training starts from, what it reads, in which
// stages, and how it learns. docs/recipe.md explains every key.
//
// A recipe is strict: a key that there is not, a value out of bounds, a stage that draws
// from data nobody declared are errors with the line and what was meant.
package recipe

// The JSON of a Recipe tells a run from another (package runs), so a key that was added later is left
// out of it where it says nothing: a run goes on that an older program began.

// Recipe is a recipe.yaml, with its defaults filled in by Parse.
type Recipe struct {
	Model     Model             `yaml:"model"`
	Seed      uint64            `yaml:"seed"`
	Adapter   *Adapter          `yaml:"adapter"` // nil: the weights themselves learn
	Train     []string          `yaml:"train"`   // patterns of parameters that learn, whole names; none: all
	Freeze    []string          `yaml:"freeze"`  // patterns of those that don't
	Data      map[string]Source `yaml:"data"`
	Stages    []Stage           `yaml:"stages"`
	Optimizer Optimizer         `yaml:"optimizer"`
	Save      Save              `yaml:"save"`
	Eval      *Eval             `yaml:"eval"`
	Skip      Skip              `yaml:"skip"`
	// URLs lets pictures of examples be fetched by http and https.
	URLs bool `yaml:"urls" json:",omitzero"`
}

// Model is what the training starts from: weights that are there, or new ones.
type Model struct {
	From      string `yaml:"from"`      // a folder, or a name in the local cache
	Config    string `yaml:"config"`    // a config.json, or the name of a size, of a new model
	Tokenizer string `yaml:"tokenizer"` // a folder whose tokenizer and template a new model takes
}

// Adapter is small matrices beside the frozen ones.
type Adapter struct {
	Kind       string  `yaml:"kind"` // lora or dora
	Rank       int     `yaml:"rank"`
	Alpha      float64 `yaml:"alpha"`
	Dropout    float64 `yaml:"dropout"`
	RankScaled bool    `yaml:"rank_scaled"` // α/√r instead of α/r
	Targets    string  `yaml:"targets"`     // pattern of whole module names
	Base       string  `yaml:"base"`        // type of the frozen matrices: "" as they are, or nf4
}

// Source is where examples come from: files, or a generator.
type Source struct {
	Path     string `yaml:"path"`
	Kind     string `yaml:"kind"`     // jsonl, cauldron, obelics, folder, webdataset; "": told by the name
	Question string `yaml:"question"` // that texts without one answer
	Generate string `yaml:"generate"` // name of a generator, instead of a path
	Count    int    `yaml:"count"`    // examples of the generator
	// Of a generator: typefaces and seeds kept for evaluation, pixels of a picture's longer side, letters
	// of an answer, and questions about a picture, at most.
	HeldOut   bool `yaml:"heldout"`
	MaxSide   int  `yaml:"max_side"`
	MaxText   int  `yaml:"max_text"`
	Questions int  `yaml:"questions"`
}

// Stage is a part of the training with data and pictures of its own. Weights and the
// optimizer's state go from one to the next.
type Stage struct {
	Name string `yaml:"name"`
	// Steps of the optimizer, or Epochs over the data: one of them.
	Steps  int `yaml:"steps"`
	Epochs int `yaml:"epochs"`
	// Data are the sources to draw from and their weights; all 0 draws each example once
	// an epoch.
	Data     map[string]float64 `yaml:"data"`
	Length   int                `yaml:"length"`   // tokens of a sequence
	Batch    int                `yaml:"batch"`    // sequences a step
	Pack     *bool              `yaml:"pack"`     // several examples in a sequence; true unless said
	Crops    int                `yaml:"crops"`    // of pictures in a sequence at most; 0 no bound
	Loss     string             `yaml:"loss"`     // answers or text
	Shortest int                `yaml:"shortest"` // bounds of pictures' sides; 0 as the model says
	Longest  int                `yaml:"longest"`
	Split    float64            `yaml:"split"` // share of examples whose pictures are cut in four
	Upscale  float64            `yaml:"upscale"`
	// UpscaleMax is the largest factor of those that are enlarged.
	UpscaleMax   float64 `yaml:"upscale_max"`
	ShuffleTurns bool    `yaml:"shuffle_turns"`
	MaxTurns     int     `yaml:"max_turns"`
	Newline      float64 `yaml:"newline"` // share of questions with a newline in front
	KeepEnd      bool    `yaml:"keep_end"`
	// LearningRate, Warmup and Schedule are the stage's own, where they are given.
	LearningRate float64  `yaml:"learning_rate"`
	Warmup       *int     `yaml:"warmup"`
	Schedule     string   `yaml:"schedule"`
	NEFTune      *float64 `yaml:"neftune"`
	Train        []string `yaml:"train"`
	Freeze       []string `yaml:"freeze"`
}

// Packs reports whether several examples go into a sequence.
func (s *Stage) Packs() bool { return s.Pack == nil || *s.Pack }

// Optimizer is AdamW and its schedule.
type Optimizer struct {
	LearningRate float64    `yaml:"learning_rate"`
	Schedule     string     `yaml:"schedule"` // linear, cosine or constant
	Warmup       int        `yaml:"warmup"`   // steps
	Betas        [2]float64 `yaml:"betas"`
	Eps          float64    `yaml:"eps"`
	WeightDecay  float64    `yaml:"weight_decay"`
	Clip         float64    `yaml:"clip"` // greatest norm of the gradient; 0 is none
	Groups       []Group    `yaml:"groups"`
	NEFTune      float64    `yaml:"neftune"`
	// PerBatch weighs every sequence alike, as the reference does, instead of every token.
	PerBatch  bool `yaml:"per_batch"`
	Recompute bool `yaml:"recompute"` // activations, to save memory
}

// Group is parameters that learn otherwise: the first that matches counts.
type Group struct {
	Match string   `yaml:"match"` // pattern of whole names
	Rate  float64  `yaml:"rate"`  // times the learning rate
	Decay *float64 `yaml:"decay"`
}

// Save says when checkpoints are written and which stay.
type Save struct {
	Every int `yaml:"every"` // steps
	Keep  int `yaml:"keep"`  // the newest; the best stays besides
	// Model is which checkpoint becomes the model or adapter at the end: last, also "", or best.
	Model string `yaml:"model" json:",omitzero"`
}

// Eval is an evaluation on the way.
type Eval struct {
	Every    int      `yaml:"every"` // steps
	Data     []string `yaml:"data"`  // sources whose loss is measured
	Examples int      `yaml:"examples"`
	// Tasks are what the eval command measures, by names of their own.
	Tasks     map[string]Task `yaml:"tasks"`
	MaxTokens int             `yaml:"max_tokens"` // of an answer; 0 is 128
	// Samples are how many examples of each source are answered for people to read.
	Samples int `yaml:"samples" json:",omitzero"`
	// Best names what tells the best: a source or a task; "" is the mean loss, or without data the mean mark.
	Best string `yaml:"best" json:",omitzero"`
	// Patience ends the training after so many evaluations in a row that were no better than the best; 0 never does.
	Patience int `yaml:"patience" json:",omitzero"`
}

// Task is a folder of cases that the model answers at an evaluation.
type Task struct {
	Task  string `yaml:"task"` // as the eval command knows it; "" is reading
	Path  string `yaml:"path"`
	Limit int    `yaml:"limit"` // cases of a category; 0 is all
}

// Skip says how many bad examples are borne.
type Skip struct {
	Share float64 `yaml:"share"` // of the draws
	Free  int     `yaml:"free"`  // that do not count
}

// Defaults of what a recipe does not say.
func defaults() Recipe {
	return Recipe{
		Optimizer: Optimizer{LearningRate: 1e-4, Schedule: "linear", Betas: [2]float64{0.9, 0.999}, Eps: 1e-8, Clip: 1},
		Save:      Save{Every: 250, Keep: 3},
		Skip:      Skip{Share: 0.01, Free: 32},
	}
}

func (r *Recipe) fill() {
	if a := r.Adapter; a != nil {
		if a.Kind == "" {
			a.Kind = "lora"
		}
		if a.Alpha == 0 {
			a.Alpha = float64(a.Rank)
		}
		if a.Targets == "" {
			a.Targets = DefaultTargets
		}
	}
	for i := range r.Stages {
		s := &r.Stages[i]
		if s.Length == 0 {
			s.Length = 2048
		}
		if s.Batch == 0 {
			s.Batch = 1
		}
		if s.Loss == "" {
			s.Loss = "answers"
		}
		if s.Upscale > 0 && s.UpscaleMax == 0 {
			s.UpscaleMax = 2
		}
		if s.LearningRate == 0 {
			s.LearningRate = r.Optimizer.LearningRate
		}
		if s.Schedule == "" {
			s.Schedule = r.Optimizer.Schedule
		}
		if s.Warmup == nil {
			s.Warmup = &r.Optimizer.Warmup
		}
		if s.NEFTune == nil {
			s.NEFTune = &r.Optimizer.NEFTune
		}
		if s.Train == nil {
			s.Train = r.Train
		}
		if s.Freeze == nil {
			s.Freeze = r.Freeze
		}
	}
}

// DefaultTargets are the modules that the released model's tutorial adapts.
const DefaultTargets = `.*(text_model|modality_projection|perceiver_resampler).*(down_proj|gate_proj|up_proj|k_proj|q_proj|v_proj|o_proj).*$`
