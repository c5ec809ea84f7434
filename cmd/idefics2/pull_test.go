package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"idefics2/internal/hubtest"
)

// runPull runs "idefics2 pull ARGS…" in a home of its own, asking h.
func runPull(t *testing.T, h *hubtest.Hub, home string, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	std := stdio{out: &out, err: &errs, getenv: func(key string) string {
		if value, ok := env[key]; ok {
			return value
		}
		return map[string]string{"HF_ENDPOINT": h.URL, "HOME": home}[key]
	}}
	code = execute(t.Context(), std, append([]string{"pull"}, args...))
	return code, out.String(), errs.String()
}

// modelHub serves the recorded tiny model.
func modelHub(t *testing.T) *hubtest.Hub {
	t.Helper()
	h := hubtest.New(t)
	dir := filepath.FromSlash("../../testdata/golden/tiny/checkpoint")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		h.Files[e.Name()] = &hubtest.File{Content: string(data), Large: strings.HasSuffix(e.Name(), ".safetensors")}
	}
	h.Files["pytorch_model.bin"] = &hubtest.File{Content: "not needed", Large: true}
	return h
}

func TestPull(t *testing.T) {
	h, home := modelHub(t), t.TempDir()
	code, out, errs := runPull(t, h, home, nil, "-plan", "owner/name")
	if code != 0 || !strings.Contains(out, "to come, of commit "+hubtest.Commit) || strings.Contains(out, "pytorch") || errs != "" {
		t.Errorf("-plan: %d\n%s%s", code, out, errs)
	}
	code, out, errs = runPull(t, h, home, nil, "owner/name")
	dir := strings.TrimSpace(out)
	if code != 0 || filepath.Base(dir) != hubtest.Commit || !strings.Contains(errs, "owner/name@main: ") || !strings.Contains(errs, "model.safetensors: ") {
		t.Fatalf("%d\n%s%s", code, out, errs)
	}
	code, out, errs = runPull(t, h, home, nil, "-json", "-check", "owner/name")
	var answer pulled
	if err := json.Unmarshal([]byte(out), &answer); code != 0 || err != nil {
		t.Fatalf("%d, %v\n%s%s", code, err, out, errs)
	}
	if answer.Dir != dir || answer.Commit != hubtest.Commit || answer.Fetched != 0 || answer.Bytes == 0 || len(answer.Files) == 0 || answer.Missing != 0 {
		t.Errorf("%+v", answer)
	}

	// It is a model, by its name, and without a network.
	offline := map[string]string{"HF_HUB_OFFLINE": "1"}
	if code, out, errs = runPull(t, h, home, offline, "owner/name"); code != 0 || strings.TrimSpace(out) != dir || !strings.Contains(errs, "forbids the network") {
		t.Errorf("offline: %d\n%s%s", code, out, errs)
	}
	var b bytes.Buffer
	std := stdio{out: &b, err: &b, getenv: func(key string) string { return map[string]string{"HOME": home}[key] }}
	if code := execute(t.Context(), std, []string{"inspect", "owner/name"}); code != 0 {
		t.Errorf("inspect: %d\n%s", code, b.String())
	}
}

