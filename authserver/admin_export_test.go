package authserver

import (
	"slices"
	"strings"
	"time"
)

// NewOpaque makes an opaque token; nobody has stored it.
func NewOpaque(expiresAt time.Time) string { return newOpaque(expiresAt) }

// AdminPaths returns the addresses below the admin API's version.
func (s *Server) AdminPaths() []string {
	var paths []string
	for _, at := range s.adminRoutes() {
		if strings.HasPrefix(at.path, pathAdmin+"/v1/") {
			paths = append(paths, at.method+" "+at.path)
		}
	}
	return slices.Sorted(slices.Values(paths))
}
