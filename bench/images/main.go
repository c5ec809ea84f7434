//go:build unix

// Command images is the Go half of images.py: it decodes and resizes one JPEG again and
// again, each time it is told to, so that the script can take turns with Pillow.
//
//	images [-cold] FILE WIDTH HEIGHT
//
// Each line of its input is a number of processors. It answers with the seconds of
// decoding and of resizing, the processor seconds of both, and the SHA-256 of both results.
// Between runs it collects garbage, and with -cold gives the memory back to the system, as
// Go does by itself when a process is idle.
package main

import (
	"bufio"
	"crypto/sha256"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"idefics2/imageproc"
)

func main() {
	log.SetFlags(0)
	cold := flag.Bool("cold", false, "use fresh memory each time")
	flag.Parse()
	args := flag.Args()
	if len(args) != 3 {
		log.Fatal("usage: images [-cold] FILE WIDTH HEIGHT")
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		log.Fatal(err)
	}
	width, errW := strconv.Atoi(args[1])
	height, errH := strconv.Atoi(args[2])
	if errW != nil || errH != nil || width < 1 || height < 1 {
		log.Fatalf("images: size %s×%s, want two positive numbers", args[1], args[2])
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		threads, err := strconv.Atoi(lines.Text())
		if err != nil || threads < 1 {
			log.Fatalf("images: %q, want a number of processors", lines.Text())
		}
		runtime.GOMAXPROCS(threads)
		if err := once(data, width, height); err != nil {
			log.Fatal(err)
		}
		runtime.GC()
		if *cold {
			debug.FreeOSMemory()
		}
	}
}

func once(data []byte, width, height int) error {
	start, busy := time.Now(), processor()
	img, _, err := imageproc.Decode(data, imageproc.Limits{})
	if err != nil {
		return err
	}
	decoded, busyDecoded := time.Now(), processor()
	small := imageproc.Resize(img, width, height, imageproc.Bilinear)
	end, busyEnd := time.Now(), processor()
	fmt.Printf("%.6f %.6f %.6f %.6f %x %x\n",
		decoded.Sub(start).Seconds(), end.Sub(decoded).Seconds(),
		(busyDecoded - busy).Seconds(), (busyEnd - busyDecoded).Seconds(),
		sha256.Sum256(img.Pix), sha256.Sum256(small.Pix))
	return nil
}

// processor is the time that this process has computed.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
