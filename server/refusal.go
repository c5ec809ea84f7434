package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"idefics2/openai"
)

// refusal is why a request gets no answer.
type refusal struct {
	status  int
	message string
	param   string        // the member that is wrong
	code    string        // for programs
	retry   time.Duration // when to come again; 0: not said
}

func (e refusal) Error() string { return e.message }

// bad is a refusal for what the client wrote.
func bad(param string, err error) refusal {
	return refusal{status: http.StatusBadRequest, message: err.Error(), param: param}
}

// asRefusal finds out what an error means to a client. What is not a refusal yet is about the
// request: its pictures, its length, its settings.
func asRefusal(err error) refusal {
	var r refusal
	var param *openai.ParamError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &param):
		return bad(param.Param, err)
	case errors.As(err, &large):
		return refusal{status: http.StatusRequestEntityTooLarge, message: "the body has more than the " + strconv.FormatInt(large.Limit, 10) + " bytes that this server takes", code: "body_too_large"}
	}
	return bad("", err)
}

// refuse writes a refusal in OpenAI's form.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, e refusal) {
	kind := "invalid_request_error"
	switch {
	case e.status == http.StatusUnauthorized:
		kind = "authentication_error"
		w.Header().Set("WWW-Authenticate", "Bearer")
	case e.status == http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case e.status >= 500:
		kind = "server_error"
	}
	if e.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((e.retry+time.Second-1)/time.Second)))
	}
	s.metrics.refused.WithLabelValues(strconv.Itoa(e.status)).Inc()
	s.config.Log.InfoContext(r.Context(), "refused", "request", w.Header().Get(requestID), "path", r.URL.Path, "status", e.status, "param", e.param)
	writeJSON(w, e.status, openai.ErrorBody{Error: openai.Error{Message: e.message, Type: kind, Param: optional(e.param), Code: optional(e.code)}})
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own structs
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // who has left reads no error
}
