package main

import "idefics2"

// requestFlags are those of every command that takes a conversation.
type requestFlags struct {
	messages string
	images   list
	split    maybe
	raw      bool
}

func (r *requestFlags) add(f *flags) {
	f.Var(&r.images, "image", "`FILE_OR_URL`: a picture; may be given several times")
	f.Var(&r.split, "split", "read each picture as four quarters and the whole, or with -split=false as the whole alone (default: as the model's files say)")
	f.StringVar(&r.messages, "messages", "", "`FILE`: a conversation as JSON, or - for standard input")
	f.BoolVar(&r.raw, "raw", false, "recognize special tokens in the text of messages, as the reference does")
}

// change applies the flags that a request of any origin follows.
func (r *requestFlags) change(to *idefics2.Request) {
	if r.split.value != nil {
		to.Split = r.split.value
	}
	to.Raw = to.Raw || r.raw
}

// request reads the messages, if there are any, and adds the images. A conversation that
// ends with an answer is finished: no further one is prompted for unless the file says so.
func (r *requestFlags) request(std stdio) (out idefics2.Request, err error) {
	if r.messages != "" {
		var told bool
		if out, told, err = readMessages(std.in, r.messages); err != nil {
			return out, err
		}
		if n := len(out.Messages); !told && n > 0 && out.Messages[n-1].Role == "assistant" {
			out.NoGenerationPrompt = true
		}
	}
	out.Images = append(out.Images, named(r.images)...)
	r.change(&out)
	return out, nil
}
