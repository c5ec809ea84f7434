package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idefics2/checkpoint"
	"idefics2/tensor"
)

// The limits of a container are the smallest on the way from its group to the root.
func TestCgroup(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) string {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	self := write("self", "0::/a/b\n")
	write("fs/a/memory.max", "1000\n")
	write("fs/a/memory.current", "700\n")
	write("fs/a/memory.stat", "anon 500\ninactive_file 150\n")
	write("fs/a/b/memory.max", "max\n")
	write("fs/a/b/cpu.max", "150000 100000\n")
	write("fs/a/cpu.max", "max 100000\n")
	limit, used, quota := cgroup(self, filepath.Join(root, "fs"))
	if limit != 1000 || used != 550 || quota != 1.5 {
		t.Errorf("limit %d, used %d, quota %v; want 1000, 550, 1.5", limit, used, quota)
	}
	if limit, used, quota := cgroup(filepath.Join(root, "missing"), root); limit != 0 || used != 0 || quota != 0 {
		t.Errorf("without cgroups: %d, %d, %v", limit, used, quota)
	}
}

// The released model's plan, in numbers that can be checked by hand.
func TestPlan(t *testing.T) {
	c := checkpoint.Released()
	pre := checkpoint.DefaultPreprocessor()
	p := planFor(c, pre, 2*c.Parameters(), use{Context: 4096, Images: 2, Batch: 3})
	for _, tt := range []struct {
		name      string
		got, want int64
	}{
		{"weights", p.Weights, 16805536224},
		{"keys and values", p.Cache, 3 * 4096 * 32 * 2 * 8 * 128 * 4},
		{"pixels", p.Pixels, 6 * 4900 * 3 * 14 * 14 * 4},
		{"latents", p.Latents, 6 * 64 * 4096 * 4},
		{"total", p.Total, p.Weights + p.Cache + p.Pixels + p.Vision + p.Text + p.Latents},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, tt.got, tt.want)
		}
	}
	pre.Split = true
	if s := planFor(c, pre, 0, use{Context: 4096, Images: 2, Batch: 3}); s.Pixels != 5*p.Pixels || s.Vision != p.Vision {
		t.Errorf("split: pixels %d, want five times %d; vision %d, want %d: crops go one after the other", s.Pixels, p.Pixels, s.Vision, p.Vision)
	}
	if s := planFor(c, pre, 0, use{Context: 4096, Batch: 3, KV: tensor.BF16}); 2*s.Cache != p.Cache {
		t.Errorf("keys and values in bfloat16: %d, want half of %d", s.Cache, p.Cache)
	}
	if s := planFor(c, pre, 0, use{Context: 1, Batch: 1}); s.Pixels != 0 || s.Vision != 0 || s.Cache != 32*32*2*8*128*4 {
		t.Errorf("without pictures: pixels %d, vision %d; one token takes a page, %d bytes", s.Pixels, s.Vision, s.Cache)
	}
}

func TestDoctorNotes(t *testing.T) {
	d := diagnose(stdio{getenv: func(string) string { return "" }})
	if d.Machine.Cores < 1 || d.Machine.GOMAXPROCS < 1 || d.Released.Parameters != 8402768112 {
		t.Errorf("%+v", d)
	}
	var b bytes.Buffer
	d.Machine.Memory, d.Machine.Available, d.Released.Fits = 1<<30, 1<<29, false
	d.print(&printer{w: &b})
	if !strings.Contains(b.String(), "1.0 GiB, 512.0 MiB available") || !strings.Contains(b.String(), "does not fit") {
		t.Error(b.String())
	}
}

func TestUnits(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{size(1023).String(), "1023 B"}, {size(1536).String(), "1.5 KiB"}, {size(5 << 20).String(), "5.0 MiB"},
		{size(16805536224).String(), "15.7 GiB"}, {size(3 << 40).String(), "3.0 TiB"},
		{count(999).String(), "999"}, {count(8402768112).String(), "8.40 G"}, {count(42e6).String(), "42.00 M"}, {count(1500).String(), "1.5 k"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}
