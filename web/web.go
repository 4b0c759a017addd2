// Package web renders what people see: embedded html/template pages with typed
// contents, one stylesheet and one script. It decides nothing, reads no request
// and imports nothing of ours.
//
// Pages work without JavaScript (passkeys apart, which need it), load nothing
// from elsewhere and fit a policy without inline code or style. What a client
// says about itself is taken to be hostile: see clean, pageURI and image.
package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
)

//go:embed templates/*.html assets/*
var files embed.FS

// Document is a rendered page.
type Document struct {
	HTML []byte
	// Policy is the value of the Content-Security-Policy header that the page
	// must be served with.
	Policy string
}

// The policies of pages: their own stylesheet, script and images and nothing
// else, in nobody's frame. OpenPolicy is for pages whose form may end at the
// client: browsers hold redirects after a form to form-action too, and these
// lead to addresses that no list could name beforehand.
const (
	Policy     = OpenPolicy + "; form-action 'self'"
	OpenPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
)

// Pages are the parsed templates and assets. They are immutable.
type Pages struct {
	base      string
	brand     Brand
	templates map[string]*template.Template // by the name of the page
	assets    []Asset
	paths     assetPaths
}

// New prepares the pages of the server whose issuer has the path base, escaped
// and without a trailing slash (empty at the root of its host). All paths in the
// contents of pages are below the issuer: "/login", whatever base is; what has a
// scheme is taken as it is. New fails when the brand cannot be shown (its accent
// cannot be read on the pages' ground, its logo is neither SVG nor PNG) and when
// a template is broken.
func New(base string, brand Brand) (*Pages, error) {
	if brand.Name == "" {
		brand.Name = "Gatehouse"
	}
	p := &Pages{base: base, brand: brand, templates: map[string]*template.Template{}}
	if err := p.prepareAssets(); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	shared, err := template.New("").Funcs(p.functions()).ParseFS(files, "templates/_*.html")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	for name, empty := range contents {
		page := template.Must(shared.Clone()) // fails only after an execution
		if _, err := page.ParseFS(files, "templates/"+name+".html"); err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
		p.templates[name] = page
		// html/template completes a template when it is first executed.
		if err := p.execute(io.Discard, name, empty); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// contents are the pages, by the names of their files, with their contents.
var contents = map[string]any{
	"home": Home{}, "signin": SignIn{}, "second_factor": SecondFactor{}, "consent": Consent{},
	"failure": Failure{}, "notice": Notice{}, "device": Device{}, "signout": SignOut{},
	"account": Account{}, "enroll_second_factor": EnrollSecondFactor{}, "recovery_codes": RecoveryCodes{},
}

// Home renders the page at the issuer's own address.
func (p *Pages) Home(page Home) (Document, error) { return p.render("home", Policy, page) }

// SignIn renders the sign-in page.
func (p *Pages) SignIn(page SignIn) (Document, error) { return p.render("signin", OpenPolicy, page) }

// SecondFactor renders the page that asks for the second step of a sign-in.
func (p *Pages) SecondFactor(page SecondFactor) (Document, error) {
	return p.render("second_factor", OpenPolicy, page)
}

// Consent renders the page that asks the person to decide.
func (p *Pages) Consent(page Consent) (Document, error) {
	return p.render("consent", OpenPolicy, page)
}

// Failure renders the page for what cannot go on.
func (p *Pages) Failure(page Failure) (Document, error) { return p.render("failure", Policy, page) }

// Notice renders a page that says one thing went well.
func (p *Pages) Notice(page Notice) (Document, error) { return p.render("notice", Policy, page) }

// Device renders the page that asks for the code a device shows.
func (p *Pages) Device(page Device) (Document, error) { return p.render("device", Policy, page) }

// SignOut renders the page that asks whether to sign out.
func (p *Pages) SignOut(page SignOut) (Document, error) { return p.render("signout", Policy, page) }

// Account renders a section of what a person has.
func (p *Pages) Account(page Account) (Document, error) { return p.render("account", Policy, page) }

// EnrollSecondFactor renders the page that sets up a second factor.
func (p *Pages) EnrollSecondFactor(page EnrollSecondFactor) (Document, error) {
	return p.render("enroll_second_factor", Policy, page)
}

// RecoveryCodes renders new recovery codes.
func (p *Pages) RecoveryCodes(page RecoveryCodes) (Document, error) {
	return p.render("recovery_codes", Policy, page)
}

// frame is what a page is rendered with: what all pages need and its contents.
type frame struct {
	Brand  Brand
	Assets assetPaths
	Page   any
}

func (p *Pages) render(name, policy string, page any) (Document, error) {
	var out bytes.Buffer
	if err := p.execute(&out, name, page); err != nil {
		return Document{}, err
	}
	return Document{HTML: out.Bytes(), Policy: policy}, nil
}

func (p *Pages) execute(w io.Writer, name string, page any) error {
	if err := p.templates[name].ExecuteTemplate(w, "page", frame{p.brand, p.paths, page}); err != nil {
		return fmt.Errorf("web: %s: %w", name, err)
	}
	return nil
}
