package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	"idefics2/hub"
	"idefics2/internal/terminal"
)

var pullCmd = command{
	name: "pull",
	args: "[-plan] [-all] [-include PATTERN]… [-check] [-json] NAME[@REVISION]",
	help: "fetch a model from the Hugging Face Hub",
	more: `The files go to the Hugging Face cache, which Python's tools share, and every one is checked
against the hash that the Hub has of it. What was interrupted or killed goes on where it stopped
when the same command is given again. Without -all or -include, what the program needs is fetched:
weights in safetensors, configuration, tokenizer, chat template, licence. Of
HuggingFaceM4/idefics2-8b that is 33.6 GB. The folder of the model is printed; commands take its
name, too.

The environment is that of the Hub's own tools: HF_HOME or HF_HUB_CACHE is where the cache is,
HF_TOKEN says who asks (a login's token file is read, too), HF_ENDPOINT is a mirror, HF_HUB_OFFLINE
forbids the network, HTTPS_PROXY is a proxy.`,
	examples: []example{
		{"the released model, and a question to it", `idefics2 pull HuggingFaceM4/idefics2-8b
  idefics2 ask -model HuggingFaceM4/idefics2-8b -image photo.jpg "What is this?"`},
		{"what would be fetched, and how large it is", "idefics2 pull -plan HuggingFaceM4/idefics2-8b"},
		{"a branch, a tag or a commit", "idefics2 pull OWNER/NAME@v1.0"},
		{"other files", "idefics2 pull -include '*.gguf' -include README.md OWNER/NAME"},
		{"a model whose licence must be accepted", "HF_TOKEN=hf_… idefics2 pull OWNER/NAME"},
		{"that no file of it was damaged since", "idefics2 pull -check OWNER/NAME"},
	},
	new: func(f *flags) runFunc {
		p := &pullFlags{flags: f}
		f.group("Files", func() {
			f.BoolVar(&p.choice.All, "all", false, "every file of the model")
			f.Var((*list)(&p.choice.Include), "include", "`PATTERN`: these files instead, such as '*.json'; may be given several times")
		})
		f.group("Fetching", func() {
			f.BoolVar(&p.plan, "plan", false, "print what would be fetched, and fetch nothing")
			f.BoolVar(&p.fetch.Check, "check", false, "read what is here already and check it, too")
			f.IntVar(&p.fetch.Parallel, "parallel", hub.DefaultParallel, "`N`: files at a time")
		})
		f.group("Output", func() {
			f.BoolVar(&p.json, "json", false, "print one JSON object")
		})
		return p.run
	},
}

type pullFlags struct {
	flags      *flags
	choice     hub.Choice
	fetch      hub.FetchOptions
	plan, json bool
}

// pulled is what -json prints.
type pulled struct {
	Name     string     `json:"name"`
	Revision string     `json:"revision"`
	Commit   string     `json:"commit,omitempty"`
	Dir      string     `json:"dir,omitempty"` // none of a plan
	Bytes    int64      `json:"bytes"`
	Fetched  int64      `json:"fetched"`
	Missing  int64      `json:"missing"` // what is to come, of a plan
	Files    []hub.File `json:"files"`
}

func (p *pullFlags) run(ctx context.Context, std stdio, args []string) error {
	if len(args) != 1 {
		return misused(fmt.Sprintf("pull wants one name, found %d", len(args)), "such as HuggingFaceM4/idefics2-8b")
	}
	if p.fetch.Parallel < 1 || p.fetch.Parallel > hub.MaxParallel {
		return misused(fmt.Sprintf("-parallel %d: want 1 to %d", p.fetch.Parallel, hub.MaxParallel), p.flags.hint())
	}
	if p.choice.All && len(p.choice.Include) > 0 {
		return misused("-all and -include exclude each other", p.flags.hint())
	}
	name, err := hub.ParseName(args[0])
	if err != nil {
		return misused(err.Error(), "such as HuggingFaceM4/idefics2-8b or HuggingFaceM4/idefics2-8b@main")
	}
	cache := hub.Cache{Dir: hub.DefaultDir(std.getenv)}
	bars := terminal.NewProgress(std.err)
	defer bars.Close()
	note := func(line string) {
		bars.Close()
		fmt.Fprintln(std.err, "idefics2: "+terminal.Clean(line))
	}
	if hub.Offline(std.getenv) {
		return p.offline(std, cache, name, note)
	}
	o, err := hub.DefaultOptions(std.getenv)
	if err != nil {
		return err
	}
	o.Proxy, o.Note = http.ProxyFromEnvironment, note
	client, err := hub.NewClient(o)
	if err != nil {
		return withRemedy(err, "HF_ENDPOINT and HF_TOKEN say where and who")
	}
	defer client.Close()
	plan, err := client.Plan(ctx, cache, name, p.choice)
	if err != nil {
		return p.explain(err, name, o)
	}
	out := &pulled{Name: name.Owner + "/" + name.Model, Revision: name.Revision, Commit: plan.Commit, Bytes: plan.Bytes, Missing: plan.Bytes - plan.Have, Files: plan.Files}
	if !p.plan {
		here := ""
		if plan.Have > 0 {
			here = fmt.Sprintf(", of which %v are here already", decimal(plan.Have))
		}
		note(fmt.Sprintf("%v: %d files, %v%s", name, len(plan.Files), decimal(plan.Bytes), here))
		p.fetch.Progress = follow(bars, plan, std.err)
		if out.Dir, err = plan.Fetch(ctx, p.fetch); err != nil {
			if ctx.Err() != nil {
				note("the same command goes on where this one stops")
				return err
			}
			return p.explain(err, name, o)
		}
		out.Missing = 0
		for _, f := range plan.Files {
			out.Fetched += f.Fetched
		}
	}
	bars.Close()
	return p.print(std, out)
}

