// Command pass is our half of peers.py: it does the works of package measure, each when it is
// told to, so that the script can take turns with other programs.
//
//	pass [-layers N] [-threads N] [-tokenizer FILE] [-text FILE] [-image FILE]
//
// Each line of its input is the name of a work. It answers with the seconds of one pass over
// the layers in memory, not scaled to all of them.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"os"

	"idefics2/checkpoint"
	"idefics2/measure"
	"idefics2/tokenizer"
)

func main() {
	log.SetFlags(0)
	o := measure.Options{Config: checkpoint.Released()}
	flag.IntVar(&o.Layers, "layers", 2, "of each stack")
	flag.IntVar(&o.Threads, "threads", 0, "0: one per processor")
	words := flag.String("tokenizer", "", "tokenizer.json")
	text := flag.String("text", "", "what is made tokens")
	photo := flag.String("image", "", "what is decoded")
	flag.Parse()
	var err error
	if *words != "" {
		if o.Tokenizer, err = tokenizer.Load(*words); err != nil {
			log.Fatal(err)
		}
	}
	o.Text, o.Photo = read(*text), read(*photo)
	b, err := measure.New(o)
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		seconds, err := b.Sample(lines.Text())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%.6f\n", seconds)
	}
}

// read returns the bytes of a file, or nil where none is named.
func read(name string) []byte {
	if name == "" {
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		log.Fatal(err)
	}
	return data
}
