package authserver

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxFormBytes bounds the body of every form endpoint; assertions and
	// long scope lists fit several times.
	maxFormBytes = 64 << 10
	maxParams    = 64
)

// params is a parsed request form: valid UTF-8 without NUL, each parameter at
// most once (resource excepted, RFC 8707 §2), empty ones dropped as RFC 6749
// §3.1 asks.
type params struct{ form url.Values }

func (p params) get(name string) string { return p.form.Get(name) }
func (p params) resources() []string    { return p.form["resource"] }

// parseParams reads the form of a POST once; nobody reads the body after it.
// Parameters in the URL are not looked at (RFC 6749 §2.3.1 forbids them).
// Repeatable parameters, such as the checkboxes of a page, may come more than
// once.
func parseParams(r *http.Request, repeatable ...string) (params, error) {
	contentTypes := r.Header.Values("Content-Type")
	if len(contentTypes) != 1 {
		return params{}, invalidRequest("Send the parameters as one application/x-www-form-urlencoded body.")
	}
	if mediaType, _, err := mime.ParseMediaType(contentTypes[0]); err != nil || mediaType != "application/x-www-form-urlencoded" {
		return params{}, invalidRequest("The Content-Type must be application/x-www-form-urlencoded.")
	}
	body, err := readBody(r)
	if err != nil {
		return params{}, err
	}
	form, err := parseForm(string(body), repeatable...)
	if err != nil {
		return params{}, err
	}
	// fosite reads these instead of the body that is gone.
	r.PostForm, r.Form = form, form
	return params{form}, nil
}

// readBody reads the body of r to its end. One that never comes to its end is
// the client's fault.
func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil || errors.As(err, &tooLarge):
		return body, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &oauthError{status: http.StatusRequestTimeout, code: codeInvalidRequest, description: "The request body took too long to arrive.", cause: err}
	}
	return nil, invalidRequest("The request body is cut off or malformed.").because(err)
}

// parseForm decodes and checks an application/x-www-form-urlencoded string.
func parseForm(body string, repeatable ...string) (url.Values, error) {
	if strings.Count(body, "&") >= maxParams {
		return nil, invalidRequest("The request has too many parameters.")
	}
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, invalidRequest("The form is not properly encoded.").because(err)
	}
	for name, values := range form {
		if len(values) > 1 && name != "resource" && !slices.Contains(repeatable, name) {
			return nil, invalidRequest("A parameter is repeated.")
		}
		if !clean(name) {
			return nil, invalidRequest("A parameter name is not valid text.")
		}
		kept := values[:0]
		for _, value := range values {
			if !clean(value) {
				return nil, invalidRequest("A parameter value is not valid text.")
			}
			if value != "" {
				kept = append(kept, value)
			}
		}
		if form[name] = kept; len(kept) == 0 {
			delete(form, name)
		}
	}
	return form, nil
}

// clean reports whether s is UTF-8 without NUL: what a database will take.
func clean(s string) bool {
	return utf8.ValidString(s) && !strings.Contains(s, "\x00")
}
