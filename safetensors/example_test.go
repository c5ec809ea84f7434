package safetensors_test

import (
	"fmt"
	"os"
	"path/filepath"

	"idefics2/safetensors"
	"idefics2/tensor"
)

func Example() {
	dir, err := os.MkdirTemp("", "safetensors")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.safetensors")

	w, err := safetensors.Create(path, []safetensors.Entry{
		{Name: "weight", DType: tensor.BF16, Shape: []int{2, 1}},
		{Name: "bias", DType: tensor.F32, Shape: []int{2}},
	}, map[string]string{"format": "pt"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Abort() // nothing is left of a file that was not committed
	w.Write("weight", []byte{0x80, 0x3f, 0x00, 0x40})
	w.Write("bias", []byte{0, 0, 0, 0x3f, 0, 0, 0x80, 0xbf})
	fmt.Println(w.Commit())

	f, err := safetensors.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	for _, name := range f.Names() {
		v, _ := f.View(name)
		fmt.Println(name, v.DType, v.Shape, v.Floats())
	}
	// Output:
	// <nil>
	// bias F32 [2] [0.5 -1]
	// weight BF16 [2 1] [1 2]
}

func ExampleParse() {
	header := `{"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}`
	data := append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header...)
	_, err := safetensors.Parse(append(data, 1, 2)) // a byte is missing
	fmt.Println(err)
	// Output:
	// safetensors: tensors end at byte 3 of the data, which has 2: truncated, or bytes follow the last tensor
}
