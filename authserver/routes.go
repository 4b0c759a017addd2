package authserver

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"
)

// route is an address and what serves it.
type route struct {
	method  string
	path    string
	name    string // in logs and metrics
	maxBody int64  // bytes
	// crossOrigin lets scripts of any origin call it and read the answer. None
	// of these endpoints looks at cookies, so that there is nothing to steal.
	crossOrigin bool
	// routine requests are logged at debug level unless something is wrong.
	routine bool
	serve   endpointFunc
}

// page says that people see what the route answers: its errors are pages, and
// a POST must come from a page of ours.
func (at route) page() bool { return strings.HasPrefix(at.name, pagePrefix) }

// pagePrefix begins the names of routes that are pages.
const pagePrefix = "page_"

// routes are all the addresses of the server.
func (s *Server) routes() ([]route, error) {
	home, pages, err := s.newHome()
	if err != nil {
		return nil, err
	}
	base := s.issuer.EscapedPath() // as requests are matched
	routes := []route{
		{http.MethodGet, base + pathJWKS, "jwks", 0, true, false, document("application/jwk-set+json", func(e *logEntry) []byte { return s.keys.JWKS(e.start) })},
		{http.MethodPost, base + pathToken, "token", maxFormBytes, true, false, s.token},
		{http.MethodPost, base + pathRevoke, "revoke", maxFormBytes, true, false, s.revoke},
		{http.MethodPost, base + pathPush, "par", maxPushBytes, true, false, s.push},
		{http.MethodGet, base + pathUserinfo, "userinfo", 0, true, false, s.userinfo},
		{http.MethodPost, base + pathUserinfo, "userinfo", maxFormBytes, true, false, s.userinfo},
		{http.MethodPost, base + pathIntrospect, "introspect", maxFormBytes, false, false, s.introspect},
		{http.MethodPost, base + pathEvents, "events", maxFeedBytes, false, true, s.feed},
		{http.MethodGet, base + "/", "home", 0, false, false, html(home)},
	}
	for _, file := range pages.Assets() {
		routes = append(routes, route{http.MethodGet, base + file.Path, "asset", 0, false, true, asset(file)})
	}
	for _, more := range [][]route{s.authorizeRoutes(), s.peopleRoutes(), s.registrationRoutes(), s.deviceRoutes(), s.adminRoutes()} {
		for _, at := range more {
			at.path = base + at.path
			routes = append(routes, at)
		}
	}
	metadata := document("application/json", func(*logEntry) []byte { return s.metadata })
	for _, path := range metadataPaths(s.issuer) {
		routes = append(routes, route{http.MethodGet, path, "metadata", 0, true, false, metadata})
	}
	for _, prefix := range slices.Compact([]string{"", base}) {
		routes = append(routes,
			route{http.MethodGet, prefix + pathHealth, "health", 0, false, true, health},
			route{http.MethodGet, prefix + pathReady, "ready", 0, false, true, s.ready})
	}
	return routes, nil
}

// wire builds the router.
func (s *Server) wire(context.Context) error {
	routes, err := s.routes()
	if err != nil {
		return err
	}
	router := mux.NewRouter().SkipClean(true).UseEncodedPath()
	served := map[string][]string{} // methods by path
	for _, at := range routes {
		methods := []string{at.method}
		if at.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
		router.Handle(at.path, s.edge(at, at.serve)).Methods(methods...)
		served[at.path] = append(served[at.path], methods...)
	}
	for _, at := range routes {
		methods, first := served[at.path]
		if !first {
			continue
		}
		delete(served, at.path)
		if at.crossOrigin {
			router.Handle(at.path, s.edge(at, preflight(methods))).Methods(http.MethodOptions)
			methods = append(methods, http.MethodOptions)
		}
		router.Handle(at.path, s.edge(at, methodNotAllowed(methods)))
	}
	router.NotFoundHandler = s.edge(route{name: "none"}, notFound)
	s.router = router
	return nil
}
