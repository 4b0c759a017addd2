package world

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Wire is a transport that remembers every credential that passes it, in
// requests and answers: for tests that look for them where they must not be.
type Wire struct {
	Base http.RoundTripper

	mu   sync.Mutex // guards seen
	seen map[string]string
}

// Seen returns the credentials by value, with what they first were.
func (w *Wire) Seen() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.seen)
}

// credentials are the parameters and members that hold one.
var credentials = []string{
	"access_token", "client_assertion", "client_secret", "code", "code_verifier", "device_code", "id_token", "interaction",
	"password", "refresh_token", "registration_access_token", "request_uri", "token", "user_code",
}

func (w *Wire) note(what, value string) {
	const shortest = 8 // anything may occur in a log by chance that is shorter
	if len(value) < shortest {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = map[string]string{}
	}
	if _, known := w.seen[value]; !known {
		w.seen[value] = what
	}
}

func (w *Wire) noteForm(form url.Values) {
	for _, name := range credentials {
		for _, value := range form[name] {
			w.note(name, value)
		}
	}
}

func (w *Wire) noteJSON(body []byte) {
	var members map[string]any
	if json.Unmarshal(body, &members) != nil {
		return
	}
	for _, name := range credentials {
		if value, ok := members[name].(string); ok {
			w.note(name, value)
		}
	}
}

// RoundTrip implements http.RoundTripper.
func (w *Wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		if form, err := url.ParseQuery(string(body)); err == nil {
			w.noteForm(form)
		}
	}
	w.noteForm(r.URL.Query())
	w.noteAuthorization(r.Header.Get("Authorization"))
	response, err := w.Base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	for _, cookie := range response.Cookies() {
		w.note("cookie "+cookie.Name, cookie.Value)
	}
	if to, err := response.Location(); err == nil {
		w.noteForm(to.Query())
	}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			return nil, err
		}
		response.Body = io.NopCloser(bytes.NewReader(body))
		w.noteJSON(body)
	}
	return response, nil
}

func (w *Wire) noteAuthorization(header string) {
	scheme, value, _ := strings.Cut(header, " ")
	w.note(scheme, value)
	if decoded, err := base64.StdEncoding.DecodeString(value); err == nil && strings.EqualFold(scheme, "Basic") {
		if _, secret, found := strings.Cut(string(decoded), ":"); found {
			if plain, err := url.QueryUnescape(secret); err == nil {
				w.note("client_secret", plain)
			}
		}
	}
}
