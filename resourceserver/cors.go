package resourceserver

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cors tells browsers which scripts may read answers (Fetch standard §3.2).
// Credentials are never allowed.
type cors struct {
	off     bool
	all     bool       // whoever may call may read, and shares caches
	readers *originSet // nil: whoever may call
	headers []string   // that a script may send

	vary, star, expose, methods, maxAge []string // values of headers
}

func newCORS(cfg CORS, tokenHeader string) (*cors, error) {
	c := &cors{
		off: cfg.Off, all: slices.Contains(cfg.Origins, "*"), vary: []string{"Origin"}, star: []string{"*"},
		expose: []string{"WWW-Authenticate, Mcp-Session-Id, Retry-After, DPoP-Nonce, X-Request-Id"},
	}
	if len(cfg.Methods) == 0 {
		cfg.Methods = []string{http.MethodGet, http.MethodPost, http.MethodDelete}
	}
	for _, name := range slices.Concat(cfg.Methods, cfg.Headers) {
		if !isToken(strings.ToLower(name)) {
			return nil, fmt.Errorf("cors: %q is not a name", name)
		}
	}
	c.methods = []string{strings.Join(cfg.Methods, ", ")}
	c.headers = []string{
		"Authorization", "Content-Type", "Accept", "DPoP", "Last-Event-ID",
		"MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id",
	}
	for _, name := range slices.Concat(cfg.Headers, []string{tokenHeader}) {
		if !slices.ContainsFunc(c.headers, func(known string) bool { return strings.EqualFold(known, name) }) {
			c.headers = append(c.headers, name)
		}
	}
	age := 10 * time.Minute
	if cfg.MaxAge != 0 {
		age = max(cfg.MaxAge, 0)
	}
	c.maxAge = []string{strconv.Itoa(int(age.Seconds()))}
	if c.all || len(cfg.Origins) == 0 {
		return c, nil
	}
	var err error
	if c.readers, err = newOriginSet(cfg.Origins); err != nil {
		return nil, fmt.Errorf("cors: origin %w", err)
	}
	return c, nil
}

// apply tells the script of an origin that may call what it may do, and
// answers its preflight, which never has credentials.
func (c *cors) apply(w http.ResponseWriter, r *http.Request, from origin) (done bool) {
	if c.off {
		return false
	}
	h := w.Header()
	if c.readers == nil || c.readers.match(from) {
		h["Access-Control-Expose-Headers"] = c.expose
		h["Access-Control-Allow-Origin"] = c.star
		if !c.all {
			h["Access-Control-Allow-Origin"] = r.Header["Origin"]
		}
	}
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h["Access-Control-Allow-Methods"] = c.methods
	h.Set("Access-Control-Allow-Headers", c.allowedHeaders(r.Header.Get("Access-Control-Request-Headers")))
	h["Access-Control-Max-Age"] = c.maxAge
	w.WriteHeader(http.StatusNoContent)
	return true
}

// maxParams bounds how many headers are allowed because a preflight asks.
const maxParams = 32

// allowedHeaders are the headers that a script may send, with those Mcp-Param-*
// ones that the preflight asks for (they have no fixed names).
func (c *cors) allowedHeaders(requested string) string {
	allowed := slices.Clone(c.headers)
	for name := range strings.SplitSeq(requested, ",") {
		name = strings.TrimSpace(name)
		if param, found := strings.CutPrefix(lower(name), "mcp-param-"); found && isToken(param) && len(param) < 64 && len(allowed) < len(c.headers)+maxParams {
			allowed = append(allowed, name)
		}
	}
	return strings.Join(allowed, ", ")
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z')
	})
}
