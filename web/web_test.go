package web_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/web"
)

func TestHome_EscapesAndStaysSmall(t *testing.T) {
	t.Parallel()
	pages, err := web.New()
	if err != nil {
		t.Fatal(err)
	}
	path, css := pages.Stylesheet()
	page, err := pages.Home(web.Home{
		Base: "/tenant", Host: "as.example",
		Resources: []string{"https://mcp.example/<script>alert(1)</script>"},
		Documents: []web.Link{{Name: "Metadata", URL: "https://as.example/.well-known/oauth-authorization-server"}, {Name: "Bad", URL: "javascript:alert(1)"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<html lang="en">`, "<title>Gatehouse at as.example</title>", `href="/tenant` + path + `"`, "<h1>", "&lt;script&gt;"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	for _, never := range []string{"<script", "style=", "javascript:", "http://fonts"} {
		if bytes.Contains(page, []byte(never)) {
			t.Errorf("the page has %q:\n%s", never, page)
		}
	}
	if len(page)+len(css) > 40<<10 || len(css) > 15<<10 {
		t.Errorf("page %d bytes, stylesheet %d bytes", len(page), len(css))
	}
	if strings.Contains(string(css), "url(") || strings.Contains(string(css), "@import") {
		t.Error("the stylesheet loads something from elsewhere")
	}
}
