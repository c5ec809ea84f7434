package quant_test

import (
	"flag"
	"fmt"

	"idefics2/quant"
)

func ExampleType_Encode() {
	row := make([]float32, 64) // two blocks
	for i := range row {
		row[i] = float32(i-32) / 8
	}
	typ := quant.Q4_0
	size, ok := typ.Size(len(row))
	if !ok {
		fmt.Println("no whole blocks")
		return
	}
	data := make([]byte, size)
	if err := typ.Encode(data, row); err != nil {
		fmt.Println(err)
		return
	}
	back := make([]float32, len(row))
	typ.Decode(back, data)
	var d quant.Deviation
	d.Add(row, back)
	fmt.Println(size, "bytes for", len(row), "values; 2.5 became", back[52])
	fmt.Printf("root mean square error %.2f, largest %.2f\n", d.RMS(), d.Max())
	// Output:
	// 36 bytes for 64 values; 2.5 became 2.421875
	// root mean square error 0.15, largest 0.25
}

func ExampleEncodeNF4() {
	x := []float32{0.1, -0.5, 1, 0, 0.3, -2, 0.75, 1.2}
	m, err := quant.EncodeNF4(x, 2, 4, quant.NF4Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	row := make([]float32, 4)
	m.DecodeRows(row, 1, 2)
	fmt.Println(row)
	for _, p := range m.Parts() {
		fmt.Println(p.Ending, p.DType, p.Shape)
	}
	// Output:
	// [0.3218604 -2 0.6758305 1.125234]
	// weight U8 [4 1]
	// weight.quant_map F32 [16]
	// weight.absmax F32 [1]
	// weight.quant_state.bitsandbytes__nf4 U8 [75]
}

func ExampleType_UnmarshalText() {
	typ := quant.Q4_K
	flags := flag.NewFlagSet("quantize", flag.ContinueOnError)
	flags.TextVar(&typ, "type", typ, "block format")
	if err := flags.Parse([]string{"-type", "q6_k"}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(typ, typ.Block(), typ.Bytes(), typ.GGUF())
	// Output:
	// q6_k 256 210 14
}
