package hub

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// What the Hub refuses, wrapped by errors of a Client, for whoever can say what to do about it.
var (
	ErrGated      = errors.New("its owner asks you to accept the licence first")
	ErrToken      = errors.New("the token is not accepted")
	ErrNoModel    = errors.New("there is no such model, or it is private")
	ErrNoRevision = errors.New("there is no such revision")
	ErrNoFile     = errors.New("there is no such file")
)

// statusError is an answer that is no success.
type statusError struct {
	status string
	reason error  // one of the above, or nil
	said   string // by the server, in a line
	where  string

	passing bool // another attempt may succeed
	after   time.Duration
}

func (e *statusError) Error() string {
	text := e.where + ": "
	if e.reason != nil {
		text += e.reason.Error()
	} else {
		text += "the server answered " + e.status
	}
	if e.said != "" {
		text += fmt.Sprintf(" (%q)", e.said)
	}
	return text
}

func (e *statusError) Unwrap() error { return e.reason }

// refused makes an error of an answer that is no success, and closes it. The Hub says in a header what
// is wrong; of models that one may not see it says 401, as of those that do not exist.
func (c *Client) refused(res *http.Response) error {
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	res.Body.Close()
	e := &statusError{status: fmt.Sprintf("%d %s", res.StatusCode, http.StatusText(res.StatusCode)), where: place(res.Request.URL)}
	if !c.trusted(res.Request.URL) {
		// A content server, where an address is valid for some time only: asked again, the Hub gives another.
		e.passing = res.StatusCode >= 400
		e.after = retryAfter(res.Header.Get("Retry-After"), time.Now())
		return e
	}
	e.said = strings.ToValidUTF8(fmt.Sprintf("%.200s", res.Header.Get("X-Error-Message")), "")
	switch code := res.Header.Get("X-Error-Code"); {
	case code == "GatedRepo":
		e.reason = ErrGated
	case code == "RepoNotFound":
		e.reason = ErrNoModel
	case code == "RevisionNotFound":
		e.reason = ErrNoRevision
	case code == "EntryNotFound":
		e.reason = ErrNoFile
	case res.StatusCode == http.StatusUnauthorized && c.token != "" && strings.Contains(e.said, "nvalid"):
		e.reason = ErrToken
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusNotFound:
		e.reason = ErrNoModel
	case res.StatusCode == http.StatusForbidden:
		e.reason = ErrGated
	}
	switch res.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.passing = true
		e.after = retryAfter(res.Header.Get("Retry-After"), time.Now())
	}
	return e
}
