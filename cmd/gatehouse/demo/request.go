package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// request is one HTTP request that can be printed as a curl command and sent;
// both come from the same fields.
type request struct {
	url     string
	client  Client // -u, when it has an ID
	form    [][2]string
	headers [][2]string
	body    string // JSON
	remove  bool   // DELETE
}

// curl is the command that sends the request.
func (r request) curl() string {
	words := []string{"curl -sS -i"}
	if r.remove {
		words = append(words, "-X DELETE")
	}
	add := func(flag, value string) { words = append(words, flag+" "+quote(value)) }
	if r.client.ID != "" {
		add("-u", url.QueryEscape(r.client.ID)+":"+url.QueryEscape(r.client.Secret))
	}
	for _, h := range r.headers {
		add("-H", h[0]+": "+h[1])
	}
	for _, f := range r.form {
		add("--data-urlencode", f[0]+"="+f[1])
	}
	if r.body != "" {
		add("-d", r.body)
	}
	return strings.Join(append(words, quote(r.url)), " \\\n    ")
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// answer is what came back.
type answer struct {
	status    string
	code      int
	challenge string // WWW-Authenticate
	session   string // Mcp-Session-Id
	body      []byte // JSON, taken out of the event stream if it came in one
}

func (r request) send(ctx context.Context, client *http.Client) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	form := url.Values{}
	for _, f := range r.form {
		form.Add(f[0], f[1])
	}
	body := r.body
	if len(form) > 0 {
		body = form.Encode()
	}
	method := http.MethodGet
	switch {
	case r.remove:
		method = http.MethodDelete
	case body != "":
		method = http.MethodPost
	}
	out, err := http.NewRequestWithContext(ctx, method, r.url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if len(form) > 0 {
		out.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, h := range r.headers {
		out.Header.Set(h[0], h[1])
	}
	if r.client.ID != "" {
		out.SetBasicAuth(url.QueryEscape(r.client.ID), url.QueryEscape(r.client.Secret))
	}
	in, err := client.Do(out)
	if err != nil {
		return answer{}, err
	}
	defer in.Body.Close()
	text, err := io.ReadAll(io.LimitReader(in.Body, 1<<20))
	if err != nil {
		return answer{}, err
	}
	return answer{
		status: in.Status, code: in.StatusCode, challenge: in.Header.Get("WWW-Authenticate"),
		session: in.Header.Get("Mcp-Session-Id"), body: payload(in.Header.Get("Content-Type"), text),
	}, nil
}

// payload takes the last message out of an event stream.
func payload(contentType string, text []byte) []byte {
	if kind, _, _ := mime.ParseMediaType(contentType); kind != "text/event-stream" {
		return text
	}
	var last []byte
	for line := range bytes.Lines(text) {
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok && len(bytes.TrimSpace(data)) > 0 {
			last = bytes.TrimSpace(data)
		}
	}
	return last
}

// print shows the status, the headers that matter and the body, indented.
func (a answer) print(w io.Writer) {
	fmt.Fprintf(w, "  HTTP %s\n", a.status)
	if a.challenge != "" {
		fmt.Fprintf(w, "  WWW-Authenticate: %s\n", a.challenge)
	}
	if a.session != "" {
		fmt.Fprintf(w, "  Mcp-Session-Id: %s\n", a.session)
	}
	var pretty bytes.Buffer
	switch {
	case len(a.body) == 0:
	case json.Indent(&pretty, a.body, "  ", "  ") == nil:
		fmt.Fprintf(w, "  %s\n", bytes.TrimSpace(pretty.Bytes()))
	default:
		fmt.Fprintf(w, "  %s\n", bytes.TrimSpace(a.body))
	}
}
