package hub_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"idefics2/hub"
)

func ExampleParseName() {
	n, err := hub.ParseName("HuggingFaceM4/idefics2-8b@v1.0")
	fmt.Println(n.Owner, n.Model, n.Revision, err)
	_, err = hub.ParseName("../../etc")
	fmt.Println(err)
	// Output:
	// HuggingFaceM4 idefics2-8b v1.0 <nil>
	// hub: "../../etc": want owner/name or owner/name@revision, of letters, digits and . _ -
}

// Only main reads the environment: it hands os.Getenv in.
func ExampleCache_Find() {
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	env := map[string]string{"HF_HOME": dir}
	cache := hub.Cache{Dir: hub.DefaultDir(func(key string) string { return env[key] })}
	rel, _ := filepath.Rel(dir, cache.Dir)
	fmt.Println(rel)

	_, err = cache.Find("HuggingFaceM4/idefics2-8b")
	fmt.Println(errors.Is(err, hub.ErrNotFound))
	// Output:
	// hub
	// true
}
