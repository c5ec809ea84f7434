package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// largeMapping is the size from which a mapping is worth letting go by hand.
const largeMapping = 256 << 20

// letGo gives the pages of mapped weights back, on all cores at once. A process that ends
// does so on one core, and for the sixteen gigabytes of the released model that alone takes
// longer than a person should wait after Ctrl-C. Threads that still compute are put behind;
// a page that one of them wants is simply there again.
func letGo() {
	parts := largeMappings("/proc/self/maps")
	if len(parts) == 0 {
		return
	}
	next := make(chan []byte, len(parts))
	for _, p := range parts {
		next <- p
	}
	close(next)
	workers := runtime.GOMAXPROCS(0)
	own := make(chan int, workers)
	var done sync.WaitGroup
	for range workers {
		done.Go(func() {
			runtime.LockOSThread() // its thread keeps its priority
			own <- unix.Gettid()
			for p := range next {
				unix.Madvise(p, unix.MADV_DONTNEED)
			}
		})
	}
	spared := map[int]bool{}
	for range workers {
		spared[<-own] = true
	}
	threads, _ := os.ReadDir("/proc/self/task")
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil && !spared[id] {
			unix.Setpriority(unix.PRIO_PROCESS, id, 19)
		}
	}
	done.Wait()
}

// largeMappings returns the large read-only mappings of files, in pieces of that size.
func largeMappings(maps string) (parts [][]byte) {
	f, err := os.Open(maps)
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to, offset uintptr
		var mode, device string
		var inode uint64
		n, _ := fmt.Sscanf(lines.Text(), "%x-%x %s %x %s %d", &from, &to, &mode, &offset, &device, &inode)
		if n < 6 || inode == 0 || mode[:3] != "r--" || to-from < largeMapping {
			continue
		}
		for ; from < to; from += largeMapping {
			parts = append(parts, unsafe.Slice((*byte)(unsafe.Add(nil, from)), min(largeMapping, to-from)))
		}
	}
	return parts
}
