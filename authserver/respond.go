package authserver

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// retryAfter is what a 503 asks of its caller, in seconds.
const retryAfter = 2

// errorBody is the error response of RFC 6749 §5.2.
type errorBody struct {
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description,omitempty"`
}

// writeError answers with err. Every 401 carries a challenge (RFC 9110
// §11.6.1; RFC 6749 §5.2 demands it after a failed Authorization header).
func (s *Server) writeError(w http.ResponseWriter, err *oauthError) {
	switch {
	case err.challenge != "":
		w.Header().Set("WWW-Authenticate", err.challenge)
	case err.status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="`+s.cfg.Issuer+`", charset="UTF-8"`)
	}
	setRetryAfter(w, err)
	writeJSON(w, err.status, errorBody{Error: err.code, ErrorDescription: err.description})
}

// setRetryAfter tells when to come again, in whole seconds.
func setRetryAfter(w http.ResponseWriter, err *oauthError) {
	switch {
	case err.wait > 0:
		w.Header().Set("Retry-After", strconv.Itoa(int((err.wait+time.Second-1)/time.Second)))
	case err.status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
}

// writeJSON answers with body encoded; the edge has set the other headers.
func writeJSON(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil { // only our own structs and checked strings come here
		panic(err)
	}
	writeDocument(w, status, "application/json", append(encoded, '\n'))
}

// writeDocument answers with a document that is already encoded.
func writeDocument(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone; nobody is left to tell
}