// Every refusal says what to do.
func TestPullRefuses(t *testing.T) {
	h := modelHub(t)
	gated := modelHub(t)
	gated.Token = "hf_secret"
	broken := modelHub(t)
	broken.Files["config.json"].Served = strings.Repeat("X", len(broken.Files["config.json"].Content))
	expired := modelHub(t)
	expired.Fault = func(w http.ResponseWriter, _ *http.Request, _ bool) bool {
		w.Header().Set("X-Error-Message", "Invalid credentials in Authorization header")
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		hub  *hubtest.Hub
		env  map[string]string
		args string
		code int
		want []string
	}{
		{h, nil, "", exitMisused, []string{"one name"}},
		{h, nil, "../../etc", exitMisused, []string{"owner/name"}},
		{h, nil, "-parallel 0 owner/name", exitMisused, []string{"1 to 32"}},
		{h, nil, "-all -include x owner/name", exitMisused, []string{"exclude"}},
		{h, nil, "nobody/nothing", exitFailed, []string{"no such model", h.URL + "/nobody/nothing", "HF_TOKEN"}},
		{h, nil, "owner/name@gone", exitFailed, []string{"no such revision", "branches"}},
		{h, nil, "-include *.gguf owner/name", exitFailed, []string{"nothing to fetch", "config.json", "-all"}},
		{h, map[string]string{"HF_ENDPOINT": "nowhere"}, "owner/name", exitFailed, []string{"nowhere", "HF_ENDPOINT"}},
		{h, map[string]string{"HF_HUB_OFFLINE": "1"}, "owner/name", exitFailed, []string{"HF_HUB_OFFLINE", "not in the cache"}},
		{h, map[string]string{"HF_HUB_CACHE": file}, "owner/name", exitFailed, []string{"file"}},
		{gated, nil, "owner/name", exitFailed, []string{"licence", gated.URL + "/owner/name", "HF_TOKEN", "/settings/tokens"}},
		{gated, map[string]string{"HF_TOKEN": "hf_other"}, "owner/name", exitFailed, []string{"licence", "account of the token"}},
		{expired, map[string]string{"HF_TOKEN": "hf_old"}, "owner/name", exitFailed, []string{"not accepted", "expired"}},
		{broken, nil, "owner/name", exitFailed, []string{"config.json", "damaged", "removed"}},
	} {
		code, out, errs := runPull(t, tt.hub, t.TempDir(), tt.env, strings.Fields(tt.args)...)
		if code != tt.code || out != "" {
			t.Errorf("%s: status %d, want %d\n%s", tt.args, code, tt.code, out)
		}
		for _, want := range tt.want {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: %s, want it to say %q", tt.args, errs, want)
			}
		}
		if strings.Contains(errs, "hf_") {
			t.Errorf("%s tells the token: %s", tt.args, errs)
		}
	}
}

// A process that is killed in the middle of a file goes on there when it is started again.
func TestPullKilled(t *testing.T) {
	h, home := modelHub(t), t.TempDir()
	weights := h.Files["model.safetensors"].Content
	half := len(weights) / 2
	begun := make(chan struct{})
	h.Fault = func(w http.ResponseWriter, r *http.Request, content bool) bool {
		if !content || r.Header.Get("Range") != "" {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(weights)))
		_, _ = w.Write([]byte(weights[:half]))
		_ = http.NewResponseController(w).Flush()
		close(begun)
		<-r.Context().Done()
		return true
	}
	program, err := exec.LookPath("idefics2")
	if err != nil {
		t.Fatal(err)
	}
	start := func() (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.Command(program, "pull", "owner/name")
		cmd.Env = append(os.Environ(), "HF_ENDPOINT="+h.URL, "HF_HOME="+home, "HF_HUB_CACHE=", "HF_HUB_OFFLINE=", "TRANSFORMERS_OFFLINE=", "HF_TOKEN=")
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, &errs
	}
	cmd, _ := start()
	<-begun
	partial := filepath.Join(home, "hub", "models--owner--name", "blobs", h.Files["model.safetensors"].Hash()+".incomplete")
	for size := int64(0); size < int64(half); { // until all that was sent is there
		if info, err := os.Stat(partial); err == nil {
			size = info.Size()
		}
		time.Sleep(time.Millisecond)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	h.Requests()
	cmd, errs := start()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	want := fmt.Sprintf("GET /model.safetensors bytes=%d-", half)
	if got := h.Asked("GET /model.safetensors"); len(got) != 1 || got[0] != want {
		t.Errorf("asked %q, want %q", got, want)
	}
	data, err := os.ReadFile(filepath.Join(home, "hub", "models--owner--name", "snapshots", hubtest.Commit, "model.safetensors"))
	if err != nil || string(data) != weights {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
