package authserver

import (
	"net/http"

	"github.com/gatehouse-mcp/gatehouse/web"
)

// newHome returns the page at the issuer's address and the pages it is one of.
func (s *Server) newHome() (home web.Document, pages *web.Pages, err error) {
	if pages, err = web.New(s.issuer.EscapedPath(), s.cfg.Brand); err != nil {
		return web.Document{}, nil, err
	}
	resources := make([]string, 0, len(s.cfg.Resources))
	for _, r := range s.cfg.Resources {
		resources = append(resources, r.Identifier)
	}
	home, err = pages.Home(web.Home{
		Host: s.issuer.Host, Resources: resources,
		Documents: []web.Link{
			{Name: "Server metadata", URL: s.cfg.Issuer + pathDiscovery},
			{Name: "Signing keys", URL: s.cfg.Issuer + pathJWKS},
			{Name: "Is it ready?", URL: s.cfg.Issuer + pathReady},
		},
	})
	return home, pages, err
}

// html serves a page that is always the same.
func html(page web.Document) endpointFunc {
	return func(w http.ResponseWriter, _ *http.Request, _ *logEntry) error {
		return writePage(w, http.StatusOK, page, nil)
	}
}

// asset serves a file whose path changes with its content.
func asset(file web.Asset) endpointFunc {
	return func(w http.ResponseWriter, _ *http.Request, _ *logEntry) error {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		writeDocument(w, http.StatusOK, file.ContentType, file.Content)
		return nil
	}
}
