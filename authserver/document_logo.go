package authserver

import (
	"context"
	"encoding/base64"
	"log/slog"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/cimd"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	logosBytes = 4 << 20 // of all logos in memory
	logoTTL    = time.Hour
	maxLogos   = 4 // fetched at a time
)

// logos are clients' logos as data URLs. They are fetched ahead, so that the
// browser of somebody who signs in tells nobody else of it, and by this process
// only.
type logos struct {
	fetcher *cimd.Fetcher
	logger  *slog.Logger
	cache   *otter.Cache[string, dated[string]] // by logo_uri; empty: none, or under way
	slots   chan struct{}
	ctx     context.Context // of what is under way; stop ends it
	cancel  context.CancelFunc
}

func newLogos(fetcher *cimd.Fetcher, logger *slog.Logger) *logos {
	l := &logos{fetcher: fetcher, logger: logger, slots: make(chan struct{}, maxLogos)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.cache = otter.Must(&otter.Options[string, dated[string]]{
		MaximumWeight: logosBytes,
		Weigher:       func(uri string, logo dated[string]) uint32 { return uint32(len(uri) + len(logo.value)) }, //nolint:gosec // below 100 KiB
	})
	return l
}

// logo returns the client's logo as a data URL, or nothing. It waits for
// nothing: a logo that is not here is fetched for the next time. Clients that
// registered themselves get none, because nobody vouches for the picture: it
// would be that of whoever they pose as.
func (s *Server) logo(c *client) string {
	if c.LogoURI == "" || c.Registration == storage.RegisteredDynamically {
		return ""
	}
	return s.clients.logos.get(c.LogoURI)
}

func (l *logos) get(uri string) string {
	logo, known := l.cache.GetIfPresent(uri)
	if (known && logo.younger(logoTTL)) || l.ctx.Err() != nil {
		return logo.value
	}
	select {
	case l.slots <- struct{}{}:
	default:
		return logo.value
	}
	l.cache.Set(uri, dated[string]{logo.value, time.Now()}) // so that the next one does not fetch it too
	go func() {
		defer func() { <-l.slots }()
		l.fetch(uri)
	}()
	return logo.value
}

func (l *logos) fetch(uri string) {
	picture, mediaType, err := l.fetcher.Logo(l.ctx, uri)
	if err != nil {
		l.logger.InfoContext(l.ctx, "client's logo could not be fetched", "logo_uri", uri, "error", err)
		return
	}
	l.cache.Set(uri, dated[string]{"data:" + mediaType + ";base64," + base64.StdEncoding.EncodeToString(picture), time.Now()})
}
