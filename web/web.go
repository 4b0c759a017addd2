// Package web renders what people see: embedded html/template pages with typed
// contents, and the one stylesheet. It decides nothing, reads no request and
// imports nothing of ours. Pages work without JavaScript, load nothing from
// elsewhere and fit a policy without inline code or style.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
)

//go:embed templates/*.html assets/*.css
var files embed.FS

// ContentSecurityPolicy is what every page is served with: its own stylesheet
// and nothing else, in nobody's frame.
const ContentSecurityPolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Pages are the parsed templates and assets. They are immutable.
type Pages struct {
	templates  *template.Template
	stylesheet []byte
	stylePath  string
}

// New parses every page, so that a broken one is found at start.
func New() (*Pages, error) {
	parsed, err := template.ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	for _, name := range []string{"home.html"} {
		if parsed.Lookup(name) == nil {
			return nil, fmt.Errorf("web: template %s is missing", name)
		}
	}
	style, err := files.ReadFile("assets/style.css")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	hash := sha256.Sum256(style)
	return &Pages{
		templates: parsed, stylesheet: style,
		stylePath: "/assets/" + base64.RawURLEncoding.EncodeToString(hash[:9]) + ".css",
	}, nil
}

// Stylesheet returns the path of the stylesheet below the issuer, which
// changes with its content so that it can be cached for ever, and the content.
func (p *Pages) Stylesheet() (path string, css []byte) { return p.stylePath, p.stylesheet }

// Link is a named address.
type Link struct {
	Name string
	URL  string
}

// Home is the page at the issuer's own address, for somebody who opened it in
// a browser.
type Home struct {
	Base      string   // path prefix of the issuer, for the stylesheet
	Host      string   // the issuer's host, as people know the server
	Resources []string // what it guards
	Documents []Link   // what a developer wants to see
}

// Home renders the page.
func (p *Pages) Home(page Home) ([]byte, error) { return p.render("home.html", page.Base, page) }

// frame is what the templates' common head needs.
type frame struct {
	Stylesheet string
	Page       any
}

func (p *Pages) render(name, base string, page any) ([]byte, error) {
	var out bytes.Buffer
	if err := p.templates.ExecuteTemplate(&out, name, frame{Stylesheet: base + p.stylePath, Page: page}); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	return out.Bytes(), nil
}
