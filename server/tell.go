package server

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"idefics2"
	"idefics2/openai"
)

// What answers without the model's arithmetic: names, tokens, and the price of a picture.

func (s *Server) models(w http.ResponseWriter, _ *http.Request, _ *holder) error {
	out := openai.Models{Object: "list"}
	for _, name := range s.config.Order {
		out.Data = append(out.Data, s.entry(name))
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (s *Server) model(w http.ResponseWriter, r *http.Request, _ *holder) error {
	name, _, err := s.named(r.PathValue("id"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s.entry(name))
	return nil
}

func (s *Server) entry(name string) openai.Model {
	return openai.Model{ID: name, Object: "model", Created: s.started.Unix(), OwnedBy: "idefics2"}
}

// TokenizeRequest is the body of POST /tokenize and, with tokens, of POST /detokenize.
type TokenizeRequest struct {
	Model   string  `json:"model"`
	Content string  `json:"content"`
	Tokens  []int32 `json:"tokens"`
}

func (s *Server) tokenize(w http.ResponseWriter, r *http.Request, _ *holder) error {
	body, model, err := s.tokens(r)
	if err != nil {
		return err
	}
	ids := model.Processor().Tokenizer().Encode(body.Content)
	if ids == nil {
		ids = []int32{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"tokens": ids, "count": len(ids)})
	return nil
}

func (s *Server) detokenize(w http.ResponseWriter, r *http.Request, _ *holder) error {
	body, model, err := s.tokens(r)
	if err != nil {
		return err
	}
	t := model.Processor().Tokenizer()
	for _, id := range body.Tokens {
		if _, ok := t.Token(id); !ok {
			return bad("tokens", fmt.Errorf("the model has no token %d", id))
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"content": t.Decode(body.Tokens, true)})
	return nil
}

func (s *Server) tokens(r *http.Request) (*TokenizeRequest, *idefics2.Model, error) {
	var body TokenizeRequest
	if err := decode(r, &body); err != nil {
		return nil, nil, err
	}
	_, model, err := s.named(body.Model)
	return &body, model, err
}

// EstimateRequest is the body of POST /v1/images/estimate: a picture as a data URL, or where
// the server allows it an address, and whether it would be split.
type EstimateRequest struct {
	Model string `json:"model"`
	Image string `json:"image"`
	Split *bool  `json:"split"`
	// Preview asks for the pixels that the model would see, as PNG in data URLs.
	Preview bool `json:"preview"`
}

// Estimate is what a picture would cost.
type Estimate struct {
	Format string         `json:"format"`
	Width  int            `json:"width"`
	Height int            `json:"height"`
	Tokens int            `json:"tokens"`
	Crops  []EstimateCrop `json:"crops"`
}

// EstimateCrop is a crop after resizing, and its patches.
type EstimateCrop struct {
	Box     [4]int `json:"box"` // left, top, right, bottom in the picture
	Width   int    `json:"width"`
	Height  int    `json:"height"`
	Patches int    `json:"patches"`
	Preview string `json:"preview,omitempty"`
}

func (s *Server) estimate(w http.ResponseWriter, r *http.Request, _ *holder) error {
	var body EstimateRequest
	if err := decode(r, &body); err != nil {
		return err
	}
	_, model, err := s.named(body.Model)
	if err != nil {
		return err
	}
	if body.Image == "" {
		return bad("image", errors.New("want a picture, as a data URL"))
	}
	done, err := model.Processor().Images(r.Context(), idefics2.Request{Images: []idefics2.Image{{Name: body.Image}}, Split: body.Split})
	if err != nil {
		return bad("image", err)
	}
	from := done.Images[0]
	out := Estimate{Format: from.Format, Width: from.Width, Height: from.Height, Tokens: from.Tokens}
	for _, c := range from.Crops {
		crop := EstimateCrop{Box: c.Box, Width: c.Width, Height: c.Height, Patches: c.Rows * c.Columns}
		if body.Preview {
			data, err := c.Pixels.PNG()
			if err != nil {
				return err
			}
			crop.Preview = "data:image/png;base64," + base64.StdEncoding.EncodeToString(data)
		}
		out.Crops = append(out.Crops, crop)
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}
