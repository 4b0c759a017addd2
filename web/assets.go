package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// Asset is a file that pages refer to. Path is below the issuer and changes with
// the content, so that it can be cached for ever.
type Asset struct {
	Path        string
	ContentType string
	Content     []byte
}

// assetPaths are the addresses of the assets, base included. Logo is empty when
// the brand has none; Icon is what browsers show in a tab.
type assetPaths struct{ Stylesheet, Script, Logo, Icon string }

// maxBrandLogo keeps a page and what it loads small, in bytes.
const maxBrandLogo = 24 << 10

// Assets returns the files that must be served beside the pages.
func (p *Pages) Assets() []Asset { return p.assets }

func (p *Pages) prepareAssets() error {
	style, err := files.ReadFile("assets/style.css")
	if err != nil {
		return err
	}
	accent, err := p.brand.accentRules()
	if err != nil {
		return err
	}
	script, err := files.ReadFile("assets/script.js")
	if err != nil {
		return err
	}
	p.paths.Stylesheet = p.addAsset(".css", "text/css; charset=utf-8", append(style, accent...))
	p.paths.Script = p.addAsset(".js", "text/javascript; charset=utf-8", script)
	return p.prepareLogo(p.brand.Logo)
}

func (p *Pages) prepareLogo(logo []byte) error {
	switch {
	case len(logo) == 0:
		mark, err := files.ReadFile("assets/mark.svg")
		p.paths.Icon = p.addAsset(".svg", "image/svg+xml", mark)
		return err
	case len(logo) > maxBrandLogo:
		return fmt.Errorf("the logo has %d bytes; at most %d fit a page that loads at once", len(logo), maxBrandLogo)
	case bytes.HasPrefix(logo, []byte("\x89PNG\r\n\x1a\n")):
		p.paths.Logo = p.addAsset(".png", "image/png", logo)
	case bytes.Contains(logo, []byte("<svg")):
		p.paths.Logo = p.addAsset(".svg", "image/svg+xml", logo)
	default:
		return errors.New("the logo is neither an SVG nor a PNG file")
	}
	p.paths.Icon = p.paths.Logo
	return nil
}

// addAsset returns the address that pages have for the new asset.
func (p *Pages) addAsset(suffix, contentType string, content []byte) string {
	hash := sha256.Sum256(content)
	path := "/assets/" + base64.RawURLEncoding.EncodeToString(hash[:9]) + suffix
	p.assets = append(p.assets, Asset{path, contentType, content})
	return p.base + path
}
