package main

import "golang.org/x/sys/unix"

func cpuName(func(string) string) string {
	name, err := unix.Sysctl("machdep.cpu.brand_string")
	if err != nil {
		return "unknown"
	}
	return name
}

// memory returns what the machine has. What is free cannot be had from sysctl alone, so
// all of it is taken to be available: what the system compresses or drops, it does
// when asked.
func memory() (total, available int64) {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0, 0
	}
	return int64(n), int64(n)
}

func diskFree(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0
	}
	return int64(s.Bavail) * int64(s.Bsize)
}