// offline answers with what is here.
func (p *pullFlags) offline(std stdio, cache hub.Cache, name hub.Name, note func(string)) error {
	dir, err := cache.Find(name.String())
	if err != nil || p.plan || p.fetch.Check {
		return withRemedy(errors.Join(errors.New("HF_HUB_OFFLINE forbids the network"), err), "HF_HUB_OFFLINE=0 idefics2 pull … asks the Hub")
	}
	note("HF_HUB_OFFLINE forbids the network: this is what is here, whether or not the Hub has newer")
	return p.print(std, &pulled{Name: name.Owner + "/" + name.Model, Revision: name.Revision, Dir: dir, Files: []hub.File{}})
}

func (p *pullFlags) print(std stdio, out *pulled) error {
	if p.json {
		return writeJSON(std.out, out)
	}
	w := &printer{w: std.out}
	if terminal.Is(std.out) {
		w.w = terminal.NewCleaner(std.out)
	}
	if !p.plan {
		w.printf("%s\n", out.Dir)
		return w.err
	}
	for _, f := range out.Files {
		w.printf("%10v  %s\n", decimal(f.Bytes), f.Name)
	}
	w.printf("%10v  in all, %v to come, of commit %s\n", decimal(out.Bytes), decimal(out.Missing), out.Commit)
	return w.err
}

// follow draws a bar for each file that comes and one for all, or prints a line for each file that is
// whole where there is no terminal.
func follow(bars *terminal.Progress, plan *hub.Plan, err io.Writer) func(hub.Progress) {
	if terminal.Is(err) {
		const most = 40 // letters of a name
		return func(s hub.Progress) {
			name := []rune(s.File)
			if len(name) > most { // its end tells it from others
				name = append([]rune("…"), name[len(name)-most:]...)
			}
			if s.Check {
				bars.Bytes("check "+string(name), s.Done, s.Total)
				return
			}
			bars.Bytes("all", s.All, plan.Bytes)
			bars.Bytes(string(name), s.Done, s.Total)
		}
	}
	var mu sync.Mutex
	return func(s hub.Progress) {
		if !s.Check && s.Done == s.Total {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(err, "idefics2: %s: %v; %v of %v\n", terminal.Clean(s.File), decimal(s.Total), decimal(s.All), decimal(plan.Bytes))
		}
	}
}

// explain adds what to do about what the Hub refuses.
func (p *pullFlags) explain(err error, name hub.Name, o hub.Options) error {
	endpoint, model := o.Endpoint, name.Owner+"/"+name.Model
	if endpoint == "" {
		endpoint = hub.DefaultEndpoint
	}
	token := "and set HF_TOKEN to a token of that account, from " + endpoint + "/settings/tokens"
	if o.Token != "" {
		token = "with the account of the token that is set; the token must be allowed to read such models"
	}
	again := "the same command goes on where it stopped"
	switch {
	case errors.Is(err, hub.ErrGated):
		return withRemedy(err, "accept the licence at "+endpoint+"/"+model+", "+token)
	case errors.Is(err, hub.ErrToken):
		return withRemedy(err, "HF_TOKEN or the token file has expired; "+endpoint+"/settings/tokens makes another, and public models need none")
	case errors.Is(err, hub.ErrNoModel) && o.Token == "":
		return withRemedy(err, "check the name at "+endpoint+"/"+model+"; if it is private, set HF_TOKEN")
	case errors.Is(err, hub.ErrNoModel):
		return withRemedy(err, "check the name at "+endpoint+"/"+model+", and that the token may see it")
	case errors.Is(err, hub.ErrNoRevision):
		return withRemedy(err, endpoint+"/"+model+"/tree/main lists its branches and tags")
	case errors.Is(err, hub.ErrNothing):
		return withRemedy(err, "-include PATTERN or -all fetches other files")
	case errors.Is(err, hub.ErrDiskFull):
		return withRemedy(err, "make room, or set HF_HOME to a folder on a larger disk; then "+again)
	case errors.Is(err, hub.ErrChecksum):
		return withRemedy(err, "the damaged file was removed; a proxy may change what it passes on; give the command again")
	case errors.Is(err, os.ErrPermission):
		return withRemedy(err, "set HF_HOME to a folder that you may write")
	}
	return withRemedy(err, again+"; HF_ENDPOINT names a mirror, HTTPS_PROXY a proxy")
}

// decimal prints bytes as the Hub and disks count them.
type decimal int64

func (d decimal) String() string {
	switch v := float64(d); {
	case v >= 1e12:
		return fmt.Sprintf("%.1f TB", v/1e12)
	case v >= 1e9:
		return fmt.Sprintf("%.1f GB", v/1e9)
	case v >= 1e6:
		return fmt.Sprintf("%.1f MB", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.1f kB", v/1e3)
	}
	return fmt.Sprintf("%d B", int64(d))
}
