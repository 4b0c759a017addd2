package authserver

import (
	"net/http"

	"github.com/gatehouse-mcp/gatehouse/web"
)

// newHome renders the page at the issuer's address and returns it with the
// stylesheet that goes with all pages.
func (s *Server) newHome() (page []byte, pages *web.Pages, err error) {
	if pages, err = web.New(); err != nil {
		return nil, nil, err
	}
	resources := make([]string, 0, len(s.cfg.Resources))
	for _, r := range s.cfg.Resources {
		resources = append(resources, r.Identifier)
	}
	page, err = pages.Home(web.Home{
		Base: s.issuer.Path, Host: s.issuer.Host, Resources: resources,
		Documents: []web.Link{
			{Name: "Server metadata", URL: s.cfg.Issuer + pathDiscovery},
			{Name: "Signing keys", URL: s.cfg.Issuer + pathJWKS},
			{Name: "Is it ready?", URL: s.cfg.Issuer + pathReady},
		},
	})
	return page, pages, err
}

// html serves a rendered page.
func html(page []byte) endpointFunc {
	return func(w http.ResponseWriter, _ *http.Request, _ *logEntry) error {
		w.Header().Set("Content-Security-Policy", web.ContentSecurityPolicy)
		writeDocument(w, http.StatusOK, "text/html; charset=utf-8", page)
		return nil
	}
}

// asset serves a file whose path changes with its content.
func asset(contentType string, content []byte) endpointFunc {
	return func(w http.ResponseWriter, _ *http.Request, _ *logEntry) error {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		writeDocument(w, http.StatusOK, contentType, content)
		return nil
	}
}
