//go:build linux && (amd64 || arm64)

package teardown

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv("TEARDOWN_PROGRAM") != "" {
		os.Exit(program())
	}
	os.Exit(m.Run())
}

// program delegates its end and tells who holds its memory. That a signal still reaches
// it shows that the mask is what it was.
func program() int {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	holder, err := Delegate()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	<-got
	var count atomic.Int64
	for range 8 {
		go func() { // threads that compute to the last
			for {
				count.Add(1)
			}
		}()
	}
	time.Sleep(30 * time.Millisecond) // several naps of the holder
	fmt.Println(holder, alive(holder))
	return 7
}

// The process ends with its own status, nobody waits for its output, and its holder
// follows.
func TestDelegate(t *testing.T) {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), "TEARDOWN_PROGRAM=1")
	out, _ := command.CombinedOutput()
	var holder int
	var held bool
	if _, err := fmt.Sscan(string(out), &holder, &held); err != nil || !held || command.ProcessState.ExitCode() != 7 {
		t.Fatalf("%s%v", out, command.ProcessState)
	}
	for range 1000 {
		if !alive(holder) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the holder %d is still there", holder)
}

// alive reports whether a process runs or sleeps: one that nobody has waited for yet does not.
func alive(pid int) bool {
	status, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "status"))
	return err == nil && !strings.Contains(string(status), "\nState:\tZ")
}
